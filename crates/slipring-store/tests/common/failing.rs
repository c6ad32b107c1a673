//! A store that fails when it is told to, around another.

use std::{
    collections::BTreeMap,
    io,
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
    Batch, Bounds, CommitError, Committed, Durability, EventStore, Query, Reach, Reader, Removed,
    Retention, StoreError,
};

/// How a write fails.
#[allow(dead_code, reason = "each binary of tests uses a part of it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is written.
    Before,
    /// It is written, and whoever asked for it is told that it was not.
    After,
    /// Nothing is written, and the store says that it has stopped.
    Stopped,
    /// Nothing is written, and never will be: it is more than the store takes.
    Refused,
}

/// An [`EventStore`] of which the n-th commit or sync fails, counted from 0 and each on its own.
pub struct Failing<S> {
    pub inner: S,
    commits: AtomicU64,
    syncs: AtomicU64,
    read: AtomicU64,
    plan: Mutex<Plan<S>>,
    /// Values of spaces that are called so in part cannot be read; of "" nothing can.
    blind_to: Mutex<Option<&'static str>>,
}

/// Somebody else who writes to a store.
type Rival<S> = Box<dyn Fn(&S) + Send + Sync>;

struct Plan<S> {
    commits: BTreeMap<u64, Failure>,
    /// Who is there just before a commit.
    rivals: BTreeMap<u64, Rival<S>>,
    /// From that commit on all writes fail: that one like this, and of the others nothing is written.
    end: Option<(u64, Failure)>,
    syncs: BTreeMap<u64, Failure>,
    /// Commits that change a value of this space fail like this for now.
    space: Option<(&'static str, Failure)>,
    /// All writes fail like this for now.
    all: Option<Failure>,
}

#[allow(dead_code)]
impl<S: EventStore> Failing<S> {
    pub fn new(inner: S) -> Arc<Self> {
        Arc::new(Self {
            inner,
            commits: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            read: AtomicU64::new(0),
            plan: Mutex::new(Plan {
                commits: BTreeMap::new(),
                rivals: BTreeMap::new(),
                end: None,
                space: None,
                syncs: BTreeMap::new(),
                all: None,
            }),
            blind_to: Mutex::new(None),
        })
    }

    /// The n-th commit from now on fails, counted from 0.
    pub fn fail_commit(&self, nth: u64, failure: Failure) {
        let nth = self.commits.load(Ordering::SeqCst) + nth;
        self.plan.lock().commits.insert(nth, failure);
    }

    /// Commits that change a value of a space fail from now on, or none does but the planned ones.
    pub fn fail_space(&self, space: Option<(&'static str, Failure)>) {
        self.plan.lock().space = space;
    }

    /// Somebody else is there just before the n-th commit from now on, counted from 0.
    pub fn rival_at(&self, nth: u64, rival: impl Fn(&S) + Send + Sync + 'static) {
        let nth = self.commits.load(Ordering::SeqCst) + nth;
        self.plan.lock().rivals.insert(nth, Box::new(rival));
    }

    /// The program ends at the n-th commit from now on, counted from 0: nothing is written after it.
    pub fn end_at(&self, nth: u64, failure: Failure) {
        let nth = self.commits.load(Ordering::SeqCst) + nth;
        self.plan.lock().end = Some((nth, failure));
    }

    /// Whether it has ended so.
    pub fn has_ended(&self) -> bool {
        let end = self.plan.lock().end;
        end.is_some_and(|(nth, _)| self.commits() > nth)
    }

    /// The next run of the program: nothing fails any more.
    pub fn begin_anew(&self) {
        let mut plan = self.plan.lock();
        (plan.end, plan.all, plan.space) = (None, None, None);
        plan.commits.clear();
        plan.syncs.clear();
        *self.blind_to.lock() = None;
    }

    /// Reading values of spaces that are called so in part fails from now on; with "" reading fails, or with nothing
    /// not any more.
    pub fn blind_to(&self, spaces: Option<&'static str>) {
        *self.blind_to.lock() = spaces;
    }

    fn look(&self, space: &str) -> Result<(), StoreError> {
        let blind_to = *self.blind_to.lock();
        if blind_to.is_some_and(|spaces| space.contains(spaces)) {
            return Err(StoreError::Io { doing: "reading", error: io::Error::other("no disk") });
        }
        Ok(())
    }

    /// The n-th sync from now on fails, counted from 0.
    pub fn fail_sync(&self, nth: u64, failure: Failure) {
        let nth = self.syncs.load(Ordering::SeqCst) + nth;
        self.plan.lock().syncs.insert(nth, failure);
    }

    /// All writes fail from now on, or none does but the planned ones.
    pub fn fail_all(&self, failure: Option<Failure>) {
        self.plan.lock().all = failure;
    }

    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// How many events have been read, by scans and by queries.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }
}

fn error(failure: Failure) -> StoreError {
    match failure {
        Failure::Before | Failure::After => {
            StoreError::Io { doing: "writing", error: io::Error::other("no space left") }
        }
        Failure::Refused => StoreError::Refused("it is too much at once".into()),
        Failure::Stopped => StoreError::Stopped { because: "no space left".into() },
    }
}

impl<S: EventStore> EventStore for Failing<S> {
    fn source(&self) -> Source {
        self.inner.source()
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<Committed, CommitError> {
        let nth = self.commits.fetch_add(1, Ordering::SeqCst);
        let mut plan = self.plan.lock();
        let ended = plan.end.filter(|(end, _)| nth >= *end);
        let ended = ended.map(|(end, failure)| if nth == end { failure } else { Failure::Before });
        let of_space =
            plan.space.filter(|(space, _)| batch.changes().any(|change| change.space == *space));
        let failure = plan.commits.remove(&nth).or(plan.all).or(of_space.map(|(_, it)| it));
        let rival = plan.rivals.remove(&nth);
        drop(plan);
        if let Some(rival) = rival {
            rival(&self.inner);
        }
        match ended.or(failure) {
            None => self.inner.commit(batch, durability),
            Some(failure) => {
                if failure == Failure::After {
                    self.inner.commit(batch, durability)?;
                }
                Err(error(failure).into())
            }
        }
    }

    fn sync(&self) -> Result<u64, StoreError> {
        let nth = self.syncs.fetch_add(1, Ordering::SeqCst);
        let mut plan = self.plan.lock();
        let failure = plan.syncs.remove(&nth).or(plan.all);
        let ended = plan.end.filter(|(end, _)| self.commits() > *end).map(|_| Failure::Before);
        drop(plan);
        match ended.or(failure) {
            None => self.inner.sync(),
            Some(failure) => Err(error(failure)),
        }
    }

    fn bounds(&self) -> Result<Bounds, StoreError> {
        self.inner.bounds()
    }

    fn scan(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError> {
        self.look("")?;
        self.inner.scan(from, &mut |record| {
            self.read.fetch_add(1, Ordering::SeqCst);
            reader(record)
        })
    }

    fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        self.inner.query(query, &mut |record| {
            self.read.fetch_add(1, Ordering::SeqCst);
            reader(record)
        })
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
        self.look(space)?;
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
