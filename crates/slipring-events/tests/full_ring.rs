//! What follows from events when the ring is full of events that their own handler has not come to.

use std::time::Duration;

use slipring_events::{Account, AnyEvent, Bus, Step};

/// Steps a handler that publishes so many events for each number, on a ring that is full of numbers.
fn story(capacity: u32, follow_ups: u32) -> Account {
    let bus = Bus::<AnyEvent>::start(capacity as usize).unwrap();
    let (handler, mut hand) = bus
        .handler("many")
        .on::<u32>()
        .by_hand(move |number, _| {
            let follow = |index| AnyEvent::new(u64::from(number * 100 + index));
            (0..follow_ups).map(follow).collect::<Vec<_>>()
        })
        .unwrap();
    let mut publisher = bus.publisher();
    for number in 0..capacity {
        publisher.publish(AnyEvent::new(number)).unwrap();
    }
    // Each step moves, or the handler is stuck.
    let bound = 4 * capacity * (follow_ups + 1);
    let steps = (0..bound).map(|_| hand.step()).take_while(|step| !matches!(step, Step::Idle(_)));
    let steps: Vec<Step> = steps.collect();
    assert!(!steps.contains(&Step::Full), "{:?}", handler.account());
    assert!((steps.len() as u32) < bound, "{:?}", handler.account());
    let account = handler.account();
    drop(hand);
    bus.shutdown(Duration::from_mins(1)).unwrap();
    account
}

#[test]
fn a_handler_makes_the_room_that_its_follow_ups_wait_for() {
    for capacity in [1, 2, 4, 16] {
        for follow_ups in [1, 2, 3, 7] {
            let account = story(capacity, follow_ups);
            let expected = u64::from(capacity * follow_ups);
            assert_eq!((account.handled, account.follow_ups), (u64::from(capacity), expected));
            assert_eq!((account.filtered, account.failures), (expected, 0));
            assert!(account.adds_up(), "{account:?}");
        }
    }
}

#[test]
fn retries_go_on_as_well() {
    // What is given back on a full ring leads to something that waits for room behind it.
    let bus = Bus::<AnyEvent>::start(4).unwrap();
    let mut is_mended = false;
    let (handler, mut hand) = bus
        .handler("mends itself")
        .on::<u32>()
        .by_hand(move |number, _| {
            if std::mem::replace(&mut is_mended, true) {
                Ok([u64::from(*number); 2].map(AnyEvent::new).to_vec())
            } else {
                Err("not yet")
            }
        })
        .unwrap();
    let mut publisher = bus.publisher();
    publisher.publish(AnyEvent::new(0_u32)).unwrap();
    hand.step();
    assert_eq!(bus.dead_letters().requeue(0), Ok(1));
    while publisher.try_publish(AnyEvent::new(1_u32)).is_ok() {}
    let steps = (0..100).map(|_| hand.step()).take_while(|step| !matches!(step, Step::Idle(_)));
    assert!(steps.count() < 100, "{:?}", handler.account());
    let account = handler.account();
    assert_eq!((account.follow_ups, account.waiting), (account.handled * 2, 0));
    drop(hand);
    bus.shutdown(Duration::from_mins(1)).unwrap();
}

#[test]
fn a_task_that_waits_for_room_lets_others_make_it() {
    let bus = Bus::<AnyEvent>::start(4).unwrap();
    let (_, many) = bus
        .handler("many")
        .on::<u32>()
        .task(async |number, _| [u64::from(*number); 3].map(AnyEvent::new).to_vec())
        .unwrap();
    let (_, slow) = bus.handler("slow").task(async |_, _| smol::future::yield_now().await).unwrap();
    let mut publisher = bus.publisher();
    for number in 0..4_u32 {
        publisher.publish(AnyEvent::new(number)).unwrap();
    }
    // One thread for both: who does not let go of it keeps the other from moving.
    let executor = smol::LocalExecutor::new();
    executor.spawn(many).detach();
    executor.spawn(slow).detach();
    let end = smol::unblock(move || bus.shutdown(Duration::from_mins(1)));
    let report = smol::block_on(executor.run(end)).unwrap();
    let [many, slow] = &report.handlers[..] else { unreachable!("there are two") };
    assert_eq!((many.account.handled, many.account.follow_ups), (4, 12));
    assert_eq!(slow.account.handled, 4 + 12);
}

#[test]
fn handlers_with_threads_feed_each_other_on_a_small_ring() {
    let bus = Bus::<AnyEvent>::start(2).unwrap();
    let more = |number: &u64| (*number < 6).then(|| [number + 1; 2].map(AnyEvent::new).to_vec());
    bus.handler("more").on::<u64>().run(move |number, _| more(number).unwrap_or_default()).unwrap();
    let half = |number: &u64| number.is_multiple_of(2).then(|| AnyEvent::new(*number as u32));
    bus.handler("even").on::<u64>().run(move |number, _| half(number)).unwrap();
    bus.publisher().publish(AnyEvent::new(0_u64)).unwrap();
    let report = bus.shutdown(Duration::from_mins(1)).unwrap();
    // 1 + 2 + 4 + ... + 64 numbers, of which 1 + 4 + 16 + 64 are even.
    let accounts = report.handlers.iter().map(|handler| handler.account);
    let told: Vec<_> = accounts.map(|account| (account.handled, account.follow_ups)).collect();
    assert_eq!(told, [(127, 126), (127, 85)]);
}
