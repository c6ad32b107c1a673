//! Work that whoever comes does, one at a time: who finds somebody at it leaves word, and goes.
//!
//! What has to be done is done by somebody, then. Two things see to it:
//!
//! * *Somebody looks.* Whoever wants it says so, and then tries the lock; whoever was at it lets go of the lock, and
//!   then looks whether somebody has said so. Between the one and the other both have a fence: either the first finds
//!   the lock free, or the second finds that it is wanted.
//! * *Who looks sees what there is to do.* It was brought about before it was wanted. Saying so and taking it on are
//!   exchanges, so that taking it on sees what was brought about by all who have said so up to then, also by those
//!   whose word was written over by another's. With plain stores one that takes it on could write over what it has not
//!   read, and neither see what there is to do nor be told again.

use super::sync::{AtomicBool, Mutex, Ordering, fence};

pub(crate) struct Handover<T> {
    /// Somebody wants it done, and has not found it free: whoever is at it looks again.
    is_wanted: AtomicBool,
    work: Mutex<T>,
}

impl<T> Handover<T> {
    pub(crate) fn new(work: T) -> Self {
        Self { is_wanted: AtomicBool::new(false), work: Mutex::new(work) }
    }

    /// What it is about, at one's own risk: what is wanted meanwhile is left to the next one.
    pub(crate) fn inner(&self) -> &Mutex<T> {
        &self.work
    }

    /// Waits for whoever is at it, works, and does what is wanted meanwhile.
    pub(crate) fn drive(&self, first: impl FnOnce(&mut T), more: impl FnMut(&mut T)) {
        let mut at_it = self.work.lock();
        first(&mut at_it);
        drop(at_it);
        // Between having let go and looking; pairs with `tend`.
        fence(Ordering::SeqCst);
        self.catch_up(more);
    }

    /// Wants it done, and does it unless somebody is at it, who will.
    pub(crate) fn tend(&self, work: impl FnMut(&mut T)) {
        // Release: pairs with `catch_up`. What there is to do is seen by whoever takes this word for it.
        self.is_wanted.swap(true, Ordering::Release);
        // Between having said so and trying; pairs with those who let go.
        fence(Ordering::SeqCst);
        self.catch_up(work);
    }

    #[cold]
    fn catch_up(&self, mut work: impl FnMut(&mut T)) {
        while self.is_wanted.load(Ordering::Relaxed) {
            let Some(mut at_it) = self.work.try_lock() else { return };
            // Acquire: pairs with `tend`, with that of all who have said so up to now.
            self.is_wanted.swap(false, Ordering::Acquire);
            work(&mut at_it);
            drop(at_it);
            // As in `drive`.
            fence(Ordering::SeqCst);
        }
    }
}
