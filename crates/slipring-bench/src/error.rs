//! What was asked for and cannot be done, and what to do instead.

use std::{error::Error, fmt, io, path::PathBuf};

use crate::cell::Scenario;

/// Why nothing was measured, or nothing was written.
#[derive(Debug)]
pub enum CommandError {
    /// No contestant has this name.
    UnknownContestant {
        /// What was asked for.
        name: String,
        /// Those that this program has.
        known: Vec<String>,
    },
    /// An option that must not be 0 is.
    Zero {
        /// The option.
        option: &'static str,
    },
    /// The ring is no power of two.
    Ring {
        /// What was asked for.
        slots: usize,
    },
    /// A batch is larger than the ring.
    Batch {
        /// Events of the batch.
        batch: usize,
        /// Slots of the ring.
        slots: usize,
    },
    /// Nobody has events of this size.
    Bytes {
        /// What was asked for.
        bytes: usize,
    },
    /// A round trip cannot be that fast.
    PingPongRate {
        /// What was asked for.
        rate: u64,
    },
    /// There is no multi-producer form of an open loop.
    NoTimetable {
        /// What was asked for.
        scenario: Scenario,
    },
    /// The time of a run is not positive, or longer than an hour.
    Seconds {
        /// What was asked for.
        seconds: f64,
    },
    /// A core that this process does not have.
    Core {
        /// What was asked for.
        core: usize,
        /// Those that it has.
        known: Vec<usize>,
    },
    /// All options are right, but no contestant can do any of it.
    NothingFits,
    /// A file cannot be written.
    Output {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A plot cannot be drawn.
    Plot(String),
}

/// The fastest round trip that may be asked for, in events per second.
pub const PING_PONG_RATE_MAX: u64 = 200_000;

impl fmt::Display for CommandError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownContestant { name, known } => write!(
                out,
                "no contestant is called `{name}`: this program has {}. For other libraries build the \
                 comparison: cargo run --release --manifest-path benches/peers/Cargo.toml -- ...",
                known.join(", "),
            ),
            Self::Zero { option } => write!(out, "{option} must be at least 1"),
            Self::Ring { slots } => match slots.checked_next_power_of_two() {
                Some(next) => {
                    write!(out, "--ring {slots} is no power of two: use for example {next}")
                }
                None => write!(out, "--ring {slots} is no power of two"),
            },
            Self::Batch { batch, slots } => write!(
                out,
                "a batch of {batch} does not fit into a ring of {slots} slots: use a smaller --batch or \
                 a larger --ring",
            ),
            Self::Bytes { bytes } => write!(
                out,
                "there are no events of {bytes} bytes: use 8 or 64 (for stages 24 or 64, for buses 16 or 64), or for \
                 slipring's unicast a power of two from 8 to 1024",
            ),
            Self::PingPongRate { rate } => write!(
                out,
                "a pingpong at {rate} round trips a second measures the wait for the last echo: use \
                 --rate {PING_PONG_RATE_MAX} or less",
            ),
            Self::NoTimetable { scenario } => write!(
                out,
                "{scenario} has no open loop: several producers would each need a timetable, and \
                 several workers would each time a part of the events; buses are compared as fast as they go. Use unicast, multicastN, \
                 pipelineN, diamond or pingpong",
            ),
            Self::Seconds { seconds } => {
                write!(out, "--seconds {seconds} is no time for a run: use for example 0.1")
            }
            Self::Core { core, known } => {
                let known: Vec<_> = known.iter().map(usize::to_string).collect();
                write!(out, "there is no core {core}: --pin can use {}", known.join(","))
            }
            Self::NothingFits => write!(
                out,
                "no contestant can do what was asked for: most have events of 8 or 64 bytes (with \
                 stages 24 or 64) and the sizes unicast, mpsc1, mpsc2, mpsc3, multicast and pipeline; \
                 those who can share events have shareN, keyedN and skewedN of any size, and buses, which are \
                 in benches/peers only, publish one event of 16 or 64 bytes at a time",
            ),
            Self::Output { path, source } => {
                write!(out, "cannot write {}: {source}", path.display())
            }
            Self::Plot(why) => write!(out, "a plot cannot be drawn: {why}"),
        }
    }
}

impl Error for CommandError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Output { source, .. } => Some(source),
            _ => None,
        }
    }
}
