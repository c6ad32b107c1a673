//! Whether a round was right: every event, for every handler, by its number.

mod answers;
mod limits;

use std::collections::{HashMap, HashSet};

use slipring_events::{EventId, Reason};

use crate::{
    ends::{Evidence, Played, Seen},
    hands::{Next, Try},
    plan::{How, Order, Plan},
};

/// What was on the ring.
struct Truth<'a> {
    by_sequence: HashMap<u64, &'a Seen>,
    by_number: HashMap<u64, u64>,
    /// Of what comes from here on the auditor knows nothing.
    end: u64,
}

/// What is wrong.
pub fn on(plan: &Plan, evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let truth = truth(evidence, &mut wrong);
    publishers(evidence, &truth, &mut wrong);
    origins(evidence, &truth, &mut wrong);
    for played in &evidence.handlers {
        let mut complaints = played.notes.complaints.clone();
        attempts(played, &truth, &mut complaints);
        order(played, &mut complaints);
        fates(played, evidence, &truth, &mut complaints);
        totals(played, &mut complaints);
        known(played, &truth, &mut complaints);
        limits::on(played, &truth, &mut complaints);
        ends(plan, played, evidence, &mut complaints);
        if !complaints.is_empty() {
            complaints.push(format!(
                "{:?}, began at {}, left {:?}",
                played.account, played.first, played.left
            ));
        }
        wrong.extend(
            complaints.into_iter().map(|complaint| format!("{}: {complaint}", played.name)),
        );
    }
    answers::receipts(plan, evidence, &truth, &mut wrong);
    answers::replies(evidence, &truth, &mut wrong);
    wrong
}

fn truth<'a>(evidence: &'a Evidence, wrong: &mut Vec<String>) -> Truth<'a> {
    let Evidence { truth, auditor, .. } = evidence;
    if !truth.is_sorted_by(|one, other| one.sequence < other.sequence) {
        wrong.push("the auditor has seen events out of order, or twice".to_owned());
    }
    let by_sequence = truth.iter().map(|seen| (seen.sequence, seen)).collect();
    let by_number: HashMap<u64, u64> =
        truth.iter().map(|seen| (seen.fact.note().number, seen.sequence)).collect();
    if by_number.len() != truth.len() {
        wrong.push(format!(
            "{} events are on the ring, and only {} different ones",
            truth.len(),
            by_number.len()
        ));
    }
    Truth {
        by_sequence,
        by_number,
        end: truth
            .last()
            .map_or(auditor.first, |last| last.sequence + 1)
            .max(if auditor.passed_over == 0 { auditor.next } else { 0 }),
    }
}

/// What was taken stands where its publisher was told, and comes in its order.
fn publishers(evidence: &Evidence, truth: &Truth<'_>, wrong: &mut Vec<String>) {
    let mut last = HashMap::new();
    for (publisher, number, sequence) in &evidence.accepted {
        if *sequence < truth.end && truth.by_number.get(number) != Some(sequence) {
            let found = truth.by_number.get(number);
            wrong.push(format!("{number} was published at {sequence}, and found at {found:?}"));
        }
        if last.insert(publisher, sequence).is_some_and(|before| before >= sequence) {
            wrong.push(format!("publisher {publisher} was told {sequence} out of order"));
        }
    }
}

/// What is on the ring was taken from a publisher, or follows from what was handled; and what follows is there once.
fn origins(evidence: &Evidence, truth: &Truth<'_>, wrong: &mut Vec<String>) {
    let mut known: HashSet<u64> = evidence.accepted.iter().map(|(_, number, _)| *number).collect();
    for played in &evidence.handlers {
        let unsent: Vec<u64> = unsent(played).collect();
        let mut lost = 0;
        for Next { number, .. } in follow_ups(played) {
            known.insert(*number);
            let times = usize::from(truth.by_number.contains_key(number))
                + unsent.iter().filter(|other| *other == number).count();
            match times {
                0 => lost += 1,
                1 => {}
                _ => wrong.push(format!(
                    "{}: {number}, which follows, is there {times} times",
                    played.name
                )),
            }
        }
        // Some of those that could not be sent were dropped from the dead letters.
        if evidence.is_done && lost > played.dropped {
            wrong.push(format!("{}: {lost} that follow are nowhere", played.name));
        }
    }
    let strange = truth.by_number.keys().filter(|number| !known.contains(number));
    wrong.extend(strange.map(|number| format!("nobody has published {number}")));
}

/// What follows from what it has handled.
fn follow_ups(played: &Played) -> impl Iterator<Item = &Next> {
    played.notes.tries.iter().filter(|one| one.is_ok).flat_map(|one| &one.follow_ups)
}

fn unsent(played: &Played) -> impl Iterator<Item = u64> + '_ {
    let letters = played
        .letters
        .iter()
        .filter(|(_, reason)| *reason == Reason::Unsent)
        .map(|(number, _)| *number);
    letters
        .chain(played.purged.iter().filter(|(_, is_unsent)| *is_unsent).map(|(number, _)| *number))
}

