//! Waking a handler that holds, be it a thread or a task.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use futures_util::task::AtomicWaker;

/// Rung when something has changed for a handler that did not come by the ring.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    is_rung: AtomicBool,
    waker: AtomicWaker,
}

impl Alarm {
    pub(crate) fn ring(&self) {
        // Pairs with `is_heard`: what was changed before is seen after. The waker is looked at after it, and set
        // before it is asked for: one of the two sees the other.
        self.is_rung.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    fn is_heard(&self) -> bool {
        self.is_rung.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.is_heard() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Sleeps until it is rung, at most so long. Only one thread may.
    pub(crate) fn sleep(&self, time: Duration, sleeper: &Waker) {
        self.waker.register(sleeper);
        if !self.is_heard() {
            thread::park_timeout(time);
            self.is_heard();
        }
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// What wakes this thread.
pub(crate) fn this_thread() -> Waker {
    Waker::from(std::sync::Arc::new(Unpark(thread::current())))
}
