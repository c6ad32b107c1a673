//! What has happened, once more.

// Shorter where the type of what is collected is all that it is about.
#![allow(clippy::from_iter_instead_of_collect)]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use common::{failing::Failing, until};
use proptest::prelude::*;
use slipring::{Builder, read};
use slipring_events::{AnyEvent, Bus, Draft, EventId, Time};
use slipring_store::{
    Batch, BusJournal, Checkpoint, Codec, CodecError, Diverged, Durability, Entry, EventStore,
    HashPoints, Memory, Reach, Record, Replay, ReplayCause, Retention, StateHash, StoreError,
    WhatIf,
};

const LONG: Duration = Duration::from_mins(1);

fn number(record: &Record<'_>) -> u64 {
    u64::from_le_bytes(record.payload.try_into().unwrap())
}

fn append(store: &dyn EventStore, numbers: impl IntoIterator<Item = u64>) {
    let mut batch = Batch::new();
    for number in numbers {
        let time = Time::from_nanos(number * 10);
        batch.append(Entry::at(time, "number", &number.to_le_bytes())).unwrap();
    }
    store.commit(&batch, Durability::Synced).unwrap();
}

fn filled(events: u64) -> Arc<Memory> {
    let store = Arc::new(Memory::new());
    for first in (0..events).step_by(10) {
        append(&*store, first..(first + 10).min(events));
    }
    store
}

fn seen(replay: Replay) -> (Vec<u64>, slipring_store::Replayed) {
    let mut seen = Vec::new();
    let done = replay.run(|record| {
        seen.push(number(record));
        Ok(())
    });
    (seen, done.unwrap())
}

#[test]
fn from_somewhere_to_somewhere() {
    let store = filled(50);
    let checkpoint = Checkpoint::named("snapshot");
    let replay = || Replay::new(store.clone());
    assert_eq!(seen(replay().from_checkpoint(&checkpoint)).0.len(), 50, "there is none yet");
    let mut batch = Batch::new();
    checkpoint.put(&mut batch, 30);
    store.commit(&batch, Durability::Synced).unwrap();
    for (replay, wanted) in [
        (replay(), 0..50),
        (replay().from(20), 20..50),
        (replay().from(20).to(23), 20..23),
        (replay().to(0), 0..0),
        (replay().from(50), 50..50),
        (replay().to(1_000), 0..50),
        (replay().from_time(Time::from_nanos(121)), 13..50),
        (replay().from_time(Time::from_nanos(120)).to(14), 12..14),
        (replay().from_time(Time::from_nanos(100_000)), 50..50),
        (replay().from_checkpoint(&checkpoint), 30..50),
    ] {
        let (seen, done) = seen(replay);
        assert_eq!(seen, Vec::from_iter(wanted.clone()));
        assert_eq!((done.from, done.position), (wanted.start, wanted.end));
        assert_eq!((done.events, done.progress.position), (wanted.end - wanted.start, wanted.end));
    }
}

#[test]
fn to_find_a_time_few_events_are_read() {
    let store = Failing::new(Memory::new());
    append(&*store, 0..10_000);
    store.inner.retain(&Retention::everything().events(10_000), Time::EPOCH).unwrap();
    for (time, position, most) in [
        (0, 0, 2),
        (1_000, 100, 102),
        (99_000, 9_900, 101),
        (99_990, 9_999, 2),
        (99_991, 10_000, 0),
    ] {
        let before = store.read();
        let replay = Replay::new(store.clone()).from_time(Time::from_nanos(time));
        assert_eq!(replay.first_position().unwrap(), position);
        let read = store.read() - before;
        assert!(read <= most, "{read} events were read to find {time}");
    }
}

