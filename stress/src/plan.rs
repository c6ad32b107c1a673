//! What a round is: everything about it that is decided beforehand. Drawn in `draw.rs`, from a
//! seed and nothing else; only who comes first, when two threads race, is not in it.

use std::{collections::BTreeSet, fmt, time::Duration};

use slipring::{Detach, GiveUp, LagPolicy, Policy, Start, Wait};

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
    /// In the order of declaration; none on a ring without stations.
    pub stations: Vec<StationPlan>,
    pub stages: Vec<StagePlan>,
    /// Each attaches guests while the ring runs, one after the other.
    pub visitors: Vec<Vec<VisitPlan>>,
    pub reset: Option<ResetPlan>,
    /// Whether all that happens is numbered by one counter, so that the order between threads can
    /// be checked. Not always: the counter orders the threads, and could hide what is missing.
    pub has_clock: bool,
    /// How long a thread that looks at the ring rests between two looks, if there is one.
    pub watch: Option<Duration>,
    /// Threads that run tasks.
    pub executors: Vec<ExecutorPlan>,
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
    /// The executor that runs it, if it is a task: then it awaits room.
    pub task: Option<usize>,
}

/// A thread that runs tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecutorPlan {
    pub seed: u64,
    /// Whether a task may have another waker at each poll; then those before wake nobody.
    pub renews: bool,
    /// Whether its wakers panic when another thread wakes by them.
    pub panics: bool,
}

#[derive(Clone, Debug)]
pub struct StationPlan {
    pub name: String,
    pub mutates: bool,
    pub driver: Driver,
    pub wait: Option<Wait>,
    pub policy: Policy,
    /// Of a station with one thread.
    pub limit: Option<Limit>,
    pub max_batch: Option<usize>,
    pub idle_after: Option<Duration>,
    pub failing: Option<Failing>,
    pub hook_panic: Option<HookPanic>,
    /// Events between two early releases; 0 for none.
    pub release: u64,
    /// Events between two breaks; 0 for none.
    pub pause: u64,
}

/// How far a station may lag, and what it does then.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub events: u64,
    pub policy: LagPolicy,
}

#[derive(Clone, Debug)]
pub enum Driver {
    Thread(Form),
    Team(TeamPlan),
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

/// Threads that share a station.
#[derive(Clone, Copy, Debug)]
pub struct TeamPlan {
    pub workers: usize,
    /// `None`: whoever has time takes an event.
    pub by_key: Option<KeyPlan>,
}

#[derive(Clone, Copy, Debug)]
pub struct KeyPlan {
    /// How many keys there are.
    pub keys: u32,
    /// The event, counted from the first that is asked for its key, at which that panics.
    pub panics_at: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct PollerPlan {
    pub seed: u64,
    /// Events after which it is dropped.
    pub leaves_after: Option<u64>,
    /// Whether it may panic while it holds a batch that it reads.
    pub panics: bool,
    /// Whether it skips ahead now and then.
    pub skips: bool,
    /// None if a thread of its own polls it.
    pub task: Option<TaskPlan>,
}

/// How a poller is driven by a task.
#[derive(Clone, Copy, Debug)]
pub struct TaskPlan {
    /// Who runs it. A guest is run by its visitor, alone, as this one runs its tasks.
    pub executor: usize,
    /// Whether it becomes a stream now and then, if it only reads.
    pub streams: bool,
    /// One in so many waits is given up while it is pending; 0 for none.
    pub gives_up: u32,
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

/// A guest's visit.
#[derive(Clone, Debug)]
pub struct VisitPlan {
    pub guest: StationPlan,
    /// How long after the end of the visit before, or after everything has started.
    pub after: Duration,
    pub start: Start,
    pub behind: Behind,
    pub stay: Stay,
    /// Whether, while it is there, another one of its name is tried.
    pub has_twin: bool,
}

/// Whom a guest follows.
#[derive(Clone, Debug)]
pub enum Behind {
    Last,
    These(Vec<usize>),
}

/// How long a guest stays, and how it goes.
#[derive(Clone, Copy, Debug)]
pub enum Stay {
    /// It is polled: as long as its poller.
    Polled,
    /// So long; then it is detached. With a pause it is first told to leave by a call that does not
    /// wait, and its report fetched after the pause.
    For { time: Duration, how: Detach, pause: Option<Duration> },
    /// Until the ring has ended; then its report is fetched.
    ToTheEnd(Detach),
    /// Until the ring has ended. Nobody has kept its handle.
    Forgotten,
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
    /// The ring runs in a scope, with handlers that borrow, and ends with the scope's closure.
    Scope(ScopeEnd),
}

/// How the closure of a scope ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeEnd {
    Returns,
    Panics,
    /// It closes the ring first.
    Closes,
    /// It halts the ring first.
    Halts,
}

impl Plan {
    pub fn visits(&self) -> impl Iterator<Item = &VisitPlan> {
        self.visitors.iter().flatten()
    }

