//! Whether the report adds up and says what happened, and whether faults are told as they were.

use super::{Case, guests};
use crate::{
    evidence::{Account, Cause, End, FaultSeen, ON_PURPOSE, StationAccount},
    plan::{AMPLE, Driver, Hook, StationPlan, Way},
};

pub fn check(case: Case<'_>, wrong: &mut Vec<String>) {
    if let Some(account) = &case.evidence.ending.account {
        check_totals(case, account, wrong);
        for (index, station) in account.stations.iter().enumerate() {
            let name = &case.plan.stations[index].name;
            let mut complain =
                |complaint: &str| wrong.push(format!("{name}: {complaint}: {station:?}"));
            if station.due != account.published || !station.adds_up() {
                complain("published is not handled + skipped + conflated + left");
            }
            check_station(case, index, station, &mut complain);
        }
    }
    check_ending(case, wrong);
    check_faults(case, wrong);
}

/// The events and the gaps together are always right; which is which only when nobody writes any
/// more.
fn check_totals(case: Case<'_>, account: &Account, wrong: &mut Vec<String>) {
    let (published, abandoned) = (case.stream.accepted.len() as u64, case.stream.abandoned);
    let Account { published: told, abandoned: told_abandoned, .. } = *account;
    if told + told_abandoned != published + abandoned || told_abandoned > abandoned {
        wrong.push(format!(
            "published {told} and abandoned {told_abandoned} in the report, {published} and \
             {abandoned} in fact"
        ));
    }
    let ending = &case.evidence.ending;
    let stays =
        |(index, plan): (usize, &StationPlan)| !plan.is_polled() && case.departure(index).is_none();
    // A thread that has drained the ring has seen every claim published or given up.
    let is_drained = ending.cause == Cause::Drained
        && !case.is_halted()
        && case.plan.stations.iter().enumerate().any(stays);
    if (is_drained || ending.without_producers) && told_abandoned != abandoned {
        wrong.push(format!("abandoned {told_abandoned} in the report, {abandoned} in fact"));
    }
}

/// A station that has ended is accounted for exactly, one that has not as it stood.
fn check_station(
    case: Case<'_>,
    index: usize,
    told: &StationAccount,
    complain: &mut impl FnMut(&str),
) {
    let plan = &case.plan.stations[index];
    let ending = &case.evidence.ending;
    let has_ended = match &plan.driver {
        Driver::Thread(_) | Driver::Team(_) => {
            !matches!(&ending.cause, Cause::TimedOut(running) if running.contains(&plan.name))
        }
        Driver::Poller(_) => ending.without_pollers[index],
        Driver::Untaken => true,
    };
    guests::check_facts(case, index, told, has_ended, complain);
    if case.is_complete(index) && has_ended && told.left != 0 {
        complain("the ring drained, but something is left");
    }
}

fn check_ending(case: Case<'_>, wrong: &mut Vec<String>) {
    let ended_by = &case.evidence.ending.cause;
    let has_little_time = matches!(case.plan.finale.way, Way::Shutdown(time) if time < AMPLE);
    // After a halt, a handler that is slow to return is out of time as well.
    if matches!(ended_by, Cause::TimedOut(_)) && !has_little_time && case.evidence.halts == 0 {
        wrong.push("the time was up where there was enough".to_owned());
    }
    let is_told = matches!(ended_by, Cause::Fault(_) | Cause::Dropped { .. });
    for (index, testimony) in case.evidence.testimonies.iter().enumerate() {
        let name = case.name(index);
        let is_it = |running: &String| running == name;
        let running = matches!(ended_by, Cause::TimedOut(running) if running.iter().any(is_it));
        let halts = case.courses[index].halts();
        if halts && testimony.end == End::Thread && !is_told && !running {
            wrong.push(format!("{name}: it halted the ring, and nobody was told of a fault"));
        }
        if halts && testimony.end != End::Thread && testimony.fault.is_none() {
            wrong.push(format!("{name}: its poller halted the ring and was not told"));
        }
        if testimony.end == End::Closed && testimony.fault.is_some() {
            wrong.push(format!("{name}: closed with a fault"));
        }
    }
}

/// All are told of the same fault, and somebody did fail in this way.
fn check_faults(case: Case<'_>, wrong: &mut Vec<String>) {
    let evidence = case.evidence;
    let ended = match &evidence.ending.cause {
        Cause::Fault(fault) => Some(fault),
        _ => None,
    };
    let polled = evidence.testimonies.iter().filter_map(|testimony| testimony.fault.as_ref());
    let published = evidence.ledgers.iter().filter_map(|ledger| ledger.fault.as_ref());
    let mut faults = ended.into_iter().chain(polled).chain(published);
    let Some(fault) = faults.next() else { return };
    if let Some(other) = faults.find(|other| *other != fault) {
        wrong.push(format!("two faults are told: {fault:?} and {other:?}"));
    }
    if !is_justified(case, fault) {
        wrong.push(format!("nobody failed like this: {fault:?}"));
    }
}

fn is_justified(case: Case<'_>, fault: &FaultSeen) -> bool {
    if fault.message != ON_PURPOSE {
        return false;
    }
    if fault.station == "reset hook" {
        let at = case.evidence.cleared.len() as u64 + case.plan.first;
        return case.evidence.reset_panicked && fault.is_panic && fault.sequence + 1 == at;
    }
    let mut everybody = case.plan.everybody().enumerate();
    // Guests that come one after the other may have the same name.
    everybody
        .any(|(index, plan)| plan.name == fault.station && has_failed(case, index, plan, fault))
}

fn has_failed(case: Case<'_>, index: usize, plan: &StationPlan, fault: &FaultSeen) -> bool {
    let failed = case.courses[index].halts_at.contains(&fault.sequence)
        && plan.failing.is_some_and(|failing| failing.panics == fault.is_panic);
    let hook = case.evidence.testimonies[index].hook_panicked;
    let key = index < case.plan.stations.len()
        && case.key_panicked(index)
        && case.evidence.asked[index].last().is_some_and(|asked| {
            let at = case.stream.find(fault.sequence);
            at.is_some_and(|at| {
                (at.producer, at.number) == (asked.stamp.producer, asked.stamp.number)
            })
        });
    failed || (fault.is_panic && (key || hook.is_some_and(|hook| hook != Hook::Start)))
}
