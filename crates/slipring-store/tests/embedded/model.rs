//! Random work on this store and on the one in memory, which must not be told apart.

use std::time::Duration;

use fastrand::Rng;
use slipring_events::{Time, topic::Pattern};
use slipring_store::{
    Batch, Checkpoint, Durability, Embedded, EventStore, Expected, Memory, Query, Reach, Retention,
    Topics, embedded::Check,
};

use crate::common::{STREAMS, TOPICS, append, for_seeds, queried, scanned, streamed, time, values};

const SPACES: [&str; 4] = ["s", "", "snapshots", "t"];
const KEYS: [&[u8]; 5] = [b"", b"a", b"a\0", b"\xff\xff", b"key"];

struct Pair {
    home: tempfile::TempDir,
    store: Option<Embedded>,
    memory: Memory,
}

impl Pair {
    fn new(rng: &mut Rng) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = open(&home, rng);
        let memory = Memory::of(store.source());
        Self { home, store: Some(store), memory }
    }

    fn store(&self) -> &Embedded {
        self.store.as_ref().unwrap()
    }

    fn reopen(&mut self, rng: &mut Rng) {
        drop(self.store.take());
        self.store = Some(open(&self.home, rng));
        self.memory.sync().unwrap();
    }

    fn commit(&self, rng: &mut Rng) {
        let mut batch = Batch::new();
        for _ in 0..[0, 1, 2, 7, 30][rng.usize(..5)] {
            append(&mut batch, rng, 40);
        }
        for _ in 0..rng.usize(..3) {
            let (space, key) = (SPACES[rng.usize(..4)], KEYS[rng.usize(..5)]);
            match rng.u8(..3) {
                0 => batch.remove(space, key),
                _ => batch.put(space, key, &[rng.u8(..3); 3][..rng.usize(..4)]),
            }
        }
        if rng.u8(..4) == 0 {
            let stream = STREAMS[rng.usize(..STREAMS.len())];
            let events = self.memory.version(stream).unwrap();
            // Sometimes one that is not so.
            let expected = Expected::Events(events + u64::from(rng.u8(..4) == 0));
            batch.expect(stream, expected).unwrap();
        }
        if rng.u8(..4) == 0 {
            let (space, key) = (SPACES[rng.usize(..4)], KEYS[rng.usize(..5)]);
            let mut value = self.memory.value(space, key).unwrap();
            if rng.u8(..4) == 0 {
                value = Some(vec![9]);
            }
            batch.expect_value(space, key, value.as_deref());
        }
        if rng.u8(..5) == 0 {
            let checkpoint = Checkpoint::named(["one", "two"][rng.usize(..2)]);
            let bounds = self.memory.bounds().unwrap();
            match rng.u8(..3) {
                0 => checkpoint.remove(&mut batch),
                _ => checkpoint.put(&mut batch, rng.u64(bounds.first..=bounds.end)),
            }
        }
        let durability = if rng.u8(..3) == 0 { Durability::Synced } else { Durability::Visible };
        let ours = self.store().commit(&batch, durability);
        assert_eq!(format!("{ours:?}"), format!("{:?}", self.memory.commit(&batch, durability)));
    }

    fn retain(&self, rng: &mut Rng) {
        let mut keep = Retention::everything();
        let now = time(rng);
        match rng.u8(..4) {
            0 => keep = keep.events(rng.u64(..60)),
            1 => keep = keep.bytes(rng.u64(..3000)),
            2 => keep = keep.age(Duration::from_nanos(rng.u64(..4 << 30))),
            _ => keep = keep.events(rng.u64(..200)).age(Duration::from_secs(2)).bytes(9000),
        }
        let ours = self.store().retain(&keep, now).unwrap();
        assert_eq!(ours, self.memory.retain(&keep, now).unwrap());
    }

    fn ask(&self, rng: &mut Rng) {
        let (store, memory) = (self.store(), &self.memory);
        let most = if rng.bool() { usize::MAX } else { rng.usize(1..5) };
        let bounds = memory.bounds().unwrap();
        match rng.u8(..6) {
            0 => {
                let from = rng.u64(..bounds.end + 3);
                assert_eq!(scanned(store, from, most), scanned(memory, from, most));
            }
            1..3 => {
                let query = query(rng);
                let found = queried(memory, &query, most).unwrap();
                assert_eq!(queried(store, &query, most).unwrap(), found, "{query:?}");
            }
            3 => {
                let stream = [STREAMS.as_slice(), &["none"]].concat()[rng.usize(..5)];
                let from = rng.u64(..memory.version(stream).unwrap() + 2);
                let found = streamed(memory, stream, from, most);
                assert_eq!(streamed(store, stream, from, most), found, "{stream} from {from}");
            }
            4 => {
                let (space, from) = (SPACES[rng.usize(..4)], KEYS[rng.usize(..5)]);
                assert_eq!(
                    values(store, space, from).unwrap(),
                    values(memory, space, from).unwrap()
                );
                assert_eq!(store.value(space, from).unwrap(), memory.value(space, from).unwrap());
            }
            _ => {
                let reach = if rng.bool() { Reach::Visible } else { Reach::Durable };
                let beyond = rng.u64(..=bounds.end);
                let waited = store.wait(beyond, reach, Duration::ZERO).unwrap();
                assert_eq!(waited, memory.wait(beyond, reach, Duration::ZERO).unwrap());
            }
        }
    }

    /// Everything there is.
    fn compare(&self) {
        let (store, memory) = (self.store(), &self.memory);
        let bounds = memory.bounds().unwrap();
        assert_eq!(store.bounds().unwrap(), bounds);
        assert_eq!(store.topics().unwrap(), memory.topics().unwrap());
        let all = usize::MAX;
        assert_eq!(scanned(store, bounds.first, all), scanned(memory, bounds.first, all));
        let query = Query::all();
        assert_eq!(queried(store, &query, all).unwrap(), queried(memory, &query, all).unwrap());
        for topic in TOPICS {
            let query = Query::topic(topic);
            assert_eq!(queried(store, &query, all).unwrap(), queried(memory, &query, all).unwrap());
        }
        for stream in STREAMS {
            assert_eq!(store.version(stream).unwrap(), memory.version(stream).unwrap());
            let from = rest_of(memory, stream);
            assert_eq!(streamed(store, stream, from, all), streamed(memory, stream, from, all));
        }
        for space in [SPACES.as_slice(), &[slipring_store::CHECKPOINTS]].concat() {
            assert_eq!(values(store, space, b"").unwrap(), values(memory, space, b"").unwrap());
        }
        let report = store.verify().unwrap();
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.events, bounds.end - bounds.first);
    }
}

