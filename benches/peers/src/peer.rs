//! Who is measured.

use std::fmt;
use std::str::FromStr;

use crate::cell::{Cell, Wait, named};
use crate::outcome::{Fault, Outcome};
use crate::pause::{Hint, Pause, Yield};
use crate::{link, on_crossbeam, on_disruptor, on_slipring};

named! {
    /// A library in one configuration.
    Peer {
        /// `slipring` with the cell's wait on both sides.
        Slipring = "slipring",
        /// `disruptor`, equal waits: consumers with the cell's wait, and `try_publish` in a loop with
        /// the same wait. Its best configuration when a core is shared.
        Disruptor = "disruptor",
        /// `disruptor` with plain `publish`, which spins without a hint while the ring is full.
        DisruptorPublish = "disruptor-publish",
        /// `crossbeam-channel`, bounded; `try_send` and `try_recv` in loops with the cell's wait,
        /// or `send` and `recv` where the wait is `block`.
        Channel = "crossbeam-channel",
        /// `crossbeam`'s `ArrayQueue`, in loops with the cell's wait.
        ArrayQueue = "array-queue",
    }
}

impl Peer {
    /// Whether this peer can do what the cell asks for.
    #[must_use]
    pub fn fits(self, cell: &Cell) -> bool {
        let blocks = matches!(self, Self::Slipring | Self::Channel);
        let batches = matches!(self, Self::Slipring | Self::Disruptor | Self::DisruptorPublish);
        (blocks || cell.wait != Wait::Block) && (batches || cell.batch == 1)
    }

    /// One run of `events` events, rounded up to whole batches.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when the peer does not fit the cell, failed, or a consumer did not see exactly
    /// what was published.
    pub fn run(self, cell: &Cell, events: u64) -> Result<Outcome, Fault> {
        if !self.fits(cell) {
            return Err(Fault::Peer(format!("{self} cannot do {cell}")));
        }
        let total = cell.whole_batches(events);
        match (self, cell.wait) {
            (Self::Slipring, _) => on_slipring::run(cell, total),
            (Self::Channel, Wait::Block) => on_crossbeam::run::<link::Blocking>(cell, total),
            (_, Wait::Yield) => self.run_looping::<Yield>(cell, total),
            // Whoever cannot block was turned away above.
            (_, Wait::Hint | Wait::Block) => self.run_looping::<Hint>(cell, total),
        }
    }

    /// The peers whose wait is chosen by type.
    fn run_looping<P: Pause>(self, cell: &Cell, total: u64) -> Result<Outcome, Fault> {
        match self {
            Self::Slipring => on_slipring::run(cell, total),
            Self::Disruptor => on_disruptor::run::<P, on_disruptor::Trying<P>>(cell, total),
            Self::DisruptorPublish => on_disruptor::run::<P, on_disruptor::Plain>(cell, total),
            Self::Channel => on_crossbeam::run::<link::Looping<P>>(cell, total),
            Self::ArrayQueue => on_crossbeam::run::<link::Queue<P>>(cell, total),
        }
    }
}
