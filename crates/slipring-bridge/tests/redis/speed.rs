//! Figures, beside those of the bare client: `cargo test --release -- --ignored --nocapture speed`.

use std::time::{Duration, Instant};

use redis::AsyncConnectionConfig;
use slipring_bridge::{Connect, Listen, Outgoing, RedisIn, RedisOut};

use crate::{
    STREAM,
    common::redis_server::{GONE, RedisServer, SYNCED},
    links::{lane, run, settle, take_done},
};

const TIME: Duration = Duration::from_secs(2);

#[test]
#[ignore = "it measures"]
fn speed() {
    for (name, settings) in [("in memory", GONE), ("synced", SYNCED)] {
        for size in [1, 16, 256, 1_024] {
            let bridge = run(through_bridge(RedisServer::start(settings), size));
            let bare = run(bare(RedisServer::start(settings), size));
            println!("{name}, batches of {size}: {bridge:.0}/s, the client alone {bare:.0}/s");
        }
    }
    let incoming = run(reading(RedisServer::start(GONE)));
    println!("reading and settling: {incoming:.0}/s");
}

/// Batches of one size, up to 1,024 events unconfirmed.
async fn through_bridge(server: RedisServer, size: usize) -> f64 {
    let mut link = RedisOut::new(server.url(), STREAM).connect().await.unwrap();
    let parcels = lane("a", 0..500_000);
    let begin = Instant::now();
    let (mut sent, mut confirmed) = (0, 0);
    while begin.elapsed() < TIME && sent + size <= parcels.len() {
        while sent - confirmed + size <= 1_024 && sent + size <= parcels.len() {
            link.submit(&parcels[sent..sent + size]).await.unwrap();
            sent += size;
        }
        confirmed += link.confirmed().await.unwrap();
    }
    confirmed as f64 / begin.elapsed().as_secs_f64()
}

/// A pipeline of `XADD` for each batch, with as many under way.
async fn bare(server: RedisServer, size: usize) -> f64 {
    use futures_util::stream::{FuturesOrdered, StreamExt};
    let client = redis::Client::open(server.url()).unwrap();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    let parcels = lane("a", 0..500_000);
    let begin = Instant::now();
    let (mut sent, mut confirmed) = (0, 0);
    let mut flying = FuturesOrdered::new();
    while begin.elapsed() < TIME && sent + size <= parcels.len() {
        while sent - confirmed + size <= 1_024 && sent + size <= parcels.len() {
            let mut pipeline = redis::pipe();
            for parcel in &parcels[sent..sent + size] {
                let add = pipeline.cmd("XADD").arg(STREAM).arg("*");
                let _ = parcel.headers(|name, value| {
                    add.arg(name).arg(value);
                    std::ops::ControlFlow::Continue(())
                });
                add.arg("payload").arg(parcel.payload.as_slice()).ignore();
            }
            let mut connection = connection.clone();
            flying.push_back(async move { pipeline.exec_async(&mut connection).await });
            sent += size;
        }
        flying.next().await.unwrap().unwrap();
        confirmed += size;
    }
    confirmed as f64 / begin.elapsed().as_secs_f64()
}

async fn reading(server: RedisServer) -> f64 {
    let parcels = lane("a", 0..100_000);
    let mut out = RedisOut::new(server.url(), STREAM).connect().await.unwrap();
    out.submit(&parcels).await.unwrap();
    crate::links::confirm(&mut out, parcels.len()).await.unwrap();
    let mut link = RedisIn::new(server.url(), STREAM, "g").listen(1_024).await.unwrap();
    let begin = Instant::now();
    let found = take_done(&mut link, parcels.len()).await.unwrap();
    assert_eq!(found.len(), parcels.len());
    settle(&mut link, &[], &slipring_bridge::Settled::Done).await.unwrap();
    parcels.len() as f64 / begin.elapsed().as_secs_f64()
}
