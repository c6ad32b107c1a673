//! What an ordering is an operand of, and what weaker ones there are.

use std::fmt;

/// As the models' log says it; see `src/sync/model/mutation.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Load,
    Store,
    /// A read-modify-write.
    Change,
    /// The failed case of a compare-and-swap.
    Failure,
    Fence,
    /// The light side of an asymmetric pair: in the real face a fence for the compiler only.
    LightFence,
    /// The heavy side.
    HeavyFence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// No ordering at all: a fence that is left out.
    Drop,
    Relaxed,
    Acquire,
    Release,
    AcqRel,
    SeqCst,
}

impl Operation {
    const ALL: [(Self, &str); 7] = [
        (Self::Load, "load"),
        (Self::Store, "store"),
        (Self::Change, "change"),
        (Self::Failure, "failure"),
        (Self::Fence, "fence"),
        (Self::LightFence, "light-fence"),
        (Self::HeavyFence, "heavy-fence"),
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(operation, known)| (known == name).then_some(operation))
    }

    /// What the ordering that is argument `index` of this method or function is an operand of.
    pub fn of_call(method: &str, index: usize) -> Option<Self> {
        match (method, index) {
            ("load", 0) => Some(Self::Load),
            ("store", 1) => Some(Self::Store),
            ("fence", 0) => Some(Self::Fence),
            ("light_fence" | "compiler_fence", 0) => Some(Self::LightFence),
            ("heavy_fence", 0) => Some(Self::HeavyFence),
            ("swap", 1) | ("compare_exchange" | "compare_exchange_weak", 2) => Some(Self::Change),
            ("compare_exchange" | "compare_exchange_weak", 3) => Some(Self::Failure),
            (method, 1) if method.starts_with("fetch_") && method != "fetch_update" => {
                Some(Self::Change)
            }
            _ => None,
        }
    }

    /// What this ordering is weakened to, one step at a time.
    pub fn weaker(self, order: Order) -> &'static [Order] {
        use Order::{AcqRel, Acquire, Drop, Relaxed, Release, SeqCst};
        match (self, order) {
            (Self::Fence | Self::LightFence | Self::HeavyFence, SeqCst) => &[AcqRel, Drop],
            (Self::Fence | Self::LightFence | Self::HeavyFence, AcqRel | Acquire | Release) => {
                &[Drop]
            }
            (Self::Load | Self::Failure, SeqCst) => &[Acquire],
            (Self::Store, SeqCst) => &[Release],
            (Self::Change, SeqCst) => &[AcqRel],
            (Self::Change, AcqRel) => &[Acquire, Release],
            (_, Acquire | Release) => &[Relaxed],
            (_, Drop | Relaxed) | (Self::Load | Self::Store | Self::Failure, AcqRel) => &[],
        }
    }

    pub fn is_fence(self) -> bool {
        matches!(self, Self::Fence | Self::LightFence | Self::HeavyFence)
    }
}

impl Order {
    const ALL: [(Self, &str); 6] = [
        (Self::Drop, "Drop"),
        (Self::Relaxed, "Relaxed"),
        (Self::Acquire, "Acquire"),
        (Self::Release, "Release"),
        (Self::AcqRel, "AcqRel"),
        (Self::SeqCst, "SeqCst"),
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(order, known)| (known == name).then_some(order))
    }

    /// Whether there is something to weaken.
    pub fn is_strong(self) -> bool {
        self > Self::Relaxed
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = Self::ALL[*self as usize];
        f.write_str(name)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = Self::ALL[*self as usize];
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (operation, name) in Operation::ALL {
            assert_eq!(
                (Operation::named(name), operation.to_string()),
                (Some(operation), name.into())
            );
        }
        for (order, name) in Order::ALL {
            assert_eq!((Order::named(name), order.to_string()), (Some(order), name.into()));
        }
        assert_eq!((Operation::named("Load"), Order::named("seqcst")), (None, None));
    }

    #[test]
    fn every_strong_ordering_of_an_operation_has_a_weaker_one() {
        use Operation::{Change, Failure, Fence, LightFence, Load, Store};
        use Order::{AcqRel, Acquire, Drop, Relaxed, Release, SeqCst};
        for (operation, order, weaker) in [
            (Load, Acquire, &[Relaxed][..]),
            (Load, SeqCst, &[Acquire]),
            (Store, Release, &[Relaxed]),
            (Store, SeqCst, &[Release]),
            (Change, Acquire, &[Relaxed]),
            (Change, Release, &[Relaxed]),
            (Change, AcqRel, &[Acquire, Release]),
            (Change, SeqCst, &[AcqRel]),
            (Failure, Acquire, &[Relaxed]),
            (Failure, SeqCst, &[Acquire]),
            (Fence, Acquire, &[Drop]),
            (Fence, Release, &[Drop]),
            (Fence, AcqRel, &[Drop]),
            (Fence, SeqCst, &[AcqRel, Drop]),
            (LightFence, SeqCst, &[AcqRel, Drop]),
        ] {
            assert_eq!(operation.weaker(order), weaker, "{operation} {order}");
        }
        assert!(Load.weaker(Relaxed).is_empty() && !Relaxed.is_strong() && Acquire.is_strong());
    }

    #[test]
    fn the_two_orderings_of_an_exchange_differ() {
        assert_eq!(Operation::of_call("compare_exchange", 2), Some(Operation::Change));
        assert_eq!(Operation::of_call("compare_exchange", 3), Some(Operation::Failure));
        assert_eq!(Operation::of_call("fetch_max", 1), Some(Operation::Change));
        assert_eq!(Operation::of_call("fetch_update", 1), None);
        assert_eq!(Operation::of_call("load", 1), None);
    }
}
