//! Keeping up: what a station does that has fallen too far behind.
//!
//! The station looks for itself, between two batches: nobody else may move its cursor. It holds the others
//! back until then, as every station does, and passes on only what those have passed whom it follows.

use crate::{consumer::Seat, error::BuildError, sequence::Capacity, station::Crew};

/// What a station does when it finds that it lags by more than its
/// [limit](crate::Station::lag_limit). Each time is counted as
/// [`late`](crate::StationSnapshot::late).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LagPolicy {
    /// It just counts: for alerts that somebody else raises.
    Alert,
    /// It leaves the ring, between two batches: it holds nobody back any more, and whoever follows it
    /// follows what it followed. Its thread ends.
    Detach,
    /// It passes the oldest events unhandled until it lags by no more than the limit. They are
    /// [counted](crate::StationReport::conflated), and whoever follows it sees them. With a limit of 1 a
    /// station that is slow handles only the newest event each time.
    SkipAhead,
}

/// How far a station may lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LagLimit {
    pub(crate) events: u64,
    pub(crate) policy: LagPolicy,
}

impl LagLimit {
    /// Who can look between two batches: one thread that has the station to itself.
    pub(crate) fn check<E>(
        self,
        station: &str,
        crew: &Crew<'_, E>,
        capacity: Capacity,
    ) -> Result<Self, BuildError> {
        let reason = match crew {
            _ if self.events == 0 => "a limit of 0 is always exceeded: use at least 1",
            _ if self.events >= capacity.lap_len() => {
                "nobody lags by more than the ring's capacity: use less than that"
            }
            Crew::Poller => "it is polled: its owner knows `lag`, and can `skip_ahead` or drop it",
            Crew::Team { .. } => "it is shared: give it more workers, or limit a station beside it",
            Crew::Thread(_) => return Ok(self),
        };
        Err(BuildError::LagLimit { station: station.to_owned(), reason })
    }
}

impl<E> Seat<E> {
    /// Sees to the limit before the next batch; whether the station stays on the ring.
    #[cold]
    pub(crate) fn keep_up(&mut self, limit: LagLimit) -> bool {
        let LagLimit { events, policy } = limit;
        if self.lag(events.saturating_add(1)) <= events {
            return true;
        }
        self.post().figures.late.add(1);
        match policy {
            LagPolicy::Alert => true,
            LagPolicy::Detach => false,
            LagPolicy::SkipAhead => {
                self.skip_ahead(events);
                true
            }
        }
    }

    /// How many sequences it could handle now, looked for no further than `most`.
    pub(crate) fn lag(&self, most: u64) -> u64 {
        let most = most.min(self.ring.circuit.capacity.lap_len());
        self.available_from(self.cursor, most).map_or(0, |to| to - self.cursor)
    }

    /// Passes what it could handle now, but for the newest `keep` sequences; returns how many events that
    /// were.
    pub(crate) fn skip_ahead(&mut self, keep: u64) -> u64 {
        let (from, lag) = (self.cursor, self.lag(u64::MAX));
        let to = from + lag.saturating_sub(keep);
        if to == from {
            return 0;
        }
        let abandoned = self.ring.circuit.skips.listed_in(from..to);
        let events = to - from - abandoned;
        let figures = &self.post().figures;
        // Before the cursor passes them, as all that is not handled.
        figures.newly_passed_over.add(abandoned);
        figures.conflate(events, to);
        self.stand_at(to);
        self.ring.clear_passed();
        events
    }
}
