//! From a ring to a broker, without a store.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use slipring::{
    At, BatchHandler, Fatal, Figure, HandlerError, Policy, Shared as Reads, Station,
    read_batch_handler,
};
use slipring_events::{EventId, Source};
use slipring_store::Durability;
use tokio::sync::{mpsc, watch};

use super::{
    OutboxHalt, OutboxState, PATIENCE_OF_DROP, StartError,
    books::Unwritten,
    builder::spawn,
    check_name,
    flow::{Ground, Parts, Settings, too_large},
    handle::{Known, Shared},
    join_until,
    reader::Fed,
    window::{Out, Window},
};
use crate::{Connect, Parcel, Pauses, pauses::message_of};

/// How long a station waits for the broker before it lets the ring look whether it has halted.
const LOOK: Duration = Duration::from_millis(100);

/// Sends the events of a ring to a broker: a station whose cursor moves when the broker has confirmed.
///
/// It is for those who have no journal: what is on the ring and not confirmed when the program ends is lost with it, and
/// each run is another lane. While the broker is not there the ring fills, and producers wait.
///
/// # Examples
/// ```
/// use slipring::Builder;
/// use slipring_bridge::{Loopback, Parcel, RingOutbox};
///
/// let outbox = RingOutbox::new("numbers", Loopback::new(), |number: &u64| {
///     Ok(Some(Parcel::new("number", number.to_be_bytes())))
/// });
/// let (station, handle) = outbox.station()?;
/// let (mut producer, dispatcher) = Builder::new(64, || 0_u64).then(station).start()?;
/// for number in 0..100 {
///     producer.publish(|slot| *slot = number)?;
/// }
/// drop(producer);
/// dispatcher.join()?;
/// assert_eq!(handle.sent(), 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is sent before its station is on a ring"]
pub struct RingOutbox<C, F> {
    name: String,
    connect: C,
    write: F,
    settings: Settings,
    when_unsendable: WhenUnsendable,
}

/// What becomes of an event of a ring that cannot be written as a parcel, or that no broker takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnsendable {
    /// The ring halts.
    #[default]
    Halt,
    /// It is counted, and not sent.
    Pass,
}

/// To ask how far the outbox of a ring is.
#[derive(Clone)]
pub struct RingOutboxHandle {
    lane: Arc<str>,
    shared: Arc<Shared>,
    passed: Arc<AtomicU64>,
}

impl<C, F> fmt::Debug for RingOutbox<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingOutbox")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RingOutboxHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingOutboxHandle")
            .field("lane", &self.lane)
            .field("known", &self.shared.known())
            .finish_non_exhaustive()
    }
}

impl RingOutboxHandle {
    /// What its parcels say of where they come from: another one in each run.
    pub fn lane(&self) -> &str {
        &self.lane
    }

    /// What it does.
    pub fn state(&self) -> OutboxState {
        self.shared.known().state
    }

    /// The broker has confirmed every event before that sequence of the ring.
    pub fn confirmed(&self) -> u64 {
        self.shared.known().confirmed
    }

    /// How many parcels the broker has confirmed.
    pub fn sent(&self) -> u64 {
        self.shared.known().sent
    }

    /// How many events were not sent because they cannot be.
    pub fn passed(&self) -> u64 {
        // Only a figure: it orders nothing.
        self.passed.load(Ordering::Relaxed)
    }

    /// What has gone wrong last, if anything has.
    pub fn last_error(&self) -> Option<Arc<str>> {
        self.shared.known().last_error
    }
}

impl<C: Connect, F> RingOutbox<C, F> {
    /// An outbox of that name; `write` makes a parcel of an event, or none of one that is not to be sent. Stamp and id it
    /// gets here, unless it has an id.
    pub fn new<E>(name: impl Into<String>, connect: C, write: F) -> Self
    where
        F: FnMut(&E) -> Result<Option<Parcel>, HandlerError> + Send + 'static,
    {
        let (settings, when_unsendable) = (Settings::default(), WhenUnsendable::default());
        Self { name: name.into(), connect, write, settings, when_unsendable }
    }

