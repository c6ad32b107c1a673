//! The ring: the slots and the circuit around them, shared by every handle and station.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    circuit::{Circuit, RESET_HOOK_NAME},
    current::{self, Running, Who},
    error::{Failure, Fault, let_go},
    sync::{
        Arc, fence,
        lock::flow::Mutex,
        prefetch,
        slots::Slots,
        watch::{Held, Watch},
    },
};

/// Called for each slot after the last stations have passed it.
pub(crate) type Reset<E> = Box<dyn FnMut(&mut E) + Send>;

pub struct Ring<E> {
    slots: Slots<E>,
    pub(crate) circuit: Circuit,
    reset: Option<Mutex<Option<Reset<E>>>>,
}

impl<E> std::fmt::Debug for Ring<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("circuit", &self.circuit).finish_non_exhaustive()
    }
}

impl<E> Ring<E> {
    pub(crate) fn new(
        circuit: Circuit,
        factory: impl FnMut() -> E,
        reset: Option<Reset<E>>,
    ) -> Self {
        let slots = Slots::new(circuit.capacity.slots(), factory);
        Self { slots, circuit, reset: reset.map(|hook| Mutex::new(Some(hook))) }
    }

    /// Lends the events `first..first + len` for reading, while what comes with them is held.
    ///
    /// # Safety
    /// The range lies inside one lap, and until the slice is given up no thread may write to these
    /// events: the caller holds back, by its cursor, everybody who would.
    #[inline]
    pub(crate) unsafe fn shared(&self, first: u64, len: usize) -> (&[E], Held) {
        debug_assert!(len <= self.circuit.capacity.straight(first, first + len as u64));
        // SAFETY: in range, because the first slot is masked and the range stays inside the lap;
        // not written to, by the caller's promise.
        unsafe { self.slots.shared(self.circuit.capacity.slot(first), len) }
    }

    /// Lends the events `first..first + len` for writing, while what comes with them is held.
    ///
    /// # Safety
    /// As for [`Ring::shared`], and nobody else may read them either.
    #[inline]
    #[allow(clippy::mut_from_ref)] // Exclusiveness is the caller's promise.
    pub(crate) unsafe fn exclusive(&self, first: u64, len: usize) -> (&mut [E], Held) {
        debug_assert!(len <= self.circuit.capacity.straight(first, first + len as u64));
        // SAFETY: in range, as in `shared`; exclusive by the caller's promise.
        unsafe { self.slots.exclusive(self.circuit.capacity.slot(first), len) }
    }

    /// Has the slots that come so many lines after a sequence's fetched for writing.
    #[inline(always)]
    pub(crate) fn prefetch_after(&self, sequence: u64, lines: usize) {
        let coming = self.slot(sequence + prefetch::items_in::<E>(lines));
        prefetch::lines_of(coming).for_each(prefetch::for_writing);
    }

    /// Has the slot fetched for reading that comes so many lines after a sequence's, if that is before `to`: what is
    /// behind belongs to others.
    #[inline(always)]
    pub(crate) fn prefetch_before(&self, to: u64, sequence: u64, lines: usize) {
        let coming = sequence + prefetch::items_in::<E>(lines);
        if coming < to {
            prefetch::lines_of(self.slot(coming)).for_each(prefetch::for_reading);
        }
    }

    /// Has a sequence's slot fetched for reading.
    #[inline(always)]
    pub(crate) fn prefetch(&self, sequence: u64) {
        prefetch::for_reading(self.slot(sequence));
    }

    /// The memory of a sequence's slot.
    #[inline]
    pub(crate) fn slot(&self, sequence: u64) -> *mut E {
        self.slots.slot(self.circuit.capacity.slot(sequence))
    }

    /// Who watches the accesses to a sequence's slot and to those behind it.
    #[inline]
    pub(crate) fn watch(&self, sequence: u64) -> Watch<'_> {
        self.slots.watch(self.circuit.capacity.slot(sequence))
    }

    /// Runs the reset hook, if there is one, over everything that the last stations have passed,
    /// and lets the producers have it. For a station that has just moved its cursor.
    #[inline]
    pub(crate) fn clear_passed(&self) {
        if let Some(reset) = &self.reset {
            // Of two last stations that come here at once, at least one sees that both have passed.
            fence::full();
            if self.circuit.is_uncleared() && !self.is_clearing() {
                self.clear_with(&mut reset.lock());
            }
        }
    }

    /// The same for a producer that needs room; it does not wait for another thread that is at it.
    pub(crate) fn help_clear(&self) {
        if let Some(reset) = &self.reset
            && self.circuit.is_uncleared()
            && let Some(mut hook) = reset.try_lock()
        {
            self.clear_with(&mut hook);
        }
    }

    /// Whether this thread is inside the hook already, and polls or publishes there.
    fn is_clearing(&self) -> bool {
        current::find(&self.circuit, |who| who == Who::RESET_HOOK).is_some()
    }

    #[cold]
    fn clear_with(&self, slot: &mut Option<Reset<E>>) {
        // Taken out while it runs: a hook that has panicked is not called again.
        let Some(mut hook) = slot.take() else { return };
        let _running = Running::enter(&self.circuit, Who::RESET_HOOK);
        let to = self.circuit.last_passed();
        let mut at = self.circuit.cleared();
        while at < to {
            let len = self.circuit.capacity.straight(at, to);
            // SAFETY: the last stations have passed the slots, the producers wait for the reset
            // hook's cursor, and the lock keeps other threads from running the hook.
            let (slots, held) = unsafe { self.exclusive(at, len) };
            let cleared = catch_unwind(AssertUnwindSafe(|| {
                for slot in slots {
                    hook(slot);
                    at += 1;
                }
            }));
            held.end();
            if let Err(payload) = cleared {
                let fault = Fault::new(Arc::from(RESET_HOOK_NAME), at, Failure::panic(payload));
                self.circuit.halt(Some(fault));
                // What it has captured may panic as well; the first panic is the one that is told.
                let_go(hook);
                return;
            }
        }
        self.circuit.cleared_to(at);
        *slot = Some(hook);
    }
}
