//! Pollers: stations that run on the caller's own thread, when the caller says so.

use std::{fmt, time::Duration};

use crate::{
    consumer::{Seat, Step},
    current::Running,
    distance::Distance,
    error::Fault,
    handler::{At, Handler, HandlerMut, Outcome},
    sync::{prefetch, thread, time, watch::Held},
    told::Calls,
    wait::Waiter,
    work::{Access, Each, Exclusive, Hooked, Shared, Slices, Work},
};

/// What a poll came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// So many events were handled, skipped by policy or passed over as abandoned.
    Events(u64),
    /// Nothing new is published.
    Idle,
    /// Something is published, but the stations that this one follows have not passed it.
    Gated,
    /// The ring is closed and every event was handled; or it was halted by its owner.
    Closed,
}

/// A station without a thread: it handles events when it is polled.
///
/// It gates like any other station, from the first event on. When it is dropped it leaves the
/// ring: it holds nobody back any more, and whoever followed it follows what it followed.
///
/// Errors and panics of the handler are dealt with by the station's
/// [`Policy`](crate::Policy), as in a thread: under `Halt` the ring is halted and the poll
/// returns the fault.
///
/// # Examples
/// ```
/// use slipring::{Builder, Poll, poller};
///
/// let (mut producer, mut dispatcher) =
///     Builder::new(8, || 0_u64).then(poller("mine")).start()?;
/// let mut poller = dispatcher.poller("mine")?;
/// assert_eq!(poller.poll(|_, _| ())?, Poll::Idle);
/// producer.publish(|event| *event = 5)?;
/// assert_eq!(poller.poll(|event, _| assert_eq!(*event, 5))?, Poll::Events(1));
/// drop(producer);
/// assert_eq!(poller.poll(|_, _| ())?, Poll::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Poller<E, A: Access = Shared> {
    pub(crate) seat: Seat<E>,
    distance: Distance,
    access: std::marker::PhantomData<fn() -> A>,
}

/// A poller that may change events. See [`Poller`].
pub type PollerMut<E> = Poller<E, Exclusive>;

impl<E, A: Access> fmt::Debug for Poller<E, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("station", &self.seat.name)
            .field("sequence", &self.seat.cursor)
            .finish_non_exhaustive()
    }
}

impl<E, A: Access> Poller<E, A> {
    pub(crate) fn new(seat: Seat<E>) -> Self {
        let circuit = &seat.ring.circuit;
        circuit.add_thread();
        let distance = Distance::new(circuit.capacity, seat.manner.max_batch, circuit.posts.len());
        Self { seat, distance, access: std::marker::PhantomData }
    }

    /// The station's name.
    pub fn name(&self) -> &str {
        &self.seat.name
    }

    /// The sequence of the next event.
    pub fn sequence(&self) -> u64 {
        self.seat.cursor
    }

