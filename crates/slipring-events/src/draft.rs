//! An event before it is on the ring.

use std::sync::Arc;

use crate::{
    clock::Time, envelope::Metadata, event::Event, id::EventId, request::Asker, slot::Extra,
};

/// An event and what is to be said of it, before it is published: for whoever wants to give more than the event
/// itself.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Bus, Draft};
///
/// let bus = Bus::<AnyEvent>::start(64)?;
/// let mut publisher = bus.publisher();
/// let reading = Draft::new(AnyEvent::new(21.5_f32)).topic("sensor.attic.temperature").note("unit", "C");
/// publisher.send(reading)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a draft is not published before it is sent"]
pub struct Draft<E: Event> {
    pub(crate) event: E,
    pub(crate) topic: Option<Arc<str>>,
    pub(crate) time: Option<Time>,
    pub(crate) extra: Extra<E>,
}

impl<E: Event> Draft<E> {
    /// The event alone: its topic is its [name](Event::name), its time is when it is published, and its id says
    /// where it stands on its ring.
    pub fn new(event: impl Into<E>) -> Self {
        Self { event: event.into(), topic: None, time: None, extra: Extra::default() }
    }

    /// Publishes it under this topic, in place of its name.
    ///
    /// A bus remembers every topic that it has seen, up to a
    /// [limit](crate::BusBuilder::most_topics): they are meant for kinds and places, not for numbers of orders.
    pub fn topic(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Gives it an id that was made elsewhere: what comes from a broker comes with its own, and is the same event
    /// when it comes again.
    pub fn id(mut self, id: EventId) -> Self {
        self.extra.id = Some(id);
        self
    }

    /// When it happened, if not now.
    pub fn time(mut self, time: Time) -> Self {
        self.time = Some(time);
        self
    }

    /// The conversation that it belongs to. What a handler publishes belongs to that of the event that it handles.
    pub fn correlation(mut self, id: EventId) -> Self {
        self.extra.correlation = Some(id);
        self
    }

    /// The event that has brought it about.
    pub fn causation(mut self, id: EventId) -> Self {
        self.extra.causation = Some(id);
        self
    }

    /// Says something of it that is no part of the event: where it came from, a trace.
    pub fn note(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let metadata = self.extra.metadata.get_or_insert_default();
        Arc::make_mut(metadata).insert(key, value);
        self
    }

    /// All that is to be said of it at once.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.extra.metadata = Some(Arc::new(metadata));
        self
    }

    /// Says that it was read from where it is stored: a [journal](crate::Journal) passes it over, and what handlers
    /// [publish](crate::Context::publish) because of it is not published, since that is stored as well and comes by
    /// itself. Handlers can [ask](crate::Context::is_replay).
    pub fn replayed(mut self) -> Self {
        self.extra.is_replay = true;
        self
    }

    pub(crate) fn asked_by(mut self, asker: Arc<Asker<E>>) -> Self {
        self.extra.asker = Some(asker);
        self
    }
}

impl<E: Event> From<crate::Envelope<E>> for Draft<E> {
    /// The same event once more, with its id, its time and all that is said of it.
    fn from(envelope: crate::Envelope<E>) -> Self {
        let crate::Envelope { id, topic, time, correlation, causation, metadata, payload, .. } =
            envelope;
        let mut draft = Self::new(payload).topic(&*topic).id(id).time(time);
        draft.extra.correlation = correlation;
        draft.extra.causation = causation;
        if metadata.is_empty() { draft } else { draft.metadata(metadata) }
    }
}
