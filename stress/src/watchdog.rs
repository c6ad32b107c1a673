//! Ends the program when a round does not end. A round takes milliseconds; this is the only thing
//! that the clock decides.

use std::{
    process,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    failure,
    plan::Plan,
    shared::{Shared, locked},
};

const ROUND_TIME_MAX: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A round under way.
#[derive(Debug)]
struct Watched {
    plan: Plan,
    shared: Arc<Shared>,
    started: Instant,
}

#[derive(Clone, Debug, Default)]
pub struct Watchdog(Arc<Mutex<Option<Watched>>>);

impl Watchdog {
    pub fn start() -> Self {
        let watchdog = Self::default();
        let watched = Arc::clone(&watchdog.0);
        thread::spawn(move || {
            loop {
                thread::sleep(LOOK_EVERY);
                if let Some(round) = &*locked(&watched)
                    && round.started.elapsed() > ROUND_TIME_MAX
                {
                    bark(round);
                }
            }
        });
        watchdog
    }

    pub fn watch(&self, plan: &Plan, shared: &Arc<Shared>) {
        let (plan, shared) = (plan.clone(), Arc::clone(shared));
        *locked(&self.0) = Some(Watched { plan, shared, started: Instant::now() });
    }

    pub fn rest(&self) {
        *locked(&self.0) = None;
    }
}

fn bark(round: &Watched) {
    let complaints = [
        format!("it has not ended within {} s", ROUND_TIME_MAX.as_secs()),
        format!("still running: {}", round.shared.at_large().join(", ")),
        format!("census: {:?}", round.shared.census.count()),
    ];
    eprintln!("{}", failure(&round.plan, &complaints));
    process::exit(1);
}
