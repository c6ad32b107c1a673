//! `tokio`'s broadcast channel, on plain threads.
//!
//! It overwrites what slow readers have not seen, so the writer keeps count of the room: it asks for
//! the channel's length when its count is used up, which a single writer may trust. Several would
//! overtake each other between question and answer, so cells with several producers do not fit.
//! Readers that block sleep in `blocking_recv`; the writer has nothing to sleep on and yields.

use slipring_bench::{
    Cell, Contestant, Fault, Load, Outcome, Wait,
    contestant::{is_classic, pause},
};
use tokio::sync::broadcast::{
    Receiver, Sender,
    error::TryRecvError::{Closed, Empty, Lagged},
};

use super::{
    broadcast::{self, Kind, Reader, Writer},
    plain::Plain,
};

/// `tokio::sync::broadcast`, made lossless.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

impl Contestant for Tokio {
    fn name(&self) -> &'static str {
        "tokio-broadcast"
    }

    fn fits(&self, cell: &Cell) -> bool {
        let single = cell.scenario.producers() == 1;
        // It rounds other capacities up. It sends one event at a time.
        is_classic(cell) && single && cell.batch == 1 && cell.capacity.is_power_of_two()
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        broadcast::run(*self, cell, load)
    }
}

impl Kind for Tokio {
    type Writer<E: Plain> = Gated<E>;
    type Reader<E: Plain> = Receiver<E>;

    fn ring<E: Plain>(self, capacity: usize, readers: usize) -> (Gated<E>, Vec<Receiver<E>>) {
        let sender = Sender::new(capacity);
        let receivers = (0..readers).map(|_| sender.subscribe()).collect();
        (Gated { sender, capacity, room: capacity }, receivers)
    }
}

/// A sender that overwrites nothing.
pub struct Gated<E> {
    sender: Sender<E>,
    capacity: usize,
    /// Events that may be sent before the next look.
    room: usize,
}

impl<E: Plain> Writer<E> for Gated<E> {
    #[inline]
    fn publish(&mut self, wait: Wait, write: impl Fn(&mut E)) {
        while self.room == 0 {
            self.room = self.capacity - self.sender.len();
            if self.room == 0 {
                pause(if wait == Wait::Block { Wait::Yield } else { wait });
            }
        }
        let mut event = E::default();
        write(&mut event);
        self.room -= 1;
        assert!(self.sender.send(event).is_ok(), "the readers are gone");
    }
}

impl<E: Plain> Reader<E> for Receiver<E> {
    #[inline]
    fn take<R>(&mut self, mut look: impl FnMut(&E) -> R) -> Option<R> {
        match self.try_recv() {
            Ok(event) => Some(look(&event)),
            Err(Empty) => None,
            Err(Lagged(lost)) => panic!("{lost} events were lost"),
            Err(Closed) => panic!("the writer left too early"),
        }
    }

    fn sleep<R>(&mut self, mut look: impl FnMut(&E) -> R) -> R {
        look(&self.blocking_recv().expect("the writer stays and nothing is lost"))
    }
}
