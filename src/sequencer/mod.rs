//! Sequencers: how producers claim sequences and make them visible.
//!
//! | file | producers | claim | publication |
//! |---|---|---|---|
//! | `single.rs` | one | a plain store | one cursor, one plain store |
//! | `multi.rs` | many | compare-and-swap, after the gate was checked | a lap mark for each slot, one plain store each |

mod multi;
mod single;

pub(crate) use multi::MultiSequencer;
pub(crate) use single::SingleSequencer;

use crate::{lifecycle::Lifecycle, sequence::Capacity, sync::fence::Fences};

/// The producers' end of the ring, as stations see it.
#[derive(Debug)]
pub(crate) enum Sequencer {
    Single(SingleSequencer),
    Multi(MultiSequencer),
}

impl Sequencer {
    pub(crate) fn new(many: bool, capacity: Capacity, first: u64) -> Self {
        if many {
            Self::Multi(MultiSequencer::new(capacity, first))
        } else {
            Self::Single(SingleSequencer::new(first))
        }
    }

    /// The end of the published sequences that follow `from` without a gap, as far as anybody
    /// needs to know: at most `limit`, or more if that is known at no cost.
    ///
    /// `from` must not be more than a lap behind.
    #[inline]
    pub(crate) fn available(&self, from: u64, limit: u64) -> u64 {
        match self {
            Self::Single(single) => single.published(),
            Self::Multi(multi) => multi.available(from, limit),
        }
    }

    /// The end of the published prefix when no station is left to gate the producers.
    #[cold]
    pub(crate) fn ungated(&self) -> u64 {
        match self {
            Self::Single(single) => single.published(),
            Self::Multi(multi) => multi.prefix(),
        }
    }

    /// For a station that leaves: it has seen everything before `sequence` published.
    pub(crate) fn keep_prefix(&self, sequence: u64) {
        match self {
            Self::Single(_) => {}
            Self::Multi(multi) => multi.keep_prefix(sequence),
        }
    }

    /// The end of what was claimed so far: a figure, not a permission.
    pub(crate) fn claimed(&self) -> u64 {
        match self {
            Self::Single(single) => single.published(),
            Self::Multi(multi) => multi.claimed(),
        }
    }

    /// Refuses claims from now on and makes the end of the claims certain.
    pub(crate) fn close(&self, lifecycle: &Lifecycle, fences: Fences) {
        lifecycle.begin_closing();
        match self {
            Self::Single(single) => single.close(fences),
            Self::Multi(multi) => multi.close(),
        }
        lifecycle.seal();
    }

    /// The end of all sequences that will ever be published, once it is known.
    #[inline]
    pub(crate) fn end(&self, lifecycle: &Lifecycle) -> Option<u64> {
        if !lifecycle.is_sealed() {
            return None;
        }
        match self {
            Self::Single(single) => single.end(),
            Self::Multi(multi) => Some(multi.claimed()),
        }
    }
}
