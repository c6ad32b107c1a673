//! What is known of an inbox from outside.

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use slipring::Figure;
use tokio::sync::watch;

use super::{IntakeError, Missing};
use crate::outbox::{PATIENCE_OF_DROP, join_until};

/// How many gaps are remembered.
const MOST_GAPS: usize = 1_000;
/// How long threads have to end when the time is over.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// Why an inbox goes no further. What was not acknowledged is at the broker and comes again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InboxHalt {
    /// What is missing does not come any more: the broker has lost it, or somebody else has taken it from the queue.
    #[error(
        "{0}: look for it where the lane comes from; to go on without it, let the inbox go on (`WhenMissing::GoOn`)"
    )]
    Missing(Missing),
    /// The intake takes nothing more.
    #[error("the intake: {0}")]
    Intake(IntakeError),
    /// Something of it has panicked.
    #[error("{part} has panicked: {message}")]
    Panicked {
        /// What.
        part: &'static str,
        /// What the panic says.
        message: Box<str>,
    },
}

/// What an inbox does at the moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum InboxState {
    /// It makes a link.
    Connecting,
    /// It has a link: it takes what comes.
    Receiving,
    /// There is no link to be had for now; it is tried again.
    Waiting {
        /// Why.
        because: Arc<str>,
    },
    /// The intake takes nothing for now; it is tried again.
    Holding {
        /// Why.
        because: Arc<str>,
    },
    /// It goes no further.
    Halted(InboxHalt),
    /// It was stopped.
    Stopped,
}

/// How far an inbox has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InboxStatus {
    /// What it does.
    pub state: InboxState,
    /// How many deliveries there were in this run.
    pub received: u64,
    /// How many parcels are safe where they were to go.
    pub safe: u64,
    /// How many were there already.
    pub duplicates: u64,
    /// How many deliveries went to the broker's dead letters.
    pub dead: u64,
    /// How many are at the intake.
    pub in_hand: usize,
    /// How many came too early and are held back.
    pub early: usize,
    /// How often it went on without what was missing.
    pub gaps: u64,
    /// How many links were made.
    pub links: u64,
    /// What has gone wrong last, if anything has.
    pub last_error: Option<Arc<str>>,
}

/// How an inbox has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InboxReport {
    /// How far it has come.
    pub status: InboxStatus,
    /// Whether its threads have ended. If not, they end when what they wait for returns.
    pub has_ended: bool,
    /// Why it had halted, if it had.
    pub halted: Option<InboxHalt>,
}

/// What the inbox's threads tell.
pub(crate) struct Shared {
    known: Mutex<Known>,
    changed: Condvar,
}

pub(crate) struct Known {
    pub status: InboxStatus,
    pub gaps: VecDeque<Missing>,
}

impl Shared {
    pub fn new() -> Arc<Self> {
        let status = InboxStatus {
            state: InboxState::Connecting,
            received: 0,
            safe: 0,
            duplicates: 0,
            dead: 0,
            in_hand: 0,
            early: 0,
            gaps: 0,
            links: 0,
            last_error: None,
        };
        let known = Known { status, gaps: VecDeque::new() };
        Arc::new(Self { known: Mutex::new(known), changed: Condvar::new() })
    }

    pub fn post(&self, change: impl FnOnce(&mut InboxStatus)) {
        change(&mut self.known.lock().status);
        self.changed.notify_all();
    }

    pub fn note_gap(&self, gap: Missing) {
        let mut known = self.known.lock();
        known.status.gaps += 1;
        known.status.last_error = Some(gap.to_string().into());
        if known.gaps.len() == MOST_GAPS {
            known.gaps.pop_front();
        }
        known.gaps.push_back(gap);
    }

    fn status(&self) -> InboxStatus {
        self.known.lock().status.clone()
    }
}

/// An inbox that runs, in threads of its own. When it is dropped, it stops, as [`stop`](Self::stop) with 5 seconds.
#[must_use = "when it is dropped, the inbox stops"]
pub struct InboxHandle {
    pub(super) name: String,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: watch::Sender<Option<Instant>>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for InboxHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxHandle")
            .field("name", &self.name)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl InboxHandle {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far it has come, and what it does.
    pub fn status(&self) -> InboxStatus {
        self.shared.status()
    }

    /// What it went on without: the last thousand times.
    pub fn gaps(&self) -> Vec<Missing> {
        self.shared.known.lock().gaps.iter().cloned().collect()
    }

    /// Waits until something is so, it has ended, or the time is over; says how it stands then, and whether it is so.
    pub fn wait_until(
        &self,
        timeout: Duration,
        is_so: impl Fn(&InboxStatus) -> bool,
    ) -> (InboxStatus, bool) {
        let deadline = Instant::now().checked_add(timeout);
        let mut known = self.shared.known.lock();
        loop {
            let status = &known.status;
            let is_over = matches!(status.state, InboxState::Halted(_) | InboxState::Stopped);
            let is_it = is_so(status);
            if is_it || is_over || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return (status.clone(), is_it);
            }
            match deadline {
                None => self.shared.changed.wait(&mut known),
                Some(end) => drop(self.shared.changed.wait_until(&mut known, end)),
            }
        }
    }

    /// Tells figures of it: for [`Station::tell`](slipring::Station::tell), or whoever draws them.
    pub fn tell(&self, figures: &mut Vec<Figure>) {
        let status = self.status();
        let is_up = matches!(status.state, InboxState::Receiving | InboxState::Holding { .. });
        let is_holding = matches!(status.state, InboxState::Holding { .. });
        figures.extend([
            Figure::count("received", status.received),
            Figure::count("safe", status.safe),
            Figure::count("duplicates", status.duplicates),
            Figure::count("dead", status.dead),
            Figure::count("gaps", status.gaps),
            Figure::count("links", status.links),
            Figure::level("in hand", status.in_hand as u64),
            Figure::level("early", status.early as u64),
            Figure::level("connected", u64::from(is_up)),
            Figure::level("holding", u64::from(is_holding)),
        ]);
    }

    /// Receives nothing more, waits until what is at the intake is safe, for so long at most, and acknowledges it. The rest
    /// comes again to whoever listens next.
    pub fn stop(mut self, timeout: Duration) -> InboxReport {
        self.end(timeout)
    }

    fn end(&mut self, timeout: Duration) -> InboxReport {
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_hours(24));
        self.stop.send_replace(Some(deadline));
        let has_ended = join_until(&mut self.threads, deadline + LAST_MOMENTS);
        let status = self.shared.status();
        let halted = match &status.state {
            InboxState::Halted(halt) => Some(halt.clone()),
            _ => None,
        };
        InboxReport { status, has_ended, halted }
    }
}

impl Drop for InboxHandle {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.end(PATIENCE_OF_DROP);
        }
    }
}
