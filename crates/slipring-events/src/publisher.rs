//! Publishing events.

use std::{
    fmt,
    future::poll_fn,
    ops::Range,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use slipring::{Fault, MultiProducer, PublishError};

use crate::{
    card::Card,
    clock::Time,
    draft::Draft,
    drive,
    event::Event,
    gate::Way,
    hub::Hub,
    id::{EventId, Source},
    inline::Inline,
    receipt::{Answers, Receipt, Ticket},
    request::{Asker, Request},
    slot::Slot,
    stamps::Stamps,
    topics::{self, ByTopic, Names, TopicId, TopicRefused},
};

/// Publishes events on a bus. It can be cloned, one for each thread or task.
///
/// Events of one publisher come in its order; those of all publishers in one order that every handler sees.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Bus};
///
/// let bus = Bus::<AnyEvent>::start(64)?;
/// let mut publisher = bus.publisher();
/// let nobody = publisher.publish(AnyEvent::new("hello"))?;
/// assert_eq!(nobody.handlers(), 0); // Which is no error.
///
/// let _words = bus.handler("words").on::<&str>().run(|word, _| println!("{word}"))?;
/// let published = publisher.publish(AnyEvent::new("hello"))?;
/// assert_eq!(published.handlers(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Publisher<E: Event> {
    hub: Arc<Hub<E>>,
    inline: Arc<Inline<E>>,
    producer: MultiProducer<Slot<E>>,
    stamps: Stamps,
    names: Names,
    reach: Reach,
}

/// How many handlers a topic reaches.
#[derive(Debug, Default)]
struct Reach {
    edition: u64,
    handlers: ByTopic<u32>,
}

/// An event that is on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    source: Source,
    sequence: u64,
    handlers: u32,
}

impl Published {
    /// Where it stands on its ring.
    pub fn sequence(self) -> u64 {
        self.sequence
    }

    /// Its id, if it was not given one.
    pub fn id(self) -> EventId {
        EventId::of(self.source, self.sequence)
    }

    /// How many handlers subscribe to its topic: those that were registered before it was published, and have not
    /// left. 0 is no error: nobody wanted to know.
    pub fn handlers(self) -> usize {
        self.handlers as usize
    }
}

/// An event that was not published, and why.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused<T> {
    /// What was to be published.
    pub event: T,
    /// Why it was not.
    pub reason: RefusedReason,
}

/// Why an event was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedReason {
    /// There is no room now, or follow-ups of handlers go first. Only the `try_` form says so.
    #[error("the ring is full: try again later, or use a form that waits")]
    Full,
    /// There was no room in time.
    #[error("the ring was full for too long: handlers are slow, or hold; see their accounts")]
    TimedOut,
    /// The bus is closed.
    #[error("the bus is closed: it takes no more events")]
    Closed,
    /// Its [journal](crate::Journal) cannot store events: nothing passes that is not stored.
    #[error("the bus has halted: {0}")]
    Halted(Fault),
    /// More events than the ring has room for can never be published together.
    #[error("a batch of {asked} events never fits a ring of {capacity}: split it")]
    TooLarge {
        /// Events in the batch.
        asked: usize,
        /// Slots in the ring.
        capacity: usize,
    },
    /// A handler of this bus would wait for room that it may have to make itself.
    #[error(
        "a handler waits for room on its own bus, which may never come: publish by its context"
    )]
    WouldDeadlock,
    /// It cannot be published under this topic.
    #[error(transparent)]
    Topic(#[from] TopicRefused),
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> std::error::Error for Refused<T> {}

/// How long to wait for room.
#[derive(Clone, Copy)]
enum Patience {
    None,
    Until(Option<Instant>),
}

impl<E: Event> Clone for Publisher<E> {
    fn clone(&self) -> Self {
        Self::new(
            Arc::clone(&self.hub),
            Arc::clone(&self.inline),
            self.producer.clone(),
            self.stamps.clone(),
        )
    }
}

impl<E: Event> fmt::Debug for Publisher<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("bus", &self.hub.identity.name).finish_non_exhaustive()
    }
}

// Events are given back as they came: what refuses them is not rare enough to box them.
#[allow(clippy::result_large_err)]
impl<E: Event> Publisher<E> {
    pub(crate) fn new(
        hub: Arc<Hub<E>>,
        inline: Arc<Inline<E>>,
        producer: MultiProducer<Slot<E>>,
        stamps: Stamps,
    ) -> Self {
        Self { hub, inline, producer, stamps, names: Names::new(), reach: Reach::default() }
    }

    /// Publishes an event; waits for room. When it returns, the handlers that run
    /// [inline](crate::Registration::inline) have seen it.
    ///
    /// # Errors
    /// The event, and why it was refused.
    #[inline]
    pub fn publish(&mut self, event: impl Into<E>) -> Result<Published, Refused<E>> {
        self.publish_one(event.into(), Patience::Until(None))
    }

