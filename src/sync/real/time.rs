//! The clock.

use std::time::Duration;

pub(crate) use std::time::Instant;

/// The time.
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Spins until `time` has passed since `from`: too short a time to sleep.
pub(crate) fn hold_off(from: Instant, time: Duration) {
    let until = from + time;
    while now() < until {
        std::hint::spin_loop();
    }
}
