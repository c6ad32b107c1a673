//! Links to a Redis server: a real one.

#[path = "../common/certificates.rs"]
mod certificates;
mod common;
#[path = "../common/links.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod links;
#[path = "../../../slipring-store/tests/redis/proxy.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod proxy;

mod faults;
mod groups;
mod secrets;
mod sending;
mod settling;
#[allow(clippy::cast_precision_loss, reason = "figures to look at")]
mod speed;
mod tls;

use slipring_bridge::{Connect, LinkError, Listen, Outgoing, RedisIn, RedisOut};

use common::redis_server::{RedisServer, SYNCED};

/// The stream of all tests: each has a server of its own.
const STREAM: &str = "orders";

fn server() -> RedisServer {
    RedisServer::start(SYNCED)
}

fn out(server: &RedisServer) -> RedisOut {
    RedisOut::new(server.url(), STREAM)
}

fn input(server: &RedisServer) -> RedisIn {
    RedisIn::new(server.url(), STREAM, "billing")
}

/// Sends them over one link.
async fn send(out: &RedisOut, parcels: &[slipring_bridge::Parcel]) -> Result<(), LinkError> {
    let mut link = out.connect().await?;
    link.submit(parcels).await?;
    links::confirm(&mut link, parcels.len()).await
}

/// All that is in the stream, read by a group of its own.
async fn all(server: &RedisServer, group: &str) -> Vec<slipring_bridge::Parcel> {
    let count: usize = length(server, STREAM);
    let listen = RedisIn::new(server.url(), STREAM, group);
    let mut link = listen.listen(count.max(1)).await.unwrap();
    links::take_done(&mut link, count).await.unwrap()
}

fn length(server: &RedisServer, stream: &str) -> usize {
    redis::cmd("XLEN").arg(stream).query(&mut server.connection()).unwrap()
}

/// How many entries the group has that are not settled.
fn pending(server: &RedisServer) -> i64 {
    let mut command = redis::cmd("XPENDING");
    let value: redis::Value =
        command.arg(STREAM).arg("billing").query(&mut server.connection()).unwrap();
    match value {
        redis::Value::Array(values) => match values[0] {
            redis::Value::Int(count) => count,
            _ => panic!("{values:?}"),
        },
        value => panic!("{value:?}"),
    }
}

#[test]
fn nothing_asks_for_all_keys() {
    let server = server();
    links::run(async {
        send(&out(&server).keep_entries(10), &links::lane("a", 0..500)).await.unwrap();
        let mut link = input(&server).listen(100).await.unwrap();
        links::take_done(&mut link, 500).await.unwrap();
    });
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query(&mut server.connection()).unwrap();
    assert!(stats.contains("cmdstat_xadd:") && stats.contains("cmdstat_xreadgroup:"), "{stats}");
    assert!(!stats.contains("cmdstat_keys:") && !stats.contains("cmdstat_scan:"), "{stats}");
}
