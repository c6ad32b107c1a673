//! The newest of several: when they have stopped coming, or once in a period.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::{Delay, Flow, Timer, flow::AT_ONCE};

impl<T: Send + 'static> Flow<T> {
    /// Passes on an item when no other has come for `period`; at the end, the one that was waiting. Items that are
    /// followed too soon are dropped.
    ///
    /// Time counts from when the flow reads the item, and is looked at first when it is polled.
    ///
    /// ```
    /// use slipring_events::reactive::{Flow, SystemTimer};
    /// use futures_util::stream;
    /// use std::time::Duration;
    ///
    /// let typed = Flow::from_stream(stream::iter(["s", "sl", "slip"]));
    /// let searched = typed.debounce(Duration::from_millis(200), SystemTimer);
    /// assert_eq!(smol::block_on(searched.collect::<Vec<_>>()), ["slip"]);
    /// ```
    pub fn debounce(self, period: Duration, timer: impl Timer) -> Self {
        self.newest(true, period, timer)
    }

    /// Passes on the last item of each period, when it is over; at the end, the one that was waiting. A period
    /// begins with the first item that comes when there is none.
    ///
    /// Time counts as for [`debounce`](Self::debounce).
    ///
    /// ```
    /// use slipring_events::reactive::{Flow, SystemTimer};
    /// use futures_util::stream;
    /// use std::time::Duration;
    ///
    /// let positions = Flow::from_stream(stream::iter([1, 2, 3]));
    /// let drawn = positions.throttle_last(Duration::from_millis(200), SystemTimer);
    /// assert_eq!(smol::block_on(drawn.collect::<Vec<_>>()), [3]);
    /// ```
    pub fn throttle_last(self, period: Duration, timer: impl Timer) -> Self {
        self.newest(false, period, timer)
    }

    fn newest(self, restarts: bool, period: Duration, timer: impl Timer) -> Self {
        let mut newest = Newest { source: self, restarts, waiting: None };
        Self::from_poll(move |context| newest.poll(context, || timer.after(period)))
    }
}

struct Newest<T> {
    source: Flow<T>,
    /// Whether each item begins a period, or only the first one.
    restarts: bool,
    waiting: Option<(T, Delay)>,
}

impl<T> Newest<T> {
    fn poll(&mut self, context: &mut Context<'_>, wait: impl Fn() -> Delay) -> Poll<Option<T>> {
        for _ in 0..AT_ONCE {
            if let Some((_, due)) = &mut self.waiting
                && due.poll_now(context).is_ready()
            {
                return self.pass_on();
            }
            match self.source.poll(context) {
                Poll::Ready(Some(item)) => {
                    let begun = self.waiting.take().filter(|_| !self.restarts);
                    self.waiting = Some((item, begun.map_or_else(&wait, |(_, due)| due)));
                }
                Poll::Ready(None) => return self.pass_on(),
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn pass_on(&mut self) -> Poll<Option<T>> {
        Poll::Ready(self.waiting.take().map(|(item, _)| item))
    }
}
