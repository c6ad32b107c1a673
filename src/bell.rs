//! The bell beside each cursor: how a thread that sleeps until the cursor moves is woken.
//!
//! States: *quiet* (nobody sleeps) and *awaited* (somebody sleeps, or is about to).
//!
//! Fast path, for the owner of the cursor: move the cursor, light fence, one relaxed load. While
//! the bell is quiet that is all.
//!
//! Slow path, for the sleeper, with the mutex held: mark the bell awaited, heavy fence, look at
//! the cursor once more, sleep. For the owner who sees the mark: take the mutex, take the mark
//! away, wake all. One ring a nap: whoever still has to wait marks the bell again.
//!
//! The race: the owner moves the cursor and looks at the bell while the sleeper marks the bell and
//! looks at the cursor. The two fences make sure that at least one sees the other. If the owner
//! sees the mark, it cannot ring before the sleeper sleeps, because the sleeper holds the mutex
//! from the mark until the wait. If the sleeper sees the move, it does not sleep.
//!
//! Closing and halting ring without a look at the mark: they write the ring's state before they
//! take the mutex, and a sleeper looks at the state with the mutex held.

use crossbeam_utils::CachePadded;

use crate::sync::{
    Instant,
    atomic::{AtomicU32, Ordering},
    fence::Fences,
    lock::{Condvar, Mutex},
};

const QUIET: u32 = 0;
const AWAITED: u32 = 1;

#[derive(Debug)]
pub(crate) struct Bell {
    /// Read by the cursor's owner after each move, written only around naps.
    state: CachePadded<AtomicU32>,
    mutex: Mutex<()>,
    condvar: Condvar,
    fences: Fences,
}

impl Bell {
    pub(crate) fn new(fences: Fences) -> Self {
        Self {
            state: CachePadded::new(AtomicU32::new(QUIET)),
            mutex: Mutex::new(()),
            condvar: Condvar::default(),
            fences,
        }
    }

    /// For the owner, after each move of the cursor.
    #[inline]
    pub(crate) fn ring_if_awaited(&self) {
        self.fences.light();
        // ORDERING(WAKE): Relaxed: the fences on both sides order it after the move.
        if self.state.load(Ordering::Relaxed) != QUIET {
            self.ring();
        }
    }

    /// Wakes everybody who sleeps here.
    #[cold]
    pub(crate) fn ring(&self) {
        let guard = self.mutex.lock();
        // ORDERING(WAKE): Relaxed: written only with the mutex held.
        self.state.store(QUIET, Ordering::Relaxed);
        drop(guard);
        self.condvar.notify_all();
    }

    /// Sleeps until the bell rings or the deadline passes, if `must_wait` still holds then. May
    /// return without cause: the caller looks again.
    #[cold]
    pub(crate) fn sleep(&self, deadline: Option<Instant>, must_wait: impl FnOnce() -> bool) {
        let mut guard = self.mutex.lock();
        // ORDERING(WAKE): Relaxed: the heavy fence orders it before the look at the cursor.
        self.state.store(AWAITED, Ordering::Relaxed);
        self.fences.heavy();
        if must_wait() {
            self.condvar.wait(&mut guard, deadline);
        }
    }

    /// Sleeps until `until` without asking the owner to ring: only closing and halting cut a nap
    /// short.
    #[cold]
    pub(crate) fn nap(&self, until: Instant, must_wait: impl FnOnce() -> bool) {
        let mut guard = self.mutex.lock();
        if must_wait() {
            self.condvar.wait(&mut guard, Some(until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cursor::Cursor, sync::Arc};
    use std::time::Duration;

    fn hand_over(fences: Fences) {
        let (cursor, bell) = (Arc::new(Cursor::new(0)), Arc::new(Bell::new(fences)));
        let sleeper = {
            let (cursor, bell) = (Arc::clone(&cursor), Arc::clone(&bell));
            std::thread::spawn(move || {
                for wanted in 1..=3_000 {
                    while cursor.passed() < wanted {
                        bell.sleep(None, || cursor.passed() < wanted);
                    }
                }
            })
        };
        for sequence in 1..=3_000 {
            cursor.publish(sequence);
            bell.ring_if_awaited();
            if sequence % 64 == 0 {
                std::thread::yield_now();
            }
        }
        sleeper.join().expect("the sleeper is woken for every move that it waits for");
    }

    #[test]
    fn no_move_is_slept_through() {
        hand_over(Fences::detect());
        hand_over(Fences::Symmetric);
    }

    #[test]
    fn a_deadline_ends_a_nap() {
        let bell = Bell::new(Fences::Symmetric);
        bell.sleep(Some(Instant::now() + Duration::from_millis(1)), || true);
    }
}
