//! Registering a handler: what it wants to see, what is done when it fails, and who runs it.

use std::{
    fmt,
    hash::Hash,
    marker::PhantomData,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use slipring::{AttachError, LagPolicy, Start, Station, poller};

use crate::{
    bus::Bus,
    by_hand::ByHand,
    card::Card,
    checkpoints::{Checkpoints, NotDurable},
    context::Context,
    delivery::{
        Breaker, Bulkhead, DeadLetters, Inbox, Key, Retry, Throttle, Window, letters::Owner,
    },
    drive::{self, Tender},
    event::{Carries, Event},
    handler::{Awaited, Handle, Plain},
    layers::{
        Bare, Broken, Bulkheaded, DeadLettered, Idempotent, Inside, Retried, Throttled, Timed,
        Untimed,
    },
    outcome::Outcome,
    reactive::Pool,
    settings::{Order, Settings},
    share::{By, Share},
    slot::Slot,
    subscription::Subscription,
    told,
    topic::{Pattern, TopicError},
    view::{Part, View, Whole},
    worker::Worker,
};

mod refused;

pub use refused::RegisterError;

/// A handler that is about to be registered.
///
/// What it wants to see: [`on`](Self::on) a type, [`topic`](Self::topic) patterns; from which event on.
/// What stands around it, from the outside in: [`idempotent`](Self::idempotent),
/// [`dead_letters`](Self::dead_letters), [`retry`](Self::retry), [`breaker`](Self::breaker),
/// [`bulkhead`](Self::bulkhead), [`throttle`](Self::throttle), [`timeout`](Self::timeout); another order does not compile.
/// Who runs it: a thread of its own ([`run`](Self::run)), a [`task`](Self::task), the publishers' threads
/// ([`inline`](Self::inline)), or the caller ([`by_hand`](Self::by_hand)).
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Backoff, Bus, Retry};
/// use std::time::Duration;
///
/// #[derive(Clone)]
/// struct UserCreated { mail: String }
/// # fn send(_: &str) -> Result<(), std::io::Error> { Ok(()) }
///
/// let bus = Bus::<AnyEvent>::start(1024)?;
/// let _welcome = bus
///     .handler("welcome mail")
///     .on::<UserCreated>()
///     .idempotent(10_000)
///     .retry(Retry::immediately(1).then(Backoff::exponential(Duration::from_millis(50)), 5))
///     .run(|user, _| send(&user.mail))?;
/// bus.publisher().publish(AnyEvent::new(UserCreated { mail: String::from("ada@example.org") }))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// A retry outside of the idempotence would never see its event again:
/// ```compile_fail
/// use slipring_events::{AnyEvent, Bus, Retry};
///
/// let bus = Bus::<AnyEvent>::start(64).unwrap();
/// let _ = bus.handler("wrong").retry(Retry::immediately(3)).idempotent(100).run(|_, _| ());
/// ```
#[must_use = "a handler is registered when it is told who runs it"]
pub struct Registration<'b, E: Event, V: View<E> = Whole, L = Bare> {
    bus: &'b Bus<E>,
    name: String,
    patterns: Vec<Result<Pattern, TopicError>>,
    start: Start,
    settings: Settings<E, V::Seen>,
    layers: PhantomData<fn() -> L>,
}

impl<E: Event, V: View<E>, L> fmt::Debug for Registration<'_, E, V, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("name", &self.name)
            .field("patterns", &self.patterns)
            .finish_non_exhaustive()
    }
}

impl<'b, E: Event> Registration<'b, E> {
    pub(crate) fn new(bus: &'b Bus<E>, name: String) -> Self {
        let settings = Settings::new(bus.dead_letters().clone());
        Self { bus, name, patterns: Vec::new(), start: Start::Now, settings, layers: PhantomData }
    }

    /// It wants to see events that carry a `T`, and of those only that.
    pub fn on<T: 'static>(self) -> Registration<'b, E, Part<T>>
    where
        E: Carries<T>,
    {
        let Self { bus, name, patterns, start, settings, layers } = self;
        Registration { bus, name, patterns, start, settings: settings.seeing_less(), layers }
    }
}

impl<'b, E: Event, V: View<E>, L> Registration<'b, E, V, L> {
    /// It wants to see events whose topic matches: `order.created`, `order.*` (one word more), `order.#` (any
    /// number of words more). It may be called several times: one match is enough. Without it, all topics match.
    pub fn topic(mut self, pattern: &str) -> Self {
        self.patterns.push(Pattern::new(pattern));
        self
    }

