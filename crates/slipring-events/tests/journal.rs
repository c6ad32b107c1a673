//! A bus whose handlers stand behind a journal.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use slipring::{Detach, Policy};
use slipring_events::{
    AnyEvent, Bus, Draft, EventId, Fate, HandlerError, Journal, OnRing, RefusedReason, Source, Step,
};

const LONG: Duration = Duration::from_mins(1);

/// Keeps numbers in a list, and does not go on while it is stopped or told to fail.
#[derive(Clone, Default)]
struct List {
    kept: Arc<Mutex<Vec<Kept>>>,
    is_stopped: Arc<AtomicBool>,
    is_failing: Arc<AtomicBool>,
    failures: Arc<AtomicU64>,
    has_ended: Arc<AtomicBool>,
    holds: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Kept {
    number: u64,
    id: EventId,
    sequence: u64,
    topic: String,
    correlation: Option<EventId>,
    causation: Option<EventId>,
    note: Option<String>,
}

impl Journal<AnyEvent> for List {
    fn keep(&mut self, events: OnRing<'_, AnyEvent>) -> Result<(), HandlerError> {
        while self.is_stopped.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        if self.is_failing.load(Ordering::SeqCst) {
            self.failures.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1));
            return Err("no space left".into());
        }
        let kept = events.iter().map(|event| Kept {
            number: *event.event.get::<u64>().unwrap(),
            id: event.id,
            sequence: event.sequence,
            topic: event.topic.to_owned(),
            correlation: event.correlation,
            causation: event.causation,
            note: event.metadata.and_then(|notes| notes.get("note")).map(str::to_owned),
        });
        self.kept.lock().extend(kept);
        Ok(())
    }

    fn source(&self) -> Option<Source> {
        Some(Source::named("list"))
    }

    fn first_sequence(&self) -> u64 {
        1_000
    }

    fn policy(&self) -> Policy {
        if self.holds { Policy::retry(u32::MAX) } else { Policy::Halt }
    }

    fn end(&mut self) {
        self.has_ended.store(true, Ordering::SeqCst);
    }
}

impl List {
    fn numbers(&self) -> Vec<u64> {
        self.kept.lock().iter().map(|kept| kept.number).collect()
    }

    fn has(&self, number: u64) -> bool {
        self.kept.lock().iter().any(|kept| kept.number == number)
    }

    fn start(&self, capacity: usize) -> Bus<AnyEvent> {
        Bus::builder(capacity).journal(self.clone()).start().unwrap()
    }
}

fn event(number: u64) -> AnyEvent {
    AnyEvent::named("number", number)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn handlers_of_every_kind_see_what_is_kept_and_nothing_else() {
    let list = List::default();
    let bus = list.start(16);
    let seen: [Arc<Mutex<Vec<u64>>>; 4] = Default::default();
    let handle = |index: usize| {
        let (list, seen) = (list.clone(), Arc::clone(&seen[index]));
        move |number: &u64, _: &mut slipring_events::Context<'_, AnyEvent>| {
            assert!(list.has(*number), "it is not kept");
            seen.lock().push(*number);
        }
    };
    let _thread = bus.handler("thread").on::<u64>().run(handle(0)).unwrap();
    let _inline = bus.handler("inline").on::<u64>().inline(handle(1)).unwrap();
    let (_by_hand, hand) = bus.handler("by hand").on::<u64>().by_hand(handle(2)).unwrap();
    let pool = slipring_events::reactive::Pool::new(1).unwrap();
    let _pooled = bus.handler("pooled").on::<u64>().pooled(&pool, handle(3)).unwrap();
    let mut publisher = bus.publisher();
    let by_hand = thread::spawn(move || {
        let mut hand = hand;
        while hand.step() != Step::Over {
            thread::yield_now();
        }
    });
    for number in 0..100 {
        publisher.publish(event(number)).unwrap();
        assert_eq!(seen[1].lock().last(), Some(&number), "inline ones have seen it");
    }
    let report = bus.shutdown(LONG).unwrap();
    by_hand.join().unwrap();
    assert!(report.journal.as_ref().unwrap().is_complete(), "{report}");
    assert!(list.has_ended.load(Ordering::SeqCst));
    for seen in &seen {
        assert_eq!(*seen.lock(), (0..100).collect::<Vec<_>>());
    }
    assert_eq!(list.numbers(), (0..100).collect::<Vec<_>>());
}

