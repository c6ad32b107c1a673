//! Producers: claim, write, publish, with nothing in between that could be forgotten.

use std::{fmt, ops::Range};

use crate::{
    circuit::Patience,
    claim::{Claim, Multi, Single},
    error::PublishError,
    ring::Ring,
    sync::{Arc, time::Instant},
};

/// A handle through which events are published.
///
/// `Producer<E>` is the only producer of its ring: it takes `&mut self` and is not `Clone`, so
/// that two threads cannot use it at once. `MultiProducer<E>` is `Clone`; each thread has its own.
/// Their calls are the same.
///
/// **Order.** Every station sees events in the order of their sequences. What the write closure
/// wrote is visible to every station that gets the event. The events of one handle are in the
/// order of its calls; a batch is contiguous.
///
/// **Closing.** Dropping the last handle closes the ring: what was published is handled, then
/// the stations end.
///
/// **If a write closure panics**, the panic goes on to the caller and everything else flows: the
/// only producer uses the same sequence for its next event; one of many gives its sequences up,
/// and every station passes over them ([`Report::abandoned`](crate::Report::abandoned) counts
/// them).
///
/// # Examples
/// ```
/// use slipring::{Builder, read};
///
/// let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
///     .then(read("print", |event: &u64, at| println!("{}: {event}", at.sequence())))
///     .start()?;
/// let sequence = producer.publish(|event| *event = 42)?;
/// assert_eq!(sequence, 0);
/// let range = producer.publish_batch(3, |index, event| *event = index as u64)?;
/// assert_eq!(range, 1..4);
/// drop(producer);
/// assert_eq!(dispatcher.join()?.published, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer<E, C: Claim = Single> {
    pub(crate) ring: Arc<Ring<E>>,
    claims: C,
}

/// One of many producers of a ring. See [`Producer`].
pub type MultiProducer<E> = Producer<E, Multi>;

impl<E> Producer<E, Single> {
    pub(crate) fn single(ring: Arc<Ring<E>>) -> Self {
        ring.circuit.add_producer();
        Self { claims: Single::new(&ring.circuit), ring }
    }
}

impl<E> Producer<E, Multi> {
    pub(crate) fn multi(ring: Arc<Ring<E>>) -> Self {
        ring.circuit.add_producer();
        Self { claims: Multi::new(&ring.circuit), ring }
    }

    /// Closes the ring if `end` is the next sequence: if nothing from there on is published, or being written. Then
    /// nothing ever is. Returns whether it ends there. If it does not, nothing has happened.
    ///
    /// For whoever has found that all is done that was published up to there, and would not be right any more if
    /// something came between that and the closing.
    ///
    /// # Examples
    /// ```
    /// use slipring::{Builder, PublishError, read};
    ///
    /// let (mut producer, dispatcher) =
    ///     Builder::new(8, || 0_u64).then(read("sum", |_: &u64, _| ())).start_multi()?;
    /// producer.publish(|event| *event = 1)?;
    /// let mut other = producer.clone();
    /// other.publish(|event| *event = 2)?;
    /// assert!(!producer.close_at(1)); // The other one was faster.
    /// assert!(producer.close_at(2));
    /// assert_eq!(other.publish(|event| *event = 3), Err(PublishError::Closed));
    /// dispatcher.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_at(&self, end: u64) -> bool {
        self.ring.circuit.close_at(end)
    }
}

impl<E> Clone for Producer<E, Multi> {
    fn clone(&self) -> Self {
        self.ring.circuit.add_producer();
        Self { ring: Arc::clone(&self.ring), claims: self.claims.clone() }
    }
}

impl<E, C: Claim> Drop for Producer<E, C> {
    fn drop(&mut self) {
        self.ring.circuit.remove_producer();
    }
}

impl<E, C: Claim> fmt::Debug for Producer<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// A claim that is being written. If the write closure panics, the claim is abandoned.
struct Writing<'a, E, C: Claim> {
    producer: &'a mut Producer<E, C>,
    first: u64,
    count: u64,
}

impl<E, C: Claim> Writing<'_, E, C> {
    #[inline(always)]
    fn publish(self) -> Result<Range<u64>, PublishError> {
        let range = self.first..self.first + self.count;
        let published =
            self.producer.claims.publish(&self.producer.ring.circuit, self.first, self.count);
        // Written completely: there is nothing to abandon.
        std::mem::forget(self);
        published.map(|()| range)
    }
}

