//! Sequencers: how producers claim sequences and make them visible.
//!
//! | file | producers | claim | publication |
//! |---|---|---|---|
//! | `single.rs` | one | nothing that anybody sees | one cursor, one plain store |
//! | `multi.rs` | many | compare-and-swap, after the gate was checked | a lap mark for each slot, one plain store each |

mod multi;
mod single;

pub(crate) use multi::MultiSequencer;
pub(crate) use single::SingleSequencer;

use crate::sequence::Capacity;

/// The producers' end of the ring, as stations see it.
///
/// Not an enum: the only producer reaches its cursor without asking what kind of ring it is on.
#[derive(Debug)]
pub(crate) struct Sequencer {
    /// Of no use if there are many producers.
    pub(crate) single: SingleSequencer,
    pub(crate) multi: Option<MultiSequencer>,
}

impl Sequencer {
    pub(crate) fn new(many: bool, capacity: Capacity, first: u64) -> Self {
        Self {
            single: SingleSequencer::new(first),
            multi: many.then(|| MultiSequencer::new(capacity, first)),
        }
    }

    /// The end of the published sequences that follow `from` without a gap, as far as anybody
    /// needs to know: at most `limit`, or more if that is known at no cost.
    ///
    /// `from` must not be more than a lap behind.
    #[inline]
    pub(crate) fn available(&self, from: u64, limit: u64) -> u64 {
        match &self.multi {
            None => self.single.published(),
            Some(multi) => multi.available(from, limit),
        }
    }

    /// The end of the published prefix when no station is left to gate the producers.
    #[cold]
    pub(crate) fn ungated(&self) -> u64 {
        self.multi.as_ref().map_or_else(|| self.single.published(), MultiSequencer::prefix)
    }

    /// For a station that leaves: it has seen everything before `sequence` published.
    pub(crate) fn keep_prefix(&self, sequence: u64) {
        if let Some(multi) = &self.multi {
            multi.keep_prefix(sequence);
        }
    }

    /// A sequence up to which everything is published, for a figure.
    pub(crate) fn known_prefix(&self) -> u64 {
        self.multi.as_ref().map_or_else(|| self.single.glance(), MultiSequencer::known_prefix)
    }

    /// The end of what was claimed so far: a figure, not a permission.
    pub(crate) fn claimed(&self) -> u64 {
        self.multi.as_ref().map_or_else(|| self.single.glance(), MultiSequencer::claimed)
    }

    /// Refuses claims from now on, where claims are visible, and returns the end of what will
    /// ever be published. For [`Lifecycle::settle`](crate::lifecycle::Lifecycle::settle), whose fence
    /// makes sure that an event is found here or refused; it is only a number, with which nobody
    /// gets at a slot.
    pub(crate) fn close(&self) -> u64 {
        self.multi.as_ref().map_or_else(|| self.single.glance(), MultiSequencer::close)
    }

    /// Refuses claims from now on if there is none from `end` on; of many producers only.
    pub(crate) fn close_at(&self, end: u64) -> bool {
        self.multi.as_ref().is_some_and(|multi| multi.close_at(end))
    }
}
