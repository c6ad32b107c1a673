//! The journal of a ring.

use std::{fmt, sync::Arc};

use slipring::{At, BatchHandler, HandlerError as RingError, Shared, Station, read_batch_handler};

use super::{
    handle::Journal,
    ledger::{Ledger, Written},
    policy::{SyncPolicy, WhenFailing, WhenRefused},
};
use crate::{Entry, EventStore, StoreError};

/// A journal that is to be placed on a ring: it stores every event before those behind it see it.
///
/// The events that the station finds published, up to
/// [`max_batch`](slipring::Station::max_batch), are one commit (two where the ring wraps): a group commit, the larger the
/// longer the store takes. Its buffers are used again; of its own it allocates nothing for an event. Where events are
/// large, `max_batch` keeps a commit below what the store takes at once: 512 MiB in a server.
///
/// # Examples
/// Handlers see what is durable, and nothing else:
/// ```
/// use slipring::{Builder, read};
/// use slipring_store::{Codec, Entry, EventStore, Json, Memory, journal};
/// use std::sync::Arc;
///
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// struct Order { number: u64, cents: u64 }
///
/// let store = Arc::new(Memory::new());
/// let kept = journal("orders", store.clone(), |order: &Order, bytes| {
///     Json.encode(order, bytes)?;
///     Ok(Entry::new("order.created", bytes))
/// })?;
/// let journal = kept.handle();
/// let (mut producer, dispatcher) = Builder::new(1024, Order::default)
///     .first_sequence(journal.first_sequence())
///     .then(kept.station())
///     .then(read("mail", {
///         let journal = journal.clone();
///         move |_: &Order, at| assert!(journal.is_durable(at.sequence()).unwrap())
///     }))
///     .start()?;
/// producer.publish(|order| *order = Order { number: 7, cents: 1999 })?;
/// drop(producer);
/// dispatcher.join()?;
/// assert_eq!(store.bounds()?.durable, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is stored before its station is on a ring"]
pub struct JournalStation<E, F> {
    name: String,
    ledger: Ledger,
    write: F,
    event: std::marker::PhantomData<fn(&E)>,
}

impl<E, F> fmt::Debug for JournalStation<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalStation").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A journal of that name, which writes events into a store: `write` makes an entry of an event, with room for its
/// payload, and is called once for each.
///
/// One name writes to a store once at a time: whoever opens it takes it over, and who had it before fails at its next
/// batch. Opening it writes a mark, durably, by which it goes on the next time.
///
/// # Errors
/// The store cannot be read or written.
pub fn journal<E, F>(
    name: impl Into<String>,
    store: Arc<impl EventStore>,
    write: F,
) -> Result<JournalStation<E, F>, StoreError>
where
    F: for<'a> FnMut(&'a E, &'a mut Vec<u8>) -> Result<Entry<'a>, RingError>,
{
    let name = name.into();
    let ledger = Ledger::open(store, &name)?;
    Ok(JournalStation { name, ledger, write, event: std::marker::PhantomData })
}

impl<E, F> JournalStation<E, F> {
    /// When what it commits is made durable; [`SyncPolicy::EachBatch`] if not given.
    pub fn sync(mut self, policy: SyncPolicy) -> Self {
        self.ledger.sync = policy;
        self
    }

    /// What it does when the store fails; [`WhenFailing::Halt`] if not given.
    pub fn when_failing(mut self, what: WhenFailing) -> Self {
        self.ledger.when_failing = what;
        self
    }

    /// What it does with an event that no store takes; [`WhenRefused::Halt`] if not given.
    pub fn when_refused(mut self, what: WhenRefused) -> Self {
        self.ledger.when_refused = what;
        self
    }

    /// To ask it how far it is.
    pub fn handle(&self) -> Journal {
        self.ledger.handle()
    }
}

impl<E, F> JournalStation<E, F>
where
    E: Send + Sync + 'static,
    F: for<'a> FnMut(&'a E, &'a mut Vec<u8>) -> Result<Entry<'a>, RingError> + Send + 'static,
{
    /// The station, for [`Builder::then`](slipring::Builder::then). It
    /// [tells](slipring::StationSnapshot::told) `stored`, `bytes`, `commits`, `syncs`, `refused`, `failures`, the time
    /// of the `last commit`, and `failing`, which is 1 while the store does not take what it is given: the one to set an
    /// alarm on. Its policy is part of what it promises: leave it as it is.
    pub fn station(self) -> Station<E, Shared> {
        let Self { name, ledger, write, event: _ } = self;
        let (policy, idle_after) = (ledger.policy(), ledger.sync.idle_after());
        let told = ledger.handle();
        let station = read_batch_handler(name, move || OnRing { ledger, write })
            .policy(policy)
            .tell(move |figures| told.shared.tell(figures));
        match idle_after {
            Some(time) => station.idle_after(time),
            None => station,
        }
    }
}

struct OnRing<F> {
    ledger: Ledger,
    write: F,
}

impl<E, F> BatchHandler<E> for OnRing<F>
where
    F: for<'a> FnMut(&'a E, &'a mut Vec<u8>) -> Result<Entry<'a>, RingError>,
{
    fn on_batch(&mut self, events: &[E], at: At<'_>) -> Result<(), RingError> {
        let write = &mut self.write;
        self.ledger.keep(at.sequence(), events.len(), |index, batch, bytes| {
            batch.append(write(&events[index], bytes)?)?;
            Ok(Written::Stored)
        })
    }

    fn on_idle(&mut self) {
        self.ledger.idle();
    }

    fn on_halt(&mut self) {
        self.ledger.halt();
    }

    fn on_stop(&mut self) {
        self.ledger.end();
    }
}
