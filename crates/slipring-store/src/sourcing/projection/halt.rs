//! Why something is not shown.

use std::{sync::Arc, time::Duration};

use crate::{StoreError, sourcing::ReadError};

/// Why a projection goes no further. All before that is committed; started again, it goes on there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// An event cannot be read.
    #[error(transparent)]
    Unreadable(ReadError),
    /// It says that it cannot make anything of an event.
    #[error("event {position} (`{topic}`) cannot be applied: {problem}")]
    Failed {
        /// Where the event stands.
        position: u64,
        /// What it is called.
        topic: Box<str>,
        /// What it says.
        problem: Box<str>,
    },
    /// It has panicked.
    #[error("it has panicked at event {position}: {message}")]
    Panicked {
        /// Where the event stands.
        position: u64,
        /// What the panic says.
        message: Box<str>,
    },
    /// So many events are parked that something is wrong with all of them.
    #[error("{most} events are parked, as many as may: retry or purge them")]
    TooManyParked {
        /// How many may be.
        most: u64,
    },
    /// A newer version has taken over.
    #[error("version {by} has taken over")]
    Superseded {
        /// Which.
        by: u32,
    },
    /// Somebody else runs it, too.
    #[error("somebody else runs it, too: run each version of a projection once")]
    RunTwice,
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// What a projection does while its store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenStoreFails {
    /// It tries again, a little later each time, up to a quarter of a second, until the store works again; its
    /// [state](crate::sourcing::ProjectorState::Failing) says why it waits. What no further attempt can mend, such as a store
    /// that has [stopped](StoreError::Stopped), that is damaged, or of which events were removed, halts it all the same.
    #[default]
    Hold,
    /// It halts.
    Halt,
}

impl WhenStoreFails {
    /// Why it holds, if it does not halt.
    pub(super) fn hold_by(self, halt: &Halt) -> Option<&Arc<StoreError>> {
        match (self, halt) {
            (Self::Hold, Halt::Store(error)) if may_pass(error) => Some(error),
            _ => None,
        }
    }
}

/// Whether a failure may pass by itself.
fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { .. } | StoreError::Server { .. })
}

/// Why a projection, or a model, cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It is called so: a name has at least one letter, and no `@`, no `!` and no NUL.
    #[error("no projection is called `{}`: write a name without `@`, `!` and NUL", .0.escape_debug())]
    Name(Box<str>),
    /// A newer version is shown. Give this one a higher number, if it is to be shown again.
    #[error("version {active} is shown, which is newer")]
    Superseded {
        /// Which.
        active: u32,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no thread to be had.
    #[error("there is no thread for it: {0}")]
    Thread(std::io::Error),
}

/// What was waited for has not come.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// Not in time.
    #[error("it is at {at} after {timeout:?}, and {wanted} was waited for")]
    Late {
        /// How far it is.
        at: u64,
        /// How far it should be.
        wanted: u64,
        /// How long that was waited for.
        timeout: Duration,
    },
    /// It goes no further.
    #[error("it has halted at {at}: {why}")]
    Halted {
        /// How far it is.
        at: u64,
        /// Why.
        #[source]
        why: Halt,
    },
    /// It was stopped.
    #[error("it was stopped at {at}")]
    Stopped {
        /// How far it is.
        at: u64,
    },
}
