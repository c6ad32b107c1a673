//! What was seen in a round: plain data, from which `verdict` judges.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use slipring::{Fault, FaultKind, PublishError, Report};

use crate::{
    event::{Census, Count, Stamp},
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
    /// By station.
    pub testimonies: Vec<Testimony>,
    /// What the reset hook was given, in its order.
    pub cleared: Vec<Cleared>,
    pub reset_panicked: bool,
    /// How often somebody called `close` and `halt`.
    pub closes: u32,
    pub halts: u32,
    pub ending: Ending,
    pub count: Count,
    /// Found wrong on the spot.
    pub complaints: Vec<String>,
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
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted(Range<u64>),
    Refused(Refusal),
    /// The write closure panicked.
    Panicked,
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
    /// The hook that panicked, as planned.
    pub hook_panicked: Option<Hook>,
    /// The fault that ended a poller.
    pub fault: Option<FaultSeen>,
    pub complaints: Vec<String>,
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

/// An event in a handler's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StationAccount {
    pub handled: u64,
    pub skipped: u64,
    pub retried: u64,
    pub left: u64,
}

impl Account {
    /// The report, if its stations are those of the plan, in its order.
    pub fn of(report: &Report, plan: &Plan) -> Result<Self, String> {
        let names = plan.stations.iter().map(|plan| &plan.name);
        if !report.stations.iter().map(|station| &station.name).eq(names) {
            return Err(format!("the report lists other stations: {report}"));
        }
        let station = |station: &slipring::StationReport| StationAccount {
            handled: station.handled,
            skipped: station.skipped,
            retried: station.retried,
            left: station.left,
        };
        let stations = report.stations.iter().map(station).collect();
        Ok(Self { published: report.published, abandoned: report.abandoned, stations })
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

/// What the threads of a round share, beside the ring.
#[derive(Debug)]
pub struct Shared {
    clock: Option<AtomicU64>,
    pub census: Arc<Census>,
    /// By station; each is handed in when the station's code is dropped.
    testimonies: Mutex<Vec<Option<Testimony>>>,
    cleared: Mutex<Vec<Cleared>>,
    pub reset_panicked: AtomicBool,
    /// Set when `close` or `halt` has returned.
    pub is_closed: AtomicBool,
    /// Who has not ended.
    roll: Mutex<Vec<String>>,
}

impl Shared {
    pub fn new(plan: &Plan) -> Arc<Self> {
        Arc::new(Self {
            clock: plan.has_clock.then(AtomicU64::default),
            census: Arc::default(),
            testimonies: Mutex::new(vec![None; plan.stations.len()]),
            cleared: Mutex::default(),
            reset_panicked: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            roll: Mutex::default(),
        })
    }

    /// The time, where the round has a clock.
    pub fn tick(&self) -> Option<u64> {
        self.clock.as_ref().map(|clock| clock.fetch_add(1, Ordering::Relaxed))
    }

    pub fn testify(&self, station: usize, testimony: Testimony) {
        locked(&self.testimonies)[station] = Some(testimony);
    }

    /// All testimonies, once they are complete.
    pub fn take_testimonies(&self) -> Option<Vec<Testimony>> {
        let testimonies = locked(&self.testimonies);
        testimonies.iter().cloned().collect()
    }

    pub fn clear(&self, cleared: Cleared) {
        locked(&self.cleared).push(cleared);
    }

    pub fn cleared(&self) -> Vec<Cleared> {
        locked(&self.cleared).clone()
    }

    /// Lists somebody until the answer is dropped.
    pub fn enlist(self: &Arc<Self>, name: impl Into<String>) -> Enlisted {
        let name = name.into();
        locked(&self.roll).push(name.clone());
        Enlisted { name, shared: Arc::clone(self) }
    }

    /// Who has not ended.
    pub fn at_large(&self) -> Vec<String> {
        locked(&self.roll).clone()
    }
}

/// Somebody who has not ended.
#[derive(Debug)]
pub struct Enlisted {
    name: String,
    shared: Arc<Shared>,
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        let mut roll = locked(&self.shared.roll);
        if let Some(index) = roll.iter().position(|name| *name == self.name) {
            roll.swap_remove(index);
        }
    }
}

/// A planned panic may come while a lock is held; what it guards stays as good as it was.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