    /// As [`publish`](Self::publish), without waiting.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); `Full` if there is no room.
    #[inline]
    pub fn try_publish(&mut self, event: impl Into<E>) -> Result<Published, Refused<E>> {
        self.publish_one(event.into(), Patience::None)
    }

    /// As [`publish`](Self::publish), waiting at most so long.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); `TimedOut` if there was no room.
    pub fn publish_within(
        &mut self,
        time: Duration,
        event: impl Into<E>,
    ) -> Result<Published, Refused<E>> {
        self.publish_one(event.into(), Patience::Until(Instant::now().checked_add(time)))
    }

    /// As [`publish`](Self::publish), for a task: awaits room. Dropped before it is done, it has not published.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_async(&mut self, event: impl Into<E>) -> Result<Published, Refused<E>> {
        match self.publish_one(event.into(), Patience::None) {
            Err(Refused { event, reason: RefusedReason::Full }) => self.publish_later(event).await,
            done => done,
        }
    }

    async fn publish_later(&mut self, event: E) -> Result<Published, Refused<E>> {
        let topic = match self.names.id(event.name(), &self.hub.identity.topics) {
            Ok(topic) => topic,
            Err(refused) => return Err(Refused { event, reason: refused.into() }),
        };
        let mut event = Some(event);
        let placed = self.place_async(|slot, now| slot.write_plain(&mut event, now, topic)).await;
        match placed {
            Ok(sequence) => Ok(self.published(sequence, topic, Patience::None)),
            Err(reason) => self.refused(reason, topic, event, Patience::None),
        }
    }

    /// Publishes events one behind the other, with nothing between; waits for room for all of them. They are taken
    /// out of the vector, which stays as it is if they are refused.
    ///
    /// # Errors
    /// Why they were refused: all of them.
    pub fn publish_batch(&mut self, events: &mut Vec<E>) -> Result<Range<u64>, RefusedReason> {
        let topic = |event: &E| self.names.id(event.name(), &self.hub.identity.topics);
        // So that a batch is refused as a whole.
        let topics: Result<Vec<TopicId>, TopicRefused> = events.iter().map(topic).collect();
        let (topics, count) = (topics?, events.len());
        self.way(Patience::Until(None))?;
        let now = self.stamps.now();
        let mut each = std::mem::take(events).into_iter();
        let mut topics = topics.into_iter();
        let mut write = |_: usize, slot: &mut Slot<E>| {
            if let Some(topic) = topics.next() {
                slot.write_plain(&mut each.next(), now, topic);
            }
        };
        let mut sent = self.producer.try_publish_batch(count, &mut write);
        let placed = loop {
            match sent {
                Err(PublishError::Full | PublishError::TimedOut) if self.hub.is_inside() => {
                    break Err(RefusedReason::WouldDeadlock);
                }
                Err(PublishError::Full | PublishError::TimedOut) => self.inline.drive(&self.hub),
                other => break other.map_err(reason),
            }
            if let Err(refused) = self.way(Patience::Until(None)) {
                break Err(refused);
            }
            let slice = self.inline.slice(None);
            sent = self.producer.publish_batch_deadline(slice, count, &mut write);
        };
        *events = each.collect();
        match &placed {
            Ok(range) if !range.is_empty() => self.inline.drive_to(&self.hub, range.end - 1),
            _ => self.inline.drive(&self.hub),
        }
        placed
    }

    /// Publishes an event and all that is to be said of it; waits for room.
    ///
    /// # Errors
    /// The draft, and why it was refused.
    pub fn send(&mut self, draft: Draft<E>) -> Result<Published, Refused<Draft<E>>> {
        self.send_with(draft, Patience::Until(None))
    }

    /// As [`send`](Self::send), without waiting.
    ///
    /// # Errors
    /// As [`send`](Self::send); `Full` if there is no room.
    pub fn try_send(&mut self, draft: Draft<E>) -> Result<Published, Refused<Draft<E>>> {
        self.send_with(draft, Patience::None)
    }

    /// Publishes an event of which one can learn when all handlers are done with it, and what they came to.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn publish_tracked(&mut self, event: impl Into<E>) -> Result<Receipt, Refused<Draft<E>>> {
        self.send_tracked(Draft::new(event))
    }

    /// As [`publish_tracked`](Self::publish_tracked), with more than the event.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_tracked(&mut self, mut draft: Draft<E>) -> Result<Receipt, Refused<Draft<E>>> {
        let ticket = Arc::<Ticket>::default();
        draft.extra.ticket = Some(Arc::clone(&ticket));
        let topic = self.hub.identity.topics.of(&draft);
        let published = self.send(draft)?;
        // It was published under one: it has one.
        let name = topic.map(|topic| self.hub.identity.topics.name(topic)).unwrap_or_default();
        let handlers = self.hub.with_handlers(|handlers| {
            let waits = |card: &&Arc<_>| is_reached(card, &name, published.sequence);
            let wanted = handlers.iter().filter(waits);
            wanted.map(|card| Arc::clone(card) as Arc<dyn Answers>).collect()
        });
        let journal =
            self.hub.journal.as_ref().map(|journal| Arc::clone(journal) as Arc<dyn Answers>);
        let handlers: Vec<_> = journal.into_iter().chain::<Vec<_>>(handlers).collect();
        Ok(Receipt::new(published, ticket, handlers))
    }

    /// Publishes a question, to which a handler [replies](crate::Context::reply).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn request(&mut self, event: impl Into<E>) -> Result<Request<E>, Refused<Draft<E>>> {
        let asker = Asker::new();
        let published = self.send(Draft::new(event).asked_by(Arc::clone(&asker)))?;
        Ok(Request::new(published, asker))
    }

    /// Whether the bus is closed.
    pub fn is_closed(&self) -> bool {
        self.hub.gate.way() == Way::Closed
    }

    // ---- the same for all forms ----

    #[inline(always)]
    fn publish_one(&mut self, event: E, patience: Patience) -> Result<Published, Refused<E>> {
        let topic = match self.names.id(event.name(), &self.hub.identity.topics) {
            Ok(topic) => topic,
            Err(refused) => return Err(Refused { event, reason: refused.into() }),
        };
        let mut event = Some(event);
        let placed = self.place(patience, |slot, now| slot.write_plain(&mut event, now, topic));
        match placed {
            Ok(sequence) => Ok(self.published(sequence, topic, patience)),
            Err(reason) => self.refused(reason, topic, event, patience),
        }
    }

    fn send_with(
        &mut self,
        draft: Draft<E>,
        patience: Patience,
    ) -> Result<Published, Refused<Draft<E>>> {
        let topic = match self.hub.identity.topics.of(&draft) {
            Ok(topic) => topic,
            Err(refused) => return Err(Refused { event: draft, reason: refused.into() }),
        };
        let mut draft = Some(draft);
        let placed = self.place(patience, |slot, now| {
            if let Some(Draft { event, time, extra, topic: _ }) = draft.take() {
                slot.write(event, time.unwrap_or(now), topic, extra);
            }
        });
        match placed {
            Ok(sequence) => Ok(self.published(sequence, topic, patience)),
            Err(reason) => self.refused(reason, topic, draft, patience),
        }
    }

    /// `event` is what was not published, if it was not.
    #[cold]
    fn refused<T>(
        &mut self,
        reason: RefusedReason,
        topic: TopicId,
        event: Option<T>,
        patience: Patience,
    ) -> Result<Published, Refused<T>> {
        match event {
            Some(event) => Err(Refused { event, reason }),
            // It is on the ring, whatever came after.
            None => Ok(self.published(u64::MAX, topic, patience)),
        }
    }

    #[inline]
    fn published(&mut self, sequence: u64, topic: TopicId, patience: Patience) -> Published {
        match patience {
            Patience::Until(None) => self.inline.drive_to(&self.hub, sequence),
            // What follows may have to wait for room, and the caller does not want to.
            _ => self.inline.tend(&self.hub),
        }
        let handlers = self.reach.of(topic, &self.hub);
        Published { source: self.hub.identity.source, sequence, handlers }
    }

    #[inline(always)]
    fn place(
        &mut self,
        patience: Patience,
        write: impl FnOnce(&mut Slot<E>, Time),
    ) -> Result<u64, RefusedReason> {
        self.way(patience)?;
        let (now, mut write) = (self.stamps.now(), Some(write));
        let mut once =
            |slot: &mut Slot<E>| write.take().into_iter().for_each(|write| write(slot, now));
        match self.producer.try_publish(&mut once) {
            Err(PublishError::Full) => self.place_in_time(patience, &mut once),
            other => other.map_err(reason),
        }
    }

    #[cold]
    fn place_in_time(
        &mut self,
        patience: Patience,
        write: &mut dyn FnMut(&mut Slot<E>),
    ) -> Result<u64, RefusedReason> {
        let Patience::Until(deadline) = patience else { return Err(RefusedReason::Full) };
        if self.hub.is_inside() {
            return Err(RefusedReason::WouldDeadlock);
        }
        loop {
            self.look_after_inline(deadline);
            // It may have been closed, and follow-ups may have come.
            self.way(patience)?;
            let slice = self.inline.slice(deadline);
            match self.producer.publish_deadline(slice, &mut *write) {
                Err(PublishError::TimedOut) if deadline.is_none_or(|deadline| slice < deadline) => {
                }
                other => return other.map_err(reason),
            }
        }
    }

    /// Handlers that run in the publishers' threads may have to make room. What follows from their events may have to
    /// wait for some: whoever has a deadline does not wait for that.
    fn look_after_inline(&self, deadline: Option<Instant>) {
        match deadline {
            None => self.inline.drive(&self.hub),
            Some(_) => self.inline.tend(&self.hub),
        }
    }

    /// Waits while follow-ups go first.
    #[inline]
    fn way(&self, patience: Patience) -> Result<(), RefusedReason> {
        match self.hub.gate.way() {
            Way::Open => Ok(()),
            Way::Closed => Err(RefusedReason::Closed),
            Way::Busy => self.await_way(patience),
        }
    }

    #[cold]
    fn await_way(&self, patience: Patience) -> Result<(), RefusedReason> {
        let Patience::Until(deadline) = patience else { return Err(RefusedReason::Full) };
        if self.hub.is_inside() {
            return Err(RefusedReason::WouldDeadlock);
        }
        loop {
            self.look_after_inline(deadline);
            let slice = self.inline.slice(deadline);
            if self.hub.gate.wait(Some(slice)) {
                break;
            }
            if deadline.is_some_and(|deadline| slice >= deadline) {
                return Err(RefusedReason::TimedOut);
            }
        }
        if self.is_closed() { Err(RefusedReason::Closed) } else { Ok(()) }
    }

    async fn place_async(
        &mut self,
        write: impl FnOnce(&mut Slot<E>, Time),
    ) -> Result<u64, RefusedReason> {
        loop {
            let (gate, hub) = (&self.hub.gate, &self.hub);
            let way = poll_fn(|task| match gate.is_in_the_way(task.waker()) {
                // Those follow-ups may wait for this very handler to go on.
                true if hub.is_inside() => Poll::Ready(Err(RefusedReason::WouldDeadlock)),
                true => Poll::Pending,
                false => Poll::Ready(Ok(())),
            });
            match select(way, pin!(self.inline.turn_up(&self.hub))).await {
                Either::Left((way, _)) => break way?,
                Either::Right(_) => self.inline.tend(&self.hub),
            }
        }
        if self.is_closed() {
            return Err(RefusedReason::Closed);
        }
        let now = self.stamps.now();
        // A handler that awaits this may be the one that has to make room.
        if self.hub.is_inside() {
            return self.place(Patience::None, write).map_err(|refused| match refused {
                RefusedReason::Full => RefusedReason::WouldDeadlock,
                other => other,
            });
        }
        let mut write = Some(write);
        let mut once =
            |slot: &mut Slot<E>| write.take().into_iter().for_each(|write| write(slot, now));
        // To fall asleep, and to be woken, takes as long as many events; others of its runtime may make room meanwhile.
        for _ in 0..drive::LOOKS {
            match self.producer.try_publish(&mut once) {
                Err(PublishError::Full) => drive::pause().await,
                other => return other.map_err(reason),
            }
            if self.hub.gate.way() != Way::Open {
                break;
            }
        }
        loop {
            if self.is_closed() {
                return Err(RefusedReason::Closed);
            }
            // Handlers that run in the publishers' threads may have to make room.
            self.inline.tend(&self.hub);
            let placed = pin!(self.producer.publish_async(&mut once));
            if let Either::Left((placed, _)) =
                select(placed, pin!(self.inline.turn_up(&self.hub))).await
            {
                return placed.map_err(reason);
            }
        }
    }
}

