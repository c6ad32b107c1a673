//! Outbox and inbox with a broker in memory between them.

mod exactly_once;
mod inbox;
mod outbox;
mod sim;
mod world;
