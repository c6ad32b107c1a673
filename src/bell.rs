//! The bell beside each cursor: how a thread that sleeps until the cursor moves is woken.
//!
//! A bell has one word of signs, which the cursor's owner reads after each move. While it is zero,
//! that is all the owner does.
//!
//! | sign | meaning |
//! |---|---|
//! | `AWAITED` | somebody sleeps until the cursor moves, or is about to |
//! | `SYMMETRIC` | this machine has no asymmetric fence: whoever reads the signs must execute one |
//! | others | the life of the ring, on the producers' bell only: see `lifecycle.rs` |
//!
//! Slow path, for the sleeper: with the mutex held, raise `AWAITED` and note how often the bell has
//! rung; heavy fence; with the mutex held again, look at the cursor once more, and sleep unless the
//! bell has rung meanwhile. For the owner who sees the sign: with the mutex held, take the sign away
//! and count the ring; wake all. One ring a nap: whoever still has to wait raises the sign again.
//!
//! The race: the owner moves the cursor and looks at the bell while the sleeper marks the bell and
//! looks at the cursor. The two fences make sure that at least one sees the other. If the sleeper
//! sees the move, it does not sleep. If the owner sees the sign, it rings, and either the sleeper
//! finds the ring counted, or it sleeps already and is woken, because the mutex is given up only by
//! the wait itself. The sign of a second sleeper does not deceive the first one: it sleeps only on
//! its own, from before its own fence, which no ring has taken away.
//!
//! A task cannot sleep: it leaves its waker, under the mutex and with the same sign, executes the same
//! fence, and looks once more before it goes. A ring wakes all wakers that are there, so none is ever
//! passed over; one whose task has lost interest is taken away by whoever left it.
//!
//! Closing and halting ring without a look at `AWAITED`: they raise their own signs before they
//! take the mutex, and a sleeper looks at those with the mutex held.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

use crossbeam_utils::CachePadded;

use crate::{
    error::let_go,
    sync::{
        atomic::{AtomicU32, Ordering},
        fence::{self, Fences},
        lock::flow::{Condvar, Mutex},
        time::Instant,
    },
};

const AWAITED: u32 = 1;
const SYMMETRIC: u32 = 2;
/// The first bit that is free for other signs.
pub(crate) const FREE_SIGN: u32 = 4;

#[derive(Debug)]
pub(crate) struct Bell {
    /// Read by the cursor's owner after each move, written rarely.
    signs: CachePadded<AtomicU32>,
    waiting: Mutex<Waiting>,
    condvar: Condvar,
    fences: Fences,
    number: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// How often the bell has rung.
    rings: u64,
    /// The tasks that wait here, each with the number of its ticket.
    wakers: Vec<(u64, Waker)>,
    tickets: u64,
}

