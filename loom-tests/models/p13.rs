//! p13: whatever happens to an event, its content is dropped once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use loom::thread;
use slipring::{Builder, Poll, poller, poller_mut};

use crate::harness::{Model, plan_a_panic};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p13", "unread_and_overwritten", (2, 2, 3), unread_and_overwritten),
    Model::exhaustive("p13", "taken_out", (2, 1, 2), taken_out),
    Model::exhaustive("p13", "abandoned", (2, 2, 2), abandoned),
    Model::exhaustive("p13", "reset", (2, 1, 2), reset),
    Model::exhaustive("p13", "reset_by_the_later_of_two", (2, 2, 1), reset_by_the_later_of_two),
    Model::exhaustive("p13", "reset_of_what_nobody_read", (2, 1, 2), reset_of_what_nobody_read),
];

/// Of two stations that pass a slot at the same time, one at least sees that both have.
fn reset_by_the_later_of_two() {
    let counter = Arc::new(());
    let (mut producer, mut dispatcher) = Builder::<Counted>::with_defaults(2)
        .reset(|slot| *slot = None)
        .then((poller("a"), poller("b")))
        .start()
        .unwrap();
    producer.publish(|slot| *slot = Some(Arc::clone(&counter))).unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    let mut b = dispatcher.poller("b").unwrap();
    let passing = thread::spawn(move || {
        a.poll(|content, _| assert!(content.is_some())).unwrap();
        a
    });
    b.poll(|content, _| assert!(content.is_some())).unwrap();
    let a = passing.join().unwrap();
    assert_eq!(Arc::strong_count(&counter), 1, "what both have passed is dropped at once");
    drop((producer, a, b, dispatcher));
}

/// Every station has left: whoever runs the hook has seen what the producer wrote.
fn reset_of_what_nobody_read() {
    let counter = Arc::new(());
    let (mut producer, mut dispatcher) = Builder::<Counted>::with_defaults(1)
        .reset(|slot| *slot = None)
        .then(poller("a"))
        .start()
        .unwrap();
    let a = dispatcher.poller("a").unwrap();
    let publishing = {
        let counter = Arc::clone(&counter);
        thread::spawn(move || {
            for _ in 0..2 {
                let _ = producer.try_publish(|slot| *slot = Some(Arc::clone(&counter)));
            }
            producer
        })
    };
    drop(a);
    let mut producer = publishing.join().unwrap();
    assert!(producer.try_publish(|slot| *slot = None).is_ok(), "it runs the hook itself");
    drop((producer, dispatcher));
    assert_eq!(Arc::strong_count(&counter), 1);
}

/// Content that can be counted: each event holds one handle of the counter.
type Counted = Option<Arc<()>>;

fn unread_and_overwritten() {
    let counter = Arc::new(());
    let (mut producer, mut dispatcher) =
        Builder::<Counted>::with_defaults(2).then(poller("a")).start().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    let publishing = {
        let counter = Arc::clone(&counter);
        thread::spawn(move || {
            for _ in 0..3 {
                let _ = producer.try_publish(|slot| *slot = Some(Arc::clone(&counter)));
            }
        })
    };
    let mut seen = 0;
    a.poll_at_most(1, |content, _| seen += usize::from(content.is_some())).unwrap();
    publishing.join().unwrap();
    assert!(Arc::strong_count(&counter) <= 1 + 2, "the ring holds no more than its slots");
    drop((a, dispatcher));
    assert_eq!(Arc::strong_count(&counter), 1);
    assert!(seen <= 1);
}

fn taken_out() {
    let counter = Arc::new(());
    let (mut producer, mut dispatcher) =
        Builder::<Counted>::with_defaults(1).then(poller_mut("a")).start().unwrap();
    let mut a = dispatcher.poller_mut("a").unwrap();
    let publishing = {
        let counter = Arc::clone(&counter);
        thread::spawn(move || {
            let put = |slot: &mut Counted| assert!(slot.replace(Arc::clone(&counter)).is_none());
            (0..2).filter(|_| producer.try_publish(put).is_ok()).count()
        })
    };
    let mut taken = Vec::new();
    for _ in 0..2 {
        a.poll(|content, _| taken.extend(content.take())).unwrap();
    }
    let published = publishing.join().unwrap();
    a.poll(|content, _| taken.extend(content.take())).unwrap();
    assert_eq!(taken.len(), published);
    drop((a, dispatcher));
    assert_eq!(Arc::strong_count(&counter), 1 + published);
}

fn abandoned() {
    let counter = Arc::new(());
    let (mut producer, mut dispatcher) =
        Builder::<Counted>::with_defaults(2).then(poller("a")).start_multi().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    let publishing = {
        let counter = Arc::clone(&counter);
        thread::spawn(move || {
            let writing = AssertUnwindSafe(|| {
                producer.try_publish(|slot| {
                    *slot = Some(Arc::clone(&counter));
                    plan_a_panic();
                })
            });
            assert!(catch_unwind(writing).is_err());
            producer.try_publish(|slot| *slot = Some(Arc::clone(&counter))).unwrap();
        })
    };
    let mut seen = 0;
    a.poll(|_, _| seen += 1).unwrap();
    publishing.join().unwrap();
    while let Poll::Events(_) = a.poll(|_, _| seen += 1).unwrap() {}
    assert_eq!((seen, Arc::strong_count(&counter)), (1, 3));
    drop((a, dispatcher));
    assert_eq!(Arc::strong_count(&counter), 1);
}

fn reset() {
    let counter = Arc::new(());
    let (mut producer, mut dispatcher) = Builder::<Counted>::with_defaults(1)
        .reset(|slot| *slot = None)
        .then(poller("a"))
        .start()
        .unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    let publishing = {
        let counter = Arc::clone(&counter);
        thread::spawn(move || {
            let put = |slot: &mut Counted| assert!(slot.replace(Arc::clone(&counter)).is_none());
            let published = (0..2).filter(|_| producer.try_publish(put).is_ok()).count();
            (producer, published)
        })
    };
    let mut seen = 0;
    for _ in 0..2 {
        a.poll(|content, _| seen += usize::from(content.is_some())).unwrap();
    }
    let (mut producer, published) = publishing.join().unwrap();
    a.poll(|content, _| seen += usize::from(content.is_some())).unwrap();
    assert_eq!(seen, published);
    assert_eq!(Arc::strong_count(&counter), 1, "what everybody has passed is dropped at once");
    assert!(producer.try_publish(|_| ()).is_ok(), "and its slot is free");
    drop((producer, a, dispatcher));
}
