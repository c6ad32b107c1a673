//! What a journal promises, and what it does when it cannot keep it.

use std::time::Duration;

/// When what a journal has committed is made durable, and so what those behind it can count on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// With each batch of the ring, before those behind the journal see it: they see durable events only.
    #[default]
    EachBatch,
    /// Later, but within about so long, also when no further event comes. Those behind the journal see events that are
    /// committed; the last ones are lost if the machine fails before the sync.
    Within(Duration),
    /// When so many bytes have been committed since the last time, or when no event has come for a tenth of a second.
    EveryBytes(u64),
    /// When somebody else syncs the store, or never.
    Never,
}

/// What a journal does when the store cannot take a batch. It never lets an event pass that is not stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFailing {
    /// The station fails, and with it the ring: producers are refused with the
    /// [fault](slipring::PublishError::Halted), and so it is told at the end.
    #[default]
    Halt,
    /// It tries again, a little later each time, up to a quarter of a second. Meanwhile the ring fills and the producers
    /// wait; the station [tells](slipring::StationSnapshot::told) that it is `failing`. It goes on where it was when
    /// the store works again, and ends when the ring is shut down. What no further attempt can mend, such as a store
    /// that has [stopped](crate::StoreError::Stopped), or a batch that is [more](crate::StoreError::Refused) than it
    /// takes, halts the ring all the same.
    Hold,
}

/// What a journal does with an event that no store takes: it has no form in bytes, say, or is too large, or whoever
/// writes it panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenRefused {
    /// The ring halts: nothing passes that is not stored.
    #[default]
    Halt,
    /// It is counted as `refused` and not stored. Those behind the journal see it all the same; it has
    /// [no position](crate::Journal::position_of).
    Pass,
}

/// For [`SyncPolicy::EveryBytes`]: how long no event may come before what is there is synced.
const QUIET: Duration = Duration::from_millis(100);

impl SyncPolicy {
    /// How often a station looks whether it is time, while no events come.
    pub(crate) fn idle_after(self) -> Option<Duration> {
        match self {
            Self::EachBatch | Self::Never => None,
            // Looked at every quarter and synced at half, it is in time.
            Self::Within(time) => Some((time / 4).max(Duration::from_micros(100))),
            Self::EveryBytes(_) => Some(QUIET / 2),
        }
    }

    /// Whether so many bytes, the oldest so old, are to be synced now; the newest is so old.
    pub(crate) fn is_due(self, bytes: u64, oldest: Duration, newest: Duration) -> bool {
        match self {
            Self::EachBatch | Self::Never => false,
            Self::Within(time) => oldest >= time / 2,
            Self::EveryBytes(most) => bytes >= most || newest >= QUIET / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn what_is_looked_at_as_often_as_it_says_is_synced_in_time() {
        let time = MS(40);
        let policy = SyncPolicy::Within(time);
        let every = policy.idle_after().unwrap();
        // Found too young, it is looked at once more, and then it is not too old yet.
        assert!(!policy.is_due(1, (time / 2).saturating_sub(MS(1)), MS(0)));
        assert!(policy.is_due(0, time / 2, MS(0)) && time / 2 + every < time);
    }

    #[test]
    fn bytes_are_synced_when_they_are_many_or_alone() {
        let policy = SyncPolicy::EveryBytes(100);
        assert!(!policy.is_due(99, MS(1_000), MS(0)));
        assert!(policy.is_due(100, MS(0), MS(0)));
        assert!(policy.is_due(1, MS(1_000), QUIET));
    }

    #[test]
    fn what_is_not_ours_to_sync_never_is() {
        for policy in [SyncPolicy::EachBatch, SyncPolicy::Never] {
            assert!(!policy.is_due(u64::MAX, Duration::MAX, Duration::MAX));
            assert_eq!(policy.idle_after(), None);
        }
    }
}
