//! `RabbitMQ`: a durable queue, persistent messages.

use futures_util::{FutureExt, StreamExt};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};
use slipring_bridge::{Parcel, Rabbit, RabbitOutlet, RabbitQueue};

use crate::{
    Broker, Flight, TOPIC,
    client::{Confirmed, Receiver, Sender},
    rabbit_server::RabbitServer,
};

pub struct RabbitMq(RabbitServer);

impl RabbitMq {
    pub fn start() -> Self {
        Self(RabbitServer::start(""))
    }

    fn queue(&self, place: &str) -> RabbitQueue {
        let rabbit = Rabbit::new(&self.0.url()).expect("it is an address");
        RabbitQueue::new(rabbit, place).expect("it is a name")
    }

    async fn channel(&self) -> (Connection, Channel) {
        let url = self.0.url();
        let connection = Connection::connect(&url, ConnectionProperties::default()).await;
        let connection = connection.expect("the server is there");
        let channel = connection.create_channel().await.expect("it has one");
        (connection, channel)
    }
}

impl Broker for RabbitMq {
    const NAME: &'static str = "RabbitMQ";
    const PACE: u64 = 15_000;
    const FLIGHTS: &'static [Flight] = &[
        Flight { window: 1, batch: 1 },
        Flight { window: 16, batch: 1 },
        Flight { window: 256, batch: 1 },
        Flight { window: 1_024, batch: 1 },
        Flight { window: 4_096, batch: 1 },
    ];
    const RATES: &'static [u64] = &[200, 1_000, 3_000];

    type Out = RabbitOutlet;
    type In = RabbitQueue;
    type Sender = Publisher;
    type Receiver = Deliveries;

    fn out(&self, place: &str) -> RabbitOutlet {
        RabbitOutlet::to_queue(self.queue(place))
    }

    fn input(&self, place: &str) -> RabbitQueue {
        self.queue(place)
    }

    async fn sender(&self, place: &str) -> Publisher {
        let (connection, channel) = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("it can");
        Publisher { _connection: connection, channel, place: place.to_owned() }
    }

    async fn receiver(&self, place: &str, window: usize) -> Deliveries {
        let (connection, channel) = self.channel().await;
        let window = u16::try_from(window).expect("it is no more than that");
        channel.basic_qos(window, BasicQosOptions::default()).await.expect("it can");
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(place.into(), "".into(), options, arguments).await;
        Deliveries { _connection: connection, consumer: consumer.expect("the queue is there") }
    }

    async fn clean(&self, place: &str) {
        let (connection, channel) = self.channel().await;
        channel.queue_delete(place.into(), QueueDeleteOptions::default()).await.expect("it can");
        connection.close(200, "".into()).await.expect("it can");
    }
}

pub struct Publisher {
    _connection: Connection,
    channel: Channel,
    place: String,
}

impl Sender for Publisher {
    const MOST: usize = 1;

    async fn send(&mut self, events: &[Parcel]) -> Confirmed {
        let [event] = events else { unreachable!("one a call") };
        let mut headers = FieldTable::default();
        let _ = event.headers(|name, value| {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
            std::ops::ControlFlow::Continue(())
        });
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_timestamp(1_700_000_000)
            .with_type(TOPIC.into())
            .with_headers(headers);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, queue) = ("".into(), self.place.as_str().into());
        let publish =
            self.channel.basic_publish(exchange, queue, options, &event.payload, properties);
        let confirm = publish.await.expect("the server is there");
        Box::pin(async move {
            assert!(confirm.await.expect("the server takes it").is_ack());
        })
    }
}

pub struct Deliveries {
    _connection: Connection,
    consumer: Consumer,
}

impl Receiver for Deliveries {
    async fn receive(&mut self, see: &mut (dyn FnMut(&[u8]) + Send)) -> u64 {
        let mut last =
            self.consumer.next().await.expect("it goes on").expect("the server is there");
        see(&last.data);
        let mut count = 1;
        while count < 512 {
            let Some(Some(next)) = self.consumer.next().now_or_never() else { break };
            last = next.expect("the server is there");
            see(&last.data);
            count += 1;
        }
        last.ack(BasicAckOptions { multiple: true }).await.expect("the server is there");
        count
    }
}