/// What a task gets that leaves its waker at a bell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Bell {
    /// The `number` tells it from the others of a ring.
    pub(crate) fn new(fences: Fences, number: usize) -> Self {
        let signs = if fences == Fences::Symmetric { SYMMETRIC } else { 0 };
        Self {
            signs: CachePadded::new(AtomicU32::new(signs)),
            waiting: Mutex::default(),
            condvar: Condvar::default(),
            fences,
            number,
        }
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// The signs, read behind everything that this thread has done or seen before: the frequent
    /// side of a handshake (see `sync/fence.rs`).
    #[inline]
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn look_behind(&self) -> u32 {
        fence::light();
        // ORDERING(DEKKER): Relaxed: the light fence orders it; if that is not enough on this
        // machine, a sign says so.
        let signs = self.signs.load(Ordering::Relaxed);
        if signs == 0 { 0 } else { self.look_again(signs) }
    }

    #[cold]
    #[cfg_attr(loom, track_caller)]
    fn look_again(&self, signs: u32) -> u32 {
        if signs & SYMMETRIC == 0 {
            return signs;
        }
        fence::full();
        // ORDERING(DEKKER): Relaxed: the fence orders it.
        self.signs.load(Ordering::Relaxed)
    }

    /// The signs, as a hint: orders nothing.
    #[inline]
    pub(crate) fn glance(&self) -> u32 {
        // ORDERING(GLANCE): Relaxed: whoever must not miss a sign uses `look_behind`.
        self.signs.load(Ordering::Relaxed)
    }

    /// Raises a sign that is not this module's.
    pub(crate) fn raise(&self, sign: u32) {
        debug_assert!(sign >= FREE_SIGN);
        // ORDERING(DEKKER): Relaxed: whoever needs an order executes the heavy fence behind it.
        self.signs.fetch_or(sign, Ordering::Relaxed);
    }

    /// For the owner, after each move of the cursor.
    #[inline]
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn ring_if_awaited(&self) {
        self.answer(self.look_behind());
    }

    /// For an owner who has looked after the move: rings if the signs say so.
    #[inline]
    pub(crate) fn answer(&self, signs: u32) {
        if signs & AWAITED != 0 {
            self.ring();
        }
    }

    /// Wakes everybody who sleeps here.
    #[cold]
    pub(crate) fn ring(&self) {
        let mut waiting = self.waiting.lock();
        waiting.rings += 1;
        // ORDERING(WAKE): Relaxed: this sign is written only with the mutex held.
        self.signs.fetch_and(!AWAITED, Ordering::Relaxed);
        let wakers = mem::take(&mut waiting.wakers);
        drop(waiting);
        self.condvar.notify_all();
        if !wakers.is_empty() {
            self.wake(wakers);
        }
    }

    /// Wakes tasks, without the mutex: a waker is somebody else's code.
    fn wake(&self, mut wakers: Vec<(u64, Waker)>) {
        for (_, waker) in wakers.drain(..) {
            // If it panics, that is not the business of whoever has just moved a cursor.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                let_go(panic);
            }
        }
        // Nothing was allocated for nothing: whoever comes next finds the room.
        let mut waiting = self.waiting.lock();
        if waiting.wakers.capacity() == 0 {
            waiting.wakers = wakers;
        }
    }

    /// Leaves a task's waker, in place of the one that it left here before. The task has to look once
    /// more before it goes: if the bell is rung after that look, the task is woken.
    #[cold]
    pub(crate) fn leave(&self, ticket: Option<Ticket>, waker: &Waker) -> Ticket {
        // Somebody else's code, as well.
        let waker = waker.clone();
        let mut waiting = self.waiting.lock();
        // ORDERING(WAKE): Relaxed: the heavy fence orders it before the look at the cursor.
        self.signs.fetch_or(AWAITED, Ordering::Relaxed);
        let own = |(number, _): &(u64, Waker)| Some(Ticket(*number)) == ticket;
        let own = waiting.wakers.iter().position(own);
        let before = own.map(|own| waiting.wakers.swap_remove(own).1);
        waiting.tickets += 1;
        let ticket = waiting.tickets;
        waiting.wakers.push((ticket, waker));
        drop(waiting);
        drop(before);
        self.fences.heavy();
        Ticket(ticket)
    }

    /// Takes back what a task has left that has lost interest.
    #[cold]
    pub(crate) fn take_back(&self, ticket: Ticket) {
        let mut waiting = self.waiting.lock();
        let own = waiting.wakers.iter().position(|(number, _)| Ticket(*number) == ticket);
        let waker = own.map(|own| waiting.wakers.swap_remove(own));
        drop(waiting);
        drop(waker);
    }

    /// Sleeps until the bell rings or the deadline passes, if `must_wait` still holds then. May
    /// return without cause: the caller looks again.
    #[cold]
    pub(crate) fn sleep(&self, deadline: Option<Instant>, must_wait: impl FnOnce() -> bool) {
        let rings_before = {
            let waiting = self.waiting.lock();
            // ORDERING(WAKE): Relaxed: the heavy fence orders it before the look at the cursor.
            self.signs.fetch_or(AWAITED, Ordering::Relaxed);
            waiting.rings
        };
        // Not with the mutex held: it takes its time, and a ringer would have to wait for it.
        self.fences.heavy();
        let waiting = self.waiting.lock();
        if waiting.rings == rings_before && must_wait() {
            drop(self.condvar.wait(waiting, deadline));
        }
    }

    /// Sleeps until `until` without asking the owner to ring: only closing and halting cut a nap
    /// short.
    #[cold]
    pub(crate) fn nap(&self, until: Option<Instant>, must_wait: impl FnOnce() -> bool) {
        let waiting = self.waiting.lock();
        if must_wait() {
            drop(self.condvar.wait(waiting, until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cursor::Cursor,
        sync::{Arc, thread},
    };
    use std::time::Duration;

    fn hand_over(fences: Fences) {
        let (cursor, bell) = (Arc::new(Cursor::new(0)), Arc::new(Bell::new(fences, 0)));
        let sleeper = {
            let (cursor, bell) = (Arc::clone(&cursor), Arc::clone(&bell));
            let body = move || {
                for wanted in 1..=3_000 {
                    while cursor.passed() < wanted {
                        bell.sleep(None, || cursor.passed() < wanted);
                    }
                }
            };
            thread::spawn("sleeper", body).expect("a thread for the test")
        };
        for sequence in 1..=3_000 {
            cursor.hand_on(sequence);
            bell.ring_if_awaited();
            if sequence % 64 == 0 {
                thread::yield_now();
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
    fn a_nap_does_not_ask_the_owner_to_ring() {
        for fences in [Fences::Symmetric, Fences::detect()] {
            let bell = Bell::new(fences, 0);
            bell.nap(Some(Instant::now()), || true);
            assert_eq!(bell.look_behind() & AWAITED, 0);
            bell.sleep(Some(Instant::now()), || true);
            assert_eq!(bell.look_behind() & AWAITED, AWAITED);
        }
    }

    #[test]
    fn a_deadline_ends_a_nap() {
        let bell = Bell::new(Fences::Symmetric, 0);
        bell.sleep(Some(Instant::now() + Duration::from_millis(1)), || true);
    }
}
