//! Every queue passes the checks in every cell that fits it, in runs of a moment.

#![forbid(unsafe_code)]

use std::sync::{Mutex, PoisonError};

use slipring_bench::{Cell, Fault, Load, Scenario, Wait};
use slipring_peers::queues;

/// A second, of runs that keep to a timetable.
const RATE: u64 = 100_000;

/// Held by the tests that run whole tables: side by side they would take each other's cores.
static CORES: Mutex<()> = Mutex::new(());

fn cells() -> impl Iterator<Item = Cell> {
    let sized = [Scenario::Share(1), Scenario::Keyed(1), Scenario::Keyed(3), Scenario::Skewed(2)];
    let shared = Scenario::SHARED.into_iter().chain(sized);
    Scenario::CLASSIC.into_iter().chain(shared).flat_map(|scenario| {
        Wait::ALL.into_iter().flat_map(move |wait| {
            [(1, 8), (1, 64), (10, 8), (10, 64)]
                .map(move |(batch, bytes)| Cell::new(scenario, wait, batch, 64, bytes))
        })
    })
}

/// Threads that spin while the one they wait for has no core lose a time slice each time: then
/// fewer events must do. Other work on the machine takes cores too, and an echo waits every time.
fn is_slow(cell: &Cell) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let spins = matches!(cell.wait, Wait::Spin | Wait::Hint);
    spins && (cell.threads() > cores || cell.scenario == Scenario::PingPong)
}

#[test]
fn as_fast_as_they_go() {
    let _cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    for queue in queues() {
        let mut fitting = 0;
        for cell in cells().filter(|cell| queue.fits(cell)) {
            let events = if is_slow(&cell) { 30 } else { 1_000 };
            let outcome = queue.run(&cell, &Load::full(&cell, events));
            let outcome = outcome.unwrap_or_else(|fault| panic!("{queue:?}, {cell}: {fault}"));
            assert!(outcome.events >= events, "{queue:?}, {cell}");
            // A queue that is emptied at once may have a blocked sender's value beside its own.
            assert!((1.0..=67.0).contains(&outcome.average_batch), "{queue:?}, {cell}");
            fitting += 1;
        }
        assert!(fitting > 0, "{queue:?}");
    }
}

#[test]
fn to_a_timetable() {
    let _cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    for queue in queues() {
        for cell in cells().filter(|cell| queue.fits_paced(cell)) {
            let events = if is_slow(&cell) { 5 } else { 50 };
            let outcome = queue.run(&cell, &Load::paced(&cell, events, RATE));
            let outcome = outcome.unwrap_or_else(|fault| panic!("{queue:?}, {cell}: {fault}"));
            let latency = outcome.latency.expect("it was measured");
            let at_the_end = match cell.scenario {
                Scenario::Multicast(consumers) => u64::from(consumers),
                _ => 1,
            };
            assert_eq!(latency.len(), at_the_end * outcome.events, "{queue:?}, {cell}");
            // The first event of a batch is as old as the time between it and the last one.
            let held_back = (cell.batch as u64 - 1) * 1_000_000_000 / RATE;
            assert!(latency.max() >= held_back, "{queue:?}, {cell}");
        }
    }
}

/// Only chunks are larger than one event.
#[test]
fn a_chunk_is_one_run() {
    let cell = Cell::new(Scenario::Unicast, Wait::Yield, 10, 64, 8);
    for queue in queues().into_iter().filter(|queue| queue.fits(&cell)) {
        let outcome = queue.run(&cell, &Load::full(&cell, 1_000)).expect("it is right");
        assert!(outcome.average_batch > 1.0, "{queue:?}");
    }
}

/// Where each value goes to one consumer, and every consumer may take it.
#[test]
fn those_with_many_consumers_share() {
    let cell = Cell::new(Scenario::Share(2), Wait::Yield, 1, 64, 8);
    let queues = queues();
    let able = queues.iter().filter(|queue| queue.fits(&cell)).map(|queue| queue.name());
    let mut able: Vec<_> = able.collect();
    able.sort_unstable();
    assert_eq!(able, ["array-queue", "crossbeam-channel", "crossfire", "flume", "kanal"]);
    assert!(!queues.iter().any(|queue| queue.fits_paced(&cell)));
}

/// A worker that has a queue to itself needs nothing but an edge with two ends.
#[test]
fn all_can_be_routed_by_key() {
    for scenario in [Scenario::Keyed(2), Scenario::Skewed(4)] {
        let cell = |batch| Cell::new(scenario, Wait::Yield, batch, 64, 8);
        for queue in queues() {
            assert!(queue.fits(&cell(1)) && !queue.fits_paced(&cell(1)), "{queue:?}");
            assert!(
                !queue.fits(&cell(10)),
                "{queue:?}: the events of a batch are not one worker's"
            );
        }
    }
}

#[test]
fn names_tell_them_apart() {
    let queues = queues();
    let mut names: Vec<_> = queues.iter().map(|queue| queue.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), queues.len());
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |name: &str, scenario, wait, batch| {
        let queues = queues();
        let queue = queues.iter().find(|queue| queue.name() == name).expect("it is there");
        let cell = Cell::new(scenario, wait, batch, 64, 8);
        matches!(queue.checked_run(&cell, &Load::full(&cell, 1)), Err(Fault::Peer(_)))
    };
    for name in ["array-queue", "nexus-queue", "rtrb"] {
        assert!(refused(name, Scenario::Unicast, Wait::Block, 1), "{name} cannot block");
    }
    assert!(refused("rtrb", Scenario::Mpsc(1), Wait::Yield, 1), "it has one producer");
    assert!(refused("rtrb", Scenario::Unicast, Wait::Yield, 65), "it would never fit");
    assert!(refused("kanal", Scenario::Unicast, Wait::Yield, 10), "it has no batches");
    for name in ["sync-channel", "nexus-queue", "rtrb"] {
        assert!(refused(name, Scenario::Share(2), Wait::Yield, 1), "{name} has one consumer");
    }
    assert!(refused("flume-drain", Scenario::Share(2), Wait::Yield, 1), "one would take all");
    assert!(refused("array-queue", Scenario::Share(2), Wait::Block, 1), "it cannot block");
    assert!(refused("kanal", Scenario::Multicast(4), Wait::Yield, 1), "three are compared");
}
