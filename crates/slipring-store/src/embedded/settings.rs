//! How a store is opened.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::StorageBackend;
use slipring_events::Source;

use super::{Embedded, files, opening};
use crate::StoreError;

/// How an [`Embedded`] store is opened, by [`Embedded::settings`].
///
/// # Examples
/// ```
/// use slipring_store::{Embedded, EventStore, embedded::Check};
///
/// # let home = tempfile::tempdir()?;
/// # let dir = home.path().join("events");
/// let store = Embedded::settings().cache_bytes(64 << 20).check(Check::Always).open(&dir)?;
/// assert_eq!(store.bounds()?.end, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) cache_bytes: usize,
    pub(super) unindexed_events: u64,
    pub(super) quick_repair: bool,
    pub(super) check: Check,
    pub(super) create: bool,
    pub(super) source: Option<Source>,
}

/// Whether every page is compared with its checksum when a store is opened.
///
/// Whatever is read is compared with a checksum when it is read, too. Only this one sees that a whole page is an older
/// one, or one of another place, before anybody reads it: it reads the whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Each time.
    Always,
    /// If the file has so many bytes or fewer.
    UpTo(u64),
    /// After a crash only, when it must be.
    AfterCrash,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            unindexed_events: 4096,
            quick_repair: false,
            check: Check::default(),
            create: true,
            source: None,
        }
    }
}

impl Default for Check {
    /// Up to 256 MiB.
    fn default() -> Self {
        Self::UpTo(256 << 20)
    }
}

impl Settings {
    /// How much memory the database may take to keep what it has read, and what is not written yet: 256 MiB, unless
    /// told.
    #[must_use = "settings are built by value, others are returned"]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// How many events may be without an entry in the index of times: 4,096, unless told. More of them make commits
    /// quicker, as the index is written for all of them at once, and queries slower, as each looks at all of them. A
    /// commit counts as 32 beside its own, and 256 bytes as one.
    #[must_use = "settings are built by value, others are returned"]
    pub fn unindexed_events(mut self, events: u32) -> Self {
        self.unindexed_events = events.into();
        self
    }

    /// Whether the list of free pages goes with each sync, so that a store opens at once after a crash, too. Otherwise
    /// its whole file is read then. A sync takes about twice as long with it.
    #[must_use = "settings are built by value, others are returned"]
    pub fn quick_repair(mut self, quick: bool) -> Self {
        self.quick_repair = quick;
        self
    }

    /// When to compare every page with its checksum: up to 256 MiB, unless told.
    #[must_use = "settings are built by value, others are returned"]
    pub fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// Takes a store that is there, and makes none.
    #[must_use = "settings are built by value, others are returned"]
    pub fn existing(mut self) -> Self {
        self.create = false;
        self
    }

    /// The source that a new store gets, in place of a fresh one. A store that is there keeps its own.
    #[must_use = "settings are built by value, others are returned"]
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Opens the store of a directory, and makes both if they are not there.
    ///
    /// # Errors
    /// Another has it open, or it is no store, or of another version, or damaged, or the directory cannot be written.
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Embedded, StoreError> {
        files::open(self, dir.as_ref())
    }

    /// Opens a store on files of one's own: for tests of what happens when disks fail. Nobody is kept from opening it
    /// twice.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_on(
        &self,
        events: Arc<dyn StorageBackend>,
        high_water: Arc<dyn StorageBackend>,
    ) -> Result<Embedded, StoreError> {
        opening::open(self, PathBuf::from("(files of one's own)"), events, high_water, None)
    }

    /// The builder of redb for a file of so many bytes.
    pub(super) fn builder(&self, length: u64) -> redb::Builder {
        let mut builder = redb::Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder.set_check_integrity_on_open(match self.check {
            Check::Always => true,
            Check::UpTo(bytes) => length <= bytes,
            Check::AfterCrash => false,
        });
        builder
    }
}
