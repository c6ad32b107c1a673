//! Guests: whether they come where they should, stay as long as they should, and are accounted for.

use super::Case;
use crate::{
    evidence::{
        Account, Act, Answer, Arrival, Cause, Departure, Entry, GuestAccount, Reception,
        StationAccount, Visit,
    },
    plan::{Hook, StationPlan, Stay, VisitPlan},
};
use slipring::{Detach, Start};

pub fn check(case: Case<'_>, wrong: &mut Vec<String>) {
    let stations = case.plan.stations.len();
    for (index, (plan, visit)) in (stations..).zip(case.plan.visits().zip(&case.evidence.visits)) {
        let name = &plan.guest.name;
        let mut complain = |complaint: &str| wrong.push(format!("{name}: {complaint}: {visit:?}"));
        visit.complaints.iter().for_each(|complaint| complain(complaint));
        if case.first(index).is_none() && !case.evidence.testimonies[index].log.is_empty() {
            complain("it was not there and has seen something");
        }
        if let Some(arrival) = &visit.arrival {
            check_arrival(case, index, plan, arrival, &mut complain);
        }
        if let Some(departure) = &visit.departure {
            check_departure(case, index, departure, &mut complain);
        }
    }
    if let Some(account) = &case.evidence.ending.account {
        check_roll(case, account, wrong);
    }
}

fn check_arrival(
    case: Case<'_>,
    index: usize,
    plan: &VisitPlan,
    arrival: &Arrival,
    complain: &mut impl FnMut(&str),
) {
    let is_ordered = case.plan.is_ordered(plan);
    let fails = plan.guest.hook_panic.is_some_and(|panic| panic.hook == Hook::Start);
    match &arrival.answer {
        Reception::Closed if !arrival.may_be_closed && !case.is_halted() => {
            complain("it was refused, and nobody has closed the ring");
        }
        Reception::Unordered if is_ordered => complain("it is ordered, and was refused"),
        Reception::NotStarted if !fails => complain("its start did not fail, and was told to"),
        Reception::Other(_) => complain("it was refused for another reason"),
        Reception::Welcome(first) => {
            if arrival.was_closed {
                complain("it came after the end");
            }
            if !is_ordered || fails {
                complain("it should have been refused");
            }
            check_first(case, index, plan, arrival, *first, complain);
        }
        Reception::Closed | Reception::Unordered | Reception::NotStarted => {}
    }
}

/// A guest begins with what is published next, or with what is the oldest on the ring.
fn check_first(
    case: Case<'_>,
    index: usize,
    plan: &VisitPlan,
    arrival: &Arrival,
    first: u64,
    complain: &mut impl FnMut(&str),
) {
    let lap = case.plan.capacity as u64;
    let is_early = match plan.start {
        Start::Now => first < arrival.published,
        Start::Oldest => first + lap < arrival.published || first < case.plan.first,
    };
    if is_early || first > case.stream.end() {
        complain("it begins outside of what it may see");
    }
    let calls = case.evidence.ledgers.iter().flat_map(|ledger| &ledger.calls);
    for call in calls.filter(|call| call.arrivals >= arrival.arrivals) {
        if matches!(&call.answer, Answer::Accepted(range) if !range.is_empty() && range.start < first)
        {
            complain(&format!("it begins behind what was published after it came, {call:?}"));
        }
    }
    let Some((_, after)) = arrival.ticks.filter(|_| plan.start == Start::Oldest) else { return };
    // Those that were there, and stayed, have passed all that it has missed. Whose poller is told of a
    // halt drops it, and who comes then looks through it.
    let stays = |other: &usize| {
        let has_gone = case.is_halted() && case.plan.stations[*other].is_polled();
        !has_gone && case.departure(*other).is_none()
    };
    for other in (0..case.plan.stations.len()).filter(stays) {
        let log = &case.evidence.testimonies[other].log;
        let late =
            |entry: &Entry| entry.sequence < first && entry.tick.is_some_and(|tick| tick > after);
        let has_missed = case.passed(other) < case.missed(index);
        if has_missed || log.iter().any(late) {
            complain(&format!("it begins behind what {} had to see", case.name(other)));
        }
    }
}

