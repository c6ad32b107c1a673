//! What the reset hook saw: every slot once, in order, after everybody.

use std::collections::HashMap;

use super::{Case, Gone};
use crate::evidence::{Cleared, End};

pub fn check(case: Case<'_>, wrong: &mut Vec<String>) {
    let cleared = &case.evidence.cleared;
    let Some(reset) = case.plan.reset else {
        if !cleared.is_empty() {
            wrong.push("slots were reset without a hook".to_owned());
        }
        return;
    };
    let left = last_traces(case);
    let looks = last_looks(case);
    for (sequence, cleared) in (case.plan.first..).zip(cleared) {
        if let Some(complaint) = complaint(case, sequence, cleared, &left) {
            wrong.push(format!("reset hook, sequence {sequence}: {complaint}: {cleared:?}"));
        }
        if looks.get(&sequence).copied() > cleared.tick {
            wrong.push(format!("reset hook, sequence {sequence}: before a station: {cleared:?}"));
        }
    }
    check_passed(case, wrong);
    let (calls, slots) = (cleared.len(), (case.stream.end() - case.plan.first) as usize);
    // A guest that has come after all events clears nothing. One that began at "now" may have passed
    // what it had to see before what came earlier was written.
    let passed_the_end =
        |index: usize| case.is_complete(index) && case.owed(index) > 0 && !case.began_now(index);
    let somebody_stayed = (0..case.courses.len()).any(passed_the_end);
    if somebody_stayed && calls != slots {
        wrong.push(format!("reset hook: called {calls} times for {slots} slots used"));
    }
    let panicked = case.evidence.reset_panicked;
    if panicked && reset.panics_at != Some(calls - 1) {
        wrong.push(format!("reset hook: called again after a panic: {calls} calls"));
    }
}

fn complaint(
    case: Case<'_>,
    sequence: u64,
    cleared: &Cleared,
    left: &HashMap<u64, u64>,
) -> Option<&'static str> {
    if sequence >= case.stream.end() {
        return Some("a slot that nobody used");
    }
    // What is in an abandoned slot is anybody's guess.
    let accepted = case.stream.find(sequence)?;
    let Cleared { stamp, .. } = cleared;
    if (stamp.producer, stamp.number) != (accepted.producer, accepted.number) {
        return Some("another content");
    }
    let trace = left.get(&sequence).copied().unwrap_or(0);
    (stamp.trace != trace).then_some("not as the last station left it")
}

/// What the last changing station left on each event.
fn last_traces(case: Case<'_>) -> HashMap<u64, u64> {
    let changing = case.plan.changing().into_iter();
    let logs = changing.flat_map(|index| &case.evidence.testimonies[index].log);
    logs.map(|entry| (entry.sequence, entry.left)).collect()
}

/// When somebody looked at each event for the last time.
fn last_looks(case: Case<'_>) -> HashMap<u64, u64> {
    let mut looks = HashMap::new();
    for entry in case.evidence.testimonies.iter().flat_map(|testimony| &testimony.log) {
        if let Some(tick) = entry.tick {
            let look = looks.entry(entry.sequence).or_insert(tick);
            *look = tick.max(*look);
        }
    }
    looks
}

/// Nothing is reset that a station or a guest has not passed, unless it has left.
fn check_passed(case: Case<'_>, wrong: &mut Vec<String>) {
    let cleared = &case.evidence.cleared;
    for index in 0..case.courses.len() {
        if case.first(index).is_none() {
            continue;
        }
        let reset = match case.departure(index) {
            None if case.evidence.testimonies[index].end != End::Thread => continue,
            None => cleared.len(),
            // Those that were reset before, as far as the clock tells.
            Some(Gone { tick }) => cleared.partition_point(|cleared| cleared.tick < tick),
        };
        let end = case.plan.first + reset as u64;
        let reset = case.stream.accepted.partition_point(|accepted| accepted.sequence < end);
        let passed = case.passed(index).max(case.missed(index));
        if reset > passed {
            let name = case.name(index);
            wrong.push(format!("reset hook: {reset} events, of which {name} has passed {passed}"));
        }
    }
}
