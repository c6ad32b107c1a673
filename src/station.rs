//! Stations as the user declares them: a name, a handler, and options.

use std::{fmt, marker::PhantomData, time::Duration};

use crate::{
    consumer::{Seat, drive},
    error::Failure,
    extent::{Extent, Within},
    handler::{At, BatchHandler, Handler, HandlerMut, Outcome},
    lag::{LagLimit, LagPolicy},
    policy::Policy,
    team::Workers,
    told::{Figure, Teller},
    wait::Wait,
    work::{Access, Each, Exclusive, Hooked, HookedSlices, Shared, Slices, Work},
};

/// What a station's thread runs: it reports whether the station is ready, then drives it.
pub(crate) type Engine<'a, E> = Box<dyn FnOnce(&mut Seat<E>, Ready<'_>) + Send + 'a>;
/// Told once, when the handler exists and its start hook has returned, or when that failed.
pub(crate) type Ready<'a> = &'a dyn Fn(Result<(), Failure>);

/// Who does a station's work.
pub(crate) enum Crew<'a, E> {
    /// Its owner, by polling.
    Poller,
    /// A thread of its own.
    Thread(Engine<'a, E>),
    /// Several threads that share it; whether by the events' keys.
    Team { engines: Vec<Engine<'a, E>>, by_key: bool },
}

impl<E> Crew<'_, E> {
    /// Who shares the station, if somebody does.
    pub(crate) fn workers(&self) -> Option<Workers> {
        match self {
            Self::Poller | Self::Thread(_) => None,
            Self::Team { engines, by_key } => {
                Some(Workers { number: engines.len(), by_key: *by_key })
            }
        }
    }
}

/// The options of a station.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) wait: Option<Wait>,
    /// The threads take them in turn.
    pub(crate) cores: Vec<usize>,
    pub(crate) policy: Policy,
    pub(crate) max_batch: Option<usize>,
    pub(crate) idle_after: Option<Duration>,
    pub(crate) lag_limit: Option<LagLimit>,
    pub(crate) teller: Option<Teller>,
}

/// A station: a named consumer of every event, to be placed on a ring with
/// [`Builder::then`](crate::Builder::then) and its kin.
///
/// `A` is what it may do with events: [`Shared`] stations read (`&E`) and may stand side by side;
/// an [`Exclusive`] one changes them (`&mut E`) and has its place to itself. `X` says how long it can be
/// used, which matters only to one that borrows: see [`Within`].
///
/// # Examples
/// ```
/// use slipring::{Policy, Wait, read, update};
///
/// let price = update("price", |order: &mut (u64, u64), _| order.1 = order.0 * 3)
///     .policy(Policy::Skip)
///     .wait(Wait::Yield)
///     .max_batch(64);
/// let audit = read("audit", |order: &(u64, u64), at| println!("{}: {order:?}", at.sequence()));
/// # let _ = (price, audit);
/// ```
#[must_use = "a station does nothing until it is placed on a ring"]
pub struct Station<E, A: Access, X: Extent = Within<'static>> {
    declared: X::Declared<E>,
    access: PhantomData<fn() -> A>,
}

impl<E, A: Access> fmt::Debug for Station<E, A, Within<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Declared { name, options, crew, mutates } = &self.declared;
        f.debug_struct("Station")
            .field("name", name)
            .field("mutates", mutates)
            .field("polled", &matches!(crew, Crew::Poller))
            .field("workers", &crew.workers().map(|workers| workers.number))
            .field("options", options)
            .finish()
    }
}

impl<'a, E, A: Access> Station<E, A, Within<'a>> {
    fn new(name: impl Into<String>, crew: Crew<'a, E>) -> Self {
        let (name, options) = (name.into(), Options::default());
        let declared = Declared { name, options, crew, mutates: A::MUTATES };
        Self { declared, access: PhantomData }
    }

    /// A station whose work is made on its own thread.
    fn working<W: Work<E, A>>(
        name: impl Into<String>,
        make: impl FnOnce() -> W + Send + 'a,
    ) -> Self {
        Self::new(name, Crew::Thread(engine::<E, A, W>(make)))
    }

