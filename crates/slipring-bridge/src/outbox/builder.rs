//! How an outbox is described and started.

use std::{
    borrow::Cow,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};

use slipring_events::{Clock, Pattern, SystemClock};
use slipring_store::{Durability, EventStore, Reach, Record, StoreError, Subscription};
use tokio::{
    runtime,
    sync::{mpsc, watch},
};

use super::{
    OutboxHalt, OutboxHandle, OutboxState, StartError,
    books::{Books, Unwritten},
    check_name,
    flow::{Flow, Ground, Parts, Settings},
    handle::Shared,
    reader::Reading,
    selection::Selection,
    window::{Out, Window},
};
use crate::{Connect, Parcel, Pauses, Renames, pauses::message_of};

/// How many chunks of events wait to be sent, before the reading pauses.
const CHUNKS: usize = 2;

/// Sends what is in a store to a broker: see [`Outbox::builder`].
#[derive(Clone, Copy, Debug)]
pub struct Outbox;

/// Where an outbox begins that has not been there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BeginAt {
    /// At the first event that is still there.
    #[default]
    First,
    /// Behind what is durable now: it sends what comes.
    End,
    /// At that position.
    Position(u64),
}

/// Describes an outbox, and starts it; from [`Outbox::builder`].
#[must_use = "an outbox does nothing until it is started"]
pub struct OutboxBuilder<C> {
    name: String,
    store: Arc<dyn EventStore>,
    connect: C,
    begin: BeginAt,
    selection: Selection,
    settings: Settings,
}

impl<C> fmt::Debug for OutboxBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxBuilder")
            .field("name", &self.name)
            .field("begin", &self.begin)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// An outbox of that name, from a store to a broker.
    ///
    /// It sends what is durable, in the order of the store, and goes on where it was when it is started again: its name is
    /// the name of that place, and one program at a time runs it. No event that it has not sent is removed by
    /// [retention](slipring_store::EventStore::retain). With a store that was brought back from an older copy it needs another
    /// name: inboxes would take new events for those that had their positions before.
    ///
    /// # Examples
    /// ```
    /// use slipring_bridge::{Loopback, Outbox, OutboxState, Renames};
    /// use slipring_events::Pattern;
    /// use slipring_store::{Batch, Durability, Entry, EventStore, Memory};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let (store, broker) = (Arc::new(Memory::new()), Loopback::new());
    /// let mut batch = Batch::new();
    /// for topic in ["order.created", "log.line", "order.paid"] {
    ///     batch.append(Entry::new(topic, "7"))?;
    /// }
    /// let committed = store.commit(&batch, Durability::Synced)?;
    ///
    /// let outbox = Outbox::builder("orders", store, broker.clone())
    ///     .topic(Pattern::new("order.*")?)
    ///     .rename(Renames::none().prefix("order", "shop.order"))
    ///     .start()?;
    /// outbox.wait_for(committed.end, Duration::from_secs(60))?;
    /// assert_eq!(broker.waiting(), 2);
    /// assert_eq!(outbox.stop(Duration::from_secs(5)).confirmed, committed.end);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder<C: Connect>(
        name: impl Into<String>,
        store: Arc<impl EventStore>,
        connect: C,
    ) -> OutboxBuilder<C> {
        OutboxBuilder {
            name: name.into(),
            store,
            connect,
            begin: BeginAt::default(),
            selection: Selection::default(),
            settings: Settings::default(),
        }
    }

    /// Has the outbox of that [name](OutboxHandle::name), which is not at work, send again all that is behind an event when it
    /// is started the next time: for a broker that has lost what it had confirmed, and says which event it has as the last.
    /// Inboxes leave out what they have already. Says whether the outbox was further than that.
    ///
    /// # Errors
    /// There is no such outbox, it is being started, [retention](slipring_store::EventStore::retain) has removed some of those
    /// events ([`StoreError::Removed`]), or the store cannot be read or written.
    ///
    /// # Examples
    /// ```
    /// use slipring_bridge::{Loopback, Outbox};
    /// use slipring_store::{Batch, Durability, Entry, EventStore, Memory};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let (store, broker) = (Arc::new(Memory::new()), Loopback::new());
    /// let mut batch = Batch::new();
    /// for payload in ["0", "1", "2"] {
    ///     batch.append(Entry::new("order.created", payload))?;
    /// }
    /// let committed = store.commit(&batch, Durability::Synced)?;
    /// let outbox = Outbox::builder("orders", store.clone(), broker.clone()).start()?;
    /// outbox.wait_for(committed.end, Duration::from_secs(60))?;
    /// outbox.stop(Duration::from_secs(5));
    ///
    /// // "it has 0 as the last"
    /// assert!(Outbox::set_back(&store, "orders", 0)?);
    /// let outbox = Outbox::builder("orders", store, broker.clone()).start()?;
    /// outbox.wait_for(committed.end, Duration::from_secs(60))?;
    /// assert_eq!(broker.waiting(), 3 + 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_back<S: EventStore>(
        store: &Arc<S>,
        name: &str,
        behind: u64,
    ) -> Result<bool, StoreError> {
        let store: Arc<dyn EventStore> = store.clone();
        Books::set_back(&store, name, behind)
    }
}

