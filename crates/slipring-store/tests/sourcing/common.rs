//! What the tests share: stores that fail, and what is made of the bank's events.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use slipring_events::{Source, Time};
use slipring_store::{
    Batch, Bounds, CommitError, Committed, Durability, EventStore, Json, Memory, Query, Reach,
    Reader, Record, Removed, Retention, StoreError,
    sourcing::{Fault, Projection, Repository, Values},
};

use crate::bank::{Account, AccountEvent, Deposited, Opened, Withdrawn};

/// What waiting must not take; it decides nothing.
pub const LONG: Duration = Duration::from_mins(1);

pub type Accounts = Repository<Account, Json>;

pub fn accounts(store: &Arc<impl EventStore>) -> Accounts {
    Repository::new(store.clone(), Json)
}

pub fn opened(owner: &str) -> AccountEvent {
    Opened { owner: owner.into() }.into()
}

pub fn deposited(cents: u64) -> AccountEvent {
    Deposited { cents }.into()
}

pub fn withdrawn(cents: u64) -> AccountEvent {
    Withdrawn { cents }.into()
}

/// What happens to a commit.
#[derive(Clone, Copy, Debug)]
pub enum Blow {
    /// It does not come about.
    Before,
    /// It comes about, and nobody hears of it.
    After,
    /// Somebody else is there just before.
    Rival(fn(&Memory)),
}

/// A store whose commits fail as planned.
pub struct Faulty {
    pub inner: Memory,
    plan: Mutex<Vec<(u64, Blow)>>,
    pub commits: AtomicU64,
    /// Reading values fails from now on.
    pub no_values: std::sync::atomic::AtomicBool,
}

impl Faulty {
    pub fn new(plan: impl IntoIterator<Item = (u64, Blow)>) -> Arc<Self> {
        Arc::new(Self {
            inner: Memory::new(),
            plan: Mutex::new(plan.into_iter().collect()),
            commits: AtomicU64::new(0),
            no_values: false.into(),
        })
    }

    /// Something happens to the commit with that number.
    pub fn plan(&self, number: u64, blow: Blow) {
        self.plan.lock().push((number, blow));
    }

    fn broken() -> StoreError {
        StoreError::Io { doing: "writing", error: std::io::Error::other("the disk is gone") }
    }
}

impl EventStore for Faulty {
    fn source(&self) -> Source {
        self.inner.source()
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<Committed, CommitError> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        let blow = {
            let mut plan = self.plan.lock();
            let at = plan.iter().position(|(at, _)| *at == number);
            at.map(|at| plan.remove(at).1)
        };
        match blow {
            None => self.inner.commit(batch, durability),
            Some(Blow::Before) => Err(Self::broken().into()),
            Some(Blow::After) => {
                self.inner.commit(batch, durability)?;
                Err(Self::broken().into())
            }
            Some(Blow::Rival(rival)) => {
                rival(&self.inner);
                self.inner.commit(batch, durability)
            }
        }
    }

    fn sync(&self) -> Result<u64, StoreError> {
        self.inner.sync()
    }

    fn bounds(&self) -> Result<Bounds, StoreError> {
        self.inner.bounds()
    }

    fn scan(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError> {
        self.inner.scan(from, reader)
    }

    fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        self.inner.query(query, reader)
    }

    fn topics(&self) -> Result<Vec<String>, StoreError> {
        self.inner.topics()
    }

    fn stream(&self, stream: &str, from: u64, reader: Reader<'_>) -> Result<(), StoreError> {
        self.inner.stream(stream, from, reader)
    }

    fn version(&self, stream: &str) -> Result<u64, StoreError> {
        self.inner.version(stream)
    }

    fn value(&self, space: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.no_values.load(Ordering::SeqCst) && space.contains('@') {
            return Err(Self::broken());
        }
        self.inner.value(space, key)
    }

    fn values(
        &self,
        space: &str,
        from: &[u8],
        reader: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.inner.values(space, from, reader)
    }

