//! Publishing: what each form returns, when it refuses, and that a refusal has no effect. Every
//! test here runs for the only producer of a ring and for one of many.

#![forbid(unsafe_code)]

mod common;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

use common::{
    abandon, far_future, joined, past, polled, polled_to_the_end, turnstile, within_a_minute,
};
use slipring::{
    BuildError, Builder, Claim, Dispatcher, Multi, MultiProducer, Poller, Producer, PublishError,
    Single, Wait, poller, read,
};

type Started<E, C> = Result<(Producer<E, C>, Dispatcher<E>), BuildError>;

/// The two ways to start a ring.
trait Kind: 'static {
    type Claim: Claim + Send;

    fn start<E: Send + 'static>(ring: Builder<E>) -> Started<E, Self::Claim>;
}

struct Only;

impl Kind for Only {
    type Claim = Single;

    fn start<E: Send + 'static>(ring: Builder<E>) -> Started<E, Single> {
        ring.start()
    }
}

struct OneOfMany;

impl Kind for OneOfMany {
    type Claim = Multi;

    fn start<E: Send + 'static>(ring: Builder<E>) -> Started<E, Multi> {
        ring.start_multi()
    }
}

macro_rules! for_each_kind {
    ($($test:ident),+ $(,)?) => {
        for_each_kind!(only: Only, $($test),+);
        for_each_kind!(one_of_many: OneOfMany, $($test),+);
    };
    ($module:ident: $kind:ident, $($test:ident),+) => {
        mod $module {
            $(#[test]
            fn $test() {
                super::within_a_minute(super::$test::<super::$kind>);
            })+
        }
    };
}

for_each_kind!(
    each_form_returns_the_sequences_it_published,
    events_arrive_with_what_was_written,
    a_slot_holds_what_was_in_it_a_lap_ago,
    a_full_ring_refuses_without_effect,
    a_batch_that_fits_only_in_part_is_refused_whole,
    a_batch_larger_than_the_ring_never_fits,
    a_deadline_ends_the_wait_with_nothing_published,
    a_deadline_in_the_past_does_no_harm_when_there_is_room,
    a_waiting_form_goes_on_when_there_is_room,
    a_closed_ring_refuses_every_form,
    a_halted_ring_refuses_every_form,
    a_ring_that_was_shut_down_refuses_every_form,
    closing_ends_a_wait_for_room,
    a_fault_reaches_the_producer,
    an_empty_batch_publishes_nothing,
    batches_wrap,
    room_counts_free_slots,
    the_first_sequence_can_be_chosen,
    a_first_sequence_beyond_the_largest_is_refused,
    handles_can_be_shown,
);

/// A ring that nothing leaves but by hand.
fn polled_ring<K: Kind>(
    capacity: usize,
) -> (Producer<u64, K::Claim>, Dispatcher<u64>, Poller<u64>) {
    let ring = Builder::new(capacity, || u64::MAX).then(poller("hand").max_batch(capacity));
    let (producer, mut dispatcher) = K::start(ring).expect("a ring of one station");
    let poller = dispatcher.poller("hand").expect("it was just declared");
    (producer, dispatcher, poller)
}

/// A write closure for a call that must be refused.
fn not_called(_: &mut u64) {
    panic!("the write closure of a refused call was called");
}

fn not_called_for(_: usize, _: &mut u64) {
    panic!("the write closure of a refused batch was called");
}

