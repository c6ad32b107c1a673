//! Keys: which one an event has, whose it is where the producer routes, and who has seen which.

#![allow(clippy::inline_always, reason = "all contestants must get the same code")]

/// How many keys there are.
const KEYS: u32 = u64::BITS;

/// The key that is in most events, where one is.
const HOT: u64 = 0;

/// 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// How 64 keys are spread over the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The part of 2^32 events that has the hot key whatever is drawn.
    hot: u32,
}

impl Keys {
    /// All are equally frequent.
    pub const EVEN: Self = Self { hot: 0 };
    /// Nine of ten events have the same one.
    pub const SKEWED: Self = Self { hot: u32::MAX / 10 * 9 };

    /// The key of the event of this value: drawn by mixing its bits, so that nobody can guess, no
    /// processor either, whose the next event will be. Without a branch, for the same reason.
    #[inline(always)]
    #[must_use]
    pub fn of(self, value: u64) -> u64 {
        let mixed = value.wrapping_mul(SPREAD);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(SPREAD);
        let drawn = mixed >> (u64::BITS - KEYS.ilog2());
        if (mixed as u32) < self.hot { HOT } else { drawn }
    }

    /// The worker to whom a producer sends the event of this value: by the cheapest hash of its key that
    /// is still one, a multiplication.
    #[inline(always)]
    #[must_use]
    pub fn worker(self, value: u64, workers: usize) -> usize {
        let hash = self.of(value).wrapping_mul(SPREAD) >> 32;
        ((hash * workers as u64) >> 32) as usize
    }

    /// How many of the first `events` values go to each worker.
    #[must_use]
    pub fn parts(self, events: u64, workers: usize) -> Vec<u64> {
        let mut parts = vec![0; workers];
        for value in 0..events {
            parts[self.worker(value, workers)] += 1;
        }
        parts
    }
}

/// The keys that a worker has seen, or some workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenKeys {
    /// A bit each.
    all: u64,
    /// Those that more than one of them has seen.
    split: u64,
}

impl SeenKeys {
    /// One more.
    #[inline(always)]
    pub fn note(&mut self, key: u64) {
        self.all |= 1 << (key % u64::from(KEYS));
    }

    /// What these and others have seen together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let split = self.split | other.split | (self.all & other.all);
        Self { all: self.all | other.all, split }
    }

    /// How many of them more than one worker has seen.
    #[must_use]
    pub fn split(self) -> u32 {
        self.split.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: u64 = 64_000;

    fn frequencies(keys: Keys) -> Vec<u64> {
        let mut found = vec![0; KEYS as usize];
        (0..EVENTS).for_each(|value| found[keys.of(value) as usize] += 1);
        found
    }

    #[test]
    fn keys_are_as_frequent_as_they_say() {
        let even = frequencies(Keys::EVEN);
        assert!(even.iter().all(|count| (800..1_200).contains(count)), "{even:?}");
        let skewed = frequencies(Keys::SKEWED);
        assert!((57_000..59_000).contains(&skewed[HOT as usize]), "{skewed:?}");
        assert!(skewed.iter().all(|&count| count > 50), "{skewed:?}");
    }

    /// Else a processor's guess, or a share in turn, would make some contestant look faster.
    #[test]
    fn the_next_worker_cannot_be_guessed() {
        let worker = |value| Keys::EVEN.worker(value, 2);
        for before in 1..=8 {
            let same = (before..EVENTS).filter(|&value| worker(value) == worker(value - before));
            let part = same.count() as f64 / EVENTS as f64;
            assert!((0.48..0.52).contains(&part), "{before}: {part}");
        }
    }

    #[test]
    fn every_worker_has_its_part() {
        for workers in 1..=8 {
            let parts = Keys::EVEN.parts(EVENTS, workers);
            assert_eq!(parts.iter().sum::<u64>(), EVENTS);
            let fair = EVENTS / workers as u64;
            assert!(parts.iter().all(|part| (fair / 2..=2 * fair).contains(part)), "{parts:?}");
        }
    }

    #[test]
    fn a_key_that_two_have_seen_is_split() {
        let seen = |keys: &[u64]| {
            let mut seen = SeenKeys::default();
            for &key in keys {
                seen.note(key);
            }
            seen
        };
        let apart = seen(&[0, 63, 0]).and(seen(&[1, 2]));
        assert_eq!(apart.split(), 0);
        let mixed = apart.and(seen(&[2, 63, 5]));
        assert_eq!((mixed.split(), mixed.and(seen(&[2])).split()), (2, 2));
    }
}
