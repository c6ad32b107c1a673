//! Why a handler is not registered.

use slipring::AttachError;

use crate::{checkpoints::NotDurable, topic::TopicError};

/// Why a handler was not registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// It asks for something that is no pattern.
    #[error(transparent)]
    Pattern(#[from] TopicError),
    /// The ring does not take it: the bus is closed, there are too many handlers, or one of this name is there.
    #[error(transparent)]
    Refused(#[from] AttachError),
    /// A handler that lags by so much is never found: the ring has room for no more.
    #[error(
        "a lag limit of {limit} cannot be met on a ring of {capacity}: it is to be less than that, and at least 1"
    )]
    LagLimit {
        /// The limit that was asked for.
        limit: u64,
        /// How many events the ring has room for.
        capacity: usize,
    },
    /// There is no such part of the work.
    #[error("worker {worker} of {of} has no part of the work: workers are numbered from 0")]
    Share {
        /// The worker that was asked for.
        worker: u64,
        /// How many there are.
        of: u64,
    },
    /// It runs in the publishers' threads, and something of it has to wait: nobody would wake it.
    #[error(
        "an inline handler cannot wait: no delayed retries, breaker, bulkhead or throttle; give it a thread or a task"
    )]
    CannotWait,
    /// It was to be durable, and cannot be.
    #[error(transparent)]
    NotDurable(#[from] NotDurable),
    /// Its thread could not be started.
    #[error("no thread for it: {0}")]
    Thread(#[from] std::io::Error),
}
