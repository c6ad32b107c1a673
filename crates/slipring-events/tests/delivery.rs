//! What becomes of events that a handler fails on: retries, dead letters, sequences.
//!
//! Time passes when a test says so, and handlers run step by step.

mod common;

#[path = "delivery/letters.rs"]
mod letters;
#[path = "delivery/limits.rs"]
mod limits;
#[path = "delivery/panics.rs"]
mod panics;

use common::{Bad, MILLI, NANO, SECOND, by_clock, log, news, publish, settle};
use proptest::prelude::*;
use slipring_events::{Backoff, HandlerError, Reason, Retry, Step};

proptest! {
    /// Whatever fails for ever is tried once and then as often as it says, each time at the moment that it says.
    #[test]
    fn attempts_are_one_more_than_retries_and_come_when_due(
        at_once in 0_u32..4, later in 0_u32..5, wait in 1_u64..5_000, factor in 1_u32..4,
    ) {
        let backoff = Backoff::exponential(MILLI * wait as u32).factor(f64::from(factor));
        let retry = Retry::immediately(at_once).then(backoff, later);
        let attempts = retry.attempts();
        let (bus, clock) = by_clock(4);
        let (calls, record) = log();
        let (handler, mut hand) = bus
            .handler("fails")
            .on::<u32>()
            .retry(retry)
            .by_hand(move |_, context| {
                record.lock().unwrap().push(context.attempt());
                Err::<(), _>("no")
            })
            .unwrap();
        publish(&bus, [7]);
        let mut expected: Vec<u32> = (1..=at_once + 1).collect();
        for retry in 0..later {
            let wait = backoff.wait(retry);
            prop_assert_eq!(settle(&mut hand), Step::Idle(Some(wait)));
            prop_assert_eq!(news(&calls), std::mem::take(&mut expected));
            clock.advance(wait.checked_sub(NANO).unwrap());
            prop_assert_eq!(settle(&mut hand), Step::Idle(Some(NANO)));
            prop_assert!(news(&calls).is_empty());
            prop_assert_eq!(handler.account().waiting, 1);
            clock.advance(NANO);
            expected.push(at_once + 2 + retry);
        }
        prop_assert_eq!(settle(&mut hand), Step::Idle(None));
        prop_assert_eq!(news(&calls), expected);
        let letters = bus.dead_letters().list();
        prop_assert_eq!((letters.len(), letters[0].attempts), (1, attempts));
        prop_assert_eq!(letters[0].history.len() as u32, attempts.min(16));
        let account = handler.account();
        prop_assert_eq!((account.failures, account.retries), (attempts.into(), (attempts - 1).into()));
        prop_assert!(account.adds_up() && account.dead == 1, "{:?}", account);
    }
}

#[test]
fn success_ends_the_retries() {
    let (bus, clock) = by_clock(4);
    let (handler, mut hand) = bus
        .handler("third time")
        .on::<u32>()
        .retry(Retry::immediately(1).then(Backoff::fixed(SECOND), 5))
        .by_hand(|_, context| if context.attempt() < 3 { Err("not yet") } else { Ok(()) })
        .unwrap();
    publish(&bus, [1]);
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND)));
    clock.advance(SECOND);
    assert_eq!(settle(&mut hand), Step::Idle(None));
    let account = handler.account();
    assert_eq!((account.handled, account.retries, account.failures, account.waiting), (1, 2, 2, 0));
    assert!(bus.dead_letters().is_empty());
}

#[test]
fn what_is_not_worth_it_is_not_tried_again() {
    #[derive(Debug, thiserror::Error)]
    #[error("for ever")]
    struct ForEver;
    let (bus, _) = by_clock(4);
    let (handler, mut hand) = bus
        .handler("picky")
        .on::<u32>()
        .retry(Retry::immediately(3).when(|error| !error.is::<ForEver>()))
        .by_hand(|number, _| -> Result<(), HandlerError> {
            if *number == 0 { Err(ForEver.into()) } else { Err("now".into()) }
        })
        .unwrap();
    publish(&bus, [0, 1]);
    settle(&mut hand);
    let attempts: Vec<_> = bus.dead_letters().list().iter().map(|letter| letter.attempts).collect();
    assert_eq!(attempts, [1, 4]);
    assert_eq!(handler.account().failures, 5);
}

#[test]
fn when_the_time_is_over_what_would_come_later_is_given_up_at_once() {
    let (bus, clock) = by_clock(4);
    let (_handler, mut hand) = bus
        .handler("short")
        .on::<u32>()
        .retry(Retry::none().then(Backoff::fixed(SECOND * 2), 9).for_at_most(SECOND * 5))
        .by_hand(|_, _| Err::<(), _>("no"))
        .unwrap();
    publish(&bus, [1]);
    for _ in 0..2 {
        assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND * 2)));
        clock.advance(SECOND * 2);
    }
    assert_eq!(settle(&mut hand), Step::Idle(None));
    assert_eq!(bus.dead_letters().list()[0].attempts, 3);
}

