//! The model checker's locks. Both kinds are the same here.

pub(crate) use self::{both as control, both as flow};

pub(crate) mod both {
    use std::{
        ops::{Deref, DerefMut},
        sync::{PoisonError, TryLockError},
        time::Instant,
    };

    use crate::sync::model::{checker::sync, time};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    /// Knows its mutex, so that it can be given up and taken again.
    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T> {
        guard: sync::MutexGuard<'a, T>,
        mutex: &'a Mutex<T>,
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.guard
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.guard
        }
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            // The locks of the model are poisoned like std's.
            let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            MutexGuard { guard, mutex: self }
        }

        /// The lock, unless somebody has it.
        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            let guard = match self.0.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return None,
            };
            Some(MutexGuard { guard, mutex: self })
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
            let MutexGuard { guard, mutex } = guard;
            // The checker knows no time-outs: whoever has one wakes without cause and looks again.
            #[cfg(shuttle)]
            if deadline.is_some() && time::passes() {
                drop(guard);
                crate::sync::thread::yield_now();
                return mutex.lock();
            }
            let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
            MutexGuard { guard, mutex }
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
