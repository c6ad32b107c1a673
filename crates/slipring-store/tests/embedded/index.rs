//! The index of times: written late, for several commits at once.

use fastrand::Rng;
use redb::{Database, ReadableTable, TableDefinition};
use slipring_events::Time;
use slipring_store::{
    Batch, CommitError, Durability, Embedded, Entry, EventStore, Memory, Query, Retention,
    StoreError,
};

use crate::common::{TOPICS, append, for_seeds, queried, time};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("slipring-store");
const TIMES: TableDefinition<'_, (u32, u64, u64), &[u8]> = TableDefinition::new("times");
const SPANS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("spans");

fn open(dir: &std::path::Path, unindexed: u32) -> Embedded {
    Embedded::settings().unindexed_events(unindexed).open(dir).unwrap()
}

fn same(store: &Embedded, memory: &Memory, rng: &mut Rng) {
    let mut queries = vec![Query::all(), Query::all().limit(rng.u64(..200))];
    for topic in TOPICS {
        queries.push(Query::topic(topic));
        queries.push(Query::topic(topic).between(time(rng)..=time(rng)));
    }
    for query in queries {
        let found = queried(memory, &query, usize::MAX).unwrap();
        assert_eq!(queried(store, &query, usize::MAX).unwrap(), found, "{query:?}");
    }
    let counts = store.figures().unwrap().topics;
    for (topic, count) in counts {
        let found = queried(memory, &Query::topic(&*topic), usize::MAX).unwrap();
        assert_eq!(count, found.len() as u64, "{topic}");
    }
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report}");
}

#[test]
fn an_answer_is_the_same_however_much_of_it_is_indexed() {
    for_seeds("INDEX_CASES", 3, |mut rng| {
        let home = tempfile::tempdir().unwrap();
        let mut store = open(home.path(), 1000);
        let memory = Memory::of(store.source());
        let mut batch = Batch::new();
        for round in 0..24 {
            batch.clear();
            for _ in 0..rng.usize(1..200) {
                append(&mut batch, &mut rng, 20);
            }
            for store in [&store as &dyn EventStore, &memory] {
                store.commit(&batch, Durability::Synced).unwrap();
            }
            if round % 4 == 3 {
                // Into a span, or to its end, or among what is not in the index.
                let keep = Retention::everything().events(rng.u64(..1500));
                let removed = store.retain(&keep, Time::EPOCH).unwrap();
                assert_eq!(removed, memory.retain(&keep, Time::EPOCH).unwrap());
                same(&store, &memory, &mut rng);
            }
            if rng.u8(..6) == 0 {
                drop(store);
                store = open(home.path(), [0, 100, 1000, 9000][rng.usize(..4)]);
                same(&store, &memory, &mut rng);
            }
        }
        let all = Retention::everything().events(0);
        let removed = store.retain(&all, Time::EPOCH).unwrap();
        assert_eq!(removed, memory.retain(&all, Time::EPOCH).unwrap());
        drop(store);
        let database = Database::open(home.path().join("events.redb")).unwrap();
        let read = redb::ReadableDatabase::begin_read(&database).unwrap();
        assert!(read.open_table(TIMES).unwrap().first().unwrap().is_none());
        assert!(read.open_table(SPANS).unwrap().first().unwrap().is_none());
    });
}

/// How many spans and rows there are after so many commits of one event each.
fn counts(commits: u64, unindexed: u32) -> (usize, usize) {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), unindexed);
    let mut batch = Batch::new();
    for number in 0..commits {
        batch.clear();
        let topic = ["a", "b", "c"][number as usize % 3];
        batch.append(Entry::at(Time::from_nanos(number), topic, "")).unwrap();
        store.commit(&batch, Durability::Visible).unwrap();
    }
    drop(store);
    let database = Database::open(home.path().join("events.redb")).unwrap();
    let read = redb::ReadableDatabase::begin_read(&database).unwrap();
    let spans = read.open_table(SPANS).unwrap().iter().unwrap().count();
    (spans, read.open_table(TIMES).unwrap().iter().unwrap().count())
}

#[test]
fn it_is_written_when_enough_waits_for_it() {
    // A commit of one event counts as 33.
    assert_eq!(counts(60, 330), (6, 18));
    assert_eq!(counts(60, 331), (5, 15));
    assert_eq!(counts(60, 0), (60, 60));
    assert_eq!(counts(60, 4096), (0, 0));
}

/// A store with an index of three spans, and something more behind them.
struct Sample {
    home: tempfile::TempDir,
}

impl Sample {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = open(home.path(), 66);
        let mut batch = Batch::new();
        for number in 0..7_u64 {
            batch.clear();
            batch.append(Entry::at(Time::from_nanos(number), "a", "")).unwrap();
            store.commit(&batch, Durability::Synced).unwrap();
        }
        drop(store);
        Self { home }
    }

    /// What is found wrong with it when something has been done to its tables.
    fn with(self, change: impl FnOnce(&redb::WriteTransaction)) -> (Embedded, String) {
        let database = Database::open(self.home.path().join("events.redb")).unwrap();
        let write = database.begin_write().unwrap();
        change(&write);
        write.commit().unwrap();
        drop(database);
        let store = Embedded::open(self.home.path()).unwrap();
        let report = store.verify().unwrap().to_string();
        (store, report)
    }
}

