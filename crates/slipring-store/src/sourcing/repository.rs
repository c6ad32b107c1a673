//! Aggregates by their ids.

use std::{
    fmt,
    num::NonZeroU64,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Codec, EventStore, StoreError,
    sourcing::{
        Aggregate, CommandError, Decide, Done, LoadError, Origin, ReadError, SNAPSHOTS, Settings,
        SnapshotReport, Upcasters, Work,
        aggregate::{check_kind, stream_of},
        commands,
        forms::Forms,
        snapshot::{Counts, Form, Saved, count},
        work,
    },
};

/// How many commands with an id are carried out between two looks for those that can be forgotten.
const COMMANDS_A_LOOK: u64 = 64;

/// How often a snapshot is looked up anew when the events behind it are removed meanwhile.
const LOOKS: u32 = 4;

/// The aggregates of one kind in a store: loads them, and carries out commands.
///
/// A command is carried out on the state of all events before it, or not at all: its events are committed only if the
/// stream has no others meanwhile. If it has, the aggregate is loaded and asked again, so often as the
/// [settings](Settings::retries) say. No event is lost, and none is decided on something that was not so any more.
///
/// # Examples
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// # use bank::{Account, Deposit, Open};
/// use std::sync::Arc;
/// use slipring_store::{Json, Memory, sourcing::{Repository, Settings}};
///
/// let store = Arc::new(Memory::new());
/// let accounts = Repository::<Account, _>::new(store, Json)
///     .snapshots(100)
///     .settings(Settings::default().retries(3));
/// let opened = accounts.execute("7", &Open("Ada"))?;
/// let paid = accounts.execute("7", &Deposit(500))?;
/// assert_eq!((opened.positions(), paid.positions()), (0..1, 1..2));
///
/// let account = accounts.load("7")?;
/// assert_eq!((account.state.cents, account.version), (500, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Repository<A: Aggregate, C> {
    store: Arc<dyn EventStore>,
    forms: Forms<C>,
    services: A::Services,
    settings: Settings,
    snapshots: Option<Snapshots<A>>,
    /// Commands with an id that were asked for.
    named: AtomicU64,
}

/// How snapshots are taken.
pub(crate) struct Snapshots<A> {
    pub form: Form<A>,
    pub every: NonZeroU64,
    pub counts: Arc<Counts>,
}

impl<A> Clone for Snapshots<A> {
    fn clone(&self) -> Self {
        Self { form: self.form, every: self.every, counts: Arc::clone(&self.counts) }
    }
}

/// An aggregate as it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded<A> {
    /// What its events have made of it.
    pub state: A,
    /// How many events those are. None: there has never been such an aggregate.
    pub version: u64,
    /// The position behind the last of them.
    pub position: u64,
    /// How many of them a snapshot has spared reading, if one was used.
    pub snapshot: Option<u64>,
}

impl<A: Aggregate, C> fmt::Debug for Repository<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("kind", &A::KIND)
            .field("settings", &self.settings)
            .field("every", &self.snapshots.as_ref().map(|snapshots| snapshots.every))
            .finish_non_exhaustive()
    }
}

impl<A: Aggregate<Services = ()>, C: Codec<A::Event>> Repository<A, C> {
    /// The aggregates of a store, with events in that form.
    pub fn new(store: Arc<dyn EventStore>, codec: C) -> Self {
        Self::with(store, codec, ())
    }
}

impl<A: Aggregate, C: Codec<A::Event>> Repository<A, C> {
    /// The same for aggregates that need something for their decisions.
    pub fn with(store: Arc<dyn EventStore>, codec: C, services: A::Services) -> Self {
        const { check_kind::<A>() };
        Self {
            store,
            forms: Forms::new(codec),
            services,
            settings: Settings::default(),
            snapshots: None,
            named: AtomicU64::new(0),
        }
    }

    /// It with those settings.
    #[must_use = "a repository is built by value, another is returned"]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// It for events of which some have forms of long ago.
    #[must_use = "a repository is built by value, another is returned"]
    pub fn upcasters(mut self, upcasters: impl Into<Arc<Upcasters>>) -> Self {
        self.forms.upcasters = Some(upcasters.into());
        self
    }

