//! A sound round, and what is said of it when it is doctored.

mod guests;
mod limits;
mod tasks;
mod teams;

use std::time::Duration;

use slipring::{Policy, Wait};

use super::complaints;
use crate::{
    event::{Count, Stamp, passed},
    evidence::{
        Account, Answer, Call, Cause, Cleared, End, Ending, Entry, Evidence, FaultSeen, Ledger,
        Manner, ON_PURPOSE, Outcome, Refusal, StationAccount, Testimony,
    },
    plan::{
        Awaits, Cargo, Driver, Failing, Finale, Form, Placing, Plan, PollerPlan, ResetPlan,
        StagePlan, StationPlan, Way,
    },
};

const FIRST: u64 = 100;

/// Two stations in a row, `s0` that changes events and `s1` that reads them, and a reset hook.
fn plan() -> Plan {
    let station = |index: usize| StationPlan {
        name: format!("s{index}"),
        mutates: index == 0,
        driver: Driver::Thread(Form::Each),
        wait: None,
        policy: Policy::retry(1).or_skip(),
        limit: None,
        max_batch: None,
        idle_after: None,
        failing: None,
        hook_panic: None,
        release: 0,
        pause: 0,
    };
    Plan {
        seed: 0,
        capacity: 2,
        first: FIRST,
        cargo: Cargo::Copied,
        wait: Wait::Block,
        producer_wait: None,
        is_multi: true,
        producers: Vec::new(),
        stations: vec![station(0), station(1)],
        stages: (0..2)
            .map(|index| StagePlan { placing: Placing::Then, stations: vec![index] })
            .collect(),
        reset: Some(ResetPlan { panics_at: None }),
        has_clock: true,
        watch: None,
        visitors: Vec::new(),
        executors: Vec::new(),
        troubles: Vec::new(),
        finale: Finale {
            after: Duration::ZERO,
            awaits: Awaits::Producers,
            way: Way::Join,
            elsewhere: false,
        },
    }
}

/// Four events of one producer, at 100, 101, 103 and 104: the write of 102 has panicked. `s0` has
/// skipped 103 after two attempts. The last event is refused.
fn evidence() -> Evidence {
    let sequences = [100, 101, 103, 104];
    let call = |number: u32, answer: Answer| {
        let refused = matches!(answer, Answer::Refused(_));
        let tick = u64::from(number) * 10;
        Call {
            number,
            count: 1,
            manner: Manner::Waiting,
            was_closed: refused,
            arrivals: 0,
            written: usize::from(!refused),
            ticks: (!refused).then_some((tick, tick)),
            answer,
        }
    };
    let mut calls: Vec<Call> = (100..105)
        .map(|sequence| {
            let answer = match sequence {
                102 => Answer::Panicked,
                _ => Answer::Accepted(sequence..sequence + 1),
            };
            call((sequence - FIRST) as u32, answer)
        })
        .collect();
    calls.push(call(5, Answer::Refused(Refusal::Ended)));
    let changed = |sequence| if sequence == 103 { 0 } else { passed(0, 0) };
    let first_log = [100, 101, 103, 103, 104].into_iter().zip([1, 2, 3, 4, 5]);
    let first_log = first_log.map(|(sequence, delay)| {
        let left = changed(sequence);
        let outcome = if sequence == 103 { Outcome::Failed } else { Outcome::Done };
        entry(sequence, 0, left, outcome, delay)
    });
    let second_log = sequences.map(|sequence| {
        let trace = changed(sequence);
        entry(sequence, trace, trace, Outcome::Done, 6)
    });
    let cleared = (100..105).map(|sequence| Cleared {
        stamp: stamp(sequence, changed(sequence)),
        tick: Some(tick(sequence, 7)),
    });
    let stations = vec![StationAccount { handled: 3, skipped: 1, ..told(4, 1, 0) }, told(4, 0, 0)];
    Evidence {
        ledgers: vec![Ledger { calls, ..Ledger::default() }],
        testimonies: vec![
            Testimony { log: first_log.collect(), ..Testimony::default() },
            Testimony { log: second_log.into(), ..Testimony::default() },
        ],
        asked: vec![Vec::new(); 2],
        visits: Vec::new(),
        cleared: cleared.collect(),
        reset_panicked: false,
        closes: 0,
        halts: 0,
        ending: Ending {
            cause: Cause::Drained,
            account: Some(Account { published: 4, abandoned: 1, stations, guests: Vec::new() }),
            without_producers: true,
            without_pollers: vec![false; 2],
        },
        scope: None,
        last_look: None,
        looks: 0,
        count: Count::default(),
        complaints: Vec::new(),
    }
}

