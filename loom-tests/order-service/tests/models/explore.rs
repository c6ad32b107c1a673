//! Runs a model, and tells what was searched.

use std::{
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use tracing_subscriber::{EnvFilter, util::SubscriberInitExt as _};

/// Tries every execution of `body`, or those with at most so many preemptions.
pub fn explore(name: &str, preemptions: Option<usize>, body: fn()) {
    // What `LOOM_LOG` asks for, as `loom::model` has it.
    let _log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_env("LOOM_LOG"))
        .with_test_writer()
        .without_time()
        .with_ansi(false)
        .set_default();
    let mut explorer = loom::model::Builder::new();
    explorer.preemption_bound = preemptions;
    let executions = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    explorer.check({
        let executions = Arc::clone(&executions);
        move || {
            executions.fetch_add(1, Ordering::Relaxed);
            body();
        }
    });
    let (executions, time) = (executions.load(Ordering::Relaxed), started.elapsed());
    println!("{name}: {executions} executions in {:.1} s", time.as_secs_f64());
}
