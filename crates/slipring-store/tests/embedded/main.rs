//! The embedded store: that it does what the one in memory does, and loses nothing, whatever happens to its files.
#![cfg(feature = "embedded")]

mod common;
mod model;
mod speed;