/// Calls every form with one event; the ring must refuse each with `expected`.
#[track_caller]
fn assert_all_refused<C: Claim>(producer: &mut Producer<u64, C>, expected: &PublishError) {
    let refused = [
        producer.publish(not_called).map(|_| ()),
        producer.try_publish(not_called).map(|_| ()),
        producer.publish_deadline(far_future(), not_called).map(|_| ()),
        producer.publish_batch(1, not_called_for).map(|_| ()),
        producer.try_publish_batch(1, not_called_for).map(|_| ()),
        producer.publish_batch_deadline(far_future(), 1, not_called_for).map(|_| ()),
        producer.publish_slice(&[0]).map(|_| ()),
        producer.try_publish_slice(&[0]).map(|_| ()),
        producer.publish_batch(0, not_called_for).map(|_| ()),
        producer.publish_slice(&[]).map(|_| ()),
    ];
    for (form, result) in refused.iter().enumerate() {
        assert_eq!(result.as_ref(), Err(expected), "form {form}");
    }
}

fn each_form_returns_the_sequences_it_published<K: Kind>() {
    let (mut producer, dispatcher, mut poller) = polled_ring::<K>(4);
    assert_eq!(producer.publish(|event| *event = 10), Ok(0));
    assert_eq!(producer.try_publish(|event| *event = 11), Ok(1));
    assert_eq!(producer.publish_deadline(far_future(), |event| *event = 12), Ok(2));
    assert_eq!(polled(&mut poller), [10, 11, 12]);
    assert_eq!(producer.publish_batch(2, |index, event| *event = 20 + index as u64), Ok(3..5));
    assert_eq!(producer.try_publish_batch(2, |index, event| *event = 30 + index as u64), Ok(5..7));
    assert_eq!(polled(&mut poller), [20, 21, 30, 31]);
    let in_time =
        producer.publish_batch_deadline(far_future(), 3, |index, event| *event = 40 + index as u64);
    assert_eq!(in_time, Ok(7..10));
    assert_eq!(polled(&mut poller), [40, 41, 42]);
    assert_eq!(producer.publish_slice(&[50, 51]), Ok(10..12));
    assert_eq!(producer.try_publish_slice(&[52, 53]), Ok(12..14));
    assert_eq!(polled(&mut poller), [50, 51, 52, 53]);
    drop((producer, poller));
    assert_eq!(joined(dispatcher).published, 14);
}

fn events_arrive_with_what_was_written<K: Kind>() {
    let (seen, sight) = mpsc::channel();
    let ring =
        Builder::new(2, || 0_u64).wait(Wait::Yield).then(read("look", move |event: &u64, at| {
            seen.send((at.sequence(), *event)).expect("the test listens");
        }));
    let (mut producer, dispatcher) = K::start(ring).expect("a ring of one station");
    for value in 0..100 {
        assert_eq!(producer.publish(|event| *event = value * 3), Ok(value));
    }
    drop(producer);
    assert_eq!(joined(dispatcher).published, 100);
    let expected: Vec<_> = (0..100).map(|sequence| (sequence, sequence * 3)).collect();
    assert_eq!(sight.iter().collect::<Vec<_>>(), expected);
}

fn a_slot_holds_what_was_in_it_a_lap_ago<K: Kind>() {
    let mut made = 100;
    let ring = Builder::new(2, move || {
        made += 1;
        made
    })
    .then(poller("hand").max_batch(2));
    let (mut producer, mut dispatcher) = K::start(ring).expect("a ring of one station");
    let mut poller = dispatcher.poller("hand").expect("it was just declared");
    let mut found = Vec::new();
    for lap in 0..3 {
        let write = |index: usize, event: &mut u64| {
            found.push(*event);
            *event = lap * 10 + index as u64;
        };
        producer.publish_batch(2, write).expect("there is room");
        assert_eq!(polled(&mut poller), [lap * 10, lap * 10 + 1]);
    }
    assert_eq!(found, [101, 102, 0, 1, 10, 11]);
}

