//! `SQLite`, with a write-ahead log and an index over topic and time.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{Event, Fault, Seen, Store};

struct Sqlite {
    connection: Connection,
    end: u64,
}

/// A new database. Synced commits are `synchronous = FULL`, the others `OFF`.
///
/// # Errors
/// What `SQLite` says.
pub fn open(directory: &Path, synced: bool) -> Result<Box<dyn Store>, Fault> {
    let connection = Connection::open(directory.join("events.sqlite"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", if synced { "FULL" } else { "OFF" })?;
    connection.execute_batch(
        "CREATE TABLE events (position INTEGER PRIMARY KEY, time INTEGER NOT NULL, topic TEXT NOT NULL,
                              payload BLOB NOT NULL);
         CREATE INDEX by_time ON events (topic, time);",
    )?;
    Ok(Box::new(Sqlite { connection, end: 0 }))
}

impl Store for Sqlite {
    fn append(&mut self, events: &[Event], _synced: bool) -> Result<(), Fault> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4)")?;
            for (position, event) in (self.end..).zip(events) {
                insert.execute(params![
                    position.cast_signed(),
                    event.time.cast_signed(),
                    event.topic,
                    event.payload
                ])?;
            }
        }
        transaction.commit()?;
        self.end += events.len() as u64;
        Ok(())
    }

    fn query(&mut self, topic: &str, from: u64, to: u64) -> Result<Option<Seen>, Fault> {
        let mut select = self.connection.prepare_cached(
            "SELECT payload FROM events WHERE topic = ?1 AND time BETWEEN ?2 AND ?3 ORDER BY time, position",
        )?;
        let mut rows = select.query(params![topic, from.cast_signed(), to.cast_signed()])?;
        let mut seen = Seen::default();
        while let Some(row) = rows.next()? {
            seen.note(row.get_ref(0)?.as_blob()?);
        }
        Ok(Some(seen))
    }

    fn scan(&mut self) -> Result<Seen, Fault> {
        let mut select =
            self.connection.prepare_cached("SELECT payload FROM events ORDER BY position")?;
        let mut rows = select.query([])?;
        let mut seen = Seen::default();
        while let Some(row) = rows.next()? {
            seen.note(row.get_ref(0)?.as_blob()?);
        }
        Ok(seen)
    }
}