fn told(handled: u64, retried: u64, left: u64) -> StationAccount {
    let due = handled + left;
    StationAccount { due, handled, retried, left, ..StationAccount::default() }
}

fn stamp(sequence: u64, trace: u64) -> Stamp {
    let mut stamp = Stamp::new(0, (sequence - FIRST) as u32);
    stamp.trace = trace;
    stamp
}

/// Each event has ten ticks, beginning with its writing.
fn tick(sequence: u64, delay: u64) -> u64 {
    (sequence - FIRST) * 10 + delay
}

fn entry(sequence: u64, found: u64, left: u64, outcome: Outcome, delay: u64) -> Entry {
    Entry {
        worker: 0,
        sequence,
        unit: sequence,
        stamp: stamp(sequence, found),
        is_whole: true,
        left,
        outcome,
        tick: Some(tick(sequence, delay)),
    }
}

/// What is said of the round after `change` has been at it.
fn doctored(change: impl FnOnce(&mut Plan, &mut Evidence)) -> String {
    let (mut plan, mut evidence) = (plan(), evidence());
    change(&mut plan, &mut evidence);
    complaints(&plan, &evidence).join("\n")
}

#[track_caller]
fn assert_noticed(expected: &str, change: impl FnOnce(&mut Plan, &mut Evidence)) {
    let said = doctored(change);
    assert!(said.contains(expected), "expected `{expected}` in:\n{said}");
}

fn account(evidence: &mut Evidence) -> &mut Account {
    evidence.ending.account.as_mut().expect("the round has one")
}

fn fault(station: &str, sequence: u64) -> FaultSeen {
    let message = ON_PURPOSE.to_owned();
    FaultSeen { station: station.to_owned(), sequence, is_panic: true, message }
}

#[test]
fn a_sound_round_passes() {
    assert_eq!(doctored(|_, _| ()), "");
}

#[test]
fn lost_events() {
    assert_noticed("s1: it has sequence 103 where 101 is next", |_, evidence| {
        evidence.testimonies[1].log.remove(1);
    });
    assert_noticed("s1: the ring drained, but it never came to sequence 104", |_, evidence| {
        evidence.testimonies[1].log.pop();
    });
    assert_noticed("s0: it has sequence 104 where 103 is next", |_, evidence| {
        evidence.testimonies[0].log.drain(2..4);
    });
}

#[test]
fn a_prefix_is_enough_for_a_halted_ring() {
    let said = doctored(|_, evidence| {
        evidence.halts = 1;
        evidence.testimonies[1].log.pop();
        evidence.cleared.pop();
        let told = account(evidence);
        (told.stations[1].handled, told.stations[1].left) = (3, 1);
    });
    assert_eq!(said, "");
}

#[test]
fn events_seen_twice_or_out_of_order() {
    assert_noticed("s1: it has sequence 101 where 103 is next", |_, evidence| {
        let twice = evidence.testimonies[1].log[1];
        evidence.testimonies[1].log.insert(2, twice);
    });
    assert_noticed("s1: it has sequence 101 where 100 is next", |_, evidence| {
        evidence.testimonies[1].log.swap(0, 1);
    });
}

#[test]
fn events_that_nobody_published() {
    let unpublished = "s1: it was given an event that nobody published";
    assert_noticed(unpublished, |_, evidence| {
        // Abandoned.
        evidence.testimonies[1].log.insert(2, entry(102, 0, 0, Outcome::Done, 6));
    });
    assert_noticed(unpublished, |_, evidence| {
        // Refused.
        evidence.testimonies[1].log.push(entry(105, 0, 0, Outcome::Done, 6));
    });
}

#[test]
fn other_contents() {
    let other = "s1: it was given another content";
    assert_noticed(other, |_, evidence| {
        evidence.testimonies[1].log[1].stamp.number = 3;
    });
    assert_noticed(other, |_, evidence| {
        evidence.testimonies[1].log[1].is_whole = false;
    });
    assert_noticed("s1: the trace is not", |_, evidence| {
        let seen = &mut evidence.testimonies[1].log[1];
        (seen.stamp.trace, seen.left) = (0, 0);
    });
    assert_noticed("s1: it left another trace than its own", |_, evidence| {
        evidence.testimonies[1].log[1].left = 5;
    });
    assert_noticed("s0: the trace is not", |_, evidence| {
        // The second attempt does not find what the first one left.
        evidence.testimonies[0].log[2].left = passed(0, 0);
    });
}

