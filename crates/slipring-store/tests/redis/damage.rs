//! Data that is not what was stored, and servers that say what no server says.

use std::{ops::ControlFlow, time::Duration};

use slipring_events::Time;
use slipring_store::{
    CHECKPOINTS, CommitError, Durability, EventStore, Query, RedisStore, Retention, StoreError,
};

use crate::{
    common::{
        harness::{Event, Model, batch_of, in_time, read_stream, same, scan},
        redis_server::{GONE, RedisServer},
    },
    proxy::{GREETING, Liar},
};

/// A server with a store of 30 events in three segments.
fn filled() -> (RedisServer, RedisStore, Model) {
    let server = RedisServer::start(GONE);
    let store = RedisStore::settings(server.url(), "bad").segment_events(10).connect().unwrap();
    let mut model = Model::visible(&store);
    for begin in [0, 5, 10, 15, 20, 25] {
        let event = |at: u64| Event::new("topic", 100 + at, at.to_le_bytes()).stream("s");
        model.commit(&store, &(begin..begin + 5).map(event).collect::<Vec<_>>());
    }
    model.check(&store, 0);
    (server, store, model)
}

fn run(server: &RedisServer, name: &str, arguments: &[&[u8]]) -> redis::Value {
    redis::cmd(name).arg(arguments).query(&mut server.connection()).unwrap()
}

/// Puts something else in place of the entries of the first segment.
fn replace(server: &RedisServer, id: &str, fields: &[&[u8]]) {
    run(server, "DEL", &[b"{bad}:log:0"]);
    run(server, "XADD", &[&[b"{bad}:log:0", id.as_bytes()], fields].concat());
}