impl<C: Connect> OutboxBuilder<C> {
    /// Where it begins, if it was not there before.
    pub fn begin_at(mut self, begin: BeginAt) -> Self {
        self.begin = begin;
        self
    }

    /// Only events whose topic matches this, or another pattern that is given; all, if none is. What is chosen is for the
    /// outbox's whole life: of events that other patterns would have left out, those near where it was may count as known
    /// in the next run. Give an outbox with others another name.
    pub fn topic(mut self, pattern: Pattern) -> Self {
        self.selection.patterns.push(pattern);
        self
    }

    /// One of several outboxes of this name that share the events, counted from 0: all events of a key go by the same one,
    /// and keep their order. Its [name](OutboxHandle::name) has the partition in it: with another number of them all
    /// begin anew.
    pub fn partition(mut self, partition: u32, of: u32) -> Self {
        self.selection.partition = Some((partition, of));
        self
    }

    /// The key of an event, by which it goes to a partition: its stream, if not given, or its topic if it has none.
    pub fn key(
        mut self,
        key: impl for<'a> Fn(&Record<'a>) -> Cow<'a, str> + Send + Sync + 'static,
    ) -> Self {
        self.selection.key = Box::new(key);
        self
    }

    /// What topics are called on the other side. An event whose topic would be none is set aside.
    pub fn rename(mut self, rules: Renames) -> Self {
        self.selection.renames = rules;
        self
    }

    /// What the payloads are, for other programs: `application/json`, say.
    pub fn content_type(mut self, content_type: impl Into<Cow<'static, str>>) -> Self {
        self.selection.content_type = content_type.into();
        self
    }

    /// Sends also what came in by an inbox, which is not sent if not given: only where no way leads back, or it goes in
    /// circles.
    pub fn from_elsewhere(mut self) -> Self {
        self.selection.from_elsewhere = true;
        self
    }

    /// How many parcels may be on the link and not confirmed: 1,024 if not given, and fewer if they have more than 64 MiB
    /// together.
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

    /// How often it writes down how far it is: after so many parcels, or so long; 4,096 and a quarter of a second if not
    /// given. What was sent since is sent again after a crash, and known there.
    pub fn checkpoint(mut self, parcels: usize, within: Duration) -> Self {
        (self.settings.save_every, self.settings.save_within) = (parcels.max(1), within);
        self
    }

    /// Starts it. That the broker is there is not waited for.
    ///
    /// # Errors
    /// It cannot be called so, there is no such position to begin at, the store cannot be read or written, or there is no
    /// thread to be had.
    pub fn start(self) -> Result<OutboxHandle, StartError> {
        let Self { name, store, connect, begin, selection, settings } = self;
        check_name(&name)?;
        let name = match selection.partition {
            Some((partition, of)) if partition >= of => {
                return Err(StartError::Partition { partition, of });
            }
            Some((partition, of)) => format!("{name}-{partition}-of-{of}"),
            None => name,
        };
        let bounds = store.bounds()?;
        let first = match begin {
            BeginAt::First => bounds.first,
            BeginAt::End => bounds.durable,
            BeginAt::Position(position) => position,
        };
        let books = Books::open(store.clone(), &name, first, bounds)?;
        let (progress, lane) = (books.progress(), lane(&name, &*store));
        let window = Window::new(settings.window, &lane, progress.confirmed, progress.next);
        let shared = Shared::new(progress.next);
        let (feeder, feed) = mpsc::channel(CHUNKS);
        let (stop, stopped) = watch::channel(None);
        let is_to_stop = Arc::<AtomicBool>::default();
        let letters = books.letters.clone();
        let connect = Arc::new(connect);
        let asked = connect.clone();
        let reading = Reading {
            subscription: Subscription::new(store.clone(), progress.next, Reach::Durable),
            selection,
            largest: Box::new(move || asked.largest()),
            letters: letters.clone(),
            passed: books.passed.clone(),
            feed: feeder,
            is_to_stop: is_to_stop.clone(),
            shared: shared.clone(),
        };
        let parts = Parts {
            connect,
            ground: InStore { books },
            window,
            settings,
            shared: shared.clone(),
            feed,
            stop: stopped,
            bell: letters.bell.clone(),
        };
        let mut handle = OutboxHandle {
            name: name.clone(),
            lane,
            store,
            shared,
            letters,
            stop,
            is_to_stop,
            threads: Vec::new(),
        };
        let reader = thread::Builder::new().name(format!("{name} reads"));
        handle.threads.push(reader.spawn(move || reading.run()).map_err(StartError::Thread)?);
        handle.threads.push(spawn(&name, parts)?);
        Ok(handle)
    }
}