fn a_full_ring_refuses_without_effect<K: Kind>() {
    for capacity in [1, 2, 4] {
        let (mut producer, dispatcher, mut poller) = polled_ring::<K>(capacity);
        let filled: Vec<u64> = (0..capacity as u64).collect();
        assert_eq!(producer.publish_slice(&filled), Ok(0..capacity as u64));
        assert_eq!(producer.room(), 0);
        for _ in 0..3 {
            assert_eq!(producer.try_publish(not_called), Err(PublishError::Full));
            assert_eq!(producer.try_publish_batch(1, not_called_for), Err(PublishError::Full));
            assert_eq!(producer.try_publish_slice(&[99]), Err(PublishError::Full));
        }
        assert_eq!(polled(&mut poller), filled, "capacity {capacity}");
        assert_eq!(polled(&mut poller), [], "nothing of the refused calls is visible");
        assert_eq!(producer.try_publish(|event| *event = 7), Ok(capacity as u64));
        assert_eq!(polled(&mut poller), [7]);
        drop((producer, poller));
        assert_eq!(joined(dispatcher).published, capacity as u64 + 1);
    }
}

fn a_batch_that_fits_only_in_part_is_refused_whole<K: Kind>() {
    let (mut producer, _dispatcher, mut poller) = polled_ring::<K>(4);
    assert_eq!(producer.publish_slice(&[1, 2]), Ok(0..2));
    assert_eq!(producer.try_publish_batch(3, not_called_for), Err(PublishError::Full));
    assert_eq!(producer.try_publish_slice(&[7, 8, 9]), Err(PublishError::Full));
    assert_eq!(
        producer.publish_batch_deadline(past(), 3, not_called_for),
        Err(PublishError::TimedOut)
    );
    assert_eq!(producer.room(), 2);
    assert_eq!(polled(&mut poller), [1, 2]);
    assert_eq!(producer.try_publish_slice(&[7, 8, 9]), Ok(2..5));
    assert_eq!(polled(&mut poller), [7, 8, 9]);
}

fn a_batch_larger_than_the_ring_never_fits<K: Kind>() {
    for capacity in [1, 2, 4] {
        let (mut producer, _dispatcher, mut poller) = polled_ring::<K>(capacity);
        for asked in [capacity + 1, 2 * capacity, 1 << 32, usize::MAX - 4, usize::MAX] {
            let refusal = Err(PublishError::TooLarge { asked, capacity });
            assert_eq!(producer.publish_batch(asked, not_called_for), refusal);
            assert_eq!(producer.try_publish_batch(asked, not_called_for), refusal);
            assert_eq!(producer.publish_batch_deadline(past(), asked, not_called_for), refusal);
        }
        let refusal = Err(PublishError::TooLarge { asked: 5, capacity });
        assert_eq!(producer.publish_slice(&[0; 5]), refusal);
        assert_eq!(producer.try_publish_slice(&[0; 5]), refusal);
        assert_eq!(polled(&mut poller), []);
        // A batch of the whole ring fits, also when it wraps.
        let whole: Vec<u64> = (0..capacity as u64).collect();
        for lap in 0..3 {
            let first = lap * (capacity as u64 + 1);
            assert_eq!(producer.publish_slice(&whole), Ok(first..first + capacity as u64));
            assert_eq!(polled(&mut poller), whole);
            assert_eq!(producer.publish(|event| *event = 0), Ok(first + capacity as u64));
            assert_eq!(polled(&mut poller), [0]);
        }
    }
}

fn a_deadline_ends_the_wait_with_nothing_published<K: Kind>() {
    let (mut producer, dispatcher, mut poller) = polled_ring::<K>(2);
    assert_eq!(producer.publish_slice(&[1, 2]), Ok(0..2));
    for deadline in [past(), past() + std::time::Duration::from_millis(2)] {
        assert_eq!(producer.publish_deadline(deadline, not_called), Err(PublishError::TimedOut));
        assert_eq!(
            producer.publish_batch_deadline(deadline, 2, not_called_for),
            Err(PublishError::TimedOut)
        );
    }
    assert_eq!(polled(&mut poller), [1, 2]);
    assert_eq!(polled(&mut poller), []);
    assert_eq!(producer.publish(|event| *event = 3), Ok(2), "no sequence was used up");
    drop((producer, poller));
    assert_eq!(joined(dispatcher).published, 3);
}

