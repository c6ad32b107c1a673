//! The clock. Under loom, and under shuttle unless the model says otherwise, it stands still: a
//! deadline that was in the future when the clock was first looked at never comes, and one that was
//! in the past has come. So models are deterministic, and whoever needs a time-out to get on is
//! found as a deadlock.

use std::{sync::OnceLock, time::Duration};

pub(crate) use std::time::Instant;

/// The moment at which the process first asked, and later if time passes.
pub fn now() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now) + passed()
}

/// Takes no time.
pub(crate) fn hold_off(_from: Instant, _time: Duration) {}

#[cfg(loom)]
fn passed() -> Duration {
    Duration::ZERO
}

#[cfg(shuttle)]
pub use passing::let_time_pass;
#[cfg(shuttle)]
use passing::passed;
#[cfg(shuttle)]
pub(crate) use passing::passes;

/// Time that passes in jumps: any look at the clock may find that every deadline has come.
#[cfg(shuttle)]
mod passing {
    use std::{cell::Cell, time::Duration};

    use shuttle::rand::RngCore;

    /// Longer than anything that this crate or a model waits for.
    const JUMP: Duration = Duration::from_hours(1);

    // Of the whole model, whose threads share a thread of the system.
    std::thread_local! {
        static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static ONE_IN: Cell<u32> = const { Cell::new(0) };
    }

    /// From now on one in so many looks finds that time has passed; 0: it stands still.
    pub fn let_time_pass(one_in: u32) {
        ONE_IN.set(one_in);
        PASSED.set(Duration::ZERO);
    }

    /// Whether there are time-outs in this model.
    pub(crate) fn passes() -> bool {
        ONE_IN.get() > 0
    }

    pub(super) fn passed() -> Duration {
        if passes() && shuttle::rand::thread_rng().next_u32().is_multiple_of(ONE_IN.get()) {
            PASSED.set(PASSED.get() + JUMP);
        }
        PASSED.get()
    }
}
