//! Which thread of the model unwinds.
//!
//! All threads of a model share a thread of the system, so `std::thread::panicking` is true for all
//! of them while one unwinds. A model therefore says where its panics begin, with
//! [`plan_a_panic`], and whoever catches one says where it ends, by dropping its payload.
//!
//! What else leaks from an unwinding thread to the others is poison, which the locks of this crate
//! never look at.

use std::{cell::RefCell, panic};

use shuttle::{current, scheduler::TaskId};

std::thread_local! {
    static UNWINDING: RefCell<Vec<TaskId>> = const { RefCell::new(Vec::new()) };
}

/// The payload of a panic that a model plans.
#[derive(Debug)]
pub struct Planned {
    thread: TaskId,
}

impl Drop for Planned {
    fn drop(&mut self) {
        UNWINDING.with_borrow_mut(|unwinding| {
            let ended = unwinding.iter().rposition(|thread| *thread == self.thread);
            unwinding.extract_if(ended.map_or(0..0, |at| at..at + 1), |_| true).for_each(drop);
        });
    }
}

/// A panic that is part of a model. It is not shown to the panic hook.
pub fn plan_a_panic() -> ! {
    let thread = current::me();
    UNWINDING.with_borrow_mut(|unwinding| unwinding.push(thread));
    panic::resume_unwind(Box::new(Planned { thread }))
}

/// Whether this thread unwinds one of them.
pub(crate) fn panicking() -> bool {
    let me = current::me();
    UNWINDING.with_borrow(|unwinding| unwinding.contains(&me))
}
