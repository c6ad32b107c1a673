//! What was seen in a round: plain data, from which `verdict` judges.

use std::ops::Range;

use slipring::{Detach, Fault, FaultKind, Phase, PublishError, Report, Snapshot, StationReport};

use crate::{
    event::{Count, Stamp},
    plan::{Hook, Plan},
};

/// What handlers and write closures say when they fail as planned.
pub const ON_PURPOSE: &str = "on purpose";

/// Panics as planned: past the panic hook, so that only surprises are printed.
pub fn panic_on_purpose() -> ! {
    std::panic::resume_unwind(Box::new(ON_PURPOSE))
}

/// Everything that was seen in a round.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// By producer.
    pub ledgers: Vec<Ledger>,
    /// By station, and behind them the guests, by visit.
    pub testimonies: Vec<Testimony>,
    /// What each station was asked for keys of, in its order.
    pub asked: Vec<Vec<Asked>>,
    pub visits: Vec<Visit>,
    /// What the reset hook was given, in its order.
    pub cleared: Vec<Cleared>,
    pub reset_panicked: bool,
    /// How often somebody called `close` and `halt`.
    pub closes: u32,
    pub halts: u32,
    pub ending: Ending,
    /// How the scope was left, if the ring was in one.
    pub scope: Option<ScopeLeft>,
    /// What was seen of the ring when all was over, if somebody looked.
    pub last_look: Option<Look>,
    /// How often somebody looked before.
    pub looks: u64,
    pub count: Count,
    /// Found wrong on the spot.
    pub complaints: Vec<String>,
}

/// What a scope has left behind when it is over.
#[derive(Clone, Debug, Default)]
pub struct ScopeLeft {
    /// Of everybody: whether the code has been dropped.
    pub heard: Vec<bool>,
    /// How many handlers still borrow from the stack.
    pub borrowers: usize,
}

/// What one producer did.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub calls: Vec<Call>,
    /// The fault it was refused with.
    pub fault: Option<FaultSeen>,
    pub complaints: Vec<String>,
}

/// One publish call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number of the first event; the others follow.
    pub number: u32,
    pub count: usize,
    pub manner: Manner,
    /// Whether somebody had closed or halted the ring before the call began.
    pub was_closed: bool,
    /// How many guests had come before the call began.
    pub arrivals: u64,
    /// Events that the write closure was called for; all of a slice.
    pub written: usize,
    /// The clock at the first and the last event written.
    pub ticks: Option<(u64, u64)>,
    pub answer: Answer,
}

/// How long a call was to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Waiting,
    Trying,
    Timed,
    /// As a task, for as long as somebody polls.
    Awaiting,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted(Range<u64>),
    Refused(Refusal),
    /// The write closure panicked.
    Panicked,
    /// The future was dropped while it was pending.
    GivenUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Full,
    TooLarge,
    /// Closed or halted.
    Ended,
    TimedOut,
    /// Nothing that a round can lead to.
    Other,
}

impl From<&PublishError> for Refusal {
    fn from(error: &PublishError) -> Self {
        match error {
            PublishError::Full => Self::Full,
            PublishError::TooLarge { .. } => Self::TooLarge,
            PublishError::Closed | PublishError::Halted(_) => Self::Ended,
            PublishError::TimedOut => Self::TimedOut,
            _ => Self::Other,
        }
    }
}

/// What one station saw and did.
#[derive(Clone, Debug, Default)]
pub struct Testimony {
    pub log: Vec<Entry>,
    pub end: End,
    /// Where a poller stood at its end.
    pub position: Option<u64>,
    /// The clock just before a poller was dropped.
    pub dropped: Option<u64>,
    /// What a poller has passed unhandled, in its order.
    pub skips: Vec<Skip>,
    /// The hook that panicked, as planned.
    pub hook_panicked: Option<Hook>,
    /// The fault that ended a poller.
    pub fault: Option<FaultSeen>,
    /// What a task has awaited.
    pub awaited: Awaited,
    pub complaints: Vec<String>,
}