    /// It with a snapshot of an aggregate every so many events, in the commit of the last of them.
    ///
    /// One that cannot be used is left aside, [counted](Self::snapshot_report), and replaced by the next one: see
    /// [`Aggregate::SCHEMA`].
    ///
    /// A state that serde cannot write and read has none:
    /// ```compile_fail
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
    /// use std::sync::Arc;
    /// use slipring_store::{Json, Memory, sourcing::{Aggregate, Repository}};
    ///
    /// #[derive(Default)]
    /// struct Counter(u64);
    ///
    /// impl Aggregate for Counter {
    ///     const KIND: &'static str = "counter";
    ///     type Event = bank::AccountEvent;
    ///     type Error = bank::Refusal;
    ///     type Services = ();
    ///
    ///     fn apply(&mut self, _: &bank::AccountEvent) {
    ///         self.0 += 1;
    ///     }
    /// }
    ///
    /// let _ = Repository::<Counter, _>::new(Arc::new(Memory::new()), Json).snapshots(10);
    /// ```
    ///
    /// # Panics
    /// Every 0 events.
    #[must_use = "a repository is built by value, another is returned"]
    pub fn snapshots(mut self, every: u64) -> Self
    where
        A: Serialize + DeserializeOwned,
    {
        let every = NonZeroU64::new(every).expect("a snapshot is taken every event or less often");
        let form = Form::new(A::SCHEMA);
        self.snapshots = Some(Snapshots { form, every, counts: Arc::default() });
        self
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    pub(crate) fn services(&self) -> &A::Services {
        &self.services
    }

    pub(crate) fn forms(&self) -> &Forms<C> {
        &self.forms
    }

    pub(crate) fn snapshotting(&self) -> Option<&Snapshots<A>> {
        self.snapshots.as_ref()
    }

    /// What became of its snapshots.
    pub fn snapshot_report(&self) -> SnapshotReport {
        self.snapshots.as_ref().map(|snapshots| snapshots.counts.report()).unwrap_or_default()
    }

    /// An aggregate as it is now.
    ///
    /// # Errors
    /// The store cannot be read, or one of the events.
    pub fn load(&self, id: &str) -> Result<Loaded<A>, LoadError> {
        let stream = stream_of::<A>(id);
        let mut looks = 0;
        loop {
            looks += 1;
            let Some(Saved { state, version, .. }) = self.snapshot(&stream)? else {
                return self.fold(&stream, Loaded::default());
            };
            let from = Loaded { state, version, position: 0, snapshot: Some(version) };
            match self.fold(&stream, from) {
                // Retention has gone on, past a newer snapshot.
                Err(LoadError::Store(StoreError::Removed { .. })) if looks < LOOKS => {}
                loaded => {
                    if let (Ok(_), Some(snapshots)) = (&loaded, &self.snapshots) {
                        count(&snapshots.counts.used);
                    }
                    return loaded;
                }
            }
        }
    }

    /// An aggregate as it is now, by all its events: a snapshot is not looked at.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn replay(&self, id: &str) -> Result<Loaded<A>, LoadError> {
        self.fold(&stream_of::<A>(id), Loaded::default())
    }

    /// The state of a snapshot that can be used.
    fn snapshot(&self, stream: &str) -> Result<Option<Saved<A>>, StoreError> {
        let Some(Snapshots { form, counts, .. }) = &self.snapshots else { return Ok(None) };
        let Some(bytes) = self.store.value(SNAPSHOTS, stream.as_bytes())? else { return Ok(None) };
        match form.read(&bytes) {
            Ok(saved) if saved.version <= self.store.version(stream)? => Ok(Some(saved)),
            Ok(_) => {
                count(&counts.ahead);
                Ok(None)
            }
            Err(why) => {
                counts.unusable(why);
                Ok(None)
            }
        }
    }

    /// Takes notice of the events behind those that are in it.
    fn fold(&self, stream: &str, mut at: Loaded<A>) -> Result<Loaded<A>, LoadError> {
        let Some(last) = at.version.checked_sub(1) else {
            self.fold_from(stream, &mut at, 0)?;
            return Ok(at);
        };
        // The last one that is in it is looked at for its position.
        match self.fold_from(stream, &mut at, last) {
            // It is before all that is left.
            Err(LoadError::Store(StoreError::Removed { .. })) => {
                at.position = self.store.bounds()?.first;
                let from = at.version;
                self.fold_from(stream, &mut at, from)?;
            }
            Err(error) => return Err(error),
            Ok(()) if at.position == 0 => return Err(out_of_order(stream, last).into()),
            Ok(()) => {}
        }
        Ok(at)
    }

