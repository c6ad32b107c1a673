//! How a server is reached, and what is done in it.

use std::{
    thread,
    time::{Duration, Instant},
};

use slipring_events::Time;
use slipring_store::{
    Checkpoint, CommitError, Durability, EventStore, Query, Reach, RedisStore, Retention,
    StoreError,
};

use crate::{
    commands::calls,
    common::{
        harness::{Event, LONG, Model, Stored, batch_of, in_time, query, same},
        redis_server::{GONE, RedisServer},
    },
    proxy::{GREETING, Liar},
};

fn some_events(count: u64) -> Vec<Event> {
    let event = |at: u64| {
        let event = Event::new(&format!("t.{}", at % 5), at * 3 % 17, [at as u8; 50]);
        if at.is_multiple_of(2) { event.stream(&format!("s{}", at % 7)) } else { event.dressed() }
    };
    (0..count).map(event).collect()
}

/// A bit of everything.
fn use_it(store: &RedisStore) {
    let mut model = Model::visible(store);
    for size in [1, 40, 200, 3] {
        model.commit(store, &some_events(size));
    }
    let mut batch = batch_of(&[]);
    batch.put("space", b"key", b"value");
    Checkpoint::named("reader").put(&mut batch, 100);
    store.commit(&batch, Durability::Visible).unwrap();
    model.check(store, 0);
    assert_eq!(store.wait(0, Reach::Visible, LONG).unwrap().end, 244);
    assert_eq!(store.wait(244, Reach::Visible, Duration::from_millis(2)).unwrap().end, 244);
    assert_eq!(store.value("space", b"key").unwrap().as_deref(), Some(&b"value"[..]));
    let removed = store.retain(&Retention::everything().events(2), Time::EPOCH).unwrap();
    assert_eq!((removed.first, removed.held_by.as_deref()), (41, Some("reader")));
    model.check(store, 41);
}

#[test]
fn who_waits_does_not_ask_again_and_again() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store = RedisStore::connect(server.url(), "quiet").unwrap();
        store.wait(0, Reach::Visible, Duration::from_millis(300)).unwrap();
        let calls = calls(&server);
        // Before it waits, while it waits, and when it has waited; and what it takes to connect.
        assert!(calls["xread"] <= 2, "{calls:?}");
        assert!(calls["evalsha"] <= 6, "{calls:?}");
    });
}

#[test]
fn a_node_of_a_cluster_will_do() {
    in_time(|| {
        let server = RedisServer::on_port(&["--cluster-enabled", "yes", "--appendonly", "no"]);
        let settings = || {
            let settings = RedisStore::settings(server.url(), "a store").segment_events(30);
            settings.patience(Duration::ZERO)
        };
        // Nobody has the slots yet.
        match settings().connect() {
            Err(StoreError::Server { problem, .. }) => assert!(problem.contains("CLUSTERDOWN")),
            other => panic!("{other:?}"),
        }
        let mut connection = server.connection();
        redis::cmd("CLUSTER").arg(&["ADDSLOTSRANGE", "0", "16383"]).exec(&mut connection).unwrap();
        let deadline = Instant::now() + LONG;
        loop {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connection).unwrap();
            if info.contains("cluster_state:ok") {
                break;
            }
            assert!(Instant::now() < deadline, "{info}");
            thread::sleep(Duration::from_millis(10));
        }
        use_it(&settings().connect().unwrap());
        use_it(&RedisStore::settings(server.url(), "other").segment_events(30).connect().unwrap());
        let keys: Vec<String> =
            redis::cmd("KEYS").arg("{a store}:*").query(&mut connection).unwrap();
        assert!(keys.len() > 10);
    });
}

#[test]
fn both_protocols_will_do() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        for protocol in ["resp2", "resp3"] {
            let url = format!("{}?protocol={protocol}", server.url());
            use_it(&RedisStore::settings(url, protocol).segment_events(30).connect().unwrap());
        }
    });
}

