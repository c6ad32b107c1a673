//! Many producers.
//!
//! A claim moves one shared word by compare-and-swap, and only after its producer has seen that
//! every slot of the claim is free: so a claim can be refused, can time out and can find the ring
//! closed without leaving a hole. A producer guesses that the word stands where it left it, and
//! learns where it stands from a failed exchange: reading it first would fetch its line twice. The closed flag is a bit of the same word, which makes closing
//! exact: a claim is either before it or refused.
//!
//! Publication is one plain store for each event, of the event's lap, into the mark of its slot.
//! No two producers write the same mark, and no consumer writes any.

use crossbeam_utils::CachePadded;

use crate::{
    sequence::Capacity,
    sync::{
        atomic::{AtomicU32, AtomicU64, Ordering},
        prefetch,
    },
};

/// Set in the claim word when the ring is closed. Sequences stay below it.
const CLOSED: u64 = 1 << 63;

#[derive(Debug)]
pub(crate) struct MultiSequencer {
    capacity: Capacity,
    marks: Box<[AtomicU32]>,
    /// The next sequence to be claimed, and the closed flag.
    claimed: CachePadded<AtomicU64>,
    /// The end of a contiguous published prefix; used only when every station has left and
    /// nobody else keeps the producers from lapping one another.
    prefix: CachePadded<AtomicU64>,
}

impl MultiSequencer {
    pub(super) fn new(capacity: Capacity, first: u64) -> Self {
        let lap = capacity.lap_len();
        // The mark that a slot carries before its first event is that of the lap before.
        let mark_before = |slot: u64| {
            let first_in_slot = first + (slot.wrapping_sub(first) & (lap - 1));
            AtomicU32::new(capacity.lap(first_in_slot))
        };
        Self {
            capacity,
            marks: (0..lap).map(mark_before).collect(),
            claimed: CachePadded::new(AtomicU64::new(first)),
            prefix: CachePadded::new(AtomicU64::new(first)),
        }
    }

    /// The mark of a published sequence: its lap, counted from 1.
    #[inline]
    fn mark(&self, sequence: u64) -> u32 {
        self.capacity.lap(sequence).wrapping_add(1)
    }

    /// Claims `first..end`, if `first` is still the next sequence.
    ///
    /// # Errors
    /// The sequence that is next, or `None` once the ring is closed.
    #[inline]
    pub(crate) fn try_claim(&self, first: u64, end: u64) -> Result<(), Option<u64>> {
        self.claimed
            // ORDERING(CLAIM): Relaxed in both cases: a claim gives no access to a slot. The gate
            // does, and each producer acquires it itself.
            .compare_exchange(first, end, Ordering::Relaxed, Ordering::Relaxed)
            .map(|_| ())
            .map_err(|claimed| (claimed & CLOSED == 0).then_some(claimed))
    }

    /// Has the marks that come so many lines after a sequence's fetched for writing.
    #[inline(always)]
    pub(crate) fn prefetch_after(&self, sequence: u64, lines: usize) {
        let ahead = prefetch::items_in::<AtomicU32>(lines);
        prefetch::for_writing(&raw const self.marks[self.capacity.slot(sequence + ahead)]);
    }

    /// Makes the events `first..end` visible.
    #[inline(always)]
    pub(crate) fn publish(&self, first: u64, end: u64) {
        let mut at = first;
        while at < end {
            // Where one event is published the compiler knows that it is one.
            let straight = if end - first == 1 { 1 } else { self.capacity.straight(at, end) };
            let (start, lap) = (self.capacity.slot(at), self.mark(at));
            for mark in &self.marks[start..start + straight] {
                // ORDERING(MARK): Release, pairs with the Acquire in `available`: the event's
                // content is visible to whoever sees its mark.
                mark.store(lap, Ordering::Release);
            }
            at += straight as u64;
        }
    }

    /// The end of the published sequences from `from` on, looking no further than `limit`.
    #[inline]
    pub(super) fn available(&self, from: u64, limit: u64) -> u64 {
        let mut end = from;
        while end < limit {
            let expected = self.mark(end);
            let straight = self.capacity.straight(end, limit);
            let start = self.capacity.slot(end);
            let marks = &self.marks[start..start + straight];
            // ORDERING(MARK): Acquire, pairs with the Release in `publish`.
            let seen = |mark: &AtomicU32| mark.load(Ordering::Acquire) == expected;
            let run = marks.iter().take_while(|mark| seen(mark)).count();
            end += run as u64;
            if run < straight {
                break;
            }
        }
        end
    }

