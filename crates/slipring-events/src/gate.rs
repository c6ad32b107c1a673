//! Who may publish from outside: nobody once the bus closes, and nobody ahead of follow-ups that wait for room.
//!
//! A handler whose follow-ups find no room keeps them, and goes on: only by that does it make room. If others could
//! take the room first, it would have to keep more and more. So they wait until all follow-ups are on the ring.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    task::Waker,
    time::Instant,
};

use parking_lot::{Condvar, Mutex};

/// In [`Gate::state`]: the bus takes nothing more from outside.
const CLOSED: u64 = 1 << 63;

#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// How many follow-ups wait, and whether the bus is closed.
    state: AtomicU64,
    waiting: Mutex<Vec<Waker>>,
    bell: Condvar,
}

/// What a publisher finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Follow-ups go first.
    Busy,
    Closed,
}

impl Gate {
    #[inline]
    pub(crate) fn way(&self) -> Way {
        // Nothing is read that follows from it.
        match self.state.load(Ordering::Relaxed) {
            0 => Way::Open,
            state if state & CLOSED == 0 => Way::Busy,
            _ => Way::Closed,
        }
    }

    /// Follow-ups wait for room. Before the cursor moves past the event that they follow from, so that whoever has
    /// seen the one sees the other: both pass through the handler's account.
    pub(crate) fn add(&self, follow_ups: usize) {
        self.state.fetch_add(follow_ups as u64, Ordering::Relaxed);
    }

    /// One of them is on the ring, or is given up.
    pub(crate) fn remove_one(&self) {
        // Pairs with `pending`: whoever sees that it waits no more sees that it is on the ring.
        if self.state.fetch_sub(1, Ordering::Release) & !CLOSED == 1 {
            self.ring();
        }
    }

    pub(crate) fn pending(&self) -> u64 {
        self.state.load(Ordering::Acquire) & !CLOSED
    }

    pub(crate) fn close(&self) {
        // Relaxed: who has not seen it yet finds the ring itself closed, sooner or later.
        self.state.fetch_or(CLOSED, Ordering::Relaxed);
        self.ring();
    }

    fn ring(&self) {
        let wakers = std::mem::take(&mut *self.waiting.lock());
        self.bell.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits while follow-ups go first; returns whether that came to an end in time.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut waiting = self.waiting.lock();
        while self.way() == Way::Busy {
            match deadline {
                None => self.bell.wait(&mut waiting),
                Some(deadline) if self.bell.wait_until(&mut waiting, deadline).timed_out() => {
                    return self.way() != Way::Busy;
                }
                Some(_) => {}
            }
        }
        true
    }

    /// As `wait`, for a task: whether it has to be polled again.
    pub(crate) fn is_in_the_way(&self, waker: &Waker) -> bool {
        let mut waiting = self.waiting.lock();
        let is_busy = self.way() == Way::Busy;
        if is_busy && !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        is_busy
    }
}
