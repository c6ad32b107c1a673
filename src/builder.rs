//! The builder: what a ring is made of, checked as a whole before anything starts.

use std::fmt;

use crate::{
    circuit::{Circuit, Plan},
    consumer::Manner,
    current::Who,
    dispatcher::Dispatcher,
    error::BuildError,
    extent::{Extent, Within},
    muster::Entrant,
    producer::{MultiProducer, Producer},
    ring::{Reset, Ring},
    sequence::Capacity,
    station::{Crew, Declared, Options, Stage},
    sync::{Arc, thread},
    topology::{self, Follows, Sketch},
    wait::Wait,
};

/// The largest default of [`Station::max_batch`](crate::Station::max_batch).
const DEFAULT_MAX_BATCH: usize = 4_096;
/// The largest first sequence: half of what can be counted stays.
const LARGEST_FIRST: u64 = 1 << 62;

/// Describes a ring and starts it.
///
/// Stations are placed with [`then`](Self::then), [`after`](Self::after) and
/// [`branch`](Self::branch). Nothing is checked until [`start`](Self::start),
/// [`start_multi`](Self::start_multi) or [`scope`](Self::scope), which return the first thing that is wrong.
/// `X` says how long what the handlers borrow lives, for rings in a scope: see [`Within`].
///
/// # Examples
/// A diamond:
/// ```
/// use slipring::{Builder, read, update};
///
/// #[derive(Default)]
/// struct Order { quantity: u32, total: u32 }
///
/// let (mut producer, dispatcher) = Builder::new(1024, Order::default)
///     .then(update("price", |order: &mut Order, _| order.total = order.quantity * 5))
///     .then((
///         read("risk", |order: &Order, _| assert!(order.total < 1_000)),
///         read("ledger", |order: &Order, _| assert_eq!(order.total, 10)),
///     ))
///     .then(update("ship", |order: &mut Order, _| order.quantity = 0))
///     .start()?;
/// producer.publish(|order| order.quantity = 2)?;
/// drop(producer);
/// assert!(dispatcher.join()?.is_complete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// Any acyclic graph, as long as a station that changes events is before or after every other:
/// ```
/// use slipring::{BuildError, Builder, read, update};
///
/// let error = Builder::new(8, || 0_u64)
///     .then(read("audit", |_: &u64, _| ()))
///     .branch(update("fix", |event: &mut u64, _| *event += 1))
///     .start()
///     .unwrap_err();
/// assert!(matches!(error, BuildError::Unordered { .. }));
///
/// let ring = Builder::new(8, || 0_u64)
///     .then(update("first", |event: &mut u64, _| *event += 1))
///     .then(read("short", |_: &u64, _| ()))
///     .after(["first"], read("long", |_: &u64, _| ()))
///     .then(read("longer", |_: &u64, _| ()))
///     .after(["short", "longer"], update("last", |event: &mut u64, _| *event = 0));
/// assert!(ring.start().is_ok());
/// ```
#[must_use = "a ring does nothing until it is started"]
pub struct Builder<E, X: Extent = Within<'static>> {
    capacity: usize,
    factory: X::Factory<E>,
    reset: Option<Reset<E>>,
    wait: Wait,
    producer_wait: Option<Wait>,
    first: u64,
    stations: Vec<(X::Declared<E>, Follows)>,
    /// The stage added last; none at the beginning.
    latest: Vec<usize>,
    has_empty_stage: bool,
    may_have_none: bool,
}

impl<E> fmt::Debug for Builder<E, Within<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.stations.iter().map(|(station, _)| &*station.name).collect();
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("stations", &names)
            .finish_non_exhaustive()
    }
}