    /// From which event on it sees them: [`Start::Now`] if not given, or the oldest one on the ring.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// What happens when it lags by more events than that. Without a limit it holds the publishers back, and loses
    /// nothing. `SkipAhead` passes over the oldest ones, counted; `Detach` has it leave; `Alert` only counts how often
    /// it was [late](crate::Account::late). From 1 to less than the ring has room for.
    pub fn lag_limit(mut self, events: u64, policy: LagPolicy) -> Self {
        self.settings.lag = Some((events, policy));
        self
    }

    /// How many events may be put aside at a time to be tried again later, 1,024 if not given. Then it holds.
    pub fn most_aside(mut self, events: usize) -> Self {
        self.settings.most_aside = events.max(1);
        self
    }

    /// How many follow-ups may wait for room at a time, 1,024 if not given. An event that leads to more fails.
    pub fn follow_ups(mut self, events: usize) -> Self {
        self.settings.most_follow_ups = events;
        self
    }

    /// Takes the time of each attempt, and the age of each event when it is handled, counted from its
    /// [time](crate::Context::time); by the bus's clock. The medians and the 99 % are told to whoever looks at the
    /// bus's [monitor](Bus::monitor). One stopwatch may be given to several handlers, which then tell the same.
    ///
    /// ```
    /// use slipring_events::{AnyEvent, Bus};
    /// use slipring_insight::Stopwatch;
    /// use std::time::Duration;
    ///
    /// let bus = Bus::<AnyEvent>::start(64)?;
    /// let times = Stopwatch::new();
    /// bus.handler("sum").on::<u32>().timed(&times).run(|_, _| ())?;
    /// bus.publisher().publish(AnyEvent::new(4_u32))?;
    /// bus.shutdown(Duration::from_secs(5))?;
    /// assert_eq!((times.service().calls, times.age().calls), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "insight")]
    pub fn timed(mut self, stopwatch: &slipring_insight::Stopwatch) -> Self {
        self.settings.times = Some(crate::times::Times(stopwatch.clone()));
        self
    }

    /// Events come strictly in order: while one waits to be tried again, all others wait as well.
    pub fn in_order(mut self) -> Self {
        self.settings.order = Order::Strict;
        self
    }

    /// Events of one key come in order: while one waits to be tried again, those of its key wait as well, and if it
    /// dies they are dead letters behind it, until they are requeued together. Other keys go on.
    pub fn in_sequence<K: Hash>(mut self, key: impl Fn(&V::Seen) -> K + Send + 'static) -> Self {
        self.settings.order = Order::ByKey(Box::new(move |seen| Key::of(&key(seen))));
        self
    }

    /// How far it is, is kept beyond the program. What it has not done when that ends comes first in the next run, of
    /// the topics that it asks for, in the order in which it is stored, and through all that stands around the handler;
    /// then it goes on with what is on the ring, without a gap and without a duplicate. The bus has to have a
    /// [journal](crate::BusBuilder::journal), and its dead letters have to be [kept](DeadLetters::kept).
    ///
    /// It is done with all before the first event that waits to be tried again, that is in hand, or whose follow-ups are
    /// not stored; dead letters are kept elsewhere, and hold nothing back. That is written when it has done many events, when it has
    /// nothing to do, and when it leaves. What comes after it comes again when the program ends otherwise: each event at
    /// least once, and with an [inbox](Self::idempotent_by) that is kept as well, once. An event that is among its dead letters
    /// does not come again. While nobody can tell or write how far it is, since the store fails, it holds, and
    /// [says why](Subscription::trouble).
    ///
    /// Until it has caught up it lets events of the ring pass where that gets full, and gets them from where they are stored:
    /// it holds nobody back so long. What is [replayed](crate::Draft::replayed) into the bus passes it by. When it leaves, what it has
    /// put aside does not go to the dead letters: it comes again.
    ///
    /// It is for handlers in a thread, in a task, on a pool or by hand that have all of the work to themselves.
    pub fn durable(mut self, checkpoints: impl Checkpoints<E> + 'static) -> Self {
        self.settings.durable = Some(Box::new(checkpoints));
        self
    }

