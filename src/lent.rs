//! A run of neighbouring slots on its way to a handler.
//!
//! It stays a raw range until the handler gets an event of it. A handler may release the events
//! before the one in hand early ([`At::release`](crate::At::release)); from then on others write to
//! them, so no reference, not even an unused one, may cover them any longer.

use std::{marker::PhantomData, slice};

use crate::{
    ring::Ring,
    work::{Access, Exclusive, Shared},
};

/// Slots that a station holds, with the access that it was declared with.
#[derive(Debug)]
pub struct Lent<'a, E, A> {
    next: *mut E,
    len: usize,
    ring: PhantomData<&'a Ring<E>>,
    access: PhantomData<fn() -> A>,
}

impl<'a, E, A: Access> Lent<'a, E, A> {
    /// Lends the events `first..first + len`.
    ///
    /// # Safety
    /// The range lies inside one lap; this thread has seen the events published, and passed by all
    /// whom the station follows; the station was declared with this access, and holds the events
    /// for `'a` except those that it releases once they have been taken from here.
    #[inline]
    pub(crate) unsafe fn new(ring: &'a Ring<E>, first: u64, len: usize) -> Self {
        debug_assert!(len <= ring.circuit.capacity.straight(first, first + len as u64));
        Self { next: ring.slot(first), len, ring: PhantomData, access: PhantomData }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn take_one(&mut self) -> Option<*mut E> {
        self.len = self.len.checked_sub(1)?;
        let taken = self.next;
        // SAFETY: there was one more slot in the range, so the end of it is not passed.
        self.next = unsafe { taken.add(1) };
        Some(taken)
    }
}

impl<'a, E> Lent<'a, E, Shared> {
    /// Takes the next event.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<&E> {
        // SAFETY: the station holds the slot, and whoever runs beside it only reads too, because a
        // mutating station is ordered against all others (checked by the topology).
        self.take_one().map(|event| unsafe { &*event })
    }

    /// Takes all that is left.
    #[inline]
    pub(crate) fn all(self) -> &'a [E] {
        // SAFETY: as in `next`, for the whole range; nothing of it can be released from here on.
        unsafe { slice::from_raw_parts(self.next, self.len) }
    }
}

impl<'a, E> Lent<'a, E, Exclusive> {
    /// Takes the next event.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<&mut E> {
        // SAFETY: the station holds the slot and is ordered against all others (checked by the
        // topology), and each slot is taken once.
        self.take_one().map(|event| unsafe { &mut *event })
    }

    /// Takes all that is left.
    #[inline]
    pub(crate) fn all(self) -> &'a mut [E] {
        // SAFETY: as in `next`, for the whole range; nothing of it can be released from here on.
        unsafe { slice::from_raw_parts_mut(self.next, self.len) }
    }
}
