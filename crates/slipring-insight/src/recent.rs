//! What a stopwatch has taken of late: the quantiles of a whole life hardly move when it has become long.

use std::{mem, time::Duration};

use histogram::Histogram;

/// So far back, at least, and twice that at most for whoever looks more often.
const SPAN: Duration = Duration::from_secs(10);

/// What had been taken at two moments, the newer of them no longer ago than [`SPAN`] when it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    older: Mark,
    newer: Mark,
}

/// What had been taken in all at some moment.
#[derive(Debug, Default)]
struct Mark {
    at: Duration,
    /// `None`: nothing.
    taken: Option<Histogram>,
}

impl Recent {
    /// Of all that was `taken` until now what is of late; for somebody who looks more rarely, what came since the
    /// look before.
    pub(crate) fn part_of(&mut self, taken: Histogram, now: Duration) -> Histogram {
        if now.saturating_sub(self.newer.at) >= SPAN {
            let newer = Mark { at: now, taken: Some(taken.clone()) };
            self.older = mem::replace(&mut self.newer, newer);
        }
        let before = self.older.taken.as_ref();
        before.and_then(|before| taken.checked_sub(before).ok()).unwrap_or(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_ago_does_not_count() {
        let (mut recent, mut taken) = (Recent::default(), Histogram::new(7, 40).unwrap());
        let mut told = Vec::new();
        // One time is taken before each look.
        for second in [0, 1, 9, 10, 11, 19, 20, 21, 30, 90, 91, 99, 100] {
            taken.increment(5).unwrap();
            let part = recent.part_of(taken.clone(), Duration::from_secs(second));
            told.push((second, part.as_slice().iter().sum::<u64>()));
        }
        let expected = [
            (0, 1),
            (1, 2),
            (9, 3),
            (10, 4),
            (11, 5),
            (19, 6),
            // From here on, those since the look at 10 s.
            (20, 3),
            (21, 4),
            (30, 2),
            // Nobody has looked for long: since then.
            (90, 1),
            (91, 2),
            (99, 3),
            (100, 3),
        ];
        assert_eq!(told, expected);
    }
}
