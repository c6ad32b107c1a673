//! What a round is: everything about it that is decided beforehand. Drawn in `draw.rs`, from a
//! seed and nothing else; only who comes first, when two threads race, is not in it.

use std::{collections::BTreeSet, fmt, time::Duration};

use slipring::{GiveUp, Policy, Wait};

/// Far more time than any round takes.
pub const AMPLE: Duration = Duration::from_mins(10);

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub capacity: usize,
    pub first: u64,
    pub cargo: Cargo,
    pub wait: Wait,
    pub producer_wait: Option<Wait>,
    pub is_multi: bool,
    pub producers: Vec<ProducerPlan>,
    /// In the order of declaration.
    pub stations: Vec<StationPlan>,
    pub stages: Vec<StagePlan>,
    pub reset: Option<ResetPlan>,
    /// Whether all that happens is numbered by one counter, so that the order between threads can
    /// be checked. Not always: the counter orders the threads, and could hide what is missing.
    pub has_clock: bool,
    pub troubles: Vec<Trouble>,
    pub finale: Finale,
}

/// What kind of events a ring holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cargo {
    /// [`Stamp`](crate::event::Stamp).
    Copied,
    /// [`Parcel`](crate::event::Parcel).
    Owned,
}

#[derive(Clone, Debug)]
pub struct ProducerPlan {
    pub seed: u64,
    /// Publish calls before the handle is dropped.
    pub calls: u32,
    /// One in so many calls has a write closure that panics; 0 for none.
    pub panics: u32,
    /// Whether a handle of many is replaced by its clone now and then.
    pub clones: bool,
    /// Calls between two breaks; 0 for none.
    pub pause: u32,
    /// One in so many events takes its time to be written, so that what others do at the same
    /// moment comes in between; 0 for none.
    pub dawdles: u32,
}

#[derive(Clone, Debug)]
pub struct StationPlan {
    pub name: String,
    pub mutates: bool,
    pub driver: Driver,
    pub wait: Option<Wait>,
    pub policy: Policy,
    pub max_batch: Option<usize>,
    pub idle_after: Option<Duration>,
    pub failing: Option<Failing>,
    pub hook_panic: Option<HookPanic>,
    /// Events between two early releases; 0 for none.
    pub release: u64,
    /// Events between two breaks; 0 for none.
    pub pause: u64,
}

#[derive(Clone, Debug)]
pub enum Driver {
    Thread(Form),
    Poller(PollerPlan),
    /// A poller that nobody takes.
    Untaken,
}

/// How a station's code is given to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Each,
    Batch,
    With,
    Handler,
}

#[derive(Clone, Debug)]
pub struct PollerPlan {
    pub seed: u64,
    /// Events after which it is dropped.
    pub leaves_after: Option<u64>,
    /// Whether it may panic while it holds a batch that it reads.
    pub panics: bool,
}

/// When a handler fails: at every `period`-th event, `times` times in a row.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    pub period: u64,
    pub phase: u64,
    pub times: u32,
    pub panics: bool,
    /// Whether it has changed something before it fails.
    pub half_done: bool,
}

impl Failing {
    /// Whether it fails at the event that is `offset` after the first one.
    pub fn hits(&self, offset: u64) -> bool {
        offset % self.period == self.phase
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Start,
    BatchStart,
    Idle,
    Stop,
}

/// A hook of a handler that panics when it is called for the `call`-th time, counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct HookPanic {
    pub hook: Hook,
    pub call: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct ResetPlan {
    /// The slot, counted from the first, at which it panics.
    pub panics_at: Option<usize>,
}

/// Stations that are declared together.
#[derive(Clone, Debug)]
pub struct StagePlan {
    pub placing: Placing,
    pub stations: Vec<usize>,
}

#[derive(Clone, Debug)]
pub enum Placing {
    Then,
    After(Vec<usize>),
    Branch,
}

/// What somebody does to the dispatcher while everything runs.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    pub after: Duration,
    pub deed: Deed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Close,
    Halt,
}