#[test]
fn ids_and_all_that_is_said_of_an_event_are_kept_as_handlers_see_them() {
    let list = List::default();
    let bus = list.start(16);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let _all = bus
        .handler("all")
        .on::<u64>()
        .run({
            let seen = Arc::clone(&seen);
            move |number, context| {
                seen.lock().push(Kept {
                    number: *number,
                    id: context.id(),
                    sequence: context.sequence(),
                    topic: context.topic().to_string(),
                    correlation: context.causation().map(|_| context.correlation()),
                    causation: context.causation(),
                    note: context.metadata().and_then(|notes| notes.get("note")).map(Into::into),
                });
                if *number == 1 { Some(event(2)) } else { None }
            }
        })
        .unwrap();
    let mut publisher = bus.publisher();
    let first = publisher.publish(event(1)).unwrap();
    assert_eq!(first.id(), EventId::of(Source::named("list"), 1_000));
    let given = EventId::random();
    publisher.send(Draft::new(event(3)).topic("a.b").id(given).note("note", "so")).unwrap();
    bus.shutdown(LONG).unwrap();
    let kept = list.kept.lock().clone();
    assert_eq!(kept, *seen.lock());
    let follow_up = kept.iter().find(|kept| kept.number == 2).expect("follow-ups are kept, too");
    assert_eq!(follow_up.causation, Some(first.id()));
    let third = kept.iter().find(|kept| kept.number == 3).unwrap();
    assert_eq!((third.id, &*third.topic, third.note.as_deref()), (given, "a.b", Some("so")));
}

#[test]
fn replies_are_kept_before_whoever_follows_sees_them() {
    let list = List::default();
    let bus = list.start(16);
    let _double = bus
        .handler("double")
        .on::<u64>()
        .run(
            |number, context| {
                if *number < 100 { context.reply(event(*number * 100)) } else { Ok(()) }
            },
        )
        .unwrap();
    let reply = bus.publisher().request(event(7)).unwrap().wait(LONG).unwrap();
    assert_eq!(reply.get::<u64>(), Some(&700));
    bus.shutdown(LONG).unwrap();
    assert_eq!(list.numbers(), [7, 700]);
}

#[test]
fn a_receipt_waits_for_the_journal_also_where_nobody_else_is() {
    let list = List::default();
    let bus = list.start(16);
    list.is_stopped.store(true, Ordering::SeqCst);
    let mut receipt = bus.publisher().publish_tracked(event(1)).unwrap();
    let not_yet = receipt.wait(Duration::from_millis(5)).unwrap_err();
    assert_eq!(*not_yet.handlers[0], *"journal");
    list.is_stopped.store(false, Ordering::SeqCst);
    assert!(receipt.wait(LONG).unwrap().is_empty());
    assert_eq!(list.numbers(), [1]);
    // As a future, too.
    let receipt = bus.publisher().publish_tracked(event(2)).unwrap();
    assert!(smol::block_on(receipt).is_empty());
    assert_eq!(list.numbers(), [1, 2]);
}

#[test]
fn inline_handlers_see_what_was_published_without_waiting() {
    let list = List::default();
    let bus = list.start(16);
    let seen = Arc::new(AtomicU64::new(0));
    let _inline = bus
        .handler("inline")
        .on::<u64>()
        .inline({
            let seen = Arc::clone(&seen);
            move |number, _| seen.store(*number, Ordering::SeqCst)
        })
        .unwrap();
    let mut publisher = bus.publisher();
    list.is_stopped.store(true, Ordering::SeqCst);
    publisher.try_publish(event(7)).unwrap();
    publisher.publish_within(Duration::from_millis(1), event(8)).unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    list.is_stopped.store(false, Ordering::SeqCst);
    // Nobody publishes any more, and nobody else looks after it.
    until("it has seen them", || seen.load(Ordering::SeqCst) == 8);
    bus.shutdown(LONG).unwrap();
}

