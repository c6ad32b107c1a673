//! A ring in a scope: its handlers borrow, and its threads have ended when the scope has.
//!
//! The threads are those of a scope of the standard library, which does not end before they have.
//! What is left to do here is to see to it that they do end, whatever becomes of the producers, of
//! the dispatcher, and of the closure that uses them.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crate::{
    builder::Builder,
    dispatcher::Dispatcher,
    error::{BuildError, Fault},
    extent::Within,
    muster::Entrant,
    producer::{MultiProducer, Producer},
    report::Report,
    ring::Ring,
    sync::{Arc, thread},
    trace,
};

impl<'a, E: Send + 'a> Builder<E, Within<'a>> {
    /// Runs the ring for as long as `body` does, which gets the producer, and the dispatcher on loan.
    /// Handlers, the factory and events may borrow what lives longer than the call.
    ///
    /// When `body` returns, or panics, the ring is closed, producers that still exist are refused,
    /// everything that was published is handled, and the threads end; then this returns
    /// `body`'s value and the report. An error of `body` is its value: `?` ends the closure, not the scope.
    ///
    /// A handler that borrows cannot be left alone: one that does not return holds the scope up, for
    /// ever if need be, even when the ring is halted. Pollers that were not taken leave when `body` has
    /// returned; guests that were [attached](crate::Membership) are awaited like everybody else.
    ///
    /// What does not borrow: the [`reset`](Builder::reset) hook, which belongs to the slots and not to a
    /// thread, and guests with a thread. A guest that is polled may be polled on a thread of a
    /// `std::thread::scope` inside, with a closure that borrows.
    ///
    /// # Examples
    /// ```
    /// use slipring::{Builder, PublishError, read};
    ///
    /// #[derive(Default)]
    /// struct Order { total: u64 }
    ///
    /// let limit = 400;
    /// let mut ledger = Vec::new();
    /// let (published, report) = Builder::new(1024, Order::default)
    ///     .then((
    ///         read("risk", |order: &Order, _| assert!(order.total <= limit)),
    ///         read("ledger", |order: &Order, _| ledger.push(order.total)),
    ///     ))
    ///     .scope(|mut producer, _dispatcher| {
    ///         for total in [100, 200, 300] {
    ///             producer.publish(|order| order.total = total)?;
    ///         }
    ///         Ok::<(), PublishError>(())
    ///     })?;
    /// published?;
    /// assert_eq!((ledger, report.published), (vec![100, 200, 300], 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `NotStarted` if something is wrong with the ring: `body` was not called. `Fault` if a station failed
    /// and halted it: that comes with `body`'s value and with the report.
    ///
    /// # Panics
    /// If `body` does: its panic goes on when every thread has ended, and is all that is told. As
    /// [`start`](Builder::start). A handler's panic is its [`Policy`](crate::Policy)'s business.
    ///
    /// # Deadlocks
    /// If a poller is kept beyond `body`, and a station with a thread follows it.
    pub fn scope<T>(
        self,
        body: impl FnOnce(Producer<E>, &mut Dispatcher<E>) -> T,
    ) -> Result<(T, Report), ScopeError<T>> {
        let (ring, entrants) = self.build(false).map_err(ScopeError::NotStarted)?;
        let producer = Producer::single(Arc::clone(&ring));
        run(&ring, entrants, |dispatcher| body(producer, dispatcher))
    }

    /// As [`scope`](Self::scope), with a producer that can be cloned, one for each thread.
    ///
    /// ```
    /// use slipring::{Builder, read};
    /// use std::thread;
    ///
    /// let prices = [[3, 4], [5, 6]];
    /// let mut sum = 0;
    /// Builder::new(8, || 0_u64).then(read("sum", |price: &u64, _| sum += price)).scope_multi(
    ///     |producer, _dispatcher| {
    ///         thread::scope(|threads| {
    ///             for feed in &prices {
    ///                 let mut producer = producer.clone();
    ///                 threads.spawn(move || {
    ///                     producer.publish_slice(feed).expect("the ring is open");
    ///                 });
    ///             }
    ///         });
    ///     },
    /// )?;
    /// assert_eq!(sum, 18);
    /// # Ok::<(), slipring::ScopeError<()>>(())
    /// ```
    ///
    /// # Errors
    /// As [`scope`](Self::scope).
    ///
    /// # Panics
    /// As [`scope`](Self::scope).
    pub fn scope_multi<T>(
        self,
        body: impl FnOnce(MultiProducer<E>, &mut Dispatcher<E>) -> T,
    ) -> Result<(T, Report), ScopeError<T>> {
        let (ring, entrants) = self.build(true).map_err(ScopeError::NotStarted)?;
        let producer = MultiProducer::multi(Arc::clone(&ring));
        run(&ring, entrants, |dispatcher| body(producer, dispatcher))
    }
}

fn run<'a, E: Send + 'a, T>(
    ring: &Arc<Ring<E>>,
    entrants: Vec<Entrant<'a, E>>,
    body: impl FnOnce(&mut Dispatcher<E>) -> T,
) -> Result<(T, Report), ScopeError<T>> {
    let outcome = thread::scope(|scope| {
        let mut dispatcher = Dispatcher::in_scope(Arc::clone(ring), &entrants);
        let muster = dispatcher.muster();
        let (threads, started) =
            dispatcher.enter(entrants, |name, body| thread::spawn_scoped(scope, name, body));
        let outcome = started.map(|()| catch_unwind(AssertUnwindSafe(|| body(&mut dispatcher))));
        // By the scope's own handles: the dispatcher's owner may have put another one in its place.
        ring.circuit.close();
        // Pollers that nobody has taken leave.
        drop(dispatcher);
        muster.end(None);
        for (_, thread) in threads {
            // Its panics were caught and reported; this one can only be a destructor's.
            let _ = thread.join();
        }
        outcome
    });
    let outcome = outcome.map_err(ScopeError::NotStarted)?;
    let report = Report::of(&ring.circuit);
    let fault = ring.circuit.lifecycle.fault();
    trace::ring_ended(&report, fault.as_ref().map(|fault| fault as &dyn fmt::Display));
    let value = outcome.unwrap_or_else(|payload| resume_unwind(payload));
    match fault {
        None => Ok((value, report)),
        Some(fault) => Err(ScopeError::Fault { fault, report, value }),
    }
}

/// What went wrong with a ring in a scope.
///
/// It becomes a `Box<dyn Error>` whatever the closure returns, as long as that borrows nothing.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeError<T> {
    /// The ring could not be built or started; the closure was not called.
    NotStarted(BuildError),
    /// A station failed under [`Policy::Halt`](crate::Policy::Halt) and stopped the ring.
    Fault {
        /// The failure.
        fault: Fault,
        /// What was done and what was left.
        report: Report,
        /// What the closure returned.
        value: T,
    },
}

impl<T> fmt::Debug for ScopeError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => f.debug_tuple("NotStarted").field(error).finish(),
            Self::Fault { fault, report, value: _ } => f
                .debug_struct("Fault")
                .field("fault", fault)
                .field("report", report)
                .finish_non_exhaustive(),
        }
    }
}

impl<T> fmt::Display for ScopeError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => error.fmt(f),
            Self::Fault { fault, .. } => write!(f, "the ring was halted: {fault}"),
        }
    }
}

impl<T> std::error::Error for ScopeError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::NotStarted(error) => error,
            Self::Fault { fault, .. } => fault,
        })
    }
}
