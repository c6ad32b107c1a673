//! The payload of an event as bytes.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Record, onto};

/// How payloads become bytes and come back.
///
/// [`Postcard`] and [`Json`] do it by serde. One of one's own also sees the [topic](Record::topic) and the
/// [schema](Record::schema) of what it reads, and so can read forms of long ago.
///
/// # Examples
/// ```
/// use slipring_store::{Codec, CodecError, Record};
///
/// struct Text;
///
/// impl Codec<String> for Text {
///     fn encode(&self, payload: &String, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
///         bytes.extend_from_slice(payload.as_bytes());
///         Ok(())
///     }
///
///     fn decode(&self, record: &Record<'_>) -> Result<String, CodecError> {
///         let text = std::str::from_utf8(record.payload);
///         text.map(str::to_owned).map_err(|error| CodecError::unreadable(record.topic, error))
///     }
/// }
/// ```
pub trait Codec<E>: Send + Sync + 'static {
    /// Writes a payload behind what is there.
    ///
    /// # Errors
    /// It has no such form.
    fn encode(&self, payload: &E, bytes: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads the payload of an event.
    ///
    /// # Errors
    /// The bytes are not those of an `E`.
    fn decode(&self, record: &Record<'_>) -> Result<E, CodecError>;

    /// Which form it writes: [`Entry::schema`](crate::Entry::schema).
    fn schema(&self) -> u16 {
        0
    }
}

/// A payload that could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// It has no such form.
    #[error("it cannot be written in this form: {0}")]
    Unwritable(Box<str>),
    /// The bytes are not those of such a payload.
    #[error("what is stored of `{of}` cannot be read: {problem}")]
    Unreadable {
        /// The topic of the event.
        of: Box<str>,
        /// What is wrong with it.
        problem: Box<str>,
    },
}

impl CodecError {
    /// A payload has no such form.
    pub fn unwritable(problem: impl fmt::Display) -> Self {
        Self::Unwritable(problem.to_string().into())
    }

    /// Stored bytes cannot be read.
    pub fn unreadable(of: &str, problem: impl fmt::Display) -> Self {
        Self::Unreadable { of: of.into(), problem: problem.to_string().into() }
    }
}

/// Small and quick, for payloads whose type stays as it is: [postcard](https://docs.rs/postcard).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Postcard;

/// To be read by anybody, also when fields have come and gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json;

impl<E: Serialize + DeserializeOwned> Codec<E> for Postcard {
    fn encode(&self, payload: &E, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        onto::write(payload, bytes).map_err(CodecError::unwritable)
    }

    fn decode(&self, record: &Record<'_>) -> Result<E, CodecError> {
        match postcard::take_from_bytes(record.payload) {
            Ok((payload, [])) => Ok(payload),
            Ok((_, left)) => Err(CodecError::unreadable(
                record.topic,
                format_args!("{} bytes are left over: is it of another type?", left.len()),
            )),
            Err(error) => Err(CodecError::unreadable(record.topic, error)),
        }
    }
}

impl<E: Serialize + DeserializeOwned> Codec<E> for Json {
    fn encode(&self, payload: &E, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        let start = bytes.len();
        serde_json::to_writer(&mut *bytes, payload).map_err(|error| {
            bytes.truncate(start);
            CodecError::unwritable(error)
        })
    }

    fn decode(&self, record: &Record<'_>) -> Result<E, CodecError> {
        serde_json::from_slice(record.payload)
            .map_err(|error| CodecError::unreadable(record.topic, error))
    }
}