/// Each attempt is one more, on the event that stands there, and the last one was if it went well.
fn attempts(played: &Played, truth: &Truth<'_>, wrong: &mut Vec<String>) {
    let mut last: HashMap<u64, &Try> = HashMap::new();
    let mut missing = 0;
    for one in &played.notes.tries {
        let seen = truth.by_sequence.get(&one.sequence);
        if seen.is_some_and(|seen| {
            seen.fact.note().number != one.number
                || !played.plan.scope.wants(&seen.fact, &seen.topic)
        }) || (seen.is_none() && one.sequence < truth.end)
        {
            wrong.push(format!("it was given {one:?}, and there is {seen:?}"));
        }
        let before = last.insert(one.sequence, one);
        let expected = before.map_or(1, |before| before.attempt + 1);
        if one.attempt < expected || before.is_some_and(|before| before.is_ok) {
            wrong.push(format!("{one:?} after {before:?}"));
        }
        missing += u64::from(one.attempt.saturating_sub(expected));
    }
    // Those that failed before the handler was called.
    if missing > played.notes.unknowable {
        wrong.push(format!("{missing} attempts are missing"));
    }
}

/// What comes for the first time comes in order; what keeps its order keeps it also when it is tried again.
fn order(played: &Played, wrong: &mut Vec<String>) {
    let mut check = |what: &str, tries: &mut dyn Iterator<Item = &Try>| {
        let sequences: Vec<u64> = tries.map(|one| one.sequence).collect();
        if !sequences.is_sorted_by(|one, other| one < other) {
            wrong.push(format!("{what} out of order: {sequences:?}"));
        }
    };
    let handled = || played.notes.tries.iter().filter(|one| one.is_ok);
    match played.plan.order {
        Order::Overtake => {
            check("first attempts", &mut played.notes.tries.iter().filter(|one| one.attempt == 1));
        }
        Order::Strict => {
            check("first attempts", &mut played.notes.tries.iter().filter(|one| one.attempt == 1));
            let given_back = &played.given_back;
            check("handled", &mut handled().filter(|one| !given_back.contains(&one.number)));
        }
        Order::ByKey => {
            (0..4).for_each(|key| {
                check("handled of a key", &mut handled().filter(|one| one.key == key));
            });
        }
    }
}

/// Of all events that concern it each has exactly one fate.
fn fates(played: &Played, evidence: &Evidence, truth: &Truth<'_>, wrong: &mut Vec<String>) {
    let mut fates: HashMap<u64, Vec<&str>> = HashMap::new();
    let mut note = |number: u64, fate| fates.entry(number).or_default().push(fate);
    played.notes.tries.iter().filter(|one| one.is_ok).for_each(|one| note(one.number, "handled"));
    let letters = played.letters.iter().filter(|(_, reason)| *reason != Reason::Unsent);
    letters.for_each(|(number, _)| note(*number, "dead"));
    let purged = played.purged.iter().filter(|(_, is_unsent)| !is_unsent);
    purged.for_each(|(number, _)| note(*number, "purged"));
    let mut known = count_each(&played.notes.known);
    for seen in &evidence.truth {
        // Of several of one id it is not known which of them it was.
        let number = seen.fact.note().number;
        if seen.sequence >= played.first
            && played.plan.scope.wants(&seen.fact, &seen.topic)
            && !fates.contains_key(&number)
            && let Some(left) = known.get_mut(&seen.id).filter(|left| **left > 0)
        {
            *left -= 1;
            fates.entry(number).or_default().push("known");
        }
    }
    // Of what comes behind the last that the auditor has seen nothing is known.
    if truth.end >= played.account.next && known.values().any(|left| *left > 0) {
        wrong.push(format!("it was told too often that it knows them: {known:?}"));
    }
    wrong.extend(
        fates
            .iter()
            .filter(|(_, all)| all.len() > 1)
            .map(|(number, all)| format!("{number} was {all:?}")),
    );

    let account = &played.account;
    let has_fate = |seen: &&Seen| fates.contains_key(&seen.fact.note().number);
    let concerns = |seen: &&Seen| played.plan.scope.wants(&seen.fact, &seen.topic);
    let came_to = |seen: &&Seen| (played.first..account.next).contains(&seen.sequence);
    let (came, others): (Vec<&Seen>, Vec<&Seen>) = evidence.truth.iter().partition(came_to);
    if let Some(strange) = others.into_iter().find(has_fate) {
        wrong.push(format!("{strange:?} has a fate, and it never came there"));
    }
    let (mine, filtered): (Vec<&Seen>, Vec<&Seen>) = came.iter().partition(|seen| concerns(seen));
    let missing: Vec<u64> =
        mine.iter().filter(|seen| !has_fate(seen)).map(|seen| seen.sequence).collect();
    let (lost, most) = (missing.len() as u64, played.dropped + account.passed_over);
    // Of those dropped from the dead letters some may be unsent ones.
    let is_exact = truth.end >= account.next && account.unsent == 0;
    if lost > most || (is_exact && lost != most) {
        wrong.push(format!("{lost} have no fate, and {most} may have none: {missing:?}"));
    }
    if truth.end < account.next {
        return;
    }
    let counts = (filtered.len() as u64, account.next - played.first - came.len() as u64);
    if counts != (account.filtered, account.empty) {
        wrong.push(format!("filtered and empty are {counts:?}"));
    }
    // What was left behind is the end of what it came to.
    let passed_over = if played.skips() { 0 } else { account.passed_over as usize };
    if let Some(strange) = mine.iter().rev().take(passed_over).find(|seen| has_fate(seen)) {
        wrong.push(format!("{strange:?} has a fate, and was left behind"));
    }
}

