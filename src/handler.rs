//! Handlers: what a station calls for each event or each slice of events.

use std::{error::Error, fmt};

use crate::{
    current::Worker,
    error::Failure,
    post::{Place, Post},
};

/// Where a handler is in the stream. Handed to it with each event or slice.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub(crate) sequence: u64,
    pub(crate) end_of_batch: bool,
    pub(crate) post: &'a Post,
    pub(crate) worker: Worker,
}

impl fmt::Debug for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("At")
            .field("sequence", &self.sequence)
            .field("end_of_batch", &self.end_of_batch)
            .finish_non_exhaustive()
    }
}

impl At<'_> {
    /// The sequence of the event; for a slice that of its first event.
    #[inline]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether this is the last event (or slice) of the batch: the events that the station found
    /// published when it last looked, at most `max_batch` of them. The moment to flush.
    ///
    /// A batch has nothing to do with how the events were published.
    #[inline]
    pub fn end_of_batch(&self) -> bool {
        self.end_of_batch
    }

    /// Early release: lets the stations that follow, and the producers, have everything before
    /// this event (or slice) now rather than at the end of the batch.
    ///
    /// Costs what the end of a batch costs. Worth it when one event takes long and the ones before
    /// it should not wait.
    ///
    /// # Examples
    /// ```
    /// use slipring::{At, read};
    ///
    /// let slow = read("slow", |event: &u64, at: At<'_>| {
    ///     if *event % 100 == 0 {
    ///         at.release(); // What follows takes a while: the others need not wait for it.
    ///     }
    /// });
    /// # let _ = slow;
    /// ```
    #[inline]
    pub fn release(&self) {
        Place::of(self.post, self.worker).stand_at(self.sequence);
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<X> Sealed for Result<(), X> {}
}

/// What a handler closure may return: nothing, or a result whose error can be shown.
///
/// An error is handled by the station's [`Policy`](crate::Policy).
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "neither `()` nor a `Result<(), X>` whose error implements `Display`"
)]
pub trait Outcome: sealed::Sealed {
    #[doc(hidden)]
    fn into_text(self) -> Result<(), String>;
}

impl Outcome for () {
    #[inline]
    fn into_text(self) -> Result<(), String> {
        Ok(())
    }
}

