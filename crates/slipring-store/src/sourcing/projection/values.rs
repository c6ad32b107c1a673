//! The values of a projection, as it sees them.

use std::{collections::BTreeMap, error::Error};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Batch, EventStore, StoreError};

/// What an application says is wrong.
pub type Fault = Box<dyn Error + Send + Sync>;

/// Values that were put, or removed, and are not committed yet.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The values of a projection, in a space of its own: what it has put is there at once, and committed with all that it
/// makes of the events around. If it fails at an event, what it has put for that event is dropped.
///
/// # Examples
/// ```
/// use slipring_store::{Record, sourcing::{Fault, Projection, Values}};
///
/// /// How many events there are of each topic.
/// struct Counted;
///
/// impl Projection for Counted {
///     type Event = serde_json::Value;
///
///     fn name(&self) -> &'static str {
///         "counted"
///     }
///
///     fn apply(&self, _: &Self::Event, record: &Record<'_>, values: &mut Values<'_>) -> Result<(), Fault> {
///         let events: u64 = values.get_as(record.topic)?.unwrap_or(0);
///         values.put_as(record.topic, &(events + 1))
///     }
/// }
/// ```
pub struct Values<'a> {
    store: &'a dyn EventStore,
    space: &'a str,
    pending: &'a Changes,
    changes: Changes,
    failed: Option<StoreError>,
}

impl std::fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values")
            .field("space", &self.space)
            .field("changes", &self.changes.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Values<'a> {
    pub(crate) fn new(store: &'a dyn EventStore, space: &'a str, pending: &'a Changes) -> Self {
        Self { store, space, pending, changes: Changes::new(), failed: None }
    }

    /// A value, if it is there.
    ///
    /// # Errors
    /// The store cannot be read: the projection halts, whatever is made of the error.
    pub fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Fault> {
        let key = key.as_ref();
        if let Some(value) = self.changes.get(key).or_else(|| self.pending.get(key)) {
            return Ok(value.clone());
        }
        self.store.value(self.space, key).map_err(|error| {
            let text = error.to_string();
            self.failed = Some(error);
            text.into()
        })
    }

    /// A value that was [put as](Self::put_as) a `T`, if it is there.
    ///
    /// # Errors
    /// The store cannot be read, or what is there is no `T`.
    pub fn get_as<T: DeserializeOwned>(
        &mut self,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<T>, Fault> {
        let value = self.get(key)?;
        value.map(|value| read_value(&value).map_err(Into::into)).transpose()
    }

    /// Puts a value.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.changes.insert(key.as_ref().to_owned(), Some(value.into()));
    }

    /// Puts a value, as [postcard](https://docs.rs/postcard).
    ///
    /// # Errors
    /// It has no such form.
    pub fn put_as<T: Serialize>(&mut self, key: impl AsRef<[u8]>, value: &T) -> Result<(), Fault> {
        let value = postcard::to_stdvec(value)?;
        self.put(key, value);
        Ok(())
    }

    /// Removes a value, if it is there.
    pub fn remove(&mut self, key: impl AsRef<[u8]>) {
        self.changes.insert(key.as_ref().to_owned(), None);
    }

    /// What was put and removed; an error if the store has failed meanwhile.
    pub(crate) fn into_changes(self) -> Result<Changes, StoreError> {
        self.failed.map_or(Ok(self.changes), Err)
    }
}

/// A value as it was [put](Values::put_as). What is left over belongs to another type.
pub(crate) fn read_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (value, []) => Ok(value),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}

/// Puts changes into a batch.
pub(crate) fn write(changes: &Changes, space: &str, batch: &mut Batch) {
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(space, key, value),
            None => batch.remove(space, key),
        }
    }
}
