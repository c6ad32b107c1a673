//! Calls that await room, and scopes, doctored.

use super::*;
use crate::{evidence::ScopeLeft, plan::ScopeEnd};

/// Before 103 is published, a call of one event is given up while it is pending; the events behind it
/// have numbers that are higher by one.
fn give_up(evidence: &mut Evidence) {
    let calls = &mut evidence.ledgers[0].calls;
    let pending = Call {
        manner: Manner::Awaiting,
        written: 0,
        ticks: None,
        answer: Answer::GivenUp,
        ..calls[3].clone()
    };
    calls.insert(3, pending);
    for call in &mut calls[4..] {
        call.number += 1;
    }
    let later = |stamp: &mut Stamp| {
        let trace = stamp.trace;
        *stamp = Stamp::new(0, stamp.number + 1);
        stamp.trace = trace;
    };
    for entry in evidence.testimonies.iter_mut().flat_map(|testimony| &mut testimony.log) {
        if entry.sequence >= 103 {
            later(&mut entry.stamp);
        }
    }
    evidence.cleared[3..].iter_mut().for_each(|cleared| later(&mut cleared.stamp));
}

fn with_one_given_up(change: impl FnOnce(&mut Evidence)) -> impl FnOnce(&mut Plan, &mut Evidence) {
    |_, evidence| {
        give_up(evidence);
        change(evidence);
    }
}

#[test]
fn a_call_that_is_given_up_publishes_nothing() {
    assert_eq!(doctored(with_one_given_up(|_| ())), "");
    let other = "s1: it was given another content";
    assert_noticed(
        other,
        with_one_given_up(|evidence| {
            // It was published after all, and its successor was not.
            evidence.testimonies[1].log[2].stamp = Stamp::new(0, 3);
        }),
    );
    assert_noticed(
        "given up after it was written",
        with_one_given_up(|evidence| {
            evidence.ledgers[0].calls[3].written = 1;
        }),
    );
    assert_noticed(
        "it awaits room after the end",
        with_one_given_up(|evidence| {
            evidence.ledgers[0].calls[3].was_closed = true;
        }),
    );
    assert_noticed(
        "nobody awaits it",
        with_one_given_up(|evidence| {
            evidence.ledgers[0].calls[3].manner = Manner::Trying;
        }),
    );
    assert_noticed(
        "it should wait",
        with_one_given_up(|evidence| {
            evidence.ledgers[0].calls[3].answer = Answer::Refused(Refusal::Full);
        }),
    );
}

fn in_scope(change: impl FnOnce(&mut Evidence)) -> impl FnOnce(&mut Plan, &mut Evidence) {
    |plan, evidence| {
        plan.finale.way = Way::Scope(ScopeEnd::Returns);
        evidence.scope = Some(ScopeLeft { heard: vec![true; 2], borrowers: 0 });
        change(evidence);
    }
}

#[test]
fn scopes_that_end_too_early() {
    assert_eq!(doctored(in_scope(|_| ())), "");
    assert_noticed("nobody has looked", in_scope(|evidence| evidence.scope = None));
    let left = |borrowers, heard: &[bool]| {
        let heard = heard.to_vec();
        in_scope(move |evidence| evidence.scope = Some(ScopeLeft { heard, borrowers }))
    };
    assert_noticed("2 handlers still borrow from it", left(2, &[true; 2]));
    assert_noticed("s1: the scope is over", left(0, &[true, false]));
    let polled = |plan: &mut Plan, evidence: &mut Evidence| {
        left(0, &[true, false])(plan, evidence);
        plan.stations[1].driver = Driver::Untaken;
        evidence.testimonies[1].end = End::Closed;
    };
    assert_eq!(doctored(polled), "", "who polls answers for itself");
}
