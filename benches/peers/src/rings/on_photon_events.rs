//! `photon-ring` 3 with its channel of events that stay in the ring: written in place, read by reference,
//! never lost. It publishes one event at a time.

use photon_ring::{EventPublisher, EventSubscriber, event_channel};
use slipring_bench::{Cell, Contestant, Fault, Load, Outcome, Wait, contestant::pause};

use super::{
    broadcast::{self, Kind, Reader, Writer},
    on_photon::{PHOTON, could_fit},
    plain::Plain,
};

/// The event channel.
#[derive(Clone, Copy, Debug)]
pub struct PhotonEvents;

impl Contestant for PhotonEvents {
    fn name(&self) -> &'static str {
        "photon-ring-events"
    }

    fn family(&self) -> &str {
        PHOTON
    }

    fn fits(&self, cell: &Cell) -> bool {
        could_fit(cell) && cell.batch == 1
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        broadcast::run(*self, cell, load)
    }
}

impl Kind for PhotonEvents {
    type Writer<E: Plain> = EventPublisher<E>;
    type Reader<E: Plain> = EventSubscriber<E>;

    fn ring<E: Plain>(
        self,
        capacity: usize,
        readers: usize,
    ) -> (EventPublisher<E>, Vec<EventSubscriber<E>>) {
        let (writer, ring) = event_channel(capacity, E::default);
        (writer, (0..readers).map(|_| ring.subscribe()).collect())
    }
}

impl<E: Plain> Writer<E> for EventPublisher<E> {
    #[inline]
    fn publish(&mut self, wait: Wait, write: impl Fn(&mut E)) {
        while !self.try_publish(&write) {
            pause(wait);
        }
    }
}

impl<E: Plain> Reader<E> for EventSubscriber<E> {
    #[inline]
    fn take<R>(&mut self, look: impl FnMut(&E) -> R) -> Option<R> {
        self.process(look)
    }
}
