//! Publishing what follows from events, or keeping it until there is room.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use slipring::{Poller, PublishError};

use super::{Trials, failure::caught};
use crate::{
    clock::Time,
    context::FollowUp,
    delivery::{Parked, letters::Reason},
    event::Event,
    gate::Gate,
    slot::{Aside, Slot},
    view::View,
};

impl<E: Event, V: View<E>> Trials<E, V> {
    pub(crate) fn has_follow_ups(&self) -> bool {
        !self.spill.is_empty()
    }

    /// Whether there is no room before this handler goes on: all that is on the ring is ahead of it.
    pub(crate) fn is_in_the_way(&self, poller: &Poller<Slot<E>>) -> bool {
        poller.lag() >= self.producer.capacity() as u64
    }

    /// Publishes what follows from an event, or keeps it until there is room.
    #[inline]
    pub(super) fn send_all(&mut self) {
        if !self.outbox.drafts.is_empty() {
            let (is_first, waited) = (self.spill.is_empty(), self.spill.len());
            for (follow_up, delay) in self.outbox.drafts.drain(..) {
                match delay {
                    None => self.spill.push_back(follow_up),
                    Some(delay) => {
                        let now = self.owner.hub.clock.monotonic();
                        self.later.put(now.saturating_add(delay), follow_up);
                    }
                }
            }
            let count = self.spill.len() - waited;
            // What goes at once is nobody's business.
            let waiting = if is_first { self.publish_waiting(|_| ()) } else { count };
            self.owner.hub.gate.add(waiting);
        }
    }

    /// Publishes what waits, as far as there is room.
    pub(crate) fn flush(&mut self) {
        if let Some(due) = self.later.due() {
            let now = self.owner.hub.clock.monotonic();
            while due <= now
                && let Some(follow_up) = self.later.take_due(now)
            {
                self.owner.hub.gate.add(1);
                self.spill.push_back(follow_up);
            }
        }
        if !self.spill.is_empty() {
            self.publish_waiting(Gate::remove_one);
        }
    }

    /// Publishes what waits as far as there is room, and tells of each that waits no more; returns how many do.
    fn publish_waiting(&mut self, mut has_gone: impl FnMut(&Gate)) -> usize {
        let hub = Arc::clone(&self.owner.hub);
        while !self.spill.is_empty() {
            let now = hub.clock.now();
            let sent = self.producer.try_publish(|slot| write_first(&mut self.spill, slot, now));
            if matches!(sent, Err(PublishError::Full)) {
                break;
            }
            self.count_first(sent.is_ok());
            self.last_sent = sent.ok().or(self.last_sent);
            has_gone(&hub.gate);
        }
        self.spill.len()
    }

    /// The first one that waited is on the ring, or will never be: then it is still the first.
    pub(super) fn count_first(&mut self, is_sent: bool) {
        if is_sent {
            self.account.follow_ups += 1;
        } else if let Some(FollowUp { draft, topic, .. }) = self.spill.pop_front() {
            self.account.unsent += 1;
            // It has no place on the ring; it is told by the event that it may have followed from.
            let time = draft.time.unwrap_or_else(|| self.owner.hub.clock.now());
            let aside = Aside::new(self.account.next, draft.event, time, topic, draft.extra);
            self.settings.letters.add_all(
                &self.owner,
                None,
                vec![(Reason::Unsent, Parked::new(aside))],
            );
        }
    }

    fn has_found_room(&mut self, sent: &Result<u64, PublishError>) {
        if !matches!(sent, Err(PublishError::Full | PublishError::TimedOut)) {
            self.count_first(sent.is_ok());
            self.last_sent = sent.as_ref().ok().copied().or(self.last_sent);
            self.owner.hub.gate.remove_one();
        }
    }

    /// Waits until there is room for the first one that waits, at most so long.
    pub(crate) fn wait_for_room(&mut self, time: Duration) {
        if !self.spill.is_empty() {
            let now = self.owner.hub.clock.now();
            let write = |slot: &mut Slot<E>| write_first(&mut self.spill, slot, now);
            let sent = self.producer.publish_deadline(Instant::now() + time, write);
            self.has_found_room(&sent);
        }
    }

    /// Awaits room for the first one that waits. It may be dropped at any time.
    pub(crate) async fn room(&mut self) {
        if !self.spill.is_empty() {
            let now = self.owner.hub.clock.now();
            let write = |slot: &mut Slot<E>| write_first(&mut self.spill, slot, now);
            // Once it is published there is no waiting in between.
            let sent = self.producer.publish_async(write).await;
            self.has_found_room(&sent);
        }
    }
}

/// Writes the first one that waits into a slot.
fn write_first<E: Event>(spill: &mut VecDeque<FollowUp<E>>, slot: &mut Slot<E>, now: Time) {
    if let Some(FollowUp { draft, topic, asker, behind: _ }) = spill.pop_front() {
        if let Some(asker) = asker {
            // It is an event all the same if it cannot be cloned; nobody is told then.
            caught(|| asker.tell(draft.event.clone())).ok();
        }
        slot.write(draft.event, draft.time.unwrap_or(now), topic, draft.extra);
    }
}
