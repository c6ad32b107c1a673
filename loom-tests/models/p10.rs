//! p10: a station that comes while the ring runs sees every event from its first one on, and nothing is
//! written over while it reads. One that leaves holds nobody back.

use std::sync::{Arc, Mutex};

use loom::thread;
use slipring::{Claim, Detach, Membership, Poll, Poller, Producer, Start, Wait, poller, read};

use crate::{
    harness::Model,
    shapes::{LONG, read_now, read_some, reader, ring, try_each},
};

pub const MODELS: &[Model] = &[
    joining("an_arrival", (3, 2, 3), an_arrival).bounded(3),
    joining("an_arrival_after_another", (3, 2, 3), an_arrival_after_another).bounded(3),
    joining("an_arrival_among_many_producers", (3, 2, 3), an_arrival_among_many),
    joining("an_arrival_where_nobody_is", (3, 1, 3), an_arrival_where_nobody_is),
    joining("one_that_comes_before_it_is_written_and_goes", (2, 1, 2), comes_and_goes),
    joining("an_arrival_while_the_ring_closes", (3, 2, 1), an_arrival_while_the_ring_closes)
        .full_bounded(2),
    joining("an_arrival_before_the_reset_hook", (3, 2, 3), an_arrival_before_the_reset_hook),
    joining("two_arrivals", (3, 2, 3), two_arrivals),
    joining("one_goes_and_another_comes", (2, 2, 4), one_goes_and_another_comes),
    joining("a_producer_behind_one_that_leaves", (2, 1, 2), a_producer_behind_one_that_leaves),
    joining("a_thread_that_drains_and_leaves", (2, 2, 2), a_thread_that_drains_and_leaves),
    joining("a_thread_that_leaves_at_once", (2, 2, 1), a_thread_that_leaves_at_once),
    joining("a_thread_that_comes_while_the_ring_closes", (3, 2, 1), a_thread_and_the_end),
];

/// The handshake rests on the fences.
const fn joining(name: &'static str, size: (u8, u8, u8), body: fn()) -> Model {
    Model::exhaustive("p10", name, size, body).both_fences().bounded(2).full_bounded(3)
}

/// What is at a sequence, in all of these models.
fn content(sequence: u64) -> u64 {
    10 + sequence
}

fn come(members: &Membership<u64>, name: &str, start: Start) -> (Poller<u64>, u64) {
    let guest = members.attach_poller(poller(name), start).unwrap();
    let first = guest.sequence();
    (guest, first)
}

fn assert_seen(seen: &[u64], first: u64) {
    let expected: Vec<u64> = (first..).take(seen.len()).map(content).collect();
    assert_eq!(seen, expected);
}

/// The arbiter's part: publishes what is left, with both reading what they can, and ends.
fn finish<C: Claim>(
    mut producer: Producer<u64, C>,
    mut left: std::ops::Range<u64>,
    here: Option<Poller<u64>>,
    (mut guest, first): (Poller<u64>, u64),
    mut seen: Vec<u64>,
) {
    let mut here = here;
    let mut others = Vec::new();
    while !left.is_empty() {
        if let Some(here) = &mut here {
            read_now(here, &mut others);
        }
        read_now(&mut guest, &mut seen);
        left = try_each(&mut producer, left);
    }
    let end = left.start - 10;
    drop(producer);
    if let Some(here) = &mut here {
        read_now(here, &mut others);
    }
    read_now(&mut guest, &mut seen);
    assert_seen(&seen, first);
    assert_eq!(first + seen.len() as u64, end, "to the end");
    assert_eq!(guest.poll(|_, _| ()), Ok(Poll::Closed));
}

/// The producer has looked at the gate before, or looks while the guest comes, or after.
fn an_arrival() {
    arrive_where(|_| ());
}

/// Where nobody has ever come, a producer takes a shorter look.
fn an_arrival_after_another() {
    arrive_where(|members| drop(come(members, "another", Start::Oldest)));
}

