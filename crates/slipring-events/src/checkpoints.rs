//! How far a handler is, kept beyond the program: what it had not done when that ended comes first in the next run.

use std::collections::HashSet;

use crate::{
    delivery::HandlerError, envelope::Envelope, event::Event, id::EventId, topic::Pattern,
};

/// Keeps how far a handler is, and has what it has missed: for [`Registration::durable`](crate::Registration::durable).
///
/// Events have places in whatever they are stored in, and sequences on the ring. What is before the sequence at which
/// the handler joins the ring is told by place; all else comes by the ring itself.
///
/// It is called by the thread that runs the handler, between two events, but for [`open`](Self::open).
///
/// # Examples
/// One that keeps it in memory, for a test, and has missed nothing:
/// ```
/// use slipring_events::{AnyEvent, Checkpoints, DoneBefore, HandlerError, Joining, Missed};
///
/// struct Noted(Option<DoneBefore>);
///
/// impl Checkpoints<AnyEvent> for Noted {
///     fn open(&mut self, _joining: &Joining<'_>) -> Result<(), HandlerError> {
///         Ok(())
///     }
///
///     fn next(&mut self, _live: u64) -> Result<Missed<AnyEvent>, HandlerError> {
///         Ok(Missed::Nothing)
///     }
///
///     fn confirm(&mut self, done: DoneBefore) -> Result<(), HandlerError> {
///         self.0 = Some(done);
///         Ok(())
///     }
/// }
///
/// let mut noted = Noted(None);
/// noted.confirm(DoneBefore::Place(7))?;
/// assert!(noted.0 < Some(DoneBefore::Sequence(0)), "the ring comes behind all places");
/// # Ok::<(), HandlerError>(())
/// ```
pub trait Checkpoints<E: Event>: Send {
    /// A handler is registered with it. It is called once, by whoever registers it, when all that was published before
    /// is stored. A handler that is new is kept from here on: if the program ends at once, it has missed what comes.
    ///
    /// # Errors
    /// Why the handler cannot be registered.
    fn open(&mut self, joining: &Joining<'_>) -> Result<(), HandlerError>;

    /// The next event that the handler has not done, in order: of those that stand before the sequence `live`, from
    /// which on it sees what is on the ring. All of them are stored. It comes again with a greater `live` where the
    /// handler has let events of the ring pass, since it has others to do first.
    ///
    /// # Errors
    /// It cannot be read. It is asked again a little later; until then the handler holds.
    fn next(&mut self, live: u64) -> Result<Missed<E>, HandlerError>;

    /// The handler is done with everything before; what it is told later is never less.
    ///
    /// # Errors
    /// It cannot be written. It is told again a little later; until then the handler holds.
    fn confirm(&mut self, done: DoneBefore) -> Result<(), HandlerError>;

    /// Whether the event of that sequence, which the handler sees on the ring, is stored. One that is not is handled when
    /// it is seen.
    fn is_stored(&self, sequence: u64) -> bool {
        let _ = sequence;
        true
    }

    /// Which of these events [`next`](Self::next) will tell, since the handler has not done them: it is asked once, behind
    /// [`open`](Self::open), for those that are among its dead letters. They are not handled again, and what has their
    /// keys is behind them when they have come.
    ///
    /// # Errors
    /// It cannot be read; the handler cannot be registered.
    fn still_to_come(&self, ids: &HashSet<EventId>) -> Result<HashSet<EventId>, HandlerError> {
        let _ = ids;
        Ok(HashSet::new())
    }

    /// The handler leaves: what was confirmed is to survive the machine, if that is not so yet.
    ///
    /// # Errors
    /// It cannot be done; some events come again.
    fn end(&mut self) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// A handler that joins a bus, as [`Checkpoints`] are told of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Joining<'a> {
    /// Its name.
    pub handler: &'a str,
    /// The name of the bus's [journal](crate::Journal).
    pub journal: &'a str,
    /// It sees what is on the ring from here on.
    pub live: u64,
    /// The topics that it asks for: one match is enough. Other events need not be told.
    pub patterns: &'a [Pattern],
}

/// What a handler has missed.
#[derive(Debug)]
pub enum Missed<E> {
    /// An event, and its place: behind the one before.
    Event {
        /// Where it is stored.
        place: u64,
        /// The event.
        envelope: Box<Envelope<E>>,
    },
    /// Nothing before that place is for the handler; there may be more behind it.
    NothingBefore(u64),
    /// Nothing more: what is on the ring comes next.
    Nothing,
}

/// How far a handler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DoneBefore {
    /// It is done with all that it had missed before that place.
    Place(u64),
    /// It is done with all that it had missed, and with what was on the ring before that sequence.
    Sequence(u64),
}

/// Why a handler cannot be durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotDurable {
    /// There is nothing that it could have missed.
    #[error("there is nothing to catch up from: give the bus a `journal`, or leave `durable` out")]
    NoJournal,
    /// Its dead letters are gone with the program, and its checkpoint would say that it is done with them.
    #[error(
        "its dead letters would be gone with the program: give it `DeadLetters::kept`, or leave `durable` out"
    )]
    Letters,
    /// It runs in the publishers' threads, which cannot wait for the store.
    #[error("an inline handler cannot hold while its store fails: give it a thread or a task")]
    Inline,
    /// Who has which part of the work may be another in the next run.
    #[error(
        "a part of the work has no checkpoint of its own: leave `share` out, and give the work to one handler"
    )]
    Shared,
    /// What it has not done would be passed over.
    #[error(
        "what is skipped when it lags would never come: leave `SkipAhead` out, or leave `durable` out"
    )]
    SkipsAhead,
    /// What was published before comes from where it is stored.
    #[error(
        "what it has missed comes by its checkpoint: leave `start` out, and say there where it begins"
    )]
    Start,
    /// The journal does not store what is published.
    #[error("the journal does not store what was published before: see why it fails")]
    NotStored,
    /// Its checkpoint cannot be read or written, or is not one for this handler.
    #[error("{0}")]
    Checkpoint(HandlerError),
}