    /// Waits until there is something to poll, the stream has ended or the ring is halted, but no
    /// longer than `timeout`; as the station's [`Wait`](crate::Wait) says. Returns whether there
    /// is something to do.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let circuit = &self.seat.ring.circuit;
        // A timeout beyond the clock's range is none.
        let deadline = time::now().checked_add(timeout);
        let mut waiter = Waiter::new(self.seat.manner.wait);
        let mut late = false;
        loop {
            if self.seat.available(1) != Err(Step::Idle) {
                return true;
            }
            if late {
                return false;
            }
            let cursor = self.seat.cursor;
            self.seat.ring.prefetch(cursor);
            late = circuit.pause_station(&mut waiter, self.seat.who, cursor, deadline);
        }
    }

    /// For a thread that does nothing but poll, after each poll: `run` is how many events it found, 0 for none.
    ///
    /// While events flow densely and a poll finds few of them, this holds off for at most two microseconds. Whoever
    /// polls as often as it can takes the cursor's cache line away from the producer at every event, and both go at
    /// the pace of that line; looking less often it finds long runs, and both go at their own. The threads of stations
    /// do the same. In a thin flow it returns at once.
    ///
    /// # Examples
    /// ```
    /// use slipring::{Builder, Poll, poller};
    /// use std::time::Duration;
    ///
    /// let (mut producer, mut dispatcher) =
    ///     Builder::new(1024, || 0_u64).then(poller("mine")).start()?;
    /// let mut poller = dispatcher.poller("mine")?;
    /// let publisher = std::thread::spawn(move || {
    ///     (0..10_000).try_for_each(|number| producer.publish(|event| *event = number).map(drop))
    /// });
    /// let mut sum = 0;
    /// loop {
    ///     match poller.poll(|event, _| sum += event)? {
    ///         Poll::Events(run) => poller.keep_distance(run),
    ///         Poll::Closed => break,
    ///         Poll::Idle | Poll::Gated => {
    ///             poller.keep_distance(0);
    ///             poller.wait(Duration::from_secs(1));
    ///         }
    ///     }
    /// }
    /// assert_eq!(sum, 49_995_000);
    /// # publisher.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn keep_distance(&mut self, run: u64) {
        if run == 0 {
            self.distance.paused();
        } else {
            self.distance.moved(run, &self.seat.ring.circuit);
        }
    }

    /// How many sequences could be polled now.
    pub fn lag(&self) -> u64 {
        self.seat.lag(u64::MAX)
    }

    /// Passes what could be polled now unhandled, but for the newest `keep` sequences: for a poller that
    /// has fallen behind and wants the news. Whoever follows it sees what it has passed. Returns how many
    /// events that were; they are [counted](crate::StationReport::conflated).
    ///
    /// ```
    /// use slipring::{Builder, poller};
    ///
    /// let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64).then(poller("p")).start()?;
    /// let mut poller = dispatcher.poller("p")?;
    /// producer.publish_slice(&[1, 2, 3, 4])?;
    /// assert_eq!((poller.lag(), poller.skip_ahead(1)), (4, 3));
    /// poller.poll(|event, _| assert_eq!(*event, 4))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn skip_ahead(&mut self, keep: u64) -> u64 {
        self.seat.skip_ahead(keep)
    }

    /// Notes calls that were made since the last time, for an owner who handles events by a policy of its own: out of
    /// a [`Batch`], say, and again when one has failed. They are in the station's account as
    /// [`calls`](crate::StationReport::calls), [`failed`](crate::StationReport::failed) and
    /// [`retried`](crate::StationReport::retried), beside those of the station's own policy. It costs a store
    /// for each of the three, so it is best done once a batch.
    ///
    /// ```
    /// use slipring::{Builder, Calls, poller};
    ///
    /// let (mut producer, mut dispatcher) = Builder::new(8, || "").then(poller("p")).start()?;
    /// let mut poller = dispatcher.poller("p")?;
    /// producer.publish_slice(&["1", "two", "3"])?;
    /// let mut calls = Calls::default();
    /// while let Some(mut batch) = poller.read() {
    ///     while let Some(text) = batch.next() {
    ///         calls.made += 1;
    ///         calls.failed += u64::from(text.parse::<u32>().is_err());
    ///     }
    /// }
    /// poller.note_calls(calls);
    /// let account = &dispatcher.snapshot().stations[0].account;
    /// assert_eq!((account.calls, account.failed, account.retried), (3, 1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn note_calls(&mut self, calls: Calls) {
        let Calls { made, failed, retried } = calls;
        let figures = &self.seat.post().figures;
        figures.calls.add(made);
        figures.failed.add(failed);
        figures.retried.add(retried);
    }

    /// Notes that it was found to lag by more than it may, for an owner who has set it a limit: it is counted as
    /// [`late`](crate::StationSnapshot::late).
    pub fn note_late(&mut self) {
        self.seat.post().figures.late.add(1);
    }

    /// Whether no poll will ever find an event again: everything published was handled and the
    /// ring is closed, or the ring is halted (see [`Dispatcher::fault`](crate::Dispatcher::fault)).
    pub fn is_over(&self) -> bool {
        matches!(self.seat.available(1), Err(Step::Ended | Step::Halted))
    }

    /// There is nothing to poll.
    fn idle(&self) -> Poll {
        self.seat.ring.prefetch(self.seat.cursor);
        let is_gated = self.seat.ring.circuit.is_gated(self.seat.who.station(), self.seat.cursor);
        if is_gated { Poll::Gated } else { Poll::Idle }
    }

    fn step<W: Work<E, A>>(&mut self, work: &mut W, limit: usize) -> Result<Poll, Fault> {
        // None at all would look like none available.
        let limit = limit.max(1);
        let step = match self.seat.available(limit as u64) {
            Ok(to) => {
                let _running = Running::enter(&self.seat.ring.circuit, self.seat.who);
                self.seat.step_to(work, to)
            }
            Err(nothing) => nothing,
        };
        let circuit = &self.seat.ring.circuit;
        match step {
            Step::Moved(events) => Ok(Poll::Events(events)),
            Step::Idle => Ok(self.idle()),
            Step::Ended => Ok(Poll::Closed),
            Step::Halted => circuit.lifecycle.fault().map_or(Ok(Poll::Closed), Err),
        }
    }
}

