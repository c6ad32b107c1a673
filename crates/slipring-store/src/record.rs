//! An event as it comes out of a store.

use std::borrow::Cow;

use slipring_events::{Envelope, EventId, Metadata, Time};

use crate::{Codec, CodecError, frame};

/// An event of a store. It borrows the store's own bytes; what is to be kept is copied by whoever keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<'a> {
    /// Where it stands in the store: the first event ever has 0, and no number is left out.
    pub position: u64,
    /// Which event it is, wherever and however often it is read.
    pub id: EventId,
    /// When it happened.
    pub time: Time,
    /// What it is called.
    pub topic: &'a str,
    /// Who says so; empty if nobody wanted to.
    pub source: &'a str,
    /// Where it stands in its stream, if it is in one.
    pub stream: Option<StreamPlace<'a>>,
    /// The first event of the story that it belongs to.
    pub correlation: Option<EventId>,
    /// The event that led to it.
    pub causation: Option<EventId>,
    /// Which form the payload has.
    pub schema: u16,
    /// What happened.
    pub payload: &'a [u8],
    pub(crate) notes: Notes<'a>,
}

/// Where an event stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPlace<'a> {
    /// What the stream is called.
    pub name: &'a str,
    /// The first event of a stream has 0, and no number is left out.
    pub version: u64,
}

/// Metadata that nobody has read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notes<'a>(pub &'a [u8]);

impl Record<'_> {
    /// What goes with it.
    ///
    /// # Errors
    /// It is not in the form in which this crate writes it.
    pub fn metadata(&self) -> Result<Metadata, CodecError> {
        frame::read_notes(self.notes.0).map_err(|error| CodecError::unreadable("metadata", error))
    }

    /// It as an envelope, with the payload read by a codec.
    ///
    /// # Errors
    /// The payload or the metadata cannot be read.
    ///
    /// # Examples
    /// ```
    /// use std::ops::ControlFlow;
    /// use slipring_store::{Batch, Codec, Durability, EventStore, Json, Memory};
    ///
    /// let store = Memory::new();
    /// let mut batch = Batch::new();
    /// batch.append(slipring_store::Entry::new("order.created", r#"["lamp",2]"#))?;
    /// store.commit(&batch, Durability::Synced)?;
    ///
    /// let mut orders = Vec::new();
    /// store.scan(0, &mut |record| {
    ///     orders.push(record.to_envelope::<(String, u32)>(&Json).map(|order| order.payload));
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(orders, [Ok(("lamp".into(), 2))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_envelope<E>(&self, codec: &impl Codec<E>) -> Result<Envelope<E>, CodecError> {
        let payload = codec.decode(self)?;
        let mut envelope = Envelope::of(self.topic.to_owned(), payload)
            .map_err(|error| CodecError::unreadable(self.topic, error))?;
        envelope.id = self.id;
        envelope.time = self.time;
        envelope.source = Cow::Owned(self.source.to_owned());
        envelope.correlation = self.correlation;
        envelope.causation = self.causation;
        envelope.metadata = self.metadata()?;
        Ok(envelope)
    }
}
