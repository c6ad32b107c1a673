//! Runs a model under many schedules, each of which follows from its seed alone.
//!
//! | variable | effect |
//! |---|---|
//! | `SHUTTLE_SEED=n` | only the schedule of this seed, which a failure has named |
//! | `SHUTTLE_TIMES=n` | n times as many schedules |

mod failure;
mod scheduler;

use std::env;

use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

pub use failure::{Failure, failure_of};
use scheduler::Seeded;
pub use scheduler::Seeds;

/// Many times what the longest execution takes: a livelock ends here.
const MOST_STEPS: usize = 3_000_000;
/// A panic that is reported with its backtrace needs some.
const STACK: usize = 1 << 19;

/// Runs `model` under so many schedules, times `SHUTTLE_TIMES`. It is given a source of random
/// numbers that follows from the seed as well.
///
/// # Panics
/// If it fails under one of them.
pub fn explore(schedules: u64, model: fn(&mut fastrand::Rng)) {
    let seeds = match number("SHUTTLE_SEED") {
        Some(seed) => Seeds::One(seed),
        None => Seeds::Many(schedules * number("SHUTTLE_TIMES").unwrap_or(1)),
    };
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    if let Err(failure) = try_explore(seeds, model) {
        let Failure { seed, message } = failure;
        panic!(
            "{message}\n\nTo see it again:\n\
             SHUTTLE_SEED={seed} cargo test -p shuttle-tests --profile loom -- --exact {name}"
        );
    }
}

/// The same, and the first failure is the result.
pub fn try_explore(seeds: Seeds, model: fn(&mut fastrand::Rng)) -> Result<(), Failure> {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    // The seed is shorter than the schedule, and says as much.
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    let body = move || {
        let mut rng = fastrand::Rng::with_seed(shuttle::rand::RngCore::next_u64(
            &mut shuttle::rand::thread_rng(),
        ));
        model(&mut rng);
        failure::check();
    };
    failure_of(|| {
        Runner::new(Seeded::new(seeds), config).run(body);
    })
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} wants a number, not `{text}`")))
}
