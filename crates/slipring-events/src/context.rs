//! What a handler is told of the event in hand, and what it may do besides.

use std::{sync::Arc, time::Duration};

use crate::{
    checkpoints::DoneBefore,
    clock::Time,
    delivery::HandlerError,
    draft::Draft,
    envelope::{Envelope, Metadata},
    event::Event,
    hub::Hub,
    id::EventId,
    request::Asker,
    slot::Delivered,
    topics::{TopicId, TopicRefused},
};

/// What a handler is told of the event in hand, and what it may do besides.
#[derive(Debug)]
pub struct Context<'a, E: Event> {
    hub: &'a Hub<E>,
    handler: &'a Arc<str>,
    delivered: &'a Delivered<'a, E>,
    attempt: u32,
    outbox: &'a mut Outbox<E>,
}

/// What follows from the event in hand, published if its handler succeeds.
#[derive(Debug)]
pub(crate) struct Outbox<E: Event> {
    /// Each with how much later than now it is to be published, if so.
    pub drafts: Vec<(FollowUp<E>, Option<Duration>)>,
    /// How many there may be.
    pub room: usize,
    /// Whether somebody looks at the clock for those that come later.
    pub keeps_time: bool,
}

/// What follows from an event.
#[derive(Debug)]
pub(crate) struct FollowUp<E: Event> {
    pub draft: Draft<E>,
    pub topic: TopicId,
    /// Whoever has asked for it.
    pub asker: Option<Arc<Asker<E>>>,
    /// Where the event stands that it follows from.
    pub behind: DoneBefore,
}

/// Why a handler cannot publish what follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowUpError {
    /// As many wait for room as may.
    #[error(
        "{0} follow-ups of one handler are all that may wait: raise `follow_ups`, or publish fewer for an event"
    )]
    TooMany(usize),
    /// Nobody would publish it when its time has come.
    #[error(
        "an inline handler publishes nothing later, since nobody wakes it: give it a thread or a task"
    )]
    CannotWait,
    /// It cannot be published under this topic.
    #[error(transparent)]
    Topic(#[from] TopicRefused),
}

/// The event in hand is no question, or its asker was replied to in an earlier life of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody asked")]
pub struct NobodyAsked;

impl<'a, E: Event> Context<'a, E> {
    pub(crate) fn new(
        hub: &'a Hub<E>,
        handler: &'a Arc<str>,
        delivered: &'a Delivered<'a, E>,
        attempt: u32,
        outbox: &'a mut Outbox<E>,
    ) -> Self {
        Self { hub, handler, delivered, attempt, outbox }
    }

    /// Where the event stands on its ring: events come in this order.
    pub fn sequence(&self) -> u64 {
        self.delivered.sequence
    }

    /// The event's id: the one it came with, or one that says where it stands on its ring.
    pub fn id(&self) -> EventId {
        self.hub.identity.id_of(self.delivered)
    }

    /// When it happened.
    pub fn time(&self) -> Time {
        self.delivered.head.time
    }

    /// What it was published under.
    pub fn topic(&self) -> Arc<str> {
        self.hub.identity.topics.name(self.delivered.head.topic)
    }

    /// The conversation that it belongs to: that of the event that it follows from, or its own.
    pub fn correlation(&self) -> EventId {
        self.delivered.extra().and_then(|extra| extra.correlation).unwrap_or_else(|| self.id())
    }

    /// The event that has brought it about.
    pub fn causation(&self) -> Option<EventId> {
        self.delivered.extra().and_then(|extra| extra.causation)
    }

    /// What is said of it besides.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.delivered.extra().and_then(|extra| extra.metadata.as_deref())
    }

    /// Whether it has happened before, and is published [once more](crate::Draft::replayed): what is done for it in
    /// the world is done already. What is published by this context is not published then.
    pub fn is_replay(&self) -> bool {
        self.delivered.extra().is_some_and(|extra| extra.is_replay)
    }

    /// The whole event, whatever the handler sees of it.
    pub fn event(&self) -> &E {
        self.delivered.event
    }

    /// How often it has been tried, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The name of the handler.
    pub fn handler(&self) -> &str {
        self.handler
    }

    /// The event with all that belongs to it, to be kept or sent elsewhere.
    pub fn envelope(&self) -> Envelope<E> {
        self.hub.identity.envelope(self.delivered)
    }

    /// Publishes what follows from this event, when the handler has succeeded, in order. It belongs to the same
    /// conversation, and is caused by this event. If it fails, nothing of it is published.
    ///
    /// There is no waiting, and no deadlock: what finds no room goes as soon as there is some, ahead of all that
    /// comes from outside.
    ///
    /// # Errors
    /// More follow-ups wait than [may](crate::Registration::follow_ups), or it has no legal topic.
    pub fn publish(&mut self, event: impl Into<E>) -> Result<(), FollowUpError> {
        self.send(Draft::new(event))
    }

    /// As [`publish`](Self::publish), with more than the event.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn send(&mut self, draft: Draft<E>) -> Result<(), FollowUpError> {
        self.put(draft, None, None)
    }

    /// As [`publish`](Self::publish), but so much later, by the bus's clock: for deadlines and reminders. Until then
    /// it is kept in memory by the handler. If the handler leaves before, it goes to the dead letters as
    /// [`Unsent`](crate::Reason::Unsent); a shutdown does not wait for it.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); those that are kept count as well.
    pub fn publish_after(
        &mut self,
        delay: Duration,
        event: impl Into<E>,
    ) -> Result<(), FollowUpError> {
        self.put(Draft::new(event), None, Some(delay))
    }

    /// Replies to whoever has [asked](crate::Publisher::request). The reply is an event as well, published when the
    /// handler has succeeded.
    ///
    /// # Errors
    /// Nobody asked, or as [`publish`](Self::publish).
    pub fn reply(&mut self, event: impl Into<E>) -> Result<(), HandlerError> {
        let asker =
            self.delivered.extra().and_then(|extra| extra.asker.clone()).ok_or(NobodyAsked)?;
        Ok(self.put(Draft::new(event), Some(asker), None)?)
    }

    fn put(
        &mut self,
        mut draft: Draft<E>,
        asker: Option<Arc<Asker<E>>>,
        delay: Option<Duration>,
    ) -> Result<(), FollowUpError> {
        if self.outbox.drafts.len() >= self.outbox.room {
            return Err(FollowUpError::TooMany(self.outbox.room));
        }
        if delay.is_some() && !self.outbox.keeps_time {
            return Err(FollowUpError::CannotWait);
        }
        let topic = self.hub.identity.topics.of(&draft)?;
        if self.is_replay() {
            return Ok(());
        }
        draft.extra.correlation.get_or_insert(self.correlation());
        draft.extra.causation.get_or_insert(self.id());
        let behind = self.delivered.stands_at();
        self.outbox.drafts.push((FollowUp { draft, topic, asker, behind }, delay));
        Ok(())
    }
}
