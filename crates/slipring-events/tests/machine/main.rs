//! Random buses under random misfortune: handlers of every kind that fail, panic and never end, are retried, parked and
//! given back, hold, are kept from being called and have seen an event before, lead to more now and later, reply, tell
//! stories, lag, come and leave; publishers on small rings; a shutdown at any moment. Whatever happens, each event that
//! was published is accounted for, one by one, by every handler that it concerns.
//!
//! The bus's clock is turned by the machine. The system's only has somebody look again, and ends what never would.
//!
//! A round draws all that it does from its seed; who wins a race it does not. `MACHINE_ROUNDS` sets the number of
//! rounds, `MACHINE_SEED` the first seed: with both, `MACHINE_ROUNDS=500 MACHINE_SEED=7 MACHINE_REPEAT=1` plays one round
//! over and over.

mod ends;
mod facts;
mod hands;
mod memory;
mod plan;
mod reins;
mod round;
mod verdict;

use std::{
    env, panic, process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Longer than any round takes, shutdown included.
const ROUND_SECONDS: u64 = 60;

fn setting(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
}

/// Ends the program when a round does not end. Nothing else is decided by the clock.
fn watchdog(current: &Arc<AtomicU64>) {
    let current = Arc::clone(current);
    thread::spawn(move || {
        let (mut seed, mut seconds) = (current.load(Ordering::Relaxed), 0);
        while seconds < ROUND_SECONDS {
            thread::sleep(Duration::from_secs(1));
            let now = current.load(Ordering::Relaxed);
            seconds = if now == seed { seconds + 1 } else { 0 };
            seed = now;
        }
        eprintln!(
            "seed {seed} has not ended in {ROUND_SECONDS} s: {:?}",
            plan::Plan::of(seed >> 16)
        );
        process::abort();
    });
}

fn without_noise() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&hands::ON_PURPOSE) {
            usual(info);
        }
    }));
}

#[test]
fn every_event_is_accounted_for() {
    without_noise();
    let rounds =
        setting("MACHINE_ROUNDS").unwrap_or(if cfg!(debug_assertions) { 500 } else { 1_000 });
    let first = setting("MACHINE_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40));
    let is_repeated = setting("MACHINE_REPEAT").is_some();
    let current = Arc::new(AtomicU64::new(0));
    watchdog(&current);
    let mut sum = ends::Sum::default();
    for round in 0..rounds {
        let seed = if is_repeated { first } else { first + round };
        // So that a round that is repeated is another one for the watchdog.
        current.store(seed << 16 | (round & 0xffff), Ordering::Relaxed);
        let plan = plan::Plan::of(seed);
        let complaints = round::play(&plan, &mut sum);
        assert!(complaints.is_empty(), "seed {seed}: {plan:?}\n{}", complaints.join("\n"));
    }
    println!("{rounds} rounds from seed {first}: {sum:?}");
    // A machine that does nothing finds nothing.
    assert!(rounds < 200 || sum.has_everything(), "{sum:?}");
}
