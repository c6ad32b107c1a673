//! A run of neighbouring slots on its way to a handler.
//!
//! It stays a raw range until the handler gets an event of it. A handler may release the events
//! before the one in hand early ([`At::release`](crate::At::release)); from then on others write to
//! them, so no reference, not even an unused one, may cover them any longer.

use std::{marker::PhantomData, mem, slice};

use crate::{
    ring::Ring,
    sync::{
        prefetch,
        watch::{Held, Watch},
    },
    work::{Access, Exclusive, Shared},
};

/// Slots that a station holds, with the access that it was declared with.
#[derive(Debug)]
pub struct Lent<'a, E, A> {
    next: *mut E,
    len: usize,
    watch: Watch<'a>,
    /// What is in the handler's hands.
    held: Held,
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
        Self {
            next: ring.slot(first),
            len,
            watch: ring.watch(first),
            held: Held::default(),
            ring: PhantomData,
            access: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The next event. The one before is done with.
    #[inline]
    fn take_one(&mut self) -> Option<*mut E> {
        self.held = Held::default();
        self.len = self.len.checked_sub(1)?;
        let taken = self.next;
        // The lines come from the core that wrote them, and the processor asks for no more of them than
        // its next few hundred instructions need. What is behind the run belongs to others.
        let ahead = prefetch::items_in::<E>(prefetch::LINES_AHEAD_IN_A_RUN);
        if ahead < self.len as u64 {
            let coming = taken.wrapping_add(ahead as usize);
            if A::MUTATES { prefetch::for_writing(coming) } else { prefetch::for_reading(coming) }
        }
        // SAFETY: there was one more slot in the range, so the end of it is not passed.
        self.next = unsafe { taken.add(1) };
        Some(taken)
    }
}

impl<E> Lent<'_, E, Shared> {
    /// Takes the next event.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<&E> {
        let event = self.take_one()?;
        self.held = self.watch.read(1);
        // SAFETY: the station holds the slot, and whoever runs beside it only reads too, because a
        // mutating station is ordered against all others (checked by the topology).
        Some(unsafe { &*event })
    }

    /// Takes all that is left.
    #[inline]
    pub(crate) fn all(&mut self) -> &[E] {
        self.held = self.watch.read(self.len);
        // SAFETY: as in `next`, for the whole range; nothing of it can be released from here on.
        unsafe { slice::from_raw_parts(self.next, mem::take(&mut self.len)) }
    }
}

impl<E> Lent<'_, E, Exclusive> {
    /// Takes the next event.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<&mut E> {
        let event = self.take_one()?;
        self.held = self.watch.write(1);
        // SAFETY: the station holds the slot and is ordered against all others (checked by the
        // topology), and each slot is taken once.
        Some(unsafe { &mut *event })
    }

    /// Takes all that is left.
    #[inline]
    pub(crate) fn all(&mut self) -> &mut [E] {
        self.held = self.watch.write(self.len);
        // SAFETY: as in `next`, for the whole range; nothing of it can be released from here on.
        unsafe { slice::from_raw_parts_mut(self.next, mem::take(&mut self.len)) }
    }
}
