//! A sound round to which a guest comes, doctored.

use slipring::{Detach, Start};

use super::*;
use crate::{
    evidence::{Act, Arrival, Departure, GuestAccount, Reception, Visit},
    plan::{Behind, Stay, VisitPlan},
};

/// A guest `g` comes before 103 is published, and stays.
fn attach(plan: &mut Plan, evidence: &mut Evidence) {
    let guest = StationPlan { name: "g".to_owned(), mutates: false, ..plan.stations[1].clone() };
    plan.visitors = vec![vec![VisitPlan {
        guest,
        after: Duration::ZERO,
        start: Start::Now,
        behind: Behind::Last,
        stay: Stay::Forgotten,
        has_twin: false,
    }]];
    let seen = evidence.testimonies[1].log[2..].to_vec();
    evidence.testimonies.push(Testimony { log: seen, ..Testimony::default() });
    for call in &mut evidence.ledgers[0].calls {
        call.arrivals = u64::from(call.number >= 3);
    }
    let arrival = Arrival {
        was_closed: false,
        may_be_closed: false,
        published: 102,
        ticks: Some((tick(102, 1), tick(102, 2))),
        arrivals: 1,
        act: Act::Before,
        answer: Reception::Welcome(103),
    };
    evidence.visits = vec![Visit { arrival: Some(arrival), ..Visit::default() }];
    let told = told(2, 0, 0);
    account(evidence).guests =
        vec![GuestAccount { name: "g".to_owned(), first: 103, account: told }];
}

/// It is told to leave at once when it has seen 103, and 104 is published.
fn leave(plan: &mut Plan, evidence: &mut Evidence) {
    attach(plan, evidence);
    plan.visitors[0][0].stay = Stay::For { time: Duration::ZERO, how: Detach::AtOnce, pause: None };
    evidence.testimonies[2].log.pop();
    let mut report = account(evidence).guests.remove(0);
    (report.account.handled, report.account.left) = (1, 1);
    evidence.visits[0].departure = Some(Departure {
        how: Some(Detach::AtOnce),
        published: 104,
        tick: Some(tick(104, 1)),
        acts: (Act::Before, Act::Before),
        without_producers: false,
        report: Some(report),
    });
}

/// As the round is with the guest, after `change` has been at it.
fn with_guest(
    change: impl FnOnce(&mut Plan, &mut Evidence),
) -> impl FnOnce(&mut Plan, &mut Evidence) {
    move |plan: &mut Plan, evidence: &mut Evidence| {
        attach(plan, evidence);
        change(plan, evidence);
    }
}

fn arrival(evidence: &mut Evidence) -> &mut Arrival {
    evidence.visits[0].arrival.as_mut().expect("it comes")
}

fn departure(evidence: &mut Evidence) -> &mut Departure {
    evidence.visits[0].departure.as_mut().expect("it leaves")
}

/// It comes when `first` is next, and sees nothing before the ring is halted.
fn idle(first: u64) -> impl FnOnce(&mut Plan, &mut Evidence) {
    with_guest(move |_, evidence| {
        evidence.halts = 1;
        evidence.testimonies[2].log.clear();
        let arrival = arrival(evidence);
        (arrival.published, arrival.answer) = (first, Reception::Welcome(first));
    })
}

#[test]
fn a_sound_guest_passes() {
    assert_eq!(doctored(attach), "");
    assert_eq!(doctored(leave), "");
}

#[test]
fn histories_with_another_beginning_or_a_gap() {
    assert_noticed(
        "g: it has sequence 104 where 103 is next",
        with_guest(|_, evidence| {
            evidence.testimonies[2].log.remove(0);
        }),
    );
    assert_noticed(
        "g: it has sequence 101 where 103 is next",
        with_guest(|_, evidence| {
            let early = evidence.testimonies[1].log[1];
            evidence.testimonies[2].log.insert(0, early);
        }),
    );
    assert_noticed(
        "g: it has sequence 103 where 104 is next",
        with_guest(|_, evidence| {
            let twice = evidence.testimonies[2].log[0];
            evidence.testimonies[2].log.insert(0, twice);
        }),
    );
    assert_noticed(
        "g: the ring drained, but it never came to sequence 104",
        with_guest(|_, evidence| {
            evidence.testimonies[2].log.pop();
        }),
    );
    assert_noticed(
        "g: the trace is not",
        with_guest(|_, evidence| {
            let seen = &mut evidence.testimonies[2].log[1];
            (seen.stamp.trace, seen.left) = (0, 0);
        }),
    );
    assert_noticed(
        "g: it has seen 4 events, those before it only 3",
        with_guest(|_, evidence| {
            evidence.halts = 1;
            evidence.testimonies[1].log.pop();
        }),
    );
}

#[test]
fn first_sequences_told_wrong() {
    let begins_at = |first: u64| {
        with_guest(move |_, evidence| arrival(evidence).answer = Reception::Welcome(first))
    };
    assert_noticed("g: it begins behind what was published after it came", begins_at(104));
    assert_noticed("g: it begins outside of what it may see", begins_at(101));
    assert_noticed("g: it begins outside of what it may see", begins_at(106));
    assert_noticed(
        "g: it begins behind what s0 had to see",
        with_guest(|plan, evidence| {
            plan.visitors[0][0].start = Start::Oldest;
            arrival(evidence).ticks = Some((0, tick(101, 1)));
        }),
    );
}

