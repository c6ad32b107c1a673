//! What a store in a Redis server has to keep besides what all stores do: servers that do not sync, that are killed,
//! that forget, that hold damaged data, that lie.

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod damage;
mod durability;
mod expiry;
mod failover;
mod faults;
mod proxy;
mod server;
