//! Carries plans out: each kind of step has a file, and adds its rows to the results.

mod floor;
mod growth;
mod knee;
mod latency;
mod peaks;
mod throughput;

use crate::{
    contest::{Entry, Rules},
    contestant::Contestant,
    memory::HeapProbe,
    plan::Plan,
    progress::Progress,
    results::{Results, Who},
};
use peaks::Peaks;

/// Who is measured, and how.
#[derive(Debug)]
pub struct Bench<'a> {
    /// Who.
    pub contestants: Vec<&'a dyn Contestant>,
    /// How.
    pub rules: Rules,
    /// Cores that threads may use.
    pub cores: usize,
    /// What tells how much is allocated.
    pub heap: Option<HeapProbe>,
}

impl Bench<'_> {
    /// Carries out all plans, in order.
    pub fn carry_out(&self, plans: &[Plan], progress: &Progress, results: &mut Results) {
        let mut peaks = Peaks::default();
        for plan in plans {
            progress.begin(plan.cell().map_or_else(|| "the floor".into(), |cell| cell.to_string()));
            match *plan {
                Plan::Floor => results.floor = floor::measure(self),
                Plan::Throughput(cell) => {
                    let rows = throughput::measure(self, cell);
                    peaks.learn(&rows);
                    results.throughput.extend(rows);
                }
                Plan::Latency { cell, rate, stretch } => {
                    results.latency.extend(latency::measure(self, cell, rate, stretch, &mut peaks));
                }
                Plan::Knee(cell) => results.knee.extend(knee::measure(self, cell)),
                Plan::Growth { axis, x, wait } => {
                    growth::measure(self, axis, x, wait, &mut results.growth);
                }
            }
            progress.end(plan.estimate(&self.contestants, &self.rules, self.cores));
        }
        growth::explain(self.cores, results);
        progress.finish();
    }
}

fn who(contestant: &dyn Contestant) -> Who {
    Who { contestant: contestant.name().to_owned(), family: contestant.family().to_owned() }
}

fn fault_of(entry: &Entry<'_>) -> Option<String> {
    entry.fault.as_ref().map(ToString::to_string)
}
