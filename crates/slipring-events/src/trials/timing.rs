//! Taking the time of attempts, by the bus's clock.

use std::time::Duration;

use super::Trials;
use crate::{event::Event, slot::Delivered, view::View};

impl<E: Event, V: View<E>> Trials<E, V> {
    /// When an attempt begins, if somebody wants to know.
    #[inline]
    pub(super) fn begin_timing(&self, sequence: u64) -> Option<Duration> {
        let times = self.settings.times.as_ref()?;
        times.wants(sequence).then(|| self.owner.hub.clock.monotonic())
    }

    /// An attempt has ended that began then; whether the event is done with by it.
    #[cold]
    pub(super) fn end_timing(&self, begun: Duration, delivered: &Delivered<'_, E>, is_done: bool) {
        let (clock, Some(times)) = (&self.owner.hub.clock, &self.settings.times) else { return };
        let age = is_done.then(|| clock.now().since(delivered.head.time));
        times.note(clock.monotonic().saturating_sub(begun), age);
    }
}
