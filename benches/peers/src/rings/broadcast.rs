//! The scenarios on rings with one writer and readers that each see all, but without stages.
//!
//! Side by side, consumers read one ring. Stages are chained: each has a ring of its own to write what it
//! has made of the event, and C3 of the diamond reads two. Every consumer knows how many events to expect.
//! A run is what a consumer takes until it finds nothing.
//!
//! None of them makes a batch visible at once: where one is asked for, each event is published by itself.

use std::{iter, thread};

use slipring_bench::{
    Cell, Fault, Load, Outcome, Wait, by_scenario,
    contestant::pause,
    event::{Payload, Staged},
    feed::{Echoed, Feed, Lane, race},
    outcome::Board,
    witness::{InOrder, Lanes, Order, Witness},
};

use super::plain::Plain;

/// A kind of ring.
pub trait Kind: Copy + Send + Sync {
    /// Its writing end.
    type Writer<E: Plain>: Writer<E>;
    /// Its reading ends.
    type Reader<E: Plain>: Reader<E>;

    /// A ring with so many readers.
    fn ring<E: Plain>(
        self,
        capacity: usize,
        readers: usize,
    ) -> (Self::Writer<E>, Vec<Self::Reader<E>>);
}

/// The end that publishes.
pub trait Writer<E>: Send {
    /// Publishes one event, with `wait` while there is no room.
    fn publish(&mut self, wait: Wait, write: impl Fn(&mut E));
}

/// An end that takes events.
pub trait Reader<E>: Send {
    /// Shows the next event, if there is one, to `look`.
    ///
    /// # Panics
    ///
    /// When events were lost.
    fn take<R>(&mut self, look: impl FnMut(&E) -> R) -> Option<R>;

    /// Sleeps until there is an event.
    fn sleep<R>(&mut self, _look: impl FnMut(&E) -> R) -> R {
        unreachable!("whoever cannot block was turned away")
    }
}

/// One run.
pub fn run<K: Kind>(kind: K, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
    let job = Job { kind, cell, load };
    by_scenario!(job)
}

#[derive(Clone, Copy)]
struct Job<'a, K> {
    kind: K,
    cell: &'a Cell,
    load: &'a Load,
}

