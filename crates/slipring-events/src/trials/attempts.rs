//! Attempts: calling the handler, what stands around a call, and what comes of a failure.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{Either, select},
};

use super::{
    End, Trials,
    failure::{Failed, caught},
};
use crate::{
    context::Context,
    delivery::{Attempt, HandledElsewhere, Next, Trial},
    event::Event,
    handler::Handle,
    reactive::{SystemTimer, Timer as _},
    settings::Settings,
    slot::Delivered,
    trace,
    view::View,
};

impl<E: Event, V: View<E>> Trials<E, V> {
    /// Tries an event until it is handled, or is to be tried later, or no more.
    #[inline]
    pub(super) async fn attempt<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        delivered: &Delivered<'_, E>,
        seen: &V::Seen,
        trial: &mut Trial,
        first: Option<Failed>,
    ) -> End {
        let end = self.attempt_again(handler, delivered, seen, trial, first).await;
        self.permit = None;
        end
    }

    #[inline]
    async fn attempt_again<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        delivered: &Delivered<'_, E>,
        seen: &V::Seen,
        trial: &mut Trial,
        mut first: Option<Failed>,
    ) -> End {
        loop {
            trial.attempts += 1;
            if trial.failed > 0 {
                self.account.retries += 1;
            }
            let tried = match first.take() {
                Some(failed) => Err(failed),
                None => self.call(handler, delivered, seen, trial.attempts).await,
            };
            let failed = match tried {
                Ok(is_new) => return if is_new { End::Handled } else { End::Known },
                Err(failed) => failed,
            };
            if let Some(end) = self.after_failure(delivered.sequence, trial, &failed) {
                return end;
            }
        }
    }

    /// One attempt. Whether the event was a new one.
    #[inline]
    async fn call<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        delivered: &Delivered<'_, E>,
        seen: &V::Seen,
        attempt: u32,
    ) -> Result<bool, Failed> {
        let plainly = |error| Failed { error, panicked: false };
        if let Some(inbox) = &mut self.settings.inbox {
            let id = self.owner.hub.identity.id_of(delivered);
            if caught(|| inbox.knows(id))?.map_err(plainly)? {
                return Ok(false);
            }
        }
        self.pass();
        self.make_outbox();
        let begun = self.begin_timing(delivered.sequence);
        let name = &self.owner.card.name;
        let mut context = Context::new(&self.owner.hub, name, delivered, attempt, &mut self.outbox);
        // The call as well: it may do something before there is a future.
        let handling = AssertUnwindSafe(async { handler.handle(seen, &mut context).await });
        let handling = handling.catch_unwind();
        let ended = match self.settings.timeout {
            None => Some(handling.await),
            Some(timeout) => within(timeout, handling).await,
        };
        let result = match ended {
            Some(Ok(result)) => result.map_err(plainly),
            Some(Err(payload)) => Err(Failed::by_panic(&*payload)),
            None => Err(plainly("it took longer than its timeout".into())),
        };
        if let Some(begun) = begun {
            self.end_timing(begun, delivered, result.is_ok());
        }
        self.record(result.is_ok());
        let recorded = result.and_then(|()| match &mut self.settings.inbox {
            Some(inbox) => {
                let id = self.owner.hub.identity.id_of(delivered);
                caught(|| inbox.record(id))?.map_err(plainly)
            }
            None => Ok(()),
        });
        if let Err(failed) = &recorded {
            self.outbox.drafts.clear();
            if failed.error.is::<HandledElsewhere>() {
                return Ok(false);
            }
        }
        recorded?;
        self.send_all();
        Ok(true)
    }

    #[cold]
    fn after_failure(&mut self, sequence: u64, trial: &mut Trial, failed: &Failed) -> Option<End> {
        let (clock, error) = (&self.owner.hub.clock, Arc::<str>::from(failed.tell()));
        trace::failed(&self.owner.card.name, sequence, trial.attempts, &error);
        let now = clock.monotonic();
        let attempt =
            Attempt { time: clock.now(), error: Arc::clone(&error), panicked: failed.panicked };
        trial.failed(attempt, now);
        self.account.failures += 1;
        let elapsed = now.saturating_sub(trial.failing_since.unwrap_or(now));
        let next = || self.settings.retry.next(trial.failed, elapsed, &failed.error, &mut self.rng);
        match caught(next) {
            Ok(Next::Now) => self.closed_until().map(End::Later),
            Ok(Next::After(delay)) => Some(End::Later(now.saturating_add(delay))),
            // A predicate that panics has not said that it is worth it.
            Ok(Next::GiveUp) | Err(_) => Some(End::Dead(error)),
        }
    }

    /// Until when the breaker or the throttle let no attempt through, if they do not now. They are only asked: what
    /// comes may be no event for this handler, or one that it knows.
    #[inline]
    pub(super) fn closed_until(&self) -> Option<Duration> {
        let Settings { breaker, throttle, .. } = &self.settings;
        if breaker.is_none() && throttle.is_none() {
            return None;
        }
        let now = self.owner.hub.clock.monotonic();
        let breaker = breaker.clone().and_then(|mut breaker| breaker.admit(now).err());
        let throttle = throttle.clone().and_then(|mut throttle| throttle.admit(now).err());
        breaker.max(throttle)
    }

    /// An attempt passes the breaker and the throttle, which have been asked.
    #[inline]
    fn pass(&mut self) {
        let Settings { breaker, throttle, .. } = &mut self.settings;
        if breaker.is_some() || throttle.is_some() {
            let now = self.owner.hub.clock.monotonic();
            let breaker = breaker.as_mut().map(|breaker| breaker.admit(now));
            let throttle = throttle.as_mut().map(|throttle| throttle.admit(now));
            debug_assert!(
                breaker.is_none_or(|passes| passes.is_ok())
                    && throttle.is_none_or(|passes| passes.is_ok())
            );
        }
    }

    /// Whether the bulkhead lets an attempt through. If not, it rings.
    #[inline]
    pub(super) fn enters(&mut self) -> bool {
        let Some(bulkhead) = &self.settings.bulkhead else { return true };
        self.permit = self.permit.take().or_else(|| bulkhead.enter(&self.owner.card.alarm));
        self.permit.is_some()
    }

    /// Gives back what is needed for an attempt only: there is none.
    pub(crate) fn step_back(&mut self) {
        self.permit = None;
    }

    #[inline]
    fn record(&mut self, is_ok: bool) {
        if let Some(breaker) = &mut self.settings.breaker {
            breaker.record(is_ok, self.owner.hub.clock.monotonic());
        }
    }
}

/// None if it takes longer.
async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), SystemTimer.after(time)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
