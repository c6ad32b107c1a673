//! A flow: a chain of operators over any stream, and a stream itself.

use std::{
    fmt, future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{Stream, stream::FusedStream};
use futures_util::{StreamExt, stream};

/// How many items an operator passes over in one poll before it lets other tasks run: a source that is always
/// ready must not keep a thread of the runtime for itself.
pub(super) const AT_ONCE: usize = 256;

/// A stream of `T` with operators. Made of any stream, and one itself: a flow goes wherever a stream does.
///
/// Nothing happens until it is polled, and it takes from its source only what it is asked for and what the
/// operators say that they keep (see the [table](super#operators)): so a slow consumer at the end makes the
/// publisher at the beginning wait.
///
/// A flow that has come to its end has let go of its source, and goes on returning `None`. A flow whose operator
/// panics has, too: the panic goes on to whoever polls it, and the flow is over.
///
/// # Examples
/// ```
/// use futures_util::stream;
/// use slipring_events::reactive::Flow;
///
/// let even = Flow::from_stream(stream::iter(1..=10)).filter(|n| n % 2 == 0).map(|n| n * n);
/// let squares: Vec<u32> = smol::block_on(even.collect());
/// assert_eq!(squares, [4, 16, 36, 64, 100]);
/// ```
#[must_use = "a flow does nothing until it is polled"]
pub struct Flow<T> {
    /// `None` when it is over.
    source: Option<Pin<Box<dyn Stream<Item = T> + Send>>>,
}

impl<T> fmt::Debug for Flow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("is_over", &self.source.is_none()).finish_non_exhaustive()
    }
}