/// What the parcels of an outbox say of where they come from.
fn lane(name: &str, store: &dyn EventStore) -> Arc<str> {
    format!("{:015x}/{name}", store.source().bits()).into()
}

/// A thread for the task that sends.
pub(crate) fn spawn<C: Connect, G: Ground>(
    name: &str,
    parts: Parts<C, G>,
) -> Result<thread::JoinHandle<()>, StartError> {
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let run = move || {
        let shared = parts.shared.clone();
        let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(Flow::new(parts).run())));
        // What the client has left in it need not be waited for.
        let _ = catch_unwind(AssertUnwindSafe(|| runtime.shutdown_background()));
        let state = match ran {
            Ok(Ok(())) => OutboxState::Stopped,
            Ok(Err(halt)) => OutboxState::Halted(halt),
            Err(payload) => OutboxState::Halted(OutboxHalt::Panicked {
                part: "the link to the broker",
                message: message_of(payload),
            }),
        };
        shared.post(|known| known.state = state);
    };
    thread::Builder::new().name(format!("{name} sends")).spawn(run).map_err(StartError::Thread)
}

struct InStore {
    books: Books,
}

impl Ground for InStore {
    fn save(
        &mut self,
        next: u64,
        confirmed: [Option<u64>; 2],
        again: &[u64],
        durability: Durability,
    ) -> Result<(), Unwritten> {
        self.books.save(next, confirmed, again, durability)
    }

    fn set_aside(&mut self, out: &Out, reason: &str) -> Result<(), Unwritten> {
        self.books.set_aside(out, reason, SystemClock.now())
    }

    fn again(&self, from: u64, most: usize) -> Result<Vec<(u64, u64, Parcel)>, Unwritten> {
        self.books.again(from, most)
    }
}