#[test]
fn stores_of_several_names_are_apart_and_several_clients_of_one_share_it() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let open = |name: &str| RedisStore::connect(server.url(), name).unwrap();
        let (one, same_one, other) = (open("one"), open("one"), open("one:"));
        assert_eq!(one.source(), same_one.source());
        assert_ne!(one.source(), other.source());
        let mut models = [Model::visible(&one), Model::visible(&other)];
        for round in 0..10 {
            models[0].commit([&one, &same_one][round % 2], &some_events(round as u64 + 1));
            models[1].commit(&other, &some_events(3));
        }
        for store in [&one, &same_one] {
            models[0].check(store, 0);
        }
        models[1].check(&other, 0);
        // Who waits at one client sees what comes through the other.
        let end = one.bounds().unwrap().end;
        thread::scope(|scope| {
            let waiter = scope.spawn(|| one.wait(end, Reach::Visible, LONG).unwrap().end);
            same_one.commit(&batch_of(&some_events(1)), Durability::Visible).unwrap();
            assert_eq!(waiter.join().unwrap(), end + 1);
        });
    });
}

#[test]
fn positions_are_exact_far_beyond_what_is_written_without_an_exponent() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let begin = 4_000_000_000_000_000_u64;
        let store = RedisStore::settings(server.url(), "far").segment_events(20).connect().unwrap();
        let mut set = redis::cmd("HSET");
        set.arg("{far}:meta").arg("end").arg(begin).exec(&mut server.connection()).unwrap();
        for round in 0..5 {
            let committed = store.commit(&batch_of(&some_events(15)), Durability::Visible).unwrap();
            assert_eq!(committed.first, begin + round * 15);
        }
        let mut positions = Vec::new();
        let next = store.scan(begin, &mut |record| {
            positions.push(record.position);
            std::ops::ControlFlow::Continue(())
        });
        assert_eq!(next.unwrap(), begin + 75);
        assert!(positions.into_iter().eq(begin..begin + 75));
        let found = query(&store, &Query::all());
        let mut positions: Vec<_> = found.iter().map(|stored| stored.position).collect();
        positions.sort_unstable();
        assert!(positions.into_iter().eq(begin..begin + 75));
        let mut versions = Vec::new();
        let read = store.stream("s0", 0, &mut |record| {
            versions.push(record.stream.unwrap().version);
            std::ops::ControlFlow::Continue(())
        });
        read.unwrap();
        assert!(versions.iter().copied().eq(0..store.version("s0").unwrap()));
        assert_eq!(store.wait(begin + 74, Reach::Visible, LONG).unwrap().end, begin + 75);
        let removed = store.retain(&Retention::everything().events(20), Time::EPOCH).unwrap();
        assert_eq!((removed.events, store.bounds().unwrap().first), (45, begin + 45));
    });
}

