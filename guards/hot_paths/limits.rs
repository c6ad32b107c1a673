//! How many instructions each path may execute: `limits.toml` says it, for [`EVENTS`] events.
//!
//! [`EVENTS`]: crate::EVENTS

use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig};

const LIMITS: &str = include_str!("../limits.toml");
/// The C library chooses among several ways to copy memory by what the processor can do. With none
/// of these it takes the same one everywhere.
const COPY: &str =
    "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-SSSE3,-ERMS,-FSRM,-Prefer_ERMS,-Prefer_FSRM";

/// Fails the run if the path executes more than the file lets it.
pub(crate) fn limited(path: &str) -> LibraryBenchmarkConfig {
    with(callgrind_limited(path))
}

/// The same, for a path that says itself where it is counted.
pub(crate) fn callgrind_limited(path: &str) -> Callgrind {
    // Caches differ from machine to machine, and nothing here is decided by them.
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, limit(path))]);
    callgrind
}

pub(crate) fn with(callgrind: Callgrind) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind).env("GLIBC_TUNABLES", COPY);
    config
}

fn limit(path: &str) -> u64 {
    let entries = LIMITS.lines().filter_map(|line| line.split_once('='));
    let mut found = entries.filter(|(name, _)| name.trim() == path);
    let (_, limit) = found.next().unwrap_or_else(|| panic!("limits.toml has no `{path}`"));
    limit.trim().parse().unwrap_or_else(|error| panic!("limits.toml, `{path}`: {error}"))
}
