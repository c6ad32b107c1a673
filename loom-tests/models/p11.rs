//! p11: of a station with workers, each event is handled by one of them, whichever it is. Whoever
//! follows waits for the slowest that has something in hand, sees what it wrote, and waits for nothing
//! else.
//!
//! Workers are threads of slipring's: their start and their end, and a sleep between, belong to every
//! execution. One preemption leaves most orders of what lies between to the stale values.

use std::sync::{Arc, Mutex, MutexGuard};

use loom::thread;
use slipring::{
    At, Builder, Dispatcher, Fault, MultiProducer, Poll, ShutdownCause, Wait, model::Fences,
    poller, poller_mut, share, share_mut,
};

use crate::{
    harness::Model,
    shapes::{LONG, changer, read_asleep, read_to_the_end, reader, ring},
};

pub const MODELS: &[Model] = &[
    team("one_event", (3, 1, 1), one_event).both_fences(),
    team("one_each", (3, 2, 2), one_each).both_fences(),
    team("a_producer_behind_a_team", (3, 1, 2), a_producer_behind_a_team),
    team("many_producers", (3, 1, 2), many_producers),
    team("a_follower", (3, 2, 2), a_follower),
    team("a_sleeping_follower", (3, 1, 1), a_sleeping_follower),
    team("a_sleeping_follower_of_one", (2, 1, 1), a_sleeping_follower_of_one)
        .both_fences()
        .bounded(2)
        .full_bounded(3),
    team("a_worker_that_publishes", (3, 2, 3), a_worker_that_publishes),
    team("a_team_behind_a_stage", (3, 1, 1), a_team_behind_a_stage).both_fences(),
    team("reset", (3, 1, 1), reset).both_fences(),
    team("one_fails", (3, 1, 1), one_fails),
];

/// One form of the fences is enough for the larger ones, that which orders less.
const fn team(name: &'static str, size: (u8, u8, u8), body: fn()) -> Model {
    let model = Model::exhaustive("p11", name, size, body).bounded(1).full_bounded(1);
    Model { fences: &[Fences::Asymmetric], ..model }
}

/// What was done, in any order. It orders nothing: a model must not learn from it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u64>>>);

impl Log {
    fn lines(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().expect("nobody panics with it")
    }

    fn sorted(&self) -> Vec<u64> {
        let mut lines = std::mem::take(&mut *self.lines());
        lines.sort_unstable();
        lines
    }
}

/// A team of two behind what is there already; each notes its event, then changes it.
fn with_team(ring: Builder<u64>, log: &Log) -> Builder<u64> {
    let work = |_worker| {
        let log = log.clone();
        move |number: &mut u64, _: At<'_>| {
            log.lines().push(*number);
            *number += 100;
        }
    };
    ring.then(share_mut("stamp", 2, work))
}

fn asleep(slots: usize) -> Builder<u64> {
    ring(slots).wait(Wait::Block)
}

fn join(dispatcher: Dispatcher<u64>, log: &Log, events: &[u64]) {
    let report = dispatcher.join().unwrap();
    assert_eq!(log.sorted(), events);
    let stamp = report.station("stamp").unwrap();
    assert_eq!((stamp.handled, stamp.left), (events.len() as u64, 0));
}

fn publish_all(ring: Builder<u64>, log: &Log, events: u64) {
    let (mut producer, dispatcher) = with_team(ring, log).start().unwrap();
    let numbers: Vec<u64> = (10..10 + events).collect();
    for number in &numbers {
        producer.publish(|slot| *slot = *number).unwrap();
    }
    drop(producer);
    join(dispatcher, log, &numbers);
}

/// Both want it; whoever does not get it must not stand in the way.
fn one_event() {
    publish_all(asleep(1), &Log::default(), 1);
}

fn one_each() {
    publish_all(asleep(2), &Log::default(), 2);
}

fn a_producer_behind_a_team() {
    publish_all(asleep(1), &Log::default(), 2);
}

/// A worker's guess may be a lap behind, where the slot's mark is that of a later event.
fn many_producers() {
    let log = Log::default();
    let (mut producer, dispatcher) = with_team(asleep(1), &log).start_multi().unwrap();
    for number in 10..12 {
        producer.publish(|slot| *slot = number).unwrap();
    }
    drop(producer);
    join(dispatcher, &log, &[10, 11]);
}

