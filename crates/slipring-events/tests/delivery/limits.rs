//! What keeps a handler from being called: idempotence, breaker, throttle, timeout.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use proptest::prelude::*;
use slipring_events::{
    AnyEvent, Backoff, Breaker, Bus, Draft, EventId, HandlerError, Inbox, Retry, Source, Step,
    Throttle,
};

use crate::common::{AMPLE, Bad, MILLI, SECOND, by_clock, log, news, number, publish, settle};

fn with_id(id: u64) -> Draft<AnyEvent> {
    Draft::new(number(id as u32)).id(EventId::of(Source::named("elsewhere"), id))
}

#[test]
fn what_was_handled_is_left_out_and_counted_and_what_failed_is_not() {
    let (bus, _) = by_clock(16);
    let (calls, record) = log();
    let bad = Bad::these([2]);
    let is_bad = bad.clone();
    let (handler, mut hand) = bus
        .handler("once")
        .on::<u32>()
        .idempotent(10)
        .by_hand(move |number, _| {
            record.lock().unwrap().push(*number);
            is_bad.try_on(*number)
        })
        .unwrap();
    let mut publisher = bus.publisher();
    for id in [1, 2, 1, 2] {
        publisher.send(with_id(id)).unwrap();
    }
    settle(&mut hand);
    assert_eq!(news(&calls), [1, 2, 2]);
    bad.mend(2);
    publisher.send(with_id(2)).unwrap();
    settle(&mut hand);
    // Two letters of one event: the second one was handled by then.
    bus.dead_letters().requeue_all("once").unwrap();
    settle(&mut hand);
    assert_eq!(news(&calls), [2]);
    let account = handler.account();
    assert_eq!((account.handled, account.duplicates, account.dead, account.requeued), (2, 3, 2, 2));
    assert!(account.adds_up());
}

#[test]
fn only_so_many_are_remembered() {
    let (bus, _) = by_clock(16);
    let (calls, record) = log();
    let (handler, mut hand) = bus
        .handler("short memory")
        .on::<u32>()
        .idempotent(2)
        .by_hand(move |number, _| record.lock().unwrap().push(*number))
        .unwrap();
    let mut publisher = bus.publisher();
    for id in [1, 2, 1, 3, 1, 2] {
        publisher.send(with_id(id)).unwrap();
    }
    settle(&mut hand);
    // 3 was remembered for 1, which was not refreshed; then 1 for 2, and 2 for 3.
    assert_eq!((news(&calls), handler.account().duplicates), (vec![1, 2, 3, 1, 2], 1));
}

/// Remembers everything, unless it fails.
struct Fails {
    known: HashSet<EventId>,
    knows: Bad,
    record: Bad,
}

impl Inbox for Fails {
    fn knows(&mut self, id: EventId) -> Result<bool, HandlerError> {
        self.knows.try_on(id.sequence().unwrap() as u32)?;
        Ok(self.known.contains(&id))
    }

    fn record(&mut self, id: EventId) -> Result<(), HandlerError> {
        self.record.try_on(id.sequence().unwrap() as u32)?;
        self.known.insert(id);
        Ok(())
    }
}

#[test]
fn an_inbox_that_fails_fails_the_event_and_nothing_follows_from_it() {
    let (bus, clock) = by_clock(16);
    let (calls, record) = log();
    let (knows, records) = (Bad::these([1]), Bad::these([2]));
    let inbox = Fails { known: HashSet::new(), knows: knows.clone(), record: records.clone() };
    let (handler, mut hand) = bus
        .handler("once")
        .on::<u32>()
        .idempotent_by(inbox)
        .retry(Retry::none().then(Backoff::fixed(SECOND), 3))
        .by_hand(move |number, _| {
            record.lock().unwrap().push(*number);
            vec![AnyEvent::new("follows")]
        })
        .unwrap();
    let mut publisher = bus.publisher();
    for id in [0, 1, 2] {
        publisher.send(with_id(id)).unwrap();
    }
    settle(&mut hand);
    // What cannot be told is not tried; what cannot be recorded was.
    assert_eq!(news(&calls), [0, 2]);
    assert_eq!((handler.account().follow_ups, handler.account().waiting), (1, 2));
    knows.mend(1);
    records.mend(2);
    clock.advance(SECOND);
    settle(&mut hand);
    assert_eq!(news(&calls), [1, 2]);
    assert_eq!((handler.account().handled, handler.account().follow_ups), (3, 3));
}

