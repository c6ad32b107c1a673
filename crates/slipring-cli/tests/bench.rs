//! `slipring bench`, as it is called from a shell.

use std::{
    fs,
    process::{Command, Output},
    sync::{Mutex, PoisonError},
};

use slipring_bench::{report, results::Results, results::Throughput};

/// One program at a time: where those that spin outnumber the cores a moment takes seconds.
static TURN: Mutex<()> = Mutex::new(());

fn bench(line: &str) -> Output {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.arg("bench").args(line.split(' ')).output().expect("the program is there")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes UTF-8")
}

const MOMENT: &str = "--seconds 0.002 --rounds 1";

#[test]
fn json_has_everybody_who_fits() {
    let line = format!("throughput --scenario unicast --wait yield --batch 1,10 {MOMENT} --json -");
    let output = bench(&line);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let results = Results::from_json(&text(&output.stdout)).expect("nothing else is written");
    let names = |batch: usize| {
        let rows = results.throughput.iter().filter(|row| row.cell.batch == batch);
        rows.map(|row| row.who.contestant.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(names(1), ["slipring", "floor", "floor-held"]);
    assert_eq!(names(10), ["slipring", "slipring-slices", "floor", "floor-held"]);
    let measured = |row: &Throughput| row.rates.len() == 1 && row.rates[0] > 0.0;
    assert!(results.throughput.iter().all(measured));
    assert_eq!(results.rounds, 1);
    assert!(results.command.starts_with("slipring") && results.command.contains("--json -"));
}

#[test]
fn a_table_is_printed_for_a_terminal_or_as_markdown() {
    let line = format!("throughput --scenario pipeline --wait block {MOMENT}");
    let terminal = text(&bench(&line).stdout);
    assert!(terminal.contains("Throughput, M events/s") && terminal.contains("slipring"));
    let markdown = text(&bench(&format!("{line} --markdown")).stdout);
    assert!(markdown.contains("## Throughput") && markdown.contains("| pipeline "), "{markdown}");
}

#[test]
fn a_report_is_complete_and_needs_nothing_else() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("report");
    let measured = format!("throughput --scenario unicast,diamond --peers none {MOMENT}");
    let output = bench(&format!("{measured} --report {}", path.display()));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = fs::read_to_string(path.join("index.html")).expect("there is a page");
    let without_namespace = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!without_namespace.contains("http"), "it links to somewhere");
    let json = fs::read_to_string(path.join("results.json")).expect("there are figures");
    let results = Results::from_json(&json).expect("they can be read");
    let plots = report::plots(&results).expect("they can be drawn again");
    assert_eq!(plots.len(), 1);
    for plot in plots {
        assert!(page.contains(&plot.title), "{} is not on the page", plot.title);
        assert!(path.join(format!("{}.svg", plot.name)).exists());
    }
}

#[test]
fn memory_is_counted_along_a_sweep() {
    let output = bench(&format!("sweep --axis bytes {MOMENT} --json"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let results = Results::from_json(&text(&output.stdout)).expect("nothing else is written");
    let ours = &results.growth[0];
    assert_eq!(ours.points.len(), 8);
    for point in &ours.points {
        let slots = point.cell.capacity * point.cell.bytes;
        let memory = point.memory.expect("this program counts");
        assert!((slots..slots + 65_536).contains(&memory), "{memory} for {slots} of slots");
    }
}

#[test]
fn latency_has_percentiles_and_a_curve() {
    let output = bench(&format!("latency --scenario unicast --rate 100000 {MOMENT} --json"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let results = Results::from_json(&text(&output.stdout)).expect("nothing else is written");
    assert_eq!(results.latency.len(), 3);
    for row in results.latency.iter().filter(|row| row.omitted.is_none()) {
        let percentiles = row.valid().expect("it was measured");
        assert!(percentiles.p50 <= percentiles.max && !row.curve.is_empty());
    }
}

#[test]
fn what_cannot_be_done_is_said_and_is_no_success() {
    let all = [
        ("throughput --ring 1000", "use for example 1024"),
        ("throughput --peers disruptor", "benches/peers/Cargo.toml"),
        ("throughput --scenario mpsc2 --bytes 128", "8 or 64 bytes"),
        ("throughput --scenario ring", "unicast, mpscN"),
    ];
    for (line, advice) in all {
        let output = bench(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(text(&output.stderr).contains(advice), "{line}: {}", text(&output.stderr));
    }
}
