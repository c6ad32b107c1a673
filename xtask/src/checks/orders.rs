//! `cargo xtask orders`: the main example processes made-up orders, and real ones to the cent.
//!
//! The real ones are the 1/10 sample of the CDNOW purchase history (Fader and Hardie). It is not
//! part of this repository: the run on it is left out unless the file is found, see [`sample`].

use std::{env, path::PathBuf, process::Command, time::Duration};

use crate::{
    command::{self, shown},
    project::Project,
};

/// Where the sample is looked for; the variable goes first.
const SAMPLE_VARIABLE: &str = "SLIPRING_CDNOW_SAMPLE";
const SAMPLE: &str = "../shared/data/cdnow_sample.txt";

/// Known totals of the sample: orders, CDs, US dollars.
const TOTALS: [&str; 3] = ["6,919", "16,479", "244,091.94"];

/// Far more than a run takes: a ring that wedges has to fail the check, not hold it up.
const RUN_TIME_MAX: Duration = Duration::from_mins(2);

const EXAMPLE: [&str; 3] = ["--release", "--example", "orders"];

pub fn run(project: &Project) -> Result<String, String> {
    command::run(&mut project.cargo(&[&["build"], &EXAMPLE[..]].concat()))?;
    run_example(project, &["--events", "200000"])?;
    let Some(sample) = sample(project) else {
        return Ok(format!(
            "Run on real orders left out: no {SAMPLE}, and {SAMPLE_VARIABLE} is not set."
        ));
    };
    let sample = sample.to_string_lossy();
    let output = run_example(project, &["--input", &sample, "--producers", "3"])?;
    let missing = missing_totals(&output);
    if missing.is_empty() {
        Ok(format!("Real orders add up: {}.", TOTALS.join(", ")))
    } else {
        Err(format!("the output lacks these totals of the sample: {}", missing.join(", ")))
    }
}

fn sample(project: &Project) -> Option<PathBuf> {
    let named = env::var_os(SAMPLE_VARIABLE).map(PathBuf::from);
    named.or_else(|| project.exists(SAMPLE).then(|| PathBuf::from(SAMPLE)))
}

/// The totals that `output` does not show as whole numbers.
fn missing_totals(output: &str) -> Vec<&'static str> {
    let part = |c: char| c.is_ascii_digit() || c == ',' || c == '.';
    let numbers: Vec<&str> =
        output.split(|c| !part(c)).map(|number| number.trim_end_matches([',', '.'])).collect();
    TOTALS.into_iter().filter(|total| !numbers.contains(total)).collect()
}

/// Runs the example, shows what it prints, and hands it back.
fn run_example(project: &Project, arguments: &[&str]) -> Result<String, String> {
    let mut command =
        project.cargo(&[&["run", "--quiet"], &EXAMPLE[..], &["--"], arguments].concat());
    println!("    $ {}", shown(&command));
    let output = within(&mut command, RUN_TIME_MAX)?;
    print!("{output}");
    Ok(output)
}

/// Runs a command to its end and hands back its output; ends it when it takes longer than `limit`.
fn within(command: &mut Command, limit: Duration) -> Result<String, String> {
    let name = shown(command);
    let Some(output) = command::within(command, limit)? else {
        return Err(format!("`{name}` did not end and was stopped after {} s", limit.as_secs()));
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = output.status;
    if status.success() { Ok(text) } else { Err(format!("{text}`{name}` ended with {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_s_totals_are_recognised() {
        assert!(missing_totals("orders 6,919\nCDs 16,479; value $244,091.94.\n").is_empty());
    }

    #[test]
    fn other_totals_are_not() {
        assert_eq!(missing_totals("6,918 orders, 16,479 CDs, $244,091.94"), ["6,919"]);
        assert_eq!(missing_totals("16,919 orders, 116,479 CDs"), TOTALS);
        assert_eq!(missing_totals(""), TOTALS);
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_hangs_is_ended() {
        let failure = within(Command::new("sleep").arg("60"), Duration::from_millis(50));
        assert!(failure.is_err_and(|message| message.contains("did not end")));
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_fails_is_reported_with_its_output() {
        let mut command = Command::new("sh");
        let failure = within(command.args(["-c", "echo lost; exit 3"]), Duration::from_secs(30));
        assert!(failure.is_err_and(|message| message.contains("lost") && message.contains('3')));
        let mut command = Command::new("sh");
        let success = within(command.args(["-c", "echo kept"]), Duration::from_secs(30));
        assert_eq!(success.as_deref(), Ok("kept\n"));
    }
}
