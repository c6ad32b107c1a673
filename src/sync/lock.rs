//! Mutex and condition variable: `parking_lot`'s, which never poison, so that a panic in one thread
//! cannot make another one's clean-up panic too.

use std::time::Instant;

pub(crate) use parking_lot::{Mutex, MutexGuard};

/// A condition variable with one wait form: until woken or until the deadline, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// Waits until notified or until `deadline`. May wake without cause.
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => {
                self.0.wait_until(guard, deadline);
            }
            None => self.0.wait(guard),
        }
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