/// Keeps a slice of events for each leave that it is given.
#[derive(Clone, Default)]
struct OnLeave {
    leaves: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Journal<AnyEvent> for OnLeave {
    fn keep(&mut self, events: OnRing<'_, AnyEvent>) -> Result<(), HandlerError> {
        if events.iter().next().is_some() {
            let asked = self.asked.fetch_add(1, Ordering::SeqCst);
            until("leave", || self.leaves.load(Ordering::SeqCst) > asked);
        }
        Ok(())
    }
}

#[test]
fn publishers_return_when_inline_handlers_have_seen_it_also_where_a_batch_wraps() {
    // One of these places is that of a batch whose slots are not side by side.
    for offset in 60..64 {
        let journal = OnLeave::default();
        let bus = Bus::builder(64).journal(journal.clone()).start().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let _inline = bus
            .handler("inline")
            .on::<u64>()
            .inline({
                let seen = Arc::clone(&seen);
                move |number, _| seen.lock().push(*number)
            })
            .unwrap();
        let before = bus.monitor().snapshot().published;
        journal.leaves.store(offset, Ordering::SeqCst);
        let mut publisher = bus.publisher();
        (0..offset).for_each(|number| {
            publisher.publish(event(100 + number)).unwrap();
        });
        let has_returned_early = Arc::new(AtomicBool::new(false));
        let publish = |number: u64| {
            let mut publisher = bus.publisher();
            let (seen, early) = (Arc::clone(&seen), Arc::clone(&has_returned_early));
            thread::spawn(move || {
                publisher.publish(event(number)).unwrap();
                early.fetch_or(!seen.lock().contains(&number), Ordering::SeqCst);
            })
        };
        // The journal has the first one in hand when the other two come: they are one batch.
        let first = publish(1);
        until("it asks", || journal.asked.load(Ordering::SeqCst) == offset + 1);
        let others = [2, 3].map(publish);
        until("published", || bus.monitor().snapshot().published - before == offset + 3);
        journal.leaves.store(offset + 2, Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_millis(50);
        until("a wrapping batch asks twice, others do not", || {
            journal.asked.load(Ordering::SeqCst) == offset + 3 || Instant::now() > deadline
        });
        // Time for whoever was told too early; nobody else does anything meanwhile.
        thread::sleep(Duration::from_millis(20));
        journal.leaves.store(u64::MAX, Ordering::SeqCst);
        first.join().unwrap();
        for other in others {
            other.join().unwrap();
        }
        assert!(!has_returned_early.load(Ordering::SeqCst), "offset {offset}");
        bus.shutdown(LONG).unwrap();
    }
}

#[test]
fn a_handler_that_is_drained_sees_what_was_published_and_not_yet_kept() {
    let list = List::default();
    let bus = list.start(16);
    let count = Arc::new(AtomicU64::new(0));
    let handler = bus
        .handler("count")
        .on::<u64>()
        .run({
            let count = Arc::clone(&count);
            move |_, _| {
                count.fetch_add(1, Ordering::SeqCst);
            }
        })
        .unwrap();
    list.is_stopped.store(true, Ordering::SeqCst);
    let mut publisher = bus.publisher();
    for number in 0..10 {
        publisher.publish(event(number)).unwrap();
    }
    let is_stopped = Arc::clone(&list.is_stopped);
    let later = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        is_stopped.store(false, Ordering::SeqCst);
    });
    let account = handler.unsubscribe(Detach::Drained, LONG).unwrap();
    later.join().unwrap();
    assert_eq!((account.handled, count.load(Ordering::SeqCst)), (10, 10));
    publisher.publish(event(11)).unwrap();
    bus.shutdown(LONG).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 10);
}

#[test]
fn a_journal_that_fails_halts_the_bus_and_nothing_passes() {
    let list = List::default();
    let bus = list.start(16);
    let count = Arc::new(AtomicU64::new(0));
    let handle = || {
        let count = Arc::clone(&count);
        move |_: &u64, _: &mut slipring_events::Context<'_, AnyEvent>| {
            count.fetch_add(1, Ordering::SeqCst);
        }
    };
    let _thread = bus.handler("thread").on::<u64>().run(handle()).unwrap();
    let _inline = bus.handler("inline").on::<u64>().inline(handle()).unwrap();
    let mut publisher = bus.publisher();
    publisher.publish(event(1)).unwrap();
    until("both have seen it", || count.load(Ordering::SeqCst) == 2);
    list.is_failing.store(true, Ordering::SeqCst);
    let mut receipt = publisher.publish_tracked(event(2)).unwrap();
    let unhandled = receipt.wait(LONG).unwrap();
    let fates: Vec<_> = unhandled.iter().map(|one| (&*one.handler, one.fate.clone())).collect();
    // Handlers that have left by the time it is known who is to answer are not among them.
    assert!(fates.iter().any(|(name, _)| *name == "journal"), "{fates:?}");
    assert!(fates.iter().all(|(_, fate)| *fate == Fate::PassedOver), "{fates:?}");
    let refused = publisher.publish(event(3)).unwrap_err().reason;
    assert!(
        matches!(&refused, RefusedReason::Halted(fault) if fault.message() == "no space left"),
        "{refused}"
    );
    // It does not take the time it is given: nothing comes any more.
    let begun = Instant::now();
    let not_done = bus.shutdown(Duration::from_hours(1)).unwrap_err();
    assert!(begun.elapsed() < LONG);
    let journal = not_done.report.journal.as_ref().unwrap();
    assert_eq!((&*journal.name, journal.left), ("journal", 1));
    assert_eq!(journal.fault.as_ref().unwrap().sequence(), 1_001);
    assert!(not_done.to_string().contains("no space left"), "{not_done}");
    assert_eq!((list.numbers(), count.load(Ordering::SeqCst)), (vec![1], 2));
}

