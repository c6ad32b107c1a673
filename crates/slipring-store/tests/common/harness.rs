//! Events as tests write them down, a store so simple that it is plainly right, and how the two are compared.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use slipring_events::{EventId, Metadata, Source, Time};
use slipring_store::{
    Batch, CommitError, Committed, Durability, Entry, EventStore, Query, Record, StoreError,
};

/// How long a test may take before it counts as stuck.
pub const LONG: Duration = Duration::from_mins(2);

/// Runs a test, and fails when it is stuck.
pub fn in_time(test: impl FnOnce() + Send + 'static) {
    let (over, end) = mpsc::channel::<()>();
    let runner = thread::spawn(move || {
        let over = over;
        test();
        drop(over);
    });
    match end.recv_timeout(LONG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test is stuck"),
        _ => {
            if let Err(panic) = runner.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// An event that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub topic: String,
    pub payload: Vec<u8>,
    pub time: u64,
    pub id: Option<EventId>,
    pub source: String,
    pub stream: Option<String>,
    pub story: Option<(EventId, EventId)>,
    pub schema: u16,
    pub metadata: Metadata,
}

/// An event that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub position: u64,
    pub id: EventId,
    pub version: Option<u64>,
    pub event: Event,
}

impl Event {
    pub fn new(topic: &str, time: u64, payload: impl AsRef<[u8]>) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.as_ref().to_owned(),
            time,
            id: None,
            source: String::new(),
            stream: None,
            story: None,
            schema: 0,
            metadata: Metadata::default(),
        }
    }

    pub fn stream(mut self, stream: &str) -> Self {
        self.stream = Some(stream.to_owned());
        self
    }

    /// With all that an event can have.
    pub fn dressed(mut self) -> Self {
        self.id = Some(EventId::random());
        self.source.push_str("somebody ☂");
        self.story = Some((EventId::random(), EventId::random()));
        self.schema = 513;
        self.metadata.insert("tenant", "nord");
        self.metadata.insert("", "\0");
        self
    }

    pub fn entry(&self) -> Entry<'_> {
        let mut entry = Entry::at(Time::from_nanos(self.time), &self.topic, &self.payload);
        entry.id = self.id;
        entry.source = &self.source;
        entry.stream = self.stream.as_deref();
        entry.correlation = self.story.map(|(first, _)| first);
        entry.causation = self.story.map(|(_, cause)| cause);
        entry.schema = self.schema;
        entry.metadata = Some(&self.metadata);
        entry
    }
}

impl Stored {
    pub fn of(record: &Record<'_>) -> Self {
        Self {
            position: record.position,
            id: record.id,
            version: record.stream.map(|place| place.version),
            event: Event {
                topic: record.topic.to_owned(),
                payload: record.payload.to_owned(),
                time: record.time.as_nanos(),
                // Whether it was given or made by the store, it is above.
                id: None,
                source: record.source.to_owned(),
                stream: record.stream.map(|place| place.name.to_owned()),
                story: record.correlation.zip(record.causation),
                schema: record.schema,
                metadata: record.metadata().expect("metadata can be read"),
            },
        }
    }
}

pub fn batch_of(events: &[Event]) -> Batch {
    let mut batch = Batch::new();
    for event in events {
        batch.append(event.entry()).expect("the event can be stored");
    }
    batch
}

pub fn commit(store: &dyn EventStore, events: &[Event]) -> Committed {
    store.commit(&batch_of(events), Durability::Synced).expect("nothing stands against it")
}

/// All that was ever committed, in a list.
#[derive(Clone, Debug)]
pub struct Model {
    source: Source,
    durability: Durability,
    pub events: Vec<Stored>,
    versions: BTreeMap<String, u64>,
}

impl Model {
    pub fn of(store: &dyn EventStore) -> Self {
        Self {
            source: store.source(),
            durability: Durability::Synced,
            events: Vec::new(),
            versions: BTreeMap::new(),
        }
    }

    /// For a store that can make nothing durable.
    pub fn visible(store: &dyn EventStore) -> Self {
        Self { durability: Durability::Visible, ..Self::of(store) }
    }

    pub fn append(&mut self, events: &[Event]) {
        for event in events {
            let position = self.events.len() as u64;
            let version = event.stream.as_ref().map(|stream| {
                let next = self.versions.entry(stream.clone()).or_default();
                *next += 1;
                *next - 1
            });
            let id = event.id.unwrap_or_else(|| EventId::of(self.source, position));
            let event = Event { id: None, ..event.clone() };
            self.events.push(Stored { position, id, version, event });
        }
    }

