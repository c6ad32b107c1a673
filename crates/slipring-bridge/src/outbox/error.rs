//! What ends an outbox.

use std::{sync::Arc, time::Duration};

use slipring_store::StoreError;

/// Why an outbox goes no further. What is not confirmed is in the store: started again, it goes on there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxHalt {
    /// The store cannot be read or written, and no further attempt can mend it.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// Somebody else runs an outbox of that name on that store.
    #[error(
        "somebody else runs outbox `{name}`, too: run each name once, or give the other one another"
    )]
    RunTwice {
        /// What it is called.
        name: Box<str>,
    },
    /// An event of a ring cannot be sent, and there is no store to put it aside in.
    #[error("event {sequence} of the ring cannot be sent: {problem}")]
    Unsendable {
        /// Where it stands on the ring.
        sequence: u64,
        /// What is wrong with it.
        problem: Box<str>,
    },
    /// Something of it has panicked.
    #[error("{part} has panicked: {message}")]
    Panicked {
        /// What.
        part: &'static str,
        /// What the panic says.
        message: Box<str>,
    },
}

impl From<StoreError> for OutboxHalt {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// Why an outbox, or an inbox, cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It is called so.
    #[error("no bridge is called `{}`: write a name of 1 to 200 bytes without `!`, `/` and control characters", .0.escape_debug())]
    Name(Box<str>),
    /// There is no such partition.
    #[error("there is no partition {partition} of {of}: they are counted from 0")]
    Partition {
        /// Which.
        partition: u32,
        /// Of how many.
        of: u32,
    },
    /// An inbox keeps no order, and its intake counts on it.
    #[error(
        "inbox `{name}` keeps no order, and its intake counts lanes by their order: give it one that knows events by \
         their ids (`IntoStore::remember_ids`), or keep the order"
    )]
    NeedsOrder {
        /// What it is called.
        name: Box<str>,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The intake does not say how far it is.
    #[error(transparent)]
    Intake(#[from] crate::IntakeError),
    /// There is no thread to be had.
    #[error("there is no thread for it: {0}")]
    Thread(std::io::Error),
}

/// What was waited for has not come.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotConfirmed {
    /// Not in time.
    #[error("the broker has confirmed what is before {at} after {timeout:?}, and {wanted} was waited for{}", because(.last_error.as_deref()))]
    Late {
        /// How far it is.
        at: u64,
        /// How far it should be.
        wanted: u64,
        /// How long that was waited for.
        timeout: Duration,
        /// What has failed last, if the link is down.
        last_error: Option<Arc<str>>,
    },
    /// It goes no further.
    #[error("the outbox has halted at {at}: {why}")]
    Halted {
        /// How far it is.
        at: u64,
        /// Why.
        #[source]
        why: OutboxHalt,
    },
    /// It was stopped.
    #[error("the outbox was stopped at {at}")]
    Stopped {
        /// How far it is.
        at: u64,
    },
}

fn because(error: Option<&str>) -> String {
    error.map_or_else(String::new, |error| format!(": {error}"))
}

/// Whether another attempt may succeed.
pub(crate) fn may_mend(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Io { .. } | StoreError::Server { .. } | StoreError::NotDurable { .. }
    )
}

pub(crate) fn check_name(name: &str) -> Result<(), StartError> {
    let is_odd = |letter: char| letter.is_control() || letter == '!' || letter == '/';
    if name.is_empty() || name.len() > 200 || name.contains(is_odd) {
        return Err(StartError::Name(name.into()));
    }
    Ok(())
}