proptest! {
    #[test]
    fn a_time_is_found_wherever_times_are_out_of_order(
        times in prop::collection::vec(0_u64..40, 0..60), kept in 1_u64..60, time in 0_u64..42,
    ) {
        let store = Arc::new(Memory::new());
        for time in &times {
            let mut batch = Batch::new();
            batch.append(Entry::at(Time::from_nanos(*time), "t", "")).unwrap();
            store.commit(&batch, Durability::Synced).unwrap();
        }
        let removed = store.retain(&Retention::everything().events(kept), Time::EPOCH).unwrap();
        let replay = Replay::new(store).from_time(Time::from_nanos(time));
        let left = times.iter().enumerate().skip(removed.first as usize);
        let expected = left.filter(|(_, at)| **at >= time).map(|(position, _)| position).next();
        prop_assert_eq!(replay.first_position().unwrap(), expected.unwrap_or(times.len()) as u64);
    }
}

#[test]
fn what_is_gone_or_not_there_is_an_error_and_not_nothing() {
    let store = filled(50);
    store.retain(&Retention::everything().events(20), Time::EPOCH).unwrap();
    let error = Replay::new(store.clone()).from(5).run(|_| Ok(())).unwrap_err();
    assert!(matches!(error.cause, ReplayCause::Store(StoreError::Removed { first: 30, .. })));
    let error = Replay::new(store.clone()).from(51).run(|_| Ok(())).unwrap_err();
    assert!(matches!(error.cause, ReplayCause::Store(StoreError::Beyond { .. })), "{error}");
    assert_eq!(seen(Replay::new(store)).0, Vec::from_iter(30..50), "all that is there");
}

#[test]
fn one_that_fails_says_where_and_goes_on_from_there() {
    let store = filled(20);
    let mut seen_before = Vec::new();
    let error = Replay::new(store.clone())
        .run(|record| {
            if record.position == 7 {
                return Err(ReplayCause::Handler("no".into()));
            }
            seen_before.push(number(record));
            Ok(())
        })
        .unwrap_err();
    assert_eq!((error.position, error.to_string().contains("no")), (7, true));
    seen_before.extend(seen(Replay::new(store).from(error.position)).0);
    assert_eq!(seen_before, Vec::from_iter(0..20));
}

#[test]
fn it_tells_how_far_it_is_and_is_broken_off() {
    let store = filled(10_000);
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let replay = Replay::new(store.clone()).from(1_000).tell(3_000, move |progress| {
        list.lock().unwrap().push((progress.position, progress.end, progress.events));
    });
    let handle = replay.handle();
    let (_, done) = seen(replay);
    assert_eq!(
        *told.lock().unwrap(),
        [(4_000, 10_000, 3_000), (7_000, 10_000, 6_000), (10_000, 10_000, 9_000)]
    );
    assert_eq!(handle.progress(), done.progress);
    assert!(done.progress.rate() > 0.0 && !done.was_cancelled);

    let replay = Replay::new(store.clone());
    let handle = replay.handle();
    let mut latest = 0;
    let done = replay
        .run(|record| {
            latest = record.position;
            if latest == 5_000 {
                handle.cancel();
            }
            Ok(())
        })
        .unwrap();
    assert_eq!((latest, done.position, done.was_cancelled), (5_000, 5_001, true));
}

#[test]
fn into_a_ring_as_it_was() {
    let store = filled(1_000);
    let all = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&all);
    let (mut producer, dispatcher) = Builder::new(16, || 0_u64)
        .then(read("all", move |number: &u64, _| list.lock().unwrap().push(*number)))
        .start()
        .unwrap();
    let done = Replay::new(store.clone())
        .from(10)
        .into_ring(
            &mut producer,
            || 0,
            |record, event| {
                *event = number(record);
                Ok(())
            },
        )
        .unwrap();
    assert_eq!(done.events, 990);
    // What cannot be read is not on the ring, nor is anything behind it.
    let error = Replay::new(store)
        .into_ring(
            &mut producer,
            || 0,
            |record, event| {
                if record.position == 3 {
                    return Err(CodecError::unreadable(record.topic, "odd"));
                }
                *event = number(record);
                Ok(())
            },
        )
        .unwrap_err();
    assert!(matches!((error.position, error.cause), (3, ReplayCause::Codec(_))));
    drop(producer);
    dispatcher.join().unwrap();
    assert_eq!(*all.lock().unwrap(), Vec::from_iter((10..1_000).chain(0..3)));
}

