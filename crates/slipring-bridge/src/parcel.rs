//! An event on its way between two machines.

use std::{borrow::Cow, fmt, ops::ControlFlow, str::FromStr, sync::Arc};

use slipring_events::{EventId, Metadata, Time};
use slipring_store::{CodecError, Record};

/// An event on its way: what a store says of it, and where it stands among those that its outbox sends.
///
/// On the way it is a body, which is the payload as it is stored, and headers, which are texts: see [`header`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parcel {
    /// Where it stands among those of its outbox. What comes from other programs has none.
    pub stamp: Option<Stamp>,
    /// Which event it is, wherever it is; what comes from other programs may have none.
    pub id: Option<EventId>,
    /// When it happened.
    pub time: Time,
    /// What it is called.
    pub topic: String,
    /// Who says so; empty if nobody wanted to.
    pub source: String,
    /// The first event of the story that it belongs to.
    pub correlation: Option<EventId>,
    /// The event that led to it.
    pub causation: Option<EventId>,
    /// The stream it belongs to, if it does. A store counts its own versions of it.
    pub stream: Option<String>,
    /// Which form the payload has.
    pub schema: u16,
    /// What kind of text or bytes the payload is, `application/json` for one; empty if nobody says.
    pub content_type: Cow<'static, str>,
    /// What goes with it.
    pub metadata: Metadata,
    /// What happened.
    pub payload: Vec<u8>,
}

/// Where a parcel stands among those of its outbox.
///
/// The sequences of a lane grow and may leave out numbers: those of events that are not for this lane. So each parcel
/// says which one was sent before it; whoever receives it knows whether it is the next, whatever the broker did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Which outbox of which store.
    pub lane: Arc<str>,
    /// The event's position in that store.
    pub sequence: u64,
    /// The position of the one that was sent before it; `None` for the first ever.
    pub previous: Option<u64>,
}

/// The names of the headers. Their values are texts.
pub mod header {
    /// [`Stamp::lane`](super::Stamp::lane).
    pub const LANE: &str = "slipring-lane";
    /// [`Stamp::sequence`](super::Stamp::sequence) and, behind a blank, [`Stamp::previous`](super::Stamp::previous).
    pub const SEQUENCE: &str = "slipring-sequence";
    /// The id, as a UUID.
    pub const ID: &str = "slipring-id";
    /// Nanoseconds since 1970, UTC.
    pub const TIME: &str = "slipring-time";
    /// The topic: brokers have other rules for names than buses.
    pub const TOPIC: &str = "slipring-topic";
    /// Who says so.
    pub const SOURCE: &str = "slipring-source";
    /// The first event of the story, as a UUID.
    pub const CORRELATION: &str = "slipring-correlation";
    /// The event that led to it, as a UUID.
    pub const CAUSATION: &str = "slipring-causation";
    /// The stream that it belongs to.
    pub const STREAM: &str = "slipring-stream";
    /// The form of the payload, a number; left out if it is 0.
    pub const SCHEMA: &str = "slipring-schema";
    /// What goes with it: an object of JSON whose values are texts.
    pub const METADATA: &str = "slipring-metadata";
    /// What kind of text or bytes the payload is.
    pub const CONTENT_TYPE: &str = "content-type";
    /// All that a parcel may have: a transport has to keep each of them.
    pub const ALL: [&str; 12] = [
        LANE,
        SEQUENCE,
        ID,
        TIME,
        TOPIC,
        SOURCE,
        CORRELATION,
        CAUSATION,
        STREAM,
        SCHEMA,
        METADATA,
        CONTENT_TYPE,
    ];
    /// On dead letters: why it is dead.
    pub const REASON: &str = "slipring-reason";
}

/// A header that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header `{name}` is {value:?}: {problem}")]
pub struct HeaderError {
    /// Which one.
    pub name: &'static str,
    /// What it is, up to 64 characters of it.
    pub value: Box<str>,
    /// What is wrong with it.
    pub problem: Box<str>,
}

impl HeaderError {
    fn new(name: &'static str, value: &str, problem: impl fmt::Display) -> Self {
        let value = value.chars().take(64).collect::<String>().into();
        Self { name, value, problem: problem.to_string().into() }
    }
}

