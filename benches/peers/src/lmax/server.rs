//! A program that answers each line on its standard input with a line on its standard output.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

/// The program; its drop ends it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Empty when it is about to end.
    requests: Option<ChildStdin>,
    replies: Receiver<String>,
}

impl Server {
    /// Starts it. What it writes to standard error is shown.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        // A pipe has no time limit. The thread sleeps in its read, and ends with the program.
        let (out, replies) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| out.send(line)));
        Ok(Self { child, requests, replies })
    }

    /// The reply to `request`, or why there is none: then the next reply may be to this request, so
    /// no other must follow.
    pub fn ask(&mut self, request: &str, limit: Duration) -> Result<String, String> {
        let requests = self.requests.as_mut().expect("it is open until the drop");
        // One write, for one wake-up.
        let sent = requests.write_all(format!("{request}\n").as_bytes());
        sent.map_err(|error| format!("cannot write to the program: {error}"))?;
        self.replies.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("no reply within {limit:?}"),
            RecvTimeoutError::Disconnected => "the program ended".to_owned(),
        })
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        // Neither can fail unless it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends it between two runs, the signal in the middle of one.
        self.requests = None;
        self.stop();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_line_for_a_line() {
        let mut server = Server::start(&mut Command::new("cat")).expect("cat is there");
        assert_eq!(server.ask("one", LONG).as_deref(), Ok("one"));
        assert_eq!(server.ask("two", LONG).as_deref(), Ok("two"));
    }

    #[test]
    fn silence_and_an_end_are_errors() {
        let mut silent = Server::start(Command::new("sleep").arg("60")).expect("sleep is there");
        let error = silent.ask("one", Duration::from_millis(20)).expect_err("it says nothing");
        assert!(error.starts_with("no reply"), "{error}");
        // Does not wait for the minute.
        drop(silent);

        let mut ended = Server::start(&mut Command::new("true")).expect("true is there");
        assert!(ended.ask("one", LONG).is_err());
    }
}
