//! A post: one station's place on the ring.

use crossbeam_utils::CachePadded;

use crate::{
    bell::Bell,
    current::Worker,
    cursor::{Cursor, DETACHED},
    figures::Figures,
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
        self.figures.settle(sequence);
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
    pub(crate) fn figures(&self) -> &'a Figures {
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
