//! Looking after a store: whether it is sound, how large it is, and making its file smaller.

use std::collections::BTreeMap;

use redb::{CompactionError, DatabaseError};

use super::{
    Embedded,
    guard::{Doing, guarded},
    reader::Entries,
    tables::TIMES,
    there,
    times::Row,
    verifying::{self, Report},
};
use crate::{EventStore, StoreError};

/// How large a store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// The bytes of its file.
    pub file_bytes: u64,
    /// The bytes of all events, with what goes with each, but without the indexes.
    pub event_bytes: u64,
    /// How many events there are.
    pub events: u64,
    /// In how many blocks.
    pub blocks: u64,
    /// How many streams there have ever been.
    pub streams: u64,
    /// How many values there are.
    pub values: u64,
    /// The topics in order, each with how many events of it there are.
    pub topics: Vec<(String, u64)>,
}

impl Embedded {
    /// Reads everything and compares it: each sum, that events follow each other without a gap, that each index has
    /// every event and nothing else, and, if nobody reads meanwhile, the checksum of every page. Nothing is committed
    /// meanwhile. It keeps some 100 bytes in memory for each event.
    ///
    /// If the pages are damaged, the store stops: what can still be read may be taken out of it.
    ///
    /// # Errors
    /// The store could not be read at all, or had stopped. Damage is no error but in the report.
    ///
    /// # Examples
    /// ```
    /// use slipring_store::{Batch, Durability, Embedded, Entry, EventStore};
    ///
    /// # let home = tempfile::tempdir()?;
    /// let store = Embedded::open(home.path().join("events"))?;
    /// let mut batch = Batch::new();
    /// batch.append(Entry::new("order.created", "lamp").stream("order-7"))?;
    /// store.commit(&batch, Durability::Visible)?;
    ///
    /// let report = store.verify()?;
    /// assert!(report.is_sound());
    /// assert_eq!(report.to_string(), "1 events in 1 blocks, 1 index entries, 0 values: sound");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let writer = self.writer.lock();
        self.told.lock().check()?;
        {
            let mut database = self.database.write();
            let database = there(database.as_mut());
            let checked = guarded(|| match database.check_integrity() {
                Ok(sound) => Ok(Some(sound)),
                Err(DatabaseError::TransactionInProgress) => Ok(None),
                Err(error) => Err(error).doing("compare the pages of the file"),
            });
            match checked {
                Ok(Some(true)) => report.pages = true,
                Ok(Some(false)) => report.add("pages of the file were damaged, and were repaired"),
                Ok(None) => {}
                Err(error) => report.add(error),
            }
        }
        if !report.is_sound() {
            let mut told = self.told.lock();
            told.stopped = Some(report.damage[0].as_str().into());
            self.grown.notify_all();
        }
        match self.view() {
            Ok(view) => {
                if view.state != writer.0.state {
                    report.add("the state of the store is not that of its last commit");
                }
                verifying::verify(&view, &mut report);
            }
            Err(error) => report.add(error),
        }
        Ok(report)
    }

    /// Gives back to the system what the file has free, as far as that can be done, and says whether there was
    /// something. Nothing is committed meanwhile, and reading begins when it is done.
    ///
    /// # Errors
    /// Somebody is reading (nothing has happened then), or the store cannot be written, and has stopped.
    pub fn compact(&self) -> Result<bool, StoreError> {
        self.sync()?;
        let _writer = self.writer.lock();
        self.told.lock().check()?;
        let mut database = self.database.write();
        let database = there(database.as_mut());
        let compacted = guarded(|| match database.compact() {
            Err(CompactionError::TransactionInProgress) => Err(StoreError::Refused(
                "somebody is reading the store: it is compacted when nobody does".into(),
            )),
            compacted => compacted.doing("compact the database"),
        });
        if let Err(error) = &compacted
            && !matches!(error, StoreError::Refused(_))
        {
            self.told.lock().stopped = Some(error.to_string().into());
            self.grown.notify_all();
        }
        compacted
    }

    /// How large the store is. It reads the index of times.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn figures(&self) -> Result<Figures, StoreError> {
        let view = self.view()?;
        let state = view.state;
        let file_bytes = redb::StorageBackend::len(&self.file);
        let mut figures = Figures {
            file_bytes: file_bytes
                .map_err(|error| StoreError::Io { doing: "measure the file", error })?,
            event_bytes: state.bytes,
            events: state.end - state.first,
            blocks: state.blocks,
            streams: state.streams,
            values: state.values,
            topics: Vec::new(),
        };
        let mut counts = BTreeMap::new();
        view.each_topic(|name, number| {
            counts.insert(number, (name.to_owned(), 0));
        })?;
        let times = view.table(TIMES)?;
        for (number, (_, events)) in &mut counts {
            let range = (*number, 0, 0)..=(*number, u64::MAX, u64::MAX);
            let mut range = Entries::of(|| times.range(range))?;
            while let Some((key, value)) = range.next()? {
                guarded(|| {
                    Row::read(key.value(), value.value())?
                        .each(|entry| *events += u64::from(entry.position() >= state.first))
                })?;
            }
        }
        figures.topics = counts.into_values().collect();
        figures.topics.sort_unstable();
        view.unindexed(|_, _, heading| {
            let topic = |(topic, _): &(String, u64)| topic.as_str().cmp(heading.topic);
            if let Ok(at) = figures.topics.binary_search_by(topic) {
                figures.topics[at].1 += 1;
            }
            Ok(())
        })?;
        Ok(figures)
    }
}
