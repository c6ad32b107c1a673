//! What is known of an outbox from outside.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use slipring::Figure;
use slipring_store::{EventStore, StoreError};
use tokio::sync::watch;

use super::{NotConfirmed, OutboxHalt, OutboxLetters, reader};

/// What an outbox does at the moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OutboxState {
    /// It makes a link.
    Connecting,
    /// It has a link: it sends what comes.
    Sending,
    /// There is no link to be had for now, or the broker says that it takes nothing; it is tried again. Nothing is lost: it
    /// is in the store.
    Waiting {
        /// Why.
        because: Arc<str>,
    },
    /// It goes no further.
    Halted(OutboxHalt),
    /// It was stopped.
    Stopped,
}

/// How far an outbox has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// What it does.
    pub state: OutboxState,
    /// The broker has confirmed every event before that position that is for this outbox and was not set aside.
    pub confirmed: u64,
    /// Behind the last durable event of the store.
    pub durable: u64,
    /// How many parcels are read and not confirmed.
    pub unconfirmed: usize,
    /// How many parcels the broker has confirmed in this run.
    pub sent: u64,
    /// How many were set aside in this run.
    pub set_aside: u64,
    /// How many links were made in this run.
    pub links: u64,
    /// What has gone wrong last, if anything has.
    pub last_error: Option<Arc<str>>,
}

impl OutboxStatus {
    /// How many events of the store are not confirmed, nor passed over.
    pub fn lag(&self) -> u64 {
        self.durable.saturating_sub(self.confirmed)
    }
}

/// How an outbox has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutboxReport {
    /// The broker has confirmed every event before that position that is for this outbox.
    pub confirmed: u64,
    /// How many parcels were read and are not confirmed: they are sent in the next run.
    pub unconfirmed: usize,
    /// Whether its threads have ended. If not, they end when what they wait for returns.
    pub has_ended: bool,
    /// Why it had halted, if it had.
    pub halted: Option<OutboxHalt>,
}

/// What the outbox's threads tell.
pub(crate) struct Shared {
    known: Mutex<Known>,
    changed: Condvar,
}

#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub state: OutboxState,
    pub confirmed: u64,
    pub unconfirmed: usize,
    pub sent: u64,
    pub set_aside: u64,
    pub links: u64,
    pub last_error: Option<Arc<str>>,
}

impl Shared {
    pub fn new(confirmed: u64) -> Arc<Self> {
        let known = Known {
            state: OutboxState::Connecting,
            confirmed,
            unconfirmed: 0,
            sent: 0,
            set_aside: 0,
            links: 0,
            last_error: None,
        };
        Arc::new(Self { known: Mutex::new(known), changed: Condvar::new() })
    }

    pub fn post(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock());
        self.changed.notify_all();
    }

    pub fn known(&self) -> Known {
        self.known.lock().clone()
    }

    pub fn note_error(&self, error: &impl fmt::Display) {
        let error: Arc<str> = error.to_string().into();
        self.post(|known| known.last_error = Some(error));
    }

    pub fn note_set_aside(&self, position: u64, reason: &str) {
        let error: Arc<str> = format!("event {position} was set aside: {reason}").into();
        self.post(|known| {
            known.set_aside += 1;
            known.last_error = Some(error);
        });
    }

    /// Waits until something is so, it has ended, or the time is over, and tells what is known then.
    pub fn wait(&self, timeout: Duration, is_so: impl Fn(&Known) -> bool) -> Known {
        let deadline = Instant::now().checked_add(timeout);
        let mut known = self.known.lock();
        loop {
            let is_over = matches!(known.state, OutboxState::Halted(_) | OutboxState::Stopped);
            if is_over || is_so(&known) {
                return known.clone();
            }
            match deadline {
                None => self.changed.wait(&mut known),
                Some(deadline) => {
                    if self.changed.wait_until(&mut known, deadline).timed_out() {
                        return known.clone();
                    }
                }
            }
        }
    }

    pub fn tell(&self, figures: &mut Vec<Figure>) {
        let known = self.known();
        let is_up = matches!(known.state, OutboxState::Sending);
        figures.extend([
            Figure::count("sent", known.sent),
            Figure::count("set aside", known.set_aside),
            Figure::count("links", known.links),
            Figure::level("unconfirmed", known.unconfirmed as u64),
            Figure::level("connected", u64::from(is_up)),
        ]);
    }
}

