//! Failures for those who listen to `tracing`; nothing if the feature is off. Never anything for an event that is
//! handled.

/// An attempt has failed: a warning, target `slipring::events`.
#[cfg(feature = "tracing")]
pub(crate) fn failed(handler: &str, sequence: u64, attempt: u32, error: &str) {
    tracing::warn!(target: "slipring::events", handler, sequence, attempt, error, "a handler has failed");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn failed(_: &str, _: u64, _: u32, _: &str) {}

/// An event goes to the dead letters: an error, target `slipring::events`.
#[cfg(feature = "tracing")]
pub(crate) fn dead(handler: &str, sequence: u64, reason: &crate::delivery::letters::Reason) {
    tracing::error!(target: "slipring::events", handler, sequence, %reason, "a dead letter");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn dead(_: &str, _: u64, _: &crate::delivery::letters::Reason) {}
