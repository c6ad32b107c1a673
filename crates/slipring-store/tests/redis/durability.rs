//! What is durable, and what is not called so.

use std::{
    fs::{self, File},
    thread,
    time::{Duration, Instant},
};

use slipring_store::{Batch, CommitError, Durability, EventStore, Reach, RedisStore, StoreError};

use crate::common::{
    harness::{Event, LONG, Model, batch_of, in_time},
    redis_server::{GONE, RedisServer, SYNCED},
};

#[track_caller]
fn why(error: StoreError) -> String {
    let StoreError::NotDurable { why } = error else { panic!("{error}") };
    why.into()
}

/// Nothing is called durable, for that reason, and all else works.
fn is_not_durable(store: &RedisStore, reason: &str) {
    let mut batch = batch_of(&[Event::new("a", 1, "")]);
    batch.put("space", b"key", b"value");
    let before = store.bounds().unwrap();
    match store.commit(&batch, Durability::Synced) {
        Err(CommitError::Store(error)) => assert!(why(error).contains(reason)),
        other => panic!("{other:?}"),
    }
    // Refused, it is not there.
    assert_eq!(store.bounds().unwrap(), before);
    assert_eq!(store.value("space", b"key").unwrap(), None);
    assert!(why(store.sync().unwrap_err()).contains(reason));
    batch.clear();
    assert!(store.commit(&batch, Durability::Synced).is_err());
    // And who waits for what never comes is told so.
    assert!(why(store.wait(0, Reach::Durable, LONG).unwrap_err()).contains(reason));

    let mut model = Model::visible(store);
    let events = [Event::new("a", 1, "1"), Event::new("b", 1, "2").stream("s")];
    store.commit(&batch_of(&events), Durability::Visible).unwrap();
    model.append(&events);
    model.check(store, 0);
    assert_eq!(store.bounds().unwrap().durable, 0);
    assert_eq!(store.wait(1, Reach::Visible, LONG).unwrap().end, 2);
}

#[test]
fn without_the_right_settings_nothing_is_called_durable() {
    in_time(|| {
        let cases: [(&[&str], &str); 5] = [
            (GONE, "appendonly"),
            (&["--appendonly", "yes", "--appendfsync", "everysec"], "appendfsync"),
            (&["--no-appendfsync-on-rewrite", "yes"], "no-appendfsync-on-rewrite"),
            (&["--aof-load-truncated", "yes"], "aof-load-truncated"),
            (&["--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru"], "maxmemory-policy"),
        ];
        for (index, (settings, reason)) in cases.into_iter().enumerate() {
            let base = if index < 2 { &[][..] } else { SYNCED };
            let server = RedisServer::start(&[base, settings].concat());
            is_not_durable(&RedisStore::connect(server.url(), "plain").unwrap(), reason);
        }
    });
}

#[test]
fn a_server_that_throws_away_what_it_likes_is_refused() {
    in_time(|| {
        for (policy, is_refused) in
            [("allkeys-lru", true), ("allkeys-random", true), ("noeviction", false)]
        {
            let settings = ["--maxmemory", "1gb", "--maxmemory-policy", policy];
            let server = RedisServer::start(&[SYNCED, &settings[..]].concat());
            match RedisStore::connect(server.url(), "plain") {
                Ok(store) => {
                    assert!(!is_refused, "{policy}");
                    store.commit(&batch_of(&[Event::new("a", 1, "")]), Durability::Synced).unwrap();
                }
                Err(StoreError::Refused(why)) => {
                    assert!(
                        is_refused && why.contains(policy) && why.contains("noeviction"),
                        "{why}"
                    );
                    let keys: u64 = redis::cmd("DBSIZE").query(&mut server.connection()).unwrap();
                    assert_eq!(keys, 0, "nothing was made there");
                }
                Err(error) => panic!("{policy}: {error}"),
            }
        }
    });
}

#[test]
fn who_may_not_ask_for_the_settings_gets_no_promise() {
    in_time(|| {
        let server = RedisServer::start(SYNCED);
        redis::cmd("ACL")
            .arg(&["SETUSER", "limited", "on", ">hunter2", "~*", "+@all", "-config"])
            .exec(&mut server.connection())
            .unwrap();
        let url = format!("{}?user=limited&pass=hunter2", server.url());
        is_not_durable(&RedisStore::connect(url, "plain").unwrap(), "CONFIG GET");
    });
}

