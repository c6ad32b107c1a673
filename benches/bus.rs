//! What does an event cost on a bus?
//!
//! One event at a time, 16 bytes, the bus as it is when nobody sets anything: every event gets its time from the
//! system's clock, and is counted.
//!
//! * `bus_publish/nobody`: `publish`, and there is no handler. What an event costs that nobody wants to see.
//! * `bus_publish/inline`: the same with a handler that runs in the publisher's thread: it has returned when `publish`
//!   does. The difference to `nobody` is the delivery, without a thread.
//! * `bus_thread/flow`: a handler on a thread of its own, and a publisher as fast as it can; from the first publication
//!   until the handler has seen the last event.
//! * `bus_thread/alone`: the same, but the next event is published when the handler has seen the one before: the way
//!   there, with a glance back.
//!
//! Time is of one event. The first two run on one thread and are steady; the others have two threads that want a core
//! each. What the ring itself costs is asked in `publish` and `handover`, what others cost in `peers`.

#[allow(dead_code, reason = "a run here is as long as it was asked for, and is not shared out")]
mod suite;

use std::{
    hint,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    thread,
    time::{Duration, Instant},
};

use core_affinity::CoreId;
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use slipring_events::{Bus, Publisher, events};

const SLOTS: usize = 1_024;
const OPEN: &str = "the bus is open";
/// For whatever is on the ring at the end.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
struct Ordered(u64);

#[derive(Clone, Debug)]
struct Paid(u64);

events! {
    enum Shop {
        Ordered = "shop.ordered",
        Paid = "shop.paid",
    }
}

const _: () = assert!(size_of::<Shop>() == 16);

impl Shop {
    fn of(value: u64) -> Self {
        if value.is_multiple_of(2) {
            Self::Ordered(Ordered(value))
        } else {
            Self::Paid(Paid(value))
        }
    }

    fn value(&self) -> u64 {
        match self {
            Self::Ordered(Ordered(value)) | Self::Paid(Paid(value)) => *value,
        }
    }
}

fn main() {
    suite::run(&[publish, thread]);
}

fn publish(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "bus_publish");
    on_one_thread(&mut group, "nobody", 0);
    on_one_thread(&mut group, "inline", 1);
    group.finish();
}

/// So many inline handlers.
fn on_one_thread(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, handlers: usize) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|events| {
            let bus = start();
            for index in 0..handlers {
                let handler = bus.handler(format!("h{index}"));
                handler.inline(in_order(|_| ())).expect("it waits for nothing");
            }
            let mut publisher = bus.publisher();
            let begun = Instant::now();
            for value in 0..events {
                publisher.publish(Shop::of(value)).expect(OPEN);
            }
            let spent = begun.elapsed();
            end(bus, handlers, events);
            spent
        });
    });
}

fn thread(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "bus_thread");
    on_two_threads(&mut group, "flow", |publisher, seen, events| {
        for value in 0..events {
            publisher.publish(Shop::of(value)).expect(OPEN);
        }
        await_sight(seen, events);
    });
    on_two_threads(&mut group, "alone", |publisher, seen, events| {
        for value in 0..events {
            publisher.publish(Shop::of(value)).expect(OPEN);
            await_sight(seen, value + 1);
        }
    });
    group.finish();
}

/// Times `publish`, which is told how many events the handler has seen, and how many to publish.
fn on_two_threads(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    publish: impl Fn(&mut Publisher<Shop>, &AtomicU64, u64) + Sync,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|events| {
            let (bus, seen) = (start(), Arc::new(AtomicU64::new(0)));
            let seen_there = Arc::clone(&seen);
            let see = move |value| {
                if value == 0 {
                    take_core(<[CoreId]>::last);
                }
                // ORDERING: Release, pairs with the Acquire in `await_sight`: the event was handled before.
                seen_there.store(value + 1, Release);
            };
            bus.handler("h0").run(in_order(see)).expect("the bus has room");
            let mut publisher = bus.publisher();
            // On a thread of its own, which can be kept off the handler's core.
            let spent = thread::scope(|scope| {
                let publisher = scope.spawn(|| {
                    take_core(<[CoreId]>::first);
                    let begun = Instant::now();
                    publish(&mut publisher, &seen, events);
                    begun.elapsed()
                });
                publisher.join().expect("every event is seen")
            });
            end(bus, 1, events);
            spent
        });
    });
}

fn start() -> Bus<Shop> {
    Bus::start(SLOTS).expect("a valid ring")
}

/// A handler that fails if an event is not the next one.
fn in_order(see: impl Fn(u64)) -> impl FnMut(&Shop, &mut slipring_events::Context<'_, Shop>) {
    let mut next = 0;
    move |event, _| {
        assert_eq!(event.value(), next);
        next += 1;
        see(event.value());
    }
}

fn await_sight(seen: &AtomicU64, events: u64) {
    // ORDERING: Acquire, pairs with the Release in the handler.
    while seen.load(Acquire) < events {
        hint::spin_loop();
    }
}

/// Ends the bus. So many handlers have handled all events, and failed on none.
fn end(bus: Bus<Shop>, handlers: usize, events: u64) {
    let report = bus.shutdown(PATIENCE).expect("nothing is left to do");
    assert_eq!(report.handlers.len(), handlers);
    assert!(report.handlers.iter().all(|handler| handler.account.handled == events));
}

/// Puts the calling thread on one of the cores.
fn take_core(pick: fn(&[CoreId]) -> Option<&CoreId>) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(&core) = pick(&cores) {
        core_affinity::set_for_current(core);
    }
}
