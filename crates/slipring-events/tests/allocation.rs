//! Nothing is allocated for an event on its way from the publisher to its handlers and to what follows from it, once
//! all is warm.
//!
//! Inline handlers run in the publisher's thread, as hands do in the test's: what is counted there is all there is.

// It measures the real allocator.
#![cfg(not(miri))]

use std::hint::black_box;

use allocation_counter::measure;
use slipring_events::{AnyEvent, Bus, Draft, EventId, Source, Step, events};

const WARM_UP: u32 = 100;
const EVENTS: u32 = 1_000;

#[derive(Clone, Debug)]
struct Order(u64);

#[derive(Clone, Debug)]
struct Shipped(u64);

events! {
    enum Shop {
        Order = "order",
        Shipped = "shipped",
    }
}

/// What many events cost when all is warm.
fn cost(mut each: impl FnMut(u32)) -> u64 {
    (0..WARM_UP).for_each(&mut each);
    measure(|| (0..EVENTS).for_each(&mut each)).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(cost(|count| drop(black_box(Box::new(count)))), u64::from(EVENTS));
}

#[test]
fn publishing_and_handling_by_inline_handlers() {
    for handlers in [1, 3] {
        let bus = Bus::<Shop>::start(64).unwrap();
        for name in 0..handlers {
            bus.handler(format!("{name}"))
                .on::<Order>()
                .inline(|order, _| {
                    black_box(order.0);
                })
                .unwrap();
        }
        let mut publisher = bus.publisher();
        let calls = cost(|count| {
            assert_eq!(publisher.publish(Order(u64::from(count))).unwrap().handlers(), handlers);
        });
        assert_eq!(calls, 0, "{handlers} handlers");
    }
}

#[test]
fn publishing_and_handling_events_of_any_type() {
    let bus = Bus::<AnyEvent>::start(64).unwrap();
    for name in ["a", "b", "c"] {
        bus.handler(name)
            .on::<[u64; 8]>()
            .inline(|words, _| {
                black_box(words[7]);
            })
            .unwrap();
    }
    bus.handler("other").topic("no.such").inline(|_, _| ()).unwrap();
    let mut publisher = bus.publisher();
    let calls = cost(|count| {
        publisher.try_publish(AnyEvent::new([u64::from(count); 8])).unwrap();
    });
    assert_eq!(calls, 0);
}

#[test]
fn what_follows() {
    let bus = Bus::<Shop>::start(64).unwrap();
    bus.handler("stock")
        .on::<Order>()
        .inline(|order, context| context.publish(Shipped(order.0)))
        .unwrap();
    let shipping = bus
        .handler("shipping")
        .on::<Shipped>()
        .inline(|shipped, _| {
            black_box(shipped.0);
        })
        .unwrap();
    let mut publisher = bus.publisher();
    let calls = cost(|count| {
        publisher.publish(Order(u64::from(count))).unwrap();
    });
    assert_eq!((calls, shipping.account().handled), (0, u64::from(WARM_UP + EVENTS)));
}

#[test]
fn what_follows_and_waits_for_room() {
    let bus = Bus::<Shop>::start(1).unwrap();
    let register = |name: &str| bus.handler(name);
    let (stock, mut hand) = register("stock")
        .on::<Order>()
        .by_hand(|order, context| context.publish(Shipped(order.0)))
        .unwrap();
    let (_slow, mut slow) = register("slow").by_hand(|_, _| ()).unwrap();
    let mut publisher = bus.publisher();
    let calls = cost(|count| {
        publisher.try_publish(Order(u64::from(count))).unwrap();
        assert_eq!((hand.step(), hand.step()), (Step::Moved, Step::Full));
        for _ in 0..3 {
            slow.step();
            hand.step();
        }
    });
    assert_eq!((calls, stock.account().follow_ups), (0, u64::from(WARM_UP + EVENTS)));
    drop((hand, slow));
}

#[test]
fn with_all_that_can_stand_around_a_handler() {
    use slipring_events::{Breaker, DeadLetters, ManualClock, Retry, Throttle};
    let clock = ManualClock::default();
    let bus = Bus::<Shop>::builder(64).clock(clock.clone()).start().unwrap();
    let letters = DeadLetters::new(8);
    let (handler, mut hand) = bus
        .handler("all")
        .on::<Order>()
        .topic("order")
        .in_sequence(|order| order.0 % 8)
        .idempotent(64)
        .dead_letters(&letters)
        .retry(Retry::immediately(3))
        .breaker(Breaker::after(5))
        .throttle(Throttle::per(10, std::time::Duration::from_secs(1)))
        .by_hand(|order, context| {
            black_box((order.0, context.id(), context.time(), context.correlation()));
        })
        .unwrap();
    let mut publisher = bus.publisher();
    let source = Source::named("elsewhere");
    let calls = cost(|count| {
        let draft = Draft::new(Order(u64::from(count))).id(EventId::of(source, u64::from(count)));
        publisher.try_send(draft).unwrap();
        clock.advance(std::time::Duration::from_secs(1));
        while hand.step() == Step::Moved {}
    });
    assert_eq!((calls, handler.account().handled), (0, u64::from(WARM_UP + EVENTS)));
    drop(hand);
}
