//! What a ring has done, told when it ends.

use std::fmt;

use crate::{
    circuit::Circuit,
    cursor::DETACHED,
    error::Fault,
    post::{Figure, Figures, Post},
    sync::Arc,
    team::Team,
};

/// The account of a ring's life.
///
/// For every station `published = handled + skipped + left`: no event is unaccounted for. Made when
/// the threads have ended; what did not end (a poller, a handler that does not return, a handler's
/// own thread) is accounted for as it stands, and a producer that is still writing when the ring is
/// halted counts as one that has published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Events published.
    pub published: u64,
    /// Sequences claimed by one of many producers and abandoned by a panic; not counted above.
    pub abandoned: u64,
    /// One account for each station, in the order of declaration.
    pub stations: Vec<StationReport>,
}

/// The account of one station.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StationReport {
    /// The station's name.
    pub name: String,
    /// The sequence of the first event that was its own: that of the ring, or from where it was attached.
    pub first: u64,
    /// Events that the handler finished.
    pub handled: u64,
    /// Events that the handler failed on and the policy skipped.
    pub skipped: u64,
    /// Further calls that the policy made after failures.
    pub retried: u64,
    /// Events published and not reached: because of a halt, a deadline, or a poller that left.
    pub left: u64,
    /// Batches handled to their end; early releases are not counted, nor is a batch that a fault broke
    /// off.
    pub batches: u64,
}

impl Report {
    /// The account of the station of this name.
    pub fn station(&self, name: &str) -> Option<&StationReport> {
        self.stations.iter().find(|station| station.name == name)
    }

    /// Whether every station has seen every event.
    pub fn is_complete(&self) -> bool {
        self.stations.iter().all(|station| station.left == 0)
    }

    pub(crate) fn of(circuit: &Circuit) -> Self {
        let end = circuit.claimed();
        let abandoned = circuit.skips.count();
        let published = (end - circuit.first).saturating_sub(abandoned);
        let declared =
            circuit.posts.iter().zip(&circuit.names).map(|(post, name)| match &post.team {
                Some(team) => team_report(name, team, circuit.first, published),
                None => station_report(name, post, published),
            });
        let guest = |(index, name): (usize, Arc<str>)| guest_report(circuit, index, &name);
        let guests = circuit.guests.present(circuit.posts.len()).into_iter().map(guest);
        Self { published, abandoned, stations: declared.chain(guests).collect() }
    }
}

/// The account of a guest, as it stands.
pub(crate) fn guest_report(circuit: &Circuit, index: usize, name: &str) -> StationReport {
    let post = circuit.post(index);
    let Figures { abandoned_before, passed_over, .. } = &*post.figures;
    // Before the cursor is acquired: what it has noted when it left is seen then.
    let has_left = post.cursor.glance() == DETACHED;
    let position = post.position();
    let (ahead, end) = if has_left {
        // Nobody keeps the list for it any more; the count goes on.
        (circuit.skips.count().saturating_sub(abandoned_before.get()), circuit.claimed())
    } else {
        let end = circuit.claimed();
        (circuit.skips.listed_in(position..end), end)
    };
    // What was abandoned is behind it, and counted by it, or ahead.
    let abandoned = ahead + passed_over.get();
    let published = end.saturating_sub(post.figures.first.get()).saturating_sub(abandoned);
    station_report(name, post, published)
}

/// The account of a station to which so many events are due.
fn station_report(name: &str, post: &Post, published: u64) -> StationReport {
    let figures = &post.figures;
    let first = figures.first.get();
    // A poller on another thread may be moving. What it did not handle is told before its
    // cursor passes it: so with the cursor seen first, too little counts as handled, but
    // never too much.
    let passed = post.position().saturating_sub(first);
    let skipped = figures.skipped.get();
    let handled = passed
        .saturating_sub(skipped + figures.passed_over.get())
        .min(published.saturating_sub(skipped));
    StationReport {
        name: name.to_owned(),
        first,
        handled,
        skipped,
        retried: figures.retried.get(),
        left: published.saturating_sub(handled + skipped),
        batches: figures.batches.get(),
    }
}

/// The account of a station with workers: each of them counts what it has finished.
fn team_report(name: &str, team: &Team, first: u64, published: u64) -> StationReport {
    let sum = |figure: fn(&Figures) -> &Figure| {
        team.hands.iter().map(|hand| figure(&hand.figures).get()).sum::<u64>()
    };
    let skipped = sum(|figures| &figures.skipped).min(published);
    let handled = sum(|figures| &figures.handled).min(published - skipped);
    StationReport {
        name: name.to_owned(),
        first,
        handled,
        skipped,
        retried: sum(|figures| &figures.retried),
        left: published - handled - skipped,
        batches: sum(|figures| &figures.batches),
    }
}

impl StationReport {
    /// Events a batch, on average; 0 if there was none.
    #[allow(clippy::cast_precision_loss)] // A figure for people.
    pub fn average_batch(&self) -> f64 {
        if self.batches == 0 {
            0.0
        } else {
            (self.handled + self.skipped) as f64 / self.batches as f64
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "published {}, abandoned {}", self.published, self.abandoned)?;
        for station in &self.stations {
            let StationReport { name, handled, skipped, retried, left, .. } = station;
            write!(
                f,
                "; {name}: handled {handled}, skipped {skipped}, retried {retried}, left {left}"
            )?;
        }
        Ok(())
    }
}

/// Why a shutdown did not end with everything handled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShutdownCause {
    /// A station failed and halted the ring.
    Fault(Fault),
    /// The time was up before everything was handled; the ring was halted.
    TimedOut {
        /// Stations whose thread is still in its handler; they end when it returns.
        running: Vec<String>,
    },
    /// The call was made by a handler of the same ring, which would have waited for itself. The
    /// ring is closed, and its threads end when they have drained it.
    OwnThread,
}

/// A shutdown that left something undone, and the account of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownError {
    /// What went wrong.
    pub cause: ShutdownCause,
    /// What was done and what was left.
    pub report: Report,
}

impl ShutdownError {
    /// The fault that halted the ring, if that is the cause.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.cause {
            ShutdownCause::Fault(fault) => Some(fault),
            ShutdownCause::TimedOut { .. } | ShutdownCause::OwnThread => None,
        }
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            ShutdownCause::Fault(fault) => write!(f, "the ring was halted: {fault}"),
            ShutdownCause::TimedOut { running } if running.is_empty() => {
                f.write_str("the time was up before every event was handled")
            }
            ShutdownCause::OwnThread => {
                f.write_str("a handler cannot wait for its own ring: it is closed, not waited for")
            }
            ShutdownCause::TimedOut { running } => {
                write!(f, "the time was up; still in their handlers: {}", running.join(", "))
            }
        }
    }
}

impl std::error::Error for ShutdownError {}
