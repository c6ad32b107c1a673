//! What is asked of a run: how many events, how fast, and on which cores.

use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use core_affinity::CoreId;

use crate::cell::Cell;

/// A run that was asked for.
#[derive(Clone, Debug)]
pub struct Load {
    /// Events to publish: a whole number of batches for every producer.
    pub events: u64,
    /// Events per second of all producers together in an open loop; `None`: as fast as it goes.
    pub rate: Option<u64>,
    /// Cores that threads take in turn, producers first; empty: the system decides.
    pub cores: Arc<[usize]>,
}

impl Load {
    /// As fast as it goes, anywhere.
    #[must_use]
    pub fn full(cell: &Cell, events: u64) -> Self {
        Self { events: cell.whole_batches(events), rate: None, cores: Arc::default() }
    }

    /// `rate` events a second, anywhere.
    #[must_use]
    pub fn paced(cell: &Cell, events: u64, rate: u64) -> Self {
        Self { rate: Some(rate), ..Self::full(cell, events) }
    }

    /// The core of thread `index`, if threads have places.
    #[must_use]
    pub fn core(&self, index: usize) -> Option<usize> {
        self.cores.get(index.checked_rem(self.cores.len())?).copied()
    }

    /// Whether the cell has more threads than this run has cores.
    #[must_use]
    pub fn is_crowded(&self, cell: &Cell) -> bool {
        cell.threads() > cores_of(&self.cores)
    }

    /// Puts the calling thread, number `index` of the run, where it belongs.
    pub fn take_place(&self, index: usize) {
        if let Some(core) = self.core(index) {
            pin(core);
        }
    }
}

/// How many cores threads have that take these in turn; with an empty list all that the process may
/// use.
#[must_use]
pub fn cores_of(places: &[usize]) -> usize {
    if places.is_empty() {
        return thread::available_parallelism().map_or(1, usize::from);
    }
    places.iter().collect::<HashSet<_>>().len()
}

/// Pins the calling thread, and tells whether that was possible. Where it is not the run goes on, and
/// the first time the program says so on standard error.
pub fn pin(core: usize) -> bool {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let pinned = core_affinity::set_for_current(CoreId { id: core });
    if !pinned && let Some(warning) = refusal(core, &TOLD) {
        eprintln!("{warning}");
    }
    pinned
}

/// What to say when a core was refused: something only the first time, since it will happen to every
/// thread of every run.
fn refusal(core: usize, told: &AtomicBool) -> Option<String> {
    // ORDERING: Relaxed: nothing but the flag is shared.
    (!told.swap(true, Relaxed)).then(|| {
        format!(
            "warning: the system refused to pin a thread to core {core}. Threads run where the system \
             puts them, now and perhaps in later runs; --pin none asks for that",
        )
    })
}

/// From the common start of the producers to the beginning of an open loop. Some contestants start
/// their consumers' threads without waiting for them: the time that takes is in nobody's figures.
pub(crate) const LEAD: Duration = Duration::from_millis(5);

/// The timetable of an open loop: event `n` is due at the beginning plus `n` intervals, however late
/// those before it were. Shared by the producer, which keeps to it, and the consumers, which measure
/// against it.
#[derive(Clone, Debug)]
pub struct Timetable {
    start: Arc<OnceLock<Instant>>,
    /// From when the beginning is fixed until it comes.
    lead: Duration,
    /// Nanoseconds between two events.
    interval: f64,
}

impl Timetable {
    /// The timetable of a load without a rate begins at once, and has everything due then.
    #[must_use]
    pub fn new(load: &Load) -> Self {
        Self {
            start: Arc::default(),
            lead: load.rate.map_or(Duration::ZERO, |_| LEAD),
            interval: load.rate.map_or(0.0, |rate| 1e9 / rate as f64),
        }
    }

