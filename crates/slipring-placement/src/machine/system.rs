//! What is the same for all cores: memory, clock, load, and whether this is a virtual machine.

use crate::files::Files;

/// Settings and figures of the whole system. `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct System {
    /// Whether a hypervisor is below. Only known of x86.
    pub is_guest: Option<bool>,
    /// The share of the time since the start that the hypervisor gave to others, from 0 to 1.
    pub stolen: Option<f64>,
    /// Threads that ran or wanted to, on average over the last minute.
    pub load: Option<f64>,
    /// What the kernel reads the time from.
    pub clock: Option<String>,
    /// Clocks that it could read instead.
    pub clocks: Vec<String>,
    /// Whether memory can be swapped out.
    pub is_swapping: Option<bool>,
    /// Whether pages are moved to the node that uses them, found out by faults.
    pub balances_nodes: Option<bool>,
    /// Huge pages.
    pub pages: Pages,
}

/// Settings of huge pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pages {
    /// Who gets them unasked: `always` everybody, `madvise` who asks, `never` nobody.
    pub transparent: Option<String>,
    /// Who waits while the kernel makes one.
    pub defrag: Option<String>,
    /// How many are set aside.
    pub reserved: Option<u64>,
}

impl System {
    pub(super) fn unknown(&self) -> impl Iterator<Item = &'static str> {
        let known = [
            (self.is_guest.is_some(), "virtual machine or not"),
            (self.stolen.is_some(), "stolen time"),
            (self.load.is_some(), "load"),
            (self.clock.is_some(), "clock"),
            (self.is_swapping.is_some(), "swap"),
            (self.balances_nodes.is_some(), "NUMA balancing"),
            (self.pages.transparent.is_some(), "huge pages"),
        ];
        known.into_iter().filter(|(is_known, _)| !is_known).map(|(_, what)| what)
    }
}

pub(super) fn read(files: &Files) -> System {
    const CLOCK: &str = "sys/devices/system/clocksource/clocksource0";
    const PAGES: &str = "sys/kernel/mm/transparent_hugepage";
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
    let clocks = files.text(&format!("{CLOCK}/available_clocksource")).map_or(Vec::new(), words);
    let swaps = files.text("proc/swaps");
    let balancing = files.number::<u64>("proc/sys/kernel/numa_balancing");
    System {
        is_guest: files.field("proc/cpuinfo", "flags").map(|flags| has_word(&flags, "hypervisor")),
        stolen: files.text("proc/stat").and_then(|text| stolen(&text)),
        load: files.text("proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
        clock: files.text(&format!("{CLOCK}/current_clocksource")),
        clocks,
        is_swapping: swaps.map(|text| text.lines().count() > 1),
        balances_nodes: balancing.map(|mode| mode != 0),
        pages: Pages {
            transparent: files.text(&format!("{PAGES}/enabled")).and_then(|text| chosen(&text)),
            defrag: files.text(&format!("{PAGES}/defrag")).and_then(|text| chosen(&text)),
            reserved: files.field("proc/meminfo", "HugePages_Total").and_then(|n| n.parse().ok()),
        },
    }
}

fn has_word(text: &str, wanted: &str) -> bool {
    text.split_whitespace().any(|word| word == wanted)
}

/// The eighth figure of the first line is time in which a guest wanted to run and did not.
#[expect(clippy::cast_precision_loss, reason = "a share is for people")]
fn stolen(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times: Vec<u64> =
        line.split_whitespace().take(8).map_while(|time| time.parse().ok()).collect();
    let all = times.iter().fold(0_u64, |sum, time| sum.saturating_add(*time));
    (times.len() == 8 && all > 0).then(|| times[7] as f64 / all as f64)
}

/// The word in brackets of `always [madvise] never`.
fn chosen(text: &str) -> Option<String> {
    let word = text.split_once('[')?.1.split_once(']')?.0;
    Some(word.to_owned())
}
