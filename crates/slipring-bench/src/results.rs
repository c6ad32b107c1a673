//! Everything that was measured, as it is written to a file and read back.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{cell::Cell, floor::name_in_latencies, stats::Spread};

/// What one command measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The command line.
    pub command: String,
    /// See [`crate::machine::describe`].
    pub machine: String,
    /// Cores that the process may use.
    pub cores: usize,
    /// Load averages before the first run.
    pub load_before: String,
    /// Load averages after the last run.
    pub load_after: String,
    /// Rounds of each cell.
    pub rounds: usize,
    /// About how long a run took, in seconds.
    pub seconds: f64,
    /// What the machine can do.
    pub floor: FloorFigures,
    /// As fast as it goes.
    pub throughput: Vec<Throughput>,
    /// Open loops at fixed rates.
    pub latency: Vec<Latency>,
    /// Latency as the offered load grows.
    pub knee: Vec<Knee>,
    /// Cost as the work grows.
    pub growth: Vec<Growth>,
}

/// What the machine can do, without any of a library's duties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FloorFigures {
    /// One round trip of a cache line between two cores; none on a single core.
    pub line_round_trip_ns: Option<f64>,
    /// Events per second of the held floor: unicast, spin, batch 1, ring 1024, 8 bytes.
    pub held_rate: Option<f64>,
}

/// Who a row is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Who {
    /// The contestant's name.
    pub contestant: String,
    /// Whose configuration it is.
    pub family: String,
}

/// One contestant in one cell, as fast as it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// Where.
    pub cell: Cell,
    /// Who.
    #[serde(flatten)]
    pub who: Who,
    /// Events per second, round by round.
    pub rates: Vec<f64>,
    /// Events per run found, round by round.
    pub average_batches: Vec<f64>,
    /// Why the figures are worth nothing.
    pub fault: Option<String>,
}

/// One contestant in one cell, at one rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Where.
    pub cell: Cell,
    /// Events per second that were offered.
    pub rate: u64,
    /// Who.
    #[serde(flatten)]
    pub who: Who,
    /// Of all rounds together, if there was a run.
    pub percentiles: Option<Percentiles>,
    /// The median in ns, round by round.
    pub p50_by_round: Vec<u64>,
    /// Events per second that arrived, round by round.
    pub achieved: Vec<f64>,
    /// Quantiles and their ns, for a plot.
    pub curve: Vec<(f64, u64)>,
    /// Why there was no run, if nothing is wrong.
    pub omitted: Option<String>,
    /// Why the figures are worth nothing.
    pub fault: Option<String>,
}

/// Percentiles in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are what they are called")]
pub struct Percentiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub p99_99: u64,
    pub max: u64,
}

/// Latency of one contestant as the offered load grows to its peak and beyond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// Where.
    pub cell: Cell,
    /// Who.
    #[serde(flatten)]
    pub who: Who,
    /// Events per second that it reaches when all are due at once and every sight is timed.
    pub peak: f64,
    /// From the lowest load to the highest.
    pub points: Vec<KneePoint>,
    /// Why the figures are worth nothing.
    pub fault: Option<String>,
}

/// One offered load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KneePoint {
    /// Part of the peak that was offered, in percent.
    pub percent: u32,
    /// Events per second that were offered.
    pub offered: u64,
    /// Events per second that arrived, the median of the rounds.
    pub achieved: f64,
    /// In ns, of all rounds together.
    pub p50: u64,
    /// In ns, of all rounds together.
    pub p99: u64,
}

/// What grows.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Consumers side by side.
    Consumers,
    /// Stages in a row.
    Stages,
    /// Producers.
    Producers,
    /// Slots of the ring.
    Capacity,
    /// Bytes of an event.
    Bytes,
}

/// The cost of an event as the work grows, for one contestant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// What grows.
    pub axis: Axis,
    /// Who.
    #[serde(flatten)]
    pub who: Who,
    /// What the curve must look like, and why.
    pub theory: String,
    /// In the order of `x`.
    pub points: Vec<GrowthPoint>,
}