impl<X: fmt::Display> Outcome for Result<(), X> {
    #[inline]
    fn into_text(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// The failure of a closure's outcome, if it is one.
#[inline]
pub(crate) fn checked(outcome: impl Outcome) -> Result<(), Failure> {
    outcome.into_text().map_err(Failure::error)
}

/// The error of a [`Handler`]: anything that `?` turns into it.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// A handler that reads events and wants to know about its life. Closures are enough for most
/// stations; see [`read`](crate::read).
///
/// All methods are called on the station's thread (or on the poller's), one at a time. A panic in
/// `on_event` is treated like an error, by the station's policy; a panic in another method halts
/// the ring.
///
/// # Examples
/// ```
/// use slipring::{At, Builder, Handler, HandlerError, read_handler};
///
/// struct Journal {
///     lines: Vec<u64>,
/// }
///
/// impl Handler<u64> for Journal {
///     fn on_event(&mut self, event: &u64, at: At<'_>) -> Result<(), HandlerError> {
///         self.lines.push(*event);
///         if at.end_of_batch() {
///             println!("flush {} lines", self.lines.len());
///         }
///         Ok(())
///     }
///
///     fn on_stop(&mut self) {
///         assert_eq!(self.lines, [7]);
///     }
/// }
///
/// let (mut producer, dispatcher) = Builder::new(8, || 0)
///     .then(read_handler("journal", || Journal { lines: Vec::new() }))
///     .start()?;
/// producer.publish(|event| *event = 7)?;
/// drop(producer);
/// dispatcher.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Handler<E> {
    /// Before the first event; `start` returns after it has.
    fn on_start(&mut self) {}

    /// Before each batch: `size` events will be handled before the station looks again, of
    /// `backlog` that are published and not yet handled here. With many producers the events
    /// still being written count as well in the `backlog`, and abandoned ones in both.
    fn on_batch_start(&mut self, size: usize, backlog: u64) {
        let _ = (size, backlog);
    }

    /// For each event, in sequence order.
    ///
    /// # Errors
    /// An error is handled by the station's [`Policy`](crate::Policy).
    fn on_event(&mut self, event: &E, at: At<'_>) -> Result<(), HandlerError>;

    /// When the station has run out of events, before it waits; and again each time that
    /// [`idle_after`](crate::Station::idle_after) has passed without one.
    fn on_idle(&mut self) {}

    /// After the last event, if `on_start` has returned. Not called by a poller.
    fn on_stop(&mut self) {}
}

/// An error of a [`BatchHandler`] after which the ring is halted, whatever the station's [`Policy`](crate::Policy) says:
/// it is for nothing to try again, and nothing is to be skipped.
///
/// # Examples
/// ```
/// use slipring::{Fatal, HandlerError};
///
/// let error = HandlerError::from(Fatal("the disk is gone".into()));
/// assert_eq!(error.to_string(), "the disk is gone");
/// ```
#[derive(Debug)]
pub struct Fatal(pub HandlerError);

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Fatal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// A handler that reads slices of neighbouring events, and wants to know about its life. What it has not returned `Ok`
/// for, no station that follows it ever sees: so it is the form of one that stores events before others handle them.
/// Where a closure is enough, see [`read_batch`](crate::read_batch).
///
/// All methods are called on the station's thread, one at a time. A panic in `on_batch` is treated like an error, by
/// the station's policy; a panic in another method halts the ring.
///
/// # Examples
/// ```
/// use slipring::{At, BatchHandler, Builder, HandlerError, read, read_batch_handler};
/// use std::io::{BufWriter, Write};
///
/// struct Log(BufWriter<Vec<u8>>);
///
/// impl BatchHandler<u64> for Log {
///     fn on_batch(&mut self, events: &[u64], _: At<'_>) -> Result<(), HandlerError> {
///         for event in events {
///             writeln!(self.0, "{event}")?;
///         }
///         Ok(self.0.flush()?) // Once for all of them.
///     }
///
///     fn on_stop(&mut self) {
///         assert_eq!(self.0.get_ref(), b"7\n");
///     }
/// }
///
/// let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
///     .then(read_batch_handler("log", || Log(BufWriter::new(Vec::new()))))
///     .then(read("only what is in the log", |event: &u64, _| assert_eq!(*event, 7)))
///     .start()?;
/// producer.publish(|event| *event = 7)?;
/// drop(producer);
/// dispatcher.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait BatchHandler<E> {
    /// See [`Handler::on_start`].
    fn on_start(&mut self) {}

    /// For the events that the station found published, at most
    /// [`max_batch`](crate::Station::max_batch): in two slices where the ring wraps, and in more around abandoned
    /// ones. It is all of a slice or nothing: one that failed comes again whole, if the policy is to retry.
    ///
    /// # Errors
    /// An error is handled by the station's [`Policy`](crate::Policy), for all of the slice; one that is [`Fatal`] halts
    /// the ring.
    fn on_batch(&mut self, events: &[E], at: At<'_>) -> Result<(), HandlerError>;

    /// See [`Handler::on_idle`].
    fn on_idle(&mut self) {}

    /// Before [`on_stop`](Self::on_stop), if the ring was halted before the station has come to its end: events may have
    /// been published that it will never see.
    fn on_halt(&mut self) {}

    /// See [`Handler::on_stop`].
    fn on_stop(&mut self) {}
}

/// As [`Handler`], for a station that has each event to itself and may change it.
pub trait HandlerMut<E> {
    /// See [`Handler::on_start`].
    fn on_start(&mut self) {}

    /// See [`Handler::on_batch_start`].
    fn on_batch_start(&mut self, size: usize, backlog: u64) {
        let _ = (size, backlog);
    }

    /// For each event, in sequence order. What it writes is what the next stage sees.
    ///
    /// # Errors
    /// An error is handled by the station's [`Policy`](crate::Policy).
    fn on_event(&mut self, event: &mut E, at: At<'_>) -> Result<(), HandlerError>;

    /// See [`Handler::on_idle`].
    fn on_idle(&mut self) {}

    /// See [`Handler::on_stop`].
    fn on_stop(&mut self) {}
}
