//! LMAX Disruptor passes the checks, and one that fails does no harm to the next run.

#![forbid(unsafe_code)]

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use slipring_bench::{Cell, Contestant as _, Fault, Load, Scenario, Wait};
use slipring_peers::Lmax;

const EVENTS: u64 = 1_000;
/// Of a run that keeps to a timetable.
const PACED_EVENTS: u64 = 100;
/// A second.
const RATE: u64 = 100_000;

/// One JVM for all tests, and one test at a time: others would take the cores of its threads.
fn lmax() -> MutexGuard<'static, Lmax> {
    static LMAX: LazyLock<Mutex<Lmax>> = LazyLock::new(Mutex::default);
    let lmax = LMAX.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(lmax.fits(&Cell::new(Scenario::Unicast, Wait::Yield, 1, 64, 8)), "{}", Lmax::NEEDS);
    lmax
}

fn check(lmax: &Lmax, cell: &Cell) {
    let outcome = lmax.run(cell, &Load::full(cell, EVENTS));
    let outcome = outcome.unwrap_or_else(|fault| panic!("{cell}: {fault}"));
    assert_eq!(outcome.events, cell.whole_batches(EVENTS), "{cell}");
    assert!(outcome.average_batch >= 1.0 && outcome.average_batch <= 64.0, "{cell}");
    assert!(!outcome.elapsed.is_zero() && outcome.latency.is_none(), "{cell}");
}

#[test]
fn every_scenario_is_right() {
    let lmax = lmax();
    let cells = [
        Cell::new(Scenario::Unicast, Wait::Yield, 1, 64, 8),
        Cell::new(Scenario::Unicast, Wait::Block, 10, 64, 64),
        Cell::new(Scenario::Mpsc(3), Wait::Yield, 10, 64, 8),
        Cell::new(Scenario::Mpsc(3), Wait::Block, 1, 64, 8),
        Cell::new(Scenario::Multicast(3), Wait::Yield, 1, 64, 8),
        Cell::new(Scenario::Pipeline(3), Wait::Yield, 1, 64, 24),
        Cell::new(Scenario::Pipeline(3), Wait::Block, 10, 64, 64),
        Cell::new(Scenario::Diamond, Wait::Yield, 10, 64, 24),
        Cell::new(Scenario::Diamond, Wait::Block, 1, 64, 64),
        Cell::new(Scenario::PingPong, Wait::Yield, 1, 64, 8),
        Cell::new(Scenario::PingPong, Wait::Block, 10, 64, 8),
    ];
    for cell in &cells {
        check(&lmax, cell);
    }
}

#[test]
fn spinning_waits_are_right() {
    let lmax = lmax();
    for wait in [Wait::Spin, Wait::Hint] {
        check(&lmax, &Cell::new(Scenario::Unicast, wait, 1, 64, 8));
    }
}

#[test]
fn a_timetable_gives_latencies() {
    let lmax = lmax();
    let ends = [
        (Scenario::Unicast, 1, 1),
        (Scenario::Multicast(3), 10, 3),
        (Scenario::Pipeline(3), 1, 1),
        (Scenario::PingPong, 10, 1),
    ];
    for (scenario, batch, ends) in ends {
        let cell = Cell::new(scenario, Wait::Yield, batch, 64, 8);
        let outcome = lmax.run(&cell, &Load::paced(&cell, PACED_EVENTS, RATE));
        let outcome = outcome.unwrap_or_else(|fault| panic!("{cell}: {fault}"));
        let latency = outcome.latency.unwrap_or_else(|| panic!("{cell}: no latency"));
        assert_eq!(latency.len(), ends * PACED_EVENTS, "{cell}");
        // The first event of a batch is as old as the time between it and the last one, but for what
        // the program rounds.
        let held_back = (batch as u64 - 1) * 1_000_000_000 / RATE;
        assert!(latency.max() >= held_back - held_back / 100, "{cell}");
    }
}

#[test]
fn a_wrong_request_is_a_fault_and_the_next_run_works() {
    let lmax = lmax();
    let right = Cell::new(Scenario::Unicast, Wait::Yield, 10, 64, 8);
    let odd_ring = Cell { capacity: 63, ..right };
    assert!(!lmax.fits(&odd_ring));
    let refused = lmax.run(&odd_ring, &Load::full(&odd_ring, EVENTS));
    assert!(matches!(refused, Err(Fault::Peer(_))), "{refused:?}");
    check(&lmax, &right);
    let parts_of_batches = Load { events: 15, ..Load::full(&right, EVENTS) };
    assert!(matches!(lmax.run(&right, &parts_of_batches), Err(Fault::Peer(_))));
    check(&lmax, &right);
}

#[test]
fn what_it_cannot_do_does_not_fit() {
    let lmax = lmax();
    let cell = Cell::new(Scenario::Unicast, Wait::Yield, 1, 64, 8);
    for other in [
        Cell { batch: 128, ..cell },
        Cell { bytes: 16, ..cell },
        Cell { scenario: Scenario::Multicast(2), ..cell },
        Cell { capacity: 1 << 24, ..cell },
    ] {
        assert!(!lmax.fits(&other), "{other}");
    }
}
