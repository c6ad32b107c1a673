//! Commands that a check runs.

use std::process::{Command, Stdio};

/// Runs a command with its output in view.
pub fn run(command: &mut Command) -> Result<(), String> {
    let name = shown(command);
    println!("    $ {name}");
    let status = command.status().map_err(|error| format!("`{name}` did not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{name}` ended with {status}")) }
}

/// Runs a command and hands back what it wrote to its standard output.
pub fn output(command: &mut Command) -> Result<String, String> {
    let name = shown(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{name}` did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{name}` ended with {}", output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("`{name}` wrote something that is not UTF-8"))
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_without_their_folder() {
        let mut command = Command::new("/some/where/cargo");
        assert_eq!(shown(command.args(["doc", "--no-deps"])), "cargo doc --no-deps");
    }

    #[test]
    fn failures_name_the_command() {
        let failure = run(&mut Command::new("./no-such-command"));
        assert!(failure.is_err_and(|message| message.contains("`no-such-command` did not start")));
    }

    #[cfg(unix)]
    #[test]
    fn exit_codes_and_output_are_handed_back() {
        assert_eq!(run(&mut Command::new("true")), Ok(()));
        assert!(run(&mut Command::new("false")).is_err());
        assert_eq!(output(Command::new("echo").arg("a")).as_deref(), Ok("a\n"));
        assert!(output(&mut Command::new("false")).is_err());
    }
}
