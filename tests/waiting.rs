//! Blocking really blocks: also in later stages, also in producers, and with the default when
//! nothing happens. Others spin there, and burn a core each.
//!
//! What a thread does is read from the system, so these tests are Linux's.
#![cfg(target_os = "linux")]

mod common;

use std::{fs, thread};

use common::{joined, turnstile, within_a_minute};
use slipring::{At, Builder, Wait, read};

/// The threads of this process by this name, with what the scheduler says of each: `S` sleeps.
fn states(name: &str) -> Vec<char> {
    let tasks = fs::read_dir("/proc/self/task").expect("a list of threads").flatten();
    tasks
        .filter_map(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).ok()?;
            // pid (name) state ...
            let (head, rest) = stat.rsplit_once(") ")?;
            head.ends_with(&format!("({name}")).then(|| rest.chars().next())?
        })
        .collect()
}

/// Waits until the thread is found asleep a hundred times in a row: one that spins or yields is
/// runnable at every look, and keeps the test from ending.
fn await_sleep(name: &str) {
    let mut in_a_row = 0;
    while in_a_row < 100 {
        in_a_row = if states(name) == ['S'] { in_a_row + 1 } else { 0 };
        thread::yield_now();
    }
}

#[test]
fn stations_of_later_stages_and_producers_sleep_while_an_early_stage_is_slow() {
    for (wait, tag) in [(Wait::Block, "b"), (Wait::Adaptive, "a")] {
        within_a_minute(move || {
            let (turnstile, keeper) = turnstile();
            let slow = move |_: &u64, at: At<'_>| turnstile.pass(at.sequence());
            let names = ["second", "third", "feeder"].map(|name| format!("{name}-{tag}"));
            let (mut producer, dispatcher) = Builder::new(2, || 0_u64)
                .wait(wait)
                .then(read("slow", slow))
                .then(read(names[1].clone(), |_: &u64, _| ()))
                .then(read(names[0].clone(), |_: &u64, _| ()))
                .start()
                .unwrap();
            let feed = move || {
                for _ in 0..10 {
                    producer.publish(|_| ()).unwrap();
                }
            };
            let feeder = thread::Builder::new().name(names[2].clone()).spawn(feed).unwrap();
            assert_eq!(keeper.arrival(), 0);
            for name in &names {
                await_sleep(name);
            }
            drop(keeper);
            feeder.join().unwrap();
            assert!(joined(dispatcher).stations.iter().all(|station| station.handled == 10));
        });
    }
}

#[test]
fn an_idle_ring_costs_nothing() {
    within_a_minute(|| {
        let (producer, dispatcher) = Builder::new(2, || 0_u64)
            .then(read("idle-1", |_: &u64, _| ()))
            .then(read("idle-2", |_: &u64, _| ()))
            .start()
            .unwrap();
        await_sleep("idle-1");
        await_sleep("idle-2");
        drop(producer);
        joined(dispatcher);
    });
}
