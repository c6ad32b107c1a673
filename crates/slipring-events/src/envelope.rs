//! An event with what is known about it, as it goes to other programs and comes from them.

mod metadata;
#[cfg(any(feature = "json", feature = "postcard"))]
mod wire;

use std::borrow::Cow;

use crate::{
    Clock, Event, EventId, SystemClock, Time,
    topic::{self, TopicError},
};

pub use metadata::Metadata;
#[cfg(any(feature = "json", feature = "postcard"))]
pub use wire::EnvelopeError;

/// An event outside of a bus: which it is, what it is called, when and where it happened, what it
/// follows from, and what it holds.
///
/// # Examples
/// ```
/// use slipring_events::Envelope;
///
/// let order = Envelope::of("order.created", vec!["lamp"])?.from_source("shop");
/// let parcel = Envelope::of("parcel.packed", "lamp")?.following(&order);
///
/// assert_eq!(parcel.causation, Some(order.id));
/// assert_eq!(parcel.correlation, Some(order.id));
/// assert_ne!(parcel.id, order.id);
/// # Ok::<(), slipring_events::TopicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Envelope<E> {
    /// Which event it is; the same wherever and however often it is read.
    pub id: EventId,
    /// What it is called: words with dots between, by which subscribers pick it.
    pub topic: Cow<'static, str>,
    /// When it happened.
    pub time: Time,
    /// Who says so; empty if nobody wants to.
    #[cfg_attr(feature = "serde", serde(default))]
    pub source: Cow<'static, str>,
    /// The first event of the story that it belongs to.
    #[cfg_attr(feature = "serde", serde(default))]
    pub correlation: Option<EventId>,
    /// The event that led to it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub causation: Option<EventId>,
    /// Whatever else is to go with it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub metadata: Metadata,
    /// What happened.
    pub payload: E,
}

impl<E: Event> Envelope<E> {
    /// An event that happens now, under the name it has, with a [random id](EventId::random).
    ///
    /// # Examples
    /// ```
    /// use slipring_events::{AnyEvent, Envelope};
    ///
    /// let envelope = Envelope::new(AnyEvent::named("order.created", 7_u32));
    /// assert_eq!(envelope.topic, "order.created");
    /// assert_eq!(envelope.source, "");
    /// ```
    pub fn new(payload: E) -> Self {
        Self::at_once(Cow::Borrowed(payload.name()), payload)
    }
}

impl<E> Envelope<E> {
    /// Something that happens now and is called like that, with a [random id](EventId::random).
    ///
    /// # Errors
    /// If it [cannot be called](topic::check) like that.
    pub fn of(topic: impl Into<Cow<'static, str>>, payload: E) -> Result<Self, TopicError> {
        let topic = topic.into();
        topic::check(&topic)?;
        Ok(Self::at_once(topic, payload))
    }

    fn at_once(topic: Cow<'static, str>, payload: E) -> Self {
        Self {
            id: EventId::random(),
            topic,
            time: SystemClock.now(),
            source: Cow::Borrowed(""),
            correlation: None,
            causation: None,
            metadata: Metadata::default(),
            payload,
        }
    }

    /// It as told by somebody.
    #[must_use = "an envelope is built by value, another is returned"]
    pub fn from_source(mut self, source: impl Into<Cow<'static, str>>) -> Self {
        self.source = source.into();
        self
    }

    /// It as what another event led to: part of the same story, which begins with that other event
    /// if it is part of none.
    #[must_use = "an envelope is built by value, another is returned"]
    pub fn following<C>(mut self, cause: &Envelope<C>) -> Self {
        self.correlation = cause.correlation.or(Some(cause.id));
        self.causation = Some(cause.id);
        self
    }

    /// The same event with its content in another form.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::Envelope;
    ///
    /// let text = Envelope::of("order.created", "7")?;
    /// let number = text.clone().map(str::len);
    /// assert_eq!((number.id, number.payload), (text.id, 1));
    /// # Ok::<(), slipring_events::TopicError>(())
    /// ```
    pub fn map<F>(self, change: impl FnOnce(E) -> F) -> Envelope<F> {
        Envelope {
            id: self.id,
            topic: self.topic,
            time: self.time,
            source: self.source,
            correlation: self.correlation,
            causation: self.causation,
            metadata: self.metadata,
            payload: change(self.payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnyEvent;

    #[test]
    fn a_new_event_has_an_id_a_name_and_a_time() {
        let before = SystemClock.now();
        let envelopes = [(); 2].map(|()| Envelope::new(AnyEvent::named("order.created", ())));
        for envelope in &envelopes {
            assert_eq!((&*envelope.topic, &*envelope.source), ("order.created", ""));
            assert_eq!((envelope.correlation, envelope.causation), (None, None));
            assert!(envelope.metadata.is_empty());
            // A clock that is set back in between is not what this is about.
            assert!(envelope.time >= before || SystemClock.now() < before);
        }
        assert_ne!(envelopes[0].id, envelopes[1].id);
    }

    #[test]
    fn a_story_goes_by_its_first_event() {
        let order = Envelope::of("order.created", ()).unwrap();
        let paid = Envelope::of("order.paid", 1999).unwrap().following(&order);
        let sent = Envelope::of("parcel.sent", "").unwrap().following(&paid);
        assert_eq!((paid.correlation, paid.causation), (Some(order.id), Some(order.id)));
        assert_eq!((sent.correlation, sent.causation), (Some(order.id), Some(paid.id)));
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        assert_eq!(Envelope::of("", ()).map(drop), Err(TopicError::Empty));
        assert!(matches!(Envelope::of("order.*", ()), Err(TopicError::Wildcard { .. })));
    }

    #[test]
    fn only_the_content_is_mapped() {
        let cause = Envelope::of("order.created", ()).unwrap();
        let mut envelope = Envelope::of("order.paid", 7).unwrap().from_source("shop");
        envelope = envelope.following(&cause);
        envelope.metadata.insert("currency", "EUR");
        let text = envelope.clone().map(|number| number.to_string());
        assert_eq!(text.payload, "7");
        assert_eq!(text.map(|text| text.parse::<i32>().unwrap()), envelope);
    }
}
