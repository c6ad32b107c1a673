//! A store in a Redis server.
//!
//! # Keys
//! All begin with the name of the store in braces, so that a cluster keeps them on one node.
//!
//! ```text
//! meta            hash     format, source, the position that the next event gets, how many commits there were
//! segments        set      the first positions of the segments, in order
//! seg:F           hash     what is known of the segment that begins with event F
//! log:F           stream   its events: an entry for up to 128 of one commit, with the id (first position + 1)-0
//! index:F         set      its topics and times, see `query.rs`
//! streams:F       set      the streams that have events in it
//! stream:NAME     list     the positions of the events of a stream that are still there
//! versions        hash     how many events each stream has ever had
//! topics          set      every topic there has ever been
//! values:SPACE    hash     values, and
//! keys:SPACE      set      their keys, in order
//! tokens, recent  hash     the last commits, to know one that is sent again
//! wake            stream   one entry: the end of the store, for those who wait for it
//! ```
//!
//! Every change is one call of a script, and the server runs those one after the other and writes each of them to its
//! append only file as a whole. A segment is a unit of what is removed: by retention, or by the server when its time has
//! come, since its keys all expire at the same moment. The books (`segments`, `seg:F`) then still name it until the next
//! writer takes it out; who reads finds out by looking whether `log:F` is there. Segments expire in their order, so that
//! what is left always is an end of the log.

mod commit;
mod durable;
mod link;
mod pack;
mod query;
mod read;
mod reply;
mod scripts;
mod settings;

use std::{
    fmt, io,
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use redis::{Cmd, Value};
use slipring_events::{EventId, Source, Time};
use uuid::Uuid;

use settings::Expiry;
pub use settings::RedisSettings;

use self::{
    durable::Known,
    link::{Link, Question},
    scripts::{Lua, Scripts},
};
use crate::{
    Batch, Bounds, CHECKPOINTS, CommitError, Committed, Durability, EventStore, Query, Reach,
    Reader, Removed, Retention, StoreError,
};

/// How the keys are laid out.
const FORMAT: &str = "1";
/// The oldest version of the server that will do.
const OLDEST: u32 = 7;
/// For how long the server is asked to hold back its answer. Shorter than what firewalls take for a dead connection.
const HOLD: Duration = Duration::from_secs(20);
/// For how long nobody asks after a connection was lost that waited.
const PAUSE: Duration = Duration::from_millis(5);

/// An [`EventStore`] in a Redis server of version 7.0 or later. Several programs may have the same one at the same time.
///
/// # What is durable
/// It is the server that keeps the events. It has them on its disk before it confirms a commit if it is run with
/// `appendonly yes` and `appendfsync always`; all that is committed is durable then. Otherwise commits that are to be
/// [`Synced`](Durability::Synced) fail with [`NotDurable`](StoreError::NotDurable), which says what is in the way,
/// nothing counts as durable, and retention does not wait for it. Replicas are not asked: what a failover may lose is not
/// known here. A server whose `maxmemory-policy` lets it take out any key is refused when it is connected to.
///
/// So a server that is to keep what it confirms is set like this; one that evicts keys is refused:
/// ```text
/// appendonly yes
/// appendfsync always
/// no-appendfsync-on-rewrite no
/// aof-load-truncated no
/// maxmemory-policy noeviction
/// ```
/// With `aof-load-truncated yes`, a server that died in the middle of a write cuts off what is torn, but leaves the beginning
/// of that commit in its file; when it starts the next time it does that half, and what was confirmed meanwhile
/// is done wrongly or not at all. So servers do up to Redis 7, and Valkey until August of 2026. With `no` it does not start
/// with a torn file, and `redis-check-aof --fix` takes the half out.
///
/// # When the server is away
/// A call tries again for as long as its [patience](RedisSettings::patience) lasts, then fails with
/// [`Io`](StoreError::Io); the next call connects anew. A commit is sent again with the same token, and is not done
/// twice: if its answer is lost for good, the error says that it may be there or not. So it is while the server is
/// busy, reads its files, or has become a replica: then the address is called anew, where its successor may be by now.
///
/// A server that has lost the store, or has been given another of the same name, is told from one that still has it: all
/// calls fail with [`Stopped`](StoreError::Stopped) then. So is one that has gone back, by an older file or to a replica
/// that had not come as far: it has had fewer commits than it has told of. That can no longer be seen when others have
/// committed as many again before this store asks for the next time.
///
/// # Examples
/// ```no_run
/// use std::ops::ControlFlow;
/// use slipring_store::{Batch, Durability, Entry, EventStore, RedisStore};
///
/// let store = RedisStore::connect("redis://127.0.0.1/", "shop")?;
/// let mut batch = Batch::new();
/// batch.append(Entry::new("order.created", "lamp"))?;
/// let committed = store.commit(&batch, Durability::Visible)?;
/// store.scan(committed.first, &mut |record| {
///     assert_eq!(record.payload, b"lamp");
///     ControlFlow::Continue(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisStore {
    link: Link,
    scripts: Scripts,
    source: Source,
    segment: u64,
    known: Mutex<Known>,
    /// How many commits the server is known to have had.
    commits: AtomicU64,
    /// What the tokens of this store begin with, and how many there were.
    salt: Uuid,
    tokens: AtomicU64,
}