#[test]
fn a_ring_that_is_closed_ends_the_replay() {
    let (mut producer, dispatcher) =
        Builder::new(16, || 0_u64).then(read("none", |_: &u64, _| ())).start().unwrap();
    dispatcher.close();
    let error = Replay::new(filled(10)).into_ring(&mut producer, || 0, |_, _| Ok(())).unwrap_err();
    assert!(matches!((error.position, error.cause), (0, ReplayCause::Ring(_))));
}

#[test]
fn and_then_live_without_a_gap_or_a_duplicate() {
    for reach in [Reach::Visible, Reach::Durable] {
        let store = filled(500);
        let writer = thread::spawn({
            let store = store.clone();
            move || {
                for first in (500..3_000).step_by(7) {
                    append(&*store, first..(first + 7).min(3_000));
                    thread::yield_now();
                }
            }
        });
        let replay = Replay::new(store.clone()).from(3).to(2_990).follow(reach);
        let (seen, done) = seen(replay);
        writer.join().unwrap();
        assert_eq!(seen, Vec::from_iter(3..2_990));
        assert_eq!((done.position, done.was_cancelled), (2_990, false));
    }
}

#[test]
fn one_that_waits_for_more_is_broken_off() {
    let store = filled(5);
    let replay = Replay::new(store.clone()).follow(Reach::Durable);
    let (handle, (tell, told)) = (replay.handle(), mpsc::channel());
    let replaying = thread::spawn(move || {
        replay.run(|record| {
            tell.send(number(record)).unwrap();
            Ok(())
        })
    });
    assert_eq!(Vec::from_iter(told.iter().take(5)), [0, 1, 2, 3, 4]);
    append(&*store, [5]);
    assert_eq!(told.recv_timeout(LONG), Ok(5));
    handle.cancel();
    let done = replaying.join().unwrap().unwrap();
    assert_eq!((done.events, done.was_cancelled), (6, true));
}

/// Events of the tests are numbers.
struct Number;