    /// How many parcels may be on the link and not confirmed: 1,024 if not given.
    pub fn window(mut self, parcels: usize) -> Self {
        self.settings.window = parcels.max(1);
        self
    }

    /// How long it waits before it tries again when the broker is not there.
    pub fn pauses(mut self, pauses: Pauses) -> Self {
        self.settings.pauses = pauses;
        self
    }

    /// How long a broker may take to answer before it counts as gone: 30 seconds if not given.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// What becomes of an event that cannot be sent; the ring halts, if not given.
    pub fn when_unsendable(mut self, what: WhenUnsendable) -> Self {
        self.when_unsendable = what;
        self
    }

    /// Starts what sends, and gives the station for [`Builder::then`](slipring::Builder::then). The station
    /// [tells](slipring::StationSnapshot::told) `sent`, `set aside`, `links`, `unconfirmed` and whether it is `connected`.
    /// Its policy is part of what it promises: leave it as it is.
    ///
    /// # Errors
    /// It cannot be called so, or there is no thread to be had.
    pub fn station<E>(self) -> Result<(Station<E, Reads>, RingOutboxHandle), StartError>
    where
        E: Send + Sync + 'static,
        F: FnMut(&E) -> Result<Option<Parcel>, HandlerError> + Send + 'static,
    {
        let Self { name, connect, write, settings, when_unsendable } = self;
        check_name(&name)?;
        let source = Source::fresh(&name);
        let lane: Arc<str> = format!("{:015x}/{name}", source.bits()).into();
        let (shared, passed) = (Shared::new(0), Arc::<AtomicU64>::default());
        let ((feeder, feed), (stop, stopped)) = (mpsc::channel(1), watch::channel(None));
        let connect = Arc::new(connect);
        let asked = connect.clone();
        let parts = Parts {
            connect,
            ground: OnRing { when_unsendable, passed: passed.clone() },
            window: Window::new(settings.window, &lane, [None; 2], 0),
            settings,
            shared: shared.clone(),
            feed,
            stop: stopped,
            bell: Arc::default(),
        };
        let threads = vec![spawn(&name, parts)?];
        let handle = RingOutboxHandle { lane, shared: shared.clone(), passed: passed.clone() };
        let sends = Sends { stop, threads };
        let handler = Handler {
            write,
            when_unsendable,
            largest: Box::new(move || asked.largest()),
            source,
            feeder,
            shared: shared.clone(),
            passed,
            in_hand: None,
            sends,
        };
        let tell = move |figures: &mut Vec<Figure>| shared.tell(figures);
        let station =
            read_batch_handler(name, move || handler).policy(Policy::retry(u32::MAX)).tell(tell);
        Ok((station, handle))
    }
}

/// The thread that sends: it ends with the station.
struct Sends {
    stop: watch::Sender<Option<Instant>>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Sends {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE_OF_DROP;
        self.stop.send_replace(Some(deadline));
        join_until(&mut self.threads, deadline);
    }
}

struct Handler<F> {
    write: F,
    when_unsendable: WhenUnsendable,
    /// What the broker takes: some say it when they are there.
    largest: Box<dyn Fn() -> usize + Send>,
    source: Source,
    feeder: mpsc::Sender<Fed>,
    shared: Arc<Shared>,
    passed: Arc<AtomicU64>,
    /// The slice that was handed on and is not confirmed: behind its last event.
    in_hand: Option<u64>,
    sends: Sends,
}

