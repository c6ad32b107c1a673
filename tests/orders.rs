//! Runs the `orders` example as a user would, over small inputs, and looks at what it prints and
//! how it exits.

#![forbid(unsafe_code)]
// It starts processes, and the ring in them has to be a real one.
#![cfg(not(any(loom, miri)))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// Five orders, 11 units, 160.09.
const SAMPLE: &str = " 00004 0001 19970101  2   29.33\r
 00004 0001 19970118  2   29.73\r
 00021 0002 19960229  5   89.53\r
 00050 0003 19970101  1    0.00\r
 00071 0004 19980630  1   11.50\r
";

/// The example's program. Cargo builds it for tests only if the example has none of its own, so
/// the first test that needs it brings it up to date.
fn example() -> &'static Path {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        // This test is <target>/<profile>/deps/orders-<hash>.
        let test = std::env::current_exe().expect("a test knows its own path");
        let directory = test.parent().and_then(Path::parent).expect("in a profile's directory");
        let profile = match directory.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", "orders", "--profile", profile])
            .arg("--manifest-path")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(directory.parent().expect("in a target directory"))
            .status()
            .expect("cargo can be run");
        assert!(status.success(), "the example does not build");
        directory.join("examples").join(format!("orders{}", std::env::consts::EXE_SUFFIX))
    })
}

/// What a run left behind.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// The value in a row of the table.
    fn row(&self, name: &str) -> &str {
        let value = self.stdout.lines().find_map(|line| {
            let value = line.strip_prefix(name)?;
            value.starts_with("  ").then(|| value.trim())
        });
        value.unwrap_or_else(|| panic!("no row {name:?} in {self:#?}"))
    }

    /// Checks that the run ended well, with these totals.
    #[track_caller]
    fn assert_totals(&self, orders: &str, units: &str, value: &str) {
        self.assert_passed();
        let found = (self.row("orders"), self.row("units"), self.row("value"));
        assert_eq!(found, (orders, units, value), "{self:#?}");
    }

    /// Checks that the run ended well.
    #[track_caller]
    fn assert_passed(&self) {
        assert_eq!(self.code, Some(0), "{self:#?}");
        assert!(self.stdout.contains("self-check passed"), "{self:#?}");
    }

    /// Checks that the run was refused with a message that has `words` in it.
    #[track_caller]
    fn assert_refused(&self, words: &str) {
        assert_eq!(self.code, Some(2), "{self:#?}");
        assert!(self.stderr.contains("error: ") && self.stderr.contains(words), "{self:#?}");
        assert!(self.stdout.is_empty(), "{self:#?}");
    }
}

/// Runs the example with the words of `options`, and with an input file if there is one.
fn orders(options: &str, input: Option<&Path>) -> Outcome {
    let mut command = Command::new(example());
    command.args(options.split_whitespace());
    if let Some(input) = input {
        command.arg("--input").arg(input);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the example starts");
    // All that it prints fits into the pipes, so it need not be read before the end.
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("a child can be asked").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("a child can be killed");
            panic!("`orders {options}` hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("the pipes can be read");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("plain text"),
        stderr: String::from_utf8(output.stderr).expect("plain text"),
    }
}

/// Writes `content` to a file; it goes when the directory does.
fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("purchases.txt");
    fs::write(&path, content).expect("a file in it");
    (directory, path)
}

