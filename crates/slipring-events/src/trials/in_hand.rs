//! What is in hand while it is tried: not lost if whoever tries it is dropped in the middle.

use std::sync::Arc;

use crate::{
    card::Card,
    delivery::lanes::Lane,
    event::Event,
    receipt::{Fate, Ticket},
    slot::Delivered,
};

/// A lane of which an event is tried. If whoever tries it is dropped meanwhile, it is not lost.
pub(super) struct Out<E: Event> {
    pub lane: Lane<E>,
    pub card: Arc<Card<E>>,
}

impl<E: Event> Out<E> {
    pub fn take(&mut self) -> Lane<E> {
        Lane { key: self.lane.key, queue: std::mem::take(&mut self.lane.queue) }
    }
}

impl<E: Event> Drop for Out<E> {
    fn drop(&mut self) {
        if !self.lane.queue.is_empty() {
            let lane = self.take();
            self.card.dropped(lane);
        }
    }
}

/// An event of the ring for which somebody waits. If whoever tries it is dropped meanwhile, they are told.
pub(super) struct InHand<E: Event>(Option<(Arc<Card<E>>, Arc<Ticket>)>);

impl<E: Event> InHand<E> {
    #[inline]
    pub fn new(card: &Arc<Card<E>>, delivered: &Delivered<'_, E>) -> Self {
        Self(delivered.ticket().map(|ticket| (Arc::clone(card), Arc::clone(ticket))))
    }

    #[inline]
    pub fn let_go(mut self) {
        self.0 = None;
    }
}

impl<E: Event> Drop for InHand<E> {
    fn drop(&mut self) {
        if let Some((card, ticket)) = &self.0 {
            card.settle(ticket, Fate::PassedOver);
        }
    }
}
