//! How producers claim sequences, make them visible, and give them up: one of them, or one of many.

use crate::{
    circuit::{Circuit, Patience},
    error::PublishError,
    ring::Ring,
    sequence::END_OF_SEQUENCES,
    sequencer::MultiSequencer,
    sync::Backoff,
};

pub(crate) mod sealed {
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
        /// The next sequence, as far as this producer knows.
        fn next(&self) -> u64;
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

impl Single {
    pub(crate) fn new(circuit: &Circuit) -> Self {
        Self { next: circuit.first, limit: limit_at(circuit.first, circuit) }
    }
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

    fn next(&self) -> u64 {
        self.next
    }

    /// Nothing has become visible: the next publish uses the same sequence.
    #[inline]
    fn abandon(&mut self, _circuit: &Circuit, _first: u64, _count: u64) {}
}

impl Multi {
    pub(crate) fn new(circuit: &Circuit) -> Self {
        Self { next: circuit.first, limit: limit_at(circuit.first, circuit) }
    }

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

    fn next(&self) -> u64 {
        self.next
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
