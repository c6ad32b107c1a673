//! A ring whose first station stores what those behind it see.

// Shorter where the type of what is collected is all that it is about.
#![allow(clippy::from_iter_instead_of_collect)]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{
    failing::{Failing, Failure},
    numbers, until,
};
use proptest::prelude::*;
use slipring::{Builder, Figure, MultiProducer, PublishError, ShutdownCause, read};
use slipring_events::Time;
use slipring_store::{
    Batch, Durability, Entry, EventStore, JOURNALS, JournalStation, Memory, Retention, SyncPolicy,
    WhenFailing, WhenRefused, journal,
};

type Write = for<'a> fn(
    &'a u64,
    &'a mut Vec<u8>,
) -> Result<Entry<'a>, Box<dyn std::error::Error + Send + Sync>>;

/// Events from 1,000 on have no form, those from 2,000 on no topic, and those from 3,000 on panic.
fn write<'a>(
    number: &'a u64,
    bytes: &'a mut Vec<u8>,
) -> Result<Entry<'a>, Box<dyn std::error::Error + Send + Sync>> {
    if (1_000..2_000).contains(number) {
        return Err("it has no form".into());
    }
    bytes.extend_from_slice(&number.to_le_bytes());
    assert!(*number < 3_000, "panic over {number}");
    Ok(Entry::new(if *number < 2_000 { "number" } else { "no topic.*" }, bytes))
}

fn open(store: &Arc<impl EventStore>) -> JournalStation<u64, Write> {
    journal("ledger", Arc::clone(store), write as Write).unwrap()
}

fn figure(figures: &[Figure], name: &str) -> u64 {
    figures.iter().find(|figure| figure.name == name).expect("it is told").value
}

/// A ring with a journal; what those behind it see is checked against the store, and kept.
struct Ring {
    producer: Option<MultiProducer<u64>>,
    dispatcher: slipring::Dispatcher<u64>,
    journal: slipring_store::Journal,
    seen: Arc<Mutex<Vec<u64>>>,
}

fn start(kept: JournalStation<u64, Write>, is_durable: bool, first: u64) -> Ring {
    let (journal, seen) = (kept.handle(), Arc::new(Mutex::new(Vec::new())));
    let behind = read("behind", {
        let (journal, seen) = (journal.clone(), Arc::clone(&seen));
        move |number: &u64, at| {
            let position = journal.position_of(at.sequence());
            if let Some(position) = position {
                let bounds = journal.store().bounds().unwrap();
                assert!(position < if is_durable { bounds.durable } else { bounds.end });
            }
            seen.lock().unwrap().push(*number);
        }
    });
    let (producer, dispatcher) = Builder::new(16, || 0_u64)
        .first_sequence(first)
        .then(kept.station().max_batch(4))
        .then(behind)
        .start_multi()
        .unwrap();
    Ring { producer: Some(producer), dispatcher, journal, seen }
}

impl Ring {
    fn publish(&mut self, numbers: impl IntoIterator<Item = u64>) -> Result<(), PublishError> {
        let producer = self.producer.as_mut().unwrap();
        numbers.into_iter().try_for_each(|number| {
            producer.publish(|event| *event = number)?;
            Ok(())
        })
    }

    /// Publishes nothing: a claim that is given up.
    fn abandon(&mut self) {
        let producer = self.producer.as_mut().unwrap();
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            producer.publish(|_| panic!("abandoned")).map(drop)
        }));
        std::panic::set_hook(hook);
        panicked.unwrap_err();
    }

    fn told(&self, name: &str) -> u64 {
        figure(&self.dispatcher.snapshot().station("ledger").unwrap().told, name)
    }

    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().clone()
    }

    fn end(mut self) -> (Result<slipring::Report, slipring::ShutdownError>, Vec<u64>) {
        self.producer = None;
        let ended = self.dispatcher.shutdown(Duration::from_mins(1));
        let seen = self.seen.lock().unwrap().clone();
        (ended, seen)
    }
}

