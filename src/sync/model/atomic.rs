//! loom's atomic integers, each of whose orderings can be weakened at run time.

use super::mutation::{Operation, weakened};

pub(crate) use std::sync::atomic::Ordering;

macro_rules! atomics {
    ($($name:ident $int:ty),+) => {$(
        #[derive(Debug, Default)]
        pub(crate) struct $name(loom::sync::atomic::$name);

        #[allow(dead_code)] // Not every integer needs every method.
        impl $name {
            #[track_caller]
            pub(crate) fn new(value: $int) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $int {
                self.0.load(weakened(Operation::Load, order))
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $int, order: Ordering) {
                self.0.store(value, weakened(Operation::Store, order));
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                let success = weakened(Operation::Change, success);
                let failure = weakened(Operation::Failure, failure);
                self.0.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub(crate) fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                self.0.fetch_add(value, weakened(Operation::Change, order))
            }

            #[track_caller]
            pub(crate) fn fetch_sub(&self, value: $int, order: Ordering) -> $int {
                self.0.fetch_sub(value, weakened(Operation::Change, order))
            }

            #[track_caller]
            pub(crate) fn fetch_and(&self, value: $int, order: Ordering) -> $int {
                self.0.fetch_and(value, weakened(Operation::Change, order))
            }

            #[track_caller]
            pub(crate) fn fetch_or(&self, value: $int, order: Ordering) -> $int {
                self.0.fetch_or(value, weakened(Operation::Change, order))
            }

            #[track_caller]
            pub(crate) fn fetch_max(&self, value: $int, order: Ordering) -> $int {
                self.0.fetch_max(value, weakened(Operation::Change, order))
            }
        }
    )+};
}

atomics!(AtomicU32 u32, AtomicU64 u64, AtomicUsize usize);