    /// The published prefix, kept by the producers themselves when no station is left to gate
    /// them: a slot may be written again only after its last writer is done.
    #[cold]
    pub(crate) fn prefix(&self) -> u64 {
        // ORDERING(PREFIX): Relaxed: a place to start from. What brought the prefix here or further
        // is acquired below, if a producer did it; if a station did, see `keep_prefix`.
        let known = self.prefix.load(Ordering::Relaxed);
        let end = self.available(known, known + self.capacity.lap_len());
        // ORDERING(PREFIX): pairs with itself. Release hands on what this producer has acquired
        // from the marks; Acquire takes over what the others have: what they saw published
        // happened before what this one does to those slots.
        self.prefix.fetch_max(end, Ordering::AcqRel).max(end)
    }

    /// As far as the prefix is known; for a figure.
    pub(super) fn known_prefix(&self) -> u64 {
        // ORDERING(PREFIX): Relaxed: a figure.
        self.prefix.load(Ordering::Relaxed)
    }

    /// A station that was there from the beginning, and saw everything before `sequence` published, is about
    /// to leave.
    pub(super) fn keep_prefix(&self, sequence: u64) {
        // ORDERING(PREFIX): Relaxed: the gate is a minimum, over all that the last stations come
        // to. The prefix decides it only if no station is left, and then the departure of each has
        // been acquired, by CURSOR, and with it what it has seen published; or if those that are
        // left have cursors as high, which have been acquired too, and they have seen the same.
        // To somebody about to sleep the prefix is a hint; the bell's fences order it.
        self.prefix.fetch_max(sequence, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn claimed(&self) -> u64 {
        // ORDERING(CLAIM): Relaxed: a figure, or a guess that an exchange will judge.
        self.claimed.load(Ordering::Relaxed) & !CLOSED
    }

    /// Returns the end of the claims.
    pub(super) fn close(&self) -> u64 {
        // ORDERING(CLAIM): Relaxed: a read-modify-write sees the newest claim.
        self.claimed.fetch_or(CLOSED, Ordering::Relaxed) & !CLOSED
    }

    /// Closes it there, if nothing is claimed from there on; whether that is its end now.
    pub(super) fn close_at(&self, end: u64) -> bool {
        // ORDERING(CLAIM): Relaxed in both cases: as in `close`. A claim is before it, and then this
        // fails, or it is refused.
        let was =
            self.claimed.compare_exchange(end, end | CLOSED, Ordering::Relaxed, Ordering::Relaxed);
        was.map_or_else(|was| was == end | CLOSED, |_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_gapless_prefix_is_available() {
        let multi = MultiSequencer::new(Capacity::new(4).unwrap(), 0);
        multi.publish(1, 3);
        assert_eq!(multi.available(0, 4), 0);
        multi.publish(0, 1);
        assert_eq!(multi.available(0, 4), 3);
        assert_eq!(multi.available(0, 2), 2, "no further than asked");
    }

    #[test]
    fn a_closed_word_refuses_claims_and_keeps_its_end() {
        let multi = MultiSequencer::new(Capacity::new(4).unwrap(), 0);
        assert_eq!(multi.try_claim(0, 3), Ok(()));
        assert_eq!(multi.try_claim(0, 1), Err(Some(3)));
        assert_eq!(multi.close(), 3);
        assert_eq!(multi.try_claim(3, 4), Err(None));
        assert_eq!(multi.claimed(), 3);
    }

    #[test]
    fn it_is_closed_where_its_claims_end_and_nowhere_else() {
        let multi = MultiSequencer::new(Capacity::new(4).unwrap(), 0);
        assert_eq!(multi.try_claim(0, 3), Ok(()));
        assert!(!multi.close_at(2) && !multi.close_at(4));
        assert_eq!(multi.try_claim(3, 4), Ok(()));
        assert!(multi.close_at(4) && multi.close_at(4) && !multi.close_at(5));
        assert_eq!(multi.try_claim(4, 5), Err(None));
        assert_eq!(multi.close(), 4);
    }

    proptest! {
        /// Nothing is available before it is published, from any first sequence, also where the
        /// 32-bit lap wraps.
        #[test]
        fn a_fresh_ring_is_empty_and_fills_in_order(
            bits in 0_u32..5,
            first in prop_oneof![0_u64..100, (u64::from(u32::MAX) - 2) << 2..(1 << 40), (1_u64 << 62)..((1 << 62) + 99)],
            rounds in 1_u64..40,
        ) {
            let capacity = Capacity::new(1 << bits).unwrap();
            let multi = MultiSequencer::new(capacity, first);
            for sequence in first..first + rounds {
                let limit = sequence + capacity.lap_len();
                prop_assert_eq!(multi.available(sequence, limit), sequence);
                multi.publish(sequence, sequence + 1);
                prop_assert_eq!(multi.available(sequence, limit), sequence + 1);
                prop_assert_eq!(multi.prefix(), sequence + 1);
            }
        }
    }
}