    /// A station that several threads share, each with work that is made on it.
    pub(crate) fn shared<W: Work<E, A>, M: FnOnce() -> W + Send + 'a>(
        name: impl Into<String>,
        by_key: bool,
        workers: usize,
        make: impl FnMut(usize) -> M,
    ) -> Self {
        let engines = (0..workers).map(make).map(engine::<E, A, W>).collect();
        Self::new(name, Crew::Team { engines, by_key })
    }

    /// How this station waits; the ring's [`Builder::wait`](crate::Builder::wait) if not given.
    /// Of no effect on a polled station except in [`Poller::wait`](crate::Poller::wait).
    pub fn wait(mut self, wait: Wait) -> Self {
        self.declared.options.wait = Some(wait);
        self
    }

    /// Pins the station's thread to a core. A core that does not exist, or that this process may
    /// not use, makes `start` fail with an error that lists the cores that do. On a system
    /// without pinning there are none. Of no effect on a polled station.
    pub fn pin(self, core: usize) -> Self {
        self.pin_each([core])
    }

    /// Pins the threads of a station that is shared, in turn, as [`pin`](Self::pin) does with the one
    /// of another.
    pub fn pin_each(mut self, cores: impl IntoIterator<Item = usize>) -> Self {
        self.declared.options.cores = cores.into_iter().collect();
        self
    }

    /// What happens when the handler fails or panics; [`Policy::Halt`] if not given.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.declared.options.policy = policy;
        self
    }

    /// The most events between two moves of the cursor. Those that follow, and a halt, wait no
    /// longer than it takes to handle so many; a small number costs throughput. A quarter of the
    /// ring if not given, at most 4,096; more than the capacity counts as the capacity.
    pub fn max_batch(mut self, events: usize) -> Self {
        self.declared.options.max_batch = Some(events);
        self
    }

    /// Bounds by how many events the station may lag, and says what it does when it finds, between two
    /// batches, that it lags by more: events that it could handle, because all whom it follows have passed them. Without
    /// this it holds the producers back, who wait when the ring is full.
    ///
    /// Only for a station with one thread; `start` refuses it for others, and a limit of 0 or of the ring's
    /// capacity and more, which nobody exceeds.
    ///
    /// ```
    /// use slipring::{Builder, LagPolicy, read};
    ///
    /// let (mut producer, dispatcher) = Builder::new(64, || 0_u64)
    ///     .then(read("ledger", |_: &u64, _| ()))
    ///     .branch(
    ///         read("screen", |price: &u64, _| println!("{price}"))
    ///             .lag_limit(1, LagPolicy::SkipAhead), // Only the newest price is of interest.
    ///     )
    ///     .start()?;
    /// for price in 0..1_000 {
    ///     producer.publish(|slot| *slot = price)?;
    /// }
    /// drop(producer);
    /// let report = dispatcher.join()?;
    /// let screen = report.station("screen").expect("it was there");
    /// assert_eq!(screen.handled + screen.conflated, 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lag_limit(mut self, events: u64, policy: LagPolicy) -> Self {
        self.declared.options.lag_limit = Some(LagLimit { events, policy });
        self
    }

    /// Tells more of the station than the ring knows, to whoever takes a [snapshot](crate::Snapshot): it is
    /// asked then, in that one's thread, when everything else has been read, and its figures are
    /// [`StationSnapshot::told`](crate::StationSnapshot::told). Nothing is done for it while events flow.
    ///
    /// It may be asked by several threads at once, and as long as somebody keeps a monitor of the ring; of a guest, until it
    /// has left. Whoever looks waits for it. If it panics, nothing is told at that look. One that owns a
    /// [`Monitor`](crate::Monitor) or a producer of the same ring keeps the ring's memory from ever being freed.
    ///
    /// ```
    /// use slipring::{Builder, Figure, read};
    /// use std::sync::{Arc, Mutex};
    ///
    /// let odd = Arc::new(Mutex::new(0));
    /// let seen = Arc::clone(&odd);
    /// let count = read("count", move |event: &u64, _| *odd.lock().unwrap() += event % 2);
    /// let count = count.tell(move |figures| {
    ///     figures.push(Figure::count("odd", *seen.lock().unwrap()));
    /// });
    /// let (mut producer, dispatcher) = Builder::new(8, || 0_u64).then(count).start()?;
    /// producer.publish_slice(&[3, 4, 5])?;
    /// drop(producer);
    /// let monitor = dispatcher.monitor();
    /// dispatcher.join()?;
    /// assert_eq!(monitor.snapshot().stations[0].told, [Figure::count("odd", 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tell(mut self, tell: impl Fn(&mut Vec<Figure>) + Send + Sync + 'static) -> Self {
        self.declared.options.teller = Some(Teller::new(tell));
        self
    }

    /// Calls [`Handler::on_idle`] again whenever the station has waited for so long. Of no effect
    /// on a station whose handler is a closure.
    pub fn idle_after(mut self, time: Duration) -> Self {
        self.declared.options.idle_after = Some(time);
        self
    }
}

