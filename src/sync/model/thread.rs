//! Threads of the model.

use std::io;

use super::checker;

#[cfg(shuttle)]
pub(crate) use super::panics::panicking;
pub(crate) use checker::thread::{JoinHandle, yield_now};
#[cfg(loom)]
pub(crate) use std::thread::panicking;

/// As `std::thread_local`, of which the checkers' forms know an older edition.
macro_rules! local {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const { $value:expr };)+) => {
        $($crate::sync::model::checker::thread_local! {
            $(#[$attribute])* static $name: $type = $value;
        })+
    };
}
pub(crate) use local;

/// Starts a thread with a name.
pub(crate) fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    checker::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Whether this thread is the one that the handle is of.
pub(crate) fn is_current(handle: &JoinHandle<()>) -> bool {
    handle.thread().id() == checker::thread::current().id()
}

/// A model has one core: its threads take turns.
pub(crate) fn parallelism() -> usize {
    1
}

/// Core 0, for models of pinned stations.
pub(crate) fn cores() -> Vec<usize> {
    vec![0]
}

/// Where a thread runs makes no difference here.
pub(crate) fn pin(core: usize) -> bool {
    core == 0
}
