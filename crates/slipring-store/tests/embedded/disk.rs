//! Two files in memory that can do what disks do: fail, and lose what was not synced.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use fastrand::Rng;
use slipring_store::{
    Embedded, StoreError,
    embedded::{Check, Settings, StorageBackend},
};

const EVENTS: usize = 0;
const HIGH_WATER: usize = 1;
/// What a disk writes at once.
const SECTOR: usize = 512;

/// What a file had done to it since its last sync.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// What a program reads.
    seen: Vec<u8>,
    /// What is on the disk for certain.
    synced: Vec<u8>,
    since: Vec<Change>,
}

/// When and how the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    Never,
    /// The n-th call that changes something fails, and those after it work.
    Once(u64),
    /// The n-th call and all after it fail.
    From(u64),
}

#[derive(Debug)]
struct Inner {
    files: [Content; 2],
    calls: u64,
    failing: Failing,
}

/// A disk with the two files of a store.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    pub fn new() -> Self {
        Self::of([Vec::new(), Vec::new()])
    }

    /// One with these files: the database and the high-water file.
    pub fn of(files: [Vec<u8>; 2]) -> Self {
        let files =
            files.map(|bytes| Content { seen: bytes.clone(), synced: bytes, since: Vec::new() });
        Self(Arc::new(Mutex::new(Inner { files, calls: 0, failing: Failing::Never })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Fails from now on like that, with the calls counted from 0 again.
    pub fn fail(&self, failing: Failing) {
        let mut inner = self.inner();
        inner.calls = 0;
        inner.failing = failing;
    }

    /// The files as a program sees them.
    pub fn files(&self) -> [Vec<u8>; 2] {
        self.inner().files.clone().map(|file| file.seen)
    }

    /// A disk as this one may be after a loss of power: what was synced is there, of the rest some, in parts.
    pub fn cut(&self, rng: &mut Rng) -> Self {
        // How much of it got through.
        let odds = [0, 10, 50, 90, 100][rng.usize(..5)];
        Self::of(self.inner().files.clone().map(|file| {
            let mut bytes = file.synced;
            for change in file.since {
                if rng.u8(..100) >= odds {
                    continue;
                }
                match change {
                    Change::Length(length) => bytes.resize(length as usize, 0),
                    Change::Write(offset, written) => {
                        let torn = rng.u8(..4) == 0;
                        let end = offset as usize + written.len();
                        if bytes.len() < end {
                            bytes.resize(end, 0);
                        }
                        for (number, sector) in written.chunks(SECTOR).enumerate() {
                            if !torn || rng.bool() {
                                let at = offset as usize + number * SECTOR;
                                bytes[at..at + sector.len()].copy_from_slice(sector);
                            }
                        }
                    }
                }
            }
            bytes
        }))
    }

    /// The disk after the program has ended: all that it has written is there.
    pub fn killed(&self) -> Self {
        Self::of(self.files())
    }

    pub fn open(&self, settings: &Settings) -> Result<Embedded, StoreError> {
        let [events, high_water] = self.backends();
        settings.open_on(events, high_water)
    }

    pub fn backends(&self) -> [Arc<dyn StorageBackend>; 2] {
        [EVENTS, HIGH_WATER]
            .map(|number| Arc::new(File { disk: self.clone(), number }) as Arc<dyn StorageBackend>)
    }
}

/// How tests open stores: with little memory, so that the disk is used.
pub fn small() -> Settings {
    Embedded::settings().cache_bytes(64 << 10).check(Check::AfterCrash).unindexed_events(200)
}

#[derive(Debug)]
struct File {
    disk: Disk,
    number: usize,
}

impl Inner {
    /// Counts a call that changes something. It may fail.
    fn call(&mut self) -> io::Result<()> {
        let number = self.calls;
        self.calls += 1;
        match self.failing {
            Failing::Once(at) if number == at => Err(io::Error::other("the disk failed once")),
            Failing::From(at) if number >= at => Err(io::Error::other("the disk has failed")),
            _ => Ok(()),
        }
    }
}

impl Content {
    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (begin, end) = (offset as usize, offset as usize + data.len());
        let there = self.seen.get_mut(begin..end);
        there.ok_or_else(|| io::Error::other("written behind the end"))?.copy_from_slice(data);
        self.since.push(Change::Write(offset, data.to_vec()));
        Ok(())
    }
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.inner().files[self.number].seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.disk.inner();
        let begin = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = begin
            .checked_add(out.len())
            .and_then(|end| inner.files[self.number].seen.get(begin..end))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.call()?;
        let file = &mut inner.files[self.number];
        file.seen.resize(length as usize, 0);
        file.since.push(Change::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.call()?;
        let file = &mut inner.files[self.number];
        file.since.clear();
        let Content { seen, synced, .. } = file;
        synced.clone_from(seen);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.disk.inner();
        let called = inner.call();
        // One that fails has done a part of it.
        let done = if called.is_ok() { data } else { &data[..data.len() / 2] };
        inner.files[self.number].write(offset, done)?;
        called
    }
}
