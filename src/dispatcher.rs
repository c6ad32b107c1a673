//! The dispatcher: the owner of the threads, from their start to their end.

use std::{fmt, io, time::Duration};

use crate::{
    consumer::Seat,
    current,
    error::{BuildError, Failure, Fault, PollerError},
    membership::Membership,
    muster::{self, Body, Entrant, Muster, Started},
    poller::{Poller, PollerMut},
    report::{Report, ShutdownCause, ShutdownError},
    ring::Ring,
    snapshot::{Monitor, Snapshot},
    sync::{
        Arc, thread,
        time::{self, Instant},
    },
    trace,
};

/// How long a dropped dispatcher lets the stations drain.
pub(crate) const DROP_PATIENCE: Duration = Duration::from_secs(10);
/// How long a halt waits for handlers to return before their threads are left alone.
pub(crate) const HALT_GRACE: Duration = Duration::from_secs(1);

/// Something about a started ring that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Threads that spin while they wait, on a ring with more threads than cores: they will take
    /// the cores from those they wait for, until they notice and yield. Use
    /// [`Wait::Adaptive`](crate::Wait::Adaptive) or [`Wait::Yield`](crate::Wait::Yield).
    Oversubscribed {
        /// Stations that spin while they wait; each worker of a team counts.
        spinning: usize,
        /// Threads of the ring: its stations and at least one producer.
        threads: usize,
        /// Cores that this process may use.
        cores: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Oversubscribed { spinning, threads, cores } = self;
        write!(
            f,
            "{spinning} stations spin while they wait, but at least {threads} threads have {cores} \
             core(s) to run on: use the adaptive or the yielding wait"
        )
    }
}

/// A poller that waits for its owner.
enum Untaken<E> {
    Reading(Poller<E>),
    Mutating(PollerMut<E>),
}

impl<E> Untaken<E> {
    fn name(&self) -> &str {
        match self {
            Self::Reading(poller) => poller.name(),
            Self::Mutating(poller) => poller.name(),
        }
    }
}

/// The owner of a running ring: it ends it, and tells how it went.
///
/// Dropping it closes the ring, waits up to 10 seconds until everything published is handled, then
/// halts what is left and waits one more second for handlers to return. Use
/// [`shutdown`](Self::shutdown) to choose the time and to see the report. Dropped by one of its own
/// handlers, it only closes the ring.
#[must_use = "dropping the dispatcher closes the ring"]
pub struct Dispatcher<E> {
    ring: Arc<Ring<E>>,
    muster: Arc<Muster>,
    /// Of the stations that the ring was built with.
    threads: Vec<Started>,
    /// Pollers that nobody has taken.
    pollers: Vec<Untaken<E>>,
    warnings: Vec<Warning>,
    is_over: bool,
}

impl<E> fmt::Debug for Dispatcher<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("capacity", &self.capacity())
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// The first station that could not start, and why.
type NotStarted = (Arc<str>, Failure);

impl<E: Send + 'static> Dispatcher<E> {
    /// Starts a thread for each station that has an engine. On failure every thread has ended.
    pub(crate) fn start(
        ring: Arc<Ring<E>>,
        entrants: Vec<Entrant<'static, E>>,
    ) -> Result<Self, BuildError> {
        let mut dispatcher = Self::new(ring, &entrants);
        let (threads, outcome) = dispatcher.enter(entrants, thread::spawn);
        dispatcher.threads = threads;
        if let Err(error) = outcome {
            let _ = dispatcher.end(true);
            return Err(error);
        }
        Ok(dispatcher)
    }
}

impl<E: Send> Dispatcher<E> {
    fn new(ring: Arc<Ring<E>>, entrants: &[Entrant<'_, E>]) -> Self {
        Self {
            warnings: oversubscription(&ring, entrants).into_iter().collect(),
            ring,
            muster: Arc::default(),
            threads: Vec::new(),
            pollers: Vec::new(),
            is_over: false,
        }
    }

    /// One that does not end the ring when it is dropped: that is the scope's business.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn in_scope(ring: Arc<Ring<E>>, entrants: &[Entrant<'_, E>]) -> Self {
        let mut dispatcher = Self::new(ring, entrants);
        dispatcher.is_over = true;
        dispatcher
    }

    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn muster(&self) -> Arc<Muster> {
        Arc::clone(&self.muster)
    }

