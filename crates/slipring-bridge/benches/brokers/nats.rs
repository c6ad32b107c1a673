//! NATS `JetStream`.

use async_nats::{
    HeaderMap,
    jetstream::{self, Context, consumer::PullConsumer},
};
use futures_util::StreamExt;
use slipring_bridge::{JetStream, JetStreamIn, JetStreamOut, Parcel};

use crate::{
    Broker, Flight, TOPIC,
    client::{Confirmed, Receiver, Sender},
    nats_server::NatsServer,
};

pub struct Nats(NatsServer);

impl Nats {
    pub fn start() -> Self {
        Self(NatsServer::start())
    }

    fn stream(&self, place: &str) -> JetStream {
        JetStream::new(self.0.url(), place, place)
    }

    async fn context(&self) -> Context {
        jetstream::new(async_nats::connect(self.0.url()).await.expect("the server is there"))
    }
}

impl Broker for Nats {
    const NAME: &'static str = "NATS JetStream";
    const PACE: u64 = 40_000;
    const FLIGHTS: &'static [Flight] = &[
        Flight { window: 1, batch: 1 },
        Flight { window: 16, batch: 1 },
        Flight { window: 256, batch: 1 },
        Flight { window: 1_024, batch: 1 },
        Flight { window: 4_096, batch: 1 },
    ];
    const RATES: &'static [u64] = &[500, 2_000, 5_000];

    type Out = JetStreamOut;
    type In = JetStreamIn;
    type Sender = Publisher;
    type Receiver = Messages;

    fn out(&self, place: &str) -> JetStreamOut {
        JetStreamOut::new(self.stream(place))
    }

    fn input(&self, place: &str) -> JetStreamIn {
        JetStreamIn::new(self.stream(place), "all")
    }

    async fn sender(&self, place: &str) -> Publisher {
        Publisher { context: self.context().await, subject: format!("{place}.{TOPIC}") }
    }

    async fn receiver(&self, place: &str, _window: usize) -> Messages {
        let stream = self.context().await.get_stream(place).await.expect("it is there");
        let consumer: PullConsumer = stream.get_consumer("all").await.expect("it is there");
        let messages = consumer.stream().max_messages_per_batch(1_024).messages().await;
        Messages { messages: messages.expect("the server is there") }
    }

    async fn clean(&self, place: &str) {
        self.context().await.delete_stream(place).await.expect("it is there");
    }
}

pub struct Publisher {
    context: Context,
    subject: String,
}

impl Sender for Publisher {
    const MOST: usize = 1;

    async fn send(&mut self, events: &[Parcel]) -> Confirmed {
        let [event] = events else { unreachable!("one a call") };
        let mut headers = HeaderMap::new();
        let _ = event.headers(|name, value| {
            headers.insert(name, value);
            std::ops::ControlFlow::Continue(())
        });
        let payload = event.payload.clone().into();
        let publish = self.context.publish_with_headers(self.subject.clone(), headers, payload);
        let confirmed = publish.await.expect("the server is there").into_future();
        Box::pin(async move {
            confirmed.await.expect("the server takes it");
        })
    }
}

pub struct Messages {
    messages: jetstream::consumer::pull::Stream,
}

impl Receiver for Messages {
    async fn receive(&mut self, see: &mut (dyn FnMut(&[u8]) + Send)) -> u64 {
        let message = self.messages.next().await.expect("it goes on").expect("the server is there");
        see(&message.payload);
        message.ack().await.expect("the server is there");
        1
    }
}