#[test]
fn who_is_behind_sees_what_is_stored_and_the_store_has_it_all() {
    for policy in [
        SyncPolicy::EachBatch,
        SyncPolicy::Within(Duration::from_hours(1)),
        SyncPolicy::EveryBytes(200),
        SyncPolicy::Never,
    ] {
        let store = Arc::new(Memory::new());
        let mut ring = start(open(&store).sync(policy), policy == SyncPolicy::EachBatch, 0);
        ring.publish(0..100).unwrap();
        let (ended, seen) = ring.end();
        assert!(ended.unwrap().is_complete());
        assert_eq!(seen, Vec::from_iter(0..100));
        assert_eq!(numbers(&*store), seen, "{policy:?}");
        let durable = if policy == SyncPolicy::Never { 0 } else { 100 };
        assert_eq!(store.bounds().unwrap().durable, durable, "{policy:?}");
    }
}

#[test]
fn what_is_committed_is_synced_in_time_also_when_nothing_more_comes() {
    for policy in [SyncPolicy::Within(Duration::from_millis(20)), SyncPolicy::EveryBytes(1 << 20)] {
        let store = Arc::new(Memory::new());
        let mut ring = start(open(&store).sync(policy), false, 0);
        ring.publish([7]).unwrap();
        until("it is durable", || store.bounds().unwrap().durable == 1);
        ring.publish([8]).unwrap();
        until("the next one as well", || ring.journal.is_durable(1).unwrap());
        ring.end().0.unwrap();
    }
}

#[test]
fn bytes_are_synced_when_they_are_many() {
    let store = Failing::new(Memory::new());
    let kept = open(&store).sync(SyncPolicy::EveryBytes(1));
    let mut ring = start(kept, false, 0);
    ring.publish(0..64).unwrap();
    until("all are seen", || ring.seen().len() == 64);
    let commits = ring.told("commits");
    assert_eq!((ring.told("syncs"), ring.told("stored")), (commits, 64));
    assert_eq!(store.syncs(), commits);
    ring.end().0.unwrap();
}

#[test]
fn positions_and_sequences_part_where_something_stands_between_them() {
    let store = Arc::new(Memory::new());
    let other = |topic| {
        let mut batch = Batch::new();
        batch.append(Entry::new(topic, &0_u64.to_le_bytes())).unwrap();
        store.commit(&batch, Durability::Synced).unwrap();
    };
    other("of.somebody.else");
    let mut ring = start(open(&store), true, 40);
    ring.publish([1, 2]).unwrap();
    until("both are there", || ring.journal.next_sequence() == 42);
    other("in.between");
    ring.abandon();
    ring.publish([3]).unwrap();
    until("it is there", || ring.journal.next_sequence() == 44);
    let places = [39, 40, 41, 42, 43, 44].map(|sequence| ring.journal.position_of(sequence));
    assert_eq!(places, [None, Some(1), Some(2), None, Some(4), None]);
    let places = [0, 1, 2, 3, 4, 5].map(|position| ring.journal.sequence_of(position));
    assert_eq!(places, [None, Some(40), Some(41), None, Some(43), None]);
    assert_eq!(ring.journal.position_from(42), Some(4));
    let (ended, seen) = ring.end();
    ended.unwrap();
    assert_eq!((seen, numbers(&*store)), (vec![1, 2, 3], vec![0, 1, 2, 0, 3]));
}

#[test]
fn a_store_that_fails_halts_the_ring_and_nothing_passes() {
    for failure in [Failure::Before, Failure::After, Failure::Stopped] {
        let store = Failing::new(Memory::new());
        let mut ring = start(open(&store), true, 0);
        ring.publish([1]).unwrap();
        until("it is seen", || ring.seen() == [1]);
        store.fail_commit(0, failure);
        ring.publish([2]).unwrap();
        until("the ring has halted", || ring.dispatcher.fault().is_some());
        assert!(matches!(ring.publish([3]), Err(PublishError::Halted(_))));
        assert!(ring.journal.failure().unwrap().contains("no space left"));
        let (ended, seen) = ring.end();
        let error = ended.unwrap_err();
        let fault = error.fault().expect("it says what happened");
        assert_eq!((fault.station(), fault.sequence()), ("ledger", 1));
        assert!(fault.message().contains("no space left"), "{fault}");
        // Written or not: it was not confirmed, and nobody has seen it.
        assert_eq!(seen, [1]);
    }
}

