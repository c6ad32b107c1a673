//! What here would hurt the latency of threads that spin, and what to do about it.
//!
//! A check looks at a [`Machine`] and finds something or nothing; what is unknown is never a finding.

mod cores;
mod power;
mod share;
mod system;

use std::fmt;

use crate::Machine;

/// How much a finding hurts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Milliseconds, or threads that stand still: mend it before anything is measured.
    Severe,
    /// Microseconds, seen in the tail.
    Warning,
    /// Good to know, or to gain.
    Note,
}

impl Severity {
    /// The word for it, in small letters.
    pub fn word(self) -> &'static str {
        match self {
            Self::Severe => "severe",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One thing that hurts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How much it hurts.
    pub severity: Severity,
    /// What it is called, in a word that stays the same: `quota`, `governor`.
    pub name: &'static str,
    /// What was found here.
    pub what: String,
    /// Why that makes the slowest events slower.
    pub why: &'static str,
    /// What mends it, each a line for a shell, or a sentence where no command does it.
    pub mend: Vec<String>,
}

impl fmt::Display for Finding {
    /// A line of what it is, then why, then what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7}  {}: {}", self.severity, self.name, self.what)?;
        write!(f, "\n         why   {}", self.why)?;
        let labels = ["mend"].into_iter().chain(std::iter::repeat(""));
        self.mend
            .iter()
            .zip(labels)
            .try_for_each(|(line, label)| write!(f, "\n         {label:4}  {line}"))
    }
}

type Check = fn(&Machine) -> Option<Finding>;

/// Every check, by what it looks at.
const CHECKS: &[Check] = &[
    share::one_core,
    share::quota,
    share::isolated_out_of_reach,
    cores::siblings,
    cores::half_isolated,
    cores::interrupts,
    cores::nothing_isolated,
    cores::ticks,
    power::governor,
    power::idle,
    system::clock,
    system::load,
    system::stolen,
    system::guest,
    system::transparent_pages,
    system::defrag,
    system::no_huge_pages,
    system::balancing,
    system::swap,
];

/// What hurts latency on this machine, the worst first.
///
/// ```
/// use slipring_placement::{Machine, Severity, examine};
///
/// let findings = examine(&Machine::here());
/// let severe = findings.iter().filter(|finding| finding.severity == Severity::Severe);
/// println!("{} of {} findings are severe", severe.count(), findings.len());
/// ```
pub fn examine(machine: &Machine) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKS.iter().filter_map(|check| check(machine)).collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}
