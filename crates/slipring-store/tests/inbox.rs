//! What has been handled before, also in an earlier run.

// Shorter where the type of what is collected is all that it is about.
#![allow(clippy::from_iter_instead_of_collect)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use common::failing::{Failing, Failure};
use proptest::prelude::*;
use slipring_events::{
    AnyEvent, Bus, Draft, EventId, HandledElsewhere, Inbox, ManualClock, Retry, Source, Time,
};
use slipring_store::{Batch, Entry, EventStore, Expected, InboxError, Memory, Once, StoreInbox};

const LONG: Duration = Duration::from_mins(1);

fn id(sequence: u64) -> EventId {
    EventId::of(Source::from_bits(7), sequence)
}

fn values(store: &dyn EventStore, space: &str) -> usize {
    let mut count = 0;
    store
        .values(space, b"", &mut |_, _| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    count
}

#[test]
fn what_was_recorded_is_known_in_the_next_run_and_what_failed_is_not() {
    let store = Arc::new(Memory::new());
    for run in 0..3 {
        let mut inbox = StoreInbox::last("mail", store.clone(), 100).unwrap();
        for sequence in 0..10 {
            assert_eq!(inbox.knows(id(sequence)).unwrap(), sequence < run * 3);
        }
        for sequence in run * 3..(run + 1) * 3 {
            inbox.record(id(sequence)).unwrap();
        }
    }
    let mut other = StoreInbox::last("another", store, 100).unwrap();
    assert!(!other.knows(id(0)).unwrap(), "each name has its own");
}

#[test]
fn of_two_workers_one_wins_and_the_output_of_the_other_is_not_there() {
    let store = Arc::new(Memory::new());
    let workers = 4;
    let wins = Arc::new(AtomicU64::new(0));
    let barrier = Arc::new(std::sync::Barrier::new(workers));
    let threads: Vec<_> = (0..workers as u64)
        .map(|worker| {
            let (store, wins) = (store.clone(), Arc::clone(&wins));
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                let mut inbox = StoreInbox::last("shared", store, 1_000).unwrap();
                for sequence in 0..50 {
                    barrier.wait();
                    let known = inbox.knows(id(sequence)).unwrap();
                    let output = inbox.output();
                    output.with(|batch| {
                        batch.append(Entry::new("done", &sequence.to_le_bytes())).unwrap();
                        batch.put("by", &sequence.to_le_bytes(), &worker.to_le_bytes());
                    });
                    match inbox.record(id(sequence)) {
                        Ok(()) => {
                            assert!(!known);
                            wins.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => assert!(error.is::<HandledElsewhere>(), "{error}"),
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(wins.load(Ordering::SeqCst), 50);
    assert_eq!(common::numbers(&*store), Vec::from_iter(0..50));
    assert_eq!(values(&*store, "by"), 50);
}

#[test]
fn an_event_that_comes_twice_is_handled_once_and_its_output_is_there_once() {
    let store = Failing::new(Memory::new());
    let calls = Arc::new(AtomicU64::new(0));
    for run in 0..2 {
        let inbox = StoreInbox::last("numbers", Arc::clone(&store), 1_000).unwrap();
        let (output, calls) = (inbox.output(), Arc::clone(&calls));
        let bus = Bus::<AnyEvent>::start(64).unwrap();
        let _handler = bus
            .handler("numbers")
            .on::<u64>()
            .idempotent_by(inbox)
            .retry(Retry::immediately(3))
            .run(move |number, context| {
                calls.fetch_add(1, Ordering::SeqCst);
                output.with(|batch| {
                    batch.append(Entry::new("seen", &number.to_le_bytes())).unwrap();
                });
                // Its first attempt fails, with the output already put.
                if *number == 3 && context.attempt() == 1 { Err("not yet") } else { Ok(()) }
            })
            .unwrap();
        let mut publisher = bus.publisher();
        if run == 0 {
            // A record that fails is a handler that fails: it is tried again.
            store.fail_commit(1, Failure::Before);
        }
        for number in (0..10).chain(0..10) {
            let draft = Draft::new(AnyEvent::new(number)).id(id(number));
            publisher.send_tracked(draft).unwrap().wait(LONG).unwrap();
        }
        let account = bus.shutdown(LONG).unwrap().handlers[0].account;
        let new = if run == 0 { 10 } else { 0 };
        assert_eq!((account.handled, account.duplicates), (new, 20 - new));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 12);
    assert_eq!(common::numbers(&store.inner), Vec::from_iter(0..10));
}

#[test]
fn a_record_that_was_written_although_the_store_said_no_is_not_written_twice() {
    let store = Failing::new(Memory::new());
    let mut inbox = StoreInbox::last("numbers", Arc::clone(&store), 10).unwrap();
    let mut batch = Batch::new();
    batch.append(Entry::new("seen", &7_u64.to_le_bytes())).unwrap();
    store.fail_commit(0, Failure::After);
    assert!(matches!(inbox.commit(id(1), &batch), Err(InboxError::Commit(_))));
    assert_eq!(inbox.commit(id(1), &batch).unwrap(), Once::Known);
    assert_eq!(common::numbers(&store.inner), [7]);
}

#[test]
fn what_the_output_expects_is_no_business_of_the_inbox() {
    let store = Arc::new(Memory::new());
    let mut inbox = StoreInbox::last("numbers", store, 10).unwrap();
    let mut batch = Batch::new();
    batch.expect("order-7", Expected::Events(3)).unwrap();
    let error = inbox.commit(id(1), &batch).unwrap_err();
    assert!(error.to_string().contains("stream `order-7`"), "{error}");
    assert!(!inbox.knows(id(1)).unwrap());
}

#[test]
fn the_last_are_known_and_the_others_go() {
    let store = Arc::new(Memory::new());
    let clock = ManualClock::new(Time::from_nanos(1));
    let open = || {
        let inbox = StoreInbox::last("mail", store.clone(), 100).unwrap();
        inbox.clock(clock.clone())
    };
    let mut workers = [open(), open()];
    for sequence in 0..1_000 {
        clock.advance(Duration::from_nanos(1));
        workers[sequence as usize % 2].record(id(sequence)).unwrap();
        let kept = values(&*store, "inbox/mail");
        // Each of two workers counts again when it thinks that there are too many.
        assert!(kept <= 2 * (100 + 64) + 2, "{kept}");
        assert_eq!(values(&*store, "inbox-times/mail"), kept);
    }
    for sequence in 900..1_000 {
        assert!(workers[0].knows(id(sequence)).unwrap());
    }
    assert!(!workers[0].knows(id(0)).unwrap());
}

#[test]
fn those_of_some_time_are_known_and_older_ones_go() {
    let store = Arc::new(Memory::new());
    let clock = ManualClock::new(Time::from_nanos(0));
    let inbox = StoreInbox::within("mail", store.clone(), Duration::from_secs(10)).unwrap();
    let mut inbox = inbox.clock(clock.clone());
    for sequence in 0..100 {
        inbox.record(id(sequence)).unwrap();
        clock.advance(Duration::from_secs(1));
    }
    assert!((90..100).all(|sequence| inbox.knows(id(sequence)).unwrap()));
    assert_eq!(values(&*store, "inbox/mail"), 11);
    assert!(!inbox.knows(id(88)).unwrap());
}

#[test]
fn one_number_for_each_source_and_nobody_is_passed_over() {
    let store = Arc::new(Memory::new());
    let mut inbox = StoreInbox::per_source("mail", store.clone()).unwrap();
    for sequence in 0..100 {
        assert!(!inbox.knows(id(sequence)).unwrap());
        inbox.record(id(sequence)).unwrap();
    }
    assert_eq!(values(&*store, "inbox-sources/mail"), 1);
    assert!(inbox.knows(id(50)).unwrap());
    let other = EventId::of(Source::from_bits(8), 3);
    assert!(!inbox.knows(other).unwrap(), "another source counts on its own");
    // One has failed, and the next one would hide it.
    assert!(!inbox.knows(id(100)).unwrap() && !inbox.knows(id(101)).unwrap());
    let error = inbox.record(id(101)).unwrap_err();
    assert!(error.to_string().contains("in_order"), "{error}");
    inbox.record(id(100)).unwrap();
    inbox.record(id(101)).unwrap();
    let error = inbox.knows(EventId::random()).unwrap_err();
    assert!(error.to_string().contains("id from elsewhere"), "{error}");
    // Another worker is there already.
    let mut late = StoreInbox::per_source("mail", store).unwrap();
    assert!(late.record(id(7)).unwrap_err().is::<HandledElsewhere>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The program ends between any two steps and begins anew; commits fail, written or not. What the handler puts out is
    /// there once for each event, in the end.
    #[test]
    fn exactly_once_wherever_it_is_broken_off(
        failures in prop::collection::btree_map(0_u64..60, prop::bool::ANY, 0..12),
        ends in prop::collection::btree_set(0_u64..60, 0..12),
        per_source in prop::bool::ANY,
    ) {
        let store = Failing::new(Memory::new());
        for (nth, is_after) in failures {
            store.fail_commit(nth, if is_after { Failure::After } else { Failure::Before });
        }
        let open = || {
            if per_source {
                StoreInbox::per_source("mail", Arc::clone(&store)).unwrap()
            } else {
                StoreInbox::last("mail", Arc::clone(&store), 8).unwrap()
            }
        };
        let (mut inbox, mut step) = (open(), 0);
        for sequence in 0..12_u64 {
            loop {
                step += 1;
                prop_assert!(step < 1_000, "it does not come to an end");
                if ends.contains(&step) {
                    inbox = open();
                }
                if inbox.knows(id(sequence)).unwrap() {
                    break;
                }
                inbox.output().with(|batch| {
                    batch.append(Entry::new("seen", &sequence.to_le_bytes())).unwrap();
                });
                step += 1;
                if ends.contains(&step) {
                    inbox = open();
                    continue;
                }
                match inbox.record(id(sequence)) {
                    Ok(()) => break,
                    Err(error) => prop_assert!(!error.is::<HandledElsewhere>() || sequence < 12),
                }
            }
        }
        prop_assert_eq!(common::numbers(&store.inner), Vec::from_iter(0..12));
    }
}
