//! Decisions that are committed together.

use std::{any::Any, collections::HashMap, error::Error, fmt, sync::Arc, thread};

use slipring_events::{Event, Metadata, Time};

use crate::{
    Batch, Codec, CommitError, Conflict, Durability, Entry, EventStore, Expected, StoreError,
    sourcing::{
        Aggregate, CommandError, Decide, Done, LoadError, Loaded, Origin, Repository, SNAPSHOTS,
        Settings,
        aggregate::stream_of,
        commands::{CommandKey, Doing},
        repository::Snapshots,
        snapshot::{Saved, count},
    },
};

/// What is to be committed at once: [`Repository::transact`] hands it out.
///
/// Each aggregate is loaded once; commands for it that come later see what was decided before. The commit expects that
/// none of those that were loaded has changed, also if nothing was decided for it.
pub struct Work<'a> {
    store: &'a Arc<dyn EventStore>,
    settings: &'a Settings,
    origin: &'a Origin,
    notes: Metadata,
    now: Time,
    batch: Batch,
    bytes: Vec<u8>,
    streams: HashMap<String, Held>,
    /// The stream and the version of the first event.
    first: Option<(String, u64)>,
    /// Only a part of a decision is in the batch.
    is_torn: bool,
}

/// An aggregate that was loaded.
struct Held {
    /// How many events it had.
    expected: u64,
    /// A `Box<Staged<A>>`.
    staged: Box<dyn Staging>,
}

struct Staged<A> {
    loaded: Loaded<A>,
    snapshots: Option<Snapshots<A>>,
}

