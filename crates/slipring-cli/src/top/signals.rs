//! Signals that ask for an end: obeyed when the terminal is as it was before.

use std::io;

#[cfg(unix)]
pub use unix::Signals;

/// A signal by its number.
pub type Signal = i32;

#[cfg(unix)]
mod unix {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGTERM},
        flag, low_level,
    };

    use super::{Signal, io};

    /// Notes which signal has come. The second one ends the program as if nobody listened: a terminal that takes
    /// nothing may keep it from ever seeing the first.
    #[derive(Debug)]
    pub struct Signals {
        has_come: Arc<AtomicBool>,
        last: Arc<AtomicUsize>,
    }

    impl Signals {
        pub fn listen() -> io::Result<Self> {
            let signals = Self { has_come: Arc::default(), last: Arc::default() };
            for signal in [SIGTERM, SIGINT, SIGHUP] {
                // In this order: the first one comes before its own flag is up.
                flag::register_conditional_default(signal, Arc::clone(&signals.has_come))?;
                flag::register_usize(
                    signal,
                    Arc::clone(&signals.last),
                    signal.unsigned_abs() as usize,
                )?;
                flag::register(signal, Arc::clone(&signals.has_come))?;
            }
            Ok(signals)
        }

        /// The signal that asks for an end, if one has come.
        pub fn asked(&self) -> Option<Signal> {
            match self.last.load(Ordering::Relaxed) {
                0 => None,
                signal => Signal::try_from(signal).ok(),
            }
        }

        /// Ends the program as the signal does, so that whoever sent it sees that it was obeyed.
        pub fn obey(signal: Signal) -> io::Result<()> {
            low_level::emulate_default_handler(signal)
        }
    }
}

/// Where there are none.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    pub fn asked(&self) -> Option<Signal> {
        None
    }

    pub fn obey(_: Signal) -> io::Result<()> {
        Ok(())
    }
}
