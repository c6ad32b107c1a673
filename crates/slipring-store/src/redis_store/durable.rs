//! Whether the server keeps what it has confirmed.
//!
//! It does if each command is written to the append only file and synced before its answer is sent: `appendonly yes`
//! with `appendfsync always`. Three things undo that without a word: `no-appendfsync-on-rewrite yes` leaves the sync out
//! while a child process saves; an append only file that was switched on while the server ran is not one until it has
//! been written for the first time; and a server that evicts keys for want of memory takes events out again. One that may
//! evict any key is not connected to at all.

use std::time::{Duration, Instant};

use redis::Value;

use super::{
    RedisStore,
    link::{Failure, Link, Question},
    reply,
};
use crate::StoreError;

/// For how long an answer is taken for true on the same connections.
const FRESH: Duration = Duration::from_secs(1);

const DOING: &str = "asking whether the server syncs";

/// What is known of the server.
#[derive(Debug, Default)]
pub(super) struct Known {
    asked: Option<Instant>,
    /// How often connections had been lost then.
    losses: u64,
    /// What is in the way.
    hindrance: Option<Box<str>>,
}

impl RedisStore {
    /// What is in the way of its being durable, if something is. The server is asked again after a second, when
    /// connections were lost, or if it is to be `fresh`.
    pub(super) fn hindrance(&self, fresh: bool) -> Result<Option<Box<str>>, StoreError> {
        let mut known = self.known.lock();
        let losses = self.link.losses();
        let is_same = known.losses == losses;
        let is_recent = known.asked.is_some_and(|asked| asked.elapsed() < FRESH);
        if is_same && is_recent && !fresh {
            return Ok(known.hindrance.clone());
        }
        let was_durable = is_same && known.asked.is_some() && known.hindrance.is_none();
        known.asked = None;
        let hindrance = self.link.persist(|| self.ask_for_hindrance());
        let hindrance = hindrance.map_err(|failure| failure.error)?;
        if hindrance.is_none() && !was_durable {
            // What was written when nothing was synced is synced with the next that is written.
            self.ask("syncing", &self.scripts.touch, &[])?;
        }
        *known = Known { asked: Some(Instant::now()), losses, hindrance: hindrance.clone() };
        Ok(hindrance)
    }

    /// An error if something is in the way.
    pub(super) fn be_durable(&self, fresh: bool) -> Result<(), StoreError> {
        self.hindrance(fresh)?.map_or(Ok(()), |why| Err(StoreError::NotDurable { why }))
    }

