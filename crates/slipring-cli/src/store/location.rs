//! Where a store is.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use slipring_store::{
    Embedded, EventStore, RedisStore,
    embedded::{Check, Settings},
};

use super::failure::Failure;

/// A directory, or `redis://HOST:PORT#NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Directory(PathBuf),
    Redis { url: String, name: String },
}

/// A store that is open.
pub struct Opened {
    pub store: Arc<dyn EventStore>,
    /// The same, if it is one in a directory.
    pub embedded: Option<Arc<Embedded>>,
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return Ok(Self::Directory(text.into()));
        }
        let is_redis = ["redis://", "rediss://", "unix://", "redis+unix://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        match text.rsplit_once('#') {
            Some((url, name)) if is_redis && !name.is_empty() => {
                Ok(Self::Redis { url: url.to_owned(), name: name.to_owned() })
            }
            _ => Err("write a directory, or redis://HOST:PORT#NAME with the name of the store"
                .to_owned()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            // The address may have a password in it.
            Self::Redis { name, .. } => write!(f, "store `{name}` in Redis"),
        }
    }
}

impl Location {
    /// Opens a store that is there.
    pub fn open(&self) -> Result<Opened, Failure> {
        self.open_with(&Embedded::settings().existing(), true)
    }

    /// Opens a store that is there, also if its pages are damaged: what is read is checked when it is read.
    pub fn open_damaged(&self) -> Result<Opened, Failure> {
        self.open_with(&Embedded::settings().existing().check(Check::AfterCrash), true)
    }

    /// Opens a store, which is made if it is not there.
    pub fn open_or_create(&self) -> Result<Opened, Failure> {
        self.open_with(&Embedded::settings(), false)
    }

    fn open_with(&self, settings: &Settings, is_there: bool) -> Result<Opened, Failure> {
        match self {
            Self::Directory(path) => {
                let opened = settings.open(path);
                let opened = opened.map_err(|error| Failure::from(error).while_(path.display()));
                let store = Arc::new(opened?);
                Ok(Opened { store: store.clone(), embedded: Some(store) })
            }
            Self::Redis { url, name } => {
                let settings = RedisStore::settings(url, name);
                let settings = if is_there { settings.existing() } else { settings };
                let store = Arc::new(settings.connect()?);
                Ok(Opened { store, embedded: None })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_directory_or_in_a_server() {
        assert_eq!("data/orders".parse(), Ok(Location::Directory("data/orders".into())));
        let (url, name) = ("redis://:secret@localhost:6379/0".to_owned(), "orders".to_owned());
        let redis: Location = format!("{url}#{name}").parse().expect("it is a place");
        assert_eq!(redis, Location::Redis { url, name });
        assert!(!redis.to_string().contains("secret"));
        for wrong in ["redis://localhost", "redis://localhost#", "http://localhost#orders"] {
            assert!(wrong.parse::<Location>().expect_err(wrong).contains("#NAME"), "{wrong}");
        }
    }
}