impl Codec<AnyEvent> for Number {
    fn encode(&self, payload: &AnyEvent, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        let number: &u64 = payload.get().ok_or_else(|| CodecError::unwritable("no number"))?;
        bytes.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn decode(&self, record: &Record<'_>) -> Result<AnyEvent, CodecError> {
        Ok(AnyEvent::named("number", number(record)))
    }
}

/// What a handler of a bus is told of an event: number, id, time, topic, what led to it, notes.
type Told = (u64, String, Time, String, Option<String>, Option<String>);

/// A bus with a journal in that store, whose handler doubles numbers below 10.
fn doubling(store: &Arc<Memory>) -> (Bus<AnyEvent>, Arc<Mutex<Vec<Told>>>) {
    let journal = BusJournal::open("numbers", store.clone(), Number).unwrap();
    let bus = Bus::<AnyEvent>::builder(16).journal(journal).start().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let handler = bus.handler("double").on::<u64>().run(move |number: &u64, context| {
        list.lock().unwrap().push((
            *number,
            context.id().to_string(),
            context.time(),
            context.topic().to_string(),
            context.causation().map(|id| id.to_string()),
            context.metadata().and_then(|notes| notes.get("note")).map(str::to_owned),
        ));
        (*number < 10).then(|| AnyEvent::named("number", number * 2))
    });
    handler.unwrap();
    (bus, told)
}

#[test]
fn into_a_bus_as_it_was_and_stored_once() {
    let store = Arc::new(Memory::new());
    let (bus, told) = doubling(&store);
    let mut publisher = bus.publisher();
    for number in 1..20_u64 {
        let draft = Draft::new(AnyEvent::named("number", number)).note("note", number.to_string());
        publisher.send(if number % 3 == 0 { draft.topic("by.three") } else { draft }).unwrap();
    }
    bus.shutdown(LONG).unwrap();
    let live = told.lock().unwrap().clone();
    let end = store.bounds().unwrap().end;
    assert_eq!(live.len() as u64, end);

    let (bus, told) = doubling(&store);
    let mut publisher = bus.publisher();
    let done = Replay::new(store.clone()).into_bus(&mut publisher, &Number).unwrap();
    assert_eq!(done.events, end);
    let hundred = publisher.publish(AnyEvent::named("number", 100_u64)).unwrap();
    bus.shutdown(LONG).unwrap();
    let replayed = told.lock().unwrap().clone();
    let (last, replayed) = replayed.split_last().unwrap();
    assert_eq!(replayed, live);
    assert_eq!((last.0, &last.1), (100, &hundred.id().to_string()));
    assert!(live.iter().all(|told| told.1 != last.1), "the ids go on where they were");
    assert_eq!(store.bounds().unwrap().end, end + 1, "nothing is stored twice");
}

#[test]
fn a_state_is_the_same_at_every_point_or_the_first_other_one_is_named() {
    let (store, points) = (Arc::new(Memory::new()), HashPoints::named("counts"));
    // Live, with a point every ten events.
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    let count = |counts: &mut BTreeMap<u64, u64>, number: u64| {
        *counts.entry(number % 7).or_default() += number;
    };
    for first in (0..100).step_by(10) {
        append(&*store, first..first + 10);
        (first..first + 10).for_each(|number| count(&mut counts, number));
        let mut batch = Batch::new();
        points.put(&mut batch, first + 10, StateHash::of(&counts).unwrap());
        store.commit(&batch, Durability::Synced).unwrap();
    }
    assert_eq!(points.all(&*store, 55).unwrap().len(), 5);
    let replay = |wrong_at: u64, from: u64| {
        let mut check = points.check_from(&*store, from).unwrap();
        let mut counts = BTreeMap::new();
        (0..from).for_each(|number| count(&mut counts, number));
        let done = Replay::new(store.clone()).from(from).run(|record| {
            let is_wrong = record.position == wrong_at;
            count(&mut counts, number(record) + u64::from(is_wrong));
            Ok(check.at(record.position + 1, || StateHash::of(&counts))?)
        });
        done.map(|done| (check.finish(done.position), check.compared()))
    };
    assert_eq!(replay(1_000, 0).unwrap(), (Ok(()), 10));
    assert_eq!(replay(1_000, 51).unwrap(), (Ok(()), 5), "from a snapshot on");
    let error = replay(35, 0).unwrap_err();
    let ReplayCause::Diverged(Diverged::Differs { position, .. }) = error.cause else {
        panic!("{error}");
    };
    assert_eq!((position, error.position), (40, 39));
}

#[test]
fn a_point_that_nobody_comes_to_is_not_taken_for_the_same() {
    let (store, points) = (filled(10), HashPoints::named("state"));
    let mut batch = Batch::new();
    points.put(&mut batch, 5, StateHash::new());
    points.put(&mut batch, 10, StateHash::new());
    store.commit(&batch, Durability::Synced).unwrap();
    let same = || Ok::<_, CodecError>(StateHash::new());
    let mut check = points.check(&*store).unwrap();
    assert!(matches!(check.at(6, same), Err(Diverged::Missed { position: 5, .. })));
    let mut check = points.check(&*store).unwrap();
    check.at(5, same).unwrap();
    assert!(matches!(check.finish(10), Err(Diverged::Missed { position: 10, .. })));
    assert_eq!((check.finish(9), check.next_point()), (Ok(()), Some(10)));
    let mut batch = Batch::new();
    batch.put("hashes/state", b"odd", b"");
    store.commit(&batch, Durability::Synced).unwrap();
    assert!(points.check(&*store).unwrap_err().to_string().contains("damaged"));
}

/// Sums, and says so whenever the sum is a multiple of ten.
fn sum(sum: &mut u64, event: &Record<'_>, out: &mut Vec<String>) {
    *sum += number(event);
    if sum.is_multiple_of(10) {
        out.push(format!("{} at {}", sum, event.position));
    }
}

#[test]
fn nothing_would_have_been_different_without_a_change() {
    let report = WhatIf::new(filled(100)).compare(|| 0, sum, sum).unwrap();
    assert!(report.is_same() && report.first().is_none(), "{report}");
    assert_eq!(report.to_string(), "of 100 events, nothing would have been different");
}

#[test]
fn each_kind_of_change_is_found_where_it_was_made() {
    let one = 1_u64.to_le_bytes();
    let what_if = || WhatIf::new(filled(8)).to(6);
    let report = what_if().without(2).compare(|| 0, sum, sum).unwrap();
    assert_eq!((report.events, report.first_state), (6, Some(2)));
    // 0, 1, 3, 6, 10, 15 and without the 2: 0, 1, 1, 4, 8, 13.
    let out: Vec<_> = report.differences.iter().map(|one| (one.position, &*one.before)).collect();
    assert_eq!(out, [(2, &[][..]), (4, &["10 at 4".to_owned()][..])]);
    assert_eq!(report.outputs, 1);
    assert_eq!(report.to_string().lines().nth(2).unwrap(), "2 number: (state)", "{report}");
    let replaced = what_if().replace(1, Entry::new("other", &one)).compare(|| 0, sum, sum);
    assert!(replaced.unwrap().is_same(), "it was a 1 before");
    let payload = what_if().payload(4, &9_u64.to_le_bytes()).compare(|| 0, sum, sum).unwrap();
    assert_eq!(payload.first().unwrap().position, 4);
    assert_eq!(payload.differences[1].after, ["20 at 5"]);
    let inserted = what_if()
        .insert(5, Entry::new("number", &one))
        .insert(5, Entry::new("number", &9_u64.to_le_bytes()))
        .compare(|| 0, sum, sum)
        .unwrap();
    assert_eq!(inserted.first().unwrap().after, ["20 at 5"]);
    assert_eq!((inserted.first_state, inserted.outputs), (Some(5), 1));
}

#[test]
fn another_handler_is_another_handler() {
    let twice = |total: &mut u64, event: &Record<'_>, out: &mut Vec<String>| {
        *total += number(event) * 2;
        if event.position == 3 {
            out.push("three".to_owned());
        }
    };
    let report = WhatIf::new(filled(5)).from(2).most(1).compare(|| 1, sum, twice).unwrap();
    assert_eq!((report.events, report.first_state, report.outputs), (3, Some(2), 2));
    assert_eq!(report.differences.len(), 1, "no more were asked for");
    assert_ne!(report.state_before, report.state_after);
    let seldom = WhatIf::new(filled(5)).compare_states_every(3).compare(|| 0, sum, twice).unwrap();
    assert_eq!(seldom.first_state, Some(2), "of positions 2 and 5 only");
}