#[test]
fn a_poller_that_was_told_of_a_halt_has_gone_when_somebody_comes() {
    let begins_behind_s1 = |plan: &mut Plan, evidence: &mut Evidence| {
        idle(104)(plan, evidence);
        plan.visitors[0][0].start = Start::Oldest;
        arrival(evidence).ticks = Some((0, tick(104, 9)));
        evidence.ledgers[0].calls[3].arrivals = 0;
        plan.reset = None;
        evidence.cleared.clear();
        evidence.testimonies[1].log.truncate(2);
        let told = account(evidence);
        (told.stations[1].handled, told.stations[1].left) = (2, 2);
        told.guests[0].first = 104;
        told.guests[0].account = StationAccount { left: 1, due: 1, ..StationAccount::default() };
    };
    assert_noticed("g: it begins behind what s1 had to see", begins_behind_s1);
    let polled = |plan: &mut Plan, evidence: &mut Evidence| {
        begins_behind_s1(plan, evidence);
        plan.stations[1].driver = Driver::Untaken;
        evidence.testimonies[1].end = End::Closed;
    };
    assert_eq!(doctored(polled), "");
}

#[test]
fn guests_not_waited_for() {
    assert_noticed("g: it was waiting for 101 when this was written", idle(101));
    assert_noticed("reset hook: 4 events, of which g has passed 1", idle(101));
    // It has left when it had been lapped.
    let late = |evidence: &mut Evidence, delay: u64| {
        evidence.testimonies[2].log.clear();
        arrival(evidence).answer = Reception::Welcome(101);
        departure(evidence).tick = Some(tick(103, 0) + delay);
    };
    assert_noticed("g: it was waiting for 101 when this was written", |plan, evidence| {
        leave(plan, evidence);
        late(evidence, 1);
    });
    let said = doctored(|plan, evidence| {
        leave(plan, evidence);
        late(evidence, 0);
    });
    assert!(!said.contains("waiting"), "{said}");
    assert_noticed("reset hook: 2 events, of which g has passed 1", |plan, evidence| {
        leave(plan, evidence);
        late(evidence, 0);
    });
    assert_noticed("g: it was to drain, and has left something", |plan, evidence| {
        leave(plan, evidence);
        (departure(evidence).how, departure(evidence).published) = (Some(Detach::Drained), 105);
    });
}

#[test]
fn reports_of_guests_that_do_not_add_up() {
    assert_noticed(
        "handled 3 in the report, 2 in fact",
        with_guest(|_, evidence| {
            account(evidence).guests[0].account.handled = 3;
        }),
    );
    assert_noticed(
        "it accounts for 3 events, of 2 to 2",
        with_guest(|_, evidence| {
            let told = &mut account(evidence).guests[0].account;
            (told.due, told.left) = (3, 1);
        }),
    );
    assert_noticed(
        "g: [\"its first is Some(103)\"]",
        with_guest(|_, evidence| {
            account(evidence).guests[0].first = 104;
        }),
    );
    assert_noticed(
        "g: it is in the report 0 times",
        with_guest(|_, evidence| {
            account(evidence).guests.clear();
        }),
    );
    let report = |change: fn(&mut StationAccount)| {
        move |plan: &mut Plan, evidence: &mut Evidence| {
            leave(plan, evidence);
            departure(evidence).without_producers = true;
            change(&mut departure(evidence).report.as_mut().expect("it has one").account);
        }
    };
    assert_eq!(doctored(report(|_| ())), "");
    assert_noticed(
        "g: it accounts for 3 events of 2",
        report(|told| (told.due, told.left) = (3, 2)),
    );
    assert_noticed("g: due is not handled", report(|told| told.left = 2));
    assert_noticed(
        "g: handled 2 in the report, 1 in fact",
        report(|told| {
            (told.handled, told.left) = (2, 0);
        }),
    );
    assert_noticed("it had left", |plan, evidence| {
        leave(plan, evidence);
        let report = departure(evidence).report.clone().expect("it has one");
        account(evidence).guests.push(report);
    });
}

#[test]
fn guests_received_wrongly() {
    let answered =
        |answer: Reception| with_guest(move |_, evidence| arrival(evidence).answer = answer);
    assert_noticed(
        "g: it was refused, and nobody has closed the ring",
        answered(Reception::Closed),
    );
    assert_noticed("g: it was not there and has seen something", answered(Reception::Closed));
    assert_noticed("g: it is ordered, and was refused", answered(Reception::Unordered));
    assert_noticed("g: its start did not fail", answered(Reception::NotStarted));
    let other = Reception::Other("full".to_owned());
    assert_noticed("g: it was refused for another reason", answered(other));
    assert_noticed(
        "g: it came after the end",
        with_guest(|_, evidence| {
            arrival(evidence).was_closed = true;
        }),
    );
    assert_noticed(
        "g: it should have been refused",
        with_guest(|plan, _| {
            plan.visitors[0][0].behind = Behind::These(Vec::new());
        }),
    );
    assert_noticed(
        "g: one thing",
        with_guest(|_, evidence| {
            evidence.visits[0].complaints.push("one thing".to_owned());
        }),
    );
}
