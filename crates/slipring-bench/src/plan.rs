//! What is to be measured, in order, and about how long that takes.

use std::time::Duration;

use crate::{
    cell::{Cell, Scenario, Wait},
    contest::Rules,
    contestant::Contestant,
    growth,
    load::LEAD,
    results::Axis,
};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// What the machine can do.
    Floor,
    /// A cell, as fast as it goes.
    Throughput(Cell),
    /// A cell, at a fixed rate.
    Latency {
        /// Where.
        cell: Cell,
        /// Events per second.
        rate: u64,
        /// How much longer than others its runs are: tails need many events.
        stretch: u32,
    },
    /// A cell, at parts of each contestant's peak.
    Knee(Cell),
    /// One point of the cost as the work grows.
    Growth {
        /// What grows.
        axis: Axis,
        /// How many of it.
        x: u64,
        /// How threads wait.
        wait: Wait,
    },
}

/// Runs of the warm-up, in runs of the full length.
const WARM_UP: f64 = 1.5;

/// What one warm-up takes where spinning threads outnumber the cores, besides.
const CROWDED: f64 = 0.3;

/// Starting and joining threads, and checking.
const PER_RUN: f64 = 0.001;

/// Contestants beside each other in the knee.
pub const KNEE_CONTESTANTS: usize = 4;

/// Rounds of a knee, if there are as many: its curves have many points.
pub const KNEE_ROUNDS: usize = 3;

/// The offered loads of a knee, in percent of the peak.
pub fn knee_percents() -> impl Iterator<Item = u32> {
    (5..=100).step_by(5).chain([110])
}

/// Rates of an open loop, in events per second.
pub const RATES: [u64; 4] = [10_000, 100_000, 1_000_000, 5_000_000];

/// Rates of an open loop of round trips.
pub const PING_PONG_RATES: [u64; 2] = [10_000, 100_000];

/// The rates that a scenario is measured at when none is asked for.
#[must_use]
pub fn rates(scenario: Scenario) -> &'static [u64] {
    if scenario == Scenario::PingPong { &PING_PONG_RATES } else { &RATES }
}

const WAITS: [Wait; 3] = [Wait::Spin, Wait::Yield, Wait::Block];
const CAPACITY: usize = 1024;
const LATENCY_SCENARIOS: [Scenario; 3] =
    [Scenario::Unicast, Scenario::Pipeline(3), Scenario::PingPong];
/// How much longer the runs of an open loop are, in [`everything`].
const LATENCY_STRETCH: u32 = 2;

/// Every step of `all`.
#[must_use]
pub fn everything() -> Vec<Plan> {
    let mut plans = vec![Plan::Floor];
    plans.extend(main_matrix());
    plans.extend(shared());
    plans.extend(rings_and_sizes());
    plans.extend(latencies());
    plans.extend(knees(Wait::Yield));
    plans.extend(Axis::ALL.into_iter().flat_map(|axis| along(axis, Wait::Yield)));
    plans
}

/// Every scenario with every wait and batch, at one size of ring.
fn main_matrix() -> impl Iterator<Item = Plan> {
    Scenario::CLASSIC.into_iter().flat_map(|scenario| {
        WAITS.into_iter().flat_map(move |wait| {
            [1, 10, 100]
                .map(|batch| Plan::Throughput(Cell::new(scenario, wait, batch, CAPACITY, 8)))
        })
    })
}

/// Workers that share the events: those that stay awake, and those that sleep.
fn shared() -> impl Iterator<Item = Plan> {
    Scenario::SHARED.into_iter().flat_map(|scenario| {
        [Wait::Yield, Wait::Block]
            .map(|wait| Plan::Throughput(Cell::new(scenario, wait, 1, CAPACITY, 8)))
    })
}

/// Larger rings and larger events: with yield, and unicast with spin too.
fn rings_and_sizes() -> impl Iterator<Item = Plan> {
    let yielding = Scenario::CLASSIC.map(|scenario| (scenario, Wait::Yield));
    yielding.into_iter().chain([(Scenario::Unicast, Wait::Spin)]).flat_map(|(scenario, wait)| {
        let cell = move |capacity, bytes| Cell::new(scenario, wait, 1, capacity, bytes);
        // A ping-pong never has more than one event in a ring.
        let rings = if scenario == Scenario::PingPong { &[][..] } else { &[8192, 65_536] };
        let rings = rings.iter().map(move |&capacity| cell(capacity, 8));
        rings.chain([cell(CAPACITY, 64)]).map(Plan::Throughput)
    })
}

fn latencies() -> impl Iterator<Item = Plan> {
    LATENCY_SCENARIOS.into_iter().flat_map(|scenario| {
        WAITS.into_iter().flat_map(move |wait| {
            let cell = Cell::new(scenario, wait, 1, CAPACITY, 8);
            let plan = move |&rate| Plan::Latency { cell, rate, stretch: LATENCY_STRETCH };
            rates(scenario).iter().map(plan)
        })
    })
}

/// The knees.
pub fn knees(wait: Wait) -> impl Iterator<Item = Plan> {
    let scenarios = [Scenario::Unicast, Scenario::Pipeline(3)];
    scenarios.into_iter().map(move |scenario| Plan::Knee(Cell::new(scenario, wait, 1, CAPACITY, 8)))
}

/// All points of an axis.
pub fn along(axis: Axis, wait: Wait) -> impl Iterator<Item = Plan> {
    growth::values(axis).into_iter().map(move |x| Plan::Growth { axis, x, wait })
}