#[test]
fn a_breaker_opens_holds_and_lets_one_through_to_see() {
    let (bus, clock) = by_clock(32);
    let (calls, record) = log();
    let bad = Bad::these(0..100);
    let is_bad = bad.clone();
    let (handler, mut hand) = bus
        .handler("fragile")
        .on::<u32>()
        .breaker(Breaker::after(3).open_for(SECOND * 10))
        .by_hand(move |number, _| {
            record.lock().unwrap().push(*number);
            is_bad.try_on(*number)
        })
        .unwrap();
    publish(&bus, 0..8);
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND * 10)));
    assert_eq!(news(&calls), [0, 1, 2]);
    clock.advance(SECOND * 9);
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND)));
    assert!(news(&calls).is_empty());
    clock.advance(SECOND);
    // Half open: one, which fails.
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND * 10)));
    assert_eq!(news(&calls), [3]);
    bad.mend(4);
    bad.mend(6);
    clock.advance(SECOND * 10);
    // One that succeeds closes it; then one failure is not three.
    assert_eq!(settle(&mut hand), Step::Idle(None));
    assert_eq!(news(&calls), [4, 5, 6, 7]);
    assert_eq!((handler.account().handled, handler.account().dead), (2, 6));
}

#[test]
fn an_open_breaker_puts_off_retries_too() {
    let (bus, clock) = by_clock(32);
    let (calls, record) = log();
    let (_handler, mut hand) = bus
        .handler("fragile")
        .on::<u32>()
        .in_order()
        .retry(Retry::immediately(1).then(Backoff::fixed(SECOND), 3))
        .breaker(Breaker::after(2).open_for(SECOND * 10))
        .by_hand(move |_, context| {
            record.lock().unwrap().push(context.attempt());
            Err::<(), _>("no")
        })
        .unwrap();
    publish(&bus, [0]);
    settle(&mut hand);
    assert_eq!(news(&calls), [1, 2]);
    clock.advance(SECOND);
    // It is due, and may not: whoever waits for it must not look again and again.
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND * 9)));
    assert!(news(&calls).is_empty());
    clock.advance(SECOND * 9);
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND * 10)));
    assert_eq!(news(&calls), [3]);
}

#[test]
fn an_event_that_was_handled_before_tells_a_breaker_nothing() {
    let (bus, clock) = by_clock(32);
    let (calls, record) = log();
    let (handler, mut hand) = bus
        .handler("fragile")
        .on::<u32>()
        .idempotent(10)
        .breaker(Breaker::after(2).open_for(SECOND))
        .by_hand(move |number, _| {
            record.lock().unwrap().push(*number);
            if *number == 0 { Ok(()) } else { Err("down") }
        })
        .unwrap();
    let mut publisher = bus.publisher();
    for id in [0, 1, 2, 0, 3, 4] {
        publisher.send(with_id(id)).unwrap();
    }
    settle(&mut hand);
    assert_eq!(news(&calls), [0, 1, 2]);
    clock.advance(SECOND);
    // The duplicate was not let through to see: the next one is, and none after it.
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND)));
    assert_eq!((news(&calls), handler.account().duplicates), (vec![3], 1));
}

#[test]
fn looking_at_an_open_breaker_costs_no_tokens() {
    let (bus, clock) = by_clock(32);
    let (calls, record) = log();
    let (_handler, mut hand) = bus
        .handler("both")
        .on::<u32>()
        .breaker(Breaker::after(1).open_for(SECOND))
        .throttle(Throttle::per(2, SECOND * 100))
        .by_hand(move |number, _| {
            record.lock().unwrap().push(*number);
            if *number == 0 { Err("down") } else { Ok(()) }
        })
        .unwrap();
    publish(&bus, 0..3);
    for _ in 0..5 {
        assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND)));
    }
    clock.advance(SECOND);
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND * 49)));
    assert_eq!(news(&calls), [0, 1]);
}

#[test]
fn a_quiet_time_saves_up_no_more_than_a_burst() {
    let (bus, clock) = by_clock(64);
    let (calls, record) = log();
    let (_handler, mut hand) = bus
        .handler("bursts")
        .on::<u32>()
        .idempotent(10)
        .throttle(Throttle::per(10, SECOND).burst(2))
        .by_hand(move |number, _| record.lock().unwrap().push(*number))
        .unwrap();
    // Looks around, with nothing there.
    assert_eq!(settle(&mut hand), Step::Idle(None));
    clock.advance(SECOND * 60);
    publish(&bus, 0..5);
    assert_eq!(settle(&mut hand), Step::Idle(Some(MILLI * 100)));
    assert_eq!(news(&calls), [0, 1]);
}

