//! Errors: what went wrong, and what to do about it. None of them allocates when it is made on a
//! path that a full or closing ring takes.

use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Why a publish call was refused. Nothing was published, and the write closure was not called
/// (unless the ring was closed or halted while a single producer was in it: then what it wrote
/// does not count).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// There is no room now; only the `try_` forms say so. Try again later, or use a waiting form.
    Full,
    /// The batch can never fit. Split it into batches of at most `capacity` events.
    TooLarge {
        /// Events in the batch.
        asked: usize,
        /// Slots in the ring.
        capacity: usize,
    },
    /// The ring was closed or halted by its owner: it takes no more events.
    Closed,
    /// A station failed under [`Policy::Halt`](crate::Policy::Halt) and stopped the ring.
    Halted(Fault),
    /// The deadline passed while the ring was full.
    TimedOut,
    /// A handler publishes into its own full ring, and the room it waits for is behind its own
    /// station: waiting would never end. Use a `try_` form and keep the event for the next call
    /// of the handler, or publish into another ring.
    ///
    /// Found for handlers of stations and of pollers, and for the reset hook. Not found, and
    /// waiting for ever: publishing into a full ring inside one of its own write closures, or
    /// while a [`Batch`](crate::Batch) of it is held; two rings whose handlers feed each other.
    WouldDeadlock {
        /// A station that this thread is running and that is in the way: where handlers poll other
        /// stations, the outermost such one.
        station: Arc<str>,
    },
    /// The ring has come to sequence 2^63 - 1 and cannot count further. Build a new one.
    Exhausted,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full: try again later or use a waiting form"),
            Self::TooLarge { asked, capacity } => {
                write!(f, "a batch of {asked} events never fits a ring of {capacity}: split it")
            }
            Self::Closed => f.write_str("the ring is closed: it takes no more events"),
            Self::Halted(fault) => write!(f, "the ring was halted: {fault}"),
            Self::TimedOut => f.write_str("the deadline passed while the ring was full"),
            Self::WouldDeadlock { station } => write!(
                f,
                "station `{station}` publishes into its own full ring and would wait for itself: \
                 use a try_ form and keep the event for later, or use another ring"
            ),
            Self::Exhausted => f.write_str("the ring has used up its sequences: build a new one"),
        }
    }
}

impl std::error::Error for PublishError {}

/// What kind of failure stopped a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The handler returned an error.
    Error,
    /// The handler panicked.
    Panic,
}

/// The failure that halted a ring: which station, at which event, and what it said.
///
/// Cheap to clone; every producer that is refused gets one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Arc<FaultRecord>);

#[derive(Debug, PartialEq, Eq)]
struct FaultRecord {
    station: Arc<str>,
    sequence: u64,
    kind: FaultKind,
    message: String,
}

impl Fault {
    pub(crate) fn new(station: Arc<str>, sequence: u64, failure: Failure) -> Self {
        let Failure { kind, message, is_final: _ } = failure;
        Self(Arc::new(FaultRecord { station, sequence, kind, message }))
    }

    /// The name of the station that failed.
    pub fn station(&self) -> &str {
        &self.0.station
    }

    /// The sequence of the event that it failed on; for a batch handler the first of the slice,
    /// for a hook the next event.
    pub fn sequence(&self) -> u64 {
        self.0.sequence
    }

    /// Whether the handler returned an error or panicked.
    pub fn kind(&self) -> FaultKind {
        self.0.kind
    }

    /// The error's text or the panic's message.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.kind() {
            FaultKind::Error => "failed",
            FaultKind::Panic => "panicked",
        };
        let (station, sequence, message) = (self.station(), self.sequence(), self.message());
        write!(f, "station `{station}` {verb} at sequence {sequence}: {message}")
    }
}

impl std::error::Error for Fault {}

/// A handler's failure before anybody knows where it happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
    /// Whether the ring halts, whatever the policy says.
    pub(crate) is_final: bool,
}

impl Failure {
    #[cold]
    pub(crate) fn error(message: String) -> Self {
        Self { kind: FaultKind::Error, message, is_final: false }
    }

    /// Takes the message out of a panic's payload. A payload whose destructor panics as well is
    /// not allowed to take the thread with it.
    #[cold]
    pub(crate) fn panic(payload: Box<dyn Any + Send>) -> Self {
        let message = if let Some(message) = payload.downcast_ref::<String>() {
            message.clone()
        } else if let Some(message) = payload.downcast_ref::<&str>() {
            (*message).to_owned()
        } else {
            "a panic without a text".to_owned()
        };
        let_go(payload);
        Self { kind: FaultKind::Panic, message, is_final: false }
    }
}

/// Drops what may panic when it is dropped.
#[cold]
pub(crate) fn let_go<T>(value: T) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // There is no end to how often it could panic.
        mem::forget(another);
    }
}

