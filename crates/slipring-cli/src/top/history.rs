//! The last figures of a kind, for a line that shows how they went.

use std::collections::VecDeque;

/// More than a terminal has columns.
const LENGTH_MAX: usize = 512;

#[derive(Clone, Debug, Default)]
pub struct History(VecDeque<u64>);

impl History {
    pub fn push(&mut self, figure: u64) {
        if self.0.len() == LENGTH_MAX {
            self.0.pop_front();
        }
        self.0.push_back(figure);
    }

    /// The last so many, the oldest first.
    pub fn last(&self, length: usize) -> Vec<u64> {
        self.0.iter().skip(self.0.len().saturating_sub(length)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_much_is_kept() {
        let mut history = History::default();
        for figure in 0..1_000 {
            history.push(figure);
        }
        assert_eq!(history.last(2), [998, 999]);
        assert_eq!(history.last(10_000).len(), LENGTH_MAX);
    }
}
