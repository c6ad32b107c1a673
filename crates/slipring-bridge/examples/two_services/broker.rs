//! The broker: as the services see it, and as who has it started.

use std::process::Command;

use clap::ValueEnum;

use super::{Fault, service::Service};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Rabbitmq,
    Redis,
    Nats,
}

/// One that runs, with its files in a directory of its own. It ends when it is dropped.
pub trait Server {
    /// Where it is.
    fn url(&self) -> String;
    /// Kills it (SIGKILL). What it has on its disk stays.
    fn kill(&mut self);
    /// Starts it again, with what it has on its disk.
    fn restart(&mut self);
    /// Waits until it knows for good what the services have made in it.
    fn settle(&self) {}
}

impl Kind {
    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rabbitmq => "rabbitmq",
            Self::Redis => "redis",
            Self::Nats => "nats",
        }
    }

    #[cfg(not(all(feature = "rabbitmq", feature = "redis", feature = "nats")))]
    fn is_missing<T>(self) -> Result<T, Fault> {
        let name = self.name();
        Err(format!(
            "this program was built without {name}: build it with `--features {name}`, or with `--all-features`"
        )
        .into())
    }

    /// Whether its server can be started at all.
    fn look_for(self) -> Result<(), Fault> {
        let program = match self {
            Self::Rabbitmq => "rabbitmq-server",
            Self::Redis => "redis-server",
            Self::Nats => "nats-server",
        };
        let look = "command -v \"$1\" || [ -x \"/usr/lib/rabbitmq/bin/$1\" ]";
        let found = Command::new("sh").args(["-c", look, "sh", program]).output()?;
        if found.status.success() {
            return Ok(());
        }
        Err(format!("there is no {program}: install it, or choose another broker").into())
    }

    /// Starts one.
    pub fn start(self) -> Result<Box<dyn Server>, Fault> {
        self.look_for()?;
        match self {
            #[cfg(feature = "rabbitmq")]
            Self::Rabbitmq => Ok(Box::new(super::servers::rabbit_server::RabbitServer::start(""))),
            #[cfg(feature = "redis")]
            Self::Redis => {
                use super::servers::redis_server::{RedisServer, SYNCED};
                Ok(Box::new(RedisServer::start(SYNCED)))
            }
            #[cfg(feature = "nats")]
            Self::Nats => Ok(Box::new(super::servers::nats_server::NatsServer::start())),
            #[cfg(not(all(feature = "rabbitmq", feature = "redis", feature = "nats")))]
            _ => self.is_missing(),
        }
    }

    /// Runs a service between its two streams, or queues, of the broker there.
    pub fn connect(self, url: &str, service: Service) -> Result<(), Fault> {
        let (name, sends, hears) = (service.who.name(), service.who.sends(), service.who.hears());
        match self {
            #[cfg(feature = "rabbitmq")]
            Self::Rabbitmq => {
                use slipring_bridge::{Rabbit, RabbitOutlet, RabbitQueue};
                let rabbit = Rabbit::new(url)?;
                let outlet = RabbitOutlet::to_queue(RabbitQueue::new(rabbit.clone(), sends)?);
                service.run(outlet, RabbitQueue::new(rabbit, hears)?)
            }
            #[cfg(feature = "redis")]
            Self::Redis => {
                use slipring_bridge::{RedisIn, RedisOut};
                let out = RedisOut::new(url, sends).must_sync();
                service.run(out, RedisIn::new(url, hears, name))
            }
            #[cfg(feature = "nats")]
            Self::Nats => {
                use slipring_bridge::{JetStream, JetStreamIn, JetStreamOut};
                let stream = |name: &str| JetStream::new(url, name.to_uppercase(), name);
                // What a service had when it was killed comes again after a second.
                let input = JetStreamIn::new(stream(hears), name)
                    .wait_for_settlement(std::time::Duration::from_secs(1));
                service.run(JetStreamOut::new(stream(sends)), input)
            }
            #[cfg(not(all(feature = "rabbitmq", feature = "redis", feature = "nats")))]
            _ => {
                let _ = (url, service, name, sends, hears);
                self.is_missing()
            }
        }
    }
}

macro_rules! server {
    ($server:ty $(, $settle:item)?) => {
        impl Server for $server {
            fn url(&self) -> String {
                <$server>::url(self)
            }

            fn kill(&mut self) {
                <$server>::kill(self);
            }

            fn restart(&mut self) {
                <$server>::restart(self);
            }

            $($settle)?
        }
    };
}

#[cfg(feature = "redis")]
server!(super::servers::redis_server::RedisServer);
#[cfg(feature = "nats")]
server!(super::servers::nats_server::NatsServer);
#[cfg(feature = "rabbitmq")]
server!(
    super::servers::rabbit_server::RabbitServer,
    /// Version 3 writes down its queues seconds after it has made them.
    fn settle(&self) {
        self.wait_until_it_has_noted(super::service::Who::Orders.sends());
        self.wait_until_it_has_noted(super::service::Who::Orders.hears());
    }
);
