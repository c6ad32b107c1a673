//! Events come out of their bytes as they went in, and bytes that are none are told.

use proptest::{collection::vec, option, prelude::*};
use slipring_events::{EventId, Metadata, Source, Time};
use slipring_store::{Batch, Entry, EntryError, FrameError, Frames};
use uuid::Uuid;

#[derive(Clone, Debug)]
struct Event {
    topic: String,
    payload: Vec<u8>,
    time: u64,
    source: String,
    stream: Option<String>,
    ids: [Option<u128>; 3],
    schema: u16,
    metadata: Metadata,
}

impl Event {
    fn entry(&self) -> Entry<'_> {
        let mut entry = Entry::at(Time::from_nanos(self.time), &self.topic, &self.payload)
            .source(&self.source)
            .schema(self.schema)
            .metadata(&self.metadata);
        entry.stream = self.stream.as_deref();
        [entry.id, entry.correlation, entry.causation] = self.ids.map(|id| id.map(event_id));
        entry
    }
}

fn event_id(bits: u128) -> EventId {
    EventId::from(Uuid::from_u128(bits))
}

fn event() -> impl Strategy<Value = Event> {
    let notes = vec(("[a-z]{0,4}", ".{0,8}"), 0..3);
    let texts = ("[a-z]{1,5}(\\.[a-z]{1,5}){0,3}", ".{0,9}", option::of(".{1,20}"), notes);
    let numbers = (any::<u64>(), any::<[Option<u128>; 3]>(), any::<u16>(), vec(any::<u8>(), 0..80));
    (texts, numbers).prop_map(|((topic, source, stream, notes), (time, ids, schema, payload))| {
        let metadata = notes.into_iter().collect();
        Event { topic, payload, time, source, stream, ids, schema, metadata }
    })
}

fn batch(events: &[Event]) -> Batch {
    let mut batch = Batch::new();
    for event in events {
        batch.append(event.entry()).expect("it is an event");
    }
    batch
}

proptest! {
    #[test]
    fn they_come_out_as_they_went_in(events in vec(event(), 0..12), first in 0..u64::MAX / 2) {
        let batch = batch(&events);
        prop_assert_eq!(batch.len(), events.len());
        let source = Source::named("shop");
        let mut records = Frames::new(batch.bytes(), first, source);
        for (position, event) in (first..).zip(&events) {
            let record = records.next().expect("it was put in").expect("it is as it was");
            let [id, correlation, causation] = event.ids.map(|id| id.map(event_id));
            prop_assert_eq!(record.position, position);
            prop_assert_eq!(record.id, id.unwrap_or(EventId::of(source, position)));
            prop_assert_eq!(record.time.as_nanos(), event.time);
            prop_assert_eq!(record.topic, &event.topic);
            prop_assert_eq!(record.source, &event.source);
            prop_assert_eq!(record.stream.map(|place| place.name), event.stream.as_deref());
            prop_assert_eq!((record.correlation, record.causation), (correlation, causation));
            prop_assert_eq!(record.schema, event.schema);
            prop_assert_eq!(record.payload, &event.payload);
            prop_assert_eq!(record.metadata(), Ok(event.metadata.clone()));
        }
        prop_assert!(records.next().is_none());
        prop_assert_eq!(records.offset(), batch.bytes().len());
    }

    #[test]
    fn to_pass_is_to_read_and_forget(events in vec(event(), 1..12), passed in 0..14_u64) {
        let batch = batch(&events);
        let mut frames = Frames::new(batch.bytes(), 0, Source::named("shop"));
        frames.pass(passed).expect("the bytes are whole");
        let left: Vec<u64> = frames.map(|record| record.expect("it is whole").position).collect();
        let expected: Vec<u64> = (passed..events.len() as u64).collect();
        prop_assert_eq!(left, expected);
    }

    #[test]
    fn whatever_the_bytes_are_nothing_panics_and_an_error_is_the_end(
        events in vec(event(), 1..4),
        cut in any::<prop::sample::Index>(),
        flips in vec((any::<prop::sample::Index>(), 0..8_u8), 0..4),
    ) {
        let mut bytes = batch(&events).bytes().to_vec();
        bytes.truncate(cut.index(bytes.len() + 1));
        for (at, bit) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
        }
        let records: Vec<_> = Frames::new(&bytes, 0, Source::named("shop")).collect();
        let errors = records.iter().filter(|record| record.is_err()).count();
        prop_assert!(errors <= 1 && records[..records.len().saturating_sub(1)].iter().all(Result::is_ok));
        for record in records.into_iter().flatten() {
            let _ = record.metadata();
        }
    }

    #[test]
    fn what_is_cut_off_is_missed(events in vec(event(), 1..4), cut in any::<prop::sample::Index>()) {
        let bytes = batch(&events).bytes().to_vec();
        let whole: Vec<usize> = {
            let mut frames = Frames::new(&bytes, 0, Source::named("shop"));
            let mut ends = vec![0];
            while frames.next().is_some() {
                ends.push(frames.offset());
            }
            ends
        };
        let length = cut.index(bytes.len());
        let last = Frames::new(&bytes[..length], 0, Source::named("shop")).last();
        if whole.contains(&length) {
            prop_assert!(last.is_none_or(|record| record.is_ok()));
        } else {
            let at = *whole.iter().rev().find(|end| **end < length).expect("the first is 0");
            prop_assert_eq!(last, Some(Err(FrameError::Torn { at, length })));
        }
    }
}

#[test]
fn what_no_store_takes_leaves_the_batch_as_it_was() {
    let mut batch = Batch::new();
    batch.append(Entry::new("order.created", "lamp")).expect("it is an event");
    let before = batch.clone();
    let large = vec![0; Entry::LARGEST + 1];
    let full = vec![0; Entry::LARGEST];
    let name = "s".repeat(Entry::LONGEST_STREAM + 1);
    let refused = [
        (Entry::new("order.*", ""), "topic"),
        (Entry::new("", ""), "topic"),
        (Entry::new("order.created", &large), "size"),
        // What goes with it counts, too.
        (Entry::new("order.created", &full), "size"),
        (Entry::new("order.created", "").stream(""), "stream"),
        (Entry::new("order.created", "").stream(&name), "stream"),
    ];
    for (entry, why) in refused {
        let found = match batch.append(entry).expect_err("it cannot be stored") {
            EntryError::Topic(_) => "topic",
            EntryError::TooLarge { size } => {
                assert!(size > Entry::LARGEST, "{size}");
                "size"
            }
            EntryError::Stream { length } => {
                assert!(length == 0 || length > Entry::LONGEST_STREAM, "{length}");
                "stream"
            }
            _ => unreachable!("there are three reasons"),
        };
        assert_eq!(found, why);
        assert_eq!((batch.bytes(), batch.len()), (before.bytes(), 1));
    }
}