    /// Starts a thread by `spawn` for each station that has an engine, and waits until they are ready.
    /// On failure the ring is halted; the threads that are returned are ending.
    pub(crate) fn enter<'a, H>(
        &mut self,
        entrants: Vec<Entrant<'a, E>>,
        mut spawn: impl FnMut(&str, Body<'a>) -> io::Result<H>,
    ) -> (Vec<Started<H>>, Result<(), BuildError>)
    where
        E: 'a,
    {
        let mut threads = Vec::new();
        let mut failed = None;
        for Entrant { who, manner, core, mutates, engine } in entrants {
            let seat = Seat::new(Arc::clone(&self.ring), who, manner);
            let Some(engine) = engine else {
                self.pollers.push(if mutates {
                    Untaken::Mutating(Poller::new(seat))
                } else {
                    Untaken::Reading(Poller::new(seat))
                });
                continue;
            };
            let name = Arc::clone(&seat.name);
            match muster::start(&self.muster, seat, core, engine, &mut spawn) {
                Ok(started) => threads.extend(started),
                Err(failure) => {
                    failed = Some((name, failure));
                    break;
                }
            }
        }
        let failed: Option<NotStarted> = self.muster.await_ready().or(failed);
        let outcome = failed.map_or(Ok(()), |(station, failure)| {
            self.ring.circuit.halt(None);
            let (station, cause) = (station.to_string(), failure.message);
            Err(BuildError::NotStarted { station, cause })
        });
        if outcome.is_ok() {
            trace::ring_started(&self.ring.circuit);
        }
        (threads, outcome)
    }
}

