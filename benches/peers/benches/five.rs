//! The five scenarios in criterion: one group each, waiting by yield, one event per publication.
//!
//! For figures to quote use the interleaved table; this is for seeing a change of ours.

#![forbid(unsafe_code)]

use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use slipring_peers::{Cell, Peer, Scenario, Wait};

/// Events per criterion iteration; a sample is one run of many iterations.
const EVENTS: u64 = 10_000;

const CAPACITY: usize = 1024;

fn five(criterion: &mut Criterion) {
    for &scenario in Scenario::ALL {
        let cell = Cell { scenario, wait: Wait::Yield, batch: 1, capacity: CAPACITY };
        let mut group = criterion.benchmark_group(scenario.name());
        group
            .sampling_mode(SamplingMode::Flat)
            .sample_size(10)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .throughput(Throughput::Elements(EVENTS));
        for peer in [Peer::Slipring, Peer::Disruptor, Peer::Channel] {
            group.bench_function(BenchmarkId::from_parameter(peer), |bencher| {
                bencher.iter_custom(|iterations| elapsed(peer, &cell, iterations * EVENTS));
            });
        }
        group.finish();
    }
}

/// The time of one checked run.
fn elapsed(peer: Peer, cell: &Cell, events: u64) -> Duration {
    match peer.run(cell, events) {
        Ok(outcome) => outcome.elapsed,
        Err(fault) => panic!("{peer} failed {cell}: {fault}"),
    }
}

criterion_group!(benches, five);
criterion_main!(benches);
