//! What happens in a round, drawn from its seed.

use std::time::Duration;

use fastrand::Rng;
use slipring::LagPolicy;
use slipring_events::{Backoff, Retry};

use crate::facts::Scope;

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub capacity: usize,
    pub publishers: Vec<u32>,
    pub handlers: Vec<HandlerPlan>,
    /// Letters are given back and purged by another thread, or not at all.
    pub meddles: bool,
    /// The meddler is gone before the bus is shut down: then nothing may be left over.
    pub meddles_to_the_end: bool,
    /// How many events are published before the shutdown begins; those that are left find a closed bus.
    pub shutdown_after: u64,
    pub shutdown: Duration,
    pub most_depth: u8,
    /// How many of those that stand in the bulkhead may be at it at a time.
    pub places: usize,
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
pub struct HandlerPlan {
    pub driver: Driver,
    pub scope: Scope,
    pub order: Order,
    pub retry: RetryPlan,
    /// Of 16 attempts so many fail.
    pub fails: u8,
    pub letters: usize,
    /// It holds when there is no room for another letter.
    pub holds: bool,
    pub inbox: Option<InboxPlan>,
    pub limits: Option<Limits>,
    /// Some attempts of such a one never end.
    pub has_timeout: bool,
    pub is_saga: bool,
    pub replies: bool,
    pub follow_ups: Option<usize>,
    pub most_aside: Option<usize>,
    pub lag_limit: Option<(u64, LagPolicy)>,
    /// Comes when so many events were published.
    pub comes_at: u64,
    /// Whether it begins with the oldest event on the ring.
    pub is_curious: bool,
    pub leaves: Option<Leaving>,
}

#[derive(Clone, Copy, Debug)]
pub struct InboxPlan {
    pub remembers: usize,
    /// Of 16 questions so many have no answer, and of 16 records so many are not made.
    pub fails: u8,
}

/// What keeps a handler from being called.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many failures in a row, and how long it is open then.
    pub breaker: Option<(u32, Duration)>,
    pub has_bulkhead: bool,
    pub throttle: Option<Rate>,
}

#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub count: u32,
    pub period: Duration,
    pub burst: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct Leaving {
    pub at: u64,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Drained,
    AtOnce,
    /// Its hand or its future is dropped.
    Dropped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Inline,
    Thread,
    ByHand,
    Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Overtake,
    Strict,
    ByKey,
}

#[derive(Clone, Copy, Debug)]
pub struct RetryPlan {
    pub at_once: u32,
    pub later: u32,
    pub wait: Duration,
}

impl RetryPlan {
    pub fn retry(self) -> Retry {
        let retry = Retry::immediately(self.at_once);
        if self.later == 0 { retry } else { retry.then(Backoff::fixed(self.wait), self.later) }
    }
}

fn one_in(rng: &mut Rng, of: u32) -> bool {
    rng.u32(..of) == 0
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let publishers: Vec<u32> = (0..rng.usize(1..=4)).map(|_| rng.u32(1..150)).collect();
        let total: u64 = publishers.iter().map(|count| u64::from(*count)).sum();
        let is_cut_short = one_in(rng, 3);
        let capacity = pick(rng, &[1, 1, 2, 4, 8, 16, 64]);
        let handlers: Vec<HandlerPlan> =
            (0..rng.usize(1..=5)).map(|_| handler(rng, total, capacity)).collect();
        // Nobody else makes room for one that holds.
        let holds = handlers.iter().any(|handler| handler.holds);
        let meddles = !one_in(rng, 3) || holds;
        Self {
            seed,
            capacity,
            handlers,
            meddles,
            meddles_to_the_end: meddles && (rng.bool() || holds),
            shutdown_after: if is_cut_short { rng.u64(0..total) } else { total },
            shutdown: if one_in(rng, 3) {
                Duration::from_micros(rng.u64(0..2_000))
            } else {
                Self::AMPLE
            },
            publishers,
            most_depth: rng.u8(0..=2),
            places: rng.usize(1..=2),
        }
    }

    pub const AMPLE: Duration = Duration::from_secs(40);

    /// Whether the bus is shut down while events are published.
    pub fn is_cut_short(&self) -> bool {
        self.shutdown_after < self.publishers.iter().map(|count| u64::from(*count)).sum()
    }
}

fn handler(rng: &mut Rng, total: u64, capacity: usize) -> HandlerPlan {
    let driver = pick(rng, &[Driver::Inline, Driver::Thread, Driver::ByHand, Driver::Task]);
    // Nobody would look at the clock for one that runs in the publishers' threads.
    let keeps_time = driver != Driver::Inline;
    let is_late = one_in(rng, 3);
    let comes_at = if is_late { rng.u64(0..=total) } else { 0 };
    let leaving = one_in(rng, 3).then(|| Leaving {
        at: rng.u64(comes_at..=total),
        how: pick(rng, &[How::Drained, How::AtOnce, How::Dropped]),
    });
    let can_be_dropped = matches!(driver, Driver::ByHand | Driver::Task);
    let is_saga = one_in(rng, 6);
    let policies = [LagPolicy::SkipAhead, LagPolicy::Detach, LagPolicy::Alert];
    HandlerPlan {
        driver,
        scope: pick(rng, &[Scope::All, Scope::All, Scope::Notes, Scope::Apart]),
        order: pick(rng, &[Order::Overtake, Order::Strict, Order::ByKey, Order::ByKey]),
        retry: RetryPlan {
            at_once: pick(rng, &[0, 0, 1, 2]),
            later: if keeps_time { pick(rng, &[0, 1, 3]) } else { 0 },
            wait: Duration::from_nanos(pick(rng, &[1, 1_000, 50_000, 400_000])),
        },
        fails: pick(rng, &[0, 1, 4, 8, 14]),
        letters: pick(rng, &[1, 3, 10_000, 10_000]),
        holds: one_in(rng, 6),
        // A saga has taken its step when it is recorded, so that must not fail.
        inbox: one_in(rng, 3).then(|| InboxPlan {
            remembers: pick(rng, &[0, 2, 10_000, 10_000]),
            fails: if is_saga { 0 } else { pick(rng, &[0, 1, 4]) },
        }),
        limits: (keeps_time && one_in(rng, 3)).then(|| limits(rng)),
        has_timeout: driver == Driver::Task && one_in(rng, 4),
        is_saga,
        replies: one_in(rng, 3),
        follow_ups: one_in(rng, 4).then(|| rng.usize(0..3)),
        most_aside: one_in(rng, 3).then(|| rng.usize(1..4)),
        // One that the ring has no room for is refused.
        lag_limit: one_in(rng, 4)
            .then(|| (rng.u64(1..8), pick(rng, &policies)))
            .filter(|(limit, _)| *limit < capacity as u64),
        comes_at,
        is_curious: rng.bool(),
        leaves: leaving.filter(|leaving| leaving.how != How::Dropped || can_be_dropped),
    }
}

fn limits(rng: &mut Rng) -> Limits {
    let time = |rng: &mut Rng| Duration::from_nanos(pick(rng, &[1, 1_000, 50_000, 400_000]));
    Limits {
        breaker: rng.bool().then(|| (rng.u32(1..4), time(rng))),
        has_bulkhead: rng.bool(),
        throttle: rng.bool().then(|| Rate {
            count: rng.u32(1..8),
            period: time(rng),
            burst: rng.u32(1..4),
        }),
    }
}
