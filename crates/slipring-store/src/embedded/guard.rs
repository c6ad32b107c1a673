//! The first guard: what redb says or does when it meets damaged bytes becomes an error of ours.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::StoreError;

/// Where redb says that something is damaged. It does not go on then.
const DATABASE: &str = "the database";

/// Whether the database can still be written to after an error: it was found before anything was written, and all that
/// was begun has been undone.
pub(super) fn is_harmless(error: &StoreError) -> bool {
    match error {
        StoreError::Refused(_) => true,
        StoreError::Damaged { place, .. } => &**place != DATABASE,
        _ => false,
    }
}

/// Calls redb. A panic in there is damage: redb trusts the bytes that it wrote, and somebody else has written others.
///
/// Nothing of ours may be called back in there.
pub(super) fn guarded<T, E: From<StoreError>>(run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(StoreError::damaged(DATABASE, text(&*panic)).into()))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else {
        "it cannot be read"
    }
}

/// Says what the store was doing when redb failed.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T, E: Into<redb::Error>> Doing<T> for Result<T, E> {
    #[inline]
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| failed(doing, error.into()))
    }
}

#[cold]
fn failed(doing: &'static str, error: redb::Error) -> StoreError {
    use redb::Error;
    match error {
        // A file that is shorter than it should be, or one that holds something else.
        Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            StoreError::damaged(DATABASE, error)
        }
        Error::Io(error) => StoreError::Io { doing, error },
        error @ (Error::PreviousIo | Error::DatabaseClosed | Error::LockPoisoned(_)) => {
            StoreError::Io { doing, error: io::Error::other(error.to_string()) }
        }
        error => StoreError::damaged(DATABASE, error),
    }
}