#[track_caller]
fn damaged(result: Result<impl std::fmt::Debug, StoreError>) -> String {
    match result {
        Err(error @ StoreError::Damaged { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn all_by_query(store: &RedisStore) -> Result<u64, StoreError> {
    let mut count = 0;
    store.query(&Query::all(), &mut |_| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

#[test]
fn entries_that_were_changed_are_found_out() {
    in_time(|| {
        let (server, store, model) = filled();
        let good = batch_of(&(0..5).map(|at| model.events[at].event.clone()).collect::<Vec<_>>());
        let good = good.bytes();
        let sum = |bytes: &[u8]| crc32fast::hash(bytes).to_string().into_bytes();
        let mut flipped = good.to_vec();
        flipped[good.len() / 2] ^= 0x10;
        let torn = &good[..good.len() - 1];
        let good_sum = sum(good);
        let sums = [sum(&flipped), sum(torn), sum(b"")];
        let outside = [&u32::MAX.to_le_bytes()[..], &[0; 8]].concat();
        let cases: &[(&str, &[&[u8]], &str)] = &[
            ("1-0", &[b"n", b"5", b"c", &good_sum, b"b", &flipped, b"v", b""], "checksum"),
            ("1-0", &[b"n", b"5", b"c", &good_sum, b"b", torn, b"v", b""], "checksum"),
            ("1-0", &[b"n", b"5", b"c", &sums[1], b"b", torn, b"v", b""], "midst"),
            ("1-0", &[b"n", b"5", b"c", &sums[2], b"b", b"", b"v", b""], "ends before event"),
            ("1-0", &[b"n", b"4", b"c", &good_sum, b"b", good, b"v", b""], "ends before event"),
            ("1-0", &[b"n", b"6", b"c", &good_sum, b"b", good, b"v", b""], "ends before event"),
            ("1-0", &[b"n", b"5", b"c", &good_sum, b"b", good, b"v", b"123"], "torn"),
            ("1-0", &[b"n", b"5", b"c", &good_sum, b"b", good, b"v", &outside], "not in it"),
            ("1-0", &[b"n", b"5", b"c", &good_sum, b"b", good], "fields"),
            ("1-0", &[b"n", b"5", b"c", &good_sum, b"x", good, b"v", b""], "fields"),
            ("1-1", &[b"n", b"5", b"c", &good_sum, b"b", good, b"v", b""], "not in it"),
            ("0-5", &[b"n", b"5", b"c", &good_sum, b"b", good, b"v", b""], "numbered"),
            ("3-0", &[b"n", b"5", b"c", &good_sum, b"b", good, b"v", b""], "not in it"),
        ];
        for (id, fields, problem) in cases {
            replace(&server, id, fields);
            // One after it, so that it is not the end.
            run(
                &server,
                "XADD",
                &[b"{bad}:log:0", b"6-0", b"n", b"5", b"c", &good_sum, b"b", good, b"v", b""],
            );
            let told = damaged(scan(&store, 0));
            assert!(told.contains(problem), "{told}, in place of: {problem}");
            if fields.len() < 8 || *id != "1-0" || *problem == "checksum" {
                damaged(all_by_query(&store));
                damaged(read_stream(&store, "s", 0));
            }
            // What is not damaged can be read.
            assert_eq!(scan(&store, 10).unwrap(), model.events[10..]);
        }
        // Numbers in streams that are not those of the index.
        replace(&server, "1-0", &[b"n", b"5", b"c", &good_sum, b"b", good, b"v", b""]);
        assert!(damaged(read_stream(&store, "s", 1)).contains("stream `s`"));
        // Events that are not those of the index.
        let other = batch_of(&vec![Event::new("other", 1, ""); 5]);
        let other_sum = sum(other.bytes());
        replace(&server, "1-0", &[b"n", b"5", b"c", &other_sum, b"b", other.bytes(), b"v", b""]);
        let query = store.query(&Query::topic("topic"), &mut |_| ControlFlow::Continue(()));
        assert!(damaged(query).contains("index"));
    });
}

#[test]
fn any_bytes_are_an_error_or_events_and_never_a_panic() {
    in_time(|| {
        let (server, store, model) = filled();
        let good = batch_of(&(0..10).map(|at| model.events[at].event.clone()).collect::<Vec<_>>());
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..300 {
            let mut bytes = good.bytes().to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                match random.u8(..3) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, random.u8(..)),
                }
            }
            let sum = crc32fast::hash(&bytes).to_string();
            let count = random.u64(9..12).to_string();
            let mut numbers = vec![0; random.usize(..30)];
            random.fill(&mut numbers);
            let fields: &[&[u8]] =
                &[b"n", count.as_bytes(), b"c", sum.as_bytes(), b"b", &bytes, b"v", &numbers];
            replace(&server, "1-0", fields);
            for from in [0, 3] {
                match store.scan(from, &mut |_| ControlFlow::Continue(())) {
                    Ok(_) | Err(StoreError::Damaged { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            drop(all_by_query(&store));
            drop(read_stream(&store, "s", 0));
        }
    });
}

#[test]
fn what_somebody_took_away_is_missed() {
    in_time(|| {
        let (server, store, model) = filled();
        run(&server, "XDEL", &[b"{bad}:log:10", b"11-0"]);
        assert_eq!(scan(&store, 20).unwrap(), model.events[20..]);
        damaged(scan(&store, 10));
        damaged(all_by_query(&store));
        let (server, store, model) = filled();
        run(&server, "XDEL", &[b"{bad}:log:10", b"16-0"]);
        damaged(scan(&store, 0));
        assert_eq!(scan(&store, 20).unwrap(), model.events[20..]);
        // A whole segment, evicted: the first, or one in the midst.
        for segment in [b"{bad}:log:0", &b"{bad}:log:10"[..]] {
            let (server, store, _) = filled();
            run(&server, "DEL", &[segment]);
            assert!(damaged(scan(&store, 0)).contains("evict"));
            assert!(damaged(all_by_query(&store)).contains("evict"));
        }
        let (server, store, _) = filled();
        run(&server, "DEL", &[b"{bad}:log:20"]);
        let more = batch_of(&[Event::new("topic", 1, "")]);
        match store.commit(&more, Durability::Visible) {
            Err(CommitError::Store(error)) => drop(damaged(Err::<(), _>(error))),
            other => panic!("{other:?}"),
        }
        // An index, or a part of it: what is not in it would be left out without a word.
        for (name, rest) in [("DEL", None), ("ZPOPMIN", Some(&b"1"[..]))] {
            let (server, store, model) = filled();
            let words: Vec<_> = [&b"{bad}:index:10"[..]].into_iter().chain(rest).collect();
            run(&server, name, &words);
            assert!(damaged(all_by_query(&store)).contains("index"));
            same(&scan(&store, 0).unwrap(), &model.events);
        }
        // Values without their keys.
        let (server, store, _) = filled();
        let mut batch = batch_of(&[]);
        batch.put("space", b"key", b"value");
        store.commit(&batch, Durability::Visible).unwrap();
        run(&server, "HDEL", &[b"{bad}:values:space", b"key"]);
        damaged(store.values("space", b"", &mut |_, _| ControlFlow::Continue(())));
    });
}

#[test]
fn keys_of_others_are_not_touched_and_nothing_is_half_done() {
    in_time(|| {
        let (server, store, mut model) = filled();
        let keys = ["stream:x", "values:v", "keys:v", "log:30", "index:30", "streams:30"];
        for key in keys {
            let key = format!("{{bad}}:{key}");
            run(&server, "SET", &[key.as_bytes(), b"somebody's"]);
            let mut batch = batch_of(&[Event::new("new", 1, "").stream("x")]);
            batch.put("v", b"key", b"value");
            match store.commit(&batch, Durability::Visible) {
                Err(CommitError::Store(error)) => drop(damaged(Err::<(), _>(error))),
                other => panic!("{other:?}"),
            }
            run(&server, "DEL", &[key.as_bytes()]);
            model.check(&store, 0);
        }
        model.commit(&store, &[Event::new("new", 1, "").stream("x")]);
        model.check(&store, 0);
        for (key, kind) in [("wake", "stream"), ("meta", "hash"), ("topics", "zset")] {
            let key = format!("{{other}}:{key}");
            run(&server, "SET", &[key.as_bytes(), b"somebody's"]);
            let error = RedisStore::connect(server.url(), "other").unwrap_err().to_string();
            assert!(error.contains(&key) && error.contains(kind), "{error}");
            run(&server, "DEL", &[key.as_bytes()]);
        }
        run(&server, "HSET", &[b"{bad}:meta", b"format", b"2"]);
        let error = RedisStore::connect(server.url(), "bad").unwrap_err().to_string();
        assert!(error.contains("format 2"), "{error}");
    });
}

#[test]
fn books_that_are_nonsense_are_errors() {
    in_time(|| {
        let nonsense: &[(&str, &[&[u8]])] = &[
            ("HSET", &[b"{bad}:meta", b"end", b"nonsense"]),
            ("HSET", &[b"{bad}:meta", b"end", b"-5"]),
            ("HSET", &[b"{bad}:meta", b"end", b"1e300"]),
            ("HSET", &[b"{bad}:seg:0", b"bytes", b"nonsense", b"min", b"x", b"events", b"-1"]),
            ("DEL", &[b"{bad}:seg:0", b"{bad}:seg:10", b"{bad}:seg:20"]),
            ("ZADD", &[b"{bad}:segments", b"3", b"nonsense"]),
            ("ZADD", &[b"{bad}:index:0", b"0", b"\x05topicnonsense"]),
            ("RPUSH", &[b"{bad}:stream:s", b"nonsense"]),
            ("HSET", &[b"{bad}:versions", b"s", b"nonsense"]),
            ("DEL", &[b"{bad}:segments"]),
        ];
        for (name, arguments) in nonsense {
            let (server, store, _) = filled();
            run(&server, name, arguments);
            // Each may work as far as it does not come across it; what fails, fails with a typed error.
            let results = [
                scan(&store, 0).map(drop),
                all_by_query(&store).map(drop),
                read_stream(&store, "s", 0).map(drop),
                store.bounds().map(drop),
                store.version("s").map(drop),
                store.retain(&Retention::everything().events(1), Time::EPOCH).map(drop),
            ];
            let failed = results.iter().filter(|result| result.is_err()).count();
            assert!(failed > 0, "{name} {arguments:?} was not noticed");
            for error in results.into_iter().filter_map(Result::err) {
                let is_typed = matches!(
                    error,
                    StoreError::Damaged { .. }
                        | StoreError::Server { .. }
                        | StoreError::Beyond { .. }
                        | StoreError::Removed { .. }
                );
                assert!(is_typed, "{error:?}");
            }
        }
        // A checkpoint that is none holds back retention: nobody knows what it needs.
        let (_server, store, model) = filled();
        let mut batch = batch_of(&[]);
        batch.put(CHECKPOINTS, b"odd", b"short");
        store.commit(&batch, Durability::Visible).unwrap();
        damaged(store.retain(&Retention::everything().events(1), Time::EPOCH));
        model.check(&store, 0);
    });
}

#[test]
fn servers_that_lie_are_errors() {
    in_time(|| {
        let answers: &[&[u8]] = &[
            b"",
            b"\r\n",
            b"nonsense\r\n",
            b"+OK\r\n",
            b"$-1\r\n",
            b"$-5\r\n",
            b":9223372036854775808\r\n",
            b":1\r\n",
            b"*-7\r\n",
            b"*3\r\n:1\r\n",
            b"*2\r\n$3\r\nabc\r\n:0\r\n",
            b"*2\r\n$1\r\n7\r\n$3\r\nabc\r\n",
            b"$1000000\r\nshort\r\n",
            b"-ERR no such thing\r\n",
            b"-\r\n",
            b"-MOVED 1 127.0.0.1:1\r\n",
            b"\xff\xfe\x00",
        ];
        // What it takes to connect, then what is said of the server.
        let info = b"$21\r\nredis_version:7.0.15\r\n\r\n";
        let before: [&[&[u8]]; 3] = [&[], &[GREETING], &[GREETING, info]];
        for (answer, before) in answers.iter().flat_map(|answer| before.map(|some| (answer, some)))
        {
            let liar = Liar::saying(&[before, &[answer]].concat());
            let settings = RedisStore::settings(liar.url(), "lied.to");
            let settings = settings.timeout(Duration::from_millis(50)).patience(Duration::ZERO);
            match settings.connect() {
                Err(StoreError::Io { .. } | StoreError::Server { .. }) => {}
                other => panic!("{other:?} after {:?}", answer.escape_ascii().to_string()),
            }
        }
    });
}
