//! Dead letters that survive the program.

// Shorter where the type of what is collected is all that it is about.
#![allow(clippy::from_iter_instead_of_collect)]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    failing::{Failing, Failure},
    until,
};
use slipring_events::{
    AnyEvent, Bus, DeadLetters, Draft, Reason, Requeue, Retry, Subscription, Time, WhenFull,
};
use slipring_store::{
    Batch, Codec, CodecError, Durability, EventStore, Memory, Record, StoreLetters,
};

const LONG: Duration = Duration::from_mins(1);

/// Events of the tests are numbers.
struct Number;

impl Codec<AnyEvent> for Number {
    fn encode(&self, payload: &AnyEvent, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        let number: &u64 = payload.get().ok_or_else(|| CodecError::unwritable("no number"))?;
        bytes.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn decode(&self, record: &Record<'_>) -> Result<AnyEvent, CodecError> {
        let bytes = record.payload.try_into();
        let bytes = bytes.map_err(|_| CodecError::unreadable(record.topic, "no number"))?;
        Ok(AnyEvent::named("number", u64::from_le_bytes(bytes)))
    }
}

fn open(store: &Arc<impl EventStore>, when_full: WhenFull) -> DeadLetters<AnyEvent> {
    let keeper = StoreLetters::named("desk", Arc::clone(store), Number);
    DeadLetters::kept(1_000, when_full, keeper).unwrap()
}

/// A run of the program: a handler by tens that fails on multiples of ten as long as it is not mended.
struct Run {
    bus: Bus<AnyEvent>,
    letters: DeadLetters<AnyEvent>,
    handler: Subscription<AnyEvent>,
    seen: Arc<Mutex<Vec<u64>>>,
    is_mended: Arc<AtomicBool>,
}

fn run(store: &Arc<impl EventStore>) -> Run {
    let letters = open(store, WhenFull::DropOldest);
    let bus = Bus::<AnyEvent>::builder(64).dead_letters(letters.clone()).start().unwrap();
    let (seen, is_mended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let handler = bus
        .handler("desk")
        .on::<u64>()
        .in_sequence(|number| number / 10)
        .retry(Retry::immediately(1))
        .run({
            let (seen, is_mended) = (Arc::clone(&seen), Arc::clone(&is_mended));
            move |number: &u64, _| {
                if number.is_multiple_of(10) && !is_mended.load(Ordering::SeqCst) {
                    return Err(format!("no {number}"));
                }
                seen.lock().unwrap().push(*number);
                Ok(())
            }
        })
        .unwrap();
    Run { bus, letters, handler, seen, is_mended }
}

impl Run {
    fn publish(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut publisher = self.bus.publisher();
        for number in numbers {
            let draft = Draft::new(AnyEvent::named("number", number));
            let draft = draft.topic("a.number").note("of", "it").time(Time::from_nanos(number));
            publisher.send_tracked(draft).unwrap().wait(LONG).unwrap();
        }
    }

    fn numbers(&self) -> Vec<(u64, bool)> {
        let numbers = self.letters.list().into_iter().map(|info| {
            let letter = self.letters.get(info.id).unwrap();
            (*letter.envelope.payload.get().unwrap(), info.reason == Reason::Behind)
        });
        numbers.collect()
    }
}

#[test]
fn letters_of_one_run_are_there_in_the_next_with_all_that_is_said_of_them() {
    let store = Arc::new(Memory::new());
    let first = run(&store);
    first.publish([1, 10, 11, 20, 12, 3]);
    assert_eq!(first.numbers(), [(10, false), (11, true), (20, false), (12, true)]);
    let before: Vec<_> =
        first.letters.list().iter().map(|info| first.letters.get(info.id).unwrap()).collect();
    // The program is gone without a word; of it there is only the store.
    let letters = open(&store, WhenFull::DropOldest);
    assert_eq!(letters.len(), 4);
    for letter in &before {
        let there = letters.get(letter.info.id).unwrap();
        assert_eq!(there.envelope.id, letter.envelope.id);
        assert_eq!(there.envelope.topic, "a.number");
        assert_eq!(there.envelope.time, letter.envelope.time);
        assert_eq!(there.envelope.metadata, letter.envelope.metadata);
        assert_eq!(there.envelope.payload.get::<u64>(), letter.envelope.payload.get());
        let (old, new) = (&letter.info, &there.info);
        assert_eq!(
            (&old.handler, &old.topic, &old.reason),
            (&new.handler, &new.topic, &new.reason)
        );
        assert_eq!((old.time, old.attempts, &old.history), (new.time, new.attempts, &new.history));
    }
    assert_eq!(before[0].info.attempts, 2);
    let id = before[0].info.id;
    assert!(matches!(letters.requeue(id), Err(Requeue::NoHandler(_))), "it has not come yet");
    drop(first);
}

#[test]
fn a_key_stays_parked_and_goes_back_in_order() {
    let store = Arc::new(Memory::new());
    let first = run(&store);
    first.publish([10, 11, 20]);
    first.bus.shutdown(LONG).unwrap();
    let second = run(&store);
    second.publish([12, 1]);
    assert_eq!(second.numbers(), [(10, false), (11, true), (20, false), (12, true)]);
    assert_eq!(*second.seen.lock().unwrap(), [1], "its key is parked since before");
    second.is_mended.store(true, Ordering::SeqCst);
    let letters = second.letters.clone();
    assert_eq!(letters.requeue(letters.list()[1].id), Ok(3), "all of the key");
    until("they are handled", || second.handler.account().handled == 4);
    assert_eq!(*second.seen.lock().unwrap(), [1, 10, 11, 12]);
    until("they are not kept any more", || open(&store, WhenFull::Hold).len() == 1);
    assert!(letters.purge(letters.list()[0].id).is_some());
    assert_eq!(open(&store, WhenFull::Hold).len(), 0);
    assert!(second.handler.account().adds_up());
}

#[test]
fn what_was_given_back_and_not_handled_is_there_again() {
    let store = Arc::new(Memory::new());
    let first = run(&store);
    first.publish([10, 11]);
    let owner = first.letters.clone();
    owner.requeue_all("desk").unwrap();
    // It fails again: the letters are new ones, and the old ones are gone.
    until("it has failed again", || first.letters.len() == 2);
    assert_eq!(first.numbers(), [(10, false), (11, true)]);
    assert_eq!(open(&store, WhenFull::Hold).list().len(), 2);
    assert_eq!(open(&store, WhenFull::Hold).list()[0].attempts, 4);
    first.bus.shutdown(LONG).unwrap();

    // Given back to a handler that never gets to it: it is kept until it is handled.
    let letters = open(&store, WhenFull::DropOldest);
    let bus = Bus::<AnyEvent>::builder(64).dead_letters(letters.clone()).start().unwrap();
    let (_desk, hand) = bus
        .handler("desk")
        .on::<u64>()
        .in_sequence(|number| number / 10)
        .by_hand(|_, _| ())
        .unwrap();
    assert_eq!(letters.requeue_all("desk"), Ok(2));
    assert_eq!((letters.len(), open(&store, WhenFull::Hold).len()), (0, 2));
    drop((bus, hand));
}

#[test]
fn a_handler_holds_until_its_letter_is_written() {
    let store = Failing::new(Memory::new());
    let run = run(&store);
    run.publish([1]);
    store.fail_all(Some(Failure::Before));
    let mut publisher = run.bus.publisher();
    for number in [10_u64, 2, 3] {
        publisher.publish(AnyEvent::named("number", number)).unwrap();
    }
    until("it is not written", || run.letters.unwritten() == 1);
    let tried = store.commits();
    until("it has tried again", || store.commits() > tried + 1);
    assert_eq!(*run.seen.lock().unwrap(), [1], "and has not gone on");
    store.fail_all(None);
    until("it goes on", || *run.seen.lock().unwrap() == [1, 2, 3]);
    assert_eq!((run.letters.unwritten(), open(&store, WhenFull::Hold).len()), (0, 1));
}

#[test]
fn letters_that_are_dropped_for_newer_ones_are_not_kept_either() {
    let store = Arc::new(Memory::new());
    let keeper = StoreLetters::named("desk", store.clone(), Number);
    let letters = DeadLetters::kept(2, WhenFull::DropOldest, keeper).unwrap();
    let bus = Bus::<AnyEvent>::builder(64).dead_letters(letters.clone()).start().unwrap();
    let _bad = bus.handler("bad").on::<u64>().run(|_, _| Err::<(), _>("no")).unwrap();
    let mut publisher = bus.publisher();
    for number in 0..5_u64 {
        publisher.publish(AnyEvent::named("number", number)).unwrap();
    }
    bus.shutdown(LONG).unwrap();
    let kept = open(&store, WhenFull::Hold);
    let numbers = kept
        .list()
        .into_iter()
        .map(|info| *kept.get(info.id).unwrap().envelope.payload.get::<u64>().unwrap());
    assert_eq!((Vec::from_iter(numbers), letters.dropped()), (vec![3, 4], 3));
    assert_eq!(kept.purge_all(), 2);
    assert!(open(&store, WhenFull::Hold).is_empty());
}

#[test]
fn letters_that_are_damaged_are_an_error() {
    let store = Arc::new(Memory::new());
    let mut batch = Batch::new();
    batch.put("letters/desk", &7_u64.to_be_bytes(), b"what is this");
    store.commit(&batch, Durability::Synced).unwrap();
    let keeper = StoreLetters::named("desk", store, Number);
    let error = DeadLetters::kept(10, WhenFull::Hold, keeper).unwrap_err();
    assert!(error.to_string().contains("letter 7 of `letters/desk` is damaged"), "{error}");
}
