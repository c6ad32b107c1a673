//! Which stations the calling thread is running at the moment: a handler that publishes into its
//! own full ring would wait for itself, and must be told.

use std::{cell::Cell, marker::PhantomData, ptr};

use crate::circuit::Circuit;

/// How deep polls inside handlers are followed; deeper ones are not told.
const DEEPEST: usize = 16;

/// A circuit, by its address, which is only compared, and a station on it.
type Entry = (usize, usize);

crate::sync::thread_local! {
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
        let depth = DEPTH.replace(DEPTH.get() + 1);
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
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// The station of this circuit that the calling thread is running.
pub(crate) fn station_on(circuit: &Circuit) -> Option<usize> {
    let depth = DEPTH.get().min(DEEPEST);
    let address = address(circuit);
    RUNNING.with(|running| {
        let innermost_first = running[..depth].iter().rev().map(Cell::get);
        innermost_first.filter(|entry| entry.0 == address).map(|entry| entry.1).next()
    })
}

fn address(circuit: &Circuit) -> usize {
    ptr::from_ref(circuit).addr()
}
