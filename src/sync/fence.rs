//! The asymmetric store-load fence.
//!
//! Two protocols of this crate are Dekker handshakes: *I write mine, then read yours; you write
//! yours, then read mine; at least one of us sees the other.* Waking a sleeper is one (cursor and
//! sign), closing a ring under a single producer is the other (published cursor and sign). Each
//! side needs a store-load fence between its write and its read. One side runs for every event,
//! the other before a thread goes to sleep or once in the life of a ring. So the frequent side pays
//! for nothing but a compiler fence ([`light`]), and the rare side pays for both:
//! [`Fences::heavy`] makes every running thread of the process execute a full fence, through
//! `membarrier(2)`.
//!
//! Where the kernel has no such call, the frequent side finds a sign that says so behind its light
//! fence, and executes a [`full`] one before it reads again; the protocols do not change.

use super::face::barrier::{self, membarrier};

/// Which fences this process uses; found out once for each ring, when it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fences {
    /// The rare side reaches into the other threads.
    Asymmetric,
    /// Each side executes its own fence.
    Symmetric,
}

/// The frequent side of a handshake, if the rare side reaches into this thread: the compiler must
/// keep the order, and [`Fences::heavy`] makes the processor keep it at the only moment when it
/// matters.
#[inline]
#[cfg_attr(loom, track_caller)]
pub(crate) fn light() {
    barrier::compiler();
}

/// The frequent side of a handshake, if the rare side cannot.
#[inline]
#[cfg_attr(loom, track_caller)]
pub(crate) fn full() {
    barrier::processor();
}

impl Fences {
    /// Asks the kernel for the asymmetric form and falls back to the symmetric one.
    pub(crate) fn detect() -> Self {
        if membarrier::register() { Self::Asymmetric } else { Self::Symmetric }
    }

    /// The rare side of a handshake: between its store and its load.
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn heavy(self) {
        match self {
            Self::Asymmetric => membarrier::execute(),
            Self::Symmetric => barrier::processor(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Store buffering: without the fences both threads may read 0.
    fn store_buffering(fences: Fences, rounds: usize) {
        let cells: Vec<[AtomicU32; 2]> =
            (0..rounds).map(|_| [AtomicU32::new(0), AtomicU32::new(0)]).collect();
        let turn = AtomicU32::new(0);
        let meet = |round: usize| {
            turn.fetch_add(1, Ordering::SeqCst);
            while (turn.load(Ordering::SeqCst) as usize) < 2 * (round + 1) {
                std::thread::yield_now();
            }
        };
        let (left, right): (Vec<u32>, Vec<u32>) = std::thread::scope(|scope| {
            let frequent = scope.spawn(|| {
                (0..rounds)
                    .map(|round| {
                        meet(round);
                        cells[round][0].store(1, Ordering::Relaxed);
                        match fences {
                            Fences::Asymmetric => light(),
                            Fences::Symmetric => full(),
                        }
                        cells[round][1].load(Ordering::Relaxed)
                    })
                    .collect()
            });
            let rare = (0..rounds)
                .map(|round| {
                    meet(round);
                    cells[round][1].store(1, Ordering::Relaxed);
                    fences.heavy();
                    cells[round][0].load(Ordering::Relaxed)
                })
                .collect();
            (frequent.join().expect("the frequent side does not panic"), rare)
        });
        let both_missed = left.iter().zip(&right).filter(|(l, r)| **l == 0 && **r == 0).count();
        assert_eq!(both_missed, 0, "{fences:?}: both sides missed each other");
    }

    #[test]
    fn one_side_always_sees_the_other_symmetric() {
        store_buffering(Fences::Symmetric, 2_000);
    }

    #[test]
    fn one_side_always_sees_the_other_as_detected() {
        store_buffering(Fences::detect(), 2_000);
    }
}
