//! Why a core was chosen, or none: each reason is part of a sentence.

use std::{collections::BTreeMap, fmt};

use super::{Row, supply::Supply};
use crate::{CoreSet, Machine};

/// Why a thread has this core, or what there is to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Only what is pinned there runs there.
    Isolated {
        /// And the timer leaves it alone while one thread runs there.
        is_tickless: bool,
    },
    /// No other thread of the flow is on its physical core; these siblings stay without one.
    Alone {
        /// The siblings.
        siblings: CoreSet,
    },
    /// Its physical core has another thread of the flow: there are more threads than physical cores.
    Beside(String),
    /// It shares a cache with the thread before it.
    SameCache(String),
    /// It is on the NUMA node of the thread before it, behind another cache.
    SameNode(String),
    /// It is in the package of the thread before it, on another NUMA node.
    SamePackage(String),
    /// The thread before it is in another package: the nearer cores are taken, or worse.
    Far(String),
    /// It is slower by design than the others, which are taken.
    Slow,
    /// The system does its own work there. No other core is left.
    CoreZero,
    /// It takes many interrupts. No quieter core is left.
    Interrupted(u64),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Isolated { is_tickless: true } => f.write_str("isolated, without a timer tick"),
            Self::Isolated { is_tickless: false } => f.write_str("isolated"),
            Self::Alone { siblings } => {
                write!(f, "alone on its physical core (keep {siblings} free)")
            }
            Self::Beside(name) => {
                write!(f, "on one physical core with `{name}`, no better one is left")
            }
            Self::SameCache(name) => write!(f, "shares a cache with `{name}`"),
            Self::SameNode(name) => {
                write!(f, "on the NUMA node of `{name}`, behind another cache")
            }
            Self::SamePackage(name) => {
                write!(f, "in the package of `{name}`, on another NUMA node")
            }
            Self::Far(name) => {
                write!(f, "in another package than `{name}`, where no core as good is left")
            }
            Self::Slow => f.write_str("a slow core, no better one is left"),
            Self::CoreZero => f.write_str("the system's own core, no better one is left"),
            Self::Interrupted(count) => {
                write!(f, "took {count} interrupts, no better one is left")
            }
        }
    }
}

/// Why a thread has no core.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unpinned {
    /// Nothing is known about the cores here.
    Unknown,
    /// There are more threads than cores. One core stays free for all that are not pinned.
    Cores {
        /// Threads of the flow.
        threads: usize,
        /// Cores that the process may use.
        cores: usize,
    },
    /// The quota would be used up, and then all of them stand still.
    Quota {
        /// What it grants, in cores.
        granted: String,
        /// How many busy threads that feeds.
        busy: usize,
    },
}

impl fmt::Display for Unpinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("it is unknown which cores there are"),
            Self::Cores { cores: 0, .. } => {
                f.write_str("this process may use no core that is online")
            }
            Self::Cores { threads, cores: 1 } => write!(
                f,
                "{threads} threads take turns on one core; let each sleep while it waits (`Wait::Block`)"
            ),
            Self::Cores { threads, cores } => write!(
                f,
                "{threads} threads are more than {cores} cores, one of which is kept for those that are not \
                 pinned; let this one sleep while it waits (`Wait::Block`)"
            ),
            Self::Quota { granted, busy } => write!(
                f,
                "the time of {granted} cores feeds {busy} busy threads; let this one sleep while it waits \
                 (`Wait::Block`)"
            ),
        }
    }
}

/// What concerns the flow as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// Nothing is left for the rest of the system.
    AllCoresBusy,
    /// Nothing is left of the quota.
    AllTimeBusy {
        /// What it grants, in cores.
        granted: String,
    },
    /// Better cores are there, but the process does not have them.
    IsolatedOutOfReach {
        /// Those cores.
        isolated: CoreSet,
        /// Those, and all that the process may use now.
        with: CoreSet,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllCoresBusy => f.write_str(
                "Every core that this process may use has a thread: whatever else runs here interrupts one of \
                 them.",
            ),
            Self::AllTimeBusy { granted } => write!(
                f,
                "The quota of {granted} cores is used up: whatever else this process does, all threads stand \
                 still until the next period."
            ),
            Self::IsolatedOutOfReach { isolated, with } => write!(
                f,
                "Isolated, but not in this process's affinity: {isolated}. Start it with `taskset -c {with} \
                 PROGRAM`."
            ),
        }
    }
}

/// What the reasons of all threads are taken from.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    machine: &'a Machine,
    slow: CoreSet,
    interrupted: CoreSet,
    taken: BTreeMap<usize, u64>,
    /// The pinned threads and their cores, in the order of the flow.
    placed: Vec<(&'a Row, usize)>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(machine: &'a Machine, placed: Vec<(&'a Row, usize)>) -> Self {
        let (slow, interrupted) = (machine.slow(), machine.interrupted());
        Self { machine, slow, interrupted, taken: machine.interrupts_taken(), placed }
    }

    /// Why a thread is on `core`.
    pub(super) fn reasons(&self, core: usize) -> Vec<Reason> {
        let isolated = self.machine.is_isolated(core).then(|| {
            let tickless = self.machine.tickless.as_ref();
            Reason::Isolated { is_tickless: tickless.is_some_and(|cores| cores.contains(core)) }
        });
        let slow = self.slow.contains(core).then_some(Reason::Slow);
        let zero = (core == 0).then_some(Reason::CoreZero);
        let count = self.taken.get(&core).filter(|_| self.interrupted.contains(core));
        let interrupted = count.map(|count| Reason::Interrupted(*count));
        [isolated, self.neighbour(core), self.sibling(core), slow, zero, interrupted]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Where the thread before it is.
    fn neighbour(&self, core: usize) -> Option<Reason> {
        let position = self.placed.iter().position(|(_, taken)| *taken == core)?;
        let (before, other) = self.placed[position.checked_sub(1)?];
        let (place, there) = (&self.machine.cores[&core], &self.machine.cores[&other]);
        let name = before.to_string();
        if place.cache.contains(other) {
            Some(Reason::SameCache(name))
        } else if place.package != there.package {
            Some(Reason::Far(name))
        } else if place.node != there.node {
            Some(Reason::SamePackage(name))
        } else {
            (place.node.is_some() && !place.cache.is_empty()).then_some(Reason::SameNode(name))
        }
    }

    /// Who is on the same physical core.
    fn sibling(&self, core: usize) -> Option<Reason> {
        let siblings = self.machine.cores[&core].siblings.without(&CoreSet::from_iter([core]));
        let beside = self.placed.iter().find(|(_, taken)| siblings.contains(*taken));
        match beside {
            Some((other, _)) => Some(Reason::Beside(other.to_string())),
            None => (!siblings.is_empty()).then_some(Reason::Alone { siblings }),
        }
    }
}

pub(super) fn remarks(machine: &Machine, supply: &Supply, placed: usize) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if placed > 0 && placed == supply.cores {
        remarks.push(Remark::AllCoresBusy);
    }
    if let Some((granted, busy)) = &supply.quota
        && placed > 0
        && placed == *busy
        && granted.parse() == Ok(*busy)
    {
        remarks.push(Remark::AllTimeBusy { granted: granted.clone() });
    }
    let isolated = machine.isolated_out_of_reach();
    if !isolated.is_empty() {
        let with = machine.usable().or(&isolated);
        remarks.push(Remark::IsolatedOutOfReach { isolated, with });
    }
    remarks
}
