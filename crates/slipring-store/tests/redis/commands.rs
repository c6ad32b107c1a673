//! What the server is asked for, by its own count: nothing that looks at all that it has.
//!
//! The same is done with a small store and with a large one. What the server then counts is the same, but for what is
//! said below: queries look at the books of each segment, and only at the index of those of the time that is asked for.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use slipring_events::Time;
use slipring_store::{
    Batch, Checkpoint, Durability, EventStore, Expected, Query, Reach, RedisStore, Retention,
};

use crate::common::{
    harness::{Event, batch_of, in_time},
    redis_server::{GONE, RedisServer},
};

/// Events of a segment.
const SEGMENT: u64 = 30;

/// Whatever a store may ask for. `HGETALL` and `SMEMBERS` read a whole key: the checkpoints, and the streams of a segment
/// that is removed.
const ALLOWED: &[&str] = &[
    "evalsha",
    "exists",
    "hdel",
    "hget",
    "hgetall",
    "hincrby",
    "hmget",
    "hset",
    "lindex",
    "llen",
    "lpop",
    "lrange",
    "rpush",
    "sadd",
    "script|load",
    "smembers",
    "time",
    "type",
    "unlink",
    "xadd",
    "xrange",
    "xread",
    "xrevrange",
    "zadd",
    "zcard",
    "zrange",
    "zrangebylex",
    "zrangebyscore",
    "zrem",
    "zrevrangebyscore",
];

/// How often each command was called, but for those by which one connects and asks for settings now and then.
pub fn calls(server: &RedisServer) -> BTreeMap<String, u64> {
    let info: String =
        redis::cmd("INFO").arg("commandstats").query(&mut server.connection()).unwrap();
    let lines =
        info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
    let count = |calls: &str| calls.split(',').next().unwrap().parse().unwrap();
    let mut calls: BTreeMap<_, _> =
        lines.map(|(name, calls)| (name.to_owned(), count(calls))).collect();
    for name in ["info", "config|get", "client|setinfo", "ping"] {
        calls.remove(name);
    }
    calls
}

/// A store of so many segments, all of it asked for once, so that the server knows the scripts.
fn filled(server: &RedisServer, segments: u64) -> RedisStore {
    let store = RedisStore::settings(server.url(), "many").segment_events(SEGMENT);
    let store = store.connect().unwrap();
    for segment in 0..segments {
        let event = |at: u64| {
            let number = segment * SEGMENT + at;
            Event::new(["a", "b"][at as usize % 2], number, "").stream(&format!("s{}", at % 3))
        };
        let mut batch = batch_of(&(0..SEGMENT).map(event).collect::<Vec<_>>());
        batch.put("space", &segment.to_be_bytes(), b"value");
        store.commit(&batch, Durability::Visible).unwrap();
    }
    store
}

type Operation = (&'static str, fn(&RedisStore));

fn first_of(count: u64) -> impl FnMut(slipring_store::Record<'_>) -> ControlFlow<()> {
    let mut left = count;
    move |_| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

const OPERATIONS: &[Operation] = &[
    ("commit", |store| {
        let end = store.bounds().unwrap().end;
        let mut batch = batch_of(&[Event::new("a", end, "").stream("s1")]);
        batch.expect("s1", Expected::Events(store.version("s1").unwrap())).unwrap();
        Checkpoint::named("reader").put(&mut batch, SEGMENT);
        batch.put("space", &0_u64.to_be_bytes(), b"another");
        store.commit(&batch, Durability::Visible).unwrap();
    }),
    ("nothing", |store| {
        store.commit(&Batch::new(), Durability::Visible).unwrap();
    }),
    ("scan", |store| {
        let from = store.bounds().unwrap().end - 40;
        store.scan(from, &mut first_of(35)).unwrap();
    }),
    ("stream", |store| {
        let from = store.version("s2").unwrap() - 12;
        store.stream("s2", from, &mut first_of(10)).unwrap();
    }),
    ("value", |store| {
        store.value("space", &3_u64.to_be_bytes()).unwrap().unwrap();
    }),
    ("values", |store| {
        store.values("space", &5_u64.to_be_bytes(), &mut |_, _| ControlFlow::Break(())).unwrap();
    }),
    ("topics", |store| assert_eq!(store.topics().unwrap(), ["a", "b"])),
    ("wait", |store| {
        let end = store.bounds().unwrap().end;
        store.wait(end - 1, Reach::Visible, Duration::MAX).unwrap();
    }),
    ("query", |store| {
        let from = Time::from_nanos(4 * SEGMENT);
        let query = Query::topic("a").between(from..=Time::from_nanos(5 * SEGMENT - 1));
        let mut found = 0;
        store
            .query(&query, &mut |_| {
                found += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(found, SEGMENT / 2);
    }),
    ("retain", |store| {
        // Up to the checkpoint.
        let removed = store.retain(&Retention::everything().events(0), Time::EPOCH).unwrap();
        assert_eq!((removed.events, removed.held_by.as_deref()), (SEGMENT, Some("reader")));
    }),
];

/// What is counted for each operation.
fn counted(segments: u64) -> Vec<BTreeMap<String, u64>> {
    let server = RedisServer::start(GONE);
    let store = filled(&server, segments);
    let mut counted = Vec::new();
    for (name, operation) in OPERATIONS {
        // The server is told the script.
        if *name != "retain" {
            operation(&store);
        }
        let before = calls(&server);
        operation(&store);
        let mut after = calls(&server);
        after.retain(|name, calls| {
            *calls -= before.get(name).copied().unwrap_or(0);
            *calls > 0
        });
        after.remove("script|load");
        counted.push(after);
    }
    let all = calls(&server);
    let strange: Vec<_> = all.keys().filter(|name| !ALLOWED.contains(&name.as_str())).collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert_eq!((all["smembers"], all["hgetall"]), (1, 2), "a segment went, and one was to go");
    counted
}

#[test]
fn no_call_does_more_in_a_large_store_than_in_a_small_one() {
    in_time(|| {
        let (few, many) = (8, 200);
        let (small, mut large) = (counted(few), counted(many));
        for (((name, _), small), large) in OPERATIONS.iter().zip(small).zip(&mut large) {
            assert!(small["evalsha"] > 0);
            match *name {
                // The books of the segments: of all of them, and of 256 at most.
                "query" | "retain" => *large.get_mut("hmget").unwrap() -= many - few,
                // A page of values, at most 512.
                "values" => *large.get_mut("hget").unwrap() -= many - few,
                // What is left of a stream is found by halving: 25 times as many, 5 more.
                "stream" => {
                    let looks = large.get_mut("lindex").unwrap();
                    assert!(*looks <= small["lindex"] + 5);
                    *looks = small["lindex"];
                }
                _ => {}
            }
            assert_eq!(small, *large, "{name}");
        }
    });
}
