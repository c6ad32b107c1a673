//! A small order service: gateways publish orders, one stage deducts inventory, the next one records
//! revenue, and anybody may ask for the figures meanwhile.
//!
//! Compiled twice: by `production/Cargo.toml` as it runs, by `Cargo.toml` with the model checker's
//! face. Only `sync.rs` knows of that. See `../../README.md`.

mod board;
mod service;
mod stages;
mod sync;

pub use board::{Board, Figures};
pub use service::{Gateway, Service};
pub use stages::{InventoryStage, PRICE, RevenueStage};
