//! The shapes of an event bus: how many publish, how many handle, and what runs them.

use std::{fmt, str::FromStr};

/// Handlers when no number is given.
const HANDLERS: u8 = 3;

/// What says that handlers and publishers are tasks.
const TASKS: &str = "async";

/// Publishers whose events all handlers see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bus {
    /// How many handle.
    pub handlers: u8,
    /// How many publish.
    pub publishers: u8,
    /// What runs both.
    pub runs_on: RunsOn,
}

/// What runs handlers and publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunsOn {
    /// A thread each.
    Threads,
    /// A task each, all on one runtime.
    Tasks,
}

impl Bus {
    /// The shapes in which buses are compared, with one runner.
    pub(crate) const fn compared(runs_on: RunsOn) -> [Self; 4] {
        let one = Self { handlers: 1, publishers: 1, runs_on };
        let three = Self { handlers: 3, ..one };
        [one, three, Self { handlers: 10, ..one }, Self { publishers: 2, ..three }]
    }
}

/// What stands behind `bus` in the scenario's name.
impl fmt::Display for Bus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handlers, publishers, runs_on } = self;
        write!(out, "{handlers}")?;
        if *publishers > 1 {
            write!(out, "x{publishers}")?;
        }
        out.write_str(if *runs_on == RunsOn::Tasks { TASKS } else { "" })
    }
}

/// Fails for what is no size of a bus.
impl FromStr for Bus {
    type Err = ();

    fn from_str(size: &str) -> Result<Self, ()> {
        let (size, runs_on) = match size.strip_suffix(TASKS) {
            Some(size) => (size, RunsOn::Tasks),
            None => (size, RunsOn::Threads),
        };
        let (handlers, publishers) = match size.split_once('x') {
            Some((handlers, publishers)) => (count(handlers)?, count(publishers)?),
            None if size.is_empty() => (HANDLERS, 1),
            None => (count(size)?, 1),
        };
        Ok(Self { handlers, publishers, runs_on })
    }
}

fn count(digits: &str) -> Result<u8, ()> {
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|count| is_number && (1..=64).contains(count)).ok_or(())
}
