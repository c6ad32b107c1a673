//! The bus: who sees what, in which order, and what a publisher is told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use slipring::{Detach, Start};
use slipring_events::{AnyEvent, Bus, Draft, RefusedReason, RegisterError, Step};

const AMPLE: Duration = Duration::from_mins(1);

type Seen<T> = Arc<Mutex<Vec<T>>>;

fn seen<T>() -> (Seen<T>, Seen<T>) {
    let seen = Seen::<T>::default();
    (Arc::clone(&seen), seen)
}

fn number(number: u32) -> AnyEvent {
    AnyEvent::new(number)
}

#[test]
fn every_handler_sees_what_it_asks_for_in_order() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let (numbers, record_numbers) = seen();
    let (orders, record_orders) = seen();
    let (all, record_all) = seen();
    bus.handler("numbers")
        .on::<u32>()
        .run(move |number, _| record_numbers.lock().unwrap().push(*number))
        .unwrap();
    bus.handler("orders")
        .topic("order.*")
        .run(move |_, context| record_orders.lock().unwrap().push(context.topic().to_string()))
        .unwrap();
    bus.handler("all")
        .run(move |_, context| record_all.lock().unwrap().push(context.sequence()))
        .unwrap();

    let mut publisher = bus.publisher();
    for count in 0..100 {
        assert_eq!(publisher.publish(number(count)).unwrap().handlers(), 2);
        let order = Draft::new(AnyEvent::new("an order")).topic("order.created");
        assert_eq!(publisher.send(order).unwrap().handlers(), 3);
        let deep = Draft::new(AnyEvent::new("no order")).topic("order.created.twice");
        assert_eq!(publisher.send(deep).unwrap().handlers(), 2);
    }
    let report = bus.shutdown(AMPLE).unwrap();
    assert!(report.handlers.iter().all(|handler| handler.account.adds_up()));
    assert_eq!(*numbers.lock().unwrap(), (0..100).collect::<Vec<u32>>());
    assert_eq!(*orders.lock().unwrap(), vec!["order.created"; 100]);
    assert_eq!(*all.lock().unwrap(), (0..300).collect::<Vec<u64>>());
}

#[test]
fn nobody_to_tell_is_no_error() {
    let bus = Bus::<AnyEvent>::start(2).unwrap();
    let mut publisher = bus.publisher();
    for count in 0..10 {
        let told = publisher.publish(number(count)).unwrap();
        assert_eq!((told.handlers(), told.sequence()), (0, u64::from(count)));
    }
}

#[test]
fn inline_handlers_see_each_event_in_the_order_of_their_registration_before_publish_returns() {
    let bus = Bus::<AnyEvent>::start(4).unwrap();
    let (calls, record) = seen();
    for name in ["first", "second", "third"] {
        let record = Arc::clone(&record);
        bus.handler(name)
            .on::<u32>()
            .inline(move |number, _| record.lock().unwrap().push((name, *number)))
            .unwrap();
    }
    let mut publisher = bus.publisher();
    for count in 0..20 {
        publisher.publish(number(count)).unwrap();
        let expected = [("first", count), ("second", count), ("third", count)];
        assert_eq!(std::mem::take(&mut *calls.lock().unwrap()), expected);
    }
}

#[test]
fn a_name_is_taken_once_and_free_when_its_handler_has_left() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let (count, record) = seen();
    let register = |record: Seen<u32>| {
        bus.handler("one").on::<u32>().run(move |number, _| record.lock().unwrap().push(*number))
    };
    let first = register(Arc::clone(&record)).unwrap();
    let second = register(Arc::clone(&record));
    assert!(matches!(second, Err(RegisterError::Refused(_))), "{second:?}");
    bus.publisher().publish(number(1)).unwrap();
    assert_eq!(first.unsubscribe(Detach::Drained, AMPLE).unwrap().handled, 1);
    assert_eq!(bus.publisher().publish(number(2)).unwrap().handlers(), 0);
    register(record).unwrap();
    bus.publisher().publish(number(3)).unwrap();
    bus.shutdown(AMPLE).unwrap();
    assert_eq!(*count.lock().unwrap(), [1, 3]);
}

