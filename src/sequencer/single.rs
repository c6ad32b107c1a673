//! One producer: it alone knows the next sequence, so there is nothing to claim, and publishing
//! is one plain store.
//!
//! What closing needs is in `lifecycle.rs`.

use crate::cursor::Cursor;

#[derive(Debug)]
pub(crate) struct SingleSequencer {
    /// The end of what consumers may read.
    published: Cursor,
}

impl SingleSequencer {
    pub(super) fn new(first: u64) -> Self {
        Self { published: Cursor::new(first) }
    }

    #[inline]
    pub(crate) fn publish(&self, end: u64) {
        self.published.hand_on(end);
    }

    #[inline]
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn published(&self) -> u64 {
        self.published.passed()
    }

    /// The same for a figure; orders nothing.
    pub(crate) fn glance(&self) -> u64 {
        self.published.glance()
    }
}
