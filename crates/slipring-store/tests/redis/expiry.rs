//! Events that the server forgets by itself.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use slipring_events::Time;
use slipring_store::{EventStore, Query, RedisStore, Retention, StoreError};

use crate::common::{
    harness::{Event, LONG, Model, in_time, query, read_stream, same, scan},
    redis_server::{GONE, RedisServer},
};

const SOON: Duration = Duration::from_millis(300);
const LATE: Duration = Duration::from_hours(24);

fn open(server: &RedisServer, expiry: Option<Duration>) -> RedisStore {
    let settings = RedisStore::settings(server.url(), "passing").segment_events(8);
    match expiry {
        Some(time) => settings.expire_after(time).connect().unwrap(),
        None => settings.connect().unwrap(),
    }
}

fn some_events(begin: u64, count: u64) -> Vec<Event> {
    let event = |number: u64| {
        let event = Event::new(["a", "b"][number as usize % 2], 1_000 - number, [number as u8]);
        if number.is_multiple_of(3) { event.stream(&format!("s{}", number % 2)) } else { event }
    };
    (begin..begin + count).map(event).collect()
}

fn exists(server: &RedisServer, key: &str) -> bool {
    let key = format!("{{passing}}:{key}");
    redis::cmd("EXISTS").arg(key).query(&mut server.connection()).unwrap()
}

/// How long a key has, in milliseconds.
fn life(server: &RedisServer, key: &str) -> i64 {
    let key = format!("{{passing}}:{key}");
    redis::cmd("PTTL").arg(key).query(&mut server.connection()).unwrap()
}

fn until_gone(server: &RedisServer, keys: &[&str]) {
    let deadline = Instant::now() + LONG;
    while keys.iter().any(|key| exists(server, key)) {
        assert!(Instant::now() < deadline, "the keys do not expire");
        thread::sleep(Duration::from_millis(5));
    }
}

fn all_keys(server: &RedisServer) -> BTreeSet<String> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut server.connection()).unwrap();
    keys.iter().map(|key| key.strip_prefix("{passing}:").unwrap().to_owned()).collect()
}

#[test]
fn the_server_forgets_when_no_program_runs() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store = open(&server, Some(SOON));
        let mut model = Model::visible(&store);
        // Three segments, of which none has more than eight events.
        for begin in [0, 8, 16] {
            model.commit(&store, &some_events(begin, 8));
        }
        drop(store);
        until_gone(&server, &["log:0", "log:8", "log:16", "stream:s0", "stream:s1"]);
        until_gone(&server, &["index:0", "index:8", "index:16", "streams:0"]);

        // The books still name what is gone. Nobody is taken in, and numbers go on.
        let store = open(&server, None);
        let bounds = store.bounds().unwrap();
        assert_eq!((bounds.first, bounds.end), (24, 24));
        for from in [0, 8, 23] {
            let error = scan(&store, from).unwrap_err();
            let StoreError::Removed { asked, first } = error else { panic!("{error}") };
            assert_eq!((asked, first), (from, 24));
        }
        same(&scan(&store, 24).unwrap(), &[]);
        model.check(&store, 24);
        let error = read_stream(&store, "s0", 0).unwrap_err();
        let StoreError::Removed { first, .. } = error else { panic!("{error}") };
        assert_eq!(first, store.version("s0").unwrap());

        // What comes now is kept for long, and the books are put right.
        let store = open(&server, Some(LATE));
        model.commit(&store, &some_events(24, 12));
        model.check(&store, 24);
        let keys = all_keys(&server);
        assert!(keys.contains("log:24") && !keys.iter().any(|key| key.starts_with("seg:0")));
        assert!(!keys.contains("seg:8") && !keys.contains("seg:16"), "{keys:?}");
        let removed = store.retain(&Retention::everything(), Time::EPOCH).unwrap();
        assert_eq!((removed.events, removed.first), (0, 24));
    });
}