#[test]
fn a_journal_that_holds_holds_the_publishers_and_goes_on() {
    let list = List { holds: true, ..List::default() };
    let bus = list.start(8);
    let sum = Arc::new(AtomicU64::new(0));
    let _inline = bus
        .handler("sum")
        .on::<u64>()
        .inline({
            let sum = Arc::clone(&sum);
            move |number, _| {
                sum.fetch_add(*number, Ordering::SeqCst);
            }
        })
        .unwrap();
    list.is_failing.store(true, Ordering::SeqCst);
    let mut publisher = bus.publisher();
    let mut count = 0;
    while publisher.try_publish(event(1)).is_ok() {
        count += 1;
    }
    assert_eq!(count, 8);
    assert_eq!(publisher.try_publish(event(1)).unwrap_err().reason, RefusedReason::Full);
    until("it has tried", || list.failures.load(Ordering::SeqCst) > 2);
    let waiting = thread::spawn(move || publisher.publish(event(1)).unwrap());
    list.is_failing.store(false, Ordering::SeqCst);
    waiting.join().unwrap();
    assert_eq!(sum.load(Ordering::SeqCst), 9);
    let report = bus.shutdown(LONG).unwrap();
    assert!(report.journal.unwrap().is_complete());
    assert_eq!(list.numbers(), [1; 9]);
}

#[test]
fn a_bus_that_is_shut_down_while_its_journal_holds_ends_and_says_what_is_left() {
    let list = List { holds: true, ..List::default() };
    let bus = list.start(8);
    let _handler = bus.handler("none").on::<u64>().run(|_, _| ()).unwrap();
    list.is_failing.store(true, Ordering::SeqCst);
    let mut publisher = bus.publisher();
    publisher.publish(event(1)).unwrap();
    publisher.publish(event(2)).unwrap();
    let not_done = bus.shutdown(Duration::from_millis(5)).unwrap_err();
    let journal = not_done.report.journal.as_ref().unwrap();
    // With the marks by which it was to be found out whether all is done.
    assert!(journal.left >= 2, "{not_done}");
    assert!(not_done.to_string().contains("unstored"), "{not_done}");
    assert!(list.numbers().is_empty());
}

#[test]
fn what_is_replayed_is_not_kept_again_and_brings_nothing_about() {
    let list = List::default();
    let bus = list.start(16);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let _all = bus
        .handler("all")
        .on::<u64>()
        .run({
            let seen = Arc::clone(&seen);
            move |number, context| {
                seen.lock().push((*number, context.is_replay(), context.id()));
                (*number < 10).then(|| event(*number + 10))
            }
        })
        .unwrap();
    let (mut publisher, id) = (bus.publisher(), EventId::of(Source::named("list"), 7));
    publisher.send(Draft::new(event(1)).id(id).replayed()).unwrap();
    publisher.publish(event(2)).unwrap();
    bus.shutdown(LONG).unwrap();
    let seen: Vec<_> = seen.lock().iter().map(|(number, replay, _)| (*number, *replay)).collect();
    assert_eq!(seen, [(1, true), (2, false), (12, false)]);
    assert_eq!(list.numbers(), [2, 12]);
}

#[test]
fn follow_ups_on_a_full_ring_wedge_nothing() {
    let list = List::default();
    let bus = list.start(4);
    let count = Arc::new(AtomicU64::new(0));
    // Each brings two about, three times over: more than there is room for.
    let _more = bus
        .handler("more")
        .on::<u64>()
        .run({
            let count = Arc::clone(&count);
            move |number, _| {
                count.fetch_add(1, Ordering::SeqCst);
                let more = if *number > 0 { 2 } else { 0 };
                (0..more).map(|_| event(*number - 1)).collect::<Vec<_>>()
            }
        })
        .unwrap();
    let mut publisher = bus.publisher();
    for _ in 0..50 {
        publisher.publish(event(3)).unwrap();
    }
    bus.shutdown(LONG).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 50 * 15);
    assert_eq!(list.numbers().len(), 50 * 15);
}

#[test]
fn without_a_journal_there_is_none_in_the_report() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    bus.publisher().publish(event(1)).unwrap();
    assert!(bus.shutdown(LONG).unwrap().journal.is_none());
}
