//! A sound round in which two share `s0`, doctored.

use super::*;
use crate::{
    evidence::Asked,
    plan::{KeyPlan, TeamPlan},
};

/// Worker 0 has 100 and 103, worker 1 the others.
fn share(plan: &mut Plan, evidence: &mut Evidence) {
    plan.stations[0].driver = Driver::Team(TeamPlan { workers: 2, by_key: None });
    deal(evidence, |stamp| usize::from(![0, 3].contains(&stamp.number)));
}

/// Each key has its worker, and each event was asked for its own just after it was published.
fn share_by_key(keys: u32) -> impl FnOnce(&mut Plan, &mut Evidence) {
    move |plan: &mut Plan, evidence: &mut Evidence| {
        let by_key = Some(KeyPlan { keys, panics_at: None });
        plan.stations[0].driver = Driver::Team(TeamPlan { workers: 2, by_key });
        deal(evidence, |stamp| stamp.key(keys) as usize % 2);
        let asked = |sequence| Asked {
            stamp: stamp(sequence, 0),
            is_whole: true,
            tick: Some(tick(sequence, 0) + 1),
        };
        evidence.asked[0] = [100, 101, 103, 104].map(asked).into();
    }
}

fn deal(evidence: &mut Evidence, worker: impl Fn(Stamp) -> usize) {
    let log = &mut evidence.testimonies[0].log;
    for entry in &mut *log {
        entry.worker = worker(entry.stamp);
    }
    log.sort_by_key(|entry| entry.worker);
}

/// The place of an event in the team's log, of the last attempt if there were several.
fn place(evidence: &Evidence, sequence: u64) -> usize {
    let mut log = evidence.testimonies[0].log.iter();
    log.rposition(|entry| entry.sequence == sequence).expect("it is there")
}

#[test]
fn a_sound_team_passes() {
    assert_eq!(doctored(share), "");
    for keys in [1, 2, 50] {
        assert_eq!(doctored(share_by_key(keys)), "", "{keys} keys");
    }
}

#[test]
fn events_lost_or_handled_by_two() {
    assert_noticed("s0: it has sequence 103 where 101 is next", |plan, evidence| {
        share(plan, evidence);
        let place = place(evidence, 101);
        evidence.testimonies[0].log.remove(place);
    });
    assert_noticed("s0: it has sequence 100 where 101 is next", |plan, evidence| {
        share(plan, evidence);
        let twice = Entry { worker: 1, ..evidence.testimonies[0].log[0] };
        let place = place(evidence, 101);
        evidence.testimonies[0].log.insert(place, twice);
    });
    assert_noticed("s0: worker 1 goes back: [104, 101]", |plan, evidence| {
        share(plan, evidence);
        let (one, other) = (place(evidence, 101), place(evidence, 104));
        evidence.testimonies[0].log.swap(one, other);
    });
}

/// Worker 0 fails for good at 103 while worker 1 has 104 in hand.
fn halt(plan: &mut Plan, evidence: &mut Evidence) {
    share(plan, evidence);
    plan.stations[0].policy = Policy::retry(1);
    plan.stations[0].max_batch = Some(1);
    plan.stations[0].failing =
        Some(Failing { period: 97, phase: 3, times: 9, panics: true, half_done: false });
    evidence.testimonies[1].log.truncate(2);
    evidence.cleared.truncate(3);
    evidence.ending.cause = Cause::Fault(fault("s0", 103));
    account(evidence).stations = vec![told(3, 1, 1), told(2, 0, 2)];
}

