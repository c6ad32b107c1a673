//! What is done with panics of somebody else's code.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Calls what may panic where nobody could be told. The panic's message has been written by then.
pub(super) fn swallow(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        // Its destructor may panic as well, and so on.
        mem::forget(payload);
    }
}
