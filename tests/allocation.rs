//! Nothing is allocated, and nothing freed, once a ring has warmed up: not by publishing, not by
//! handling, not by waiting, and not by a refusal.
//!
//! The allocator counts the calls of those threads that asked for it: the test's own and those of
//! the stations, but not the test harness's.

// It measures the real allocator.
#![cfg(not(any(loom, miri)))]

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    sync::{
        Arc, Barrier, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{WAITS, far_future, joined, past, within_a_minute};
use slipring::{
    At, Builder, Claim, Dispatcher, Handler, HandlerError, Poll, Producer, PublishError, Wait,
    poller, read, read_batch, read_handler, update,
};

/// The system's allocator, with its calls counted.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether the calls of this thread count.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if COUNTS.get() {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: every call is handed on to the system's allocator as it came; counting touches an atomic
// and a constant-initialised thread-local without a destructor, and so allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the one that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as in `alloc`; the memory came from there.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count();
        // SAFETY: as in `realloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: u32 = 20;
const ROUNDS: u32 = 40;
/// Long enough for every strategy to reach its deepest rest.
const A_REST: Duration = Duration::from_millis(2);

/// The counter belongs to one test at a time, and to the threads that count.
struct Measurement(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Measurement {
    fn new() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        COUNTS.set(true);
        Self(guard)
    }

    /// The calls that a piece of code makes, those of the stations meanwhile included.
    #[expect(clippy::unused_self, reason = "proof that nobody else measures")]
    fn calls(&self, code: impl FnOnce()) -> u64 {
        let before = CALLS.load(Ordering::SeqCst);
        code();
        CALLS.load(Ordering::SeqCst) - before
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        COUNTS.set(false);
    }
}

/// Publishes in every way and returns how many events.
fn publish_in_every_way<C: Claim>(producer: &mut Producer<u64, C>) -> u64 {
    let one = |event: &mut u64| *event += 1;
    let many = |index: usize, event: &mut u64| *event += index as u64;
    producer.publish(one).expect("nothing halts the ring");
    producer.publish_deadline(far_future(), one).expect("nothing halts the ring");
    producer.publish_batch(3, many).expect("nothing halts the ring");
    producer.publish_batch_deadline(far_future(), 2, many).expect("nothing halts the ring");
    producer.publish_slice(&[1, 2, 3, 4]).expect("nothing halts the ring");
    while producer.try_publish(one).is_err() {
        thread::yield_now();
    }
    while producer.try_publish_batch(2, many).is_err() {
        thread::yield_now();
    }
    while producer.try_publish_slice(&[1, 2]).is_err() {
        thread::yield_now();
    }
    16
}

/// A handler with every hook.
struct Hooked(Arc<AtomicU64>);

impl Handler<u64> for Hooked {
    fn on_start(&mut self) {
        COUNTS.set(true);
    }

    fn on_batch_start(&mut self, size: usize, _: u64) {
        black_box(size);
    }

    fn on_event(&mut self, _: &u64, _: At<'_>) -> Result<(), HandlerError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn on_idle(&mut self) {
        black_box(());
    }
}

/// Four slots, stations of every form, and a reset hook; the last one counts what it handles.
fn ring(wait: Wait, handled: &Arc<AtomicU64>) -> Builder<u64> {
    let handled = Arc::clone(handled);
    Builder::new(4, || 0_u64)
        .wait(wait)
        .reset(|event| *event = 0)
        .then(update("update", |event: &mut u64, _| {
            COUNTS.set(true);
            *event += 1;
        }))
        .then((
            read("read", |_: &u64, at| {
                COUNTS.set(true);
                at.release();
            }),
            read_batch("batch", |_: &[u64], _| COUNTS.set(true)),
        ))
        .then(read_handler("hooked", || Hooked(handled)).idle_after(Duration::from_micros(100)))
}

/// Publishes for some rounds; between them everything comes to rest.
fn publish_rounds<C: Claim>(
    producer: &mut Producer<u64, C>,
    rounds: u32,
    published: &mut u64,
    handled: &AtomicU64,
) {
    for _ in 0..rounds {
        *published += publish_in_every_way(producer);
        while handled.load(Ordering::SeqCst) < *published {
            thread::yield_now();
        }
        thread::sleep(A_REST / 10);
    }
    thread::sleep(A_REST);
}

/// A ring with its first producer.
type Started<C> = (Producer<u64, C>, Dispatcher<u64>);

fn measure<C: Claim>(wait: Wait, start: fn(Builder<u64>) -> Started<C>) {
    let measurement = Measurement::new();
    let handled = Arc::new(AtomicU64::new(0));
    let (mut producer, dispatcher) = start(ring(wait, &handled));
    let mut published = 0;
    publish_rounds(&mut producer, WARM_UP, &mut published, &handled);
    let calls =
        measurement.calls(|| publish_rounds(&mut producer, ROUNDS, &mut published, &handled));
    assert_eq!(calls, 0, "{wait}");
    drop(producer);
    assert_eq!(joined(dispatcher).published, u64::from(WARM_UP + ROUNDS) * 16);
}

#[test]
fn the_counter_counts() {
    within_a_minute(|| {
        let measurement = Measurement::new();
        assert_eq!(measurement.calls(|| drop(black_box(Box::new(1)))), 2);
        let mut list = vec![1_u8];
        assert_eq!(measurement.calls(|| black_box(&mut list).reserve(100)), 1);
        assert_eq!(measurement.calls(|| drop(black_box(list))), 1);
        assert_eq!(measurement.calls(|| ()), 0);
        let elsewhere = || thread::spawn(|| drop(black_box(Box::new(1)))).join().expect("no panic");
        elsewhere();
        let uncounted = measurement.calls(elsewhere);
        let counting = || {
            thread::spawn(|| {
                COUNTS.set(true);
                drop(black_box(Box::new(1)));
                COUNTS.set(false);
            })
            .join()
            .expect("no panic");
        };
        assert_eq!(measurement.calls(counting), uncounted + 2);
    });
}

#[test]
fn the_only_producer_and_its_stations_allocate_nothing() {
    for wait in WAITS {
        within_a_minute(move || measure(wait, |ring| ring.start().expect("a good graph")));
    }
}

#[test]
fn one_of_many_producers_and_its_stations_allocate_nothing() {
    for wait in WAITS {
        within_a_minute(move || measure(wait, |ring| ring.start_multi().expect("a good graph")));
    }
}

#[test]
fn producers_side_by_side_allocate_nothing() {
    for wait in [Wait::Adaptive, Wait::Block] {
        within_a_minute(move || {
            let measurement = Measurement::new();
            let handled = Arc::new(AtomicU64::new(0));
            let (mut producer, dispatcher) =
                ring(wait, &handled).start_multi().expect("a good graph");
            let barrier = Arc::new(Barrier::new(2));
            let other = {
                let (mut producer, barrier) = (producer.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    COUNTS.set(true);
                    for rounds in [WARM_UP, ROUNDS] {
                        barrier.wait();
                        for _ in 0..rounds {
                            publish_in_every_way(&mut producer);
                        }
                        barrier.wait();
                    }
                    COUNTS.set(false);
                })
            };
            let mut side_by_side = |rounds| {
                barrier.wait();
                for _ in 0..rounds {
                    publish_in_every_way(&mut producer);
                }
                barrier.wait();
            };
            side_by_side(WARM_UP);
            thread::sleep(A_REST);
            assert_eq!(measurement.calls(|| side_by_side(ROUNDS)), 0, "{wait}");
            drop(producer);
            other.join().expect("the producer does not panic");
            assert_eq!(joined(dispatcher).published, u64::from(WARM_UP + ROUNDS) * 32);
        });
    }
}