#[test]
fn a_team_that_is_halted_lacks_what_failed_and_nobody_follows_over_it() {
    assert_eq!(doctored(halt), "");
    assert_noticed("s0: it has sequence 104 where 101 is next", |plan, evidence| {
        halt(plan, evidence);
        let place = place(evidence, 101);
        evidence.testimonies[0].log.remove(place);
    });
    assert_noticed("s1: it has seen 4 events, those before it only 2", |plan, evidence| {
        halt(plan, evidence);
        evidence.testimonies[1].log.push(entry(104, 0, 0, Outcome::Done, 6));
    });
    assert_noticed("reset hook: 3 events, of which s0 has passed 2", |plan, evidence| {
        halt(plan, evidence);
        evidence.cleared.push(Cleared { stamp: stamp(103, 0), tick: Some(tick(103, 7)) });
    });
    assert_noticed("s0: it was waiting for 103 when this was written", |plan, evidence| {
        halt(plan, evidence);
        plan.capacity = 1;
    });
    assert_noticed("nobody failed like this", |plan, evidence| {
        halt(plan, evidence);
        evidence.ending.cause = Cause::Fault(fault("s0", 104));
    });
}

#[test]
fn keys_at_two_workers() {
    assert_noticed("s0: it has an event of worker 0", |plan, evidence| {
        share_by_key(1)(plan, evidence);
        evidence.testimonies[0].log[4].worker = 1;
    });
    assert_noticed("s1: it has an event of worker 0", |plan, evidence| {
        share_by_key(1)(plan, evidence);
        plan.stations[1].driver = plan.stations[0].driver.clone();
        evidence.testimonies[1].log.iter_mut().for_each(|entry| entry.worker = 1);
    });
    // Halted or not, a worker leaves nothing out.
    assert_noticed("s0: worker 0 has sequence 103 where its own is 101", |plan, evidence| {
        share_by_key(1)(plan, evidence);
        evidence.halts = 1;
        evidence.testimonies[0].log.remove(1);
    });
}

#[test]
fn keys_asked_for_wrongly() {
    let ask = |change: fn(&mut Vec<Asked>)| {
        move |plan: &mut Plan, evidence: &mut Evidence| {
            share_by_key(2)(plan, evidence);
            change(&mut evidence.asked[0]);
        }
    };
    let another = "s0: it was asked for another key than that of 101";
    assert_noticed(another, ask(|asked| asked.insert(1, asked[0])));
    assert_noticed(another, ask(|asked| asked[1].is_whole = false));
    assert_noticed(another, ask(|asked| asked.swap(1, 2)));
    assert_noticed("key of nobody's event", ask(|asked| asked.push(asked[3])));
    assert_noticed(
        "s0: it was not asked for the key of what it handles",
        ask(|asked| {
            asked.pop();
        }),
    );
    assert_noticed("when the trace was 5", ask(|asked| asked[1].stamp.trace = 5));
    assert_noticed(
        "s0: it was asked for the key of what it has handled",
        ask(|asked| {
            asked[1].tick = Some(tick(101, 6));
        }),
    );
    assert_noticed("s0: it was asked for a key after a panic", |plan, evidence| {
        share_by_key(2)(plan, evidence);
        let by_key = Some(KeyPlan { keys: 2, panics_at: Some(2) });
        plan.stations[0].driver = Driver::Team(TeamPlan { workers: 2, by_key });
    });
    assert_noticed("s1: it was asked for keys and has none", |plan, evidence| {
        share_by_key(2)(plan, evidence);
        evidence.asked[1] = evidence.asked[0].clone();
    });
}

#[test]
fn a_key_that_panics_is_told_as_it_was() {
    let panics = |at: u64| {
        move |plan: &mut Plan, evidence: &mut Evidence| {
            share_by_key(1)(plan, evidence);
            let by_key = Some(KeyPlan { keys: 1, panics_at: Some(2) });
            plan.stations[0].driver = Driver::Team(TeamPlan { workers: 2, by_key });
            evidence.asked[0].truncate(3);
            evidence.testimonies[0].log.truncate(2);
            evidence.testimonies[1].log.truncate(2);
            evidence.cleared.truncate(3);
            evidence.ending.cause = Cause::Fault(fault("s0", at));
            let told = told(2, 0, 2);
            account(evidence).stations = vec![told; 2];
        }
    };
    assert_eq!(doctored(panics(103)), "");
    assert_noticed("nobody failed like this", panics(101));
}