impl<E, C: Claim> Drop for Writing<'_, E, C> {
    fn drop(&mut self) {
        self.producer.claims.abandon(&self.producer.ring.circuit, self.first, self.count);
    }
}

impl<E, C: Claim> Producer<E, C> {
    /// Publishes one event, waiting while the ring is full. Returns its sequence.
    ///
    /// `write` gets the slot with what was in it a lap ago (or what the factory made, or the reset
    /// hook, or a write closure that panicked left).
    /// Lock-free unless the ring is full; then it waits as
    /// [`Builder::producer_wait`](crate::Builder::producer_wait) says.
    ///
    /// # Errors
    /// `Closed`, `Halted`, `WouldDeadlock` or `Exhausted`; `write` was not called then, unless the
    /// ring was closed or halted just while it ran (with a single producer): what it wrote then
    /// does not count, and no station sees it.
    ///
    /// # Panics
    /// Only if `write` does; see [`Producer`].
    #[inline]
    pub fn publish(&mut self, write: impl FnOnce(&mut E)) -> Result<u64, PublishError> {
        self.publish_one(Patience::Forever, write)
    }

    /// Publishes one event if there is room now. Never waits; lock-free. (With a reset hook it may
    /// run the hook to make room.)
    ///
    /// # Errors
    /// `Full` if there is no room, and as [`publish`](Self::publish). A refusal has no effect.
    ///
    /// # Panics
    /// Only if `write` does; see [`Producer`].
    #[inline]
    pub fn try_publish(&mut self, write: impl FnOnce(&mut E)) -> Result<u64, PublishError> {
        self.publish_one(Patience::None, write)
    }

    /// Publishes one event, waiting while the ring is full, but no longer than until `deadline`.
    /// If there is room at once, a deadline in the past does no harm.
    ///
    /// # Errors
    /// `TimedOut` if there was no room in time, and as [`publish`](Self::publish).
    ///
    /// # Panics
    /// Only if `write` does; see [`Producer`].
    #[inline]
    pub fn publish_deadline(
        &mut self,
        deadline: Instant,
        write: impl FnOnce(&mut E),
    ) -> Result<u64, PublishError> {
        self.publish_one(Patience::Until(deadline), write)
    }

    /// Publishes `count` events with neighbouring sequences, waiting until there is room for all
    /// of them. `write` is called for each with its index in the batch. Returns their sequences.
    ///
    /// They become visible together when the last one is written (from a single producer; stations
    /// may see those of many producers one by one).
    ///
    /// # Errors
    /// `TooLarge` if the batch is larger than the ring, and as [`publish`](Self::publish). An empty
    /// batch succeeds unless the ring is closed.
    ///
    /// # Panics
    /// Only if `write` does; the whole batch is abandoned then, see [`Producer`].
    #[inline]
    pub fn publish_batch(
        &mut self,
        count: usize,
        write: impl FnMut(usize, &mut E),
    ) -> Result<Range<u64>, PublishError> {
        self.publish_many(Patience::Forever, count, write)
    }

    /// Publishes `count` events if there is room for all of them now. Never waits.
    ///
    /// # Errors
    /// `Full`, `TooLarge`, and as [`publish_batch`](Self::publish_batch). A refusal has no effect.
    ///
    /// # Panics
    /// As [`publish_batch`](Self::publish_batch).
    #[inline]
    pub fn try_publish_batch(
        &mut self,
        count: usize,
        write: impl FnMut(usize, &mut E),
    ) -> Result<Range<u64>, PublishError> {
        self.publish_many(Patience::None, count, write)
    }

    /// Publishes `count` events, waiting for room no longer than until `deadline`.
    ///
    /// # Errors
    /// `TimedOut`, `TooLarge`, and as [`publish_batch`](Self::publish_batch).
    ///
    /// # Panics
    /// As [`publish_batch`](Self::publish_batch).
    #[inline]
    pub fn publish_batch_deadline(
        &mut self,
        deadline: Instant,
        count: usize,
        write: impl FnMut(usize, &mut E),
    ) -> Result<Range<u64>, PublishError> {
        self.publish_many(Patience::Until(deadline), count, write)
    }

    /// Publishes copies of `events` as one batch, waiting until there is room for all of them.
    ///
    /// # Errors
    /// As [`publish_batch`](Self::publish_batch).
    #[inline]
    pub fn publish_slice(&mut self, events: &[E]) -> Result<Range<u64>, PublishError>
    where
        E: Copy,
    {
        self.copy_slice(Patience::Forever, events)
    }

