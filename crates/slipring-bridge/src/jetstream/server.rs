//! How a server is reached, and what is made of its errors.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr, ServerError,
};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;

use crate::LinkError;

const CONNECTING: &str = "connecting to the NATS server";

/// Where NATS servers are, and as whom they are asked.
///
/// No password, token or key is ever shown: not in `Debug`, not in an error.
///
/// # Examples
/// ```
/// use slipring_bridge::NatsServer;
///
/// let server = NatsServer::at("nats://bridge:opensesame@127.0.0.1:4222");
/// assert!(!format!("{server:?}").contains("opensesame"));
/// ```
#[derive(Clone)]
pub struct NatsServer {
    urls: String,
    user: Option<(String, String)>,
    token: Option<String>,
    secret_file: Option<PathBuf>,
    credentials: Option<PathBuf>,
    authorities: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    must_encrypt: bool,
    timeout: Duration,
}

impl fmt::Debug for NatsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without what else stands in the addresses: there may be a password in them.
        let addresses: Vec<_> = self
            .addresses()
            .map(|addresses| {
                addresses
                    .iter()
                    .map(|address| format!("{}:{}", address.host(), address.port()))
                    .collect()
            })
            .unwrap_or_default();
        f.debug_struct("NatsServer")
            .field("addresses", &addresses)
            .field("secret_file", &self.secret_file)
            .field("credentials_file", &self.credentials)
            .field("authorities", &self.authorities)
            .field("identity", &self.identity.as_ref().map(|(certificate, _)| certificate))
            .field("must_encrypt", &self.must_encrypt)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl From<&str> for NatsServer {
    fn from(urls: &str) -> Self {
        Self::at(urls)
    }
}

impl From<String> for NatsServer {
    fn from(urls: String) -> Self {
        Self::at(urls)
    }
}

impl NatsServer {
    /// Servers at `nats://user:password@host:port`, or `tls://…`, with commas between them.
    pub fn at(urls: impl Into<String>) -> Self {
        Self {
            urls: urls.into(),
            user: None,
            token: None,
            secret_file: None,
            credentials: None,
            authorities: None,
            identity: None,
            must_encrypt: false,
            timeout: Duration::from_secs(10),
        }
    }

    /// Who asks, and with which password.
    #[must_use = "it is built by value, another is returned"]
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some((user.into(), password.into()));
        self
    }

    /// A token instead of a password.
    #[must_use = "it is built by value, another is returned"]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Takes the password, or the token if no [user](Self::user) is given, from the first line of a file, which is read for each
    /// connection.
    #[must_use = "it is built by value, another is returned"]
    pub fn secret_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.secret_file = Some(path.into());
        self
    }

    /// A file with a token and a key in it, `….creds`, which is read for each connection.
    #[must_use = "it is built by value, another is returned"]
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials = Some(path.into());
        self
    }

    /// Insists on TLS.
    #[must_use = "it is built by value, another is returned"]
    pub fn must_encrypt(mut self) -> Self {
        self.must_encrypt = true;
        self
    }

    /// With TLS: trusts the authorities in a PEM file, too.
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

    pub(super) fn patience(&self) -> Duration {
        self.timeout
    }

    /// Its errors may tell what is in the addresses, and are not passed on.
    fn addresses(&self) -> Result<Vec<ServerAddr>, LinkError> {
        let addresses: Result<Vec<ServerAddr>, _> =
            self.urls.split(',').map(|url| url.trim().parse()).collect();
        match addresses {
            Ok(addresses) if addresses.iter().all(|address| !address.host().is_empty()) => {
                Ok(addresses)
            }
            _ => {
                let problem =
                    "an address is not of the form nats://user:password@host:port or tls://…";
                Err(LinkError::refused(CONNECTING, problem))
            }
        }
    }

    /// Who asks, by what is in the addresses if nothing else is said: a name and a password, or a token. Then the
    /// addresses have none of it any more: the client tells its log which address it tries.
    fn named(&self) -> Result<(Self, Vec<ServerAddr>), LinkError> {
        let (mut server, mut bare) = (self.clone(), Vec::new());
        for address in self.addresses()? {
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            if let Some(user) = address.username()
                && server.user.is_none()
                && server.token.is_none()
            {
                match address.password() {
                    Some(password) => server.user = Some((decoded(user), decoded(password))),
                    None => server.token = Some(decoded(user)),
                }
            }
            let mut url = address.into_inner();
            let is_bare = url.set_username("").and_then(|()| url.set_password(None)).is_ok();
            match ServerAddr::from_url(url) {
                Ok(address) if is_bare => bare.push(address),
                _ => return Err(LinkError::refused(CONNECTING, "an address cannot be used")),
            }
        }
        Ok((server, bare))
    }

    /// What must not be told.
    fn secrets(&self) -> Arc<[String]> {
        let password = self.user.iter().map(|(_, password)| password.clone());
        password.chain(self.token.clone()).filter(|text| !text.is_empty()).collect()
    }

    /// With what is in the file for secrets.
    fn with_secret(&self) -> Result<Self, LinkError> {
        let mut server = self.clone();
        if let Some(path) = &self.secret_file {
            let text =
                std::fs::read_to_string(path).map_err(|error| cannot_read(path, error.kind()))?;
            let secret = text.lines().next().unwrap_or_default().to_owned();
            match &mut server.user {
                Some((_, password)) => *password = secret,
                None => server.token = Some(secret),
            }
        }
        Ok(server)
    }

    pub(super) async fn connect(&self) -> Result<Line, LinkError> {
        let (server, addresses) = self.with_secret()?.named()?;
        server.connect_to(addresses).await
    }

    async fn connect_to(&self, addresses: Vec<ServerAddr>) -> Result<Line, LinkError> {
        let secrets = self.secrets();
        let (tell, fate) = watch::channel(None);
        let options = self.options(addresses.len(), tell).await?;
        let connecting = tokio::time::timeout(self.timeout, options.connect(addresses)).await;
        let mut line = match connecting {
            Ok(Ok(client)) => Line { client, fate, secrets, timeout: self.timeout },
            Ok(Err(error)) => return Err(failed_to_connect(&error, &secrets)),
            Err(_) => return Err(LinkError::lost(CONNECTING, "it does not answer")),
        };
        let flushed = line.client.clone();
        line.wait(CONNECTING, async move { flushed.flush().await }).await?;
        Ok(line)
    }

    async fn options(
        &self,
        servers: usize,
        tell: watch::Sender<Option<Fate>>,
    ) -> Result<ConnectOptions, LinkError> {
        let mut options = ConnectOptions::new()
            .name("slipring")
            .connection_timeout(self.timeout)
            .request_timeout(Some(self.timeout))
            .client_capacity(8_192)
            .subscription_capacity(1 << 20)
            // A link is one connection: when that is lost, so is the link. The client is not to try for ever.
            .max_reconnects(servers)
            .reconnect_delay_callback(|_| Duration::ZERO)
            .event_callback(move |event| {
                let fate = Fate::of(event);
                tell.send_if_modified(|known| {
                    let is_news = known.is_none() && fate.is_some();
                    if is_news {
                        *known = fate;
                    }
                    is_news
                });
                std::future::ready(())
            });
        if let Some((user, password)) = &self.user {
            options = options.user_and_password(user.clone(), password.clone());
        } else if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        if let Some(path) = &self.credentials {
            options = options
                .credentials_file(path)
                .await
                .map_err(|error| cannot_read(path, error.kind()))?;
        }
        if let Some(path) = &self.authorities {
            options = options.add_root_certificates(path.clone());
        }
        if let Some((certificate, key)) = &self.identity {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options.require_tls(self.must_encrypt))
    }
}

