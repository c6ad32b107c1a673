//! A Redis server of one's own, for one store.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::Fault;

/// A server has to be there by then.
const START: Duration = Duration::from_secs(10);

/// Listens on a socket in a directory, and ends with this value.
pub struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    /// Starts one. With `synced` it answers when what it was told is on the disk.
    ///
    /// # Errors
    /// There is no `redis-server`, or it does not come up.
    pub fn start(directory: &Path, synced: bool) -> Result<Self, Fault> {
        let socket = directory.join("redis.sock");
        let log = if synced { "yes" } else { "no" };
        let child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendfsync",
                "always",
                "--aof-load-truncated",
                "no",
                "--appendonly",
                log,
            ])
            .arg("--dir")
            .arg(directory)
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server: {error}; install it to compare with it"))?;
        let server = Self { child, socket };
        let deadline = Instant::now() + START;
        while redis::Client::open(server.url())?.get_connection().is_err() {
            if Instant::now() > deadline {
                return Err("redis-server does not come up".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