/// Calls every form that a full ring refuses.
fn be_refused<C: Claim>(producer: &mut Producer<u64, C>, time: Duration) {
    let not_called = |_: &mut u64| panic!("the ring is full");
    let not_called_for = |_: usize, _: &mut u64| panic!("the ring is full");
    let timed_out = PublishError::TimedOut;
    assert!(producer.try_publish(not_called) == Err(PublishError::Full));
    assert!(producer.try_publish_batch(2, not_called_for) == Err(PublishError::Full));
    assert!(producer.try_publish_slice(&[1, 2]) == Err(PublishError::Full));
    assert!(producer.publish_deadline(Instant::now() + time, not_called) == Err(timed_out.clone()));
    let deadline = Instant::now() + time;
    assert!(producer.publish_batch_deadline(deadline, 2, not_called_for) == Err(timed_out.clone()));
    assert!(producer.publish_deadline(past(), not_called) == Err(timed_out));
    let refusal = producer.publish_batch(5, not_called_for);
    assert!(refusal == Err(PublishError::TooLarge { asked: 5, capacity: 4 }));
}

fn measure_refusals<C: Claim>(wait: Wait, start: fn(Builder<u64>) -> Started<C>) {
    let measurement = Measurement::new();
    let ring = Builder::new(4, || 0_u64).wait(wait).then(poller("hand").max_batch(4));
    let (mut producer, mut dispatcher) = start(ring);
    let mut hand = dispatcher.poller("hand").expect("it was declared");
    producer.publish_slice(&[1, 2, 3, 4]).expect("there is room");
    be_refused(&mut producer, A_REST);
    let calls = measurement.calls(|| (0..3).for_each(|_| be_refused(&mut producer, A_REST)));
    assert_eq!(calls, 0, "full, {wait}");
    // A fault is shared by all who are told of it.
    let fault = hand.poll(|_, _| Err("halt")).expect_err("it fails");
    let calls = measurement.calls(|| {
        for _ in 0..3 {
            assert!(producer.publish(|_| ()) == Err(PublishError::Halted(fault.clone())));
            assert!(producer.try_publish_slice(&[1]).is_err());
            assert!(hand.poll(|_, _| ()) == Err(fault.clone()));
        }
    });
    assert_eq!(calls, 0, "halted, {wait}");
}

