//! Threads that work for flows.
//!
//! Jobs wait in a queue behind a lock, not on a ring: a ring's slots become free in order, so that one job that
//! takes long would keep other flows' from being accepted. What bounds the queue is the flows: each
//! has so many items in the works, and no more.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::Arc,
    thread::{self, available_parallelism},
};

use async_task::Runnable;
use parking_lot::{Condvar, Mutex};

use super::panics;

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Worker threads, for [`Flow::observe_on`](super::Flow::observe_on) and for handlers of a bus
/// ([`pooled`](crate::Registration::pooled)). Clones are the same threads, and any
/// number of flows and handlers may share them.
///
/// The threads end when the last handle is gone, flows that use them included, and what was begun is done. Nobody
/// waits for that.
///
/// # Examples
/// ```
/// use futures_util::stream;
/// use slipring_events::reactive::{Flow, Pool};
///
/// let pool = Pool::new(2)?;
/// let flow = Flow::from_stream(stream::iter([1_u64, 2, 3])).observe_on(&pool, 4, |n| n * n);
/// assert_eq!(smol::block_on(flow.collect::<Vec<_>>()), [1, 4, 9]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Owned>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("workers", &self.0.workers).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of so many threads.
    ///
    /// # Errors
    /// If there are to be none, or if one cannot be started; those that were end then.
    pub fn new(workers: usize) -> io::Result<Self> {
        if workers == 0 {
            let message = "a pool of 0 workers does no work: use at least 1";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let pool = Self(Arc::new(Owned { workers, crew: Arc::default() }));
        for number in 0..workers {
            let crew = Arc::clone(&pool.0.crew);
            thread::Builder::new()
                .name(format!("slipring pool {number}"))
                .spawn(move || crew.work())?;
        }
        Ok(pool)
    }

    /// A pool with a thread for each core that this process may use.
    ///
    /// ```
    /// use slipring_events::reactive::Pool;
    ///
    /// assert!(Pool::of_cores()?.workers() > 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_cores() -> io::Result<Self> {
        Self::new(available_parallelism().map_or(1, usize::from))
    }

    /// How many threads there are.
    pub fn workers(&self) -> usize {
        self.0.workers
    }

    /// Has the job done by the next thread that has time.
    pub(super) fn run(&self, job: Job) {
        self.0.crew.todo.lock().waiting.push_back(job);
        self.0.crew.arrival.notify_one();
    }
}

impl Pool {
    /// Has a future run by these threads, which stay as long as it does.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let pool = self.clone();
        let schedule = move |runnable: Runnable| {
            pool.run(Box::new(move || {
                runnable.run();
            }));
        };
        let (runnable, task) = async_task::spawn(future, schedule);
        task.detach();
        runnable.schedule();
    }
}

/// What the last handle lets go of.
struct Owned {
    workers: usize,
    crew: Arc<Crew>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.crew.todo.lock().is_closed = true;
        self.crew.arrival.notify_all();
    }
}

#[derive(Default)]
struct Crew {
    todo: Mutex<Todo>,
    arrival: Condvar,
}

#[derive(Default)]
struct Todo {
    waiting: VecDeque<Job>,
    is_closed: bool,
}

impl Crew {
    fn work(&self) {
        while let Some(job) = self.next() {
            // A flow's own panics are told to whoever reads it. What comes here is a destructor's, or a waker's.
            panics::swallow(job);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut todo = self.todo.lock();
        loop {
            if let Some(job) = todo.waiting.pop_front() {
                return Some(job);
            }
            if todo.is_closed {
                return None;
            }
            self.arrival.wait(&mut todo);
        }
    }
}
