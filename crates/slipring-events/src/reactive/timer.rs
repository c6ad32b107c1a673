//! Time as something that is handed in: the system's, a test's, or a runtime's own.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use super::alarms::Alarms;

/// What says when a time is up. Operators that have to do with time are given one.
///
/// # Examples
/// A runtime's own:
/// ```
/// use slipring_events::reactive::{Delay, Timer};
/// use std::time::Duration;
///
/// struct Tokio;
///
/// impl Timer for Tokio {
///     fn after(&self, period: Duration) -> Delay {
///         Delay::new(tokio::time::sleep(period))
///     }
/// }
/// ```
pub trait Timer: Send + Sync + 'static {
    /// What is ready when `period` has gone by from now on.
    fn after(&self, period: Duration) -> Delay;
}

impl<T: Timer + ?Sized> Timer for Arc<T> {
    fn after(&self, period: Duration) -> Delay {
        (**self).after(period)
    }
}

/// A future that is ready when its time is up. It may be dropped before.
#[must_use = "a delay does nothing until it is awaited"]
pub struct Delay(Pin<Box<dyn Future<Output = ()> + Send>>);

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delay").finish_non_exhaustive()
    }
}

impl Delay {
    /// The delay that `future` is. See [`Timer`].
    pub fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }

    /// As [`poll`](Future::poll), for operators.
    pub(super) fn poll_now(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.poll_now(context)
    }
}

/// The system's clock, on any runtime and on none. One thread of the process, started when the first delay is asked
/// for, wakes whoever waits.
///
/// # Panics
/// [`after`](Timer::after) panics if that thread cannot be started.
///
/// # Examples
/// ```
/// use slipring_events::reactive::{SystemTimer, Timer};
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// smol::block_on(SystemTimer.after(Duration::from_millis(2)));
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTimer;

/// The alarms of all delays of the system's clock, and when it began to count.
static SYSTEM: OnceLock<(Instant, Arc<Alarms>)> = OnceLock::new();

fn start() -> (Instant, Arc<Alarms>) {
    let (start, alarms) = (Instant::now(), Arc::new(Alarms::default()));
    let rung = Arc::clone(&alarms);
    thread::Builder::new()
        .name("slipring timer".to_owned())
        .spawn(move || rung.run(start))
        .expect("a thread for the timer");
    (start, alarms)
}

impl Timer for SystemTimer {
    fn after(&self, period: Duration) -> Delay {
        // If it cannot be started, the next one tries again.
        let (start, alarms) = SYSTEM.get_or_init(start);
        Delay::new(alarms.after(start.elapsed(), period))
    }
}

/// A clock that a test sets: time goes by when it says so, and no sooner. Its clones are the same clock.
///
/// # Examples
/// ```
/// use futures_util::FutureExt as _;
/// use slipring_events::reactive::{ManualTimer, Timer};
/// use std::time::Duration;
///
/// let timer = ManualTimer::new();
/// let mut delay = timer.after(Duration::from_secs(2));
/// timer.advance(Duration::from_secs(1));
/// assert_eq!((&mut delay).now_or_never(), None);
/// timer.advance(Duration::from_secs(1));
/// assert_eq!((&mut delay).now_or_never(), Some(()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualTimer {
    alarms: Arc<Alarms>,
}

impl ManualTimer {
    /// A clock at which no time has gone by.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time go by, all at once, and wakes those whose time is up, in the order of their times.
    pub fn advance(&self, period: Duration) {
        self.alarms.advance(period);
    }

    /// How many delays are being waited for.
    pub fn waiting(&self) -> usize {
        self.alarms.waiting()
    }
}

impl Timer for ManualTimer {
    fn after(&self, period: Duration) -> Delay {
        Delay::new(self.alarms.after(self.alarms.now(), period))
    }
}
