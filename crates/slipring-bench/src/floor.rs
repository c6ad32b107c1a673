//! The floor: what the machine can do, without any of a library's duties.
//!
//! * [`Floor`]: a minimal ring for one producer and one consumer. Padded indices, each side keeps
//!   what it last saw of the other's, the consumer moves its own once a run. *Held*, a consumer that
//!   finds a run shorter than 64 events pauses for 16 hints and looks once more.
//!   For latency it is no floor: it does not fetch ahead, so others may see an event sooner. Beside
//!   latencies it has [another name](name_in_latencies).
//! * [`bounce`]: what it costs to move one cache line to the other core and back.

use std::{
    hint::spin_loop,
    sync::{
        Barrier,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    cell::{Cell, Scenario, Wait},
    contestant::{Contestant, pause},
    feed::{Feed, Lane, race},
    load::{Load, pin},
    outcome::{Board, Fault, Outcome},
    results::Who,
    witness::{InOrder, Order, Timed},
};

/// The minimal ring.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    held: bool,
}

impl Floor {
    /// As close on the producer's heels as it gets.
    pub const PLAIN: Self = Self { held: false };
    /// Keeping its distance.
    pub const HELD: Self = Self { held: true };
}

/// The family's name.
pub const FLOOR: &str = "floor";

/// What to call a contestant beside latencies, where the floor is a ring like others.
#[must_use]
pub fn name_in_latencies(who: &Who) -> &str {
    match (who.family.as_str(), who.contestant.as_str()) {
        (FLOOR, FLOOR) => "hand-written ring",
        (FLOOR, _) => "hand-written ring, held",
        (_, name) => name,
    }
}

/// A run that is long enough not to be held off.
const LONG_RUN: u64 = 64;
/// Hints for which a short one is.
const HOLD: u32 = 16;

/// Two cache lines, because the prefetcher fetches pairs.
#[derive(Default)]
#[repr(align(128))]
struct Index(AtomicU64);

struct Ring<const WORDS: usize> {
    /// Written and read with Relaxed accesses, which are plain ones on the processors at hand: so it
    /// needs no unsafe code.
    slots: Box<[[AtomicU64; WORDS]]>,
    published: Index,
    consumed: Index,
}

impl<const WORDS: usize> Ring<WORDS> {
    fn new(capacity: usize) -> Self {
        Self {
            slots: (0..capacity).map(|_| [const { AtomicU64::new(0) }; WORDS]).collect(),
            published: Index::default(),
            consumed: Index::default(),
        }
    }

    #[inline]
    fn slot(&self, sequence: u64) -> &[AtomicU64; WORDS] {
        // The length is a power of two, which the compiler does not know: the check stays.
        &self.slots[sequence as usize & (self.slots.len() - 1)]
    }
}

struct Publisher<'a, const WORDS: usize> {
    ring: &'a Ring<WORDS>,
    wait: Wait,
    next: u64,
    consumed: u64,
}

impl<const WORDS: usize> Publisher<'_, WORDS> {
    #[inline(always)]
    fn await_room(&mut self, count: u64) {
        let capacity = self.ring.slots.len() as u64;
        while self.next + count - self.consumed > capacity {
            // ORDERING: pairs with the Release of the consumer.
            self.consumed = self.ring.consumed.0.load(Acquire);
            if self.next + count - self.consumed > capacity {
                pause(self.wait);
            }
        }
    }

    #[inline(always)]
    fn write(&self, sequence: u64, value: u64) {
        for (index, word) in self.ring.slot(sequence).iter().enumerate() {
            word.store(value.wrapping_add(index as u64), Relaxed);
        }
    }

    #[inline(always)]
    fn publish(&mut self, count: u64) {
        self.next += count;
        // ORDERING: pairs with the Acquire of the consumer.
        self.ring.published.0.store(self.next, Release);
    }
}

/// Its events are words: what `write` would do, [`Publisher::write`] does.
impl<const WORDS: usize> Feed<()> for Publisher<'_, WORDS> {
    #[inline(always)]
    fn one(&mut self, value: u64, _write: impl Fn(&mut (), u64)) {
        self.await_room(1);
        self.write(self.next, value);
        self.publish(1);
    }

    #[inline(always)]
    fn many(&mut self, first: u64, count: usize, _write: impl Fn(&mut (), u64)) {
        self.await_room(count as u64);
        for index in 0..count as u64 {
            self.write(self.next + index, first + index);
        }
        self.publish(count as u64);
    }
}

impl Contestant for Floor {
    fn name(&self) -> &str {
        if self.held { "floor-held" } else { FLOOR }
    }

    fn family(&self) -> &str {
        FLOOR
    }

