//! Read models that are kept in memory.

use std::{
    collections::HashSet, fmt, num::NonZeroU64, ops::ControlFlow, sync::Arc, time::Duration,
};

use parking_lot::{Mutex, RwLock};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Batch, Checkpoint, Codec, CommitError, Durability, EventStore, Reach, Record, StoreError,
    Topics,
    sourcing::{
        Halt, OnFailure, Parked, ProjectorStatus, SnapshotReport, StartError, Stepped, Upcasters,
        WaitError, WhenStoreFails,
        forms::Forms,
        projection::{
            apply::{Failure, guarded},
            runner::{Engine, Runner},
        },
        snapshot::{Counts, Form, Saved, count},
    },
};

/// The [space](EventStore::value) in which the snapshots of models are kept, by their names.
pub const MODELS: &str = "models";

/// How many events it takes notice of before its readers have a turn.
const EVENTS_A_TURN: usize = 512;

/// Something that is made of events and kept in memory: asked without the store, and made again when the program
/// starts.
pub trait Model: Default + Send + Sync + 'static {
    /// What the codec reads.
    type Event;

    /// Which form it has: a number to be counted up when fields change, or what [`apply`](Self::apply) makes of an
    /// event. A snapshot with another number is not used.
    const SCHEMA: u16 = 0;

    /// Which events it is to see, by what they are called in the store; all, if not given.
    fn topics() -> Topics {
        Topics::All
    }

    /// Takes notice of an event.
    fn apply(&mut self, event: &Self::Event, record: &Record<'_>);
}

/// A [`Model`] that follows a store, in a thread of its own. When it is dropped, it stops.
///
/// # Examples
/// ```
/// use std::{sync::Arc, time::Duration};
/// use slipring_store::{
///     Batch, Durability, Entry, EventStore, Json, Memory, Record,
///     sourcing::{Live, Model},
/// };
///
/// /// The largest number so far.
/// #[derive(Default)]
/// struct Largest(u64);
///
/// impl Model for Largest {
///     type Event = u64;
///
///     fn apply(&mut self, event: &u64, _: &Record<'_>) {
///         self.0 = self.0.max(*event);
///     }
/// }
///
/// let store = Arc::new(Memory::new());
/// let largest = Live::<Largest>::of(store.clone(), Json).start()?;
/// let mut batch = Batch::new();
/// for number in ["3", "8", "5"] {
///     batch.append(Entry::new("number", number))?;
/// }
/// let committed = store.commit(&batch, Durability::Synced)?;
///
/// largest.wait_for(committed.end, Duration::from_secs(60))?;
/// assert_eq!(largest.read(|model| model.0)?, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Live<M: Model> {
    held: Arc<RwLock<Held<M>>>,
    counts: Arc<Counts>,
    runner: Runner,
}

/// How a model is followed; from [`Live::of`].
#[must_use = "it does nothing until it is started"]
pub struct LiveBuilder<M, C> {
    store: Arc<dyn EventStore>,
    forms: Forms<C>,
    reach: Reach,
    on_failure: OnFailure,
    when_store_fails: WhenStoreFails,
    most_parked: u64,
    from_what_is_there: bool,
    snapshots: Option<Snapshots<M>>,
}

struct Snapshots<M> {
    name: Box<str>,
    form: Form<M>,
    every: NonZeroU64,
}

/// The model, with what it is made of.
struct Held<M> {
    model: M,
    position: u64,
    parked: Vec<Parked>,
    /// It has panicked at an event, and nobody knows what it is now.
    broken: Option<Halt>,
}

/// What follows the store.
struct Following<M, C> {
    store: Arc<dyn EventStore>,
    forms: Forms<C>,
    reach: Reach,
    topics: Topics,
    on_failure: OnFailure,
    when_store_fails: WhenStoreFails,
    most_parked: u64,
    blocked: HashSet<String>,
    held: Arc<RwLock<Held<M>>>,
    snapshots: Option<Snapshots<M>>,
    /// Where the last snapshot was taken.
    saved: u64,
    counts: Arc<Counts>,
}

impl<M: Model> fmt::Debug for Live<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("status", &self.runner.status()).finish_non_exhaustive()
    }
}

impl<M, C> fmt::Debug for LiveBuilder<M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBuilder")
            .field("reach", &self.reach)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

impl<M: Model> Live<M> {
    /// One that is made of what is in a store, with events in that form.
    pub fn of<C: Codec<M::Event>>(store: Arc<dyn EventStore>, codec: C) -> LiveBuilder<M, C> {
        LiveBuilder {
            store,
            forms: Forms::new(codec),
            reach: Reach::Visible,
            on_failure: OnFailure::Halt,
            when_store_fails: WhenStoreFails::Hold,
            most_parked: 10_000,
            from_what_is_there: false,
            snapshots: None,
        }
    }