    /// Commits to a store and to the model, which must say the same of where it came to.
    pub fn commit(&mut self, store: &dyn EventStore, events: &[Event]) {
        let first = self.events.len() as u64;
        self.append(events);
        let committed = store.commit(&batch_of(events), self.durability);
        let committed = committed.expect("nothing stands against it");
        assert_eq!((committed.first, committed.end), (first, self.events.len() as u64));
    }

    /// What a query finds among the events from a position on.
    pub fn query(&self, query: &Query, first: u64) -> Vec<Stored> {
        let mut found: Vec<_> = self.events[first as usize..]
            .iter()
            .filter(|stored| query.admits(&stored.event.topic, Time::from_nanos(stored.event.time)))
            .cloned()
            .collect();
        found.sort_by_key(|stored| (stored.event.time, stored.position));
        found.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
        found
    }

    pub fn stream(&self, stream: &str, from: u64) -> Vec<Stored> {
        let is_in = |stored: &&Stored| {
            stored.event.stream.as_deref() == Some(stream) && stored.version >= Some(from)
        };
        self.events.iter().filter(is_in).cloned().collect()
    }

    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<_> =
            self.events.iter().map(|stored| stored.event.topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// All that a store has is what the model has from a position on.
    pub fn check(&self, store: &dyn EventStore, first: u64) {
        let bounds = store.bounds().unwrap();
        assert_eq!((bounds.first, bounds.end), (first, self.events.len() as u64));
        same(&scan(store, first).unwrap(), &self.events[first as usize..]);
        same(&query(store, &Query::all()), &self.query(&Query::all(), first));
        assert_eq!(store.topics().unwrap(), self.topics());
        for (stream, versions) in &self.versions {
            assert_eq!(store.version(stream).unwrap(), *versions, "{stream}");
            let there: Vec<_> = self.stream(stream, 0);
            let gone = there.iter().filter(|stored| stored.position < first).count();
            same(&read_stream(store, stream, gone as u64).unwrap(), &there[gone..]);
            if gone > 0 {
                let error = read_stream(store, stream, gone as u64 - 1).unwrap_err();
                let StoreError::Removed { asked, first } = error else { panic!("{error}") };
                assert_eq!((asked, first), (gone as u64 - 1, gone as u64));
            }
        }
    }
}

/// Goes on, unless it is enough.
pub fn until(is_enough: bool) -> ControlFlow<()> {
    if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Two lists are the same; if not, tells where they part and not all of them.
#[track_caller]
pub fn same(found: &[Stored], expected: &[Stored]) {
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "number {index}");
    }
    assert_eq!(found.len(), expected.len(), "so many were found, and so many were expected");
}

pub fn scan(store: &dyn EventStore, from: u64) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::new();
    let next = store.scan(from, &mut |record| {
        found.push(Stored::of(&record));
        ControlFlow::Continue(())
    })?;
    assert_eq!(next, from + found.len() as u64);
    Ok(found)
}

pub fn query(store: &dyn EventStore, query: &Query) -> Vec<Stored> {
    let mut found = Vec::new();
    let read = store.query(query, &mut |record| {
        found.push(Stored::of(&record));
        ControlFlow::Continue(())
    });
    read.expect("a query can be answered");
    found
}

pub fn read_stream(
    store: &dyn EventStore,
    stream: &str,
    from: u64,
) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::new();
    store.stream(stream, from, &mut |record| {
        found.push(Stored::of(&record));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

pub fn values(store: &dyn EventStore, space: &str, from: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let read = store.values(space, from, &mut |key, value| {
        found.push((key.to_owned(), value.to_owned()));
        ControlFlow::Continue(())
    });
    read.expect("values can be read");
    found
}

/// Commits until nobody else was there before.
pub fn commit_at_last(
    store: &Arc<dyn EventStore>,
    mut make: impl FnMut(&dyn EventStore) -> Batch,
) -> (Committed, u64) {
    let mut conflicts = 0;
    loop {
        match store.commit(&make(&**store), Durability::Visible) {
            Ok(committed) => return (committed, conflicts),
            Err(CommitError::Conflict(_)) => conflicts += 1,
            Err(error) => panic!("{error}"),
        }
    }
}
