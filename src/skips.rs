//! Abandoned sequences: claimed by one of many producers whose write closure then panicked.
//!
//! Their slots are published like all others, so that nobody waits for them, and every station
//! passes over them. The list is consulted only when the count has moved, and the count lies on a
//! line that is written for each panic and never else.

use std::{collections::BTreeSet, ops::Range};

use crossbeam_utils::CachePadded;

use crate::sync::{
    atomic::{AtomicU64, Ordering},
    lock::flow::Mutex,
};

#[derive(Debug, Default)]
pub(crate) struct Skips {
    count: CachePadded<AtomicU64>,
    listed: Mutex<Listed>,
}

#[derive(Debug, Default)]
struct Listed {
    sequences: BTreeSet<u64>,
    /// For each seat of a guest, where the last one there began.
    guests: Vec<Beginning>,
}

/// Where a guest began, and how many sequences before that were ever abandoned: also later, if they were being
/// written then.
#[derive(Clone, Copy, Debug, Default)]
struct Beginning {
    first: u64,
    abandoned_before: u64,
}

impl Skips {
    /// Adds `first..end`, before they are published, and forgets what is below `gate`: every
    /// station has passed it.
    pub(crate) fn add(&self, first: u64, end: u64, gate: u64) {
        let mut listed = self.listed.lock();
        listed.sequences = listed.sequences.split_off(&gate);
        listed.sequences.extend(first..end);
        for guest in &mut listed.guests {
            guest.abandoned_before += end.min(guest.first).saturating_sub(first);
        }
        // ORDERING(SKIP): Relaxed: the Release that publishes the sequences follows, and whoever
        // looks has acquired it.
        self.count.fetch_add(end - first, Ordering::Relaxed);
    }

    /// How many sequences have ever been abandoned.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        // ORDERING(SKIP): Relaxed: see `add`.
        self.count.load(Ordering::Relaxed)
    }

    /// The first sequence in `from..to`, all of which this thread has seen published and no station
    /// has passed, that was not abandoned; `to` if there is none.
    pub(crate) fn first_kept(&self, from: u64, to: u64) -> u64 {
        if self.count() == 0 {
            return from;
        }
        let listed = self.listed.lock();
        (from..to).find(|sequence| !listed.sequences.contains(sequence)).unwrap_or(to)
    }

    /// How many sequences of a range are still listed.
    pub(crate) fn listed_in(&self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        self.listed.lock().sequences.range(range).count() as u64
    }

    /// How many sequences before `sequence` were ever abandoned, all of which this thread has seen
    /// published. Whoever asks has not passed it.
    pub(crate) fn count_before(&self, sequence: u64) -> u64 {
        // Whoever has seen a sequence published that was abandoned sees that it was counted: see `add`.
        if self.count() == 0 {
            return 0;
        }
        let listed = self.listed.lock();
        // From there on everything is still listed.
        self.count() - listed.sequences.range(sequence..).count() as u64
    }

    /// A guest takes a seat, and begins at `first`, which it holds already.
    pub(crate) fn begin(&self, seat: usize, first: u64) {
        let mut listed = self.listed.lock();
        let ahead = listed.sequences.range(first..).count() as u64;
        if listed.guests.len() <= seat {
            listed.guests.resize(seat + 1, Beginning::default());
        }
        listed.guests[seat] = Beginning { first, abandoned_before: self.count() - ahead };
    }

    /// How many sequences before the first one of the guest at a seat were ever abandoned. Whoever has seen all
    /// of those published finds the last word.
    pub(crate) fn before_guest(&self, seat: usize) -> u64 {
        // For that one as in `count_before`; others find what was true a moment ago.
        if self.count() == 0 {
            return 0;
        }
        self.listed.lock().guests.get(seat).map_or(0, |guest| guest.abandoned_before)
    }

    /// The abandoned sequences from `from` on that are still listed.
    fn since(&self, from: u64) -> BTreeSet<u64> {
        self.listed.lock().sequences.range(from..).copied().collect()
    }
}

/// A station's view of the abandoned sequences.
#[derive(Debug, Default)]
pub(crate) struct SkipView {
    seen: u64,
    ahead: BTreeSet<u64>,
}

