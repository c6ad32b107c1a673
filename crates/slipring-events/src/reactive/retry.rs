//! Subscribing again after an error.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{Delay, Flow, Timer};

impl<T: Send + 'static, E: Send + 'static> Flow<Result<T, E>> {
    /// Subscribes by `subscribe`, at once, and again after an error, at most `most` times and each time after `delay`.
    /// The first time it is called with `None`, then with the error.
    ///
    /// When that has been used up, errors are items like any other, and the last subscription goes on. The
    /// flow ends when a subscription ends without an error. Between two subscriptions there is none: what a
    /// [`Source`](super::Source) publishes meanwhile is missed, unless it is a
    /// [replaying](super::Subject::replaying) one.
    ///
    /// ```
    /// use futures_util::stream;
    /// use slipring_events::reactive::{Flow, SystemTimer};
    /// use std::time::Duration;
    ///
    /// let mut answers = [Err("timed out"), Err("refused"), Ok(7)].into_iter();
    /// let subscribe = move |error| {
    ///     if let Some(error) = error {
    ///         println!("trying again: {error}");
    ///     }
    ///     Flow::from_stream(stream::iter(answers.next()))
    /// };
    /// let flow = Flow::retry(3, Duration::from_millis(1), SystemTimer, subscribe);
    /// assert_eq!(smol::block_on(flow.collect::<Vec<_>>()), [Ok(7)]);
    /// ```
    pub fn retry(
        most: usize,
        delay: Duration,
        timer: impl Timer,
        mut subscribe: impl FnMut(Option<E>) -> Self + Send + 'static,
    ) -> Self {
        let current = subscribe(None);
        let mut retry = Retry { current, failed: None, left: most };
        Self::from_poll(move |context| retry.poll(context, || timer.after(delay), &mut subscribe))
    }
}

struct Retry<T, E> {
    /// Over while it waits for the next one.
    current: Flow<Result<T, E>>,
    failed: Option<(E, Delay)>,
    left: usize,
}

impl<T, E> Retry<T, E> {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        wait: impl Fn() -> Delay,
        subscribe: &mut impl FnMut(Option<E>) -> Flow<Result<T, E>>,
    ) -> Poll<Option<Result<T, E>>> {
        loop {
            if let Some((_, delay)) = &mut self.failed {
                ready!(delay.poll_now(context));
                let error = self.failed.take().map(|(error, _)| error);
                self.current = subscribe(error);
            }
            match ready!(self.current.poll(context)) {
                Some(Err(error)) if self.left > 0 => {
                    self.left -= 1;
                    // Let go before the delay, not after it.
                    self.current.close();
                    self.failed = Some((error, wait()));
                }
                item => return Poll::Ready(item),
            }
        }
    }
}
