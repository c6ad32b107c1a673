//! What fails a model: any panic that it has not planned, wherever it is caught.
//!
//! A handler's panic is caught by its station, so an assertion in a handler would count as the
//! handler's failure. The panic hook tells: planned panics do not come by it.

use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Once,
};

/// The first unplanned panic of a model.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub message: String,
}

// Of the thread that runs the model, with all of the model's threads on it.
std::thread_local! {
    static SEED: Cell<u64> = const { Cell::new(0) };
    static FIRST: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// A schedule begins.
pub(super) fn begin(seed: u64) {
    SEED.set(seed);
}

/// Fails the model on its main thread, if one of its threads has failed.
pub(super) fn check() {
    let first = FIRST.with_borrow(Clone::clone);
    assert!(first.is_none(), "a thread of the model has failed: {first:?}");
}

/// Runs a model and returns its first unplanned panic.
pub fn failure_of(run: impl FnOnce()) -> Result<(), Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            FIRST.with_borrow_mut(|first| {
                first
                    .get_or_insert_with(|| Failure { seed: SEED.get(), message: info.to_string() });
            });
            shown(info);
        }));
    });
    FIRST.set(None);
    let result = catch_unwind(AssertUnwindSafe(run));
    if let Some(failure) = FIRST.take() {
        return Err(failure);
    }
    // Nothing but a panic that the hook has seen fails a run.
    result.unwrap_or_else(|payload| panic::resume_unwind(payload));
    Ok(())
}
