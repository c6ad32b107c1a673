//! What a publish call comes to when it is refused, and a subscription.

use std::{error::Error, fmt};

use slipring::{BuildError, PublishError};

/// Where a value that was published is.
///
/// ```
/// use slipring_events::reactive::{Delivered, Subject};
///
/// let mut subject = Subject::new(8)?;
/// assert_eq!(subject.publish('a')?, Delivered { sequence: 0, subscribers: 0 });
/// let _flow = subject.subscribe()?;
/// assert_eq!(subject.publish('b')?, Delivered { sequence: 1, subscribers: 1 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its place among all that was published: each has one more than the one before.
    pub sequence: u64,
    /// How many subscribers there were when the call was made; with none, nobody will see it but those who
    /// come to a [replaying](super::Subject::replaying) subject. One that came or went just then may count or not.
    pub subscribers: usize,
}

/// A publish call was refused, and had no effect. The value comes back.
///
/// ```
/// use slipring_events::reactive::{Refusal, Subject};
///
/// let mut subject = Subject::new(1)?;
/// let _slow = subject.subscribe()?;
/// assert_eq!(subject.try_publish("first").map(|delivered| delivered.subscribers), Ok(1));
/// let refused = subject.try_publish("second").unwrap_err();
/// assert_eq!((refused.value, refused.why), ("second", Refusal::Full));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Refused<T> {
    /// What was to be published.
    pub value: T,
    /// Why it was not.
    pub why: Refusal,
}

// Whatever the value is: an error must go into a `Box<dyn Error>`.
impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<T> Error for Refused<T> {}

/// Why a publish call was refused. See [`Refused`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The slowest subscriber is as many values behind as there is room for. Only the `try_` form says so: try again
    /// later, or use a form that waits.
    Full,
    /// The deadline passed while there was no room.
    TimedOut,
    /// The subject is closed.
    Closed,
    /// The value is published from inside the `clone` or the destructor of one, and the room that it waits for is
    /// behind that.
    WouldDeadlock,
}

impl From<&PublishError> for Refusal {
    fn from(error: &PublishError) -> Self {
        match error {
            PublishError::Full => Self::Full,
            PublishError::TimedOut => Self::TimedOut,
            PublishError::WouldDeadlock { .. } => Self::WouldDeadlock,
            // Nobody else has the ring and could halt it.
            _ => Self::Closed,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "a subscriber is behind by all there is room for: try again later, or wait",
            Self::TimedOut => "the deadline passed while there was no room",
            Self::Closed => "the subject is closed: it takes no more values",
            Self::WouldDeadlock => {
                "published where a value is cloned or dropped, with no room before that is done: use \
                 `try_publish` there"
            }
        })
    }
}

impl Error for Refusal {}

/// Why a subject could not be made.
///
/// ```
/// use slipring_events::reactive::{Subject, SubjectError};
///
/// assert!(matches!(Subject::<u8>::new(6), Err(SubjectError::Ring(_))));
/// let error = Subject::<u8>::replaying(8, 100).unwrap_err();
/// assert_eq!(error, SubjectError::Replay { last: 100, capacity: 8 });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectError {
    /// What is wrong with its ring.
    Ring(BuildError),
    /// It is to replay as much as there is room for, or more: nothing could be published then.
    Replay {
        /// How many values it is to replay.
        last: usize,
        /// How many there is room for.
        capacity: usize,
    },
}

impl From<BuildError> for SubjectError {
    fn from(error: BuildError) -> Self {
        Self::Ring(error)
    }
}

impl fmt::Display for SubjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(error) => error.fmt(f),
            Self::Replay { last, capacity } => write!(
                f,
                "a subject with room for {capacity} values cannot keep {last} of them to be replayed: \
                 it needs room for one more"
            ),
        }
    }
}

impl Error for SubjectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Ring(error) => Some(error),
            Self::Replay { .. } => None,
        }
    }
}

/// There are as many subscribers as there can be.
///
/// ```
/// use slipring_events::reactive::{Subject, TooManySubscribers};
///
/// let subject = Subject::<u8>::new(8)?;
/// let flows: Vec<_> = (0..256).map(|_| subject.subscribe()).collect::<Result<_, _>>()?;
/// assert_eq!(subject.subscribe().unwrap_err(), TooManySubscribers);
/// drop(flows);
/// assert!(subject.subscribe().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManySubscribers;

impl fmt::Display for TooManySubscribers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a subject has as many subscribers as a ring has places for stations: let one of them publish to \
             a subject of its own, and subscribe there",
        )
    }
}

impl Error for TooManySubscribers {}