#[test]
fn one_that_holds_goes_on_where_it_was_when_the_store_works_again() {
    for failure in [Failure::Before, Failure::After] {
        let store = Failing::new(Memory::new());
        let mut ring = start(open(&store).when_failing(WhenFailing::Hold), true, 0);
        ring.publish([0]).unwrap();
        until("it is seen", || ring.seen() == [0]);
        store.fail_all(Some(Failure::Before));
        store.fail_commit(0, failure);
        let producer = ring.producer.as_mut().unwrap();
        let mut published = 0;
        while producer.try_publish(|event| *event = published + 1).is_ok() {
            published += 1;
        }
        assert_eq!(published, 16, "the ring is full, and those who publish have to wait");
        until("it says so", || ring.told("failing") == 1 && ring.told("failures") > 3);
        assert_eq!(ring.seen(), [0]);
        store.fail_all(None);
        until("all is seen", || ring.seen().len() == 17);
        assert_eq!((ring.told("failing"), ring.journal.failure()), (0, None));
        let all = Vec::from_iter(0..17);
        let places: Vec<_> =
            all.iter().map(|sequence| ring.journal.position_of(*sequence)).collect();
        assert_eq!(places, Vec::from_iter(all.iter().copied().map(Some)), "{failure:?}");
        let (ended, seen) = ring.end();
        assert!(ended.unwrap().is_complete());
        assert_eq!((numbers(&store.inner), seen), (all.clone(), all), "{failure:?}");
    }
}

#[test]
fn a_batch_whose_answer_was_lost_is_told_from_what_is_equal_to_it() {
    #[expect(clippy::unnecessary_wraps, reason = "it is what a journal calls")]
    fn timeless<'a>(
        number: &'a u64,
        bytes: &'a mut Vec<u8>,
    ) -> Result<Entry<'a>, Box<dyn std::error::Error + Send + Sync>> {
        bytes.extend_from_slice(&number.to_le_bytes());
        Ok(Entry::at(Time::EPOCH, "number", bytes))
    }
    let other = |store: &Memory, numbers: &[u64]| {
        let mut batch = Batch::new();
        for number in numbers {
            batch.append(timeless(number, &mut Vec::new()).unwrap()).unwrap();
        }
        store.commit(&batch, Durability::Synced).unwrap();
    };
    // Before it and behind it stands what begins as it does, or is all the same; or what was before it is not kept.
    for (others, is_kept) in [(&[1, 1][..], true), (&[1, 1, 2], true), (&[1, 1, 2], false)] {
        let store = Failing::new(Memory::new());
        let kept = journal("ledger", Arc::clone(&store), timeless as Write).unwrap();
        other(&store.inner, others);
        let mut ring = start(kept.when_failing(WhenFailing::Hold), true, 0);
        store.fail_commit(0, Failure::After);
        store.fail_all(Some(Failure::Before));
        let producer = ring.producer.as_mut().unwrap();
        producer.publish_batch(3, |index, event| *event = [1, 1, 2][index]).unwrap();
        until("it has failed again and again", || ring.told("failures") > 2);
        other(&store.inner, others);
        if !is_kept {
            let keep = Retention::everything().events(3);
            assert_eq!(store.inner.retain(&keep, Time::EPOCH).unwrap().first, 6);
        }
        store.fail_all(None);
        until("it is seen", || ring.seen() == [1, 1, 2]);
        let first = others.len() as u64;
        let places: Vec<_> = (0..3).map(|sequence| ring.journal.position_of(sequence)).collect();
        assert_eq!(places, [Some(first), Some(first + 1), Some(first + 2)]);
        let (ended, _) = ring.end();
        assert!(ended.unwrap().is_complete());
        let expected =
            if is_kept { [others, &[1, 1, 2], others].concat() } else { others.to_vec() };
        assert_eq!(numbers(&store.inner), expected);
    }
}

#[test]
fn one_that_holds_ends_when_it_is_shut_down() {
    let store = Failing::new(Memory::new());
    let mut ring = start(open(&store).when_failing(WhenFailing::Hold), true, 0);
    store.fail_all(Some(Failure::Before));
    ring.publish([1, 2]).unwrap();
    until("it says so", || ring.told("failing") == 1);
    ring.producer = None;
    let error = ring.dispatcher.shutdown(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error.cause, ShutdownCause::TimedOut { .. }), "{error}");
    let report = error.report.station("ledger").unwrap();
    assert_eq!((report.handled, report.left), (0, 2), "what is left is told");
    assert!(ring.seen.lock().unwrap().is_empty());
}

