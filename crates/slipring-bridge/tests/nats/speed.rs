//! Figures, beside those of the bare client: `cargo test --release -- --ignored --nocapture speed`.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesOrdered, StreamExt};
use slipring_bridge::{Connect, Listen, Outgoing};

use crate::{
    bare,
    common::nats_server::NatsServer,
    input,
    links::{confirm, lane, run, take_done},
    out,
};

const TIME: Duration = Duration::from_secs(2);
const WINDOW: usize = 1_024;

#[test]
#[ignore = "it measures"]
fn speed() {
    for size in [1, 16, 256, 1_024] {
        let bridge = run(through_bridge(size));
        println!("batches of {size}: {bridge:.0}/s");
    }
    println!("the client alone: {:.0}/s", run(alone()));
    println!("reading and settling: {:.0}/s", run(reading()));
}

async fn through_bridge(size: usize) -> f64 {
    let server = NatsServer::start();
    let mut link = out(&server).connect().await.unwrap();
    let parcels = lane("a", 0..500_000);
    let begin = Instant::now();
    let (mut sent, mut confirmed) = (0, 0);
    while begin.elapsed() < TIME && sent + size <= parcels.len() {
        while sent - confirmed + size <= WINDOW && sent + size <= parcels.len() {
            link.submit(&parcels[sent..sent + size]).await.unwrap();
            sent += size;
        }
        confirmed += link.confirmed().await.unwrap();
    }
    confirmed as f64 / begin.elapsed().as_secs_f64()
}

/// The same headers and payloads, with as many under way.
async fn alone() -> f64 {
    let server = NatsServer::start();
    drop(out(&server).connect().await.unwrap());
    let context = bare(&server).await;
    let parcels = lane("a", 0..500_000);
    let begin = Instant::now();
    let (mut sent, mut confirmed) = (0, 0);
    let mut flying = FuturesOrdered::new();
    while begin.elapsed() < TIME && sent < parcels.len() {
        while sent - confirmed < WINDOW && sent < parcels.len() {
            let parcel = &parcels[sent];
            let mut headers = async_nats::HeaderMap::new();
            let _ = parcel.headers(|name, value| {
                headers.insert(name, value);
                std::ops::ControlFlow::Continue(())
            });
            let payload = parcel.payload.clone().into();
            let ack = context.publish_with_headers("shop.orders.x", headers, payload).await;
            flying.push_back(ack.unwrap().into_future());
            sent += 1;
        }
        flying.next().await.unwrap().unwrap();
        confirmed += 1;
    }
    confirmed as f64 / begin.elapsed().as_secs_f64()
}

async fn reading() -> f64 {
    let server = NatsServer::start();
    let parcels = lane("a", 0..50_000);
    let mut link = out(&server).connect().await.unwrap();
    link.submit(&parcels).await.unwrap();
    confirm(&mut link, parcels.len()).await.unwrap();
    let mut link = input(&server).listen(WINDOW).await.unwrap();
    let begin = Instant::now();
    assert_eq!(take_done(&mut link, parcels.len()).await.unwrap().len(), parcels.len());
    parcels.len() as f64 / begin.elapsed().as_secs_f64()
}