#[test]
fn what_is_left_is_an_end_of_the_log() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store = open(&server, Some(SOON));
        let mut model = Model::visible(&store);
        model.commit(&store, &some_events(0, 8));
        model.commit(&store, &some_events(8, 5));
        // From now on events are to live longer. Those that are there have their time already.
        let store = open(&server, Some(LATE));
        model.commit(&store, &some_events(13, 8));
        model.commit(&store, &some_events(21, 3));
        until_gone(&server, &["log:0", "log:8"]);
        for store in [&store, &open(&server, None)] {
            model.check(store, 13);
            for asked in [Query::topic("a"), Query::all().between(..Time::from_nanos(985))] {
                same(&query(store, &asked), &model.query(&asked, 13));
            }
            same(&scan(store, 15).unwrap(), &model.events[15..]);
            assert!(matches!(scan(store, 12), Err(StoreError::Removed { asked: 12, first: 13 })));
        }
        // All that there is of an event has a time, and none is longer than was asked for and a bit.
        let hour = LATE.as_millis() as i64 / 24;
        for key in ["log:13", "index:13", "streams:13", "log:21", "stream:s0", "stream:s1"] {
            let left = life(&server, key);
            assert!((23 * hour..=25 * hour).contains(&left), "{key}: {left}");
        }
        for key in ["meta", "segments", "seg:13", "versions", "topics"] {
            assert_eq!(life(&server, key), -1, "{key}");
        }
    });
}

#[test]
fn a_store_learns_to_forget_and_not_to() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store = open(&server, None);
        let mut model = Model::visible(&store);
        model.commit(&store, &some_events(0, 8));
        model.commit(&store, &some_events(8, 3));
        assert_eq!((life(&server, "log:0"), life(&server, "stream:s0")), (-1, -1));
        // What is there goes as well, in its order.
        drop(open(&server, Some(LATE)));
        for key in ["log:0", "index:0", "streams:0", "log:8", "stream:s0"] {
            assert!(life(&server, key) > 0, "{key}");
        }
        // It is a property of the store: also who does not know of it writes what expires.
        model.commit(&store, &some_events(11, 8));
        assert!(life(&server, "log:11") >= life(&server, "log:0"));
        model.check(&store, 0);
        let settings = RedisStore::settings(server.url(), "passing").segment_events(8);
        let store = settings.expire_never().connect().unwrap();
        model.commit(&store, &some_events(19, 6));
        for key in ["log:19", "index:19", "streams:19", "stream:s0", "stream:s1"] {
            assert_eq!(life(&server, key), -1, "{key}");
        }
        model.check(&store, 0);

        // A shorter time than before: again what is there goes when what comes now would.
        let store = open(&server, Some(SOON));
        until_gone(&server, &["log:0", "log:8", "log:11", "log:19"]);
        model.check(&store, 25);
    });
}

#[test]
fn who_removes_more_finds_what_has_expired_gone() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store = open(&server, Some(SOON));
        let mut model = Model::visible(&store);
        for begin in 0..100 {
            model.commit(&store, &some_events(begin * 8, 8));
        }
        let store = open(&server, Some(LATE));
        for begin in 100..103 {
            model.commit(&store, &some_events(begin * 8, 8));
        }
        until_gone(&server, &["log:0", "log:792"]);
        let keep = Retention::everything().events(8);
        let removed = store.retain(&keep, Time::EPOCH).unwrap();
        // It counts what it has removed itself.
        assert_eq!((removed.events, removed.first), (16, 816));
        model.check(&store, 816);
        let logs = all_keys(&server).into_iter().filter(|key| key.starts_with("seg:"));
        assert!(logs.eq(["seg:816"]));
    });
}

#[test]
fn segments_expire_in_their_order_also_when_the_clock_is_set_back() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store = open(&server, Some(LATE));
        let mut model = Model::visible(&store);
        model.commit(&store, &some_events(0, 8));
        // As if the clock had been two days further then.
        let late = life(&server, "log:0") + 2 * LATE.as_millis() as i64;
        let mut connection = server.connection();
        let then: i64 = redis::cmd("EVAL")
            .arg("local t = redis.call('TIME') return t[1] * 1000 + ARGV[1]")
            .arg(0)
            .arg(late)
            .query(&mut connection)
            .unwrap();
        for key in ["log:0", "index:0", "streams:0"] {
            let key = format!("{{passing}}:{key}");
            redis::cmd("PEXPIREAT").arg(key).arg(then).exec(&mut connection).unwrap();
        }
        let mut set = redis::cmd("HSET");
        set.arg("{passing}:seg:0").arg("expire").arg(then).exec(&mut connection).unwrap();
        model.commit(&store, &some_events(8, 8));
        let when = |key: &str| -> i64 {
            let key = format!("{{passing}}:{key}");
            redis::cmd("PEXPIRETIME").arg(key).query(&mut server.connection()).unwrap()
        };
        assert_eq!((when("log:0"), when("log:8"), when("index:8")), (then, then, then));
        model.check(&store, 0);
    });
}
