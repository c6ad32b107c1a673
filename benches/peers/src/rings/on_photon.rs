//! `photon-ring` 3, whose readers check stamps in the slots.
//!
//! *Bounded* is its channel of copied words with back-pressure, the only one of them that loses nothing
//! by itself. *Lossy* is its fastest, without: it fits where the flow itself keeps within the ring. Its
//! multi-producer channel is lossy only, so it is in no cell with several producers. It cannot block.
//!
//! Its `publish_batch` on a bounded channel is a loop of `try_publish` with a hint while there is no
//! room; ours has the cell's wait instead.

use photon_ring::{PublishError, Publisher, Subscriber, TryRecvError, channel, channel_bounded};
use slipring_bench::{
    Cell, Contestant, Fault, Load, Outcome, Scenario, Wait,
    contestant::{is_classic, pause},
};

use super::{
    broadcast::{self, Kind, Reader, Writer},
    plain::{Bits, Plain},
};

/// `photon-ring` with or without back-pressure.
#[derive(Clone, Copy, Debug)]
pub struct Photon {
    bounded: bool,
}

impl Photon {
    /// Writers wait for the slowest reader.
    pub const BOUNDED: Self = Self { bounded: true };
    /// Writers never look at readers.
    pub const LOSSY: Self = Self { bounded: false };
}

/// The family's name.
pub const PHOTON: &str = "photon-ring";

/// Whether any of the family could take the cell.
pub fn could_fit(cell: &Cell) -> bool {
    let single = !matches!(cell.scenario, Scenario::Mpsc(_));
    let sized = cell.capacity >= 2 && cell.batch <= cell.capacity;
    is_classic(cell) && sized && single && cell.wait != Wait::Block
}

impl Contestant for Photon {
    fn name(&self) -> &str {
        if self.bounded { PHOTON } else { "photon-ring-lossy" }
    }

    fn family(&self) -> &str {
        PHOTON
    }

    fn fits(&self, cell: &Cell) -> bool {
        could_fit(cell) && (self.bounded || cell.scenario == Scenario::PingPong)
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        broadcast::run(*self, cell, load)
    }
}

impl Kind for Photon {
    type Writer<E: Plain> = Publisher<Bits<E>>;
    type Reader<E: Plain> = Subscriber<Bits<E>>;

    fn ring<E: Plain>(
        self,
        capacity: usize,
        readers: usize,
    ) -> (Publisher<Bits<E>>, Vec<Subscriber<Bits<E>>>) {
        let (writer, ring) =
            if self.bounded { channel_bounded(capacity, 0) } else { channel(capacity) };
        (writer, (0..readers).map(|_| ring.subscribe()).collect())
    }
}

impl<E: Plain> Writer<E> for Publisher<Bits<E>> {
    #[inline]
    fn publish(&mut self, wait: Wait, write: impl Fn(&mut E)) {
        let mut event = E::default();
        write(&mut event);
        let mut event = Bits(event);
        while let Err(PublishError::Full(back)) = self.try_publish(event) {
            event = back;
            pause(wait);
        }
    }
}

impl<E: Plain> Reader<E> for Subscriber<Bits<E>> {
    #[inline]
    fn take<R>(&mut self, mut look: impl FnMut(&E) -> R) -> Option<R> {
        match self.try_recv() {
            Ok(Bits(event)) => Some(look(&event)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Lagged { skipped }) => panic!("{skipped} events were lost"),
        }
    }
}
