//! A set of stations, for looks that go from one to those that it follows.

use crate::topology::MOST_STATIONS;

/// The stations that a look-through has met, so that many ways to the same one cost no more than
/// one.
#[derive(Debug, Default)]
pub(crate) struct Seen([u64; MOST_STATIONS / 64]);

impl Seen {
    pub(crate) fn is_first_time(&mut self, index: usize) -> bool {
        let word = &mut self.0[index / 64];
        let bit = 1 << (index % 64);
        let is_first = *word & bit == 0;
        *word |= bit;
        is_first
    }
}