/// What a task that polls has awaited; a figure for people.
#[derive(Clone, Copy, Debug, Default)]
pub struct Awaited {
    pub waits: u64,
    /// Waits that were given up while they were pending.
    pub given_up: u64,
    pub streams: u64,
    pub items: u64,
}

/// A poller has skipped ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// What lies between where it stood before and afterwards.
    pub range: Range<u64>,
    /// How many events that were, as it was told.
    pub events: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// A station on its own thread: when the ring ended.
    #[default]
    Thread,
    /// A poller that was told that the ring is closed.
    Closed,
    /// A poller that was told of a fault.
    Faulted,
    /// A poller that was dropped while the ring was alive, or never taken.
    Left,
}

impl Testimony {
    /// That of a station, made of its workers'.
    pub fn of_team(workers: Vec<Self>) -> Self {
        let mut all = Self::default();
        for worker in workers {
            let Self { log, end, position, dropped, skips, hook_panicked, fault, awaited, .. } =
                worker;
            all.log.extend(log);
            all.complaints.extend(worker.complaints);
            all = Self { end, position, dropped, skips, hook_panicked, fault, awaited, ..all };
        }
        all
    }
}

/// An event in a handler's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose, of those who share the station. The entries of each stand together.
    pub worker: usize,
    pub sequence: u64,
    /// The first sequence of the call: the event's own, or that of its slice.
    pub unit: u64,
    pub stamp: Stamp,
    pub is_whole: bool,
    /// The trace that the station left, its own if it changes events.
    pub left: u64,
    pub outcome: Outcome,
    pub tick: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed,
    /// Given back by a batch that was dropped by a panic: it is read again.
    GivenBack,
}

/// An event whose key was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub stamp: Stamp,
    pub is_whole: bool,
    pub tick: Option<u64>,
}

/// What became of a visit; nothing, if it did not come to it.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    pub arrival: Option<Arrival>,
    /// None if nobody has asked the guest to go.
    pub departure: Option<Departure>,
    pub complaints: Vec<String>,
}

/// A guest is attached, or is not.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Whether somebody had closed or halted the ring before.
    pub was_closed: bool,
    /// Whether somebody might have closed it when the answer was there.
    pub may_be_closed: bool,
    /// The end of the events whose publish calls had returned before.
    pub published: u64,
    /// The clock before and after.
    pub ticks: Option<(u64, u64)>,
    /// What a call that begins afterwards finds in [`Call::arrivals`], or more.
    pub arrivals: u64,
    /// What the finale had come to when the answer was there.
    pub act: Act,
    pub answer: Reception,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// Its first sequence.
    Welcome(u64),
    Closed,
    /// It would not be ordered against a station that changes events.
    Unordered,
    /// Its state or its start hook has panicked.
    NotStarted,
    /// Nothing that a round can lead to.
    Other(String),
}

/// A guest goes.
#[derive(Clone, Debug)]
pub struct Departure {
    /// How it was told to; `None` if it was a poller that was dropped.
    pub how: Option<Detach>,
    /// The end of the events whose publish calls had returned before it was told.
    pub published: u64,
    /// The clock before it was told.
    pub tick: Option<u64>,
    /// What the finale had come to before it was told, and when it had gone.
    pub acts: (Act, Act),
    /// Whether all producers had ended when it was told for the last time.
    pub without_producers: bool,
    pub report: Option<GuestAccount>,
}

/// How far the end of the dispatcher has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    #[default]
    Before,
    During,
    After,
}

/// A slot in the reset hook's hands.
#[derive(Clone, Copy, Debug)]
pub struct Cleared {
    pub stamp: Stamp,
    pub tick: Option<u64>,
}

