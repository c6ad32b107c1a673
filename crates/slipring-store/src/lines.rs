//! Events as lines of JSON: to be read by eye and by other programs, to be carried from one store to another.
//!
//! A line is an object. `position`, `id`, `time` (RFC 3339), `topic` and one of three forms of what happened are always
//! there; `source`, `stream` (`name` and `version`), `correlation`, `causation`, `schema` and `metadata` if they say
//! something. What happened is `payload` if it is JSON, byte for byte as it was; `text` if it is any other text, or JSON
//! of several lines; and otherwise `base64`. So nothing is lost on the way.
//!
//! # Examples
//! ```
//! use std::ops::ControlFlow;
//! use slipring_events::Time;
//! use slipring_store::{Batch, Durability, Entry, EventStore, Memory, lines};
//!
//! let store = Memory::new();
//! let mut batch = Batch::new();
//! batch.append(Entry::at(Time::EPOCH, "order.created", r#"{"lamps": 2}"#).stream("order-7"))?;
//! store.commit(&batch, Durability::Synced)?;
//!
//! let mut text = Vec::new();
//! let mut written = Ok(());
//! store.scan(0, &mut |record| {
//!     written = lines::write(&record, &mut text);
//!     if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
//! })?;
//! written?;
//! assert!(String::from_utf8(text.clone())?.ends_with(r#""payload":{"lamps": 2}}"#.to_owned().as_str()));
//!
//! let copy = Memory::of(store.source());
//! batch.clear();
//! lines::read(&text)?.put_into(&mut batch)?;
//! copy.commit(&batch, Durability::Synced)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{borrow::Cow, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use slipring_events::{EventId, Metadata, Time};

use crate::{Batch, Entry, EntryError, Record};

/// An event from a line of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Where it stood in the store that it comes from. It gets another place in the next.
    pub position: u64,
    /// Which event it is.
    pub id: EventId,
    /// When it happened.
    pub time: Time,
    /// What it is called.
    pub topic: String,
    /// Who says so; empty if nobody wanted to.
    pub source: String,
    /// What its stream is called, if it is in one, and its version there.
    pub stream: Option<(String, u64)>,
    /// The first event of the story that it belongs to.
    pub correlation: Option<EventId>,
    /// The event that led to it.
    pub causation: Option<EventId>,
    /// Which form the payload has.
    pub schema: u16,
    /// What goes with it.
    pub metadata: Metadata,
    /// What happened.
    pub payload: Vec<u8>,
}

/// An event that could not be written as a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Its metadata are not in the form in which this crate writes them.
    #[error(transparent)]
    Metadata(#[from] crate::CodecError),
    /// The line could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A line that is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is not JSON, or not that of an event.
    #[error("column {column}: {problem}")]
    Json {
        /// In bytes, from 1; 0 if it is the line as a whole.
        column: usize,
        /// What is wrong there.
        problem: Box<str>,
    },
    /// It does not say what happened, or in several forms.
    #[error("one of `payload`, `text` and `base64` is to be there, and {found} are")]
    Payload {
        /// How many of them are there.
        found: usize,
    },
    /// The field `base64` is none.
    #[error("field `base64`: {0}")]
    Base64(base64::DecodeError),
}

#[derive(Serialize, Deserialize)]
struct Form<'a> {
    #[serde(default)]
    position: u64,
    id: EventId,
    time: Time,
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    source: Cow<'a, str>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    stream: Option<StreamForm<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<EventId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causation: Option<EventId>,
    #[serde(default, skip_serializing_if = "is_zero")]
    schema: u16,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    base64: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct StreamForm<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    version: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(schema: &u16) -> bool {
    *schema == 0
}

/// Writes an event as a line, without the end of the line.
///
/// # Errors
/// Its metadata are damaged, or the line cannot be written.
pub fn write(record: &Record<'_>, line: impl io::Write) -> Result<(), WriteError> {
    let text = std::str::from_utf8(record.payload).ok();
    let json = text.and_then(as_json);
    let mut form = Form {
        position: record.position,
        id: record.id,
        time: record.time,
        topic: record.topic.into(),
        source: record.source.into(),
        stream: record
            .stream
            .map(|place| StreamForm { name: place.name.into(), version: place.version }),
        correlation: record.correlation,
        causation: record.causation,
        schema: record.schema,
        metadata: record.metadata()?,
        payload: json,
        text: None,
        base64: None,
    };
    match (json, text) {
        (Some(_), _) => {}
        (None, Some(text)) => form.text = Some(text.into()),
        (None, None) => form.base64 = Some(STANDARD.encode(record.payload).into()),
    }
    serde_json::to_writer(line, &form).map_err(io::Error::from)?;
    Ok(())
}

/// A payload that is JSON and can stand in a line as it is.
fn as_json(text: &str) -> Option<&RawValue> {
    let json: &RawValue = serde_json::from_str(text).ok()?;
    // `null` would be taken for a field that is not there.
    let is_as_it_was = json.get().len() == text.len() && !text.contains(['\n', '\r']);
    (is_as_it_was && text != "null").then_some(json)
}

/// Reads an event from its line.
///
/// # Errors
/// It is none.
pub fn read(line: &[u8]) -> Result<Line, LineError> {
    let form: Form<'_> = serde_json::from_slice(line).map_err(|error| LineError::Json {
        column: error.column(),
        problem: without_place(&error.to_string()).into(),
    })?;
    let payload = match (form.payload, form.text, form.base64) {
        (Some(json), None, None) => json.get().as_bytes().to_vec(),
        (None, Some(text), None) => text.into_owned().into_bytes(),
        (None, None, Some(base64)) => STANDARD.decode(&*base64).map_err(LineError::Base64)?,
        (json, text, base64) => {
            let there = [json.is_some(), text.is_some(), base64.is_some()];
            return Err(LineError::Payload { found: there.into_iter().filter(|is| *is).count() });
        }
    };
    Ok(Line {
        position: form.position,
        id: form.id,
        time: form.time,
        topic: form.topic.into_owned(),
        source: form.source.into_owned(),
        stream: form.stream.map(|stream| (stream.name.into_owned(), stream.version)),
        correlation: form.correlation,
        causation: form.causation,
        schema: form.schema,
        metadata: form.metadata,
        payload,
    })
}

/// The error without "at line 1 column 7", which is told apart.
fn without_place(text: &str) -> &str {
    text.rsplit_once(" at line ").map_or(text, |(problem, _)| problem)
}

impl Line {
    /// It as an event to be stored. Its stream gives it the next version there.
    pub fn entry(&self) -> Entry<'_> {
        let mut entry = Entry::at(self.time, &self.topic, &self.payload)
            .id(self.id)
            .source(&self.source)
            .schema(self.schema)
            .metadata(&self.metadata);
        entry.stream = self.stream.as_ref().map(|(name, _)| &**name);
        entry.correlation = self.correlation;
        entry.causation = self.causation;
        entry
    }

    /// Puts it into a batch.
    ///
    /// # Errors
    /// No store takes it.
    pub fn put_into(&self, batch: &mut Batch) -> Result<(), EntryError> {
        batch.append(self.entry())
    }
}
