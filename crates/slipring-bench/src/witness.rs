//! What each consumer checks while it runs: count, order and checksum of what it saw.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::Sender,
    },
    time::Instant,
};

use hdrhistogram::Histogram;

use crate::{
    keys::{Keys, SeenKeys},
    load::{Load, Timetable},
    outcome::Fault,
};

/// Where a value names its producer: the upper byte.
pub const LANE_SHIFT: u32 = 56;

/// Where [`Lanes`] end.
const MOST_LANES: usize = 64;

/// The order in which values must arrive.
pub trait Order: Send + 'static {
    /// For a consumer of a run.
    fn new(timetable: &Timetable, load: &Load) -> Self;

    /// Whether `value` is right at `position`, the number of events seen before it.
    fn accept(&mut self, position: u64, value: u64) -> bool;

    /// Whether nothing is missing at the end of a run, after `seen` of `total` events.
    #[inline]
    fn is_over(&mut self, seen: u64, total: u64) -> bool {
        seen == total
    }

    /// The wrapping sum of all values.
    fn checksum(load: &Load, producers: u64) -> u64;

    /// The keys of the events that it was shown, if it looks at them.
    #[inline]
    fn keys(&self) -> SeenKeys {
        SeenKeys::default()
    }

    /// What was measured on the way.
    fn latency(&mut self) -> Option<Histogram<u64>> {
        None
    }
}

/// One producer: the values are 0, 1, 2 and so on.
#[derive(Debug)]
pub struct InOrder;

/// The same, with the time from the intended send to the sight of each event.
#[derive(Debug)]
pub struct Timed {
    timetable: Timetable,
    latency: Option<Histogram<u64>>,
}

/// Several producers: each one's values arrive in its own order.
#[derive(Debug)]
pub struct Lanes {
    next: [u64; MOST_LANES],
}

/// One producer, and workers that share its values: those of one worker ascend.
#[derive(Debug)]
pub struct Ascending {
    /// The least that may come next.
    least: u64,
    total: u64,
    over: Arc<Over>,
}

/// The same, where an event's key says whose it is: the values of one worker ascend, and with them those
/// of each key, and no other worker sees any of that key.
#[derive(Debug)]
pub struct ByKey {
    ascending: Ascending,
    keys: Keys,
    seen: SeenKeys,
}

/// Whether some worker has seen the last value. On cache lines of its own: the workers look at it all
/// the time, and nobody writes to it until then.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Over(AtomicBool);

impl Ascending {
    /// For each of the workers of a run.
    pub fn team(workers: usize, load: &Load) -> impl Iterator<Item = Self> + use<> {
        let over = Arc::<Over>::default();
        let total = load.events;
        (0..workers).map(move |_| Self { least: 0, total, over: Arc::clone(&over) })
    }
}

impl ByKey {
    /// For each of the workers of a run.
    pub fn team(workers: usize, load: &Load, keys: Keys) -> impl Iterator<Item = Self> + use<> {
        let team = Ascending::team(workers, load);
        team.map(move |ascending| Self { ascending, keys, seen: SeenKeys::default() })
    }
}

/// What a consumer saw, sent when its handler is dropped.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// Events.
    pub seen: u64,
    /// Runs: events with the end-of-batch flag.
    pub runs: u64,
    /// Events out of order or with fields that do not fit.
    pub broken: u64,
    /// Wrapping sum of the values.
    pub sum: u64,
    /// The keys of the events, where they have keys.
    pub keys: SeenKeys,
    /// From the intended send to the sight of each event, in ns, if it was measured.
    pub latency: Option<Histogram<u64>>,
    /// When the last event was seen, if it was and if it ended a run. Of one of several workers: when it
    /// ended its last run, if the last event had been seen by then.
    pub finished: Option<Instant>,
}

impl Sight {
    /// Whether it is all that was published, `events` that add up to `checksum`, in order.
    ///
    /// # Errors
    ///
    /// The first [`Fault`] found.
    pub fn check(&self, events: u64, checksum: u64) -> Result<(), Fault> {
        if self.broken > 0 {
            return Err(Fault::Order { broken: self.broken });
        }
        if self.seen != events {
            return Err(Fault::Count { seen: self.seen, published: events });
        }
        if self.sum != checksum {
            return Err(Fault::Checksum);
        }
        if self.keys.split() > 0 {
            return Err(Fault::Split { keys: self.keys.split() });
        }
        Ok(())
    }

    /// What two workers saw together; without latencies, since those who share have none.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            runs: self.runs + other.runs,
            broken: self.broken + other.broken,
            sum: self.sum.wrapping_add(other.sum),
            keys: self.keys.and(other.keys),
            latency: None,
            finished: self.finished.max(other.finished),
        }
    }
}

/// What latencies are gathered in: up to a minute, to a thousandth.
///
/// # Panics
///
/// Never: the bounds are fixed.
#[must_use]
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("fixed bounds")
}