    fn retain(&self, keep: &Retention, now: Time) -> Result<Removed, StoreError> {
        self.inner.retain(keep, now)
    }

    fn wait(&self, beyond: u64, reach: Reach, timeout: Duration) -> Result<Bounds, StoreError> {
        self.inner.wait(beyond, reach, timeout)
    }
}

/// What is on each account, and how many events were applied. An event applied twice, or left out, is in the numbers.
#[derive(Clone, Debug)]
pub struct Balances {
    pub version: u32,
    /// Cents at which it panics.
    pub panics_at: u64,
    /// Cents that it does not like.
    pub fails_at: Arc<AtomicU64>,
}

impl Balances {
    pub fn version(version: u32) -> Self {
        Self { version, panics_at: u64::MAX, fails_at: Arc::new(AtomicU64::new(u64::MAX)) }
    }
}

impl Projection for Balances {
    type Event = AccountEvent;

    fn name(&self) -> &'static str {
        "balances"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn apply(
        &self,
        event: &AccountEvent,
        record: &Record<'_>,
        values: &mut Values<'_>,
    ) -> Result<(), Fault> {
        let stream = record.stream.ok_or("it is in no stream")?.name;
        let (events, cents): (u64, i64) = values.get_as(stream)?.unwrap_or_default();
        // Put before it fails: to be dropped.
        values.put_as(stream, &(events + 1000, cents))?;
        let all: u64 = values.get_as("all")?.unwrap_or_default();
        values.put_as("all", &(all + 1))?;
        let more = match event {
            AccountEvent::Opened(_) => 0,
            AccountEvent::Deposited(Deposited { cents }) => cents.cast_signed(),
            AccountEvent::Withdrawn(Withdrawn { cents }) => -cents.cast_signed(),
        };
        assert!(more.unsigned_abs() != self.panics_at, "no such amount: {more}");
        if more.unsigned_abs() == self.fails_at.load(Ordering::SeqCst) {
            return Err("I do not like that amount".into());
        }
        values.put_as(stream, &(events + 1, cents + more))
    }
}

/// What `Balances` should have, by a plain fold over all that is in the store.
pub fn fold(store: &dyn EventStore) -> Vec<(String, (u64, i64))> {
    use slipring_store::Codec;
    let mut all = std::collections::BTreeMap::<String, (u64, i64)>::new();
    store
        .scan(0, &mut |record| {
            let place = all.entry(record.stream.unwrap().name.to_owned()).or_default();
            place.0 += 1;
            place.1 += match Codec::<AccountEvent>::decode(&Json, &record).unwrap() {
                AccountEvent::Opened(_) => 0,
                AccountEvent::Deposited(Deposited { cents }) => cents.cast_signed(),
                AccountEvent::Withdrawn(Withdrawn { cents }) => -cents.cast_signed(),
            };
            ControlFlow::Continue(())
        })
        .unwrap();
    all.into_iter().collect()
}

/// What is in a space, but for the sum.
pub fn shown(store: &dyn EventStore, space: &str) -> Vec<(String, (u64, i64))> {
    let mut all = Vec::new();
    store
        .values(space, b"", &mut |key, value| {
            if key != b"all" {
                let key = String::from_utf8(key.to_vec()).unwrap();
                all.push((key, postcard::from_bytes(value).unwrap()));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    all
}

/// How many values are in a space.
pub fn count(store: &dyn EventStore, space: &str) -> usize {
    let mut count = 0;
    store
        .values(space, b"", &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    count
}

/// All events of a stream.
pub fn events(store: &dyn EventStore, stream: &str) -> Vec<AccountEvent> {
    use slipring_store::Codec;
    let mut all = Vec::new();
    store
        .stream(stream, 0, &mut |record| {
            all.push(Json.decode(&record).unwrap());
            ControlFlow::Continue(())
        })
        .unwrap();
    all
}