/// Without the client, which knows the password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.link.prefix())
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects to a server, and makes the store if it is not there: all its keys begin with its name in braces.
    ///
    /// # Errors
    /// The address or the name cannot be used, the server cannot be reached, is too old or refuses, or has something
    /// else under that name.
    pub fn connect(url: impl Into<String>, name: impl Into<String>) -> Result<Self, StoreError> {
        Self::settings(url, name).connect()
    }

    /// What there is to be set before it [connects](RedisSettings::connect).
    pub fn settings(url: impl Into<String>, name: impl Into<String>) -> RedisSettings {
        RedisSettings::new(url, name)
    }

    fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        const DOING: &str = "opening the store";
        let link = Link::new(settings)?;
        check_version(&link)?;
        Self::check_eviction(&link)?;
        let scripts = Scripts::new();
        let fresh = Source::fresh("redis").bits().to_string();
        let fresh = if settings.existing { String::new() } else { fresh };
        let mut open = redis::cmd("EVALSHA");
        open.arg(scripts.open.hash()).arg(1).arg([link.prefix(), "meta"].concat());
        open.arg(link.prefix()).arg(FORMAT).arg(fresh);
        let answer = link.ask(DOING, &Question::Script(&scripts.open, &open));
        let answer = answer.map_err(|error| match error {
            StoreError::Server { problem, .. } if problem.starts_with("SLIPNONE") => {
                let why = format!("there is no store `{}` in this server", settings.name);
                StoreError::Refused(why.into())
            }
            error => error,
        })?;
        let [source, commits] = reply::exactly(DOING, answer)?;
        let commits = reply::number(DOING, &commits)?;
        let bits = reply::number(DOING, &source)?;
        let store = Self {
            link,
            scripts,
            source: Source::from_bits(bits),
            segment: settings.segment,
            known: Mutex::default(),
            commits: AtomicU64::new(commits),
            salt: EventId::random().into(),
            tokens: AtomicU64::new(0),
        };
        let life = match settings.expiry {
            Expiry::AsItIs => None,
            Expiry::Never => Some(String::new()),
            Expiry::After(time) => Some(time.as_millis().clamp(1, 1 << 52).to_string()),
        };
        if let Some(life) = life {
            store.ask("having events expire", &store.scripts.expire, &[&life])?;
        }
        store.hindrance(true)?;
        Ok(store)
    }

    fn ask(&self, doing: &'static str, lua: &Lua, words: &[&str]) -> Result<Value, StoreError> {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        self.ask_bytes(doing, lua, &words)
    }

    fn ask_bytes(
        &self,
        doing: &'static str,
        lua: &Lua,
        words: &[&[u8]],
    ) -> Result<Value, StoreError> {
        let mut command: Cmd = self.call(lua);
        for word in words {
            command.arg(*word);
        }
        self.link.ask(doing, &Question::Script(lua, &command))
    }

    /// A call of a script, which tells the server which store it is to have, and how many commits it has had at least.
    fn call(&self, lua: &Lua) -> Cmd {
        link::call(lua, self.link.prefix(), &format!("{} {}", self.source.bits(), self.horizon()))
    }

    /// A token that no other commit has.
    fn token(&self) -> Vec<u8> {
        // Relaxed. Only the number counts: an increment gives each caller another.
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        [&self.salt.as_bytes()[..], &number.to_le_bytes()].concat()
    }

    fn horizon(&self) -> u64 {
        // Relaxed. A guess from below: an older one is refused by the server, never trusted.
        self.commits.load(Ordering::Relaxed)
    }

    fn learn(&self, commits: u64) {
        // Relaxed, as above.
        self.commits.fetch_max(commits, Ordering::Relaxed);
    }

    fn ends(&self) -> Result<(u64, u64), StoreError> {
        const DOING: &str = "asking where the store ends";
        let answer = self.ask(DOING, &self.scripts.bounds, &[])?;
        let [first, end] = reply::exactly(DOING, answer)?;
        Ok((reply::number(DOING, &first)?, reply::number(DOING, &end)?))
    }

    /// Has the server answer when the store reaches behind a position, or after so long. It may answer sooner.
    fn hold(&self, beyond: u64, time: Duration) -> Result<(), StoreError> {
        let time = time.min(HOLD).max(Duration::from_millis(1));
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(1).arg("BLOCK").arg(time.as_millis() as u64);
        command.arg("STREAMS").arg([self.link.prefix(), "wake"].concat());
        command.arg(format!("{beyond}-{}", u64::MAX));
        let timeout = time.saturating_add(self.link.timeout());
        match self.link.ask_once("waiting", &Question::Command(&command), timeout) {
            // Whatever it says, the next look at the bounds tells.
            Ok(_) => Ok(()),
            // So it does when the server is away.
            Err(failure) if failure.passes => {
                thread::sleep(PAUSE);
                Ok(())
            }
            Err(failure) => Err(failure.error),
        }
    }
}