#[test]
fn followers_ahead() {
    assert_noticed("s1: it has seen 4 events, those before it only 3", |_, evidence| {
        evidence.halts = 1;
        evidence.testimonies[0].log.pop();
    });
    assert_noticed("s1: ahead of those before it", |_, evidence| {
        evidence.testimonies[1].log[0].tick = Some(tick(100, 0) + 1);
        evidence.testimonies[0].log[0].tick = Some(tick(100, 0) + 2);
    });
    assert_noticed("s0: it was given an event before it was published", |_, evidence| {
        evidence.testimonies[0].log[1].tick = Some(tick(101, 0) - 1);
    });
    assert_noticed("s1: written to while it was read", |_, evidence| {
        evidence.testimonies[1].log[1].tick = Some(tick(103, 0) + 1);
    });
}

#[test]
fn a_poller_that_left_is_looked_through() {
    let leave = |plan: &mut Plan, evidence: &mut Evidence| {
        let polled =
            PollerPlan { seed: 0, leaves_after: Some(4), panics: false, skips: false, task: None };
        plan.stations[0].driver = Driver::Poller(polled);
        let testimony = &mut evidence.testimonies[0];
        testimony.log.pop();
        (testimony.end, testimony.position) = (End::Left, Some(104));
        let seen = &mut evidence.testimonies[1].log[3];
        (seen.stamp.trace, seen.left) = (0, 0);
        evidence.cleared[4].stamp.trace = 0;
        let told = account(evidence);
        (told.stations[0].handled, told.stations[0].left) = (2, 1);
    };
    assert_eq!(doctored(leave), "");
    assert_noticed("s0: it stands at 105, after 3 of 4 events", |plan, evidence| {
        leave(plan, evidence);
        evidence.testimonies[0].position = Some(105);
    });
    assert_noticed("s0: handled 3 in the report, 2 in fact", |plan, evidence| {
        leave(plan, evidence);
        let told = account(evidence);
        (told.stations[0].handled, told.stations[0].left) = (3, 0);
    });
}

#[test]
fn policies_not_kept() {
    assert_noticed("s0: 104 follows a failure at 103 that is not settled", |_, evidence| {
        evidence.testimonies[0].log.remove(3);
    });
    assert_noticed("s0: it goes on after it has failed for good", |plan, _| {
        plan.stations[0].policy = Policy::retry(1);
    });
    assert_noticed("s0: its last failure is not settled", |_, evidence| {
        evidence.testimonies[0].log.truncate(3);
    });
    assert_noticed("a call is not of one piece", |_, evidence| {
        evidence.testimonies[0].log[1].unit = 100;
        evidence.testimonies[0].log[1].outcome = Outcome::Failed;
    });
}

#[test]
fn producers_told_wrong() {
    let at = |answer: Answer| {
        move |_: &mut Plan, evidence: &mut Evidence| {
            evidence.ledgers[0].calls[1].answer = answer;
        }
    };
    assert_noticed("sequence 100 was given to two events", at(Answer::Accepted(100..101)));
    assert_noticed("out of order", at(Answer::Accepted(99..100)));
    assert_noticed("lies outside of 100..105", at(Answer::Accepted(105..106)));
    assert_noticed("not as many events", at(Answer::Accepted(101..103)));
    assert_noticed("refused after it was written", at(Answer::Refused(Refusal::Full)));
    assert_noticed("it should wait", at(Answer::Refused(Refusal::Full)).unwritten());
    assert_noticed("it has no time", at(Answer::Refused(Refusal::TimedOut)).unwritten());
    assert_noticed("a batch that would fit", at(Answer::Refused(Refusal::TooLarge)).unwritten());
    assert_noticed("a batch that cannot fit", |plan, _| plan.capacity = 0);
    assert_noticed("written after the end", |_, evidence| {
        evidence.ledgers[0].calls[4].was_closed = true;
    });
    assert_noticed("written after the end", |_, evidence| {
        let refused = evidence.ledgers[0].calls.remove(5);
        evidence.ledgers[0].calls.insert(0, refused);
    });
}

/// The same change, of a call whose write closure was not called.
trait Unwritten {
    fn unwritten(self) -> impl FnOnce(&mut Plan, &mut Evidence);
}