impl<F> Handler<F> {
    fn parcels<E>(&mut self, events: &[E], first: u64) -> Result<Vec<(u64, Parcel)>, HandlerError>
    where
        F: FnMut(&E) -> Result<Option<Parcel>, HandlerError>,
    {
        let (mut parcels, largest) = (Vec::with_capacity(events.len()), (self.largest)());
        for (sequence, event) in (first..).zip(events) {
            // One that panics would be called again for ever.
            let written =
                catch_unwind(AssertUnwindSafe(|| (self.write)(event))).map_err(|panic| {
                    let message = message_of(panic);
                    Fatal(OutboxHalt::Panicked { part: "what writes parcels", message }.into())
                })?;
            let problem = match written {
                Ok(None) => continue,
                Ok(Some(mut parcel)) => {
                    parcel.id.get_or_insert_with(|| EventId::of(self.source, sequence));
                    let size = parcel.size();
                    if size <= largest {
                        parcels.push((sequence, parcel));
                        continue;
                    }
                    too_large(size, largest)
                }
                Err(error) => error.to_string(),
            };
            match self.when_unsendable {
                WhenUnsendable::Pass => _ = self.passed.fetch_add(1, Ordering::Relaxed),
                WhenUnsendable::Halt => {
                    let problem = problem.into();
                    return Err(Fatal(OutboxHalt::Unsendable { sequence, problem }.into()).into());
                }
            }
        }
        Ok(parcels)
    }

    fn await_confirmation(&mut self, end: u64) -> Result<(), HandlerError> {
        let known = self.shared.wait(LOOK, |known| known.confirmed >= end);
        if known.confirmed >= end {
            self.in_hand = None;
            return Ok(());
        }
        Err(why_not(known))
    }

    /// Before the first link nobody knows what is too large.
    fn await_link(&self) -> Result<(), HandlerError> {
        let known = self.shared.wait(LOOK, |known| known.links > 0);
        if known.links > 0 { Ok(()) } else { Err(why_not(known)) }
    }
}

/// Why nothing goes on.
fn why_not(known: Known) -> HandlerError {
    match known.state {
        OutboxState::Halted(halt) => Fatal(halt.into()).into(),
        OutboxState::Stopped => Fatal("the outbox was stopped".into()).into(),
        _ => {
            let why = known.last_error.map_or_else(String::new, |error| format!(": {error}"));
            format!("the broker has not confirmed it yet{why}").into()
        }
    }
}

impl<E, F> BatchHandler<E> for Handler<F>
where
    F: FnMut(&E) -> Result<Option<Parcel>, HandlerError>,
{
    fn on_batch(&mut self, events: &[E], at: At<'_>) -> Result<(), HandlerError> {
        let (first, end) = (at.sequence(), at.sequence() + events.len() as u64);
        if self.in_hand != Some(end) {
            self.await_link()?;
            let parcels = self.parcels(events, first)?;
            // If nobody listens, why not is told below.
            let _ = self.feeder.blocking_send(Fed::Events { parcels, read_to: end });
            self.in_hand = Some(end);
        }
        self.await_confirmation(end)
    }

    fn on_stop(&mut self) {
        self.sends.stop.send_replace(Some(Instant::now() + PATIENCE_OF_DROP));
    }
}

struct OnRing {
    when_unsendable: WhenUnsendable,
    passed: Arc<AtomicU64>,
}

impl Ground for OnRing {
    fn save(
        &mut self,
        _: u64,
        _: [Option<u64>; 2],
        _: &[u64],
        _: Durability,
    ) -> Result<(), Unwritten> {
        Ok(())
    }

    fn set_aside(&mut self, out: &Out, reason: &str) -> Result<(), Unwritten> {
        match self.when_unsendable {
            WhenUnsendable::Pass => {
                self.passed.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            WhenUnsendable::Halt => Err(Unwritten::Never(OutboxHalt::Unsendable {
                sequence: out.sequence,
                problem: reason.into(),
            })),
        }
    }

    fn again(&self, _: u64, _: usize) -> Result<Vec<(u64, u64, Parcel)>, Unwritten> {
        Ok(Vec::new())
    }
}