/// The first version of a stream that has not been removed.
fn rest_of(store: &dyn EventStore, stream: &str) -> u64 {
    match store.stream(stream, 0, &mut |_| std::ops::ControlFlow::Break(())) {
        Err(slipring_store::StoreError::Removed { first, .. }) => first,
        _ => 0,
    }
}

fn query(rng: &mut Rng) -> Query {
    let topics = match rng.u8(..5) {
        0 => Topics::All,
        1 => Topics::One("nothing.of.this".into()),
        2 => Topics::One(TOPICS[rng.usize(..TOPICS.len())].into()),
        _ => {
            let patterns = ["order.*", "order.#", "#", "*.seen", "*.*.added"];
            Topics::Matching(Pattern::new(patterns[rng.usize(..5)]).unwrap())
        }
    };
    let mut query = Query::all();
    query.topics = topics;
    if rng.u8(..3) > 0 {
        query = query.between(time(rng)..=time(rng));
    }
    if rng.u8(..3) == 0 {
        query = query.limit(rng.u64(..20));
    }
    if rng.u8(..8) == 0 {
        let one = time(rng);
        query = query.between(one..=one);
    }
    query
}

fn open(home: &tempfile::TempDir, rng: &mut Rng) -> Embedded {
    // The index of times is written with each commit, or after some, or never.
    let unindexed = [0, 80, 300, 4096][rng.usize(..4)];
    let settings = Embedded::settings().check(Check::AfterCrash).unindexed_events(unindexed);
    settings.open(home.path().join("store")).unwrap()
}

#[test]
fn it_cannot_be_told_from_the_one_in_memory() {
    for_seeds("MODEL_CASES", 24, |mut rng| {
        let mut pair = Pair::new(&mut rng);
        for _ in 0..rng.usize(1..80) {
            match rng.u8(..30) {
                0..10 => pair.commit(&mut rng),
                10..12 => {
                    assert_eq!(pair.store().sync().unwrap(), pair.memory.sync().unwrap());
                }
                12..14 => pair.retain(&mut rng),
                14 => pair.reopen(&mut rng),
                15 => {
                    pair.store().compact().unwrap();
                    pair.memory.sync().unwrap();
                }
                _ => pair.ask(&mut rng),
            }
            assert_eq!(pair.store().bounds().unwrap(), pair.memory.bounds().unwrap());
        }
        pair.compare();
        pair.reopen(&mut rng);
        pair.compare();
        // Retention leaves nothing behind in the indexes.
        let keep = Retention::everything().events(0);
        let now = Time::from_nanos(u64::MAX);
        assert_eq!(
            pair.store().retain(&keep, now).unwrap(),
            pair.memory.retain(&keep, now).unwrap()
        );
        pair.compare();
    });
}