impl SkipView {
    /// The first abandoned sequence in `from..to`, all of which this thread has seen published.
    /// `cursor` is where the station stands: from there on it may ask again.
    #[inline]
    pub(crate) fn first_in(
        &mut self,
        skips: &Skips,
        cursor: u64,
        from: u64,
        to: u64,
    ) -> Option<u64> {
        let count = skips.count();
        if count == self.seen && self.ahead.is_empty() {
            return None;
        }
        if count != self.seen {
            self.ahead = skips.since(cursor);
            self.seen = count;
        }
        self.look(cursor, from, to)
    }

    /// The end of `from..to` without the abandoned sequences that it ends with. To be asked after
    /// [`SkipView::first_in`] has looked.
    pub(crate) fn last_kept(&self, from: u64, to: u64) -> u64 {
        let mut end = to;
        while end > from && self.ahead.contains(&(end - 1)) {
            end -= 1;
        }
        end
    }

    #[cold]
    fn look(&mut self, cursor: u64, from: u64, to: u64) -> Option<u64> {
        while self.ahead.first().is_some_and(|first| *first < cursor) {
            self.ahead.pop_first();
        }
        self.ahead.range(from..to.max(from)).next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::thread;

    #[test]
    fn a_view_finds_each_abandoned_sequence_once_it_is_there() {
        let (skips, mut view) = (Skips::default(), SkipView::default());
        assert_eq!(view.first_in(&skips, 0, 0, 10), None);
        skips.add(3, 5, 0);
        assert_eq!(view.first_in(&skips, 0, 0, 3), None);
        assert_eq!(view.first_in(&skips, 0, 0, 10), Some(3));
        assert_eq!(view.first_in(&skips, 0, 4, 10), Some(4));
        assert_eq!(view.first_in(&skips, 0, 0, 10), Some(3), "asked again from the cursor on");
        assert_eq!((view.last_kept(0, 5), view.last_kept(0, 6)), (3, 6));
        assert_eq!(view.last_kept(3, 5), 3);
        assert_eq!(view.first_in(&skips, 4, 4, 10), Some(4));
        assert_eq!(view.first_in(&skips, 5, 5, 10), None);
        skips.add(12, 13, 5);
        assert_eq!(view.first_in(&skips, 5, 5, 12), None);
        assert_eq!(view.first_in(&skips, 5, 5, 20), Some(12));
        assert_eq!(skips.count(), 3);
    }

    #[test]
    fn what_is_before_a_guest_is_counted_whenever_it_was_abandoned() {
        let skips = Skips::default();
        skips.add(2, 4, 0);
        skips.add(7, 8, 0);
        skips.begin(1, 6);
        assert_eq!((skips.before_guest(1), skips.before_guest(0)), (2, 0));
        // Claimed before it came, and given up after that; one such claim goes beyond.
        skips.add(4, 7, 0);
        skips.add(9, 12, 8);
        assert_eq!((skips.before_guest(1), skips.count()), (4, 9));
        skips.begin(1, 9);
        assert_eq!(skips.before_guest(1), 6, "it is somebody else now");
    }

    #[test]
    fn where_nothing_was_abandoned_nobody_is_waited_for() {
        let skips = std::sync::Arc::new(Skips::default());
        let _held = skips.listed.lock();
        let (found, finding) = std::sync::mpsc::channel();
        let looking = std::sync::Arc::clone(&skips);
        let look = move || {
            let counts = (looking.count_before(9), looking.before_guest(3));
            found.send(counts).expect("somebody waits for it");
        };
        thread::spawn("looking", look).expect("a thread");
        let a_minute = std::time::Duration::from_mins(1);
        assert_eq!(finding.recv_timeout(a_minute), Ok((0, 0)));
    }

    #[test]
    fn what_everybody_has_passed_is_forgotten() {
        let skips = Skips::default();
        for sequence in 0..1_000 {
            skips.add(sequence, sequence + 1, sequence.saturating_sub(8));
        }
        assert!(skips.listed.lock().sequences.len() <= 9);
    }
}