fn arrive_where(before: fn(&Membership<u64>)) {
    let (mut producer, mut dispatcher) = ring(2).then(poller("here")).start().unwrap();
    before(&dispatcher.membership());
    let mut here = reader(&mut dispatcher, "here");
    try_each(&mut producer, 10..12);
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 12..13);
        (producer, left)
    });
    let passing = thread::spawn(move || {
        read_some(&mut here, 1);
        here
    });
    let (mut guest, first) = come(&dispatcher.membership(), "guest", Start::Oldest);
    let seen = read_some(&mut guest, 1);
    let (producer, left) = publishing.join().unwrap();
    let here = passing.join().unwrap();
    finish(producer, left, Some(here), (guest, first), seen);
}

/// The second producer looks at the gate by itself.
fn an_arrival_among_many() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("here")).start_multi().unwrap();
    let mut here = reader(&mut dispatcher, "here");
    let mut second = producer.clone();
    let publishing = thread::spawn(move || {
        let count = (0..2).filter(|_| second.try_publish(|slot| *slot = 20).is_ok()).count();
        (second, count as u64)
    });
    let passing = thread::spawn(move || {
        let mut published = u64::from(producer.try_publish(|slot| *slot = 10).is_ok());
        read_some(&mut here, 1);
        published += u64::from(producer.try_publish(|slot| *slot = 10).is_ok());
        (producer, here, published)
    });
    let (mut guest, first) = come(&dispatcher.membership(), "guest", Start::Oldest);
    let mut seen = read_some(&mut guest, 1);
    let (second, by_second) = publishing.join().unwrap();
    let (producer, here, by_first) = passing.join().unwrap();
    drop((producer, second, here));
    read_now(&mut guest, &mut seen);
    assert_eq!(first + seen.len() as u64, by_first + by_second);
}

/// The producer gates itself until the guest is there. "Now" is what it has not begun to publish.
fn an_arrival_where_nobody_is() {
    let (mut producer, dispatcher) = ring(1).without_stations().start().unwrap();
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 10..13);
        (producer, left)
    });
    let (mut guest, first) = come(&dispatcher.membership(), "guest", Start::Now);
    let seen = read_some(&mut guest, 1);
    let (producer, left) = publishing.join().unwrap();
    finish(producer, left, None, (guest, first), seen);
}

/// What one producer has claimed and not written is before "now". The guest has not seen it published when
/// it leaves, and no other producer may have the slot.
fn comes_and_goes() {
    let (mut producer, dispatcher) = ring(1).without_stations().start_multi().unwrap();
    let mut second = producer.clone();
    let writing = thread::spawn(move || try_each(&mut producer, 10..11));
    drop(come(&dispatcher.membership(), "guest", Start::Now));
    try_each(&mut second, 20..21);
    writing.join().unwrap();
}

/// An event that is refused because the ring closes is nobody's: no guest begins behind it.
fn an_arrival_while_the_ring_closes() {
    let (mut producer, dispatcher) = ring(2).without_stations().start().unwrap();
    let members = dispatcher.membership();
    let publishing = thread::spawn(move || {
        let published = producer.publish(|slot| *slot = 10).is_ok();
        (producer, published)
    });
    let closing = thread::spawn(move || {
        dispatcher.close();
        dispatcher
    });
    let guest = members.attach_poller(poller("guest"), Start::Now);
    let (producer, published) = publishing.join().unwrap();
    drop(closing.join().unwrap());
    drop(producer);
    if let Ok(mut guest) = guest {
        let first = guest.sequence();
        let mut seen = Vec::new();
        read_now(&mut guest, &mut seen);
        assert_eq!(first + seen.len() as u64, u64::from(published));
        assert_eq!(guest.poll(|_, _| ()), Ok(Poll::Closed));
    }
}

/// What the hook has cleared, or is about to, is not the guest's.
fn an_arrival_before_the_reset_hook() {
    let (mut producer, mut dispatcher) =
        ring(2).reset(|slot| *slot = 0).then(poller("here")).start().unwrap();
    let mut here = reader(&mut dispatcher, "here");
    try_each(&mut producer, 10..12);
    let passing = thread::spawn(move || {
        read_some(&mut here, 2);
        here
    });
    let (mut guest, first) = come(&dispatcher.membership(), "guest", Start::Oldest);
    let seen = read_some(&mut guest, 1);
    let here = passing.join().unwrap();
    finish(producer, 12..13, Some(here), (guest, first), seen);
}

