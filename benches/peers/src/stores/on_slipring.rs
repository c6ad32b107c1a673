//! slipring's own stores.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use slipring::{Builder, read};
use slipring_events::Time;
use slipring_store::{
    Batch, CodecError, Durability, Embedded, Entry, EventStore, Query, RedisStore, Replay,
};

use super::{Event, Fault, Seen, Store, journalled::Witness, server::Server};

/// How many events the ring has room for into which a store is replayed.
const RING: usize = 8_192;

struct Ours {
    store: Arc<dyn EventStore>,
    batch: Batch,
    _server: Option<Server>,
}

/// The one in a directory.
///
/// # Errors
/// What the store says.
pub fn embedded(directory: &Path, _synced: bool) -> Result<Box<dyn Store>, Fault> {
    let store = Arc::new(Embedded::open(directory)?);
    Ok(Box::new(Ours { store, batch: Batch::new(), _server: None }))
}

/// The one in a Redis server.
///
/// # Errors
/// What the store says.
pub fn redis(directory: &Path, synced: bool) -> Result<Box<dyn Store>, Fault> {
    let server = Server::start(directory, synced)?;
    let store = Arc::new(RedisStore::connect(server.url(), "bench")?);
    Ok(Box::new(Ours { store, batch: Batch::new(), _server: Some(server) }))
}

impl Store for Ours {
    fn append(&mut self, events: &[Event], synced: bool) -> Result<(), Fault> {
        self.batch.clear();
        for event in events {
            let time = Time::from_nanos(event.time);
            self.batch.append(Entry::at(time, event.topic, &event.payload))?;
        }
        let durability = if synced { Durability::Synced } else { Durability::Visible };
        self.store.commit(&self.batch, durability)?;
        Ok(())
    }

    fn query(&mut self, topic: &str, from: u64, to: u64) -> Result<Option<Seen>, Fault> {
        let times = Time::from_nanos(from)..=Time::from_nanos(to);
        let mut seen = Seen::default();
        self.store.query(&Query::topic(topic).between(times), &mut |record| {
            seen.note(record.payload);
            ControlFlow::Continue(())
        })?;
        Ok(Some(seen))
    }

    fn scan(&mut self) -> Result<Seen, Fault> {
        let mut seen = Seen::default();
        self.store.scan(0, &mut |record| {
            seen.note(record.payload);
            ControlFlow::Continue(())
        })?;
        Ok(seen)
    }
    fn replay(&mut self) -> Result<Option<Seen>, Fault> {
        let witness = Arc::new(Witness::default());
        let (mut producer, dispatcher) = Builder::new(RING, || [0_u8; 64])
            .then(read("seen", {
                let witness = witness.clone();
                move |payload: &[u8; 64], _| witness.see(payload)
            }))
            .start()?;
        Replay::new(self.store.clone()).into_ring(
            &mut producer,
            || [0; 64],
            |record, payload| {
                let unknown = |_| CodecError::unreadable(record.topic, "it has not 64 bytes");
                *payload = record.payload.try_into().map_err(unknown)?;
                Ok(())
            },
        )?;
        drop(producer);
        dispatcher.join()?;
        Ok(Some(witness.seen()))
    }
}