    /// The beginning; whoever asks first fixes it.
    pub fn begin(&self) -> Instant {
        *self.start.get_or_init(|| Instant::now() + self.lead)
    }

    /// The beginning, when it has come. Those that are still starting have this core meanwhile.
    pub fn await_begin(&self) -> Instant {
        let start = self.begin();
        while Instant::now() < start {
            thread::yield_now();
        }
        start
    }

    /// The nanoseconds from the beginning at which event `index` is due.
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, small")]
    fn offset(&self, index: u64) -> u64 {
        (index as f64 * self.interval) as u64
    }

    /// When event `index` is due.
    #[inline]
    #[must_use]
    pub fn due(&self, index: u64) -> Instant {
        self.begin() + Duration::from_nanos(self.offset(index))
    }

    /// Waits until event `index` is due; does not wait for anything else. With `shared` cores it lets
    /// others have this one meanwhile: else their time would be the scheduler's.
    #[inline]
    pub fn await_turn(&self, index: u64, shared: bool) {
        let due = self.due(index);
        while Instant::now() < due {
            if shared {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_by_the_clock_and_not_by_those_before() {
        let cell = Cell::new(crate::Scenario::Unicast, crate::Wait::Yield, 1, 64, 8);
        let table = Timetable::new(&Load::paced(&cell, 10, 1_000_000));
        assert_eq!(table.due(5) - table.begin(), Duration::from_micros(5));
        let other = table.clone();
        assert_eq!(table.due(3), other.due(3));
        table.await_turn(100, false);
        table.await_turn(101, true);
        assert!(table.begin().elapsed() >= Duration::from_micros(101));
    }

    #[test]
    fn an_open_loop_begins_when_everybody_is_there() {
        let cell = Cell::new(crate::Scenario::Unicast, crate::Wait::Yield, 1, 64, 8);
        let asked = Instant::now();
        let table = Timetable::new(&Load::paced(&cell, 10, 1_000_000));
        assert!(table.begin() >= asked + LEAD);
        assert!(table.await_begin() <= Instant::now());
        let at_once = Timetable::new(&Load::full(&cell, 10));
        assert!(at_once.begin() <= Instant::now());
    }

    #[test]
    fn threads_take_cores_in_turn() {
        let cell = Cell::new(crate::Scenario::Unicast, crate::Wait::Yield, 1, 64, 8);
        let mut load = Load::full(&cell, 1);
        assert_eq!(load.core(7), None);
        load.cores = Arc::from([4, 9]);
        assert_eq!([0, 1, 2].map(|index| load.core(index)), [Some(4), Some(9), Some(4)]);
    }

    #[test]
    fn threads_crowd_the_cores_that_they_were_given() {
        let cell = |scenario| Cell::new(scenario, crate::Wait::Yield, 1, 64, 8);
        let (two, four) = (cell(crate::Scenario::Unicast), cell(crate::Scenario::Pipeline(3)));
        let crowded = |places: &[usize]| {
            let load = Load { cores: Arc::from(places), ..Load::full(&two, 1) };
            [load.is_crowded(&two), load.is_crowded(&four)]
        };
        assert_eq!(crowded(&[0]), [true, true]);
        assert_eq!(crowded(&[5, 5, 5, 5]), [true, true], "the same core again is no other one");
        assert_eq!(crowded(&[0, 1, 0]), [false, true]);
        assert_eq!(crowded(&[0, 1, 2, 3]), [false, false]);
        let anywhere = thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(crowded(&[]), [2 > anywhere, 4 > anywhere]);
    }

    #[test]
    fn a_refused_core_is_told_once() {
        let told = AtomicBool::new(false);
        let warning = refusal(7, &told).expect("it is the first");
        assert!(warning.contains("refused to pin a thread to core 7"), "{warning}");
        assert_eq!(refusal(7, &told), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_core_that_is_not_there_is_refused() {
        // The highest number that a mask can hold.
        assert!(!pin(1023));
    }
}
