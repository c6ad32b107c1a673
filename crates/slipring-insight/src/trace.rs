//! Alerts for those who listen to `tracing`; nothing if the feature is off.

use crate::alert::Alert;
#[cfg(feature = "tracing")]
use crate::alert::Turn;

/// One warning, target `slipring`.
#[cfg(feature = "tracing")]
pub(crate) fn alert(alert: &Alert) {
    let Alert { turn, rule, ring, station, .. } = alert;
    let turn = match turn {
        Turn::Raised => "raised",
        Turn::Cleared => "cleared",
    };
    let (rule, station) = (rule.name(), station.as_deref());
    tracing::warn!(target: "slipring", alert = turn, rule, ring, station, "{alert}");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn alert(_: &Alert) {}
