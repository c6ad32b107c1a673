//! The brokers: each a server of the test's own, with the links to it.

use slipring_bridge::{Connect, Incoming, Listen};

use crate::harness::WINDOW;

#[cfg(feature = "nats")]
#[path = "../common/nats_server.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod nats_server;
#[cfg(feature = "rabbitmq")]
#[path = "../common/rabbit_server.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod rabbit_server;
#[cfg(feature = "redis")]
#[path = "../../../slipring-store/tests/common/redis_server.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod redis_server;

/// A broker that can be killed, and places in it that one or more groups read.
pub trait World: Sized {
    type Out: Connect;
    type In: Listen;

    /// Whether a group that comes later gets what was sent before.
    const KEEPS: bool;

    fn start() -> Self;

    /// Kills the server (SIGKILL). What is on its disk stays.
    fn kill(&mut self);

    /// Starts it again, with that.
    fn restart(&mut self);

    /// Where an outbox sends to. `alone`: nobody else sends there.
    fn out(&self, place: &str, alone: bool) -> Self::Out;

    /// What an inbox of a group listens to.
    fn input(&self, place: &str, group: &str) -> Self::In;

    /// The same, where a link that breaks off is soon noticed, and somebody who is slow may be taken for one.
    fn hasty_input(&self, place: &str, group: &str) -> Self::In {
        self.input(place, group)
    }

    /// What the broker says of a group.
    fn told(&self, _place: &str, _group: &str) -> String {
        String::new()
    }

    /// Waits until the broker would know after its end what has been made in it.
    fn note(&self) {}

    /// Makes groups that get what is sent from now on, and of which the broker knows after its end.
    fn announce(&self, place: &str, groups: &[&str]) {
        for group in groups {
            listen_once(&self.input(place, group));
        }
        self.note();
    }
}

fn listen_once(input: &impl Listen) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { input.listen(WINDOW).await.unwrap().close().await });
}

#[cfg(feature = "redis")]
pub mod redis {
    use slipring_bridge::{RedisIn, RedisOut};

    use super::{World, redis_server};

    pub struct Redis(redis_server::RedisServer);

    impl World for Redis {
        type Out = RedisOut;
        type In = RedisIn;

        const KEEPS: bool = true;

        fn start() -> Self {
            Self(redis_server::RedisServer::start(redis_server::SYNCED))
        }

        fn kill(&mut self) {
            self.0.kill();
        }

        fn restart(&mut self) {
            self.0.restart();
        }

        fn out(&self, place: &str, _alone: bool) -> RedisOut {
            RedisOut::new(self.0.url(), place).must_sync()
        }

        fn input(&self, place: &str, group: &str) -> RedisIn {
            RedisIn::new(self.0.url(), place, group)
        }
    }
}

#[cfg(feature = "nats")]
pub mod nats {
    use std::time::Duration;

    use slipring_bridge::{JetStream, JetStreamIn, JetStreamOut};

    use super::{World, nats_server};

    pub struct Nats(nats_server::NatsServer);

    impl Nats {
        fn stream(&self, place: &str) -> JetStream {
            JetStream::new(self.0.url(), place, place)
        }
    }

    impl World for Nats {
        type Out = JetStreamOut;
        type In = JetStreamIn;

        const KEEPS: bool = true;

        fn start() -> Self {
            Self(nats_server::NatsServer::start())
        }

        fn kill(&mut self) {
            self.0.kill();
        }

        fn restart(&mut self) {
            self.0.restart();
        }

        fn out(&self, place: &str, alone: bool) -> JetStreamOut {
            let out = JetStreamOut::new(self.stream(place));
            if alone { out } else { out.shared() }
        }

        fn input(&self, place: &str, group: &str) -> JetStreamIn {
            JetStreamIn::new(self.stream(place), group).wait_for_settlement(Duration::from_mins(1))
        }

        fn hasty_input(&self, place: &str, group: &str) -> JetStreamIn {
            self.input(place, group).wait_for_settlement(Duration::from_secs(1))
        }

        fn told(&self, place: &str, group: &str) -> String {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let client = async_nats::connect(self.0.url()).await.unwrap();
                let context = async_nats::jetstream::new(client);
                let stream = context.get_stream(place).await.unwrap();
                format!("{:?} {:?}", stream.cached_info().state, stream.consumer_info(group).await)
            })
        }
    }
}

#[cfg(feature = "rabbitmq")]
pub mod rabbit {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use slipring_bridge::{Rabbit, RabbitOutlet, RabbitQueue};

    use super::{World, listen_once, rabbit_server};

    pub struct RabbitMq {
        server: rabbit_server::RabbitServer,
        notes: AtomicU32,
    }

    impl RabbitMq {
        fn rabbit(&self) -> Rabbit {
            Rabbit::new(&self.server.url()).unwrap().patience(Duration::from_mins(1))
        }
    }

    /// An exchange for each place, and a queue for each group.
    impl World for RabbitMq {
        type Out = RabbitOutlet;
        type In = RabbitQueue;

        const KEEPS: bool = false;

        fn start() -> Self {
            let server = rabbit_server::RabbitServer::start("");
            Self { server, notes: AtomicU32::new(0) }
        }

        fn kill(&mut self) {
            self.server.kill();
        }

        fn restart(&mut self) {
            self.server.restart();
        }

        fn out(&self, place: &str, _alone: bool) -> RabbitOutlet {
            RabbitOutlet::to_exchange(self.rabbit(), place).unwrap()
        }

        fn input(&self, place: &str, group: &str) -> RabbitQueue {
            let queue = RabbitQueue::new(self.rabbit(), &format!("{place}.{group}")).unwrap();
            queue.bind(place, "#").unwrap()
        }

        /// It writes down in order what it is told: when it has the last queue, it has what was made before.
        fn note(&self) {
            // Relaxed. It is a number by itself.
            let name = format!("note-{}", self.notes.fetch_add(1, Ordering::Relaxed));
            listen_once(&RabbitQueue::new(self.rabbit(), &name).unwrap());
            self.server.wait_until_it_has_noted(&name);
        }
    }
}
