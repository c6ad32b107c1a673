//! What is shown, made of what has happened.
//!
//! A projection's values and how far it has come are committed together, and that commit expects it to have come as far
//! as whoever made it thinks. So an event counts once, whenever the program ends, and whoever else runs the same one.

mod apply;
mod halt;
mod live;
mod names;
mod parked;
mod projector;
mod recovery;
mod runner;
mod running;
mod steps;
mod values;
mod view;

pub use halt::{Halt, StartError, WaitError, WhenStoreFails};
pub use live::{Live, LiveBuilder, MODELS, Model};
pub use names::PROJECTIONS;
pub use parked::{OnFailure, Parked, RetryError};
pub use projector::{Projection, Projector};
pub use runner::{ProjectorState, ProjectorStatus};
pub use running::Running;
pub use steps::{Stepped, Steps};
pub(crate) use values::{Changes, read_value};
pub use values::{Fault, Values};
pub use view::{ProjectionView, ShownVersion};