impl<T> Stream for Flow<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        // Taken out while it is polled: so one that panics is gone, as one that has ended is.
        let Some(mut source) = self.source.take() else {
            return Poll::Ready(None);
        };
        let polled = source.as_mut().poll_next(context);
        if !matches!(polled, Poll::Ready(None)) {
            self.source = Some(source);
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.source.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl<T> FusedStream for Flow<T> {
    fn is_terminated(&self) -> bool {
        self.source.is_none()
    }
}

impl<T> Flow<T> {
    /// A flow of what a stream yields.
    ///
    /// ```
    /// use futures_util::stream;
    /// use slipring_events::reactive::Flow;
    ///
    /// let flow = Flow::from_stream(stream::iter(["a", "b"]));
    /// assert_eq!(smol::block_on(flow.collect::<String>()), "ab");
    /// ```
    pub fn from_stream(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        Self { source: Some(Box::pin(stream)) }
    }

    /// A flow that is over.
    ///
    /// ```
    /// use slipring_events::reactive::Flow;
    ///
    /// assert_eq!(smol::block_on(Flow::<u32>::empty().next()), None);
    /// ```
    pub fn empty() -> Self {
        Self { source: None }
    }

    /// A flow of what `poll` returns, which may be called again after the end.
    pub(super) fn from_poll(
        poll: impl FnMut(&mut Context<'_>) -> Poll<Option<T>> + Send + 'static,
    ) -> Self {
        Self::from_stream(stream::poll_fn(poll))
    }

    /// As [`poll_next`](Stream::poll_next), for operators.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(self).poll_next(context)
    }

    /// Lets go of the source.
    pub(super) fn close(&mut self) {
        self.source = None;
    }

    /// The next item, `None` at the end. The future may be dropped at any time: nothing is lost.
    ///
    /// ```
    /// use futures_util::stream;
    /// use slipring_events::reactive::Flow;
    ///
    /// smol::block_on(async {
    ///     let mut flow = Flow::from_stream(stream::iter([1, 2]));
    ///     while let Some(item) = flow.next().await {
    ///         println!("{item}");
    ///     }
    /// });
    /// ```
    pub async fn next(&mut self) -> Option<T> {
        future::poll_fn(|context| self.poll(context)).await
    }
}

impl<T: Send + 'static> Flow<T> {
    /// Makes another item of each.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let texts = Flow::from_stream(stream::iter([1, 2])).map(|n: u32| n.to_string());
    /// assert_eq!(smol::block_on(texts.collect::<Vec<_>>()), ["1", "2"]);
    /// ```
    pub fn map<U>(self, change: impl FnMut(T) -> U + Send + 'static) -> Flow<U> {
        Flow::from_stream(StreamExt::map(self, change))
    }

    /// Passes on the items that `keep` is true of.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let large = Flow::from_stream(stream::iter([1, 20, 3, 40])).filter(|n| *n > 9);
    /// assert_eq!(smol::block_on(large.collect::<Vec<_>>()), [20, 40]);
    /// ```
    pub fn filter(self, mut keep: impl FnMut(&T) -> bool + Send + 'static) -> Self {
        self.filter_map(move |item| keep(&item).then_some(item))
    }

    /// Makes another item of each, or none.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let words = Flow::from_stream(stream::iter(["1", "two", "3"]));
    /// let numbers = words.filter_map(|word| word.parse::<u32>().ok());
    /// assert_eq!(smol::block_on(numbers.collect::<Vec<_>>()), [1, 3]);
    /// ```
    pub fn filter_map<U>(
        mut self,
        mut choose: impl FnMut(T) -> Option<U> + Send + 'static,
    ) -> Flow<U> {
        // Not the adaptor of futures-util, which returns only when it has found something.
        Flow::from_poll(move |context| {
            for _ in 0..AT_ONCE {
                let Some(item) = ready!(self.poll(context)) else {
                    return Poll::Ready(None);
                };
                if let Some(chosen) = choose(item) {
                    return Poll::Ready(Some(chosen));
                }
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Makes items of each, one after the other; what comes in is not asked for before they are gone.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let letters = Flow::from_stream(stream::iter(["ab", "", "c"])).flat_map(str::chars);
    /// assert_eq!(smol::block_on(letters.collect::<Vec<_>>()), ['a', 'b', 'c']);
    /// ```
    pub fn flat_map<I>(self, mut change: impl FnMut(T) -> I + Send + 'static) -> Flow<I::Item>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
    {
        Flow::from_stream(StreamExt::flat_map(self, move |item| stream::iter(change(item))))
    }

    /// Makes another item of each and of what is kept from one to the next.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let sums = Flow::from_stream(stream::iter([1, 2, 3])).scan(0, |sum, n| {
    ///     *sum += n;
    ///     *sum
    /// });
    /// assert_eq!(smol::block_on(sums.collect::<Vec<_>>()), [1, 3, 6]);
    /// ```
    pub fn scan<S: Send + 'static, U>(
        self,
        mut state: S,
        mut step: impl FnMut(&mut S, T) -> U + Send + 'static,
    ) -> Flow<U> {
        self.map(move |item| step(&mut state, item))
    }

    /// Passes on the first `count` items. The source is let go with the last of them, not when one more is asked
    /// for: nobody is held back by a flow that wants nothing more.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let two = Flow::from_stream(stream::iter(1..)).take(2);
    /// assert_eq!(smol::block_on(two.collect::<Vec<_>>()), [1, 2]);
    /// ```
    pub fn take(mut self, count: usize) -> Self {
        let mut left = count;
        if left == 0 {
            return Self::empty();
        }
        Self::from_poll(move |context| {
            let item = ready!(self.poll(context));
            left = left.saturating_sub(1);
            if left == 0 {
                self.close();
            }
            Poll::Ready(item)
        })
    }

    /// Leaves out the first `count` items.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let rest = Flow::from_stream(stream::iter([1, 2, 3])).skip(2);
    /// assert_eq!(smol::block_on(rest.collect::<Vec<_>>()), [3]);
    /// ```
    pub fn skip(self, count: usize) -> Self {
        let mut left = count;
        self.filter(move |_| {
            let passes = left == 0;
            left = left.saturating_sub(1);
            passes
        })
    }

    /// Passes on items until `signal` is ready, which is looked at first.
    ///
    /// ```
    /// # use futures_util::stream;
    /// use slipring_events::reactive::{Flow, ManualTimer, Timer};
    /// use std::time::Duration;
    ///
    /// let timer = ManualTimer::new();
    /// let deadline = timer.after(Duration::from_secs(1));
    /// let mut flow = Flow::from_stream(stream::iter(1..)).take_until(deadline);
    /// assert_eq!(smol::block_on(flow.next()), Some(1));
    /// timer.advance(Duration::from_secs(1));
    /// assert_eq!(smol::block_on(flow.next()), None);
    /// ```
    pub fn take_until(self, signal: impl Future<Output: Send> + Send + 'static) -> Self {
        Self::from_stream(StreamExt::take_until(self, signal))
    }

    /// Passes on the items of both, in turn where both have some, until both are over.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let odd = Flow::from_stream(stream::iter([1, 3]));
    /// let all = odd.merge(stream::iter([2, 4, 6]));
    /// assert_eq!(smol::block_on(all.collect::<Vec<_>>()), [1, 2, 3, 4, 6]);
    /// ```
    pub fn merge(self, other: impl Stream<Item = T> + Send + 'static) -> Self {
        // As a flow, the other one is let go when it ends as well.
        Self::from_stream(stream::select(self, Self::from_stream(other)))
    }

    /// Passes on pairs, until one of the two is over. An item without a partner is lost then.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let pairs = Flow::from_stream(stream::iter([1, 2, 3])).zip(stream::iter(["a", "b"]));
    /// assert_eq!(smol::block_on(pairs.collect::<Vec<_>>()), [(1, "a"), (2, "b")]);
    /// ```
    pub fn zip<U: Send + 'static>(
        self,
        other: impl Stream<Item = U> + Send + 'static,
    ) -> Flow<(T, U)> {
        Flow::from_stream(StreamExt::zip(self, Flow::from_stream(other)))
    }

    /// Calls `handle` with each item, and is done when the flow is over. Where the handling is asynchronous, await
    /// [`next`](Self::next) in a loop.
    ///
    /// If the future is dropped, so is the flow; what was handled was handled.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let flow = Flow::from_stream(stream::iter(["a", "b"]));
    /// smol::block_on(flow.for_each(|item| println!("{item}")));
    /// ```
    pub async fn for_each(mut self, mut handle: impl FnMut(T)) {
        while let Some(item) = self.next().await {
            handle(item);
        }
    }

    /// Collects all items.
    ///
    /// If the future is dropped, so are the flow and what was collected.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let flow = Flow::from_stream(stream::iter([1, 2]));
    /// assert_eq!(smol::block_on(flow.collect::<Vec<_>>()), [1, 2]);
    /// ```
    pub async fn collect<C: Default + Extend<T>>(self) -> C {
        StreamExt::collect(self).await
    }
}
