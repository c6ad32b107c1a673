//! Every peer passes the checks in every cell that fits it, in runs of a moment.

#![forbid(unsafe_code)]

use slipring_peers::{Cell, Fault, Peer, Scenario, Wait};

/// Not a multiple of 30: runs are rounded up to whole batches for every producer.
const EVENTS: u64 = 1_000;

fn all_cells() -> impl Iterator<Item = Cell> {
    Scenario::ALL.iter().flat_map(|&scenario| {
        Wait::ALL.iter().flat_map(move |&wait| {
            [1, 10].map(move |batch| Cell { scenario, wait, batch, capacity: 64 })
        })
    })
}

fn check(peer: Peer) {
    for cell in all_cells().filter(|cell| peer.fits(cell)) {
        match peer.run(&cell, EVENTS) {
            Ok(outcome) => {
                assert!(outcome.events >= EVENTS, "{peer}, {cell}");
                assert!((1.0..=64.0).contains(&outcome.average_batch), "{peer}, {cell}");
            }
            Err(fault) => panic!("{peer}, {cell}: {fault}"),
        }
    }
}

#[test]
fn slipring() {
    check(Peer::Slipring);
}

#[test]
fn disruptor() {
    check(Peer::Disruptor);
    check(Peer::DisruptorPublish);
}

#[test]
fn crossbeam() {
    check(Peer::Channel);
    check(Peer::ArrayQueue);
}

#[test]
fn what_does_not_fit_is_refused() {
    let cell = Cell { scenario: Scenario::Unicast, wait: Wait::Block, batch: 1, capacity: 64 };
    assert!(matches!(Peer::Disruptor.run(&cell, 1), Err(Fault::Peer(_))));
}