impl<'a, E: Send + 'a> Builder<E, Within<'a>> {
    /// A ring of `capacity` slots, a power of two; `factory` makes what is in each of them before
    /// its first event. All of it is allocated by `start`, and nothing after.
    pub fn new(capacity: usize, factory: impl FnMut() -> E + 'a) -> Self {
        Self {
            capacity,
            factory: Box::new(factory),
            reset: None,
            wait: Wait::default(),
            producer_wait: None,
            first: 0,
            stations: Vec::new(),
            latest: Vec::new(),
            has_empty_stage: false,
            may_have_none: false,
        }
    }

    /// A ring of `capacity` slots that start out as the event's default.
    pub fn with_defaults(capacity: usize) -> Self
    where
        E: Default,
    {
        Self::new(capacity, E::default)
    }

    /// How stations wait for events, and producers for room; [`Wait::Adaptive`] if not given.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// How producers wait for room, if not like the stations.
    pub fn producer_wait(mut self, wait: Wait) -> Self {
        self.producer_wait = Some(wait);
        self
    }

    /// A hook that is called for each slot after the last stations have passed it and before it is
    /// used again: the place to let go of what an event holds. It runs on the thread of the
    /// station that comes last, at the end of its batch or when it leaves, or of a producer that
    /// needs the room sooner. A panic in it halts the ring.
    ///
    /// ```
    /// use slipring::{Builder, read};
    ///
    /// let ring = Builder::new(8, || None::<Vec<u8>>)
    ///     .reset(|slot| *slot = None)
    ///     .then(read("count", |_: &Option<Vec<u8>>, _| ()));
    /// # let _ = ring;
    /// ```
    pub fn reset(mut self, hook: impl FnMut(&mut E) + Send + 'static) -> Self {
        self.reset = Some(Box::new(hook));
        self
    }

    /// The sequence of the first event, 0 if not given, at most 2^62: to go on counting where
    /// another ring has stopped.
    pub fn first_sequence(mut self, first: u64) -> Self {
        self.first = first;
        self
    }

    /// Lets the ring start without a single station: all of them are
    /// [attached](crate::Membership) while it runs. As long as none is there, nobody sees what is
    /// published, and the producers wait for nobody.
    ///
    /// ```
    /// use slipring::{Builder, Start, poller};
    ///
    /// let (mut producer, dispatcher) = Builder::new(8, || 0_u64).without_stations().start()?;
    /// producer.publish_batch(3, |_, _| ())?; // Nobody is there to see them.
    /// let mut reader = dispatcher.membership().attach_poller(poller("reader"), Start::Now)?;
    /// producer.publish(|event| *event = 4)?;
    /// reader.poll(|event, at| assert_eq!((*event, at.sequence()), (4, 3)))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn without_stations(mut self) -> Self {
        self.may_have_none = true;
        self
    }

    /// Adds a stage behind the stage added last; the first one follows the producers.
    ///
    /// A stage is one station, or several reading ones side by side.
    pub fn then(self, stage: impl Stage<E, Within<'a>>) -> Self {
        let follows = match &*self.latest {
            [] => Follows::Producers,
            latest => Follows::Stations(latest.to_vec()),
        };
        self.add(&follows, stage)
    }

    /// Adds a stage behind the named stations, which may be declared before or after it. No names
    /// at all is [`branch`](Self::branch).
    pub fn after<N: AsRef<str>>(
        self,
        names: impl IntoIterator<Item = N>,
        stage: impl Stage<E, Within<'a>>,
    ) -> Self {
        let names = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        self.add(&Follows::Named(names), stage)
    }

    /// Adds a stage that follows the producers themselves, out of band.
    pub fn branch(self, stage: impl Stage<E, Within<'a>>) -> Self {
        self.add(&Follows::Producers, stage)
    }

    fn add(mut self, follows: &Follows, stage: impl Stage<E, Within<'a>>) -> Self {
        let mut declared = Vec::new();
        stage.declare(&mut declared);
        self.has_empty_stage |= declared.is_empty();
        let first = self.stations.len();
        self.stations.extend(declared.into_iter().map(|station| (station, follows.clone())));
        self.latest = (first..self.stations.len()).collect();
        self
    }

    #[allow(clippy::type_complexity)] // A pair for those that start it.
    pub(crate) fn build(
        self,
        many_producers: bool,
    ) -> Result<(Arc<Ring<E>>, Vec<Entrant<'a, E>>), BuildError> {
        let capacity = Capacity::new(self.capacity)?;
        if self.has_empty_stage {
            return Err(BuildError::EmptyStage);
        }
        if self.first > LARGEST_FIRST {
            return Err(BuildError::FirstSequence(self.first));
        }
        let sketch = |(station, follows): &(Declared<'a, E>, Follows)| Sketch {
            name: station.name.clone(),
            mutates: station.mutates,
            workers: station.crew.workers(),
            follows: follows.clone(),
        };
        let sketches: Vec<Sketch> = self.stations.iter().map(sketch).collect();
        let nodes = match &*sketches {
            [] if self.may_have_none => Vec::new(),
            sketches => topology::resolve(sketches)?,
        };
        let teller = |(station, _): &(Declared<'a, E>, Follows)| station.options.teller.clone();
        let tellers = self.stations.iter().map(teller).collect();
        let mut all = Vec::new();
        for (index, (station, _)) in self.stations.into_iter().enumerate() {
            all.extend(entrants(index, station, self.wait, capacity)?);
        }
        let circuit = Circuit::new(Plan {
            capacity,
            many_producers,
            first: self.first,
            station_wait: self.wait,
            producer_wait: self.producer_wait.unwrap_or(self.wait),
            resets: self.reset.is_some(),
            nodes,
            tellers,
        });
        Ok((Arc::new(Ring::new(circuit, self.factory, self.reset)), all))
    }
}

