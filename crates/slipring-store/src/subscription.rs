//! Events as they come: those that are there, then those that are committed from now on.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{EventStore, Reach, Reader, StoreError};

/// Reads a store from a position on, and goes on with what is committed later: without a gap and without a duplicate,
/// since both are one: it reads up to the end, and waits for the end to move.
///
/// # Examples
/// ```
/// use std::{ops::ControlFlow, sync::Arc, thread, time::Duration};
/// use slipring_store::{Batch, Durability, Entry, EventStore, Memory, Reach, Subscription};
///
/// let store = Arc::new(Memory::new());
/// let mut subscription = Subscription::new(store.clone(), 0, Reach::Durable);
/// let writer = thread::spawn(move || {
///     for number in 0..3_u8 {
///         let mut batch = Batch::new();
///         batch.append(Entry::new("number", &[number])).unwrap();
///         store.commit(&batch, Durability::Synced).unwrap();
///     }
/// });
/// let mut numbers = Vec::new();
/// while subscription.position() < 3 {
///     subscription.next_within(Duration::from_secs(60), &mut |record| {
///         numbers.push(record.payload[0]);
///         ControlFlow::Continue(())
///     })?;
/// }
/// assert_eq!(numbers, [0, 1, 2]);
/// # writer.join().unwrap();
/// # Ok::<(), slipring_store::StoreError>(())
/// ```
#[derive(Clone)]
pub struct Subscription {
    store: Arc<dyn EventStore>,
    position: u64,
    reach: Reach,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("position", &self.position)
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

impl Subscription {
    /// Reads from that position on, as far as the store reaches in that sense.
    pub fn new(store: Arc<dyn EventStore>, from: u64, reach: Reach) -> Self {
        Self { store, position: from, reach }
    }

    /// The position of the next event.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes on from there.
    pub fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// Reads what is there, up to the end or until the reader breaks off, and says how many events that were.
    ///
    /// # Errors
    /// The next event has been removed, or the store cannot be read, or it ends before the event in front of the next
    /// one: it has lost events that this reader has seen, or is another one.
    pub fn next_now(&mut self, reader: Reader<'_>) -> Result<u64, StoreError> {
        self.next_within(Duration::ZERO, reader)
    }

    /// Waits for an event, for so long at most, then reads what is there, up to the end or until the reader breaks off,
    /// and says how many events that were.
    ///
    /// # Errors
    /// The next event has been removed, or the store cannot be read, or it ends before the event in front of the next
    /// one: it has lost events that this reader has seen, or is another one.
    pub fn next_within(
        &mut self,
        timeout: Duration,
        reader: Reader<'_>,
    ) -> Result<u64, StoreError> {
        let deadline = Instant::now().checked_add(timeout);
        // A look first: nobody waits for what is behind the end.
        let mut left = Duration::ZERO;
        let end = loop {
            let bounds = self.store.wait(self.position, self.reach, left)?;
            if bounds.end < self.position {
                return Err(StoreError::Beyond { asked: self.position, end: bounds.end });
            }
            let end = bounds.end_of(self.reach);
            if end > self.position {
                break end;
            }
            left = deadline.map_or(timeout, |deadline| deadline - Instant::now().min(deadline));
            if left.is_zero() {
                return Ok(0);
            }
        };
        let from = self.position;
        let position = &mut self.position;
        self.store.scan(from, &mut |record| {
            // What is behind was committed meanwhile, and may not be durable.
            if record.position >= end {
                return ControlFlow::Break(());
            }
            let next = record.position + 1;
            let answer = reader(record);
            // Not before: what the reader panics at is not passed.
            *position = next;
            if *position == end { ControlFlow::Break(()) } else { answer }
        })?;
        Ok(self.position - from)
    }
}
