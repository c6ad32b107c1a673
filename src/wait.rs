//! Wait strategies: what a thread does between two fruitless looks at the cursors it follows.
//!
//! Waiting is the slow path, so a strategy is a plain value that is matched at run time.

use std::{fmt, ptr, str::FromStr, time::Duration};

use crate::{
    bell::Bell,
    figures::WaitLog,
    sync::{
        self, PATIENT, thread,
        time::{self, Instant},
    },
};

/// How a station, a poller or a producer waits.
///
/// | strategy | between two looks | wake-up | for |
/// |---|---|---|---|
/// | `Adaptive` | spins, yields for 0.3 ms, then sleeps until woken | 0.3 µs from 10,000 events/s on, tens of µs from sleep | the default: fast under load, idle at rest |
/// | `Spin` | nothing | lowest | a core for each thread, nothing else on it |
/// | `Hint` | the processor's spin hint | about the same, kinder to a sibling core | as `Spin` |
/// | `Yield` | offers the core to others | 0.3 µs and up | throughput with more threads than cores |
/// | `Backoff` | spins, yields, then naps of 50 µs to 1 ms | up to 1 ms | an idle ring that nobody wakes |
/// | `Sleep(d)` | sleeps for `d` | about `d` plus 50 µs | lowest cost at a steady trickle |
/// | `Block` | spins and yields for as long as a sleep costs, then sleeps until woken | 0.3 µs from 50,000 events/s on, tens of µs from sleep | many rings, few cores |
///
/// No strategy collapses when threads outnumber cores: the spinning ones give up their core after
/// a number of fruitless looks, and at once if the ring has more threads than the process has cores or
/// if they find that they share one.
///
/// # Examples
/// ```
/// use slipring::Wait;
///
/// assert_eq!("block".parse(), Ok(Wait::Block));
/// assert_eq!(Wait::default(), Wait::Adaptive);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Spins while events flow, yields when they pause, sleeps when they stop.
    #[default]
    Adaptive,
    /// Looks again at once.
    Spin,
    /// Executes the processor's spin hint.
    Hint,
    /// Yields the core.
    Yield,
    /// Spins, then yields, then takes naps of growing length. Nobody has to wake it.
    Backoff,
    /// Sleeps for the given time; only closing and halting cut it short.
    Sleep(Duration),
    /// Sleeps until somebody moves the cursor that it waits for, after some 30 µs of spinning and yielding.
    Block,
}

impl Wait {
    /// Whether the strategy occupies a core while it waits.
    pub(crate) fn occupies_a_core(self) -> bool {
        matches!(self, Self::Spin | Self::Hint)
    }
}

/// The names of the strategies, as [`Wait::from_str`] takes them.
const NAMES: &str = "adaptive, spin, hint, yield, backoff, sleep or block";

/// A word that names no wait strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseWaitError(String);

impl fmt::Display for ParseWaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown wait strategy `{}`: use {NAMES}", self.0)
    }
}

impl std::error::Error for ParseWaitError {}

impl FromStr for Wait {
    type Err = ParseWaitError;

    /// Reads a strategy's name in lower case. `sleep` stands for naps of 50 µs.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "adaptive" => Self::Adaptive,
            "spin" => Self::Spin,
            "hint" => Self::Hint,
            "yield" => Self::Yield,
            "backoff" => Self::Backoff,
            "sleep" => Self::Sleep(SHORT_NAP),
            "block" => Self::Block,
            _ => return Err(ParseWaitError(name.to_owned())),
        })
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adaptive => "adaptive",
            Self::Spin => "spin",
            Self::Hint => "hint",
            Self::Yield => "yield",
            Self::Backoff => "backoff",
            Self::Sleep(_) => "sleep",
            Self::Block => "block",
        })
    }
}

