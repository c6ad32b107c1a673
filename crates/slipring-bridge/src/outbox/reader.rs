//! The thread that reads the store for an outbox.

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use slipring_events::{Clock, SystemClock, topic};
use slipring_store::{Record, StoreError, Subscription};
use tokio::sync::mpsc;

use super::{
    OutboxHalt, OutboxLetters, books::Passed, error::may_mend, flow::too_large, handle::Shared,
    selection::Selection,
};
use crate::{Parcel, Stamp, pauses::message_of};

/// How long it waits for an event before it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);
/// How many events, and how many bytes of them, go on together.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 1 << 20;
/// How many events that are not for it are passed over before it says so.
const LONGEST_LOOK: u64 = 4_096;
/// How long it waits before it reads again from a store that has failed.
const PAUSE: Duration = Duration::from_millis(250);

/// What goes to those who send.
pub(crate) enum Fed {
    /// Events with their positions, and how far was read.
    Events { parcels: Vec<(u64, Parcel)>, read_to: u64 },
    /// It reads no further.
    Ended(OutboxHalt),
}

pub(crate) struct Reading {
    pub subscription: Subscription,
    pub selection: Selection,
    /// What the broker takes: asked again and again, since some say it when they are there.
    pub largest: Box<dyn Fn() -> usize + Send>,
    pub letters: OutboxLetters,
    pub passed: Passed,
    pub feed: mpsc::Sender<Fed>,
    pub is_to_stop: Arc<AtomicBool>,
    pub shared: Arc<Shared>,
}

/// What was read at once.
#[derive(Default)]
struct Chunk {
    parcels: Vec<(u64, Parcel)>,
    /// What no broker takes, and why.
    unsendable: Vec<(u64, Parcel, Box<str>)>,
    bytes: usize,
}

impl Reading {
    /// Reads until it is to stop, or cannot go on.
    pub fn run(mut self) {
        let read = catch_unwind(AssertUnwindSafe(|| self.read()));
        let halt = match read {
            Ok(Ok(())) => return,
            Ok(Err(halt)) => halt,
            Err(payload) => OutboxHalt::Panicked {
                part: "what reads the store, or picks events",
                message: message_of(payload),
            },
        };
        // If nobody listens any more, nobody wants to know.
        let _ = self.feed.blocking_send(Fed::Ended(halt));
    }

    fn is_over(&self) -> bool {
        // ORDERING: Acquire, paired with the Release of whoever stops it; nothing hangs on it but that it stops.
        self.is_to_stop.load(Ordering::Acquire) || self.feed.is_closed()
    }

    fn read(&mut self) -> Result<(), OutboxHalt> {
        // Before the first link nobody knows what is too large.
        while !self.is_over() && self.shared.wait(LOOK, |known| known.links > 0).links == 0 {}
        while !self.is_over() {
            let from = self.subscription.position();
            match self.read_chunk() {
                Ok(chunk) => {
                    let read_to = self.subscription.position();
                    if read_to == from {
                        continue;
                    }
                    let fed = Fed::Events { parcels: chunk.parcels, read_to };
                    if self.feed.blocking_send(fed).is_err() {
                        return Ok(());
                    }
                }
                Err(error) if may_mend(&error) => {
                    self.shared.note_error(&error);
                    self.subscription.seek(from);
                    thread::sleep(PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_chunk(&mut self) -> Result<Chunk, StoreError> {
        let Self { subscription, selection, passed, largest, .. } = self;
        let (mut chunk, mut looked) = (Chunk::default(), 0);
        subscription.next_within(LOOK, &mut |record| {
            looked += 1;
            if selection.wants(&record) && !passed.lock().contains(&record.position) {
                chunk.take(&record, selection, largest());
            }
            let is_full = chunk.parcels.len() >= CHUNK || chunk.bytes >= CHUNK_BYTES;
            if is_full || looked >= LONGEST_LOOK {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        // Not while the store is read.
        for (position, parcel, reason) in chunk.unsendable.drain(..) {
            self.letters.put(position, &parcel, &reason, SystemClock.now(), None)?;
            self.passed.lock().insert(position);
            self.shared.note_set_aside(position, &reason);
        }
        Ok(chunk)
    }
}

impl Chunk {
    fn take(&mut self, record: &Record<'_>, selection: &Selection, largest: usize) {
        let position = record.position;
        let stamp = || Stamp { lane: Arc::default(), sequence: position, previous: None };
        let mut parcel = match Parcel::of(record, stamp()) {
            Ok(parcel) => parcel,
            Err(error) => {
                let bare = Parcel::without_notes(record, stamp());
                return self.unsendable.push((position, bare, error.to_string().into()));
            }
        };
        if !selection.wants_notes(&parcel.metadata) {
            return;
        }
        parcel.content_type.clone_from(&selection.content_type);
        let topic = selection.renames.apply(&parcel.topic);
        if let Err(error) = topic::check(&topic) {
            return self.unsendable.push((position, parcel, error.to_string().into()));
        }
        parcel.topic = topic;
        let size = parcel.size();
        if size > largest {
            return self.unsendable.push((position, parcel, too_large(size, largest).into()));
        }
        self.bytes += size;
        self.parcels.push((position, parcel));
    }
}

/// To be told to stop, from another thread.
pub(crate) fn stop(is_to_stop: &AtomicBool) {
    // ORDERING: Release, paired with the Acquire in `read`.
    is_to_stop.store(true, Ordering::Release);
}
