//! A clock that stands still. A deadline that was in the future when the clock was first looked at
//! never comes, and one that was in the past has come: so models are deterministic, and whoever
//! needs a time-out to get on is found as a deadlock.

use std::{sync::OnceLock, time::Duration};

pub(crate) use std::time::Instant;

/// The moment at which the process first asked.
pub(crate) fn now() -> Instant {
    static NOW: OnceLock<Instant> = OnceLock::new();
    *NOW.get_or_init(Instant::now)
}

/// Takes no time.
pub(crate) fn hold_off(_time: Duration) {}