    /// The stations, and behind them the guests: a number is one's place in this list.
    pub fn everybody(&self) -> impl Iterator<Item = &StationPlan> {
        self.stations.iter().chain(self.visits().map(|visit| &visit.guest))
    }

    /// For each of [`everybody`](Self::everybody) those that it was declared to follow.
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
        let is_last = |index: &usize| !follows.iter().any(|followed| followed.contains(index));
        let last: Vec<usize> = (0..self.stations.len()).filter(is_last).collect();
        follows.extend(self.visits().map(|visit| match &visit.behind {
            Behind::Last => last.clone(),
            Behind::These(stations) => stations.clone(),
        }));
        follows
    }

    /// Whether a guest stands behind every station that changes events, as it has to.
    pub fn is_ordered(&self, visit: &VisitPlan) -> bool {
        let before = ancestors(&self.follows());
        let is_before = |station: &usize| match &visit.behind {
            Behind::Last => true,
            Behind::These(followed) => {
                followed.iter().any(|index| index == station || before[*index].contains(station))
            }
        };
        self.changing().iter().all(is_before)
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

    /// Whether somebody looks at the ring when all is over: what has become of those that have a
    /// limit is told nowhere else. Not always: whoever can look keeps the ring alive.
    pub fn has_last_look(&self) -> bool {
        self.watch.is_some() || self.everybody().any(|plan| plan.limit.is_some())
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
        matches!(self.driver, Driver::Poller(_) | Driver::Untaken)
    }

    /// How it is driven, if a task does it.
    pub fn task(&self) -> Option<TaskPlan> {
        if let Driver::Poller(poller) = &self.driver { poller.task } else { None }
    }

    /// How many share its work.
    pub fn workers(&self) -> usize {
        if let Driver::Team(team) = &self.driver { team.workers } else { 1 }
    }

    pub fn by_key(&self) -> Option<KeyPlan> {
        if let Driver::Team(team) = &self.driver { team.by_key } else { None }
    }

    /// The most events between two moves of its cursor.
    pub fn most_at_once(&self, capacity: usize) -> usize {
        self.max_batch.unwrap_or((capacity / 4).max(1)).min(capacity)
    }

    /// How often a failed call is repeated.
    pub fn retries(&self) -> u32 {
        match self.policy {
            Policy::Retry { times, .. } => times.get(),
            Policy::Halt | Policy::Skip => 0,
        }
    }

    /// How much a station keeps that skips ahead by itself.
    pub fn keeps(&self) -> Option<u64> {
        let limit = self.limit.filter(|limit| limit.policy == LagPolicy::SkipAhead);
        limit.map(|limit| limit.events)
    }

    /// By how much a station may lag that leaves when it lags by more.
    pub fn leaves_beyond(&self) -> Option<u64> {
        let limit = self.limit.filter(|limit| limit.policy == LagPolicy::Detach);
        limit.map(|limit| limit.events)
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
        writeln!(
            f,
            "  reset hook: {:?}; clock: {}; watcher: {:?}",
            self.reset, self.has_clock, self.watch
        )?;
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
        for (visitor, visits) in self.visitors.iter().enumerate() {
            for visit in visits {
                writeln!(f, "  visitor {visitor}: {visit:?}")?;
            }
        }
        for executor in &self.executors {
            writeln!(f, "  {executor:?}")?;
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
