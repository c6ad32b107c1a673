//! What is to be published later.

use std::{
    collections::{BTreeMap, btree_map::OccupiedEntry},
    time::Duration,
};

use crate::{checkpoints::DoneBefore, context::FollowUp, event::Event};

/// Follow-ups that are to be published later.
pub(super) struct Later<E: Event> {
    due: BTreeMap<(Duration, u64), FollowUp<E>>,
    next: u64,
}

impl<E: Event> Default for Later<E> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), next: 0 }
    }
}

impl<E: Event> Later<E> {
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    pub(super) fn put(&mut self, due: Duration, follow_up: FollowUp<E>) {
        self.next += 1;
        self.due.insert((due, self.next), follow_up);
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    /// Where the first event stands that one of them follows from.
    pub(super) fn oldest(&self) -> Option<DoneBefore> {
        self.due.values().map(|follow_up| follow_up.behind).min()
    }

    pub(super) fn take_due(&mut self, now: Duration) -> Option<FollowUp<E>> {
        self.due.first_entry().filter(|first| first.key().0 <= now).map(OccupiedEntry::remove)
    }
}
