//! How a server is reached, and what is made of its errors.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisError, TlsCertificates, Value, aio::MultiplexedConnection,
};

use crate::LinkError;

const CONNECTING: &str = "connecting to the Redis server";

/// Where a Redis server is, and as whom it is asked.
///
/// No password is ever shown: not in `Debug`, not in an error.
///
/// # Examples
/// ```
/// use slipring_bridge::RedisServer;
///
/// let server = RedisServer::at("redis://bridge:secret@127.0.0.1/");
/// assert!(!format!("{server:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct RedisServer {
    url: String,
    password_file: Option<PathBuf>,
    authorities: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    timeout: Duration,
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, password_file, authorities, identity, timeout } = self;
        // Without what else stands in the address: there may be a password in it.
        let address = url.as_str().into_connection_info().map(|info| info.addr().to_string());
        f.debug_struct("RedisServer")
            .field("address", &address.as_deref().unwrap_or("none that can be read"))
            .field("password_file", password_file)
            .field("authorities", authorities)
            .field("identity", &identity.as_ref().map(|(certificate, _)| certificate))
            .field("timeout", timeout)
            .finish()
    }
}

impl RedisServer {
    /// One at `redis://user:password@host:port/database`, `rediss://…` with TLS, or `unix:///path`.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password_file: None,
            authorities: None,
            identity: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// Takes the password from the first line of a file, which is read for each connection.
    #[must_use = "it is built by value, another is returned"]
    pub fn password_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.password_file = Some(path.into());
        self
    }

    /// With TLS: trusts the authorities in a PEM file, and not those of the machine.
    #[must_use = "it is built by value, another is returned"]
    pub fn authorities(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities = Some(path.into());
        self
    }

    /// With TLS: shows a certificate, of PEM files for it and for its key.
    #[must_use = "it is built by value, another is returned"]
    pub fn identity(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// How long the server may take for a connection or for an answer: 10 seconds unless told otherwise.
    #[must_use = "it is built by value, another is returned"]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        self.timeout
    }

    pub(super) async fn connect(&self) -> Result<Connection, LinkError> {
        let info = self.info()?;
        let password = info.redis_settings().password().unwrap_or_default();
        let secret = (!password.is_empty()).then(|| Arc::from(password));
        let client = self.client(info)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(None);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        match tokio::time::timeout(self.timeout, connecting).await {
            Ok(Ok(inner)) => Ok(Connection { inner, secret, timeout: self.timeout }),
            Ok(Err(error)) => Err(failed(CONNECTING, &error, secret.as_deref())),
            Err(_) => Err(LinkError::lost(CONNECTING, "it does not answer")),
        }
    }

    /// Its errors may tell what is in the address, and are not passed on.
    fn info(&self) -> Result<ConnectionInfo, LinkError> {
        let info = self.url.as_str().into_connection_info().map_err(|_| {
            LinkError::refused(
                CONNECTING,
                "its address is not of the form redis://user:password@host:port/database, rediss://… or unix:///path",
            )
        })?;
        let Some(path) = &self.password_file else { return Ok(info) };
        let text = read(path)?;
        let password = String::from_utf8_lossy(&text);
        let settings = info.redis_settings().clone();
        let password = password.lines().next().unwrap_or_default();
        Ok(info.set_redis_settings(settings.set_password(password)))
    }

    fn client(&self, info: ConnectionInfo) -> Result<Client, LinkError> {
        let is_secure = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let refused =
            |_| LinkError::refused(CONNECTING, "its address or its certificates cannot be used");
        if !is_secure {
            if self.authorities.is_some() || self.identity.is_some() {
                let problem =
                    "there are certificates, but its address is none with TLS: rediss://…";
                return Err(LinkError::refused(CONNECTING, problem));
            }
            return Client::open(info).map_err(refused);
        }
        // The client takes what the process has set; it may have set it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if self.authorities.is_none() && self.identity.is_none() {
            return Client::open(info).map_err(refused);
        }
        let client_tls = match &self.identity {
            Some((certificate, key)) => {
                Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
            }
            None => None,
        };
        let root_cert = self.authorities.as_deref().map(read).transpose()?;
        Client::build_with_tls(info, TlsCertificates { client_tls, root_cert }).map_err(refused)
    }
}

