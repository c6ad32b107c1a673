//! Where a projection's things are in the store.
//!
//! Of `balances` in version 2, values are in the space `balances@2`, parked events in `balances@2!parked`, and the
//! checkpoint is `balances@2`; another one, `balances@2!parked`, is at the first parked event, so that it is not removed. In [`PROJECTIONS`] stands for `balances` which version is shown, and each version that
//! has something in the store.

use std::ops::ControlFlow;

use crate::{Batch, CHECKPOINTS, Checkpoint, EventStore, StoreError, sourcing::StartError};

/// The [space](EventStore::value) in which stands which version of each projection is shown.
pub const PROJECTIONS: &str = "projections";

/// A version of a projection.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub name: Box<str>,
    pub version: u32,
    pub space: Box<str>,
    pub parked: Box<str>,
    pub checkpoint: Checkpoint,
    /// At the first event that is parked.
    pub hold: Checkpoint,
}

impl Names {
    pub fn new(name: &str, version: u32) -> Result<Self, StartError> {
        if name.is_empty() || name.contains(['@', '!', '\0']) {
            return Err(StartError::Name(name.into()));
        }
        Ok(Self::of(name, version))
    }

    /// Of a name that was checked.
    pub fn of(name: &str, version: u32) -> Self {
        let space = format!("{name}@{version}");
        let parked = format!("{space}!parked");
        Self {
            name: name.into(),
            version,
            hold: Checkpoint::named(parked.as_str()),
            parked: parked.into(),
            checkpoint: Checkpoint::named(space.as_str()),
            space: space.into(),
        }
    }

    /// Under which its version that is shown stands.
    fn active_key(name: &str) -> Vec<u8> {
        [name.as_bytes(), b"\0"].concat()
    }

    fn version_key(name: &str, version: u32) -> Vec<u8> {
        [name.as_bytes(), b"\0", &version.to_be_bytes()].concat()
    }

    /// Which version is shown.
    pub fn active(store: &dyn EventStore, name: &str) -> Result<Option<u32>, StoreError> {
        let Some(value) = store.value(PROJECTIONS, &Self::active_key(name))? else {
            return Ok(None);
        };
        let version = value.as_slice().try_into().map(u32::from_be_bytes);
        version.map(Some).map_err(|_| {
            StoreError::damaged(
                format_args!("the version of projection `{name}`"),
                format_args!("it has {} bytes in place of 4", value.len()),
            )
        })
    }

    pub fn expect_active(&self, batch: &mut Batch, version: Option<u32>) {
        let bytes = version.map(u32::to_be_bytes);
        let value = bytes.as_ref().map(|bytes| &bytes[..]);
        batch.expect_value(PROJECTIONS, &Self::active_key(&self.name), value);
    }

    pub fn put_active(&self, batch: &mut Batch) {
        batch.put(PROJECTIONS, &Self::active_key(&self.name), &self.version.to_be_bytes());
    }

    /// Has the commit expect that it has come so far.
    pub fn expect_position(&self, batch: &mut Batch, position: Option<u64>) {
        let bytes = position.map(u64::to_be_bytes);
        let value = bytes.as_ref().map(|bytes| &bytes[..]);
        batch.expect_value(CHECKPOINTS, self.checkpoint.name().as_bytes(), value);
    }

    /// Notes that this version has something in the store.
    pub fn put_version(&self, batch: &mut Batch) {
        batch.put(PROJECTIONS, &Self::version_key(&self.name, self.version), b"");
    }

    /// This version has nothing in the store any more.
    pub fn remove_version(&self, batch: &mut Batch) {
        batch.remove(PROJECTIONS, &Self::version_key(&self.name, self.version));
        self.checkpoint.remove(batch);
        self.hold.remove(batch);
    }

    /// An older version that has something in the store.
    pub fn older(&self, store: &dyn EventStore) -> Result<Option<Self>, StoreError> {
        let prefix = Self::active_key(&self.name);
        let mut oldest = None;
        store.values(PROJECTIONS, &prefix, &mut |key, _| match key.strip_prefix(&prefix[..]) {
            Some([]) => ControlFlow::Continue(()),
            Some(version) => {
                oldest = version.try_into().map(u32::from_be_bytes).ok();
                ControlFlow::Break(())
            }
            None => ControlFlow::Break(()),
        })?;
        let older = oldest.filter(|version| *version < self.version);
        Ok(older.map(|version| Self::of(&self.name, version)))
    }
}
