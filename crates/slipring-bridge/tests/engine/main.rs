//! Outbox and inbox with a broker in memory between them.

mod bus;
mod exactly_once;
mod inbox;
mod odd_links;
mod on_disk;
mod outbox;
mod ring;
mod sim;
mod world;