fn check_version(link: &Link) -> Result<(), StoreError> {
    const DOING: &str = "asking the server for its version";
    let mut info = redis::cmd("INFO");
    info.arg("server");
    let info = match link.ask(DOING, &Question::Command(&info)) {
        Ok(info) => reply::text(DOING, info)?,
        // One may not be allowed to ask. What is missing comes out with the first script.
        Err(StoreError::Server { problem, .. }) if problem.starts_with("NOPERM") => return Ok(()),
        Err(error) => return Err(error),
    };
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < OLDEST) {
        let problem = format!("it is of version {}, and 7.0 or later is needed", version.trim());
        return Err(StoreError::Server {
            doing: "connecting to the server",
            problem: problem.into(),
        });
    }
    Ok(())
}

impl EventStore for RedisStore {
    fn source(&self) -> Source {
        self.source
    }

    fn commit(&self, batch: &Batch, durability: Durability) -> Result<Committed, CommitError> {
        if durability == Durability::Visible {
            return self.send(batch);
        }
        self.be_durable(false)?;
        let losses = self.link.losses();
        let committed = self.send(batch)?;
        if self.link.losses() != losses {
            // It may be another server now, or have other settings.
            self.be_durable(false).map_err(|error| StoreError::Io {
                doing: "making a commit durable that is there",
                error: io::Error::other(error),
            })?;
        }
        Ok(committed)
    }

    fn sync(&self) -> Result<u64, StoreError> {
        let (_, end) = self.ends()?;
        self.be_durable(true)?;
        Ok(end)
    }

    fn bounds(&self) -> Result<Bounds, StoreError> {
        let (first, end) = self.ends()?;
        let durable = if self.hindrance(false)?.is_none() { end } else { 0 };
        Ok(Bounds { first, end, durable })
    }

