//! The third guard: a file beside the database with the number of the last commit that was made durable.
//!
//! redb has two headers and takes the older one when the newer is damaged, without a word; the store would then be as
//! it was some commits ago. With this file that is seen: a database whose commit has a lower number than stands here is
//! an older one.
//!
//! It is written after redb's sync has returned and before anybody is told that the commit is durable:
//!
//! ```text
//! ends after                   found when opened              which is
//! redb's write                 N here, N or N + 1 there       N + 1 was not confirmed; it may be there
//! redb's sync                  N here, N + 1 there            N + 1 was not confirmed; it is there
//! a part of this write         N here (other slot), N + 1     the same
//! this write and its sync      N + 1 here, N + 1 there        N + 1 may have been confirmed, and is there
//! ```
//!
//! So it is never ahead of the database, unless that is an older one. Two slots are written by turns, each with a sum,
//! and far enough from each other that no sector has a part of both: a torn slot leaves the other.

use std::sync::Arc;

use redb::StorageBackend;
use slipring_events::Source;

use super::tables::{Numbers, Place, SUM};
use crate::StoreError;

/// How far a slot is from the other.
const APART: u64 = 4096;
const MAGIC: u64 = u64::from_le_bytes(*b"slipHW-1");
const SIZE: usize = SUM + 4 * size_of::<u64>();

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub source: Source,
    pub commit: u64,
    pub end: u64,
}

#[derive(Debug)]
pub(super) struct HighWater {
    file: Arc<dyn StorageBackend>,
    /// The slot that is written next.
    next: u64,
}

/// What was found in the file.
#[derive(Debug)]
pub(super) enum Found {
    /// It is empty: the store has never been opened to the end.
    Nothing,
    /// Something that is no mark, in both slots.
    Damage,
    /// The highest mark. The other slot may be damaged; it is written next.
    Mark(Mark),
}

impl HighWater {
    /// Reads the file.
    pub(super) fn open(file: Arc<dyn StorageBackend>) -> Result<(Self, Found), StoreError> {
        let io = |error| StoreError::Io { doing: "read the high-water file", error };
        let length = file.len().map_err(io)?;
        let mut slots = [None; 2];
        let mut blank = 0;
        for (number, found) in (0..).zip(&mut slots) {
            let mut bytes = [0; SIZE];
            let begin = number * APART;
            let there = length.saturating_sub(begin).min(SIZE as u64) as usize;
            if there > 0 {
                file.read(begin, &mut bytes[..there]).map_err(io)?;
            }
            blank += u32::from(bytes == [0; SIZE]);
            *found = Mark::read(number, &bytes);
        }
        let best = match slots {
            [Some(zero), Some(one)] => u64::from(one.commit > zero.commit),
            [Some(_), None] => 0,
            [None, Some(_)] => 1,
            [None, None] => {
                let found = if blank == 2 { Found::Nothing } else { Found::Damage };
                return Ok((Self { file, next: 0 }, found));
            }
        };
        let mark = slots[best as usize].expect("it was there");
        Ok((Self { file, next: 1 - best }, Found::Mark(mark)))
    }

    /// Raises the mark: the database with it is durable.
    pub(super) fn raise(&mut self, mark: Mark) -> Result<(), StoreError> {
        let io = |error| StoreError::Io { doing: "write the high-water file", error };
        let begin = self.next * APART;
        if self.file.len().map_err(io)? < begin + SIZE as u64 {
            self.file.set_len(begin + SIZE as u64).map_err(io)?;
        }
        self.file.write(begin, &mark.write(self.next)).map_err(io)?;
        self.file.sync_data().map_err(io)?;
        self.next = 1 - self.next;
        Ok(())
    }
}

impl Mark {
    fn write(self, slot: u64) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let numbers = [MAGIC, self.source.bits(), self.commit, self.end];
        for (place, number) in bytes[SUM..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        Place::HighWater(slot).close(&mut bytes);
        bytes
    }

    fn read(slot: u64, bytes: &[u8; SIZE]) -> Option<Self> {
        let mut numbers = Numbers(Place::HighWater(slot).open(bytes).ok()?);
        let mut next = || numbers.u64();
        if next()? != MAGIC {
            return None;
        }
        Some(Self { source: Source::from_bits(next()?), commit: next()?, end: next()? })
    }
}
