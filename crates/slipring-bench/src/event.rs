//! The events: words that must fit together, in two kinds.
//!
//! [`Words`] are written by the producer. [`Staged`] and [`Shared`] have three fields that P, C1 and
//! C2 write, and perhaps more words of P's. Both of these compile to the same loads and stores: a
//! relaxed atomic access is an ordinary `mov`.

#![allow(
    clippy::inline_always,
    clippy::needless_bitwise_bool,
    reason = "the loops of all contestants must get the same code, without branches"
)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a producer publishes and every consumer can check.
pub trait Payload: Copy + Default + Send + Sync + Unpin + 'static {
    /// Writes all of the event.
    fn write(&mut self, value: u64);

    /// The value, and whether the rest of the event fits it.
    fn read(&self) -> (u64, bool);
}

/// An event of `N` words: the value, the value plus one, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Words<const N: usize>(pub [u64; N]);

impl<const N: usize> Default for Words<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Payload for Words<N> {
    #[inline(always)]
    fn write(&mut self, value: u64) {
        fill(&mut self.0, value);
    }

    #[inline(always)]
    fn read(&self) -> (u64, bool) {
        (self.0[0], fits(&self.0, self.0[0]))
    }
}

#[inline(always)]
fn fill<const N: usize>(words: &mut [u64; N], value: u64) {
    for (index, word) in words.iter_mut().enumerate() {
        *word = value.wrapping_add(index as u64);
    }
}

#[inline(always)]
fn fits<const N: usize>(words: &[u64; N], value: u64) -> bool {
    let mut odd = 0;
    for (index, word) in words.iter().enumerate() {
        odd |= word ^ value.wrapping_add(index as u64);
    }
    odd == 0
}

/// Calls a generic function with the [`Words`] of a cell's size; the peers are measured with 8 and
/// 64 bytes only, because each size is a copy of all their code.
#[macro_export]
macro_rules! with_words {
    ($cell:expr, $payload:ident => $call:expr) => {
        match $cell.bytes {
            8 => {
                type $payload = $crate::event::Words<1>;
                $call
            }
            64 => {
                type $payload = $crate::event::Words<8>;
                $call
            }
            _ => unreachable!("`fits` keeps other sizes away"),
        }
    };
}

/// The same for stages: calls with the number of words behind the three fields.
#[macro_export]
macro_rules! with_rest {
    ($cell:expr, $rest:ident => $call:expr) => {
        match $cell.bytes {
            24 => {
                const $rest: usize = 0;
                $call
            }
            64 => {
                const $rest: usize = 5;
                $call
            }
            _ => unreachable!("`fits` keeps other sizes away"),
        }
    };
}

/// Calls the method of a job (with fields `cell` and `load`) that is named as the scenario: `multicast`,
/// which is unicast as well, `mpsc`, `pipeline`, `diamond` or `ping_pong`. Each is generic over the event
/// and, but for `mpsc`, over the order that the last consumers check.
#[macro_export]
macro_rules! by_scenario {
    ($job:expr) => {
        match ($job.cell.scenario, $job.load.rate) {
            ($crate::Scenario::Mpsc(_), _) => {
                $crate::with_words!($job.cell, P => $job.mpsc::<P>())
            }
            (_, None) => $crate::by_scenario!($job, $crate::witness::InOrder),
            (_, Some(_)) => $crate::by_scenario!($job, $crate::witness::Timed),
        }
    };
    ($job:expr, $order:ty) => {
        match $job.cell.scenario {
            $crate::Scenario::Pipeline(_) => {
                $crate::with_rest!($job.cell, REST => $job.pipeline::<REST, $order>())
            }
            $crate::Scenario::Diamond => {
                $crate::with_rest!($job.cell, REST => $job.diamond::<REST, $order>())
            }
            $crate::Scenario::PingPong => {
                $crate::with_words!($job.cell, P => $job.ping_pong::<P, $order>())
            }
            scenario if scenario.is_shared() => unreachable!("those who share go another way"),
            _ => $crate::with_words!($job.cell, P => $job.multicast::<P, $order>()),
        }
    };
}

