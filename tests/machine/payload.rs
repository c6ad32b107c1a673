//! What travels on the rings: a stamp that says who wrote it, a trace of the stations that changed
//! it, and, in one of the two forms, something to be dropped exactly once.

use std::{
    ops::Range,
    panic::resume_unwind,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use slipring::{Claim, Producer, PublishError};

use crate::common::far_future;

/// The stamp of a slot that nobody has written to.
pub const MADE: Content = Content { stamp: u64::MAX, trace: 0, is_bomb: false };
/// What the reset hook leaves.
pub const CLEARED: Content = Content { stamp: u64::MAX - 1, trace: 0, is_bomb: false };

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub stamp: u64,
    pub trace: u64,
    /// Its destructor panics, as long as the ledger is armed.
    pub is_bomb: bool,
}

impl Content {
    pub fn pass(&mut self, station: usize) {
        self.trace = self.trace.wrapping_mul(31).wrapping_add(station as u64 + 1);
    }
}

/// How long a publish call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    Forever,
    None,
    /// A deadline that has passed.
    Past,
    /// A deadline that nobody lives to see.
    Far,
}

impl Patience {
    pub fn deadline(self) -> Instant {
        if self == Self::Far { far_future() } else { Instant::now() }
    }
}

pub type Published = Result<Range<u64>, PublishError>;

/// An event, in one of two forms.
pub trait Payload: Send + Sync + Sized + 'static {
    /// Whether events have destructors.
    const IS_COUNTED: bool;

    fn make(ledger: &Arc<Ledger>, content: Content) -> Self;
    fn content(&self) -> Content;
    fn pass(&mut self, station: usize);

    /// `None` if events cannot be copied.
    fn publish_slice<C: Claim>(
        producer: &mut Producer<Self, C>,
        patience: Patience,
        contents: &[Content],
    ) -> Option<Published>;
}

/// An event that is plain data.
#[derive(Clone, Copy, Debug)]
pub struct Plain(Content);

impl Payload for Plain {
    const IS_COUNTED: bool = false;

    fn make(_ledger: &Arc<Ledger>, content: Content) -> Self {
        Self(content)
    }

    fn content(&self) -> Content {
        self.0
    }

    fn pass(&mut self, station: usize) {
        self.0.pass(station);
    }

    fn publish_slice<C: Claim>(
        producer: &mut Producer<Self, C>,
        patience: Patience,
        contents: &[Content],
    ) -> Option<Published> {
        let events: Vec<Self> = contents.iter().copied().map(Self).collect();
        Some(match patience {
            Patience::Forever => producer.publish_slice(&events),
            Patience::None => producer.try_publish_slice(&events),
            Patience::Past | Patience::Far => {
                producer.publish_slice_deadline(patience.deadline(), &events)
            }
        })
    }
}

/// An event that is dropped once.
#[derive(Debug)]
pub struct Counted {
    content: Content,
    ledger: Arc<Ledger>,
    id: usize,
}

impl Payload for Counted {
    const IS_COUNTED: bool = true;

    fn make(ledger: &Arc<Ledger>, content: Content) -> Self {
        Self { content, ledger: Arc::clone(ledger), id: ledger.enter() }
    }

    fn content(&self) -> Content {
        self.content
    }

    fn pass(&mut self, station: usize) {
        self.content.pass(station);
    }

    fn publish_slice<C: Claim>(
        _producer: &mut Producer<Self, C>,
        _patience: Patience,
        _contents: &[Content],
    ) -> Option<Published> {
        None
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.ledger.leave(self.id);
        if self.content.is_bomb && self.ledger.is_armed() {
            // Not `panic!`: there is nothing to print.
            resume_unwind(Box::new(EXPLOSION));
        }
    }
}

/// What an exploding event says.
pub const EXPLOSION: &str = "on purpose, in an event's destructor";

/// Who is alive.
#[derive(Debug, Default)]
pub struct Ledger {
    /// For each event ever made, whether it was dropped.
    dropped: Mutex<Vec<bool>>,
    twice: AtomicUsize,
    is_disarmed: AtomicBool,
}

impl Ledger {
    fn enter(&self) -> usize {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.push(false);
        dropped.len() - 1
    }

    fn leave(&self, id: usize) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut dropped[id], true) {
            self.twice.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn made(&self) -> usize {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn alive(&self) -> usize {
        let dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.iter().filter(|dropped| !**dropped).count()
    }

    /// How many were dropped more than once.
    pub fn dropped_twice(&self) -> usize {
        self.twice.load(Ordering::Relaxed)
    }

    pub fn is_armed(&self) -> bool {
        !self.is_disarmed.load(Ordering::Relaxed)
    }

    /// From now on no event explodes: the ring is about to be dropped, and two panics at once would
    /// end the process.
    pub fn disarm(&self) {
        self.is_disarmed.store(true, Ordering::Relaxed);
    }
}
