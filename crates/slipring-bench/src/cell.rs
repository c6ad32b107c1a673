//! What is measured: a [`Cell`] of scenario, wait, batch, capacity and event size.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::keys::Keys;

/// The shape of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scenario {
    /// P → C.
    Unicast,
    /// So many producers of the multi-producer kind → C.
    Mpsc(u8),
    /// P → so many consumers, each of which sees all.
    Multicast(u8),
    /// P → so many workers that share the events: each goes to exactly one of them.
    Share(u8),
    /// The same, but the events have keys: all of one key go to the same worker. All keys are equally
    /// frequent.
    Keyed(u8),
    /// The same, with one key in nine of ten events.
    Skewed(u8),
    /// P → C1 → C2 → ..., so many stages. P, C1 and C2 write a field each, those behind them count on
    /// in C2's, and the last stage only reads: it checks that each has done its work.
    Pipeline(u8),
    /// P → {C1, C2} → C3; P, C1 and C2 write a field each, C3 reads all.
    Diamond,
    /// P → ring → C → another ring → P: P waits for the echo of each batch before the next.
    PingPong,
}

/// The shape without its size.
const KINDS: &str =
    "unicast, mpscN, multicastN, shareN, keyedN, skewedN, pipelineN, diamond or pingpong";

/// Producers, consumers or stages of `multicast` and `pipeline` when no number is given.
const CLASSIC: u8 = 3;

/// Workers of `share`, `keyed` and `skewed` when no number is given.
const WORKERS: u8 = 2;

impl Scenario {
    /// The shapes that everybody is compared in.
    pub const CLASSIC: [Self; 8] = [
        Self::Unicast,
        Self::Mpsc(1),
        Self::Mpsc(2),
        Self::Mpsc(3),
        Self::Multicast(CLASSIC),
        Self::Pipeline(CLASSIC),
        Self::Diamond,
        Self::PingPong,
    ];

    /// The shapes in which those who can share events are compared.
    pub const SHARED: [Self; 4] =
        [Self::Share(WORKERS), Self::Share(4), Self::Keyed(WORKERS), Self::Keyed(4)];

    /// Threads that publish.
    #[must_use]
    pub fn producers(self) -> u64 {
        match self {
            Self::Mpsc(producers) => u64::from(producers),
            _ => 1,
        }
    }

    /// Threads that consume, without a producer that takes the echo.
    #[must_use]
    pub fn consumers(self) -> usize {
        match self {
            Self::Share(workers) | Self::Keyed(workers) | Self::Skewed(workers) => {
                usize::from(workers)
            }
            Self::Multicast(many) | Self::Pipeline(many) => usize::from(many),
            Self::Diamond => 3,
            Self::Unicast | Self::Mpsc(_) | Self::PingPong => 1,
        }
    }

    /// Whether stages write fields of their own.
    #[must_use]
    pub fn is_staged(self) -> bool {
        matches!(self, Self::Pipeline(_) | Self::Diamond)
    }

    /// Whether workers share the events, by whatever rule.
    #[must_use]
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Share(_)) || self.keys().is_some()
    }

    /// How keys are spread over the events, if they have keys.
    #[must_use]
    pub fn keys(self) -> Option<Keys> {
        match self {
            Self::Keyed(_) => Some(Keys::EVEN),
            Self::Skewed(_) => Some(Keys::SKEWED),
            _ => None,
        }
    }

    /// Whether events can be due by one timetable, and their latencies be gathered at one end.
    #[must_use]
    pub fn has_timetable(self) -> bool {
        !matches!(self, Self::Mpsc(_)) && !self.is_shared()
    }

    /// Bytes of the smallest event.
    #[must_use]
    pub fn least_bytes(self) -> usize {
        if self.is_staged() { 24 } else { 8 }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, size) = match *self {
            Self::Unicast => ("unicast", None),
            Self::Mpsc(producers) => ("mpsc", Some(producers)),
            Self::Multicast(CLASSIC) => ("multicast", None),
            Self::Multicast(consumers) => ("multicast", Some(consumers)),
            Self::Share(workers) => ("share", Some(workers)),
            Self::Keyed(workers) => ("keyed", Some(workers)),
            Self::Skewed(workers) => ("skewed", Some(workers)),
            Self::Pipeline(CLASSIC) => ("pipeline", None),
            Self::Pipeline(stages) => ("pipeline", Some(stages)),
            Self::Diamond => ("diamond", None),
            Self::PingPong => ("pingpong", None),
        };
        out.pad(&size.map_or_else(|| kind.to_owned(), |size| format!("{kind}{size}")))
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let kind = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let digits = &name[kind.len()..];
        let unknown = || format!("unknown scenario `{name}`: use {KINDS}");
        let size = match digits {
            "" => None,
            digits => match digits.parse() {
                Ok(size @ 1..=64) => Some(size),
                _ => return Err(format!("`{name}`: the number must be from 1 to 64")),
            },
        };
        Ok(match (kind, size) {
            ("unicast", None) => Self::Unicast,
            ("mpsc", Some(producers)) => Self::Mpsc(producers),
            ("multicast", size) => Self::Multicast(size.unwrap_or(CLASSIC)),
            ("share", size) => Self::Share(size.unwrap_or(WORKERS)),
            ("keyed", size) => Self::Keyed(size.unwrap_or(WORKERS)),
            ("skewed", size) => Self::Skewed(size.unwrap_or(WORKERS)),
            ("pipeline", size) => Self::Pipeline(size.unwrap_or(CLASSIC)),
            ("diamond", None) => Self::Diamond,
            ("pingpong", None) => Self::PingPong,
            _ => return Err(unknown()),
        })
    }
}

