//! Hashes of states along the way, and whether they are the same when it is gone once more.

use std::ops::ControlFlow;

use super::state_hash::StateHash;
use crate::{Batch, EventStore, StoreError};

/// Hashes of a state at certain positions, kept in the store: what a state was when everything before that position had
/// been handled, and nothing else. Put there while it happens, they are compared when it is replayed.
///
/// # Examples
/// A sum is taken live; replayed, it is the same at every point, and a handler that sums otherwise is found out.
/// ```
/// use slipring_store::{Batch, Durability, Entry, EventStore, HashPoints, Memory, Replay, StateHash};
/// use std::sync::Arc;
///
/// let (store, points) = (Arc::new(Memory::new()), HashPoints::named("sum"));
/// let mut sum = 0_u64;
/// for number in 0..10_u8 {
///     let mut batch = Batch::new();
///     batch.append(Entry::new("number", &[number]))?;
///     sum += u64::from(number);
///     points.put(&mut batch, u64::from(number) + 1, StateHash::of(&sum)?);
///     store.commit(&batch, Durability::Synced)?;
/// }
///
/// let replay = |factor: u64| {
///     let (mut check, mut sum) = (points.check(&*store)?, 0_u64);
///     let done = Replay::new(store.clone()).run(|record| {
///         sum += u64::from(record.payload[0]) * factor;
///         Ok(check.at(record.position + 1, || StateHash::of(&sum))?)
///     })?;
///     check.finish(done.position)?;
///     Ok::<_, Box<dyn std::error::Error>>(check.compared())
/// };
/// assert_eq!(replay(1)?, 10);
/// let error = replay(2).unwrap_err().to_string();
/// assert!(error.contains("state `sum` is another one at 2 than it was"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashPoints {
    name: Box<str>,
    space: Box<str>,
}

/// Where a state is another one than it was: the first such point. Everything before is the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Diverged {
    /// The states differ.
    #[error(
        "state `{name}` is another one at {position} than it was: {found} in place of {recorded}"
    )]
    Differs {
        /// What the state is called.
        name: Box<str>,
        /// Everything before it had been handled.
        position: u64,
        /// What it was.
        recorded: StateHash,
        /// What it is.
        found: StateHash,
    },
    /// There was a state at a point to which nobody came.
    #[error("state `{name}` was recorded at {position}, and the replay has passed by")]
    Missed {
        /// What the state is called.
        name: Box<str>,
        /// The point.
        position: u64,
    },
    /// It has no form in bytes.
    #[error("state `{name}` at {position} has no hash: {problem}")]
    NoHash {
        /// What the state is called.
        name: Box<str>,
        /// The point.
        position: u64,
        /// Why.
        problem: Box<str>,
    },
}

impl HashPoints {
    /// Those of the state of that name.
    pub fn named(name: impl Into<Box<str>>) -> Self {
        let name = name.into();
        let space = format!("hashes/{name}").into();
        Self { name, space }
    }

    /// What the state is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts a point with the batch: what the state is when everything before that position has been handled.
    pub fn put(&self, batch: &mut Batch, position: u64, hash: StateHash) {
        batch.put(&self.space, &position.to_be_bytes(), &hash.bits().to_be_bytes());
    }

    /// Removes a point with the batch.
    pub fn remove(&self, batch: &mut Batch, position: u64) {
        batch.remove(&self.space, &position.to_be_bytes());
    }

    /// All points from a position on.
    ///
    /// # Errors
    /// The store cannot be read, or what is kept there is none.
    pub fn all(
        &self,
        store: &(impl EventStore + ?Sized),
        from: u64,
    ) -> Result<Vec<(u64, StateHash)>, StoreError> {
        let (mut all, mut is_damaged) = (Vec::new(), false);
        store.values(&self.space, &from.to_be_bytes(), &mut |key, value| {
            let (Ok(key), Ok(value)) = (key.try_into(), value.try_into()) else {
                is_damaged = true;
                return ControlFlow::Break(());
            };
            let hash = StateHash::from_bits(u64::from_be_bytes(value));
            all.push((u64::from_be_bytes(key), hash));
            ControlFlow::Continue(())
        })?;
        if is_damaged {
            let place = format_args!("the hashes of state `{}`", self.name);
            return Err(StoreError::damaged(place, "one does not have 8 bytes"));
        }
        Ok(all)
    }

    /// Compares a state with all points.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn check(&self, store: &(impl EventStore + ?Sized)) -> Result<HashCheck, StoreError> {
        self.check_from(store, 0)
    }

    /// As [`check`](Self::check), from a position on.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn check_from(
        &self,
        store: &(impl EventStore + ?Sized),
        from: u64,
    ) -> Result<HashCheck, StoreError> {
        let points = self.all(store, from)?;
        Ok(HashCheck { name: self.name.clone(), points, next: 0 })
    }
}

/// Compares a state with what it was, point by point; see [`HashPoints`].
#[derive(Clone, Debug)]
pub struct HashCheck {
    name: Box<str>,
    points: Vec<(u64, StateHash)>,
    next: usize,
}

impl HashCheck {
    /// Everything before that position has been handled: compares the state, if there is a point. The hash is only
    /// taken then.
    ///
    /// # Errors
    /// It is another one, or a point was passed by.
    #[inline]
    pub fn at<X: std::fmt::Display>(
        &mut self,
        position: u64,
        hash: impl FnOnce() -> Result<StateHash, X>,
    ) -> Result<(), Diverged> {
        match self.points.get(self.next) {
            Some((point, recorded)) if *point <= position => {
                let (point, recorded) = (*point, *recorded);
                self.compare(position, point, recorded, hash)
            }
            _ => Ok(()),
        }
    }

    #[cold]
    fn compare<X: std::fmt::Display>(
        &mut self,
        position: u64,
        point: u64,
        recorded: StateHash,
        hash: impl FnOnce() -> Result<StateHash, X>,
    ) -> Result<(), Diverged> {
        let name = || self.name.clone();
        if point < position {
            return Err(Diverged::Missed { name: name(), position: point });
        }
        let found = hash().map_err(|problem| Diverged::NoHash {
            name: name(),
            position,
            problem: problem.to_string().into(),
        })?;
        if found != recorded {
            return Err(Diverged::Differs { name: name(), position, recorded, found });
        }
        self.next += 1;
        Ok(())
    }

    /// How many points were the same.
    pub fn compared(&self) -> u64 {
        self.next as u64
    }

    /// The next point, if there is one.
    pub fn next_point(&self) -> Option<u64> {
        self.points.get(self.next).map(|(position, _)| *position)
    }

    /// At the end of a replay that has come to that position: whether it has come to all points up to there.
    ///
    /// # Errors
    /// A point was passed by.
    pub fn finish(&self, position: u64) -> Result<(), Diverged> {
        match self.next_point() {
            Some(point) if point <= position => {
                Err(Diverged::Missed { name: self.name.clone(), position: point })
            }
            _ => Ok(()),
        }
    }
}
