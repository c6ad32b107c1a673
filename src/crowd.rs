//! Who is there: producers, of whom the last one to go closes the ring, and threads, which may be more than
//! there are cores.

use crate::{
    circuit::Circuit,
    sync::{PATIENT, atomic::Ordering},
    wait::Surroundings,
};

/// So many yields that nobody took make a core one's own again.
const YIELDS_TO_FORGET: usize = 64;

impl Circuit {
    /// How many producer handles there are.
    pub(crate) fn producers(&self) -> usize {
        // ORDERING(COUNT): Relaxed: a figure.
        self.producers.load(Ordering::Relaxed)
    }

    pub(crate) fn add_producer(&self) {
        // ORDERING(COUNT): Relaxed: a new handle is made from one that is counted already.
        self.producers.fetch_add(1, Ordering::Relaxed);
        self.add_thread();
    }

    /// Closes the ring with the last producer.
    pub(crate) fn remove_producer(&self) {
        self.remove_thread();
        // ORDERING(COUNT): AcqRel, pairs with itself: what a producer was told while it lived happened
        // before the close that the last one's end brings about. Or else a producer could be
        // refused, in theory, by a close that its own end was needed for.
        if self.producers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }

    pub(crate) fn add_thread(&self) {
        // ORDERING(COUNT): Relaxed: advice to waiters.
        self.threads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_thread(&self) {
        // ORDERING(COUNT): Relaxed: advice to waiters.
        self.threads.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn cores(&self) -> usize {
        self.cores
    }
}

impl Surroundings for Circuit {
    /// Whether more threads work on the ring than there are cores, or some of them share one.
    #[inline]
    fn is_crowded(&self) -> bool {
        // ORDERING(COUNT): Relaxed: advice to waiters.
        self.is_outnumbered() || (PATIENT && self.shared_core.load(Ordering::Relaxed) > 0)
    }

    #[inline]
    fn is_outnumbered(&self) -> bool {
        // ORDERING(COUNT): Relaxed: advice to waiters.
        PATIENT && self.threads.load(Ordering::Relaxed) > self.cores
    }

    fn core_was_taken(&self, taken: bool) {
        // ORDERING(COUNT): Relaxed: advice to waiters; a step that is lost makes no difference.
        let left = self.shared_core.load(Ordering::Relaxed);
        let now = if taken { YIELDS_TO_FORGET } else { left.saturating_sub(1) };
        if now != left {
            // ORDERING(COUNT): Relaxed: as above.
            self.shared_core.store(now, Ordering::Relaxed);
        }
    }

    fn is_closing(&self) -> bool {
        self.lifecycle.is_refusing()
    }
}
