//! Rings in a scope: handlers that borrow, and threads that have ended when the scope has.

#![forbid(unsafe_code)]

#[path = "scoped/borrowing.rs"]
mod borrowing;
mod common;
#[path = "scoped/ending.rs"]
mod ending;
#[path = "scoped/inside.rs"]
mod inside;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Turnstile, assert_accounts};
use slipring::{Fault, Producer, Report, ScopeError, Shared, Station, Within, read};

fn publish(producer: &mut Producer<u64>, events: std::ops::Range<u64>) {
    for event in events {
        producer.publish(|slot| *slot = event).expect("the ring is open");
    }
}

/// What came of a ring that nothing happened to.
#[track_caller]
fn complete<T>(outcome: Result<(T, Report), ScopeError<T>>) -> (T, Report) {
    let (value, report) = outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_accounts(&report);
    assert!(report.is_complete(), "{report}");
    (value, report)
}

/// The fault, the report and the closure's value.
#[track_caller]
fn faulted<T>(outcome: Result<(T, Report), ScopeError<T>>) -> (Fault, Report, T) {
    match outcome {
        Err(ScopeError::Fault { fault, report, value }) => {
            assert_accounts(&report);
            (fault, report, value)
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("no station has failed"),
    }
}

/// The text that a scope panics with.
#[track_caller]
fn panicked<T>(scope: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(scope)) {
        Ok(_) => panic!("the closure's panic goes on"),
        Err(payload) => *payload.downcast::<&str>().expect("the closure's own payload"),
    }
    .to_owned()
}

/// Holds the first event until the turnstile is opened.
fn holding(turnstile: Turnstile, seen: &mut Vec<u64>) -> Station<u64, Shared, Within<'_>> {
    read("slow", move |event: &u64, at| {
        if at.sequence() == 0 {
            turnstile.pass(0);
        }
        seen.push(*event);
    })
}