    fn scan(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError> {
        self.read_on(from, reader)
    }

    fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError> {
        self.find(query, reader)
    }

    fn topics(&self) -> Result<Vec<String>, StoreError> {
        self.all_topics()
    }

    fn stream(&self, stream: &str, from: u64, reader: Reader<'_>) -> Result<(), StoreError> {
        self.read_stream(stream, from, reader)
    }

    fn version(&self, stream: &str) -> Result<u64, StoreError> {
        const DOING: &str = "asking how many events a stream has had";
        let answer = self.ask(DOING, &self.scripts.version, &[stream])?;
        reply::number(DOING, &answer)
    }

    fn value(&self, space: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        const DOING: &str = "reading a value";
        match self.ask_bytes(DOING, &self.scripts.value, &[space.as_bytes(), key])? {
            Value::Nil => Ok(None),
            value => reply::bytes(DOING, value).map(Some),
        }
    }

    fn values(
        &self,
        space: &str,
        from: &[u8],
        reader: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        const DOING: &str = "reading values";
        let mut from = [b"[", from].concat();
        loop {
            let answer = self.ask_bytes(DOING, &self.scripts.values, &[space.as_bytes(), &from])?;
            let mut page = reply::array(DOING, answer)?.into_iter();
            if page.len() == 0 {
                return Ok(());
            }
            while let (Some(key), value) = (page.next(), page.next()) {
                let key = reply::bytes(DOING, key)?;
                let value = reply::bytes(DOING, value.unwrap_or_default())?;
                if reader(&key, &value).is_break() {
                    return Ok(());
                }
                from = [b"(", &key[..]].concat();
            }
        }
    }

    fn retain(&self, keep: &Retention, now: Time) -> Result<Removed, StoreError> {
        const DOING: &str = "removing events";
        let mut removed = Removed::default();
        'list: loop {
            let page = self.some_segments(DOING, 0)?;
            removed.first = page.begin;
            let mut bytes = page.bytes;
            for segment in &page.segments {
                let end = segment.first + segment.events;
                let is_old = keep.age.is_some_and(|age| now.since(segment.latest) > age);
                let are_many =
                    keep.events.is_some_and(|events| page.end.saturating_sub(end) >= events);
                let left = bytes.saturating_sub(segment.bytes);
                let is_much = keep.bytes.is_some_and(|most| left >= most);
                if !(is_old || are_many || is_much) {
                    return Ok(removed);
                }
                let words = [segment.first.to_string(), CHECKPOINTS.to_owned()];
                let answer = self.ask(DOING, &self.scripts.drop, &[&words[0], &words[1]])?;
                let mut answer = reply::array(DOING, answer)?.into_iter();
                let what = reply::text(DOING, answer.next().unwrap_or_default())?;
                match (what.as_str(), answer.next()) {
                    ("gone", Some(end)) => {
                        removed.first = reply::number(DOING, &end)?;
                        removed.events += removed.first.saturating_sub(segment.first);
                        bytes = left;
                    }
                    ("held", Some(name)) => {
                        let name = reply::bytes(DOING, name)?;
                        removed.held_by = Some(String::from_utf8_lossy(&name).into_owned());
                        return Ok(removed);
                    }
                    // Somebody else was there, or it has expired.
                    ("other", None) => continue 'list,
                    _ => return Err(reply::odd(DOING, "something else than was asked")),
                }
            }
            if page.segments.is_empty() {
                return Ok(removed);
            }
        }
    }

    fn wait(&self, beyond: u64, reach: Reach, timeout: Duration) -> Result<Bounds, StoreError> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let bounds = self.bounds()?;
            if bounds.end_of(reach) > beyond {
                return Ok(bounds);
            }
            if reach == Reach::Durable {
                // Nobody would ever be woken.
                self.be_durable(false)?;
            }
            let left = deadline.map_or(HOLD, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(bounds);
            }
            self.hold(beyond, left)?;
        }
    }
}
