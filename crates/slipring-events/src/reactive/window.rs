//! Items by the vector: so many, or what comes in a time, or whichever is first.

use std::{
    mem,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::StreamExt as _;

use super::{Delay, Flow, Timer};

impl<T: Send + 'static> Flow<T> {
    /// Passes on vectors of `count` items. At the end, the last one has what is left, and may be shorter; none is
    /// empty.
    ///
    /// # Panics
    /// If `count` is 0.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let pairs = Flow::from_stream(stream::iter([1, 2, 3])).buffer(2);
    /// assert_eq!(smol::block_on(pairs.collect::<Vec<_>>()), [vec![1, 2], vec![3]]);
    /// ```
    pub fn buffer(self, count: usize) -> Flow<Vec<T>> {
        assert!(count > 0, "a buffer of 0 items is never full: use at least 1");
        Flow::from_stream(self.chunks(count))
    }

    /// Passes on a window when it has `count` items, or when `period` has gone by since its first one, whichever is
    /// first; at the end, what is left. So no window is empty, and no item waits longer than `period` for the
    /// others.
    ///
    /// Time counts from when the flow reads the item, and is looked at when it is polled: to a consumer
    /// that is late, windows are late, and what has waited before the flow meanwhile belongs to the next one.
    ///
    /// # Panics
    /// If `count` is 0.
    ///
    /// ```
    /// use futures_util::FutureExt as _;
    /// use slipring_events::reactive::{ManualTimer, Subject};
    /// use std::time::Duration;
    ///
    /// let timer = ManualTimer::new();
    /// let mut subject = Subject::new(8)?;
    /// let mut windows = subject.subscribe()?.window(3, Duration::from_secs(1), timer.clone());
    /// for number in 1..=5 {
    ///     subject.publish(number)?;
    /// }
    /// assert_eq!(smol::block_on(windows.next()), Some(vec![1, 2, 3])); // By count.
    /// assert_eq!(windows.next().now_or_never(), None);
    /// timer.advance(Duration::from_secs(1));
    /// assert_eq!(smol::block_on(windows.next()), Some(vec![4, 5])); // By time.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn window(self, count: usize, period: Duration, timer: impl Timer) -> Flow<Vec<T>> {
        self.windows(count, WhenFull::PassOn, period, timer)
    }

    /// Passes on a window when `period` has gone by since its first item; at the end, what is left. No window is
    /// empty. When it has `most` items it takes no more before the time is up, and so holds the source back: at
    /// most so many items come by in a period.
    ///
    /// Time counts as for [`window`](Self::window).
    ///
    /// # Panics
    /// If `most` is 0.
    ///
    /// ```
    /// use futures_util::stream;
    /// use slipring_events::reactive::{Flow, SystemTimer};
    /// use std::time::Duration;
    ///
    /// let period = Duration::from_millis(1);
    /// let flow = Flow::from_stream(stream::iter([1, 2, 3])).window_time(period, 2, SystemTimer);
    /// let windows: Vec<_> = smol::block_on(flow.collect());
    /// assert_eq!(windows.concat(), [1, 2, 3]);
    /// assert!(windows.iter().all(|window| window.len() <= 2));
    /// ```
    pub fn window_time(self, period: Duration, most: usize, timer: impl Timer) -> Flow<Vec<T>> {
        self.windows(most, WhenFull::Wait, period, timer)
    }

    fn windows(
        self,
        most: usize,
        when_full: WhenFull,
        period: Duration,
        timer: impl Timer,
    ) -> Flow<Vec<T>> {
        assert!(most > 0, "a window of 0 items is never opened: use at least 1");
        let mut window = Window { source: self, most, when_full, items: Vec::new(), due: None };
        Flow::from_poll(move |context| window.poll(context, || timer.after(period)))
    }
}

/// What a window does that has as many items as it may.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenFull {
    PassOn,
    Wait,
}

struct Window<T> {
    source: Flow<T>,
    most: usize,
    when_full: WhenFull,
    items: Vec<T>,
    /// When the window is over that has been opened.
    due: Option<Delay>,
}

impl<T> Window<T> {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        open: impl Fn() -> Delay,
    ) -> Poll<Option<Vec<T>>> {
        loop {
            // Before the next item, which comes too late for it.
            if let Some(due) = &mut self.due
                && due.poll_now(context).is_ready()
            {
                return self.pass_on();
            }
            if self.items.len() == self.most {
                return Poll::Pending;
            }
            match self.source.poll(context) {
                Poll::Ready(Some(item)) => {
                    self.items.push(item);
                    if self.items.len() == self.most && self.when_full == WhenFull::PassOn {
                        return self.pass_on();
                    }
                    self.due.get_or_insert_with(&open);
                }
                Poll::Ready(None) if self.items.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => return self.pass_on(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn pass_on(&mut self) -> Poll<Option<Vec<T>>> {
        self.due = None;
        Poll::Ready(Some(mem::take(&mut self.items)))
    }
}
