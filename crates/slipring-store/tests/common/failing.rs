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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is written.
    Before,
    /// It is written, and whoever asked for it is told that it was not.
    After,
    /// Nothing is written, and the store says that it has stopped.
    Stopped,
}

/// An [`EventStore`] of which the n-th commit or sync fails, counted from 0 and each on its own.
pub struct Failing<S> {
    pub inner: S,
    commits: AtomicU64,
    syncs: AtomicU64,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    commits: BTreeMap<u64, Failure>,
    syncs: BTreeMap<u64, Failure>,
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
            plan: Mutex::default(),
        })
    }

    /// The n-th commit from now on fails, counted from 0.
    pub fn fail_commit(&self, nth: u64, failure: Failure) {
        let nth = self.commits.load(Ordering::SeqCst) + nth;
        self.plan.lock().commits.insert(nth, failure);
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

    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }
}

fn error(failure: Failure) -> StoreError {
    match failure {
        Failure::Before | Failure::After => {
            StoreError::Io { doing: "writing", error: io::Error::other("no space left") }
        }
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
        let failure = plan.commits.remove(&nth).or(plan.all);
        drop(plan);
        match failure {
            None => self.inner.commit(batch, durability),
            Some(failure) => {
                if failure == Failure::After {
                    self.inner.commit(batch, Durability::Visible)?;
                }
                Err(error(failure).into())
            }
        }
    }

    fn sync(&self) -> Result<u64, StoreError> {
        let nth = self.syncs.fetch_add(1, Ordering::SeqCst);
        let mut plan = self.plan.lock();
        let failure = plan.syncs.remove(&nth).or(plan.all);
        drop(plan);
        match failure {
            None => self.inner.sync(),
            Some(failure) => Err(error(failure)),
        }
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
