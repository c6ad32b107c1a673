//! What a station has passed and not handled: exact at every position, whenever one looks.
//!
//! The totals of a station change just before its cursor passes what they count. Its thread may lose its core
//! between the two, and whoever looks must not wait for it. So there are two *pages*, each with totals and with
//! the position from which on they fit, and they are written in turn:
//!
//! | the station, when it passes something unhandled | whoever looks |
//! |---|---|
//! | write the older page: where the cursor will be, then the totals | look at the cursor (Acquire) |
//! | move the cursor (Release) | take the page that fits: of those that begin no further on, the one that begins last |
//! | | if it begins somewhere else by now, look again |
//!
//! Whoever has seen the cursor finds the page that was written before, or what has overwritten it. While the
//! other page is being written the cursor has not passed that, so this one is taken, which nobody writes.
//! It is overwritten only when the cursor has moved on: every word of a page is a Release, so whoever has read
//! a newer one sees that the page begins somewhere else, and, if that one is the page's beginning, that the
//! other page does. Who has to look again has been overtaken by two pages, not held up by one.

use crate::sync::{
    atomic::{AtomicU64, Ordering},
    thread,
};

/// What a station has passed and not handled, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unhandled {
    /// Events that the handler failed on and the policy skipped.
    pub(crate) skipped: u64,
    /// Abandoned sequences; of a worker, also the events of others.
    pub(crate) passed_over: u64,
    /// Events that it passed to keep up.
    pub(crate) conflated: u64,
}

/// The totals of one station, written by its thread.
#[derive(Debug, Default)]
pub(crate) struct Settled([Page; 2]);

/// Totals, and the position from which on they fit.
#[derive(Debug, Default)]
struct Page {
    begins: Word,
    skipped: Word,
    passed_over: Word,
    conflated: Word,
}

/// One word of a page.
#[derive(Debug, Default)]
struct Word(AtomicU64);

impl Settled {
    /// Adds what will have been passed when the cursor is at `position`, where it is to move next.
    pub(crate) fn add(&self, position: u64, more: Unhandled) {
        let [even, odd] = &self.0;
        let (newer, older) =
            if even.begins.glance() > odd.begins.glance() { (even, odd) } else { (odd, even) };
        debug_assert!(position > newer.begins.glance(), "it has passed something since");
        let Unhandled { skipped, passed_over, conflated } = more;
        let words = [
            // First: a page with a word that is newer begins somewhere else.
            (&older.begins, position),
            (&older.skipped, newer.skipped.glance() + skipped),
            (&older.passed_over, newer.passed_over.glance() + passed_over),
            (&older.conflated, newer.conflated.glance() + conflated),
        ];
        for (word, value) in words {
            word.write_down(value);
        }
    }

    /// A position, which `position` tells and acquires, and what was passed unhandled before it.
    pub(crate) fn at(&self, position: impl Fn() -> u64) -> (u64, Unhandled) {
        loop {
            let position = position();
            if let Some(unhandled) = self.look(position) {
                return (position, unhandled);
            }
            thread::yield_now();
        }
    }

    /// What was passed unhandled before a position that was acquired; `None` if the station is too far ahead of
    /// it by now.
    fn look(&self, position: u64) -> Option<Unhandled> {
        let [even, odd] = &self.0;
        let pages = [odd, even].map(|page| (page.begins.read_off(), page));
        let fitting = pages.into_iter().filter(|(begins, _)| *begins <= position);
        let (begins, page) = fitting.max_by_key(|(begins, _)| *begins)?;
        let words = [&page.skipped, &page.passed_over, &page.conflated];
        // A closure, so that a model finds the place of the call.
        #[allow(clippy::redundant_closure_for_method_calls)]
        let [skipped, passed_over, conflated] = words.map(|word| word.read_off());
        let unhandled = Unhandled { skipped, passed_over, conflated };
        (page.begins.glance() == begins).then_some(unhandled)
    }

    /// How many events were skipped, wherever the station is.
    pub(crate) fn skipped(&self) -> u64 {
        self.0.iter().map(|page| page.skipped.glance()).max().unwrap_or_default()
    }

    /// Forgets who was here before. For a guest whose cursor nobody has seen.
    pub(crate) fn forget(&self) {
        for Page { begins, skipped, passed_over, conflated } in &self.0 {
            for word in [begins, skipped, passed_over, conflated] {
                word.clear();
            }
        }
    }
}

impl Word {
    #[cfg_attr(loom, track_caller)]
    fn write_down(&self, value: u64) {
        // ORDERING(SETTLED): Release, pairs with the Acquire in `read_off`: where the cursor was, and what was
        // written of the pages before.
        self.0.store(value, Ordering::Release);
    }

    #[cfg_attr(loom, track_caller)]
    fn read_off(&self) -> u64 {
        // ORDERING(SETTLED): Acquire, pairs with the Release in `write_down`: whoever sees a page overwritten
        // does not miss that afterwards.
        self.0.load(Ordering::Acquire)
    }

    fn clear(&self) {
        // ORDERING(FIGURE): Relaxed: the Release of the cursor follows, and whoever looks acquires it.
        self.0.store(0, Ordering::Relaxed);
    }

    /// For the owner; or for somebody who has acquired what decides, or wants a figure.
    fn glance(&self) -> u64 {
        // ORDERING(FIGURE): Relaxed: what has to be seen was acquired before, or orders nothing.
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn skipped(skipped: u64) -> Unhandled {
        Unhandled { skipped, ..Unhandled::default() }
    }

    #[test]
    fn what_is_settled_counts_when_the_cursor_has_passed_it() {
        let settled = Settled::default();
        assert_eq!(settled.at(|| 5), (5, skipped(0)));
        // Its thread loses its core before it moves the cursor, each time.
        let mut total = 0;
        for position in 6..20 {
            settled.add(position, skipped(position));
            let before = position - 1;
            assert_eq!(settled.at(|| before), (before, skipped(total)), "not passed yet");
            total += position;
            assert_eq!(settled.at(|| position), (position, skipped(total)));
            assert_eq!(settled.skipped(), total);
        }
        settled.forget();
        assert_eq!(settled.at(|| 0), (0, skipped(0)));
    }

    #[test]
    fn who_is_overtaken_looks_again() {
        let settled = Settled::default();
        settled.add(1, skipped(1));
        let cursor = Cell::new(1);
        let overtaking = || {
            let position = cursor.get();
            // Once: the page that fits is overwritten between the look at the cursor and that at the pages.
            for next in (position + 1..4).take(2) {
                settled.add(next, skipped(1));
                cursor.set(next);
            }
            position
        };
        assert_eq!(settled.at(overtaking), (3, skipped(3)));
    }
}
