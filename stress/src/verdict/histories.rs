//! What the stations saw: everything accepted, in order, once, with the right content, and no
//! sooner than those whom they follow.

use std::collections::HashMap;

use super::Case;
use crate::{
    event::passed,
    evidence::{End, Entry, Evidence, Outcome},
    plan::{Plan, StationPlan, ancestors},
};

/// What became of the events at one station, by its log and its policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// What was handled or skipped, in the station's order.
    pub concluded: Vec<u64>,
    pub handled: u64,
    pub skipped: u64,
    pub retried: u64,
    /// Whether it failed for good, under a policy that halts the ring then; and at which unit.
    pub halts: bool,
    pub halts_at: u64,
    /// Whether it was broken off between a failure and the next attempt.
    pub is_broken_off: bool,
}

pub fn courses(plan: &Plan, evidence: &Evidence, wrong: &mut Vec<String>) -> Vec<Course> {
    let stations = plan.stations.iter().zip(&evidence.testimonies);
    stations
        .map(|(plan, testimony)| {
            course(plan, &testimony.log).unwrap_or_else(|complaint| {
                wrong.push(format!("{}: {complaint}", plan.name));
                Course::default()
            })
        })
        .collect()
}

/// Follows a log call by call.
fn course(plan: &StationPlan, log: &[Entry]) -> Result<Course, String> {
    let mut course = Course::default();
    // The call that is to be repeated, and how often it has failed.
    let mut again: Option<(&[Entry], u32)> = None;
    for call in log.chunk_by(|one, next| next.unit == one.unit && next.sequence != next.unit) {
        let (first, len) = (&call[0], call.len() as u64);
        let is_whole = call
            .iter()
            .zip(first.unit..)
            .all(|(entry, sequence)| entry.sequence == sequence && entry.outcome == first.outcome);
        if !is_whole {
            return Err(format!("a call is not of one piece: {call:?}"));
        }
        if course.halts {
            return Err(format!("it goes on after it has failed for good, at {}", first.unit));
        }
        let failures = match again.take() {
            None => 0,
            Some((before, failures)) => {
                let given_back = before[0].outcome == Outcome::GivenBack;
                // What was given back may come again in other company.
                if first.unit != before[0].unit || !(given_back || before.len() == call.len()) {
                    let (failed, met) = (before[0].unit, first.unit);
                    return Err(format!("{met} follows a failure at {failed} that is not settled"));
                }
                failures
            }
        };
        let sequences = call.iter().map(|entry| entry.sequence);
        match first.outcome {
            Outcome::Done => {
                course.handled += len;
                course.retried += u64::from(failures);
                course.concluded.extend(sequences);
            }
            Outcome::GivenBack => again = Some((call, 0)),
            Outcome::Failed if failures < plan.retries() => again = Some((call, failures + 1)),
            Outcome::Failed => {
                course.retried += u64::from(failures);
                if plan.halts() {
                    (course.halts, course.halts_at) = (true, first.unit);
                } else {
                    course.skipped += len;
                    course.concluded.extend(sequences);
                }
            }
        }
    }
    if let Some((call, failures)) = again {
        // Only calls that were made again are counted as such.
        course.retried += u64::from(failures.saturating_sub(1));
        course.is_broken_off = call[0].outcome == Outcome::Failed;
    }
    Ok(course)
}

pub fn check(case: Case<'_>, wrong: &mut Vec<String>) {
    let traces = Traces::of(case);
    for (index, plan) in case.plan.stations.iter().enumerate() {
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

/// Each event once, in order, none left out, and all of them where the ring drained.
fn check_order(case: Case<'_>, index: usize, complain: &mut impl FnMut(String)) {
    let (course, accepted) = (&case.courses[index], &case.stream.accepted);
    let mut expected = accepted.iter().map(|accepted| accepted.sequence);
    for seen in &course.concluded {
        match expected.next() {
            Some(sequence) if sequence == *seen => {}
            Some(sequence) => {
                return complain(format!("it has sequence {seen} where {sequence} is next"));
            }
            None => return complain(format!("it has sequence {seen}, which nobody published")),
        }
    }
    if let (Some(missing), true) = (expected.next(), case.is_complete(index)) {
        complain(format!("the ring drained, but it never came to sequence {missing}"));
    }
    if course.is_broken_off && !case.is_halted() {
        complain("its last failure is not settled, and nobody halted the ring".to_owned());
    }
    if let Some(position) = case.evidence.testimonies[index].position {
        let passed = accepted.partition_point(|accepted| accepted.sequence < position);
        if passed != course.concluded.len() {
            let concluded = course.concluded.len();
            complain(format!("it stands at {position}, after {concluded} of {passed} events"));
        }
    }
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
        let concluded = case.courses[index].concluded.len();
        let furthest = log.iter().map(|entry| entry.sequence).max();
        let seen = furthest.map_or(0, |furthest| {
            case.stream.accepted.partition_point(|accepted| accepted.sequence <= furthest)
        });
        if seen > limit {
            let name = &case.plan.stations[index].name;
            wrong.push(format!("{name}: it has seen {seen} events, those before it only {limit}"));
        }
        let has_left = case.evidence.testimonies[index].end != End::Thread;
        bounds[index] = if has_left { limit.max(concluded) } else { concluded };
    }
    check_clock(case, &follows, wrong);
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
        let name = &case.plan.stations[index].name;
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