/// What a thread runs: it makes the work, then drives the station with it.
fn engine<'a, E, A: Access, W: Work<E, A>>(make: impl FnOnce() -> W + Send + 'a) -> Engine<'a, E> {
    Box::new(move |seat, ready| {
        let work = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut work = make();
            work.start();
            work
        }));
        match work {
            Ok(mut work) => {
                ready(Ok(()));
                drive(seat, &mut work);
            }
            Err(payload) => ready(Err(Failure::panic(payload))),
        }
    })
}

/// A station that reads each event, with a closure; for a [`Handler`] see [`read_handler`]. It may
/// stand side by side with other reading stations.
pub fn read<'a, E, F, R>(name: impl Into<String>, handle: F) -> Station<E, Shared, Within<'a>>
where
    E: Send + Sync + 'a,
    F: FnMut(&E, At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    let mut handle = handle;
    read_with(name, || (), move |(), event: &E, at: At<'_>| handle(event, at))
}

/// A station that reads slices of neighbouring events: what it found published, at most
/// [`max_batch`](Station::max_batch) events, in two slices where the ring wraps.
///
/// ```
/// use slipring::read_batch;
///
/// let sum = read_batch("sum", |events: &[u64], at| {
///     println!("{} from sequence {}", events.iter().sum::<u64>(), at.sequence());
/// });
/// # let _ = sum;
/// ```
pub fn read_batch<'a, E, F, R>(name: impl Into<String>, handle: F) -> Station<E, Shared, Within<'a>>
where
    E: Send + Sync + 'a,
    F: FnMut(&[E], At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    Station::working(name, move || Slices::new(handle))
}

/// A station that reads each event, with state that is made on its own thread and stays there:
/// it need not be `Send`.
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use slipring::read_with;
///
/// let total = read_with(
///     "total",
///     || Rc::new(RefCell::new(0)),
///     |total, event: &u64, _| *total.borrow_mut() += *event,
/// );
/// # let _ = total;
/// ```
pub fn read_with<'a, E, S, M, F, R>(
    name: impl Into<String>,
    make: M,
    handle: F,
) -> Station<E, Shared, Within<'a>>
where
    E: Send + Sync + 'a,
    M: FnOnce() -> S + Send + 'a,
    F: FnMut(&mut S, &E, At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    Station::working(name, move || Each::new(make(), handle))
}

/// A station with a [`Handler`], made on the station's thread.
pub fn read_handler<'a, E, H, M>(name: impl Into<String>, make: M) -> Station<E, Shared, Within<'a>>
where
    E: Send + Sync + 'a,
    H: Handler<E>,
    M: FnOnce() -> H + Send + 'a,
{
    Station::working(name, move || Hooked(make()))
}

/// A station with a [`BatchHandler`], made on the station's thread.
pub fn read_batch_handler<'a, E, H, M>(
    name: impl Into<String>,
    make: M,
) -> Station<E, Shared, Within<'a>>
where
    E: Send + Sync + 'a,
    H: BatchHandler<E>,
    M: FnOnce() -> H + Send + 'a,
{
    Station::working(name, move || HookedSlices(make()))
}

/// A station that has each event to itself and may change it, with a closure; for a [`HandlerMut`]
/// see [`update_handler`].
pub fn update<'a, E, F, R>(name: impl Into<String>, handle: F) -> Station<E, Exclusive, Within<'a>>
where
    E: Send + 'a,
    F: FnMut(&mut E, At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    let mut handle = handle;
    update_with(name, || (), move |(), event: &mut E, at: At<'_>| handle(event, at))
}

/// As [`read_batch`], with slices to change.
pub fn update_batch<'a, E, F, R>(
    name: impl Into<String>,
    handle: F,
) -> Station<E, Exclusive, Within<'a>>
where
    E: Send + 'a,
    F: FnMut(&mut [E], At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    Station::working(name, move || Slices::new(handle))
}

