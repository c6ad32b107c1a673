//! Redis, with a sync before it confirms, and without.

use redis::{
    AsyncCommands, AsyncConnectionConfig, Value,
    aio::MultiplexedConnection,
    streams::{StreamReadOptions, StreamReadReply},
};
use slipring_bridge::{Parcel, RedisIn, RedisOut};

use crate::{
    Broker, Flight,
    client::{Confirmed, Receiver, Sender},
    redis_server::{GONE, RedisServer, SYNCED},
};

const GROUP: &str = "all";

pub struct Redis<const SYNCS: bool>(RedisServer);

pub type Synced = Redis<true>;
pub type InMemory = Redis<false>;

impl<const SYNCS: bool> Redis<SYNCS> {
    pub fn start() -> Self {
        Self(RedisServer::start(if SYNCS { SYNCED } else { GONE }))
    }

    async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.0.url()).expect("it is an address");
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        connection.await.expect("the server is there")
    }
}

impl<const SYNCS: bool> Broker for Redis<SYNCS> {
    const NAME: &'static str = if SYNCS { "Redis, synced" } else { "Redis, in memory" };
    const PACE: u64 = if SYNCS { 60_000 } else { 150_000 };
    const FLIGHTS: &'static [Flight] = &[
        Flight { window: 1, batch: 1 },
        Flight { window: 16, batch: 16 },
        Flight { window: 256, batch: 256 },
        Flight { window: 1_024, batch: 1 },
        Flight { window: 1_024, batch: 16 },
        Flight { window: 1_024, batch: 256 },
        Flight { window: 4_096, batch: 256 },
        Flight { window: 4_096, batch: 1_024 },
    ];
    const RATES: &'static [u64] = &[500, 2_000, 10_000];

    type Out = RedisOut;
    type In = RedisIn;
    type Sender = Pipeline;
    type Receiver = Group;

    fn out(&self, place: &str) -> RedisOut {
        RedisOut::new(self.0.url(), place)
    }

    fn input(&self, place: &str) -> RedisIn {
        RedisIn::new(self.0.url(), place, GROUP)
    }

    async fn sender(&self, place: &str) -> Pipeline {
        Pipeline { connection: self.connection().await, place: place.to_owned() }
    }

    async fn receiver(&self, place: &str, _window: usize) -> Group {
        Group { connection: self.connection().await, place: place.to_owned() }
    }

    async fn clean(&self, place: &str) {
        let mut connection = self.connection().await;
        let () = connection.del(place).await.expect("the server is there");
    }
}

pub struct Pipeline {
    connection: MultiplexedConnection,
    place: String,
}

impl Sender for Pipeline {
    const MOST: usize = 256;

    async fn send(&mut self, events: &[Parcel]) -> Confirmed {
        let mut pipeline = redis::pipe();
        for event in events {
            let add = pipeline.cmd("XADD").arg(&self.place).arg("*");
            let _ = event.headers(|name, value| {
                add.arg(name).arg(value);
                std::ops::ControlFlow::Continue(())
            });
            add.arg("payload").arg(event.payload.as_slice()).ignore();
        }
        let mut connection = self.connection.clone();
        Box::pin(async move {
            pipeline.exec_async(&mut connection).await.expect("the server takes it");
        })
    }
}

pub struct Group {
    connection: MultiplexedConnection,
    place: String,
}

impl Receiver for Group {
    async fn receive(&mut self, see: &mut (dyn FnMut(&[u8]) + Send)) -> u64 {
        let options = StreamReadOptions::default().group(GROUP, "bare").count(512).block(1_000);
        let reply: Option<StreamReadReply> = self
            .connection
            .xread_options(&[&self.place], &[">"], &options)
            .await
            .expect("it is there");
        let mut ids = Vec::new();
        for entry in reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids) {
            match entry.map.get("payload") {
                Some(Value::BulkString(payload)) => see(payload),
                other => panic!("no payload: {other:?}"),
            }
            ids.push(entry.id);
        }
        if !ids.is_empty() {
            let done: usize =
                self.connection.xack(&self.place, GROUP, &ids).await.expect("it is there");
            assert_eq!(done, ids.len());
        }
        ids.len() as u64
    }
}
