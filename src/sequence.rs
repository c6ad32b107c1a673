//! Sequences and the size of the ring: the only arithmetic that everything else relies on.
//!
//! A sequence counts events from 0 and never wraps. Its slot is its low bits; its lap is the rest.

use crate::error::BuildError;

/// One more than the largest sequence that can be claimed: 2^63 - 1.
///
/// The top bit is free for a flag beside a claim, and the last lap below it stays out of use so
/// that `sequence + capacity` never overflows anywhere. At a billion events a second it is
/// reached after 292 years; a claim that would pass it is refused with
/// [`PublishError::Exhausted`](crate::PublishError::Exhausted).
pub(crate) const END_OF_SEQUENCES: u64 = (1 << 63) - 1;

/// The number of slots: a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    slots: usize,
    mask: u64,
    shift: u32,
}

impl Capacity {
    /// The largest ring: 2^31 slots on a 32-bit system, 2^40 on a 64-bit one.
    const LARGEST: usize = 1 << if usize::BITS == 32 { 31 } else { 40 };

    pub(crate) fn new(asked: usize) -> Result<Self, BuildError> {
        if asked == 0 || !asked.is_power_of_two() || asked > Self::LARGEST {
            let next = asked.clamp(1, Self::LARGEST).next_power_of_two();
            return Err(BuildError::Capacity { asked, next });
        }
        Ok(Self { slots: asked, mask: asked as u64 - 1, shift: asked.trailing_zeros() })
    }

    /// How many slots there are.
    #[inline]
    pub(crate) fn slots(self) -> usize {
        self.slots
    }

    /// The same as a distance between sequences.
    #[inline]
    pub(crate) fn lap_len(self) -> u64 {
        self.mask + 1
    }

    /// The slot of a sequence.
    #[inline]
    pub(crate) fn slot(self, sequence: u64) -> usize {
        (sequence & self.mask) as usize
    }

    /// The lap of a sequence, modulo 2^32. A slot's mark is at most one lap old when somebody
    /// looks at it, so the modulus cannot confuse two laps.
    #[inline]
    pub(crate) fn lap(self, sequence: u64) -> u32 {
        (sequence >> self.shift) as u32
    }

    /// The number of sequences from `from` to the end of its lap, or to `to` if that is nearer:
    /// how long a slice of neighbouring slots may be.
    #[inline]
    pub(crate) fn straight(self, from: u64, to: u64) -> usize {
        let to_wrap = self.lap_len() - (from & self.mask);
        to_wrap.min(to - from) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_capacity_is_a_power_of_two_or_an_error_that_names_the_next_one() {
        for (asked, next) in [(0, 1), (3, 4), (1000, 1024), (usize::MAX, Capacity::LARGEST)] {
            match Capacity::new(asked) {
                Err(BuildError::Capacity { asked: a, next: n }) => {
                    assert_eq!((a, n), (asked, next));
                }
                other => panic!("{asked}: {other:?}"),
            }
        }
        for slots in [1, 2, 4, 1 << 20] {
            assert_eq!(Capacity::new(slots).map(Capacity::slots), Ok(slots));
        }
    }

    proptest! {
        #[test]
        fn slot_and_lap_are_the_sequence(bits in 0_u32..20, sequence in 0..END_OF_SEQUENCES) {
            let capacity = Capacity::new(1 << bits).unwrap();
            let lap = sequence / capacity.lap_len();
            prop_assert_eq!(capacity.slot(sequence) as u64, sequence % capacity.lap_len());
            prop_assert_eq!(capacity.lap(sequence), lap as u32);
        }

        #[test]
        fn straight_pieces_make_up_a_range(bits in 0_u32..8, from in 0_u64..1000, len in 0_u64..256) {
            let capacity = Capacity::new(1 << bits).unwrap();
            let to = from + len.min(capacity.lap_len());
            let (mut at, mut pieces) = (from, 0);
            while at < to {
                let piece = capacity.straight(at, to);
                prop_assert!(piece > 0);
                prop_assert!(capacity.slot(at) + piece <= capacity.slots());
                at += piece as u64;
                pieces += 1;
            }
            prop_assert_eq!(at, to);
            prop_assert!(pieces <= 2);
        }
    }
}
