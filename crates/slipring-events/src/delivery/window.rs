//! What has been handled before, so that it is not handled twice.

use std::collections::{HashSet, VecDeque};

use super::HandlerError;
use crate::EventId;

/// The memory of a handler that is to handle each event once.
///
/// It is asked before the handler is called and told after it has succeeded, never before: what is
/// recorded and then fails would be lost, since the next attempt looks like a duplicate. Both are
/// done by the thread that calls the handler, so nobody comes between. The trade is that an event is
/// handled again if the program ends between the success and the record; only what the handler does
/// together with the record, in one transaction, is done exactly once.
///
/// # Examples
/// One that remembers in the same place as the handler keeps its own things:
/// ```
/// use std::{collections::BTreeMap, sync::{Arc, Mutex}};
/// use slipring_events::{EventId, HandlerError, Inbox};
///
/// struct Table(Arc<Mutex<BTreeMap<EventId, u64>>>);
///
/// impl Inbox for Table {
///     fn knows(&mut self, id: EventId) -> Result<bool, HandlerError> {
///         let rows = self.0.lock().map_err(|_| "the table is damaged")?;
///         Ok(rows.contains_key(&id))
///     }
///
///     fn record(&mut self, id: EventId) -> Result<(), HandlerError> {
///         self.0.lock().map_err(|_| "the table is damaged")?.insert(id, 1);
///         Ok(())
///     }
/// }
///
/// let mut table = Table(Arc::default());
/// let id = EventId::random();
/// assert!(!table.knows(id)?);
/// table.record(id)?;
/// assert!(table.knows(id)?);
/// # Ok::<(), HandlerError>(())
/// ```
pub trait Inbox: Send {
    /// Whether the event has been handled.
    ///
    /// # Errors
    /// If it cannot be told. The handler is not called then.
    fn knows(&mut self, id: EventId) -> Result<bool, HandlerError>;

    /// Remembers that the event has been handled.
    ///
    /// # Errors
    /// If it cannot be remembered. The event counts as failed then, although its handler did not; with
    /// [`HandledElsewhere`] it counts as one that had been handled before.
    fn record(&mut self, id: EventId) -> Result<(), HandlerError>;
}

/// What an [`Inbox`] that several workers share says when another one has recorded the event meanwhile: this one's
/// result does not count, and what it published is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another worker has handled it meanwhile")]
pub struct HandledElsewhere;

/// An [`Inbox`] in memory, for so many events: the oldest is forgotten for the newest.
///
/// Its memory is taken when it is made, some 60 bytes for each event, and never grows.
///
/// # Examples
/// ```
/// use slipring_events::{EventId, Inbox, Source, Window};
///
/// let id = |sequence| EventId::of(Source::named("shop"), sequence);
/// let mut window = Window::last(2);
/// for sequence in 0..3 {
///     window.record(id(sequence))?;
/// }
/// assert!(!window.knows(id(0))?);
/// assert!(window.knows(id(1))? && window.knows(id(2))?);
/// # Ok::<(), slipring_events::HandlerError>(())
/// ```
#[derive(Debug)]
pub struct Window {
    count: usize,
    known: HashSet<EventId>,
    /// The oldest first.
    order: VecDeque<EventId>,
}

impl Window {
    /// Remembers the last so many events. With none, every event is new.
    ///
    /// # Panics
    /// If there cannot be that much memory.
    pub fn last(count: usize) -> Self {
        // Twice the room: a table that is at most half full clears away what was removed where it
        // stands, a fuller one would move to a larger place.
        let known = HashSet::with_capacity(count.saturating_mul(2));
        Self { count, known, order: VecDeque::with_capacity(count) }
    }

    /// How many events it remembers.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether it remembers none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl Inbox for Window {
    fn knows(&mut self, id: EventId) -> Result<bool, HandlerError> {
        Ok(self.known.contains(&id))
    }

    fn record(&mut self, id: EventId) -> Result<(), HandlerError> {
        if self.count == 0 || self.known.contains(&id) {
            return Ok(());
        }
        if self.order.len() == self.count
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(id);
        self.order.push_back(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use allocation_counter::measure;
    use proptest::prelude::*;

    fn id(sequence: u64) -> EventId {
        EventId::of(Source::from_bits(7), sequence)
    }

    fn knows(window: &mut Window, sequence: u64) -> bool {
        window.knows(id(sequence)).unwrap()
    }

    #[test]
    fn an_event_that_failed_is_not_known() {
        let mut window = Window::last(10);
        // It was asked for, its handler failed, nothing was recorded: it comes again.
        assert!(!knows(&mut window, 1));
        assert!(!knows(&mut window, 1));
        window.record(id(1)).unwrap();
        assert!(knows(&mut window, 1));
    }

    #[test]
    fn a_window_for_nothing_knows_nothing() {
        let mut window = Window::last(0);
        window.record(id(1)).unwrap();
        assert!(!knows(&mut window, 1));
        assert!(window.is_empty());
    }

    #[test]
    fn what_is_recorded_twice_takes_the_room_of_one() {
        let mut window = Window::last(2);
        for sequence in [1, 2, 2, 2] {
            window.record(id(sequence)).unwrap();
        }
        assert_eq!(window.len(), 2);
        assert!(knows(&mut window, 1));
    }

    #[test]
    fn nothing_is_allocated_once_it_is_made() {
        for count in [1, 3, 7, 8, 100, 1_000] {
            let mut window = Window::last(count);
            let used = measure(|| {
                for sequence in 0..20 * count as u64 {
                    window.record(id(sequence)).unwrap();
                }
            });
            assert_eq!((used.count_total, window.len()), (0, count));
        }
    }

    proptest! {
        #[test]
        fn it_knows_the_last_and_no_others(
            count in 0_usize..12, sequences in prop::collection::vec(0_u64..30, 0..200),
        ) {
            let (mut window, mut model) = (Window::last(count), Vec::new());
            for sequence in sequences {
                window.record(id(sequence)).unwrap();
                if !model.contains(&sequence) {
                    model.push(sequence);
                    model.drain(..model.len().saturating_sub(count));
                }
                for other in 0..30 {
                    prop_assert_eq!(knows(&mut window, other), model.contains(&other));
                }
            }
        }
    }
}
