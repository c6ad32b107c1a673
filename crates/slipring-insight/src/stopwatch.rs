//! How long handlers take, and how long events have been under way, in histograms that cost nothing where
//! nobody asked for them.

use std::{
    fmt,
    num::NonZero,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use histogram::{AtomicHistogram, Histogram};
use slipring::{At, Figure};

use crate::recent::Recent;

/// Times are told apart to 1 part in 128.
const PRECISION: u8 = 7;
/// The longest time, in nanoseconds, is one less than this power of two: some 18 minutes. A longer one counts as that.
const LONGEST: u8 = 40;

/// Takes the times of a handler: how long each call takes, and, if events say when they were due, how old
/// each is when it is done with.
///
/// It is put around the handler where the station is declared, so that a station without it pays
/// nothing. One stopwatch may be around several handlers, as around those of a team, and adds their
/// times up. It can be cloned, switched on and off while the ring runs, and asked at any time.
///
/// A timed call costs two looks at the clock and an atomic addition, some 60 ns;
/// [`one_in`](Self::one_in) times only some calls. Calls that panic are not timed.
///
/// # Examples
/// ```
/// use std::time::Instant;
/// use slipring::{Builder, read};
/// use slipring_insight::Stopwatch;
///
/// struct Order { due: Instant }
///
/// let times = Stopwatch::new();
/// let risk = times.around_since(|order: &Order| order.due, |_order: &Order, _at| ());
/// let now = Instant::now();
/// let (mut producer, dispatcher) =
///     Builder::new(64, move || Order { due: now }).then(read("risk", risk)).start()?;
/// for _ in 0..100 {
///     // From when it should have been sent, not from when there was room for it.
///     producer.publish(|order| order.due = Instant::now())?;
/// }
/// drop(producer);
/// dispatcher.join()?;
/// let (service, age) = (times.service(), times.age());
/// assert_eq!((service.calls, age.calls), (100, 100));
/// assert!(service.median <= service.longest && service.longest <= age.longest);
/// println!("handled in {service}; done with after {age}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Stopwatch(Arc<Dials>);

struct Dials {
    service: AtomicHistogram,
    age: AtomicHistogram,
    is_on: AtomicBool,
    one_in: u32,
    /// From when times are taken.
    start: Instant,
    /// What was told of the two last. For those who look; nobody who takes a time comes here.
    recent: Mutex<[Recent; 2]>,
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopwatch")
            .field("service", &self.service())
            .field("age", &self.age())
            .finish_non_exhaustive()
    }
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self::new()
    }
}

impl Stopwatch {
    /// One that times every call, and is on.
    pub fn new() -> Self {
        Self::one_in(NonZero::<u32>::MIN)
    }

    /// One that times the events of which the sequence is a multiple of `calls`, and is on.
    #[allow(clippy::missing_panics_doc)] // It does not: the configuration is constant.
    pub fn one_in(calls: NonZero<u32>) -> Self {
        let histogram = || {
            AtomicHistogram::new(PRECISION, LONGEST)
                .expect("these two constants are a valid configuration")
        };
        Self(Arc::new(Dials {
            service: histogram(),
            age: histogram(),
            is_on: AtomicBool::new(true),
            one_in: calls.get(),
            start: Instant::now(),
            recent: Mutex::default(),
        }))
    }

    /// Switches it on or off, for calls that begin from now on. What it has taken stays.
    pub fn switch(&self, on: bool) {
        // Relaxed: it orders nothing.
        self.0.is_on.store(on, Ordering::Relaxed);
    }

