//! Every bus passes the checks in every cell that fits it, in runs of a moment.

#![forbid(unsafe_code)]

use std::sync::{Mutex, PoisonError};

use slipring_bench::{Cell, Contestant, Fault, Load, Scenario, Wait};
use slipring_peers::{buses, contestants};

/// More than the capacity many times over, so that publishers wait; two publishers have half of it each.
const EVENTS: u64 = 2_000;
/// For spinning threads, which may outnumber the cores.
const FEW_EVENTS: u64 = 100;
const CAPACITY: usize = 64;

/// One run at a time: others would take the cores that its threads spin on.
static CORES: Mutex<()> = Mutex::new(());

fn bus(name: &str) -> Box<dyn Contestant> {
    let bus = buses().into_iter().find(|bus| bus.name() == name);
    bus.unwrap_or_else(|| panic!("there is no {name}"))
}

fn cells() -> impl Iterator<Item = Cell> {
    Scenario::BUSES.into_iter().flat_map(|scenario| {
        // Tasks wait in one way.
        let waits = if scenario.has_tasks() { &[Wait::Block][..] } else { &Wait::ALL };
        waits.iter().flat_map(move |&wait| {
            [16, 64].map(|bytes| Cell::new(scenario, wait, 1, CAPACITY, bytes))
        })
    })
}

/// Every run checks count, order, content and sum at each handler; gives how many there were.
fn check(name: &str) -> usize {
    let _cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    let bus = bus(name);
    let mut runs = 0;
    for cell in cells().filter(|cell| bus.fits(cell)) {
        let spins = matches!(cell.wait, Wait::Spin | Wait::Hint);
        let events = if spins { FEW_EVENTS } else { EVENTS };
        let outcome = bus.run(&cell, &Load::full(&cell, events));
        let outcome = outcome.unwrap_or_else(|fault| panic!("{name}, {cell}: {fault}"));
        assert_eq!(outcome.events, events, "{name}, {cell}");
        assert!((outcome.average_batch - 1.0).abs() < f64::EPSILON, "each event is a run: {cell}");
        runs += 1;
    }
    runs
}

/// Scenarios, waits, sizes.
const ON_THREADS: usize = 4 * 4 * 2;
const ON_TASKS: usize = 4 * 2;

#[test]
fn slipring() {
    assert_eq!(check("slipring-bus"), ON_THREADS + ON_TASKS);
}

#[test]
fn tokio() {
    assert_eq!(check("tokio-bus"), ON_THREADS + ON_TASKS);
}

#[test]
fn evno() {
    assert_eq!(check("evno"), ON_TASKS);
}

#[test]
fn crossbeam() {
    assert_eq!(check("crossbeam-fan-out"), ON_THREADS);
}

#[test]
fn only_buses_are_in_the_scenarios_of_buses() {
    for cell in cells() {
        let all = contestants();
        let fitting = all.iter().filter(|contestant| contestant.fits(&cell));
        let names: Vec<_> = fitting.map(|contestant| contestant.name()).collect();
        let third = if cell.scenario.has_tasks() { "evno" } else { "crossbeam-fan-out" };
        assert_eq!(names, ["slipring-bus", "tokio-bus", third], "{cell}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let three = "bus3".parse().expect("it is a scenario");
    let refused = |scenario, batch, capacity, bytes| {
        let cell = Cell::new(scenario, Wait::Yield, batch, capacity, bytes);
        buses()
            .iter()
            .all(|bus| matches!(bus.checked_run(&cell, &Load::full(&cell, 1)), Err(Fault::Peer(_))))
    };
    assert!(refused(Scenario::Multicast(3), 1, 64, 64), "it is no bus");
    assert!(refused(three, 10, 64, 16), "they have no batch form in common");
    assert!(refused(three, 1, 64, 32), "there is no such event");
    assert!(refused(three, 1, 100, 16), "some would round it up");
    let cell = Cell::new(three, Wait::Yield, 1, 64, 16);
    assert!(buses().iter().all(|bus| !bus.fits_paced(&cell)));
}