impl Reach {
    #[inline]
    fn of<E: Event>(&mut self, topic: TopicId, hub: &Hub<E>) -> u32 {
        // What is learned below may be of a later one: then it is forgotten the next time.
        let edition = hub.edition();
        if self.edition != edition {
            self.handlers.forget();
            self.edition = edition;
        }
        self.handlers.get(topic, || {
            let name = hub.identity.topics.name(topic);
            hub.with_handlers(|handlers| {
                let wanted = handlers.iter().filter(|card| topics::wants(&card.patterns, &name));
                wanted.count() as u32
            })
        })
    }
}

fn is_reached<E: Event>(card: &Card<E>, topic: &str, sequence: u64) -> bool {
    card.first <= sequence && topics::wants(&card.patterns, topic)
}

#[allow(clippy::needless_pass_by_value)] // For `map_err`.
fn reason(error: PublishError) -> RefusedReason {
    match error {
        PublishError::Full => RefusedReason::Full,
        PublishError::TimedOut => RefusedReason::TimedOut,
        PublishError::TooLarge { asked, capacity } => RefusedReason::TooLarge { asked, capacity },
        PublishError::WouldDeadlock { .. } => RefusedReason::WouldDeadlock,
        PublishError::Halted(fault) => RefusedReason::Halted(fault),
        _ => RefusedReason::Closed,
    }
}
