//! p12: no task sleeps through what it awaits, whatever becomes of other tasks. A lost wake-up is a
//! deadlock, which loom finds.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use futures_core::Stream as _;
use loom::{future::block_on, thread};
use slipring::{Poll, Poller, Start, Wait, poller, poller_mut};

use crate::{
    harness::Model,
    shapes::{LONG, changer, read_asleep, reader, ring},
};

pub const MODELS: &[Model] = &[
    awaiting("a_task", (2, 2, 2), a_task),
    awaiting("a_task_and_a_sleeper", (3, 2, 1), a_task_and_a_sleeper).bounded(2).full_bounded(2),
    awaiting("a_task_behind_a_stage", (3, 1, 1), a_task_behind_a_stage).bounded(2).full_bounded(3),
    awaiting("a_future_that_is_dropped", (2, 1, 1), a_future_that_is_dropped),
    awaiting("a_future_that_goes_to_another_task", (2, 1, 1), another_task),
    awaiting("a_task_that_is_closed", (2, 1, 0), a_task_that_is_closed),
    awaiting("a_stream_to_its_end", (2, 1, 1), a_stream_to_its_end).bounded(2).full_bounded(3),
    awaiting("room", (2, 1, 2), room).bounded(2).full_bounded(3),
    awaiting("room_for_two_tasks", (3, 1, 2), room_for_two_tasks).bounded(2).full_bounded(3),
    awaiting("room_where_one_leaves", (2, 1, 2), room_where_one_leaves),
    awaiting("a_closed_ring_has_no_room", (2, 1, 1), a_closed_ring_has_no_room),
];

/// The wake-up rests on the fences.
const fn awaiting(name: &'static str, size: (u8, u8, u8), body: fn()) -> Model {
    Model::exhaustive("p12", name, size, body).both_fences().bounded(3).full_bounded(4)
}

/// Reads so many numbers, and awaits each.
fn read_awaiting(poller: &mut Poller<u64>, count: usize) -> Vec<u64> {
    block_on(async {
        let mut seen = Vec::new();
        while seen.len() < count {
            poller.ready().await;
            poller.poll(|number, _| seen.push(*number)).expect("no fault");
        }
        seen
    })
}

fn a_task() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let awaiting = thread::spawn(move || read_awaiting(&mut a, 2));
    producer.publish(|slot| *slot = 10).unwrap();
    producer.publish(|slot| *slot = 11).unwrap();
    assert_eq!(awaiting.join().unwrap(), [10, 11]);
}

/// Of those that wait at one bell, all are woken, and each in its own way.
fn a_task_and_a_sleeper() {
    let (mut producer, mut dispatcher) =
        ring(2).wait(Wait::Block).then((poller("a"), poller("b"))).start().unwrap();
    let (mut a, mut b) = (reader(&mut dispatcher, "a"), reader(&mut dispatcher, "b"));
    let awaiting = thread::spawn(move || read_awaiting(&mut a, 1));
    let sleeping = thread::spawn(move || read_asleep(&mut b, 1));
    producer.publish(|slot| *slot = 10).unwrap();
    assert_eq!(awaiting.join().unwrap(), [10]);
    assert_eq!(sleeping.join().unwrap(), [10]);
}

/// It awaits the producer, or the stage before it.
fn a_task_behind_a_stage() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller_mut("stamp")).then(poller("a")).start().unwrap();
    let mut stamp = changer(&mut dispatcher, "stamp");
    let mut a = reader(&mut dispatcher, "a");
    let awaiting = thread::spawn(move || read_awaiting(&mut a, 1));
    let stamping = thread::spawn(move || {
        assert!(stamp.wait(LONG));
        stamp.poll(|number, _| *number += 100).unwrap();
        stamp
    });
    producer.publish(|slot| *slot = 10).unwrap();
    assert_eq!(awaiting.join().unwrap(), [110]);
    stamping.join().unwrap();
}

/// Polls a future once, with a waker that wakes nobody, and drops it.
fn give_up<F: Future>(future: F) -> bool {
    let future = pin!(future);
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// What it was to be woken for is still there for the next one.
fn a_future_that_is_dropped() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let awaiting = thread::spawn(move || {
        give_up(a.ready());
        read_awaiting(&mut a, 1)
    });
    producer.publish(|slot| *slot = 10).unwrap();
    assert_eq!(awaiting.join().unwrap(), [10]);
}

/// The last waker that it was polled with is the one that counts.
fn another_task() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let awaiting = thread::spawn(move || {
        let mut ready = Box::pin(a.ready());
        let first = ready.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if first.is_pending() {
            block_on(ready);
        } else {
            drop(ready);
        }
        read_awaiting(&mut a, 1)
    });
    producer.publish(|slot| *slot = 10).unwrap();
    assert_eq!(awaiting.join().unwrap(), [10]);
}

fn a_task_that_is_closed() {
    let (producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let awaiting = thread::spawn(move || {
        block_on(a.ready());
        assert_eq!(a.poll(|_, _| ()), Ok(Poll::Closed));
    });
    drop(producer);
    awaiting.join().unwrap();
}

fn a_stream_to_its_end() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let mut items = reader(&mut dispatcher, "a").into_stream(|number, _| *number);
    let awaiting = thread::spawn(move || {
        let mut next = || {
            let poll = |context: &mut Context<'_>| pin!(&mut items).poll_next(context);
            block_on(std::future::poll_fn(poll))
        };
        assert_eq!((next(), next(), next()), (Some(Ok(10)), None, None));
    });
    producer.publish(|slot| *slot = 10).unwrap();
    drop(producer);
    awaiting.join().unwrap();
}

fn room() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        for number in 10..12 {
            block_on(producer.publish_async(|slot| *slot = number)).unwrap();
        }
    });
    assert_eq!(read_asleep(&mut a, 2), [10, 11]);
    publishing.join().unwrap();
}

/// One of them gives up, and leaves the other one's waker where it is.
fn room_for_two_tasks() {
    let (mut first, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    first.publish(|slot| *slot = 10).unwrap();
    let mut second = first.clone();
    let publishing = thread::spawn(move || {
        block_on(first.publish_async(|slot| *slot = 20)).unwrap();
        first
    });
    let giving_up = thread::spawn(move || {
        give_up(second.publish_async(|slot| *slot = 30));
        second
    });
    let second = giving_up.join().unwrap();
    assert_eq!(read_asleep(&mut a, 2), [10, 20]);
    publishing.join().unwrap();
    drop(second);
}

fn room_where_one_leaves() {
    let (mut producer, dispatcher) = ring(1).without_stations().start().unwrap();
    let guest = dispatcher.membership().attach_poller(poller("guest"), Start::Now).unwrap();
    let publishing = thread::spawn(move || {
        for number in 10..12 {
            block_on(producer.publish_async(|slot| *slot = number)).unwrap();
        }
    });
    drop(guest);
    publishing.join().unwrap();
}

fn a_closed_ring_has_no_room() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let _a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    let publishing = thread::spawn(move || {
        let refused = block_on(producer.publish_async(|slot| *slot = 11));
        assert!(refused.is_err());
        producer
    });
    dispatcher.close();
    publishing.join().unwrap();
}