fn a_deadline_in_the_past_does_no_harm_when_there_is_room<K: Kind>() {
    let (mut producer, _dispatcher, mut poller) = polled_ring::<K>(4);
    for lap in 0..3 {
        let first = 3 * lap;
        assert_eq!(producer.publish_deadline(past(), |event| *event = 1), Ok(first));
        let batch = producer.publish_batch_deadline(past(), 2, |_, event| *event = 2);
        assert_eq!(batch, Ok(first + 1..first + 3));
        assert_eq!(polled(&mut poller), [1, 2, 2]);
    }
}

fn a_waiting_form_goes_on_when_there_is_room<K: Kind>() {
    for wait in [Wait::Adaptive, Wait::Block, Wait::Yield] {
        let (gate, keeper) = turnstile();
        let ring = Builder::new(1, || 0_u64)
            .wait(wait)
            .then(read("slow", move |_: &u64, at| gate.pass(at.sequence())));
        let (mut producer, dispatcher) = K::start(ring).expect("a ring of one station");
        assert_eq!(producer.publish(|_| ()), Ok(0));
        assert_eq!(keeper.arrival(), 0);
        assert_eq!(producer.try_publish(not_called), Err(PublishError::Full));
        let waiting = thread::spawn(move || {
            let published = [
                producer.publish(|_| ()).map(|sequence| sequence..sequence + 1),
                producer.publish_deadline(far_future(), |_| ()).map(|at| at..at + 1),
                producer.publish_batch(1, |_, _| ()),
                producer.publish_batch_deadline(far_future(), 1, |_, _| ()),
                producer.publish_slice(&[5]),
            ];
            drop(producer);
            published
        });
        for sequence in 1..=5 {
            keeper.let_through();
            assert_eq!(keeper.arrival(), sequence);
        }
        drop(keeper);
        let published = waiting.join().expect("the producer does not panic");
        assert_eq!(published, [1..2, 2..3, 3..4, 4..5, 5..6].map(Ok));
        assert_eq!(joined(dispatcher).published, 6);
    }
}

fn a_closed_ring_refuses_every_form<K: Kind>() {
    let (mut producer, dispatcher, mut poller) = polled_ring::<K>(4);
    assert_eq!(producer.publish_slice(&[1, 2]), Ok(0..2));
    assert!(!producer.is_closed());
    dispatcher.close();
    assert!(producer.is_closed());
    assert_all_refused(&mut producer, &PublishError::Closed);
    assert_eq!(polled_to_the_end(&mut poller), [1, 2]);
    // Closing and dropping once more change nothing.
    dispatcher.close();
    drop(producer);
    assert_eq!(joined(dispatcher).published, 2);
}

fn a_halted_ring_refuses_every_form<K: Kind>() {
    let (mut producer, dispatcher, _poller) = polled_ring::<K>(4);
    assert_eq!(producer.publish_slice(&[1, 2]), Ok(0..2));
    dispatcher.halt();
    assert!(producer.is_closed());
    assert_all_refused(&mut producer, &PublishError::Closed);
    assert_eq!(dispatcher.fault(), None);
    let report = joined(dispatcher);
    assert_eq!((report.published, report.stations[0].left), (2, 2));
}

fn a_ring_that_was_shut_down_refuses_every_form<K: Kind>() {
    let (mut producer, dispatcher, mut poller) = polled_ring::<K>(2);
    assert_eq!(producer.publish_slice(&[1, 2]), Ok(0..2));
    assert_eq!(polled(&mut poller), [1, 2]);
    dispatcher.shutdown(common::A_MINUTE).expect("everything is handled");
    assert!(producer.is_closed());
    assert_all_refused(&mut producer, &PublishError::Closed);
}

