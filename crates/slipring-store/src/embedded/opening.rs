//! What happens when a store is opened.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Condvar, Mutex, RwLock};
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend};
use slipring_events::Source;

use super::{
    Embedded, Settings, Told,
    backend::Shared,
    files::Lock,
    guard::{Doing, guarded},
    high_water::{Found, HighWater, Mark},
    indexing::Tail,
    reader::View,
    sorting::Numbers,
    tables::{
        BLOCKS, FORM, FORMAT, META, PLACES, SPANS, STATE, STREAMS, State, TIMES, TOPICS, VALUES,
        read_form, read_topic, write_form,
    },
    writer::Writer,
};
use crate::{Bounds, StoreError};

/// The commit in which a database is made.
pub(super) const FIRST_COMMIT: u64 = 1;

/// Opens a store on its two files, and makes durable what is in it: what a program that was killed has written may
/// still be in the memory of the system alone.
pub(super) fn open(
    settings: &Settings,
    path: PathBuf,
    events: Arc<dyn StorageBackend>,
    high_water: Arc<dyn StorageBackend>,
    lock: Option<Lock>,
) -> Result<Embedded, StoreError> {
    // A database that is refused is closed in there, too.
    guarded(|| open_guarded(settings, path, events, high_water, lock))
}

fn open_guarded(
    settings: &Settings,
    path: PathBuf,
    events: Arc<dyn StorageBackend>,
    high_water: Arc<dyn StorageBackend>,
    lock: Option<Lock>,
) -> Result<Embedded, StoreError> {
    let (mut high_water, found) = HighWater::open(high_water)?;
    let length =
        events.len().map_err(|error| StoreError::Io { doing: "open the database", error })?;
    let never_opened = match &found {
        Found::Nothing => true,
        Found::Mark(mark) => mark.commit < FIRST_COMMIT,
        Found::Damage => false,
    };
    if length == 0 && !never_opened {
        return Err(StoreError::damaged("the database", "it is empty"));
    }
    let source = settings.source.unwrap_or_else(|| Source::fresh("embedded"));
    if length == 0 {
        high_water.raise(State::new(source).mark())?;
    }
    let database = guarded(|| {
        let database = settings
            .builder(length)
            .create_with_backend(Shared(events.clone()))
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.clone() },
                DatabaseError::UpgradeRequired(_) => {
                    StoreError::Format { path: path.clone(), problem: error.to_string().into() }
                }
                error => Err::<(), _>(error).doing("open the database").unwrap_err(),
            })?;
        if length == 0 {
            initialize(source, &database)?;
        }
        Ok::<_, StoreError>(database)
    })?;
    let (state, topics) = guarded(|| {
        let state = read_state(&database, &path)?;
        Ok::<_, StoreError>((state, read_topics(&database, &state)?))
    })?;
    let tail = Tail::read(&View::new(&database)?, &topics)?;
    if length > 0 {
        compare(&found, &state)?;
    }
    let mut writer = Writer::new(state, topics, tail, settings);
    let state = guarded(|| writer.touch(&database))?;
    high_water.raise(state.mark())?;
    let bounds = Bounds { first: state.first, end: state.end, durable: state.end };
    Ok(Embedded {
        source: state.source,
        path,
        file: Shared(events),
        database: RwLock::new(Some(database)),
        writer: Mutex::new((writer, high_water)),
        told: Mutex::new(Told { bounds, stopped: None }),
        grown: Condvar::new(),
        _lock: lock,
    })
}

/// Puts into a new database what is in each, durably.
pub(super) fn initialize(source: Source, database: &Database) -> Result<Mark, StoreError> {
    let doing = "make the database";
    let state = State { commit: FIRST_COMMIT, ..State::new(source) };
    let mut write = database.begin_write().doing(doing)?;
    write.set_durability(Durability::Immediate).expect("there are no savepoints");
    {
        let mut meta = write.open_table(META).doing(doing)?;
        meta.insert(FORMAT, &write_form(FORM)[..]).doing(doing)?;
        meta.insert(STATE, &state.write()[..]).doing(doing)?;
        write.open_table(BLOCKS).doing(doing)?;
        write.open_table(TOPICS).doing(doing)?;
        write.open_table(TIMES).doing(doing)?;
        write.open_table(SPANS).doing(doing)?;
        write.open_table(STREAMS).doing(doing)?;
        write.open_table(PLACES).doing(doing)?;
        write.open_table(VALUES).doing(doing)?;
    }
    write.commit().doing(doing)?;
    Ok(state.mark())
}

fn read_state(database: &Database, path: &Path) -> Result<State, StoreError> {
    let doing = "read the state of the store";
    let format =
        |problem: String| StoreError::Format { path: path.to_owned(), problem: problem.into() };
    let read = database.begin_read().doing(doing)?;
    let meta = match read.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            return Err(format("it is a database of something else".into()));
        }
        Err(error) => return Err(error).doing(doing),
    };
    let form = meta.get(FORMAT).doing(doing)?;
    let form = form.ok_or_else(|| StoreError::damaged("the store", "its format is not there"))?;
    match read_form(form.value())? {
        FORM => {}
        form => {
            return Err(format(format!(
                "it is in form {form}, and this version reads form {FORM}: open it with the version that wrote it"
            )));
        }
    }
    let state = meta.get(STATE).doing(doing)?;
    let state = state.ok_or_else(|| StoreError::damaged("the store", "its state is not there"))?;
    State::read(state.value())
}

fn read_topics(database: &Database, state: &State) -> Result<Numbers, StoreError> {
    let doing = "read the topics";
    let read = database.begin_read().doing(doing)?;
    let table = read.open_table(TOPICS).doing(doing)?;
    let mut topics = Numbers::default();
    for entry in table.iter().doing(doing)? {
        let (name, value) = entry.doing(doing)?;
        let number = read_topic(name.value(), value.value())?;
        topics.insert(name.value().into(), number);
    }
    if topics.len() as u64 != state.topics {
        return Err(StoreError::damaged(
            "the table of topics",
            format_args!("it has {} in place of {}", topics.len(), state.topics),
        ));
    }
    Ok(topics)
}

/// Whether the database is the last that was made durable, or a later one.
fn compare(found: &Found, state: &State) -> Result<(), StoreError> {
    let mark = match found {
        Found::Mark(mark) => mark,
        Found::Nothing | Found::Damage => {
            return Err(StoreError::damaged(
                "the high-water file",
                "nothing in it tells whether the database is the last one",
            ));
        }
    };
    if mark.source != state.source {
        return Err(StoreError::damaged(
            "the high-water file",
            "it is of another store than the database beside it",
        ));
    }
    if state.commit < mark.commit || state.end < mark.end {
        return Err(StoreError::damaged(
            "the database",
            format_args!(
                "an older state has come back: commit {} with {} events, where commit {} with {} was durable",
                state.commit, state.end, mark.commit, mark.end
            ),
        ));
    }
    Ok(())
}

impl State {
    pub(super) fn mark(&self) -> Mark {
        Mark { source: self.source, commit: self.commit, end: self.end }
    }
}
