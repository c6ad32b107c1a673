//! What all of these tests need.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::BasicGetMessage,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions},
    types::FieldTable,
};
use slipring_bridge::{
    Connect, Delivery, Incoming, Listen, Outgoing, Parcel, Rabbit, RabbitIncoming, RabbitOutgoing,
    RabbitOutlet, RabbitQueue, Settled, Settlement, Stamp,
};

use crate::common::rabbit_server::RabbitServer;

/// Longer than anything here may take, on whatever machine.
pub const LONG: Duration = Duration::from_mins(2);

/// Runs it, on a thread as a bridge has one, and not for ever.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONG, work).await.expect("it takes too long") })
}

/// A name that no other test has.
pub fn name(what: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{what}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn rabbit() -> Rabbit {
    at(RabbitServer::shared().port())
}

/// Whoever listens there; a busy machine may take its time.
pub fn at(port: u16) -> Rabbit {
    let url = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
    Rabbit::new(&url).unwrap().patience(Duration::from_mins(1))
}

pub fn queue(name: &str) -> RabbitQueue {
    RabbitQueue::new(rabbit(), name).unwrap()
}

pub async fn out(queue: &RabbitQueue) -> RabbitOutgoing {
    RabbitOutlet::to_queue(queue.clone()).connect().await.unwrap()
}

pub async fn hear(queue: &RabbitQueue, window: usize) -> RabbitIncoming {
    queue.listen(window).await.unwrap()
}

/// A client of the protocol that knows nothing of bridges.
pub async fn bare() -> Channel {
    let url = RabbitServer::shared().url();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    connection.create_channel().await.unwrap()
}

/// The next one of a queue, taken away, if there is one.
pub async fn get(channel: &Channel, queue: &str) -> Option<BasicGetMessage> {
    channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap()
}

/// How many wait in a queue, under way to nobody, and how many listen to it.
pub async fn waiting(channel: &Channel, queue: &str) -> (u32, u32) {
    let options = QueueDeclareOptions::durable().passive();
    let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    (queue.message_count(), queue.consumer_count())
}

/// How many wait in a queue when nobody listens to it any more.
pub async fn left(channel: &Channel, queue: &str) -> u32 {
    loop {
        if let (left, 0) = waiting(channel, queue).await {
            return left;
        }
    }
}

/// The reason in a dead letter.
pub fn reason(message: &BasicGetMessage) -> String {
    let headers = message.properties.headers().as_ref().unwrap();
    let Some(lapin::types::AMQPValue::LongString(text)) =
        headers.inner().get(slipring_bridge::header::REASON)
    else {
        panic!("there is no reason")
    };
    String::from_utf8(text.as_bytes().to_vec()).unwrap()
}

pub async fn publish(channel: &Channel, queue: &str, properties: BasicProperties, payload: &[u8]) {
    let options = BasicPublishOptions::default();
    let publish = channel.basic_publish("".into(), queue.into(), options, payload, properties);
    publish.await.unwrap().await.unwrap();
}

/// One with a stamp: it has been sent behind the one before it.
pub fn parcel(sequence: u64) -> Parcel {
    let mut parcel = Parcel::new("order.created", format!("payload {sequence}"));
    let previous = sequence.checked_sub(1);
    parcel.stamp = Some(Stamp { lane: "shop/all".into(), sequence, previous });
    parcel
}

pub fn parcels(sequences: impl Iterator<Item = u64>) -> Vec<Parcel> {
    sequences.map(parcel).collect()
}

/// Sends them, and waits until the server has all of them.
pub async fn send(link: &mut RabbitOutgoing, parcels: &[Parcel]) {
    for some in parcels.chunks(256) {
        link.submit(some).await.unwrap();
        let mut confirmed = 0;
        while confirmed < some.len() {
            confirmed += link.confirmed().await.unwrap();
        }
        assert_eq!(confirmed, some.len());
    }
}

/// Waits for so many, and not for more.
pub async fn receive(link: &mut RabbitIncoming, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        let (before, most) = (deliveries.len(), (count - deliveries.len()).min(100));
        link.receive(most, &mut deliveries).await.unwrap();
        assert!((1..=most).contains(&(deliveries.len() - before)), "at least one, at most {most}");
    }
    deliveries
}

/// What is in a delivery: it is a parcel.
pub fn content(delivery: &Delivery) -> &Parcel {
    delivery.content.as_ref().unwrap()
}

pub fn sequence(delivery: &Delivery) -> u64 {
    content(delivery).stamp.as_ref().unwrap().sequence
}

pub fn sequences(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(sequence).collect()
}

pub fn settlement(delivery: &Delivery, settled: Settled) -> Settlement {
    Settlement { tag: delivery.tag, settled }
}

pub fn done(deliveries: &[Delivery]) -> Vec<Settlement> {
    deliveries.iter().map(|delivery| settlement(delivery, Settled::Done)).collect()
}
