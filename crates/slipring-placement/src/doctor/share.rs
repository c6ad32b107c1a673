//! What this process is granted of the machine: cores and time.

use super::{Finding, Severity};
use crate::{Machine, Quota};

pub(super) fn one_core(machine: &Machine) -> Option<Finding> {
    let usable = machine.usable();
    (!machine.cores.is_empty() && usable.len() < 2).then(|| Finding {
        severity: Severity::Severe,
        name: "one-core",
        what: match usable.first() {
            Some(core) => format!("this process may use core {core} and no other"),
            None => "this process may use no core that is online".to_owned(),
        },
        why: "A producer and a station take turns there: an event waits until the scheduler changes threads, \
              milliseconds when both spin.",
        mend: vec![
            "Start it with more cores: `taskset -c 0-3 PROGRAM`; in a container, a larger cpuset.".to_owned(),
        ],
    })
}

pub(super) fn quota(machine: &Machine) -> Option<Finding> {
    let Quota::Limited(limit) = &machine.quota else { return None };
    let usable = machine.usable().len();
    let throttled = limit.throttled.unwrap_or(0);
    let suffices = usable > 0 && limit.busy_threads() >= usable;
    if suffices && throttled == 0 {
        return None;
    }
    let is_severe = throttled > 0 || limit.busy_threads() < 2;
    let lift = if limit.file.ends_with("cpu.max") { "max" } else { "-1" };
    let history = match throttled {
        0 => String::new(),
        periods => format!("; used up in {periods} periods so far"),
    };
    Some(Finding {
        severity: if is_severe { Severity::Severe } else { Severity::Warning },
        name: "quota",
        what: format!("the time of {} cores in {}{history}", limit.cores(), limit.file),
        why: "A thread that spins uses a core's time whether events come or not. When the time of a period is used \
              up, all threads stand still until the next one: up to 100 ms by default.",
        mend: vec![
            format!("echo {lift} | sudo tee {}", limit.file),
            "In a container: start it without a CPU limit, and give it cores instead (`--cpuset-cpus`).".to_owned(),
        ],
    })
}

pub(super) fn isolated_out_of_reach(machine: &Machine) -> Option<Finding> {
    let isolated = machine.isolated_out_of_reach();
    let with = machine.usable().or(&isolated);
    (!isolated.is_empty()).then(|| Finding {
        severity: Severity::Warning,
        name: "isolated-unused",
        what: format!("{isolated} isolated, but not in this process's affinity"),
        why: "A program gets isolated cores only if it asks for them. Without, its threads are pinned among \
              everybody else's.",
        mend: vec![format!("taskset -c {with} PROGRAM")],
    })
}
