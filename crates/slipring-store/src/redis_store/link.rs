//! Connections to the server: as many as are needed at once, kept for the next call, and made anew when they are lost.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use redis::{
    Client, Cmd, Connection, ConnectionLike, ErrorKind, Pipeline, RedisError, ServerErrorKind,
    Value, io::tcp::TcpSettings,
};

use super::{RedisSettings, scripts::Lua};
use crate::StoreError;

/// How many connections are kept for later.
const IDLE: usize = 16;
/// How long to wait before the server is tried again, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(100)];

/// What a server says that is still reading its files, is busy with a script, or is changing its part: it is a replica, or
/// its replicas are away, or a cluster has not agreed yet.
const PASSING: [&str; 8] = [
    "LOADING",
    "BUSY",
    "READONLY",
    "UNBLOCKED",
    "MASTERDOWN",
    "NOREPLICAS",
    "CLUSTERDOWN",
    "TRYAGAIN",
];

pub(super) struct Link {
    client: Client,
    prefix: String,
    timeout: Duration,
    patience: Duration,
    idle: Mutex<Vec<Connection>>,
    /// How often a connection was lost.
    losses: AtomicU64,
    /// What must not be told.
    secret: Option<String>,
}

/// Why a call has failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub error: StoreError,
    /// The connection failed after something was sent, and what became of it is not known.
    pub is_open: bool,
    /// The server could not be reached, or not yet: it may be in a moment.
    pub passes: bool,
}

/// The server has answered, and not as it should.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, is_open: false, passes: false }
    }
}

impl Failure {
    /// It cannot be done yet.
    pub(super) fn passing(doing: &'static str, why: &str) -> Self {
        let error = StoreError::Server { doing, problem: why.into() };
        Self { error, is_open: false, passes: true }
    }
}

impl Link {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, StoreError> {
        let address = settings.address()?;
        let secret = address.redis_settings().password().map(str::to_owned);
        let client =
            Client::open(address.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
                .map_err(|_| {
                    StoreError::Refused("the address of the server cannot be used".into())
                })?;
        Ok(Self {
            client,
            prefix: settings.prefix(),
            timeout: settings.timeout,
            patience: settings.patience,
            idle: Mutex::default(),
            losses: AtomicU64::new(0),
            secret: secret.filter(|secret| !secret.is_empty()),
        })
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks the server, over new connections for as long as its patience lasts. Only for what may be done twice.
    pub(super) fn ask(
        &self,
        doing: &'static str,
        question: &Question<'_>,
    ) -> Result<Value, StoreError> {
        self.persist(|| self.ask_once(doing, question, self.timeout))
            .map_err(|failure| failure.error)
    }

    /// Tries until it succeeds, or is refused, or the patience is at its end.
    pub(super) fn persist<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let begin = Instant::now();
        let mut pause = PAUSES[0];
        loop {
            match attempt() {
                Err(failure) if failure.passes && begin.elapsed() + pause <= self.patience => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(PAUSES[1]);
                }
                answer => return answer,
            }
        }
    }

    /// Asks the server over a connection that was there, or a new one if that is stale.
    pub(super) fn ask_once(
        &self,
        doing: &'static str,
        question: &Question<'_>,
        timeout: Duration,
    ) -> Result<Value, Failure> {
        let mut connection = match self.idle.lock().pop() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer =
            connection.set_read_timeout(Some(timeout)).and_then(|()| question.put(&mut connection));
        match answer {
            Ok(value) => {
                self.give_back(connection);
                Ok(value)
            }
            Err(error) if is_of_the_server(&error) => {
                if error.code() == Some("READONLY") {
                    // It is a replica now: where it is to be reached there may be another server by now.
                    self.lose();
                } else {
                    self.give_back(connection);
                }
                Err(self.refused(doing, &error))
            }
            Err(error) => {
                self.lose();
                Err(Failure { error: self.failed(doing, &error), is_open: true, passes: true })
            }
        }
    }

