//! Stores that die with their process, events as tests write them down, and how to wait.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use slipring_bridge::{ORIGIN, ORIGIN_SEQUENCE, Pauses};
use slipring_events::{EventId, Metadata, Source, Time};
use slipring_store::{
    Batch, Bounds, CommitError, Committed, Durability, Entry, EventStore, Memory, Query, Reach,
    Reader, Record, Removed, Retention, StoreError, ValueReader,
};

use crate::sim::Alive;

/// A generous limit, so that a busy machine is no failure.
pub const LONG: Duration = Duration::from_secs(30);

/// Pauses for tests.
pub fn short() -> Pauses {
    Pauses::between(Duration::from_micros(200), Duration::from_millis(3))
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_micros(300));
    }
}

/// Commits events with those topics and payloads, durably.
pub fn commit(store: &dyn EventStore, events: &[(&str, &str)]) -> Committed {
    let mut batch = Batch::new();
    for (topic, payload) in events {
        batch.append(Entry::new(topic, payload)).unwrap();
    }
    store.commit(&batch, Durability::Synced).unwrap()
}

/// What a process sees of a store: when the process is dead, nothing of it is written any more.
pub struct Seen {
    store: Arc<dyn EventStore>,
    alive: Alive,
    /// One commit of so many takes a while; none if that is 0.
    slow: u8,
}

impl Seen {
    pub fn of(store: &Arc<impl EventStore>, alive: &Alive) -> Arc<Self> {
        Arc::new(Self { store: store.clone(), alive: alive.clone(), slow: 0 })
    }

    /// One of which a commit takes a while now and then.
    pub fn slow(store: &Arc<impl EventStore>, alive: &Alive) -> Arc<Self> {
        Arc::new(Self { store: store.clone(), alive: alive.clone(), slow: 3 })
    }

    fn check(&self) -> Result<(), StoreError> {
        let because = "the process is dead".into();
        if self.alive.is_dead() { Err(StoreError::Stopped { because }) } else { Ok(()) }
    }
}

impl EventStore for Seen {
    fn source(&self) -> Source {
        self.store.source()
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<Committed, CommitError> {
        if self.slow > 0 && fastrand::u8(..self.slow) == 0 {
            thread::sleep(Duration::from_micros(fastrand::u64(..1_500)));
        }
        self.check()?;
        self.store.commit(batch, durability)
    }

    fn sync(&self) -> Result<u64, StoreError> {
        self.check()?;
        self.store.sync()
    }

    fn bounds(&self) -> Result<Bounds, StoreError> {
        self.check()?;
        self.store.bounds()
    }

    fn scan(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError> {
        self.check()?;
        self.store.scan(from, reader)
    }

    fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        self.store.query(query, reader)
    }

    fn topics(&self) -> Result<Vec<String>, StoreError> {
        self.store.topics()
    }

    fn stream(&self, stream: &str, from: u64, reader: Reader<'_>) -> Result<(), StoreError> {
        self.store.stream(stream, from, reader)
    }

    fn version(&self, stream: &str) -> Result<u64, StoreError> {
        self.store.version(stream)
    }

    fn value(&self, space: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check()?;
        self.store.value(space, key)
    }

    fn values(&self, space: &str, from: &[u8], reader: ValueReader<'_>) -> Result<(), StoreError> {
        self.check()?;
        self.store.values(space, from, reader)
    }

    fn retain(&self, keep: &Retention, now: Time) -> Result<Removed, StoreError> {
        self.check()?;
        self.store.retain(keep, now)
    }

    fn wait(&self, beyond: u64, reach: Reach, timeout: Duration) -> Result<Bounds, StoreError> {
        self.check()?;
        self.store.wait(beyond, reach, timeout.min(Duration::from_millis(2)))
    }
}

/// All there is of an event but its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub id: EventId,
    pub time: Time,
    pub topic: String,
    pub source: String,
    pub stream: Option<String>,
    pub correlation: Option<EventId>,
    pub causation: Option<EventId>,
    pub schema: u16,
    pub metadata: Metadata,
    pub payload: Vec<u8>,
}

