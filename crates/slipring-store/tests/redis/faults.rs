//! Servers that are killed and answers that are lost.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use slipring_store::{
    Batch, CommitError, Committed, Durability, EventStore, Expected, Reach, RedisStore, StoreError,
};

use crate::{
    common::{
        harness::{Event, LONG, Model, Stored, batch_of, in_time, scan},
        redis_server::{GONE, RedisServer, SYNCED},
    },
    proxy::Proxy,
};

/// What a writer was told of each of its batches.
type Told = Vec<(u64, Result<Committed, String>)>;

fn event(writer: u64, batch: u64, number: u64) -> Event {
    Event::new("w", writer, [batch.to_le_bytes(), number.to_le_bytes()].concat())
        .stream(&format!("w{writer}"))
}

fn size_of(batch: u64) -> u64 {
    1 + batch * 7 % 5
}

/// Commits numbered batches until enough is enough.
fn write(store: &RedisStore, writer: u64, until: Instant, confirmed: &AtomicU64) -> Told {
    let mut told = Vec::new();
    for batch in 0.. {
        let events: Vec<_> =
            (0..size_of(batch)).map(|number| event(writer, batch, number)).collect();
        match store.commit(&batch_of(&events), Durability::Synced) {
            Ok(committed) => {
                confirmed.fetch_add(1, Ordering::Relaxed);
                told.push((batch, Ok(committed)));
            }
            Err(CommitError::Store(error @ StoreError::Io { .. })) => {
                told.push((batch, Err(error.to_string())));
            }
            // It has just been started.
            Err(CommitError::Store(StoreError::Server { problem, .. }))
                if problem.contains("LOADING") =>
            {
                told.push((batch, Err(problem.into())));
            }
            Err(error) => panic!("{error}"),
        }
        if Instant::now() >= until {
            break;
        }
    }
    told
}

/// Kills the server again and again while others write, each time after some more commits.
fn kill_often(server: &mut RedisServer, until: Instant, confirmed: &AtomicU64) -> u32 {
    let mut random = fastrand::Rng::with_seed(77);
    let mut kills = 0;
    while Instant::now() < until {
        let before = confirmed.load(Ordering::Relaxed);
        let more = random.u64(1..60);
        while confirmed.load(Ordering::Relaxed) < before + more && Instant::now() < until {
            thread::sleep(Duration::from_micros(random.u64(50..500)));
        }
        server.kill();
        kills += 1;
        server.restart();
    }
    kills
}

/// What was confirmed is there, where it was said to be, as a whole, in order, and once; what was not is there at most
/// once, and as a whole. Says how many were not confirmed, and are there or not.
fn check(all: &[Stored], writer: u64, told: &Told) -> [usize; 2] {
    let stream = format!("w{writer}");
    let mut found: BTreeMap<u64, Vec<&Stored>> = BTreeMap::new();
    let mut last = 0;
    for stored in all.iter().filter(|stored| stored.event.stream.as_deref() == Some(&stream)) {
        let batch = u64::from_le_bytes(stored.event.payload[..8].try_into().unwrap());
        assert!(batch >= last, "batch {batch} of writer {writer} is behind {last}");
        last = batch;
        found.entry(batch).or_default().push(stored);
    }
    let mut unknown = [0; 2];
    for (batch, told) in told {
        let found = found.remove(batch).unwrap_or_default();
        let size = size_of(*batch);
        if !found.is_empty() {
            let expected = (0..size).map(|number| event(writer, *batch, number).payload);
            assert!(found.iter().map(|stored| stored.event.payload.clone()).eq(expected));
            let first = found[0].position;
            assert!(found.iter().map(|stored| stored.position).eq(first..first + size));
        }
        match told {
            Ok(committed) => {
                assert_eq!(found.len() as u64, size, "batch {batch} of writer {writer} is lost");
                assert_eq!(
                    (committed.first, committed.end),
                    (found[0].position, committed.first + size)
                );
            }
            Err(_) => unknown[usize::from(found.is_empty())] += 1,
        }
    }
    assert!(found.is_empty(), "there are batches that nobody has committed");
    unknown
}

