//! `cargo xtask guards`: the hot paths execute no more instructions than they may.
//!
//! The benchmark of the package `slipring-guards` runs each path once under callgrind, which counts
//! instructions: the count is the same in every run, on any machine, whatever else runs there. What
//! it may be stands in [`LIMITS`]. The benchmark's runner fails when a limit is passed; here its
//! counts become a table, and a limit that no longer guards anything is found.
//!
//! The counts are those of x86-64 and need valgrind: without either the check is left out, and says
//! so.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{command, project::Project};

const LIMITS: &str = "guards/limits.toml";
/// The program that runs valgrind. It must be of the version that the benchmark is built with.
const RUNNER: &str = "gungraun-runner";
const BENCHMARK: [&str; 7] = [
    "bench",
    "--quiet",
    "--package",
    "slipring-guards",
    "--",
    "--output-format=json",
    "--nosummary",
];
/// The processor that everybody has, whatever the machine's owner builds for.
const FLAGS: &str = "-Ctarget-cpu=x86-64";
/// With the build, on a slow machine.
const TIME_MAX: Duration = Duration::from_mins(20);
/// What each path handles, see `guards/hot_paths/main.rs`.
const EVENTS: u64 = 1_000;
/// A limit that leaves more room than this, in percent, could be lower.
const ROOM_MAX: u64 = 5;

pub fn run(project: &Project) -> Result<String, String> {
    if let Some(reason) = missing() {
        return Ok(format!("LEFT OUT: {reason}."));
    }
    let limits = limits(&project.read(LIMITS)?)?;
    let runner = runner(project)?;
    let mut benchmark = project.cargo(&BENCHMARK);
    benchmark.env("GUNGRAUN_RUNNER", runner).env("CARGO_ENCODED_RUSTFLAGS", FLAGS);
    let name = command::shown(&benchmark);
    println!("    $ {name}");
    let Some(output) = command::within(&mut benchmark, TIME_MAX)? else {
        return Err(format!("`{name}` did not end and was stopped"));
    };
    let counts = counts(&String::from_utf8_lossy(&output.stdout))?;
    if counts.is_empty() {
        return Err(format!("`{name}` ended with {} and counted nothing", output.status));
    }
    print!("{}", table(&limits, &counts));
    let wrong = objections(&limits, &counts);
    if !wrong.is_empty() {
        let hint = "The limits hold for the compiler that guards/README.md names; it also says how \
                    to change one, and how to see where the instructions are.";
        return Err(format!("{}\n{hint}", wrong.join("\n")));
    }
    if !output.status.success() {
        return Err(format!("`{name}` ended with {}", output.status));
    }
    let roomy = roomy(&limits, &counts);
    let advice = if roomy.is_empty() {
        String::new()
    } else {
        format!(" Limits that could be lower: {}.", roomy.join(", "))
    };
    Ok(format!("{} paths.{advice}", counts.len()))
}

/// Why nothing can be counted here, if it cannot.
fn missing() -> Option<String> {
    if std::env::consts::ARCH != "x86_64" || std::env::consts::OS != "linux" {
        return Some("the limits are those of 64-bit Linux on x86".to_owned());
    }
    let mut valgrind = Command::new("valgrind");
    let status = valgrind.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = status.is_ok_and(|status| status.success());
    (!is_there).then(|| "no valgrind".to_owned())
}

/// The runner, installed beside what cargo builds if it is not there.
fn runner(project: &Project) -> Result<PathBuf, String> {
    let lock = project.read("Cargo.lock")?;
    let version = locked(&lock, RUNNER).ok_or_else(|| format!("Cargo.lock has no {RUNNER}"))?;
    let folder = project.built(&format!("tools/{RUNNER}-{version}"))?;
    let runner = folder.join("bin").join(RUNNER);
    if !runner.exists() {
        let exactly = format!("={version}");
        let install = ["install", "--quiet", "--locked", RUNNER, "--version", &exactly];
        command::run(project.cargo(&install).arg("--root").arg(&folder))?;
    }
    Ok(runner)
}

/// The version of a package in a lock file.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

/// Paths and their instructions, in the order in which they are to be shown.
type Counts = Vec<(String, u64)>;

fn find(counts: &Counts, path: &str) -> Option<u64> {
    counts.iter().find(|(own, _)| own == path).map(|(_, count)| *count)
}

/// The limits: `path = instructions`, one a line.
fn limits(text: &str) -> Result<Counts, String> {
    let mut limits = Counts::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = line
            .split_once('=')
            .and_then(|(path, limit)| Some((path.trim().to_owned(), limit.trim().parse().ok()?)));
        let at = format!("{LIMITS}:{}", index + 1);
        let (path, limit) = entry.ok_or_else(|| format!("{at}: not `path = instructions`"))?;
        if find(&limits, &path).is_some() {
            return Err(format!("{at}: the path stands here twice"));
        }
        limits.push((path, limit));
    }
    Ok(limits)
}

/// What the runner has counted: a line of JSON for each path.
fn counts(output: &str) -> Result<Counts, String> {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    let unknown = |line: &str| format!("{RUNNER} has written what is not understood: {line}");
    lines.map(|line| count(line).ok_or_else(|| unknown(line))).collect()
}

