//! Locks, of two kinds.
//!
//! Those of the [`control`] plane are taken when a ring starts, ends or fails: `parking_lot`'s,
//! which a panic cannot poison, so that one thread's failure cannot make another's clean-up panic.
//!
//! Those of the [`flow`] may be taken while events flow, to sleep or to wake: the standard
//! library's, which never allocate (`parking_lot` does, for each thread that parks for the first
//! time). Nothing that could panic is called with one of them held, but for the reset hook, whose
//! panics are caught; so poison means nothing here.

/// Locks taken when a ring starts, ends or fails.
pub(crate) mod control {
    use std::time::Instant;

    use parking_lot::MutexGuard;

    pub(crate) use parking_lot::Mutex;

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    impl Condvar {
        /// Waits until notified or until `deadline`. May wake without cause.
        pub(crate) fn wait<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            deadline: Option<Instant>,
        ) -> MutexGuard<'a, T> {
            match deadline {
                Some(deadline) => {
                    self.0.wait_until(&mut guard, deadline);
                }
                None => self.0.wait(&mut guard),
            }
            guard
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

/// Locks that may be taken while events flow.
pub(crate) mod flow {
    use std::{
        sync::{self, MutexGuard, PoisonError, TryLockError},
        time::Instant,
    };

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// The lock, unless somebody has it.
        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(sync::Condvar);

    impl Condvar {
        /// Waits until notified or until `deadline`. May wake without cause.
        pub(crate) fn wait<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            deadline: Option<Instant>,
        ) -> MutexGuard<'a, T> {
            match deadline {
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.0.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.0.wait(guard).unwrap_or_else(PoisonError::into_inner),
            }
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
