//! A NATS server of a test's own, which ends with it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The server starts in a shell that waits for the test: when the test ends, however it does, the pipe between them
/// closes, and the shell, which nothing else ends, kills the server. Its first line is the number of the server's process.
const WATCH: &str = r"trap '' INT HUP TERM
nats-server -c server.conf >server.log 2>&1 </dev/null &
server=$!; echo $server; read -r _; kill -9 $server 2>/dev/null; wait $server";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server with `JetStream`, whose files are in a directory of its own. It is killed when it is dropped.
pub struct NatsServer {
    directory: TempDir,
    port: u16,
    running: Option<Child>,
}

impl NatsServer {
    /// Starts one at a port of this machine.
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more in the file of its settings; `DIR` stands for its directory.
    pub fn with(settings: &str) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        Self::in_directory(directory, settings)
    }

    /// The same, with files that are in the directory already.
    pub fn in_directory(mut directory: TempDir, settings: &str) -> Self {
        let path = directory.path().display().to_string();
        let settings = settings.replace("DIR", &path);
        loop {
            let free = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
            let port = free.local_addr().expect("it is bound").port();
            drop(free);
            let text = format!(
                "listen: 127.0.0.1:{port}\njetstream {{ store_dir: \"{path}/data\" }}\n{settings}\n"
            );
            fs::write(directory.path().join("server.conf"), text).expect("there is room");
            let mut server = Self { directory, port, running: None };
            // Somebody else may have taken the port in between: then it ends at once, and another is tried.
            if server.try_start() {
                return server;
            }
            let log = server.log();
            assert!(log.contains("address already in use"), "nats-server does not start:\n{log}");
            directory = server.directory_of();
        }
    }

    fn directory_of(mut self) -> TempDir {
        std::mem::replace(&mut self.directory, tempfile::tempdir().expect("there is room"))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts it again, with what it has on its disk.
    pub fn restart(&mut self) {
        assert!(self.try_start(), "nats-server does not start:\n{}", self.log());
    }

    fn try_start(&mut self) -> bool {
        assert!(self.running.is_none(), "it is running");
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH]).current_dir(self.directory.path());
        let child =
            shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("there is a shell");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("the shell tells a number");
        let server: u32 = line.trim().parse().expect("it is a number");
        self.running = Some(child);
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            let is_there = Command::new("kill").args(["-0", &server.to_string()]).status();
            if !is_there.is_ok_and(|status| status.success()) {
                self.kill();
                return false;
            }
            assert!(Instant::now() < deadline, "nats-server does not answer:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Whether it says who it is, and is ready.
    fn answers(&self) -> bool {
        let hello = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            let mut start = [0; 5];
            stream.read_exact(&mut start)?;
            stream.write_all(b"")?;
            Ok(start)
        });
        hello.is_ok_and(|start| &start == b"INFO ") && self.log().contains("Server is ready")
    }

    /// Kills it (SIGKILL), and waits until it is dead. What it has on its disk stays.
    pub fn kill(&mut self) {
        if let Some(mut shell) = self.running.take() {
            drop(shell.stdin.take());
            shell.wait().expect("it was started");
        }
    }

    pub fn log(&self) -> String {
        File::open(self.directory.path().join("server.log"))
            .and_then(std::io::read_to_string)
            .unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
