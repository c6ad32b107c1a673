//! How far a replay has come, and breaking it off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How far a replay has come.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The position of the next event.
    pub position: u64,
    /// Where it ends, as far as that is known: that of a replay that goes on with what comes moves.
    pub end: u64,
    /// How many events it has handed on.
    pub events: u64,
    /// Since it began.
    pub elapsed: Duration,
}

impl Progress {
    /// Events in a second, so far.
    #[allow(clippy::cast_precision_loss)] // A figure for people.
    pub fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.events as f64 / seconds } else { 0.0 }
    }
}

/// Looks at a replay from elsewhere, and breaks it off. It can be cloned.
///
/// # Examples
/// ```
/// use slipring_store::{Memory, Replay};
/// use std::sync::Arc;
///
/// let replay = Replay::new(Arc::new(Memory::new()));
/// let handle = replay.handle();
/// handle.cancel(); // As somebody else may do while it runs.
/// let done = replay.run(|_| Ok(()))?;
/// assert!(done.was_cancelled);
/// # Ok::<(), slipring_store::ReplayError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReplayHandle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_cancelled: AtomicBool,
    position: AtomicU64,
    end: AtomicU64,
    events: AtomicU64,
    /// In nanoseconds.
    elapsed: AtomicU64,
}

impl ReplayHandle {
    /// Breaks it off: behind the event in hand, and where it waits for more, within a tenth of a second.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was broken off.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Relaxed)
    }

    /// How far it had come when it last said so: every few thousand events, and whenever it waits.
    pub fn progress(&self) -> Progress {
        // Figures: they order nothing.
        let get = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Progress {
            position: get(&self.0.position),
            end: get(&self.0.end),
            events: get(&self.0.events),
            elapsed: Duration::from_nanos(get(&self.0.elapsed)),
        }
    }

    pub(super) fn note(&self, position: u64, end: u64, events: u64, begun: Instant) -> Progress {
        let progress = Progress { position, end, events, elapsed: begun.elapsed() };
        let set = |figure: &AtomicU64, value| figure.store(value, Ordering::Relaxed);
        set(&self.0.position, position);
        set(&self.0.end, end);
        set(&self.0.events, events);
        set(&self.0.elapsed, progress.elapsed.as_nanos() as u64);
        progress
    }
}