#[test]
fn of_very_many_attempts_the_first_and_the_last_are_remembered() {
    let (bus, clock) = by_clock(4);
    let (_handler, mut hand) = bus
        .handler("stubborn")
        .on::<u32>()
        .retry(Retry::none().then(Backoff::fixed(SECOND), 39))
        .by_hand(|_, context| Err::<(), _>(format!("{}", context.attempt())))
        .unwrap();
    publish(&bus, [1]);
    while let Step::Idle(Some(wait)) = settle(&mut hand) {
        clock.advance(wait);
    }
    let letter = &bus.dead_letters().list()[0];
    let errors: Vec<u32> =
        letter.history.iter().map(|attempt| attempt.error.parse().unwrap()).collect();
    assert_eq!((letter.attempts, &letter.reason), (40, &Reason::Failed("40".into())));
    assert_eq!(errors, (1..=8).chain(33..=40).collect::<Vec<u32>>());
    let times: Vec<u64> =
        letter.history.iter().map(|attempt| attempt.time.as_nanos() / 1_000_000_000).collect();
    assert_eq!(times, (0..8).chain(32..40).collect::<Vec<u64>>());
}

// ---- what comes after it ----

/// What a handler has come to, in which order, if 1 and 11 fail once.
fn order_of(how: &str) -> (Vec<u32>, Vec<u32>) {
    let (bus, clock) = by_clock(16);
    let (calls, record) = log();
    let bad = Bad::these([1, 11]);
    let is_bad = bad.clone();
    let registration = bus.handler("order").on::<u32>();
    let registration = match how {
        "strict" => registration.in_order(),
        "by key" => registration.in_sequence(|number| number % 10),
        _ => registration,
    };
    let (handler, mut hand) = registration
        .retry(Retry::none().then(Backoff::fixed(SECOND), 9))
        .by_hand(move |number, _| {
            record.lock().unwrap().push(*number);
            is_bad.try_on(*number)
        })
        .unwrap();
    publish(&bus, [0, 1, 2, 11, 21, 3]);
    assert!(matches!(settle(&mut hand), Step::Idle(Some(_))));
    let first = news(&calls);
    bad.mend(1);
    bad.mend(11);
    while let Step::Idle(Some(wait)) = settle(&mut hand) {
        clock.advance(wait);
    }
    assert_eq!(handler.account().handled, 6);
    (first, news(&calls))
}

#[test]
fn what_comes_after_overtakes() {
    assert_eq!(order_of("overtaking"), (vec![0, 1, 2, 11, 21, 3], vec![1, 11]));
}

#[test]
fn what_comes_after_waits_if_it_is_in_order() {
    assert_eq!(order_of("strict"), (vec![0, 1], vec![1, 2, 11, 21, 3]));
}

#[test]
fn what_comes_after_of_its_key_waits_if_it_is_in_sequence() {
    assert_eq!(order_of("by key"), (vec![0, 1, 2, 3], vec![1, 11, 21]));
}

proptest! {
    /// However often and wherever it fails, events of one key are handled in their order and each once.
    #[test]
    fn no_key_ever_loses_its_order(
        failures in prop::collection::vec(0_u32..4, 30), keys in 1_u32..5, step in 1_u32..30,
    ) {
        let (bus, clock) = by_clock(32);
        let (done, record) = log();
        let (handler, mut hand) = bus
            .handler("keys")
            .on::<u32>()
            .in_sequence(move |number| number % keys)
            .retry(Retry::immediately(1).then(Backoff::fixed(SECOND), 1))
            .by_hand(move |number, context| {
                // Three attempts each life; letters are given back until it goes.
                if context.attempt() <= failures[*number as usize] * 2 {
                    return Err("not yet");
                }
                record.lock().unwrap().push(*number);
                Ok(())
            })
            .unwrap();
        let mut next = 0;
        while handler.account().handled < 30 {
            let to = (next + step).min(30);
            publish(&bus, next..to);
            next = to;
            settle(&mut hand);
            clock.advance(SECOND);
            settle(&mut hand);
            bus.dead_letters().requeue_all("keys").unwrap();
            let account = handler.account();
            prop_assert!(account.adds_up(), "{:?}", account);
        }
        settle(&mut hand);
        let done = news(&done);
        for key in 0..keys {
            let of_it: Vec<u32> = done.iter().copied().filter(|number| number % keys == key).collect();
            prop_assert!(of_it.is_sorted(), "{:?}", of_it);
        }
        prop_assert_eq!((done.len(), handler.account().handled, bus.dead_letters().len()), (30, 30, 0));
    }
}
