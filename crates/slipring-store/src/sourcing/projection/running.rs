//! A projection in a thread of its own.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::{
    Codec, StoreError,
    sourcing::{
        Halt, Parked, Projection, ProjectorStatus, RetryError, StartError, Steps, WaitError,
        projection::runner::Runner,
    },
};

/// A projection that runs in a thread of its own, from [`Projector::start`](crate::sourcing::Projector::start).
///
/// It applies what is there and then what is committed, without a gap in between. When it is dropped, it stops behind
/// the step at which it is; started again, it goes on there.
pub struct Running<P: Projection, C> {
    steps: Arc<Mutex<Steps<P, C>>>,
    runner: Runner,
}

impl<P: Projection, C> fmt::Debug for Running<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("status", &self.runner.status()).finish_non_exhaustive()
    }
}

impl<P: Projection, C: Codec<P::Event>> Running<P, C> {
    pub(super) fn start(steps: Steps<P, C>) -> Result<Self, StartError> {
        let name = steps.space().to_owned();
        let steps = Arc::new(Mutex::new(steps));
        let runner = Runner::start(&name, &steps).map_err(StartError::Thread)?;
        Ok(Self { steps, runner })
    }

    /// How far it has come, and what it does.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn status(&self) -> Result<ProjectorStatus, StoreError> {
        self.runner.status()
    }

    /// Waits until all events before a position are shown: whoever waits for the [end](crate::sourcing::Done::end) of
    /// what he has done, reads what he has written.
    ///
    /// # Errors
    /// Not in time, or it has halted or was stopped before; each says how far it is.
    pub fn wait_for(&self, position: u64, timeout: Duration) -> Result<(), WaitError> {
        self.runner.wait_for(position, timeout)
    }

    /// Stops it behind the step at which it is.
    ///
    /// # Errors
    /// It has halted before.
    pub fn stop(mut self) -> Result<(), Halt> {
        self.runner.tell_to_stop();
        self.runner.join()
    }

    /// Waits until it halts.
    ///
    /// # Errors
    /// Why it has halted.
    pub fn join(mut self) -> Result<(), Halt> {
        self.runner.join()
    }

    /// The events that are parked, by their positions.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        self.steps.lock().parked()
    }

    /// Applies a parked event, between two steps: see [`Steps::retry`].
    ///
    /// # Errors
    /// As for [`Steps::retry`].
    pub fn retry(&self, position: u64) -> Result<(), RetryError> {
        self.steps.lock().retry(position)
    }

    /// Retries all that are parked, in order, and returns how many were applied: see [`Steps::retry_all`].
    ///
    /// # Errors
    /// As for [`Steps::retry_all`].
    pub fn retry_all(&self) -> Result<usize, Halt> {
        self.steps.lock().retry_all()
    }

    /// Takes an event out of those that are parked: nothing is ever made of it.
    ///
    /// # Errors
    /// As for [`Steps::purge`].
    pub fn purge(&self, position: u64) -> Result<Parked, RetryError> {
        self.steps.lock().purge(position)
    }
}