impl From<&str> for RedisServer {
    fn from(url: &str) -> Self {
        Self::at(url)
    }
}

impl From<String> for RedisServer {
    fn from(url: String) -> Self {
        Self::at(url)
    }
}

fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, LinkError> {
    let path = path.as_ref();
    fs::read(path).map_err(|error: io::Error| {
        LinkError::refused(CONNECTING, format!("{} cannot be read: {error}", path.display()))
    })
}

/// A connection. Clones of it are the same one.
#[derive(Clone)]
pub(super) struct Connection {
    inner: MultiplexedConnection,
    secret: Option<Arc<str>>,
    timeout: Duration,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// Asks, and waits for the answer, however long that takes.
    pub(super) async fn wait(
        &mut self,
        doing: &'static str,
        cmd: &Cmd,
    ) -> Result<Value, LinkError> {
        let answer = self.inner.send_packed_command(cmd).await.and_then(Value::extract_error);
        answer.map_err(|error| failed(doing, &error, self.secret.as_deref()))
    }

    /// Asks, and waits as long as the server may take, and `more`.
    pub(super) async fn ask(
        &mut self,
        doing: &'static str,
        cmd: &Cmd,
        more: Duration,
    ) -> Result<Value, LinkError> {
        let time = self.timeout + more;
        match tokio::time::timeout(time, self.wait(doing, cmd)).await {
            Ok(answer) => answer,
            Err(_) => Err(no_answer(doing, time)),
        }
    }

    /// Has the server know a script.
    pub(super) async fn load(
        &mut self,
        script: &redis::Script,
        text: &str,
    ) -> Result<(), LinkError> {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(text);
        let answer = self.ask("loading a script", &command, Duration::ZERO).await?;
        debug_assert_eq!(answer, Value::BulkString(script.get_hash().into()));
        Ok(())
    }
}

pub(super) fn no_answer(doing: &'static str, time: Duration) -> LinkError {
    LinkError::lost(doing, format!("no answer for {time:?}"))
}

/// What passes by itself: the server reads its files, is busy, or another one takes over. A script or a group that it
/// does not know is made over the next connection.
const PASSES: [&str; 11] = [
    "LOADING",
    "BUSY",
    "TRYAGAIN",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "READONLY",
    "OOM",
    "NOSCRIPT",
    "NOGROUP",
    "UNBLOCKED",
    "NOREPLICAS",
];

/// What the server or the client says, without the password.
fn failed(doing: &'static str, error: &RedisError, secret: Option<&str>) -> LinkError {
    let is_of_server = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
    let code = error.code().unwrap_or_default();
    let said = match error.detail() {
        Some(detail) if is_of_server => {
            // The server puts behind it where in which script it was.
            let detail = detail.split(" script: ").next().unwrap_or(detail);
            format!("{code} {detail}")
        }
        _ => error.to_string(),
    };
    let said = match secret {
        Some(secret) => said.replace(secret, "***"),
        None => said,
    };
    if code == "SLIPLARGE" {
        let detail = error.detail().unwrap_or_default();
        if let Some(sequence) = detail.split(' ').next().and_then(|text| text.parse().ok()) {
            return LinkError::Unsendable { sequence, problem: said.into() };
        }
    }
    if code == "SLIPBEHIND" {
        let what = "the server has lost events that it had confirmed, or its lanes are those of another store: set the \
                    outbox back (`Outbox::set_back`), or say `go_on_after_loss`";
        return LinkError::refused(doing, format!("{said}: {what}"));
    }
    let is_refused = is_of_server && !PASSES.contains(&code)
        || matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig);
    if is_refused { LinkError::refused(doing, said) } else { LinkError::lost(doing, said) }
}
