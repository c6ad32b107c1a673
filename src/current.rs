//! Which stations the calling thread is running at the moment: a handler that publishes into its
//! own full ring would wait for itself, and must be told.

use std::{cell::RefCell, ptr};

use crate::circuit::Circuit;

crate::sync::thread_local! {
    /// Innermost last: a poller may be polled inside a handler. The pointers are only compared.
    static RUNNING: RefCell<Vec<(*const Circuit, usize)>> = const { RefCell::new(Vec::new()) };
}

/// As long as this lives, the calling thread runs the station.
#[derive(Debug)]
pub(crate) struct Running {
    // The entry belongs to the thread that made it.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Running {
    pub(crate) fn enter(circuit: &Circuit, station: usize) -> Self {
        RUNNING.with_borrow_mut(|running| running.push((ptr::from_ref(circuit), station)));
        Self { _not_send: std::marker::PhantomData }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(Vec::pop);
    }
}

/// The station of this circuit that the calling thread is running.
pub(crate) fn station_on(circuit: &Circuit) -> Option<usize> {
    RUNNING.with_borrow(|running| {
        running
            .iter()
            .rev()
            .find(|(running, _)| ptr::eq(*running, circuit))
            .map(|(_, station)| *station)
    })
}