fn check_departure(
    case: Case<'_>,
    index: usize,
    departure: &Departure,
    complain: &mut impl FnMut(&str),
) {
    let accepted = &case.stream.accepted;
    let due = accepted.partition_point(|accepted| accepted.sequence < departure.published);
    let limit = case.plan.everybody().nth(index).and_then(StationPlan::leaves_beyond);
    let has_left_early = limit.is_some_and(|limit| case.has_lagged_by_more_than(index, limit));
    let is_drained = case.is_halted() || case.passed(index) >= due;
    if departure.how == Some(Detach::Drained) && !is_drained && !has_left_early {
        complain("it was to drain, and has left something");
    }
    let Some(report) = &departure.report else { return };
    check_facts(case, index, &report.account, true, complain);
    let owed = case.owed(index);
    let published = report.account.due;
    let might_be = owed + case.stream.abandoned;
    // What many producers have published may lie behind something that one of them is still writing: it is nobody's
    // business yet, but what it has handled itself.
    let account = &report.account;
    let done = account.handled + account.skipped + account.conflated;
    let told = due.saturating_sub(case.missed(index)) as u64;
    let least = if case.plan.is_multi { done.min(told) } else { told };
    if departure.without_producers && published != owed {
        complain(&format!("it accounts for {published} events of {owed}"));
    } else if !(least..=might_be).contains(&published) {
        complain(&format!("it accounts for {published} events, of {least} to {might_be}"));
    }
}

/// Who has ended is accounted for exactly, and who has not as it stood.
pub fn check_facts(
    case: Case<'_>,
    index: usize,
    told: &StationAccount,
    has_ended: bool,
    complain: &mut impl FnMut(&str),
) {
    if !told.adds_up() {
        complain("due is not handled + skipped + conflated + left");
    }
    let course = &case.courses[index];
    let conflated = case.conflated(index).unwrap_or(0);
    let facts = [
        (told.conflated, conflated, "conflated"),
        (told.handled, course.handled, "handled"),
        (told.skipped, course.skipped, "skipped"),
        (told.retried, course.retried, "retried"),
    ];
    for (told, fact, what) in facts {
        if (has_ended && told != fact) || told > fact {
            complain(&format!("{what} {told} in the report, {fact} in fact"));
        }
    }
}

/// The report lists those who have not been seen off, and nobody else.
fn check_roll(case: Case<'_>, account: &Account, wrong: &mut Vec<String>) {
    let stations = case.plan.stations.len();
    let visits = || (stations..).zip(case.plan.visits().zip(&case.evidence.visits));
    for told in &account.guests {
        let guests = visits().filter(|(_, (plan, _))| plan.guest.name == told.name);
        let of_guest = |(index, (plan, visit)): (usize, (&VisitPlan, &Visit))| {
            account_complaints(case, account, told, index, plan, visit)
        };
        // Guests that come one after the other may have the same name.
        let all: Vec<Vec<String>> = guests.map(of_guest).collect();
        if !all.iter().any(Vec::is_empty) {
            wrong.push(format!("{}: {:?}: {told:?}", told.name, all.concat()));
        }
    }
    for (index, (plan, visit)) in visits() {
        let stays = visit
            .departure
            .as_ref()
            .is_none_or(|gone| gone.acts.0 == Act::After && gone.how.is_some());
        let was_early = visit.arrival.as_ref().is_some_and(|arrival| arrival.act == Act::Before);
        let is_told = |told: &GuestAccount| {
            told.name == plan.guest.name && Some(told.first) == case.first(index)
        };
        let told = account.guests.iter().filter(|told| is_told(told)).count();
        // One that has left by its lag limit, and for whose report nobody will ask, has given its seat back.
        let may_be_gone =
            matches!(plan.stay, Stay::Forgotten) && plan.guest.leaves_beyond().is_some();
        let is_missing = told != 1 && !(told == 0 && may_be_gone);
        if case.first(index).is_some() && was_early && stays && is_missing {
            wrong.push(format!("{}: it is in the report {told} times", plan.guest.name));
        }
    }
}

/// Why an account in the report cannot be that of a visit.
fn account_complaints(
    case: Case<'_>,
    account: &Account,
    told: &GuestAccount,
    index: usize,
    plan: &VisitPlan,
    visit: &Visit,
) -> Vec<String> {
    let mut all = Vec::new();
    if case.first(index) != Some(told.first) {
        return vec![format!("its first is {:?}", case.first(index))];
    }
    if visit.departure.as_ref().is_some_and(|gone| gone.acts.1 == Act::Before) {
        all.push("it had left".to_owned());
    }
    let runs = |running: &Vec<String>| running.contains(&plan.guest.name);
    let has_ended = !matches!(plan.stay, Stay::Polled)
        && !matches!(&case.evidence.ending.cause, Cause::TimedOut(running) if runs(running));
    check_facts(case, index, &told.account, has_ended, &mut |complaint| {
        all.push(complaint.to_owned());
    });
    let owed = case.owed(index);
    // What is being written may be abandoned yet.
    let might_be = owed + case.stream.abandoned.saturating_sub(account.abandoned);
    let published = told.account.due;
    if !(owed..=might_be).contains(&published) {
        all.push(format!("it accounts for {published} events, of {owed} to {might_be}"));
    }
    if case.is_complete(index) && has_ended && told.account.left != 0 {
        all.push("the ring drained, but something is left".to_owned());
    }
    all
}