fn closing_ends_a_wait_for_room<K: Kind>() {
    for wait in [Wait::Adaptive, Wait::Block, Wait::Sleep(common::A_MINUTE), Wait::Backoff] {
        let ring = Builder::new(1, || 0_u64).wait(wait).then(poller("hand"));
        let (mut producer, dispatcher) = K::start(ring).expect("a ring of one station");
        assert_eq!(producer.publish(|_| ()), Ok(0));
        let waiting = thread::spawn(move || producer.publish(not_called));
        dispatcher.close();
        let refused = waiting.join().expect("the producer does not panic");
        assert_eq!(refused, Err(PublishError::Closed), "{wait}");
    }
}

fn a_fault_reaches_the_producer<K: Kind>() {
    let ring = Builder::new(2, || 0_u64).then(read("picky", |event: &u64, _| match *event {
        13 => Err("thirteen"),
        _ => Ok(()),
    }));
    let (mut producer, dispatcher) = K::start(ring).expect("a ring of one station");
    assert_eq!(producer.publish(|event| *event = 12), Ok(0));
    assert_eq!(producer.publish(|event| *event = 13), Ok(1));
    // There is room for one or two more before the fault is seen.
    let refusal = loop {
        if let Err(refusal) = producer.publish(|event| *event = 14) {
            break refusal;
        }
    };
    let PublishError::Halted(fault) = &refusal else { panic!("{refusal:?}") };
    assert_eq!((fault.station(), fault.sequence(), fault.message()), ("picky", 1, "thirteen"));
    assert!(producer.is_closed());
    assert_all_refused(&mut producer, &refusal);
    assert_eq!(dispatcher.fault().as_ref(), Some(fault));
    let error = dispatcher.join().expect_err("the ring was halted");
    assert_eq!(error.fault(), Some(fault));
}

fn an_empty_batch_publishes_nothing<K: Kind>() {
    let (mut producer, dispatcher, mut poller) = polled_ring::<K>(2);
    for next in 0..5 {
        assert_eq!(producer.publish_batch(0, not_called_for), Ok(next..next));
        assert_eq!(producer.try_publish_batch(0, not_called_for), Ok(next..next));
        assert_eq!(producer.publish_batch_deadline(past(), 0, not_called_for), Ok(next..next));
        assert_eq!(producer.publish_slice(&[]), Ok(next..next));
        assert_eq!(producer.try_publish_slice(&[]), Ok(next..next));
        assert_eq!(polled(&mut poller), []);
        assert_eq!(producer.publish(|event| *event = next), Ok(next));
        assert_eq!(polled(&mut poller), [next]);
    }
    // Nor does it need any room.
    assert_eq!(producer.publish_slice(&[8, 9]), Ok(5..7));
    assert_eq!(producer.publish_batch(0, not_called_for), Ok(7..7));
    assert_eq!(polled(&mut poller), [8, 9]);
    drop((producer, poller));
    assert_eq!(joined(dispatcher).published, 7);
}

fn batches_wrap<K: Kind>() {
    for capacity in [1, 2, 4, 8] {
        let (mut producer, _dispatcher, mut poller) = polled_ring::<K>(capacity);
        let mut next = 0;
        for round in 0..50 {
            let len = 1 + round % capacity;
            let expected: Vec<u64> = (0..len as u64).map(|index| next * 100 + index).collect();
            let range = if round % 2 == 0 {
                producer.publish_slice(&expected)
            } else {
                producer.publish_batch(len, |index, event| *event = expected[index])
            };
            assert_eq!(range, Ok(next..next + len as u64));
            assert_eq!(polled(&mut poller), expected, "capacity {capacity}, round {round}");
            next += len as u64;
        }
    }
}