#[test]
fn a_server_without_memory_refuses_all_of_it() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store = RedisStore::connect(server.url(), "full").unwrap();
        let mut model = Model::visible(&store);
        model.commit(&store, &some_events(20));
        let limit = |bytes: u64| {
            let mut connection = server.connection();
            redis::cmd("CONFIG")
                .arg("SET")
                .arg("maxmemory")
                .arg(bytes)
                .exec(&mut connection)
                .unwrap();
        };
        limit(1);
        match store.commit(&batch_of(&some_events(9)), Durability::Visible) {
            Err(CommitError::Store(StoreError::Server { problem, .. })) => {
                assert!(problem.contains("OOM"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
        // Reading works, and so does all when there is room again.
        model.check(&store, 0);
        limit(0);
        model.commit(&store, &some_events(9));
        model.check(&store, 0);
    });
}

#[test]
fn passwords_are_not_told() {
    in_time(|| {
        const SECRET: &str = "correct-horse";
        let server = RedisServer::start(&["--requirepass", SECRET]);
        let settings = RedisStore::settings(format!("{}?pass={SECRET}", server.url()), "secret");
        let said = format!("{settings:?} {settings:#?}");
        let store = settings.connect().unwrap();
        store.commit(&batch_of(&some_events(3)), Durability::Visible).unwrap();
        let mut said = vec![said, format!("{store:?} {store:#?}")];

        let wrong = |url: String| {
            let settings = RedisStore::settings(url, "secret").patience(Duration::ZERO);
            let settings = settings.timeout(Duration::from_millis(500));
            let error = settings.connect().unwrap_err();
            format!("{error} {error:?}")
        };
        said.push(wrong(format!("{}?pass=not-the-{SECRET}", server.url())));
        said.push(wrong(server.url()));
        said.push(wrong(format!("redis://me:{SECRET}@127.0.0.1:1/")));
        said.push(wrong(format!("redis://me:{SECRET}@127.0.0.1:port/")));
        said.push(wrong(format!("redis://me:{SECRET}@127.0.0.1/database")));
        said.push(wrong(format!("http://me:{SECRET}@127.0.0.1/")));
        // One that says with what it was called.
        let answer =
            format!("-ERR unknown command 'AUTH', with args beginning with: '{SECRET}'\r\n");
        let liar = Liar::saying(&[b"+OK\r\n+OK\r\n+OK\r\n", answer.as_bytes()]);
        said.push(wrong(format!("{}?pass={SECRET}", liar.url())));
        assert!(said.last().unwrap().contains("beginning with: '***'"), "{said:?}");
        for said in said {
            assert!(!said.contains(SECRET), "{said}");
        }
    });
}

#[test]
fn names_and_addresses_that_will_not_do_are_refused() {
    let long = "x".repeat(129);
    for name in ["", "a{b", "a}b", &long] {
        let error = RedisStore::connect("redis://127.0.0.1/", name).unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
    }
    for url in ["", "127.0.0.1", "amqp://127.0.0.1/", "redis://"] {
        let error = RedisStore::connect(url, "name").unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{url}: {error}");
    }
}

#[test]
fn a_store_that_is_to_be_there_is_not_made() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let settings = || RedisStore::settings(server.url(), "typo").existing();
        match settings().connect() {
            Err(StoreError::Refused(why)) => assert!(why.contains("`typo`"), "{why}"),
            other => panic!("{other:?}"),
        }
        let keys: u64 = redis::cmd("DBSIZE").query(&mut server.connection()).unwrap();
        assert_eq!(keys, 0);
        let made = RedisStore::connect(server.url(), "typo").unwrap();
        assert_eq!(settings().connect().unwrap().source(), made.source());
    });
}

#[test]
fn old_servers_are_refused() {
    let info = "redis_version:6.2.14\r\n";
    let answer = format!("${}\r\n{info}\r\n", info.len());
    let liar = Liar::saying(&[GREETING, answer.as_bytes()]);
    let error = RedisStore::connect(liar.url(), "name").unwrap_err().to_string();
    assert!(error.contains("6.2.14") && error.contains("7.0"), "{error}");
}

#[test]
fn a_query_over_many_segments_asks_only_those_of_its_time() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store =
            RedisStore::settings(server.url(), "quick").segment_events(10).connect().unwrap();
        let mut model = Model::visible(&store);
        for begin in 0..60 {
            let event = |at: u64| Event::new("t", begin * 10 + at, "");
            model.commit(&store, &(0..10).map(event).collect::<Vec<_>>());
        }
        let ranges = || calls(&server).get("zrangebylex").copied().unwrap_or(0);
        let before = ranges();
        let asked = Query::topic("t").between(Time::from_nanos(299)..=Time::from_nanos(310));
        same(&query(&store, &asked), &model.query(&asked, 0));
        assert_eq!(ranges() - before, 3);
        // One with a limit goes no further than it must.
        let before = ranges();
        let asked = Query::topic("t").limit(15);
        same(&query(&store, &asked), &model.query(&asked, 0));
        assert!(ranges() - before <= 4);
    });
}

#[test]
fn a_query_sees_nothing_of_what_comes_while_it_reads() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let open = || RedisStore::connect(server.url(), "whole").unwrap();
        let (store, writer) = (open(), open());
        let mut model = Model::visible(&store);
        let event = |time: u64| Event::new("t", time, time.to_le_bytes());
        model.commit(&store, &(10..1_010).map(event).collect::<Vec<_>>());
        let mut found = Vec::new();
        let read = store.query(&Query::topic("t"), &mut |record| {
            if found.is_empty() {
                // One of them is behind the reader, and the other one before it.
                let batch = batch_of(&[event(1), event(1_005)]);
                writer.commit(&batch, Durability::Visible).unwrap();
            }
            found.push(Stored::of(&record));
            std::ops::ControlFlow::Continue(())
        });
        read.unwrap();
        same(&found, &model.events);
        model.append(&[event(1), event(1_005)]);
        model.check(&store, 0);
    });
}
