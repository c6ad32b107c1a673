//! What the tests of this store share.

use std::ops::ControlFlow;

use fastrand::Rng;
use slipring_events::Time;
use slipring_store::{Batch, Entry, EventStore, Query, StoreError};

pub const TOPICS: [&str; 6] =
    ["order.created", "order.paid", "order.line.added", "user.seen", "tick", "order"];
pub const STREAMS: [&str; 4] = ["order-1", "order-2", "account-7", "x"];

/// How many cases to try: so many, or as many as the variable of that name says.
pub fn cases(variable: &str, usual: u64) -> u64 {
    match std::env::var(variable) {
        Ok(cases) => cases.parse().unwrap_or_else(|_| panic!("{variable} should be a number")),
        Err(_) => usual,
    }
}

/// A seed for each case, told if the case fails. `SEED` sets it, for one case again.
pub fn for_seeds(variable: &str, usual: u64, mut case: impl FnMut(Rng)) {
    let told = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seeds = match told {
        Some(seed) => vec![seed],
        None => (0..cases(variable, usual)).collect::<Vec<u64>>(),
    };
    for seed in seeds {
        // Of a case that ends the program, nothing else is told.
        if std::env::var_os("TELL_SEEDS").is_some() {
            eprintln!("SEED={seed}");
        }
        let told = Told(seed);
        case(Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        drop(told);
    }
}

struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it failed with SEED={}", self.0);
        }
    }
}

/// A time: mostly near some others, in a few neighbouring buckets, and sometimes as far away as can be.
pub fn time(rng: &mut Rng) -> Time {
    Time::from_nanos(match rng.u8(..20) {
        0 => rng.u64(..),
        1 => [0, u64::MAX, 1 << 30, (1 << 30) - 1][rng.usize(..4)],
        2..8 => (7_000 << 30) + rng.u64(..20),
        _ => (7_000 << 30) + rng.u64(..5 << 30),
    })
}

/// Puts an event into a batch that has a bit of everything.
pub fn append(batch: &mut Batch, rng: &mut Rng, most: usize) {
    let payload: Vec<u8> = (0..rng.usize(..=most)).map(|_| rng.u8(..)).collect();
    let mut entry = Entry::at(time(rng), TOPICS[rng.usize(..TOPICS.len())], &payload);
    if rng.u8(..3) == 0 {
        entry = entry.stream(STREAMS[rng.usize(..STREAMS.len())]);
    }
    if rng.u8(..8) == 0 {
        entry = entry.schema(rng.u16(..)).source("somebody");
    }
    batch.append(entry).unwrap();
}

/// All that a scan gives from there on, each as text, and what it returns.
pub fn scanned(store: &dyn EventStore, from: u64, most: usize) -> (Vec<String>, String) {
    let mut all = Vec::new();
    let end = store.scan(from, &mut |record| {
        all.push(format!("{record:?}"));
        if all.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (all, format!("{end:?}"))
}

pub fn queried(
    store: &dyn EventStore,
    query: &Query,
    most: usize,
) -> Result<Vec<String>, StoreError> {
    let mut all = Vec::new();
    store.query(query, &mut |record| {
        all.push(format!("{record:?}"));
        if all.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(all)
}

pub fn streamed(
    store: &dyn EventStore,
    stream: &str,
    from: u64,
    most: usize,
) -> (Vec<String>, String) {
    let mut all = Vec::new();
    let end = store.stream(stream, from, &mut |record| {
        all.push(format!("{record:?}"));
        if all.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (all, format!("{end:?}"))
}

pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

pub fn values(store: &dyn EventStore, space: &str, from: &[u8]) -> Result<Pairs, StoreError> {
    let mut all = Vec::new();
    store.values(space, from, &mut |key, value| {
        all.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(all)
}
