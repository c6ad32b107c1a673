//! Event sourcing: aggregates, commands, projections. The promises stand in `promises.rs`, each test called by its row.

#![forbid(unsafe_code)]

mod bank;
mod bus;
mod common;
mod given;
mod idempotence;
mod live;
#[cfg(feature = "embedded")]
mod on_disk;
mod parked;
mod projections;
mod promises;
mod rebuild;
mod repository;
mod snapshots;
mod upcasting;
