//! The short way: what an event takes that is handled at once, by a handler around which nothing stands.
//!
//! It ends where anything is to be waited for or has gone wrong; there the long way goes on.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use slipring::Batch;

use super::{
    Trials,
    failure::{Failed, caught},
    in_hand::InHand,
};
use crate::{
    card::Orders,
    context::Context,
    event::Event,
    handler::Handle,
    receipt::Fate,
    settings::{Order, Settings},
    slot::{Delivered, Slot},
    view::View,
};

/// Where the short way has ended.
pub(crate) struct Run {
    /// Events that it took off the ring.
    pub taken: u64,
    pub end: RunEnd,
}

pub(crate) enum RunEnd {
    /// There is no more for now, or something else comes first.
    Stop,
    /// The next event goes the long way; if it was tried already, this has come of it.
    LongWay(Option<Failed>),
    /// Events go the short way, with a handler that may wait.
    Waiting,
}

/// What has come of an event.
enum Quick {
    Done,
    LongWay(Option<Failed>),
    Waiting,
}

/// Whether all that a handler is to have around it are retries and dead letters, and nobody takes its time.
pub(super) fn is_plain<E: Event, T>(settings: &Settings<E, T>) -> bool {
    let Settings { inbox, letters, breaker, bulkhead, throttle, timeout, times, order, .. } =
        settings;
    let is_bare = inbox.is_none() && breaker.is_none() && bulkhead.is_none() && throttle.is_none();
    is_bare
        && times.is_none()
        && timeout.is_none()
        && matches!(order, Order::Overtake)
        && letters.has_always_room()
}

impl<E: Event, V: View<E>> Trials<E, V> {
    /// Takes events off the ring, so many at most and none from `last` on, as long as it goes the short way.
    #[inline]
    pub(crate) fn run<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        batch: &mut Batch<'_, Slot<E>>,
        most: u64,
        last: u64,
    ) -> Run {
        let mut taken = 0;
        self.make_outbox();
        if self.waits {
            return Run { taken, end: RunEnd::Waiting };
        }
        while taken < most
            && let Some((sequence, slot)) = batch.peek()
            && sequence < last
        {
            if !self.is_plain {
                return Run { taken, end: RunEnd::LongWay(None) };
            }
            match self.take_quickly(handler, sequence, slot) {
                Quick::Done => {}
                Quick::Waiting => return Run { taken, end: RunEnd::Waiting },
                Quick::LongWay(failed) => return Run { taken, end: RunEnd::LongWay(failed) },
            }
            batch.pass();
            taken += 1;
            if !self.goes_on() {
                break;
            }
        }
        Run { taken, end: RunEnd::Stop }
    }

    #[inline(always)]
    fn take_quickly<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        sequence: u64,
        slot: &Slot<E>,
    ) -> Quick {
        let Some(delivered) = slot.read(sequence) else {
            self.account.empty += 1;
            return Quick::Done;
        };
        if !self.wants(&delivered) {
            self.account.filtered += 1;
            return Quick::Done;
        }
        let (mut is_called, hub, name) = (false, &self.owner.hub, &self.owner.card.name);
        let (outbox, share) = (&mut self.outbox, &self.settings.share);
        let called = caught(|| {
            let seen = V::view(delivered.event).filter(|seen| share.has(&delivered, seen))?;
            is_called = true;
            Some(handler.handle_now(seen, &mut Context::new(hub, name, &delivered, 1, outbox)))
        });
        match called {
            Ok(Some(Some(Ok(())))) => {
                if !self.outbox.drafts.is_empty() {
                    self.send_all();
                    self.make_outbox();
                }
                self.settle(&delivered, Fate::Handled);
                Quick::Done
            }
            Ok(None) => {
                self.account.filtered += 1;
                self.owner.card.settle_if_awaited(&delivered, || Fate::Filtered);
                Quick::Done
            }
            Ok(Some(None)) => {
                self.waits = true;
                Quick::Waiting
            }
            // It is asked once more what the event is.
            Err(_) if !is_called => Quick::LongWay(None),
            Ok(Some(Some(Err(error)))) => self.failed(Failed { error, panicked: false }),
            Err(panicked) => self.failed(panicked),
        }
    }

    /// The same for a handler that may wait: whether the next one may go this way, too.
    #[inline]
    pub(crate) async fn take_waiting<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        sequence: u64,
        slot: &Slot<E>,
    ) -> bool {
        let Some(delivered) = slot.read(sequence) else {
            self.account.empty += 1;
            return true;
        };
        if !self.wants(&delivered) {
            self.account.filtered += 1;
            return true;
        }
        let share = &self.settings.share;
        let seen = caught(|| V::view(delivered.event).filter(|seen| share.has(&delivered, seen)));
        let failed = match seen {
            Ok(Some(seen)) => match self.try_waiting(handler, &delivered, seen).await {
                Ok(()) => return self.goes_on(),
                Err(failed) => Some(failed),
            },
            Ok(None) => {
                self.account.filtered += 1;
                self.owner.card.settle_if_awaited(&delivered, || Fate::Filtered);
                return true;
            }
            // It is asked once more what the event is.
            Err(_) => None,
        };
        self.outbox.drafts.clear();
        // In a box: what is rare is not to make the future of every event larger.
        Box::pin(self.take(handler, sequence, slot, failed)).await;
        self.goes_on() && self.hold().is_none()
    }

    /// Whether nothing else comes before the next event.
    #[inline]
    pub(crate) fn goes_on(&self) -> bool {
        self.card().orders() < Orders::Leave && !self.has_follow_ups()
    }

    #[inline]
    async fn try_waiting<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        delivered: &Delivered<'_, E>,
        seen: &V::Seen,
    ) -> Result<(), Failed> {
        let in_hand = InHand::new(&self.owner.card, delivered);
        let ended = {
            let (hub, name) = (&self.owner.hub, &self.owner.card.name);
            let mut context = Context::new(hub, name, delivered, 1, &mut self.outbox);
            // The call as well: it may do something before there is a future.
            let handling = AssertUnwindSafe(async { handler.handle(seen, &mut context).await });
            handling.catch_unwind().await
        };
        in_hand.let_go();
        match ended {
            Ok(Ok(())) => {
                if !self.outbox.drafts.is_empty() {
                    self.send_all();
                    self.make_outbox();
                }
                self.settle(delivered, Fate::Handled);
                Ok(())
            }
            Ok(Err(error)) => Err(Failed { error, panicked: false }),
            Err(payload) => Err(Failed::by_panic(&*payload)),
        }
    }

    #[cold]
    fn failed(&mut self, failed: Failed) -> Quick {
        self.outbox.drafts.clear();
        Quick::LongWay(Some(failed))
    }

    /// As much room for what follows from the next event as there is.
    pub(super) fn make_outbox(&mut self) {
        let waiting = self.spill.len() + self.later.len();
        self.outbox.room = self.settings.most_follow_ups.saturating_sub(waiting);
    }
}
