//! The clock.

use std::time::Duration;

pub(crate) use std::time::Instant;

/// The time.
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Spins for a time that is too short to sleep.
pub(crate) fn hold_off(time: Duration) {
    let until = now() + time;
    while now() < until {
        std::hint::spin_loop();
    }
}
