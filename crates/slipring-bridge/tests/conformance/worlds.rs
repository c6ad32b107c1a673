//! The brokers: each a server of the test's own, with the links to it.

use slipring_bridge::{Connect, Incoming, LinkError, Listen};

use crate::harness::{WINDOW, until};

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
pub trait World: Sized + Sync {
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

    /// What one of several inboxes of a group listens to that share what comes, in no order.
    fn member(&self, place: &str, group: &str, member: usize) -> Self::In;

    /// The same, as [`hasty_input`](Self::hasty_input): what a member that has ended had comes soon to the others.
    fn hasty_member(&self, place: &str, group: &str, member: usize) -> Self::In {
        self.member(place, group, member)
    }

    /// How many connections the server has.
    fn connections(&self) -> usize;

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

/// A link that is lost is made again, as an inbox does.
fn listen_once(input: &impl Listen) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    until("it listens", || match runtime.block_on(input.listen(WINDOW)) {
        Ok(link) => {
            runtime.block_on(link.close());
            true
        }
        Err(LinkError::Lost { .. }) => false,
        Err(error) => panic!("{error}"),
    });
}

/// How many connections somebody has who listens at a port of this machine.
#[cfg(any(feature = "nats", feature = "rabbitmq"))]
fn connections_at(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the system tells");
    let here = format!("0100007F:{port:04X}");
    let is_open = |line: &&str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (place, state) = (words.next(), words.nth(1));
        // But the one that listens, and those of which nobody has anything but the system.
        place == Some(&here) && !matches!(state, Some("0A" | "06"))
    };
    table.lines().filter(is_open).count()
}

#[cfg(feature = "redis")]
pub mod redis {
    use std::time::Duration;

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

        fn member(&self, place: &str, group: &str, member: usize) -> RedisIn {
            self.input(place, group).consumer(format!("member-{member}"))
        }

        fn hasty_member(&self, place: &str, group: &str, member: usize) -> RedisIn {
            self.member(place, group, member).claim_after(Duration::from_secs(1))
        }

        fn connections(&self) -> usize {
            let mut asking = self.0.connection();
            let list: String = ::redis::cmd("CLIENT").arg("LIST").query(&mut asking).unwrap();
            // One of them asks.
            list.lines().count() - 1
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

        /// Several of one name share.
        fn member(&self, place: &str, group: &str, _member: usize) -> JetStreamIn {
            self.input(place, group)
        }

        fn hasty_member(&self, place: &str, group: &str, _member: usize) -> JetStreamIn {
            self.hasty_input(place, group)
        }

        fn connections(&self) -> usize {
            super::connections_at(self.0.port())
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

        fn member(&self, place: &str, group: &str, _member: usize) -> RabbitQueue {
            self.input(place, group).competing()
        }

        fn connections(&self) -> usize {
            super::connections_at(self.server.port())
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
