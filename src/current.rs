//! Which stations the calling thread is running at the moment: a handler that publishes into its
//! own full ring would wait for itself, and must be told.

use std::{cell::Cell, marker::PhantomData, ptr};

use crate::{circuit::Circuit, sync::thread};

/// How deep polls inside handlers are followed; what happens deeper is not noticed.
const DEEPEST: usize = 16;

/// Who a thread is on a circuit. As short as an index, because it is noted at every poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    station: u32,
    pub(crate) worker: Worker,
}

/// Which of a station's workers a thread is, if there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker(u32);

/// Neither is any station's or worker's number.
const NOBODY: u32 = u32::MAX;

impl Who {
    /// The reset hook, where a station is asked for.
    pub(crate) const RESET_HOOK: Self = Self { station: NOBODY, worker: Worker(NOBODY) };

    /// Whoever runs a station, or one of its workers.
    pub(crate) fn new(station: usize, worker: Option<usize>) -> Self {
        let worker = Worker(worker.map_or(NOBODY, |worker| worker as u32));
        Self { station: station as u32, worker }
    }

    #[inline]
    pub(crate) fn station(self) -> usize {
        self.station as usize
    }

    #[inline]
    pub(crate) fn is_worker(self) -> bool {
        self.worker.0 != NOBODY
    }
}

impl Worker {
    /// Its number; `None` for somebody who has a station of their own.
    #[inline]
    pub(crate) fn number(self) -> Option<usize> {
        (self.0 != NOBODY).then_some(self.0 as usize)
    }
}

/// A circuit, by its address, which is only compared, and who the thread is there.
type Entry = (usize, Who);

thread::local! {
    /// How many stations this thread runs, one inside the other.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The outermost of them. Not a `Vec`: its destructor would be registered, and memory allocated,
    /// when a producer waits for the first time.
    static RUNNING: [Cell<Entry>; DEEPEST] = const { [const { Cell::new((0, Who::RESET_HOOK)) }; DEEPEST] };
}

/// As long as this lives, the calling thread runs the station.
#[derive(Debug)]
pub(crate) struct Running {
    // The entry belongs to the thread that made it.
    not_send: PhantomData<*const ()>,
}

impl Running {
    pub(crate) fn enter(circuit: &Circuit, who: Who) -> Self {
        let depth = DEPTH.with(|depth| depth.replace(depth.get() + 1));
        RUNNING.with(|running| {
            if let Some(entry) = running.get(depth) {
                entry.set((address(circuit), who));
            }
        });
        Self { not_send: PhantomData }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Who the calling thread is on this circuit, of those that are `wanted`.
pub(crate) fn find(circuit: &Circuit, is_wanted: impl Fn(Who) -> bool) -> Option<Who> {
    let depth = DEPTH.with(Cell::get).min(DEEPEST);
    let address = address(circuit);
    RUNNING.with(|running| {
        let mut entries = running[..depth].iter().map(Cell::get);
        entries.find(|entry| entry.0 == address && is_wanted(entry.1)).map(|entry| entry.1)
    })
}

/// Whether the calling thread is running a station of this circuit.
pub(crate) fn is_running(circuit: &Circuit) -> bool {
    find(circuit, |_| true).is_some()
}

fn address(circuit: &Circuit) -> usize {
    ptr::from_ref(circuit).addr()
}
