//! Every ring passes the checks in every cell that fits it, in runs of a moment.

#![forbid(unsafe_code)]

use std::sync::{Mutex, PoisonError};

use slipring_bench::{Cell, Contestant, Load, Scenario, Wait};
use slipring_peers::rings;

/// Not a multiple of 30: runs are rounded up to whole batches for every producer.
const EVENTS: u64 = 1_000;
/// For spinning waits, where threads that outnumber the cores wait for each other's time slices; still
/// more than the ring holds.
const FEW_EVENTS: u64 = 100;
/// Of a run that keeps to a timetable.
const PACED_EVENTS: u64 = 50;
/// A second.
const RATE: u64 = 100_000;

fn all_cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for scenario in Scenario::CLASSIC {
        for wait in Wait::ALL {
            for batch in [1, 10] {
                for bytes in [8, 64] {
                    cells.push(Cell::new(scenario, wait, batch, 64, bytes));
                }
            }
        }
    }
    cells
}

fn check_full(peer: &dyn Contestant) {
    for cell in all_cells().into_iter().filter(|cell| peer.fits(cell)) {
        let spins = matches!(cell.wait, Wait::Spin | Wait::Hint);
        let events = if spins { FEW_EVENTS } else { EVENTS };
        let outcome = peer.run(&cell, &Load::full(&cell, events));
        let outcome = outcome.unwrap_or_else(|fault| panic!("{peer:?}, {cell}: {fault}"));
        assert!(outcome.events >= events, "{peer:?}, {cell}");
        // Not bounded by the ring: some look for one event at a time, and go on while they find any.
        assert!(outcome.average_batch >= 1.0, "{peer:?}, {cell}");
        assert!(outcome.latency.is_none(), "{peer:?}, {cell}");
    }
}

fn check_paced(peer: &dyn Contestant) {
    for cell in all_cells().into_iter().filter(|cell| peer.fits_paced(cell)) {
        let outcome = peer.run(&cell, &Load::paced(&cell, PACED_EVENTS, RATE));
        let outcome = outcome.unwrap_or_else(|fault| panic!("{peer:?}, {cell}: {fault}"));
        let ends = if matches!(cell.scenario, Scenario::Multicast(_)) { 3 } else { 1 };
        let latency = outcome.latency.unwrap_or_else(|| panic!("{peer:?}, {cell}: no latency"));
        assert_eq!(latency.len(), ends * PACED_EVENTS, "{peer:?}, {cell}");
        // The first event of a batch is as old as the time between it and the last one.
        let held_back = (cell.batch as u64 - 1) * 1_000_000_000 / RATE;
        assert!(latency.max() >= held_back, "{peer:?}, {cell}");
    }
}

/// One run at a time: others would take the cores that its threads spin on.
static CORES: Mutex<()> = Mutex::new(());

fn check(family: &str) {
    let _cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    let peers: Vec<_> = rings().into_iter().filter(|peer| peer.family() == family).collect();
    assert!(!peers.is_empty());
    for peer in peers {
        check_full(&*peer);
        check_paced(&*peer);
    }
}

#[test]
fn disruptor() {
    check("disruptor");
}

#[test]
fn ansa() {
    check("ansa");
}

#[test]
fn photon() {
    check("photon-ring");
}

#[test]
fn tokio() {
    check("tokio-broadcast");
}

#[test]
fn what_does_not_fit_is_refused() {
    let cell = Cell::new(Scenario::Unicast, Wait::Block, 1, 64, 8);
    let disruptor = &rings()[0];
    assert!(disruptor.checked_run(&cell, &Load::full(&cell, 1)).is_err());
}
