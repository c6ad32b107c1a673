//! Directories that are no store, or not one of this version, or in use.

use std::fs;

use redb::{Database, ReadableDatabase, TableDefinition};
use slipring_events::{Source, Time};
use slipring_store::{Batch, Durability, Embedded, Entry, EventStore, StoreError};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("slipring-store");

struct Place {
    home: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn dir(&self) -> std::path::PathBuf {
        self.home.path().join("store")
    }

    /// One with an event in it.
    fn filled() -> Self {
        let place = Self::new();
        let store = Embedded::open(place.dir()).unwrap();
        let mut batch = Batch::new();
        batch.append(Entry::at(Time::EPOCH, "order.created", "lamp")).unwrap();
        store.commit(&batch, Durability::Synced).unwrap();
        drop(store);
        place
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir().join(name)
    }

    /// What opening it says; it says the same a second time, and makes and removes nothing.
    fn refused(&self) -> StoreError {
        let before = listing(&self.dir());
        let error = Embedded::open(self.dir()).unwrap_err();
        let again = Embedded::open(self.dir()).unwrap_err();
        assert_eq!(error.to_string(), again.to_string());
        assert_eq!(listing(&self.dir()), before);
        error
    }
}

fn listing(dir: &std::path::Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

#[test]
fn it_is_opened_once_at_a_time() {
    let place = Place::new();
    let store = Embedded::open(place.dir()).unwrap();
    let second = Embedded::open(place.dir()).unwrap_err();
    assert!(matches!(&second, StoreError::InUse { path } if *path == place.dir()), "{second:?}");
    // The first does not mind.
    store.sync().unwrap();
    drop(store);
    drop(Embedded::open(place.dir()).unwrap());
}

#[test]
fn it_keeps_its_source_and_its_events() {
    let place = Place::new();
    let source = Source::named("shop");
    let open = || Embedded::settings().source(source).open(place.dir()).unwrap();
    assert_eq!(open().source(), source);
    let other = Embedded::settings().source(Source::named("another")).open(place.dir()).unwrap();
    assert_eq!(other.source(), source);
    assert_eq!(other.path(), place.dir());
    assert!(format!("{other:?}").contains("bounds"));
}

#[test]
fn a_file_is_no_store() {
    let place = Place::new();
    fs::write(place.dir(), "text").unwrap();
    let error = place.refused();
    assert!(matches!(&error, StoreError::Format { .. }), "{error}");
    // Nor can there be one below it.
    let error = Embedded::open(place.dir().join("below")).unwrap_err();
    assert!(matches!(&error, StoreError::Io { .. }), "{error}");
    assert_eq!(fs::read(place.dir()).unwrap(), b"text");
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let place = Place::new();
    fs::create_dir(place.dir()).unwrap();
    fs::write(place.file("letter.txt"), "text").unwrap();
    let error = place.refused();
    assert!(error.to_string().contains("`letter.txt`"), "{error}");
    assert!(matches!(error, StoreError::Format { .. }));
    // Files of the system are no hindrance.
    fs::rename(place.file("letter.txt"), place.file(".hidden")).unwrap();
    drop(Embedded::open(place.dir()).unwrap());
}

#[test]
fn one_that_must_be_there_is_not_made() {
    let place = Place::new();
    let existing = Embedded::settings().existing();
    assert!(matches!(existing.open(place.dir()), Err(StoreError::Io { .. })));
    assert!(!place.dir().exists());
    fs::create_dir(place.dir()).unwrap();
    assert!(matches!(existing.open(place.dir()), Err(StoreError::Format { .. })));
    assert!(listing(&place.dir()).is_empty());
    drop(Embedded::open(place.dir()).unwrap());
    drop(existing.open(place.dir()).unwrap());
}

#[test]
fn a_database_of_something_else_is_no_store() {
    let place = Place::new();
    fs::create_dir(place.dir()).unwrap();
    drop(Database::create(place.file("events.redb")).unwrap());
    let error = place.refused();
    assert!(matches!(&error, StoreError::Format { .. }), "{error}");
    // Nor with a high-water file beside it.
    let other = Place::filled();
    fs::copy(other.file("high-water"), place.file("high-water")).unwrap();
    let error = place.refused();
    assert!(matches!(&error, StoreError::Format { .. }), "{error}");
}

#[test]
fn an_earlier_or_a_later_form_is_not_read() {
    [1_u32, 3].into_iter().for_each(is_not_read);
}

fn is_not_read(form: u32) {
    let place = Place::filled();
    let database = Database::open(place.file("events.redb")).unwrap();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[0, 6, 0, 0, 0, 0, 0, 0, 0]);
    sum.update(b"format");
    sum.update(&form.to_le_bytes());
    let value = [sum.finalize().to_le_bytes(), form.to_le_bytes()].concat();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert("format", value.as_slice()).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = place.refused();
    assert!(matches!(&error, StoreError::Format { .. }), "{error}");
    assert!(error.to_string().contains(&format!("form {form}")), "{error}");
    assert!(error.to_string().contains("this version reads form 2"), "{error}");
    // It is still what it was.
    let database = Database::open(place.file("events.redb")).unwrap();
    let read = database.begin_read().unwrap();
    let meta = read.open_table(META).unwrap();
    assert_eq!(meta.get("format").unwrap().unwrap().value(), value);
}

