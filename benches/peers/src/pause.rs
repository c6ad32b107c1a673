//! The waits that are loops: one step of each, the same code for every peer.

use std::hint;
use std::thread;

use disruptor::Sequence;
use disruptor::wait_strategies::WaitStrategy;

/// One step of a waiting loop, and `disruptor`'s strategy that does the same.
pub trait Pause: WaitStrategy + Default + Sync + 'static {
    /// Waits a moment.
    fn pause();
}

/// Spins with the processor's pause hint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint;

/// Gives the time slice away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Yield;

impl Pause for Hint {
    #[inline]
    fn pause() {
        hint::spin_loop();
    }
}

impl Pause for Yield {
    #[inline]
    fn pause() {
        thread::yield_now();
    }
}

// `disruptor`'s own BusySpinWithSpinLoopHint does the same, without the `#[inline]`.
impl WaitStrategy for Hint {
    #[inline]
    fn wait_for(&self, _sequence: Sequence) {
        Self::pause();
    }
}

// `disruptor` has no yield; its trait makes one in a line.
impl WaitStrategy for Yield {
    #[inline]
    fn wait_for(&self, _sequence: Sequence) {
        Self::pause();
    }
}
