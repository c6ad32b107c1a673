//! The command line, and what it comes to: plans, contestants and rules.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use clap::{Args, Subcommand};

use crate::{
    cell::{Cell, Scenario, Wait},
    contest::Rules,
    contestant::Contestant,
    error::{CommandError, PING_PONG_RATE_MAX},
    floor::FLOOR,
    on_slipring::SLIPRING,
    plan::{self, Plan},
    results::Axis,
};

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Events per second, as fast as it goes.
    Throughput {
        #[command(flatten)]
        /// Which cells.
        cells: CellOptions,
        #[command(flatten)]
        /// How, and what to do with it.
        common: CommonOptions,
    },
    /// Nanoseconds per event at fixed rates, measured from the intended time.
    Latency {
        #[command(flatten)]
        /// Which cells.
        cells: CellOptions,
        /// Events per second [default: 10000,100000,1000000,5000000; pingpong the first two].
        #[arg(long, value_delimiter = ',', value_name = "N")]
        rate: Vec<u64>,
        /// Latency as the load grows to the peak and beyond, for unicast and pipeline.
        #[arg(long)]
        knee: bool,
        #[command(flatten)]
        /// How, and what to do with it.
        common: CommonOptions,
    },
    /// Cost of an event as consumers, stages, producers, ring or event grow.
    Sweep {
        /// Which of them [default: all].
        #[arg(long, value_delimiter = ',', value_enum)]
        axis: Vec<Axis>,
        /// How threads wait: spin, hint, yield or block.
        #[arg(long, default_value = "yield")]
        wait: Wait,
        #[command(flatten)]
        /// How, and what to do with it.
        common: CommonOptions,
    },
    /// All of that, in 3 rounds of runs of 0.06 s; takes minutes.
    All {
        #[command(flatten)]
        /// How, and what to do with it.
        common: CommonOptions,
    },
}

/// Lists, separated by commas; each combination is a cell.
#[derive(Clone, Debug, Args)]
pub struct CellOptions {
    /// unicast, mpscN, multicastN, shareN, keyedN, skewedN, pipelineN, diamond or pingpong; in the comparison also
    /// busN, busNxP, busNasync and busNxPasync: event buses with N handlers and P publishers.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    scenario: Vec<Scenario>,
    /// spin, hint, yield or block; tasks always block.
    #[arg(long, value_delimiter = ',', default_value = "yield", value_name = "NAME")]
    wait: Vec<Wait>,
    /// Events per publication.
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N")]
    batch: Vec<usize>,
    /// Slots, a power of two.
    #[arg(long, value_delimiter = ',', default_value = "1024", value_name = "N")]
    ring: Vec<usize>,
    /// Bytes of an event; stages have at least 24, buses at least 16.
    #[arg(long, value_delimiter = ',', default_value = "8", value_name = "N")]
    bytes: Vec<usize>,
}

