//! How a station's code is called: one trait for the run loop, one adapter for each form of
//! handler. Here the two kinds of access, `&E` and `&mut E`, become one.

use std::marker::PhantomData;

use crate::{
    current::Worker,
    error::Failure,
    handler::{At, BatchHandler, Fatal, Handler, HandlerMut, Outcome, checked},
    lent::Lent,
    post::Post,
};

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Shared {}
    impl Sealed for super::Exclusive {}
}

/// What a station may do with an event: [`Shared`] or [`Exclusive`].
pub trait Access: sealed::Sealed + 'static {
    #[doc(hidden)]
    const MUTATES: bool;
}

/// Reads events, perhaps side by side with other stations.
#[derive(Clone, Copy, Debug)]
pub struct Shared;

/// Has each event to itself at its place in the graph, and may change it.
#[derive(Clone, Copy, Debug)]
pub struct Exclusive;

impl Access for Shared {
    const MUTATES: bool = false;
}

impl Access for Exclusive {
    const MUTATES: bool = true;
}

/// Neighbouring events on their way to a handler.
#[derive(Debug)]
pub(crate) struct Run<'a, E, A> {
    pub(crate) events: Lent<'a, E, A>,
    /// The sequence of the first event.
    pub(crate) first: u64,
    /// Whether the events end the batch.
    pub(crate) ends_batch: bool,
    pub(crate) post: &'a Post,
    pub(crate) worker: Worker,
}

/// A station's code, whatever its form.
pub(crate) trait Work<E, A: Access> {
    /// Whether a failure concerns the whole slice rather than one event.
    const WHOLE_SLICES: bool = false;
    /// Whether `batch_start` does anything: counting the backlog is not free.
    const WANTS_BACKLOG: bool = false;

    /// What decides who of a keyed team handles an event.
    fn key(&self, _event: &E) -> u64 {
        0
    }

    fn start(&mut self) {}
    fn batch_start(&mut self, _size: usize, _backlog: u64) {}
    fn idle(&mut self) {}
    fn halt(&mut self) {}
    fn stop(&mut self) {}

    /// Handles the events of `run`. `done` says afterwards, also after a failure or a panic, how
    /// many of them are finished.
    fn run(&mut self, run: Run<'_, E, A>, done: &mut usize) -> Result<(), Failure>;
}

/// The form of a piece of code with state of type `S` that is called for each event.
pub(crate) struct Each<S, F, R> {
    state: S,
    handle: F,
    outcome: PhantomData<fn() -> R>,
}

impl<S, F, R> Each<S, F, R> {
    pub(crate) fn new(state: S, handle: F) -> Self {
        Self { state, handle, outcome: PhantomData }
    }
}

/// The same for a piece of code that is called for each slice.
pub(crate) struct Slices<F, R> {
    handle: F,
    outcome: PhantomData<fn() -> R>,
}

impl<F, R> Slices<F, R> {
    pub(crate) fn new(handle: F) -> Self {
        Self { handle, outcome: PhantomData }
    }
}

/// The work of one of a keyed team.
pub(crate) struct Keyed<W, K> {
    pub(crate) work: W,
    pub(crate) key: K,
}

impl<E, A: Access, W: Work<E, A>, K: Fn(&E) -> u64> Work<E, A> for Keyed<W, K> {
    const WHOLE_SLICES: bool = W::WHOLE_SLICES;
    const WANTS_BACKLOG: bool = W::WANTS_BACKLOG;

    fn key(&self, event: &E) -> u64 {
        (self.key)(event)
    }

    fn start(&mut self) {
        self.work.start();
    }

    fn batch_start(&mut self, size: usize, backlog: u64) {
        self.work.batch_start(size, backlog);
    }

    fn idle(&mut self) {
        self.work.idle();
    }

    fn halt(&mut self) {
        self.work.halt();
    }

    fn stop(&mut self) {
        self.work.stop();
    }