#[test]
fn another_event_in_its_place_has_its_id_and_its_version() {
    let store = Arc::new(Memory::new());
    let ids = [EventId::random(), EventId::random(), EventId::random()];
    let mut batch = Batch::new();
    for id in ids {
        batch.append(Entry::new("t", "").stream("s").id(id)).unwrap();
    }
    store.commit(&batch, Durability::Synced).unwrap();
    let told = |(): &mut (), record: &Record<'_>, out: &mut Vec<_>| {
        out.push((record.id, record.stream.map(|place| (place.name.to_owned(), place.version))));
    };
    let what_if = || WhatIf::new(store.clone());
    let same = what_if().replace(1, Entry::new("u", "x").stream("s"));
    assert!(same.compare(|| (), told, told).unwrap().is_same());
    let given = EventId::random();
    let other = what_if().replace(1, Entry::new("u", "x").stream("r").id(given));
    let report = other.compare(|| (), told, told).unwrap();
    assert_eq!(report.differences.len(), 1);
    assert_eq!(report.differences[0].before, [(ids[1], Some(("s".to_owned(), 1)))]);
    assert_eq!(report.differences[0].after, [(given, Some(("r".to_owned(), 0)))]);
}

#[test]
fn a_change_of_nothing_is_an_error() {
    let error = WhatIf::new(filled(5)).without(7).compare(|| 0, sum, sum).unwrap_err();
    assert!(error.to_string().contains("no event at 7"), "{error}");
    let bad = Entry::new("no.*", "");
    let error = WhatIf::new(filled(5)).insert(1, bad).compare(|| 0, sum, sum).unwrap_err();
    assert!(matches!(error.cause, ReplayCause::Handler(_)), "{error}");
}

