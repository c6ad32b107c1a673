//! What a handler sees of an event.

use std::marker::PhantomData;

use crate::event::{Carries, Event};

/// What a handler sees of an event: [all of it](Whole), or [a part](Part) that not every event has.
pub trait View<E: Event>: 'static {
    /// What it sees.
    type Seen;

    /// `None` if the event is not for this handler.
    fn view(event: &E) -> Option<&Self::Seen>;
}

/// The event as it is.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

/// Events that carry a `T`.
#[derive(Clone, Copy, Debug)]
pub struct Part<T>(PhantomData<fn() -> T>);

impl<E: Event> View<E> for Whole {
    type Seen = E;

    #[inline]
    fn view(event: &E) -> Option<&E> {
        Some(event)
    }
}

impl<E: Carries<T>, T: 'static> View<E> for Part<T> {
    type Seen = T;

    #[inline]
    fn view(event: &E) -> Option<&T> {
        event.get()
    }
}
