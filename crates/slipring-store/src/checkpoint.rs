//! How far somebody has come.

use std::ops::ControlFlow;

use crate::{Batch, EventStore, StoreError};

/// The [space](crate::EventStore::value) in which checkpoints are kept.
pub const CHECKPOINTS: &str = "checkpoints";

/// How far a reader has come, kept in the store: the position of the next event that it is to see.
///
/// Put into the batch in which a reader commits what it has made of the events, it is true whenever the program ends.
/// No event at or behind it is removed by retention.
///
/// # Examples
/// ```
/// use slipring_store::{Batch, Checkpoint, Durability, EventStore, Memory};
///
/// let store = Memory::new();
/// let totals = Checkpoint::named("totals");
/// assert_eq!(totals.get(&store)?, None);
///
/// let mut batch = Batch::new();
/// batch.put("totals", b"orders", b"3"); // What was made of events 0, 1 and 2.
/// totals.put(&mut batch, 3);
/// store.commit(&batch, Durability::Synced)?;
/// assert_eq!(totals.get(&store)?, Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    name: Box<str>,
}

/// A checkpoint of a store, with where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCheckpoint {
    /// Whose it is.
    pub name: String,
    /// The position of the next event that the reader is to see.
    pub position: u64,
}

impl Checkpoint {
    /// The checkpoint of that name. A store has one of each name.
    pub fn named(name: impl Into<Box<str>>) -> Self {
        Self { name: name.into() }
    }

    /// Whose it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, if it is anywhere.
    ///
    /// # Errors
    /// The store cannot be read, or what is kept there is none.
    pub fn get(&self, store: &(impl EventStore + ?Sized)) -> Result<Option<u64>, StoreError> {
        match store.value(CHECKPOINTS, self.name.as_bytes())? {
            Some(value) => position(&self.name, &value).map(Some),
            None => Ok(None),
        }
    }

    /// Puts it there with the batch.
    pub fn put(&self, batch: &mut Batch, position: u64) {
        batch.put(CHECKPOINTS, self.name.as_bytes(), &position.to_be_bytes());
    }

    /// Removes it with the batch: retention asks for it no more.
    pub fn remove(&self, batch: &mut Batch) {
        batch.remove(CHECKPOINTS, self.name.as_bytes());
    }

    /// All that a store has, by their names.
    ///
    /// # Errors
    /// The store cannot be read, or what is kept there is none.
    pub fn all(store: &(impl EventStore + ?Sized)) -> Result<Vec<NamedCheckpoint>, StoreError> {
        let mut all = Vec::new();
        let mut damage = None;
        store.values(CHECKPOINTS, b"", &mut |name, value| {
            let name = String::from_utf8_lossy(name).into_owned();
            match position(&name, value) {
                Ok(position) => all.push(NamedCheckpoint { name, position }),
                Err(error) => {
                    damage = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        damage.map_or(Ok(all), Err)
    }
}

pub(crate) fn position(name: &str, value: &[u8]) -> Result<u64, StoreError> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| {
        StoreError::damaged(
            format_args!("checkpoint `{name}`"),
            format_args!("it has {} bytes in place of 8", value.len()),
        )
    })
}
