//! What a projection is, and how it is run.

use std::{fmt, sync::Arc};

use crate::{
    Codec, Durability, EventStore, Reach, Record, Topics,
    sourcing::{
        Fault, OnFailure, Running, StartError, Steps, Upcasters, Values, WhenStoreFails,
        forms::Forms,
    },
};

/// Makes values of events: what is shown, and asked for.
///
/// All that it knows is in its [`Values`]. It is applied to each event once, in the order of the positions.
///
/// When what it makes of an event changes, it gets another [version](Self::version): that is built from the first event
/// on, beside the one that is shown, and takes over when it has caught up.
///
/// # Examples
/// See [`Projector`].
pub trait Projection: Send + 'static {
    /// What the codec reads.
    type Event;

    /// What it is called: without `@`, `!` and NUL.
    fn name(&self) -> &str;

    /// Which one it is of those that are called so; it is counted up.
    fn version(&self) -> u32 {
        1
    }

    /// Which events it is to see, by what they are called in the store, in whatever form; all, if not given. Others
    /// are not even read.
    fn topics(&self) -> Topics {
        Topics::All
    }

    /// Puts into the values what follows from an event.
    ///
    /// # Errors
    /// It cannot make anything of it. What it has put is dropped, and [`OnFailure`] says what comes next.
    fn apply(
        &self,
        event: &Self::Event,
        record: &Record<'_>,
        values: &mut Values<'_>,
    ) -> Result<(), Fault>;
}

/// Runs a projection: [in a thread](Self::start) of its own, or [by hand](Self::by_hand).
///
/// # Examples
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// # use bank::{Account, AccountEvent, Deposit, Deposited, Open, Withdraw, Withdrawn};
/// use std::{sync::Arc, time::Duration};
/// use slipring_store::{
///     Json, Memory, Record,
///     sourcing::{Fault, Projection, ProjectionView, Projector, Repository, Values},
/// };
///
/// /// What is on each account.
/// struct Balances;
///
/// impl Projection for Balances {
///     type Event = AccountEvent;
///
///     fn name(&self) -> &'static str {
///         "balances"
///     }
///
///     fn apply(&self, event: &AccountEvent, record: &Record<'_>, values: &mut Values<'_>) -> Result<(), Fault> {
///         let account = record.stream.ok_or("it is in no stream")?.name;
///         let cents: u64 = values.get_as(account)?.unwrap_or(0);
///         values.put_as(account, &match event {
///             AccountEvent::Opened(_) => cents,
///             AccountEvent::Deposited(Deposited { cents: more }) => cents + more,
///             AccountEvent::Withdrawn(Withdrawn { cents: less }) => cents - less,
///         })
///     }
/// }
///
/// let store = Arc::new(Memory::new());
/// let accounts = Repository::<Account, _>::new(store.clone(), Json);
/// let balances = Projector::new(store.clone(), Balances, Json).start()?;
///
/// accounts.execute("7", &Open("Ada"))?;
/// let done = accounts.execute("7", &Deposit(500))?;
/// balances.wait_for(done.end, Duration::from_secs(60))?; // What was just done is shown.
/// let view = ProjectionView::of(store, "balances");
/// assert_eq!(view.get_as("account-7")?, Some(500_u64));
/// balances.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing until it is started"]
pub struct Projector<P, C> {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) projection: P,
    pub(super) forms: Forms<C>,
    pub(super) settings: ProjectorSettings,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ProjectorSettings {
    pub batch: usize,
    pub reach: Reach,
    pub durability: Durability,
    pub on_failure: OnFailure,
    pub when_store_fails: WhenStoreFails,
    pub most_parked: u64,
    pub from_what_is_there: bool,
}

impl Default for ProjectorSettings {
    fn default() -> Self {
        Self {
            batch: 512,
            reach: Reach::Visible,
            durability: Durability::Visible,
            on_failure: OnFailure::Halt,
            when_store_fails: WhenStoreFails::Hold,
            most_parked: 10_000,
            from_what_is_there: false,
        }
    }
}

impl<P: Projection, C> fmt::Debug for Projector<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projector")
            .field("name", &self.projection.name())
            .field("version", &self.projection.version())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<P: Projection, C: Codec<P::Event>> Projector<P, C> {
    /// For a projection of what is in a store, with events in that form.
    pub fn new(store: Arc<dyn EventStore>, projection: P, codec: C) -> Self {
        let (forms, settings) = (Forms::new(codec), ProjectorSettings::default());
        Self { store, projection, forms, settings }
    }

    /// It for events of which some have forms of long ago.
    pub fn upcasters(mut self, upcasters: impl Into<Arc<Upcasters>>) -> Self {
        self.forms.upcasters = Some(upcasters.into());
        self
    }

    /// It with so many events in a commit at most; 512 if not given.
    ///
    /// # Panics
    /// With none.
    pub fn batch(mut self, events: usize) -> Self {
        assert!(events > 0, "a commit has at least one event in it");
        self.settings.batch = events;
        self
    }

    /// It for events that are so far; as soon as everybody can read them, if not given.
    pub fn reach(mut self, reach: Reach) -> Self {
        self.settings.reach = reach;
        self
    }

    /// It with commits of that durability; [`Visible`](Durability::Visible) if not given: what is lost with the machine
    /// is made of the events again.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// What is done with events that nothing can be made of; it halts, if not given.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.settings.on_failure = on_failure;
        self
    }

    /// What is done when the store cannot be read or written; it [holds](WhenStoreFails::Hold), if not given.
    pub fn when_store_fails(mut self, what: WhenStoreFails) -> Self {
        self.settings.when_store_fails = what;
        self
    }

    /// It with so many parked events at most, 10,000 if not given; at one more it halts.
    pub fn most_parked(mut self, events: u64) -> Self {
        self.settings.most_parked = events;
        self
    }

    /// A projection that is new begins with the first event that is still there. If not given, it begins with the first
    /// ever, and does not start if that one was removed.
    pub fn from_what_is_there(mut self) -> Self {
        self.settings.from_what_is_there = true;
        self
    }

    /// Runs it by hand, step by step: in a loop of one's own, and in tests.
    ///
    /// # Errors
    /// A newer version is shown, no projection is called so, or the store cannot be read or written.
    pub fn by_hand(self) -> Result<Steps<P, C>, StartError> {
        Steps::new(self)
    }

    /// Runs it in a thread of its own.
    ///
    /// # Errors
    /// As for [`by_hand`](Self::by_hand), or there is no thread to be had.
    pub fn start(self) -> Result<Running<P, C>, StartError> {
        Running::start(self.by_hand()?)
    }
}