fn count(line: &str) -> Option<(String, u64)> {
    let after = |text: &'static str, in_what| str::split_once(in_what, text).map(|split| split.1);
    let path = after("\"function_name\":\"", line)?.split('"').next()?;
    let total = after("\"total\":", line)?;
    let instructions = after("\"new\":", after("\"Ir\":", total)?)?;
    let digits = instructions.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((path.to_owned(), digits.parse().ok()?))
}

/// What is wrong with the counts.
fn objections(limits: &Counts, counts: &Counts) -> Vec<String> {
    let unlimited = counts.iter().filter(|(path, _)| find(limits, path).is_none());
    let mut wrong: Vec<String> =
        unlimited.map(|(path, _)| format!("`{path}` has no limit in {LIMITS}")).collect();
    for &(ref path, limit) in limits {
        match find(counts, path) {
            None => wrong.push(format!("`{path}` was not counted")),
            Some(count) if count > limit => wrong.push(format!(
                "`{path}` takes {} instructions an event, and may take {}",
                per_event(count),
                per_event(limit)
            )),
            // Then something else was counted, or the limit guards nothing.
            Some(count) if count < limit / 2 => wrong.push(format!(
                "`{path}` takes {} instructions an event, less than half of its limit of {}: is the \
                 path still what is counted?",
                per_event(count),
                per_event(limit)
            )),
            Some(_) => {}
        }
    }
    wrong
}

/// The paths that have become cheaper than their limits say.
fn roomy(limits: &Counts, counts: &Counts) -> Vec<String> {
    let is_roomy = |(path, limit): &&(String, u64)| {
        // What rounding leaves to a short path is no room.
        *limit >= EVENTS
            && find(counts, path).is_some_and(|count| count * (100 + ROOM_MAX) < limit * 100)
    };
    limits.iter().filter(is_roomy).map(|(path, _)| path.clone()).collect()
}

fn table(limits: &Counts, counts: &Counts) -> String {
    let row =
        |path: &str, count: &str, limit: &str| format!("    {path:<24}{count:>8}{limit:>8}\n");
    let mut table = row("instructions an event", "counted", "limit");
    for (path, limit) in limits {
        let count = find(counts, path).map_or_else(String::new, per_event);
        table += &row(path, &count, &per_event(*limit));
    }
    table
}

fn per_event(instructions: u64) -> String {
    format!("{}.{:02}", instructions / EVENTS, instructions % EVENTS / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(&str, u64)]) -> Counts {
        entries.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect()
    }

    #[test]
    fn counts_within_their_limits_pass() {
        let (limits, counts) = (of(&[("a", 100), ("b", 20_000)]), of(&[("a", 100), ("b", 19_100)]));
        assert!(objections(&limits, &counts).is_empty());
        assert!(roomy(&limits, &counts).is_empty());
    }

    #[test]
    fn each_fault_is_named() {
        let limits = of(&[("dear", 20_400), ("empty", 20_400), ("gone", 1)]);
        let counts = of(&[("dear", 20_410), ("empty", 0), ("new", 1)]);
        let expected = [
            "`new` has no limit in guards/limits.toml",
            "`dear` takes 20.41 instructions an event, and may take 20.40",
            "`empty` takes 0.00 instructions an event, less than half of its limit of 20.40: is the \
             path still what is counted?",
            "`gone` was not counted",
        ];
        assert_eq!(objections(&limits, &counts), expected);
    }

    #[test]
    fn a_path_that_has_become_cheaper_is_named() {
        let limits = of(&[("cheap", 20_000), ("short", 170)]);
        assert_eq!(roomy(&limits, &of(&[("cheap", 19_000), ("short", 90)])), ["cheap"]);
    }

    #[test]
    fn limits_are_read() {
        assert_eq!(limits("# For b = 2.\n\na = 1\nb=2 \n"), Ok(of(&[("a", 1), ("b", 2)])));
        let failure = |text| limits(text).expect_err("it is wrong");
        assert_eq!(failure("a = 1\na = 2"), "guards/limits.toml:2: the path stands here twice");
        assert_eq!(failure("a = x"), "guards/limits.toml:1: not `path = instructions`");
    }

    #[test]
    fn counts_are_read_from_the_total() {
        let part = r#""parts":[{"metrics":{"Ir":{"values":{"new":3}}}}]"#;
        let total = r#""total":{"metrics":{"Dr":{"values":{"new":4}},"Ir":{"values":{"new":20020,"old":7}}}}"#;
        let line = format!(r#"{{"function_name":"publish","id":"x","data":{{{part},{total}}}}}"#);
        assert_eq!(counts(&format!("noise\n{line}\n")), Ok(of(&[("publish", 20_020)])));
        assert!(counts("{\"function_name\":\"publish\"}").is_err());
    }

    #[test]
    fn the_locked_version_is_found() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"a-b\"\n\
                    version = \"0.20.0\"\n";
        assert_eq!(locked(lock, "a-b"), Some("0.20.0"));
        assert_eq!(locked(lock, "b"), None);
    }
}
