//! What each consumer checks while it runs: count, order and checksum of what it saw.

use std::sync::mpsc::Sender;
use std::time::Instant;

/// Where a value names its producer: the upper byte.
pub const LANE_SHIFT: u32 = 56;

/// The order in which values must arrive.
pub trait Order: Send + 'static {
    /// Whether `value` is right at `position`, the number of events seen before it.
    fn accept(&mut self, position: u64, value: u64) -> bool;

    /// The wrapping sum of all `total` values.
    fn checksum(total: u64) -> u64;
}

/// One producer: the values are 0, 1, 2 and so on.
#[derive(Debug, Default)]
pub struct InOrder;

/// Three producers: each one's values arrive in its own order.
#[derive(Debug, Default)]
pub struct ThreeLanes {
    next: [u64; 3],
}

/// What a consumer saw, sent when its handler is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Events.
    pub seen: u64,
    /// Runs: events with the end-of-batch flag.
    pub runs: u64,
    /// Events out of order or with fields that do not fit.
    pub broken: u64,
    /// Wrapping sum of the values.
    pub sum: u64,
    /// What the sum must be.
    pub checksum: u64,
    /// When the last event was seen, if it was and if it ended a run.
    pub finished: Option<Instant>,
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
    out: Sender<Sight>,
}

impl<O: Order> Witness<O> {
    /// A witness of `total` events that reports to `out`.
    pub fn new(order: O, total: u64, out: Sender<Sight>) -> Self {
        Self { order, total, seen: 0, runs: 0, broken: 0, sum: 0, finished: None, out }
    }

    /// Notes an event of one value.
    #[inline]
    pub fn see(&mut self, value: u64, end_of_run: bool) {
        self.see_all((value, true), end_of_run);
    }

    /// Notes an event: its value, and whether its other fields fit.
    #[inline]
    pub fn see_all(&mut self, (value, intact): (u64, bool), end_of_run: bool) {
        let right = self.order.accept(self.seen, value) & intact;
        self.broken += u64::from(!right);
        self.sum = self.sum.wrapping_add(value);
        self.seen += 1;
        if end_of_run {
            self.runs += 1;
            if self.seen == self.total {
                self.finished = Some(Instant::now());
            }
        }
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
            checksum: O::checksum(self.total),
            finished: self.finished,
        };
        // A failed run may have nobody who listens any more.
        let _ = self.out.send(sight);
    }
}

impl Order for InOrder {
    #[inline]
    fn accept(&mut self, position: u64, value: u64) -> bool {
        value == position
    }

    fn checksum(total: u64) -> u64 {
        sum_below(total)
    }
}

impl Order for ThreeLanes {
    #[inline]
    fn accept(&mut self, _position: u64, value: u64) -> bool {
        let lane = (value >> LANE_SHIFT) as usize;
        let Some(next) = self.next.get_mut(lane) else { return false };
        let right = value & ((1 << LANE_SHIFT) - 1) == *next;
        *next += 1;
        right
    }

    fn checksum(total: u64) -> u64 {
        let share = total / 3;
        (0..3u64).fold(0, |sum, lane| {
            let tags = (lane << LANE_SHIFT).wrapping_mul(share);
            sum.wrapping_add(tags).wrapping_add(sum_below(share))
        })
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
    use std::sync::mpsc;

    fn sight_of<O: Order>(order: O, total: u64, values: &[u64]) -> Sight {
        let (out, sights) = mpsc::channel();
        let mut witness = Witness::new(order, total, out);
        for &value in values {
            witness.see(value, true);
        }
        drop(witness);
        sights.recv().expect("the drop sends")
    }

    #[test]
    fn what_is_right_passes() {
        let sight = sight_of(InOrder, 5, &[0, 1, 2, 3, 4]);
        assert_eq!((sight.seen, sight.broken, sight.runs), (5, 0, 5));
        assert_eq!(sight.sum, sight.checksum);
        assert!(sight.finished.is_some());
    }

    #[test]
    fn a_swap_a_loss_and_a_repetition_are_noticed() {
        assert_eq!(sight_of(InOrder, 3, &[0, 2, 1]).broken, 2);
        assert!(sight_of(InOrder, 3, &[0, 1]).finished.is_none());
        let repeated = sight_of(InOrder, 2, &[0, 1, 1]);
        assert_eq!((repeated.seen, repeated.broken), (3, 1));
        assert_ne!(repeated.sum, repeated.checksum);
    }

    #[test]
    fn lanes_may_interleave_but_not_swap() {
        let lane = |lane: u64, value: u64| (lane << LANE_SHIFT) + value;
        let fine = [lane(2, 0), lane(0, 0), lane(2, 1), lane(1, 0), lane(0, 1), lane(1, 1)];
        let sight = sight_of(ThreeLanes::default(), 6, &fine);
        assert_eq!((sight.broken, sight.sum), (0, sight.checksum));
        let swapped = [lane(0, 1), lane(0, 0), lane(3, 0)];
        assert_eq!(sight_of(ThreeLanes::default(), 3, &swapped).broken, 3);
    }

    #[test]
    fn fields_that_do_not_fit_are_noticed() {
        let (out, sights) = mpsc::channel();
        let mut witness = Witness::new(InOrder, 1, out);
        witness.see_all((0, false), true);
        drop(witness);
        assert_eq!(sights.recv().expect("the drop sends").broken, 1);
    }
}