/// Fruitless looks before a spinning strategy offers its core, when each thread has one.
const PATIENT_SPINS: u32 = 10_000;
/// Hinted looks before `Adaptive`, `Backoff` and `Block` stop spinning, when each thread has a core.
const BRIEF_SPINS: u32 = 200;
/// Yields before `Block` and `Backoff` rest: they take about as long as a sleep and its wake-up, 30 µs,
/// so that whoever waits in vain has wasted no more than it would have by sleeping at once.
const YIELDS: u32 = 100;
/// Yields before `Adaptive` rests, when each thread has a core: some 0.3 ms.
const PATIENT_YIELDS: u32 = 1_000;
/// The first nap of `Backoff`, and the nap of `sleep` when read from a name.
const SHORT_NAP: Duration = Duration::from_micros(50);
/// The longest nap of `Backoff`.
const LONG_NAP: Duration = Duration::from_millis(1);
/// Looks at the clock are rare while spinning.
const SPINS_BETWEEN_CLOCKS: u32 = 32;
/// A yield takes some ten times as long as a look at the clock.
const YIELDS_BETWEEN_CLOCKS: u32 = 4;

/// What a pause does; separate from doing it so that the phases can be tested without a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Nothing,
    Hint,
    Yield,
    Nap(Duration),
    Rest,
}

/// A yield that takes longer has let somebody else run.
const SHORT_YIELD: Duration = Duration::from_micros(2);

/// What a waiting thread should know of its ring.
pub(crate) trait Surroundings {
    /// Whether threads outnumber cores.
    fn is_crowded(&self) -> bool;
    /// Whether that is known from their numbers alone.
    fn is_outnumbered(&self) -> bool;
    /// A thread has offered its core, and somebody took it or nobody did.
    fn core_was_taken(&self, taken: bool);
    /// Whether the ring takes no more events.
    fn is_closing(&self) -> bool;
}

/// One wait: counts fruitless looks and takes the pause that the strategy has for them.
///
/// A wait is timed from its first look at the clock to its last, which costs those nothing that do not
/// wait or not for long: what is measured is too little by some microseconds a wait, and never too much.
#[derive(Debug)]
pub(crate) struct Waiter {
    wait: Wait,
    looks: u32,
    /// The last look at the clock, in this wait.
    timed: Option<Instant>,
}

impl Waiter {
    pub(crate) fn new(wait: Wait) -> Self {
        Self { wait, looks: 0, timed: None }
    }

    /// The look was fruitful: the next wait starts afresh.
    #[inline]
    pub(crate) fn reset(&mut self) {
        self.looks = 0;
    }

