//! How a scope ends: drained, with the closure's value, its error or its panic, with a fault, or
//! before it has begun.

use std::{
    mem,
    panic::resume_unwind,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use slipring::{
    At, BuildError, Builder, FaultKind, Handler, HandlerError, Policy, PublishError, ScopeError,
    read, read_handler, read_with, share,
};

use crate::{
    common::{Turnstile, turnstile, within_a_minute},
    complete, faulted, holding, panicked, publish,
};

#[test]
fn nothing_published_is_nothing_handled() {
    within_a_minute(|| {
        for drops in [false, true] {
            let mut seen = 0;
            let ring = Builder::new(4, || 0_u64).then(read("seen", |_: &u64, _| seen += 1));
            let (early, report) = complete(ring.scope(|producer, _| {
                if drops {
                    drop(producer);
                    None
                } else {
                    Some(producer)
                }
            }));
            assert_eq!((seen, report.published), (0, 0));
            // A producer may leave the scope: its ring is closed.
            if let Some(mut late) = early {
                assert_eq!(late.publish(|_| ()), Err(PublishError::Closed));
            }
        }
    });
}

#[test]
fn a_ring_that_is_full_at_the_end_is_drained() {
    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let mut seen = Vec::new();
        let ring = Builder::new(4, || 0).then(holding(turnstile, &mut seen).max_batch(1));
        thread::scope(|threads| {
            let outcome = ring.scope_multi(|mut producer, _| {
                for event in 0..4 {
                    producer.publish(|slot| *slot = event).expect("the ring is open");
                }
                assert_eq!(keeper.arrival(), 0);
                let mut late = producer.clone();
                threads.spawn(move || {
                    // Closed when the closure has returned: the scope waits for the handler now.
                    while late.try_publish(|_| ()) != Err(PublishError::Closed) {
                        thread::yield_now();
                    }
                    keeper.let_through();
                });
            });
            assert_eq!(complete(outcome).1.published, 4);
        });
        assert_eq!(seen, [0, 1, 2, 3]);
    });
}

#[test]
fn producers_that_are_never_dropped_do_not_keep_the_ring_open() {
    within_a_minute(|| {
        let mut seen = 0;
        let ring = Builder::new(4, || 0).then(read("seen", |_: &u64, _| seen += 1));
        let outcome = ring.scope(|mut producer, _| {
            publish(&mut producer, 0..10);
            mem::forget(producer);
        });
        assert_eq!(complete(outcome).1.published, 10);
        assert_eq!(seen, 10);
    });
}

