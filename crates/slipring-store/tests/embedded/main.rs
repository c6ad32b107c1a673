//! The embedded store: that it does what the one in memory does, and loses nothing, whatever happens to its files.
#![cfg(feature = "embedded")]

mod common;
mod damage;
mod disk;
mod failing;
mod index;
mod kill;
mod large;
mod log;
mod model;
mod opening;
mod power;
mod speed;
mod threads;
