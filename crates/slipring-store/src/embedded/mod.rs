//! A store in a directory of its own, on [redb](https://docs.rs/redb).
//!
//! redb keeps the promise that a commit is there whole or not at all, also when the machine loses power. It does not
//! look at everything that it reads, and takes an older header for a damaged one. So there are guards of our own, each
//! in its file:
//!
//! 1. a panic of redb on damaged bytes is [damage](StoreError::Damaged), not the end of the program (`guard`);
//! 2. each value has a sum over itself and its key (`tables`), and blocks follow each other without a gap (`reader`);
//! 3. a file beside the database tells which commit was the last that was made durable (`high_water`).
//!
//! What one by one cannot be seen, such as an index that lacks an entry, is seen by [`Embedded::verify`], which compares
//! everything with everything, and, for files of [moderate size](Check), each time a store is opened.

use std::{
    fmt,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, RwLock};
use redb::Database;
pub use redb::StorageBackend;
use slipring_events::{Source, Time};

use crate::{
    Batch, Bounds, CommitError, Committed, Durability, EventStore, Query, Reach, Reader, Removed,
    Retention, StoreError,
};

mod backend;
mod care;
mod files;
mod guard;
mod high_water;
mod indexing;
mod opening;
mod query;
mod reader;
mod retaining;
mod settings;
mod sorting;
mod tables;
mod times;
mod verifying;
mod writer;

pub use care::Figures;
use guard::{guarded, is_harmless};
use high_water::HighWater;
use reader::View;
pub use settings::{Check, Settings};
use tables::State;
pub use verifying::Report;
use writer::Writer;