    /// Asks the model. As long as `reader` runs, it takes notice of nothing.
    ///
    /// # Errors
    /// It has panicked at an event, and nobody knows what it is now.
    pub fn read<T>(&self, reader: impl FnOnce(&M) -> T) -> Result<T, Halt> {
        self.read_at(|model, _| reader(model))
    }

    /// Asks the model, and tells of which events it is made: all before that position.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_at<T>(&self, reader: impl FnOnce(&M, u64) -> T) -> Result<T, Halt> {
        let held = self.held.read();
        match &held.broken {
            Some(halt) => Err(halt.clone()),
            None => Ok(reader(&held.model, held.position)),
        }
    }

    /// How far it has come, and what it does.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn status(&self) -> Result<ProjectorStatus, StoreError> {
        self.runner.status()
    }

    /// Waits until it has taken notice of all events before a position.
    ///
    /// # Errors
    /// Not in time, or it has halted or was stopped before; each says how far it is.
    pub fn wait_for(&self, position: u64, timeout: Duration) -> Result<(), WaitError> {
        self.runner.wait_for(position, timeout)
    }

    /// The events that it has put aside, by their positions. When it is started again, they are tried again.
    pub fn parked(&self) -> Vec<Parked> {
        self.held.read().parked.clone()
    }

    /// What became of its snapshots.
    pub fn snapshot_report(&self) -> SnapshotReport {
        self.counts.report()
    }

    /// Stops it behind the events at which it is.
    ///
    /// # Errors
    /// It has halted before.
    pub fn stop(mut self) -> Result<(), Halt> {
        self.runner.tell_to_stop();
        self.runner.join()
    }
}

impl<M: Model, C: Codec<M::Event>> LiveBuilder<M, C> {
    /// It for events of which some have forms of long ago.
    pub fn upcasters(mut self, upcasters: impl Into<Arc<Upcasters>>) -> Self {
        self.forms.upcasters = Some(upcasters.into());
        self
    }

    /// It for events that are so far; as soon as everybody can read them, if not given.
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// What is done with events that cannot be read; it halts, if not given.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// What is done when the store cannot be read or written; it [holds](WhenStoreFails::Hold), if not given.
    pub fn when_store_fails(mut self, what: WhenStoreFails) -> Self {
        self.when_store_fails = what;
        self
    }

    /// It with so many parked events at most, 10,000 if not given; at one more it halts.
    pub fn most_parked(mut self, events: u64) -> Self {
        self.most_parked = events;
        self
    }

    /// It begins with the first event that is still there. If not given, it begins with the first ever, and does not
    /// start if that one was removed.
    pub fn from_what_is_there(mut self) -> Self {
        self.from_what_is_there = true;
        self
    }

    /// It with a snapshot in the store every so many events, under that name, so that it need not begin anew when the
    /// program starts. None is taken as long as an event is parked.
    ///
    /// # Panics
    /// Every 0 events.
    pub fn snapshots(mut self, name: impl Into<Box<str>>, every: u64) -> Self
    where
        M: Serialize + DeserializeOwned,
    {
        let every = NonZeroU64::new(every).expect("a snapshot is taken every event or less often");
        self.snapshots = Some(Snapshots { name: name.into(), form: Form::new(M::SCHEMA), every });
        self
    }

    /// Follows the store in a thread.
    ///
    /// # Errors
    /// The store cannot be read, its first events were removed, or there is no thread to be had.
    pub fn start(self) -> Result<Live<M>, StartError> {
        let counts = Arc::<Counts>::default();
        let Saved { state: model, position, .. } = self.first(&counts)?;
        let held = Held { model, position, parked: Vec::new(), broken: None };
        let held = Arc::new(RwLock::new(held));
        let Self { store, forms, reach, on_failure, most_parked, snapshots, .. } = self;
        let when_store_fails = self.when_store_fails;
        let following = Following {
            store,
            forms,
            reach,
            topics: M::topics(),
            on_failure,
            when_store_fails,
            most_parked,
            blocked: HashSet::new(),
            held: Arc::clone(&held),
            snapshots,
            saved: position,
            counts: Arc::clone(&counts),
        };
        let engine = Arc::new(Mutex::new(following));
        let runner = Runner::start("model", &engine).map_err(StartError::Thread)?;
        Ok(Live { held, counts, runner })
    }

