//! redb without anything around it: a row for each event and one for its index, or a block for each commit and no index.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::{Event, Fault, Seen, Store};

const ROWS: TableDefinition<'_, u64, (u64, &str, &[u8])> = TableDefinition::new("rows");
const BY_TIME: TableDefinition<'_, (&str, u64, u64), ()> = TableDefinition::new("by time");
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");

const SIZE: usize = 64;

fn database(directory: &Path) -> Result<Database, Fault> {
    Ok(Database::create(directory.join("bare.redb"))?)
}

fn durability(synced: bool) -> Durability {
    if synced { Durability::Immediate } else { Durability::None }
}

/// A row for each event, and one for its topic and time.
///
/// # Errors
/// What redb says.
pub fn rows(directory: &Path, _synced: bool) -> Result<Box<dyn Store>, Fault> {
    Ok(Box::new(Rows { database: database(directory)?, end: 0 }))
}

/// A block for each commit: the payloads and nothing else. It is the least that a store on redb can do.
///
/// # Errors
/// What redb says.
pub fn blocks(directory: &Path, _synced: bool) -> Result<Box<dyn Store>, Fault> {
    Ok(Box::new(Blocks { database: database(directory)?, end: 0, block: Vec::new() }))
}

struct Rows {
    database: Database,
    end: u64,
}

impl Store for Rows {
    fn append(&mut self, events: &[Event], synced: bool) -> Result<(), Fault> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability(synced))?;
        {
            let mut rows = transaction.open_table(ROWS)?;
            let mut by_time = transaction.open_table(BY_TIME)?;
            for (position, event) in (self.end..).zip(events) {
                rows.insert(position, (event.time, event.topic, &event.payload[..]))?;
                by_time.insert((event.topic, event.time, position), ())?;
            }
        }
        transaction.commit()?;
        self.end += events.len() as u64;
        Ok(())
    }

    fn query(&mut self, topic: &str, from: u64, to: u64) -> Result<Option<Seen>, Fault> {
        let transaction = self.database.begin_read()?;
        let (rows, by_time) = (transaction.open_table(ROWS)?, transaction.open_table(BY_TIME)?);
        let mut seen = Seen::default();
        for key in by_time.range((topic, from, 0)..=(topic, to, u64::MAX))? {
            let (_, _, position) = key?.0.value();
            let row = rows.get(position)?.ok_or("the index has an event that is not there")?;
            seen.note(row.value().2);
        }
        Ok(Some(seen))
    }

    fn scan(&mut self) -> Result<Seen, Fault> {
        let rows = self.database.begin_read()?.open_table(ROWS)?;
        let mut seen = Seen::default();
        for row in rows.iter()? {
            seen.note(row?.1.value().2);
        }
        Ok(seen)
    }
}

struct Blocks {
    database: Database,
    end: u64,
    block: Vec<u8>,
}

impl Store for Blocks {
    fn append(&mut self, events: &[Event], synced: bool) -> Result<(), Fault> {
        self.block.clear();
        for event in events {
            self.block.extend_from_slice(&event.payload);
        }
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability(synced))?;
        transaction.open_table(BLOCKS)?.insert(self.end, &self.block[..])?;
        transaction.commit()?;
        self.end += events.len() as u64;
        Ok(())
    }

    fn query(&mut self, _topic: &str, _from: u64, _to: u64) -> Result<Option<Seen>, Fault> {
        Ok(None)
    }

    fn scan(&mut self) -> Result<Seen, Fault> {
        let blocks = self.database.begin_read()?.open_table(BLOCKS)?;
        let mut seen = Seen::default();
        for block in blocks.iter()? {
            block?.1.value().chunks_exact(SIZE).for_each(|payload| seen.note(payload));
        }
        Ok(seen)
    }
}