impl<K: Kind> Job<'_, K> {
    /// One consumer or several side by side.
    fn multicast<P: Payload + Plain, O: Order>(self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let (writer, readers) = self.ring::<P>(self.cell.scenario.consumers());
        let started = thread::scope(|scope| {
            for (index, reader) in readers.into_iter().enumerate() {
                let witness = board.witness::<O>();
                scope.spawn(move || self.consume(index, reader, witness, P::read));
            }
            self.feed(self.end(writer), &board, P::write)
        });
        board.settle(started)
    }

    /// Of one producer.
    fn mpsc<P: Payload + Plain>(self) -> Result<Outcome, Fault> {
        self.multicast::<P, Lanes>()
    }

    fn pipeline<const REST: usize, O: Order>(self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let [first, second] = [(); 2].map(|()| board.witness());
        let last = board.witness::<O>();
        let [(writer, from_p), (to_c2, from_c1), (to_c3, from_c2)] =
            [(); 3].map(|()| self.edge::<Staged<REST>>());
        let started = thread::scope(|scope| {
            scope.spawn(move || self.relay(0, (from_p, to_c2), first, Staged::write_first));
            scope.spawn(move || {
                self.relay(1, (from_c1, to_c3), second, Staged::write_second_from_first);
            });
            scope.spawn(move || self.consume(2, from_c2, last, Staged::read_all));
            self.feed(self.end(writer), &board, Staged::write_input)
        });
        board.settle(started)
    }

    fn diamond<const REST: usize, O: Order>(self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let [first, second] = [(); 2].map(|()| board.witness());
        let last = board.witness::<O>();
        let (writer, readers) = self.ring::<Staged<REST>>(2);
        let Ok([to_c1, to_c2]) = <[_; 2]>::try_from(readers) else { unreachable!("two readers") };
        let [(left, from_c1), (right, mut from_c2)] = [(); 2].map(|()| self.edge());
        let started = thread::scope(|scope| {
            scope.spawn(move || self.relay(0, (to_c1, left), first, Staged::write_first));
            scope.spawn(move || self.relay(1, (to_c2, right), second, Staged::write_second));
            scope.spawn(move || {
                self.consume(2, from_c1, last, |left| {
                    self.take(&mut from_c2, |right| Staged::join(*left, *right))
                });
            });
            self.feed(self.end(writer), &board, Staged::write_input)
        });
        board.settle(started)
    }

    /// The producer's own thread reads the echo.
    fn ping_pong<P: Payload + Plain, O: Order>(self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let answerer = board.witness::<InOrder>();
        let mut ping = board.witness::<O>();
        let [(there, pings), (mut back, mut echoes)] = [(); 2].map(|()| self.edge::<P>());
        let started = thread::scope(|scope| {
            scope.spawn(move || {
                self.consume(0, pings, answerer, |event| {
                    back.publish(self.cell.wait, |slot| *slot = *event);
                    event.read()
                });
            });
            let await_echoes = move |count| {
                for _ in 0..count {
                    ping.see_all(self.take(&mut echoes, P::read), true);
                }
            };
            let player = Echoed { producer: self.end(there), await_echoes };
            self.feed(player, &board, P::write)
        });
        board.settle(started)
    }

    fn ring<E: Plain>(self, readers: usize) -> (K::Writer<E>, Vec<K::Reader<E>>) {
        self.kind.ring(self.cell.capacity, readers)
    }

    /// A ring with one reader.
    fn edge<E: Plain>(self) -> (K::Writer<E>, K::Reader<E>) {
        let (writer, mut readers) = self.ring(1);
        (writer, readers.pop().expect("one reader"))
    }

    fn end<W>(self, writer: W) -> End<W> {
        End { writer, wait: self.cell.wait }
    }

    /// Consumer `index`: checks what `look` gives.
    fn consume<E, O: Order>(
        self,
        index: usize,
        mut reader: impl Reader<E>,
        mut witness: Witness<O>,
        mut look: impl FnMut(&E) -> (u64, bool),
    ) {
        self.load.take_place(self.cell.scenario.producers() as usize + index);
        let mut in_run = false;
        while !witness.is_done() {
            if let Some(seen) = reader.take(&mut look) {
                witness.see_all(seen, false);
                in_run = true;
                continue;
            }
            if in_run {
                witness.see_run(iter::empty(), true);
                in_run = false;
            }
            if self.cell.wait == Wait::Block {
                witness.see_all(reader.sleep(&mut look), false);
                in_run = true;
            } else {
                pause(self.cell.wait);
            }
        }
        witness.see_run(iter::empty(), true);
    }

    /// Consumer `index` between two rings: `work` writes its field and gives the value it saw.
    fn relay<E: Plain>(
        self,
        index: usize,
        (reader, mut writer): (K::Reader<E>, K::Writer<E>),
        witness: Witness<InOrder>,
        work: impl Fn(&mut E) -> u64,
    ) {
        self.consume(index, reader, witness, |event| {
            let mut event = *event;
            let value = work(&mut event);
            writer.publish(self.cell.wait, |slot| *slot = event);
            (value, true)
        });
    }

    /// Waits for one event.
    #[inline]
    fn take<E, R>(self, reader: &mut impl Reader<E>, mut look: impl FnMut(&E) -> R) -> R {
        loop {
            if let Some(seen) = reader.take(&mut look) {
                return seen;
            }
            if self.cell.wait == Wait::Block {
                return reader.sleep(&mut look);
            }
            pause(self.cell.wait);
        }
    }

    fn feed<E>(
        self,
        producer: impl Feed<E> + Send,
        board: &Board,
        write: impl Fn(&mut E, u64) + Send,
    ) -> std::time::Instant {
        let lane = Lane::new(self.cell, self.load, board, 0);
        race(self.load, vec![move || lane.publish(producer, write)])
    }
}

/// A writer with the cell's wait.
struct End<W> {
    writer: W,
    wait: Wait,
}

impl<E, W: Writer<E>> Feed<E> for End<W> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        self.writer.publish(self.wait, |event| write(event, value));
    }

    #[inline]
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        (first..).take(count).for_each(|value| self.one(value, &write));
    }
}