    /// Puts it around the handler of a station that reads.
    pub fn around<E, R, F>(&self, mut handle: F) -> impl FnMut(&E, At<'_>) -> R + use<E, R, F>
    where
        F: FnMut(&E, At<'_>) -> R,
    {
        let watch = self.clone();
        move |event: &E, at: At<'_>| watch.time(at.sequence(), None, || handle(event, at))
    }

    /// The same for a station that changes events.
    pub fn around_mut<E, R, F>(
        &self,
        mut handle: F,
    ) -> impl FnMut(&mut E, At<'_>) -> R + use<E, R, F>
    where
        F: FnMut(&mut E, At<'_>) -> R,
    {
        let watch = self.clone();
        move |event: &mut E, at: At<'_>| watch.time(at.sequence(), None, || handle(event, at))
    }

    /// Puts it around the handler of a station that reads, and takes the age of each event too, from the
    /// moment that `due` finds in it: when it should have been published.
    pub fn around_since<E, R, D, F>(
        &self,
        due: D,
        mut handle: F,
    ) -> impl FnMut(&E, At<'_>) -> R + use<E, R, D, F>
    where
        D: Fn(&E) -> Instant,
        F: FnMut(&E, At<'_>) -> R,
    {
        let watch = self.clone();
        move |event: &E, at: At<'_>| {
            watch.time(at.sequence(), Some(&|| due(event)), || handle(event, at))
        }
    }

    /// The same for a station that changes events; `due` is asked before that.
    pub fn around_since_mut<E, R, D, F>(
        &self,
        due: D,
        mut handle: F,
    ) -> impl FnMut(&mut E, At<'_>) -> R + use<E, R, D, F>
    where
        D: Fn(&E) -> Instant,
        F: FnMut(&mut E, At<'_>) -> R,
    {
        let watch = self.clone();
        move |event: &mut E, at: At<'_>| {
            let due = due(event);
            watch.time(at.sequence(), Some(&|| due), || handle(event, at))
        }
    }

    /// Whether the call for the event of this sequence is to be timed.
    #[inline]
    pub fn wants(&self, sequence: u64) -> bool {
        let Dials { is_on, one_in, .. } = &*self.0;
        // Relaxed: as in `switch`.
        is_on.load(Ordering::Relaxed) && sequence.is_multiple_of(u64::from(*one_in))
    }

    /// Takes what somebody else has measured, who has asked whether it [is wanted](Self::wants): how long a call
    /// took, and how old the event was when it was done with, if it was.
    ///
    /// ```
    /// use slipring_insight::Stopwatch;
    /// use std::time::Duration;
    ///
    /// let times = Stopwatch::new();
    /// if times.wants(7) {
    ///     times.note(Duration::from_micros(3), Some(Duration::from_millis(1)));
    /// }
    /// assert_eq!((times.service().calls, times.age().calls), (1, 1));
    /// ```
    pub fn note(&self, service: Duration, age: Option<Duration>) {
        note(&self.0.service, service);
        if let Some(time) = age {
            note(&self.0.age, time);
        }
    }

    /// Tells the medians and the 99 % of what it has taken of late, as `service p50`, `service p99`, `age p50` and `age
    /// p99`: of the last 10 to 20 s, or since the look before if that is longer ago. So what was slow is not seen for
    /// ever, and what is slow is not lost among all that was not. Nothing taken is a time of 0.
    ///
    /// ```
    /// use slipring::{Builder, read};
    /// use slipring_insight::Stopwatch;
    ///
    /// let times = Stopwatch::new();
    /// let risk = read("risk", times.around(|order: &u64, _| assert!(*order < 7)));
    /// let risk = risk.tell(move |figures| times.tell(figures));
    /// let (mut producer, dispatcher) = Builder::new(8, || 0_u64).then(risk).start()?;
    /// # producer.publish(|_| ())?;
    /// let told = &dispatcher.snapshot().stations[0].told;
    /// let names: Vec<&str> = told.iter().map(|figure| &*figure.name).collect();
    /// assert_eq!(names, ["service p50", "service p99", "age p50", "age p99"]);
    /// # drop(producer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tell(&self, figures: &mut Vec<Figure>) {
        let Dials { service, age, start, recent, .. } = &*self.0;
        let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
        // Behind the lock: of two who look, the later one has taken no less.
        let (now, taken) = (start.elapsed(), [service.load(), age.load()]);
        let names = [["service p50", "service p99"], ["age p50", "age p99"]];
        for ((recent, taken), [median, p99]) in recent.iter_mut().zip(taken).zip(names) {
            let times = recent.part_of(taken, now);
            figures.push(Figure::time(median, quantile(&times, 0.5)));
            figures.push(Figure::time(p99, quantile(&times, 0.99)));
        }
    }

    fn time<R>(
        &self,
        sequence: u64,
        due: Option<&dyn Fn() -> Instant>,
        call: impl FnOnce() -> R,
    ) -> R {
        if !self.wants(sequence) {
            return call();
        }
        let due = due.map(|due| due());
        let begin = Instant::now();
        let result = call();
        let end = Instant::now();
        let age = due.map(|due| end.saturating_duration_since(due));
        self.note(end.saturating_duration_since(begin), age);
        result
    }

    /// How long the calls took.
    pub fn service(&self) -> Times {
        Times::of(&self.0.service)
    }

    /// How old the events were when they were done with; no calls if nobody said when they were due.
    pub fn age(&self) -> Times {
        Times::of(&self.0.age)
    }
}

fn note(histogram: &AtomicHistogram, time: Duration) {
    const MOST: u64 = (1 << LONGEST) - 1;
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(MOST).min(MOST);
    // Every value up to that has its place.
    let _ = histogram.increment(nanos);
}

/// So large a share of the times was no longer; 0 if there is none.
fn quantile(taken: &Histogram, share: f64) -> Duration {
    let bucket = taken.quantile_bucket(share).ok().flatten();
    bucket.map_or(Duration::ZERO, |bucket| Duration::from_nanos(bucket.end()))
}

/// How long something took: times are rounded up, by less than 1 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// How many times were taken.
    pub calls: u64,
    /// Half of the calls took no longer.
    pub median: Duration,
    /// Nine of ten took no longer.
    pub p90: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// 999 of 1,000 took no longer.
    pub p999: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Times {
    fn of(histogram: &AtomicHistogram) -> Self {
        let taken = histogram.load();
        let quantile = |share| quantile(&taken, share);
        Self {
            calls: taken.as_slice().iter().sum(),
            median: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            longest: quantile(1.0),
        }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, median, p90, p99, p999, longest } = self;
        write!(
            f,
            "{calls} calls: half within {median:?}, 90 % {p90:?}, 99 % {p99:?}, 99.9 % {p999:?}, all \
             {longest:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(times: impl IntoIterator<Item = Duration>) -> Times {
        let watch = Stopwatch::new();
        times.into_iter().for_each(|time| note(&watch.0.service, time));
        watch.service()
    }

    #[test]
    fn nothing_taken_is_nothing_told() {
        assert_eq!(taken([]), Times::default());
    }

    #[test]
    fn quantiles_are_rounded_up_by_less_than_a_hundredth() {
        let times = taken((1..=1_000).map(Duration::from_micros));
        assert_eq!(times.calls, 1_000);
        let told = [times.median, times.p90, times.p99, times.p999, times.longest];
        for (told, exact) in told.into_iter().zip([500, 900, 990, 999, 1_000]) {
            let exact = Duration::from_micros(exact);
            assert!(exact <= told && told < exact * 101 / 100, "{told:?} for {exact:?}");
        }
    }

    #[test]
    fn a_time_beyond_all_measure_counts_as_the_longest() {
        let times = taken([Duration::MAX, Duration::ZERO]);
        assert_eq!((times.calls, times.longest), (2, Duration::from_nanos((1 << LONGEST) - 1)));
    }
}
