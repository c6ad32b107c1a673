//! What the integration tests share: a watchdog, logs, a turnstile for handlers, short forms of what
//! is done with pollers, and the identity that every report satisfies.

// Each test file uses a part of it.
#![allow(dead_code)]

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use slipring::{Claim, Dispatcher, Poll, Poller, Producer, Report, Wait};

/// A test that takes longer hangs. No test passes or fails by any shorter time.
pub const A_MINUTE: Duration = Duration::from_mins(1);

/// Every wait strategy.
pub const WAITS: [Wait; 7] = [
    Wait::Adaptive,
    Wait::Spin,
    Wait::Hint,
    Wait::Yield,
    Wait::Backoff,
    Wait::Sleep(Duration::from_micros(20)),
    Wait::Block,
];

/// Runs a test on a thread of its own and fails if it has not ended within a minute. Its panics
/// are passed on.
#[track_caller]
pub fn within_a_minute<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (ended, end) = mpsc::channel();
    let body = move || {
        let result = test();
        // Only a test that has been given up is not listened to.
        let _ = ended.send(());
        result
    };
    // The name is what a panic message starts with.
    let name = thread::current().name().unwrap_or("test").to_owned();
    let thread = thread::Builder::new().name(name).spawn(body).expect("a thread for the test");
    let is_late = end.recv_timeout(A_MINUTE) == Err(RecvTimeoutError::Timeout);
    assert!(!is_late, "the test hangs: it has not ended within a minute");
    thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// A list that handlers append to and the test reads.
#[derive(Debug)]
pub struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Log<T> {
    pub fn push(&self, entry: T) {
        // A handler that panics on purpose does so without the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// Takes what was logged since the last call.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Stops a handler where the test wants it, without a look at the clock. See [`turnstile`].
#[derive(Debug)]
pub struct Turnstile {
    arrivals: Sender<u64>,
    permits: Receiver<()>,
}

/// The test's side of a [`Turnstile`]. When it is dropped the turnstile stays open.
#[derive(Debug)]
pub struct Keeper {
    arrivals: Receiver<u64>,
    permits: Sender<()>,
}

/// A handler that passes the turnstile tells the keeper where it is, and waits to be let through.
pub fn turnstile() -> (Turnstile, Keeper) {
    let (arrived, arrivals) = mpsc::channel();
    let (permit, permits) = mpsc::channel();
    (Turnstile { arrivals: arrived, permits }, Keeper { arrivals, permits: permit })
}

impl Turnstile {
    pub fn pass(&self, sequence: u64) {
        if self.arrivals.send(sequence).is_ok() {
            // An error means that the keeper has gone and left it open.
            let _ = self.permits.recv();
        }
    }
}

impl Keeper {
    /// Waits for the handler and returns the sequence that it stands at.
    #[track_caller]
    pub fn arrival(&self) -> u64 {
        self.arrivals.recv_timeout(A_MINUTE).expect("the handler arrives at the turnstile")
    }

    /// Lets the handler through once, now or when it comes.
    #[track_caller]
    pub fn let_through(&self) {
        self.permits.send(()).expect("the handler still exists");
    }
}

/// Publishes one event of which the write closure panics.
#[track_caller]
pub fn abandon<E, C: Claim>(producer: &mut Producer<E, C>) {
    let publish = || producer.publish(|_| panic!("the write closure panics"));
    let panicking = panic::catch_unwind(AssertUnwindSafe(publish));
    assert!(panicking.is_err(), "the panic goes on to the caller");
}

/// Handles what a poller finds, in one poll, and returns the events.
#[track_caller]
pub fn polled<E: Copy>(poller: &mut Poller<E>) -> Vec<E> {
    let mut events = Vec::new();
    match poller.poll(|event, _| events.push(*event)) {
        Ok(Poll::Events(count)) => assert_eq!(count, events.len() as u64),
        Ok(_) => assert_eq!(events.len(), 0, "an event was handled but not counted"),
        Err(fault) => panic!("{fault}"),
    }
    events
}

/// Polls until the ring is closed and empty, and returns the events.
#[track_caller]
pub fn polled_to_the_end<E: Copy>(poller: &mut Poller<E>) -> Vec<E> {
    let mut events = Vec::new();
    while poller.poll(|event, _| events.push(*event)).expect("nobody halts the ring")
        != Poll::Closed
    {
        assert!(poller.wait(A_MINUTE), "the ring is neither fed nor closed");
    }
    events
}

/// Ends a ring and returns its report, which must tell of nothing unusual.
#[track_caller]
pub fn joined<E: Send + 'static>(dispatcher: Dispatcher<E>) -> Report {
    let report = dispatcher.join().expect("nothing went wrong");
    assert_accounts(&report);
    report
}

/// For every station `published = handled + skipped + conflated + left`.
#[track_caller]
pub fn assert_accounts(report: &Report) {
    for station in &report.stations {
        let accounted = station.handled + station.skipped + station.conflated + station.left;
        assert_eq!(accounted, report.published, "{} in {report}", station.name);
    }
}

/// A deadline that has passed.
pub fn past() -> Instant {
    Instant::now()
}

/// A deadline that no test lives to see.
pub fn far_future() -> Instant {
    Instant::now() + 10 * A_MINUTE
}
