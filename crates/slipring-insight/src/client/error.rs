//! Why there is nothing more to see, and what to do about it.

use std::{error::Error, fmt, io, time::Duration};

use crate::{Address, figure};

/// Why a [`Feed`](crate::Feed) has nothing to show, or nothing more.
#[derive(Debug)]
#[non_exhaustive]
pub enum FeedError {
    /// Nobody was reached.
    Connect {
        /// Where.
        address: Address,
        /// What the system says.
        error: io::Error,
    },
    /// The server lets nobody else in; it says why.
    Refused(String),
    /// The server speaks another version.
    Version {
        /// The server's.
        theirs: u64,
        /// This crate's.
        ours: u64,
    },
    /// What came is no message of a slipring program; how it is wrong.
    Garbage(String),
    /// A line does not end.
    TooLong {
        /// The longest that is read, in bytes.
        bytes_max: usize,
    },
    /// No whole line came for so long.
    Silent(Duration),
    /// The program has ended, or does not serve any more.
    Ended,
    /// The connection failed.
    Broken(io::Error),
}

impl FeedError {
    pub(super) fn garbage(what: &dyn fmt::Display) -> Self {
        Self::Garbage(what.to_string())
    }
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { address, error } => write!(
                f,
                "nobody is reached at {address} ({error}): is the program running, and does it serve there?"
            ),
            Self::Refused(reason) => {
                write!(
                    f,
                    "the program lets nobody in: {reason}; close one of them, or raise its limit"
                )
            }
            Self::Version { theirs, ours } => write!(
                f,
                "the program speaks version {theirs}, and this one version {ours}: \
                 build both with the same release of slipring-insight"
            ),
            Self::Garbage(what) => write!(
                f,
                "what came is not what a slipring program sends ({what}): is it another program's address?"
            ),
            Self::TooLong { bytes_max } => write!(
                f,
                "a line is longer than {} bytes: is it another program's address?",
                figure::grouped(u64::try_from(*bytes_max).unwrap_or(u64::MAX))
            ),
            Self::Silent(time) => write!(
                f,
                "nothing has come for {}: is the program stopped, or the machine overloaded?",
                figure::span(*time)
            ),
            Self::Ended => f.write_str("the program has ended, or has stopped serving"),
            Self::Broken(error) => write!(f, "the connection failed ({error}): connect again"),
        }
    }
}

impl Error for FeedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect { error, .. } | Self::Broken(error) => Some(error),
            _ => None,
        }
    }
}
