//! Servers that change their part, go back in time, forget the scripts, or are busy.

use std::{fs, path::Path, thread, time::Duration};

use slipring_store::{
    Batch, CommitError, Durability, EventStore, Reach, RedisSettings, RedisStore, StoreError,
    Subscription,
};

use crate::{
    common::{
        harness::{Event, LONG, Model, batch_of, in_time, scan},
        redis_server::{GONE, RedisServer, SYNCED},
        until,
    },
    proxy::{GREETING, Liar},
};

fn one(number: u64) -> Event {
    Event::new("n", number, number.to_le_bytes()).stream("s")
}

fn say(server: &RedisServer, words: &[&str]) {
    redis::cmd(words[0]).arg(&words[1..]).exec(&mut server.connection()).unwrap();
}

fn info(server: &RedisServer, section: &str, field: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg(section).query(&mut server.connection()).unwrap();
    let value = info.lines().find_map(|line| line.strip_prefix(field));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

/// A replica of nobody takes no writes.
const REPLICA: &[&str] = &["REPLICAOF", "127.0.0.1", "1"];
const MASTER: &[&str] = &["REPLICAOF", "NO", "ONE"];

#[track_caller]
fn server_says(result: Result<impl std::fmt::Debug, CommitError>, code: &str) {
    match result {
        Err(CommitError::Store(StoreError::Server { problem, .. })) => {
            assert!(problem.starts_with(code), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_server_that_has_gone_back_is_not_taken_for_the_one_it_was() {
    in_time(|| {
        let mut server = RedisServer::start(SYNCED);
        let store = RedisStore::connect(server.url(), "back").unwrap();
        for number in 0..5 {
            store.commit(&batch_of(&[one(number)]), Durability::Synced).unwrap();
        }
        let files = server.directory().join("appendonlydir");
        let older = server.directory().join("older");
        server.kill();
        copy(&files, &older);
        server.restart();
        store.commit(&batch_of(&[one(5)]), Durability::Synced).unwrap();
        store.commit(&batch_of(&[one(6)]), Durability::Synced).unwrap();
        let mut subscription = Subscription::new(
            std::sync::Arc::new(RedisStore::connect(server.url(), "back").unwrap()),
            7,
            Reach::Visible,
        );
        server.kill();
        fs::remove_dir_all(&files).unwrap();
        fs::rename(&older, &files).unwrap();
        server.restart();

        let stopped = |error: StoreError| match error {
            StoreError::Stopped { because } => assert!(because.contains("gone back"), "{because}"),
            other => panic!("{other}"),
        };
        stopped(store.bounds().unwrap_err());
        stopped(scan(&store, 0).unwrap_err());
        stopped(store.value("space", b"key").unwrap_err());
        stopped(store.wait(7, Reach::Visible, LONG).unwrap_err());
        match store.commit(&batch_of(&[one(7)]), Durability::Visible) {
            Err(CommitError::Store(error)) => stopped(error),
            other => panic!("{other:?}"),
        }
        stopped(subscription.next_within(LONG, &mut |_| panic!("it is lost")).unwrap_err());
        // Who connects anew has what there is.
        let mut model = Model::of(&store);
        let store = RedisStore::connect(server.url(), "back").unwrap();
        model.append(&(0..5).map(one).collect::<Vec<_>>());
        model.check(&store, 0);
        model.commit(&store, &[one(8)]);
        model.check(&store, 0);
    });
}

#[test]
fn a_server_that_became_a_replica_is_left_for_the_next_that_answers() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let settings = || RedisStore::settings(server.url(), "part");
        let hasty = settings().patience(Duration::ZERO).connect().unwrap();
        let patient = settings().patience(LONG).connect().unwrap();
        let mut model = Model::visible(&hasty);
        model.commit(&hasty, &[one(0)]);
        say(&server, REPLICA);
        let connected = |server: &RedisServer| info(server, "stats", "total_connections_received:");
        let before = connected(&server);
        server_says(hasty.commit(&batch_of(&[one(9)]), Durability::Visible), "READONLY");
        // Reading is all right; but at that address there may be another server by now, so it is called anew.
        model.check(&hasty, 0);
        // One of these is the question itself.
        assert_eq!(connected(&server) - before, 2);

        thread::scope(|scope| {
            let refused = || info(&server, "errorstats", "errorstat_READONLY:count=");
            let before = refused();
            let committed =
                scope.spawn(|| patient.commit(&batch_of(&[one(1)]), Durability::Visible));
            until("it has tried again", || refused() > before + 2);
            say(&server, MASTER);
            assert_eq!(committed.join().unwrap().unwrap().first, 1);
        });
        model.append(&[one(1)]);
        model.check(&hasty, 0);
        model.commit(&hasty, &[one(2)]);
    });
}

#[test]
fn who_waits_goes_on_waiting_when_the_server_changes_its_part() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let store = RedisStore::connect(server.url(), "part").unwrap();
        let other = RedisStore::connect(server.url(), "part").unwrap();
        let blocked = || info(&server, "clients", "blocked_clients:") == 1;
        thread::scope(|scope| {
            let waiter = scope.spawn(|| store.wait(0, Reach::Visible, LONG));
            until("it waits", blocked);
            say(&server, REPLICA);
            let unblocked = || info(&server, "errorstats", "errorstat_UNBLOCKED:count=");
            until("it was sent away", || unblocked() == 1);
            until("it waits again", blocked);
            say(&server, MASTER);
            other.commit(&batch_of(&[one(0)]), Durability::Visible).unwrap();
            assert_eq!(waiter.join().unwrap().unwrap().end, 1);
        });
    });
}

