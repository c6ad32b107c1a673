//! What a journal keeps in the store about itself: how far it is.

use crate::StoreError;

/// The [space](crate::EventStore::value) in which journals keep how far they are, by their names.
///
/// The value goes with each batch, and is expected to be the one before: so two of one name never both write, and one
/// that does not know whether its last batch was taken can find out, and where it went.
pub const JOURNALS: &str = "journals";

/// How many sequences are left out after an end that was not clean: more than can have been published without being
/// stored durably, so that no id is given twice.
const GAP: u64 = 1 << 36;
/// The largest first sequence of a ring.
const LARGEST_FIRST: u64 = 1 << 62;

/// How far a journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// How often it was opened.
    pub run: u64,
    /// How many batches it has committed in this run: no two marks are the same.
    pub commits: u64,
    /// The sequence behind the last one that it has dealt with.
    pub next: u64,
    /// Whether it has ended, with all of it durable.
    pub is_ended: bool,
}

/// A mark as it is in the store: with where the batch went that it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub mark: Mark,
    /// The position of the first event of the batch.
    pub first: u64,
}

impl Placed {
    const BYTES: usize = Mark::BYTES + 8;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..Mark::BYTES].copy_from_slice(&self.mark.to_bytes());
        bytes[Mark::BYTES..].copy_from_slice(&self.first.to_be_bytes());
        bytes
    }

    pub(crate) fn read(name: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged =
            |problem: &str| StoreError::damaged(format_args!("journal `{name}`"), problem);
        let bytes: &[u8; Self::BYTES] =
            bytes.try_into().map_err(|_| damaged("its mark does not have 33 bytes"))?;
        let number = |at: usize| {
            bytes[at..at + 8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let is_ended = bytes[24] == 1;
        if bytes[24] > 1 {
            return Err(damaged("its mark says neither that it has ended nor that it has not"));
        }
        let mark = Mark { run: number(0), commits: number(8), next: number(16), is_ended };
        Ok(Self { mark, first: number(25) })
    }
}

impl Mark {
    const BYTES: usize = 25;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.run.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.commits.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.next.to_be_bytes());
        bytes[24] = u8::from(self.is_ended);
        bytes
    }

    /// The one with which it is opened after that one.
    pub(crate) fn opened_after(before: Option<Self>) -> Option<Self> {
        let Some(Self { run, next, is_ended, commits: _ }) = before else {
            return Some(Self { run: 1, commits: 0, next: 0, is_ended: false });
        };
        let next = if is_ended { next } else { next.checked_add(GAP)? };
        let run = run.checked_add(1)?;
        (next <= LARGEST_FIRST).then_some(Self { run, commits: 0, next, is_ended: false })
    }

    /// The one that goes with the next batch, which ends before that sequence.
    pub(crate) fn behind(self, next: u64) -> Self {
        Self { commits: self.commits + 1, next: self.next.max(next), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_goes_on_where_it_ended_and_leaves_a_gap_where_it_did_not() {
        let first = Mark::opened_after(None).unwrap();
        assert_eq!(first, Mark { run: 1, commits: 0, next: 0, is_ended: false });
        let ended = Mark { next: 7, is_ended: true, ..first };
        let second = Mark::opened_after(Some(ended)).unwrap();
        assert_eq!(second, Mark { run: 2, commits: 0, next: 7, is_ended: false });
        assert_eq!(Mark::opened_after(Some(second)).unwrap().next, 7 + GAP);
        let last = Mark { next: LARGEST_FIRST, ..first };
        assert_eq!(Mark::opened_after(Some(last)), None);
    }

    proptest! {
        #[test]
        fn a_mark_is_read_as_it_was_written(
            run: u64, commits: u64, next: u64, is_ended: bool, first: u64,
        ) {
            let placed = Placed { mark: Mark { run, commits, next, is_ended }, first };
            prop_assert_eq!(Placed::read("j", &placed.to_bytes()).unwrap(), placed);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(placed) = Placed::read("j", &bytes) {
                prop_assert_eq!(&placed.to_bytes()[..], &bytes[..]);
            }
        }
    }
}
