//! A bus whose events are in a store before its handlers see them, and the buses after it.

mod common;

use std::{
    collections::HashSet,
    ops::ControlFlow,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{
    failing::{Failing, Failure},
    until,
};
use slipring_events::{AnyEvent, Bus, Draft, EventId, Metadata, Published, RefusedReason, Time};
use slipring_store::{
    BusJournal, Codec, CodecError, EventStore, Memory, Record, SyncPolicy, WhenFailing,
};

const LONG: Duration = Duration::from_mins(1);

/// Events of the tests are numbers.
#[derive(Clone, Copy)]
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

/// All that is said of an event.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    number: u64,
    id: EventId,
    time: Time,
    topic: String,
    causation: Option<EventId>,
    notes: Metadata,
}

fn stored(store: &dyn EventStore) -> Vec<Told> {
    let mut stored = Vec::new();
    store
        .scan(0, &mut |record| {
            stored.push(Told {
                number: u64::from_le_bytes(record.payload.try_into().unwrap()),
                id: record.id,
                time: record.time,
                topic: record.topic.to_owned(),
                causation: record.causation,
                notes: record.metadata().unwrap(),
            });
            ControlFlow::Continue(())
        })
        .unwrap();
    stored
}

/// A bus that halves even numbers, and what its handler has seen. The store has had it before.
fn halving(
    store: &Arc<impl EventStore>,
    sync: SyncPolicy,
    when_failing: WhenFailing,
) -> (Bus<AnyEvent>, slipring_store::Journal, Arc<Mutex<Vec<Told>>>) {
    let journal = BusJournal::open("halves", Arc::clone(store), Number).unwrap();
    let journal = journal.sync(sync).when_failing(when_failing);
    let (handle, seen) = (journal.handle(), Arc::new(Mutex::new(Vec::new())));
    let bus = Bus::<AnyEvent>::builder(16).journal(journal).start().unwrap();
    let handler = bus.handler("halve").on::<u64>().run({
        let (handle, seen) = (handle.clone(), Arc::clone(&seen));
        move |number: &u64, context| {
            if sync == SyncPolicy::EachBatch {
                assert!(handle.is_durable(context.sequence()).unwrap(), "{number}");
            }
            seen.lock().unwrap().push(Told {
                number: *number,
                id: context.id(),
                time: context.time(),
                topic: context.topic().to_string(),
                causation: context.causation(),
                notes: context.metadata().cloned().unwrap_or_default(),
            });
            (number.is_multiple_of(2) && *number > 0).then(|| AnyEvent::named("number", number / 2))
        }
    });
    handler.unwrap();
    (bus, handle, seen)
}

#[test]
fn handlers_see_what_is_durable_and_the_store_has_all_that_is_said_of_it() {
    let store = Arc::new(Memory::new());
    let (bus, _, seen) = halving(&store, SyncPolicy::EachBatch, WhenFailing::Halt);
    let mut publisher = bus.publisher();
    for number in 0..40_u64 {
        publisher.publish(AnyEvent::named("number", number)).unwrap();
    }
    let draft = Draft::new(AnyEvent::named("number", 41_u64)).topic("a.b").note("unit", "apple");
    publisher.send(draft).unwrap();
    bus.shutdown(LONG).unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 41 + 35, "with what follows");
    assert_eq!(*seen, stored(&*store));
}

#[test]
fn no_id_is_given_twice_however_a_bus_has_ended() {
    for sync in [SyncPolicy::EachBatch, SyncPolicy::Never] {
        let store = Arc::new(Memory::new());
        let mut ids = HashSet::new();
        let mut buses = Vec::new();
        let mut sources = HashSet::new();
        for run in 0..6 {
            let (bus, handle, seen) = halving(&store, sync, WhenFailing::Halt);
            let mut publisher = bus.publisher();
            for number in 0..10_u64 {
                let id = publisher.publish(AnyEvent::named("number", number)).unwrap().id();
                sources.insert(id.source());
            }
            until("all is handled", || seen.lock().unwrap().len() == 17);
            assert!(handle.next_sequence() >= handle.first_sequence() + 17);
            ids.extend(seen.lock().unwrap().iter().map(|told| told.id));
            if run % 2 == 0 {
                bus.shutdown(LONG).unwrap();
            } else {
                // It is never ended: the next one finds what a crash leaves.
                buses.push(bus);
            }
        }
        assert_eq!((ids.len(), sources.len()), (6 * 17, 1));
        assert_eq!(stored(&*store).len(), 6 * 17);
    }
}

