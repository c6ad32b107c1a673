//! How fast it is, beside the client alone. It is no test of anything:
//! `cargo test --release -p slipring-bridge --features rabbitmq --test rabbit -- --ignored --nocapture speed`.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt};
use lapin::{
    BasicProperties, Channel,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions,
    },
    types::{AMQPValue, FieldTable},
};
use slipring_bridge::{Connect, Incoming, Outgoing, Parcel, RabbitOutlet, Unrouted, header};

use crate::tools::*;

/// How many bytes a payload has.
const SIZE: usize = 256;

fn some(count: usize) -> Vec<Parcel> {
    let mut parcels = parcels(0..count as u64);
    for parcel in &mut parcels {
        parcel.payload = vec![b'x'; SIZE];
    }
    parcels
}

/// So many in batches, each sent when the one before it is confirmed: by a link, and by the client alone.
async fn in_batches(batch: usize, count: usize) -> [Duration; 2] {
    let (queue, parcels) = (queue(&name("speed")), some(count));
    let mut link = out(&queue).await;
    let begin = Instant::now();
    for some in parcels.chunks(batch) {
        send(&mut link, some).await;
    }
    let ours = begin.elapsed();
    let name = name("bare");
    let channel = confirmed_channel(&name).await;
    let begin = Instant::now();
    for some in parcels.chunks(batch) {
        let mut confirms = Vec::with_capacity(batch);
        for parcel in some {
            confirms.push(bare_publish(&channel, &name, &parcel.payload).await);
        }
        for confirm in confirms {
            confirm.await.unwrap();
        }
    }
    [ours, begin.elapsed()]
}

/// So many with at most 1,024 under way.
async fn in_a_window(count: usize, unrouted: Unrouted) -> [Duration; 2] {
    let (queue, parcels) = (queue(&name("speed")), some(count));
    let outlet = RabbitOutlet::to_queue(queue).unrouted(unrouted);
    let mut link = outlet.connect().await.unwrap();
    let begin = Instant::now();
    let (mut sent, mut confirmed) = (0, 0);
    while confirmed < count {
        if sent < count && sent - confirmed <= 1_024 - 128 {
            let end = count.min(sent + 128);
            link.submit(&parcels[sent..end]).await.unwrap();
            sent = end;
        } else {
            confirmed += link.confirmed().await.unwrap();
        }
    }
    let ours = begin.elapsed();
    let name = name("bare");
    let channel = confirmed_channel(&name).await;
    let begin = Instant::now();
    let mut confirms = VecDeque::new();
    for parcel in &parcels {
        confirms.push_back(bare_publish(&channel, &name, &parcel.payload).await);
        while confirms.front_mut().is_some_and(|confirm| confirm.now_or_never().is_some()) {
            confirms.pop_front();
        }
        if confirms.len() >= 1_024 {
            confirms.pop_front().unwrap().await.unwrap();
        }
    }
    for confirm in confirms {
        confirm.await.unwrap();
    }
    [ours, begin.elapsed()]
}

/// So many received and acknowledged: by a link, a batch at a time, and by the client alone, one at a time.
async fn received(count: usize) -> [Duration; 2] {
    let name = name("speed");
    let queue = queue(&name);
    let parcels = some(count);
    let mut from = out(&queue).await;
    let mut took = [Duration::ZERO; 2];
    send(&mut from, &parcels).await;
    let begin = Instant::now();
    let mut link = hear(&queue, 1_024).await;
    let mut seen = 0;
    while seen < count {
        let mut deliveries = Vec::new();
        link.receive(512, &mut deliveries).await.unwrap();
        seen += deliveries.len();
        link.settle(&done(&deliveries)).await.unwrap();
    }
    took[0] = begin.elapsed();
    link.close().await;
    send(&mut from, &parcels).await;
    let begin = Instant::now();
    let channel = bare().await;
    channel.basic_qos(1_024, BasicQosOptions::default()).await.unwrap();
    let options = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume(name.as_str().into(), "".into(), options, FieldTable::default());
    let mut consumer = consumer.await.unwrap();
    for _ in 0..count {
        let delivery = consumer.next().await.unwrap().unwrap();
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    took[1] = begin.elapsed();
    took
}

async fn confirmed_channel(name: &str) -> Channel {
    // The same kind of queue.
    out(&queue(name)).await.close().await;
    let channel = bare().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

/// As many as a link sends.
fn headers() -> FieldTable {
    let mut headers = FieldTable::default();
    for (name, value) in [
        (header::LANE, "shop/all"),
        (header::SEQUENCE, "1234 1233"),
        (header::TIME, "1700000000123456789"),
        (header::TOPIC, "order.created"),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    headers
}

async fn bare_publish(channel: &Channel, queue: &str, payload: &[u8]) -> lapin::PublisherConfirm {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_timestamp(1_700_000_000)
        .with_type("order.created".into())
        .with_headers(headers());
    channel.basic_publish("".into(), queue.into(), options, payload, properties).await.unwrap()
}

/// The shortest of some rounds, in which the two take turns: others may use the machine as well.
struct Best {
    what: String,
    count: usize,
    took: [Duration; 2],
}

impl Best {
    fn new(what: &str, count: usize) -> Self {
        Self { what: what.to_owned(), count, took: [Duration::MAX; 2] }
    }

    fn add(&mut self, round: [Duration; 2]) {
        for (best, took) in self.took.iter_mut().zip(round) {
            *best = took.min(*best);
        }
    }

    fn tell(&self) {
        let count = f64::from(u32::try_from(self.count).unwrap());
        let [ours, bare] = self.took.map(|took| count / took.as_secs_f64());
        println!("{}: {ours:.0}/s, the client alone {bare:.0}/s", self.what);
    }
}

#[test]
#[ignore = "it measures"]
fn speed() {
    let sizes = [(1, 100), (16, 1_600), (256, 5_120), (1_024, 10_240)];
    let mut batches = sizes.map(|(batch, count)| Best::new(&format!("batches of {batch}"), count));
    let mut window = Best::new("at most 1,024 under way", 10_000);
    let mut dropped = Best::new("the same, what nobody gets is dropped", 10_000);
    let mut into = Best::new("received", 10_000);
    for _ in 0..5 {
        for ((batch, count), best) in sizes.into_iter().zip(&mut batches) {
            best.add(run(in_batches(batch, count)));
        }
        window.add(run(in_a_window(window.count, Unrouted::Refuse)));
        dropped.add(run(in_a_window(dropped.count, Unrouted::Drop)));
        into.add(run(received(into.count)));
    }
    for best in batches.iter().chain([&window, &dropped, &into]) {
        best.tell();
    }
}