impl TryFrom<String> for Scenario {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<Scenario> for String {
    fn from(scenario: Scenario) -> Self {
        scenario.to_string()
    }
}

/// What a thread does that finds nothing to take, or no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// Looks again at once.
    Spin,
    /// Spins with the processor's pause hint.
    Hint,
    /// Gives its time slice away.
    Yield,
    /// Is put to sleep until it is woken.
    Block,
}

impl Wait {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Spin, Self::Hint, Self::Yield, Self::Block];
}

impl fmt::Display for Wait {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Spin => "spin",
            Self::Hint => "hint",
            Self::Yield => "yield",
            Self::Block => "block",
        })
    }
}

impl FromStr for Wait {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|wait| wait.to_string() == name);
        known.ok_or_else(|| format!("unknown wait `{name}`: use spin, hint, yield or block"))
    }
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// The shape of the flow.
    pub scenario: Scenario,
    /// How both sides wait.
    pub wait: Wait,
    /// Events per publication.
    pub batch: usize,
    /// Slots of the ring, or of each channel.
    pub capacity: usize,
    /// Bytes of an event: a multiple of 8, and at least [`Scenario::least_bytes`].
    pub bytes: usize,
}

impl Cell {
    /// A cell whose events are the smallest for its scenario but not below `bytes`.
    #[must_use]
    pub fn new(
        scenario: Scenario,
        wait: Wait,
        batch: usize,
        capacity: usize,
        bytes: usize,
    ) -> Self {
        let bytes = bytes.max(scenario.least_bytes());
        Self { scenario, wait, batch, capacity, bytes }
    }

    /// The next number of events that divides into whole batches for every producer; never 0.
    #[must_use]
    pub fn whole_batches(&self, events: u64) -> u64 {
        let share = self.scenario.producers() * self.batch as u64;
        events.max(1).next_multiple_of(share)
    }

    /// Threads that run at once.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.scenario.producers() as usize + self.scenario.consumers()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, wait, batch, capacity, bytes } = self;
        write!(out, "{scenario}, {wait}, batch {batch}, ring {capacity}, {bytes} bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let sized = [Scenario::Multicast(16), Scenario::Pipeline(8), Scenario::Mpsc(64)];
        let skewed = [Scenario::Skewed(2)];
        let all = Scenario::CLASSIC.into_iter().chain(Scenario::SHARED).chain(sized).chain(skewed);
        for scenario in all {
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        assert_eq!("share".parse(), Ok(Scenario::Share(2)));
        assert_eq!("skewed".parse(), Ok(Scenario::Skewed(2)));
        for wait in Wait::ALL {
            assert_eq!(wait.to_string().parse(), Ok(wait));
        }
    }

    #[test]
    fn unknown_names_are_told_what_there_is() {
        for name in
            ["", "unicast2", "mpsc", "mpsc0", "mpsc65", "share0", "keyed0", "multicast999", "ring"]
        {
            let error = name.parse::<Scenario>().expect_err(name);
            assert!(error.contains("unicast, mpscN") || error.contains("from 1 to 64"), "{error}");
        }
        assert!("nap".parse::<Wait>().is_err());
    }

    #[test]
    fn events_divide_into_batches_of_all_producers() {
        let cell = Cell::new(Scenario::Mpsc(3), Wait::Yield, 10, 64, 8);
        assert_eq!(cell.whole_batches(1), 30);
        assert_eq!(cell.whole_batches(31), 60);
        assert_eq!(Cell::new(Scenario::Diamond, Wait::Yield, 1, 64, 8).bytes, 24);
    }
}