/// An event whose stages have it to themselves: `slipring`'s `update` stations, and channels.
#[derive(Clone, Copy, Debug)]
pub struct Staged<const REST: usize> {
    input: u64,
    first: u64,
    second: u64,
    rest: [u64; REST],
}

impl<const REST: usize> Default for Staged<REST> {
    fn default() -> Self {
        Self { input: 0, first: 0, second: 0, rest: [0; REST] }
    }
}

impl<const REST: usize> Staged<REST> {
    /// P's work.
    #[inline(always)]
    pub fn write_input(&mut self, value: u64) {
        self.input = value;
        fill(&mut self.rest, value);
    }

    /// C1's work; gives the value it saw.
    #[inline(always)]
    pub fn write_first(&mut self) -> u64 {
        self.first = self.input.wrapping_add(1);
        self.input
    }

    /// C2's work in the pipeline, from C1's field; gives the value it saw.
    #[inline(always)]
    pub fn write_second_from_first(&mut self) -> u64 {
        self.second = self.first.wrapping_add(1);
        self.first.wrapping_sub(1)
    }

    /// The work of a stage of the pipeline behind C2, with `before` stages before it: it counts on
    /// from the one before. Gives the value it saw.
    #[inline(always)]
    pub fn count_on(&mut self, before: u64) -> u64 {
        let value = self.second.wrapping_sub(before);
        self.second = self.second.wrapping_add(1);
        value
    }

    /// C2's work in the diamond, beside C1; gives the value it saw.
    #[inline(always)]
    pub fn write_second(&mut self) -> u64 {
        self.second = self.input.wrapping_add(2);
        self.input
    }

    /// What C3 sees: the value, and whether the fields fit together.
    #[inline(always)]
    #[must_use]
    pub fn read_all(&self) -> (u64, bool) {
        let fitting = fit(self.input, self.first, self.second);
        (self.input, fitting & fits(&self.rest, self.input))
    }

    /// What the last of more than three stages sees: `before` stages have counted.
    #[inline(always)]
    #[must_use]
    pub fn read_count(&self, before: u64) -> (u64, bool) {
        let first = self.first == self.input.wrapping_add(1);
        let second = self.second == self.input.wrapping_add(before);
        (self.input, first & second & fits(&self.rest, self.input))
    }

    /// What the second of two stages sees, where nobody writes the second field.
    #[inline(always)]
    #[must_use]
    pub fn read_first(&self) -> (u64, bool) {
        let first = self.first == self.input.wrapping_add(1);
        (self.input, first & fits(&self.rest, self.input))
    }

    /// What a single stage sees.
    #[inline(always)]
    #[must_use]
    pub fn read_input(&self) -> (u64, bool) {
        (self.input, fits(&self.rest, self.input))
    }

    /// What C3 of the diamond sees of the two copies that C1 and C2 sent on.
    #[inline(always)]
    #[must_use]
    pub fn join(left: Self, right: Self) -> (u64, bool) {
        let (value, intact) = Self { second: right.second, ..left }.read_all();
        (value, intact & (left.input == right.input))
    }
}

/// An event that is written through a shared reference: for handlers that see `&E` only, and for the
/// two stages side by side of the diamond.
#[derive(Debug)]
pub struct Shared<const REST: usize> {
    input: u64,
    first: AtomicU64,
    second: AtomicU64,
    rest: [u64; REST],
}

impl<const REST: usize> Default for Shared<REST> {
    fn default() -> Self {
        let [first, second] = [AtomicU64::new(0), AtomicU64::new(0)];
        Self { input: 0, first, second, rest: [0; REST] }
    }
}

