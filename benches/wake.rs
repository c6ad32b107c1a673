//! What does it cost to reach somebody who waits, awake or asleep?
//!
//! A ring there and a ring back: one event is published, and the next when its echo is here. Time is of
//! that round trip. Batches hide it in `handover`; here nothing does.
//!
//! * `wake_at_once/W`: both sides wait by W, and the next event follows at once. `spin` is two journeys
//!   of a cache line and what the library adds; `hint` and `yield` add the length of their pause, and
//!   `block` whatever part of its waits outlasts its brief spin and ends in sleep.
//! * `wake_after_rest/W`: the station waits by W, and has had 2 ms without an event. By `adaptive` and
//!   `block` it sleeps then, and the publisher has to wake it: the difference to `yield` is the price of
//!   sleeping, most of it the system's. By `backoff` it naps, and its naps last up to a millisecond. The
//!   echo is awaited by a spin, so there is one sleeper in a round trip.
//!
//! A station that yields gives its core to any other program that wants it, and gets it back late:
//! `wake_after_rest/yield` is only meaningful while the machine is idle. Figures above a
//! microsecond depend on the kernel, and on how deep an idle core sleeps.

mod suite;
mod threads;

use std::{
    hint, thread,
    time::{Duration, Instant},
};

use criterion::Criterion;
use slipring::{At, Builder, Dispatcher, Poll, Poller, Producer, Wait, poller, read};
use slipring_bench::{Cell, Scenario};

/// Far longer than any strategy stays awake.
const REST: Duration = Duration::from_millis(2);
const SLOTS: usize = 64;

fn main() {
    suite::run(&[at_once, after_rest]);
}

fn at_once(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "wake_at_once");
    for wait in slipring_bench::Wait::ALL {
        let cell = Cell::new(Scenario::PingPong, wait, 1, SLOTS, 8);
        threads::measure(&mut group, wait, &cell);
    }
    group.finish();
}

fn after_rest(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "wake_after_rest");
    for wait in [Wait::Yield, Wait::Adaptive, Wait::Backoff, Wait::Block] {
        group.bench_function(wait.to_string(), |bencher| {
            bencher.iter_custom(|events| {
                let echo = Echo::start(wait);
                // On a thread of its own, which can be kept off the station's core. The ring was started
                // before that: it counts the cores that its maker may use.
                thread::scope(|scope| {
                    let player = scope.spawn(|| {
                        if let Some(&id) = threads::cores().first() {
                            core_affinity::set_for_current(core_affinity::CoreId { id });
                        }
                        echo.trips(events)
                    });
                    player.join().expect("every echo comes back")
                })
            });
        });
    }
    group.finish();
}

/// A station that publishes into the second ring what it finds in the first.
struct Echo {
    there: Producer<u64>,
    back: Poller<u64>,
    station: Dispatcher<u64>,
    /// Keeps the second ring open.
    _returns: Dispatcher<u64>,
}

impl Echo {
    fn start(wait: Wait) -> Self {
        let (mut echo, mut returns) =
            Builder::new(SLOTS, || 0).then(poller("back")).start().expect("a valid ring");
        let back = returns.poller("back").expect("it was declared");
        let station = read("echo", move |event: &u64, _: At<'_>| {
            echo.publish(|slot| *slot = *event).map(drop)
        });
        let cores = threads::cores();
        let station = match cores.last() {
            Some(&core) => station.pin(core),
            None => station,
        };
        let (there, station) =
            Builder::new(SLOTS, || 0).then(station.wait(wait)).start().expect("a valid ring");
        Self { there, back, station, _returns: returns }
    }

    /// The time of so many round trips, without the rests before them.
    fn trips(mut self, count: u64) -> Duration {
        let mut spent = Duration::ZERO;
        for event in 0..count {
            let rested = Instant::now();
            while rested.elapsed() < REST {
                hint::spin_loop();
            }
            let begun = Instant::now();
            self.there.publish(|slot| *slot = event).expect("the ring is open");
            let mut echoed = None;
            while self.back.poll(|event, _: At<'_>| echoed = Some(*event)) == Ok(Poll::Idle) {
                hint::spin_loop();
            }
            spent += begun.elapsed();
            assert_eq!(echoed, Some(event));
        }
        drop(self.there);
        self.station.join().expect("nothing has failed");
        spent
    }
}
