//! The stores that are tested.

use std::sync::Arc;

use slipring_store::{Embedded, EventStore, Memory};
use tempfile::TempDir;

use crate::common::harness::in_time;
#[cfg(feature = "redis")]
use crate::common::redis_server::{RedisServer, SYNCED};

pub type Shared = Arc<dyn EventStore>;

/// A place for one store.
pub trait Subject: Send + Sync {
    /// Opens the store.
    fn open(&self) -> Shared;

    /// Opens it again, in place of one that nobody has any more; what lives in memory stays as it is.
    fn reopen(&self, store: Shared) -> Shared {
        drop(store);
        self.open()
    }
}

/// Runs a property on a store of its own.
pub fn test<S: Subject + Default + 'static>(property: fn(&dyn Subject)) {
    in_time(move || property(&S::default()));
}

#[derive(Default)]
pub struct InMemory;

impl Subject for InMemory {
    fn open(&self) -> Shared {
        Arc::new(Memory::new())
    }

    fn reopen(&self, store: Shared) -> Shared {
        store
    }
}

/// Each in a directory of its own.
pub struct InFile(TempDir);

impl Default for InFile {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("there is room"))
    }
}

impl Subject for InFile {
    fn open(&self) -> Shared {
        Arc::new(Embedded::open(self.0.path()).expect("nobody else has it"))
    }
}

/// Each with a server of its own, that syncs what it confirms.
#[cfg(feature = "redis")]
pub struct InRedis(RedisServer);

#[cfg(feature = "redis")]
impl Default for InRedis {
    fn default() -> Self {
        Self(RedisServer::start(SYNCED))
    }
}

#[cfg(feature = "redis")]
impl Subject for InRedis {
    /// Of small segments, so that there are many.
    fn open(&self) -> Shared {
        let settings = slipring_store::RedisStore::settings(self.0.url(), "conformance");
        Arc::new(settings.segment_events(64).connect().expect("the server is there"))
    }
}
