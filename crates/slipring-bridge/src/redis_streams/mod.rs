//! Streams of a Redis server.
//!
//! [`RedisOut`] appends to a stream, [`RedisIn`] reads one as a member of a group. An entry of the stream has a field for
//! each [header](crate::header) and one, `payload`, for the body. Beside a stream `orders` there are `orders.lanes`, a
//! hash of the last sequence of each lane, and `orders.dead`, a stream of dead letters. In a cluster these belong
//! together if the name of the stream is in braces, as `{orders}`.

mod durable;
mod entry;
mod incoming;
mod outgoing;
mod reader;
mod reply;
mod scripts;
mod server;

pub use durable::RedisDurability;
pub use incoming::{RedisIn, RedisIncoming};
pub use outgoing::{RedisOut, RedisOutgoing};
pub use server::RedisServer;