/// An [`EventStore`] in a directory of its own: for one program, with no server.
///
/// A [visible](Durability::Visible) commit stays in memory until the next sync; a [synced](Durability::Synced) one waits
/// for the disk twice, once for the database and once for the number of the commit beside it. So many events in one
/// batch, or a sync after many commits, are much quicker than many synced commits. Who reads waits for nobody. When the
/// store is dropped, it makes durable what is committed.
///
/// Read and committed to from several threads, it is shared by reference or [`Arc`](std::sync::Arc).
///
/// # Examples
/// ```
/// use std::ops::ControlFlow;
/// use slipring_store::{Batch, Durability, Embedded, Entry, EventStore, Query};
///
/// # let home = tempfile::tempdir()?;
/// # let dir = home.path().join("events");
/// let store = Embedded::open(&dir)?;
/// let mut batch = Batch::new();
/// batch.append(Entry::new("order.created", "lamp"))?;
/// batch.append(Entry::new("order.paid", "lamp"))?;
/// store.commit(&batch, Durability::Synced)?;
/// drop(store);
///
/// let store = Embedded::open(&dir)?;
/// let mut paid = Vec::new();
/// store.query(&Query::topic("order.paid"), &mut |record| {
///     paid.push((record.position, record.payload.to_vec()));
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(paid, [(1, b"lamp".to_vec())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Embedded {
    source: Source,
    path: PathBuf,
    file: backend::Shared,
    /// Always there until the store is dropped. Who compacts it has it alone.
    database: RwLock<Option<Database>>,
    writer: Mutex<(Writer, HighWater)>,
    told: Mutex<Told>,
    grown: Condvar,
    _lock: Option<files::Lock>,
}

/// What everybody may know at once.
#[derive(Debug)]
struct Told {
    bounds: Bounds,
    /// The failure after which nothing is written any more.
    stopped: Option<Box<str>>,
}

impl Told {
    fn check(&self) -> Result<(), StoreError> {
        match &self.stopped {
            Some(because) => Err(StoreError::Stopped { because: because.clone() }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { bounds, stopped } = &*self.told.lock();
        f.debug_struct("Embedded")
            .field("path", &self.path)
            .field("bounds", bounds)
            .field("stopped", stopped)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the store of a directory, and makes both if they are not there.
    ///
    /// # Errors
    /// Another has it open, or it is no store, or of another version, or damaged, or the directory cannot be written.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        Settings::default().open(dir)
    }

    /// How else it may be opened.
    pub fn settings() -> Settings {
        Settings::default()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn view(&self) -> Result<View, StoreError> {
        View::new(there(self.database.read().as_ref()))
    }

    /// Writes, and stops the store if that fails: nobody can tell then what is on the disk. `durable` says what is to be
    /// made durable with the new state, if that is.
    fn write<T, E>(
        &self,
        write: impl FnOnce(&mut Writer, &Database) -> Result<(T, Option<State>), E>,
        durability: Durability,
    ) -> Result<T, E>
    where
        E: Failure + From<StoreError>,
    {
        let mut writer = self.writer.lock();
        let (writer, high_water) = &mut *writer;
        self.told.lock().check()?;
        let database = self.database.read();
        let database = there(database.as_ref());
        let written = guarded(|| write(writer, database)).and_then(|(done, state)| {
            if let (Some(state), Durability::Synced) = (state, durability) {
                high_water.raise(state.mark())?;
            }
            Ok((done, state))
        });
        let mut told = self.told.lock();
        match written {
            Ok((done, state)) => {
                if let Some(State { first, end, .. }) = state {
                    let durable = match durability {
                        Durability::Synced => end,
                        Durability::Visible => told.bounds.durable,
                    };
                    told.bounds = Bounds { first, end, durable };
                    self.grown.notify_all();
                }
                Ok(done)
            }
            Err(error) => {
                writer.forget();
                if let Some(because) = error.stops() {
                    told.stopped = Some(because);
                    self.grown.notify_all();
                }
                Err(error)
            }
        }
    }
}

/// The database of a store that has not been dropped.
fn there<D>(database: Option<D>) -> D {
    database.expect("it is there until the store is dropped")
}

/// Whether a store cannot go on after an error.
trait Failure {
    fn stops(&self) -> Option<Box<str>>;
}

impl Failure for StoreError {
    fn stops(&self) -> Option<Box<str>> {
        (!is_harmless(self)).then(|| self.to_string().into())
    }
}

impl Failure for CommitError {
    fn stops(&self) -> Option<Box<str>> {
        match self {
            Self::Conflict(_) => None,
            Self::Store(error) => error.stops(),
        }
    }
}

impl EventStore for Embedded {
    fn source(&self) -> Source {
        self.source
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<Committed, CommitError> {
        self.write(
            |writer, database| {
                let first = writer.state.end;
                let state = writer.commit(database, batch, durability)?;
                Ok((Committed { first, end: writer.state.end }, state))
            },
            durability,
        )
    }

    fn sync(&self) -> Result<u64, StoreError> {
        self.write(
            |writer, database| {
                let state = if writer.pending { Some(writer.touch(database)?) } else { None };
                Ok((writer.state.end, state))
            },
            Durability::Synced,
        )
    }

    fn bounds(&self) -> Result<Bounds, StoreError> {
        Ok(self.told.lock().bounds)
    }

    fn scan(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError> {
        self.view()?.scan(from, reader)
    }

    fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        self.view()?.query(query, reader)
    }

    fn topics(&self) -> Result<Vec<String>, StoreError> {
        let mut topics = Vec::new();
        self.view()?.each_topic(|name, _| topics.push(name.to_owned()))?;
        Ok(topics)
    }

    fn stream(&self, stream: &str, from: u64, reader: Reader<'_>) -> Result<(), StoreError> {
        self.view()?.stream(stream, from, reader)
    }

    fn version(&self, stream: &str) -> Result<u64, StoreError> {
        Ok(self.view()?.stream_row(stream)?.map_or(0, |row| row.events))
    }

    fn value(&self, space: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.view()?.value(space, key)
    }

    fn values(
        &self,
        space: &str,
        from: &[u8],
        reader: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.view()?.values(space, from, reader)
    }

    fn retain(&self, keep: &Retention, now: Time) -> Result<Removed, StoreError> {
        let before = self.told.lock().bounds.first;
        loop {
            let step = self.write(
                |writer, database| {
                    let durable = self.told.lock().bounds.durable;
                    let before = writer.state.commit;
                    let step = writer.retain(database, keep, now, durable)?;
                    let state = (step.state.commit != before).then_some(step.state);
                    Ok::<_, StoreError>((step, state))
                },
                Durability::Visible,
            )?;
            if step.done {
                let first = step.state.first;
                return Ok(Removed {
                    events: first.saturating_sub(before),
                    first,
                    held_by: step.held_by,
                });
            }
        }
    }

    fn wait(&self, beyond: u64, reach: Reach, timeout: Duration) -> Result<Bounds, StoreError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut told = self.told.lock();
        while told.bounds.end_of(reach) <= beyond {
            told.check()?;
            match deadline {
                Some(deadline) => {
                    if self.grown.wait_until(&mut told, deadline).timed_out() {
                        break;
                    }
                }
                None => self.grown.wait(&mut told),
            }
        }
        Ok(told.bounds)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // redb writes nothing while a panic unwinds: what was not synced is lost then, as it would be with the program.
        if !thread::panicking() {
            // There is nobody to be told of an error; what was not durable before may not be.
            drop(self.sync());
        }
        let database = self.database.get_mut().take();
        let closed = catch_unwind(AssertUnwindSafe(|| database.map(Database::close)));
        drop(closed);
    }
}