fn kill_while_writing(patience: Duration, time: Duration) -> [usize; 2] {
    let mut server = RedisServer::start(SYNCED);
    let settings = RedisStore::settings(server.url(), "killed").patience(patience);
    let store = settings.segment_events(100).connect().unwrap();
    let (until, confirmed) = (Instant::now() + time, AtomicU64::new(0));
    let (kills, told) = thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (store, confirmed) = (&store, &confirmed);
                scope.spawn(move || write(store, writer, until, confirmed))
            })
            .collect();
        let kills = kill_often(&mut server, until, &confirmed);
        let told = writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>();
        (kills, told)
    });
    assert!(kills > 3, "it was killed {kills} times");
    server.kill();
    server.restart();
    let store = RedisStore::connect(server.url(), "killed").unwrap();
    let all = scan(&store, 0).unwrap();
    let mut unknown = [0; 2];
    for (writer, told) in told.iter().enumerate() {
        let of_this = check(&all, writer as u64, told);
        unknown = [unknown[0] + of_this[0], unknown[1] + of_this[1]];
    }
    println!("{kills} kills, {} events, {unknown:?} batches were there and not", all.len());
    // The indexes are those of the log.
    let mut model = Model::of(&store);
    model.append(&all.into_iter().map(|stored| stored.event).collect::<Vec<_>>());
    model.check(&store, 0);
    unknown
}

#[test]
fn what_was_confirmed_survives_any_number_of_kills_and_is_there_once() {
    // With patience, every commit is told what became of it.
    in_time(|| assert_eq!(kill_while_writing(LONG, Duration::from_secs(5)), [0, 0]));
}

#[test]
fn so_it_does_when_nobody_tries_again() {
    in_time(|| {
        kill_while_writing(Duration::ZERO, Duration::from_secs(3));
    });
}

fn one(number: u64) -> Event {
    Event::new("n", number, number.to_le_bytes()).stream("s")
}

/// As if so many others had committed.
fn raise_commits(server: &RedisServer, by: u64) -> impl FnOnce() + Send + 'static {
    let mut connection = server.connection();
    move || {
        let mut raise = redis::cmd("HINCRBY");
        raise.arg("{token}:meta").arg("commits").arg(by).exec(&mut connection).unwrap();
        redis::cmd("DEL").arg("{token}:tokens").exec(&mut connection).unwrap();
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_not_done_twice() {
    in_time(|| {
        let server = RedisServer::start(SYNCED);
        let proxy = Proxy::before(&server);
        let store = RedisStore::connect(proxy.url(), "token").unwrap();
        let mut model = Model::of(&store);
        model.commit(&store, &[one(0)]);
        for number in 1..20 {
            // It expects what is so no more after it was done: a second time it would conflict.
            let mut batch = batch_of(&[one(number), one(number)]);
            batch.expect("s", Expected::Events(1 + (number - 1) * 2)).unwrap();
            batch.put("space", b"key", &[number as u8]);
            proxy.lose_an_answer(|| ());
            let committed = store.commit(&batch, Durability::Visible).unwrap();
            assert!(proxy.has_lost_it());
            assert_eq!((committed.first, committed.end), (number * 2 - 1, number * 2 + 1));
            model.append(&[one(number), one(number)]);
        }
        model.check(&store, 0);
    });
}

#[test]
fn what_nobody_can_know_is_told() {
    in_time(|| {
        let server = RedisServer::start(SYNCED);
        let proxy = Proxy::before(&server);
        let open = |patience| {
            let settings = RedisStore::settings(proxy.url(), "token").patience(patience);
            settings.connect().unwrap()
        };
        let unknown = |store: &RedisStore, number| match store
            .commit(&batch_of(&[one(number)]), Durability::Visible)
        {
            Err(CommitError::Store(error @ StoreError::Io { .. })) => {
                assert!(error.to_string().contains("may be there or not"), "{error}");
            }
            other => panic!("{other:?}"),
        };
        // It is not asked again.
        let store = open(Duration::ZERO);
        let mut model = Model::of(&store);
        model.commit(&store, &[one(0)]);
        proxy.lose_an_answer(|| ());
        unknown(&store, 1);
        model.append(&[one(1)]);
        model.check(&store, 0);
        // It is asked, but there were so many others that the server may have forgotten. It must not do it again.
        let store = open(LONG);
        proxy.lose_an_answer(raise_commits(&server, 20_000));
        unknown(&store, 2);
        model.append(&[one(2)]);
        model.check(&store, 0);
        // Others have committed as much since the last commit here: that is no reason not to commit.
        raise_commits(&server, 1_000_000)();
        model.commit(&store, &[one(3)]);
        model.check(&store, 0);
    });
}

#[test]
fn the_server_remembers_so_many_commits_and_no_more() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store = RedisStore::connect(server.url(), "token").unwrap();
        let mut connection = server.connection();
        // As if there had been that many.
        let mut fill = redis::cmd("EVAL");
        fill.arg(
            "for i = 1, 16384 do redis.call('RPUSH', KEYS[2], i) redis.call('HSET', KEYS[1], i, '0 0') end",
        );
        fill.arg(2).arg("{token}:tokens").arg("{token}:recent").exec(&mut connection).unwrap();
        for number in 0..10 {
            store.commit(&batch_of(&[one(number)]), Durability::Visible).unwrap();
        }
        let tokens: u64 = redis::cmd("HLEN").arg("{token}:tokens").query(&mut connection).unwrap();
        let recent: u64 = redis::cmd("LLEN").arg("{token}:recent").query(&mut connection).unwrap();
        assert_eq!((tokens, recent), (16_384, 16_384));
        let forgotten: bool =
            redis::cmd("HEXISTS").arg("{token}:tokens").arg(10).query(&mut connection).unwrap();
        assert!(!forgotten);
    });
}

