//! The first of several, and then none for a while.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{Delay, Flow, Timer, flow::AT_ONCE};

impl<T: Send + 'static> Flow<T> {
    /// Passes on an item, and drops those that come within `period` after it.
    ///
    /// Time counts from when the flow reads the item, and is looked at first when it is polled. For the last
    /// item of each period see [`throttle_last`](Self::throttle_last).
    ///
    /// ```
    /// use slipring_events::reactive::{Flow, ManualTimer};
    /// use futures_util::stream;
    /// use std::time::Duration;
    ///
    /// let timer = ManualTimer::new();
    /// let clicks = Flow::from_stream(stream::iter([1, 2, 3]));
    /// let first = clicks.throttle(Duration::from_secs(1), timer);
    /// assert_eq!(smol::block_on(first.collect::<Vec<_>>()), [1]);
    /// ```
    pub fn throttle(self, period: Duration, timer: impl Timer) -> Self {
        let mut throttle = Throttle { source: self, closed: None };
        Self::from_poll(move |context| throttle.poll(context, || timer.after(period)))
    }
}

struct Throttle<T> {
    source: Flow<T>,
    /// Until when items are dropped.
    closed: Option<Delay>,
}

impl<T> Throttle<T> {
    fn poll(&mut self, context: &mut Context<'_>, wait: impl Fn() -> Delay) -> Poll<Option<T>> {
        for _ in 0..AT_ONCE {
            let is_over = |closed: &mut Delay| closed.poll_now(context).is_ready();
            if self.closed.as_mut().is_some_and(is_over) {
                self.closed = None;
            }
            match ready!(self.source.poll(context)) {
                Some(_) if self.closed.is_some() => {}
                Some(item) => {
                    self.closed = Some(wait());
                    return Poll::Ready(Some(item));
                }
                None => return Poll::Ready(None),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
