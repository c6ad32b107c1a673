//! Redis without anything around it: an entry of a stream for each event, sent in one pipeline.

use std::path::Path;

use redis::{Connection, FromRedisValue as _, Value, pipe};

use super::{Event, Fault, Seen, Store, server::Server};

/// How many entries are read at once.
const PAGE: usize = 4_096;

struct Bare {
    connection: Connection,
    end: u64,
    _server: Server,
}

/// A stream in a new server.
///
/// # Errors
/// What the server says.
pub fn open(directory: &Path, synced: bool) -> Result<Box<dyn Store>, Fault> {
    let server = Server::start(directory, synced)?;
    let connection = redis::Client::open(server.url())?.get_connection()?;
    Ok(Box::new(Bare { connection, end: 0, _server: server }))
}

impl Store for Bare {
    fn append(&mut self, events: &[Event], _synced: bool) -> Result<(), Fault> {
        let mut pipe = pipe();
        pipe.atomic();
        for (position, event) in (self.end + 1..).zip(events) {
            pipe.cmd("XADD")
                .arg("events")
                .arg(format!("{position}-0"))
                .arg(("topic", event.topic, "time", event.time, "payload", &event.payload[..]))
                .ignore();
        }
        pipe.query::<()>(&mut self.connection)?;
        self.end += events.len() as u64;
        Ok(())
    }

    fn query(&mut self, _topic: &str, _from: u64, _to: u64) -> Result<Option<Seen>, Fault> {
        Ok(None)
    }

    fn scan(&mut self) -> Result<Seen, Fault> {
        let mut seen = Seen::default();
        loop {
            let mut page = redis::cmd("XRANGE");
            page.arg("events").arg(format!("({}-0", seen.events)).arg("+").arg("COUNT").arg(PAGE);
            let entries: Vec<(String, Vec<Value>)> = page.query(&mut self.connection)?;
            if entries.is_empty() {
                return Ok(seen);
            }
            for (_, fields) in entries {
                let payload = fields.into_iter().last().ok_or("an entry without a field")?;
                seen.note(&Vec::<u8>::from_redis_value(payload)?);
            }
        }
    }
}
