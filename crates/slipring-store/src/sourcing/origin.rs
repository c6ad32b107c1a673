//! Where a command comes from.

use slipring_events::{Envelope, EventId, Metadata};

use crate::{Expected, Record};

/// What is known about a command besides what it says: its id, the story it belongs to, notes, and what its sender has
/// seen.
///
/// The events that it leads to follow from it: they are of the same story, caused by the event that led to the command,
/// or by the command if no event did, and have its notes. If it has an id, that is the note `command`.
///
/// # Examples
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// # use bank::{Account, Deposit, Open};
/// use std::sync::Arc;
/// use slipring_events::EventId;
/// use slipring_store::{Json, Memory, sourcing::{Origin, Repository}};
///
/// let accounts = Repository::<Account, _>::new(Arc::new(Memory::new()), Json);
/// accounts.execute("7", &Open("Ada"))?;
/// let origin = Origin::command(EventId::random()).note("clerk", "Grace");
/// let first = accounts.execute_as("7", &Deposit(100), &origin)?;
/// let again = accounts.execute_as("7", &Deposit(100), &origin)?; // Sent twice by a careful client.
/// assert!(again.repeated && again.positions() == first.positions());
/// assert_eq!(accounts.load("7")?.state.cents, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// Which command it is: one that comes again is not carried out again.
    pub id: Option<EventId>,
    /// The first event of the story that it belongs to.
    pub correlation: Option<EventId>,
    /// The event that led to it.
    pub causation: Option<EventId>,
    /// Whatever else is known about it.
    pub metadata: Metadata,
    /// How many events its sender has seen of the aggregate, and of each if there are several: if there are others, it
    /// conflicts, and is not tried again.
    pub expected: Option<Expected>,
}

impl Origin {
    /// Nothing is known.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// A command with an id.
    pub fn command(id: EventId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }

    /// A command that an event of a store has led to, as in a saga. Its id is that of the event, so it is carried out
    /// once, however often the event is seen. If an event leads to several commands for one aggregate, give them
    /// [ids](Self::id) of their own.
    pub fn event(cause: &Record<'_>) -> Self {
        Self::command(cause.id).following(cause.correlation.unwrap_or(cause.id), cause.id)
    }

    /// As [`event`](Self::event), for an event on its way.
    pub fn envelope<E>(cause: &Envelope<E>) -> Self {
        Self::command(cause.id).following(cause.correlation.unwrap_or(cause.id), cause.id)
    }

    /// It with that id.
    #[must_use = "it is built by value, another is returned"]
    pub fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// It as part of the story that begins with `first`, led to by `cause`.
    #[must_use = "it is built by value, another is returned"]
    pub fn following(mut self, first: EventId, cause: EventId) -> Self {
        self.correlation = Some(first);
        self.causation = Some(cause);
        self
    }

    /// It with a note.
    #[must_use = "it is built by value, another is returned"]
    pub fn note(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// It from somebody who has seen so many events of the aggregate.
    #[must_use = "it is built by value, another is returned"]
    pub fn expecting(mut self, expected: Expected) -> Self {
        self.expected = Some(expected);
        self
    }

    /// The first event of the story and what led to the events of the command.
    pub(crate) fn links(&self) -> Option<(EventId, EventId)> {
        let cause = self.causation.or(self.id)?;
        Some((self.correlation.unwrap_or(cause), cause))
    }

    /// The notes of the events.
    pub(crate) fn notes(&self) -> Metadata {
        let mut notes = self.metadata.clone();
        if let Some(id) = self.id {
            notes.insert("command", id.to_string());
        }
        notes
    }
}