/// How the dispatcher ended.
#[derive(Clone, Debug)]
pub struct Ending {
    pub cause: Cause,
    /// None if the dispatcher was just dropped.
    pub account: Option<Account>,
    /// Whether all producers had been dropped when the account was drawn up.
    pub without_producers: bool,
    /// The pollers that had been dropped, by station.
    pub without_pollers: Vec<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    Drained,
    Fault(FaultSeen),
    /// The time was up; these were still at it.
    TimedOut(Vec<String>),
    /// Dropped, and nobody was told. Whether it took so long that the ring may have been halted.
    Dropped {
        may_be_halted: bool,
    },
}

/// A report in a form that tests can make up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub published: u64,
    pub abandoned: u64,
    /// By station.
    pub stations: Vec<StationAccount>,
    /// Those who came later and were still there.
    pub guests: Vec<GuestAccount>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestAccount {
    pub name: String,
    pub first: u64,
    pub account: StationAccount,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StationAccount {
    pub due: u64,
    pub handled: u64,
    pub skipped: u64,
    pub retried: u64,
    pub conflated: u64,
    pub left: u64,
}

impl Account {
    /// The report, if its first stations are those of the plan, in its order.
    pub fn of(report: &Report, plan: &Plan) -> Result<Self, String> {
        let count = plan.stations.len();
        let names = plan.stations.iter().map(|plan| &plan.name);
        let told = report.stations.iter().take(count);
        let is_of_ring = |(station, name): (&StationReport, &String)| {
            station.name == *name && station.first == plan.first
        };
        if report.stations.len() < count || !told.clone().zip(names).all(is_of_ring) {
            return Err(format!("the report lists other stations: {report}"));
        }
        let stations = told.map(StationAccount::of).collect();
        let guests = report.stations[count..].iter().map(GuestAccount::of).collect();
        Ok(Self { published: report.published, abandoned: report.abandoned, stations, guests })
    }
}

impl StationAccount {
    fn of(report: &StationReport) -> Self {
        let StationReport { due, handled, skipped, retried, conflated, left, .. } = *report;
        Self { due, handled, skipped, retried, conflated, left }
    }

    pub fn adds_up(&self) -> bool {
        self.due == self.handled + self.skipped + self.conflated + self.left
    }
}

impl GuestAccount {
    pub fn of(report: &StationReport) -> Self {
        let (name, first) = (report.name.clone(), report.first);
        Self { name, first, account: StationAccount::of(report) }
    }
}

/// A look at a ring that nobody uses any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub phase: Phase,
    /// Producers' handles, and producers that wait.
    pub producers: (usize, u64),
    pub published: u64,
    pub abandoned: u64,
    /// Those that the ring was built with, in the order of declaration.
    pub stations: Vec<Sighting>,
    /// Those who came later and have not been seen off.
    pub guests: Vec<Sighting>,
}

/// A station as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub name: String,
    pub first: u64,
    pub position: u64,
    /// How often it was found to lag by more than it may.
    pub late: u64,
    pub account: StationAccount,
}

impl Look {
    pub fn of(snapshot: &Snapshot) -> Self {
        let sightings = |is_guest| {
            let those =
                snapshot.stations.iter().filter(move |station| station.is_guest == is_guest);
            let sighting = |station: &slipring::StationSnapshot| Sighting {
                name: station.account.name.clone(),
                first: station.account.first,
                position: station.position,
                late: station.late,
                account: StationAccount::of(&station.account),
            };
            those.map(sighting).collect()
        };
        Self {
            phase: snapshot.phase,
            producers: (snapshot.producers.handles, snapshot.producers.stalled),
            published: snapshot.published,
            abandoned: snapshot.abandoned,
            stations: sightings(false),
            guests: sightings(true),
        }
    }
}

/// A fault as somebody was told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSeen {
    pub station: String,
    pub sequence: u64,
    pub is_panic: bool,
    pub message: String,
}

impl From<&Fault> for FaultSeen {
    fn from(fault: &Fault) -> Self {
        Self {
            station: fault.station().to_owned(),
            sequence: fault.sequence(),
            is_panic: fault.kind() == FaultKind::Panic,
            message: fault.message().to_owned(),
        }
    }
}
