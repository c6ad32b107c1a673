//! The watcher at work: it looks at the ring again and again, and checks each look by itself and
//! against the one before.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use slipring::{Doing, Monitor, Snapshot, StationSnapshot};

use crate::{plan::Plan, shared::Shared};

/// What came of watching.
#[derive(Debug, Default)]
pub struct Watched {
    pub looks: u64,
    pub complaints: Vec<String>,
}

pub struct Watcher {
    monitor: Monitor,
    shared: Arc<Shared>,
    first: u64,
    /// The guests' names that are given once only.
    unique: HashSet<String>,
    last: Option<Glimpse>,
    watched: Watched,
}

/// A look, and how many guests had set out to come before it and after it.
struct Glimpse {
    snapshot: Snapshot,
    attempts: (u64, u64),
}

impl Watcher {
    pub fn new(plan: &Plan, monitor: Monitor, shared: &Arc<Shared>) -> Self {
        Self {
            monitor,
            shared: Arc::clone(shared),
            first: plan.first,
            unique: unique_names(plan),
            last: None,
            watched: Watched::default(),
        }
    }

    /// Watches until all is over, or something is wrong.
    pub fn watch(mut self, rest: Duration) -> Watched {
        loop {
            // Before the look: the last one sees how it has ended.
            let is_over = self.shared.is_over.load(Ordering::Acquire);
            self.look();
            if is_over || !self.watched.complaints.is_empty() {
                return self.watched;
            }
            if rest.is_zero() {
                thread::yield_now();
            } else {
                thread::sleep(rest);
            }
        }
    }

    fn look(&mut self) {
        let attempts = || self.shared.attempts.load(Ordering::Acquire);
        let before = attempts();
        let snapshot = self.monitor.snapshot();
        let now = Glimpse { snapshot, attempts: (before, attempts()) };
        self.watched.looks += 1;
        let mut complain = |complaint: String| {
            let complaint = format!("look {}: {complaint}", self.watched.looks);
            self.watched.complaints.push(complaint);
        };
        check(&now.snapshot, self.first, &mut complain);
        if let Some(last) = &self.last {
            // Who has a name that is given again may be another one, unless nobody has come.
            let is_still = last.attempts.0 == now.attempts.1;
            let is_known = |name: &str| is_still || self.unique.contains(name);
            check_progress(&last.snapshot, &now.snapshot, is_known, &mut complain);
        }
        self.last = Some(now);
    }
}

fn unique_names(plan: &Plan) -> HashSet<String> {
    let (mut once, mut again) = (HashSet::new(), HashSet::new());
    for name in plan.visits().map(|visit| &visit.guest.name) {
        if !once.insert(name.clone()) {
            again.insert(name.clone());
        }
    }
    once.difference(&again).cloned().collect()
}

/// What holds of every look at a ring that begins with `first`.
fn check(now: &Snapshot, first: u64, complain: &mut impl FnMut(String)) {
    if !now.adds_up() {
        complain(format!("it does not add up: {now:?}"));
    }
    if now.fill > now.capacity {
        complain(format!("{} of {} slots are in use", now.fill, now.capacity));
    }
    let end = first + now.published + now.abandoned;
    for station in &now.stations {
        let StationSnapshot { account, position, .. } = station;
        // A guest may begin with what is published next, wherever those are whom it follows; one that
        // follows nobody goes on from there while what is before that is still being written.
        let limit = match limit(now, &station.follows) {
            None if station.is_guest => end + now.capacity,
            limit => limit.unwrap_or(end).min(end).max(account.first),
        };
        if *position > limit {
            complain(format!("{} is at {position}, beyond {limit}: {now:?}", account.name));
        }
        if *position < account.first || account.batches != account.batch_sizes.batches() {
            complain(format!("{} cannot be so: {station:?}", account.name));
        }
    }
}

/// How far somebody may be who follows these; `None`: as far as the producers. Those that have stopped
/// may have left, and are looked through.
fn limit(now: &Snapshot, follows: &[usize]) -> Option<u64> {
    let passed = |index: &usize| {
        let followed = &now.stations[*index];
        if followed.doing == Doing::Stopped {
            limit(now, &followed.follows).map(|limit| limit.max(followed.position))
        } else {
            Some(followed.position)
        }
    };
    follows.iter().filter_map(passed).min()
}

