//! What is measured: a [`Cell`] of scenario, wait, batch, capacity and event size.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    bus::{Bus, RunsOn},
    keys::Keys,
};

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
    /// The events of an event bus, which all its handlers see.
    Bus(Bus),
}

/// The shape without its size.
const KINDS: &str = "unicast, mpscN, multicastN, shareN, keyedN, skewedN, pipelineN, diamond, pingpong, busN, \
                     busNxP (P publishers), busNasync or busNxPasync";

/// The prefix of buses, whose sizes are more than a number.
const BUS: &str = "bus";

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

    /// The shapes in which event buses are compared.
    pub const BUSES: [Self; 8] = {
        let [one, three, ten, two] = Bus::compared(RunsOn::Threads);
        let [one_async, three_async, ten_async, two_async] = Bus::compared(RunsOn::Tasks);
        [
            Self::Bus(one),
            Self::Bus(three),
            Self::Bus(ten),
            Self::Bus(two),
            Self::Bus(one_async),
            Self::Bus(three_async),
            Self::Bus(ten_async),
            Self::Bus(two_async),
        ]
    };

    /// Threads or tasks that publish.
    #[must_use]
    pub fn producers(self) -> u64 {
        match self {
            Self::Bus(bus) => u64::from(bus.publishers),
            Self::Mpsc(producers) => u64::from(producers),
            _ => 1,
        }
    }

    /// Threads or tasks that consume, without a producer that takes the echo.
    #[must_use]
    pub fn consumers(self) -> usize {
        match self {
            Self::Share(workers) | Self::Keyed(workers) | Self::Skewed(workers) => {
                usize::from(workers)
            }
            Self::Multicast(many) | Self::Pipeline(many) => usize::from(many),
            Self::Bus(bus) => usize::from(bus.handlers),
            Self::Diamond => 3,
            Self::Unicast | Self::Mpsc(_) | Self::PingPong => 1,
        }
    }

    /// The shape of the bus, if it is one.
    #[must_use]
    pub fn bus(self) -> Option<Bus> {
        if let Self::Bus(bus) = self { Some(bus) } else { None }
    }

    /// Whether tasks take the place of threads.
    #[must_use]
    pub fn has_tasks(self) -> bool {
        self.bus().is_some_and(|bus| bus.runs_on == RunsOn::Tasks)
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
        !matches!(self, Self::Mpsc(_) | Self::Bus(_)) && !self.is_shared()
    }

    /// Bytes of the smallest event.
    #[must_use]
    pub fn least_bytes(self) -> usize {
        match self {
            // An enum has a tag.
            Self::Bus(_) => 16,
            _ if self.is_staged() => 24,
            _ => 8,
        }
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
            Self::Bus(bus) => return out.pad(&format!("{BUS}{bus}")),
        };
        out.pad(&size.map_or_else(|| kind.to_owned(), |size| format!("{kind}{size}")))
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some(size) = name.strip_prefix(BUS) {
            let advice =
                |()| format!("unknown bus `{name}`: use {KINDS}; both numbers from 1 to 64");
            return size.parse().map(Self::Bus).map_err(advice);
        }
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
    /// A cell whose events are the smallest for its scenario but not below `bytes`. Tasks wait in one way only:
    /// they sleep until they are woken.
    #[must_use]
    pub fn new(
        scenario: Scenario,
        wait: Wait,
        batch: usize,
        capacity: usize,
        bytes: usize,
    ) -> Self {
        let bytes = bytes.max(scenario.least_bytes());
        let wait = if scenario.has_tasks() { Wait::Block } else { wait };
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
        let all = Scenario::CLASSIC.into_iter().chain(Scenario::SHARED).chain(Scenario::BUSES);
        let all = all.chain(sized).chain(skewed);
        for scenario in all {
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        assert_eq!("share".parse(), Ok(Scenario::Share(2)));
        assert_eq!("skewed".parse(), Ok(Scenario::Skewed(2)));
        let names = Scenario::BUSES.map(|scenario| scenario.to_string());
        let threads = ["bus1", "bus3", "bus10", "bus3x2"];
        assert_eq!(names[..4], threads);
        assert_eq!(names[4..], threads.map(|name| format!("{name}async")));
        assert_eq!("bus".parse(), Ok(Scenario::BUSES[1]));
        for wait in Wait::ALL {
            assert_eq!(wait.to_string().parse(), Ok(wait));
        }
    }

    #[test]
    fn unknown_names_are_told_what_there_is() {
        let names =
            ["", "unicast2", "mpsc", "mpsc0", "mpsc65", "share0", "keyed0", "multicast999", "ring"];
        let buses =
            ["bus0", "bus65", "bus3x", "bus3x0", "busx2", "bus3asynchronous", "bus3x2x2", "bus+3"];
        for name in names.into_iter().chain(buses) {
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
        let bus = "bus3x2".parse().expect("it is one");
        assert_eq!(Cell::new(bus, Wait::Yield, 1, 64, 8).whole_batches(3), 4);
    }

    #[test]
    fn tasks_sleep_and_threads_wait_as_they_are_told() {
        for scenario in Scenario::BUSES {
            let cell = Cell::new(scenario, Wait::Spin, 1, 64, 8);
            let told = if scenario.has_tasks() { Wait::Block } else { Wait::Spin };
            assert_eq!((cell.wait, cell.bytes), (told, 16), "{cell}");
        }
    }
}
