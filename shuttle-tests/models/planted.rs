//! These models are wrong on purpose: shuttle finds them out, the model of what stations must see
//! finds out wrong outcomes, and what is found can be seen again.

use std::{cell::RefCell, sync::Arc, time::Duration};

use fastrand::Rng;
use shuttle::sync::{
    Condvar, Mutex,
    atomic::{AtomicU64, Ordering},
};
use slipring::{Builder, Wait, read};

use crate::{
    harness::{Seeds, try_explore},
    ring::{
        Outcome, Seen,
        case::{CALM, Case},
        ending::{Ending, Last},
        play, verdict,
    },
};

/// Finds the failure of a wrong model, and finds it again by its seed.
#[track_caller]
fn find(schedules: u64, wrong: fn(&mut Rng), message: &str) {
    let failure = try_explore(Seeds::Many(schedules), wrong).expect_err("the bug is planted");
    assert!(failure.message.contains(message), "{failure:?}");
    let again = try_explore(Seeds::One(failure.seed), wrong).expect_err("the same schedule");
    assert_eq!((again.seed, again.message), (failure.seed, failure.message));
}

/// A handler that tells a sleeper of an event without the lock that the sleeper looks under.
#[test]
fn a_lost_wake_up_of_a_handler_is_found() {
    find(
        2_000,
        |_| {
            let told = Arc::new((Mutex::new(()), Condvar::new(), AtomicU64::new(0)));
            let tell = Arc::clone(&told);
            let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
                .wait(Wait::Block)
                .then(read("tells", move |_: &u64, _| {
                    tell.2.fetch_add(1, Ordering::SeqCst);
                    tell.1.notify_all();
                }))
                .start()
                .expect("the ring is sound");
            producer.publish(|_| ()).expect("nobody closes the ring");
            while told.2.load(Ordering::SeqCst) == 0 {
                let lock = told.0.lock().expect("nothing panics here");
                drop(told.1.wait(lock));
            }
            drop(producer);
            dispatcher.join().expect("nothing goes wrong");
        },
        "deadlock",
    );
}

/// Stations side by side that add to the same number in two steps.
#[test]
fn a_race_between_stations_side_by_side_is_found() {
    find(
        2_000,
        |_| {
            let sum = Arc::new(AtomicU64::new(0));
            let add = |sum: &Arc<AtomicU64>| {
                let sum = Arc::clone(sum);
                move |event: &u64, _: slipring::At<'_>| {
                    let before = sum.load(Ordering::SeqCst);
                    sum.store(before + event, Ordering::SeqCst);
                }
            };
            let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
                .then([read("left", add(&sum)), read("right", add(&sum))])
                .start()
                .expect("the ring is sound");
            for event in 1..=3 {
                producer.publish(|slot| *slot = event).expect("nobody closes the ring");
            }
            drop(producer);
            dispatcher.shutdown(Duration::from_secs(1)).expect("nothing goes wrong");
            assert_eq!(sum.load(Ordering::SeqCst), 12, "an update is lost");
        },
        "an update is lost",
    );
}

/// Outcomes of sound rings, with one thing wrong in each: events too few, one twice, some in the
/// wrong order, one with something else in it, one that was refused, and wrong accounts.
#[test]
fn a_wrong_outcome_is_found() {
    let explored = try_explore(Seeds::Many(300), |rng| {
        let case = Case::draw(rng, CALM);
        let ending = Ending::orderly(true);
        let sound = || play(&case, &ending);
        let outcome = sound();
        assert_eq!(verdict::judge(&case, &ending, &outcome), Ok(()));
        let wrongs: &[fn(&mut Rng, &mut Outcome)] = &[
            |rng, outcome| seen(rng, outcome).truncate(1),
            |rng, outcome| seen(rng, outcome).rotate_left(1),
            |rng, outcome| {
                let seen = seen(rng, outcome);
                seen.push(seen[0]);
            },
            |rng, outcome| seen(rng, outcome).swap(0, 1),
            |rng, outcome| {
                if let Seen::Handled(_, event) = &mut seen(rng, outcome)[0] {
                    event.trace += 1;
                }
            },
            |rng, outcome| {
                let seen = seen(rng, outcome);
                seen[0] = Seen::Skipped(seen[0].sequence());
            },
            |_, outcome| {
                let fed = outcome.fed.iter_mut().find(|fed| !fed.accepted.is_empty());
                fed.expect("something was published").accepted.pop();
            },
            |_, outcome| {
                let told = outcome.told.as_mut().expect("it was joined");
                told.as_mut().expect("nothing goes wrong").stations[0].handled -= 1;
            },
        ];
        for wrong in wrongs {
            let mut outcome = sound();
            let published: usize = outcome.seen.iter().map(Vec::len).min().unwrap_or(0);
            if published >= 2 {
                wrong(rng, &mut outcome);
                assert!(verdict::judge(&case, &ending, &outcome).is_err(), "{outcome:#?}");
            }
        }
        assert_eq!(ending.last, Last::Join);
    });
    explored.expect("only what is wrong is found to be");
}

/// What one of the stations saw.
fn seen<'a>(rng: &mut Rng, outcome: &'a mut Outcome) -> &'a mut Vec<Seen> {
    let station = rng.usize(0..outcome.seen.len());
    &mut outcome.seen[station]
}

#[test]
fn a_seed_says_everything() {
    std::thread_local! {
        static OUTCOMES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }
    for seed in 0..50 {
        for _ in 0..2 {
            let explored = try_explore(Seeds::One(seed), |rng| {
                let case = Case::draw(rng, CALM);
                let ending = Ending::storm(rng);
                let outcome = play(&case, &ending);
                let steps = shuttle::current::context_switches();
                let text = format!("{case:?} {ending:?} {outcome:?} {steps}");
                OUTCOMES.with_borrow_mut(|outcomes| outcomes.push(text));
            });
            explored.expect("nothing goes wrong");
        }
        let outcomes = OUTCOMES.take();
        assert_eq!(outcomes[0], outcomes[1], "seed {seed}");
    }
}
