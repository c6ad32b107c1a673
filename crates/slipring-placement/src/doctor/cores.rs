//! What else runs on the cores: siblings, interrupts, other programs, the timer.

use super::{Finding, Severity};
use crate::{CoreSet, Interrupt, Machine};

/// Interrupts that are named at most.
const INTERRUPTS_SHOWN: usize = 3;

pub(super) fn siblings(machine: &Machine) -> Option<Finding> {
    let usable = machine.usable();
    let paired: CoreSet =
        usable.iter().filter(|core| machine.cores[core].siblings.len() > 1).collect();
    let first = paired.first()?;
    // Two cores that are one: nothing can be pinned apart.
    let is_one = usable.len() > 1 && usable.without(&machine.cores[&first].siblings).is_empty();
    let what = if is_one {
        format!("{usable} are all that this process may use, and threads of one physical core")
    } else {
        format!("{paired} are threads of physical cores that have two or more")
    };
    Some(Finding {
        severity: if is_one { Severity::Severe } else { Severity::Warning },
        name: "smt",
        what,
        why: "Two threads of a physical core share its units and its first caches. Whatever runs on the sibling \
              slows a spinning thread down, at times that nobody chooses.",
        mend: vec![
            "echo off | sudo tee /sys/devices/system/cpu/smt/control".to_owned(),
            "Or keep the siblings free of other programs: a plan leaves them free as long as it can.".to_owned(),
        ],
    })
}

pub(super) fn half_isolated(machine: &Machine) -> Option<Finding> {
    let isolated = machine.isolated.as_ref()?;
    let siblings = isolated.iter().filter_map(|core| machine.cores.get(&core));
    let siblings = siblings.fold(CoreSet::default(), |all, core| all.or(&core.siblings));
    let open = siblings.without(isolated).and(&machine.online());
    (!open.is_empty()).then(|| Finding {
        severity: Severity::Warning,
        name: "half-isolated",
        what: format!("{open} not isolated, but siblings of cores that are"),
        why: "Other programs run on the sibling, and so on half of the physical core.",
        mend: vec![format!(
            "Add {open} to `isolcpus=` on the kernel's command line, or take them offline."
        )],
    })
}

pub(super) fn interrupts(machine: &Machine) -> Option<Finding> {
    let usable = machine.usable();
    let isolated = machine.isolated.clone().unwrap_or_default().and(&usable);
    let quiet: CoreSet =
        if isolated.is_empty() { machine.interrupted().and(&usable) } else { isolated };
    let elsewhere = machine.online().without(&quiet).first()?;
    let on_quiet = |line: &Interrupt| {
        let counts = line.counts.iter().filter(|(core, _)| quiet.contains(**core));
        counts.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count))
    };
    // One that was moved away since has counts, but comes no more.
    let comes = |line: &&Interrupt| {
        line.affinity.as_ref().is_none_or(|cores| !cores.and(&quiet).is_empty())
    };
    let lines = machine.interrupts.as_ref()?.iter().filter(comes);
    let lines = lines.map(|line| (on_quiet(line), line));
    let mut lines: Vec<(u64, &Interrupt)> = lines.filter(|(count, _)| *count > 1_000).collect();
    lines.sort_by_key(|(count, line)| (std::cmp::Reverse(*count), line.number));
    lines.truncate(INTERRUPTS_SHOWN);
    let named: Vec<String> = lines
        .iter()
        .map(|(count, line)| format!("{} ({}) {count} times", line.number, line.name))
        .collect();
    let moved = lines.iter().map(|(_, line)| {
        format!("echo {elsewhere} | sudo tee /proc/irq/{}/smp_affinity_list", line.number)
    });
    let stop =
        "sudo systemctl stop irqbalance    # where it runs, or it moves them back".to_owned();
    let refused = "Where a driver spreads its queues itself, as NVMe's does, the kernel refuses: leave that core free."
        .to_owned();
    (!lines.is_empty()).then(|| Finding {
        severity: Severity::Warning,
        name: "interrupts",
        what: format!("since the start, on {quiet}: {}", named.join(", ")),
        why: "An interrupt takes the core for microseconds, with the events in hand; what it leaves to do \
              afterwards, for longer.",
        mend: [stop].into_iter().chain(moved).chain([refused]).collect(),
    })
}

pub(super) fn nothing_isolated(machine: &Machine) -> Option<Finding> {
    let is_none = machine.isolated.as_ref()?.is_empty();
    let online = machine.online();
    let system = machine.cores.get(&0).map(|core| core.siblings.or(&CoreSet::from_iter([0])));
    let others = online.without(&system.unwrap_or_default());
    (is_none && !others.is_empty()).then(|| Finding {
        severity: Severity::Note,
        name: "isolation",
        what: "no core is isolated".to_owned(),
        why: "Any program may be put on the core of a pinned thread, and takes it for milliseconds.",
        mend: vec![format!(
            "Kernel command line, for example: isolcpus={others} nohz_full={others} rcu_nocbs={others}"
        )],
    })
}

pub(super) fn ticks(machine: &Machine) -> Option<Finding> {
    let isolated = machine.isolated.as_ref()?.and(&machine.online());
    let ticking = isolated.without(machine.tickless.as_ref()?);
    (!ticking.is_empty()).then(|| Finding {
        severity: Severity::Note,
        name: "tick",
        what: format!("{ticking} isolated, but with a timer tick"),
        why: "The timer interrupts a core 100 to 1,000 times a second, even if one thread has it to itself.",
        mend: vec![format!("Kernel command line: nohz_full={isolated} rcu_nocbs={isolated}")],
    })
}