    /// Reads the stream from there on: one before those that are not in it yet is passed.
    fn fold_from(&self, stream: &str, at: &mut Loaded<A>, from: u64) -> Result<(), LoadError> {
        let (mut next, mut failed) = (from, None::<LoadError>);
        self.store.stream(stream, from, &mut |record| {
            if record.stream.is_none_or(|place| place.version != next) {
                failed = Some(out_of_order(stream, next).into());
                return ControlFlow::Break(());
            }
            if next >= at.version {
                let state = &mut at.state;
                let read: Result<(), ReadError> =
                    self.forms.read(&record, |event: A::Event| state.apply(&event));
                if let Err(error) = read {
                    failed = Some(error.into());
                    return ControlFlow::Break(());
                }
                at.version += 1;
            }
            next += 1;
            at.position = record.position + 1;
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Carries out a command of which nothing else is known.
    ///
    /// # Errors
    /// It is refused, others were there before each time, or the store cannot be read or written. See
    /// [`CommandError`].
    pub fn execute<T>(&self, id: &str, command: &T) -> Result<Done, CommandError<A::Error>>
    where
        A: Decide<T>,
    {
        self.execute_as(id, command, &Origin::unknown())
    }

    /// Carries out a command. If it has an [id](Origin::command) and that aggregate has carried it out before, it
    /// returns what was done then. One that was refused is decided upon anew.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    pub fn execute_as<T>(
        &self,
        id: &str,
        command: &T,
        origin: &Origin,
    ) -> Result<Done, CommandError<A::Error>>
    where
        A: Decide<T>,
    {
        let scope = stream_of::<A>(id);
        self.run(&scope, origin, |work| work.execute(self, id, command))
    }

    /// Carries out all that `decide` asks for, in one commit, or nothing: commands for several aggregates, also of
    /// other repositories of the same store. If others were there before, it is called again, with the states of then.
    ///
    /// A command id is one among those of all transactions of the store.
    ///
    /// # Errors
    /// `decide` fails, and what it returns is returned; otherwise as for [`execute`](Self::execute).
    ///
    /// # Examples
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
    /// # use bank::{Account, Deposit, Open, Withdraw};
    /// # use std::sync::Arc;
    /// # use slipring_store::{Json, Memory, sourcing::{Origin, Repository}};
    /// # let accounts = Repository::<Account, _>::new(Arc::new(Memory::new()), Json);
    /// accounts.execute("ada", &Open("Ada"))?;
    /// accounts.execute("ada", &Deposit(500))?;
    /// accounts.execute("bob", &Open("Bob"))?;
    ///
    /// let done = accounts.transact(&Origin::unknown(), |work| {
    ///     work.execute(&accounts, "ada", &Withdraw(200))?;
    ///     work.execute(&accounts, "bob", &Deposit(200))
    /// })?;
    /// assert_eq!(done.events(), 2);
    /// assert_eq!(accounts.load("bob")?.state.cents, 200);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transact<X: std::error::Error>(
        &self,
        origin: &Origin,
        decide: impl FnMut(&mut Work<'_>) -> Result<(), CommandError<X>>,
    ) -> Result<Done, CommandError<X>> {
        self.run("", origin, decide)
    }

    fn run<X: std::error::Error>(
        &self,
        scope: &str,
        origin: &Origin,
        decide: impl FnMut(&mut Work<'_>) -> Result<(), CommandError<X>>,
    ) -> Result<Done, CommandError<X>> {
        // ORDERING: Relaxed. It is counted, and nothing hangs on it but when something is looked for.
        if origin.id.is_some()
            && self.named.fetch_add(1, Ordering::Relaxed).is_multiple_of(COMMANDS_A_LOOK)
        {
            let Settings { clock, remember, .. } = &self.settings;
            commands::forget(&*self.store, clock.now(), *remember)?;
        }
        work::run(&self.store, &self.settings, scope, origin, decide)
    }
}

fn out_of_order(stream: &str, version: u64) -> StoreError {
    StoreError::damaged(
        format_args!("stream `{stream}`"),
        format_args!("what comes there is not its event {version}"),
    )
}
