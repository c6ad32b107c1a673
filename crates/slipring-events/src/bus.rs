//! The bus: a ring, and the handlers on it.

use std::{
    fmt,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use slipring::{BuildError, Builder, Dispatcher, Fault, Monitor, Wait};

use crate::{
    account::Account,
    by_hand::Hands,
    card::{Card, Orders},
    clock::{Clock, SystemClock},
    delivery::DeadLetters,
    event::Event,
    hub::{Hub, Identity},
    id::Source,
    inline::Inline,
    journal::{self, Journal, Progress},
    publisher::Publisher,
    receipt::Answers as _,
    registration::Registration,
    slot::Slot,
    stamps::Keeper,
    topics::Topics,
};

/// How long the dropping of a bus waits for its handlers.
const PATIENCE_OF_DROP: Duration = Duration::from_secs(5);
/// How long handlers have to leave when the time is over.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// An event bus on a ring.
///
/// Every handler has a cursor of its own: it sees all events that it asks for, in order, at its own pace, and a slow
/// or failing one is no concern of the others — until the ring is full: then the publishers wait for the slowest,
/// unless it has a [lag limit](Registration::lag_limit). Nothing is lost.
///
/// # Examples
/// ```
/// use slipring_events::{Bus, events};
/// use std::time::Duration;
///
/// #[derive(Clone, Debug)]
/// pub struct Order { id: u32, quantity: u32 }
///
/// #[derive(Clone, Debug)]
/// pub struct Deducted { order: u32 }
///
/// events! {
///     /// What happens in the shop.
///     pub enum Shop {
///         Created(Order) = "order.created",
///         Deducted(Deducted) = "inventory.deducted",
///     }
/// }
///
/// let bus = Bus::<Shop>::start(1024)?;
/// let _stock = bus.handler("stock").on::<Order>().run(|order, context| {
///     context.publish(Deducted { order: order.id }) // What follows from it.
/// })?;
/// let _audit = bus.handler("audit").topic("#").run(|event, context| {
///     println!("{} {}: {event:?}", context.sequence(), context.topic());
/// })?;
/// bus.publisher().publish(Order { id: 7, quantity: 2 })?;
/// println!("{}", bus.shutdown(Duration::from_secs(5))?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Bus<E: Event> {
    hub: Arc<Hub<E>>,
    inline: Arc<Inline<E>>,
    hands: Hands,
    letters: DeadLetters<E>,
    wait: Wait,
    /// To be cloned.
    publisher: Mutex<Publisher<E>>,
    /// None when it has ended.
    dispatcher: Option<Dispatcher<Slot<E>>>,
}

/// Describes a bus, and starts it.
#[must_use = "a bus does nothing until it is started"]
pub struct BusBuilder<E: Event> {
    capacity: usize,
    name: String,
    source: Option<Source>,
    first_sequence: Option<u64>,
    clock: Keeper,
    wait: Wait,
    most_topics: usize,
    letters: DeadLetters<E>,
    journal: Option<Box<dyn Journal<E>>>,
}

/// How a bus has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BusReport {
    /// The handlers that were there, in the order in which they were registered.
    pub handlers: Vec<HandlerReport>,
    /// The journal, if there was one.
    pub journal: Option<JournalReport>,
}

/// How a journal has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JournalReport {
    /// Its name.
    pub name: Arc<str>,
    /// How many slots of the ring it has not come to: events that are published and not stored. No handler has seen
    /// them.
    pub left: u64,
    /// Why it has failed, if it has.
    pub fault: Option<Fault>,
}

/// How a handler has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandlerReport {
    /// Its name.
    pub name: Arc<str>,
    /// What has become of the events that it came to.
    pub account: Account,
}

/// A bus has not come to its end in time: what was not done went to the dead letters, or is still in the hands of
/// the handlers that are named.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the bus was not done in time{}: {report}", at_it(running))]
#[non_exhaustive]
pub struct NotDone {
    /// How it has ended.
    pub report: BusReport,
    /// Handlers that are still at it. They leave when they return.
    pub running: Vec<Arc<str>>,
}

fn at_it(running: &[Arc<str>]) -> String {
    if running.is_empty() {
        String::new()
    } else {
        format!(", and {} still at it", running.join(", "))
    }
}