// ORDERING of all accesses below: Relaxed. The ring's sequences order stage after stage; the
// atomics only make a write through `&self` legal.
impl<const REST: usize> Shared<REST> {
    /// P's work.
    #[inline(always)]
    pub fn write_input(&mut self, value: u64) {
        self.input = value;
        fill(&mut self.rest, value);
    }

    /// C1's work; gives the value it saw.
    #[inline(always)]
    pub fn write_first(&self) -> u64 {
        self.first.store(self.input.wrapping_add(1), Relaxed);
        self.input
    }

    /// C2's work in the pipeline, from C1's field; gives the value it saw.
    #[inline(always)]
    pub fn write_second_from_first(&self) -> u64 {
        let first = self.first.load(Relaxed);
        self.second.store(first.wrapping_add(1), Relaxed);
        first.wrapping_sub(1)
    }

    /// C2's work in the diamond, beside C1; gives the value it saw.
    #[inline(always)]
    pub fn write_second(&self) -> u64 {
        self.second.store(self.input.wrapping_add(2), Relaxed);
        self.input
    }

    /// What C3 sees: the value, and whether the fields fit together.
    #[inline(always)]
    #[must_use]
    pub fn read_all(&self) -> (u64, bool) {
        let fitting = fit(self.input, self.first.load(Relaxed), self.second.load(Relaxed));
        (self.input, fitting & fits(&self.rest, self.input))
    }
}

#[inline(always)]
fn fit(input: u64, first: u64, second: u64) -> bool {
    (first == input.wrapping_add(1)) & (second == input.wrapping_add(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_fits_until_a_word_is_torn() {
        let mut event = Words::<8>::default();
        event.write(7);
        assert_eq!(event.read(), (7, true));
        event.0[5] += 1;
        assert_eq!(event.read(), (7, false));
    }

    #[test]
    fn stages_must_have_done_their_work() {
        let mut staged = Staged::<5>::default();
        staged.write_input(7);
        assert_eq!(staged.read_all(), (7, false));
        assert_eq!((staged.write_first(), staged.write_second_from_first()), (7, 7));
        assert_eq!(staged.read_all(), (7, true));
        let mut shared = Shared::<5>::default();
        shared.write_input(9);
        assert_eq!((shared.write_first(), shared.write_second()), (9, 9));
        assert_eq!(shared.read_all(), (9, true));
    }

    #[test]
    fn no_stage_may_be_left_out() {
        // From the third stage on each reads what the one before wrote; the last one reads all.
        for stages in 4..=8 {
            for left_out in 0..stages {
                let mut staged = Staged::<5>::default();
                staged.write_input(7);
                let mut seen = Vec::new();
                for stage in (0..stages - 1).filter(|&stage| stage != left_out) {
                    seen.push(match stage {
                        0 => staged.write_first(),
                        1 => staged.write_second_from_first(),
                        before => staged.count_on(before),
                    });
                }
                let (value, intact) = staged.read_count(stages - 1);
                assert_eq!(value, 7);
                let all_there = left_out == stages - 1;
                assert_eq!(intact, all_there, "stage {left_out} of {stages}");
                // Those behind the gap see that something is missing.
                let noticed = seen.iter().any(|&value| value != 7);
                assert_eq!(noticed, left_out + 2 < stages, "stage {left_out} of {stages}");
            }
        }
        let mut two = Staged::<0>::default();
        two.write_input(7);
        assert_eq!((two.read_input(), two.read_first()), ((7, true), (7, false)));
        two.write_first();
        assert_eq!(two.read_first(), (7, true));
    }

    #[test]
    fn sizes_are_what_they_say() {
        assert_eq!((size_of::<Words<1>>(), size_of::<Words<8>>()), (8, 64));
        assert_eq!((size_of::<Staged<0>>(), size_of::<Staged<5>>()), (24, 64));
        assert_eq!((size_of::<Shared<0>>(), size_of::<Shared<5>>()), (24, 64));
    }
}
