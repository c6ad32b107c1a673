//! What can go wrong with aggregates and commands.

use std::{error::Error, fmt};

use slipring_events::EventId;

use crate::{CodecError, Conflict, EntryError, Record, StoreError};

/// An event that cannot be read as one of the program's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {position} (`{topic}`, form {schema}) cannot be read: {problem}")]
#[non_exhaustive]
pub struct ReadError {
    /// Where it stands.
    pub position: u64,
    /// Which event it is.
    pub id: EventId,
    /// What it is called, as it is stored.
    pub topic: Box<str>,
    /// Which form it has, as it is stored.
    pub schema: u16,
    /// What is wrong with it.
    pub problem: ReadProblem,
}

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadProblem {
    /// The codec cannot read it.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// An [upcaster](crate::sourcing::Upcasters) has failed.
    #[error("from form {from} of `{topic}`: {problem}")]
    Upcast {
        /// What the event was called when it came to that step.
        topic: Box<str>,
        /// The form that the step begins with.
        from: u16,
        /// What it says.
        problem: Box<str>,
    },
    /// A later version of the program has written it.
    #[error("it is from a later version of the program, this one knows forms up to {known}")]
    Later {
        /// The latest form this one knows.
        known: u16,
    },
}

impl ReadError {
    pub(crate) fn of(record: &Record<'_>, problem: impl Into<ReadProblem>) -> Self {
        Self {
            position: record.position,
            id: record.id,
            topic: record.topic.into(),
            schema: record.schema,
            problem: problem.into(),
        }
    }
}

/// An aggregate that could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The store cannot be read, or the events are not there any more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One of its events cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
}

/// A command that was not carried out. Nothing of it has happened, unless the [store failed](CommandError::Store)
/// meanwhile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError<X: Error> {
    /// The aggregate says no.
    #[error("refused: {0}")]
    Refused(#[source] X),
    /// Others were there before, each time: send it again, or allow more [retries](crate::sourcing::Settings::retries).
    /// Or its sender has [expected](crate::sourcing::Origin::expecting) something else.
    #[error("others were there before, {attempts} times: {conflict}")]
    Conflict {
        /// What has changed meanwhile, the last time.
        conflict: Conflict,
        /// How often it was tried.
        attempts: u32,
    },
    /// Nobody handles commands of that type: register somebody before the bus is built.
    #[error("nobody handles `{command}`")]
    NoHandler {
        /// The name of the type.
        command: &'static str,
    },
    /// An event of the aggregate cannot be read.
    #[error(transparent)]
    Unreadable(ReadError),
    /// An event that was decided cannot be written.
    #[error(transparent)]
    Unwritable(CodecError),
    /// No store takes an event that was decided.
    #[error(transparent)]
    Entry(EntryError),
    /// The store could not. If a write has failed, the command was carried out or not; with an id, it can be sent again.
    #[error(transparent)]
    Store(StoreError),
}

impl<X: Error> CommandError<X> {
    /// The same with the aggregate's own error as another: to bring those of several aggregates together.
    ///
    /// # Examples
    /// ```
    /// use std::fmt::Error;
    /// use slipring_store::sourcing::CommandError;
    ///
    /// let refused = CommandError::Refused("seven".parse::<u8>().unwrap_err());
    /// assert!(matches!(refused.map(|_| Error), CommandError::Refused(Error)));
    /// ```
    pub fn map<Y: Error>(self, change: impl FnOnce(X) -> Y) -> CommandError<Y> {
        match self {
            Self::Refused(error) => CommandError::Refused(change(error)),
            Self::Conflict { conflict, attempts } => CommandError::Conflict { conflict, attempts },
            Self::NoHandler { command } => CommandError::NoHandler { command },
            Self::Unreadable(error) => CommandError::Unreadable(error),
            Self::Unwritable(error) => CommandError::Unwritable(error),
            Self::Entry(error) => CommandError::Entry(error),
            Self::Store(error) => CommandError::Store(error),
        }
    }
}

impl<X: Error> From<LoadError> for CommandError<X> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => Self::Store(error),
            LoadError::Unreadable(error) => Self::Unreadable(error),
        }
    }
}

impl<X: Error> From<StoreError> for CommandError<X> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<X: Error> From<EntryError> for CommandError<X> {
    fn from(error: EntryError) -> Self {
        Self::Entry(error)
    }
}

/// What a panic has said.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> Box<str> {
    let text: Option<&dyn fmt::Display> = if let Some(text) = payload.downcast_ref::<&str>() {
        Some(text)
    } else if let Some(text) = payload.downcast_ref::<String>() {
        Some(text)
    } else {
        None
    };
    text.map_or_else(|| "a panic without a text".into(), |text| text.to_string().into())
}