fn room_counts_free_slots<K: Kind>() {
    let (mut producer, dispatcher, mut poller) = polled_ring::<K>(4);
    assert_eq!((producer.capacity(), dispatcher.capacity()), (4, 4));
    for _ in 0..3 {
        assert_eq!(producer.room(), 4);
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        assert_eq!(producer.room(), 1);
        producer.publish_slice(&[4]).expect("there is room");
        assert_eq!(producer.room(), 0);
        poller.poll_at_most(1, |_, _| ()).expect("nothing fails");
        assert_eq!(producer.room(), 1);
        assert_eq!(polled(&mut poller), [2, 3, 4]);
    }
}

fn the_first_sequence_can_be_chosen<K: Kind>() {
    // The last of them is the largest; 2^32 laps and a sequence in the middle of a lap as well.
    for first in [1, 3, (1 << 32) - 1, (1 << 34) + 1, (1 << 62) - 1, 1 << 62] {
        let ring =
            Builder::new(4, || 0_u64).first_sequence(first).then(poller("hand").max_batch(4));
        let (mut producer, mut dispatcher) = K::start(ring).expect("a first sequence that works");
        let mut poller = dispatcher.poller("hand").expect("it was just declared");
        assert_eq!((producer.room(), poller.sequence()), (4, first));
        assert_eq!(polled(&mut poller), [], "nothing is there before the first event");
        for lap in 0..3 {
            let next = first + lap * 4;
            assert_eq!(producer.publish_slice(&[5, 6, 7]), Ok(next..next + 3));
            assert_eq!(producer.publish(|event| *event = 8), Ok(next + 3));
            assert_eq!(producer.try_publish(not_called), Err(PublishError::Full));
            let mut sequences = Vec::new();
            poller.poll(|_, at| sequences.push(at.sequence())).expect("nothing fails");
            assert_eq!(sequences, [next, next + 1, next + 2, next + 3]);
        }
        drop((producer, poller));
        let report = joined(dispatcher);
        assert_eq!((report.published, report.stations[0].handled), (12, 12));
    }
}

fn a_first_sequence_beyond_the_largest_is_refused<K: Kind>() {
    for first in [(1 << 62) + 1, 1 << 63, u64::MAX - 1, u64::MAX] {
        let ring = Builder::new(4, || 0_u64).first_sequence(first).then(poller("hand"));
        let error = K::start(ring).expect_err("no room to count");
        assert_eq!(error, BuildError::FirstSequence(first));
        assert!(error.to_string().contains(&first.to_string()), "{error}");
    }
}

fn handles_can_be_shown<K: Kind>() {
    let (producer, dispatcher, poller) = polled_ring::<K>(4);
    assert_eq!(format!("{producer:?}"), "Producer { capacity: 4, closed: false, .. }");
    assert_eq!(format!("{poller:?}"), "Poller { station: \"hand\", sequence: 0, .. }");
    assert_eq!(format!("{dispatcher:?}"), "Dispatcher { capacity: 4, warnings: [], .. }");
}

/// Events of many producers: who published it, and its place among that producer's events.
type Signed = (usize, u64);

const PRODUCERS: usize = 3;
const EVENTS_EACH: u64 = if cfg!(miri) { 20 } else { 2_000 };

/// Runs several producers over a tiny ring, each with `publish_all`, and returns what arrived.
fn from_many(
    capacity: usize,
    publish_all: impl Fn(&mut MultiProducer<Signed>, usize) + Copy + Send + 'static,
) -> Vec<Signed> {
    let (seen, sight) = mpsc::channel();
    let ring = Builder::new(capacity, || (usize::MAX, 0)).wait(Wait::Yield).then(read(
        "look",
        move |event: &Signed, at| {
            seen.send((at.sequence(), *event)).expect("the test listens");
        },
    ));
    let (producer, dispatcher) = ring.start_multi().expect("a ring of one station");
    let threads: Vec<_> = (0..PRODUCERS)
        .map(|name| {
            let mut producer = producer.clone();
            thread::spawn(move || publish_all(&mut producer, name))
        })
        .collect();
    drop(producer);
    for thread in threads {
        thread.join().expect("the producer does not panic");
    }
    assert_eq!(joined(dispatcher).published, PRODUCERS as u64 * EVENTS_EACH);
    let arrived: Vec<_> = sight.iter().collect();
    assert!(arrived.iter().map(|(sequence, _)| *sequence).eq(0..arrived.len() as u64));
    arrived.into_iter().map(|(_, event)| event).collect()
}

