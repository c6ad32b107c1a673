//! What saves power: frequencies that fall, cores that go to rest.

use std::collections::BTreeSet;

use super::{Finding, Severity};
use crate::{Core, CoreSet, Machine};

/// Leaving a state takes so long that it is worth a line.
const EXIT_NOTED_US: u64 = 20;
/// And so long that it is most of a wake-up.
const EXIT_WARNED_US: u64 = 100;

pub(super) fn governor(machine: &Machine) -> Option<Finding> {
    let governor = |core: usize| machine.cores[&core].governor.as_deref();
    let saving: CoreSet = machine
        .usable()
        .iter()
        .filter(|core| {
            governor(*core).is_some_and(|name| !matches!(name, "performance" | "userspace"))
        })
        .collect();
    saving.first()?;
    let names: BTreeSet<&str> = saving.iter().filter_map(governor).collect();
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let is_severe = saving.iter().any(|core| is_fixed_at_lowest(&machine.cores[&core]));
    Some(Finding {
        severity: if is_severe { Severity::Severe } else { Severity::Warning },
        name: "governor",
        what: format!("{} on {saving}", names.join(", ")),
        why: "The frequency follows the load: the first events after a pause meet a slow core, and every change of \
              it takes time.",
        mend: vec![
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
                .to_owned(),
        ],
    })
}

/// `powersave` stays at the lowest frequency, unless a driver that chooses by itself gave its own mode
/// that name.
fn is_fixed_at_lowest(core: &Core) -> bool {
    let chooses = |driver: &str| driver == "intel_pstate" || driver.starts_with("amd-pstate");
    core.governor.as_deref() == Some("powersave")
        && core.driver.as_deref().is_some_and(|driver| !chooses(driver))
}

pub(super) fn idle(machine: &Machine) -> Option<Finding> {
    let usable = machine.usable();
    let states = usable.iter().flat_map(|core| &machine.cores[&core].idle);
    let deepest = states.filter(|state| !state.is_disabled).max_by_key(|state| state.exit_us)?;
    let us = deepest.exit_us;
    (us >= EXIT_NOTED_US).then(|| Finding {
        severity: if us >= EXIT_WARNED_US { Severity::Warning } else { Severity::Note },
        name: "idle-states",
        what: format!("a core at rest may fall into `{}`, which takes {us} µs to leave", deepest.name),
        why: "A thread that sleeps while it waits lets its core rest, and waking it takes that much longer. \
              Threads that spin are spared.",
        mend: vec![format!("sudo cpupower idle-set --disable-by-latency {}", EXIT_NOTED_US)],
    })
}
