//! A team: the workers that share one station, each event handled by one of them.
//!
//! The station has one cursor, as every other: the first event that may still be in a worker's hands.
//! Whoever follows the station sees nothing but that.
//!
//! * **Claim**, where whoever has time takes what comes next. A worker that finds events available says
//!   what it is about to take (its *hand*), then moves the claims over it with an exchange. If another
//!   worker was faster it says something else. So an event that is claimed is in somebody's hand, and
//!   nobody who sees the claim misses the hand.
//! * **Route**, where an event's key says whose it is. Whoever finds events that nobody has looked at
//!   asks them for their keys, and writes down whose they are, before any of them is handled. Each
//!   worker then goes over that list at its own pace; what its hand holds begins where it is.
//! * **Pass.** Whoever has put down what it had looks at the claims and then at all hands: the
//!   smallest is how far the station has come. Of two that do so at once, at least one sees that both
//!   have put theirs down, because each looks behind a full fence. A hand that said what another
//!   worker was faster to claim was in the way of whoever looked meanwhile: its worker looks, too,
//!   as soon as it says something else, also if that is its next claim.

use std::ops::Range;

use crossbeam_utils::CachePadded;

use crate::{
    cursor::Cursor,
    figures::Figures,
    sequence::Capacity,
    skips::SkipView,
    sync::{
        atomic::{AtomicU64, Ordering},
        fence,
        lock::flow::Mutex,
    },
};

/// What an empty hand holds: no sequence is so large.
const NOTHING: u64 = u64::MAX;

/// Slots whose owners are written down in one word.
const PAGE: usize = u64::BITS as usize;

/// What the workers of a station share.
#[derive(Debug)]
pub(crate) struct Team {
    pub(crate) dealing: Dealing,
    pub(crate) hands: Box<[Hand]>,
}

/// Which worker handles which event.
#[derive(Debug)]
pub(crate) enum Dealing {
    /// The one that claims it.
    Claims(Claims),
    /// The one that its key says.
    Routes(Box<Routes>),
}

/// How far the events are claimed.
#[derive(Debug)]
pub(crate) struct Claims(CachePadded<AtomicU64>);

/// Whose the events are.
#[derive(Debug)]
pub(crate) struct Routes {
    /// How far that is known.
    end: Cursor,
    /// For each worker, which slots have an event of its own: a bit each, so that it goes over those of
    /// others at no cost.
    own: Box<[Box<[AtomicU64]>]>,
    capacity: Capacity,
    /// Held by whoever finds out more.
    pub(crate) router: Mutex<Router>,
}

/// What it takes to find out whose the events are.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) skips: SkipView,
    /// For each worker, which events of the page in hand are its own.
    dealt: Box<[u64]>,
}

/// How a station's work is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workers {
    pub(crate) number: usize,
    pub(crate) by_key: bool,
}

/// What one worker has: from here to the end of its claim. Written by that worker only.
#[derive(Debug)]
pub(crate) struct Hand {
    from: Cursor,
    pub(crate) figures: CachePadded<Figures>,
}

impl Team {
    pub(crate) fn new(workers: Workers, capacity: Capacity, first: u64) -> Self {
        let (dealing, from) = if workers.by_key {
            (Dealing::Routes(Box::new(Routes::new(workers.number, capacity, first))), first)
        } else {
            (Dealing::Claims(Claims(CachePadded::new(AtomicU64::new(first)))), NOTHING)
        };
        let hand = |_| Hand { from: Cursor::new(from), figures: CachePadded::default() };
        Self { dealing, hands: (0..workers.number).map(hand).collect() }
    }

    /// Whether a worker that stands at `from`, and waits for what comes there, waits for nothing: it
    /// will find what it looks for elsewhere, or there already.
    pub(crate) fn has_dealt(&self, from: u64) -> bool {
        match &self.dealing {
            Dealing::Claims(claims) => claims.end() != from,
            Dealing::Routes(routes) => routes.end() > from,
        }
    }

    /// How far the station has come: everything before is claimed and in nobody's hand. For a worker
    /// that has moved its own hand just before.
    pub(crate) fn reached(&self) -> u64 {
        // Of two workers that have moved theirs, at least one sees both moves.
        fence::full();
        // Before the hands: one that is empty then has put down whatever is claimed so far.
        let claimed = self.claimed();
        self.hands.iter().map(|hand| hand.from.passed()).min().unwrap_or(NOTHING).min(claimed)
    }

    fn claimed(&self) -> u64 {
        match &self.dealing {
            // ORDERING(DEAL): Acquire, pairs with the Release in `try_claim`.
            Dealing::Claims(claims) => claims.0.load(Ordering::Acquire),
            // A worker's hand does not go beyond what it has looked at.
            Dealing::Routes(_) => NOTHING,
        }
    }

    /// A worker has done everything that it had, which ended at `sequence`.
    pub(crate) fn put_down(&self, hand: &Hand, sequence: u64) {
        match &self.dealing {
            Dealing::Claims(_) => hand.put_down(sequence),
            // What comes next is its own to look for.
            Dealing::Routes(_) => hand.stand_at(sequence),
        }
    }
}