#[test]
fn refusals_allocate_nothing() {
    for wait in WAITS {
        within_a_minute(move || {
            measure_refusals(wait, |ring| ring.start().expect("a good graph"));
            measure_refusals(wait, |ring| ring.start_multi().expect("a good graph"));
        });
    }
}

#[test]
fn a_closed_ring_refuses_without_allocating() {
    within_a_minute(|| {
        let measurement = Measurement::new();
        let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
            .then(read("s", |_: &u64, _| ()))
            .start_multi()
            .expect("a good graph");
        dispatcher.close();
        let calls = measurement.calls(|| {
            assert!(producer.publish(|_| ()) == Err(PublishError::Closed));
            assert!(producer.publish_slice(&[1, 2]) == Err(PublishError::Closed));
            assert!(producer.try_publish_batch(0, |_, _| ()) == Err(PublishError::Closed));
        });
        assert_eq!(calls, 0);
    });
}

/// Does as if the events mattered.
fn look<E: ?Sized>(events: &E) {
    black_box(events);
}

#[test]
fn polling_allocates_nothing() {
    for wait in WAITS {
        within_a_minute(move || {
            let measurement = Measurement::new();
            let (mut producer, mut dispatcher) = Builder::new(4, || 0_u64)
                .wait(wait)
                .then(poller("hand").max_batch(4))
                .start()
                .expect("a good graph");
            let mut hand = dispatcher.poller("hand").expect("it was declared");
            let mut handler = Hooked(Arc::new(AtomicU64::new(0)));
            let mut round = || {
                let mut publish = || producer.publish_slice(&[1, 2, 3]).expect("there is room");
                publish();
                assert!(hand.wait(A_REST));
                assert!(hand.poll(|event, _| look(event)) == Ok(Poll::Events(3)));
                publish();
                assert!(hand.poll_batch(|events, _| look(events)).is_ok());
                publish();
                assert!(hand.poll_handler(&mut handler) == Ok(Poll::Events(3)));
                publish();
                let mut batch = hand.read().expect("three are there");
                while let Some(event) = batch.next() {
                    look(event);
                }
                drop(batch);
                assert!(hand.poll(|_, _| ()) == Ok(Poll::Idle));
                assert!(!hand.wait(A_REST));
            };
            round();
            assert_eq!(measurement.calls(|| (0..5).for_each(|_| round())), 0, "{wait}");
        });
    }
}