impl Plan {
    /// The cell, if it is about one.
    #[must_use]
    pub fn cell(&self) -> Option<Cell> {
        match *self {
            Self::Floor => None,
            Self::Throughput(cell) | Self::Latency { cell, .. } | Self::Knee(cell) => Some(cell),
            Self::Growth { axis, x, wait } => Some(growth::cell(axis, x, wait)),
        }
    }

    /// How many of the contestants take part.
    #[must_use]
    pub fn entries(&self, contestants: &[&dyn Contestant]) -> usize {
        let Some(cell) = self.cell() else { return 1 };
        let paced = matches!(self, Self::Latency { .. } | Self::Knee(_));
        let fits = |contestant: &&&dyn Contestant| {
            if paced { contestant.fits_paced(&cell) } else { contestant.fits(&cell) }
        };
        contestants.iter().filter(fits).count()
    }

    /// About how long it takes.
    #[must_use]
    pub fn estimate(
        &self,
        contestants: &[&dyn Contestant],
        rules: &Rules,
        cores: usize,
    ) -> Duration {
        let entries = self.entries(contestants) as f64;
        let run = rules.target.as_secs_f64() + PER_RUN;
        let paced = LEAD.as_secs_f64();
        let crowded = self.cell().is_some_and(|cell| {
            matches!(cell.wait, Wait::Spin | Wait::Hint) && cell.threads() > cores
        });
        let extra = if crowded { CROWDED } else { 0.0 };
        let rounds = rules.rounds as f64;
        let seconds = match self {
            Self::Floor => run * (1.0 + WARM_UP),
            Self::Throughput(_) | Self::Growth { .. } => {
                entries * (run * (rounds + WARM_UP) + extra)
            }
            Self::Latency { stretch, .. } => {
                entries * ((run * f64::from(*stretch) + paced) * rounds + extra)
            }
            Self::Knee(_) => {
                let curves = entries.min(KNEE_CONTESTANTS as f64);
                let points = knee_percents().count() as f64;
                curves * (run + paced) * rounds.min(KNEE_ROUNDS as f64) * points
                    + entries * run * (1.0 + WARM_UP)
            }
        };
        Duration::from_secs_f64(seconds)
    }
}

/// About how long all of them take.
#[must_use]
pub fn estimate(
    plans: &[Plan],
    contestants: &[&dyn Contestant],
    rules: &Rules,
    cores: usize,
) -> Duration {
    plans.iter().map(|plan| plan.estimate(contestants, rules, cores)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fault, Load, Outcome, contestant::is_classic};
    use std::{collections::HashSet, sync::Arc};

    /// Can do what most of the others can.
    struct Peer {
        batches: bool,
    }

    impl Contestant for Peer {
        fn name(&self) -> &'static str {
            "peer"
        }
        fn fits(&self, cell: &Cell) -> bool {
            let known = is_classic(cell) || Scenario::SHARED.contains(&cell.scenario);
            known && (self.batches || cell.batch == 1)
        }
        fn run(&self, _cell: &Cell, _load: &Load) -> Result<Outcome, Fault> {
            unreachable!("nothing is measured here")
        }
    }

    fn rules(rounds: usize, millis: u64) -> Rules {
        Rules { rounds, target: Duration::from_millis(millis), cores: Arc::default() }
    }

    #[test]
    fn no_step_is_taken_twice() {
        let plans = everything();
        let names: HashSet<_> = plans.iter().map(|plan| format!("{plan:?}")).collect();
        assert_eq!(names.len(), plans.len());
    }

    #[test]
    fn everything_ends_within_eighteen_minutes() {
        // Twelve of one event, four with batches: more than there are.
        let peers: Vec<_> = (0..16).map(|index| Peer { batches: index < 4 }).collect();
        let contestants: Vec<&dyn Contestant> =
            peers.iter().map(|peer| peer as &dyn Contestant).collect();
        let time = estimate(&everything(), &contestants, &rules(5, 60), 2);
        assert!(time < Duration::from_mins(18), "{time:?}");
        assert!(time > Duration::from_mins(8), "{time:?}");
    }

    #[test]
    fn sharing_takes_less_than_a_minute() {
        let peers: Vec<_> = (0..16).map(|_| Peer { batches: false }).collect();
        let contestants: Vec<&dyn Contestant> =
            peers.iter().map(|peer| peer as &dyn Contestant).collect();
        let plans: Vec<_> = shared().collect();
        assert!(plans.iter().all(|plan| plan.entries(&contestants) == 16));
        let time = estimate(&plans, &contestants, &rules(5, 60), 2);
        assert!(time < Duration::from_mins(1), "{time:?}");
    }

    #[test]
    fn an_estimate_follows_rounds_and_seconds() {
        let peer: [&dyn Contestant; 1] = [&Peer { batches: true }];
        let plan = Plan::Throughput(Cell::new(Scenario::Unicast, Wait::Yield, 1, 1024, 8));
        let short = plan.estimate(&peer, &rules(5, 100), 2);
        assert!(short > Duration::from_millis(650) && short < Duration::from_millis(700));
        assert!(plan.estimate(&peer, &rules(10, 100), 2) > short);
        let nobody = Plan::Throughput(Cell::new(Scenario::Unicast, Wait::Yield, 1, 1024, 16));
        assert_eq!(nobody.estimate(&peer, &rules(5, 100), 2), Duration::ZERO);
    }
}
