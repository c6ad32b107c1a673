//! How decisions are committed.

use std::{fmt, sync::Arc, time::Duration};

use slipring_events::{Clock, SystemClock};

use crate::Durability;

/// How a [`Repository`](crate::sourcing::Repository) commits what was decided.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use slipring_store::{Durability, sourcing::Settings};
///
/// let settings = Settings::default()
///     .retries(3)
///     .durability(Durability::Visible)
///     .remember_for(Duration::from_hours(24));
/// assert_eq!(settings.retries, 3);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// How often a command is tried again when others were there before; 16 if not given.
    pub retries: u32,
    /// When a command counts as carried out; when it is [on the disk](Durability::Synced) if not given.
    pub durability: Durability,
    /// How long commands with an id are remembered; 7 days if not given.
    pub remember: Duration,
    /// Who says what happens: [`Entry::source`](crate::Entry::source).
    pub source: Arc<str>,
    /// What events are dated by.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("retries", &self.retries)
            .field("durability", &self.durability)
            .field("remember", &self.remember)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retries: 16,
            durability: Durability::Synced,
            remember: Duration::from_hours(7 * 24),
            source: "".into(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl Settings {
    /// They with so many retries.
    #[must_use = "they are built by value, others are returned"]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// They with that durability.
    #[must_use = "they are built by value, others are returned"]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// They with commands remembered for so long.
    #[must_use = "they are built by value, others are returned"]
    pub fn remember_for(mut self, remember: Duration) -> Self {
        self.remember = remember;
        self
    }

    /// They with events told by somebody.
    #[must_use = "they are built by value, others are returned"]
    pub fn source(mut self, source: impl Into<Arc<str>>) -> Self {
        self.source = source.into();
        self
    }

    /// They with that clock.
    #[must_use = "they are built by value, others are returned"]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}
