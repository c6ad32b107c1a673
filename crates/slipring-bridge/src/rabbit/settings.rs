//! How a server is reached.

use std::{fmt, fs, path::PathBuf, time::Duration};

use lapin::{
    tcp::{OwnedIdentity, OwnedTLSConfig},
    types::ShortString,
    uri::{AMQPScheme, AMQPUri, SASLMechanism},
};

use crate::LinkError;

/// How a RabbitMQ server is reached: where it is, who asks, and what of a connection is to be.
///
/// Neither its `Debug` nor any error shows the password. A password and certificates in files are read anew for each
/// connection.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use slipring_bridge::Rabbit;
///
/// let rabbit = Rabbit::new("amqp://shop:secret@localhost:5672/%2f")?
///     .connection_name("orders")
///     .heartbeat(Duration::from_secs(5))
///     .patience(Duration::from_secs(3));
/// assert!(!format!("{rabbit:?}").contains("secret"));
///
/// let wrong = Rabbit::new("http://shop:secret@localhost/").unwrap_err();
/// assert!(!wrong.to_string().contains("secret"));
/// # Ok::<(), slipring_bridge::RabbitError>(())
/// ```
#[derive(Clone)]
pub struct Rabbit {
    uri: AMQPUri,
    password: Password,
    authority: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    pub(super) patience: Duration,
    pub(super) name: String,
}

#[derive(Clone)]
enum Password {
    InUri,
    InFile(PathBuf),
}

/// Settings of RabbitMQ that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RabbitError {
    /// An address that is none. It is not repeated here: there may be a password in it.
    #[error(
        "this is no address of a RabbitMQ server: {problem}; it should be like amqp://user:password@host:5672/vhost"
    )]
    Url {
        /// What is wrong with it.
        problem: Box<str>,
    },
    /// A variable of the environment that is missing, or of no use.
    #[error("environment variable {name}: {problem}")]
    Variable {
        /// Which one.
        name: Box<str>,
        /// What is wrong with it.
        problem: Box<str>,
    },
    /// A name of an exchange or a queue, a binding or a setting of a queue that the protocol does not allow.
    #[error("`{name}`: {problem}")]
    Name {
        /// Which one, up to 64 characters of it.
        name: Box<str>,
        /// What is wrong with it.
        problem: Box<str>,
    },
}

impl RabbitError {
    fn url(problem: impl Into<Box<str>>) -> Self {
        Self::Url { problem: problem.into() }
    }

    pub(super) fn name(name: &str, problem: impl Into<Box<str>>) -> Self {
        Self::Name {
            name: name.chars().take(64).collect::<String>().into(),
            problem: problem.into(),
        }
    }
}

/// Without the password.
impl fmt::Debug for Rabbit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uri, password: _, authority, identity, patience, name } = self;
        f.debug_struct("Rabbit")
            .field("scheme", &uri.scheme)
            .field("host", &uri.authority.host)
            .field("port", &uri.authority.port)
            .field("user", &uri.authority.userinfo.username)
            .field("vhost", &uri.vhost)
            .field("heartbeat", &uri.query.heartbeat)
            .field("certificate_authority", authority)
            .field("client_certificate", &identity.as_ref().map(|(certificate, _)| certificate))
            .field("patience", patience)
            .field("connection_name", name)
            .finish_non_exhaustive()
    }
}

/// What may stand behind the question mark of an address.
const PARAMETERS: &[&str] =
    &["auth_mechanism", "channel_max", "connection_timeout", "frame_max", "heartbeat"];

