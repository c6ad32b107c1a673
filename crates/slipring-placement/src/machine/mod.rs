//! What a machine is to threads that spin: its cores, who may use them, and what else runs there.

mod cgroup;
mod interrupts;
mod system;
mod topology;

use std::{collections::BTreeMap, path::Path};

pub use cgroup::{Limit, Quota};
pub use interrupts::Interrupt;
pub use system::{Pages, System};
pub use topology::{Core, IdleState};

use crate::{CoreSet, files::Files};

/// A machine as one process sees it. Plain data: what could not be read is `None`, or an empty set,
/// and [`unknown`](Self::unknown) lists it.
///
/// ```
/// use slipring_placement::Machine;
///
/// let machine = Machine::here();
/// println!("{machine}");
/// for what in machine.unknown() {
///     println!("unknown: {what}");
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Machine {
    /// The cores that are online, by their numbers: what the kernel calls CPUs, so that two of them
    /// may be threads of one physical core. Empty if unknown.
    pub cores: BTreeMap<usize, Core>,
    /// The cores that the scheduler lets the calling thread use.
    pub affinity: Option<CoreSet>,
    /// The cores of the control group that the process is in.
    pub cpuset: Option<CoreSet>,
    /// Processor time that the control groups grant.
    pub quota: Quota,
    /// The cores from which the scheduler keeps away whatever was not pinned there (`isolcpus=`).
    pub isolated: Option<CoreSet>,
    /// The cores that have no timer tick while one thread runs there (`nohz_full=`).
    pub tickless: Option<CoreSet>,
    /// The devices' interrupts since the machine was started.
    pub interrupts: Option<Vec<Interrupt>>,
    /// What is the same for all cores.
    pub system: System,
}

impl Machine {
    /// The machine that this program runs on.
    pub fn here() -> Self {
        Self::read(Path::new("/"))
    }

    /// A machine from its `/proc` and `/sys`, found below `root`. Nothing that is missing or damaged
    /// there is an error.
    pub fn read(root: impl AsRef<Path>) -> Self {
        let files = Files::below(root.as_ref());
        let affinity = ["proc/thread-self/status", "proc/self/status"]
            .into_iter()
            .find_map(|path| files.field(path, "Cpus_allowed_list")?.parse().ok());
        let isolated = files.cores("sys/devices/system/cpu/isolated");
        // Kernels that cannot do without ticks lack the file.
        let tickless = files
            .cores("sys/devices/system/cpu/nohz_full")
            .or_else(|| isolated.as_ref().map(|_| CoreSet::default()));
        let groups = cgroup::Groups::find(&files);
        Self {
            cores: topology::read(&files, affinity.as_ref()),
            cpuset: groups.cpuset(&files),
            quota: groups.quota(&files),
            isolated,
            tickless,
            interrupts: interrupts::read(&files),
            system: system::read(&files),
            affinity,
        }
    }

    /// The cores that are online.
    pub fn online(&self) -> CoreSet {
        self.cores.keys().copied().collect()
    }

    /// The cores that this process may be pinned to: online, and allowed by whatever limits it.
    pub fn usable(&self) -> CoreSet {
        let limits = [&self.affinity, &self.cpuset].into_iter().flatten();
        limits.fold(self.online(), |cores, limit| cores.and(limit))
    }

    /// Isolated cores that the control group would grant, but the affinity of this process leaves out.
    /// That is so by default: whoever wants an isolated core asks for it (`taskset -c`).
    pub fn isolated_out_of_reach(&self) -> CoreSet {
        let isolated = self.isolated.clone().unwrap_or_default().and(&self.online());
        let granted = self.cpuset.as_ref().map_or(isolated.clone(), |cpuset| isolated.and(cpuset));
        granted.without(&self.usable())
    }

    /// Whether the core is isolated, as far as is known.
    pub fn is_isolated(&self, core: usize) -> bool {
        self.isolated.as_ref().is_some_and(|isolated| isolated.contains(core))
    }