#[test]
fn a_server_that_forgets_the_scripts_is_told_them_again() {
    in_time(|| {
        let server = RedisServer::start(SYNCED);
        let store = RedisStore::connect(server.url(), "flushed").unwrap();
        let mut model = Model::of(&store);
        for number in 0..3 {
            say(&server, &["SCRIPT", "FLUSH"]);
            model.commit(&store, &[one(number)]);
            say(&server, &["SCRIPT", "FLUSH"]);
            model.check(&store, 0);
        }
    });
}

#[test]
fn a_server_that_is_busy_says_so_or_is_waited_for() {
    in_time(|| {
        let server = RedisServer::start(&["--appendonly", "no", "--busy-reply-threshold", "1"]);
        let settings = || RedisStore::settings(server.url(), "busy");
        let hasty = settings().patience(Duration::ZERO).connect().unwrap();
        let patient = settings().patience(LONG).connect().unwrap();
        thread::scope(|scope| {
            let mut busy = server.connection();
            let mut other = server.connection();
            scope.spawn(move || {
                let script = redis::cmd("EVAL").arg("while true do end").arg(0).exec(&mut busy);
                script.unwrap_err();
            });
            until("it is busy", || redis::cmd("PING").exec(&mut other).is_err());
            server_says(hasty.commit(&batch_of(&[one(0)]), Durability::Visible), "BUSY");
            let committed =
                scope.spawn(|| patient.commit(&batch_of(&[one(0)]), Durability::Visible));
            redis::cmd("SCRIPT").arg("KILL").exec(&mut other).unwrap();
            assert_eq!(committed.join().unwrap().unwrap().end, 1);
        });
        assert_eq!(hasty.bounds().unwrap().end, 1);
    });
}

#[test]
fn who_is_not_let_in_is_told_why() {
    fn why(settings: RedisSettings) -> String {
        match settings.patience(Duration::from_millis(20)).connect() {
            Err(StoreError::Server { problem, .. }) => problem.into(),
            other => panic!("{other:?}"),
        }
    }
    in_time(|| {
        // It reads its files.
        let liar =
            Liar::saying(&[GREETING, b"-LOADING Redis is loading the dataset in memory\r\n"]);
        let loading = why(RedisStore::settings(liar.url(), "closed"));
        assert!(loading.contains("LOADING"), "{loading}");
        let server = RedisServer::start(&["--requirepass", "correct-horse"]);
        let none = why(RedisStore::settings(server.url(), "closed"));
        assert!(none.contains("NOAUTH"), "{none}");
        let wrong = format!("{}?pass=staple", server.url());
        let wrong = why(RedisStore::settings(wrong, "closed"));
        assert!(wrong.to_lowercase().contains("password"), "{wrong}");
    });
}

#[test]
fn the_longest_times_are_no_error() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let settings = RedisStore::settings(server.url(), "long");
        let settings = settings.timeout(Duration::MAX).patience(Duration::MAX);
        let store =
            settings.expire_after(Duration::MAX).segment_events(u64::MAX).connect().unwrap();
        assert_eq!(store.wait(0, Reach::Visible, Duration::from_millis(5)).unwrap().end, 0);
        let mut model = Model::visible(&store);
        model.commit(&store, &[one(0), one(1)]);
        store.commit(&Batch::new(), Durability::Visible).unwrap();
        model.check(&store, 0);
        assert_eq!(store.wait(1, Reach::Visible, Duration::MAX).unwrap().end, 2);
    });
}