#[test]
fn an_older_database_that_has_come_back_is_told() {
    let place = Place::filled();
    let old = fs::read(place.file("events.redb")).unwrap();
    let store = Embedded::open(place.dir()).unwrap();
    let mut batch = Batch::new();
    batch.append(Entry::at(Time::EPOCH, "order.paid", "lamp")).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
    drop(store);
    let new = fs::read(place.file("events.redb")).unwrap();
    fs::write(place.file("events.redb"), old).unwrap();
    let error = place.refused();
    assert!(error.to_string().contains("an older state has come back"), "{error}");
    assert!(matches!(error, StoreError::Damaged { .. }));
    fs::write(place.file("events.redb"), new).unwrap();
    assert_eq!(Embedded::open(place.dir()).unwrap().bounds().unwrap().end, 2);
}

#[test]
fn files_that_are_missing_or_empty_are_damage() {
    let whole = Place::filled();
    let files = ["events.redb", "high-water"].map(|name| fs::read(whole.file(name)).unwrap());
    for (name, content) in [
        ("events.redb", None),
        ("events.redb", Some(&b""[..])),
        ("events.redb", Some(&files[0][..100])),
        ("events.redb", Some(b"not a database, but somewhat longer than nothing")),
        ("high-water", None),
        ("high-water", Some(b"")),
        ("high-water", Some(b"text")),
        ("high-water", Some(&[0; 5000])),
    ] {
        let place = Place::filled();
        match content {
            Some(content) => fs::write(place.file(name), content).unwrap(),
            None => fs::remove_file(place.file(name)).unwrap(),
        }
        let error = Embedded::open(place.dir()).unwrap_err();
        let expected = matches!(error, StoreError::Damaged { .. } | StoreError::Format { .. });
        assert!(expected, "{name} {content:?}: {error:?}");
        // It is not made anew.
        let again = Embedded::open(place.dir()).unwrap_err();
        assert_eq!(again.to_string(), error.to_string());
    }
    // The mark of another store.
    let place = Place::filled();
    fs::write(place.file("high-water"), &files[1]).unwrap();
    let error = place.refused();
    assert!(error.to_string().contains("of another store"), "{error}");
}

#[test]
fn making_one_may_end_anywhere() {
    // The directory is there; the lock file, too; a database was begun; the first mark is there as well.
    let made = Place::new();
    let mut files = vec![];
    fs::create_dir(made.dir()).unwrap();
    files.push(("high-water", vec![]));
    files.push(("events.redb.new", b"a part of a database".to_vec()));
    for count in 0..=files.len() {
        let place = Place::new();
        fs::create_dir(place.dir()).unwrap();
        for (name, content) in &files[..count] {
            fs::write(place.file(name), content).unwrap();
        }
        let store = Embedded::open(place.dir()).unwrap();
        assert_eq!(store.bounds().unwrap().end, 0);
        drop(store);
        assert_eq!(listing(&place.dir()).len(), 2);
        drop(Embedded::open(place.dir()).unwrap());
    }
    // A torn first mark, beside a database that has not got its name yet.
    let place = Place::new();
    fs::create_dir(place.dir()).unwrap();
    fs::write(place.file("high-water"), [1; 20]).unwrap();
    fs::write(place.file("events.redb.new"), "").unwrap();
    drop(Embedded::open(place.dir()).unwrap());
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fs::create_dir(place.dir()).unwrap();
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o555)).unwrap();
    // Whoever may do everything may write there, too.
    if fs::write(place.file("try"), "").is_err() {
        let error = Embedded::open(place.dir()).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
    }
    // Nobody can make a file here.
    let error = Embedded::open("/proc/self/store").unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}