impl Parcel {
    /// An event that happens now, without a stamp: as another program would send it.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        use slipring_events::Clock;
        Self {
            stamp: None,
            id: None,
            time: slipring_events::SystemClock.now(),
            topic: topic.into(),
            source: String::new(),
            correlation: None,
            causation: None,
            stream: None,
            schema: 0,
            content_type: Cow::Borrowed(""),
            metadata: Metadata::default(),
            payload: payload.into(),
        }
    }

    /// An event of a store.
    ///
    /// # Errors
    /// Its metadata cannot be read.
    pub fn of(record: &Record<'_>, stamp: Stamp) -> Result<Self, CodecError> {
        let metadata = record.metadata()?;
        Ok(Self { metadata, ..Self::without_notes(record, stamp) })
    }

    /// An event of a store without what goes with it.
    pub(crate) fn without_notes(record: &Record<'_>, stamp: Stamp) -> Self {
        Self {
            stamp: Some(stamp),
            id: Some(record.id),
            time: record.time,
            topic: record.topic.to_owned(),
            source: record.source.to_owned(),
            correlation: record.correlation,
            causation: record.causation,
            stream: record.stream.map(|place| place.name.to_owned()),
            schema: record.schema,
            content_type: Cow::Borrowed(""),
            metadata: Metadata::default(),
            payload: record.payload.to_vec(),
        }
    }

    /// How many bytes it has on its way, without what the broker's protocol adds.
    pub fn size(&self) -> usize {
        let mut size = self.payload.len();
        let _ = self.headers(|name, value| {
            size += name.len() + value.len();
            ControlFlow::Continue(())
        });
        size
    }

    /// Calls with the name and the value of each header, until told to break off.
    pub fn headers(
        &self,
        mut with: impl FnMut(&'static str, &str) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if let Some(Stamp { lane, sequence, previous }) = &self.stamp {
            with(header::LANE, lane)?;
            match previous {
                Some(previous) => with(header::SEQUENCE, &format!("{sequence} {previous}"))?,
                None => with(header::SEQUENCE, &sequence.to_string())?,
            }
        }
        if let Some(id) = self.id {
            with(header::ID, &id.to_string())?;
        }
        with(header::TIME, &self.time.as_nanos().to_string())?;
        with(header::TOPIC, &self.topic)?;
        if !self.source.is_empty() {
            with(header::SOURCE, &self.source)?;
        }
        if let Some(id) = self.correlation {
            with(header::CORRELATION, &id.to_string())?;
        }
        if let Some(id) = self.causation {
            with(header::CAUSATION, &id.to_string())?;
        }
        if let Some(stream) = &self.stream {
            with(header::STREAM, stream)?;
        }
        if self.schema != 0 {
            with(header::SCHEMA, &self.schema.to_string())?;
        }
        if !self.content_type.is_empty() {
            with(header::CONTENT_TYPE, &self.content_type)?;
        }
        if !self.metadata.is_empty() {
            let texts: serde_json::Map<_, _> =
                self.metadata.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            with(header::METADATA, &serde_json::Value::Object(texts).to_string())?;
        }
        ControlFlow::Continue(())
    }

    /// Puts one together again from its headers and its body. A header that is not there is no error: what comes from other
    /// programs has none of them, and then the topic is `topic`, and the time is `now`.
    ///
    /// # Errors
    /// A header is there and is none of ours.
    pub fn from_headers<'a>(
        header: impl Fn(&'static str) -> Option<&'a str>,
        payload: Vec<u8>,
        topic: &str,
        now: Time,
    ) -> Result<Self, HeaderError> {
        let stamp = match (header(header::LANE), header(header::SEQUENCE)) {
            (Some(lane), Some(at)) => Some(stamp(lane, at)?),
            (None, None) => None,
            (Some(lane), None) => {
                return Err(HeaderError::new(header::LANE, lane, "it comes without a sequence"));
            }
            (None, Some(at)) => {
                return Err(HeaderError::new(header::SEQUENCE, at, "it comes without a lane"));
            }
        };
        let time = parsed::<u64>(header::TIME, header(header::TIME))?;
        let metadata = match header(header::METADATA) {
            Some(text) => serde_json::from_str(text)
                .map_err(|error| HeaderError::new(header::METADATA, text, error))?,
            None => Metadata::default(),
        };
        Ok(Self {
            stamp,
            id: parsed(header::ID, header(header::ID))?,
            time: time.map_or(now, Time::from_nanos),
            topic: header(header::TOPIC).unwrap_or(topic).to_owned(),
            source: header(header::SOURCE).unwrap_or_default().to_owned(),
            correlation: parsed(header::CORRELATION, header(header::CORRELATION))?,
            causation: parsed(header::CAUSATION, header(header::CAUSATION))?,
            stream: header(header::STREAM).map(str::to_owned),
            schema: parsed(header::SCHEMA, header(header::SCHEMA))?.unwrap_or(0),
            content_type: Cow::Owned(header(header::CONTENT_TYPE).unwrap_or_default().to_owned()),
            metadata,
            payload,
        })
    }
}

fn parsed<T: FromStr<Err: fmt::Display>>(
    name: &'static str,
    value: Option<&str>,
) -> Result<Option<T>, HeaderError> {
    let parse = |text: &str| text.parse().map_err(|error| HeaderError::new(name, text, error));
    value.map(parse).transpose()
}

fn stamp(lane: &str, at: &str) -> Result<Stamp, HeaderError> {
    let (sequence, previous) =
        at.split_once(' ').map_or((at, None), |(at, before)| (at, Some(before)));
    let number = |text: &str| {
        text.parse::<u64>().map_err(|error| HeaderError::new(header::SEQUENCE, at, error))
    };
    let (sequence, previous) = (number(sequence)?, previous.map(number).transpose()?);
    if previous.is_some_and(|previous| previous >= sequence) {
        return Err(HeaderError::new(header::SEQUENCE, at, "it is not behind the one before it"));
    }
    Ok(Stamp { lane: lane.into(), sequence, previous })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn all_headers_are_in_the_list_and_back_again() {
        let mut parcel = Parcel::new("order.paid", "7");
        parcel.stamp = Some(Stamp { lane: "shop/all".into(), sequence: 9, previous: Some(4) });
        (parcel.id, parcel.correlation) = (Some(EventId::random()), Some(EventId::random()));
        (parcel.causation, parcel.schema) = (Some(EventId::random()), 3);
        (parcel.source, parcel.stream) = ("till".to_owned(), Some("order-7".to_owned()));
        parcel.content_type = Cow::Borrowed("text/plain");
        parcel.metadata.insert("tenant", "nord");
        let mut headers = BTreeMap::new();
        let _ = parcel.headers(|name, value| {
            assert_eq!(headers.insert(name, value.to_owned()), None);
            ControlFlow::Continue(())
        });
        assert_eq!(headers.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from(header::ALL));
        let get = |name: &'static str| headers.get(name).map(String::as_str);
        let again = Parcel::from_headers(get, b"7".to_vec(), "", Time::from_nanos(1));
        assert_eq!(again, Ok(parcel));
    }
}
