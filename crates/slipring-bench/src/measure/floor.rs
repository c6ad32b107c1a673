//! What the machine can do.

use super::Bench;
use crate::{
    cell::{Cell, Scenario, Wait},
    contest,
    floor::{Floor, bounce},
    results::FloorFigures,
    stats::Spread,
};

/// Round trips of one try: a millisecond or two.
const ROUND_TRIPS: u64 = 10_000;
const TRIES: usize = 5;

pub fn measure(bench: &Bench<'_>) -> FloorFigures {
    let cell = Cell::new(Scenario::Unicast, Wait::Spin, 1, 1024, 8);
    let [Some(first), Some(second)] = two_cores(bench) else {
        // Two threads that spin for each other on one core take a time slice for each step.
        return FloorFigures::default();
    };
    let trips =
        (0..TRIES).map(|_| bounce([Some(first), Some(second)], ROUND_TRIPS).as_nanos() as f64);
    let held = contest::hold(&cell, &[&Floor::HELD], &bench.rules);
    FloorFigures {
        // The lowest: whatever disturbs two threads that spin for each other costs milliseconds.
        line_round_trip_ns: Spread::of(trips).map(|spread| spread.low),
        held_rate: held.first().and_then(|entry| Spread::of(entry.rates())).map(|rate| rate.median),
    }
}

/// Those that were asked for, or else the first two: a try is too short for the system to move one of
/// two threads to a core of its own.
fn two_cores(bench: &Bench<'_>) -> [Option<usize>; 2] {
    let mut cores = bench.rules.cores.to_vec();
    if cores.is_empty() {
        cores =
            core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    }
    [cores.first().copied(), cores.get(1).copied()]
}