/// How the dispatcher ends.
#[derive(Clone, Copy, Debug)]
pub struct Finale {
    pub after: Duration,
    pub awaits: Awaits,
    pub way: Way,
    /// Whether another thread than the one that started the ring does it.
    pub elsewhere: bool,
}

/// Whose end is waited for before the dispatcher is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    Nobody,
    Producers,
    ProducersAndPollers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Join,
    Shutdown(Duration),
    Drop,
}

impl Plan {
    /// For each station those that it was declared to follow.
    pub fn follows(&self) -> Vec<Vec<usize>> {
        let mut follows = vec![Vec::new(); self.stations.len()];
        let mut latest: &[usize] = &[];
        for stage in &self.stages {
            let followed = match &stage.placing {
                Placing::Then => latest,
                Placing::After(stations) => stations,
                Placing::Branch => &[],
            };
            for station in &stage.stations {
                follows[*station] = followed.to_vec();
            }
            latest = &stage.stations;
        }
        follows
    }

    /// The changing stations, in the order in which events pass them.
    pub fn changing(&self) -> Vec<usize> {
        let before = ancestors(&self.follows());
        let mut changing: Vec<usize> =
            (0..self.stations.len()).filter(|index| self.stations[*index].mutates).collect();
        // Each is ordered against all others, so the later one has more before it.
        changing.sort_by_key(|index| before[*index].len());
        changing
    }

    /// The station, if any, whose start fails.
    pub fn start_failure(&self) -> Option<&StationPlan> {
        let fails =
            |plan: &&StationPlan| plan.hook_panic.is_some_and(|panic| panic.hook == Hook::Start);
        self.stations.iter().find(fails)
    }
}

impl StationPlan {
    pub fn is_polled(&self) -> bool {
        !matches!(self.driver, Driver::Thread(_))
    }

    /// How often a failed call is repeated.
    pub fn retries(&self) -> u32 {
        match self.policy {
            Policy::Retry { times, .. } => times.get(),
            Policy::Halt | Policy::Skip => 0,
        }
    }

    /// Whether the last resort is to halt the ring.
    pub fn halts(&self) -> bool {
        matches!(self.policy, Policy::Halt | Policy::Retry { then: GiveUp::Halt, .. })
    }
}

/// For each station all those that are before it, in an acyclic graph.
pub fn ancestors(follows: &[Vec<usize>]) -> Vec<BTreeSet<usize>> {
    let mut before: Vec<BTreeSet<usize>> =
        follows.iter().map(|followed| followed.iter().copied().collect()).collect();
    // After as many turns as there are stations the longest way is found.
    for _ in 0..follows.len() {
        for index in 0..follows.len() {
            let further: BTreeSet<usize> =
                before[index].iter().flat_map(|followed| before[*followed].clone()).collect();
            before[index].extend(further);
        }
    }
    before
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, capacity, first, cargo, wait, producer_wait, .. } = self;
        writeln!(f, "round {seed}: {capacity} slots from sequence {first}, {cargo:?} events")?;
        writeln!(f, "  stations wait by {wait:?}, producers by {producer_wait:?} if given")?;
        writeln!(f, "  reset hook: {:?}; clock: {}", self.reset, self.has_clock)?;
        let follows = self.follows();
        for (plan, follows) in self.stations.iter().zip(&follows) {
            writeln!(f, "  follows {follows:?}: {plan:?}")?;
        }
        for stage in &self.stages {
            writeln!(f, "  declared: {:?} {:?}", stage.placing, stage.stations)?;
        }
        let kind = if self.is_multi { "one of many" } else { "the only one" };
        for plan in &self.producers {
            writeln!(f, "  {kind}: {plan:?}")?;
        }
        for trouble in &self.troubles {
            writeln!(f, "  {trouble:?}")?;
        }
        writeln!(f, "  {:?}", self.finale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_before_is_found_in_any_order_of_declaration() {
        let before = ancestors(&[vec![2], vec![0], vec![3], vec![]]);
        let before: Vec<Vec<usize>> =
            before.into_iter().map(|set| set.into_iter().collect()).collect();
        assert_eq!(before, [vec![2, 3], vec![0, 2, 3], vec![3], vec![]]);
    }
}
