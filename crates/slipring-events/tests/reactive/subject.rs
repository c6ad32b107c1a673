//! Subjects: many publishers, subscribers that come and go, and every way to end.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

use slipring_events::reactive::{
    Delivered, Flow, Pool, Refusal, Refused, Source, Subject, SubjectError,
};

use crate::common::{bounded, drain, panic_of, poll};

#[test]
fn handles_go_to_any_thread() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    fn is_unpin<T: Unpin>() {}
    is_shared::<Source<u8>>();
    is_shared::<Pool>();
    is_send::<Subject<u8>>();
    is_send::<Flow<u8>>();
    is_unpin::<Flow<std::marker::PhantomPinned>>();
}

#[test]
fn everybody_sees_what_is_published_after_they_came() {
    let mut subject = Subject::new(8).expect("a ring");
    assert_eq!(subject.try_publish(1), Ok(Delivered { sequence: 0, subscribers: 0 }));
    let first = subject.subscribe().expect("a place");
    assert_eq!(subject.try_publish(2), Ok(Delivered { sequence: 1, subscribers: 1 }));
    let second = subject.subscribe().expect("a place");
    assert_eq!(subject.try_publish(3), Ok(Delivered { sequence: 2, subscribers: 2 }));
    let third = subject.source().subscribe().expect("a place");
    assert_eq!((subject.subscribers(), subject.source().subscribers()), (3, 3));
    drop(subject);
    assert_eq!((drain(first), drain(second), drain(third)), (vec![2, 3], vec![3], vec![]));
}

#[test]
fn who_leaves_holds_nobody_back_and_is_not_counted() {
    let mut subject = Subject::new(2).expect("a ring");
    let slow = subject.subscribe().expect("a place");
    let mut quick = subject.subscribe().expect("a place");
    for number in [1, 2] {
        subject.try_publish(number).expect("there is room");
        assert_eq!(poll(&mut quick), Poll::Ready(Some(number)));
    }
    assert_eq!(subject.try_publish(3).unwrap_err().why, Refusal::Full);
    drop(slow);
    assert_eq!(subject.try_publish(3), Ok(Delivered { sequence: 2, subscribers: 1 }));
    let mut last = quick.take(1);
    // It has what it wants, and is still there.
    assert_eq!(poll(&mut last), Poll::Ready(Some(3)));
    assert_eq!(subject.try_publish(4), Ok(Delivered { sequence: 3, subscribers: 0 }));
    drop(last);
}

#[test]
fn closing_ends_all_flows_behind_what_was_published() {
    let subject = Subject::new(4).expect("a ring");
    let (one, other) =
        (subject.subscribe().expect("a place"), subject.subscribe().expect("a place"));
    let mut clone = subject.clone();
    clone.try_publish("last").expect("there is room");
    subject.close();
    subject.close();
    assert!(clone.is_closed());
    let refused = Refused { value: "late", why: Refusal::Closed };
    assert_eq!(clone.try_publish("late"), Err(refused.clone()));
    assert_eq!(clone.publish("late"), Err(refused.clone()));
    assert_eq!(smol::block_on(clone.publish_async("late")), Err(refused));
    assert_eq!((drain(one), drain(other)), (vec!["last"], vec!["last"]));
    assert_eq!(drain(clone.subscribe().expect("a flow that is over")), [""; 0]);
}

#[test]
fn the_last_publisher_closes_it_and_a_source_does_not_keep_it_open() {
    let subject = Subject::<u8>::new(4).expect("a ring");
    let source = subject.source();
    let mut flow = source.subscribe().expect("a place");
    let clone = subject.clone();
    drop(subject);
    assert_eq!(poll(&mut flow), Poll::Pending);
    drop(clone);
    assert_eq!(poll(&mut flow), Poll::Ready(None));
    assert_eq!(source.subscribers(), 0);
}

