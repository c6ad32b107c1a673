//! Stores that keep events, each as a program would use it that wants its events back: by position, and by topic and
//! time.

pub mod bare_redb;
pub mod bare_redis;
pub mod journalled;
pub mod on_slipring;
pub mod plot;
pub mod server;
pub mod sqlite;
pub mod table;

use std::{error::Error, path::Path};

/// How many topics the events have, in turn.
pub const TOPICS: usize = 8;

const NAMES: [&str; TOPICS] = [
    "order.created",
    "order.paid",
    "order.sent",
    "order.cancelled",
    "stock.added",
    "stock.deducted",
    "mail.sent",
    "mail.returned",
];

/// What is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since 1970; later ones have more.
    pub time: u64,
    /// What it is called.
    pub topic: &'static str,
    /// 64 bytes, as an order in a compact form has.
    pub payload: [u8; 64],
}

/// What was read, so that it can be compared with what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many events.
    pub events: u64,
    /// The first eight bytes of each payload, in order, folded.
    pub fold: u64,
}

impl Seen {
    /// With one more event.
    #[inline]
    pub fn note(&mut self, payload: &[u8]) {
        let number = payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.events += 1;
        self.fold = (self.fold.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Whatever a store has to say.
pub type Fault = Box<dyn Error + Send + Sync>;

/// A store that is open and empty.
pub trait Store {
    /// Appends events at once; on the disk when it returns, if that is asked for.
    ///
    /// # Errors
    /// What the store says.
    fn append(&mut self, events: &[Event], synced: bool) -> Result<(), Fault>;

    /// Reads the events of a topic within these times, both ends included, by their times. `None` if it has no way
    /// but to read all.
    ///
    /// # Errors
    /// What the store says.
    fn query(&mut self, topic: &str, from: u64, to: u64) -> Result<Option<Seen>, Fault>;

    /// Reads all events in order.
    ///
    /// # Errors
    /// What the store says.
    fn scan(&mut self) -> Result<Seen, Fault>;

    /// Reads all events into a ring, where a handler sees them. `None` if it has no way to.
    ///
    /// # Errors
    /// What the store says.
    fn replay(&mut self) -> Result<Option<Seen>, Fault> {
        Ok(None)
    }
}

/// Opens an empty store.
pub type Open = fn(&Path, bool) -> Result<Box<dyn Store>, Fault>;

/// What somebody is.
#[derive(Clone, Copy)]
pub enum Form {
    /// A store that is given as many events at once as it is asked to commit.
    Store(Open),
    /// A ring with a store behind it.
    Journal(journalled::Publish),
}

/// Somebody who takes part.
#[derive(Clone, Copy)]
pub struct Contestant {
    /// What it is called in tables.
    pub name: &'static str,
    /// What it is.
    pub form: Form,
}

impl Contestant {
    const fn store(name: &'static str, open: Open) -> Self {
        Self { name, form: Form::Store(open) }
    }

    const fn journal(name: &'static str, publish: journalled::Publish) -> Self {
        Self { name, form: Form::Journal(publish) }
    }
}

/// All of them, ours first.
pub const CONTESTANTS: [Contestant; 8] = [
    Contestant::store("slipring-store", on_slipring::embedded),
    Contestant::journal("ring + journal", journalled::ring),
    Contestant::journal("bus + journal", journalled::bus),
    Contestant::store("redb, blocks", bare_redb::blocks),
    Contestant::store("redb, rows", bare_redb::rows),
    Contestant::store("SQLite", sqlite::open),
    Contestant::store("slipring-store, Redis", on_slipring::redis),
    Contestant::store("Redis, XADD", bare_redis::open),
];

/// The event of that number.
#[must_use]
pub fn event(number: u64) -> Event {
    let mut payload = [0x5a; 64];
    payload[..8].copy_from_slice(&number.to_le_bytes());
    let topic = NAMES[(number % TOPICS as u64) as usize];
    Event { time: 1_767_225_600_000_000_000 + number * 1_000, topic, payload }
}
