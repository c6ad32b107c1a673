//! Whether the last look at the ring, when nobody uses it any more, says what happened; and how
//! those come off that may not lag.

use slipring::{LagPolicy, Phase};

use super::{Case, guests};
use crate::{
    evidence::{Account, Cause, Look, Sighting},
    plan::Driver,
};

pub fn check(case: Case<'_>, wrong: &mut Vec<String>) {
    let Some(look) = &case.evidence.last_look else {
        if case.plan.has_last_look() {
            wrong.push("nobody has looked at the ring in the end".to_owned());
        }
        return;
    };
    check_ring(case, look, wrong);
    for index in 0..case.courses.len() {
        let Some(seen) = case.sighting(index) else {
            if case.visit(index).is_none() {
                wrong.push(format!("{}: it is not there in the end", case.name(index)));
            }
            continue;
        };
        let mut complain =
            |complaint: &str| wrong.push(format!("{}: {complaint}: {seen:?}", case.name(index)));
        check_sighting(case, index, seen, &mut complain);
        check_limit(case, index, seen, &mut complain);
    }
    if let Some(account) = &case.evidence.ending.account {
        check_report(case, look, account, wrong);
    }
}

/// Nobody writes any more: it is exact.
fn check_ring(case: Case<'_>, look: &Look, wrong: &mut Vec<String>) {
    let (published, abandoned) = (case.stream.accepted.len() as u64, case.stream.abandoned);
    if (look.published, look.abandoned) != (published, abandoned) {
        wrong.push(format!(
            "published {} and abandoned {} in the last look, {published} and {abandoned} in fact",
            look.published, look.abandoned
        ));
    }
    let is_over = look.phase == Phase::Closed || (look.phase == Phase::Halted && case.is_halted());
    if !is_over || look.producers != (0, 0) {
        let (phase, producers) = (look.phase, look.producers);
        wrong.push(format!("in the end it is {phase:?}, with producers {producers:?}"));
    }
}

fn check_sighting(case: Case<'_>, index: usize, seen: &Sighting, complain: &mut impl FnMut(&str)) {
    guests::check_facts(case, index, &seen.account, true, complain);
    let owed = case.owed(index);
    if seen.account.due != owed || !seen.account.adds_up() {
        complain(&format!("the last look does not account for {owed} events"));
    }
    let accepted = &case.stream.accepted;
    let passed = accepted.partition_point(|accepted| accepted.sequence < seen.position);
    // A guest of a ring whose events are all before it has passed none of its own.
    if case.plan.everybody().nth(index).is_some_and(|plan| plan.workers() == 1)
        && passed != case.passed(index)
    {
        let count = case.passed(index);
        complain(&format!("in the end it stands behind {passed} events, and has passed {count}"));
    }
}

/// It was late if it says so, and does what it is to do then.
fn check_limit(case: Case<'_>, index: usize, seen: &Sighting, complain: &mut impl FnMut(&str)) {
    let Some(plan) = case.plan.everybody().nth(index) else { return };
    let Some(limit) = plan.limit else {
        if seen.late > 0 {
            complain("it was late, and has no limit");
        }
        return;
    };
    if seen.late > 0 && !case.has_lagged_by_more_than(index, limit.events) {
        complain("it was late, and cannot have lagged by more than its limit");
    }
    match limit.policy {
        LagPolicy::Detach if seen.late > 1 => complain("it was late again after it had left"),
        LagPolicy::SkipAhead if seen.late == 0 && seen.account.conflated > 0 => {
            complain("it has skipped ahead without being late");
        }
        LagPolicy::Alert | LagPolicy::Detach | LagPolicy::SkipAhead => {}
    }
}

/// The report says the same of those that had ended.
fn check_report(case: Case<'_>, look: &Look, account: &Account, wrong: &mut Vec<String>) {
    let is_final = (look.published, look.abandoned) == (account.published, account.abandoned);
    if !is_final {
        // Producers were still at it: `accounts` has checked whether that may be.
        return;
    }
    let ending = &case.evidence.ending;
    let still_runs = |name: &String| match &ending.cause {
        Cause::TimedOut(running) => running.contains(name),
        _ => false,
    };
    for (index, (seen, told)) in look.stations.iter().zip(&account.stations).enumerate() {
        let is_polled = matches!(case.plan.stations[index].driver, Driver::Poller(_));
        let had_ended = !still_runs(&seen.name) && (!is_polled || ending.without_pollers[index]);
        if had_ended && seen.account != *told {
            wrong.push(format!("{}: {told:?} in the report: {seen:?}", seen.name));
        }
    }
}
