//! The machine, in a line: figures mean nothing without it.

use std::{fs, thread};

/// Cores, processor, kernel, compiler and load; `-` for what cannot be found out.
#[must_use]
pub fn describe() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processor = processor().unwrap_or_else(|| "-".into());
    let kernel = first_line("/proc/sys/kernel/osrelease");
    format!("{cores} cores ({processor}), kernel {kernel}, {}", env!("BENCH_RUSTC"))
}

/// The load averages now, for the record of a disturbance.
#[must_use]
pub fn load() -> String {
    let line = first_line("/proc/loadavg");
    line.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("-").to_owned()
}
