//! The directory of a store.
//!
//! ```text
//! events.redb      the database
//! high-water       which of its commits was the last that was made durable; locked while the store is open
//! events.redb.new  a database that is being made
//! ```
//!
//! A new database is made under another name, and durable, then the first mark is written, then it gets its name. So
//! a database with that name always has a mark beside it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::backends::FileBackend;
use slipring_events::Source;

use super::{
    Embedded, Settings,
    guard::{Doing, guarded},
    high_water::{Found, HighWater},
    opening,
};
use crate::StoreError;

const EVENTS: &str = "events.redb";
const NEW: &str = "events.redb.new";
const HIGH_WATER: &str = "high-water";

/// Keeps others from opening the store. It is released by hand: a child process that has just been forked may have
/// the file, too, and would keep the lock when it is only closed.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closed, it is released as well.
        let _ = self.0.unlock();
    }
}

pub(super) fn open(settings: &Settings, dir: &Path) -> Result<Embedded, StoreError> {
    let events = dir.join(EVENTS);
    prepare(settings, dir)?;
    let path = dir.join(HIGH_WATER);
    let io = |doing| move |error| StoreError::Io { doing, error };
    let marks = read_write(&path).map_err(io("open the high-water file"))?;
    let lock = lock(marks.try_clone().map_err(io("open the high-water file"))?, dir)?;
    let marks = Arc::new(FileBackend::new(marks).doing("open the high-water file")?);
    if !events.try_exists().map_err(io("look for the database"))? {
        create(settings, dir, HighWater::open(marks.clone())?)?;
    }
    let file = OpenOptions::new().read(true).write(true).open(&events);
    let file = file.map_err(io("open the database"))?;
    if file.metadata().map_err(io("open the database"))?.len() == 0 {
        return Err(StoreError::damaged(events.display(), "it is empty"));
    }
    let file = Arc::new(FileBackend::new(file).doing("open the database")?);
    opening::open(settings, dir.to_owned(), file, marks, Some(lock))
}

/// Sees to it that there is a directory that is a store or may become one.
fn prepare(settings: &Settings, dir: &Path) -> Result<(), StoreError> {
    let format =
        |problem: &str| StoreError::Format { path: dir.to_owned(), problem: problem.into() };
    let io = |doing| move |error| StoreError::Io { doing, error };
    match fs::metadata(dir) {
        Ok(there) if !there.is_dir() => return Err(format("it is a file, not a directory")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && settings.create => {
            fs::create_dir_all(dir).map_err(io("make the directory of the store"))?;
            if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                sync_dir(parent).map_err(io("sync the directory above the store"))?;
            }
        }
        Err(error) => {
            return Err(StoreError::Io { doing: "open the directory of the store", error });
        }
    }
    if dir.join(HIGH_WATER).exists() {
        return Ok(());
    }
    if dir.join(EVENTS).exists() {
        return Err(format("its high-water file is not there"));
    }
    if !settings.create {
        return Err(format("there is none"));
    }
    for entry in fs::read_dir(dir).map_err(io("list the directory of the store"))? {
        let name = entry.map_err(io("list the directory of the store"))?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && name != "lost+found" {
            return Err(format(&format!(
                "it holds other files, such as `{name}`: give the store a directory of its own"
            )));
        }
    }
    Ok(())
}

/// Makes the database, under another name first.
fn create(
    settings: &Settings,
    dir: &Path,
    (mut marks, found): (HighWater, Found),
) -> Result<(), StoreError> {
    let io = |doing| move |error| StoreError::Io { doing, error };
    let new = dir.join(NEW);
    let begun = new.exists();
    match found {
        Found::Mark(mark) if mark.commit > opening::FIRST_COMMIT => {
            return Err(StoreError::damaged(
                dir.join(EVENTS).display(),
                "it is gone; the high-water file beside it tells that it was there",
            ));
        }
        Found::Damage if !begun => {
            return Err(StoreError::damaged(
                dir.display(),
                "there is no database, and what stands in the high-water file cannot be read",
            ));
        }
        _ if !settings.create => {
            return Err(StoreError::Format {
                path: dir.to_owned(),
                problem: "there is no database in it".into(),
            });
        }
        _ => {}
    }
    if begun {
        fs::remove_file(&new).map_err(io("remove a database that was not made to the end"))?;
    }
    let file = read_write(&new).map_err(io("make the database"))?;
    let source = settings.source.unwrap_or_else(|| Source::fresh("embedded"));
    let mark = guarded(|| {
        let database = settings
            .builder(0)
            .create_with_backend(FileBackend::new(file).doing("make the database")?)
            .doing("make the database")?;
        let mark = opening::initialize(source, &database)?;
        database.close().doing("make the database")?;
        Ok::<_, StoreError>(mark)
    })?;
    marks.raise(mark)?;
    sync_dir(dir).map_err(io("sync the directory of the store"))?;
    fs::rename(&new, dir.join(EVENTS)).map_err(io("name the database"))?;
    sync_dir(dir).map_err(io("sync the directory of the store"))
}

fn read_write(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn lock(file: File, dir: &Path) -> Result<Lock, StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(error)) => {
            Err(StoreError::Io { doing: "lock the high-water file", error })
        }
    }
}

/// Names in a directory are durable when it is synced.
#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}