impl Claims {
    /// The end of what is claimed, as far as this worker knows: the exchange will judge.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        // ORDERING(DEAL): Relaxed: a guess. What may be touched is found by looking at those that the
        // station follows, once the exchange has made sure that nobody else has it.
        self.0.load(Ordering::Relaxed)
    }

    /// Puts `from..to` into a hand if nobody has claimed any of it.
    #[inline]
    pub(crate) fn try_claim(&self, hand: &Hand, from: u64, to: u64) -> bool {
        hand.take(from);
        // ORDERING(DEAL): Release, pairs with the Acquire in `claimed`: whoever sees the claim sees the
        // hand that it went into. Relaxed if it fails: then another guess is made.
        self.0.compare_exchange(from, to, Ordering::Release, Ordering::Relaxed).is_ok()
    }
}

impl Routes {
    fn new(workers: usize, capacity: Capacity, first: u64) -> Self {
        let pages = || (0..capacity.slots().div_ceil(PAGE)).map(|_| AtomicU64::new(0)).collect();
        let router = Router { skips: SkipView::default(), dealt: vec![0; workers].into() };
        Self {
            end: Cursor::new(first),
            own: (0..workers).map(|_| pages()).collect(),
            capacity,
            router: Mutex::new(router),
        }
    }

    /// The end of the events of which it is known whose they are.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.end.passed()
    }

    /// It is known of everything before `end`. For whoever holds the router.
    pub(crate) fn move_end(&self, end: u64) {
        self.end.hand_on(end);
    }

    /// How many of the events `from..to` are on one page.
    #[inline]
    pub(crate) fn on_page(&self, from: u64, to: u64) -> usize {
        self.capacity.straight(from, to).min(PAGE - self.capacity.slot(from) % PAGE)
    }

    /// Writes down whose the next `count` events are, which are on one page.
    pub(crate) fn assign(&self, router: &mut Router, from: u64, count: usize) {
        let slot = self.capacity.slot(from);
        let written = (u64::MAX >> (PAGE - count)) << (slot % PAGE);
        for (own, dealt) in self.own.iter().zip(&mut router.dealt) {
            let page = &own[slot / PAGE];
            // ORDERING(ROUTE): Relaxed, both: only the router writes, and the Release of the end hands it
            // on, to whoever acquires that.
            let kept = page.load(Ordering::Relaxed) & !written;
            page.store(kept | (*dealt << (slot % PAGE)), Ordering::Relaxed);
            *dealt = 0;
        }
    }

    /// The next run of a worker's own events in `from..to`, whose owners are known; empty at `to` if
    /// there is none.
    pub(crate) fn next_run(&self, worker: usize, from: u64, to: u64) -> Range<u64> {
        let start = self.first(worker, true, from, to);
        start..self.first(worker, false, start, to)
    }

    /// The first event of `from..to` that is a worker's own, or that is not; `to` if there is none.
    #[inline]
    fn first(&self, worker: usize, own: bool, from: u64, to: u64) -> u64 {
        let others = if own { 0 } else { u64::MAX };
        let mut at = from;
        while at < to {
            let slot = self.capacity.slot(at);
            // ORDERING(ROUTE): Relaxed: what is written there was acquired with the end.
            let page = self.own[worker][slot / PAGE].load(Ordering::Relaxed) ^ others;
            let count = self.on_page(at, to);
            let ahead = (page >> (slot % PAGE)).trailing_zeros() as usize;
            if ahead < count {
                return at + ahead as u64;
            }
            at += count as u64;
        }
        to
    }
}

impl Router {
    /// The event number `index` of those on the page in hand is for the worker that its key says: as far
    /// along the workers as the key is along all numbers, which is a division without one.
    #[inline]
    pub(crate) fn deal(&mut self, index: usize, key: u64) {
        let worker = (u128::from(key) * self.dealt.len() as u128) >> u64::BITS;
        self.dealt[worker as usize] |= 1 << index;
    }
}

impl Hand {
    /// The worker is about to claim what begins at `from`.
    #[inline]
    fn take(&self, from: u64) {
        self.from.announce(from);
    }

    /// Everything before `sequence` is accounted for. What the worker has begins there now.
    pub(crate) fn stand_at(&self, sequence: u64) {
        self.account(sequence);
        self.from.hand_on(sequence);
    }

    /// Everything before `sequence` is accounted for, and the worker has nothing else.
    pub(crate) fn put_down(&self, sequence: u64) {
        self.account(sequence);
        self.from.hand_on(NOTHING);
    }

    /// The worker has not claimed what it was about to, and nothing else.
    pub(crate) fn rest(&self) {
        self.from.announce(NOTHING);
    }

    fn account(&self, sequence: u64) {
        let figures = &self.figures;
        let unhandled = figures.newly_skipped.get() + figures.newly_passed_over.get();
        figures.handled.add(sequence - self.from.glance() - unhandled);
        figures.settle(sequence);
    }

    /// Where what the worker has begins; for a figure or for the worker itself.
    pub(crate) fn from(&self) -> u64 {
        self.from.glance()
    }
}
