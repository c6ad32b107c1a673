//! Producers: claim, write, publish, with nothing in between that could be forgotten.

use std::{fmt, ops::Range};

use crate::{
    circuit::{Circuit, Patience},
    error::PublishError,
    ring::Ring,
    sequence::END_OF_SEQUENCES,
    sequencer::MultiSequencer,
    sync::{Arc, Backoff, time::Instant},
};

mod sealed {
    use super::{Circuit, Patience, PublishError, Ring};

    /// How claims are made and published.
    ///
    /// What is called for each event is kept so small that it becomes part of the caller's loop:
    /// everything that waits, refuses or wakes is behind a call of its own.
    pub trait Claims {
        /// Claims `count` sequences and returns the first, if that takes no more than a look. They
        /// are free, and stay the caller's until they are published or abandoned.
        fn claim_at_once(&mut self, circuit: &Circuit, count: u64) -> Option<u64>;
        /// The same, however long it takes. `help` moves the reset hook on, if there is one.
        fn claim(
            &mut self,
            circuit: &Circuit,
            count: u64,
            patience: Patience,
            help: &dyn Fn(),
        ) -> Result<u64, PublishError>;
        /// Has the memory that comes up fetched while this claim is written.
        fn look_ahead<E>(&self, ring: &Ring<E>, first: u64);
        /// Makes the claim visible, unless the ring was closed in between.
        fn publish(
            &mut self,
            circuit: &Circuit,
            first: u64,
            count: u64,
        ) -> Result<(), PublishError>;
        /// The write failed half-way.
        fn abandon(&mut self, circuit: &Circuit, first: u64, count: u64);
    }
}
use sealed::Claims;

/// How a producer claims sequences: [`Single`] or [`Multi`].
pub trait Claim: Claims {}
impl Claim for Single {}
impl Claim for Multi {}

/// Claims of the only producer of a ring.
#[derive(Debug)]
pub struct Single {
    /// The next sequence.
    next: u64,
    /// The end of what may be claimed without a look at the gate.
    limit: u64,
}

/// How many lines ahead a producer has its slots fetched: as many as it writes while one comes over.
const LINES_AHEAD_OF_ONE: usize = 6;
/// The same for one of many, who take longer for each.
const LINES_AHEAD_OF_MANY: usize = 3;

/// Claims of one of many producers.
#[derive(Clone, Debug)]
pub struct Multi {
    /// The next sequence as far as this producer knows; it may be further.
    next: u64,
    /// The end of what may be claimed without a look at the gate.
    limit: u64,
}

/// The end of what may be claimed when the gate stands at `gate`.
fn limit_at(gate: u64, circuit: &Circuit) -> u64 {
    (gate + circuit.capacity.lap_len()).min(END_OF_SEQUENCES)
}

/// Waits until everything before `end` may be claimed; returns the new limit.
fn make_room(
    circuit: &Circuit,
    end: u64,
    patience: Patience,
    help: &dyn Fn(),
) -> Result<u64, PublishError> {
    if end > END_OF_SEQUENCES {
        return Err(PublishError::Exhausted);
    }
    let need = end.saturating_sub(circuit.capacity.lap_len());
    let gate = circuit.await_gate(need, patience, help)?;
    Ok(limit_at(gate, circuit))
}

impl Claims for Single {
    #[inline(always)]
    fn claim_at_once(&mut self, circuit: &Circuit, count: u64) -> Option<u64> {
        let is_free = self.next + count <= self.limit;
        (is_free && !circuit.lifecycle.is_refusing()).then_some(self.next)
    }

    #[cold]
    #[inline(never)]
    fn claim(
        &mut self,
        circuit: &Circuit,
        count: u64,
        patience: Patience,
        help: &dyn Fn(),
    ) -> Result<u64, PublishError> {
        let end = self.next + count;
        if end > self.limit {
            self.limit = make_room(circuit, end, patience, help)?;
        }
        if circuit.lifecycle.is_refusing() {
            return Err(circuit.lifecycle.refusal());
        }
        Ok(self.next)
    }

    #[inline(always)]
    fn look_ahead<E>(&self, ring: &Ring<E>, first: u64) {
        ring.prefetch_after(first, LINES_AHEAD_OF_ONE);
    }

    /// If the ring was closed while the event was written, it counts only if the closer found it.
    #[inline(always)]
    fn publish(&mut self, circuit: &Circuit, first: u64, count: u64) -> Result<(), PublishError> {
        let end = first + count;
        circuit.sequencer.single.publish(end);
        circuit.lifecycle.admit(end)?;
        self.next = end;
        Ok(())
    }

