//! Which stations the calling thread is running at the moment: a handler that publishes into its
//! own full ring would wait for itself, and must be told.

use std::{cell::Cell, marker::PhantomData, ptr};

use crate::{circuit::Circuit, sync::thread};

/// How deep polls inside handlers are followed; what happens deeper is not noticed.
const DEEPEST: usize = 16;

/// A circuit, by its address, which is only compared, and a station on it.
type Entry = (usize, usize);

thread::local! {
    /// How many stations this thread runs, one inside the other.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The outermost of them. Not a `Vec`: its destructor would be registered, and memory allocated,
    /// when a producer waits for the first time.
    static RUNNING: [Cell<Entry>; DEEPEST] = const { [const { Cell::new((0, 0)) }; DEEPEST] };
}

/// As long as this lives, the calling thread runs the station.
#[derive(Debug)]
pub(crate) struct Running {
    // The entry belongs to the thread that made it.
    not_send: PhantomData<*const ()>,
}

impl Running {
    pub(crate) fn enter(circuit: &Circuit, station: usize) -> Self {
        let depth = DEPTH.with(|depth| depth.replace(depth.get() + 1));
        RUNNING.with(|running| {
            if let Some(entry) = running.get(depth) {
                entry.set((address(circuit), station));
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

/// A station of this circuit that the calling thread is running and that `is_wanted`.
pub(crate) fn find_station(circuit: &Circuit, is_wanted: impl Fn(usize) -> bool) -> Option<usize> {
    let depth = DEPTH.with(Cell::get).min(DEEPEST);
    let address = address(circuit);
    RUNNING.with(|running| {
        let mut entries = running[..depth].iter().map(Cell::get);
        entries.find(|entry| entry.0 == address && is_wanted(entry.1)).map(|entry| entry.1)
    })
}

/// Whether the calling thread is running a station of this circuit.
pub(crate) fn is_running(circuit: &Circuit) -> bool {
    find_station(circuit, |_| true).is_some()
}

fn address(circuit: &Circuit) -> usize {
    ptr::from_ref(circuit).addr()
}
