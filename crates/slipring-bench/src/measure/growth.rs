//! The cost of an event as the work grows.

use super::{Bench, fault_of, who};
use crate::contestant::Contestant as _;
use crate::{
    cell::Wait,
    contest, growth, memory,
    on_slipring::{SLIPRING, Slipring},
    results::{Axis, Growth, GrowthPoint, Results},
};

/// Adds the point at `x` to everybody's curve.
pub fn measure(bench: &Bench<'_>, axis: Axis, x: u64, wait: Wait, curves: &mut Vec<Growth>) {
    let cell = growth::cell(axis, x, wait);
    for entry in contest::hold(&cell, &bench.contestants, &bench.rules) {
        let who = who(entry.contestant);
        let is_ours = who.contestant == Slipring::PER_EVENT.name() && who.family == SLIPRING;
        let heap = bench.heap.filter(|_| is_ours);
        let point = GrowthPoint {
            x,
            cell,
            rates: entry.rates(),
            expected_ns: None,
            memory: heap.and_then(|allocated| memory::ring_bytes(&cell, allocated)),
            fault: fault_of(&entry),
        };
        let known = curves.iter_mut().find(|curve| curve.axis == axis && curve.who == who);
        match known {
            Some(curve) => curve.points.push(point),
            None => curves.push(Growth { axis, who, theory: String::new(), points: vec![point] }),
        }
    }
}

/// Puts theory beside all curves.
pub fn explain(cores: usize, results: &mut Results) {
    for curve in &mut results.growth {
        growth::explain(curve, cores, results.floor.line_round_trip_ns);
    }
}
