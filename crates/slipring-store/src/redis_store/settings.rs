//! How a server is reached, and what it is told of the store.

use std::{fmt, time::Duration};

use redis::{ConnectionInfo, IntoConnectionInfo};

use super::RedisStore;
use crate::StoreError;

/// Where a [`RedisStore`] is and how it is to be: made with [`RedisStore::settings`].
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use slipring_store::RedisStore;
///
/// let store = RedisStore::settings("redis://:secret@127.0.0.1/", "shop")
///     .timeout(Duration::from_secs(2))
///     .expire_after(Duration::from_hours(24))
///     .connect()?;
/// # Ok::<(), slipring_store::StoreError>(())
/// ```
#[derive(Clone)]
pub struct RedisSettings {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) timeout: Duration,
    pub(super) patience: Duration,
    pub(super) segment: u64,
    pub(super) existing: bool,
    pub(super) expiry: Expiry,
}

/// Whether the server is to forget events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// As the store has it, or never for a new one.
    AsItIs,
    Never,
    After(Duration),
}

/// Without the address: there may be a password in it.
impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, name, timeout, patience, segment, existing, expiry } = self;
        f.debug_struct("RedisSettings")
            .field("name", name)
            .field("timeout", timeout)
            .field("patience", patience)
            .field("segment_events", segment)
            .field("existing", existing)
            .field("expiry", expiry)
            .finish_non_exhaustive()
    }
}

impl RedisSettings {
    /// How many bytes the name of a store may have.
    const LONGEST_NAME: usize = 128;

    pub(super) fn new(url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: name.into(),
            timeout: Duration::from_secs(10),
            patience: Duration::from_secs(5),
            segment: 4_096,
            existing: false,
            expiry: Expiry::AsItIs,
        }
    }

    /// How long the server may take for an answer, or for a connection: 10 seconds unless told otherwise. It must be
    /// longer than the longest commit takes.
    #[must_use = "it is built by value, another is returned"]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// For how long a call whose connection is lost tries to reach the server again, before it fails: 5 seconds unless
    /// told otherwise. The next call tries again in any case.
    #[must_use = "it is built by value, another is returned"]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many events a segment has: 4,096 unless told otherwise. A batch that has more gets one of its own. A
    /// segment is what retention and expiry remove at once.
    #[must_use = "it is built by value, another is returned"]
    pub fn segment_events(mut self, events: u64) -> Self {
        self.segment = events.max(1);
        self
    }

    /// Connects only to a store that is there, and makes none.
    #[must_use = "it is built by value, another is returned"]
    pub fn existing(mut self) -> Self {
        self.existing = true;
        self
    }

    /// Has the server itself forget events after that time, also when no program is running: 24 hours is
    /// `Retention::day().age`. It is counted by the clock of the server from the moment of the commit, not from the
    /// time in the event; a segment goes at once, and at most a 24th of the time later. What there is already goes when
    /// what comes now would. Checkpoints hold nothing back: nobody is there to ask them.
    ///
    /// It is a property of the store and stays when it is connected to without it. Values, checkpoints and the numbers
    /// of streams do not expire.
    #[must_use = "it is built by value, another is returned"]
    pub fn expire_after(mut self, time: Duration) -> Self {
        self.expiry = Expiry::After(time);
        self
    }

    /// Has the server forget nothing by itself of what comes from now on.
    #[must_use = "it is built by value, another is returned"]
    pub fn expire_never(mut self) -> Self {
        self.expiry = Expiry::Never;
        self
    }

    /// Connects, and makes the store if it is not there.
    ///
    /// # Errors
    /// What [`RedisStore::connect`] says.
    pub fn connect(self) -> Result<RedisStore, StoreError> {
        RedisStore::open(&self)
    }

    /// The address as the client knows it. Its errors may tell what is in the address, and are not passed on.
    pub(super) fn address(&self) -> Result<ConnectionInfo, StoreError> {
        let refused = |why: &str| Err(StoreError::Refused(why.into()));
        if self.name.is_empty() || self.name.len() > Self::LONGEST_NAME {
            return refused("the name of a store has 1 to 128 bytes");
        }
        if self.name.contains(['{', '}']) {
            return refused("the name of a store has no braces: the server sorts keys by them");
        }
        match self.url.as_str().into_connection_info() {
            Ok(address) if address.addr().is_supported() => Ok(address),
            Ok(_) => refused("this way to a server is not supported: use redis:// or unix://"),
            Err(_) => refused(
                "the address of the server is not of the form redis://user:password@host:port/database or unix:///path",
            ),
        }
    }

    /// What stands before all keys: the same between the braces, so that a cluster keeps them together.
    pub(super) fn prefix(&self) -> String {
        format!("{{{}}}:", self.name)
    }
}
