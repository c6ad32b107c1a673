//! What the stations saw: everything accepted, in order, once, with the right content, and no
//! sooner than those whom they follow.

use std::{collections::HashMap, iter::Peekable};

use super::{Case, Gone, teams};
use crate::{
    event::passed,
    evidence::{End, Entry, Outcome},
    plan::{StationPlan, ancestors},
};

pub fn check(case: Case<'_>, wrong: &mut Vec<String>) {
    let traces = Traces::of(case);
    for (index, plan) in case.plan.everybody().enumerate() {
        let mut complain = |complaint: String| wrong.push(format!("{}: {complaint}", plan.name));
        check_order(case, index, &mut complain);
        for entry in &case.evidence.testimonies[index].log {
            if let Some(complaint) = content_complaint(case, plan, index, entry) {
                complain(format!("{complaint}: {entry:?}"));
            }
        }
        traces.check(case, index, &mut complain);
    }
    check_following(case, wrong);
}

/// Each event from the first on once, in order, none left out, and all of them where the ring
/// drained.
fn check_order(case: Case<'_>, index: usize, complain: &mut impl FnMut(String)) {
    let (course, accepted) = (&case.courses[index], &case.stream.accepted);
    let (missed, mut conflated) = (case.missed(index), 0);
    let mut expected = accepted[missed..].iter().map(|accepted| accepted.sequence).peekable();
    for seen in &course.concluded {
        // Where a team was halted, what its workers had in hand is missing among the rest.
        let may_lack = |next: &u64| next < seen && teams::may_lack(case, index, *next);
        while expected.next_if(may_lack).is_some() {}
        let may_conflate = |next: &u64| next < seen && case.may_conflate(index, *next);
        while expected.next_if(may_conflate).is_some() {
            conflated += 1;
        }
        match expected.next() {
            Some(sequence) if sequence == *seen => {}
            Some(sequence) => {
                return complain(format!("it has sequence {seen} where {sequence} is next"));
            }
            None => return complain(format!("it has sequence {seen}, which nobody published")),
        }
    }
    if let Some(complaint) = conflated_complaint(case, index, conflated, &mut expected) {
        return complain(complaint);
    }
    if let (Some(missing), true) = (expected.next(), case.is_complete(index)) {
        complain(format!("the ring drained, but it never came to sequence {missing}"));
    }
    if !course.broken_off_at.is_empty() && !case.is_halted() {
        complain("its last failure is not settled, and nobody halted the ring".to_owned());
    }
    if let Some(position) = case.evidence.testimonies[index].position {
        let passed = accepted.partition_point(|accepted| accepted.sequence < position);
        let concluded = course.concluded.len() + case.conflated(index).unwrap_or(0) as usize;
        if passed != missed + concluded {
            let due = passed.saturating_sub(missed);
            complain(format!("it stands at {position}, after {concluded} of {due} events"));
        }
    }
}

/// It has passed as many events unhandled as it says: those that are missing before the last one that
/// it has handled, and perhaps some of those that come then.
fn conflated_complaint(
    case: Case<'_>,
    index: usize,
    mut conflated: u64,
    expected: &mut Peekable<impl Iterator<Item = u64>>,
) -> Option<String> {
    for skip in &case.evidence.testimonies[index].skips {
        let accepted = |end| case.stream.accepted.partition_point(|event| event.sequence < end);
        let events = (accepted(skip.range.end) - accepted(skip.range.start)) as u64;
        if events != skip.events {
            return Some(format!("it has passed {events} events unhandled, and was told {skip:?}"));
        }
    }
    let Some(told) = case.conflated(index) else {
        let is_there = case.first(index).is_some();
        return is_there.then(|| "nobody knows how much it has passed unhandled".to_owned());
    };
    while conflated < told && expected.next_if(|next| case.may_conflate(index, *next)).is_some() {
        conflated += 1;
    }
    (conflated != told).then(|| format!("it lacks {conflated} events and says {told}"))
}

fn content_complaint(
    case: Case<'_>,
    plan: &StationPlan,
    index: usize,
    entry: &Entry,
) -> Option<&'static str> {
    let Some(accepted) = case.stream.find(entry.sequence) else {
        return Some("it was given an event that nobody published");
    };
    let (stamp, found) = (&entry.stamp, entry.stamp.trace);
    if !entry.is_whole || (stamp.producer, stamp.number) != (accepted.producer, accepted.number) {
        return Some("it was given another content");
    }
    let changes = plan.mutates && entry.left == passed(found, index);
    let changes_nothing = entry.left == found;
    let is_sound = match entry.outcome {
        Outcome::Done => changes || (!plan.mutates && changes_nothing),
        Outcome::Failed | Outcome::GivenBack => changes || changes_nothing,
    };
    if !is_sound {
        return Some("it left another trace than its own");
    }
    let is_late = |(_, written): (u64, u64)| entry.tick.is_none_or(|tick| tick > written);
    if !accepted.ticks.is_none_or(is_late) {
        return Some("it was given an event before it was published");
    }
    None
}

