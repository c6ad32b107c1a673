//! Transformations on the threads of a pool.
//!
//! The flow takes items from its source and gives each to the pool as a job; jobs lay what they come to on a desk
//! that they share with the flow, which hands it on. Whoever lays down what the flow is waiting for wakes it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    thread,
};

use parking_lot::Mutex;

use super::{Flow, Pool, pool::Job};

impl<T: Send + 'static> Flow<T> {
    /// Has `work` done on the items by the threads of a pool, and passes on what it comes to in the order of the
    /// items. At most `in_flight` items have been read and not yet passed on: those in the
    /// works, those that wait for a thread, and those that wait for one before them. With fewer than the
    /// pool has [`workers`](Pool::workers), not all of these have work.
    ///
    /// If `work` panics, the panic goes on to whoever polls the flow, when it is that item's turn, and the flow is
    /// over; the thread goes on with others' jobs. Work that may fail returns a `Result`.
    ///
    /// When the flow is dropped, what is in the works is finished, for nobody; what waits for a thread is dropped
    /// when it is its turn. Work must not wait for a flow that needs a thread of the same pool: there may be none.
    ///
    /// # Panics
    /// If `in_flight` is 0.
    ///
    /// ```
    /// use futures_util::stream;
    /// use slipring_events::reactive::{Flow, Pool};
    ///
    /// let pool = Pool::of_cores()?;
    /// let flow = Flow::from_stream(stream::iter(1..=100_u64));
    /// let sums = flow.observe_on(&pool, 8, |n| (1..=n).sum::<u64>());
    /// let sums: Vec<u64> = smol::block_on(sums.collect());
    /// assert_eq!((sums[2], sums[99]), (6, 5050));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn observe_on<U: Send + 'static>(
        self,
        pool: &Pool,
        in_flight: usize,
        work: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> Flow<U> {
        self.observe(pool, in_flight, Order::AsRead, work)
    }

    /// As [`observe_on`](Self::observe_on), passing on first what is done first: nothing waits for an item before
    /// it that takes longer.
    ///
    /// # Panics
    /// If `in_flight` is 0.
    ///
    /// ```
    /// use futures_util::stream;
    /// use slipring_events::reactive::{Flow, Pool};
    ///
    /// let pool = Pool::new(2)?;
    /// let flow = Flow::from_stream(stream::iter([1, 2, 3])).observe_on_unordered(&pool, 2, |n| n * 2);
    /// let mut doubled: Vec<i32> = smol::block_on(flow.collect());
    /// doubled.sort_unstable();
    /// assert_eq!(doubled, [2, 4, 6]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn observe_on_unordered<U: Send + 'static>(
        self,
        pool: &Pool,
        in_flight: usize,
        work: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> Flow<U> {
        self.observe(pool, in_flight, Order::AsDone, work)
    }

    fn observe<U: Send + 'static>(
        self,
        pool: &Pool,
        in_flight: usize,
        order: Order,
        work: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> Flow<U> {
        assert!(in_flight > 0, "with 0 items in flight none is ever read: use at least 1");
        let desk = Arc::new(Mutex::new(Desk::new(order)));
        let mut observing =
            Observing { source: self, pool: pool.clone(), in_flight, busy: 0, desk };
        let work = Arc::new(work);
        Flow::from_poll(move |context| observing.poll(context, &work))
    }
}

/// In which order results are passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    AsRead,
    AsDone,
}

/// What the work on an item came to, or its panic.
type Outcome<U> = thread::Result<U>;

/// Where outcomes wait for the flow.
struct Desk<U> {
    order: Order,
    /// In the order of items, a place for each that was read and not passed on; in the order in which they were
    /// done, just the outcomes.
    outcomes: VecDeque<Option<Outcome<U>>>,
    /// The number of the item that the first place belongs to.
    first: u64,
    /// Whoever waits for the next one.
    waiting: Option<Waker>,
}

impl<U> Desk<U> {
    fn new(order: Order) -> Self {
        Self { order, outcomes: VecDeque::new(), first: 0, waiting: None }
    }

    /// Makes a place for the next item; returns its number.
    fn expect(&mut self) -> u64 {
        let number = self.first + self.outcomes.len() as u64;
        if self.order == Order::AsRead {
            self.outcomes.push_back(None);
        }
        number
    }

    /// Lays down what the work on an item came to. Returns who is to be woken.
    fn lay_down(&mut self, number: u64, outcome: Outcome<U>) -> Option<Waker> {
        if self.order == Order::AsDone {
            self.outcomes.push_back(Some(outcome));
            return self.waiting.take();
        }
        let place = (number - self.first) as usize;
        self.outcomes[place] = Some(outcome);
        if place == 0 { self.waiting.take() } else { None }
    }

    /// The next outcome, if it is there.
    fn take(&mut self) -> Option<Outcome<U>> {
        let outcome = self.outcomes.front_mut()?.take()?;
        self.outcomes.pop_front();
        self.first += 1;
        Some(outcome)
    }
}

struct Observing<T, U> {
    source: Flow<T>,
    pool: Pool,
    in_flight: usize,
    /// Items that were read and not passed on.
    busy: usize,
    desk: Arc<Mutex<Desk<U>>>,
}

impl<T: Send + 'static, U: Send + 'static> Observing<T, U> {
    fn poll<F>(&mut self, context: &mut Context<'_>, work: &Arc<F>) -> Poll<Option<U>>
    where
        F: Fn(T) -> U + Send + Sync + 'static,
    {
        let mut is_over = false;
        // First: so all that may be is in the works while the consumer has its hands full.
        while self.busy < self.in_flight && !is_over {
            match self.source.poll(context) {
                Poll::Ready(Some(item)) => {
                    let number = self.desk.lock().expect();
                    self.pool.run(job(Arc::downgrade(&self.desk), number, item, Arc::clone(work)));
                    self.busy += 1;
                }
                Poll::Ready(None) => is_over = true,
                Poll::Pending => break,
            }
        }
        if self.busy == 0 {
            return if is_over { Poll::Ready(None) } else { Poll::Pending };
        }
        self.outcome(context).map(|outcome| {
            self.busy -= 1;
            Some(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
        })
    }

    fn outcome(&self, context: &Context<'_>) -> Poll<Outcome<U>> {
        // Wakers are somebody else's code: cloned and dropped without the lock.
        let waker = context.waker().clone();
        let mut desk = self.desk.lock();
        if let Some(outcome) = desk.take() {
            return Poll::Ready(outcome);
        }
        let before = desk.waiting.replace(waker);
        drop(desk);
        drop(before);
        Poll::Pending
    }
}

fn job<T, U, F>(desk: Weak<Mutex<Desk<U>>>, number: u64, item: T, work: Arc<F>) -> Job
where
    T: Send + 'static,
    U: Send + 'static,
    F: Fn(T) -> U + Send + Sync + 'static,
{
    Box::new(move || {
        if desk.strong_count() == 0 {
            return;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| work(item)));
        if let Some(desk) = desk.upgrade() {
            let waiting = desk.lock().lay_down(number, outcome);
            if let Some(waiting) = waiting {
                waiting.wake();
            }
        }
    })
}
