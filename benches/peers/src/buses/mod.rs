//! The event buses, and what programs use in the place of one.
//!
//! All have the same events, enums of 16 or 64 bytes, and the same handlers, which check what they see. No bus
//! tells its handlers where a run ends, so each event is one. On [threads](threads) each handler and each
//! publisher has one of its own, on [tasks](tasks) all share a runtime with a worker for each core.

mod fan_out;
mod gate;
mod job;
mod message;
mod on_evno;
mod on_slipring;
mod on_tokio;
mod tasks;
mod threads;

use slipring_bench::Contestant;

use self::{fan_out::FanOut, job::OnBus, on_evno::Evno, on_slipring::Slipring, on_tokio::Tokio};

/// All of them; slipring's own is one, since the library that measures knows none.
#[must_use]
pub fn buses() -> Vec<Box<dyn Contestant>> {
    vec![
        Box::new(OnBus::<Slipring>::new()),
        Box::new(OnBus::<Tokio>::new()),
        Box::new(OnBus::<Evno>::new()),
        Box::new(OnBus::<FanOut>::new()),
    ]
}