    fn fits(&self, cell: &Cell) -> bool {
        let loops = cell.wait != Wait::Block;
        loops && cell.scenario == Scenario::Unicast && matches!(cell.bytes, 8 | 64)
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        match (cell.bytes, load.rate) {
            (8, None) => self.unicast::<1, InOrder>(cell, load),
            (8, _) => self.unicast::<1, Timed>(cell, load),
            (_, None) => self.unicast::<8, InOrder>(cell, load),
            (_, _) => self.unicast::<8, Timed>(cell, load),
        }
    }
}

impl Floor {
    fn unicast<const WORDS: usize, O: Order>(
        self,
        cell: &Cell,
        load: &Load,
    ) -> Result<Outcome, Fault> {
        let mut board = Board::new(cell, load);
        let mut witness = board.witness::<O>();
        let ring = Ring::<WORDS>::new(cell.capacity);
        let lane = Lane::new(cell, load, &board, 0);
        let publisher = Publisher { ring: &ring, wait: cell.wait, next: 0, consumed: 0 };
        let started = thread::scope(|scope| {
            scope.spawn(|| {
                load.take_place(1);
                let mut next = 0;
                let mut is_flowing = false;
                while next < load.events {
                    // ORDERING: pairs with the Release of the producer.
                    let mut end = ring.published.0.load(Acquire);
                    if end == next {
                        is_flowing = false;
                        pause(cell.wait);
                        continue;
                    }
                    if self.held && is_flowing && end - next < LONG_RUN {
                        (0..HOLD).for_each(|_| spin_loop());
                        end = ring.published.0.load(Acquire);
                    }
                    is_flowing = true;
                    for sequence in next..end {
                        witness.see_all(read(ring.slot(sequence)), sequence + 1 == end);
                    }
                    next = end;
                    // ORDERING: pairs with the Acquire of the producer.
                    ring.consumed.0.store(next, Release);
                }
                drop(witness);
            });
            race(load, vec![move || lane.publish(publisher, |(), _| ())])
        });
        board.settle(started)
    }
}

#[inline]
fn read<const WORDS: usize>(words: &[AtomicU64; WORDS]) -> (u64, bool) {
    let value = words[0].load(Relaxed);
    let mut odd = 0;
    for (index, word) in words.iter().enumerate() {
        odd |= word.load(Relaxed) ^ value.wrapping_add(index as u64);
    }
    (value, odd == 0)
}

/// The time of one round trip of a cache line between two threads on the given cores (or anywhere):
/// each increments the counter when it is its turn.
///
/// # Panics
///
/// When a thread cannot be started.
#[must_use]
pub fn bounce(cores: [Option<usize>; 2], round_trips: u64) -> Duration {
    let (turn, line) = (Index::default(), Barrier::new(2));
    let play = |parity: u64, core: Option<usize>| {
        if let Some(core) = core {
            pin(core);
        }
        line.wait();
        let started = Instant::now();
        for round in 0..round_trips {
            let mine = 2 * round + parity;
            // ORDERING: Relaxed: only the line itself travels.
            while turn.0.load(Relaxed) != mine {
                spin_loop();
            }
            turn.0.store(mine + 1, Relaxed);
        }
        started.elapsed()
    };
    let total = thread::scope(|scope| {
        let other = scope.spawn(|| play(1, cores[1]));
        let time = scope.spawn(|| play(0, cores[0])).join().expect("it does not panic");
        other.join().expect("it does not panic");
        time
    });
    total / u32::try_from(round_trips.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_floors_pass_the_checks() {
        for floor in [Floor::PLAIN, Floor::HELD] {
            for (batch, bytes) in [(1, 8), (10, 8), (1, 64), (10, 64)] {
                let cell = Cell::new(Scenario::Unicast, Wait::Yield, batch, 64, bytes);
                let outcome = floor.run(&cell, &Load::full(&cell, 10_000)).expect("it is right");
                assert_eq!(outcome.events, 10_000);
                let paced = floor.run(&cell, &Load::paced(&cell, 100, 1_000_000)).expect("right");
                assert_eq!(paced.latency.expect("it was measured").len(), 100);
            }
        }
    }

    #[test]
    fn it_is_no_floor_of_latency() {
        let floors = [Floor::PLAIN, Floor::HELD];
        let names = floors.map(|floor| {
            let who = Who { contestant: floor.name().into(), family: floor.family().into() };
            name_in_latencies(&who).to_owned()
        });
        assert_eq!(names, ["hand-written ring", "hand-written ring, held"]);
        let other = Who { contestant: "flume-drain".into(), family: "flume".into() };
        assert_eq!(name_in_latencies(&other), "flume-drain");
    }

    #[test]
    fn a_line_takes_some_time() {
        assert!(bounce([None, None], 100) > Duration::ZERO);
    }
}
