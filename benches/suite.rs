//! What all benches share: how long they measure, and how they count.

use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, measurement::WallTime};

/// Runs one file's benches. What the command line says takes the place of the lengths here.
pub(crate) fn run(benches: &[fn(&mut Criterion)]) {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for bench in benches {
        bench(&mut criterion);
    }
    criterion.final_summary();
}

/// A group in which one iteration is one event.
pub(crate) fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    // Samples of equal length: short ones would measure the start of threads and cold caches.
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(1));
    group
}

/// The time of `asked` events, of which `done` were measured: runs are whole batches or chunks.
#[allow(clippy::cast_precision_loss, reason = "far fewer events than 2^52")]
pub(crate) fn share(spent: Duration, asked: u64, done: u64) -> Duration {
    spent.mul_f64(asked as f64 / done as f64)
}
