//! What servers of a test's own have in common: they end with it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The server starts in a shell that waits for the test: when the test ends, however it does, the pipe between them
/// closes, and the shell, which nothing else ends, kills the server. Its first line is the number of the server's process.
///
/// Behind `sh -c WATCH sh` come the program and its arguments; what it says goes to `server.log` where the shell is.
pub const WATCH: &str = r#"trap '' INT HUP TERM
"$@" >server.log 2>&1 </dev/null &
server=$!; echo $server; read -r _; kill -9 $server 2>/dev/null; wait $server"#;

/// A shell with a server that runs.
pub struct Running {
    shell: Child,
    server: u32,
}

impl Running {
    /// Starts it. The shell is to do what [`WATCH`] does.
    pub fn start(shell: &mut Command) -> Self {
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().expect("there is a shell");
        let mut line = String::new();
        let output = shell.stdout.take().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("the shell tells a number");
        let server = line.trim().parse().expect("it is a number");
        Self { shell, server }
    }

    /// Waits until it answers. Not so if it has ended before: then somebody else has its port, as a rule.
    ///
    /// # Panics
    /// It does neither in that time. Then it tells what the server has said.
    pub fn comes_up(
        &self,
        patience: Duration,
        directory: &Path,
        mut answers: impl FnMut() -> bool,
    ) -> bool {
        let deadline = Instant::now() + patience;
        while !answers() {
            if self.has_ended() {
                return false;
            }
            assert!(Instant::now() < deadline, "it does not answer:\n{}", log(directory));
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// One that has ended is there until the shell waits for it, as a zombie.
    fn has_ended(&self) -> bool {
        let state = fs::read_to_string(format!("/proc/{}/stat", self.server)).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    }

    /// Has the shell kill it (SIGKILL), waits until it is dead, and gives the shell a last word.
    pub fn kill(mut self, word: &str) {
        let mut pipe = self.shell.stdin.take().expect("it is a pipe");
        // It fails only if the shell has gone, and the server with it.
        drop(pipe.write_all(word.as_bytes()));
        drop(pipe);
        self.shell.wait().expect("it was started");
    }
}

/// A port that nobody listens at. Somebody else may take it in the next moment, but no client does for its own end: the
/// system gives those higher ones. So while the server is dead, whoever connects to it does not get to itself.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(10_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What a server has said.
pub fn log(directory: &Path) -> String {
    let log = fs::read(directory.join("server.log"));
    log.map_or_else(|error| error.to_string(), |log| String::from_utf8_lossy(&log).into_owned())
}