#[test]
fn what_is_not_possible_is_said() {
    assert!(matches!(Subject::<u8>::new(3), Err(SubjectError::Ring(_))));
    let error = Subject::<u8>::replaying(4, 4).unwrap_err();
    assert_eq!(error, SubjectError::Replay { last: 4, capacity: 4 });
    assert!(error.to_string().contains("one more"));
    let subject = Subject::<u8>::new(2).expect("a ring");
    let all: Vec<_> = (0..256).map(|_| subject.subscribe().expect("a place")).collect();
    assert!(subject.subscribe().is_err());
    drop(all);
    assert!(subject.subscribe().is_ok());
}

#[test]
fn a_publisher_that_waits_is_woken_by_who_reads_who_leaves_and_who_closes() {
    type Change = fn(&mut Subject<u8>, &mut Flow<u8>);
    let changes: [(Change, bool); 3] = [
        (|_, flow| assert!(poll(flow).is_ready()), true),
        (|_, flow| *flow = Flow::empty(), true),
        (|subject, _| subject.close(), false),
    ];
    for (change, comes_through) in changes {
        let mut subject = Subject::new(1).expect("a ring");
        let mut flow = subject.subscribe().expect("a place");
        subject.try_publish(1).expect("there is room");
        let (mut blocks, mut awaits) = (subject.clone(), subject.clone());
        // Both at once: whoever is first makes the other one wait again, where there is a reader.
        let blocking = thread::spawn(move || blocks.publish(2).is_ok());
        let awaiting = thread::spawn(move || smol::block_on(awaits.publish_async(3)).is_ok());
        change(&mut subject, &mut flow);
        let rest = thread::spawn(move || smol::block_on(flow.collect::<Vec<_>>()));
        let through = bounded(move || {
            [blocking.join().expect("no panic"), awaiting.join().expect("no panic")]
        });
        assert_eq!(through, [comes_through; 2]);
        drop(subject);
        bounded(move || rest.join().expect("no panic"));
    }
}

#[test]
fn a_publish_that_is_given_up_publishes_nothing() {
    let mut subject = Subject::new(1).expect("a ring");
    let mut flow = subject.subscribe().expect("a place");
    subject.try_publish(1).expect("there is room");
    {
        let mut publishing = Box::pin(subject.publish_async(2));
        let polled = publishing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    assert_eq!(poll(&mut flow), Poll::Ready(Some(1)));
    assert_eq!(poll(&mut flow), Poll::Pending);
    assert_eq!(subject.try_publish(3), Ok(Delivered { sequence: 1, subscribers: 1 }));
    assert_eq!(poll(&mut flow), Poll::Ready(Some(3)));
}

/// Counts itself, and may panic when it is cloned or dropped. Copies do not.
struct Value {
    alive: Arc<AtomicUsize>,
    panics: Panics,
}

#[derive(PartialEq)]
enum Panics {
    Never,
    Cloned,
    Dropped,
}

impl Value {
    fn new(alive: &Arc<AtomicUsize>, panics: Panics) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self { alive: Arc::clone(alive), panics }
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        assert!(self.panics != Panics::Cloned, "no copies");
        Self::new(&self.alive, Panics::Never)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
        assert!(self.panics != Panics::Dropped, "it panics when it is dropped, on purpose");
    }
}

