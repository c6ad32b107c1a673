//! Interrupts of devices: how often each came to which core, and where it may go.

use std::collections::BTreeMap;

use crate::{CoreSet, files::Files};

/// The interrupt of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interrupt {
    /// Its number, as in `/proc/irq/36`.
    pub number: u32,
    /// The device, in the kernel's words.
    pub name: String,
    /// How often it came to each core since the start.
    pub counts: BTreeMap<usize, u64>,
    /// The cores that it may go to.
    pub affinity: Option<CoreSet>,
}

/// Lines whose names are no numbers count what cores do to each other; timers cannot be moved.
pub(super) fn read(files: &Files) -> Option<Vec<Interrupt>> {
    let text = files.text("proc/interrupts")?;
    let mut lines = text.lines();
    let cores: Vec<usize> = lines
        .next()?
        .split_whitespace()
        .filter_map(|name| name.strip_prefix("CPU")?.parse().ok())
        .collect();
    let parse = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        let number = number.trim().parse().ok()?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        let counts = words.iter().map_while(|word| word.parse().ok());
        let counts: BTreeMap<usize, u64> = cores.iter().copied().zip(counts).collect();
        let name = (*words.last().filter(|_| words.len() > counts.len())?).to_owned();
        let affinity = files.cores(&format!("proc/irq/{number}/smp_affinity_list"));
        (!name.contains("timer")).then_some(Interrupt { number, name, counts, affinity })
    };
    (!cores.is_empty()).then(|| lines.filter_map(parse).collect())
}