    /// The cores that are slower by design than the fastest here: their capacity, or their highest
    /// frequency, is below 85 % of its.
    pub fn slow(&self) -> CoreSet {
        let below = |measure: fn(&Core) -> Option<u64>| -> CoreSet {
            let known = || self.cores.iter().filter_map(|(core, it)| Some((*core, measure(it)?)));
            let most = known().map(|(_, own)| u128::from(own)).max().unwrap_or(0);
            let is_below = |own: u64| u128::from(own) * 100 < most * 85;
            known().filter(|(_, own)| is_below(*own)).map(|(core, _)| core).collect()
        };
        below(|core| core.capacity).or(&below(|core| core.khz_max))
    }

    /// How many interrupts of devices each core has taken since the start; empty if unknown.
    pub fn interrupts_taken(&self) -> BTreeMap<usize, u64> {
        let Some(lines) = &self.interrupts else { return BTreeMap::new() };
        let mut taken: BTreeMap<usize, u64> = self.cores.keys().map(|core| (*core, 0)).collect();
        for (core, count) in lines.iter().flat_map(|line| &line.counts) {
            if let Some(sum) = taken.get_mut(core) {
                *sum = sum.saturating_add(*count);
            }
        }
        taken
    }

    /// The cores that take many more interrupts of devices than the others: more than a thousand, and
    /// more than four times what the core in the middle takes.
    pub fn interrupted(&self) -> CoreSet {
        let taken = self.interrupts_taken();
        let mut counts: Vec<u64> = taken.values().copied().collect();
        counts.sort_unstable();
        let middle = counts.get(counts.len().saturating_sub(1) / 2).copied().unwrap_or(0);
        let is_many = |count: u64| count > 1_000 && count > middle.saturating_mul(4);
        taken.into_iter().filter(|(_, count)| is_many(*count)).map(|(core, _)| core).collect()
    }

    /// What could not be read here, in a word or two each.
    pub fn unknown(&self) -> Vec<&'static str> {
        let mut unknown = Vec::new();
        let mut note = |is_known: bool, what| {
            if !is_known {
                unknown.push(what);
            }
        };
        let all = |is_known: fn(&Core) -> bool| {
            !self.cores.is_empty() && self.cores.values().all(is_known)
        };
        note(!self.cores.is_empty(), "cores");
        note(self.affinity.is_some(), "affinity");
        note(self.cpuset.is_some(), "cpuset");
        note(self.quota != Quota::Unknown, "quota");
        note(all(|core| !core.siblings.is_empty()), "SMT siblings");
        note(all(|core| !core.cache.is_empty()), "shared caches");
        note(all(|core| core.node.is_some()), "NUMA nodes");
        note(all(|core| core.capacity.or(core.khz_max).is_some()), "speed of cores");
        note(all(|core| core.governor.is_some()), "governor");
        note(all(|core| !core.idle.is_empty()), "idle states");
        note(self.isolated.is_some(), "isolated cores");
        note(self.tickless.is_some(), "cores without a tick");
        note(self.interrupts.is_some(), "interrupts");
        unknown.extend(self.system.unknown());
        unknown
    }
}

impl std::fmt::Display for Machine {
    /// The machine in a line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = |number: usize, what: &str| {
            format!("{number} {what}{}", if number == 1 { "" } else { "s" })
        };
        let distinct = |of: fn(&Core) -> Option<usize>| {
            let found: CoreSet = self.cores.values().filter_map(of).collect();
            found.len()
        };
        if self.cores.is_empty() {
            return f.write_str("a machine whose cores are unknown");
        }
        write!(f, "{}", counted(self.cores.len(), "core"))?;
        let physical = distinct(|core| core.siblings.first());
        if physical > 0 && physical < self.cores.len() {
            write!(f, " ({physical} physical)")?;
        }
        for (number, what) in
            [(distinct(|core| core.package), "package"), (distinct(|core| core.node), "NUMA node")]
        {
            if number > 0 {
                write!(f, ", {}", counted(number, what))?;
            }
        }
        if self.system.is_guest == Some(true) {
            f.write_str(", a virtual machine")?;
        }
        let usable = self.usable();
        if usable.is_empty() {
            f.write_str("; this process may use none of them")?;
        } else if usable.len() == self.cores.len() {
            f.write_str("; this process may use all of them")?;
        } else {
            write!(f, "; this process may use {usable}")?;
        }
        if let Quota::Limited(limit) = &self.quota {
            write!(f, ", for the time of {} cores", limit.cores())?;
        }
        Ok(())
    }
}