/// Each producer's events are all there, once, in the order of its calls.
#[track_caller]
fn assert_each_in_order(arrived: &[Signed]) {
    let mut next = BTreeMap::new();
    for (name, value) in arrived {
        let expected = next.entry(*name).or_insert(0);
        assert_eq!(value, expected, "of producer {name}");
        *expected += 1;
    }
    assert!(next.into_iter().eq((0..PRODUCERS).map(|name| (name, EVENTS_EACH))));
}

#[test]
fn events_of_each_of_many_producers_arrive_once_and_in_its_order() {
    within_a_minute(|| {
        for capacity in [1, 2, 4] {
            let arrived = from_many(capacity, |producer, name| {
                let mut last = None;
                for value in 0..EVENTS_EACH {
                    let sequence = producer.publish(|event| *event = (name, value)).expect("open");
                    assert!(Some(sequence) > last, "sequences of one producer ascend");
                    last = Some(sequence);
                }
            });
            assert_each_in_order(&arrived);
        }
    });
}

#[test]
fn trying_producers_lose_nothing() {
    within_a_minute(|| {
        let arrived = from_many(2, |producer, name| {
            for value in 0..EVENTS_EACH {
                while let Err(refusal) = producer.try_publish(|event| *event = (name, value)) {
                    assert_eq!(refusal, PublishError::Full);
                    thread::yield_now();
                }
            }
        });
        assert_each_in_order(&arrived);
    });
}

#[test]
fn batches_of_many_producers_are_contiguous() {
    const BATCH: u64 = 4;
    within_a_minute(|| {
        for capacity in [4, 8] {
            let arrived = from_many(capacity, |producer, name| {
                for first in (0..EVENTS_EACH).step_by(BATCH as usize) {
                    let write = |index, event: &mut Signed| *event = (name, first + index as u64);
                    let range = if first % (2 * BATCH) == 0 {
                        producer.publish_batch(BATCH as usize, write)
                    } else {
                        let events: Vec<_> = (first..first + BATCH).map(|at| (name, at)).collect();
                        producer.publish_slice(&events)
                    };
                    let range = range.expect("open");
                    assert_eq!(range.end - range.start, BATCH);
                }
            });
            assert_each_in_order(&arrived);
            for batch in arrived.chunks(BATCH as usize) {
                assert!(batch.iter().all(|(name, _)| *name == batch[0].0), "{batch:?}");
            }
        }
    });
}

#[test]
fn the_only_producer_uses_the_sequence_of_a_panicking_closure_again() {
    within_a_minute(|| {
        let (mut producer, dispatcher, mut poller) = polled_ring::<Only>(2);
        for _ in 0..3 {
            abandon(&mut producer);
            let panicking = catch_unwind(AssertUnwindSafe(|| {
                producer.publish_batch(2, |index, _| assert_eq!(index, 0, "the second one panics"))
            }));
            assert!(panicking.is_err());
        }
        assert_eq!(polled(&mut poller), []);
        assert_eq!(producer.publish_slice(&[1, 2]), Ok(0..2));
        assert_eq!(polled(&mut poller), [1, 2]);
        drop((producer, poller));
        let report = joined(dispatcher);
        assert_eq!((report.published, report.abandoned), (2, 0));
    });
}

