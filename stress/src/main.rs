//! The stress machine: random rings under random misfortune, round after round, each checked
//! exactly at its end.
//!
//! | file | |
//! |---|---|
//! | `plan.rs`, `draw.rs` | what a round is, and how it follows from its seed |
//! | `event.rs` | what travels round the ring |
//! | `ring.rs`, `script.rs` | the ring of a plan, and the code of its stations, workers and guests |
//! | `producers.rs`, `pollers.rs`, `visitors.rs` | those who act |
//! | `tasks.rs`, `executor.rs` | what pollers do that are tasks, and who runs them |
//! | `round.rs`, `scoped.rs`, `cast.rs` | the course of a round, in a scope as well; its threads and tasks |
//! | `watcher.rs` | who looks at the ring meanwhile |
//! | `evidence.rs`, `shared.rs` | what they write down, and where |
//! | `verdict/` | whether it is right |
//! | `watchdog.rs`, `totals.rs` | rounds that do not end, and what all of them came to |
//!
//! A ring has stations of one thread, teams and pollers, or none at all; visitors attach guests to it
//! and detach them. Producers and pollers are threads, or tasks that lose interest half-way; and some
//! rings run in a scope, with handlers that borrow. Of each is checked what it has seen: of a team, that
//! its workers' histories make that of one station; of a guest, that it has every event from its first on
//! for as long as it stays; of those that may not lag, that they lack as much as their accounts say, and
//! nobody else does; of a call that was given up, that nobody sees its events; of a scope, that no handler
//! is left when it is over.
//!
//! What a round draws depends on its seed alone. Who wins when two threads race does not: a round
//! that has failed once may have to be repeated many times before it does so again.

mod cast;
mod draw;
mod event;
mod evidence;
mod executor;
mod plan;
mod pollers;
mod producers;
mod ring;
mod round;
mod scoped;
mod script;
mod shared;
mod tasks;
mod totals;
mod verdict;
mod visitors;
mod watchdog;
mod watcher;

use std::{
    fmt::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;

use event::scattered;
use plan::Plan;
use round::Outcome;
use shared::Shared;
use totals::Totals;
use watchdog::Watchdog;

/// Random rings under random misfortune, checked exactly.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask stress")]
struct Options {
    /// How long to go on.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The seed of the first round, from which the others' follow; a fresh one if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Stop after so many rounds, whatever the time.
    #[arg(long)]
    rounds: Option<u64>,
    /// Run the first round over and over, to catch what happens once in a thousand times.
    #[arg(long)]
    repeat: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let watchdog = Watchdog::start();
    let mut totals = Totals::default();
    let started = Instant::now();
    let time = Duration::from_secs(options.seconds);
    let goes_on = |done: u64| match options.rounds {
        Some(rounds) => done < rounds,
        None => started.elapsed() < time,
    };
    while goes_on(totals.rounds) {
        let round = if options.repeat { 0 } else { totals.rounds };
        let plan = draw::plan(seed_of(seed, round));
        let complaints = play(&plan, &watchdog, &mut totals);
        if !complaints.is_empty() {
            println!("{totals}");
            eprintln!("\n{}", failure(&plan, &complaints));
            return ExitCode::FAILURE;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = totals.rounds as f64 / started.elapsed().as_secs_f64();
    println!("{totals}\nseed       {seed}, {rate:.1} rounds a second");
    ExitCode::SUCCESS
}

/// The seed of a round. That of the first one is the seed itself, so that any round can be the
/// first one.
fn seed_of(seed: u64, round: u64) -> u64 {
    if round == 0 { seed } else { scattered(seed ^ scattered(round)) }
}

/// Plays one round; returns what was wrong with it.
fn play(plan: &Plan, watchdog: &Watchdog, totals: &mut Totals) -> Vec<String> {
    let shared = Shared::new(plan);
    watchdog.watch(plan, &shared);
    let outcome = round::run(plan, &shared);
    watchdog.rest();
    match outcome {
        Outcome::Ran(evidence) => {
            totals.add(plan, &evidence);
            verdict::complaints(plan, &evidence)
        }
        Outcome::NotStarted(complaints) => {
            totals.add_not_started();
            complaints
        }
    }
}

/// The most complaints that are printed; one mishap leads to many.
const COMPLAINTS_SHOWN: usize = 20;

/// What is said of a round that failed.
fn failure(plan: &Plan, complaints: &[String]) -> String {
    let mut text = format!("{plan}\n{} complaints:\n", complaints.len());
    for complaint in complaints.iter().take(COMPLAINTS_SHOWN) {
        let _ = writeln!(text, "  {complaint}");
    }
    let seed = plan.seed;
    let _ = write!(
        text,
        "\nThe same round again: cargo xtask stress --rounds 1 --seed {seed}\n\
         and until it fails:   cargo xtask stress --repeat --seconds 600 --seed {seed}"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_a_seed_of_its_own_and_can_be_the_first() {
        let seeds: std::collections::HashSet<u64> =
            (0..1_000).map(|round| seed_of(7, round)).collect();
        assert_eq!(seeds.len(), 1_000);
        assert_eq!(seed_of(7, 0), 7);
    }

    #[test]
    fn a_failure_names_the_command_that_repeats_it() {
        let text = failure(&draw::plan(41), &["one thing".to_owned()]);
        assert!(text.contains("cargo xtask stress --rounds 1 --seed 41"), "{text}");
        assert!(text.contains("one thing") && text.contains("s0"), "{text}");
    }

    #[test]
    fn a_few_rounds_pass() {
        let (watchdog, mut totals) = (Watchdog::start(), Totals::default());
        for seed in 0..40 {
            let plan = draw::plan(seed);
            let complaints = play(&plan, &watchdog, &mut totals);
            assert!(complaints.is_empty(), "{}", failure(&plan, &complaints));
        }
    }
}