impl<F: FnOnce(&mut Plan, &mut Evidence)> Unwritten for F {
    fn unwritten(self) -> impl FnOnce(&mut Plan, &mut Evidence) {
        move |plan: &mut Plan, evidence: &mut Evidence| {
            self(plan, evidence);
            evidence.ledgers[0].calls[1].written = 0;
        }
    }
}

#[test]
fn reset_hooks_astray() {
    assert_noticed("reset hook: called 4 times for 5 slots used", |_, evidence| {
        evidence.cleared.pop();
    });
    assert_noticed("a slot that nobody used", |_, evidence| {
        evidence.cleared.push(evidence.cleared[4]);
    });
    assert_noticed("another content", |_, evidence| evidence.cleared.swap(3, 4));
    assert_noticed("not as the last station left it", |_, evidence| {
        evidence.cleared[3].stamp.trace = 1;
    });
    assert_noticed("before a station", |_, evidence| {
        evidence.cleared[1].tick = Some(tick(101, 5));
    });
    assert_noticed("reset hook: 4 events, of which s1 has passed 3", |_, evidence| {
        evidence.halts = 1;
        evidence.testimonies[1].log.pop();
    });
    assert_noticed("slots were reset without a hook", |plan, _| plan.reset = None);
    assert_noticed("called again after a panic", |plan, evidence| {
        plan.reset = Some(ResetPlan { panics_at: Some(2) });
        evidence.reset_panicked = true;
    });
}

#[test]
fn accounts_that_do_not_add_up() {
    assert_noticed("s1: published is not handled + skipped + conflated + left", |_, evidence| {
        account(evidence).stations[1].left = 1;
    });
    assert_noticed("s0: handled 4 in the report, 3 in fact", |_, evidence| {
        let told = &mut account(evidence).stations[0];
        (told.handled, told.skipped) = (4, 0);
    });
    assert_noticed("s0: retried 2 in the report, 1 in fact", |_, evidence| {
        account(evidence).stations[0].retried = 2;
    });
    assert_noticed("s1: the ring drained, but something is left", |_, evidence| {
        let told = &mut account(evidence).stations[1];
        (told.handled, told.left) = (3, 1);
    });
    assert_noticed("published 5 and abandoned 1 in the report, 4 and 1 in fact", |_, evidence| {
        account(evidence).published = 5;
    });
    assert_noticed("abandoned 0 in the report, 1 in fact", |_, evidence| {
        (account(evidence).published, account(evidence).abandoned) = (5, 0);
    });
    assert_noticed("not dropped exactly once", |_, evidence| evidence.count.made = 1);
}

#[test]
fn faults_told_wrong() {
    assert_noticed("nobody failed like this", |_, evidence| {
        evidence.ending.cause = Cause::Fault(fault("s0", 103));
    });
    let fail = |plan: &mut Plan, evidence: &mut Evidence| {
        plan.stations[0].policy = Policy::retry(1);
        plan.stations[0].failing =
            Some(Failing { period: 97, phase: 3, times: 9, panics: true, half_done: false });
        evidence.testimonies[0].log.pop();
        evidence.testimonies[1].log.truncate(2);
        evidence.cleared.truncate(3);
        evidence.ending.cause = Cause::Fault(fault("s0", 103));
        account(evidence).stations = vec![told(2, 1, 2), told(2, 0, 2)];
    };
    assert_eq!(doctored(fail), "");
    assert_noticed("nobody failed like this", |plan, evidence| {
        fail(plan, evidence);
        evidence.ending.cause = Cause::Fault(fault("s0", 104));
    });
    assert_noticed("two faults are told", |plan, evidence| {
        fail(plan, evidence);
        evidence.ledgers[0].fault = Some(fault("s1", 103));
    });
    assert_noticed("s0: it halted the ring, and nobody was told of a fault", |plan, evidence| {
        fail(plan, evidence);
        evidence.ending.cause = Cause::Drained;
    });
    assert_noticed("the time was up where there was enough", |_, evidence| {
        evidence.ending.cause = Cause::TimedOut(Vec::new());
    });
}

#[test]
fn what_was_found_on_the_spot_is_passed_on() {
    let said = doctored(|_, evidence| {
        evidence.complaints.push("one".to_owned());
        evidence.ledgers[0].complaints.push("two".to_owned());
        evidence.testimonies[1].complaints.push("three".to_owned());
    });
    assert_eq!(said, "one\ntwo\ns1: three");
}