    /// An error if the server takes out any key it likes when its memory is full: events that are gone would be noticed,
    /// but checkpoints, values and the numbers of streams would be gone without a word. One that does not tell its
    /// settings is trusted.
    pub(super) fn check_eviction(link: &Link) -> Result<(), StoreError> {
        let mut config = redis::cmd("CONFIG");
        config.arg("GET").arg("maxmemory").arg("maxmemory-policy");
        let settings = match link.ask(DOING, &Question::Command(&config)) {
            Ok(value) => Settings::of(value)?,
            Err(StoreError::Server { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let policy = settings.get("maxmemory-policy");
        if settings.get("maxmemory") == "0" || !policy.starts_with("allkeys-") {
            return Ok(());
        }
        let why = format!(
            "the server takes out values and numbers of streams without a word when its memory is full: \
             its setting maxmemory-policy is `{policy}`, set it to `noeviction`"
        );
        Err(StoreError::Refused(why.into()))
    }

    fn ask_for_hindrance(&self) -> Result<Option<Box<str>>, Failure> {
        let mut config = redis::cmd("CONFIG");
        config.arg("GET").arg("append*").arg("no-appendfsync-on-rewrite").arg("aof-load-truncated");
        config.arg("maxmemory").arg("maxmemory-policy");
        let mut info = redis::cmd("INFO");
        info.arg("persistence");
        let config = match self.link.ask(DOING, &Question::Command(&config)) {
            Ok(value) => Settings::of(value)?,
            Err(StoreError::Server { problem, .. }) => {
                let why =
                    format!("it does not tell its settings: CONFIG GET is refused ({problem})");
                return Ok(Some(why.into()));
            }
            Err(error) => return Err(error.into()),
        };
        let info = match self.link.ask(DOING, &Question::Command(&info)) {
            Ok(value) => reply::text(DOING, value)?,
            Err(StoreError::Server { problem, .. }) => {
                let why = format!("it does not tell its state: INFO is refused ({problem})");
                return Ok(Some(why.into()));
            }
            Err(error) => return Err(error.into()),
        };
        if value_in(&info, "loading") == "1" {
            // It tells its settings already, but has nothing yet of what it is to append to.
            return Err(Failure::passing(DOING, "LOADING what it has on its disk"));
        }
        Ok(config.hindrance().or_else(|| hindrance_in(&info)).map(String::into_boxed_str))
    }
}

/// The settings of a server.
struct Settings(Vec<(String, String)>);

impl Settings {
    fn of(value: Value) -> Result<Self, StoreError> {
        let flat = match value {
            Value::Map(pairs) => {
                pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()
            }
            value => reply::array(DOING, value)?,
        };
        let flat = flat
            .into_iter()
            .map(|value| reply::text(DOING, value))
            .collect::<Result<Vec<_>, _>>()?;
        let pairs = flat.chunks_exact(2);
        Ok(Self(pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect()))
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn hindrance(&self) -> Option<String> {
        let wanted = [
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("no-appendfsync-on-rewrite", "no"),
            ("aof-load-truncated", "no"),
        ];
        for (name, wanted) in wanted {
            let found = self.get(name);
            if found != wanted {
                return Some(format!("its setting {name} is `{found}` and must be `{wanted}`"));
            }
        }
        let policy = self.get("maxmemory-policy");
        if self.get("maxmemory") != "0" && policy != "noeviction" {
            return Some(format!(
                "its setting maxmemory-policy is `{policy}` and must be `noeviction`"
            ));
        }
        None
    }
}

fn value_in<'a>(info: &'a str, name: &str) -> &'a str {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| *known == name).map_or("", |(_, value)| value.trim())
}

/// What the state of a server says against it.
fn hindrance_in(info: &str) -> Option<String> {
    let get = |name: &str| value_in(info, name);
    if get("aof_enabled") != "1" {
        return Some("its append only file is off, although its settings say otherwise".into());
    }
    if get("aof_last_write_status") != "ok" {
        return Some("it could not write its append only file the last time".into());
    }
    let is_first = get("aof_base_size") == "0";
    let is_written = get("aof_rewrite_in_progress") == "0" && get("aof_rewrite_scheduled") == "0";
    if is_first && !(is_written && get("aof_last_bgrewrite_status") == "ok") {
        return Some("its append only file is being written for the first time".into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(changed: (&str, &str)) -> Settings {
        let good = [
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("no-appendfsync-on-rewrite", "no"),
            ("aof-load-truncated", "no"),
            ("maxmemory", "0"),
            ("maxmemory-policy", "allkeys-lru"),
        ];
        let pairs = good.map(|(name, value)| {
            let value = if name == changed.0 { changed.1 } else { value };
            (name.to_owned(), value.to_owned())
        });
        Settings(pairs.into())
    }

    #[test]
    fn each_setting_is_looked_at() {
        assert_eq!(settings(("", "")).hindrance(), None);
        let bad = [
            ("appendonly", "no"),
            ("appendfsync", "everysec"),
            ("no-appendfsync-on-rewrite", "yes"),
            ("aof-load-truncated", "yes"),
        ];
        for (name, value) in bad {
            let hindrance = settings((name, value)).hindrance().unwrap();
            assert!(hindrance.contains(name) && hindrance.contains(value), "{hindrance}");
        }
        let evicting = settings(("maxmemory", "1000000")).hindrance().unwrap();
        assert!(evicting.contains("maxmemory-policy"), "{evicting}");
        assert!(Settings(Vec::new()).hindrance().is_some());
    }

    #[test]
    fn so_is_the_state() {
        let good = "aof_enabled:1\r\naof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\n\
                    aof_last_bgrewrite_status:ok\r\naof_last_write_status:ok\r\naof_base_size:0\r\n";
        assert_eq!(hindrance_in(good), None);
        let bad = [
            ("aof_enabled:1", "aof_enabled:0"),
            ("aof_last_write_status:ok", "aof_last_write_status:err"),
            ("aof_rewrite_in_progress:0", "aof_rewrite_in_progress:1"),
            ("aof_rewrite_scheduled:0", "aof_rewrite_scheduled:1"),
            ("aof_last_bgrewrite_status:ok", "aof_last_bgrewrite_status:err"),
        ];
        for (from, to) in bad {
            assert!(hindrance_in(&good.replace(from, to)).is_some(), "{to}");
        }
        // A file that was there before is written on while it is rewritten.
        let rewriting = good.replace("in_progress:0", "in_progress:1").replace("size:0", "size:88");
        assert_eq!(hindrance_in(&rewriting), None);
        assert!(hindrance_in("").is_some());
    }
}
