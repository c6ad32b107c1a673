//! Commands that a check runs.

use std::{
    io::Read as _,
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

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

/// Runs a command to its end and hands back what it wrote to its standard output; `None` if it
/// took longer than `limit` and was ended.
pub fn within(command: &mut Command, limit: Duration) -> Result<Option<Output>, String> {
    let name = shown(command);
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("`{name}` did not start: {error}"))?;
    let mut pipe = child.stdout.take().ok_or("no pipe")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = Vec::new();
        let read = pipe.read_to_end(&mut output);
        // Nobody listens any more when the time is up.
        let _ = sender.send(read.map(|_| output));
    });
    // The pipe closes when the command ends.
    let outcome = receiver.recv_timeout(limit);
    if outcome.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("`{name}`: {error}"))?;
    let Ok(read) = outcome else { return Ok(None) };
    let stdout = read.map_err(|error| format!("`{name}`: {error}"))?;
    Ok(Some(Output { status, stdout, stderr: Vec::new() }))
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
    fn time_is_limited() {
        let ended = within(Command::new("sleep").arg("60"), Duration::from_millis(50));
        assert_eq!(ended, Ok(None));
        let output = within(Command::new("echo").arg("a"), Duration::from_secs(30));
        assert!(output.is_ok_and(|output| output.is_some_and(|output| output.stdout == b"a\n")));
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