proptest! {
    /// Calls come at the very moments that the throttle lets them, retries among them.
    #[test]
    fn a_throttle_keeps_its_pace(count in 1_u32..20, burst in 1_u32..6, fails in prop::collection::vec(any::<bool>(), 1..20)) {
        let (bus, clock) = by_clock(32);
        let (calls, record) = log();
        let now = clock.clone();
        let events = fails.len() as u32;
        let attempts = fails.iter().map(|fails| 1 + u32::from(*fails)).sum::<u32>();
        let (handler, mut hand) = bus
            .handler("paced")
            .on::<u32>()
            .retry(Retry::immediately(1))
            .throttle(Throttle::per(count, SECOND).burst(burst))
            .by_hand(move |number, context| {
                record.lock().unwrap().push(slipring_events::Clock::monotonic(&now).as_nanos());
                if fails[*number as usize] && context.attempt() == 1 { Err("once") } else { Ok(()) }
            })
            .unwrap();
        publish(&bus, 0..events);
        while let Step::Idle(Some(wait)) = settle(&mut hand) {
            prop_assert!(!wait.is_zero());
            if handler.account().handled == u64::from(events) {
                break;
            }
            clock.advance(wait);
        }
        // The parts of a nanosecond by which a call comes late are saved up, if there is more room than for one.
        let late = |at: u32| match burst {
            1 => u128::from(at) * 1_000_000_000_u128.div_ceil(count.into()),
            _ => (u128::from(at.saturating_sub(burst - 1)) * 1_000_000_000).div_ceil(count.into()),
        };
        let expected: Vec<u128> = (0..attempts).map(late).collect();
        prop_assert_eq!(news(&calls), expected);
        prop_assert_eq!(handler.account().handled, u64::from(events));
    }
}

#[test]
fn no_more_are_put_aside_than_may_be() {
    let (bus, clock) = by_clock(32);
    let bad = Bad::these(0..3);
    let is_bad = bad.clone();
    let (handler, mut hand) = bus
        .handler("aside")
        .on::<u32>()
        .most_aside(2)
        .retry(Retry::none().then(Backoff::fixed(SECOND), 9))
        .by_hand(move |number, _| is_bad.try_on(*number))
        .unwrap();
    publish(&bus, 0..5);
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND)));
    assert_eq!((handler.account().waiting, handler.account().next), (2, 2));
    bad.mend(0);
    clock.advance(SECOND);
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND)));
    assert_eq!((handler.account().waiting, handler.account().next), (2, 3));
    bad.mend(1);
    bad.mend(2);
    clock.advance(SECOND);
    assert_eq!(settle(&mut hand), Step::Idle(None));
    assert_eq!((handler.account().waiting, handler.account().handled), (0, 5));
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicU32>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_attempt_that_takes_too_long_is_dropped_and_tried_again() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let dropped = Arc::<AtomicU32>::default();
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let (drops, record) = (Arc::clone(&dropped), Arc::clone(&attempts));
    let (handler, task) = bus
        .handler("slow")
        .on::<u32>()
        .retry(Retry::immediately(1))
        .timeout(MILLI * 5)
        .task(async move |number, context| {
            let _dropped = Dropped(Arc::clone(&drops));
            record.lock().unwrap().push((*number, context.attempt()));
            context.publish(AnyEvent::new("of a handler that is done")).unwrap();
            if *number == 1 || (*number == 2 && context.attempt() == 1) {
                std::future::pending::<()>().await;
            }
        })
        .unwrap();
    let task = runtime.spawn(task);
    publish(&bus, 0..4);
    let report = bus.shutdown(AMPLE).unwrap();
    runtime.block_on(task).unwrap();
    assert_eq!(*attempts.lock().unwrap(), [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]);
    assert_eq!(dropped.load(Ordering::Relaxed), 6);
    let account = report.handlers[0].account;
    assert_eq!((account.handled, account.dead, account.failures, account.follow_ups), (3, 1, 3, 3));
    drop(handler);
}

#[test]
fn a_lag_limit_that_only_alerts_counts_and_one_that_cannot_work_is_refused() {
    use slipring::LagPolicy;
    use slipring_events::RegisterError;
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    for limit in [0, 8, u64::MAX] {
        let refused = bus.handler("odd").lag_limit(limit, LagPolicy::Alert).by_hand(|_, _| ());
        let refused = refused.map(|_| ()).unwrap_err();
        assert!(matches!(refused, RegisterError::LagLimit { capacity: 8, .. }), "{refused}");
        assert!(refused.to_string().ends_with("less than that, and at least 1"), "{refused}");
    }
    let (handler, mut hand) =
        bus.handler("slow").lag_limit(2, LagPolicy::Alert).by_hand(|_, _| ()).unwrap();
    let mut publisher = bus.publisher();
    for count in 0..3 {
        publisher.publish(number(count)).unwrap();
        publisher.publish(number(count)).unwrap();
        if count == 0 {
            settle(&mut hand);
        }
    }
    settle(&mut hand);
    let account = handler.account();
    assert_eq!((account.late, account.handled, account.adds_up()), (1, 6, true), "{account:?}");
}
