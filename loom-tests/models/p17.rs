//! p17: a station that lags too far skips ahead or leaves. It passes only what it might have handled, what
//! it passes is counted, and nobody is held up.

use std::sync::{Arc, Mutex};

use loom::thread;
use slipring::{
    Doing, LagPolicy, Monitor, Poller, Snapshot, Station, Wait, poller, poller_mut, read,
};

use crate::{
    harness::{Model, plan_a_panic},
    shapes::{LONG, change_some, changer, finish, read_now, read_some, reader, ring, try_each},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p17", "behind_a_producer", (2, 2, 4), behind_a_producer),
    Model::exhaustive("p17", "behind_one_of_many_producers", (2, 1, 2), behind_one_of_many),
    Model::exhaustive("p17", "behind_a_station", (2, 2, 3), behind_a_station),
    Model::exhaustive("p17", "over_what_was_abandoned", (2, 4, 3), over_what_was_abandoned),
    Model::exhaustive("p17", "a_look_while_it_skips", (2, 2, 3), a_look_while_it_skips)
        .bounded(3)
        .full_bounded(4),
    Model::exhaustive("p17", "a_look_while_it_skips_again_and_again", (2, 4, 3), a_look_at_leaps)
        .bounded(2)
        .full_bounded(3),
    Model::exhaustive("p17", "a_thread_that_skips", (2, 2, 2), a_thread_that_skips).bounded(1),
    Model::exhaustive("p17", "a_thread_that_leaves", (2, 2, 2), a_thread_that_leaves).bounded(1),
];

/// Handles one number, skips all but the newest, and handles that.
fn handle_and_skip(lagging: &mut Poller<u64>) -> (Vec<u64>, u64) {
    let mut seen = read_some(lagging, 1);
    let skipped = lagging.skip_ahead(1);
    seen.extend(read_some(lagging, 1));
    (seen, skipped)
}

/// Numbers come in order, and what is missing among them was counted.
fn assert_no_more_is_missing(seen: &[u64], skipped: u64, numbers: std::ops::Range<u64>) {
    assert!(seen.is_sorted_by(|before, after| before < after), "{seen:?}");
    assert!(seen.iter().all(|number| numbers.contains(number)), "{seen:?}");
    assert_eq!(seen.len() as u64 + skipped, numbers.end - numbers.start, "{seen:?}");
}

fn behind_a_producer() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let left = try_each(&mut producer, 10..12);
    assert!(left.is_empty());
    let publishing = thread::spawn(move || {
        let left = try_each(&mut producer, 12..14);
        (producer, left)
    });
    let (mut seen, mut skipped) = handle_and_skip(&mut a);
    let (producer, left) = publishing.join().unwrap();
    skipped += a.skip_ahead(0);
    assert_eq!(producer.room(), 2, "nobody is held up by what was skipped");
    finish(producer, left, &mut a, &mut seen);
    assert_no_more_is_missing(&seen, skipped, 10..14);
}

/// What is claimed is not yet there to be skipped.
fn behind_one_of_many() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = producer.clone();
    let writing = thread::spawn(move || try_each(&mut producer, 10..11));
    let mut skipped = a.skip_ahead(0);
    let published = 2 - try_each(&mut second, 20..21).count() as u64;
    let left = writing.join().unwrap().count() as u64;
    skipped += a.skip_ahead(0);
    assert_eq!(skipped, published - left);
}

/// Nothing is skipped that those still change whom it follows, or the producer would write over it.
fn behind_a_station() {
    let (mut producer, mut dispatcher) =
        ring(2).then(poller_mut("first")).then(poller("last")).start().unwrap();
    let mut first = changer(&mut dispatcher, "first");
    let mut last = reader(&mut dispatcher, "last");
    try_each(&mut producer, 10..12);
    let changing = thread::spawn(move || {
        change_some(&mut first, 2, |number| *number += 100);
        first
    });
    let skipped = last.skip_ahead(0);
    try_each(&mut producer, 12..13);
    let mut seen = read_some(&mut last, 1);
    let mut first = changing.join().unwrap();
    while first.poll(|number, _| *number += 100) == Ok(slipring::Poll::Events(1)) {}
    read_now(&mut last, &mut seen);
    assert!(seen.iter().all(|number| *number > 100), "{seen:?}");
    let snapshot = dispatcher.snapshot();
    let account = &snapshot.station("last").unwrap().account;
    assert_eq!((account.conflated, account.handled), (skipped, seen.len() as u64));
    assert_eq!(account.due, skipped + seen.len() as u64);
}