#[test]
fn a_server_that_is_away_is_an_error_and_no_more() {
    in_time(|| {
        let mut server = RedisServer::start(SYNCED);
        let settings =
            RedisStore::settings(server.url(), "away").patience(Duration::from_millis(20));
        let store = settings.connect().unwrap();
        let mut model = Model::of(&store);
        model.commit(&store, &[one(0)]);
        let io = |error: StoreError| assert!(matches!(error, StoreError::Io { .. }), "{error}");
        for _ in 0..3 {
            server.kill();
            let error = store.commit(&batch_of(&[one(9)]), Durability::Visible).unwrap_err();
            assert!(matches!(error, CommitError::Store(StoreError::Io { .. })), "{error}");
            io(scan(&store, 0).unwrap_err());
            io(store.bounds().unwrap_err());
            io(store.sync().unwrap_err());
            io(store.wait(9, Reach::Visible, LONG).unwrap_err());
            io(store.value("space", b"key").unwrap_err());
            let settings = RedisStore::settings(server.url(), "away").patience(Duration::ZERO);
            io(settings.connect().unwrap_err());
            server.restart();
            model.check(&store, 0);
            let next = model.events.len() as u64;
            model.commit(&store, &[one(next)]);
        }
    });
}

#[test]
fn who_waits_is_told_of_a_server_that_ends_and_of_one_that_is_back() {
    in_time(|| {
        let mut server = RedisServer::start(SYNCED);
        let store = RedisStore::settings(server.url(), "away").patience(LONG).connect().unwrap();
        let other = RedisStore::settings(server.url(), "away").patience(Duration::ZERO);
        let other = other.connect().unwrap();
        thread::scope(|scope| {
            let patient = scope.spawn(|| store.wait(0, Reach::Durable, LONG).unwrap());
            let hasty = scope.spawn(|| other.wait(0, Reach::Durable, LONG).unwrap_err());
            // Both wait at the server.
            let mut connection = server.connection();
            let blocked = |connection: &mut redis::Connection| {
                let info: String = redis::cmd("INFO").arg("clients").query(connection).unwrap();
                info.contains("blocked_clients:2")
            };
            while !blocked(&mut connection) {
                thread::sleep(Duration::from_millis(2));
            }
            server.kill();
            assert!(matches!(hasty.join().unwrap(), StoreError::Io { .. }));
            server.restart();
            let store = RedisStore::connect(server.url(), "away").unwrap();
            store.commit(&batch_of(&[one(0)]), Durability::Synced).unwrap();
            assert_eq!(patient.join().unwrap().end, 1);
        });
    });
}

#[test]
fn a_server_that_has_lost_the_store_is_not_taken_for_an_empty_one() {
    in_time(|| {
        let mut server = RedisServer::start(GONE);
        let store = RedisStore::connect(server.url(), "lost").unwrap();
        store.commit(&batch_of(&[one(0)]), Durability::Visible).unwrap();
        let is_lost = |store: &RedisStore| {
            let stopped = |error| assert!(matches!(error, StoreError::Stopped { .. }), "{error}");
            stopped(store.bounds().unwrap_err());
            stopped(scan(store, 0).unwrap_err());
            stopped(store.value("space", b"key").unwrap_err());
            stopped(store.version("s").unwrap_err());
            stopped(store.topics().unwrap_err());
            stopped(store.values("space", b"", &mut |_, _| panic!("there is none")).unwrap_err());
            stopped(store.wait(0, Reach::Visible, LONG).unwrap_err());
            let error = store.commit(&batch_of(&[one(1)]), Durability::Visible).unwrap_err();
            assert!(matches!(error, CommitError::Store(StoreError::Stopped { .. })), "{error}");
        };
        server.kill();
        server.restart();
        is_lost(&store);
        // Nor is another store of that name taken for it.
        let new = RedisStore::connect(server.url(), "lost").unwrap();
        assert_ne!(new.source(), store.source());
        is_lost(&store);
        new.commit(&Batch::new(), Durability::Visible).unwrap();
        assert_eq!(new.bounds().unwrap().end, 0);
    });
}