/// Each must see that the other one is about to stand behind where it will begin.
fn two_arrivals() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("here")).start().unwrap();
    let mut here = reader(&mut dispatcher, "here");
    let members = dispatcher.membership();
    try_each(&mut producer, 10..11);
    let other = thread::spawn(move || {
        let (mut guest, first) = come(&members, "other", Start::Oldest);
        (read_some(&mut guest, 1), first)
    });
    let passing = thread::spawn(move || {
        read_some(&mut here, 1);
        let left = try_each(&mut producer, 11..13);
        (producer, left, here)
    });
    let (mut guest, first) = come(&dispatcher.membership(), "guest", Start::Oldest);
    let seen = read_some(&mut guest, 1);
    let (others, others_first) = other.join().unwrap();
    assert_seen(&others, others_first);
    let (producer, left, here) = passing.join().unwrap();
    finish(producer, left, Some(here), (guest, first), seen);
}

/// The second one gets the post that the first one has left. What that one has read is handed on with it.
fn one_goes_and_another_comes() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("here")).start().unwrap();
    let mut here = reader(&mut dispatcher, "here");
    let members = dispatcher.membership();
    let (mut first_guest, first) = come(&members, "guest", Start::Oldest);
    try_each(&mut producer, 10..12);
    read_some(&mut here, 1);
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 12..14);
        (producer, left)
    });
    assert_seen(&read_some(&mut first_guest, 1), first);
    drop(first_guest);
    let (mut guest, first) = come(&members, "guest", Start::Oldest);
    let seen = read_some(&mut guest, 1);
    let (producer, left) = publishing.join().unwrap();
    finish(producer, left, Some(here), (guest, first), seen);
}

/// A producer that sleeps until a guest has passed is woken when it leaves instead.
fn a_producer_behind_one_that_leaves() {
    let (mut producer, dispatcher) = ring(1).wait(Wait::Block).without_stations().start().unwrap();
    let (guest, _) = come(&dispatcher.membership(), "guest", Start::Now);
    let publishing = thread::spawn(move || {
        producer.publish(|slot| *slot = 10).unwrap();
        producer.publish(|slot| *slot = 11).unwrap();
    });
    drop(guest);
    publishing.join().unwrap();
}

/// What a guest with a thread has seen.
type Log = Arc<Mutex<Vec<u64>>>;

fn noting(log: &Log) -> slipring::Station<u64, slipring::Shared> {
    let log = Arc::clone(log);
    read("guest", move |number: &u64, _| log.lock().expect("nobody panics with it").push(*number))
        .wait(Wait::Block)
}

fn a_thread_that_drains_and_leaves() {
    let log = Log::default();
    let (mut producer, dispatcher) = ring(2).without_stations().start().unwrap();
    let guest = dispatcher.membership().attach(noting(&log), Start::Now).unwrap();
    try_each(&mut producer, 10..12);
    let report = guest.detach(Detach::Drained, LONG).unwrap();
    assert_eq!((report.handled, report.left), (2, 0));
    assert_eq!(*log.lock().unwrap(), [10, 11]);
}

/// It sleeps, or works, or is about to sleep.
fn a_thread_that_leaves_at_once() {
    let log = Log::default();
    let (mut producer, dispatcher) = ring(2).without_stations().start().unwrap();
    let guest = dispatcher.membership().attach(noting(&log), Start::Now).unwrap();
    try_each(&mut producer, 10..11);
    let report = guest.detach(Detach::AtOnce, LONG).unwrap();
    assert_eq!(report.handled + report.left, 1);
    assert_eq!(log.lock().unwrap().len() as u64, report.handled);
}

/// It comes, and is awaited with the others, or it is refused.
fn a_thread_and_the_end() {
    let log = Log::default();
    let (mut producer, dispatcher) = ring(2).without_stations().start().unwrap();
    let members = dispatcher.membership();
    let coming = {
        let log = Arc::clone(&log);
        thread::spawn(move || {
            members.attach(noting(&log), Start::Oldest).map(|guest| guest.first_sequence())
        })
    };
    try_each(&mut producer, 10..11);
    drop(producer);
    let report = dispatcher.join().unwrap();
    let first = coming.join().unwrap();
    let seen = log.lock().unwrap().len() as u64;
    match report.station("guest") {
        Some(guest) => assert_eq!((guest.first + guest.handled, guest.left), (1, 0)),
        None => assert_eq!(seen, first.map_or(0, |first| 1 - first)),
    }
}