/// No count ever goes back. `is_known` says whether a guest of this name is the one that was there
/// before, if it has begun with the same sequence.
fn check_progress(
    before: &Snapshot,
    now: &Snapshot,
    is_known: impl Fn(&str) -> bool,
    complain: &mut impl FnMut(String),
) {
    let of_ring = |look: &Snapshot| {
        let stall_time = look.producers.stall_time;
        let age = look.at;
        (look.phase as u8, look.published, look.abandoned, look.producers.stalls, stall_time, age)
    };
    let (was, is) = (of_ring(before), of_ring(now));
    let goes_on = was.0 <= is.0
        && was.1 <= is.1
        && was.2 <= is.2
        && was.3 <= is.3
        && was.4 <= is.4
        && was.5 <= is.5;
    if !goes_on {
        complain(format!("the ring goes back from {was:?} to {is:?}"));
    }
    for station in &now.stations {
        let (name, first) = (&station.account.name, station.account.first);
        if station.is_guest && !is_known(name) {
            continue;
        }
        let is_it =
            |other: &&StationSnapshot| other.account.name == *name && other.account.first == first;
        let Some(earlier) = before.stations.iter().find(is_it) else { continue };
        for ((what, was), (_, is)) in counts(earlier).into_iter().zip(counts(station)) {
            if is < was {
                complain(format!(
                    "{name}: {what} goes back from {was} to {is}: {earlier:?}, {station:?}"
                ));
            }
        }
        let has_come_back = earlier.doing == Doing::Stopped && station.doing == Doing::Working;
        if has_come_back {
            complain(format!("{name} works again: {earlier:?}, {station:?}"));
        }
    }
}

fn counts(station: &StationSnapshot) -> [(&'static str, u64); 11] {
    let account = &station.account;
    [
        ("its position", station.position),
        ("due", account.due),
        ("handled", account.handled),
        ("skipped", account.skipped),
        ("conflated", account.conflated),
        ("failed", account.failed),
        ("retried", account.retried),
        ("batches", account.batches),
        ("late", station.late),
        ("waits", station.waits),
        ("sleeps", station.sleeps),
    ]
}

#[cfg(test)]
mod tests {
    use slipring::{Builder, Phase, poller};

    use super::*;

    /// A station `b` that follows an `a`, after four events, of which they have seen 3 and 2.
    fn look() -> Snapshot {
        let ring = Builder::new(8, || 0_u64).first_sequence(10);
        let ring = ring.then(poller("a")).then(poller("b"));
        let (mut producer, mut dispatcher) = ring.start().expect("it is sound");
        producer.publish_batch(4, |_, _| ()).expect("there is room");
        for (name, events) in [("a", 3), ("b", 2)] {
            let mut poller = dispatcher.poller(name).expect("declared");
            for _ in 0..events {
                poller.poll_at_most(1, |_, _| ()).expect("there is no fault");
            }
            // It stays where it is.
            std::mem::forget(poller);
        }
        let snapshot = dispatcher.snapshot();
        drop(producer);
        dispatcher.halt();
        snapshot
    }

    fn said(doctor: impl Fn(&mut Snapshot)) -> String {
        let mut snapshot = look();
        doctor(&mut snapshot);
        let mut said = Vec::new();
        check(&snapshot, 10, &mut |complaint| said.push(complaint));
        said.join("\n")
    }

    #[track_caller]
    fn assert_noticed(expected: &str, doctor: impl Fn(&mut Snapshot)) {
        let said = said(doctor);
        assert!(said.contains(expected), "expected `{expected}` in:\n{said}");
    }

    #[test]
    fn looks_that_cannot_be() {
        assert_eq!(said(|_| ()), "");
        assert_noticed("does not add up", |look| look.stations[0].account.left += 1);
        assert_noticed("does not add up", |look| look.published -= 1);
        assert_noticed("9 of 8 slots", |look| look.fill = 9);
        assert_noticed("b is at 14, beyond 13", |look| look.stations[1].position = 14);
        assert_noticed("a is at 15, beyond 14", |look| look.stations[0].position = 15);
        assert_noticed("a cannot be so", |look| look.stations[0].position = 9);
        let leave = |look: &mut Snapshot| {
            look.stations[0].doing = Doing::Stopped;
            look.stations[1].position = 14;
        };
        assert_eq!(said(leave), "", "one that has left is looked through");
    }

    #[test]
    fn counts_that_go_back() {
        let said = |is_known: bool, doctor: fn(&mut Snapshot)| {
            let (before, mut now) = (look(), look());
            now.at = before.at;
            for now in &mut now.stations {
                now.is_guest = true;
            }
            doctor(&mut now);
            let mut said = Vec::new();
            check_progress(&before, &now, |_| is_known, &mut |complaint| said.push(complaint));
            said.join("\n")
        };
        let goes_back: fn(&mut Snapshot) = |look| look.stations[1].account.handled = 1;
        assert_eq!(said(true, |_| ()), "");
        assert!(said(true, goes_back).contains("b: handled goes back from 2 to 1"));
        assert!(said(true, |look| look.stations[0].position = 12).contains("a: its position"));
        assert!(said(true, |look| look.published = 3).contains("the ring goes back"));
        assert_eq!(said(true, |look| look.phase = Phase::Halted), "");
        assert_eq!(said(false, goes_back), "", "it may be another one");
        let another: fn(&mut Snapshot) = |look| {
            look.stations[1].account.handled = 1;
            look.stations[1].account.first = 11;
        };
        assert_eq!(said(true, another), "");
    }
}
