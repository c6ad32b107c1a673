//! Ends the program when a run does not end: some peers spin for ever when something goes wrong, and
//! nothing can end their threads.

use std::{
    process,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// The exit code of a program that gave a run up.
pub const GIVEN_UP: u8 = 3;

/// Calls `run`. When it is not back after `limit`, the program says what it was, which is what `name`
/// gives, and ends with [`GIVEN_UP`].
pub fn over<R>(
    limit: Duration,
    name: impl FnOnce() -> String + Send,
    run: impl FnOnce() -> R,
) -> R {
    or_else(limit, run, || {
        // Off the line that the progress bar stands in.
        eprintln!("\nerror: {} is not done after {limit:?}. No figures were kept", name());
        process::exit(GIVEN_UP.into());
    })
}

/// Calls `run`, and `give_up` on another thread when it is not back after `limit`. That thread sleeps
/// until either happens: while a run is on, nothing else may want a core.
fn or_else<R>(limit: Duration, run: impl FnOnce() -> R, give_up: impl FnOnce() + Send) -> R {
    let (running, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                give_up();
            }
        });
        let result = run();
        // A panic drops it too. The scope waits for the thread: it is not there in the next run.
        drop(running);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{self, AssertUnwindSafe};

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn a_run_that_ends_is_left_alone() {
        assert_eq!(or_else(LONG, || 7, || unreachable!("there is an hour")), 7);
        let run = AssertUnwindSafe(|| or_else(LONG, || panic!("planned"), || unreachable!()));
        assert!(panic::catch_unwind(run).is_err(), "and it does not wait for the hour");
    }

    #[test]
    fn a_run_that_does_not_end_is_given_up() {
        let (release, wedge) = mpsc::channel();
        // Ends only because it was given up.
        let run = || wedge.recv();
        let give_up = move || release.send(()).expect("it listens");
        assert_eq!(or_else(Duration::from_millis(1), run, give_up), Ok(()));
    }
}
