//! `slipring doctor`: what would hurt latency on this machine, and where a flow's threads would go.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
};

use serde_json::{Value, json};
use slipring_placement::{Finding, Machine, Placement, Seat, Severity, examine};

/// More are no plan but a mistyped number.
const STATIONS_MAX: usize = 1_024;

/// What to look at, and how to show it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Also plan cores: for a producer and so many stations, or for the threads named, producers first,
    /// separated by commas; a team has its name once for each thread.
    #[arg(long, value_name = "N|NAMES")]
    stations: Option<Flow>,
    /// The same for other programs, as JSON.
    #[arg(long)]
    json: bool,
    /// Where /proc and /sys are, such as a copy of another machine's.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// The threads of a flow, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Flow(Vec<String>);

impl FromStr for Flow {
    type Err = FlowError;

    fn from_str(text: &str) -> Result<Self, FlowError> {
        match text.parse::<usize>() {
            Ok(stations @ 1..=STATIONS_MAX) => {
                let producer = "producer".to_owned();
                let stations = (1..=stations).map(|station| format!("station-{station}"));
                Ok(Self(std::iter::once(producer).chain(stations).collect()))
            }
            Ok(stations) => Err(FlowError::Stations(stations)),
            Err(_) => {
                let names: Vec<String> =
                    text.split(',').map(|name| name.trim().to_owned()).collect();
                let is_named = names.iter().all(|name| !name.is_empty());
                if is_named { Ok(Self(names)) } else { Err(FlowError::EmptyName) }
            }
        }
    }
}

/// A flow that cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FlowError {
    /// None, or too many.
    Stations(usize),
    /// A comma too many.
    EmptyName,
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stations(stations) => {
                write!(f, "{stations} stations cannot be planned: use 1 to {STATIONS_MAX}")
            }
            Self::EmptyName => {
                f.write_str("a thread has no name: write for example producer,risk,ledger")
            }
        }
    }
}

impl Error for FlowError {}

/// Examines; 0 if nothing is severe, 1 if something is, 2 if there is nothing to look at.
pub fn run(args: &Args) -> ExitCode {
    if !args.root.is_dir() {
        let root = args.root.display();
        eprintln!("error: {root} is no folder: --root takes the one that holds proc and sys");
        return ExitCode::from(2);
    }
    let machine = Machine::read(&args.root);
    let findings = examine(&machine);
    let plan = args.stations.as_ref().map(|flow| Placement::on(&machine, flow.0.clone()));
    let text = if args.json {
        format!("{:#}\n", as_json(&machine, &findings, plan.as_ref()))
    } else {
        for_people(&machine, &findings, plan.as_ref())
    };
    // Whoever reads may stop before the end.
    let _ = io::stdout().write_all(text.as_bytes());
    let is_severe = findings.iter().any(|finding| finding.severity == Severity::Severe);
    ExitCode::from(u8::from(is_severe))
}

fn for_people(machine: &Machine, findings: &[Finding], plan: Option<&Placement>) -> String {
    let unknown = machine.unknown();
    let unknown = (!unknown.is_empty()).then(|| format!("Unknown here: {}.", unknown.join(", ")));
    let end: Vec<String> = std::iter::once(summary(findings)).chain(unknown).collect();
    let findings = findings.iter().map(Finding::to_string);
    let plan = plan.map(Placement::to_string);
    let parts = std::iter::once(machine.to_string()).chain(findings).chain([end.join("\n")]);
    let parts: Vec<String> = parts.chain(plan).collect();
    parts.join("\n\n") + "\n"
}

fn summary(findings: &[Finding]) -> String {
    let counts = [(Severity::Severe, ""), (Severity::Warning, "s"), (Severity::Note, "s")];
    let counts = counts.map(|(severity, plural)| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        format!("{count} {severity}{}", if count == 1 { "" } else { plural })
    });
    format!("{}.", counts.join(", "))
}

fn as_json(machine: &Machine, findings: &[Finding], plan: Option<&Placement>) -> Value {
    let finding = |it: &Finding| {
        json!({
            "severity": it.severity.word(),
            "name": it.name,
            "what": it.what,
            "why": it.why,
            "mend": it.mend,
        })
    };
    let thread = |seat: &Seat| {
        json!({
            "name": seat.name(),
            "worker": seat.worker(),
            "core": seat.core(),
            "choice": seat.choice().to_string(),
        })
    };
    let plan = plan.map(|plan| {
        let remarks: Vec<String> = plan.remarks().iter().map(ToString::to_string).collect();
        let threads: Vec<Value> = plan.seats().iter().map(thread).collect();
        json!({ "threads": threads, "remarks": remarks })
    });
    json!({
        "machine": machine.to_string(),
        "online": machine.online().to_string(),
        "usable": machine.usable().to_string(),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "unknown": machine.unknown(),
        "plan": plan,
    })
}