#[test]
fn one_that_holds_halts_where_no_further_attempt_can_help() {
    for failure in [Failure::Stopped, Failure::Refused] {
        let store = Failing::new(Memory::new());
        let mut ring = start(open(&store).when_failing(WhenFailing::Hold), true, 0);
        store.fail_all(Some(failure));
        ring.publish([1]).unwrap();
        until("the ring has halted", || ring.dispatcher.fault().is_some());
        assert!(ring.end().1.is_empty());
    }
}

#[test]
fn a_sync_that_fails_is_no_less_of_a_failure() {
    let store = Failing::new(Memory::new());
    let kept = open(&store).sync(SyncPolicy::Within(Duration::from_millis(4)));
    let mut ring = start(kept, false, 0);
    store.fail_sync(0, Failure::Before);
    ring.publish([1]).unwrap();
    until("the ring has halted, though nothing more came", || ring.dispatcher.fault().is_some());
    assert!(ring.end().0.unwrap_err().to_string().contains("no space left"));

    let store = Failing::new(Memory::new());
    let kept = open(&store).sync(SyncPolicy::EveryBytes(1)).when_failing(WhenFailing::Hold);
    let mut ring = start(kept, false, 0);
    store.fail_sync(0, Failure::Before);
    store.fail_sync(1, Failure::Before);
    ring.publish([1, 2, 3]).unwrap();
    until("all is seen", || ring.seen().len() == 3);
    assert_eq!(ring.told("failures"), 2);
    ring.end().0.unwrap();
    assert_eq!(numbers(&store.inner), [1, 2, 3], "and nothing twice");
}

#[test]
fn an_end_that_cannot_be_made_durable_is_told() {
    let store = Failing::new(Memory::new());
    let mut ring = start(open(&store).sync(SyncPolicy::Within(Duration::from_mins(1))), false, 0);
    ring.publish([1]).unwrap();
    until("it is seen", || ring.seen().len() == 1);
    store.fail_all(Some(Failure::Before));
    let error = ring.end().0.unwrap_err();
    assert!(error.fault().unwrap().message().contains("no space left"), "{error}");

    let store = Failing::new(Memory::new());
    let kept = open(&store).when_failing(WhenFailing::Hold);
    let mut ring = start(kept, true, 0);
    ring.publish([1]).unwrap();
    until("it is seen", || ring.seen().len() == 1);
    store.fail_commit(0, Failure::After);
    store.fail_commit(1, Failure::Before);
    ring.end().0.unwrap();
    assert_eq!(open(&store).handle().first_sequence(), 1, "it has ended cleanly all the same");
}

#[test]
fn an_event_that_no_store_takes_halts_or_passes_without_a_position() {
    for bad in [1_001, 2_001, 3_001] {
        let store = Arc::new(Memory::new());
        // One that holds does not hold for ever for something that never gets better.
        let mut ring = start(open(&store).when_failing(WhenFailing::Hold), true, 0);
        ring.publish([1]).unwrap();
        until("it is seen", || ring.seen() == [1]);
        ring.publish([bad]).unwrap();
        until("the ring has halted", || ring.dispatcher.fault().is_some());
        assert!(ring.dispatcher.fault().unwrap().message().contains("sequence 1 cannot be stored"));
        assert_eq!((ring.end().1, numbers(&*store)), (vec![1], vec![1]));

        let store = Arc::new(Memory::new());
        let mut ring = start(open(&store).when_refused(WhenRefused::Pass), true, 0);
        ring.publish([1, bad, 3]).unwrap();
        until("all is seen", || ring.seen() == [1, bad, 3]);
        let places = [0, 1, 2].map(|sequence| ring.journal.position_of(sequence));
        assert_eq!((places, ring.told("refused")), ([Some(0), None, Some(1)], 1));
        ring.end().0.unwrap();
        assert_eq!(numbers(&*store), [1, 3]);
    }
}

