//! Why an attempt has failed: an error, or a panic, be it of the handler or of what else belongs to the user.

use std::{any::Any, panic::AssertUnwindSafe};

use crate::delivery::HandlerError;

/// Why an attempt has failed.
pub(crate) struct Failed {
    pub error: HandlerError,
    pub panicked: bool,
}

impl Failed {
    pub fn by_panic(payload: &(dyn Any + Send)) -> Self {
        Self { error: told(payload).into(), panicked: true }
    }

    /// What the error says. It is the user's, as all that is caught is.
    pub fn tell(&self) -> String {
        tell(&self.error)
    }
}

/// What an error says, which is the user's.
pub(super) fn tell(error: &HandlerError) -> String {
    let told = caught(|| error.to_string());
    told.unwrap_or_else(|panicked| format!("an error that cannot be shown: {}", panicked.error))
}

/// Calls what belongs to the user besides the handler: what panics there is a failure as well, and stops nobody.
#[inline]
pub(super) fn caught<T>(code: impl FnOnce() -> T) -> Result<T, Failed> {
    std::panic::catch_unwind(AssertUnwindSafe(code)).map_err(|payload| Failed::by_panic(&*payload))
}

/// What a panic tells.
fn told(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic that tells nothing").to_owned()
}