/// Why a ring could not be built or started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The capacity is no power of two, or too large for the address space.
    Capacity {
        /// What was asked for.
        asked: usize,
        /// The next capacity that works.
        next: usize,
    },
    /// No station was declared: nobody would ever see an event.
    NoStations,
    /// More stations were declared than a ring can have.
    TooManyStations {
        /// Stations declared.
        asked: usize,
        /// Stations possible.
        most: usize,
    },
    /// A stage with no station in it was declared: an empty list.
    EmptyStage,
    /// A station's name cannot be a thread's: it has a NUL character in it.
    BadName(String),
    /// Two stations have the same name.
    DuplicateName(String),
    /// A station follows a name that no station has.
    UnknownName {
        /// The name that was followed.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// Stations follow each other in a circle, in this order.
    Cycle(Vec<String>),
    /// A mutating station may run at the same time as another one.
    Unordered {
        /// The station that mutates the event.
        mutating: String,
        /// A station that is neither before nor after it.
        other: String,
    },
    /// A station's largest batch is 0.
    NoBatch {
        /// The station.
        station: String,
    },
    /// A station is to be shared by no workers at all.
    NoWorkers {
        /// The station.
        station: String,
    },
    /// A station cannot have the limit to its lag that it was given.
    LagLimit {
        /// The station.
        station: String,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// A station is pinned to a core that does not exist or is not this process's to use.
    NoSuchCore {
        /// The station.
        station: String,
        /// The core that was asked for.
        core: usize,
        /// The cores that exist.
        available: Vec<usize>,
    },
    /// A station's thread could not start, could not be pinned, or its state or its start hook
    /// failed.
    NotStarted {
        /// The station.
        station: String,
        /// What happened.
        cause: String,
    },
    /// The first sequence leaves no room to count.
    FirstSequence(u64),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity { asked, next } => {
                write!(
                    f,
                    "a capacity of {asked} is not possible: it must be a power of two, such as {next}"
                )
            }
            Self::NoStations => f.write_str(
                "the ring has no stations: add one with `then`, or let them come later with \
                 `without_stations`",
            ),
            Self::TooManyStations { asked, most } => write!(
                f,
                "a ring of {asked} stations is not possible: use at most {most}, or a second ring"
            ),
            Self::EmptyStage => f.write_str("a stage has no stations: leave it out or fill it"),
            Self::BadName(name) => {
                write!(f, "a station cannot be called {name:?}: leave the NUL characters out")
            }
            Self::DuplicateName(name) => {
                write!(f, "two stations are called `{name}`: give each a name of its own")
            }
            Self::UnknownName { name, known } => {
                write!(f, "no station is called `{name}`: the stations are {}", known.join(", "))
            }
            Self::Cycle(names) => {
                write!(f, "stations follow each other in a circle: {}", names.join(" -> "))
            }
            Self::Unordered { mutating, other } => write!(
                f,
                "`{mutating}` mutates events but is ordered neither before nor after `{other}`: \
                 put one after the other, or let `{mutating}` only read"
            ),
            Self::NoBatch { station } => {
                write!(f, "station `{station}` has a largest batch of 0: use at least 1")
            }
            Self::NoWorkers { station } => {
                write!(f, "station `{station}` is shared by 0 workers: use at least 1")
            }
            Self::LagLimit { station, reason } => {
                write!(f, "station `{station}` cannot have this limit to its lag: {reason}")
            }
            Self::NoSuchCore { station, core, available } => write!(
                f,
                "station `{station}` cannot be pinned to core {core}: the cores are {available:?}"
            ),
            Self::NotStarted { station, cause } => {
                write!(f, "station `{station}` did not start: {cause}")
            }
            Self::FirstSequence(first) => {
                write!(f, "a ring cannot start at sequence {first}: use at most 2^62")
            }
        }
    }
}

impl std::error::Error for BuildError {}

/// Why a poller could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollerError {
    /// No polled station has this name.
    UnknownName {
        /// The name that was asked for.
        name: String,
        /// The polled stations whose pollers are still to be had.
        available: Vec<String>,
    },
    /// The station reads: it was declared with [`poller`](crate::poller).
    Reads(String),
    /// The station mutates: it was declared with [`poller_mut`](crate::poller_mut).
    Mutates(String),
}

impl fmt::Display for PollerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName { name, available } => write!(
                f,
                "`{name}` is no polled station, or its poller was taken: still to be had are {available:?}"
            ),
            Self::Reads(name) => {
                write!(f, "station `{name}` only reads: take it with `poller`")
            }
            Self::Mutates(name) => {
                write!(f, "station `{name}` mutates events: take it with `poller_mut`")
            }
        }
    }
}

impl std::error::Error for PollerError {}
