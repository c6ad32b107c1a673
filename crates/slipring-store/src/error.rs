//! What can go wrong with a store.

use std::{fmt, io, path::PathBuf};

use crate::{Expected, FrameError};

/// A store that cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk or the network failed. Nothing is lost that was confirmed; what was not may be there or not.
    #[error("{doing}: {error}")]
    Io {
        /// What the store was doing.
        doing: &'static str,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// What is stored is not what was stored. Restore it from a copy, or take out what can be read.
    #[error("{place} is damaged: {problem}")]
    Damaged {
        /// Where.
        place: Box<str>,
        /// What is wrong there.
        problem: Box<str>,
    },
    /// The events from there on have been removed by [retention](crate::EventStore::retain).
    #[error("the events before {first} have been removed, and {asked} was asked for")]
    Removed {
        /// The position that was asked for.
        asked: u64,
        /// The first there is.
        first: u64,
    },
    /// There is no such event yet. To somebody who goes on behind events that he has seen, it says that the store has lost
    /// them, or is another one.
    #[error("the store ends before {end}, and {asked} was asked for")]
    Beyond {
        /// The position that was asked for.
        asked: u64,
        /// The position that the next event gets.
        end: u64,
    },
    /// Another program has it open, or this one twice.
    #[error("{} is in use: one program at a time may open it", path.display())]
    InUse {
        /// The directory or file.
        path: PathBuf,
    },
    /// It was written by another version, or is no store.
    #[error("{} is no store that this version reads: {problem}", path.display())]
    Format {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<str>,
    },
    /// A write has failed before, and what is on the disk is not known any more; or the server is not the one it was.
    /// Open the store again, and take what it has then for what there is.
    #[error("the store has stopped ({because}): open it again")]
    Stopped {
        /// The failure.
        because: Box<str>,
    },
    /// The server cannot keep what was asked for.
    #[error("the server cannot make it durable: {why}")]
    NotDurable {
        /// Which of its settings is in the way.
        why: Box<str>,
    },
    /// The server refused or said something that it should not.
    #[error("{doing}: {problem}")]
    Server {
        /// What the store was doing.
        doing: &'static str,
        /// What it said.
        problem: Box<str>,
    },
    /// Something was asked for that a store does not do.
    #[error("{0}")]
    Refused(Box<str>),
}

impl StoreError {
    /// Something is not what was stored.
    pub fn damaged(place: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::Damaged { place: place.to_string().into(), problem: problem.to_string().into() }
    }

    pub(crate) fn frame(first: u64, error: &FrameError) -> Self {
        Self::damaged(format_args!("the block of event {first}"), error)
    }
}

/// A batch that was not committed. None of it is there, unless the [store failed](StoreError::Io) meanwhile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Somebody else was there before: read again, decide again.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was expected is not so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// A stream has another version.
    #[error("stream `{stream}` has {found} events, and {expected} expected")]
    Stream {
        /// What it is called.
        stream: Box<str>,
        /// What was expected.
        expected: Expected,
        /// How many events it has ever had.
        found: u64,
    },
    /// A value is another, or is there although it should not be.
    #[error("value `{}` of `{space}` is not what was expected", key.escape_ascii())]
    Value {
        /// The space.
        space: Box<str>,
        /// The key.
        key: Box<[u8]>,
        /// The value there is.
        found: Option<Box<[u8]>>,
    },
}
