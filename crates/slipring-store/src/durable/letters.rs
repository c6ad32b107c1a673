//! Dead letters in a store.

use std::{fmt, ops::ControlFlow, sync::Arc};

use serde::{Deserialize, Serialize};
use slipring_events::{
    Attempt, Event, EventId, HandlerError, KeepLetters, KeptLetter, LetterInfo, Reason, Time,
};
use uuid::Uuid;

use crate::{Batch, Codec, Durability, EventStore, Record, StoreError, frame, onto, record::Notes};

/// Keeps dead letters in a store: for [`DeadLetters::kept`](slipring_events::DeadLetters::kept).
///
/// They are values of the space `letters/` and a name, and are durable before their handler goes on. Two programs that
/// have the same letters at once overwrite each other's: a name is for one [`DeadLetters`](slipring_events::DeadLetters).
///
/// # Examples
/// A letter of one run is given back in the next:
/// ```
/// use slipring_events::{AnyEvent, Bus, DeadLetters, WhenFull};
/// use slipring_store::{Codec, CodecError, Memory, Record, StoreLetters};
/// use std::{sync::Arc, time::Duration};
///
/// struct Text;
///
/// impl Codec<AnyEvent> for Text {
///     fn encode(&self, event: &AnyEvent, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
///         let text = event.get::<String>().ok_or_else(|| CodecError::unwritable("no text"))?;
///         bytes.extend_from_slice(text.as_bytes());
///         Ok(())
///     }
///     fn decode(&self, record: &Record<'_>) -> Result<AnyEvent, CodecError> {
///         Ok(AnyEvent::named("text", String::from_utf8_lossy(record.payload).into_owned()))
///     }
/// }
///
/// let store = Arc::new(Memory::new());
/// for run in 0..2 {
///     let keeper = StoreLetters::named("mail", store.clone(), Text);
///     let letters = DeadLetters::kept(1_000, WhenFull::Hold, keeper)?;
///     let bus = Bus::<AnyEvent>::builder(64).dead_letters(letters.clone()).start()?;
///     let mail = bus.handler("mail").on::<String>().run(move |_, _| {
///         if run == 0 { Err("no connection") } else { Ok(()) }
///     })?;
///     if run == 0 {
///         bus.publisher().publish(AnyEvent::named("text", String::from("welcome")))?;
///     } else {
///         assert_eq!(letters.list()[0].reason.to_string(), "no connection");
///         assert_eq!(letters.requeue_all("mail")?, 1);
///     }
///     bus.shutdown(Duration::from_secs(5))?;
///     assert_eq!(letters.len(), 1 - run);
/// }
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub struct StoreLetters<C> {
    store: Arc<dyn EventStore>,
    space: String,
    codec: C,
}

impl<C> fmt::Debug for StoreLetters<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreLetters").field("space", &self.space).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Body {
    handler: String,
    reason: Why,
    time: u64,
    attempts: u32,
    history: Vec<(u64, String, bool)>,
    key: Option<u64>,
    id: [u8; 16],
    topic: String,
    event_time: u64,
    source: String,
    correlation: Option<[u8; 16]>,
    causation: Option<[u8; 16]>,
    #[serde(with = "serde_bytes")]
    metadata: Vec<u8>,
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
enum Why {
    Failed(String),
    Behind,
    Left,
    Unsent,
}

impl<C> StoreLetters<C> {
    /// Those of that name, with a codec for their events.
    pub fn named(name: &str, store: Arc<impl EventStore>, codec: C) -> Self {
        Self { store, space: format!("letters/{name}"), codec }
    }

