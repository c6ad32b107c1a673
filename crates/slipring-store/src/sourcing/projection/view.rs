//! What a projection shows.

use std::{fmt, ops::ControlFlow, sync::Arc};

use serde::de::DeserializeOwned;

use crate::{
    EventStore, StoreError,
    sourcing::projection::{names::Names, values::read_value},
};

/// A key and its value.
type Pair = (Vec<u8>, Vec<u8>);

/// How often something is read together, before it is given up.
const TRIES: usize = 64;

/// The values of a projection, for those who want to know: those of the version that is shown, and of that one only,
/// also when another takes over meanwhile.
///
/// # Examples
/// See [`Projector`](crate::sourcing::Projector).
#[derive(Clone)]
pub struct ProjectionView {
    store: Arc<dyn EventStore>,
    name: Box<str>,
}

/// The values of one version of a projection.
#[derive(Clone, Copy)]
pub struct ShownVersion<'a> {
    store: &'a dyn EventStore,
    names: Option<&'a Names>,
}

impl fmt::Debug for ProjectionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectionView").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for ShownVersion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownVersion").field("version", &self.version()).finish_non_exhaustive()
    }
}

impl ProjectionView {
    /// That of the projection that is called so. As long as there is none, nothing is in it.
    pub fn of(store: Arc<dyn EventStore>, name: impl Into<Box<str>>) -> Self {
        Self { store, name: name.into() }
    }

    /// A value, if it is there.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
        let key = key.as_ref();
        self.read(|shown| shown.get(key))
    }

    /// A value that was [put as](crate::sourcing::Values::put_as) a `T`, if it is there.
    ///
    /// # Errors
    /// The store cannot be read, or what is there is no `T`.
    pub fn get_as<T: DeserializeOwned>(
        &self,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<T>, StoreError> {
        let key = key.as_ref();
        self.read(|shown| shown.get_as(key))
    }

    /// The values from a key on, so many at most, in the order of the keys as bytes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn range(&self, from: impl AsRef<[u8]>, most: usize) -> Result<Vec<Pair>, StoreError> {
        let from = from.as_ref();
        self.read(|shown| shown.range(from, most))
    }

    /// Reads several values of one version. If another takes over meanwhile, `reader` is called again.
    ///
    /// Events that are applied meanwhile may be in one value and not yet in another; see
    /// [`read_together`](Self::read_together).
    ///
    /// # Errors
    /// `reader` fails, or the store cannot be read.
    pub fn read<T>(
        &self,
        mut reader: impl FnMut(ShownVersion<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        loop {
            let active = self.active()?;
            let read = reader(ShownVersion { store: &*self.store, names: active.as_ref() });
            let version = |names: &Option<Names>| names.as_ref().map(|names| names.version);
            if version(&active) == version(&self.active()?) {
                return read;
            }
        }
    }

    /// Reads several values as they are at one position, which is returned with what is read: if the projection moves
    /// meanwhile, `reader` is called again. `None` if it moves each of 64 times, or there is no such projection.
    ///
    /// # Errors
    /// `reader` fails, or the store cannot be read.
    pub fn read_together<T>(
        &self,
        mut reader: impl FnMut(ShownVersion<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<(u64, T)>, StoreError> {
        for _ in 0..TRIES {
            let Some(names) = self.active()? else { return Ok(None) };
            let before = names.checkpoint.get(&*self.store)?;
            let read = reader(ShownVersion { store: &*self.store, names: Some(&names) });
            let after = names.checkpoint.get(&*self.store)?;
            // One that another has taken over from has no checkpoint any more.
            if let Some(position) = before.filter(|_| before == after) {
                return read.map(|read| Some((position, read)));
            }
        }
        Ok(None)
    }

    /// How far the version that is shown has come: the position of the next event that it is to see.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn position(&self) -> Result<Option<u64>, StoreError> {
        self.read(|shown| shown.names.map_or(Ok(None), |names| names.checkpoint.get(shown.store)))
    }

    /// Which version is shown.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn version(&self) -> Result<Option<u32>, StoreError> {
        Names::active(&*self.store, &self.name)
    }

    fn active(&self) -> Result<Option<Names>, StoreError> {
        Ok(self.version()?.map(|version| Names::of(&self.name, version)))
    }
}

impl ShownVersion<'_> {
    /// Which version it is; none if there is no such projection.
    pub fn version(&self) -> Option<u32> {
        self.names.map(|names| names.version)
    }

    /// A value, if it is there.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
        self.names.map_or(Ok(None), |names| self.store.value(&names.space, key.as_ref()))
    }

    /// A value that was [put as](crate::sourcing::Values::put_as) a `T`, if it is there.
    ///
    /// # Errors
    /// The store cannot be read, or what is there is no `T`.
    pub fn get_as<T: DeserializeOwned>(
        &self,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<T>, StoreError> {
        let key = key.as_ref();
        let value = self.get(key)?;
        value.map(|value| read_value(&value)).transpose().map_err(|error| {
            let space = self.names.map_or("", |names| &names.space);
            StoreError::damaged(
                format_args!("value `{}` of `{space}`", key.escape_ascii()),
                format_args!("it is not of the type that was asked for: {error}"),
            )
        })
    }

    /// The values from a key on, so many at most, in the order of the keys as bytes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn range(&self, from: impl AsRef<[u8]>, most: usize) -> Result<Vec<Pair>, StoreError> {
        let mut found = Vec::new();
        let Some(names) = self.names else { return Ok(found) };
        self.store.values(&names.space, from.as_ref(), &mut |key, value| {
            if found.len() == most {
                return ControlFlow::Break(());
            }
            found.push((key.to_owned(), value.to_owned()));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }
}