impl fmt::Display for BusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, HandlerReport { name, account }) in self.handlers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{name}: {account}")?;
        }
        let Some(JournalReport { name, left, fault }) = &self.journal else { return Ok(()) };
        if *left > 0 {
            write!(f, "; {name} has left {left} events unstored")?;
        }
        fault.as_ref().map_or(Ok(()), |fault| write!(f, "; {fault}"))
    }
}

impl<E: Event> fmt::Debug for BusBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusBuilder")
            .field("capacity", &self.capacity)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<E: Event> BusBuilder<E> {
    /// What it is called: the source of its events, in text.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What the ids of its events are made of, with their sequence. A new one for every bus if not given: one that
    /// counts from 0 again must not give old ids to new events. A bus whose events are replayed has one of its own.
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// The sequence of the first event: 0 if not given, at most 2^62.
    pub fn first_sequence(mut self, first: u64) -> Self {
        self.first_sequence = Some(first);
        self
    }

    /// What tells the time: the system's clock if not given, to which each publisher's events keep within a
    /// microsecond.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Keeper::new(clock);
        self
    }

    /// How threads wait for events and for room.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// How many topics it remembers, 65,536 if not given.
    pub fn most_topics(mut self, topics: usize) -> Self {
        self.most_topics = topics;
        self
    }

    /// Where events go that a handler has failed on, unless the handler says otherwise: room for 1,024, of which
    /// the oldest go, if not given.
    pub fn dead_letters(mut self, letters: DeadLetters<E>) -> Self {
        self.letters = letters;
        self
    }

    /// Stores every event before a handler sees it: what is published from outside, what follows, and replies. What
    /// ids are made of, and where sequences begin, it says unless the bus is told.
    ///
    /// Handlers stand behind it on the ring, in whatever way they run. One that runs
    /// [inline](Registration::inline) is run when the journal has passed the event: `publish` waits for that;
    /// after a form that does not wait it may be the journal's own thread that runs it. A
    /// [receipt](Publisher::publish_tracked) has the journal among those that it waits for. If the journal halts, so
    /// does the bus: publishers are refused, and handlers end behind what is stored.
    pub fn journal(mut self, journal: impl Journal<E>) -> Self {
        self.journal = Some(Box::new(journal));
        self
    }

    /// Starts the bus.
    ///
    /// # Errors
    /// What is wrong with the ring.
    pub fn start(self) -> Result<Bus<E>, BuildError> {
        let Self { capacity, name, source, clock, wait, most_topics, letters, journal, .. } = self;
        let first = self
            .first_sequence
            .unwrap_or_else(|| journal.as_ref().map_or(0, |journal| journal.first_sequence()));
        let source = source.or_else(|| journal.as_ref().and_then(|journal| journal.source()));
        let identity = Arc::new(Identity {
            source: source.unwrap_or_else(|| Source::fresh(&name)),
            name: name.into(),
            topics: Topics::new(most_topics),
        });
        let inline = Arc::new(Inline::new());
        let ring = Builder::new(capacity, Slot::new).wait(wait).first_sequence(first);
        let (ring, progress) = match journal {
            None => (ring.without_stations(), None),
            Some(journal) => {
                let progress = Progress::new(&journal.name(), first);
                let (identity, inline) = (Arc::clone(&identity), Arc::clone(&inline));
                let station = journal::station(journal, identity, inline, Arc::clone(&progress));
                (ring.then(station), Some(progress))
            }
        };
        let (producer, dispatcher) = ring.start_multi()?;
        let (members, clock_of_all) = (dispatcher.membership(), clock.clock.clone());
        let hub =
            Arc::new(Hub::new(identity, members, clock_of_all, producer.clone(), progress.clone()));
        if let Some(progress) = progress {
            progress.introduce(&hub);
        }
        let publisher = Mutex::new(Publisher::new(
            Arc::clone(&hub),
            Arc::clone(&inline),
            producer,
            clock.stamps(),
        ));
        let hands = Hands::default();
        Ok(Bus { hub, inline, hands, letters, wait, publisher, dispatcher: Some(dispatcher) })
    }
}

impl<E: Event> fmt::Debug for Bus<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("name", &self.hub.identity.name)
            .field("handlers", &self.accounts())
            .finish_non_exhaustive()
    }
}

impl<E: Event> Bus<E> {
    /// A bus with room for `capacity` events, a power of two.
    ///
    /// # Errors
    /// What is wrong with the ring.
    pub fn start(capacity: usize) -> Result<Self, BuildError> {
        Self::builder(capacity).start()
    }