    /// Pauses after a fruitless look. `holder` finds the bell of somebody whose cursor must move
    /// before the next look can be fruitful; `None` if it can be now. A sleeping strategy sleeps
    /// there, but no longer than until `deadline`. How it goes is noted in the log.
    ///
    /// Returns `true` when the deadline has passed.
    pub(crate) fn pause<'a>(
        &mut self,
        ring: &impl Surroundings,
        log: &impl WaitLog,
        deadline: Option<Instant>,
        holder: impl Fn() -> Option<&'a Bell>,
    ) -> bool {
        if PATIENT && self.looks == 0 {
            self.timed = None;
            log.begins();
        }
        let pause = self.next_pause(ring.is_crowded());
        match pause {
            Pause::Nothing => {}
            Pause::Hint => sync::spin_loop(),
            // The others yield anyway: what they find matters only until it is forgotten.
            Pause::Yield if self.wait.occupies_a_core() || ring.is_crowded() => offer_core(ring),
            Pause::Yield => thread::yield_now(),
            Pause::Nap(_) | Pause::Rest => match holder() {
                Some(bell) => {
                    // With several cursors in the way, the one that was may have moved for good
                    // since: then its bell is not the one to sleep on, although another cursor
                    // still is in the way.
                    let must_wait = || holder().is_some_and(|now| ptr::eq(now, bell));
                    let before = self.fall_asleep(log);
                    match pause {
                        // Of a ring that closes, every event that comes may be the last one to be
                        // waited for: no more naps.
                        Pause::Nap(time) if !ring.is_closing() => {
                            let must_nap = || !ring.is_closing() && must_wait();
                            bell.nap(earliest(time, deadline), must_nap);
                        }
                        _ => bell.sleep(deadline, must_wait),
                    }
                    self.wake_up(before, log);
                }
                // The next look will find something, or the reset hook is still running.
                None => thread::yield_now(),
            },
        }
        if PATIENT && self.is_time_to_note(pause) {
            self.note(log);
        }
        let look_at_clock = !matches!(pause, Pause::Nothing | Pause::Hint)
            || self.looks.is_multiple_of(SPINS_BETWEEN_CLOCKS);
        look_at_clock && deadline.is_some_and(|deadline| time::now() >= deadline)
    }

    /// Whether the time is to be noted behind this pause.
    fn is_time_to_note(&self, pause: Pause) -> bool {
        match pause {
            Pause::Nothing | Pause::Hint => self.looks.is_multiple_of(SPINS_BETWEEN_CLOCKS),
            Pause::Yield => self.looks.is_multiple_of(YIELDS_BETWEEN_CLOCKS),
            // That is noted already.
            Pause::Nap(_) | Pause::Rest => false,
        }
    }

    fn note(&mut self, log: &impl WaitLog) {
        let now = time::now();
        if let Some(last) = self.timed.replace(now) {
            log.has_waited(now.saturating_duration_since(last));
        }
    }

    fn fall_asleep(&mut self, log: &impl WaitLog) -> Option<Instant> {
        if PATIENT {
            self.note(log);
            self.timed.inspect(|now| log.falls_asleep(*now))
        } else {
            None
        }
    }

    fn wake_up(&mut self, before: Option<Instant>, log: &impl WaitLog) {
        if let Some(before) = before {
            let now = time::now();
            log.is_awake(now, now.saturating_duration_since(before));
            self.timed = Some(now);
        }
    }

    fn next_pause(&mut self, crowded: bool) -> Pause {
        if !PATIENT {
            return match self.wait {
                Wait::Block | Wait::Adaptive => Pause::Rest,
                _ => Pause::Yield,
            };
        }
        self.looks = self.looks.saturating_add(1);
        let looks = self.looks;
        let brief = if crowded { 0 } else { BRIEF_SPINS };
        let yields = match self.wait {
            Wait::Adaptive if !crowded => PATIENT_YIELDS,
            _ => YIELDS,
        };
        match self.wait {
            // Whoever is waited for may need this core.
            Wait::Spin | Wait::Hint if crowded => Pause::Yield,
            Wait::Spin | Wait::Hint => {
                if looks > PATIENT_SPINS {
                    // Not 0: it is still the same wait.
                    self.looks = 1;
                    Pause::Yield
                } else if self.wait == Wait::Spin {
                    Pause::Nothing
                } else {
                    Pause::Hint
                }
            }
            Wait::Yield => Pause::Yield,
            Wait::Sleep(time) => Pause::Nap(time),
            _ if looks <= brief => Pause::Hint,
            _ if looks <= brief + yields => Pause::Yield,
            Wait::Block | Wait::Adaptive => Pause::Rest,
            Wait::Backoff => {
                let doublings = (looks - brief - yields - 1).min(10);
                Pause::Nap((SHORT_NAP * (1 << doublings)).min(LONG_NAP))
            }
        }
    }
}

/// Yields, and notes whether anybody wanted the core. Threads that share one are not always more
/// than there are cores: they may be pinned, or another program may be busy.
pub(crate) fn offer_core(ring: &impl Surroundings) {
    if PATIENT && !ring.is_outnumbered() {
        let before = time::now();
        thread::yield_now();
        ring.core_was_taken(before.elapsed() > SHORT_YIELD);
    } else {
        thread::yield_now();
    }
}

