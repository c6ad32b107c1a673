//! What has happened, once more: into the same handlers, at the speed of the ring; with proof that it comes to the same,
//! and with changes, to see what would have come of them.

mod hashes;
mod progress;
mod run;
mod sinks;
mod state_hash;
mod what_if;
mod what_if_report;

pub use hashes::{Diverged, HashCheck, HashPoints};
pub use progress::{Progress, ReplayHandle};
pub use run::{Replay, ReplayCause, ReplayError, Replayed};
pub use state_hash::StateHash;
pub use what_if::WhatIf;
pub use what_if_report::{Difference, WhatIfReport};
