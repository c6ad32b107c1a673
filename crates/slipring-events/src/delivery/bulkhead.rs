//! Bulkheads: only so many attempts at a time, of several handlers together.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use crate::alarm::Alarm;

/// Lets only so many attempts through at a time, of all handlers that it stands around together: for what they
/// share and must not overload, a database or a service. Clones are the same bulkhead.
///
/// A handler that is not let through waits, and its events wait on the ring.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Bulkhead, Bus};
///
/// let database = Bulkhead::new(2);
/// let bus = Bus::<AnyEvent>::start(64)?;
/// for name in ["orders", "stock", "mail"] {
///     bus.handler(name).bulkhead(&database).run(|_, _| ())?; // Never more than two of them at once.
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Bulkhead(Arc<Mutex<Places>>);

struct Places {
    free: usize,
    all: usize,
    /// Whom to tell that one is free.
    waiting: Vec<Weak<Alarm>>,
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.0.lock();
        f.debug_struct("Bulkhead").field("places", &places.all).field("free", &places.free).finish()
    }
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Bulkhead);

impl Bulkhead {
    /// Lets so many through at a time, at least 1.
    pub fn new(places: usize) -> Self {
        let all = places.max(1);
        Self(Arc::new(Mutex::new(Places { free: all, all, waiting: Vec::new() })))
    }

    /// A place, or the promise to ring when one is free.
    pub(crate) fn enter(&self, alarm: &Arc<Alarm>) -> Option<Permit> {
        let mut places = self.0.lock();
        if places.free == 0 {
            let is_known = places.waiting.iter().any(|other| other.as_ptr() == Arc::as_ptr(alarm));
            if !is_known {
                places.waiting.push(Arc::downgrade(alarm));
            }
            return None;
        }
        places.free -= 1;
        Some(Permit(self.clone()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut places = self.0.0.lock();
        places.free += 1;
        // All of them: one that has left, or has nothing to do any more, would keep it to itself.
        let waiting = std::mem::take(&mut places.waiting);
        drop(places);
        waiting.iter().filter_map(Weak::upgrade).for_each(|alarm| alarm.ring());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_inside_and_who_leaves_makes_room() {
        let (bulkhead, alarm) = (Bulkhead::new(2), Arc::default());
        let (first, second) = (bulkhead.enter(&alarm), bulkhead.enter(&alarm));
        assert!(first.is_some() && second.is_some());
        assert!(bulkhead.enter(&alarm).is_none() && bulkhead.enter(&alarm).is_none());
        assert_eq!(bulkhead.0.lock().waiting.len(), 1);
        drop(first);
        assert!(bulkhead.0.lock().waiting.is_empty());
        assert!(bulkhead.enter(&alarm).is_some());
    }
}