    #[inline]
    fn run(&mut self, run: Run<'_, E, A>, done: &mut usize) -> Result<(), Failure> {
        self.work.run(run, done)
    }
}

/// A [`Handler`] or a [`HandlerMut`].
pub(crate) struct Hooked<H>(pub(crate) H);

/// A [`BatchHandler`].
pub(crate) struct HookedSlices<H>(pub(crate) H);

impl<E, H: BatchHandler<E>> Work<E, Shared> for HookedSlices<H> {
    const WHOLE_SLICES: bool = true;

    fn start(&mut self) {
        self.0.on_start();
    }

    fn idle(&mut self) {
        self.0.on_idle();
    }

    fn halt(&mut self) {
        self.0.on_halt();
    }

    fn stop(&mut self) {
        self.0.on_stop();
    }

    #[inline]
    fn run(&mut self, run: Run<'_, E, Shared>, done: &mut usize) -> Result<(), Failure> {
        let Run { mut events, first, ends_batch, post, worker } = run;
        let len = events.len();
        let at = At { sequence: first, end_of_batch: ends_batch, post, worker };
        self.0.on_batch(events.all(), at).map_err(|error| Failure {
            is_final: error.is::<Fatal>(),
            ..Failure::error(error.to_string())
        })?;
        *done = len;
        Ok(())
    }
}

/// Counts finished events in a register, and tells the count when it goes: also after a failure
/// and while a panic unwinds.
struct Finished<'a> {
    done: &'a mut usize,
    count: usize,
}

impl Drop for Finished<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.done = self.count;
    }
}

/// The two accesses differ only in a `mut`; so do their adapters.
macro_rules! adapters {
    ($access:ident, $handler:ident $(, $mutability:tt)?) => {
        impl<E, S, F, R> Work<E, $access> for Each<S, F, R>
        where
            F: FnMut(&mut S, & $($mutability)? E, At<'_>) -> R,
            R: Outcome,
        {
            #[inline]
            fn run(&mut self, run: Run<'_, E, $access>, done: &mut usize) -> Result<(), Failure> {
                let Run { mut events, first, ends_batch, post, worker } = run;
                // No sequence is so large: it is never met.
                let last = if ends_batch { first + events.len() as u64 - 1 } else { u64::MAX };
                let mut finished = Finished { done, count: 0 };
                while let Some(event) = events.next() {
                    let sequence = first + finished.count as u64;
                    let at = At { sequence, end_of_batch: sequence == last, post, worker };
                    checked((self.handle)(&mut self.state, event, at))?;
                    finished.count += 1;
                }
                Ok(())
            }
        }

        impl<E, F, R> Work<E, $access> for Slices<F, R>
        where
            F: FnMut(& $($mutability)? [E], At<'_>) -> R,
            R: Outcome,
        {
            const WHOLE_SLICES: bool = true;

            #[inline]
            fn run(&mut self, run: Run<'_, E, $access>, done: &mut usize) -> Result<(), Failure> {
                let Run { mut events, first, ends_batch, post, worker } = run;
                let len = events.len();
                let at = At { sequence: first, end_of_batch: ends_batch, post, worker };
                checked((self.handle)(events.all(), at))?;
                *done = len;
                Ok(())
            }
        }

        impl<E, H: $handler<E>> Work<E, $access> for Hooked<H> {
            const WANTS_BACKLOG: bool = true;

            fn start(&mut self) {
                self.0.on_start();
            }

            fn batch_start(&mut self, size: usize, backlog: u64) {
                self.0.on_batch_start(size, backlog);
            }

            fn idle(&mut self) {
                self.0.on_idle();
            }

            fn stop(&mut self) {
                self.0.on_stop();
            }

            #[inline]
            fn run(&mut self, run: Run<'_, E, $access>, done: &mut usize) -> Result<(), Failure> {
                let handler = &mut self.0;
                let handle = |_: &mut (), event: & $($mutability)? E, at: At<'_>| {
                    handler.on_event(event, at)
                };
                Work::<E, $access>::run(&mut Each::new((), handle), run, done)
            }
        }
    };
}

adapters!(Shared, Handler);
adapters!(Exclusive, HandlerMut, mut);
