//! A handler that is registered, in the hands of whoever registered it.

use std::{
    fmt,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use slipring::Detach;

use crate::{
    account::Account,
    card::{Card, Orders},
    event::Event,
    hub::Hub,
    inline::Inline,
};

/// How often inline handlers are looked after while one waits.
const LOOK_AFTER: Duration = Duration::from_millis(5);

/// A handler that is registered. It stays so when this is dropped.
pub struct Subscription<E: Event> {
    pub(crate) card: Arc<Card<E>>,
    pub(crate) hub: Arc<Hub<E>>,
    pub(crate) inline: Arc<Inline<E>>,
    pub(crate) thread: Option<thread::JoinHandle<()>>,
}

/// A handler that was told to leave, and has not within the time. It will.
#[derive(Debug, thiserror::Error)]
#[error("handler `{}` is still at it: wait longer, or have it leave at once", subscription.name())]
pub struct StillAtIt<E: Event> {
    /// To wait for it again.
    pub subscription: Subscription<E>,
}

impl<E: Event> fmt::Debug for Subscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("name", &self.card.name)
            .field("account", &self.account())
            .finish_non_exhaustive()
    }
}

impl<E: Event> Subscription<E> {
    /// The handler's name.
    pub fn name(&self) -> &str {
        &self.card.name
    }

    /// The first sequence that it sees.
    pub fn first_sequence(&self) -> u64 {
        self.card.first
    }

    /// What has become of the events that it came to, as of its last turn. It always adds up.
    pub fn account(&self) -> Account {
        self.card.account()
    }

    /// Why a [durable](crate::Registration::durable) handler holds: what its store says, as long as that fails.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.card.trouble()
    }

    /// Whether a durable handler has yet to get events that it had missed.
    pub fn is_catching_up(&self) -> bool {
        self.card.is_catching_up()
    }

    /// Has it leave, and waits until it has, at most so long: when it has handled what is published now and what it
    /// has put aside, or at once. What it leaves behind of the latter goes to the dead letters.
    ///
    /// Told so by itself it does not wait: it leaves when it has returned.
    ///
    /// # Errors
    /// It is not gone yet.
    #[allow(clippy::result_large_err)]
    pub fn unsubscribe(mut self, how: Detach, timeout: Duration) -> Result<Account, StillAtIt<E>> {
        let orders = if how == Detach::Drained { Orders::Drain } else { Orders::Leave };
        self.card.order(orders);
        self.hub.nudge();
        let deadline = Instant::now().checked_add(timeout);
        if self.hub.is_inside() || !self.await_end(deadline) {
            return Err(StillAtIt { subscription: self });
        }
        if let Some(thread) = self.thread.take() {
            // Its worker is gone; the thread has only to return.
            drop(thread.join());
        }
        Ok(self.card.account())
    }

    /// Waits for its end; whether it came in time. If it runs in the publishers' threads, nobody may publish.
    fn await_end(&self, deadline: Option<Instant>) -> bool {
        loop {
            self.inline.tend(&self.hub);
            let slice =
                if self.inline.is_empty() { deadline } else { Some(Instant::now() + LOOK_AFTER) };
            let slice = slice.map(|slice| deadline.map_or(slice, |deadline| deadline.min(slice)));
            if self.card.await_end(slice) {
                return true;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return false;
            }
        }
    }
}
