//! Links to a NATS server: a real one.

#[path = "../common/certificates.rs"]
mod certificates;
mod common;
#[path = "../common/links.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod links;
mod proxy;

mod faults;
mod secrets;
mod sending;
mod settling;
#[allow(clippy::cast_precision_loss, reason = "figures to look at")]
mod speed;
mod streams;
mod tls;

use std::time::Duration;

use async_nats::jetstream;
use slipring_bridge::{
    Connect, JetStream, JetStreamIn, JetStreamOut, LinkError, Listen, Outgoing, Parcel,
};

use common::nats_server::NatsServer;

fn stream(server: &NatsServer) -> JetStream {
    JetStream::new(server.url(), "ORDERS", "shop.orders")
}

fn out(server: &NatsServer) -> JetStreamOut {
    JetStreamOut::new(stream(server))
}

/// It does not wait long for those that broke off.
fn input(server: &NatsServer) -> JetStreamIn {
    JetStreamIn::new(stream(server), "billing").wait_for_settlement(Duration::from_secs(1))
}

/// Sends them over one link.
async fn send(out: &JetStreamOut, parcels: &[Parcel]) -> Result<(), LinkError> {
    let mut link = out.connect().await?;
    link.submit(parcels).await?;
    links::confirm(&mut link, parcels.len()).await
}

async fn bare(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn info(server: &NatsServer, stream: &str) -> jetstream::stream::Info {
    let mut stream = bare(server).await.get_stream(stream).await.unwrap();
    stream.info().await.unwrap().clone()
}

async fn length(server: &NatsServer, stream: &str) -> usize {
    info(server, stream).await.state.messages as usize
}

/// How many messages a consumer has that are not settled.
async fn pending(server: &NatsServer) -> usize {
    let stream = bare(server).await.get_stream("ORDERS").await.unwrap();
    let mut consumer: jetstream::consumer::PullConsumer =
        stream.get_consumer("billing").await.unwrap();
    consumer.info().await.unwrap().num_ack_pending
}

/// All that is in the stream, read by a consumer of its own.
async fn all(server: &NatsServer, name: &str) -> Vec<Parcel> {
    let count = length(server, "ORDERS").await;
    let mut link = JetStreamIn::new(stream(server), name).listen(count.max(1)).await.unwrap();
    links::take_done(&mut link, count).await.unwrap()
}
