//! Stations that several threads share: who may lack what when the ring was halted, and whether each
//! key has its worker.

use std::collections::{HashMap, HashSet};

use super::Case;
use crate::{event::Stamp, evidence::Asked, plan::KeyPlan};

pub fn check(case: Case<'_>, wrong: &mut Vec<String>) {
    // Also of teams beside each other: a key's worker depends on the number of workers only.
    let mut owners = HashMap::new();
    for (index, plan) in case.plan.stations.iter().enumerate() {
        let mut complain = |complaint: String| wrong.push(format!("{}: {complaint}", plan.name));
        let Some(by_key) = plan.by_key() else {
            if !case.evidence.asked[index].is_empty() {
                complain("it was asked for keys and has none".to_owned());
            }
            continue;
        };
        for entry in &case.evidence.testimonies[index].log {
            let key = (plan.workers(), entry.stamp.key(by_key.keys));
            let owner = *owners.entry(key).or_insert(entry.worker);
            if owner != entry.worker {
                complain(format!("it has an event of worker {owner}: {entry:?}"));
            }
        }
        check_asked(case, index, by_key, &mut complain);
        for worker in 0..plan.workers() {
            check_worker(case, index, worker, by_key, &mut complain);
        }
    }
}

/// Each event that was published is asked for its key once, in order, after those before the team and
/// before it is handled; and nothing is asked after a panic.
fn check_asked(case: Case<'_>, index: usize, by_key: KeyPlan, complain: &mut impl FnMut(String)) {
    let asked = &case.evidence.asked[index];
    let mut looks = HashMap::new();
    for (place, asked) in asked.iter().enumerate() {
        let Asked { stamp, is_whole, tick } = asked;
        let Some(accepted) = case.stream.accepted.get(place) else {
            return complain(format!("it was asked for the key of nobody's event: {asked:?}"));
        };
        if (stamp.producer, stamp.number) != (accepted.producer, accepted.number) || !is_whole {
            let sequence = accepted.sequence;
            return complain(format!(
                "it was asked for another key than that of {sequence}: {asked:?}"
            ));
        }
        looks.insert(accepted.sequence, (stamp.trace, *tick));
        if by_key.panics_at.is_some_and(|panics_at| place > panics_at) {
            complain(format!("it was asked for a key after a panic: {asked:?}"));
        }
    }
    let mut looked_at = HashSet::new();
    for entry in &case.evidence.testimonies[index].log {
        let Some((trace, tick)) = looks.get(&entry.sequence) else {
            complain(format!("it was not asked for the key of what it handles: {entry:?}"));
            continue;
        };
        let is_first = looked_at.insert(entry.sequence);
        if is_first && *trace != entry.stamp.trace {
            complain(format!("it was asked for a key when the trace was {trace}: {entry:?}"));
        }
        if entry.tick < *tick {
            complain(format!("it was asked for the key of what it has handled: {entry:?}"));
        }
    }
    if case.is_complete(index) && asked.len() != case.stream.accepted.len() {
        complain(format!("it was asked for {} keys", asked.len()));
    }
}

/// What a worker has concluded is the beginning of what its keys say is its own.
fn check_worker(
    case: Case<'_>,
    index: usize,
    worker: usize,
    by_key: KeyPlan,
    complain: &mut impl FnMut(String),
) {
    let key = |sequence: u64| {
        let accepted = case.stream.find(sequence)?;
        Some(Stamp::new(accepted.producer, accepted.number).key(by_key.keys))
    };
    let log = case.evidence.testimonies[index].log.iter();
    let own: Vec<u64> =
        log.filter(|entry| entry.worker == worker).map(|entry| entry.sequence).collect();
    let keys: HashSet<Option<u32>> = own.iter().map(|sequence| key(*sequence)).collect();
    let due = case.stream.accepted.iter().map(|accepted| accepted.sequence);
    let mut due = due.filter(|sequence| keys.contains(&key(*sequence)));
    let mut seen = own;
    seen.dedup();
    if let Some((due, seen)) = due.by_ref().zip(seen).find(|(due, seen)| due != seen) {
        complain(format!("worker {worker} has sequence {seen} where its own is {due}"));
    }
}

/// Whether a station that was halted may have gone on behind a sequence that it lacks: it was in the
/// hands of one who shares the station, and failed.
pub fn may_lack(case: Case<'_>, index: usize, sequence: u64) -> bool {
    let team = case.plan.stations.get(index).filter(|plan| plan.workers() > 1);
    let Some(plan) = team.filter(|_| case.is_halted()) else { return false };
    if plan.by_key().is_some() {
        // By `check_worker`.
        return true;
    }
    let most = plan.most_at_once(case.plan.capacity) as u64;
    let course = &case.courses[index];
    let mut failures = course.halts_at.iter().chain(&course.broken_off_at);
    failures.any(|failed| (*failed..*failed + most).contains(&sequence))
}