#[test]
fn a_thread_is_gone_with_everything_of_its_own() {
    static DROPPED: AtomicU64 = AtomicU64::new(0);

    struct Own;
    impl Drop for Own {
        fn drop(&mut self) {
            // Give a scope that does not wait time to be noticed.
            for _ in 0..100 {
                thread::yield_now();
            }
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    thread_local!(static OWN: Own = const { Own });

    within_a_minute(|| {
        for round in 1..=20 {
            let ring = Builder::new(4, || 0)
                .then(share("own", 2, |_| |_: &u64, _: At<'_>| OWN.with(|_| ())));
            let others = DROPPED.load(Ordering::Relaxed);
            let busy = ring.scope(|mut producer, _| publish(&mut producer, 0..1));
            complete(busy);
            assert_eq!(DROPPED.load(Ordering::Relaxed), others + 1, "round {round}");
        }
    });
}

#[test]
fn a_closure_that_fails_says_so_beside_the_report() {
    within_a_minute(|| {
        let mut seen = Vec::new();
        let ring = Builder::new(4, || 0).then(read("seen", |event: &u64, _| seen.push(*event)));
        let outcome = ring.scope(|mut producer, _| {
            publish(&mut producer, 0..7);
            producer.publish_batch(5, |_, _| ())?;
            publish(&mut producer, 7..9);
            Ok(())
        });
        let (value, report) = complete(outcome);
        assert_eq!(value, Err(PublishError::TooLarge { asked: 5, capacity: 4 }));
        assert_eq!((report.published, seen), (7, (0..7).collect()));
    });
}

#[test]
fn a_closure_that_panics_ends_the_ring_first() {
    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let mut seen = Vec::new();
        let ring = Builder::new(4, || 0).then(holding(turnstile, &mut seen));
        let text = panicked(|| {
            ring.scope(|mut producer, _| {
                publish(&mut producer, 0..3);
                assert_eq!(keeper.arrival(), 0);
                // Dropped while the panic unwinds, which lets the handler through.
                let _keeper = keeper;
                if producer.room() < 4 {
                    resume_unwind(Box::new("the closure panics"));
                }
            })
        });
        assert_eq!(text, "the closure panics");
        assert_eq!(seen, [0, 1, 2], "what was published is handled");
    });
}

#[test]
fn a_closure_that_panics_over_a_halted_ring_is_the_one_that_is_heard() {
    within_a_minute(|| {
        let mut calls = 0;
        let ring = Builder::new(4, || 0).then(read("fails", |_: &u64, _| {
            calls += 1;
            Err("no")
        }));
        let text = panicked(|| {
            ring.scope(|mut producer, _| {
                while producer.publish(|_| ()).is_ok() {}
                resume_unwind(Box::new("refused"));
            })
        });
        assert_eq!((text.as_str(), calls), ("refused", 1));
    });
}

#[test]
fn a_handler_that_fails_or_panics_is_its_policys_business() {
    /// Fails at 3 and 4 as often as it is asked to.
    fn fail(event: u64, panics: bool, failures: &mut u32) -> Result<(), &'static str> {
        if !(3..5).contains(&event) || *failures == 0 {
            return Ok(());
        }
        *failures -= 1;
        if panics {
            resume_unwind(Box::new("no"));
        }
        Err("no")
    }

    within_a_minute(|| {
        for panics in [false, true] {
            let run = |policy, failures| {
                let (mut failures, mut seen) = (failures, Vec::new());
                let flaky = read("flaky", |event: &u64, _| {
                    seen.push(*event);
                    fail(*event, panics, &mut failures)
                });
                let ring = Builder::new(16, || 0).then(flaky.policy(policy));
                let outcome = ring.scope(|mut producer, _| {
                    (0..8).find_map(|event| producer.publish(|slot| *slot = event).err())
                });
                (outcome, seen)
            };
            let kind = if panics { FaultKind::Panic } else { FaultKind::Error };

            for (policy, failures, calls) in
                [(Policy::Halt, 1, vec![3]), (Policy::retry(2), 3, vec![3, 3, 3])]
            {
                let (outcome, seen) = run(policy, failures);
                let (fault, report, refused) = faulted(outcome);
                assert_eq!((fault.station(), fault.sequence()), ("flaky", 3));
                assert_eq!((fault.kind(), fault.message()), (kind, "no"));
                assert!(refused.is_none_or(|error| error == PublishError::Halted(fault)));
                assert_eq!(seen, [vec![0, 1, 2], calls].concat());
                assert_eq!(report.stations[0].handled, 3);
            }

            let (outcome, seen) = run(Policy::Skip, 9);
            let (refused, report) = complete(outcome);
            assert_eq!((refused, seen), (None, (0..8).collect()));
            assert_eq!((report.stations[0].handled, report.stations[0].skipped), (6, 2));

            let (outcome, seen) = run(Policy::retry(1).or_skip(), 3);
            let (refused, report) = complete(outcome);
            assert_eq!((refused, seen), (None, vec![0, 1, 2, 3, 3, 4, 4, 5, 6, 7]));
            let flaky = &report.stations[0];
            assert_eq!((flaky.handled, flaky.skipped, flaky.retried), (7, 1, 2));
        }
    });
}

#[test]
fn the_error_says_what_happened_and_keeps_the_closures_value() {
    within_a_minute(|| {
        let ring = Builder::new(4, || 0_u64).then(read("fails", |_: &u64, _| Err("no")));
        let error = ring.scope(|mut producer, _| while producer.publish(|_| ()).is_ok() {});
        let error = error.expect_err("a station has failed");
        assert_eq!(
            error.to_string(),
            "the ring was halted: station `fails` failed at sequence 0: no"
        );
        assert!(std::error::Error::source(&error).is_some());
        assert!(format!("{error:?}").contains("fails"), "{error:?}");
        let error: Box<dyn std::error::Error> = error.into();
        assert!(error.downcast_ref::<ScopeError<()>>().is_some());
    });
}

#[test]
fn what_cannot_start_is_refused_without_a_call_of_the_closure() {
    struct Slow<'a>(Turnstile, &'a AtomicU64);
    impl Handler<u64> for Slow<'_> {
        fn on_event(&mut self, _: &u64, _: At<'_>) -> Result<(), HandlerError> {
            Ok(())
        }

        fn on_stop(&mut self) {
            self.0.pass(0);
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let made = AtomicU64::new(0);
        let ring = Builder::new(3, || 0_u64).then(read("r", |_: &u64, _| ()));
        let error = ring.scope(|_, _| unreachable!("3 is no power of two")).map(|((), _)| ());
        assert!(matches!(error, Err(ScopeError::NotStarted(BuildError::Capacity { .. }))));

        let ring = Builder::new(4, || 0_u64).then((
            read_handler("slow", || Slow(turnstile, &made)),
            read_with("broken", || panic!("no state"), |(): &mut (), _: &u64, _| ()),
        ));
        thread::scope(|threads| {
            let keeper = threads.spawn(move || {
                assert_eq!(keeper.arrival(), 0);
                keeper.let_through();
            });
            let error =
                ring.scope_multi(|_, _| unreachable!("it does not start")).map(|((), _)| ());
            let text = error.expect_err("it does not start").to_string();
            assert_eq!(text, "station `broken` did not start: no state");
            assert_eq!(made.load(Ordering::Relaxed), 1, "its stop hook is waited for");
            keeper.join().unwrap();
        });
    });
}