/// The end of a nap that starts now: after `time` or at `deadline`; `None` if neither can be told.
fn earliest(time: Duration, deadline: Option<Instant>) -> Option<Instant> {
    let end = time::now().checked_add(time);
    match (end, deadline) {
        (Some(end), Some(deadline)) => Some(end.min(deadline)),
        (end, deadline) => end.or(deadline),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Stall, Stalls};

    const ALL: [Wait; 7] = [
        Wait::Adaptive,
        Wait::Spin,
        Wait::Hint,
        Wait::Yield,
        Wait::Backoff,
        Wait::Sleep(SHORT_NAP),
        Wait::Block,
    ];

    #[test]
    fn names_read_back() {
        for wait in ALL {
            assert_eq!(wait.to_string().parse(), Ok(wait));
        }
        let error = "busy".parse::<Wait>().unwrap_err().to_string();
        assert!(error.contains("busy") && error.contains("adaptive"), "{error}");
    }

    #[test]
    fn every_strategy_gives_up_its_core_and_early_when_crowded() {
        for wait in ALL {
            let looks_until_given_up = |crowded| {
                let mut waiter = Waiter::new(wait);
                (1..=u32::MAX)
                    .find(|_| !matches!(waiter.next_pause(crowded), Pause::Nothing | Pause::Hint))
            };
            assert!(looks_until_given_up(false) <= Some(PATIENT_SPINS + 1), "{wait}");
            assert_eq!(looks_until_given_up(true), Some(1), "{wait}");
        }
    }

    #[test]
    fn only_the_sleeping_strategies_need_a_bell() {
        for wait in ALL {
            let mut waiter = Waiter::new(wait);
            let rests = (0..100_000).any(|_| waiter.next_pause(false) == Pause::Rest);
            assert_eq!(rests, matches!(wait, Wait::Adaptive | Wait::Block), "{wait}");
        }
    }

    /// A ring whose threads share a core, as one of them found.
    #[derive(Default)]
    struct SharedCore(std::cell::Cell<u32>);

    impl Surroundings for SharedCore {
        fn is_crowded(&self) -> bool {
            true
        }

        fn is_outnumbered(&self) -> bool {
            false
        }

        fn core_was_taken(&self, _taken: bool) {
            self.0.set(self.0.get() + 1);
        }

        fn is_closing(&self) -> bool {
            false
        }
    }

    #[test]
    fn whoever_yields_on_a_shared_core_finds_out_whether_it_still_is() {
        for wait in ALL {
            let ring = SharedCore::default();
            let mut waiter = Waiter::new(wait);
            let yields = 10;
            for _ in 0..yields {
                waiter.pause(&ring, &Stall::new(&Stalls::default()), None, || None);
            }
            let told = ring.0.get();
            assert_eq!(told, if matches!(wait, Wait::Sleep(_)) { 0 } else { yields }, "{wait}");
        }
    }

    #[test]
    fn sleepers_stay_awake_for_as_long_as_a_sleep_costs_and_adaptive_longer_on_a_core_of_its_own() {
        let pauses_until_rest = |wait, crowded| {
            let mut waiter = Waiter::new(wait);
            (0..100_000).position(|_| waiter.next_pause(crowded) == Pause::Rest)
        };
        let yields = Some(YIELDS as usize);
        assert_eq!(pauses_until_rest(Wait::Block, true), yields);
        assert_eq!(pauses_until_rest(Wait::Adaptive, true), yields);
        assert_eq!(pauses_until_rest(Wait::Block, false), Some((BRIEF_SPINS + YIELDS) as usize));
        let patience = (BRIEF_SPINS + PATIENT_YIELDS) as usize;
        assert_eq!(pauses_until_rest(Wait::Adaptive, false), Some(patience));
    }

    #[test]
    fn naps_grow_to_their_longest_and_a_fruitful_look_starts_afresh() {
        let mut waiter = Waiter::new(Wait::Backoff);
        let naps: Vec<Duration> = (0..1_000)
            .filter_map(|_| match waiter.next_pause(false) {
                Pause::Nap(time) => Some(time),
                _ => None,
            })
            .collect();
        assert_eq!(naps.first(), Some(&SHORT_NAP));
        assert_eq!(naps.last(), Some(&LONG_NAP));
        assert!(naps.is_sorted());
        waiter.reset();
        assert_eq!(waiter.next_pause(false), Pause::Hint);
    }
}
