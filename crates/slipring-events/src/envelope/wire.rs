//! Envelopes as bytes: JSON to be read by anybody, postcard to be small.

use serde::{Serialize, de::DeserializeOwned};

use super::Envelope;
use crate::topic::{self, TopicError};

/// The first byte of the binary form. Another layout gets another number.
#[cfg(feature = "postcard")]
const VERSION: u8 = 1;

/// Why an envelope could not be written or read.
///
/// # Examples
/// ```
/// # #[cfg(feature = "json")] {
/// use slipring_events::{Envelope, EnvelopeError};
///
/// let error = Envelope::<u32>::from_json("{\n  \"id\": 7\n}").unwrap_err();
/// assert!(matches!(error, EnvelopeError::Json { line: 2, column: 9, .. }));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The text is no JSON, or not that of such an envelope.
    #[cfg(feature = "json")]
    #[error("line {line}, column {column}: {problem}")]
    Json {
        /// From 1.
        line: usize,
        /// In bytes, from 1; 0 is the end of the line before.
        column: usize,
        /// What is wrong there.
        problem: Box<str>,
    },
    /// The content of the event has no form in JSON, such as a map whose keys are no texts.
    #[cfg(feature = "json")]
    #[error("the content cannot be written as JSON: {0}")]
    NotJson(Box<str>),
    /// There is no byte.
    #[cfg(feature = "postcard")]
    #[error("there are no bytes: not even the version")]
    Empty,
    /// The first byte is none that this program knows.
    #[cfg(feature = "postcard")]
    #[error("written in version {found}, and this program reads version 1")]
    Version {
        /// The first byte.
        found: u8,
    },
    /// The bytes behind the version are not those of such an envelope, or it has no such form.
    #[cfg(feature = "postcard")]
    #[error("behind the version: {0}")]
    Binary(postcard::Error),
    /// There are bytes left behind the envelope.
    #[cfg(feature = "postcard")]
    #[error("the envelope ends at byte {at}, and there are more bytes: is it of another type?")]
    Longer {
        /// Where it ends.
        at: usize,
    },
    /// It is called something that it cannot be called.
    #[error("field `topic`: {0}")]
    Topic(#[from] TopicError),
}

#[cfg(feature = "json")]
impl<E: Serialize> Envelope<E> {
    /// It as JSON: an object of the fields of this struct, with [ids](crate::EventId) as UUIDs and
    /// the [time](crate::Time) in RFC 3339.
    ///
    /// # Errors
    /// If its topic is none, or if what it holds cannot be written as JSON.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::{Envelope, EventId, Source, Time};
    ///
    /// let mut envelope = Envelope::of("order.created", [7, 9])?.from_source("shop");
    /// envelope.id = EventId::of(Source::from_bits(1), 2);
    /// envelope.time = Time::EPOCH;
    /// let json = r#"{"id":"00000000-0000-8004-8000-000000000002","topic":"order.created",
    ///     "time":"1970-01-01T00:00:00.000000000Z","source":"shop","correlation":null,
    ///     "causation":null,"metadata":{},"payload":[7,9]}"#;
    /// assert_eq!(envelope.to_json()?, json.replace("\n    ", ""));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_json(&self) -> Result<String, EnvelopeError> {
        topic::check(&self.topic)?;
        serde_json::to_string(self)
            .map_err(|error| EnvelopeError::NotJson(error.to_string().into()))
    }
}

#[cfg(feature = "json")]
impl<E: DeserializeOwned> Envelope<E> {
    /// An envelope from JSON. Fields that are not known are passed over; `id`, `topic`, `time` and
    /// `payload` must be there.
    ///
    /// # Errors
    /// If it is no such envelope; the error says where.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::Envelope;
    ///
    /// let envelope: Envelope<u32> = Envelope::from_json(r#"{
    ///     "id": "00000000-0000-8004-8000-000000000002",
    ///     "topic": "order.created",
    ///     "time": "2026-11-22T08:30:00+01:00",
    ///     "color": "not known",
    ///     "payload": 7
    /// }"#)?;
    /// assert_eq!((envelope.payload, envelope.id.sequence()), (7, Some(2)));
    /// # Ok::<(), slipring_events::EnvelopeError>(())
    /// ```
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, EnvelopeError> {
        let envelope: Self =
            serde_json::from_slice(json.as_ref()).map_err(|error| at_place(&error))?;
        topic::check(&envelope.topic)?;
        Ok(envelope)
    }
}

#[cfg(feature = "json")]
fn at_place(error: &serde_json::Error) -> EnvelopeError {
    let (line, column, text) = (error.line(), error.column(), error.to_string());
    // It ends with its place, which we say ourselves.
    let place = format!(" at line {line} column {column}");
    let problem = text.strip_suffix(&place).unwrap_or(&text).into();
    EnvelopeError::Json { line, column, problem }
}

#[cfg(feature = "postcard")]
impl<E: Serialize> Envelope<E> {
    /// It as few bytes: the version of the form, then its fields as `postcard` writes them. To be
    /// read as the same type only.
    ///
    /// # Errors
    /// If its topic is none, or if what it holds has no such form.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::Envelope;
    ///
    /// let envelope = Envelope::of("order.created", [7_u8, 9])?;
    /// let bytes = envelope.to_bytes()?;
    /// assert!(bytes.len() < 60);
    /// assert_eq!(Envelope::from_bytes(&bytes)?, envelope);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        topic::check(&self.topic)?;
        postcard::to_extend(self, vec![VERSION]).map_err(EnvelopeError::Binary)
    }
}

#[cfg(feature = "postcard")]
impl<E: DeserializeOwned> Envelope<E> {
    /// An envelope from the bytes of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// If they are not those of such an envelope, of a known version and to the last byte.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let fields = match bytes {
            [] => return Err(EnvelopeError::Empty),
            [VERSION, fields @ ..] => fields,
            &[found, ..] => return Err(EnvelopeError::Version { found }),
        };
        let (envelope, left): (Self, _) =
            postcard::take_from_bytes(fields).map_err(EnvelopeError::Binary)?;
        if !left.is_empty() {
            return Err(EnvelopeError::Longer { at: bytes.len() - left.len() });
        }
        topic::check(&envelope.topic)?;
        Ok(envelope)
    }
}

#[cfg(test)]
#[cfg(all(feature = "json", feature = "postcard"))]
mod tests;
