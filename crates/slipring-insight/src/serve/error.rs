//! Why rings cannot be shown at an address, and what to do about it.

use std::{error::Error, fmt, io, path::PathBuf};

use crate::Address;

/// Why a [`Service`](crate::Service) cannot start.
///
/// # Examples
/// ```
/// use slipring_insight::{ServeError, Service};
///
/// let first = Service::new("orders").start(&"127.0.0.1:0".parse()?)?;
/// let second = Service::new("orders").start(first.address());
/// assert!(matches!(second, Err(ServeError::Taken { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// Another program listens there.
    Taken {
        /// Where.
        address: Address,
    },
    /// At the path of the socket is something else, which is left alone.
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system allows no socket so long a path, or none to the folder beside it in which the socket is made.
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// No socket can be made in its folder.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The folder of the socket is locked, and stays so: servers lock it while they look whether the path is free.
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// In the folder of the socket, programs that crashed have left too many folders.
    Leftovers {
        /// The folder.
        folder: PathBuf,
    },
    /// The system does not let it listen there.
    Listen {
        /// Where.
        address: Address,
        /// What the system says.
        error: io::Error,
    },
    /// The system has no thread for it.
    Thread(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { address } => {
                write!(f, "another program listens at {address}: end it, or serve somewhere else")
            }
            Self::NotASocket { path } => {
                write!(f, "{} is there and is no socket: use another path", path.display())
            }
            Self::TooLong { path } => write!(
                f,
                "the path {} is too long for a socket, which is made in a folder beside it: \
                 use a shorter folder, such as one in /run or /tmp",
                path.display()
            ),
            Self::Folder { folder, error } => write!(
                f,
                "no socket can be made in {} ({error}): is it there, and may this user write in it?",
                folder.display()
            ),
            Self::Locked { folder } => write!(
                f,
                "another program keeps {} locked: end it, or use another folder",
                folder.display()
            ),
            Self::Leftovers { folder } => write!(
                f,
                "programs that crashed have left too many folders in {0}: remove {0}/.slipring-*",
                folder.display()
            ),
            Self::Listen { address, error } => {
                write!(f, "nobody can listen at {address} ({error}): serve somewhere else")
            }
            Self::Thread(error) => {
                write!(f, "there is no thread to serve on ({error}): raise the limit of threads")
            }
        }
    }
}

impl Error for ServeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Folder { error, .. } | Self::Listen { error, .. } | Self::Thread(error) => {
                Some(error)
            }
            _ => None,
        }
    }
}