/// It looks as soon as it is woken, and when everybody has ended: then the last of the workers has
/// passed all. Whoever has the second event lets the others go on meanwhile.
fn a_follower() {
    let log = Log::default();
    let work = |_worker| {
        let log = log.clone();
        move |number: &mut u64, _: At<'_>| {
            log.lines().push(*number);
            if *number == 11 {
                thread::yield_now();
            }
            *number += 100;
        }
    };
    let ring = asleep(2).then(share_mut("stamp", 2, work)).then(poller("check").max_batch(2));
    let (mut producer, mut dispatcher) = ring.start().unwrap();
    let mut check = reader(&mut dispatcher, "check");
    producer.publish_batch(2, |index, slot| *slot = 10 + index as u64).unwrap();
    let mut seen = read_asleep(&mut check, 1);
    drop(producer);
    join(dispatcher, &log, &[10, 11]);
    read_to_the_end(&mut check, &mut seen);
    assert_eq!(seen, [110, 111]);
}

fn a_sleeping_follower() {
    let log = Log::default();
    let (mut producer, mut dispatcher) =
        with_team(asleep(1), &log).then(poller("check")).start().unwrap();
    let mut check = reader(&mut dispatcher, "check");
    producer.publish(|slot| *slot = 10).unwrap();
    assert_eq!(read_asleep(&mut check, 1), [110]);
    drop(producer);
    join(dispatcher, &log, &[10]);
}

/// A worker alone is a team, too: one thread less for the others to be stopped more often.
fn a_sleeping_follower_of_one() {
    let stamp = |_worker| |number: &mut u64, _: At<'_>| *number += 100;
    let ring = asleep(1).then(share_mut("stamp", 1, stamp)).then(poller("check"));
    let (mut producer, mut dispatcher) = ring.start().unwrap();
    let mut check = reader(&mut dispatcher, "check");
    producer.publish(|slot| *slot = 10).unwrap();
    assert_eq!(read_asleep(&mut check, 1), [110]);
    drop(producer);
    dispatcher.join().unwrap();
}

/// The second event is not done before the first one's slot is free. Whoever has it may have guessed
/// before that it would get the first one, and must not stand in its own way.
fn a_worker_that_publishes() {
    let own = Arc::new(Mutex::new(None::<MultiProducer<u64>>));
    let work = |_worker| {
        let own = Arc::clone(&own);
        move |number: &u64, _: At<'_>| {
            if *number == 11 {
                let own = own.lock().unwrap().take();
                own.unwrap().publish(|slot| *slot = 12).unwrap();
            }
        }
    };
    let ring = asleep(2).then(share("publishes", 2, work));
    let (mut producer, dispatcher) = ring.start_multi().unwrap();
    *own.lock().unwrap() = Some(producer.clone());
    producer.publish_batch(2, |index, slot| *slot = 10 + index as u64).unwrap();
    drop(producer);
    let report = dispatcher.join().unwrap();
    assert_eq!(report.station("publishes").unwrap().handled, 3);
}

/// The workers sleep at the bell of the stage before, and see what it wrote.
fn a_team_behind_a_stage() {
    let log = Log::default();
    let ring = with_team(asleep(1).then(poller_mut("first")), &log);
    let (mut producer, mut dispatcher) = ring.start().unwrap();
    let mut first = changer(&mut dispatcher, "first");
    producer.publish(|slot| *slot = 0).unwrap();
    assert!(first.wait(LONG));
    assert_eq!(first.poll(|number, _| *number += 10), Ok(Poll::Events(1)));
    drop(producer);
    join(dispatcher, &log, &[10]);
}

/// Whoever moves the station's cursor has the slots reset.
fn reset() {
    let (log, reset) = (Log::default(), Log::default());
    let hook = {
        let reset = reset.clone();
        move |slot: &mut u64| reset.lines().push(*slot)
    };
    let (mut producer, dispatcher) = with_team(asleep(1).reset(hook), &log).start().unwrap();
    producer.publish(|slot| *slot = 10).unwrap();
    drop(producer);
    join(dispatcher, &log, &[10]);
    assert_eq!(reset.sorted(), [110]);
}

/// A worker that fails keeps in its hand what it failed on.
fn one_fails() {
    let ring = asleep(1).then(share("fails", 2, |_worker| |_: &u64, _: At<'_>| Err("no")));
    let (mut producer, dispatcher) = ring.start().unwrap();
    producer.publish(|slot| *slot = 10).unwrap();
    drop(producer);
    let error = dispatcher.join().unwrap_err();
    assert!(matches!(error.cause, ShutdownCause::Fault(_)));
    assert_eq!(error.fault().map(Fault::sequence), Some(0));
    let fails = error.report.station("fails").unwrap();
    assert_eq!((error.report.published, fails.handled, fails.left), (1, 0, 1));
}