#[test]
fn no_id_is_given_twice_after_a_bus_was_halted() {
    for sync in [SyncPolicy::EachBatch, SyncPolicy::Within(LONG), SyncPolicy::Never] {
        let store = Arc::new(Memory::new());
        let mut ids = HashSet::new();
        let mut given = 0;
        for _ in 0..4 {
            let (bus, _, seen) = halving(&store, sync, WhenFailing::Halt);
            let mut publisher = bus.publisher();
            let mut publish = |event| {
                let told = publisher.publish(event);
                given += u64::from(told.is_ok());
                ids.extend(told.map(Published::id));
            };
            publish(AnyEvent::named("number", 1_u64));
            until("it is handled", || seen.lock().unwrap().len() == 1);
            // It was published, and its id told; it is never stored, and neither is what comes behind it.
            publish(AnyEvent::named("text", "not a number"));
            publish(AnyEvent::named("number", 3_u64));
            bus.shutdown(LONG).unwrap_err();
        }
        assert!(given >= 8);
        assert_eq!(ids.len() as u64, given, "{sync:?}");
        // What was committed is durable all the same; if that is not the journal's business, by the next opening.
        let durable = if sync == SyncPolicy::Never { 3 } else { 4 };
        assert_eq!(store.bounds().unwrap().durable, durable, "{sync:?}");
    }
}

#[test]
fn a_bus_goes_on_when_its_store_does_and_halts_if_it_is_to_halt() {
    let store = Failing::new(Memory::new());
    let (bus, handle, seen) = halving(&store, SyncPolicy::EachBatch, WhenFailing::Hold);
    let mut publisher = bus.publisher();
    store.fail_all(Some(Failure::After));
    publisher.publish(AnyEvent::named("number", 8_u64)).unwrap();
    until("it says so", || handle.failure().is_some());
    assert!(seen.lock().unwrap().is_empty());
    let told = |name: &str| {
        let told = &bus.monitor().snapshot().stations[0].told;
        told.iter().find(|figure| figure.name == name).unwrap().value
    };
    assert_eq!(told("failing"), 1);
    store.fail_all(None);
    until("all is seen", || seen.lock().unwrap().len() == 4);
    bus.shutdown(LONG).unwrap();
    let numbers: Vec<_> = stored(&store.inner).iter().map(|told| told.number).collect();
    assert_eq!(numbers, [8, 4, 2, 1], "and nothing twice");

    let (bus, _, seen) = halving(&store, SyncPolicy::EachBatch, WhenFailing::Halt);
    store.fail_commit(0, Failure::Before);
    let mut publisher = bus.publisher();
    publisher.publish(AnyEvent::named("number", 8_u64)).unwrap();
    let mut refused = None;
    until("it has halted", || {
        refused = publisher.publish(AnyEvent::named("number", 1_u64)).err();
        refused.is_some()
    });
    assert!(matches!(refused.unwrap().reason, RefusedReason::Halted(_)));
    let not_done = bus.shutdown(LONG).unwrap_err();
    assert!(not_done.to_string().contains("no space left"), "{not_done}");
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn what_has_no_form_halts_a_bus_and_says_which_it_was() {
    let store = Arc::new(Memory::new());
    let (bus, ..) = halving(&store, SyncPolicy::EachBatch, WhenFailing::Hold);
    bus.publisher().publish(AnyEvent::named("text", "not a number")).unwrap();
    let not_done = bus.shutdown(LONG).unwrap_err();
    assert!(not_done.to_string().contains("no number"), "{not_done}");
}
