//! A thread that makes the rounds.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::rounds::{Rounds, Tally};

/// What an interval is at least: nobody wants a thread that does nothing but look.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// A thread that makes [`Rounds`] in intervals.
///
/// It ends when every ring has, and when this is dropped or [stopped](Self::stop), at once: it sleeps where it can
/// be woken. Only a callback is not interrupted; the end waits for it to return. A callback may own the watch and
/// end it; that does not wait.
///
/// # Examples
/// ```
/// use slipring::{Builder, read};
/// use slipring_insight::{Rounds, Rule, Rules, Stations, Watch};
/// use std::time::Duration;
///
/// let (mut producer, dispatcher) =
///     Builder::new(1024, || 0_u64).then(read("risk", |_: &u64, _| ())).start()?;
/// let rules = Rules::new("orders")
///     .with(Rule::fill(0.9).until(0.7).for_at_least(Duration::from_secs(5)))
///     .with(Rule::stall(Stations::Any, Duration::from_secs(10)));
/// let rounds =
///     Rounds::new().ring(dispatcher.monitor(), rules).on_alert(|alert| eprintln!("{alert}"));
/// let watch = Watch::start(rounds, Duration::from_secs(1))?;
///
/// producer.publish(|event| *event = 1)?;
/// drop(producer);
/// dispatcher.join()?;
/// assert_eq!(watch.stop().alerts, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping the watch ends it"]
pub struct Watch {
    post: Arc<Post>,
    thread: Option<JoinHandle<()>>,
}

/// Where the thread and its owner meet.
#[derive(Debug, Default)]
struct Post {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    tally: Tally,
}

impl Watch {
    /// Makes the rounds at once, and then whenever `interval` has passed since the last time: at least a
    /// millisecond. The thread is called `slipring-watch`.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn start(rounds: Rounds, interval: Duration) -> io::Result<Self> {
        let post = Arc::new(Post::default());
        let body = {
            let post = Arc::clone(&post);
            move || make(rounds, &post, interval.max(SHORTEST_INTERVAL))
        };
        let thread = thread::Builder::new().name("slipring-watch".to_owned()).spawn(body)?;
        Ok(Self { post, thread: Some(thread) })
    }

    /// What it has come to, up to the last time that the rounds were made.
    pub fn tally(&self) -> Tally {
        self.post.lock().tally.clone()
    }

    /// Whether it has ended, because every ring has.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it, and tells what it has come to.
    pub fn stop(mut self) -> Tally {
        self.end();
        self.tally()
    }

    /// Waits until every ring has ended and was looked at for the last time, and tells what it has come to.
    pub fn join(mut self) -> Tally {
        self.await_thread();
        self.tally()
    }

    fn end(&mut self) {
        self.post.lock().is_stopped = true;
        self.post.changed.notify_all();
        self.await_thread();
    }

    fn await_thread(&mut self) {
        let thread = self.thread.take();
        let is_self = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
        if let Some(thread) = thread.filter(|thread| !is_self(thread)) {
            // Callbacks' panics are counted; this one can only be the destructor's of a callback.
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

fn make(mut rounds: Rounds, post: &Post, interval: Duration) {
    while !post.lock().is_stopped && !rounds.are_over() {
        rounds.look();
        let mut state = post.lock();
        state.tally.clone_from(rounds.tally());
        if !rounds.are_over() {
            let is_on = |state: &mut State| !state.is_stopped;
            // Whether the time is up or the watch is told, the loop finds.
            drop(post.changed.wait_timeout_while(state, interval, is_on));
        }
    }
}

impl Post {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
