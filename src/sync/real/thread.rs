//! Threads: spawning, also in a scope, naming, pinning, yielding, what they own, and what the machine has of cores.

use std::{
    io,
    num::NonZero,
    thread::{Scope, ScopedJoinHandle},
};

pub(crate) use std::{
    thread::{JoinHandle, panicking, scope},
    thread_local as local,
};

/// Starts a thread with a name.
pub(crate) fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Starts a thread with a name, which borrows, and has ended when its scope has.
pub(crate) fn spawn_scoped<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    body: impl FnOnce() + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, ()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, body)
}

/// Whether this thread is the one that the handle is of.
pub(crate) fn is_current(handle: &JoinHandle<()>) -> bool {
    handle.thread().id() == std::thread::current().id()
}

/// Lets another thread run on this core.
pub(crate) fn yield_now() {
    std::thread::yield_now();
}

/// How many threads can run at once, after affinity masks and control groups; 1 if unknown.
pub(crate) fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// The cores that this process may be pinned to, ascending; empty where the system has no pinning.
pub(crate) fn cores() -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    cores.sort_unstable();
    cores
}

/// Pins the calling thread to `core`; `false` if the system refused.
pub(crate) fn pin(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}
