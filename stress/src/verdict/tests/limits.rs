//! Sound rounds with stations that may not lag and pollers that skip ahead, doctored.

use slipring::{LagPolicy, Phase};

use super::*;
use crate::{
    evidence::{Look, Sighting, Skip},
    plan::Limit,
};

/// Somebody looks at the ring in the end.
fn look(evidence: &mut Evidence) {
    let account = account(evidence).clone();
    let sighting = |(index, account): (usize, &StationAccount)| Sighting {
        name: format!("s{index}"),
        first: FIRST,
        position: 105,
        late: 0,
        account: *account,
    };
    evidence.last_look = Some(Look {
        phase: Phase::Closed,
        producers: (0, 0),
        published: account.published,
        abandoned: account.abandoned,
        stations: account.stations.iter().enumerate().map(sighting).collect(),
        guests: Vec::new(),
    });
}

fn seen(evidence: &mut Evidence) -> &mut Sighting {
    &mut evidence.last_look.as_mut().expect("somebody looked").stations[1]
}

/// `s1` keeps two sequences only, and passes 100 and 101 unhandled.
fn skip_ahead(plan: &mut Plan, evidence: &mut Evidence) {
    plan.stations[1].limit = Some(Limit { events: 2, policy: LagPolicy::SkipAhead });
    evidence.testimonies[1].log.drain(..2);
    let told = &mut account(evidence).stations[1];
    (told.handled, told.conflated) = (2, 2);
    look(evidence);
    seen(evidence).late = 1;
}

/// `s0` has seen 100 and 101 when it finds that it lags by three sequences, and leaves.
fn leave(plan: &mut Plan, evidence: &mut Evidence) {
    plan.stations[0].limit = Some(Limit { events: 2, policy: LagPolicy::Detach });
    evidence.testimonies[0].log.truncate(2);
    for entry in &mut evidence.testimonies[1].log[2..] {
        (entry.stamp.trace, entry.left) = (0, 0);
    }
    for cleared in &mut evidence.cleared[3..] {
        cleared.stamp.trace = 0;
    }
    account(evidence).stations[0] = told(2, 0, 2);
    look(evidence);
    let seen = &mut evidence.last_look.as_mut().expect("somebody looked").stations[0];
    (seen.late, seen.position) = (1, 102);
}

/// `s1` is polled, and passes 101 to 103 unhandled.
fn poll(plan: &mut Plan, evidence: &mut Evidence) {
    let polled = PollerPlan { seed: 0, leaves_after: None, panics: false, skips: true, task: None };
    plan.stations[1].driver = Driver::Poller(polled);
    let testimony = &mut evidence.testimonies[1];
    testimony.log.drain(1..3);
    testimony.skips = vec![Skip { range: 101..104, events: 2 }];
    (testimony.end, testimony.position) = (End::Closed, Some(105));
    let told = &mut account(evidence).stations[1];
    (told.handled, told.conflated) = (2, 2);
    look(evidence);
}

fn after(
    before: fn(&mut Plan, &mut Evidence),
    change: impl FnOnce(&mut Plan, &mut Evidence),
) -> impl FnOnce(&mut Plan, &mut Evidence) {
    move |plan: &mut Plan, evidence: &mut Evidence| {
        before(plan, evidence);
        change(plan, evidence);
    }
}

#[test]
fn sound_rounds_pass() {
    assert_eq!(doctored(skip_ahead), "");
    assert_eq!(doctored(leave), "");
    assert_eq!(doctored(poll), "");
    assert_eq!(doctored(|_, evidence| look(evidence)), "");
}

#[test]
fn events_that_were_passed_and_not_counted() {
    assert_noticed(
        "s1: it lacks 2 events and says 1",
        after(skip_ahead, |_, evidence| seen(evidence).account.conflated = 1),
    );
    // The newest two it keeps.
    assert_noticed(
        "s1: the ring drained, but it never came to sequence 104",
        after(skip_ahead, |_, evidence| {
            evidence.testimonies[1].log.pop();
        }),
    );
    assert_noticed(
        "s1: it has sequence 104 where 103 is next",
        after(skip_ahead, |_, evidence| {
            evidence.testimonies[1].log.remove(0);
            seen(evidence).account.conflated = 3;
        }),
    );
    assert_noticed(
        "s1: conflated 1 in the report, 2 in fact",
        after(skip_ahead, |_, evidence| account(evidence).stations[1].conflated = 1),
    );
    assert_noticed(
        "s1: it has passed 2 events unhandled, and was told",
        after(poll, |_, evidence| evidence.testimonies[1].skips[0].events = 3),
    );
    assert_noticed(
        "s1: it has sequence 104 where 101 is next",
        after(poll, |_, evidence| evidence.testimonies[1].skips.clear()),
    );
    assert_noticed(
        "s0: conflated 1 in the report, 0 in fact",
        after(skip_ahead, |_, evidence| account(evidence).stations[0].conflated = 1),
    );
}

#[test]
fn who_left_by_no_limit() {
    assert_noticed(
        "s0: the ring drained, but it never came to sequence 103",
        after(leave, |plan, _| plan.stations[0].limit = None),
    );
    assert_noticed(
        "s0: it was late, and cannot have lagged by more than its limit",
        after(leave, |plan, _| {
            plan.stations[0].limit = Some(Limit { events: 3, policy: LagPolicy::Detach });
        }),
    );
    assert_noticed(
        "s1: it was late, and has no limit",
        after(leave, |_, evidence| seen(evidence).late = 1),
    );
    assert_noticed(
        "s1: it has skipped ahead without being late",
        after(skip_ahead, |_, evidence| seen(evidence).late = 0),
    );
    // Who follows it lacks nothing.
    assert_noticed(
        "s1: the ring drained, but it never came to sequence 104",
        after(leave, |_, evidence| {
            evidence.testimonies[1].log.pop();
        }),
    );
}

#[test]
fn last_looks_that_say_something_else() {
    assert_noticed("nobody has looked", |plan, _| plan.watch = Some(Duration::ZERO));
    assert_noticed(
        "s1: the last look does not account for 4 events",
        after(|_, evidence| look(evidence), |_, evidence| seen(evidence).account.due = 3),
    );
    assert_noticed(
        "s1: in the end it stands behind 2 events, and has passed 4",
        after(|_, evidence| look(evidence), |_, evidence| seen(evidence).position = 103),
    );
    assert_noticed(
        "s1: StationAccount",
        after(
            |_, evidence| look(evidence),
            |_, evidence| {
                let account = &mut seen(evidence).account;
                (account.handled, account.left) = (3, 1);
            },
        ),
    );
    let ring = |change: fn(&mut Look)| {
        move |_: &mut Plan, evidence: &mut Evidence| {
            look(evidence);
            change(evidence.last_look.as_mut().expect("somebody looked"));
        }
    };
    assert_noticed("in the end it is Open", ring(|look| look.phase = Phase::Open));
    assert_noticed("in the end it is Halted", ring(|look| look.phase = Phase::Halted));
    assert_noticed("with producers (1, 0)", ring(|look| look.producers.0 = 1));
    assert_noticed(
        "published 5 and abandoned 1 in the last look, 4 and 1 in fact",
        ring(|look| look.published = 5),
    );
}