    /// Publishes copies of `events` as one batch if there is room for all of them now.
    ///
    /// # Errors
    /// As [`try_publish_batch`](Self::try_publish_batch).
    #[inline]
    pub fn try_publish_slice(&mut self, events: &[E]) -> Result<Range<u64>, PublishError>
    where
        E: Copy,
    {
        self.copy_slice(Patience::None, events)
    }

    /// Publishes copies of `events` as one batch, waiting for room no longer than until `deadline`.
    ///
    /// # Errors
    /// As [`publish_batch_deadline`](Self::publish_batch_deadline).
    #[inline]
    pub fn publish_slice_deadline(
        &mut self,
        deadline: Instant,
        events: &[E],
    ) -> Result<Range<u64>, PublishError>
    where
        E: Copy,
    {
        self.copy_slice(Patience::Until(deadline), events)
    }

    /// What the gate must reach before the next `count` events can be claimed, as far as this producer
    /// knows.
    pub(crate) fn need(&self, count: u64) -> u64 {
        let end = self.claims.next().saturating_add(count);
        end.saturating_sub(self.ring.circuit.capacity.lap_len())
    }

    /// The number of slots.
    pub fn capacity(&self) -> usize {
        self.ring.circuit.capacity.slots()
    }

    /// How many events could be published now; another producer may be faster, and stations make
    /// room at any time. Never more than the capacity.
    pub fn room(&self) -> usize {
        let circuit = &self.ring.circuit;
        let taken = circuit.claimed().saturating_sub(circuit.last_passed());
        circuit.capacity.lap_len().saturating_sub(taken) as usize
    }

    /// Whether the ring takes no more events. It may close at any time, and never opens again.
    pub fn is_closed(&self) -> bool {
        self.ring.circuit.lifecycle.is_refusing()
    }

    #[inline(always)]
    fn begin(&mut self, count: u64, patience: Patience) -> Result<Writing<'_, E, C>, PublishError> {
        let ring = &self.ring;
        let first = match self.claims.claim_at_once(&ring.circuit, count) {
            Some(first) => first,
            None => self.claims.claim(&ring.circuit, count, patience, &|| ring.help_clear())?,
        };
        Ok(Writing { producer: self, first, count })
    }

    #[inline(always)]
    fn publish_one(
        &mut self,
        patience: Patience,
        write: impl FnOnce(&mut E),
    ) -> Result<u64, PublishError> {
        let writing = self.begin(1, patience)?;
        writing.producer.claims.look_ahead(&writing.producer.ring, writing.first);
        // SAFETY: one slot lies inside a lap; it is claimed, so every station has passed it and no
        // other producer has it, until it is published below.
        let (slot, held) = unsafe { writing.producer.ring.exclusive(writing.first, 1) };
        write(&mut slot[0]);
        held.end();
        writing.publish().map(|range| range.start)
    }

    #[inline]
    fn publish_many(
        &mut self,
        patience: Patience,
        count: usize,
        mut write: impl FnMut(usize, &mut E),
    ) -> Result<Range<u64>, PublishError> {
        self.publish_slices(patience, count, |done, slots| {
            for (index, slot) in slots.iter_mut().enumerate() {
                write(done + index, slot);
            }
        })
    }

    #[inline]
    fn copy_slice(&mut self, patience: Patience, events: &[E]) -> Result<Range<u64>, PublishError>
    where
        E: Copy,
    {
        self.publish_slices(patience, events.len(), |done, slots| {
            slots.copy_from_slice(&events[done..done + slots.len()]);
        })
    }

    /// Claims `count` slots and has them written slice by slice: `write` gets the number of slots
    /// before the slice.
    #[inline]
    fn publish_slices(
        &mut self,
        patience: Patience,
        count: usize,
        mut write: impl FnMut(usize, &mut [E]),
    ) -> Result<Range<u64>, PublishError> {
        let capacity = self.ring.circuit.capacity;
        // Compared as sizes, before anything becomes a sequence.
        if count > capacity.slots() {
            return Err(PublishError::TooLarge { asked: count, capacity: capacity.slots() });
        }
        let writing = self.begin(count as u64, patience)?;
        let mut done = 0;
        while done < count {
            let at = writing.first + done as u64;
            let len = capacity.straight(at, writing.first + writing.count);
            // SAFETY: the slice stays inside a lap and inside the claim, whose slots every station
            // has passed and no other producer has, until it is published below.
            let (slots, held) = unsafe { writing.producer.ring.exclusive(at, len) };
            write(done, slots);
            held.end();
            done += len;
        }
        writing.publish()
    }
}
