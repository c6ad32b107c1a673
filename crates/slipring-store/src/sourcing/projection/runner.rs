//! A thread that steps, and those who wait for it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::{
    EventStore, Reach, StoreError,
    sourcing::{Halt, Stepped, WaitError, WhenStoreFails, projection::apply::message_of},
};

/// How long it waits for an event before it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);
/// The first pause of one that holds, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(250));

/// What can be stepped.
pub(crate) trait Engine: Send + 'static {
    fn step(&mut self) -> Result<Stepped, Halt>;
    fn position(&self) -> u64;
    fn parked(&self) -> u64;
    fn is_shown(&self) -> bool;
    fn store(&self) -> &Arc<dyn EventStore>;
    fn reach(&self) -> Reach;
    fn when_store_fails(&self) -> WhenStoreFails;
}

/// What a projection does at the moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProjectorState {
    /// It applies what is there.
    CatchingUp,
    /// It has applied all, and waits for more.
    Live,
    /// The store fails for this reason, and it tries [again](crate::sourcing::WhenStoreFails::Hold).
    Failing(Arc<StoreError>),
    /// It goes no further.
    Halted(Halt),
    /// It was stopped.
    Stopped,
}

/// How far a projection has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProjectorStatus {
    /// The position of the next event that it is to see: what is before it is committed.
    pub position: u64,
    /// Where the store ends, as far as it reads.
    pub end: u64,
    /// How many events are parked.
    pub parked: u64,
    /// Whether it is the version that is shown.
    pub is_shown: bool,
    /// What it does.
    pub state: ProjectorState,
}

impl ProjectorStatus {
    /// How many events it has yet to see.
    pub fn lag(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }
}

/// What is known of the thread.
struct Known {
    position: u64,
    parked: u64,
    is_shown: bool,
    state: ProjectorState,
}

struct Shared {
    known: Mutex<Known>,
    changed: Condvar,
    is_to_stop: AtomicBool,
}

impl Shared {
    fn is_to_stop(&self) -> bool {
        // ORDERING: Acquire, paired with the Release in `tell_to_stop`.
        self.is_to_stop.load(Ordering::Acquire)
    }

    /// Waits for so long, or until it is to stop.
    fn nap(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.is_to_stop() && Instant::now() < end {
            thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        }
    }

    fn post<E: Engine>(&self, engine: &E, state: ProjectorState) {
        let known = Known {
            position: engine.position(),
            parked: engine.parked(),
            is_shown: engine.is_shown(),
            state,
        };
        *self.known.lock() = known;
        self.changed.notify_all();
    }
}

/// A thread with an engine in it.
pub(crate) struct Runner {
    shared: Arc<Shared>,
    store: Arc<dyn EventStore>,
    reach: Reach,
    thread: Option<JoinHandle<()>>,
}

impl Runner {
    pub fn start<E: Engine>(name: &str, engine: &Arc<Mutex<E>>) -> Result<Self, std::io::Error> {
        let first = engine.lock();
        let known = Known {
            position: first.position(),
            parked: first.parked(),
            is_shown: first.is_shown(),
            state: ProjectorState::CatchingUp,
        };
        let (store, reach) = (Arc::clone(first.store()), first.reach());
        drop(first);
        let shared = Arc::new(Shared {
            known: Mutex::new(known),
            changed: Condvar::new(),
            is_to_stop: AtomicBool::new(false),
        });
        let thread = {
            let (engine, shared) = (Arc::clone(engine), Arc::clone(&shared));
            thread::Builder::new().name(name.into()).spawn(move || run(&engine, &shared))?
        };
        Ok(Self { shared, store, reach, thread: Some(thread) })
    }

    pub fn status(&self) -> Result<ProjectorStatus, StoreError> {
        // Looked at first, the end may be behind the position; never the other way round by mistake.
        let end = self.store.bounds()?.end_of(self.reach);
        let known = self.shared.known.lock();
        let Known { position, parked, is_shown, ref state } = *known;
        Ok(ProjectorStatus { position, end, parked, is_shown, state: state.clone() })
    }

    pub fn wait_for(&self, position: u64, timeout: Duration) -> Result<(), WaitError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut known = self.shared.known.lock();
        loop {
            let at = known.position;
            if at >= position {
                return Ok(());
            }
            match &known.state {
                ProjectorState::Halted(why) => {
                    return Err(WaitError::Halted { at, why: why.clone() });
                }
                ProjectorState::Stopped => return Err(WaitError::Stopped { at }),
                ProjectorState::CatchingUp | ProjectorState::Live | ProjectorState::Failing(_) => {}
            }
            match deadline {
                None => self.shared.changed.wait(&mut known),
                Some(deadline) if Instant::now() >= deadline => {
                    return Err(WaitError::Late { at, wanted: position, timeout });
                }
                Some(deadline) => drop(self.shared.changed.wait_until(&mut known, deadline)),
            }
        }
    }

    /// Waits until it ends by itself or is told to, and tells why it has halted.
    pub fn join(&mut self) -> Result<(), Halt> {
        if let Some(thread) = self.thread.take() {
            // It catches its own panics.
            let _ = thread.join();
        }
        match &self.shared.known.lock().state {
            ProjectorState::Halted(halt) => Err(halt.clone()),
            _ => Ok(()),
        }
    }

    pub fn tell_to_stop(&self) {
        // ORDERING: Release, paired with the Acquire in `run`, though nothing hangs on it but that it stops.
        self.shared.is_to_stop.store(true, Ordering::Release);
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.tell_to_stop();
        let _ = self.join();
    }
}

fn run<E: Engine>(engine: &Mutex<E>, shared: &Shared) {
    // Panics of a projection are caught where they come about; these would be a store's.
    let ran = catch_unwind(AssertUnwindSafe(|| step_on(engine, shared)));
    let state = match ran {
        Ok(Ok(())) => ProjectorState::Stopped,
        Ok(Err(halt)) => ProjectorState::Halted(halt),
        Err(payload) => {
            let (message, position) = (message_of(payload), shared.known.lock().position);
            ProjectorState::Halted(Halt::Panicked { position, message })
        }
    };
    shared.post(&*engine.lock(), state);
}

fn step_on<E: Engine>(engine: &Mutex<E>, shared: &Shared) -> Result<(), Halt> {
    let mut pause = PAUSES.0;
    while !shared.is_to_stop() {
        let Err(halt) = step_once(engine, shared) else {
            pause = PAUSES.0;
            continue;
        };
        let held = engine.lock();
        let Some(error) = held.when_store_fails().hold_by(&halt).map(Arc::clone) else {
            return Err(halt);
        };
        shared.post(&*held, ProjectorState::Failing(error));
        drop(held);
        shared.nap(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
    Ok(())
}

/// Steps once, and waits for more if there is nothing to do.
fn step_once<E: Engine>(engine: &Mutex<E>, shared: &Shared) -> Result<(), Halt> {
    let (stepped, store, position, reach) = {
        let mut engine = engine.lock();
        let stepped = engine.step()?;
        let state = match stepped {
            Stepped::Moved => ProjectorState::CatchingUp,
            Stepped::Idle => ProjectorState::Live,
        };
        shared.post(&*engine, state);
        (stepped, Arc::clone(engine.store()), engine.position(), engine.reach())
    };
    if stepped == Stepped::Idle {
        store.wait(position, reach, LOOK)?;
    }
    Ok(())
}
