//! A handler's account: what has become of every event that it came to.

use std::fmt;

/// What has become of every event that a handler came to. It [adds up](Self::adds_up) at every look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The first sequence that it sees.
    pub first: u64,
    /// The next sequence that it comes to.
    pub next: u64,
    /// Sequences that hold no event: those that were abandoned, and those that only have handlers look around.
    pub empty: u64,
    /// Events of topics or types that it does not ask for.
    pub filtered: u64,
    /// Events that it has handled.
    pub handled: u64,
    /// Events that it had handled before.
    pub duplicates: u64,
    /// Events that went to the dead letters.
    pub dead: u64,
    /// Events that were not handled and could not be kept, since their clone panicked.
    pub lost: u64,
    /// Events that came back from there.
    pub requeued: u64,
    /// Events that a [durable](crate::Registration::durable) handler had missed, and has got from where they are stored.
    pub caught_up: u64,
    /// Events that a durable handler has let pass on the ring, since it had others to do first: it gets them from where
    /// they are stored.
    pub deferred: u64,
    /// Events that wait to be tried again, or behind such a one.
    pub waiting: u64,
    /// Events that were passed over, as its lag limit says, or unhandled when it left.
    pub passed_over: u64,
    /// How often it was found to lag by more than it may.
    pub late: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Attempts that were made because an earlier one had failed.
    pub retries: u64,
    /// Follow-ups that it has published.
    pub follow_ups: u64,
    /// Follow-ups that could not be published any more; they are among the dead letters.
    pub unsent: u64,
}

impl Account {
    pub(crate) fn starting_at(first: u64) -> Self {
        Self { first, next: first, ..Self::default() }
    }

    /// Events that it came to and that are not accounted for: one that was in hand.
    pub(crate) fn missing(&self) -> u64 {
        let came = self.came();
        came.saturating_sub(self.settled() + self.waiting + self.passed_over)
    }

    fn came(&self) -> u64 {
        self.next - self.first + self.requeued + self.caught_up
    }

    pub(crate) fn settled(&self) -> u64 {
        let done = self.handled + self.duplicates + self.dead + self.lost;
        self.empty + self.filtered + self.deferred + done
    }

    /// Whether every event is accounted for: each that was seen, or came back, was handled, filtered, known,
    /// passed over, given up, lost or waits.
    pub fn adds_up(&self) -> bool {
        self.came() == self.settled() + self.waiting + self.passed_over
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handled {}", self.handled)?;
        let rest = [
            (self.retries, "retries"),
            (self.waiting, "waiting"),
            (self.dead, "dead"),
            (self.lost, "lost"),
            (self.requeued, "requeued"),
            (self.caught_up, "caught up"),
            (self.deferred, "deferred"),
            (self.duplicates, "duplicates"),
            (self.filtered, "filtered"),
            (self.passed_over, "passed over"),
            (self.late, "late"),
            (self.follow_ups, "follow-ups"),
            (self.unsent, "unsent"),
        ];
        let told = rest.into_iter().filter(|(count, _)| *count > 0);
        told.into_iter().try_for_each(|(count, what)| write!(f, ", {what} {count}"))
    }
}
