//! The hash of a key: which worker it belongs to, and nothing else.
//!
//! Every event is asked for its key by one thread of the team, so this is on everybody's way. The
//! standard library's hasher withstands keys that are chosen to collide, but only with a secret, and
//! whose an event is must not depend on one: the same key has the same worker in every run.

use std::hash::Hasher;

/// Two odd numbers whose bits have no order: digits of the golden ratio and of pi.
const START: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD: u64 = 0xa409_3822_299f_31d1;

/// Folds what it is given into one number, eight bytes at a time.
#[derive(Debug)]
pub(crate) struct KeyHasher(u64);

impl Default for KeyHasher {
    fn default() -> Self {
        Self(START)
    }
}

impl KeyHasher {
    /// Both halves of the product: each bit of the word has a say in all bits of the upper one.
    #[inline]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(SPREAD);
        self.0 = (product as u64) ^ (product >> u64::BITS) as u64;
    }
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.fold(u64::from_le_bytes(word));
        }
        // So that zeros at the end count.
        self.fold(bytes.len() as u64);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.fold(u64::from(number));
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.fold(u64::from(number));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.fold(u64::from(number));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.fold(number as u64);
    }

    /// Once more, because the last word has not met all bits of what came before it.
    #[inline]
    fn finish(&self) -> u64 {
        let mut last = Self(self.0);
        last.fold(START);
        last.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hash;

    fn hash(key: impl Hash) -> u64 {
        let mut hasher = KeyHasher::default();
        key.hash(&mut hasher);
        hasher.finish()
    }

    /// Whatever the keys are, no worker has half as many again as its part, and none has half of it.
    fn is_even(keys: impl Iterator<Item = u64>) {
        let hashes: Vec<_> = keys.collect();
        for workers in [2, 3, 4, 7, 16] {
            let mut parts = vec![0; workers];
            for hash in &hashes {
                parts[((u128::from(*hash) * workers as u128) >> 64) as usize] += 1;
            }
            let fair = hashes.len() / workers;
            assert!(parts.iter().all(|part| (fair / 2..=fair * 3 / 2).contains(part)), "{parts:?}");
        }
    }

    #[test]
    fn keys_are_spread_evenly() {
        is_even((0..6_400_u64).map(hash));
        is_even((0..6_400_u32).map(hash));
        is_even((0..6_400_u64).map(|key| hash(key << 32)));
        is_even((0..6_400_u64).map(|key| hash(key.reverse_bits())));
        is_even((0..6_400_i64).map(|key| hash(-key)));
        is_even((0..6_400_u32).map(|key| hash((key % 80, key / 80))));
        is_even((0..6_400).map(|key| hash(format!("account-{key}"))));
        is_even((0..64_u64).flat_map(|a| (0..100_u8).map(move |b| hash([a << 40, u64::from(b)]))));
    }

    #[test]
    fn no_two_keys_that_differ_a_little_are_the_same() {
        let texts = ["", "a", "b", "ab", "ba", "a\0", "aaaaaaaa", "aaaaaaaa\0", "aaaaaaaaa"];
        let mut hashes: Vec<_> = texts.map(hash).into();
        hashes.extend([hash((1_u8, 2_u8)), hash((2_u8, 1_u8)), hash(0_u64), hash((0_u64, 0_u64))]);
        hashes.extend((0..64).map(|bit| hash(1_u64 << bit)));
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }
}