impl<E, A: Access> Drop for Poller<E, A> {
    fn drop(&mut self) {
        let circuit = &self.seat.ring.circuit;
        circuit.remove_thread();
        self.seat.leave();
        circuit.vacate(self.seat.who.station(), &self.seat.name);
    }
}

impl<E> Poller<E, Shared> {
    /// Handles the events that are available, at most the station's `max_batch`.
    ///
    /// # Errors
    /// The fault that halted the ring, be it this handler's or another station's.
    pub fn poll<R: Outcome>(&mut self, handle: impl FnMut(&E, At<'_>) -> R) -> Result<Poll, Fault> {
        self.poll_at_most(usize::MAX, handle)
    }

    /// As [`poll`](Self::poll), with at most `limit` events; 0 counts as 1.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn poll_at_most<R: Outcome>(
        &mut self,
        limit: usize,
        mut handle: impl FnMut(&E, At<'_>) -> R,
    ) -> Result<Poll, Fault> {
        self.step(&mut Each::new((), |(): &mut (), event: &E, at: At<'_>| handle(event, at)), limit)
    }

    /// Handles the events that are available as slices: one, or two where the ring wraps, or more
    /// around abandoned sequences.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn poll_batch<R: Outcome>(
        &mut self,
        handle: impl FnMut(&[E], At<'_>) -> R,
    ) -> Result<Poll, Fault> {
        self.step(&mut Slices::new(handle), usize::MAX)
    }

    /// As [`poll`](Self::poll), with the handler that a thread could run. `on_start` and
    /// `on_stop` are the caller's business.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn poll_handler<H: Handler<E>>(&mut self, handler: &mut H) -> Result<Poll, Fault> {
        self.step(&mut Hooked(Lent(handler)), usize::MAX)
    }

    /// Takes the events that are available to read them one by one; `None` if there are none
    /// (now, or ever: see [`is_over`](Self::is_over)).
    ///
    /// What was not read when the batch is dropped (by `break` or `?`, say) is read again the next
    /// time, after a panic also the event in hand: nothing is lost.
    ///
    /// # Examples
    /// ```
    /// use slipring::{Builder, poller};
    ///
    /// let (mut producer, mut dispatcher) =
    ///     Builder::new(8, || 0_u64).then(poller("mine")).start()?;
    /// let mut poller = dispatcher.poller("mine")?;
    /// producer.publish_batch(3, |index, event| *event = index as u64)?;
    /// if let Some(mut batch) = poller.read() {
    ///     assert_eq!(batch.next(), Some(&0)); // The other two stay.
    /// }
    /// let mut batch = poller.read().expect("two are left");
    /// assert_eq!(batch.next(), Some(&1));
    /// assert_eq!((batch.sequence(), batch.remaining()), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&mut self) -> Option<Batch<'_, E>> {
        let to = self.seat.available(u64::MAX).ok()?;
        let start = Progress { at: self.seat.cursor, passed_over: 0 };
        Some(Batch { done: start, read: start, to, held: Held::default(), seat: &mut self.seat })
    }
}

impl<E> Poller<E, Exclusive> {
    /// Handles the events that are available, at most the station's `max_batch`.
    ///
    /// # Errors
    /// The fault that halted the ring, be it this handler's or another station's.
    pub fn poll<R: Outcome>(
        &mut self,
        handle: impl FnMut(&mut E, At<'_>) -> R,
    ) -> Result<Poll, Fault> {
        self.poll_at_most(usize::MAX, handle)
    }

    /// As [`poll`](Self::poll), with at most `limit` events; 0 counts as 1.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn poll_at_most<R: Outcome>(
        &mut self,
        limit: usize,
        mut handle: impl FnMut(&mut E, At<'_>) -> R,
    ) -> Result<Poll, Fault> {
        let each = |(): &mut (), event: &mut E, at: At<'_>| handle(event, at);
        self.step(&mut Each::new((), each), limit)
    }

    /// Handles the events that are available as slices: one, or two where the ring wraps, or more
    /// around abandoned sequences.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn poll_batch<R: Outcome>(
        &mut self,
        handle: impl FnMut(&mut [E], At<'_>) -> R,
    ) -> Result<Poll, Fault> {
        self.step(&mut Slices::new(handle), usize::MAX)
    }

    /// As [`poll`](Self::poll), with the handler that a thread could run. `on_start` and
    /// `on_stop` are the caller's business.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn poll_handler<H: HandlerMut<E>>(&mut self, handler: &mut H) -> Result<Poll, Fault> {
        self.step(&mut Hooked(Lent(handler)), usize::MAX)
    }
}

/// A handler that somebody else owns.
struct Lent<'a, H>(&'a mut H);