impl<E: Send + 'static> Builder<E> {
    /// Starts the ring with one producer.
    ///
    /// Returns when every thread is pinned, has made its state and has run its start hook.
    ///
    /// # Errors
    /// What is wrong with the ring, see [`BuildError`]. Every thread that was started is ended; one
    /// whose stop hook takes longer than a second ends on its own.
    ///
    /// # Panics
    /// If the factory does, or if the slots do not fit into the address space. As everywhere, the
    /// process is aborted if the memory is not to be had.
    pub fn start(self) -> Result<(Producer<E>, Dispatcher<E>), BuildError> {
        let (ring, entrants) = self.build(false)?;
        let producer = Producer::single(Arc::clone(&ring));
        Ok((producer, Dispatcher::start(ring, entrants)?))
    }

    /// Starts the ring with a producer that can be cloned, one for each thread. The ring closes when
    /// the last of them is dropped, this one included.
    ///
    /// ```
    /// use slipring::{Builder, MultiProducer, read};
    ///
    /// let (producer, dispatcher) =
    ///     Builder::new(8, || 0_u64).then(read("r", |_: &u64, _| ())).start_multi()?;
    /// let feed = |mut producer: MultiProducer<u64>| {
    ///     std::thread::spawn(move || {
    ///         for event in 0..100 {
    ///             producer.publish(|slot| *slot = event).expect("the ring is open");
    ///         }
    ///     })
    /// };
    /// let threads = [feed(producer.clone()), feed(producer)];
    /// assert_eq!(dispatcher.join()?.published, 200);
    /// # let _ = threads;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_multi(self) -> Result<(MultiProducer<E>, Dispatcher<E>), BuildError> {
        let (ring, entrants) = self.build(true)?;
        let producer = MultiProducer::multi(Arc::clone(&ring));
        Ok((producer, Dispatcher::start(ring, entrants)?))
    }
}

/// Settles a station's options: who works there, and how.
pub(crate) fn entrants<E>(
    index: usize,
    station: Declared<'_, E>,
    wait: Wait,
    capacity: Capacity,
) -> Result<Vec<Entrant<'_, E>>, BuildError> {
    let Declared { name, options, crew, mutates } = station;
    let Options { wait: own_wait, cores, policy, max_batch, idle_after, lag_limit, teller: _ } =
        options;
    let default_batch = (capacity.slots() / 4).clamp(1, DEFAULT_MAX_BATCH);
    let max_batch = max_batch.unwrap_or(default_batch).min(capacity.slots());
    if max_batch == 0 {
        return Err(BuildError::NoBatch { station: name });
    }
    if crew.workers().is_some_and(|workers| workers.number == 0) {
        return Err(BuildError::NoWorkers { station: name });
    }
    if !matches!(crew, Crew::Poller) {
        let available = thread::cores();
        if let Some(core) = cores.iter().copied().find(|core| !available.contains(core)) {
            return Err(BuildError::NoSuchCore { station: name, core, available });
        }
    }
    let lag_limit = lag_limit.map(|limit| limit.check(&name, &crew, capacity)).transpose()?;
    let manner = Manner {
        wait: own_wait.unwrap_or(wait),
        policy,
        max_batch: max_batch as u64,
        idle_after,
        lag_limit,
    };
    let mut cores = cores.into_iter().cycle();
    let mut entrant = |worker, engine| Entrant {
        who: Who::new(index, worker),
        manner,
        core: cores.next(),
        mutates,
        engine,
    };
    Ok(match crew {
        Crew::Poller => vec![entrant(None, None)],
        Crew::Thread(engine) => vec![entrant(None, Some(engine))],
        Crew::Team { engines, by_key: _ } => engines
            .into_iter()
            .enumerate()
            .map(|(worker, engine)| entrant(Some(worker), Some(engine)))
            .collect(),
    })
}
