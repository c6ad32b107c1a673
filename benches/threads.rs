//! A benchmark with threads: the runs of one cell, as `slipring bench` makes them. Every consumer
//! checks count, order and content, and a wrong run ends the benchmark.

use std::{fmt::Display, sync::Arc};

use criterion::{BenchmarkGroup, measurement::WallTime};
use slipring_bench::{Cell, Contestant, Load, on_slipring::Slipring};

use crate::suite;

/// Measures the cell. The clock runs from just before the first
/// publication until the last consumer has seen the last event: the start of the threads is not in it.
pub(crate) fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: impl Display, cell: &Cell) {
    let cores = cores();
    let contestant = Slipring::PER_EVENT;
    assert!(contestant.fits(cell), "{cell}");
    group.bench_function(name.to_string(), |bencher| {
        bencher.iter_custom(|events| {
            let load = Load { cores: Arc::clone(&cores), ..Load::full(cell, events) };
            let outcome = contestant.run(cell, &load).expect("every event arrives once, in order");
            suite::share(outcome.elapsed, events, outcome.events)
        });
    });
}

/// Threads take these in turn, producers first. Left alone, the system may start two on one core, and
/// takes milliseconds to notice.
pub(crate) fn cores() -> Arc<[usize]> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}