/// An outbox that runs, in threads of its own. When it is dropped, it stops, as [`stop`](Self::stop) with 5 seconds.
#[must_use = "when it is dropped, the outbox stops"]
pub struct OutboxHandle {
    pub(super) name: String,
    pub(super) lane: Arc<str>,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) shared: Arc<Shared>,
    pub(super) letters: OutboxLetters,
    pub(super) stop: watch::Sender<Option<Instant>>,
    pub(super) is_to_stop: Arc<AtomicBool>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// How long the dropping of a bridge waits.
pub(crate) const PATIENCE_OF_DROP: Duration = Duration::from_secs(5);

impl fmt::Debug for OutboxHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxHandle")
            .field("name", &self.name)
            .field("known", &self.shared.known())
            .finish_non_exhaustive()
    }
}

impl OutboxHandle {
    /// What it is called, with its partition.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its parcels say of where they come from: [`Stamp::lane`](crate::Stamp::lane).
    pub fn lane(&self) -> &str {
        &self.lane
    }

    /// How far it has come, and what it does.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn status(&self) -> Result<OutboxStatus, StoreError> {
        // Looked at last, the end is never before what is confirmed.
        let Known { state, confirmed, unconfirmed, sent, set_aside, links, last_error } =
            self.shared.known();
        let durable = self.store.bounds()?.durable.max(confirmed);
        Ok(OutboxStatus {
            state,
            confirmed,
            durable,
            unconfirmed,
            sent,
            set_aside,
            links,
            last_error,
        })
    }

    /// What it does, without a look at the store.
    pub fn state(&self) -> OutboxState {
        self.shared.known().state
    }

    /// The broker has confirmed every event before that position that is for this outbox and was not set aside.
    pub fn confirmed(&self) -> u64 {
        self.shared.known().confirmed
    }

    /// Waits until the broker has confirmed all that is before a position.
    ///
    /// # Errors
    /// Not in time, or it has halted or was stopped before; each says how far it is.
    pub fn wait_for(&self, position: u64, timeout: Duration) -> Result<(), NotConfirmed> {
        let known = self.shared.wait(timeout, |known| known.confirmed >= position);
        let at = known.confirmed;
        match known.state {
            _ if at >= position => Ok(()),
            OutboxState::Halted(why) => Err(NotConfirmed::Halted { at, why }),
            OutboxState::Stopped => Err(NotConfirmed::Stopped { at }),
            _ => Err(NotConfirmed::Late {
                at,
                wanted: position,
                timeout,
                last_error: known.last_error,
            }),
        }
    }

    /// The events that it has set aside.
    pub fn letters(&self) -> OutboxLetters {
        self.letters.clone()
    }

    /// Tells figures of it: for [`Station::tell`](slipring::Station::tell), or whoever draws them.
    pub fn tell(&self, figures: &mut Vec<Figure>) {
        self.shared.tell(figures);
    }

    /// Reads nothing more, waits until the broker has confirmed what is on the link, for so long at most, and writes down how
    /// far that is. What the broker was not given, or has not confirmed, is sent in the next run.
    pub fn stop(mut self, timeout: Duration) -> OutboxReport {
        self.end(timeout)
    }

    fn end(&mut self, timeout: Duration) -> OutboxReport {
        reader::stop(&self.is_to_stop);
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_hours(24));
        self.stop.send_replace(Some(deadline));
        // They have a moment more to write down how far it is.
        let last = deadline + LAST_MOMENTS;
        let has_ended = join_until(&mut self.threads, last);
        let known = self.shared.known();
        OutboxReport {
            confirmed: known.confirmed,
            unconfirmed: known.unconfirmed,
            has_ended,
            halted: match known.state {
                OutboxState::Halted(why) => Some(why),
                _ => None,
            },
        }
    }
}

/// How long threads have to end when the time is over.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// Waits until threads have ended, and says whether they have. Those that have not are left alone.
pub(crate) fn join_until(threads: &mut Vec<JoinHandle<()>>, deadline: Instant) -> bool {
    let mut nap = Duration::from_micros(100);
    while !threads.iter().all(JoinHandle::is_finished) {
        if Instant::now() >= deadline {
            threads.clear();
            return false;
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(5));
    }
    for thread in threads.drain(..) {
        // They catch their own panics.
        let _ = thread.join();
    }
    true
}

impl Drop for OutboxHandle {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.end(PATIENCE_OF_DROP);
        }
    }
}
