//! What lies in a slot of the ring, and what is copied out of it when it cannot wait there.

use std::sync::Arc;

use crate::{
    checkpoints::DoneBefore, clock::Time, envelope::Metadata, event::Event, id::EventId,
    receipt::Ticket, request::Asker, topics::TopicId,
};

/// A slot: an event, and what every event has. What few have stands apart, and is not touched for the others.
///
/// It begins with a cache line: a publisher waits for as many lines as it writes, and small events need no second one.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Slot<E: Event> {
    head: Head,
    /// From the first time on that an event had something here, and then for good.
    extra: Option<Box<Extra<E>>>,
    /// Nothing before the first lap, and in what only wakes handlers up.
    event: Option<E>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub time: Time,
    pub topic: TopicId,
    /// Whether what few events have belongs to this one.
    has_extra: bool,
}

/// What few events have.
#[derive(Clone, Debug)]
pub(crate) struct Extra<E: Event> {
    /// An id that was made elsewhere.
    pub id: Option<EventId>,
    pub correlation: Option<EventId>,
    pub causation: Option<EventId>,
    pub metadata: Option<Arc<Metadata>>,
    /// Whoever waits until all handlers are done.
    pub ticket: Option<Arc<Ticket>>,
    /// Whoever waits for a reply.
    pub asker: Option<Arc<Asker<E>>>,
    /// It was read from where it is stored.
    pub is_replay: bool,
    /// Where that is, of one that a handler had missed: it is not on the ring.
    pub place: Option<u64>,
}

impl<E: Event> Default for Extra<E> {
    fn default() -> Self {
        Self {
            id: None,
            correlation: None,
            causation: None,
            metadata: None,
            ticket: None,
            asker: None,
            is_replay: false,
            place: None,
        }
    }
}

impl<E: Event> Extra<E> {
    fn is_empty(&self) -> bool {
        let Self { id, correlation, causation, metadata, ticket, asker, is_replay, place: _ } =
            self;
        let has_id = id.is_some() || correlation.is_some() || causation.is_some();
        !(has_id || metadata.is_some() || ticket.is_some() || asker.is_some() || *is_replay)
    }
}

impl<E: Event> Slot<E> {
    pub(crate) fn new() -> Self {
        let head = Head { time: Time::default(), topic: TopicId::NONE, has_extra: false };
        Self { head, extra: None, event: None }
    }

    pub(crate) fn write(&mut self, event: E, time: Time, topic: TopicId, extra: Extra<E>) {
        self.let_go();
        let has_extra = !extra.is_empty();
        match &mut self.extra {
            _ if !has_extra => {}
            Some(place) => **place = extra,
            place @ None => *place = Some(Box::new(extra)),
        }
        self.event = Some(event);
        self.head = Head { time, topic, has_extra };
    }

    /// As `write`, for an event that has nothing but itself.
    #[inline]
    pub(crate) fn write_plain(&mut self, event: &mut Option<E>, time: Time, topic: TopicId) {
        self.let_go();
        self.event = event.take();
        self.head = Head { time, topic, has_extra: false };
    }

    /// Makes it one that is no event, and only has handlers look around.
    pub(crate) fn nudge(&mut self) {
        self.let_go();
        self.head = Head { time: Time::default(), topic: TopicId::NONE, has_extra: false };
    }

    /// Drops what was in it a lap ago. A destructor that panics is nobody's business here: whoever publishes has
    /// nothing to do with that event.
    #[inline]
    fn let_go(&mut self) {
        let extra = match &mut self.extra {
            Some(extra) if self.head.has_extra => Some(std::mem::take(&mut **extra)),
            _ => None,
        };
        let event = self.event.take();
        if extra.is_some() || std::mem::needs_drop::<E>() {
            let drop_them = std::panic::AssertUnwindSafe(|| drop((event, extra)));
            if let Err(payload) = std::panic::catch_unwind(drop_them) {
                let drop_it = std::panic::AssertUnwindSafe(|| drop(payload));
                // There is no end to how often it could panic.
                std::panic::catch_unwind(drop_it).err().into_iter().for_each(std::mem::forget);
            }
        }
    }

    /// What is in it; `None` if it only has handlers look around.
    pub(crate) fn read(&self, sequence: u64) -> Option<Delivered<'_, E>> {
        let extra = if self.head.has_extra { self.extra.as_deref() } else { None };
        self.event.as_ref().map(|event| Delivered { sequence, head: &self.head, event, extra })
    }
}

/// An event where it lies: on the ring, or among those that have been put aside.
#[derive(Debug)]
pub(crate) struct Delivered<'a, E: Event> {
    pub sequence: u64,
    pub head: &'a Head,
    pub event: &'a E,
    extra: Option<&'a Extra<E>>,
}

// Not derived: it is copied whatever the event is.
#[allow(clippy::expl_impl_clone_on_copy)]
impl<E: Event> Clone for Delivered<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Event> Copy for Delivered<'_, E> {}

impl<'a, E: Event> Delivered<'a, E> {
    pub(crate) fn extra(&self) -> Option<&'a Extra<E>> {
        self.extra
    }

    /// Where it stands for the handler that has it in hand.
    pub(crate) fn stands_at(&self) -> DoneBefore {
        let place = self.extra.and_then(|extra| extra.place);
        place.map_or(DoneBefore::Sequence(self.sequence), DoneBefore::Place)
    }

    pub(crate) fn ticket(&self) -> Option<&'a Arc<Ticket>> {
        self.extra.and_then(|extra| extra.ticket.as_ref())
    }

    /// A copy, so that the ring can go on.
    pub(crate) fn put_aside(&self) -> Aside<E> {
        let extra = self.extra.cloned().map(Box::new);
        Aside { sequence: self.sequence, head: *self.head, event: self.event.clone(), extra }
    }
}

/// An event that has been taken off the ring.
#[derive(Clone, Debug)]
pub(crate) struct Aside<E: Event> {
    pub sequence: u64,
    pub head: Head,
    pub event: E,
    extra: Option<Box<Extra<E>>>,
}

impl<E: Event> Aside<E> {
    /// An event that was never on the ring.
    pub(crate) fn new(
        sequence: u64,
        event: E,
        time: Time,
        topic: TopicId,
        extra: Extra<E>,
    ) -> Self {
        let head = Head { time, topic, has_extra: true };
        Self { sequence, head, event, extra: Some(Box::new(extra)) }
    }

    pub(crate) fn delivered(&self) -> Delivered<'_, E> {
        let extra = self.extra.as_deref();
        Delivered { sequence: self.sequence, head: &self.head, event: &self.event, extra }
    }

    /// Whoever waits is told now: this copy goes on without them.
    pub(crate) fn let_go(&mut self) -> Option<Arc<Ticket>> {
        self.extra.as_mut().and_then(|extra| extra.ticket.take())
    }
}