/// As [`read_with`], with events to change.
pub fn update_with<'a, E, S, M, F, R>(
    name: impl Into<String>,
    make: M,
    handle: F,
) -> Station<E, Exclusive, Within<'a>>
where
    E: Send + 'a,
    M: FnOnce() -> S + Send + 'a,
    F: FnMut(&mut S, &mut E, At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    Station::working(name, move || Each::new(make(), handle))
}

/// A station with a [`HandlerMut`], made on the station's thread.
pub fn update_handler<'a, E, H, M>(
    name: impl Into<String>,
    make: M,
) -> Station<E, Exclusive, Within<'a>>
where
    E: Send + 'a,
    H: HandlerMut<E>,
    M: FnOnce() -> H + Send + 'a,
{
    Station::working(name, move || Hooked(make()))
}

/// A station without a thread: a [`Poller`](crate::Poller) for it is had from the dispatcher. It
/// gates the producers, and whoever follows it, from its first event on.
pub fn poller<'a, E: Send + Sync + 'a>(name: impl Into<String>) -> Station<E, Shared, Within<'a>> {
    Station::new(name, Crew::Poller)
}

/// As [`poller`], for a poller that may change events.
pub fn poller_mut<'a, E: Send + 'a>(name: impl Into<String>) -> Station<E, Exclusive, Within<'a>> {
    Station::new(name, Crew::Poller)
}

/// A station whose access is known only at run time.
pub struct Declared<'a, E> {
    pub(crate) name: String,
    pub(crate) options: Options,
    pub(crate) crew: Crew<'a, E>,
    pub(crate) mutates: bool,
}

impl<E> fmt::Debug for Declared<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Declared").field("name", &self.name).finish_non_exhaustive()
    }
}

// What lives longer than is asked for will do.
impl<'x, 'a: 'x, E, A: Access> From<Station<E, A, Within<'a>>> for Declared<'x, E> {
    fn from(station: Station<E, A, Within<'a>>) -> Self {
        station.declared
    }
}

mod sealed {
    use crate::extent::Lasting;

    pub trait Stations<E, X: Lasting> {
        fn declare(self, declared: &mut Vec<X::Declared<E>>);
    }
}
use sealed::Stations;

/// What can stand at one point of the graph: one station of either kind, or several reading ones
/// side by side, as a tuple (up to eight), an array or a `Vec`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand at one point of the ring",
    label = "not a stage for these events",
    note = "stations side by side must all read: a station that changes events (`update`, \
            `poller_mut`) needs its place to itself"
)]
pub trait Stage<E, X: Extent = Within<'static>>: Stations<E, X> {}
impl<E, X: Extent, T: Stations<E, X>> Stage<E, X> for T {}

impl<'x, 'a: 'x, E, A: Access> Stations<E, Within<'x>> for Station<E, A, Within<'a>> {
    fn declare(self, declared: &mut Vec<Declared<'x, E>>) {
        declared.push(self.into());
    }
}

impl<'x, 'a: 'x, E> Stations<E, Within<'x>> for Vec<Station<E, Shared, Within<'a>>> {
    fn declare(self, declared: &mut Vec<Declared<'x, E>>) {
        declared.extend(self.into_iter().map(Declared::from));
    }
}

impl<'x, 'a: 'x, E, const N: usize> Stations<E, Within<'x>>
    for [Station<E, Shared, Within<'a>>; N]
{
    fn declare(self, declared: &mut Vec<Declared<'x, E>>) {
        declared.extend(self.into_iter().map(Declared::from));
    }
}

macro_rules! tuples {
    ($($lifetime:lifetime $station:ident),+) => {
        impl<'x, $($lifetime: 'x,)+ E> Stations<E, Within<'x>>
            for ($(Station<E, Shared, Within<$lifetime>>,)+)
        {
            fn declare(self, declared: &mut Vec<Declared<'x, E>>) {
                let ($($station,)+) = self;
                declared.extend([$(Declared::from($station)),+]);
            }
        }
    };
}
tuples!('a a, 'b b);
tuples!('a a, 'b b, 'c c);
tuples!('a a, 'b b, 'c c, 'd d);
tuples!('a a, 'b b, 'c c, 'd d, 'e e);
tuples!('a a, 'b b, 'c c, 'd d, 'e e, 'f f);
tuples!('a a, 'b b, 'c c, 'd d, 'e e, 'f f, 'g g);
tuples!('a a, 'b b, 'c c, 'd d, 'e e, 'f f, 'g g, 'h h);