trait Staging {
    /// The position behind what it was loaded from.
    fn position(&self) -> u64;
    /// Puts a snapshot into the batch, if it is time. Returns whether it did.
    fn snapshot(&self, stream: &str, batch: &mut Batch) -> bool;
    fn note_taken(&self);
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<A: Aggregate> Staging for Staged<A> {
    fn position(&self) -> u64 {
        self.loaded.position
    }

    fn snapshot(&self, stream: &str, batch: &mut Batch) -> bool {
        let Some(Snapshots { form, every, counts }) = &self.snapshots else { return false };
        let Loaded { state, version, snapshot, .. } = &self.loaded;
        if version - snapshot.unwrap_or(0) < every.get() {
            return false;
        }
        let Some(bytes) = form.write(Saved { state, version: *version, position: 0 }) else {
            count(&counts.unwritable);
            return false;
        };
        batch.put(SNAPSHOTS, stream.as_bytes(), &bytes);
        true
    }

    fn note_taken(&self) {
        if let Some(snapshots) = &self.snapshots {
            count(&snapshots.counts.taken);
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("events", &self.batch.len())
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Work<'a> {
    fn new(store: &'a Arc<dyn EventStore>, settings: &'a Settings, origin: &'a Origin) -> Self {
        Self {
            store,
            settings,
            origin,
            notes: origin.notes(),
            now: settings.clock.now(),
            batch: Batch::new(),
            bytes: Vec::new(),
            streams: HashMap::new(),
            first: None,
            is_torn: false,
        }
    }

    /// Has an aggregate decide about a command.
    ///
    /// # Errors
    /// It refuses, it cannot be loaded, or what it decides cannot be written. Return it: nothing is committed then.
    pub fn execute<A: Decide<T>, C: Codec<A::Event>, T>(
        &mut self,
        repository: &Repository<A, C>,
        id: &str,
        command: &T,
    ) -> Result<(), CommandError<A::Error>> {
        let events = {
            let loaded = self.loaded(repository, id)?;
            let decided = loaded.state.decide(command, repository.services());
            decided.map_err(CommandError::Refused)?
        };
        let stream = stream_of::<A>(id);
        for event in events {
            let appended = self.append(repository, &stream, &event);
            self.is_torn |= appended.is_err();
            appended?;
            let loaded = &mut self.staged::<A>(&stream).loaded;
            loaded.state.apply(&event);
            loaded.version += 1;
        }
        Ok(())
    }

    /// An aggregate as it is now, with what was decided in this transaction. The commit expects that it does not change
    /// meanwhile.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn state<A: Aggregate, C: Codec<A::Event>>(
        &mut self,
        repository: &Repository<A, C>,
        id: &str,
    ) -> Result<&A, LoadError> {
        self.loaded(repository, id).map(|loaded| &loaded.state)
    }

    /// Puts a value with the events.
    pub fn put(&mut self, space: &str, key: &[u8], value: &[u8]) {
        self.batch.put(space, key, value);
    }

    /// Removes a value with the events.
    pub fn remove(&mut self, space: &str, key: &[u8]) {
        self.batch.remove(space, key);
    }

    /// Has the commit expect that a value is this one, or is not there. If it is not so, all is decided anew.
    pub fn expect_value(&mut self, space: &str, key: &[u8], value: Option<&[u8]>) {
        self.batch.expect_value(space, key, value);
    }

    fn loaded<A: Aggregate, C: Codec<A::Event>>(
        &mut self,
        repository: &Repository<A, C>,
        id: &str,
    ) -> Result<&Loaded<A>, LoadError> {
        if !std::ptr::addr_eq(Arc::as_ptr(repository.store()), Arc::as_ptr(self.store)) {
            return refused(
                "what is committed together is in one store: this repository has another",
            );
        }
        let stream = stream_of::<A>(id);
        if !self.streams.contains_key(&stream) {
            let loaded = repository.load(id)?;
            let expected = loaded.version;
            let snapshots = repository.snapshotting().cloned();
            let staged = Box::new(Staged { loaded, snapshots });
            self.streams.insert(stream.clone(), Held { expected, staged });
        }
        let held = self.streams.get_mut(&stream).expect("it has been loaded");
        if !held.staged.as_any().is::<Staged<A>>() {
            return refused("aggregates of different types have the same kind: give each its own");
        }
        Ok(&self.staged::<A>(&stream).loaded)
    }

    fn staged<A: Aggregate>(&mut self, stream: &str) -> &mut Staged<A> {
        let held = self.streams.get_mut(stream).expect("it has been loaded");
        held.staged.as_any().downcast_mut().expect("streams of one name are of one kind")
    }

    fn append<A: Aggregate, C: Codec<A::Event>>(
        &mut self,
        repository: &Repository<A, C>,
        stream: &str,
        event: &A::Event,
    ) -> Result<(), CommandError<A::Error>> {
        self.bytes.clear();
        let forms = repository.forms();
        forms.codec.encode(event, &mut self.bytes).map_err(CommandError::Unwritable)?;
        let mut entry = Entry::at(self.now, event.name(), &self.bytes)
            .stream(stream)
            .schema(forms.schema())
            .source(&self.settings.source)
            .metadata(&self.notes);
        if let Some((first, cause)) = self.origin.links() {
            entry = entry.following(first, cause);
        }
        self.batch.append(entry)?;
        if self.first.is_none() {
            let version = self.staged::<A>(stream).loaded.version;
            self.first = Some((stream.to_owned(), version));
        }
        Ok(())
    }

    /// The position behind all that was decided by.
    fn decided_by(&self) -> u64 {
        self.streams.values().map(|held| held.staged.position()).max().unwrap_or(0)
    }

    /// What has changed of that which was decided by.
    fn is_outdated(&self) -> Result<Option<Conflict>, StoreError> {
        for (stream, Held { expected, .. }) in &self.streams {
            let found = self.store.version(stream)?;
            if found != *expected {
                let expected = Expected::Events(*expected);
                return Ok(Some(Conflict::Stream {
                    stream: stream.as_str().into(),
                    expected,
                    found,
                }));
            }
        }
        Ok(None)
    }

    /// What its sender has seen is not what there is.
    fn is_unexpected(&self) -> Option<Conflict> {
        let expected = self.origin.expected?;
        let (stream, held) =
            self.streams.iter().find(|(_, held)| held.expected != expected.events())?;
        let found = held.expected;
        Some(Conflict::Stream { stream: stream.as_str().into(), expected, found })
    }

    fn doing(&self) -> Doing {
        match &self.first {
            None => Doing::Nothing(self.decided_by()),
            Some((stream, version)) => Doing::Events {
                events: self.batch.len() as u64,
                stream: stream.clone(),
                version: *version,
            },
        }
    }

    /// Commits it, if there is something to be committed.
    fn commit(mut self, key: Option<&CommandKey>) -> Result<(u64, u64), CommitError> {
        if self.is_torn {
            let why = "a decision could not be written, and its error was not returned";
            return Err(StoreError::Refused(why.into()).into());
        }
        let doing = self.doing();
        let has_values = self.batch.changes().next().is_some();
        if self.first.is_none() && !has_values && key.is_none() {
            // Loaded one after the other, they may be of different times; of one there is no mixture.
            if self.streams.len() > 1
                && let Some(conflict) = self.is_outdated()?
            {
                return Err(conflict.into());
            }
            let end = self.decided_by();
            make_durable(&**self.store, self.settings, end)?;
            return Ok((end, end));
        }
        let mut taken = Vec::new();
        for (stream, Held { expected, staged }) in &self.streams {
            self.batch
                .expect(stream, Expected::Events(*expected))
                .map_err(|error| StoreError::Refused(error.to_string().into()))?;
            if staged.snapshot(stream, &mut self.batch) {
                taken.push(stream);
            }
        }
        if let Some(key) = key {
            key.record(&mut self.batch, self.now, doing.clone());
        }
        let committed = self.store.commit(&self.batch, self.settings.durability)?;
        for stream in taken {
            self.streams[stream].staged.note_taken();
        }
        Ok(match doing {
            Doing::Nothing(end) => (end, end),
            Doing::Events { .. } => (committed.first, committed.end),
        })
    }
}

fn refused<T>(why: &str) -> Result<T, LoadError> {
    Err(StoreError::Refused(why.into()).into())
}

/// What somebody is told that it has been done is as durable as what is done now.
fn make_durable(store: &dyn EventStore, settings: &Settings, end: u64) -> Result<(), StoreError> {
    if settings.durability == Durability::Synced && store.bounds()?.durable < end {
        store.sync()?;
    }
    Ok(())
}

/// Decides and commits, until nobody else was there before.
pub(crate) fn run<X: Error>(
    store: &Arc<dyn EventStore>,
    settings: &Settings,
    scope: &str,
    origin: &Origin,
    mut decide: impl FnMut(&mut Work<'_>) -> Result<(), CommandError<X>>,
) -> Result<Done, CommandError<X>> {
    let key = origin.id.map(|id| CommandKey::new(scope, id));
    let mut attempts = 0;
    loop {
        attempts += 1;
        if let Some(key) = &key
            && let Some(doing) = key.find(&**store)?
        {
            let positions = doing.positions(&**store)?;
            make_durable(&**store, settings, positions.end)?;
            let (first, end) = (positions.start, positions.end);
            return Ok(Done { first, end, repeated: true, attempts });
        }
        let mut work = Work::new(store, settings, origin);
        let decided = decide(&mut work);
        if let Some(conflict) = work.is_unexpected() {
            return Err(CommandError::Conflict { conflict, attempts });
        }
        let conflict = match decided {
            Ok(()) => match work.commit(key.as_ref()) {
                Ok((first, end)) => return Ok(Done { first, end, repeated: false, attempts }),
                Err(CommitError::Store(error)) => return Err(error.into()),
                Err(CommitError::Conflict(conflict)) => conflict,
            },
            // Aggregates were loaded one after the other: what was refused may have been a mixture of times.
            Err(CommandError::Refused(why)) => match work.is_outdated()? {
                None => return Err(CommandError::Refused(why)),
                Some(conflict) => conflict,
            },
            Err(error) => return Err(error),
        };
        if attempts > settings.retries {
            return Err(CommandError::Conflict { conflict, attempts });
        }
        thread::yield_now();
    }
}
