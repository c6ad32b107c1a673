//! The queues, each in the configuration that its documentation recommends for the edge at hand.
//!
//! `spin`, `hint` and `yield` are the crate's `try` calls in a loop; `block` is its own `send` and
//! `recv`. Where a consumer may take all that is there at once, that is a contestant of its own in
//! the family: it is faster under load, and it holds twice as many values.

mod array_queue;
mod channel;
mod crossbeam_channel;
mod crossfire;
mod drained;
mod flume;
mod kanal;
mod nexus_queue;
mod rtrb;
mod sync_channel;

pub(crate) use crossbeam_channel::Channel as Crossbeam;
use slipring_bench::Contestant;

/// All of them.
#[must_use]
pub fn queues() -> Vec<Box<dyn Contestant>> {
    let queues = [
        crossbeam_channel::contestant(),
        array_queue::contestant(),
        sync_channel::contestant(),
        crossfire::contestant(),
        flume::contestant(),
        flume::drained(),
        kanal::contestant(),
        kanal::drained(),
        nexus_queue::contestant(),
        rtrb::contestant(),
        rtrb::in_chunks(),
    ];
    queues.into_iter().map(|queues| Box::new(queues) as Box<dyn Contestant>).collect()
}