/// One point of a curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrowthPoint {
    /// How many of what grows.
    pub x: u64,
    /// Where it was measured.
    pub cell: Cell,
    /// Events per second, round by round.
    pub rates: Vec<f64>,
    /// What theory expects from an event, in ns.
    pub expected_ns: Option<f64>,
    /// Bytes that the ring and its stations take, if the program can tell and it is slipring.
    pub memory: Option<usize>,
    /// Why the figures are worth nothing.
    pub fault: Option<String>,
}

impl Throughput {
    /// The spread of the rates; none after a fault.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        spread_unless(self.fault.as_ref(), &self.rates)
    }
}

impl Latency {
    /// The percentiles; none after a fault.
    #[must_use]
    pub fn valid(&self) -> Option<Percentiles> {
        self.percentiles.filter(|_| self.fault.is_none())
    }
}

impl GrowthPoint {
    /// The time of an event in ns; none after a fault.
    #[must_use]
    pub fn cost_ns(&self) -> Option<Spread> {
        let costs: Vec<f64> = self.rates.iter().map(|rate| 1e9 / rate).collect();
        spread_unless(self.fault.as_ref(), &costs)
    }
}

fn spread_unless(fault: Option<&String>, figures: &[f64]) -> Option<Spread> {
    if fault.is_some() { None } else { Spread::of(figures.iter().copied()) }
}

impl Percentiles {
    /// Those of a histogram of ns.
    #[must_use]
    pub fn of(latency: &Histogram<u64>) -> Self {
        let at = |quantile| latency.value_at_quantile(quantile);
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: latency.max(),
        }
    }
}

impl Axis {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Consumers, Self::Stages, Self::Producers, Self::Capacity, Self::Bytes];

    /// What the numbers count.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Consumers => "consumers",
            Self::Stages => "stages",
            Self::Producers => "producers",
            Self::Capacity => "slots of the ring",
            Self::Bytes => "bytes of an event",
        }
    }
}

impl Results {
    /// What failed a check, a line each.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let named = |name: &str, place: &dyn std::fmt::Display, fault: &Option<String>| {
            fault.as_ref().map(|fault| format!("{name} in {place}: {fault}"))
        };
        let line = |who: &Who, place, fault| named(&who.contestant, place, fault);
        let throughput = self.throughput.iter().map(|row| line(&row.who, &row.cell, &row.fault));
        let latency = self
            .latency
            .iter()
            .map(|row| named(name_in_latencies(&row.who), &row.cell, &row.fault));
        let knee = self.knee.iter().map(|row| line(&row.who, &row.cell, &row.fault));
        let growth = self.growth.iter().flat_map(|curve| {
            curve.points.iter().map(|point| line(&curve.who, &point.cell, &point.fault))
        });
        throughput.chain(latency).chain(knee).chain(growth).flatten().collect()
    }

    /// As text that [`Results::from_json`] reads.
    ///
    /// # Panics
    ///
    /// Never: no part of it can fail to be written.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data")
    }

    /// Reads what [`Results::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// When the text is something else.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn results_read_back() {
        let results = sample::results();
        let read = Results::from_json(&results.to_json()).expect("what was written is read");
        assert_eq!(read, results);
    }

    #[test]
    fn faults_are_gathered_and_their_figures_do_not_count() {
        let mut results = sample::results();
        assert_eq!(results.faults(), Vec::<String>::new());
        results.throughput[0].fault = Some("the sum is wrong".into());
        results.growth[0].points[0].fault = Some("3 events were torn".into());
        results.latency[2].fault = Some("it was late".into());
        let faults = results.faults();
        assert_eq!(faults.len(), 3);
        assert!(faults[1].starts_with("hand-written ring in unicast"), "{}", faults[1]);
        assert_eq!(results.throughput[0].spread(), None);
        assert_eq!(results.growth[0].points[0].cost_ns(), None);
    }
}
