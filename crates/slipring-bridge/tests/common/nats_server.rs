//! A NATS server of a test's own, which ends with it.

#[path = "../../../slipring-store/tests/common/own_server.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the file of each server stands by itself")]
mod own_server;

use std::{fs, io::Read, net::TcpStream, path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use own_server::{Running, WATCH, free_port, log};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server with `JetStream`, whose files are in a directory of its own. It is killed when it is dropped.
pub struct NatsServer {
    directory: TempDir,
    port: u16,
    running: Option<Running>,
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
            let port = free_port();
            let text = format!(
                "listen: 127.0.0.1:{port}\njetstream {{ store_dir: \"{path}/data\" }}\n{settings}\n"
            );
            fs::write(directory.path().join("server.conf"), text).expect("there is room");
            let mut server = Self { directory, port, running: None };
            // Somebody else may have taken the port in between: then it ends at once, and another is tried.
            if server.try_start() {
                return server;
            }
            let log = log(server.directory.path());
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
        assert!(self.try_start(), "nats-server does not start:\n{}", log(self.directory.path()));
    }

    fn try_start(&mut self) -> bool {
        assert!(self.running.is_none(), "it is running");
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "sh", "nats-server", "-c", "server.conf"]);
        let running = Running::start(shell.current_dir(self.directory.path()));
        let is_up = running.comes_up(PATIENCE, self.directory.path(), || {
            answers(self.port, self.directory.path())
        });
        self.running = Some(running);
        if !is_up {
            self.kill();
        }
        is_up
    }

    /// Kills it (SIGKILL), and waits until it is dead. What it has on its disk stays.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill("");
        }
    }

    pub fn log(&self) -> String {
        log(self.directory.path())
    }
}

/// Whether it says who it is, and is ready.
fn answers(port: u16, directory: &Path) -> bool {
    let hello = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut start = [0; 5];
        stream.read_exact(&mut start)?;
        Ok(start)
    });
    hello.is_ok_and(|start| &start == b"INFO ") && log(directory).contains("Server is ready")
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
