//! A plan: each thread of a flow gets a core, or the reason why it gets none.

mod choose;
mod reason;
mod supply;

use std::{collections::BTreeMap, fmt};

use reason::Ground;
pub use reason::{Reason, Remark, Unpinned};
use supply::Supply;

use crate::Machine;

/// Which thread goes to which core, and why.
///
/// The rules, the first that tells two cores apart decides:
///
/// 1. Only cores that the process may use, each for one thread at most; never more busy threads than a
///    quota feeds. If not all threads get one, a core stays free for those that do not.
/// 2. Isolated cores before others.
/// 3. A physical core to itself before a place beside another thread of the flow.
/// 4. Fast cores before slow ones.
/// 5. Core 0, where the system does its own work, the cores that take most interrupts, and their
///    siblings come last.
/// 6. Threads that follow each other share a cache, else a NUMA node, else a package: the flow crosses
///    each border as seldom as those rules let it.
/// 7. The smaller number.
///
/// The same machine and the same names always give the same plan.
///
/// ```
/// use slipring_placement::{Machine, Placement};
///
/// let machine = Machine::here();
/// let plan = Placement::on(&machine, ["producer", "risk", "ledger"]);
/// for seat in plan.seats() {
///     match seat.core() {
///         Some(core) => assert!(machine.usable().contains(core)),
///         None => println!("{seat}"),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    seats: Vec<Seat>,
    remarks: Vec<Remark>,
}

impl Placement {
    /// A plan for this machine and the calling thread's affinity: call it before that thread pins itself.
    ///
    /// `threads` are in the order in which an event passes them, producers first. A name that stands
    /// there several times is a team (or so many producers): it is pinned as a whole or not at all,
    /// because [`pin_each`] goes over its cores again and again.
    ///
    /// [`pin_each`]: https://docs.rs/slipring/latest/slipring/struct.Station.html#method.pin_each
    pub fn auto<N: Into<String>>(threads: impl IntoIterator<Item = N>) -> Self {
        Self::on(&Machine::here(), threads)
    }

    /// A plan for any machine.
    pub fn on<N: Into<String>>(machine: &Machine, threads: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = threads.into_iter().map(Into::into).collect();
        let rows = numbered(names);
        let supply = Supply::of(machine, rows.len());
        let is_pinned = supply.shared_out(&rows);
        let wanted = is_pinned.iter().filter(|pinned| **pinned).count();
        let mut cores = choose::cores(machine, wanted).into_iter();
        let cores: Vec<Option<usize>> =
            is_pinned.iter().map(|pinned| if *pinned { cores.next() } else { None }).collect();
        let placed: Vec<(&Row, usize)> =
            rows.iter().zip(&cores).filter_map(|(row, core)| Some((row, (*core)?))).collect();
        let remarks = reason::remarks(machine, &supply, placed.len());
        let ground = Ground::new(machine, placed);
        let choice = |core: &Option<usize>| match *core {
            Some(core) => Choice::Pinned { core, reasons: ground.reasons(core) },
            None => Choice::Unpinned(supply.lack()),
        };
        let choices: Vec<Choice> = cores.iter().map(choice).collect();
        let seat = |(row, choice): (Row, Choice)| Seat { row, choice };
        Self { seats: rows.into_iter().zip(choices).map(seat).collect(), remarks }
    }

    /// Each thread's seat, in the order in which they were named.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// What concerns the flow as a whole.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The cores of the threads of this name, in order; none if they are not pinned. What
    /// `Station::pin_each` takes.
    pub fn cores(&self, name: &str) -> Vec<usize> {
        self.seats.iter().filter(|seat| seat.name() == name).filter_map(Seat::core).collect()
    }
}

impl fmt::Display for Placement {
    /// A line for each thread, then the remarks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<String> = self.seats.iter().map(|seat| seat.row.to_string()).collect();
        let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let mut lines = self
            .seats
            .iter()
            .zip(&labels)
            .map(|(seat, label)| format!("{label:width$}  {}", seat.choice))
            .chain(self.remarks.iter().map(Remark::to_string));
        if let Some(first) = lines.next() {
            f.write_str(&first)?;
        }
        lines.try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// One thread's place.
#[derive(Clone, Debug, PartialEq)]
pub struct Seat {
    row: Row,
    choice: Choice,
}

impl Seat {
    /// The name that the thread was given.
    pub fn name(&self) -> &str {
        &self.row.name
    }

    /// Which of the threads of that name it is, from 0.
    pub fn worker(&self) -> usize {
        self.row.worker
    }

    /// Its core, if it is pinned.
    pub fn core(&self) -> Option<usize> {
        match self.choice {
            Choice::Pinned { core, .. } => Some(core),
            Choice::Unpinned(_) => None,
        }
    }

    /// What was chosen, and why.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.row, self.choice)
    }
}

/// What was chosen for a thread.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Choice {
    /// It has a core, for these reasons.
    Pinned {
        /// The core.
        core: usize,
        /// Why this one. Empty where nothing is known but that it may be used.
        reasons: Vec<Reason>,
    },
    /// It has none, for this reason.
    Unpinned(Unpinned),
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned { core, reasons } if reasons.is_empty() => {
                write!(f, "core {core}: free, and as good as the others")
            }
            Self::Pinned { core, reasons } => {
                let reasons: Vec<String> = reasons.iter().map(Reason::to_string).collect();
                write!(f, "core {core}: {}", reasons.join("; "))
            }
            Self::Unpinned(why) => write!(f, "not pinned: {why}"),
        }
    }
}

/// A thread as it was asked for.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: String,
    worker: usize,
    workers: usize,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.workers > 1 {
            write!(f, " {}/{}", self.worker + 1, self.workers)?;
        }
        Ok(())
    }
}

fn numbered(names: Vec<String>) -> Vec<Row> {
    let mut workers: BTreeMap<String, usize> = BTreeMap::new();
    for name in &names {
        *workers.entry(name.clone()).or_default() += 1;
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut row = |name: String| {
        let next = seen.entry(name.clone()).or_default();
        let worker = *next;
        *next += 1;
        Row { worker, workers: workers[&name], name }
    };
    names.into_iter().map(&mut row).collect()
}
