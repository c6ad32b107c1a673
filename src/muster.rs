//! Where the threads of a ring are counted, from their start to their end.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{
    consumer::{Manner, Seat},
    current::{Running, Who},
    error::{Failure, Fault},
    station::Engine,
    sync::{
        Arc,
        lock::control::{Condvar, Mutex},
        thread::{self, JoinHandle},
        time::{self, Instant},
    },
    trace,
};

/// A station, or one of its workers, that is about to be started.
pub(crate) struct Entrant<'a, E> {
    pub(crate) who: Who,
    pub(crate) manner: Manner,
    pub(crate) core: Option<usize>,
    pub(crate) mutates: bool,
    /// `None`: it is polled.
    pub(crate) engine: Option<Engine<'a, E>>,
}

/// The stations' threads wait for each other here, at the start and at the end.
#[derive(Debug, Default)]
pub(crate) struct Muster {
    state: Mutex<Roll>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Roll {
    /// How many have ever entered.
    entered: usize,
    /// Threads that have not said whether they are ready.
    starting: usize,
    /// Threads that have not ended, and their stations' names.
    running: Vec<(usize, Arc<str>)>,
    /// The first one that could not start.
    failed: Option<(Arc<str>, Failure)>,
    /// Nobody enters any more.
    is_over: bool,
}

impl Muster {
    /// Puts a thread on the roll; `None` if the ring has ended.
    fn enter(&self, name: &Arc<str>) -> Option<usize> {
        let mut roll = self.state.lock();
        if roll.is_over {
            return None;
        }
        let place = roll.entered;
        roll.entered += 1;
        roll.starting += 1;
        roll.running.push((place, Arc::clone(name)));
        Some(place)
    }

    fn ready(&self, name: &Arc<str>, outcome: Result<(), Failure>) {
        let mut roll = self.state.lock();
        roll.starting -= 1;
        if let (Err(failure), None) = (outcome, &roll.failed) {
            roll.failed = Some((Arc::clone(name), failure));
        }
        self.changed.notify_all();
    }

    fn leave(&self, place: usize) {
        self.state.lock().running.retain(|(running, _)| *running != place);
        self.changed.notify_all();
    }

    /// Waits until every thread has said whether it is ready; returns the first one that could not
    /// start.
    pub(crate) fn await_ready(&self) -> Option<(Arc<str>, Failure)> {
        let mut roll = self.state.lock();
        while roll.starting > 0 {
            roll = self.changed.wait(roll, None);
        }
        roll.failed.take()
    }

    /// Waits until every thread has ended, the deadline has passed, or a thread ends and `enough`
    /// is true; returns whether every one has.
    pub(crate) fn await_end(&self, deadline: Option<Instant>, enough: impl Fn() -> bool) -> bool {
        let mut roll = self.state.lock();
        while !roll.running.is_empty() && !enough() {
            if deadline.is_some_and(|deadline| time::now() >= deadline) {
                break;
            }
            roll = self.changed.wait(roll, deadline);
        }
        roll.running.is_empty()
    }

    /// As [`await_end`](Self::await_end) for the last time: nobody enters any more. Returns those that
    /// still run.
    pub(crate) fn end(&self, deadline: Option<Instant>) -> Vec<(usize, Arc<str>)> {
        self.state.lock().is_over = true;
        self.await_end(deadline, || false);
        self.state.lock().running.clone()
    }
}

/// What is known of a guest that has a thread.
#[derive(Debug, Default)]
pub(crate) struct Card {
    presence: Mutex<Presence>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Presence {
    /// The first sequence that is its own, once it has arrived.
    first: Option<u64>,
    failure: Option<Failure>,
    /// Its thread has ended.
    is_gone: bool,
}

impl Card {
    pub(crate) fn is_here(&self, first: u64) {
        self.presence.lock().first = Some(first);
        self.changed.notify_all();
    }

    fn could_not_start(&self, failure: Failure) {
        self.presence.lock().failure = Some(failure);
    }

    fn is_gone(&self) {
        self.presence.lock().is_gone = true;
        self.changed.notify_all();
    }