fn over_what_was_abandoned() {
    let (mut producer, mut dispatcher) = ring(4).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        try_each(&mut producer, 10..11);
        let publish = || producer.try_publish(|_| plan_a_panic());
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(publish)).is_err());
        try_each(&mut producer, 11..12);
        producer
    });
    let skipped = a.skip_ahead(0);
    let producer = publishing.join().unwrap();
    let mut seen = Vec::new();
    finish(producer, 12..12, &mut a, &mut seen);
    assert_no_more_is_missing(&seen, skipped, 10..12);
    let snapshot = dispatcher.snapshot();
    let account = &snapshot.station("a").unwrap().account;
    let all = (account.due, account.conflated, account.handled);
    assert_eq!(all, (2, skipped, seen.len() as u64));
}

/// Never does a look find more handled than was.
fn a_look_while_it_skips() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    try_each(&mut producer, 10..12);
    let skipping = thread::spawn(move || {
        let skipped = a.skip_ahead(1);
        (a, skipped)
    });
    let before = dispatcher.snapshot();
    let (mut a, skipped) = skipping.join().unwrap();
    assert!(before.adds_up() && before.stations[0].account.handled == 0, "{before:?}");
    assert_eq!((read_some(&mut a, 1), skipped), (vec![11], 1));
    let after = dispatcher.snapshot();
    assert!(after.adds_up() && after.stations[0].account.handled == 1, "{after:?}");
}

/// What is skipped is counted exactly at every position, although the place where it is counted is written over.
fn a_look_at_leaps() {
    let (mut producer, mut dispatcher) = ring(4).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    try_each(&mut producer, 10..13);
    let skipping = thread::spawn(move || {
        for keep in [2, 1, 0] {
            assert_eq!(a.skip_ahead(keep), 1);
        }
        a
    });
    let look = dispatcher.snapshot();
    let a = look.station("a").unwrap();
    assert_eq!((a.account.conflated, a.account.handled), (a.position, 0), "{look:?}");
    assert!(look.adds_up(), "{look:?}");
    skipping.join().unwrap();
}

type Log = Arc<Mutex<Vec<u64>>>;

fn noting(log: &Log, policy: LagPolicy) -> Station<u64, slipring::Shared> {
    let log = Arc::clone(log);
    read("slow", move |number: &u64, _| log.lock().expect("nobody panics with it").push(*number))
        .wait(Wait::Block)
        .max_batch(1)
        .lag_limit(1, policy)
}

/// Lets a station with a thread run behind a producer, and returns what it saw, and how it ended.
fn run(policy: LagPolicy) -> (Vec<u64>, Snapshot) {
    let log = Log::default();
    let (mut producer, dispatcher) = ring(2).then(noting(&log, policy)).start().unwrap();
    let monitor: Monitor = dispatcher.monitor();
    try_each(&mut producer, 10..12);
    drop(producer);
    let report = dispatcher.shutdown(LONG).unwrap();
    assert!(report.adds_up(), "{report}");
    let seen = log.lock().unwrap().clone();
    (seen, monitor.snapshot())
}

fn a_thread_that_skips() {
    let (seen, end) = run(LagPolicy::SkipAhead);
    let slow = end.station("slow").unwrap();
    assert_no_more_is_missing(&seen, slow.account.conflated, 10..12);
    assert_eq!(seen.last(), Some(&11), "the newest is handled");
    assert_eq!(slow.late > 0, slow.account.conflated > 0);
}

/// It has left if it was late, and handled everything if not.
fn a_thread_that_leaves() {
    let (seen, end) = run(LagPolicy::Detach);
    let slow = end.station("slow").unwrap();
    assert_eq!(seen, (10..10 + slow.account.handled).collect::<Vec<_>>());
    let (left, doing) = (slow.account.left, slow.doing);
    match slow.late {
        0 => assert_eq!((left, doing), (0, Doing::Finished)),
        late => assert!(late == 1 && left > 1 && doing == Doing::Stopped, "{slow:?}"),
    }
}