#[test]
fn one_of_many_producers_gives_the_sequences_of_a_panicking_closure_up() {
    within_a_minute(|| {
        let (mut producer, dispatcher, mut poller) = polled_ring::<OneOfMany>(4);
        for lap in 0..3 {
            let first = 4 * lap;
            abandon(&mut producer);
            assert_eq!(producer.publish(|event| *event = 1), Ok(first + 1));
            let panicking = catch_unwind(AssertUnwindSafe(|| {
                producer.publish_batch(2, |index, _| assert_eq!(index, 0, "the second one panics"))
            }));
            assert!(panicking.is_err());
            assert_eq!(producer.try_publish(not_called), Err(PublishError::Full));
            let mut events = Vec::new();
            let poll = poller.poll(|event, at| {
                events.push((at.sequence(), *event, at.end_of_batch()));
            });
            // The event before the last abandoned ones is the last of its batch.
            assert_eq!(events, [(first + 1, 1, true)]);
            assert_eq!(poll, Ok(slipring::Poll::Events(4)));
        }
        drop((producer, poller));
        let report = joined(dispatcher);
        assert_eq!((report.published, report.abandoned), (3, 9));
        assert_eq!(report.stations[0].handled, 3);
    });
}

#[test]
fn the_last_of_many_producers_closes_the_ring() {
    within_a_minute(|| {
        let (producer, dispatcher, mut poller) = polled_ring::<OneOfMany>(2);
        let mut other = producer.clone();
        drop(producer);
        assert!(!other.is_closed());
        assert_eq!(other.publish(|event| *event = 1), Ok(0));
        let last = other.clone();
        drop(other);
        assert!(!last.is_closed());
        drop(last);
        assert_eq!(polled_to_the_end(&mut poller), [1]);
        drop(poller);
        assert_eq!(joined(dispatcher).published, 1);
    });
}

#[test]
fn a_handler_that_would_wait_for_itself_is_told() {
    within_a_minute(|| {
        for wait in [Wait::Adaptive, Wait::Block] {
            let (hand_over, own) = mpsc::channel::<MultiProducer<u64>>();
            let (tell, told) = mpsc::channel();
            let mut producer = None;
            let ring =
                Builder::new(2, || 0_u64).wait(wait).then(read("echo", move |event: &u64, at| {
                    let producer =
                        producer.get_or_insert_with(|| own.recv().expect("it is sent first"));
                    if at.sequence() == 0 {
                        // One slot is free, then none.
                        let results = [*event, 0, 0].map(|value| {
                            producer.publish_deadline(far_future(), |event| *event = value)
                        });
                        tell.send((results, producer.try_publish(not_called)))
                            .expect("the test listens");
                    }
                }));
            let (mut producer, dispatcher) = ring.start_multi().expect("a ring of one station");
            hand_over.send(producer.clone()).expect("the handler listens");
            assert_eq!(producer.publish(|event| *event = 5), Ok(0));
            let (results, tried) = told.recv().expect("the handler tells");
            let deadlock = Err(PublishError::WouldDeadlock { station: "echo".into() });
            assert_eq!(results, [Ok(1), deadlock.clone(), deadlock]);
            assert_eq!(tried, Err(PublishError::Full));
            let report = dispatcher.shutdown(common::A_MINUTE).expect("nothing went wrong");
            assert_eq!(report.published, 2);
        }
    });
}

#[test]
fn refusals_say_what_to_do() {
    let messages = [
        (PublishError::Full, "the ring is full: try again later or use a waiting form"),
        (
            PublishError::TooLarge { asked: 9, capacity: 8 },
            "a batch of 9 events never fits a ring of 8: split it",
        ),
        (PublishError::Closed, "the ring is closed: it takes no more events"),
        (PublishError::TimedOut, "the deadline passed while the ring was full"),
        (
            PublishError::WouldDeadlock { station: "echo".into() },
            "station `echo` publishes into its own full ring and would wait for itself: \
             use a try_ form and keep the event for later, or use another ring",
        ),
        (PublishError::Exhausted, "the ring has used up its sequences: build a new one"),
    ];
    for (refusal, message) in messages {
        assert_eq!(refusal.to_string(), message);
    }
}