impl Rabbit {
    /// A server at an address: `amqp://user:password@host:port/vhost`, or `amqps://` for TLS. What is left out is
    /// `guest`, `guest`, `localhost`, 5672 or 5671, and `/`. A vhost that is `/` is written `%2f`, and so is any other
    /// character that an address cannot have. Behind a question mark there may be `heartbeat` (seconds),
    /// `connection_timeout` (milliseconds: the [`patience`](Self::patience)), `auth_mechanism` (`plain`, `external`),
    /// `frame_max` and `channel_max`.
    ///
    /// # Errors
    /// It is no such address, or has a parameter that is not known.
    pub fn new(url: &str) -> Result<Self, RabbitError> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let name = parameter.split('=').next().unwrap_or_default();
            if !PARAMETERS.contains(&name) {
                let known = PARAMETERS.join(", ");
                return Err(RabbitError::url(format!(
                    "it has a parameter that is none of {known}"
                )));
            }
        }
        let Some((scheme, place)) = place.split_once("://") else {
            return Err(RabbitError::url("it does not begin with amqp:// or amqps://"));
        };
        if !["amqp", "amqps"].contains(&scheme) {
            return Err(RabbitError::url("it does not begin with amqp:// or amqps://"));
        }
        // What the parser says could have a piece of the password in it.
        let mut uri: AMQPUri =
            url.parse().map_err(|_: String| RabbitError::url("a part of it cannot be read"))?;
        let host = place.split('/').next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        // The parser takes names and addresses of four numbers, and localhost for whatever else.
        if let Some((address, _)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            address.clone_into(&mut uri.authority.host);
        }
        // An address that ends in a slash would have a vhost without a name.
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        if uri.query.heartbeat.is_none() {
            uri.query.heartbeat = Some(10);
        }
        let patience = uri.query.connection_timeout.unwrap_or(10_000);
        Ok(Self {
            uri,
            password: Password::InUri,
            authority: None,
            identity: None,
            patience: Duration::from_millis(patience.max(1)),
            name: "slipring".to_owned(),
        })
    }

    /// A server that the environment names: `PREFIX_URL`, or `PREFIX_HOST`, `PREFIX_PORT`, `PREFIX_USER`,
    /// `PREFIX_VHOST` of which each may be left out. The password is in `PREFIX_PASSWORD`, or in the file
    /// `PREFIX_PASSWORD_FILE`, if not in the URL. `PREFIX_CA_FILE` turns on TLS unless there is a URL.
    ///
    /// # Errors
    /// None of them is there, or one is of no use.
    ///
    /// # Examples
    /// ```
    /// use slipring_bridge::{Rabbit, RabbitError};
    ///
    /// let error = Rabbit::from_environment("NOBODY_HAS_SET_THIS").unwrap_err();
    /// assert!(error.to_string().contains("NOBODY_HAS_SET_THIS_URL"));
    /// ```
    pub fn from_environment(prefix: &str) -> Result<Self, RabbitError> {
        Self::from_variables(prefix, |name| std::env::var(name).ok())
    }

    /// As [`from_environment`](Self::from_environment), with variables from elsewhere: another file, or a test.
    ///
    /// # Errors
    /// None of them is there, or one is of no use.
    pub fn from_variables(
        prefix: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, RabbitError> {
        let get =
            |name: &str| variable(&format!("{prefix}_{name}")).filter(|text| !text.is_empty());
        let wrong = |name: &str, problem: &str| RabbitError::Variable {
            name: format!("{prefix}_{name}").into(),
            problem: problem.into(),
        };
        let mut rabbit = if let Some(url) = get("URL") {
            Self::new(&url)?
        } else if let Some(host) = get("HOST") {
            let mut rabbit = Self::new("amqp://localhost")?;
            rabbit.uri.authority.host = host;
            if get("CA_FILE").is_some() {
                rabbit.uri.scheme = AMQPScheme::AMQPS;
                rabbit.uri.authority.port = rabbit.uri.scheme.default_port();
            }
            rabbit
        } else {
            return Err(wrong("URL", "it is not set, nor is the one that ends in _HOST"));
        };
        if let Some(port) = get("PORT") {
            rabbit.uri.authority.port =
                port.parse().map_err(|_| wrong("PORT", "it is no number of a port"))?;
        }
        if let Some(user) = get("USER") {
            rabbit.uri.authority.userinfo.username = user;
        }
        if let Some(vhost) = get("VHOST") {
            rabbit.uri.vhost = vhost;
        }
        match (get("PASSWORD"), get("PASSWORD_FILE")) {
            (Some(_), Some(_)) => {
                return Err(wrong("PASSWORD", "the one that ends in _FILE is set, too: which?"));
            }
            (Some(password), None) => rabbit.uri.authority.userinfo.password = password,
            (None, Some(file)) => rabbit = rabbit.password_file(file),
            (None, None) => {}
        }
        if let Some(file) = get("CA_FILE") {
            rabbit = rabbit.certificate_authority(file);
        }
        Ok(rabbit)
    }

    /// Who asks.
    #[must_use = "it is built by value, another is returned"]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.uri.authority.userinfo.username = user.into();
        self.uri.authority.userinfo.password = password.into();
        self.password = Password::InUri;
        self
    }

    /// Takes the password from a file, for each connection anew. A line break at its end does not count.
    #[must_use = "it is built by value, another is returned"]
    pub fn password_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.password = Password::InFile(file.into());
        self
    }

    /// Which virtual host.
    #[must_use = "it is built by value, another is returned"]
    pub fn vhost(mut self, vhost: impl Into<String>) -> Self {
        self.uri.vhost = vhost.into();
        self
    }

    /// Trusts the certificates in a file (PEM), beside those of the machine. The address must begin with `amqps`.
    #[must_use = "it is built by value, another is returned"]
    pub fn certificate_authority(mut self, file: impl Into<PathBuf>) -> Self {
        self.authority = Some(file.into());
        self
    }

    /// Shows the server a certificate (two files, PEM). The address must begin with `amqps`. The server still wants a
    /// password unless the address says `?auth_mechanism=external`.
    #[must_use = "it is built by value, another is returned"]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// How often both sides give a sign of life: every 10 seconds unless told otherwise, from 1 second to 18 hours. A
    /// connection from which nothing came for twice that time is [`Lost`](LinkError::Lost). The server may insist on
    /// less.
    #[must_use = "it is built by value, another is returned"]
    pub fn heartbeat(mut self, every: Duration) -> Self {
        let seconds = every.as_secs().saturating_add(u64::from(every.subsec_nanos() > 0));
        self.uri.query.heartbeat = Some(u16::try_from(seconds.max(1)).unwrap_or(u16::MAX));
        self
    }

    /// How long the server may take to let a link be ready, to take a dead letter, and to end a connection in good order:
    /// 10 seconds unless told otherwise.
    #[must_use = "it is built by value, another is returned"]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.max(Duration::from_millis(1));
        self
    }

    /// What the server calls the connections in its lists: `slipring` unless told otherwise.
    #[must_use = "it is built by value, another is returned"]
    pub fn connection_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The address with the password in it.
    pub(super) fn address(&self) -> Result<AMQPUri, LinkError> {
        let mut uri = self.uri.clone();
        if let Password::InFile(file) = &self.password {
            let text = read(file, "reading the password")?;
            text.trim_end_matches(['\r', '\n']).clone_into(&mut uri.authority.userinfo.password);
        }
        let user = &uri.authority.userinfo;
        let is_plain = !matches!(uri.query.auth_mechanism, Some(SASLMechanism::External));
        if is_plain && (user.username.contains('\0') || user.password.contains('\0')) {
            return Err(LinkError::refused("signing in", "user and password cannot have a NUL"));
        }
        Ok(uri)
    }

    pub(super) fn tls(&self) -> Result<OwnedTLSConfig, LinkError> {
        const DOING: &str = "preparing TLS";
        if self.uri.scheme == AMQPScheme::AMQP {
            if self.authority.is_some() || self.identity.is_some() {
                let problem = "there are certificates, but the address is one without TLS: let it begin with amqps://";
                return Err(LinkError::refused(DOING, problem));
            }
            return Ok(OwnedTLSConfig::default());
        }
        let cert_chain = match &self.authority {
            Some(file) => {
                let text = read(file, DOING)?;
                if !text.contains("-----BEGIN CERTIFICATE-----") {
                    let problem =
                        format!("there is no certificate in PEM form in {}", file.display());
                    return Err(LinkError::refused(DOING, problem));
                }
                Some(text)
            }
            None => None,
        };
        let identity = match &self.identity {
            Some((certificate, key)) => Some(OwnedIdentity::PKCS8 {
                pem: read(certificate, DOING)?.into_bytes(),
                key: read(key, DOING)?.into_bytes(),
            }),
            None => None,
        };
        Ok(OwnedTLSConfig { identity, cert_chain })
    }
}

fn read(file: &PathBuf, doing: &'static str) -> Result<String, LinkError> {
    fs::read_to_string(file)
        .map_err(|error| LinkError::refused(doing, format!("{}: {error}", file.display())))
}

/// A name as the protocol has room for it.
pub(super) fn short(name: &str) -> Result<ShortString, RabbitError> {
    ShortString::try_new(name).map_err(|_| {
        RabbitError::name(name, "it has more than 255 bytes, which AMQP has no room for")
    })
}