    /// Describes a bus with room for `capacity` events, a power of two.
    pub fn builder(capacity: usize) -> BusBuilder<E> {
        BusBuilder {
            capacity,
            name: "bus".to_owned(),
            source: None,
            first_sequence: None,
            clock: Keeper::new(SystemClock),
            wait: Wait::default(),
            most_topics: 65_536,
            letters: DeadLetters::new(1_024),
            journal: None,
        }
    }

    /// How many events it has room for.
    pub fn capacity(&self) -> usize {
        self.dispatcher.as_ref().map_or(0, Dispatcher::capacity)
    }

    /// Registers a handler: says first what it is called.
    pub fn handler(&self, name: impl Into<String>) -> Registration<'_, E> {
        Registration::new(self, name.into())
    }

    /// Publishes events.
    pub fn publisher(&self) -> Publisher<E> {
        self.publisher.lock().clone()
    }

    /// Where events go that a handler has failed on, unless the handler says otherwise.
    pub fn dead_letters(&self) -> &DeadLetters<E> {
        &self.letters
    }

    /// The handlers that are there, and what has become of their events.
    pub fn accounts(&self) -> Vec<HandlerReport> {
        self.hub.handlers().iter().map(report).collect()
    }

    /// Looks at the ring: its stations are the handlers. Of each the account has the attempts as
    /// [`calls`](slipring::StationReport::calls), with those that failed and those that were made again, and
    /// [told](slipring::StationSnapshot::told) are, as of its last turn, and by the names in its [`Account`]:
    /// `waiting`, `dead`, `lost`, `unsent`, `requeued`, `caught up`, `deferred`, `duplicates`, `passed over`, `filtered` and `follow-ups`;
    /// and `held`, which is 1 while it is not to go on, because of a breaker, a bulkhead, a throttle, what was put aside,
    /// or a store that fails.
    ///
    /// ```
    /// use slipring_events::{AnyEvent, Bus};
    ///
    /// let bus = Bus::<AnyEvent>::start(64)?;
    /// let (_handler, mut hand) = bus.handler("mail").on::<u32>().by_hand(|_, _| Err::<(), _>("no server"))?;
    /// bus.publisher().publish(AnyEvent::new(4_u32))?;
    /// hand.step();
    /// let mail = &bus.monitor().snapshot().stations[0];
    /// assert_eq!((mail.account.calls, mail.account.failed), (1, 1));
    /// let dead = mail.told.iter().find(|figure| figure.name == "dead");
    /// assert_eq!(dead.map(|dead| dead.value), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// Not before the bus has ended, and then nobody has it.
    pub fn monitor(&self) -> Monitor {
        self.dispatcher.as_ref().expect("it has not ended").monitor()
    }

    /// Takes nothing more from outside. Handlers go on, also with what follows.
    pub fn close(&self) {
        self.hub.gate.close();
        self.inline.call_onlookers();
    }

    /// Takes nothing more from outside, waits until everything is done that was published, with what follows from
    /// it and with trying again, and ends the bus. When the time is over before, handlers are told to leave after
    /// the event in hand, for which they have one second more; what waits to be tried again goes to the dead letters.
    ///
    /// # Errors
    /// It was not done in time.
    pub fn shutdown(mut self, timeout: Duration) -> Result<BusReport, NotDone> {
        self.end(timeout)
    }

    pub(crate) fn hub(&self) -> &Arc<Hub<E>> {
        &self.hub
    }

    pub(crate) fn inline(&self) -> &Arc<Inline<E>> {
        &self.inline
    }

    pub(crate) fn hands(&self) -> &Hands {
        &self.hands
    }

    pub(crate) fn wait(&self) -> Wait {
        self.wait
    }

    fn end(&mut self, timeout: Duration) -> Result<BusReport, NotDone> {
        let Some(dispatcher) = self.dispatcher.take() else {
            return Ok(BusReport { handlers: Vec::new(), journal: None });
        };
        let deadline = Instant::now().checked_add(timeout);
        self.close();
        if thread::panicking() {
            // Nobody runs them in this thread any more.
            self.inline.clear(Instant::now());
            self.hands.clear();
        }
        let quiet = self.await_quiet(deadline);
        let is_done = quiet.is_some();
        let cards = quiet.unwrap_or_else(|| self.hub.handlers());
        if !is_done {
            for card in &cards {
                card.order(Orders::Quit);
            }
        }
        // From here on follow-ups are refused as well.
        self.hub.end();
        dispatcher.close();
        let last = Instant::now() + LAST_MOMENTS;
        let last = deadline.map_or(last, |deadline| deadline.max(last));
        self.inline.tend(&self.hub);
        self.inline.clear(last);
        self.hands.clear();
        let still_at_it = |card: &&Arc<Card<E>>| !card.await_end(Some(last));
        let running: Vec<Arc<str>> =
            cards.iter().filter(still_at_it).map(|card| Arc::clone(&card.name)).collect();
        let journal = self.end_journal(dispatcher, last);
        let is_stored = journal.as_ref().is_none_or(JournalReport::is_complete);
        let report = BusReport { handlers: cards.iter().map(report).collect(), journal };
        if is_done && is_stored && running.is_empty() {
            Ok(report)
        } else {
            Err(NotDone { report, running })
        }
    }

    /// Ends the ring. Its stations are the handlers, which were waited for, and the journal.
    fn end_journal(
        &self,
        dispatcher: Dispatcher<Slot<E>>,
        deadline: Instant,
    ) -> Option<JournalReport> {
        let Some(journal) = &self.hub.journal else {
            drop(dispatcher.shutdown(Duration::ZERO));
            return None;
        };
        let name = Arc::clone(journal.name());
        let ended = dispatcher.shutdown(deadline.saturating_duration_since(Instant::now()));
        let fault = ended.as_ref().err().and_then(|error| error.fault().cloned());
        let report = ended.unwrap_or_else(|error| error.report);
        let left = report.station(&name).map_or(0, |station| station.left);
        Some(JournalReport { name, left, fault })
    }

    /// Waits until nothing is on its way any more, and closes the ring there. Returns the handlers that were there
    /// then.
    fn await_quiet(&self, deadline: Option<Instant>) -> Option<Vec<Arc<Card<E>>>> {
        let mut mark = None;
        let mut nap = Duration::from_micros(20);
        loop {
            self.inline.tend(&self.hub);
            self.hands.step();
            let handlers = self.hub.handlers();
            mark = mark.or_else(|| self.hub.nudge());
            if let Some(at) = mark
                && self.is_quiet_behind(at, &handlers)
            {
                // Everybody is past the mark, and nothing that follows waits. If nothing came after it, that is all;
                // and nothing does any more, neither from one who has passed the gate before it was closed.
                if self.hub.close_at(at + 1) {
                    return Some(handlers);
                }
                mark = self.hub.nudge();
            }
            let has_halted = self.hub.journal.as_ref().is_some_and(|journal| journal.is_over());
            if has_halted || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
            thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(2));
        }
    }

    fn is_quiet_behind(&self, mark: u64, handlers: &[Arc<Card<E>>]) -> bool {
        let is_past = |card: &Arc<Card<E>>| {
            let account = card.account();
            account.next > mark && account.waiting == 0 && !card.is_catching_up()
        };
        let is_stored = self.hub.journal.as_ref().is_none_or(|journal| journal.has_passed(mark));
        is_stored && handlers.iter().all(is_past) && self.hub.gate.pending() == 0
    }
}