/// Where an event came from: its lane and its sequence there.
pub type Origin = Option<(String, u64)>;

impl Kept {
    /// With its notes of where it came from taken out.
    pub fn of(record: &Record<'_>) -> (Origin, Self) {
        let mut metadata = record.metadata().unwrap();
        let sequence = metadata.remove(ORIGIN_SEQUENCE).map(|text| text.parse().unwrap());
        let origin = metadata.remove(ORIGIN).zip(sequence);
        let kept = Self {
            id: record.id,
            time: record.time,
            topic: record.topic.to_owned(),
            source: record.source.to_owned(),
            stream: record.stream.map(|place| place.name.to_owned()),
            correlation: record.correlation,
            causation: record.causation,
            schema: record.schema,
            metadata,
            payload: record.payload.to_vec(),
        };
        (origin, kept)
    }
}

/// All events of a store.
pub fn all(store: &dyn EventStore) -> Vec<(u64, Origin, Kept)> {
    let mut all = Vec::new();
    let first = store.bounds().unwrap().first;
    store
        .scan(first, &mut |record| {
            let (origin, kept) = Kept::of(&record);
            all.push((record.position, origin, kept));
            ControlFlow::Continue(())
        })
        .unwrap();
    all
}

/// The payloads of all events, as texts.
pub fn texts(store: &dyn EventStore) -> Vec<String> {
    let text = |(_, _, kept): (u64, Origin, Kept)| String::from_utf8(kept.payload).unwrap();
    all(store).into_iter().map(text).collect()
}

/// A store of which a commit fails when it is told to: before it is written, or behind.
pub struct Failing {
    store: Arc<Memory>,
    is_written: bool,
    fails: AtomicBool,
    failed: AtomicU64,
    is_shut: AtomicBool,
}

impl Failing {
    pub fn of(store: &Arc<Memory>, is_written: bool) -> Arc<Self> {
        let (fails, failed) = (AtomicBool::new(false), AtomicU64::new(0));
        let is_shut = AtomicBool::new(false);
        Arc::new(Self { store: store.clone(), is_written, fails, failed, is_shut })
    }

    /// The next commit fails.
    pub fn fail_next(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    /// Commits wait.
    pub fn shut(&self, is_shut: bool) {
        self.is_shut.store(is_shut, Ordering::SeqCst);
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }
}

impl EventStore for Failing {
    fn source(&self) -> Source {
        self.store.source()
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<Committed, CommitError> {
        until("it is open", || !self.is_shut.load(Ordering::SeqCst));
        if !self.fails.swap(false, Ordering::SeqCst) {
            return self.store.commit(batch, durability);
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        if self.is_written {
            self.store.commit(batch, durability)?;
        }
        let error = std::io::Error::other("as it is told");
        Err(StoreError::Io { doing: "committing", error }.into())
    }

    fn sync(&self) -> Result<u64, StoreError> {
        self.store.sync()
    }

    fn bounds(&self) -> Result<Bounds, StoreError> {
        self.store.bounds()
    }

    fn scan(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError> {
        self.store.scan(from, reader)
    }

    fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        self.store.query(query, reader)
    }

    fn topics(&self) -> Result<Vec<String>, StoreError> {
        self.store.topics()
    }

    fn stream(&self, stream: &str, from: u64, reader: Reader<'_>) -> Result<(), StoreError> {
        self.store.stream(stream, from, reader)
    }

    fn version(&self, stream: &str) -> Result<u64, StoreError> {
        self.store.version(stream)
    }

    fn value(&self, space: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.value(space, key)
    }

    fn values(&self, space: &str, from: &[u8], reader: ValueReader<'_>) -> Result<(), StoreError> {
        self.store.values(space, from, reader)
    }

    fn retain(&self, keep: &Retention, now: Time) -> Result<Removed, StoreError> {
        self.store.retain(keep, now)
    }

    fn wait(&self, beyond: u64, reach: Reach, timeout: Duration) -> Result<Bounds, StoreError> {
        self.store.wait(beyond, reach, timeout)
    }
}
