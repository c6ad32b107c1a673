//! A projection, a step at a time.
//!
//! ```text
//! building ── has caught up, and the one that is shown is not further ──▶ shown ──▶ the older ones are removed
//!                                                                           │
//!                                          a newer one takes over ──▶ superseded
//! ```
//!
//! Taking over removes the checkpoint of the older version, which each of its commits expects: it commits nothing more.

use std::{collections::HashMap, fmt, ops::ControlFlow, sync::Arc};

use crate::{
    Batch, Codec, CommitError, EventStore, Reach, Record, StoreError,
    sourcing::{
        Halt, OnFailure, Parked, Projection, Projector, RetryError, StartError, WhenStoreFails,
        forms::Forms,
        projection::{
            apply::{Failure, apply},
            names::Names,
            projector::ProjectorSettings,
            runner::Engine,
            values::{self, Changes},
        },
    },
};

/// How many values of an older version are removed at a time.
const REMOVED_AT_ONCE: usize = 512;

/// A projection that is run by hand, from [`Projector::by_hand`]. It may be dropped, and made anew, between any two
/// steps.
///
/// # Examples
/// ```
/// # use slipring_store::{Record, sourcing::{Fault, Projection, Values}};
/// # struct Seen;
/// # impl Projection for Seen {
/// #     type Event = String;
/// #     fn name(&self) -> &'static str { "seen" }
/// #     fn apply(&self, event: &String, _: &Record<'_>, values: &mut Values<'_>) -> Result<(), Fault> {
/// #         values.put(event, "");
/// #         Ok(())
/// #     }
/// # }
/// use std::sync::Arc;
/// use slipring_store::{Batch, Durability, Entry, EventStore, Json, Memory, sourcing::{Projector, Stepped}};
///
/// let store = Arc::new(Memory::new());
/// let mut batch = Batch::new();
/// batch.append(Entry::new("greeting", r#""hello""#))?;
/// store.commit(&batch, Durability::Synced)?;
///
/// let mut seen = Projector::new(store, Seen, Json).by_hand()?;
/// assert_eq!(seen.step()?, Stepped::Moved);
/// assert_eq!((seen.step()?, seen.position()), (Stepped::Idle, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Steps<P, C> {
    pub(super) store: Arc<dyn EventStore>,
    projection: P,
    forms: Forms<C>,
    pub(super) settings: ProjectorSettings,
    topics: crate::Topics,
    pub(super) names: Names,
    /// What is before it is committed.
    pub(super) position: u64,
    pub(super) is_shown: bool,
    pub(super) has_older: bool,
    pub(super) parked: u64,
    /// How many events of a stream are parked.
    pub(super) blocked: HashMap<String, u64>,
    /// What is not committed yet.
    pending: Changes,
    parking: Vec<Parked>,
    batch: Batch,
    pub(super) halted: Option<Halt>,
    /// A write has failed: where it would be if it was taken all the same.
    pub(super) unsure: Option<u64>,
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// Something was done; there may be more.
    Moved,
    /// There is nothing to do now.
    Idle,
}

impl<P: Projection, C> fmt::Debug for Steps<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps")
            .field("names", &self.names)
            .field("position", &self.position)
            .field("is_shown", &self.is_shown)
            .field("parked", &self.parked)
            .field("halted", &self.halted)
            .finish_non_exhaustive()
    }
}

impl<P: Projection, C: Codec<P::Event>> Steps<P, C> {
    pub(super) fn new(projector: Projector<P, C>) -> Result<Self, StartError> {
        let Projector { store, projection, forms, settings } = projector;
        let names = Names::new(projection.name(), projection.version())?;
        let (position, is_shown) = begin(&*store, &names, settings)?;
        let has_older = is_shown && names.older(&*store)?.is_some();
        let topics = projection.topics();
        let mut steps = Self {
            store,
            projection,
            forms,
            settings,
            topics,
            names,
            position,
            is_shown,
            has_older,
            parked: 0,
            blocked: HashMap::new(),
            pending: Changes::new(),
            parking: Vec::new(),
            batch: Batch::new(),
            halted: None,
            unsure: None,
        };
        steps.count_parked()?;
        Ok(steps)
    }