/// What each changing station left on each event.
struct Traces {
    /// In the order of the flow.
    changing: Vec<(usize, HashMap<u64, u64>)>,
}

impl Traces {
    fn of(case: Case<'_>) -> Self {
        let left = |index: usize| {
            let log = &case.evidence.testimonies[index].log;
            (index, log.iter().map(|entry| (entry.sequence, entry.left)).collect())
        };
        Self { changing: case.plan.changing().into_iter().map(left).collect() }
    }

    /// What the stations before `index` left on an event.
    fn before(&self, index: usize, before: &[usize], sequence: u64) -> u64 {
        let mut earlier = self
            .changing
            .iter()
            .rev()
            .filter(|(changing, _)| *changing != index && before.contains(changing));
        earlier.find_map(|(_, left)| left.get(&sequence)).copied().unwrap_or(0)
    }

    /// Each event comes as the last station before, or the last attempt, has left it.
    fn check(&self, case: Case<'_>, index: usize, complain: &mut impl FnMut(String)) {
        let before = &ancestors(&case.plan.follows())[index];
        let before: Vec<usize> = before.iter().copied().collect();
        let mut own: HashMap<u64, u64> = HashMap::new();
        for entry in &case.evidence.testimonies[index].log {
            let expected = match own.get(&entry.sequence) {
                Some(left) => *left,
                None => self.before(index, &before, entry.sequence),
            };
            if entry.stamp.trace != expected {
                complain(format!("the trace is not {expected}: {entry:?}"));
            }
            own.insert(entry.sequence, entry.left);
        }
    }
}

/// Nobody is ahead of those whom it follows; one that has left is looked through.
fn check_following(case: Case<'_>, wrong: &mut Vec<String>) {
    let follows = case.plan.follows();
    let before = ancestors(&follows);
    let mut order: Vec<usize> = (0..follows.len()).collect();
    order.sort_by_key(|index| before[*index].len());
    // The number of events that those who follow a station may have seen.
    let mut bounds = vec![0; follows.len()];
    for index in order {
        let limit = follows[index].iter().map(|followed| bounds[*followed]).min();
        let limit = limit.unwrap_or(case.stream.accepted.len());
        let log = &case.evidence.testimonies[index].log;
        let furthest = log.iter().map(|entry| entry.sequence).max();
        let seen = furthest.map_or(0, |furthest| {
            case.stream.accepted.partition_point(|accepted| accepted.sequence <= furthest)
        });
        if seen > limit {
            let name = case.name(index);
            wrong.push(format!("{name}: it has seen {seen} events, those before it only {limit}"));
        }
        let passed = case.passed(index);
        let has_left =
            case.evidence.testimonies[index].end != End::Thread || case.may_have_left(index);
        bounds[index] = if has_left { limit.max(passed) } else { passed };
    }
    for index in 0..follows.len() {
        if let Some(complaint) = lap_complaint(case, index) {
            wrong.push(format!("{}: {complaint}", case.name(index)));
        }
    }
    check_clock(case, &follows, wrong);
}

/// Nobody is lapped as long as it is there.
fn lap_complaint(case: Case<'_>, index: usize) -> Option<String> {
    case.first(index)?;
    let next = case.stream.accepted.get(case.passed(index))?.sequence;
    let behind = case.stream.accepted.iter().rev();
    let mut behind = behind.take_while(|event| event.sequence >= next + case.plan.capacity as u64);
    let lapping = match case.departure(index) {
        None => behind.next(),
        Some(Gone { tick }) => {
            behind.find(|event| event.ticks.is_some_and(|(first, _)| Some(first) < tick))
        }
    };
    lapping.map(|event| format!("it was waiting for {next} when this was written: {event:?}"))
}

/// The same by the clock, event by event; and no slot is written to before all have passed it.
fn check_clock(case: Case<'_>, follows: &[Vec<usize>], wrong: &mut Vec<String>) {
    if !case.plan.has_clock {
        return;
    }
    let last_looks: Vec<HashMap<u64, u64>> = case
        .evidence
        .testimonies
        .iter()
        .map(|testimony| {
            let look = |entry: &Entry| entry.tick.map(|tick| (entry.sequence, tick));
            testimony.log.iter().filter_map(look).collect()
        })
        .collect();
    for (index, testimony) in case.evidence.testimonies.iter().enumerate() {
        let name = case.name(index);
        for entry in &testimony.log {
            let is_early =
                |followed: &usize| last_looks[*followed].get(&entry.sequence).copied() > entry.tick;
            if follows[index].iter().any(is_early) {
                wrong.push(format!("{name}: ahead of those before it: {entry:?}"));
            }
            let next_lap = entry.sequence + case.plan.capacity as u64;
            let written = case.stream.find(next_lap).and_then(|accepted| accepted.ticks);
            if written.is_some_and(|(first, _)| Some(first) < entry.tick) {
                wrong.push(format!("{name}: written to while it was read: {entry:?}"));
            }
        }
    }
}