/// The checking part of a consumer. Move it into the handler: its drop sends the [`Sight`], so
/// that events after the last one are noticed too.
///
/// On cache lines of its own: handlers of neighbouring stations may live side by side on the heap.
#[derive(Debug)]
#[repr(align(128))]
pub struct Witness<O: Order> {
    order: O,
    total: u64,
    seen: u64,
    runs: u64,
    broken: u64,
    sum: u64,
    finished: Option<Instant>,
    number: usize,
    out: Sender<(usize, Sight)>,
}

impl<O: Order> Witness<O> {
    /// Witness `number`, of `total` events, that reports to `out`.
    pub fn new(order: O, total: u64, number: usize, out: Sender<(usize, Sight)>) -> Self {
        Self { order, total, seen: 0, runs: 0, broken: 0, sum: 0, finished: None, number, out }
    }

    /// Notes an event of one value.
    #[inline]
    pub fn see(&mut self, value: u64, end_of_run: bool) {
        self.see_all((value, true), end_of_run);
    }

    /// Notes an event: its value, and whether the rest of it fits.
    #[inline]
    pub fn see_all(&mut self, (value, intact): (u64, bool), end_of_run: bool) {
        let right = self.order.accept(self.seen, value) & intact;
        self.broken += u64::from(!right);
        self.sum = self.sum.wrapping_add(value);
        self.seen += 1;
        if end_of_run {
            self.end_run();
        }
    }

    /// Notes neighbouring events, for those whose consumers get slices.
    #[inline]
    pub fn see_run(&mut self, events: impl Iterator<Item = (u64, bool)>, end_of_run: bool) {
        // In locals, so that the loop can be vectorised.
        let (mut seen, mut broken, mut sum) = (self.seen, 0, self.sum);
        for (value, intact) in events {
            let right = self.order.accept(seen, value) & intact;
            broken += u64::from(!right);
            sum = sum.wrapping_add(value);
            seen += 1;
        }
        self.broken += broken;
        self.sum = sum;
        self.seen = seen;
        if end_of_run {
            self.end_run();
        }
    }

    #[inline]
    fn end_run(&mut self) {
        self.runs += 1;
        if self.order.is_over(self.seen, self.total) {
            self.finished = Some(Instant::now());
        }
    }

    /// Whether all events were seen: for consumers that poll.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.seen >= self.total
    }
}

impl<O: Order> Drop for Witness<O> {
    // Inlined, so that the counters need no address and can live in registers.
    #[inline]
    fn drop(&mut self) {
        let sight = Sight {
            seen: self.seen,
            runs: self.runs,
            broken: self.broken,
            sum: self.sum,
            keys: self.order.keys(),
            latency: self.order.latency(),
            finished: self.finished,
        };
        // A failed run may have nobody who listens any more.
        let _ = self.out.send((self.number, sight));
    }
}

impl Order for InOrder {
    fn new(_timetable: &Timetable, _load: &Load) -> Self {
        Self
    }

    #[inline]
    fn accept(&mut self, position: u64, value: u64) -> bool {
        value == position
    }

    fn checksum(load: &Load, _producers: u64) -> u64 {
        sum_below(load.events)
    }
}

impl Order for Timed {
    fn new(timetable: &Timetable, _load: &Load) -> Self {
        Self { timetable: timetable.clone(), latency: Some(latencies()) }
    }

    #[inline]
    fn accept(&mut self, position: u64, value: u64) -> bool {
        let late = Instant::now().saturating_duration_since(self.timetable.due(value));
        if let Some(latency) = &mut self.latency {
            latency.saturating_record(late.as_nanos() as u64);
        }
        value == position
    }

    fn checksum(load: &Load, _producers: u64) -> u64 {
        sum_below(load.events)
    }

    fn latency(&mut self) -> Option<Histogram<u64>> {
        self.latency.take()
    }
}

impl Order for Lanes {
    fn new(_timetable: &Timetable, _load: &Load) -> Self {
        Self { next: [0; MOST_LANES] }
    }

    #[inline]
    fn accept(&mut self, _position: u64, value: u64) -> bool {
        let lane = (value >> LANE_SHIFT) as usize;
        let Some(next) = self.next.get_mut(lane) else { return false };
        let right = value & ((1 << LANE_SHIFT) - 1) == *next;
        *next += 1;
        right
    }

    fn checksum(load: &Load, producers: u64) -> u64 {
        let share = load.events / producers;
        (0..producers).fold(0, |sum, lane| {
            let tags = (lane << LANE_SHIFT).wrapping_mul(share);
            sum.wrapping_add(tags).wrapping_add(sum_below(share))
        })
    }
}

impl Order for Ascending {
    /// For a worker that has everything to itself.
    fn new(_timetable: &Timetable, load: &Load) -> Self {
        Self { least: 0, total: load.events, over: Arc::default() }
    }

    #[inline]
    fn accept(&mut self, _position: u64, value: u64) -> bool {
        let right = value >= self.least;
        self.least = value.wrapping_add(1);
        right
    }

    /// Who is still at work when another worker has the last value notes the time at each end of a run,
    /// so that the latest of all times is the end. Who is not was done before.
    #[inline]
    fn is_over(&mut self, _seen: u64, _total: u64) -> bool {
        // ORDERING: Relaxed, both: nothing but the flag is shared, and who misses it has ended its run at
        // about that time.
        if self.least == self.total {
            self.over.0.store(true, Relaxed);
        }
        self.over.0.load(Relaxed)
    }

