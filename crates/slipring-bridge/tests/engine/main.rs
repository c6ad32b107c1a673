//! Outbox and inbox with a broker in memory between them.

mod exactly_once;
mod sim;
mod world;
