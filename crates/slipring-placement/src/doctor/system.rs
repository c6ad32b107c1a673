//! What concerns all cores at once: clock, load, the host below, memory.

use super::{Finding, Severity};
use crate::{CoreSet, Machine};

/// Clocks that are read through a device or a call into the kernel.
const SLOW_CLOCKS: [&str; 5] = ["hpet", "acpi_pm", "xen", "jiffies", "refined-jiffies"];
/// The share of stolen time from which on it is a finding.
const STOLEN_MAX: f64 = 0.005;

pub(super) fn clock(machine: &Machine) -> Option<Finding> {
    let clock = machine.system.clock.as_deref().filter(|clock| SLOW_CLOCKS.contains(clock))?;
    let has_tsc = machine.system.clocks.iter().any(|clock| clock == "tsc");
    let mend = if has_tsc {
        "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource"
    } else {
        "The kernel's log says why it does not trust the processor's counter: sudo dmesg | grep -i tsc"
    };
    Some(Finding {
        severity: Severity::Warning,
        name: "clock",
        what: format!("the time comes from `{clock}`"),
        why: "Reading it takes a microsecond or so instead of some 20 ns. Whoever waits reads it, and so does \
              whoever measures.",
        mend: vec![mend.to_owned()],
    })
}

#[expect(clippy::cast_precision_loss, reason = "no machine has 2^52 cores")]
pub(super) fn load(machine: &Machine) -> Option<Finding> {
    let (load, cores) = (machine.system.load?, machine.cores.len() as f64);
    (cores > 0.0 && load >= cores / 2.0).then(|| Finding {
        severity: if load >= cores { Severity::Warning } else { Severity::Note },
        name: "load",
        what: format!("{load:.1} threads wanted to run in the last minute, on {cores} cores"),
        why: "Where all cores are busy, a pinned thread takes turns with others, for milliseconds at a time.",
        mend: vec!["top -H    # who they are; stop them, or start them elsewhere with `taskset`".to_owned()],
    })
}

pub(super) fn stolen(machine: &Machine) -> Option<Finding> {
    let stolen = machine.system.stolen.filter(|stolen| *stolen >= STOLEN_MAX)?;
    Some(Finding {
        severity: Severity::Warning,
        name: "stolen",
        what: format!(
            "the host gave {:.1} % of the time since the start to others",
            stolen * 100.0
        ),
        why: "A virtual core stands still while the host runs somebody else on it; nothing in here can see it \
              coming.",
        mend: vec![
            "Ask for cores of your own: a dedicated host, or pinned virtual cores.".to_owned(),
        ],
    })
}

pub(super) fn guest(machine: &Machine) -> Option<Finding> {
    machine.system.is_guest.filter(|is_guest| *is_guest).map(|_| Finding {
        severity: Severity::Note,
        name: "guest",
        what: "a virtual machine".to_owned(),
        why: "The host may take a core away at any time, and what is said here of siblings, caches and nodes may \
              not be so below.",
        mend: vec!["Measure the tail where the program will run, or on hardware of your own.".to_owned()],
    })
}

pub(super) fn transparent_pages(machine: &Machine) -> Option<Finding> {
    let enabled = machine.system.pages.transparent.as_deref();
    (enabled == Some("always")).then(|| Finding {
        severity: Severity::Warning,
        name: "transparent-pages",
        what: "the kernel makes huge pages for everybody".to_owned(),
        why: "It gathers and moves pages of running programs, and a thread that touches one meanwhile waits.",
        mend: vec!["echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled".to_owned()],
    })
}

pub(super) fn defrag(machine: &Machine) -> Option<Finding> {
    let defrag = machine.system.pages.defrag.as_deref();
    (defrag == Some("always")).then(|| Finding {
        severity: Severity::Warning,
        name: "defrag",
        what: "whoever touches new memory waits while a huge page is made".to_owned(),
        why: "Memory is moved about until there is room: milliseconds, in whatever handler allocates.",
        mend: vec!["echo defer+madvise | sudo tee /sys/kernel/mm/transparent_hugepage/defrag".to_owned()],
    })
}

pub(super) fn no_huge_pages(machine: &Machine) -> Option<Finding> {
    let pages = &machine.system.pages;
    let enabled = pages.transparent.as_deref().filter(|enabled| *enabled != "always")?;
    if pages.reserved.is_some_and(|reserved| reserved > 0) {
        return None;
    }
    let allow = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled".to_owned();
    let ask = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1 PROGRAM".to_owned();
    let what = if enabled == "never" { "nobody gets any" } else { "only who asks gets any" };
    Some(Finding {
        severity: Severity::Note,
        name: "huge-pages",
        what: what.to_owned(),
        why: "A ring of many megabytes has more pages of 4 KiB than the processor keeps addresses of; small rings \
              gain nothing.",
        mend: (enabled == "never").then_some(allow).into_iter().chain([ask]).collect(),
    })
}

pub(super) fn balancing(machine: &Machine) -> Option<Finding> {
    let nodes: CoreSet = machine.cores.values().filter_map(|core| core.node).collect();
    (nodes.len() > 1 && machine.system.balances_nodes == Some(true)).then(|| Finding {
        severity: Severity::Warning,
        name: "numa-balancing",
        what: format!("the kernel moves memory between {} NUMA nodes", nodes.len()),
        why: "It finds out who uses a page by taking it away and waiting for the fault; pinned threads gain \
              nothing from that.",
        mend: vec!["sudo sysctl kernel.numa_balancing=0".to_owned()],
    })
}

pub(super) fn swap(machine: &Machine) -> Option<Finding> {
    machine.system.is_swapping.filter(|is_swapping| *is_swapping).map(|_| Finding {
        severity: Severity::Warning,
        name: "swap",
        what: "memory may be written to disk".to_owned(),
        why: "A page that nobody touched for a while is read back when an event needs it: milliseconds.",
        mend: vec!["sudo swapoff -a".to_owned()],
    })
}
