//! One cell, measured in rounds: every peer once a round, the first one rotating.

use std::fmt;
use std::time::Duration;

use crate::calibrate;
use crate::cell::Cell;
use crate::outcome::{Fault, Outcome};
use crate::peer::Peer;

/// A peer and its outcomes, one per round.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who.
    pub peer: Peer,
    /// What, round by round.
    pub outcomes: Vec<Outcome>,
    events: u64,
}

/// A peer that failed a check.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Who.
    pub peer: Peer,
    /// Where.
    pub cell: Cell,
    /// Why.
    pub fault: Fault,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} failed {}: {}", self.peer, self.cell, self.fault)
    }
}

impl std::error::Error for Failure {}

impl Entry {
    /// Events per second, round by round.
    #[must_use]
    pub fn rates(&self) -> Vec<f64> {
        self.outcomes.iter().map(Outcome::rate).collect()
    }
}

/// Measures `cell` for all `peers` in `rounds` rounds of runs of about `target`.
///
/// # Errors
///
/// The first [`Failure`]; figures of a peer that loses events are worth nothing.
pub fn hold(
    cell: &Cell,
    peers: &[Peer],
    rounds: usize,
    target: Duration,
) -> Result<Vec<Entry>, Failure> {
    let failure = |peer| move |fault| Failure { peer, cell: *cell, fault };
    let mut entries = Vec::with_capacity(peers.len());
    for &peer in peers {
        let events = calibrate::events_for(peer, cell, target).map_err(failure(peer))?;
        entries.push(Entry { peer, outcomes: Vec::with_capacity(rounds), events });
    }
    for round in 0..rounds {
        for turn in 0..entries.len() {
            let index = (round + turn) % entries.len();
            let entry = &mut entries[index];
            let outcome = entry.peer.run(cell, entry.events).map_err(failure(entry.peer))?;
            entry.outcomes.push(outcome);
        }
    }
    Ok(entries)
}