fn count_each(ids: &[EventId]) -> HashMap<EventId, usize> {
    let mut counts = HashMap::new();
    for id in ids {
        *counts.entry(*id).or_default() += 1;
    }
    counts
}

/// The account says what was written down.
fn totals(played: &Played, wrong: &mut Vec<String>) {
    let (account, tries) = (&played.account, &played.notes.tries);
    let handled = tries.iter().filter(|one| one.is_ok).count() as u64;
    let unknowable = played.notes.unknowable;
    let failures = tries.len() as u64 - handled + unknowable;
    // One that was dropped in the middle of an attempt has written it down, and nobody has counted it.
    let broken_off = u64::from(played.left == Some(How::Dropped));
    let retries = tries.iter().filter(|one| one.attempt > 1).count() as u64;
    if handled != account.handled
        || !(account.failures..=account.failures + broken_off).contains(&failures)
        // Nor has one that was known when it was to be tried again.
        || retries + unknowable + account.duplicates < account.retries
    {
        wrong.push(format!("{handled} handled, {failures} failures, {retries} retries"));
    }
    let follow_ups = follow_ups(played).count() as u64;
    if follow_ups != account.follow_ups + account.unsent {
        wrong.push(format!("{follow_ups} follow"));
    }
    let gone = (played.letters.len() + played.purged.len()) as u64 + played.dropped;
    if account.dead + account.unsent != gone + account.requeued {
        wrong.push(format!("{gone} letters were written for good"));
    }
    if played.plan.holds && played.dropped > 0 {
        wrong.push(format!("it holds, and {} letters were dropped", played.dropped));
    }
    let steps: usize = tries.iter().filter(|one| one.went_well).map(|one| one.steps).sum();
    if steps != played.steps {
        wrong.push(format!("{steps} steps were done for good, and {} are", played.steps));
    }
    if account.lost > 0 {
        wrong.push("it has lost events".to_owned());
    }
}

/// It knows what it has handled, and nothing else.
fn known(played: &Played, truth: &Truth<'_>, wrong: &mut Vec<String>) {
    let known = &played.notes.known;
    if played.account.duplicates != known.len() as u64 {
        wrong.push(format!("it was told {} times that it knows an event", known.len()));
    }
    let Some(inbox) = played.plan.inbox else { return };
    let id = |one: &Try| truth.by_sequence.get(&one.sequence).map(|seen| seen.id);
    let handled = played.notes.tries.iter().filter(|one| one.is_ok);
    let ids: Vec<EventId> = handled.filter_map(id).collect();
    let times = count_each(&ids);
    let is_whole = truth.end >= played.account.next;
    if is_whole && let Some(strange) = known.iter().find(|id| !times.contains_key(id)) {
        wrong.push(format!("it knows {strange}, and has not handled it"));
    }
    let has_forgotten = ids.len() > inbox.remembers;
    if !has_forgotten && let Some((twice, _)) = times.iter().find(|(_, times)| **times > 1) {
        wrong.push(format!("it has handled {twice} more than once"));
    }
}

/// How it has ended.
fn ends(plan: &Plan, played: &Played, evidence: &Evidence, wrong: &mut Vec<String>) {
    let account = &played.account;
    if !account.adds_up() || account.waiting > 0 {
        wrong.push("its account does not add up".to_owned());
    }
    let has_stayed = played.has_stayed() && evidence.is_done;
    if has_stayed && !played.skips() && account.passed_over > 0 {
        wrong.push("it has passed over events".to_owned());
    }
    if account.late > 0 && played.plan.lag_limit.is_none() {
        wrong.push("it was late, and may be".to_owned());
    }
    if played.has_gone() && account.late > 1 {
        wrong.push("it was late, and did not leave".to_owned());
    }
    // A shutdown does not wait for what is to be published later.
    let later: HashSet<u64> =
        follow_ups(played).filter_map(|next| next.delay.is_some().then_some(next.number)).collect();
    let is_left_over = |(number, reason): &&(u64, Reason)| match reason {
        Reason::Left => true,
        Reason::Unsent => !later.contains(number),
        _ => false,
    };
    let left_over = played.letters.iter().filter(is_left_over).count();
    if has_stayed && !plan.meddles_to_the_end && left_over > 0 {
        wrong.push(format!("the bus was done, and this is left over: {:?}", played.letters));
    }
}