/// A value behind its sum.
fn closed(table: u8, key: &[u64], payload: &[u8]) -> Vec<u8> {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[table]);
    for number in key {
        sum.update(&number.to_le_bytes());
    }
    sum.update(payload);
    [&sum.finalize().to_le_bytes(), payload].concat()
}

const ROW: u8 = 3;
const SPAN: u8 = 8;

#[test]
fn what_it_lacks_is_seen() {
    let (_store, report) = Sample::new().with(|_| {});
    assert!(report.ends_with("6 index entries, 0 values: sound"), "{report}");

    let (_store, report) = Sample::new().with(|write| {
        write.open_table(TIMES).unwrap().remove((0, 0, 2)).unwrap().unwrap();
    });
    assert!(report.contains("second 0 from event 2 on is damaged: it is not there"), "{report}");
    assert!(report.contains("event 2 of `a` is not in the index of times as"), "{report}");

    let (store, report) = Sample::new().with(|write| {
        write.open_table(SPANS).unwrap().remove(2).unwrap().unwrap();
    });
    assert!(report.contains("from event 2 on is damaged: it is in no list of such"), "{report}");
    assert!(
        report.contains("from event 4 on is damaged: it does not begin where it should"),
        "{report}"
    );
    drop(store);

    let (store, report) = Sample::new().with(|write| {
        write.open_table(SPANS).unwrap().remove(4).unwrap().unwrap();
    });
    assert!(report.contains("the index of times ends at event 4 in place of 6"), "{report}");
    // What is not there is not silently left there, either.
    store.retain(&Retention::everything().events(0), Time::EPOCH).unwrap();
    assert!(!store.verify().unwrap().is_sound());
}

#[test]
fn what_it_has_wrong_is_seen() {
    // Of the first span: its earliest and latest time, then its events. Of each: twice its number in its block and
    // whether that is another than before, how many events further that begins, where its frame begins, and twice its
    // time, as far as they are not what was before.
    let with = |row: [u8; 15]| {
        Sample::new().with(|write| {
            let mut times = write.open_table(TIMES).unwrap();
            let row = closed(ROW, &[0, 0, 0], &row);
            let there = times.insert((0, 0, 0), row.as_slice()).unwrap().unwrap();
            let right = closed(ROW, &[0, 0, 0], &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 2]);
            assert_eq!(there.value(), right);
        })
    };
    let (store, report) = with([0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 1, 0, 4]);
    assert!(report.contains("event 1 of `a` is not in the index of times as it"), "{report}");
    let found = queried(&store, &Query::topic("a"), usize::MAX);
    assert!(matches!(&found, Err(StoreError::Damaged { .. })), "{found:?}");
    drop(store);
    let (_store, report) = with([0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 1, 1, 0, 2]);
    assert!(report.contains("its earliest or its latest time is another"), "{report}");
    let (_store, report) = with([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 2]);
    assert!(report.contains("it ends in the midst of an entry"), "{report}");
}

#[test]
fn a_span_that_ends_elsewhere_is_seen() {
    let (_store, report) = Sample::new().with(|write| {
        let value = closed(SPAN, &[2], &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut spans = write.open_table(SPANS).unwrap();
        assert_eq!(spans.insert(2, value.as_slice()).unwrap().unwrap().value().len(), value.len());
    });
    assert!(report.contains("event 3 is behind its end"), "{report}");
    assert!(
        report.contains("from event 4 on is damaged: it does not begin where it should"),
        "{report}"
    );
}

#[test]
fn a_topic_without_a_number_is_seen_by_whoever_asks_before_it_is_indexed() {
    const NAMES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("topics");
    let sample = Sample::new();
    let database = Database::open(sample.home.path().join("events.redb")).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(NAMES).unwrap().remove("a").unwrap().unwrap();
    assert!(write.open_table(META).unwrap().get("state").unwrap().is_some());
    write.commit().unwrap();
    drop(database);
    let error = Embedded::open(sample.home.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn what_a_failed_commit_would_have_added_is_not_indexed() {
    const STREAMS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("streams");
    let sample = Sample::new();
    let database = Database::open(sample.home.path().join("events.redb")).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(STREAMS).unwrap().insert("s", &b"no number"[..]).unwrap();
    write.commit().unwrap();
    drop(database);

    let store = open(sample.home.path(), 66);
    let mut batch = Batch::new();
    for topic in ["a", "new"] {
        batch.append(Entry::at(Time::from_nanos(99), topic, "").stream("s")).unwrap();
    }
    let error = store.commit(&batch, Durability::Visible).unwrap_err();
    assert!(matches!(&error, CommitError::Store(StoreError::Damaged { .. })), "{error}");
    for number in 7..12 {
        batch.clear();
        batch.append(Entry::at(Time::from_nanos(number), "b", "")).unwrap();
        store.commit(&batch, Durability::Visible).unwrap();
    }
    let found = queried(&store, &Query::topic("b"), usize::MAX).unwrap();
    assert_eq!(found.len(), 5);
    assert_eq!(queried(&store, &Query::all(), usize::MAX).unwrap()[7..], found);
    let report = store.verify().unwrap();
    // The stream is the only thing that is wrong.
    assert_eq!(report.entries, 12);
    assert!(report.damage.iter().all(|damage| damage.contains("stream")), "{report}");
    assert!(!store.topics().unwrap().contains(&"new".to_owned()));
}