fn cannot_read(path: &Path, problem: impl fmt::Display) -> LinkError {
    LinkError::refused(CONNECTING, format!("{} cannot be read: {problem}", path.display()))
}

fn failed_to_connect(error: &ConnectError, secrets: &[String]) -> LinkError {
    let said = said(error, secrets);
    match error.kind() {
        ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::ServerParse
        | ConnectErrorKind::Tls => LinkError::refused(CONNECTING, said),
        _ => LinkError::lost(CONNECTING, said),
    }
}

/// What an error says, without what is secret.
fn said(error: &(dyn std::error::Error + 'static), secrets: &[String]) -> String {
    let mut said = error.to_string();
    for secret in secrets {
        said = said.replace(secret.as_str(), "***");
    }
    said
}

/// What has become of a connection.
#[derive(Clone, Debug)]
enum Fate {
    Lost(&'static str),
    Refused(String),
}

impl Fate {
    fn of(event: Event) -> Option<Self> {
        match event {
            Event::Disconnected | Event::Closed => {
                Some(Self::Lost("the connection has broken off"))
            }
            Event::ClientError(_) => Some(Self::Lost("the server cannot be reached")),
            Event::LameDuckMode => Some(Self::Lost("the server is about to end")),
            Event::SlowConsumer(_) => Some(Self::Lost("messages came faster than they were taken")),
            Event::ServerError(ServerError::AuthorizationViolation) => {
                Some(Self::Refused("it is not authorized any more".into()))
            }
            Event::ServerError(error) => Some(Self::Refused(error.to_string())),
            Event::Connected | Event::Draining => None,
        }
    }
}

/// A connection.
#[derive(Clone)]
pub(super) struct Line {
    pub client: Client,
    fate: watch::Receiver<Option<Fate>>,
    secrets: Arc<[String]>,
    timeout: Duration,
}

impl Line {
    /// The error if it has failed.
    pub(super) fn check(&self, doing: &'static str) -> Result<(), LinkError> {
        match &*self.fate.borrow() {
            Some(fate) => Err(self.told(doing, fate)),
            None => Ok(()),
        }
    }

    fn told(&self, doing: &'static str, fate: &Fate) -> LinkError {
        match fate {
            Fate::Lost(problem) => LinkError::lost(doing, problem),
            Fate::Refused(problem) => LinkError::refused(doing, self.without_secrets(problem)),
        }
    }

    fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    pub(super) fn lost(
        &self,
        doing: &'static str,
        error: &(dyn std::error::Error + 'static),
    ) -> LinkError {
        LinkError::lost(doing, said(error, &self.secrets))
    }

    pub(super) fn refused(
        &self,
        doing: &'static str,
        error: &(dyn std::error::Error + 'static),
    ) -> LinkError {
        LinkError::refused(doing, said(error, &self.secrets))
    }

    /// Waits for the end of the connection.
    pub(super) async fn end(&mut self, doing: &'static str) -> LinkError {
        let fate = self.fate.wait_for(Option::is_some).await.ok().and_then(|fate| fate.clone());
        self.told(doing, &fate.unwrap_or(Fate::Lost("the client has ended")))
    }

    /// Waits for something as long as the connection lasts, and not longer than the server may take.
    pub(super) async fn within<T>(
        &mut self,
        doing: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, LinkError> {
        let time = self.timeout;
        tokio::select! {
            biased;
            done = tokio::time::timeout(time, work) => {
                done.map_err(|_| LinkError::lost(doing, format!("no answer for {time:?}")))
            }
            error = self.end(doing) => Err(error),
        }
    }

    /// The same; what fails is lost.
    pub(super) async fn wait<T, E: std::error::Error + 'static>(
        &mut self,
        doing: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, LinkError> {
        let done = self.within(doing, work).await?;
        done.map_err(|error| self.lost(doing, &error))
    }
}