    /// Nothing has become visible: the next publish uses the same sequence.
    #[inline]
    fn abandon(&mut self, _circuit: &Circuit, _first: u64, _count: u64) {}
}

impl Multi {
    #[inline]
    fn sequencer(circuit: &Circuit) -> &MultiSequencer {
        match &circuit.sequencer.multi {
            Some(multi) => multi,
            None => unreachable!("many producers belong to a multi sequencer"),
        }
    }
}

/// No claim will succeed any more.
struct IsClosed;

impl Multi {
    /// Claims `count` sequences from where it believes the claims to stand. `None`: they stand
    /// elsewhere, and now it knows where.
    #[inline(always)]
    fn exchange(&mut self, circuit: &Circuit, count: u64) -> Result<Option<u64>, IsClosed> {
        let (first, end) = (self.next, self.next + count);
        match Self::sequencer(circuit).try_claim(first, end) {
            Ok(()) => {
                self.next = end;
                Ok(Some(first))
            }
            Err(Some(next)) => {
                self.next = next;
                Ok(None)
            }
            Err(None) => Err(IsClosed),
        }
    }
}

impl Claims for Multi {
    #[inline(always)]
    fn claim_at_once(&mut self, circuit: &Circuit, count: u64) -> Option<u64> {
        // The claim word says it exactly, but a little later: once refused, always refused.
        if self.next + count > self.limit || circuit.lifecycle.is_refusing() {
            return None;
        }
        self.exchange(circuit, count).unwrap_or_default()
    }

    #[cold]
    #[inline(never)]
    fn claim(
        &mut self,
        circuit: &Circuit,
        count: u64,
        patience: Patience,
        help: &dyn Fn(),
    ) -> Result<u64, PublishError> {
        let backoff = Backoff::new();
        // As above: once refused, always refused.
        if circuit.lifecycle.is_refusing() {
            return Err(circuit.lifecycle.refusal());
        }
        loop {
            if self.next + count > self.limit {
                // Not by a guess: a station of this thread may be past what that needs, and in the way
                // of what the claim will need, while others are waited for that cannot move.
                self.next = Self::sequencer(circuit).claimed().max(self.next);
                let end = self.next + count;
                self.limit = make_room(circuit, end, patience, help)?;
            } else {
                // Another producer was faster. Two that follow each other closely hand the line to
                // and fro at every event; a short distance lets each claim several in a row.
                backoff.spin();
            }
            match self.exchange(circuit, count) {
                Ok(Some(first)) => return Ok(first),
                Ok(None) => {}
                Err(IsClosed) => return Err(circuit.lifecycle.refusal()),
            }
        }
    }

    /// An exchange waits until every store before it has arrived, and so for each line of slots or
    /// marks that consumers have read since: unless it is here already.
    #[inline(always)]
    fn look_ahead<E>(&self, ring: &Ring<E>, first: u64) {
        ring.prefetch_after(first, LINES_AHEAD_OF_MANY);
        Self::sequencer(&ring.circuit).prefetch_after(first, LINES_AHEAD_OF_MANY);
    }

    #[inline(always)]
    fn publish(&mut self, circuit: &Circuit, first: u64, count: u64) -> Result<(), PublishError> {
        Self::sequencer(circuit).publish(first, first + count);
        circuit.lifecycle.published.ring_if_awaited();
        Ok(())
    }

    /// The sequences exist for everybody else already: they are published as skipped.
    #[cold]
    fn abandon(&mut self, circuit: &Circuit, first: u64, count: u64) {
        let passed_by_all = self.limit.saturating_sub(circuit.capacity.lap_len());
        circuit.skips.add(first, first + count, passed_by_all);
        Self::sequencer(circuit).publish(first, first + count);
        circuit.lifecycle.published.ring_if_awaited();
    }
}

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
    ring: Arc<Ring<E>>,
    claims: C,
}

/// One of many producers of a ring. See [`Producer`].
pub type MultiProducer<E> = Producer<E, Multi>;

impl<E> Producer<E, Single> {
    pub(crate) fn single(ring: Arc<Ring<E>>) -> Self {
        let (next, limit) = (ring.circuit.first, limit_at(ring.circuit.first, &ring.circuit));
        ring.circuit.add_producer();
        Self { ring, claims: Single { next, limit } }
    }
}

impl<E> Producer<E, Multi> {
    pub(crate) fn multi(ring: Arc<Ring<E>>) -> Self {
        let (next, limit) = (ring.circuit.first, limit_at(ring.circuit.first, &ring.circuit));
        ring.circuit.add_producer();
        Self { ring, claims: Multi { next, limit } }
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
