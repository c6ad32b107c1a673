//! The command line of the table.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::cell::{Cell, Scenario, Wait};
use crate::peer::Peer;

/// What `--help` prints.
pub const USAGE: &str = "\
slipring beside its peers, measured in turn; prints Markdown.

Usage: slipring-peers [OPTIONS]

  --rounds N      rounds per cell (default 5)
  --millis M      about how long a run takes (default 400)
  --capacity N    slots of the ring or of each channel (default 1024)
  --scenario S    unicast, mpsc3, multicast, pipeline, diamond
  --wait W        hint, yield, block
  --batch N       events per publication (default 1 and 10)
  --peer P        slipring, disruptor, disruptor-publish, crossbeam-channel, array-queue
  --help          this text

The last five may be repeated, or given as a list with commas; without them, all are measured.
";

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rounds per cell.
    pub rounds: usize,
    /// About how long a run takes.
    pub target: Duration,
    capacities: Vec<usize>,
    scenarios: Vec<Scenario>,
    waits: Vec<Wait>,
    batches: Vec<usize>,
    peers: Vec<Peer>,
}

/// Why the table is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `--help` was asked for.
    Help,
    /// The arguments are wrong.
    Wrong(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Help => out.write_str(USAGE),
            Self::Wrong(why) => write!(out, "{why}\n\n{USAGE}"),
        }
    }
}

impl Options {
    /// Reads the arguments, without the program's name.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] says what is wrong.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, Refusal> {
        let (mut rounds, mut millis) = (vec![], vec![]);
        let (mut capacities, mut batches) = (vec![], vec![]);
        let (mut scenarios, mut waits, mut peers) = (vec![], vec![], vec![]);
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            if name == "--help" || name == "-h" {
                return Err(Refusal::Help);
            }
            let value = arguments.next();
            match name.as_str() {
                "--rounds" => add(&name, value, &mut rounds)?,
                "--millis" => add(&name, value, &mut millis)?,
                "--capacity" => add(&name, value, &mut capacities)?,
                "--batch" => add(&name, value, &mut batches)?,
                "--scenario" => add(&name, value, &mut scenarios)?,
                "--wait" => add(&name, value, &mut waits)?,
                "--peer" => add(&name, value, &mut peers)?,
                _ => return Err(Refusal::Wrong(format!("unknown option `{name}`"))),
            }
        }
        let options = Self {
            rounds: rounds.pop().unwrap_or(5),
            target: Duration::from_millis(millis.pop().unwrap_or(400)),
            capacities: or_all(capacities, &[1024]),
            scenarios: or_all(scenarios, Scenario::ALL),
            waits: or_all(waits, Wait::ALL),
            batches: or_all(batches, &[1, 10]),
            peers: or_all(peers, Peer::ALL),
        };
        options.checked()
    }

    /// The cells with the peers that fit them. A cell that only one of several peers fits compares
    /// nothing and is left out.
    #[must_use]
    pub fn cells(&self) -> Vec<(Cell, Vec<Peer>)> {
        let mut cells = Vec::new();
        for &scenario in &self.scenarios {
            for &wait in &self.waits {
                for &batch in &self.batches {
                    for &capacity in &self.capacities {
                        cells.push(Cell { scenario, wait, batch, capacity });
                    }
                }
            }
        }
        let least = self.peers.len().min(2);
        let with_peers = cells.into_iter().map(|cell| {
            let fitting = self.peers.iter().copied().filter(|peer| peer.fits(&cell));
            (cell, fitting.collect::<Vec<_>>())
        });
        with_peers.filter(|(_, peers)| peers.len() >= least).collect()
    }

    fn checked(self) -> Result<Self, Refusal> {
        let wrong = |why: &str| Err(Refusal::Wrong(why.to_owned()));
        if self.rounds == 0 || self.target.is_zero() {
            return wrong("--rounds and --millis must be at least 1");
        }
        // `disruptor` with several producers needs 64 slots.
        if !self.capacities.iter().all(|slots| slots.is_power_of_two() && *slots >= 64) {
            return wrong("--capacity must be a power of two and at least 64");
        }
        let smallest = self.capacities.iter().min().copied().unwrap_or(0);
        if !self.batches.iter().all(|batch| (1..=smallest).contains(batch)) {
            return wrong("--batch must be at least 1 and fit into the capacity");
        }
        Ok(self)
    }
}

/// Adds the values of a comma-separated list.
fn add<T>(name: &str, list: Option<String>, values: &mut Vec<T>) -> Result<(), Refusal>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let wrong = |why: String| Refusal::Wrong(format!("{name}: {why}"));
    let list = list.ok_or_else(|| wrong("a value is missing".into()))?;
    for value in list.split(',') {
        values.push(value.parse().map_err(|error| wrong(format!("`{value}`: {error}")))?);
    }
    Ok(())
}

fn or_all<T: Copy>(chosen: Vec<T>, all: &[T]) -> Vec<T> {
    if chosen.is_empty() { all.to_vec() } else { chosen }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Refusal> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn lists_and_repetitions_add_up() {
        let options = parse("--wait hint,yield --scenario unicast --scenario diamond --rounds 3");
        let options = options.expect("all known");
        assert_eq!(options.rounds, 3);
        // Two scenarios, two waits, two batches.
        assert_eq!(options.cells().len(), 8);
    }

    #[test]
    fn a_cell_with_one_of_several_peers_is_left_out() {
        let options = parse("--wait block --scenario unicast").expect("all known");
        let cells = options.cells();
        assert_eq!(cells.len(), 1, "batch 10 has nobody beside slipring");
        assert_eq!(cells[0].1, [Peer::Slipring, Peer::Channel]);
    }

    #[test]
    fn mistakes_are_named() {
        for line in ["--wait nap", "--rounds", "--nonsense 1", "--capacity 100", "--rounds 0"] {
            assert!(matches!(parse(line), Err(Refusal::Wrong(_))), "{line}");
        }
        assert_eq!(parse("--help").unwrap_err(), Refusal::Help);
    }
}
