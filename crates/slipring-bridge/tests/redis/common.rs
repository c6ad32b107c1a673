//! The server.

#[path = "../../../slipring-store/tests/common/redis_server.rs"]
#[allow(dead_code, reason = "others need more of it")]
pub mod redis_server;
