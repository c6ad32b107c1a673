//! The cores: which are threads of one physical core, share a cache, sit on one NUMA node.

use std::collections::BTreeMap;

use crate::{CoreSet, files::Files};

const CPU: &str = "sys/devices/system/cpu";
const NODE: &str = "sys/devices/system/node";

/// A core as the kernel numbers it: a thread of a physical core.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Core {
    /// The threads of its physical core, itself among them. Empty if unknown.
    pub siblings: CoreSet,
    /// The cores that share its largest cache (the third level where there is one), itself among
    /// them. Empty if unknown.
    pub cache: CoreSet,
    /// The socket it is in.
    pub package: Option<usize>,
    /// The NUMA node it is on.
    pub node: Option<usize>,
    /// Its speed beside the others', 1,024 for the fastest.
    pub capacity: Option<u64>,
    /// The highest frequency it can have.
    pub khz_max: Option<u64>,
    /// The policy that chooses its frequency.
    pub governor: Option<String>,
    /// The driver that sets its frequency.
    pub driver: Option<String>,
    /// The states that it may fall into while nothing runs there. Empty if unknown.
    pub idle: Vec<IdleState>,
}

/// A state of rest of a core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdleState {
    /// What the driver calls it, such as `C6`.
    pub name: String,
    /// Microseconds that it takes to leave it.
    pub exit_us: u64,
    /// Whether somebody has forbidden it.
    pub is_disabled: bool,
}

/// Reads the cores that are online. `affinity` stands in where the kernel does not say which.
pub(super) fn read(files: &Files, affinity: Option<&CoreSet>) -> BTreeMap<usize, Core> {
    let nodes: Vec<(usize, CoreSet)> = files
        .numbered(NODE, "node")
        .into_iter()
        .filter_map(|node| Some((node, files.cores(&format!("{NODE}/node{node}/cpulist"))?)))
        .collect();
    let node_of = |number| nodes.iter().find(|(_, cores)| cores.contains(number));
    online(files, affinity)
        .iter()
        .map(|number| {
            let node = node_of(number).map(|(node, _)| *node);
            (number, Core { node, ..core(files, number) })
        })
        .collect()
}

fn online(files: &Files, affinity: Option<&CoreSet>) -> CoreSet {
    files
        .cores(&format!("{CPU}/online"))
        .filter(|cores| !cores.is_empty())
        .or_else(|| {
            let folders: CoreSet = files.numbered(CPU, "cpu").into_iter().collect();
            (!folders.is_empty()).then_some(folders)
        })
        .or_else(|| affinity.cloned())
        .unwrap_or_default()
}

fn core(files: &Files, number: usize) -> Core {
    let folder = format!("{CPU}/cpu{number}");
    let siblings = ["core_cpus_list", "thread_siblings_list"]
        .into_iter()
        .find_map(|name| files.cores(&format!("{folder}/topology/{name}")))
        // A list that leaves its owner out is damaged.
        .filter(|cores| cores.contains(number));
    Core {
        siblings: siblings.unwrap_or_default(),
        cache: largest_cache(files, &folder, number).unwrap_or_default(),
        package: files.number(&format!("{folder}/topology/physical_package_id")),
        node: None,
        capacity: files.number(&format!("{folder}/cpu_capacity")),
        khz_max: files.number(&format!("{folder}/cpufreq/cpuinfo_max_freq")),
        governor: files.text(&format!("{folder}/cpufreq/scaling_governor")),
        driver: files.text(&format!("{folder}/cpufreq/scaling_driver")),
        idle: idle_states(files, &folder),
    }
}

/// Who shares the cache of the highest level, if that is the second or more: the first is always private.
fn largest_cache(files: &Files, folder: &str, number: usize) -> Option<CoreSet> {
    let caches = files.numbered(&format!("{folder}/cache"), "index").into_iter();
    let levels = caches.filter_map(|index| {
        let cache = format!("{folder}/cache/index{index}");
        let level: u32 = files.number(&format!("{cache}/level"))?;
        let shared = files.cores(&format!("{cache}/shared_cpu_list"))?;
        (level >= 2 && shared.contains(number)).then_some((level, shared))
    });
    levels.max_by_key(|(level, _)| *level).map(|(_, shared)| shared)
}

fn idle_states(files: &Files, folder: &str) -> Vec<IdleState> {
    let states = files.numbered(&format!("{folder}/cpuidle"), "state").into_iter();
    let read = |state| {
        let state = format!("{folder}/cpuidle/state{state}");
        Some(IdleState {
            name: files.text(&format!("{state}/name"))?,
            exit_us: files.number(&format!("{state}/latency"))?,
            is_disabled: files.text(&format!("{state}/disable")).is_some_and(|text| text != "0"),
        })
    };
    states.filter_map(read).collect()
}