#[test]
fn a_full_bus_refuses_gives_back_and_waits() {
    let bus = Bus::<AnyEvent>::start(2).unwrap();
    let (slow, mut hand) = bus.handler("slow").on::<u32>().by_hand(|_, _| ()).unwrap();
    let mut publisher = bus.publisher();
    publisher.publish(number(0)).unwrap();
    publisher.publish(number(1)).unwrap();
    let refused = publisher.try_publish(number(2)).unwrap_err();
    assert_eq!((refused.reason, refused.event.get::<u32>()), (RefusedReason::Full, Some(&2)));
    let refused = publisher.publish_within(Duration::from_millis(1), number(3)).unwrap_err();
    assert_eq!((refused.reason, refused.event.get::<u32>()), (RefusedReason::TimedOut, Some(&3)));
    assert_eq!(hand.step(), Step::Moved);
    assert_eq!(publisher.try_publish(number(4)).unwrap().sequence(), 2);
    let mut batch = vec![number(5), number(6), number(7)];
    assert!(matches!(publisher.publish_batch(&mut batch), Err(RefusedReason::TooLarge { .. })));
    assert_eq!(batch.len(), 3);
    bus.close();
    let refused = publisher.publish(number(8)).unwrap_err();
    assert_eq!((refused.reason, refused.event.get::<u32>()), (RefusedReason::Closed, Some(&8)));
    assert_eq!(hand.step(), Step::Moved);
    assert_eq!(slow.account().handled, 3, "{:?}", slow.account());
    drop(hand);
    bus.shutdown(AMPLE).unwrap();
}

#[test]
fn batches_come_as_they_are() {
    let bus = Bus::<AnyEvent>::start(16).unwrap();
    let (numbers, record) = seen();
    bus.handler("numbers")
        .on::<u32>()
        .run(move |number, _| record.lock().unwrap().push(*number))
        .unwrap();
    let mut publisher = bus.publisher();
    for batch in 0..100 {
        let mut events: Vec<AnyEvent> = (0..10).map(|index| number(batch * 10 + index)).collect();
        let range = publisher.publish_batch(&mut events).unwrap();
        assert_eq!((range.end - range.start, events.len()), (10, 0));
    }
    bus.shutdown(AMPLE).unwrap();
    assert_eq!(*numbers.lock().unwrap(), (0..1_000).collect::<Vec<u32>>());
}

#[test]
fn a_late_handler_sees_what_is_on_the_ring_or_what_comes() {
    let bus = Bus::<AnyEvent>::start(4).unwrap();
    // Without anybody on the ring nothing is kept.
    let (_first, mut first) = bus.handler("first").by_hand(|_, _| ()).unwrap();
    let mut publisher = bus.publisher();
    for count in 0..3 {
        publisher.publish(number(count)).unwrap();
    }
    let (oldest, _old) = bus.handler("old").start(Start::Oldest).by_hand(|_, _| ()).unwrap();
    let (newest, _new) = bus.handler("new").by_hand(|_, _| ()).unwrap();
    assert_eq!((oldest.first_sequence(), newest.first_sequence()), (0, 3));
    assert_eq!(first.step(), Step::Moved);
    drop(first);
}

#[test]
fn a_task_handles_on_tokio_and_on_smol() {
    let run = |spawn: &dyn Fn(futures_util::future::BoxFuture<'static, ()>)| {
        let bus = Bus::<AnyEvent>::start(4).unwrap();
        let (numbers, record) = seen();
        let (_handler, task) = bus
            .handler("task")
            .on::<u32>()
            .task(async move |number, _| {
                smol::future::yield_now().await;
                record.lock().unwrap().push(*number);
            })
            .unwrap();
        spawn(Box::pin(task));
        let mut publisher = bus.publisher();
        for count in 0..100 {
            publisher.publish(number(count)).unwrap();
        }
        let report = bus.shutdown(AMPLE).unwrap();
        assert_eq!(report.handlers[0].account.handled, 100);
        assert_eq!(*numbers.lock().unwrap(), (0..100).collect::<Vec<u32>>());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    run(&|task| drop(runtime.spawn(task)));
    run(&|task| smol::spawn(task).detach());
}

#[test]
fn everybody_gets_the_news_from_many_publishers_and_of_each_in_its_order() {
    let bus = Bus::<AnyEvent>::start(64).unwrap();
    let mut records = Vec::new();
    for name in ["a", "b", "c"] {
        let (numbers, record) = seen();
        bus.handler(name)
            .on::<(u32, u32)>()
            .run(move |event, _| record.lock().unwrap().push(*event))
            .unwrap();
        records.push(numbers);
    }
    std::thread::scope(|scope| {
        for publisher_number in 0..4_u32 {
            let mut publisher = bus.publisher();
            scope.spawn(move || {
                for count in 0..1_000_u32 {
                    publisher.publish(AnyEvent::new((publisher_number, count))).unwrap();
                }
            });
        }
    });
    bus.shutdown(AMPLE).unwrap();
    let first = records[0].lock().unwrap().clone();
    assert_eq!(first.len(), 4_000);
    for publisher in 0..4 {
        let of_it = first.iter().filter(|(other, _)| *other == publisher).map(|(_, count)| *count);
        assert!(of_it.eq(0..1_000));
    }
    // One order for all.
    assert!(records.iter().all(|record| *record.lock().unwrap() == first));
}
