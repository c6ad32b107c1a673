//! The life of a ring: open, closing, sealed, perhaps halted.
//!
//! | flag | meaning | set by |
//! |---|---|---|
//! | `CLOSING` | the end is being settled: no new claim | `close`, `halt`, a fault |
//! | `SEALED` | the end is settled: events before it exist, others never will | the same |
//! | `HALTED` | stations stop where they are | `halt`, a fault |
//!
//! The flags are signs on the producers' bell, so that a producer finds all that concerns it with
//! one look; they are only ever added.
//!
//! # How the end is settled
//!
//! With many producers the closer sets a bit in the word that claims go through: a claim is before
//! the end or refused, and every claim before it will be published or abandoned.
//!
//! A single producer claims nothing that anybody could see, and must not pay for being closed. So
//! the event that is being written while the ring closes counts if the closer finds it published,
//! and is refused otherwise:
//!
//! * producer: publish, look at the flags (behind a light fence); if `CLOSING`, ask for the end (it waits for
//!   the lock that the closer holds) and compare;
//! * closer: raise `CLOSING`, heavy fence, read what is published: that is the end;
//! * station: look at what is published, look at the flags; if `CLOSING`, ask for the end and go
//!   no further.
//!
//! The races, by who misses whom. If the closer misses the event, its fence came before the
//! producer's, so the producer sees `CLOSING` and finds its event behind the end; and it came
//! before that of any station that saw the event, so that station sees `CLOSING` and stays away
//! from it: refused, and handled by nobody. If the closer finds the event, it is before the end:
//! accepted, and handled by everybody.

use crate::{
    bell::{Bell, FREE_SIGN},
    error::{Fault, PublishError},
    sync::{
        fence::Fences,
        lock::{control, flow},
    },
};

const CLOSING: u32 = FREE_SIGN;
const SEALED: u32 = FREE_SIGN << 1;
const HALTED: u32 = FREE_SIGN << 2;

/// What a look at the flags came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    /// Whether new claims are refused.
    #[inline]
    pub(crate) fn are_refusing(self) -> bool {
        self.0 & (CLOSING | HALTED) != 0
    }

    #[inline]
    pub(crate) fn are_closing(self) -> bool {
        self.0 & CLOSING != 0
    }

    #[inline]
    pub(crate) fn are_halted(self) -> bool {
        self.0 & HALTED != 0
    }
}

#[derive(Debug)]
pub(crate) struct Lifecycle {
    /// The producers' bell: rings when something is published.
    pub(crate) published: Bell,
    fences: Fences,
    /// The end of the stream, once it is settled. The closer holds the lock while it settles it.
    end: flow::Mutex<Option<u64>>,
    fault: control::Mutex<Option<Fault>>,
}

impl Lifecycle {
    pub(crate) fn new(fences: Fences) -> Self {
        Self {
            published: Bell::new(fences, 0),
            fences,
            end: flow::Mutex::new(None),
            fault: control::Mutex::new(None),
        }
    }

    /// The flags after a look at the published cursor: `CLOSING` is not missed by whoever has seen
    /// an event that the closer has not found.
    #[inline]
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn flags(&self) -> Flags {
        Flags(self.published.look_behind())
    }

    /// For the only producer, after publishing everything before `end`: wakes the sleepers, and
    /// says whether the events count.
    ///
    /// # Errors
    /// They do not if the ring was closed before they could be found.
    #[inline(always)]
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn admit(&self, end: u64) -> Result<(), PublishError> {
        let signs = self.published.look_behind();
        if signs == 0 { Ok(()) } else { self.admit_closing(end, signs) }
    }

    #[cold]
    #[inline(never)]
    fn admit_closing(&self, end: u64, signs: u32) -> Result<(), PublishError> {
        self.published.answer(signs);
        if !Flags(signs).are_closing() || end <= self.settled_end() {
            Ok(())
        } else {
            Err(self.refusal())
        }
    }

    /// Whether claims are refused.
    #[inline]
    pub(crate) fn is_refusing(&self) -> bool {
        Flags(self.published.glance()).are_refusing()
    }

    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        Flags(self.published.glance()).are_halted()
    }

    /// The end of the stream, if it is settled.
    #[inline]
    pub(crate) fn end(&self) -> Option<u64> {
        if self.published.glance() & SEALED == 0 { None } else { *self.end.lock() }
    }

    /// The end of the stream for somebody who has seen `CLOSING`: waits while it is being settled.
    #[cold]
    pub(crate) fn settled_end(&self) -> u64 {
        let end = *self.end.lock();
        end.expect("the closer holds the lock from before it raises the flag")
    }

    /// Settles the end of the stream once; `last` finds it when no new claim can be missed.
    pub(crate) fn settle(&self, last: impl FnOnce() -> u64) {
        let mut end = self.end.lock();
        if end.is_none() {
            self.published.raise(CLOSING);
            self.fences.heavy();
            *end = Some(last());
            self.published.raise(SEALED);
        }
    }

    /// Records why the ring is halted, if nobody did before, and tells everybody to stop.
    pub(crate) fn halt(&self, fault: Option<Fault>) {
        // Held to the end, so that the fault that came first is the one that is told.
        let mut first = self.fault.lock();
        if first.is_none() {
            *first = fault;
        }
        self.published.raise(HALTED);
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.lock().clone()
    }

    /// What a refused producer is told.
    #[cold]
    pub(crate) fn refusal(&self) -> PublishError {
        self.fault().map_or(PublishError::Closed, PublishError::Halted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    #[test]
    fn the_end_is_settled_once() {
        let life = Lifecycle::new(Fences::Symmetric);
        assert!(!life.flags().are_refusing() && life.admit(9).is_ok());
        assert_eq!(life.end(), None);
        life.settle(|| 7);
        life.settle(|| unreachable!("it is settled"));
        assert_eq!((life.end(), life.settled_end()), (Some(7), 7));
        assert!(life.is_refusing() && !life.is_halted());
        assert!(life.admit(7).is_ok() && life.admit(8).is_err());
        assert_eq!(life.refusal(), PublishError::Closed);
    }

    #[test]
    fn the_first_fault_is_the_one_that_is_told() {
        let life = Lifecycle::new(Fences::Symmetric);
        let fault = |station: &str| Fault::new(station.into(), 3, Failure::error("no".into()));
        life.halt(Some(fault("first")));
        life.halt(Some(fault("second")));
        assert!(life.is_halted());
        assert_eq!(life.refusal(), PublishError::Halted(fault("first")));
        let life = Lifecycle::new(Fences::Symmetric);
        life.halt(None);
        assert_eq!((life.is_halted(), life.fault()), (true, None));
        life.halt(Some(fault("late")));
        assert_eq!(life.fault(), Some(fault("late")), "not lost, although the owner was first");
    }
}