fn oversubscription<E>(ring: &Ring<E>, entrants: &[Entrant<'_, E>]) -> Option<Warning> {
    let working = || entrants.iter().filter(|entrant| entrant.engine.is_some());
    let spinning = working().filter(|entrant| entrant.manner.wait.occupies_a_core()).count();
    let (threads, cores) = (working().count() + 1, ring.circuit.cores());
    (spinning > 0 && threads > cores).then_some(Warning::Oversubscribed {
        spinning,
        threads,
        cores,
    })
}

impl<E> Dispatcher<E> {
    /// What the owner should know about this ring.
    ///
    /// ```
    /// use slipring::{Builder, Wait, read};
    ///
    /// let stations: Vec<_> = (0..64).map(|n| read(format!("s{n}"), |_: &u8, _| ())).collect();
    /// let (_producer, dispatcher) =
    ///     Builder::new(8, || 0_u8).wait(Wait::Spin).then(stations).start()?;
    /// for warning in dispatcher.warnings() {
    ///     eprintln!("{warning}");
    /// }
    /// # Ok::<(), slipring::BuildError>(())
    /// ```
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The number of slots.
    pub fn capacity(&self) -> usize {
        self.ring.circuit.capacity.slots()
    }

    /// A handle through which stations are attached to the running ring, from any thread.
    pub fn membership(&self) -> Membership<E> {
        Membership::new(Arc::clone(&self.ring), Arc::clone(&self.muster))
    }

    /// The fault that halted the ring, if one did.
    pub fn fault(&self) -> Option<Fault> {
        self.ring.circuit.lifecycle.fault()
    }

    /// Takes the poller of a station declared with [`poller`](crate::poller). It can be taken
    /// once; one that is never taken holds the producers back until the dispatcher goes.
    ///
    /// # Errors
    /// `UnknownName` if there is no such station, it has a thread, or its poller was taken;
    /// `Mutates` if it was declared with [`poller_mut`](crate::poller_mut).
    pub fn poller(&mut self, name: &str) -> Result<Poller<E>, PollerError> {
        let index = self.find_poller(name)?;
        match self.pollers.remove(index) {
            Untaken::Reading(poller) => Ok(poller),
            other @ Untaken::Mutating(_) => {
                self.pollers.insert(index, other);
                Err(PollerError::Mutates(name.to_owned()))
            }
        }
    }

    /// Takes the poller of a station declared with [`poller_mut`](crate::poller_mut).
    ///
    /// # Errors
    /// As [`poller`](Self::poller), but `Reads` if it was declared with
    /// [`poller`](crate::poller).
    pub fn poller_mut(&mut self, name: &str) -> Result<PollerMut<E>, PollerError> {
        let index = self.find_poller(name)?;
        match self.pollers.remove(index) {
            Untaken::Mutating(poller) => Ok(poller),
            other @ Untaken::Reading(_) => {
                self.pollers.insert(index, other);
                Err(PollerError::Reads(name.to_owned()))
            }
        }
    }

    fn find_poller(&self, name: &str) -> Result<usize, PollerError> {
        self.pollers.iter().position(|poller| poller.name() == name).ok_or_else(|| {
            let available = self.pollers.iter().map(|poller| poller.name().to_owned()).collect();
            PollerError::UnknownName { name: name.to_owned(), available }
        })
    }

    /// One look at the ring.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.ring.circuit)
    }

    /// What looks at the ring from elsewhere, and also when this is gone.
    pub fn monitor(&self) -> Monitor
    where
        E: Send + 'static,
    {
        Monitor::new(Arc::clone(&self.ring))
    }

    /// Refuses new events: producers get [`Closed`](crate::PublishError::Closed), also those that
    /// wait for room now. Every event whose publish call succeeds is handled. Returns at once;
    /// the stations end when they have handled what was published.
    pub fn close(&self) {
        self.ring.circuit.close();
    }

    /// Stops every station after the batch that it is in, and refuses new events. Events not
    /// handled are left; the report counts them. Returns at once.
    pub fn halt(&self) {
        self.ring.circuit.halt(None);
    }

    /// Closes the ring, waits until every station with a thread has handled everything that was
    /// published, and ends the threads. Producers may still exist; they are refused. Pollers are their owners' business: they are not waited for, unless a thread
    /// follows them, and can be polled on until they are [`Closed`](crate::Poll::Closed).
    ///
    /// The draining has `timeout`. When that is up the ring is halted: stations end after the batch
    /// they are in. A handler that does not return within another second is left alone on its
    /// thread. With pollers, `Ok` does not mean that everything was handled: see
    /// [`Report::is_complete`].
    ///
    /// # Errors
    /// `Fault` if a station failed and halted the ring, `TimedOut` if the time was up, `OwnThread`
    /// if a handler of this ring makes the call. All come with the report.
    pub fn shutdown(mut self, timeout: Duration) -> Result<Report, ShutdownError> {
        self.ring.circuit.close();
        // A timeout beyond the clock's range is none.
        self.finish(time::now().checked_add(timeout))
    }

    /// Waits until the ring is closed, by the last producer's drop or by a halt, and every station
    /// with a thread has handled everything; then ends the threads. Pollers are not waited for, as
    /// in [`shutdown`](Self::shutdown).
    ///
    /// # Deadlocks
    /// If a producer is alive and nobody drops it: on the same thread, or in the state of one of
    /// the handlers. Use [`shutdown`](Self::shutdown) then, which closes the ring itself.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn join(mut self) -> Result<Report, ShutdownError> {
        self.finish(None)
    }

    fn finish(&mut self, deadline: Option<Instant>) -> Result<Report, ShutdownError> {
        // Nobody can take these pollers any more: they leave.
        self.pollers.clear();
        if current::is_running(&self.ring.circuit) {
            self.is_over = true;
            self.ring.circuit.close();
            let report = Report::of(&self.ring.circuit);
            return Err(ShutdownError { cause: ShutdownCause::OwnThread, report });
        }
        let is_halted = || self.ring.circuit.lifecycle.is_halted();
        let is_drained = self.await_close(deadline)
            && (self.muster.await_end(deadline, is_halted) || is_halted());
        if !is_drained {
            self.ring.circuit.halt(None);
        }
        let outcome = self.end(is_drained);
        match &outcome {
            Ok(report) => trace::ring_ended(report, None),
            Err(error) => trace::ring_ended(&error.report, Some(error)),
        }
        outcome
    }

    /// Waits until the end of the stream is settled, as it is by a halt; `false` if the time was
    /// up.
    fn await_close(&self, deadline: Option<Instant>) -> bool {
        let circuit = &self.ring.circuit;
        while circuit.end().is_none() {
            if deadline.is_some_and(|deadline| time::now() >= deadline) {
                return false;
            }
            // Not `sleep`, which would have the producers ring at every event.
            circuit.lifecycle.published.nap(deadline, || circuit.end().is_none());
        }
        true
    }

    /// Waits for the threads, which are ending or have been told to, and reports.
    fn end(&mut self, is_drained: bool) -> Result<Report, ShutdownError> {
        self.is_over = true;
        let circuit = &self.ring.circuit;
        let running = self.muster.end(Some(time::now() + HALT_GRACE));
        for (place, handle) in self.threads.drain(..) {
            // A thread that is left alone keeps the ring alive for as long as it needs it.
            let runs = running.iter().any(|(running, _)| *running == place);
            if !runs && !thread::is_current(&handle) {
                // Its panics were caught and reported; this one can only be a destructor's.
                let _ = handle.join();
            }
        }
        let report = Report::of(circuit);
        if let Some(fault) = circuit.lifecycle.fault() {
            return Err(ShutdownError { cause: ShutdownCause::Fault(fault), report });
        }
        if !is_drained || !running.is_empty() {
            let mut running: Vec<_> =
                running.into_iter().map(|(_, station)| station.to_string()).collect();
            // The workers of a team, one behind the other.
            running.dedup();
            return Err(ShutdownError { cause: ShutdownCause::TimedOut { running }, report });
        }
        Ok(report)
    }
}

impl<E> Drop for Dispatcher<E> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.ring.circuit.close();
        let _ = self.finish(Some(time::now() + DROP_PATIENCE));
    }
}
