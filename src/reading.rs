//! Reading a ring's figures while everybody moves.
//!
//! Stations are read before those that they follow, and the producers last. A cursor only moves on, so
//! no station is found ahead of one that it follows, and none of those that the ring was built with ahead of
//! what was published.

use std::time::Duration;

use crate::{
    circuit::Circuit,
    cursor::DETACHED,
    figures::{Counter, Figures},
    post::Post,
    report::{BatchSizes, StationReport},
    settled::Unhandled,
    sync::{Arc, time},
    told::Teller,
};

/// What was read of the whole ring.
#[derive(Debug)]
pub(crate) struct Readings {
    /// Of the stations that the ring was built with in the order of declaration, and then of its guests.
    pub(crate) stations: Vec<Reading>,
    /// The first sequence that the reset hook had not cleared, if there is a hook.
    pub(crate) cleared: Option<u64>,
    pub(crate) reach: Reach,
}

/// Looks at what is published, while producers go round the ring, before one makes do with less.
const LOOKS_AT_THE_MARKS: usize = 100;

impl Circuit {
    /// The time since it was built.
    pub(crate) fn age(&self) -> Duration {
        time::now().saturating_duration_since(self.start)
    }

    /// The end of what is published, and how much of that was abandoned: figures that never go back.
    #[cold]
    pub(crate) fn how_far_published(&self) -> (u64, u64) {
        for _ in 0..LOOKS_AT_THE_MARKS {
            let known = self.furthest();
            let end = self.sequencer.available(known, known + self.capacity.lap_len());
            let abandoned = self.skips.count_before(end);
            // Nobody has come further meanwhile: so no mark of these was written again, and nothing
            // that was abandoned further on was forgotten.
            if self.furthest() <= end {
                return (self.as_far_as_it_counts(end), abandoned);
            }
        }
        let end = self.furthest();
        (self.as_far_as_it_counts(end), self.skips.count_before(end))
    }

    /// How far anybody has come who vouches for what is before; a guest does not, which may begin behind what
    /// is still being written.
    fn furthest(&self) -> u64 {
        self.posts
            .iter()
            .map(Post::position)
            .max()
            .unwrap_or(self.first)
            .max(self.sequencer.known_prefix())
    }
}

/// How far the producers had come, when the stations had been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    first: u64,
    pub(crate) end: u64,
    /// How many of these sequences had been abandoned.
    pub(crate) abandoned: u64,
}

impl Reach {
    /// What is published.
    pub(crate) fn now(circuit: &Circuit) -> Self {
        let (end, abandoned) = circuit.how_far_published();
        Self { first: circuit.first, end, abandoned }
    }

    /// What will ever have been published, of a ring that has ended.
    pub(crate) fn in_the_end(circuit: &Circuit) -> Self {
        let abandoned = circuit.skips.count();
        Self { first: circuit.first, end: circuit.claimed(), abandoned }
    }

    /// Events published.
    pub(crate) fn events(self) -> u64 {
        (self.end - self.first).saturating_sub(self.abandoned)
    }
}

impl Readings {
    /// `reach` is asked how far the producers have come when everybody else has been read.
    pub(crate) fn of(circuit: &Circuit, reach: impl FnOnce(&Circuit) -> Reach) -> Self {
        let cleared = circuit.cleared_to_now();
        let declared = circuit.posts.len();
        // The seats are not held meanwhile: whoever comes would have to wait.
        let present = circuit.guests.present().into_iter();
        let guest = |(seat, name, teller)| Reading {
            teller,
            ..Reading::of(circuit, declared + seat, name)
        };
        let mut guests: Vec<_> = present.map(guest).collect();
        let mut stations: Vec<_> = last_first(circuit)
            .into_iter()
            .map(|index| Reading::of(circuit, index, Arc::clone(&circuit.names[index])))
            .collect();
        stations.sort_unstable_by_key(|reading| reading.index);
        let reach = reach(circuit);
        for guest in &mut guests {
            guest.find_abandoned_before(circuit);
        }
        guests.retain(|guest| circuit.guests.is_present(guest.index - declared, &guest.name));
        stations.extend(guests);
        Self { stations, cleared, reach }
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
    pub(crate) is_guest: bool,
    name: Arc<str>,
    /// Not asked yet.
    pub(crate) teller: Option<Teller>,
    pub(crate) first: u64,
    /// Where it stands, or stood when it left.
    pub(crate) position: u64,
    pub(crate) has_left: bool,
    /// Of a guest: how many sequences before its first one were ever abandoned on the ring.
    abandoned_before: u64,
    handled: u64,
    skipped: u64,
    conflated: u64,
    calls: u64,
    failed: u64,
    retried: u64,
    batch_sizes: BatchSizes,
    pub(crate) late: u64,
    pub(crate) waits: u64,
    pub(crate) wait_time: Duration,
    pub(crate) sleeps: u64,
}

impl Reading {
    pub(crate) fn of(circuit: &Circuit, index: usize, name: Arc<str>) -> Self {
        let post = circuit.post(index);
        // Before the cursor is acquired: what the station has noted when it left is seen then.
        let has_left = post.cursor.glance() == DETACHED;
        let (position, unhandled) = post.figures.settled.at(|| post.position());
        let seat = index.checked_sub(circuit.posts.len());
        let first = post.figures.first.get();
        let sum = |figure: fn(&Figures) -> &Counter| figures(post).map(|it| figure(it).get()).sum();
        let Unhandled { skipped, passed_over, conflated } = unhandled;
        let (handled, skipped) = if post.team.is_some() {
            // The workers are ahead of the station's cursor, each as far as it has come.
            let skipped = figures(post).map(|figures| figures.settled.skipped()).sum();
            (sum(|figures| &figures.handled), skipped)
        } else {
            let passed = position.saturating_sub(first);
            (passed.saturating_sub(skipped + conflated + passed_over), skipped)
        };
        Self {
            index,
            is_guest: seat.is_some(),
            name,
            teller: circuit.tellers.get(index).cloned().flatten(),
            first,
            position,
            has_left,
            abandoned_before: 0,
            handled,
            skipped,
            conflated,
            calls: sum(|figures| &figures.calls),
            failed: sum(|figures| &figures.failed),
            retried: sum(|figures| &figures.retried),
            batch_sizes: BatchSizes::sum(figures(post).map(|figures| &figures.batches)),
            late: sum(|figures| &figures.late),
            waits: sum(|figures| &figures.waits.begun),
            wait_time: figures(post).map(|figures| figures.waits.time(|| circuit.age())).sum(),
            sleeps: sum(|figures| &figures.waits.slept),
        }
    }

