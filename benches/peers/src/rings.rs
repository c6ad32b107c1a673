//! The peers whose consumers share a ring.

mod broadcast;
mod on_ansa;
mod on_disruptor;
mod on_photon;
mod on_photon_events;
mod on_tokio;
mod plain;

use slipring_bench::Contestant;

use self::{
    on_ansa::Ansa, on_disruptor::Disruptor, on_photon::Photon, on_photon_events::PhotonEvents,
    on_tokio::Tokio,
};

/// All of them, each in its best configurations.
#[must_use]
pub fn rings() -> Vec<Box<dyn Contestant>> {
    vec![
        Box::new(Disruptor::TRYING),
        Box::new(Disruptor::PLAIN),
        Box::new(Ansa),
        Box::new(Photon::BOUNDED),
        Box::new(Photon::LOSSY),
        Box::new(PhotonEvents),
        Box::new(Tokio),
    ]
}
