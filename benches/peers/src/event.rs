//! The events of pipeline and diamond: three `u64` fields; P, C1 and C2 write one each.
//!
//! An 8-byte event is a plain `u64`. Both types here are 24 bytes and compile to the same loads
//! and stores: a relaxed atomic access is an ordinary `mov`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An event whose stages have it to themselves: `slipring`'s `update` stations, and channels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Staged {
    /// Written by the producer.
    pub input: u64,
    /// Written by C1: `input + 1`.
    pub first: u64,
    /// Written by C2: `input + 2`.
    pub second: u64,
}

impl Staged {
    /// What the producer publishes into a channel.
    #[must_use]
    pub fn new(input: u64) -> Self {
        Self { input, ..Self::default() }
    }

    /// C1's work; gives the value it saw.
    #[inline]
    pub fn write_first(&mut self) -> u64 {
        self.first = self.input.wrapping_add(1);
        self.input
    }

    /// C2's work in the pipeline, from C1's field; gives the value it saw.
    #[inline]
    pub fn write_second_from_first(&mut self) -> u64 {
        self.second = self.first.wrapping_add(1);
        self.first.wrapping_sub(1)
    }

    /// C2's work in the diamond, beside C1; gives the value it saw.
    #[inline]
    pub fn write_second(&mut self) -> u64 {
        self.second = self.input.wrapping_add(2);
        self.input
    }

    /// What C3 sees: the value, and whether the fields fit together.
    #[inline]
    #[must_use]
    pub fn read_all(&self) -> (u64, bool) {
        fit(self.input, self.first, self.second)
    }

    /// What C3 of the diamond sees of the two copies that C1 and C2 sent on.
    #[inline]
    #[must_use]
    pub fn join(left: Self, right: Self) -> (u64, bool) {
        let (value, intact) = Self { second: right.second, ..left }.read_all();
        (value, intact && left.input == right.input)
    }
}

/// An event that is written through a shared reference: `disruptor`, whose handlers see `&E`
/// only, and the two stages side by side of `slipring`'s diamond.
#[derive(Debug, Default)]
pub struct Shared {
    /// Written by the producer.
    pub input: u64,
    first: AtomicU64,
    second: AtomicU64,
}

// ORDERING of all accesses below: Relaxed. The ring's sequences order stage after stage; the
// atomics only make a write through `&self` legal.
impl Shared {
    /// C1's work; gives the value it saw.
    #[inline]
    pub fn write_first(&self) -> u64 {
        self.first.store(self.input.wrapping_add(1), Relaxed);
        self.input
    }

    /// C2's work in the pipeline, from C1's field; gives the value it saw.
    #[inline]
    pub fn write_second_from_first(&self) -> u64 {
        let first = self.first.load(Relaxed);
        self.second.store(first.wrapping_add(1), Relaxed);
        first.wrapping_sub(1)
    }

    /// C2's work in the diamond, beside C1; gives the value it saw.
    #[inline]
    pub fn write_second(&self) -> u64 {
        self.second.store(self.input.wrapping_add(2), Relaxed);
        self.input
    }

    /// What C3 sees: the value, and whether the fields fit together.
    #[inline]
    #[must_use]
    pub fn read_all(&self) -> (u64, bool) {
        fit(self.input, self.first.load(Relaxed), self.second.load(Relaxed))
    }
}

#[inline]
fn fit(input: u64, first: u64, second: u64) -> (u64, bool) {
    let intact = (first == input.wrapping_add(1)) & (second == input.wrapping_add(2));
    (input, intact)
}
