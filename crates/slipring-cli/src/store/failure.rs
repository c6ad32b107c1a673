//! What can go wrong, and what the exit code says of it.

use std::{fmt, io};

use slipring_store::{CommitError, StoreError, lines::WriteError};

#[derive(Debug)]
pub enum Failure {
    /// The other end of the pipe is closed.
    NobodyReads,
    /// Something is damaged.
    Damaged(String),
    /// It cannot be done.
    Impossible(String),
}

impl Failure {
    pub fn code(&self) -> u8 {
        match self {
            Self::NobodyReads => 0,
            Self::Damaged(_) => 1,
            Self::Impossible(_) => 2,
        }
    }

    /// With what was being done.
    pub fn while_(self, doing: impl fmt::Display) -> Self {
        match self {
            Self::NobodyReads => self,
            Self::Damaged(problem) => Self::Damaged(format!("{doing}: {problem}")),
            Self::Impossible(problem) => Self::Impossible(format!("{doing}: {problem}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyReads => f.write_str("nobody reads what is written"),
            Self::Damaged(problem) | Self::Impossible(problem) => f.write_str(problem),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } => Self::Damaged(error.to_string()),
            _ => Self::Impossible(error.to_string()),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error.into(),
            _ => Self::Impossible(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::NobodyReads
        } else {
            Self::Impossible(error.to_string())
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => error.into(),
            _ => Self::Damaged(error.to_string()),
        }
    }
}