    /// Finds how many sequences before a guest's first one were abandoned, when it is known how far the producers
    /// have come: if that is beyond its first one, no more of those will be, and if not, nothing is due to it.
    pub(crate) fn find_abandoned_before(&mut self, circuit: &Circuit) {
        if let Some(seat) = self.index.checked_sub(circuit.posts.len()) {
            self.abandoned_before = circuit.skips.before_guest(seat);
        }
    }

    /// How many events are due to it.
    fn due(&self, reach: Reach) -> u64 {
        if !self.is_guest {
            return reach.events();
        }
        let abandoned = reach.abandoned.saturating_sub(self.abandoned_before);
        reach.end.saturating_sub(self.first).saturating_sub(abandoned)
    }

    /// The account of the station.
    pub(crate) fn account(&self, reach: Reach) -> StationReport {
        self.account_of(self.due(reach))
    }

    /// The same of a guest, to which all that it has passed was due: it may have been ahead of what is published in
    /// one piece.
    pub(crate) fn account_at_least(&self, reach: Reach) -> StationReport {
        let done = self.handled + self.skipped + self.conflated;
        self.account_of(self.due(reach).max(done))
    }

    fn account_of(&self, due: u64) -> StationReport {
        let skipped = self.skipped.min(due);
        let conflated = self.conflated.min(due - skipped);
        let handled = self.handled.min(due - skipped - conflated);
        StationReport {
            name: self.name.to_string(),
            first: self.first,
            due,
            handled,
            skipped,
            calls: self.calls,
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
fn figures(post: &Post) -> impl Iterator<Item = &Figures> {
    let hands = post.team.iter().flat_map(|team| &team.hands).map(|hand| &*hand.figures);
    let own = post.team.is_none().then_some(&*post.figures);
    own.into_iter().chain(hands)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::{Builder, Start, poller, sync::thread};
    use std::{panic, sync::mpsc};

    /// It is before the guest's first event, and so no business of its account.
    #[test]
    fn what_is_abandoned_in_the_midst_of_a_look_is_not_missing_from_a_guest_s_account() {
        let (mut producer, dispatcher) =
            Builder::new(4, || 0_u64).then(poller("here")).start_multi().expect("a ring");
        let mut other = producer.clone();
        let (claimed, is_claimed) = mpsc::channel();
        let (give_up, to_give_up) = mpsc::channel();
        let write = move || {
            let publish = || {
                other.publish(|_| {
                    claimed.send(()).expect("somebody waits for it");
                    to_give_up.recv().expect("it is told to");
                    panic!("the write closure panics");
                })
            };
            panic::catch_unwind(panic::AssertUnwindSafe(publish)).expect_err("it panics");
        };
        let writing = thread::spawn("writing", write).expect("a thread");
        is_claimed.recv().expect("it claims");
        let guest = poller("guest");
        let guest = dispatcher.membership().attach_poller(guest, Start::Now).expect("a seat");
        assert_eq!(guest.sequence(), 1);
        producer.publish(|_| ()).expect("there is room");
        let readings = Readings::of(&guest.seat.ring.circuit, |circuit| {
            give_up.send(()).expect("it waits for it");
            writing.join().expect("its panic is caught");
            Reach::now(circuit)
        });
        let [here, guest] = &readings.stations[..] else { panic!("there are two") };
        let due = [here, guest].map(|station| station.account(readings.reach).due);
        assert_eq!(due, [1, 1]);
    }
}