    fn checksum(load: &Load, _producers: u64) -> u64 {
        sum_below(load.events)
    }
}

impl Order for ByKey {
    /// For a worker that has everything to itself, with keys that are equally frequent.
    fn new(timetable: &Timetable, load: &Load) -> Self {
        let ascending = Ascending::new(timetable, load);
        Self { ascending, keys: Keys::EVEN, seen: SeenKeys::default() }
    }

    #[inline]
    fn accept(&mut self, position: u64, value: u64) -> bool {
        self.seen.note(self.keys.of(value));
        self.ascending.accept(position, value)
    }

    #[inline]
    fn is_over(&mut self, seen: u64, total: u64) -> bool {
        self.ascending.is_over(seen, total)
    }

    fn checksum(load: &Load, producers: u64) -> u64 {
        Ascending::checksum(load, producers)
    }

    fn keys(&self) -> SeenKeys {
        self.seen
    }
}

/// 0 + 1 + ... + (n - 1), wrapping.
fn sum_below(n: u64) -> u64 {
    let (even, odd) = if n.is_multiple_of(2) { (n, n.wrapping_sub(1)) } else { (n - 1, n) };
    (even / 2).wrapping_mul(odd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cell, Scenario, Wait};
    use std::sync::mpsc;

    fn load(scenario: Scenario, total: u64) -> Load {
        Load::full(&Cell::new(scenario, Wait::Yield, 1, 64, 8), total)
    }

    fn sight_of<O: Order>(load: &Load, values: &[u64]) -> Sight {
        let (out, sights) = mpsc::channel();
        let mut witness = Witness::new(O::new(&Timetable::new(load), load), load.events, 0, out);
        for &value in values {
            witness.see(value, true);
        }
        drop(witness);
        sights.recv().expect("the drop sends").1
    }

    #[test]
    fn what_is_right_passes() {
        let load = load(Scenario::Unicast, 5);
        let sight = sight_of::<InOrder>(&load, &[0, 1, 2, 3, 4]);
        assert_eq!((sight.seen, sight.broken, sight.runs), (5, 0, 5));
        assert_eq!(sight.sum, InOrder::checksum(&load, 1));
        assert!(sight.finished.is_some());
    }

    #[test]
    fn a_swap_a_loss_and_a_repetition_are_noticed() {
        let load = |total| load(Scenario::Unicast, total);
        assert_eq!(sight_of::<InOrder>(&load(3), &[0, 2, 1]).broken, 2);
        assert!(sight_of::<InOrder>(&load(3), &[0, 1]).finished.is_none());
        let repeated = sight_of::<InOrder>(&load(2), &[0, 1, 1]);
        assert_eq!((repeated.seen, repeated.broken), (3, 1));
        assert_ne!(repeated.sum, InOrder::checksum(&load(2), 1));
    }

    #[test]
    fn lanes_may_interleave_but_not_swap() {
        let lane = |lane: u64, value: u64| (lane << LANE_SHIFT) + value;
        let fine = [lane(2, 0), lane(0, 0), lane(2, 1), lane(1, 0), lane(0, 1), lane(1, 1)];
        let load = load(Scenario::Mpsc(3), 6);
        let sight = sight_of::<Lanes>(&load, &fine);
        assert_eq!((sight.broken, sight.sum), (0, Lanes::checksum(&load, 3)));
        let swapped = [lane(0, 1), lane(0, 0), lane(99, 0)];
        assert_eq!(sight_of::<Lanes>(&load, &swapped).broken, 3);
    }

    #[test]
    fn slices_are_judged_like_events() {
        let load = load(Scenario::Unicast, 4);
        let (out, sights) = mpsc::channel();
        let mut witness = Witness::new(InOrder, load.events, 0, out);
        witness.see_run([(0, true), (1, true)].into_iter(), true);
        witness.see_run([(2, false), (9, true)].into_iter(), true);
        assert!(witness.is_done());
        drop(witness);
        let sight = sights.recv().expect("the drop sends").1;
        assert_eq!((sight.seen, sight.runs, sight.broken, sight.sum), (4, 2, 2, 12));
    }

    #[test]
    fn latency_is_measured_from_the_intended_time() {
        // A batch: each of its events has a time of its own.
        let cell = Cell::new(Scenario::Unicast, Wait::Yield, 10, 64, 8);
        let load = Load::paced(&cell, 10, 1_000);
        let timetable = Timetable::new(&load);
        timetable.await_turn(9, true);
        let mut order = Timed::new(&timetable, &load);
        assert!((0..10).all(|value| order.accept(value, value)));
        // This one is due in a minute: seen early, it is not late.
        assert!(order.accept(60_000, 60_000));
        let latency = order.latency().expect("it was measured");
        assert_eq!((latency.len(), latency.min()), (11, 0));
        assert!(latency.max() >= 8_990_000, "the first one waited for the last");
    }
}