    pub(super) fn connect(&self) -> Result<Connection, Failure> {
        let doing = "connecting to the server";
        let connection = self.client.get_connection_with_timeout(self.timeout);
        let set = connection.and_then(|connection| {
            connection.set_write_timeout(Some(self.timeout))?;
            Ok(connection)
        });
        set.map_err(|error| {
            if error.is_io_error() {
                return Failure { error: self.failed(doing, &error), is_open: false, passes: true };
            }
            Failure { is_open: false, ..self.refused(doing, &error) }
        })
    }

    /// A connection was lost: the others are as old and have lost the same server.
    fn lose(&self) {
        self.idle.lock().clear();
        // Relaxed. Whoever sees the next connection succeed has asked for it after this.
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE && connection.is_open() {
            idle.push(connection);
        }
    }

    pub(super) fn losses(&self) -> u64 {
        // Relaxed. A loss that is not seen yet is one of a call that has not returned.
        self.losses.load(Ordering::Relaxed)
    }

    fn failed(&self, doing: &'static str, error: &RedisError) -> StoreError {
        let said = self.without_secret(&error.to_string());
        let kind = match error.kind() {
            ErrorKind::Io if error.is_timeout() => io::ErrorKind::TimedOut,
            ErrorKind::Io => io::ErrorKind::ConnectionAborted,
            _ => return StoreError::Server { doing, problem: said.into() },
        };
        StoreError::Io { doing, error: io::Error::new(kind, said) }
    }

    fn refused(&self, doing: &'static str, error: &RedisError) -> Failure {
        let code = error.code().unwrap_or_default();
        // It has done nothing of it, and it or another may in a moment.
        let passes = PASSING.contains(&code);
        let details = match error.detail() {
            Some(details) => self.without_secret(details),
            None => self.without_secret(&error.to_string()),
        };
        Failure { error: refusal(doing, code, Some(&details)), is_open: false, passes }
    }

    /// A server that does not know a command says with what it was called.
    fn without_secret(&self, text: &str) -> String {
        match &self.secret {
            Some(secret) => text.replace(secret.as_str(), "***"),
            None => text.to_owned(),
        }
    }
}

/// Whether the server said it, so that the connection is as before.
fn is_of_the_server(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

/// What the server, or a script of the store in it, refuses.
pub(super) fn refusal(doing: &'static str, code: &str, details: Option<&str>) -> StoreError {
    let details = details.unwrap_or("no more is said");
    // The server puts behind it where in which script it was.
    let said = details.split(" script: ").next().unwrap_or(details);
    match code {
        "SLIPDAMAGED" => match said.split_once(": ") {
            Some((place, problem)) => StoreError::damaged(place, problem),
            None => StoreError::damaged("the store", said),
        },
        "SLIPGONE" => StoreError::Stopped { because: said.into() },
        "MOVED" | "ASK" => StoreError::Server {
            doing,
            problem: format!("another node of the cluster has the store ({said}): connect to it")
                .into(),
        },
        "" => StoreError::Server { doing, problem: said.into() },
        code => StoreError::Server { doing, problem: format!("{code} {said}").into() },
    }
}

/// What is asked of the server.
pub(super) enum Question<'a> {
    /// A command.
    Command(&'a Cmd),
    /// Several, sent at once.
    Commands(&'a Pipeline),
    /// A script, with all that stands behind its name in the command.
    Script(&'a Lua, &'a Cmd),
}

impl Question<'_> {
    fn put(&self, connection: &mut Connection) -> Result<Value, RedisError> {
        match self {
            Self::Command(command) => command.query(connection),
            Self::Commands(commands) => commands.query(connection),
            Self::Script(lua, command) => match command.query(connection) {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    redis::cmd("SCRIPT").arg("LOAD").arg(lua.text()).exec(connection)?;
                    command.query(connection)
                }
                answer => answer,
            },
        }
    }
}

/// A call of a script: the key by which a cluster tells where it belongs, and what all scripts are told.
pub(super) fn call(lua: &Lua, prefix: &str, known: &str) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(lua.hash()).arg(1).arg([prefix, "meta"].concat()).arg(prefix).arg(known);
    command
}
