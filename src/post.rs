//! A post: one station's place on the ring, and the figures that it keeps.

use crossbeam_utils::CachePadded;

use crate::{
    bell::Bell,
    current::Worker,
    cursor::{Cursor, DETACHED},
    sync::atomic::{AtomicU64, Ordering},
    team::{Hand, Team},
};

/// One station's place on the ring.
#[derive(Debug)]
pub struct Post {
    /// Whether it changes events.
    pub(crate) mutates: bool,
    /// The stations that it follows, as few as say it all; none means the producers.
    pub(crate) follows: Box<[usize]>,
    pub(crate) cursor: Cursor,
    pub(crate) bell: Bell,
    pub(crate) figures: CachePadded<Figures>,
    /// Those who share the station's work; `None`: it has one thread, or is polled.
    pub(crate) team: Option<Box<Team>>,
}

impl Post {
    /// Moves the cursor and wakes whoever sleeps until it moves.
    #[inline]
    pub(crate) fn advance(&self, sequence: u64) {
        self.cursor.hand_on(sequence);
        self.bell.ring_if_awaited();
    }

    /// The station stands at `sequence`: everything before it is accounted for, and passed.
    #[inline]
    pub(crate) fn stand_at(&self, sequence: u64) {
        self.figures.settle();
        self.advance(sequence);
    }

    /// One of the station's workers has moved: so may the station.
    fn follow_team(&self, team: &Team) {
        self.cursor.raise(team.reached());
        self.bell.ring_if_awaited();
    }

    /// The cursor, also after the station has left.
    pub(crate) fn position(&self) -> u64 {
        match self.cursor.passed() {
            DETACHED => self.figures.left_at.get(),
            cursor => cursor,
        }
    }
}

/// Where a thread works: at a station of its own, or as one of a station's workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) post: &'a Post,
    pub(crate) hand: Option<&'a Hand>,
}

impl<'a> Place<'a> {
    #[inline]
    pub(crate) fn of(post: &'a Post, worker: Worker) -> Self {
        let hand = worker.number().and_then(|worker| Some(&post.team.as_ref()?.hands[worker]));
        Self { post, hand }
    }

    #[inline]
    pub(crate) fn figures(&self) -> &Figures {
        self.hand.map_or(&self.post.figures, |hand| &hand.figures)
    }

    /// Everything before `sequence` is accounted for, and passed.
    #[inline]
    pub(crate) fn stand_at(&self, sequence: u64) {
        match (self.hand, &self.post.team) {
            (Some(hand), Some(team)) => {
                hand.stand_at(sequence);
                self.post.follow_team(team);
            }
            _ => self.post.stand_at(sequence),
        }
    }

    /// A worker has done everything that it had, which ended at `sequence`.
    pub(crate) fn put_down(&self, sequence: u64) {
        if let (Some(hand), Some(team)) = (self.hand, &self.post.team) {
            team.put_down(hand, sequence);
            self.post.follow_team(team);
        }
    }

    /// A worker's hand has changed, and nothing in it was its own before: so may the station.
    pub(crate) fn follow_team(&self) {
        if let Some(team) = &self.post.team {
            self.post.follow_team(team);
        }
    }
}

/// Counters that one thread writes and anybody may read.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Events that a worker's handler finished. A station of one thread is where its cursor is.
    pub(crate) handled: Figure,
    pub(crate) batches: Figure,
    /// Events that the handler failed on and the policy skipped.
    pub(crate) skipped: Figure,
    /// Those of them that the cursor has not passed yet; every one is before the next cursor.
    pub(crate) newly_skipped: Figure,
    /// Calls repeated by the policy.
    pub(crate) retried: Figure,
    /// Abandoned sequences that the station passed over.
    pub(crate) passed_over: Figure,
    /// Those of them that the cursor has not passed yet.
    pub(crate) newly_passed_over: Figure,
    /// The cursor when the station left.
    pub(crate) left_at: Figure,
    /// Of a guest that has left: how many sequences before that were ever abandoned on the ring.
    pub(crate) abandoned_before: Figure,
    /// The first sequence that is the station's to handle.
    pub(crate) first: Figure,
    /// Of a guest: where it has been told to leave.
    pub(crate) dismissed_at: Figure,
}

impl Figures {
    pub(crate) fn starting_at(first: u64) -> Self {
        let figures = Self::default();
        figures.start_at(first);
        figures
    }

    /// Forgets who was here before. For a guest that has the post to itself.
    pub(crate) fn start_at(&self, first: u64) {
        let Self { handled, batches, skipped, newly_skipped, retried, passed_over, .. } = self;
        for figure in [handled, batches, skipped, newly_skipped, retried, passed_over] {
            figure.set(0);
        }
        self.newly_passed_over.set(0);
        self.left_at.set(first);
        self.first.set(first);
        self.dismissed_at.set(u64::MAX);
    }

    /// The cursor is about to pass what was not handled since it moved last. Before, so that a
    /// report that comes in between finds less handled than was, and never more.
    #[inline]
    pub(crate) fn settle(&self) {
        let (skipped, passed_over) = (self.newly_skipped.get(), self.newly_passed_over.get());
        if skipped + passed_over > 0 {
            self.skipped.add(skipped);
            self.passed_over.add(passed_over);
            self.newly_skipped.set(0);
            self.newly_passed_over.set(0);
        }
    }
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Figure(AtomicU64);

impl Figure {
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.set(self.get() + more);
    }

    #[inline]
    pub(crate) fn set(&self, value: u64) {
        // ORDERING(FIGURE): Relaxed: a figure orders nothing, and only its owner writes it.
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // ORDERING(FIGURE): Relaxed: as above.
        self.0.load(Ordering::Relaxed)
    }
}
