//! The ring's memory: `capacity` values made before the first event and dropped with the ring.
//!
//! The values are dense, so that a run of events is a slice. The allocation starts on a padded
//! line of its own and ends on one, so that no neighbour of the allocator's choosing shares a
//! cache line with the first or the last slot.

use std::{
    alloc::{self, Layout},
    cell::UnsafeCell,
    fmt,
    ptr::NonNull,
    slice,
};

use super::watch::{Held, Watch, Watchers};

/// Two cache lines: the adjacent-line prefetcher pulls lines in pairs.
const LINE: usize = 128;

/// Preallocated cells, indexed by slot (not by sequence).
pub(crate) struct Slots<E> {
    first: NonNull<UnsafeCell<E>>,
    len: usize,
    layout: Layout,
    watchers: Watchers,
}

// SAFETY: the cells are owned; sending them to another thread sends the values.
unsafe impl<E: Send> Send for Slots<E> {}
// SAFETY: `&Slots` gives access only through the unsafe methods below, whose callers uphold that
// nobody else touches a slot that is lent exclusively. Shared lending of one slot to several
// threads needs `E: Sync`, which every constructor of a reading station demands.
unsafe impl<E: Send> Sync for Slots<E> {}

impl<E> fmt::Debug for Slots<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<E> Slots<E> {
    /// Makes `len` values with `factory`, in slot order.
    ///
    /// # Panics
    /// If the memory needed exceeds `isize::MAX` bytes, or if `factory` panics; values made until
    /// then are dropped.
    pub(crate) fn new(len: usize, mut factory: impl FnMut() -> E) -> Self {
        let layout = Layout::array::<UnsafeCell<E>>(len)
            .and_then(|layout| layout.align_to(LINE))
            .expect("the ring's slots exceed the address space")
            .pad_to_align();
        let first = if layout.size() == 0 {
            NonNull::dangling()
        } else {
            // SAFETY: the layout's size is not zero.
            let memory = unsafe { alloc::alloc(layout) };
            NonNull::new(memory.cast()).unwrap_or_else(|| alloc::handle_alloc_error(layout))
        };
        // Grows with each value made, so that a panicking factory drops exactly what exists.
        let mut slots = Self { first, len: 0, layout, watchers: Watchers::new(len) };
        while slots.len < len {
            let value = UnsafeCell::new(factory());
            // SAFETY: `slots.len < len`, so the cell is inside the allocation.
            let cell = unsafe { slots.first.add(slots.len) };
            // SAFETY: the cell is aligned, not yet initialised, and nobody else knows of it.
            unsafe { cell.write(value) };
            slots.len += 1;
        }
        slots
    }

    /// The memory of slot `index`, which must exist.
    #[inline]
    pub(crate) fn slot(&self, index: usize) -> *mut E {
        debug_assert!(index < self.len);
        // SAFETY: every caller masks the index with `len - 1` (a power of two) or stays inside a
        // range that it has checked, so the cell is inside the allocation.
        let cell = unsafe { self.first.add(index) };
        UnsafeCell::raw_get(cell.as_ptr())
    }

    /// Who watches the accesses to slot `index` and to those behind it.
    #[inline]
    pub(crate) fn watch(&self, index: usize) -> Watch<'_> {
        self.watchers.at(index)
    }

    /// Lends slots `start..start + len` for reading, while what comes with them is held.
    ///
    /// # Safety
    /// The range lies inside the ring, and while the slice lives no thread writes these slots.
    #[inline]
    pub(crate) unsafe fn shared(&self, start: usize, len: usize) -> (&[E], Held) {
        debug_assert!(start + len <= self.len);
        let held = self.watch(start).read(len);
        // SAFETY: in range and initialised since `new`; not written to, by the caller's promise.
        (unsafe { slice::from_raw_parts(self.slot(start), len) }, held)
    }

    /// Lends slots `start..start + len` for writing, while what comes with them is held.
    ///
    /// # Safety
    /// The range lies inside the ring, and while the slice lives nobody else touches these slots.
    #[inline]
    #[allow(clippy::mut_from_ref)] // The cells are UnsafeCells; exclusiveness is the caller's.
    pub(crate) unsafe fn exclusive(&self, start: usize, len: usize) -> (&mut [E], Held) {
        debug_assert!(start + len <= self.len);
        let held = self.watch(start).write(len);
        // SAFETY: in range and initialised since `new`; exclusive by the caller's promise.
        (unsafe { slice::from_raw_parts_mut(self.slot(start), len) }, held)
    }
}

impl<E> Drop for Slots<E> {
    fn drop(&mut self) {
        /// Frees the memory even if a value's destructor panics.
        struct Free(NonNull<u8>, Layout);
        impl Drop for Free {
            fn drop(&mut self) {
                if self.1.size() != 0 {
                    // SAFETY: allocated in `Slots::new` with this layout, freed only here.
                    unsafe { alloc::dealloc(self.0.as_ptr(), self.1) };
                }
            }
        }
        let _free = Free(self.first.cast(), self.layout);
        let values = std::ptr::slice_from_raw_parts_mut(self.first.as_ptr(), self.len);
        // SAFETY: exactly the first `len` cells are initialised, and `&mut self` owns them. If one
        // destructor panics the others still run.
        unsafe { values.drop_in_place() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{panic, rc::Rc};

    #[test]
    fn values_are_made_in_order_on_lines_of_their_own_and_dropped_once() {
        let seen = Rc::new(());
        let mut next = 0_u64;
        let slots = Slots::new(4, || {
            next += 1;
            (next, Rc::clone(&seen))
        });
        // SAFETY: one thread, no other borrow.
        let values: Vec<u64> = unsafe { slots.shared(0, 4) }.0.iter().map(|(n, _)| *n).collect();
        assert_eq!(values, [1, 2, 3, 4]);
        assert_eq!(slots.first.as_ptr().addr() % LINE, 0);
        assert_eq!(Rc::strong_count(&seen), 5);
        drop(slots);
        assert_eq!(Rc::strong_count(&seen), 1);
    }

    #[test]
    fn a_panicking_factory_leaks_nothing() {
        let seen = Rc::new(());
        let mut made = 0;
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            Slots::new(8, || {
                made += 1;
                assert!(made < 4, "the fourth value cannot be made");
                Rc::clone(&seen)
            })
        }));
        assert!(result.is_err());
        assert_eq!(Rc::strong_count(&seen), 1);
    }

    #[test]
    fn a_panicking_destructor_does_not_keep_the_others_from_running() {
        struct Loud(#[expect(dead_code, reason = "counts by being dropped")] Rc<()>, bool);
        impl Drop for Loud {
            fn drop(&mut self) {
                assert!(!self.1, "this one is loud");
            }
        }
        let seen = Rc::new(());
        let mut made = 0;
        let slots = Slots::new(4, || {
            made += 1;
            Loud(Rc::clone(&seen), made == 2)
        });
        assert!(panic::catch_unwind(panic::AssertUnwindSafe(|| drop(slots))).is_err());
        assert_eq!(Rc::strong_count(&seen), 1);
    }

    #[test]
    fn events_of_no_size_take_no_memory() {
        let slots = Slots::new(1024, || ());
        // SAFETY: one thread, no other borrow.
        assert_eq!(unsafe { slots.shared(0, 1024) }.0.len(), 1024);
    }
}
