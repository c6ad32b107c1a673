//! The server.

#[path = "../common/nats_server.rs"]
#[allow(dead_code, reason = "others need more of it")]
pub mod nats_server;
