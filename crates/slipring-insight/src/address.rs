//! Where a ring is shown: on this machine, and nowhere else.

use std::{
    error::Error,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

const UNIX: &str = "unix:";

/// A place on this machine to show rings at: a TCP port of the loopback, or a unix socket.
///
/// Every user of the machine can connect to a port, if it is bound to the loopback; a unix socket is
/// its owner's alone.
///
/// # Examples
/// ```
/// use slipring_insight::{Address, AddressError};
///
/// for good in ["127.0.0.1:7070", "[::1]:0", "unix:/run/orders.sock"] {
///     assert_eq!(good.parse::<Address>()?.to_string(), good);
/// }
/// let public = "0.0.0.0:7070".parse::<Address>();
/// assert!(matches!(public, Err(AddressError::NotLoopback(_))));
/// # Ok::<(), AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address(Place);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Of the loopback.
    Port(SocketAddr),
    Socket(PathBuf),
}

impl Address {
    /// A port of the loopback; the system chooses one if it is 0.
    ///
    /// # Errors
    ///
    /// Returns [`AddressError::NotLoopback`] for an address that others could reach.
    ///
    /// # Examples
    /// ```
    /// use slipring_insight::Address;
    ///
    /// assert!(Address::port(([127, 0, 0, 1], 0).into()).is_ok());
    /// ```
    pub fn port(address: SocketAddr) -> Result<Self, AddressError> {
        if address.ip().is_loopback() {
            Ok(Self(Place::Port(address)))
        } else {
            Err(AddressError::NotLoopback(address))
        }
    }

    /// A unix socket. Systems without them refuse it when it is used.
    ///
    /// # Examples
    /// ```
    /// use slipring_insight::Address;
    ///
    /// assert_eq!(Address::socket("/run/orders.sock").to_string(), "unix:/run/orders.sock");
    /// ```
    pub fn socket(path: impl AsRef<Path>) -> Self {
        Self(Place::Socket(path.as_ref().to_owned()))
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix(UNIX) {
            let unreadable = || AddressError::Unreadable(text.to_owned());
            return if path.is_empty() { Err(unreadable()) } else { Ok(Self::socket(path)) };
        }
        // Not looked up: whatever else that name may stand for elsewhere, here it is this machine.
        let address = match text.strip_prefix("localhost:") {
            Some(port) => {
                port.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok()
            }
            None => text.parse().ok(),
        };
        Self::port(address.ok_or_else(|| AddressError::Unreadable(text.to_owned()))?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Port(address) => address.fmt(f),
            Place::Socket(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// An address at which no ring can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// Others than this machine could reach it.
    NotLoopback(SocketAddr),
    /// It is neither an address with a port nor a path.
    Unreadable(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(address) => {
                let port = address.port();
                write!(
                    f,
                    "{address} is no address of the loopback, and rings are shown on their own machine only: \
                     use 127.0.0.1:{port} or unix:/path, and from elsewhere \
                     `ssh -L {port}:127.0.0.1:{port} host`"
                )
            }
            Self::Unreadable(text) => {
                write!(f, "{text:?} is no address: write 127.0.0.1:7070, [::1]:7070 or unix:/path")
            }
        }
    }
}

impl Error for AddressError {}