    /// Applies some events, and commits what was made of them with how far it has come. When there are none: takes
    /// over from an older version, or removes a part of it.
    ///
    /// # Errors
    /// It goes no further, and says the same each time. Make it anew when the cause is gone. Where the store fails and it
    /// is to [hold](crate::sourcing::WhenStoreFails::Hold), it tries again with the next step.
    pub fn step(&mut self) -> Result<Stepped, Halt> {
        if let Some(halt) = &self.halted {
            return Err(halt.clone());
        }
        let stepped = self.recover().and_then(|()| self.turn());
        if let Err(halt) = &stepped {
            self.note_failure(halt);
        }
        stepped
    }

    /// Steps until there is nothing to do.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn catch_up(&mut self) -> Result<(), Halt> {
        while self.step()? == Stepped::Moved {}
        Ok(())
    }

    /// The position of the next event that it is to see: what is before it is committed.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether it is the version that is shown.
    pub fn is_shown(&self) -> bool {
        self.is_shown
    }

    pub(super) fn space(&self) -> &str {
        &self.names.space
    }

    fn turn(&mut self) -> Result<Stepped, Halt> {
        let bounds = self.store.bounds()?;
        if self.position > bounds.end {
            return Err(StoreError::Beyond { asked: self.position, end: bounds.end }.into());
        }
        let end = bounds.end_of(self.settings.reach);
        if self.position < end {
            self.read_to(end)?;
            if self.has_older {
                self.remove_older()?;
            }
            return Ok(Stepped::Moved);
        }
        self.check_active()?;
        if !self.is_shown && self.take_over()? || self.has_older && self.remove_older()? {
            return Ok(Stepped::Moved);
        }
        Ok(Stepped::Idle)
    }

    fn check_active(&self) -> Result<(), Halt> {
        match Names::active(&*self.store, &self.names.name)? {
            Some(by) if by > self.names.version => Err(Halt::Superseded { by }),
            _ => Ok(()),
        }
    }

    /// Why it is not where it thinks it is.
    pub(super) fn outrun(&self) -> Halt {
        self.check_active().err().unwrap_or(Halt::RunTwice)
    }

    /// Applies events up to there, a batch at most, and commits.
    fn read_to(&mut self, end: u64) -> Result<(), Halt> {
        self.pending.clear();
        self.parking.clear();
        let store = Arc::clone(&self.store);
        let (from, mut next, mut halt) = (self.position, self.position, None);
        let last = end.min(from.saturating_add(self.settings.batch as u64)) - 1;
        let scanned = store.scan(from, &mut |record| {
            if let Err(why) = self.take(&record) {
                halt = Some(why);
                return ControlFlow::Break(());
            }
            next = record.position + 1;
            if next > last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if next > from {
            self.commit(next)?;
        }
        scanned?;
        halt.map_or(Ok(()), Err)
    }

    fn take(&mut self, record: &Record<'_>) -> Result<(), Halt> {
        if !self.topics.admit(record.topic) {
            return Ok(());
        }
        if self.settings.on_failure == OnFailure::ParkStream
            && let Some(stream) = record.stream
            && self.blocked.contains_key(stream.name)
        {
            return self.park(Parked::new(record, 0, "it waits for an earlier one of its stream"));
        }
        match self.apply(record) {
            Ok(changes) => {
                self.pending.extend(changes);
                Ok(())
            }
            Err(why) if why.may_be_parked() && self.settings.on_failure != OnFailure::Halt => {
                self.park(Parked::new(record, 1, why.reason()))
            }
            Err(why) => Err(why.at(record)),
        }
    }

    fn apply(&self, record: &Record<'_>) -> Result<Changes, Failure> {
        let Self { store, projection, forms, names, pending, .. } = self;
        apply(projection, forms, record, &**store, &names.space, pending)
    }

    fn park(&mut self, parked: Parked) -> Result<(), Halt> {
        let most = self.settings.most_parked;
        if self.parked + self.parking.len() as u64 >= most {
            return Err(Halt::TooManyParked { most });
        }
        self.block(parked.stream.clone());
        self.parking.push(parked);
        Ok(())
    }

    pub(super) fn block(&mut self, stream: Option<String>) {
        if let Some(stream) = stream {
            *self.blocked.entry(stream).or_default() += 1;
        }
    }

    fn commit(&mut self, next: u64) -> Result<(), Halt> {
        self.batch.clear();
        self.names.expect_position(&mut self.batch, Some(self.position));
        values::write(&self.pending, &self.names.space, &mut self.batch);
        if let Some(first) = self.parking.first().filter(|_| self.parked == 0) {
            self.names.hold.put(&mut self.batch, first.position);
        }
        for parked in &self.parking {
            let key = parked.position.to_be_bytes();
            self.batch.put(&self.names.parked, &key, &parked.to_bytes());
        }
        self.names.checkpoint.put(&mut self.batch, next);
        self.unsure = Some(next);
        match self.store.commit(&self.batch, self.settings.durability) {
            Ok(_) => {
                (self.position, self.unsure) = (next, None);
                self.parked += self.parking.len() as u64;
                self.pending.clear();
                self.parking.clear();
                Ok(())
            }
            Err(CommitError::Conflict(_)) => Err(self.outrun()),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Is shown from now on, unless the one that is shown has come further.
    fn take_over(&mut self) -> Result<bool, Halt> {
        let Names { name, version, .. } = &self.names;
        let active = Names::active(&*self.store, name)?;
        let old = active.filter(|active| active < version).map(|active| Names::of(name, active));
        let old_position = match &old {
            Some(old) => old.checkpoint.get(&*self.store)?,
            None => None,
        };
        if old_position.is_some_and(|old| old > self.position) {
            return Ok(false);
        }
        self.batch.clear();
        self.names.expect_active(&mut self.batch, active);
        self.names.expect_position(&mut self.batch, Some(self.position));
        if let Some(old) = &old {
            old.expect_position(&mut self.batch, old_position);
            old.checkpoint.remove(&mut self.batch);
        }
        self.names.put_active(&mut self.batch);
        self.unsure = Some(self.position);
        match self.store.commit(&self.batch, self.settings.durability) {
            Ok(_) => {
                (self.is_shown, self.has_older, self.unsure) = (true, true, None);
                Ok(true)
            }
            // The other one has moved meanwhile: it is tried again.
            Err(CommitError::Conflict(_)) => {
                let own = self.names.checkpoint.get(&*self.store)?;
                if own == Some(self.position) { Ok(false) } else { Err(self.outrun()) }
            }
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Removes some values of a version before this one. False if there is none.
    fn remove_older(&mut self) -> Result<bool, Halt> {
        let Some(old) = self.names.older(&*self.store)? else {
            self.has_older = false;
            return Ok(false);
        };
        self.batch.clear();
        self.names.expect_active(&mut self.batch, Some(self.names.version));
        let mut left = REMOVED_AT_ONCE;
        for space in [&old.space, &old.parked] {
            let batch = &mut self.batch;
            self.store.values(space, b"", &mut |key, _| {
                if left == 0 {
                    return ControlFlow::Break(());
                }
                left -= 1;
                batch.remove(space, key);
                ControlFlow::Continue(())
            })?;
        }
        if left > 0 {
            old.remove_version(&mut self.batch);
        }
        match self.store.commit(&self.batch, self.settings.durability) {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Err(self.outrun()),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// The events that are parked, by their positions.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        let mut all = Vec::new();
        self.first_parked(|parked| {
            all.push(parked.clone());
            false
        })?;
        Ok(all)
    }

    /// The first parked event of which something is true.
    fn first_parked(
        &self,
        mut is_it: impl FnMut(&Parked) -> bool,
    ) -> Result<Option<Parked>, StoreError> {
        let mut found = Ok(None);
        let space = &self.names.parked;
        self.store.values(space, b"", &mut |_, value| {
            match Parked::from_bytes(space, value) {
                Ok(parked) if !is_it(&parked) => return ControlFlow::Continue(()),
                parked => found = parked.map(Some),
            }
            ControlFlow::Break(())
        })?;
        found
    }

    /// Applies a parked event, and takes it out of those that are parked in the same commit.
    ///
    /// # Errors
    /// None is parked there, another one of its [stream](OnFailure::ParkStream) comes first, or it fails again: then it
    /// stays, with the new reason.
    pub fn retry(&mut self, position: u64) -> Result<(), RetryError> {
        let mut parked = self.find_parked(position)?;
        if self.settings.on_failure == OnFailure::ParkStream && parked.stream.is_some() {
            let first = self.first_parked(|other| other.stream == parked.stream)?;
            if let Some(first) = first.filter(|first| first.position < position) {
                return Err(RetryError::Behind { first: first.position });
            }
        }
        self.pending.clear();
        let mut applied = None;
        self.store.scan(position, &mut |record| {
            applied = Some(self.apply(&record).map_err(|why| {
                if why.may_be_parked() { Ok(why.reason()) } else { Err(why.at(&record)) }
            }));
            ControlFlow::Break(())
        })?;
        let key = position.to_be_bytes();
        self.batch.clear();
        match applied.ok_or(RetryError::NotParked(position))? {
            Ok(changes) => {
                values::write(&changes, &self.names.space, &mut self.batch);
                self.take_out(&parked)
            }
            Err(Ok(reason)) => {
                parked.attempts += 1;
                parked.reason = reason.to_string();
                self.batch.put(&self.names.parked, &key, &parked.to_bytes());
                self.commit_aside()?;
                Err(RetryError::Failed { attempts: parked.attempts, reason })
            }
            Err(Err(halt)) => Err(halt.into()),
        }
    }

    /// Retries all, in order, and returns how many were applied; those that fail again stay.
    ///
    /// # Errors
    /// The store cannot be read or written, or the projection panics.
    pub fn retry_all(&mut self) -> Result<usize, Halt> {
        let mut applied = 0;
        for parked in self.parked()? {
            match self.retry(parked.position) {
                Ok(()) => applied += 1,
                Err(RetryError::Halt(halt)) => return Err(halt),
                Err(_) => {}
            }
        }
        Ok(applied)
    }

    /// Takes an event out of those that are parked: nothing is ever made of it.
    ///
    /// # Errors
    /// None is parked there, or the store cannot be read or written.
    pub fn purge(&mut self, position: u64) -> Result<Parked, RetryError> {
        let parked = self.find_parked(position)?;
        self.batch.clear();
        self.take_out(&parked)?;
        Ok(parked)
    }

    fn find_parked(&self, position: u64) -> Result<Parked, RetryError> {
        let Names { parked: space, .. } = &self.names;
        match self.store.value(space, &position.to_be_bytes())? {
            Some(value) => Ok(Parked::from_bytes(space, &value)?),
            None => Err(RetryError::NotParked(position)),
        }
    }

    /// Commits what is in the batch, and that the event is not parked any more.
    fn take_out(&mut self, parked: &Parked) -> Result<(), RetryError> {
        match self.first_parked(|other| other.position != parked.position)? {
            Some(first) => self.names.hold.put(&mut self.batch, first.position),
            None => self.names.hold.remove(&mut self.batch),
        }
        self.batch.remove(&self.names.parked, &parked.position.to_be_bytes());
        self.commit_aside()?;
        self.parked -= 1;
        if let Some(stream) = &parked.stream
            && let Some(count) = self.blocked.get_mut(stream)
        {
            *count -= 1;
            if *count == 0 {
                self.blocked.remove(stream);
            }
        }
        Ok(())
    }

    /// Commits what is in the batch; it stays where it is.
    fn commit_aside(&mut self) -> Result<(), Halt> {
        self.names.expect_position(&mut self.batch, Some(self.position));
        self.unsure = Some(self.position);
        match self.store.commit(&self.batch, self.settings.durability) {
            Ok(_) => {
                self.unsure = None;
                Ok(())
            }
            Err(CommitError::Conflict(_)) => Err(self.outrun()),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// Where it goes on, and whether it is shown. A new one is noted in the store; the first one is shown at once.
fn begin(
    store: &dyn EventStore,
    names: &Names,
    settings: ProjectorSettings,
) -> Result<(u64, bool), StartError> {
    loop {
        let active = Names::active(store, &names.name)?;
        if let Some(active) = active.filter(|active| *active > names.version) {
            return Err(StartError::Superseded { active });
        }
        if let Some(position) = names.checkpoint.get(store)? {
            return Ok((position, active == Some(names.version)));
        }
        let first = store.bounds()?.first;
        if first > 0 && !settings.from_what_is_there {
            return Err(StoreError::Removed { asked: 0, first }.into());
        }
        let mut batch = Batch::new();
        names.expect_active(&mut batch, active);
        names.expect_position(&mut batch, None);
        names.put_version(&mut batch);
        names.checkpoint.put(&mut batch, first);
        if active.is_none() {
            names.put_active(&mut batch);
        }
        match store.commit(&batch, settings.durability) {
            Ok(_) => return Ok((first, active.is_none_or(|active| active == names.version))),
            // Somebody else has begun, too.
            Err(CommitError::Conflict(_)) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
}

impl<P: Projection, C: Codec<P::Event>> Engine for Steps<P, C> {
    fn step(&mut self) -> Result<Stepped, Halt> {
        Self::step(self)
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn parked(&self) -> u64 {
        self.parked
    }

    fn is_shown(&self) -> bool {
        self.is_shown
    }

    fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    fn reach(&self) -> Reach {
        self.settings.reach
    }

    fn when_store_fails(&self) -> WhenStoreFails {
        self.settings.when_store_fails
    }
}