    /// One of `of` handlers that share the work: of the events that it asks for it takes those of which the sequence
    /// falls to it, each to exactly one of them, and leaves alone the others, which are counted as
    /// [filtered](crate::Account::filtered). Each has a name, a cursor and an account of its own; they are numbered from 0.
    ///
    /// Events that are published before the last of them is registered may be nobody's.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::{AnyEvent, Bus};
    /// use std::time::Duration;
    ///
    /// let bus = Bus::<AnyEvent>::start(1024)?;
    /// for worker in 0..4 {
    ///     bus.handler(format!("resize {worker}")).on::<u32>().share(worker, 4).run(|_, _| ())?;
    /// }
    /// let mut publisher = bus.publisher();
    /// for number in 0..100_u32 {
    ///     publisher.publish(AnyEvent::new(number))?;
    /// }
    /// let report = bus.shutdown(Duration::from_secs(5))?;
    /// assert_eq!(report.handlers.iter().map(|worker| worker.account.handled).sum::<u64>(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn share(mut self, worker: u64, of: u64) -> Self {
        self.settings.share = Share::Part { worker, of, by: By::Sequence };
        self
    }

    /// As [`share`](Self::share), by a key: all events of one key are one handler's, in order.
    pub fn share_by<K: Hash>(
        mut self,
        worker: u64,
        of: u64,
        key: impl Fn(&V::Seen) -> K + Send + 'static,
    ) -> Self {
        let by = By::Key(Box::new(move |seen| Key::of(&key(seen))));
        self.settings.share = Share::Part { worker, of, by };
        self
    }

    fn within<M>(self) -> Registration<'b, E, V, M> {
        let Self { bus, name, patterns, start, settings, layers: _ } = self;
        Registration { bus, name, patterns, start, settings, layers: PhantomData }
    }

    /// Leaves out events that it has handled, among the last so many: by their ids, which are recorded when it has
    /// succeeded and not before.
    pub fn idempotent(self, events: usize) -> Registration<'b, E, V, Idempotent>
    where
        Idempotent: Inside<L>,
    {
        self.idempotent_by(Window::last(events))
    }

    /// As [`idempotent`](Self::idempotent), by a memory of one's own.
    pub fn idempotent_by(
        mut self,
        inbox: impl Inbox + 'static,
    ) -> Registration<'b, E, V, Idempotent>
    where
        Idempotent: Inside<L>,
    {
        self.settings.inbox = Some(Box::new(inbox));
        self.within()
    }

    /// Where events go that it has failed on for good; to [those of the bus](Bus::dead_letters) if not given.
    pub fn dead_letters(mut self, letters: &DeadLetters<E>) -> Registration<'b, E, V, DeadLettered>
    where
        DeadLettered: Inside<L>,
    {
        self.settings.letters = letters.clone();
        self.within()
    }

    /// How often and when it is tried again; not at all if not given. What comes after it goes on meanwhile, unless
    /// [`in_order`](Self::in_order) or [`in_sequence`](Self::in_sequence) say otherwise.
    pub fn retry(mut self, retry: Retry) -> Registration<'b, E, V, Retried>
    where
        Retried: Inside<L>,
    {
        self.settings.retry = retry;
        self.within()
    }

    /// After many failures in a row it is left alone for a while. Its events wait on the ring; none fails by it.
    pub fn breaker(mut self, breaker: Breaker) -> Registration<'b, E, V, Broken>
    where
        Broken: Inside<L>,
    {
        self.settings.breaker = Some(breaker);
        self.within()
    }

    /// Makes attempts only as far as others that share the bulkhead leave room. Its events wait on the ring.
    pub fn bulkhead(mut self, bulkhead: &Bulkhead) -> Registration<'b, E, V, Bulkheaded>
    where
        Bulkheaded: Inside<L>,
    {
        self.settings.bulkhead = Some(bulkhead.clone());
        self.within()
    }

    /// Makes only so many attempts in a time. Its events wait on the ring.
    pub fn throttle(mut self, throttle: Throttle) -> Registration<'b, E, V, Throttled>
    where
        Throttled: Inside<L>,
    {
        self.settings.throttle = Some(throttle);
        self.within()
    }

    /// An attempt that takes longer is dropped, and has failed. For [tasks](Self::task) only.
    pub fn timeout(mut self, time: Duration) -> Registration<'b, E, V, Timed>
    where
        Timed: Inside<L>,
    {
        self.settings.timeout = Some(time);
        self.within()
    }

    /// Registers it, with a thread of its own.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn run<R, F>(self, handler: F) -> Result<Subscription<E>, RegisterError>
    where
        L: Untimed,
        R: Outcome<E>,
        F: FnMut(&V::Seen, &mut Context<'_, E>) -> R + Send + 'static,
        V::Seen: 'static,
    {
        self.run_handler(Plain(handler))
    }

    /// As [`run`](Self::run), for any handler; one that awaits something has its thread wait.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn run_handler<H>(self, handler: H) -> Result<Subscription<E>, RegisterError>
    where
        L: Untimed,
        H: Handle<E, V::Seen> + Send + 'static,
        V::Seen: 'static,
    {
        let tender = self.tender();
        let (mut subscription, worker) = self.register(handler)?;
        let thread = thread::Builder::new().name(subscription.name().to_owned());
        // Not started, the worker is dropped, and has left.
        let thread = thread.spawn(move || drive::thread(worker, &tender))?;
        subscription.thread = Some(thread);
        Ok(subscription)
    }

    /// Registers it, to run as a task: the future is to be spawned, on whatever runtime. It sees what is published
    /// from now on, and holds the publishers back, also before it is polled. When the future is dropped it leaves.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::{AnyEvent, Bus};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::<AnyEvent>::start(64)?;
    /// let (_handler, task) = bus
    ///     .handler("fetch")
    ///     .on::<u32>()
    ///     .timeout(Duration::from_secs(5))
    ///     .task(async |number, _| println!("fetched {number}"))?;
    /// let task = tokio::spawn(task);
    /// bus.publisher().publish_async(AnyEvent::new(4_u32)).await?;
    /// let report = tokio::task::spawn_blocking(|| bus.shutdown(Duration::from_secs(5))).await??;
    /// assert_eq!(report.handlers[0].account.handled, 1);
    /// task.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`RegisterError`].
    #[allow(clippy::type_complexity)] // A pair for those that start it.
    pub fn task<R, F>(
        self,
        handler: F,
    ) -> Result<(Subscription<E>, impl Future<Output = ()> + use<E, V, L, R, F>), RegisterError>
    where
        R: Outcome<E>,
        F: AsyncFnMut(&V::Seen, &mut Context<'_, E>) -> R,
    {
        let tender = self.tender();
        let (subscription, worker) = self.register(Awaited(handler))?;
        Ok((subscription, drive::task(worker, tender)))
    }

    /// As [`task`](Self::task), for any handler.
    ///
    /// # Errors
    /// See [`RegisterError`].
    #[allow(clippy::type_complexity)]
    pub fn task_handler<H>(
        self,
        handler: H,
    ) -> Result<(Subscription<E>, impl Future<Output = ()> + use<E, V, L, H>), RegisterError>
    where
        H: Handle<E, V::Seen>,
    {
        let tender = self.tender();
        let (subscription, worker) = self.register(handler)?;
        Ok((subscription, drive::task(worker, tender)))
    }

    /// Registers it, to run in the threads of those who publish: when [`publish`](crate::Publisher::publish) returns
    /// it has seen the event, after all inline handlers that were registered before it. Publishers wait for each
    /// other then. What follows from events in other threads it sees there. Its own follow-ups are waited for by those
    /// who publish without a limit; others go on, and what found no room goes as soon as somebody makes some.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn inline<R, F>(self, handler: F) -> Result<Subscription<E>, RegisterError>
    where
        L: Untimed,
        R: Outcome<E>,
        F: FnMut(&V::Seen, &mut Context<'_, E>) -> R + Send + 'static,
        V::Seen: 'static,
    {
        self.inline_handler(Plain(handler))
    }

    /// As [`inline`](Self::inline), for any handler.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn inline_handler<H>(mut self, handler: H) -> Result<Subscription<E>, RegisterError>
    where
        L: Untimed,
        H: Handle<E, V::Seen> + Send + 'static,
        V::Seen: 'static,
    {
        if self.settings.durable.is_some() {
            return Err(NotDurable::Inline.into());
        }
        if self.settings.needs_time() {
            return Err(RegisterError::CannotWait);
        }
        self.settings.keeps_time = false;
        let bus = self.bus;
        // Before it is on the ring: a publisher that does not know of it yet has published where it is found below.
        bus.inline().expect_one();
        let registered = self.register(handler);
        let (subscription, worker) = registered.inspect_err(|_| bus.inline().expect_one_less())?;
        bus.inline().add(worker);
        bus.inline().tend(bus.hub());
        Ok(subscription)
    }

    /// Registers it, to run step by step.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn by_hand<R, F>(self, handler: F) -> Result<(Subscription<E>, ByHand<E>), RegisterError>
    where
        L: Untimed,
        R: Outcome<E>,
        F: FnMut(&V::Seen, &mut Context<'_, E>) -> R + Send + 'static,
        V::Seen: 'static,
    {
        self.by_hand_handler(Plain(handler))
    }

    /// As [`by_hand`](Self::by_hand), for any handler.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn by_hand_handler<H>(
        self,
        handler: H,
    ) -> Result<(Subscription<E>, ByHand<E>), RegisterError>
    where
        L: Untimed,
        H: Handle<E, V::Seen> + Send + 'static,
        V::Seen: 'static,
    {
        let (tender, hands) = (self.tender(), self.bus.hands());
        let (subscription, worker) = self.register(handler)?;
        Ok((subscription, ByHand::new(worker, tender, hands)))
    }

    fn tender(&self) -> Tender<E> {
        Tender { inline: Arc::clone(self.bus.inline()), hub: Arc::clone(self.bus.hub()) }
    }

    /// Registers it, to run on a pool of threads, which any number of handlers may share: hundreds of them need
    /// no thread each. One at a time runs it, and after each batch others have their turn; a handler that takes long
    /// keeps one thread of the pool meanwhile, and the others go on. One that waits for what another handler of the same
    /// pool does, as for room on a bus that that one has to make, may take the last thread from it, and wait for ever.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::{AnyEvent, Bus, reactive::Pool};
    /// use std::time::Duration;
    ///
    /// let (bus, pool) = (Bus::<AnyEvent>::start(1024)?, Pool::new(2)?);
    /// for number in 0..100 {
    ///     bus.handler(format!("customer {number}")).on::<u32>().pooled(&pool, |_, _| ())?;
    /// }
    /// bus.publisher().publish(AnyEvent::new(4_u32))?;
    /// let report = bus.shutdown(Duration::from_secs(5))?;
    /// assert!(report.handlers.iter().all(|handler| handler.account.handled == 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn pooled<R, F>(self, pool: &Pool, handler: F) -> Result<Subscription<E>, RegisterError>
    where
        L: Untimed,
        R: Outcome<E>,
        F: FnMut(&V::Seen, &mut Context<'_, E>) -> R + Send + 'static,
        V::Seen: Sync + 'static,
    {
        let tender = self.tender();
        let (subscription, worker) = self.register(Plain(handler))?;
        pool.spawn(drive::task(worker, tender));
        Ok(subscription)
    }

    #[allow(clippy::type_complexity)]
    fn register<H>(self, handler: H) -> Result<(Subscription<E>, Worker<E, V, H>), RegisterError>
    where
        H: Handle<E, V::Seen>,
    {
        let Self { bus, name, patterns, start, settings, layers: _ } = self;
        let mut patterns: Vec<Pattern> = patterns.into_iter().collect::<Result<_, _>>()?;
        if patterns.is_empty() {
            patterns.push(Pattern::everything());
        }
        let known = Arc::new(OnceLock::new());
        let teller = told::teller(Arc::clone(&known), settings.times.clone());
        let station: Station<Slot<E>, _> = poller(name.clone()).tell(teller);
        let hub = bus.hub();
        if hub.gate.way() == crate::gate::Way::Closed {
            return Err(AttachError::Closed.into());
        }
        if let Some((worker, of)) = settings.share.check() {
            return Err(RegisterError::Share { worker, of });
        }
        let capacity = bus.capacity();
        if settings.durable.is_some() {
            settings.check_durable(hub.journal.is_some(), start)?;
        }
        if let Some((limit, _)) = settings.lag
            && !(1..capacity as u64).contains(&limit)
        {
            return Err(RegisterError::LagLimit { limit, capacity });
        }
        let station = station.wait(bus.wait()).max_batch(settings.page);
        let poller = hub.members.attach_poller(station, start)?;
        let card = Card::new(name.into(), hub.next_number(), patterns.into(), poller.sequence());
        let inline = Arc::downgrade(bus.inline());
        let owner = Arc::new(Owner { card: Arc::new(card), hub: Arc::clone(hub), inline });
        settings.letters.introduce(&owner);
        let card = Arc::clone(&owner.card);
        known.get_or_init(|| Arc::clone(&card));
        let worker = Worker::new(poller, owner, settings, handler)?;
        hub.add(Arc::clone(&card));
        let (hub, inline) = (Arc::clone(hub), Arc::clone(bus.inline()));
        Ok((Subscription { card, hub, inline, thread: None }, worker))
    }
}