#[test]
fn a_value_is_dropped_when_everybody_has_read_it() {
    let alive = Arc::default();
    let mut subject = Subject::new(4).expect("a ring");
    let mut flows = [0; 2].map(|_| subject.subscribe().expect("a place"));
    assert!(subject.try_publish(Value::new(&alive, Panics::Never)).is_ok());
    for flow in &mut flows {
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        assert!(poll(flow).is_ready());
    }
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert!(subject.try_publish(Value::new(&alive, Panics::Never)).is_ok());
    drop((subject, flows));
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_value_that_panics_stops_nobody_else() {
    let alive = Arc::default();
    let mut subject = Subject::new(4).expect("a ring");
    let mut one = subject.subscribe().expect("a place");
    let mut other = subject.subscribe().expect("a place");
    assert!(subject.try_publish(Value::new(&alive, Panics::Cloned)).is_ok());
    // The panic goes to who reads, whose flow is over; it does not halt the ring.
    assert_eq!(panic_of(|| poll(&mut one)), "no copies");
    assert!(matches!(poll(&mut one), Poll::Ready(None)));
    assert_eq!(panic_of(|| poll(&mut other)), "no copies");
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    let mut third = subject.subscribe().expect("a place");
    for panics in [Panics::Dropped, Panics::Never, Panics::Dropped, Panics::Dropped, Panics::Never]
    {
        assert!(subject.try_publish(Value::new(&alive, panics)).is_ok());
        assert!(matches!(poll(&mut third), Poll::Ready(Some(_))));
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }
}

const PUBLISHERS: usize = 3;
const EACH: usize = 2_000;

/// What one subscriber saw: for each publisher, all from some number on, in order.
fn check(seen: &[(usize, usize)]) {
    let mut next = HashMap::new();
    for (publisher, number) in seen {
        let expected = next.insert(*publisher, number + 1);
        assert_eq!(expected.unwrap_or(*number), *number, "of publisher {publisher}");
    }
    assert!(next.values().all(|next| *next == EACH), "all to the end: {next:?}");
}

/// Subscribes again and again, and reads a little.
fn come_and_go(source: &Source<(usize, usize)>) -> usize {
    let mut came = 0;
    loop {
        let flow = source.subscribe().expect("a place");
        let seen = smol::block_on(flow.take(50).collect::<Vec<_>>());
        came += 1;
        if seen.len() < 50 {
            return came;
        }
    }
}

#[test]
fn many_publish_and_many_read_while_others_come_and_go() {
    bounded(|| {
        let subject = Subject::new(16).expect("a ring");
        let from_the_start = subject.subscribe().expect("a place");
        let source = subject.source();
        let publish = |publisher| {
            let mut subject = subject.clone();
            thread::spawn(move || {
                for number in 0..EACH {
                    let value = (publisher, number);
                    let published = match number % 2 {
                        0 => subject.publish(value),
                        _ => smol::block_on(subject.publish_async(value)),
                    };
                    published.expect("it is open");
                }
            })
        };
        let read = |flow: Flow<(usize, usize)>| {
            thread::spawn(move || smol::block_on(flow.collect::<Vec<_>>()))
        };
        let publishers: Vec<_> = (0..PUBLISHERS).map(publish).collect();
        let first = read(from_the_start);
        let late = read(source.subscribe().expect("a place"));
        let visitor = thread::spawn(move || come_and_go(&source));
        drop(subject);
        for publisher in publishers {
            publisher.join().expect("no panic");
        }
        let (first, late) = (first.join().expect("no panic"), late.join().expect("no panic"));
        assert_eq!(first.len(), PUBLISHERS * EACH);
        check(&first);
        assert!(first.ends_with(&late), "everybody sees the same order");
        assert!(visitor.join().expect("no panic") > 0);
    });
}

/// S16, S17: a stream whose items are worked on by a pool, into another one.
#[test]
fn from_a_subject_through_a_pool_to_a_subject() {
    let mut input = Subject::new(8).expect("a ring");
    let output = Subject::new(8).expect("a ring");
    let pool = Pool::of_cores().expect("threads");
    let processed = output.subscribe().expect("a place");
    let pump = input.subscribe().expect("a place").observe_on(&pool, 4, |n: u32| n * n);
    let pump = thread::spawn(move || smol::block_on(pump.publish_to(output)));
    let feed = thread::spawn(move || (0..100).all(|n| input.publish(n).is_ok()));
    let squares = bounded(move || smol::block_on(processed.collect::<Vec<_>>()));
    assert!(squares.into_iter().eq((0..100).map(|n| n * n)));
    assert!(feed.join().expect("no panic"));
    assert_eq!(pump.join().expect("no panic"), Ok(100));
}
