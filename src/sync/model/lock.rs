//! The model checker's locks. Both kinds are the same here.

pub(crate) use self::{both as control, both as flow};

pub(crate) mod both {
    use std::{sync::TryLockError, time::Instant};

    use crate::sync::model::{
        checker::sync::{self, MutexGuard},
        time,
    };

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            // The locks of the model are poisoned like std's.
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        /// Waits until notified; not at all if `deadline` has come.
        pub(crate) fn wait<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            deadline: Option<Instant>,
        ) -> MutexGuard<'a, T> {
            if deadline.is_some_and(|deadline| deadline <= time::now()) {
                return guard;
            }
            self.0.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