    /// What it begins with.
    fn first(&self, counts: &Counts) -> Result<Saved<M>, StoreError> {
        let bounds = self.store.bounds()?;
        if let Some(Snapshots { name, form, .. }) = &self.snapshots
            && let Some(bytes) = self.store.value(MODELS, name.as_bytes())?
        {
            match form.read(&bytes) {
                Ok(saved) if saved.position > bounds.end => count(&counts.ahead),
                Ok(saved) => {
                    count(&counts.used);
                    return Ok(saved);
                }
                Err(why) => counts.unusable(why),
            }
        }
        if bounds.first > 0 && !self.from_what_is_there {
            return Err(StoreError::Removed { asked: 0, first: bounds.first });
        }
        Ok(Saved { state: M::default(), version: 0, position: bounds.first })
    }
}

impl<M: Model, C: Codec<M::Event>> Following<M, C> {
    /// Takes notice of some events; nobody asks it meanwhile.
    fn read_to(&mut self, end: u64) -> Result<(), Halt> {
        let (store, held) = (Arc::clone(&self.store), Arc::clone(&self.held));
        let mut held = held.write();
        let (from, mut halt) = (held.position, None);
        let last = end.min(from.saturating_add(EVENTS_A_TURN as u64)) - 1;
        store.scan(from, &mut |record| {
            if let Err(why) = self.take(&mut held, &record) {
                halt = Some(why);
                return ControlFlow::Break(());
            }
            held.position = record.position + 1;
            if record.position >= last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        halt.map_or(Ok(()), Err)
    }

    fn take(&mut self, held: &mut Held<M>, record: &Record<'_>) -> Result<(), Halt> {
        if !self.topics.admit(record.topic) {
            return Ok(());
        }
        let stream = record.stream.map(|stream| stream.name);
        if stream.is_some_and(|stream| self.blocked.contains(stream)) {
            let parked = Parked::new(record, 0, "it waits for an earlier one of its stream");
            return self.park(held, parked);
        }
        // All that it has become is read before the first is applied.
        let mut events = Vec::new();
        let read = guarded(|| self.forms.read(record, |event| events.push(event)));
        match read.and_then(|read| read.map_err(Failure::Unreadable)) {
            Ok(()) => {}
            Err(why) if why.may_be_parked() && self.on_failure != OnFailure::Halt => {
                if let Some(stream) = stream.filter(|_| self.on_failure == OnFailure::ParkStream) {
                    self.blocked.insert(stream.to_owned());
                }
                return self.park(held, Parked::new(record, 1, why.reason()));
            }
            Err(why) => return Err(why.at(record)),
        }
        let model = &mut held.model;
        guarded(|| events.iter().for_each(|event| model.apply(event, record))).map_err(|why| {
            let halt = why.at(record);
            held.broken = Some(halt.clone());
            halt
        })
    }

    fn park(&self, held: &mut Held<M>, parked: Parked) -> Result<(), Halt> {
        if held.parked.len() as u64 >= self.most_parked {
            return Err(Halt::TooManyParked { most: self.most_parked });
        }
        held.parked.push(parked);
        Ok(())
    }

    fn save(&mut self) -> Result<(), Halt> {
        let Some(Snapshots { name, form, every }) = &self.snapshots else { return Ok(()) };
        let held = self.held.read();
        let position = held.position;
        if position - self.saved < every.get() || !held.parked.is_empty() {
            return Ok(());
        }
        let bytes = form.write(Saved { state: &held.model, version: 0, position });
        drop(held);
        // It is tried again after as many events, in any case.
        self.saved = position;
        let Some(bytes) = bytes else {
            count(&self.counts.unwritable);
            return Ok(());
        };
        let mut batch = Batch::new();
        batch.put(MODELS, name.as_bytes(), &bytes);
        Checkpoint::named(format!("model:{name}")).put(&mut batch, position);
        match self.store.commit(&batch, Durability::Visible) {
            Ok(_) => {
                count(&self.counts.taken);
                Ok(())
            }
            Err(CommitError::Store(error)) => Err(error.into()),
            Err(CommitError::Conflict(_)) => Err(Halt::RunTwice),
        }
    }
}

impl<M: Model, C: Codec<M::Event>> Engine for Following<M, C> {
    fn step(&mut self) -> Result<Stepped, Halt> {
        let end = self.store.bounds()?.end_of(self.reach);
        if self.position() >= end {
            return Ok(Stepped::Idle);
        }
        self.read_to(end)?;
        self.save()?;
        Ok(Stepped::Moved)
    }

    fn position(&self) -> u64 {
        self.held.read().position
    }

    fn parked(&self) -> u64 {
        self.held.read().parked.len() as u64
    }

    fn is_shown(&self) -> bool {
        true
    }

    fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    fn when_store_fails(&self) -> WhenStoreFails {
        self.when_store_fails
    }
}