/// The sample without its second field, and with a header.
fn full_form() -> String {
    let lines = SAMPLE.lines().map(|line| {
        let mut fields: Vec<&str> = line.split_whitespace().collect();
        fields.remove(1);
        fields.join("  ")
    });
    ["customer date quantity value".to_owned()]
        .into_iter()
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn both_forms_of_the_file_give_the_same_totals() {
    let with_header = format!("customer sample date quantity value\r\n{SAMPLE}");
    let full = full_form();
    let without_header = full.split_once('\n').expect("a header").1;
    for content in [SAMPLE, &with_header, &full, without_header] {
        let (_directory, path) = file(content);
        let outcome = orders("--producers 3", Some(&path));
        outcome.assert_totals("5", "11", "160.09");
        assert_eq!(outcome.row("customers"), "4");
        assert!(!outcome.stderr.contains("skipped"), "{outcome:#?}");
    }
}

#[test]
fn a_repeated_file_counts_each_time() {
    let (_directory, path) = file(SAMPLE);
    let outcome = orders("--producers 2 --repeat 1000", Some(&path));
    outcome.assert_totals("5,000", "11,000", "160,090.00");
}

#[test]
fn bad_lines_are_named_and_the_others_counted() {
    let bad: [&[u8]; 18] = [
        b"",
        b"00004 0001 19970101 2",
        b"00004 19970101 2 29.33",
        b"00004 0001 19970101 2 29.33 7",
        b"what is this",
        b"-0004 0001 19970101 2 29.33",
        b"00004 000x 19970101 2 29.33",
        b"00004 0001 19970229 2 29.33",
        b"00004 0001 19971301 2 29.33",
        b"00004 0001 1997010 2 29.33",
        b"00004 0001 19970101 0 29.33",
        b"00004 0001 19970101 -1 29.33",
        b"00004 0001 19970101 1.5 29.33",
        b"00004 0001 19970101 4294967296 29.33",
        b"00004 0001 19970101 2 NaN",
        b"00004 0001 19970101 2 inf",
        b"00004 0001 19970101 2 -29.33",
        b"00004 0001 19970101 2 29\xff33",
    ];
    let mut content = SAMPLE.as_bytes().to_vec();
    for line in bad {
        content.extend_from_slice(line);
        content.push(b'\n');
    }
    content.extend_from_slice(SAMPLE.as_bytes());
    let (_directory, path) = file(content);

    let outcome = orders("--producers 3 --repeat 2", Some(&path));
    outcome.assert_totals("20", "44", "640.36");
    assert_eq!(outcome.row("bad lines skipped"), "18");
    let numbers: Vec<usize> = outcome
        .stderr
        .lines()
        .filter_map(|line| line.split_once("purchases.txt:")?.1.split_once(':')?.0.parse().ok())
        .collect();
    assert_eq!(numbers, (6..=23).collect::<Vec<_>>(), "{outcome:#?}");
}

#[test]
fn a_file_without_a_good_line_is_an_empty_run() {
    for (content, bad_lines) in [("", 0), ("00004 0001 19970101 2\n", 1)] {
        let (_directory, path) = file(content);
        let outcome = orders("", Some(&path));
        outcome.assert_totals("0", "0", "0.00");
        assert_eq!(outcome.stderr.matches("skipped").count(), bad_lines, "{outcome:#?}");
    }
}

#[test]
fn an_unreadable_file_is_refused() {
    let (directory, path) = file("");
    orders("", Some(&path.with_extension("gone"))).assert_refused("purchases.gone");
    orders("", Some(directory.path())).assert_refused("cannot read");
}

#[test]
fn bad_options_are_refused() {
    for (options, words) in [
        ("--capacity 3", "power of two"),
        ("--capacity 0", "power of two"),
        ("--capacity many", "--capacity"),
        ("--producers 0", "--producers"),
        ("--producers -1", "'-1'"),
        ("--batch 0", "--batch"),
        ("--batch 8 --capacity 4", "does not fit"),
        ("--wait forever", "forever"),
        ("--rate -5", "'-5'"),
        ("--events 0", "--events"),
        ("--repeat 2", "--input"),
        ("--colour", "--colour"),
        ("stray", "stray"),
    ] {
        orders(options, None).assert_refused(words);
    }
    let (_directory, path) = file(SAMPLE);
    orders("--repeat 0", Some(&path)).assert_refused("--repeat");
    orders("--repeat 4294967295", Some(&path)).assert_refused("--repeat");
}

#[test]
fn the_smallest_rings_give_the_same_totals() {
    let expected = orders("--events 2000 --producers 1", None);
    expected.assert_passed();
    for capacity in [1, 2, 4] {
        for producers in [1, 3, 8] {
            let options = format!("--events 2000 --capacity {capacity} --producers {producers}");
            let outcome = orders(&options, None);
            outcome.assert_totals("2,000", expected.row("units"), expected.row("value"));
            assert_eq!(outcome.row("customers"), expected.row("customers"));
        }
    }
}

#[test]
fn one_producer_has_one_result() {
    // Its orders have one sequence, so even what depends on the sequence repeats.
    let rows = |options| {
        let outcome = orders(options, None);
        outcome.assert_passed();
        ["units", "value", "back-orders", "customers", "over credit limit"]
            .map(|name| outcome.row(name).to_owned())
    };
    let expected = rows("--events 5000 --producers 1 --seed 7");
    assert_ne!(expected[2], "0", "some orders are to be back-ordered");
    assert_eq!(rows("--events 5000 --producers 1 --seed 7 --capacity 4 --wait block"), expected);
    assert_ne!(rows("--events 5000 --producers 1 --seed 8"), expected);
}

#[test]
fn each_wait_strategy_finishes() {
    for wait in ["adaptive", "spin", "hint", "yield", "backoff", "sleep", "block"] {
        let options = format!("--events 3000 --producers 3 --capacity 64 --wait {wait}");
        let outcome = orders(&options, None);
        outcome.assert_passed();
        assert_eq!(outcome.row("orders"), "3,000");
        assert!(outcome.stdout.contains(&format!("wait {wait}")), "{outcome:#?}");
    }
}

#[test]
fn more_producers_than_orders_finish() {
    let outcome = orders("--events 3 --producers 8 --batch 2", None);
    outcome.assert_passed();
    assert_eq!(outcome.row("orders"), "3");
}

#[test]
fn a_schedule_is_kept_to_its_end() {
    let outcome = orders("--events 2000 --producers 3 --rate 100000 --batch 7", None);
    outcome.assert_passed();
    assert_eq!(outcome.row("orders"), "2,000");
    assert!(outcome.stdout.contains("scheduled publish"), "{outcome:#?}");
}

#[test]
fn pinned_stations_finish() {
    let outcome = orders("--events 2000 --pin", None);
    outcome.assert_passed();
    assert_eq!(outcome.row("orders"), "2,000");
}

#[test]
fn no_progress_bar_is_drawn_into_a_pipe() {
    let outcome = orders("--events 2000", None);
    outcome.assert_passed();
    assert_eq!(outcome.stderr, "");
}