/// How to measure, and what to do with the results.
#[derive(Clone, Debug, Args)]
pub struct CommonOptions {
    /// Whom to measure beside slipring and the floor (for latency: the hand-written ring): names,
    /// `all` or `none`.
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME")]
    peers: Vec<String>,
    /// Rounds; everybody runs once in each [default: 5; all: 3].
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// About how long a single run takes [default: 0.1; all: 0.06].
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Cores that threads take in turn, producers first: a list, `all`, or `none` to let the system
    /// decide.
    #[arg(long, default_value = "all", value_name = "CORES")]
    pin: Pin,
    /// Writes everything that was measured to a file; `-`: to standard output, instead of the tables.
    #[arg(long, value_name = "FILE|-", num_args = 0..=1, default_missing_value = "-")]
    pub(crate) json: Option<PathBuf>,
    /// Writes a page with plots, the plots and `results.json` to a directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Prints tables as Markdown.
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// Where threads run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pin {
    /// On all cores that the process may use, in turn.
    All,
    /// Where the system puts them.
    Nowhere,
    /// On these, in turn.
    Cores(Vec<usize>),
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{text}`: use all, none, or numbers of cores such as 0,1");
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::Nowhere),
            list => list
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map(Self::Cores)
                .map_err(wrong),
        }
    }
}

const ROUNDS: usize = 5;
const ROUNDS_OF_ALL: usize = 3;
const SECONDS: f64 = 0.1;
const SECONDS_OF_ALL: f64 = 0.06;
const HOUR: f64 = 3600.0;

impl What {
    /// How to measure, and what to do with the results.
    #[must_use]
    pub fn common(&self) -> &CommonOptions {
        match self {
            Self::Throughput { common, .. }
            | Self::Latency { common, .. }
            | Self::Sweep { common, .. }
            | Self::All { common } => common,
        }
    }

    /// What is to be done, in order.
    ///
    /// # Errors
    ///
    /// When there is no such cell.
    pub fn plans(&self) -> Result<Vec<Plan>, CommandError> {
        let mut plans = vec![Plan::Floor];
        match self {
            Self::Throughput { cells, .. } => {
                plans.extend(cells.cells(&Scenario::CLASSIC)?.into_iter().map(Plan::Throughput));
            }
            Self::Latency { cells, rate, knee, .. } => {
                let classic = [Scenario::Unicast, Scenario::Pipeline(3), Scenario::PingPong];
                let cells = cells.cells(&classic)?;
                plans.extend(open_loops(&cells, rate)?);
                if *knee {
                    plans.extend(plan::knees(cells.first().map_or(Wait::Yield, |cell| cell.wait)));
                }
            }
            Self::Sweep { axis, wait, .. } => {
                let axes = if axis.is_empty() { &Axis::ALL[..] } else { axis };
                plans.extend(axes.iter().flat_map(|&axis| plan::along(axis, *wait)));
            }
            Self::All { .. } => plans = plan::everything(),
        }
        Ok(plans)
    }

    /// How a cell is measured.
    ///
    /// # Errors
    ///
    /// When a run would have no length, or no place.
    pub fn rules(&self) -> Result<Rules, CommandError> {
        let common = self.common();
        let (rounds, seconds) = match self {
            Self::All { .. } => (ROUNDS_OF_ALL, SECONDS_OF_ALL),
            _ => (ROUNDS, SECONDS),
        };
        let rounds = common.rounds.unwrap_or(rounds);
        let seconds = common.seconds.unwrap_or(seconds);
        if !(seconds > 0.0 && seconds <= HOUR) {
            return Err(CommandError::Seconds { seconds });
        }
        at_least_1("--rounds", rounds)?;
        Ok(Rules {
            rounds,
            target: Duration::from_secs_f64(seconds),
            cores: Arc::from(common.places()?),
        })
    }
}

fn open_loops(cells: &[Cell], rates: &[u64]) -> Result<Vec<Plan>, CommandError> {
    let mut plans = Vec::new();
    for &cell in cells {
        let scenario = cell.scenario;
        if !scenario.has_timetable() {
            return Err(CommandError::NoTimetable { scenario });
        }
        let rates = if rates.is_empty() { plan::rates(scenario) } else { rates };
        for &rate in rates {
            if rate == 0 {
                return Err(CommandError::Zero { option: "--rate" });
            }
            if scenario == Scenario::PingPong && rate > PING_PONG_RATE_MAX {
                return Err(CommandError::PingPongRate { rate });
            }
            plans.push(Plan::Latency { cell, rate, stretch: 1 });
        }
    }
    Ok(plans)
}

impl CellOptions {
    /// Each combination; of all scenarios in `default` if none was named.
    fn cells(&self, default: &[Scenario]) -> Result<Vec<Cell>, CommandError> {
        self.check()?;
        let scenarios = if self.scenario.is_empty() { default } else { &self.scenario };
        let mut cells = Vec::new();
        for &scenario in scenarios {
            for &wait in &self.wait {
                for &batch in &self.batch {
                    for &ring in &self.ring {
                        let sized = |&bytes| Cell::new(scenario, wait, batch, ring, bytes);
                        cells.extend(self.bytes.iter().map(sized));
                    }
                }
            }
        }
        // Stages have no event of 8 bytes, and tasks do not spin: two cells may be the same.
        cells.sort();
        cells.dedup();
        Ok(cells)
    }

    fn check(&self) -> Result<(), CommandError> {
        for &slots in &self.ring {
            if !slots.is_power_of_two() {
                return Err(CommandError::Ring { slots });
            }
            for &batch in &self.batch {
                at_least_1("--batch", batch)?;
                if batch > slots {
                    return Err(CommandError::Batch { batch, slots });
                }
            }
        }
        for &bytes in &self.bytes {
            let known = bytes == 24 || (bytes.is_power_of_two() && (8..=1024).contains(&bytes));
            if !known {
                return Err(CommandError::Bytes { bytes });
            }
        }
        Ok(())
    }
}

fn at_least_1(option: &'static str, value: usize) -> Result<(), CommandError> {
    if value == 0 { Err(CommandError::Zero { option }) } else { Ok(()) }
}

impl CommonOptions {
    /// The cores that threads take in turn.
    fn places(&self) -> Result<Vec<usize>, CommandError> {
        let known: Vec<usize> = core_affinity::get_core_ids()
            .unwrap_or_default()
            .into_iter()
            .map(|core| core.id)
            .collect();
        match &self.pin {
            Pin::All => Ok(known),
            Pin::Nowhere => Ok(Vec::new()),
            Pin::Cores(cores) => match cores.iter().find(|core| !known.contains(core)) {
                Some(&core) => Err(CommandError::Core { core, known }),
                None => Ok(cores.clone()),
            },
        }
    }

    /// Slipring, the floor, and those who were asked for.
    ///
    /// # Errors
    ///
    /// When nobody has such a name.
    pub fn pick<'a>(
        &self,
        all: &'a [Box<dyn Contestant>],
    ) -> Result<Vec<&'a dyn Contestant>, CommandError> {
        let names = self.peers.iter().filter(|name| !["all", "none"].contains(&name.as_str()));
        for name in names {
            if !all.iter().any(|contestant| contestant.name() == name) {
                let known = all.iter().map(|contestant| contestant.name().to_owned()).collect();
                return Err(CommandError::UnknownContestant { name: name.clone(), known });
            }
        }
        let asked_for = |contestant: &&dyn Contestant| {
            [SLIPRING, FLOOR].contains(&contestant.family())
                || self.peers.iter().any(|name| name == "all" || name == contestant.name())
        };
        Ok(all.iter().map(|contestant| &**contestant).filter(asked_for).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{floor::Floor, on_slipring::Slipring};
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        what: What,
    }

    fn parse(line: &str) -> What {
        Line::try_parse_from(format!("bench {line}").split(' ')).expect(line).what
    }

    fn refusal(line: &str) -> String {
        let what = parse(line);
        what.plans().and(what.rules().map(drop)).expect_err(line).to_string()
    }

    #[test]
    fn each_combination_is_a_cell() {
        let plans = parse("throughput --scenario unicast,pipeline2 --batch 1,10 --bytes 8,24,64");
        // Unicast: 8, 24 and 64 bytes; with stages 8 is 24.
        assert_eq!(plans.plans().expect("it is right").len(), 1 + 2 * 3 + 2 * 2);
        // Tasks wait in one way.
        let plans = parse("throughput --scenario bus3,bus3async --wait yield,block --bytes 16,64");
        assert_eq!(plans.plans().expect("it is right").len(), 1 + 4 + 2);
        let plans = parse("latency --rate 5 --knee").plans().expect("it is right");
        assert_eq!(plans.len(), 1 + 3 + 2);
        assert_eq!(parse("sweep --axis bytes").plans().expect("it is right").len(), 1 + 8);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let all = [
            ("throughput --ring 1000", "use for example 1024"),
            ("throughput --ring 0", "no power of two"),
            ("throughput --ring 64 --batch 100", "smaller --batch"),
            ("throughput --batch 0", "--batch must be at least 1"),
            ("throughput --bytes 12", "use 8 or 64"),
            ("throughput --rounds 0", "--rounds must be at least 1"),
            ("throughput --seconds 0", "use for example 0.1"),
            ("throughput --seconds NaN", "use for example 0.1"),
            ("throughput --pin 9999", "--pin can use"),
            ("latency --rate 0", "--rate must be at least 1"),
            ("latency --scenario pingpong --rate 1000000", "200000 or less"),
            ("latency --scenario mpsc2", "unicast, multicastN"),
            ("latency --scenario share2", "unicast, multicastN"),
            ("latency --scenario keyed2", "unicast, multicastN"),
            ("latency --scenario bus3", "buses are compared as fast as they go"),
        ];
        for (line, advice) in all {
            let refusal = refusal(line);
            assert!(refusal.contains(advice), "{line}: {refusal}");
        }
    }

    #[test]
    fn slipring_and_the_floor_are_always_there() {
        let all: Vec<Box<dyn Contestant>> =
            vec![Box::new(Slipring::PER_EVENT), Box::new(Floor::HELD)];
        for peers in ["all", "none", "slipring"] {
            let what = parse(&format!("all --peers {peers}"));
            assert_eq!(what.common().pick(&all).expect(peers).len(), 2);
        }
        let what = parse("all --peers rtrb");
        let refusal = what.common().pick(&all).expect_err("it is not here").to_string();
        assert!(refusal.contains("has slipring, floor-held"), "{refusal}");
        assert!(refusal.contains("benches/peers/Cargo.toml"), "{refusal}");
    }

    #[test]
    fn all_has_shorter_runs() {
        let target = |line| parse(line).rules().expect(line).target;
        assert_eq!(target("all"), Duration::from_millis(60));
        assert_eq!(target("throughput"), Duration::from_millis(100));
        assert_eq!(target("all --seconds 0.5"), Duration::from_millis(500));
    }
}
