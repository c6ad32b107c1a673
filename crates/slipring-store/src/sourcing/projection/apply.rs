//! An event, and what is made of it.

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    Codec, EventStore, Record, StoreError,
    sourcing::{
        Fault, Halt, Projection, ReadError, Values, error::panic_message, forms::Forms,
        projection::values::Changes,
    },
};

/// Why nothing was made of an event.
#[derive(Debug)]
pub(crate) enum Failure {
    Unreadable(ReadError),
    Failed(Box<str>),
    Panicked(Box<str>),
    Store(StoreError),
}

impl Failure {
    /// Whether another event may fare better.
    pub fn may_be_parked(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Failed(_))
    }

    pub fn reason(&self) -> Box<str> {
        match self {
            Self::Unreadable(error) => error.to_string().into(),
            Self::Failed(reason) | Self::Panicked(reason) => reason.clone(),
            Self::Store(error) => error.to_string().into(),
        }
    }

    pub fn at(self, record: &Record<'_>) -> Halt {
        let position = record.position;
        match self {
            Self::Unreadable(error) => Halt::Unreadable(error),
            Self::Failed(problem) => Halt::Failed { position, topic: record.topic.into(), problem },
            Self::Panicked(message) => Halt::Panicked { position, message },
            Self::Store(error) => error.into(),
        }
    }
}

/// What a projection makes of an event.
pub(crate) fn apply<P: Projection, C: Codec<P::Event>>(
    projection: &P,
    forms: &Forms<C>,
    record: &Record<'_>,
    store: &dyn EventStore,
    space: &str,
    pending: &Changes,
) -> Result<Changes, Failure> {
    let mut values = Values::new(store, space, pending);
    let mut fault: Option<Fault> = None;
    let read = guarded(|| {
        forms.read(record, |event| {
            if fault.is_none() {
                fault = projection.apply(&event, record, &mut values).err();
            }
        })
    });
    let changes = values.into_changes().map_err(Failure::Store)?;
    read?.map_err(Failure::Unreadable)?;
    match fault {
        Some(fault) => Err(Failure::Failed(fault.to_string().into())),
        None => Ok(changes),
    }
}

/// Calls what may panic.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Failure::Panicked(message_of(payload)))
}

/// What a panic has said.
pub(crate) fn message_of(payload: Box<dyn Any + Send>) -> Box<str> {
    let message = panic_message(&*payload);
    // Its destructor may panic as well.
    mem::forget(payload);
    message
}
