//! In what two runs over the same events differ.

use std::fmt;

use super::state_hash::StateHash;

/// What would have been different; see [`WhatIf`](crate::WhatIf).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WhatIfReport<O> {
    /// How many events there were.
    pub events: u64,
    /// Of how many of them what was put out differs.
    pub outputs: u64,
    /// The position of the first event after which the states were found to differ.
    pub first_state: Option<u64>,
    /// The events that differ in what was put out, and the first one after which the states do; in order, as many as were
    /// asked for.
    pub differences: Vec<Difference<O>>,
    /// What the state was at the end.
    pub state_before: StateHash,
    /// What it would have been.
    pub state_after: StateHash,
}

/// An event of which something differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference<O> {
    /// Its position.
    pub position: u64,
    /// Its topic.
    pub topic: Box<str>,
    /// What was put out.
    pub before: Vec<O>,
    /// What would have been put out, with what was inserted before it.
    pub after: Vec<O>,
    /// Whether the states differ after it, as far as they were compared.
    pub states_differ: bool,
}

impl<O> Default for WhatIfReport<O> {
    fn default() -> Self {
        Self {
            events: 0,
            outputs: 0,
            first_state: None,
            differences: Vec::new(),
            state_before: StateHash::new(),
            state_after: StateHash::new(),
        }
    }
}

impl<O> WhatIfReport<O> {
    /// Whether nothing would have been different.
    pub fn is_same(&self) -> bool {
        self.outputs == 0 && self.first_state.is_none() && self.state_before == self.state_after
    }

    /// The first event of which something differs.
    pub fn first(&self) -> Option<&Difference<O>> {
        self.differences.first()
    }
}

impl<O: fmt::Debug> fmt::Display for WhatIfReport<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_same() {
            return write!(f, "of {} events, nothing would have been different", self.events);
        }
        write!(f, "of {} events, {} would have put out something else", self.events, self.outputs)?;
        if let Some(position) = self.first_state {
            write!(f, "; the state would have been another one from {position} on")?;
        } else {
            f.write_str("; the state would have been the same")?;
        }
        if self.state_before == self.state_after {
            write!(f, "\nin the end: {}, all the same", self.state_before)?;
        } else {
            write!(f, "\nin the end: {}, would be {}", self.state_before, self.state_after)?;
        }
        for Difference { position, topic, before, after, states_differ } in &self.differences {
            write!(f, "\n{position} {topic}:")?;
            if !before.is_empty() || !after.is_empty() {
                write!(f, " {before:?}, would be {after:?}")?;
            }
            if *states_differ {
                f.write_str(" (state)")?;
            }
        }
        Ok(())
    }
}