impl<E, H: Handler<E>> Handler<E> for Lent<'_, H> {
    fn on_batch_start(&mut self, size: usize, backlog: u64) {
        self.0.on_batch_start(size, backlog);
    }

    fn on_event(&mut self, event: &E, at: At<'_>) -> Result<(), crate::HandlerError> {
        self.0.on_event(event, at)
    }
}

impl<E, H: HandlerMut<E>> HandlerMut<E> for Lent<'_, H> {
    fn on_batch_start(&mut self, size: usize, backlog: u64) {
        self.0.on_batch_start(size, backlog);
    }

    fn on_event(&mut self, event: &mut E, at: At<'_>) -> Result<(), crate::HandlerError> {
        self.0.on_event(event, at)
    }
}

/// Events taken by [`Poller::read`], released as far as they were read when this is dropped.
#[derive(Debug)]
#[must_use = "events that are not read stay on the ring"]
pub struct Batch<'a, E> {
    seat: &'a mut Seat<E>,
    /// What is done with: an event is when the next one has been asked for.
    done: Progress,
    /// What has been handed out.
    read: Progress,
    to: u64,
    /// The event in the caller's hands.
    held: Held,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// The next sequence.
    at: u64,
    /// Abandoned sequences passed over on the way.
    passed_over: u64,
}

impl<E> Batch<'_, E> {
    /// The next event. The reference lives until the next call.
    ///
    /// Not `Iterator::next`: an iterator's items could outlive the batch, and the slots with it.
    #[allow(clippy::should_implement_trait)]
    #[inline]
    pub fn next(&mut self) -> Option<&E> {
        self.done = self.read;
        let Some(sequence) = self.find() else {
            self.done = self.read;
            return None;
        };
        self.read.at = sequence + 1;
        Some(self.lend(sequence))
    }

    /// The next event and its sequence, without going on to it: the same is returned until it is
    /// [passed](Self::pass) or [taken](Self::next).
    #[inline]
    pub fn peek(&mut self) -> Option<(u64, &E)> {
        let sequence = self.find()?;
        Some((sequence, self.lend(sequence)))
    }

    /// Goes past the event that [`peek`](Self::peek) has shown: it is done with. Of no effect where there is none.
    #[inline]
    pub fn pass(&mut self) {
        if self.find().is_some() {
            self.read.at += 1;
            self.done = self.read;
        }
    }

    /// The sequence of the next event; abandoned ones before it are passed over.
    #[inline]
    fn find(&mut self) -> Option<u64> {
        self.held = Held::default();
        while self.read.at < self.to {
            if !self.seat.is_abandoned(self.read.at, self.to) {
                return Some(self.read.at);
            }
            self.read.at += 1;
            self.read.passed_over += 1;
        }
        None
    }

    /// An event of this batch.
    #[inline]
    fn lend(&mut self, sequence: u64) -> &E {
        self.seat.ring.prefetch_before(self.to, sequence, prefetch::LINES_AHEAD_IN_A_RUN);
        // SAFETY: one slot lies inside a lap; the seat's cursor stays at or before it for as
        // long as this batch lives, so nobody writes to it while it is lent.
        let (slot, held) = unsafe { self.seat.ring.shared(sequence, 1) };
        self.held = held;
        &slot[0]
    }

    /// The sequence of the event that [`next`](Self::next) returns next, if there is one.
    pub fn sequence(&self) -> u64 {
        self.seat.ring.circuit.skips.first_kept(self.read.at, self.to)
    }

    /// How many events are left, abandoned ones included.
    pub fn remaining(&self) -> u64 {
        self.to - self.read.at
    }
}

impl<E> Drop for Batch<'_, E> {
    fn drop(&mut self) {
        self.held = Held::default();
        let done = if thread::panicking() { self.done } else { self.read };
        if done.at > self.seat.cursor {
            self.seat.post().figures.newly_passed_over.add(done.passed_over);
            self.seat.move_to(done.at);
        }
    }
}
