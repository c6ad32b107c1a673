//! A Redis server of a test's own, which ends with it.

#[path = "own_server.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the file of each server stands by itself")]
mod own_server;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use own_server::{Running, WATCH, free_port, log};

/// Settings under which what is confirmed survives.
pub const SYNCED: &[&str] =
    &["--appendonly", "yes", "--appendfsync", "always", "--aof-load-truncated", "no"];
/// Settings under which nothing does.
pub const GONE: &[&str] = &["--appendonly", "no"];

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server with its files in a directory of its own. It is killed when it is dropped.
pub struct RedisServer {
    directory: TempDir,
    settings: Vec<String>,
    /// If it is to be reached by TCP, and not by a socket in the directory.
    port: Option<u16>,
    running: Option<Running>,
}

impl RedisServer {
    /// Starts one that listens at a socket in its directory.
    pub fn start(settings: &[&str]) -> Self {
        let mut server = Self::new(settings, None);
        server.restart();
        server
    }

    /// Starts one that listens at a port of this machine.
    pub fn on_port(settings: &[&str]) -> Self {
        loop {
            let mut server = Self::new(settings, Some(free_port()));
            // Somebody else may have taken it in between: then it ends at once, and another is tried.
            if server.try_start() {
                return server;
            }
        }
    }

    fn new(settings: &[&str], port: Option<u16>) -> Self {
        Self {
            directory: tempfile::tempdir().expect("there is room for a directory"),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            port,
            running: None,
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        match self.port {
            Some(port) => format!("redis://127.0.0.1:{port}/"),
            None => format!("redis+unix://{}", self.socket().display()),
        }
    }

    /// Where it listens, if not at a port.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts it again, with what it has on its disk. Where it has died in the middle of a write, the torn end is taken
    /// out before, as whoever runs a server would do.
    pub fn restart(&mut self) {
        let starts = self.try_start() || (self.mend() && self.try_start());
        assert!(starts, "redis-server does not start:\n{}", log(self.directory()));
    }

    /// The file that every write is appended to.
    pub fn append_only_file(&self) -> PathBuf {
        self.directory.path().join("appendonlydir/appendonly.aof.1.incr.aof")
    }

    fn mend(&self) -> bool {
        let files = self.directory.path().join("appendonlydir/appendonly.aof.manifest");
        let mut mend = Command::new("redis-check-aof");
        mend.arg("--fix").arg(files).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut running = mend.spawn().expect("it comes with the server");
        running.stdin.take().expect("it is a pipe").write_all(b"y\n").expect("it asks");
        running.wait().expect("it was started").success()
    }

    /// With other settings.
    pub fn restart_with(&mut self, settings: &[&str]) {
        self.settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        self.restart();
    }

    fn try_start(&mut self) -> bool {
        assert!(self.running.is_none(), "it is running");
        let url = self.url();
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "sh", "redis-server"]);
        shell.args(["--save", "", "--daemonize", "no", "--loglevel", "notice"]);
        shell.args(["--dir", &self.directory.path().display().to_string()]);
        match self.port {
            Some(port) => {
                shell.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
            }
            None => {
                shell.args(["--port", "0", "--unixsocket", &self.socket().display().to_string()]);
            }
        }
        shell.args(&self.settings).current_dir(self.directory.path());
        let running = Running::start(&mut shell);
        let is_up = running.comes_up(PATIENCE, self.directory.path(), || Self::answers(&url));
        self.running = Some(running);
        if !is_up {
            self.kill();
        }
        is_up
    }

    /// Whether it answers, be it that nobody may ask it anything.
    fn answers(url: &str) -> bool {
        let ping = redis::Client::open(url)
            .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(5)))
            .and_then(|mut connection| redis::cmd("PING").exec(&mut connection));
        match ping {
            Ok(()) => true,
            Err(error) => error.code() == Some("NOAUTH"),
        }
    }

    /// A connection to it.
    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).expect("it is an address");
        client.get_connection().expect("the server is there")
    }

    /// Kills it (SIGKILL), and waits until it is dead. What it has on its disk stays.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill("");
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