impl<E: Event> Drop for Bus<E> {
    /// As [`shutdown`](Bus::shutdown), with 5 seconds.
    fn drop(&mut self) {
        drop(self.end(PATIENCE_OF_DROP));
    }
}

impl JournalReport {
    /// Whether all that was published is stored.
    pub fn is_complete(&self) -> bool {
        self.left == 0 && self.fault.is_none()
    }
}

fn report<E: Event>(card: &Arc<Card<E>>) -> HandlerReport {
    HandlerReport { name: Arc::clone(&card.name), account: card.account() }
}

#[cfg(test)]
mod tests {
    use slipring::PublishError;

    use super::*;
    use crate::AnyEvent;

    #[test]
    fn who_has_passed_the_gate_before_it_was_closed_is_refused_when_all_is_done() {
        let mut bus = Bus::<AnyEvent>::start(4).unwrap();
        let _handler = bus.handler("all").run(|_, _| ()).unwrap();
        // Behind the gate there is nothing else before the ring.
        let mut past_the_gate = bus.hub.producer().unwrap();
        bus.close();
        let handlers = bus.await_quiet(None).expect("there is nothing to be done");
        assert_eq!(handlers.len(), 1);
        assert_eq!(past_the_gate.try_publish(Slot::nudge), Err(PublishError::Closed));
        // It has ended already.
        drop(bus.dispatcher.take());
    }
}