#[test]
fn a_journal_goes_on_where_it_ended_and_leaves_a_gap_where_it_did_not() {
    let store = Arc::new(Memory::new());
    let mut ring = start(open(&store), true, 0);
    ring.publish(0..5).unwrap();
    ring.end().0.unwrap();
    let again = open(&store);
    assert_eq!(again.handle().first_sequence(), 5);
    let mut ring = start(again, true, 5);
    ring.publish(5..7).unwrap();
    until("they are stored", || ring.journal.next_sequence() == 7);
    // Its program is gone without a word: of it there is only the store.
    let kept = open(&store);
    let first = kept.handle().first_sequence();
    assert!(first > 7 + (1 << 32), "{first}");
    // The other one is still there, and must not write any more.
    ring.publish([8]).unwrap();
    until("it has halted", || ring.dispatcher.fault().is_some());
    let fault = ring.dispatcher.fault().unwrap();
    assert!(fault.message().contains("one at a time may write"), "{fault}");
    assert!(ring.end().0.is_err());
    let mut ring = start(kept, true, first);
    ring.publish([9]).unwrap();
    ring.end().0.unwrap();
    assert_eq!(numbers(&*store), [0, 1, 2, 3, 4, 5, 6, 9]);
}

#[test]
fn a_journal_leaves_a_gap_when_its_ring_was_halted_by_somebody_else() {
    let store = Arc::new(Memory::new());
    let kept = open(&store);
    let journal = kept.handle();
    let (mut producer, dispatcher) = Builder::new(16, || 0_u64)
        .then(kept.station())
        .then(read("fails", |number: &u64, _| if *number == 3 { Err("no threes") } else { Ok(()) }))
        .start()
        .unwrap();
    let refused = (0..1_000).find_map(|number| producer.publish(|event| *event = number % 4).err());
    assert!(matches!(refused, Some(PublishError::Halted(_))));
    drop(producer);
    assert!(dispatcher.join().unwrap_err().fault().is_some());
    // Up to 16 were published that the journal has not come to.
    let next = open(&store).handle().first_sequence();
    assert!(next > journal.next_sequence() + 16, "{next} after {}", journal.next_sequence());
}

#[test]
fn a_mark_that_is_damaged_is_not_taken_for_none() {
    let store = Arc::new(Memory::new());
    let mut batch = Batch::new();
    batch.put(JOURNALS, b"ledger", b"what is this");
    store.commit(&batch, Durability::Synced).unwrap();
    let error = journal("ledger", Arc::clone(&store), write as Write).unwrap_err();
    assert!(error.to_string().contains("journal `ledger` is damaged"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever fails, in whichever order: nothing is lost, nothing is there twice, nothing is seen that is not stored.
    #[test]
    fn one_that_holds_loses_nothing_and_stores_nothing_twice(
        failures in prop::collection::vec((0_u64..12, prop::bool::ANY, prop::bool::ANY), 0..8),
        sync in prop::sample::select(vec![
            SyncPolicy::EachBatch, SyncPolicy::EveryBytes(60), SyncPolicy::Never,
        ]),
        batches in prop::collection::vec(1_u64..9, 1..8),
    ) {
        let store = Failing::new(Memory::new());
        let kept = open(&store).sync(sync).when_failing(WhenFailing::Hold);
        for (nth, is_commit, is_after) in failures {
            let failure = if is_after { Failure::After } else { Failure::Before };
            if is_commit {
                store.fail_commit(nth, failure);
            } else {
                store.fail_sync(nth, failure);
            }
        }
        let mut ring = start(kept, sync == SyncPolicy::EachBatch, 0);
        let mut all = Vec::new();
        for batch in batches {
            let first = all.len() as u64;
            all.extend(first..first + batch);
            ring.publish(first..first + batch).unwrap();
        }
        until("all is seen", || ring.seen().len() == all.len());
        store.fail_all(None);
        let places: Vec<_> =
            all.iter().filter_map(|sequence| ring.journal.position_of(*sequence)).collect();
        prop_assert_eq!(&places, &all);
        // What was planned for later may meet the end: it has five tries.
        let (_, seen) = ring.end();
        prop_assert_eq!(&seen, &all);
        prop_assert_eq!(numbers(&store.inner), all);
    }
}
