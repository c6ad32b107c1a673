//! The reactive layer: operators beside models, time that tests set, and publishers that have to wait.
//!
//! No clock decides here: where time matters, it goes by when a test says so; where threads do, a wait that is never
//! rewarded is ended after a minute.

mod common;
mod ends;
mod errors;
mod models;
mod observe_on;
mod pressure;
mod replay;
mod runtimes;
mod subject;
mod time;