#[test]
fn settings_that_change_are_noticed() {
    in_time(|| {
        let server = RedisServer::start(GONE);
        let set = |name: &str, value: &str| {
            let mut connection = server.connection();
            redis::cmd("CONFIG").arg(&["SET", name, value]).exec(&mut connection).unwrap();
        };
        let store = RedisStore::connect(server.url(), "plain").unwrap();
        is_not_durable(&store, "appendonly");
        set("appendfsync", "always");
        set("aof-load-truncated", "no");
        set("appendonly", "yes");
        // The file is written by a child process first.
        let deadline = Instant::now() + LONG;
        let end = loop {
            match store.sync() {
                Ok(end) => break end,
                Err(error) => assert!(why(error).contains("first time")),
            }
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(5));
        };
        assert_eq!((end, store.bounds().unwrap().durable), (2, 2));
        store.commit(&batch_of(&[Event::new("a", 1, "")]), Durability::Synced).unwrap();
        assert_eq!(store.bounds().unwrap().durable, 3);
        set("appendfsync", "everysec");
        assert!(why(store.sync().unwrap_err()).contains("appendfsync"));
        assert_eq!(store.bounds().unwrap().durable, 0);
    });
}

#[test]
fn what_is_durable_survives() {
    in_time(|| {
        let mut server = RedisServer::start(SYNCED);
        let store = RedisStore::connect(server.url(), "kept").unwrap();
        let mut model = Model::of(&store);
        for number in 0..50 {
            let events = [Event::new("n", number, [7; 100]).stream("s")];
            // With this server also what is only to be visible is synced.
            let durability = [Durability::Visible, Durability::Synced][number as usize % 2];
            store.commit(&batch_of(&events), durability).unwrap();
            model.append(&events);
            assert_eq!(store.bounds().unwrap().durable, number + 1);
        }
        let mut batch = Batch::new();
        batch.put("space", b"key", b"value");
        store.commit(&batch, Durability::Synced).unwrap();
        server.kill();
        server.restart();
        // The same store goes on, and so does another one.
        model.check(&store, 0);
        let other = RedisStore::connect(server.url(), "kept").unwrap();
        assert_eq!(other.source(), store.source());
        model.commit(&other, &[Event::new("n", 50, "").stream("s")]);
        model.check(&other, 0);
        assert_eq!(other.value("space", b"key").unwrap().as_deref(), Some(&b"value"[..]));

        // With other settings after the next start nothing is called durable any more.
        server.kill();
        server.restart_with(&["--appendonly", "yes", "--appendfsync", "everysec"]);
        model.check(&store, 0);
        assert_eq!(store.bounds().unwrap().durable, 0);
        assert!(why(store.sync().unwrap_err()).contains("appendfsync"));
    });
}

#[test]
fn half_a_commit_never_comes_back() {
    in_time(|| {
        // Wherever the server's last write is torn: in the events, the index, the books, or the very end.
        for torn in [1, 10, 60, 130, 300, 500] {
            let mut server = RedisServer::start(SYNCED);
            let store = RedisStore::connect(server.url(), "torn").unwrap();
            let mut model = Model::of(&store);
            let event = |number| Event::new("n", number, [number as u8; 40]).stream("s");
            model.commit(&store, &[event(0)]);
            let whole = fs::metadata(server.append_only_file()).unwrap().len();
            store.commit(&batch_of(&[event(1)]), Durability::Visible).unwrap();
            server.kill();
            // As if it had been killed in the middle of that commit, which nobody was told of then.
            let file = File::options().write(true).open(server.append_only_file()).unwrap();
            let length = file.metadata().unwrap().len();
            assert!(length - torn > whole, "it is in the last commit");
            file.set_len(length - torn).unwrap();
            server.restart();
            let store = RedisStore::connect(server.url(), "torn").unwrap();
            model.check(&store, 0);
            model.commit(&store, &[event(2)]);
            // What is in the file counts from now on.
            server.kill();
            server.restart();
            model.check(&RedisStore::connect(server.url(), "torn").unwrap(), 0);
        }
    });
}