    /// Waits until the guest has arrived.
    ///
    /// # Errors
    /// Its thread ended before that.
    pub(crate) fn await_arrival(&self) -> Result<u64, Failure> {
        let mut presence = self.presence.lock();
        loop {
            if let Some(first) = presence.first {
                return Ok(first);
            }
            if presence.is_gone {
                let unknown = || Failure::error("its thread ended".to_owned());
                return Err(presence.failure.take().unwrap_or_else(unknown));
            }
            presence = self.changed.wait(presence, None);
        }
    }

    /// Waits until the guest's thread has ended; whether it has.
    pub(crate) fn await_end(&self, deadline: Option<Instant>) -> bool {
        let mut presence = self.presence.lock();
        while !presence.is_gone {
            if deadline.is_some_and(|deadline| time::now() >= deadline) {
                return false;
            }
            presence = self.changed.wait(presence, deadline);
        }
        true
    }
}

/// A thread that leaves the roll when it ends, however it does.
struct Leaving {
    muster: Arc<Muster>,
    place: usize,
    card: Option<Arc<Card>>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // Whoever has awaited everybody finds that each of them is gone.
        if let Some(card) = &self.card {
            card.is_gone();
        }
        self.muster.leave(self.place);
    }
}

/// What a station's thread does.
pub(crate) type Body<'a> = Box<dyn FnOnce() + Send + 'a>;
/// How a thread that was started can be told from others, and awaited.
pub(crate) type Started<H = JoinHandle<()>> = (usize, H);

/// Starts a station's thread by `spawn`, under the name that it gets. It says to the muster, or on its
/// guest's card, whether it is ready. `None` if the ring has ended.
///
/// # Errors
/// If the system has no thread for it.
pub(crate) fn start<'a, E: Send + 'a, H>(
    muster: &Arc<Muster>,
    seat: Seat<E>,
    core: Option<usize>,
    engine: Engine<'a, E>,
    spawn: impl FnOnce(&str, Body<'a>) -> io::Result<H>,
) -> Result<Option<Started<H>>, Failure> {
    let station = Arc::clone(&seat.name);
    let name = match seat.who.worker.number() {
        Some(worker) => format!("{station}-{worker}"),
        None => station.to_string(),
    };
    let Some(place) = muster.enter(&station) else { return Ok(None) };
    let ring = Arc::clone(&seat.ring);
    ring.circuit.add_thread();
    let body = {
        let (muster, station) = (Arc::clone(muster), Arc::clone(&station));
        let card = seat.visit.as_ref().map(|visit| Arc::clone(&visit.card));
        move || {
            let _leaving = Leaving { muster: Arc::clone(&muster), place, card: card.clone() };
            // Ends before it leaves: whoever has awaited everybody has heard of everything.
            let _life = trace::life(&station, seat.who.worker, core);
            // Let go of before it leaves: nobody joins the thread of a guest whose handle was dropped,
            // and the events are to be gone when the ring is.
            let mut seat = seat;
            // Also while the handler's state is made and dropped: it may own its own dispatcher.
            let _running = Running::enter(&seat.ring.circuit, seat.who);
            let ready = |outcome| match (&card, outcome) {
                (Some(card), Err(failure)) => {
                    card.could_not_start(failure);
                    muster.ready(&station, Ok(()));
                }
                (_, outcome) => muster.ready(&station, outcome),
            };
            if core.is_some_and(|core| !thread::pin(core)) {
                let core = core.unwrap_or_default();
                ready(Err(Failure::error(format!("the system refused to pin it to core {core}"))));
            } else {
                run_engine(&mut seat, engine, &ready);
            }
            seat.ring.circuit.remove_thread();
        }
    };
    match spawn(&name, Box::new(body)) {
        Ok(handle) => Ok(Some((place, handle))),
        Err(error) => {
            ring.circuit.remove_thread();
            muster.ready(&station, Ok(()));
            muster.leave(place);
            Err(Failure::error(format!("no thread could be started: {error}")))
        }
    }
}

/// Runs a station on its thread. Whatever panics past the policies (a handler's destructor, the
/// destructor of a panic's payload) halts the ring instead of leaving a cursor behind.
fn run_engine<E>(seat: &mut Seat<E>, engine: Engine<'_, E>, ready: &dyn Fn(Result<(), Failure>)) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| engine(seat, ready))) {
        let fault = Fault::new(Arc::clone(&seat.name), seat.cursor, Failure::panic(payload));
        seat.ring.circuit.halt(Some(fault));
    }
}