#[derive(Clone, Debug)]
enum Change {
    Without,
    Payload(u64),
    Insert(u64),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What it says is what two plain loops come to, one over the events and one over the changed events.
    #[test]
    fn it_says_what_two_loops_say(
        numbers in prop::collection::vec(0_u64..20, 1..30),
        changes in prop::collection::btree_map(0_usize..30, prop_oneof![
            Just(Change::Without),
            (0_u64..20).prop_map(Change::Payload),
            (0_u64..20).prop_map(Change::Insert),
        ], 0..4),
    ) {
        let store = Arc::new(Memory::new());
        append(&*store, numbers.iter().copied());
        let mut what_if = WhatIf::new(store);
        let mut other: Vec<(u64, Vec<u64>)> = Vec::new();
        for (index, number) in numbers.iter().enumerate() {
            let position = index as u64;
            other.push((position, match changes.get(&index) {
                None => vec![*number],
                Some(Change::Without) => {
                    what_if = what_if.without(position);
                    Vec::new()
                }
                Some(Change::Payload(new)) => {
                    what_if = what_if.payload(position, &new.to_le_bytes());
                    vec![*new]
                }
                Some(Change::Insert(new)) => {
                    what_if = what_if.insert(position, Entry::new("new", &new.to_le_bytes()));
                    vec![*new, *number]
                }
            }));
        }
        let report = what_if.compare(|| 0, sum, sum).unwrap();
        let run = |events: &[(u64, Vec<u64>)]| {
            let mut total = 0;
            let each = events.iter().map(|(position, numbers)| {
                let mut out = Vec::new();
                for number in numbers {
                    total += number;
                    if total % 10 == 0 {
                        out.push(format!("{total} at {position}"));
                    }
                }
                (out, total)
            });
            each.collect::<Vec<_>>()
        };
        let was: Vec<_> = numbers.iter().enumerate()
            .map(|(position, number)| (position as u64, vec![*number])).collect();
        let (was, would) = (run(&was), run(&other));
        let differ = |index: &usize| was[*index].0 != would[*index].0;
        let outputs: Vec<usize> = (0..numbers.len()).filter(differ).collect();
        prop_assert_eq!(report.outputs, outputs.len() as u64);
        let state = (0..numbers.len()).find(|index| was[*index].1 != would[*index].1);
        prop_assert_eq!(report.first_state, state.map(|index| index as u64));
        for difference in &report.differences {
            let index = difference.position as usize;
            prop_assert_eq!(&difference.before, &was[index].0);
            prop_assert_eq!(&difference.after, &would[index].0);
        }
    }
}

#[test]
fn a_replay_that_goes_on_into_a_ring_sees_what_a_journal_stores() {
    // One ring writes; another one is fed by what it has stored, from the first event on.
    let store = filled(100);
    let kept = slipring_store::journal("live", store.clone(), |number: &u64, bytes| {
        bytes.extend_from_slice(&number.to_le_bytes());
        Ok(Entry::new("number", bytes))
    });
    let (mut live, writing) =
        Builder::new(16, || 0_u64).then(kept.unwrap().station()).start().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&seen);
    let (mut producer, reading) = Builder::new(16, || 0_u64)
        .then(read("all", move |number: &u64, _| list.lock().unwrap().push(*number)))
        .start()
        .unwrap();
    let replay = Replay::new(store).follow(Reach::Durable);
    let handle = replay.handle();
    let feeding = thread::spawn(move || {
        let done = replay.into_ring(
            &mut producer,
            || 0,
            |record, event| {
                *event = number(record);
                Ok(())
            },
        );
        done.unwrap()
    });
    for number in 100..300 {
        live.publish(|event| *event = number).unwrap();
    }
    until("all is seen", || seen.lock().unwrap().len() == 300);
    handle.cancel();
    assert_eq!(feeding.join().unwrap().events, 300);
    drop(live);
    writing.join().unwrap();
    reading.join().unwrap();
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..300));
}
