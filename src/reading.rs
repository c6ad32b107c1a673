//! Reading a ring's figures while everybody moves.
//!
//! Stations are read before those that they follow, and the producers last. A cursor only moves on, so
//! no station is found ahead of one that it follows, and none ahead of what was published.

use crate::{
    circuit::Circuit,
    cursor::DETACHED,
    figures::{Figure, Figures},
    post::Post,
    report::{BatchSizes, StationReport},
    sync::Arc,
};

/// What was read of the whole ring.
#[derive(Debug)]
pub(crate) struct Readings {
    /// Of the stations that the ring was built with in the order of declaration, and then of its guests.
    pub(crate) stations: Vec<Reading>,
    /// The first sequence that the reset hook had not cleared, if there is a hook.
    pub(crate) cleared: Option<u64>,
    /// How many sequences had been abandoned.
    pub(crate) abandoned: u64,
    /// The end of what was claimed.
    pub(crate) end: u64,
}

impl Readings {
    pub(crate) fn of(circuit: &Circuit) -> Self {
        let cleared = circuit.cleared_to_now();
        let declared = circuit.posts.len();
        let guests = circuit.guests.present(declared).into_iter();
        let guests: Vec<_> =
            guests.map(|(index, name)| Reading::of(circuit, index, name)).collect();
        let mut stations: Vec<_> = last_first(circuit)
            .into_iter()
            .map(|index| Reading::of(circuit, index, Arc::clone(&circuit.names[index])))
            .collect();
        stations.sort_unstable_by_key(|reading| reading.index);
        stations.extend(guests);
        Self { stations, cleared, abandoned: circuit.skips.count(), end: circuit.claimed() }
    }

    /// Events published.
    pub(crate) fn published(&self, circuit: &Circuit) -> u64 {
        (self.end - circuit.first).saturating_sub(self.abandoned)
    }

    /// The account of one of these stations.
    pub(crate) fn account(&self, circuit: &Circuit, reading: &Reading) -> StationReport {
        reading.account(if reading.index < circuit.posts.len() {
            self.published(circuit)
        } else {
            reading.due_to_guest(circuit, self.end)
        })
    }
}

/// The stations that the ring was built with, each before those that it follows.
fn last_first(circuit: &Circuit) -> Vec<usize> {
    fn depth(circuit: &Circuit, index: usize, depths: &mut [Option<usize>]) -> usize {
        if let Some(depth) = depths[index] {
            return depth;
        }
        let before = circuit.posts[index].follows.iter();
        let depth = before.map(|index| 1 + depth(circuit, *index, depths)).max().unwrap_or(0);
        depths[index] = Some(depth);
        depth
    }
    let mut depths = vec![None; circuit.posts.len()];
    let mut stations: Vec<usize> = (0..circuit.posts.len()).collect();
    stations.sort_by_cached_key(|index| usize::MAX - depth(circuit, *index, &mut depths));
    stations
}

/// What was read of one station.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Its number: guests are counted on from the stations that the ring was built with.
    pub(crate) index: usize,
    name: Arc<str>,
    pub(crate) first: u64,
    /// Where it stands, or stood when it left.
    pub(crate) position: u64,
    pub(crate) has_left: bool,
    handled: u64,
    skipped: u64,
    conflated: u64,
    passed_over: u64,
    failed: u64,
    retried: u64,
    batch_sizes: BatchSizes,
}

impl Reading {
    pub(crate) fn of(circuit: &Circuit, index: usize, name: Arc<str>) -> Self {
        let post = circuit.post(index);
        // Before the cursor is acquired: what the station has noted when it left is seen then.
        let has_left = post.cursor.glance() == DETACHED;
        // What a station did not handle is told before its cursor passes it: so with the cursor seen
        // first, too little counts as handled, but never too much.
        let position = post.position();
        let first = post.figures.first.get();
        let sum = |figure: fn(&Figures) -> &Figure| figures(post).map(|it| figure(it).get()).sum();
        let skipped = sum(|figures| &figures.skipped);
        let conflated = sum(|figures| &figures.conflated);
        let passed_over = sum(|figures| &figures.passed_over);
        let handled = match &post.team {
            // The workers are ahead of the station's cursor, each as far as it has come.
            Some(_) => sum(|figures| &figures.handled),
            None => {
                let unhandled = skipped + conflated + passed_over;
                position.saturating_sub(first).saturating_sub(unhandled)
            }
        };
        Self {
            index,
            name,
            first,
            position,
            has_left,
            handled,
            skipped,
            conflated,
            passed_over,
            failed: sum(|figures| &figures.failed),
            retried: sum(|figures| &figures.retried),
            batch_sizes: BatchSizes::sum(figures(post).map(|figures| &figures.batches)),
        }
    }

    /// How many events are due to a guest when `end` is the end of what was claimed.
    pub(crate) fn due_to_guest(&self, circuit: &Circuit, end: u64) -> u64 {
        let ahead = if self.has_left {
            // Nobody keeps the list for it any more; the count goes on.
            let before = circuit.post(self.index).figures.abandoned_before.get();
            circuit.skips.count().saturating_sub(before)
        } else {
            circuit.skips.listed_in(self.position..end)
        };
        // What was abandoned is behind it, and counted by it, or ahead.
        end.saturating_sub(self.first).saturating_sub(ahead + self.passed_over)
    }

    /// The account of the station when so many events are due to it.
    pub(crate) fn account(&self, due: u64) -> StationReport {
        let skipped = self.skipped.min(due);
        let conflated = self.conflated.min(due - skipped);
        let handled = self.handled.min(due - skipped - conflated);
        StationReport {
            name: self.name.to_string(),
            first: self.first,
            due,
            handled,
            skipped,
            failed: self.failed,
            retried: self.retried,
            conflated,
            left: due - handled - skipped - conflated,
            batches: self.batch_sizes.batches(),
            batch_sizes: self.batch_sizes,
        }
    }
}

/// The figures of whoever works at a post.
pub(crate) fn figures(post: &Post) -> impl Iterator<Item = &Figures> {
    let hands = post.team.iter().flat_map(|team| &team.hands).map(|hand| &*hand.figures);
    let own = post.team.is_none().then_some(&*post.figures);
    own.into_iter().chain(hands)
}
