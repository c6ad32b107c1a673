//! Where an inbox puts what arrives.

use std::{collections::VecDeque, fmt, sync::Arc, task::Context, time::Duration};

use slipring_events::Metadata;
use slipring_store::StoreError;

use crate::Parcel;

/// The note of an event that came in by an inbox: its [lane](crate::Stamp::lane), or, of what came without one, the name of
/// the inbox.
pub const ORIGIN: &str = "slipring-origin";
/// The note of an event that came in by an inbox: its [sequence](crate::Stamp::sequence) in its lane.
pub const ORIGIN_SEQUENCE: &str = "slipring-origin-sequence";

/// Where an inbox puts what arrives: a store ([`IntoStore`](crate::IntoStore)), a bus ([`IntoBus`](crate::IntoBus)), or
/// something of one's own.
///
/// It is driven by one thread. What it was given it settles in the order in which it was given: a verdict for each parcel,
/// at once or later.
///
/// # Examples
/// A list, for a test:
/// ```
/// use slipring_bridge::{Intake, IntakeError, Parcel, Verdict};
/// use std::{collections::VecDeque, sync::{Arc, Mutex}};
///
/// struct List(Arc<Mutex<Vec<String>>>);
///
/// impl Intake for List {
///     fn take(
///         &mut self,
///         parcels: &mut VecDeque<Parcel>,
///         verdicts: &mut Vec<Verdict>,
///     ) -> Result<(), IntakeError> {
///         for parcel in parcels.drain(..) {
///             self.0.lock().unwrap().push(parcel.topic);
///             verdicts.push(Verdict::Safe);
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Intake: Send + 'static {
    /// How far it has come, with each lane that it knows: asked once, at the start. It has to be true in the next run of all
    /// that was said to be [safe](Verdict::Safe) or [refused](Verdict::Refused) in this one, or it knows no lane then:
    /// the broker does not give it again.
    ///
    /// # Errors
    /// It cannot be told. The inbox does not start.
    fn marks(&mut self) -> Result<Vec<Mark>, IntakeError> {
        Ok(Vec::new())
    }

    /// Whether it counts on getting each lane in order and each parcel once: then it does not start in an inbox that
    /// [keeps no order](crate::InboxBuilder::unordered).
    fn needs_order(&self) -> bool {
        false
    }

    /// What it has [refused](Verdict::Refused) and still knows of: asked once, at the start, behind [`marks`](Self::marks). If
    /// the broker gives one of these again, it goes to the dead letters again and is not taken for a duplicate.
    ///
    /// # Errors
    /// It cannot be told. The inbox does not start.
    fn refused(&mut self) -> Result<Vec<RefusedBefore>, IntakeError> {
        Ok(Vec::new())
    }

    /// Takes parcels, from the front, and may say at once what became of the oldest ones that it has.
    ///
    /// # Errors
    /// What is left in the queue is not taken, and comes again, alone, if the error [may mend](IntakeError::Failing).
    fn take(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError>;

    /// Says what became of the oldest ones that it has and has not said it of. Called again after so long as it asks for, when
    /// it wakes the task, or when there is more to take.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    fn poll(
        &mut self,
        _context: &mut Context<'_>,
        _verdicts: &mut Vec<Verdict>,
    ) -> Result<Option<Duration>, IntakeError> {
        Ok(None)
    }

    /// When the inbox ends, unless it has panicked. What it has said nothing of comes again.
    ///
    /// # Errors
    /// Something is left undone. Nobody is told: it is not to matter.
    fn end(&mut self) -> Result<(), IntakeError> {
        Ok(())
    }
}

/// What became of a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is where it was to go, or was there already, and survives what the intake survives.
    Safe,
    /// Nobody can do anything with it: it goes to the broker's dead letters, with the reason.
    Refused(Box<str>),
}

/// How far an intake has come with a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which outbox of which store.
    pub lane: Arc<str>,
    /// The last of its sequences that is safe, with all before it.
    pub sequence: u64,
}

/// A parcel that an intake has refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedBefore {
    /// Which outbox of which store has sent it.
    pub lane: Arc<str>,
    /// Where it stands there.
    pub sequence: u64,
    /// What is wrong with it.
    pub reason: Box<str>,
}

/// An intake that does not take what it is given.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// For now: it is tried again.
    #[error("{0}")]
    Failing(Box<str>),
    /// No further attempt can mend it: the inbox halts.
    #[error("{0}")]
    Over(Box<str>),
}

impl IntakeError {
    /// It is tried again.
    pub fn failing(problem: impl fmt::Display) -> Self {
        Self::Failing(problem.to_string().into())
    }

    /// The inbox halts.
    pub fn over(problem: impl fmt::Display) -> Self {
        Self::Over(problem.to_string().into())
    }
}

impl From<StoreError> for IntakeError {
    fn from(error: StoreError) -> Self {
        if crate::outbox::may_mend(&error) { Self::failing(error) } else { Self::over(error) }
    }
}

/// Says in its notes where a parcel comes from.
pub(crate) fn note_origin(parcel: &Parcel, inbox: &str) -> Metadata {
    let mut notes = parcel.metadata.clone();
    if let Some(stamp) = &parcel.stamp {
        notes.insert(ORIGIN, &*stamp.lane);
        notes.insert(ORIGIN_SEQUENCE, stamp.sequence.to_string());
    } else {
        notes.insert(ORIGIN, inbox);
        notes.remove(ORIGIN_SEQUENCE);
        if !parcel.content_type.is_empty() {
            notes.insert(crate::header::CONTENT_TYPE, &*parcel.content_type);
        }
    }
    notes
}