    fn encode<E: Event>(&self, letter: &KeptLetter<E>) -> Result<Vec<u8>, HandlerError>
    where
        C: Codec<E>,
    {
        let KeptLetter { info, envelope, key } = letter;
        let reason = match &info.reason {
            Reason::Failed(error) => Why::Failed(error.to_string()),
            Reason::Behind => Why::Behind,
            Reason::Left => Why::Left,
            Reason::Unsent => Why::Unsent,
            other => Why::Failed(other.to_string()),
        };
        let attempt = |attempt: &Attempt| {
            (attempt.time.as_nanos(), attempt.error.to_string(), attempt.panicked)
        };
        let bytes = |id: EventId| *Uuid::from(id).as_bytes();
        let mut payload = Vec::new();
        self.codec.encode(&envelope.payload, &mut payload)?;
        let body = Body {
            handler: info.handler.to_string(),
            reason,
            time: info.time.as_nanos(),
            attempts: info.attempts,
            history: info.history.iter().map(attempt).collect(),
            key: *key,
            id: bytes(envelope.id),
            topic: envelope.topic.to_string(),
            event_time: envelope.time.as_nanos(),
            source: envelope.source.to_string(),
            correlation: envelope.correlation.map(bytes),
            causation: envelope.causation.map(bytes),
            metadata: postcard::to_stdvec(&envelope.metadata)?,
            payload,
        };
        let mut bytes = Vec::new();
        onto::write(&body, &mut bytes)?;
        Ok(bytes)
    }

    fn decode<E: Event>(&self, number: u64, bytes: &[u8]) -> Result<KeptLetter<E>, HandlerError>
    where
        C: Codec<E>,
    {
        let damaged = |problem: &dyn fmt::Display| {
            StoreError::damaged(format_args!("letter {number} of `{}`", self.space), problem)
        };
        let body: Body = postcard::from_bytes(bytes).map_err(|error| damaged(&error))?;
        let id = |bytes: [u8; 16]| EventId::from(Uuid::from_bytes(bytes));
        let reason = match body.reason {
            Why::Failed(error) => Reason::Failed(error.into()),
            Why::Behind => Reason::Behind,
            Why::Left => Reason::Left,
            Why::Unsent => Reason::Unsent,
        };
        let topic: Arc<str> = body.topic.as_str().into();
        let mut info = LetterInfo::new(
            number,
            body.handler.into(),
            topic,
            reason,
            Time::from_nanos(body.time),
        );
        info.attempts = body.attempts;
        let attempt = |(time, error, panicked): (u64, String, bool)| Attempt {
            time: Time::from_nanos(time),
            error: error.into(),
            panicked,
        };
        info.history = body.history.into_iter().map(attempt).collect();
        frame::read_notes(&body.metadata).map_err(|error| damaged(&error))?;
        let record = Record {
            position: 0,
            id: id(body.id),
            time: Time::from_nanos(body.event_time),
            topic: &body.topic,
            source: &body.source,
            stream: None,
            correlation: body.correlation.map(id),
            causation: body.causation.map(id),
            schema: 0,
            payload: &body.payload,
            notes: Notes(&body.metadata),
        };
        let envelope = record.to_envelope(&self.codec)?;
        Ok(KeptLetter { info, envelope, key: body.key })
    }
}

impl<E: Event, C: Codec<E>> KeepLetters<E> for StoreLetters<C> {
    fn load(&self) -> Result<Vec<KeptLetter<E>>, HandlerError> {
        let (mut letters, mut failed) = (Vec::new(), None);
        self.store.values(&self.space, b"", &mut |key, value| {
            let letter = if let Ok(number) = key.try_into().map(u64::from_be_bytes) {
                self.decode(number, value)
            } else {
                let place = format_args!("a letter of `{}`", self.space);
                Err(StoreError::damaged(place, "its number does not have 8 bytes").into())
            };
            match letter {
                Ok(letter) => letters.push(letter),
                Err(error) => failed = Some(error),
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed.map_or(Ok(letters), Err)
    }

    fn write(&self, put: &[KeptLetter<E>], removed: &[u64]) -> Result<(), HandlerError> {
        let mut batch = Batch::new();
        for id in removed {
            batch.remove(&self.space, &id.to_be_bytes());
        }
        for letter in put {
            batch.put(&self.space, &letter.info.id.to_be_bytes(), &self.encode(letter)?);
        }
        self.store.commit(&batch, Durability::Synced)?;
        Ok(())
    }
}
