//! Rings that are shown to clients of every kind.

#![cfg(unix)]

use std::{
    fs,
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use slipring::{Builder, Dispatcher, Producer, Snapshot, poller, read, share};
use slipring_insight::{
    Address, AddressError, Feed, FeedError, ServeError, Server, Service, serve,
};
use tempfile::tempdir;

fn port() -> Address {
    "127.0.0.1:0".parse().expect("it is an address")
}

/// A ring in which five events wait.
fn ring() -> (Producer<u64>, Dispatcher<u64>) {
    let (mut producer, dispatcher) =
        Builder::new(8, || 0_u64).then(poller("risk")).start().expect("it starts");
    producer.publish_batch(5, |_, _| ()).expect("there is room");
    (producer, dispatcher)
}

fn five(server: &Server) {
    let mut feed = Feed::connect(server.address()).expect("it serves");
    assert_eq!(
        (feed.hello().program.as_str(), &feed.hello().rings[..]),
        ("orders", &["orders".to_owned()][..])
    );
    for _ in 0..3 {
        let update = feed.next_update().expect("it serves");
        assert_eq!((update.ring, update.snapshot.published, update.snapshot.fill), (0, 5, 5));
    }
}

#[test]
fn a_ring_is_shown_at_each_kind_of_address() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let addresses = [port(), Address::socket(folder.path().join("s"))];
    for address in addresses {
        five(&serve("orders", dispatcher.monitor(), &address).expect("it is free"));
    }
    // Not every machine has it.
    if let Ok(server) = serve("orders", dispatcher.monitor(), &"[::1]:0".parse().expect("good")) {
        five(&server);
    }
}

#[test]
fn several_rings_take_turns() {
    let ((_one, first), (_two, second)) = (ring(), ring());
    let service =
        Service::new("both").ring("first", first.monitor()).ring("second", second.monitor());
    let server = service.interval(Duration::from_millis(10)).start(&port()).expect("it is free");
    let mut feed = Feed::connect(server.address()).expect("it serves");
    assert_eq!(feed.hello().rings, ["first", "second"]);
    let rings: Vec<usize> = (0..6).map(|_| feed.next_update().expect("it serves").ring).collect();
    assert_eq!(rings, [0, 1, 0, 1, 0, 1]);
}

/// Everything that only ever grows.
fn counts(snapshot: &Snapshot) -> Vec<u64> {
    let stations = snapshot.stations.iter().flat_map(|station| {
        let account = &station.account;
        let sizes = account.batch_sizes.batches();
        [
            account.due,
            account.handled,
            account.batches,
            sizes,
            station.position,
            station.waits,
            station.sleeps,
        ]
    });
    [snapshot.published, snapshot.producers.stalls].into_iter().chain(stations).collect()
}

#[test]
fn under_load_every_look_adds_up_and_none_goes_back() {
    let (mut producer, dispatcher) = Builder::new(256, || 0_u64)
        .then(share("decode", 2, |_| |_: &u64, _: slipring::At<'_>| ()))
        .then((read("risk", |_: &u64, _| ()), read("ledger", |_: &u64, _| ())))
        .start()
        .expect("it starts");
    let service = Service::new("load").ring("load", dispatcher.monitor());
    let server = service.interval(Duration::ZERO).start(&port()).expect("it is free");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                producer.publish_batch(7, |_, _| ()).expect("it is open");
            }
        });
        let mut feed = Feed::connect(server.address()).expect("it serves");
        let mut before: Option<Snapshot> = None;
        let mut moved = 0;
        // Until the ring was seen to move: a busy machine may need more looks than an idle one.
        while moved < 40 {
            let now = feed.next_update().expect("it serves").snapshot;
            assert!(now.adds_up(), "{now:?}");
            if let Some(before) = before.replace(now.clone()) {
                let (before, after) = (counts(&before), counts(&now));
                let goes_back = before.iter().zip(&after).any(|(before, after)| before > after);
                assert!(!goes_back, "{before:?} {after:?}");
                moved += u32::from(before[0] < after[0]);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn the_last_look_comes_before_the_end() {
    let (mut producer, dispatcher) = ring();
    let service = Service::new("orders").ring("orders", dispatcher.monitor());
    let server = service.interval(Duration::from_hours(1)).start(&port()).expect("it is free");
    let mut feed = Feed::connect(server.address()).expect("it serves");
    assert_eq!(feed.next_update().expect("the first look").snapshot.published, 5);
    producer.publish_batch(3, |_, _| ()).expect("there is room");
    drop(server);
    let mut published = Vec::new();
    let end = loop {
        match feed.next_update() {
            Ok(update) => published.push(update.snapshot.published),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, FeedError::Ended), "{end}");
    assert_eq!(published.last(), Some(&8));
}

/// A greeting that no socket takes at once.
fn talkative(dispatcher: &Dispatcher<u64>) -> Service {
    Service::new("x".repeat(2 << 20)).ring("orders", dispatcher.monitor())
}

/// Connects, makes sure that it is served, and reads no more.
fn stuck(path: &Path) -> UnixStream {
    let mut client = UnixStream::connect(path).expect("it listens");
    client.read_exact(&mut [0]).expect("it serves");
    client
}

#[test]
fn a_server_does_not_wait_for_a_client_that_is_stuck() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    let server = talkative(&dispatcher).start(&Address::socket(&path)).expect("it is free");
    let mut clients = [stuck(&path), stuck(&path), stuck(&path)];
    drop(server);
    for client in &mut clients {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("what was sent can still be read");
        assert!(rest.len() < 2 << 20, "it was stuck");
    }
}

#[test]
fn a_client_that_is_stuck_loses_its_place() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    let service = talkative(&dispatcher).clients_max(1).patience(Duration::from_millis(500));
    let server = service.start(&Address::socket(&path)).expect("it is free");
    let _client = stuck(&path);
    // Refused until then.
    while Feed::connect(server.address()).is_err() {
        thread::yield_now();
    }
}

#[test]
fn no_more_clients_are_let_in_than_may() {
    let (_producer, dispatcher) = ring();
    let service = Service::new("orders").ring("orders", dispatcher.monitor()).clients_max(2);
    let server = service.start(&port()).expect("it is free");
    let inside = [(); 2].map(|()| Feed::connect(server.address()).expect("there is room"));
    let refused = Feed::connect(server.address()).expect_err("there is no room");
    assert!(matches!(refused, FeedError::Refused(_)), "{refused}");
    assert!(refused.to_string().contains("2 others are looking"), "{refused}");
    drop(inside);
    while Feed::connect(server.address()).is_err() {
        thread::yield_now();
    }
}

#[test]
fn who_comes_between_two_looks_gets_the_one_before() {
    let (mut producer, dispatcher) = ring();
    let service = Service::new("orders").ring("orders", dispatcher.monitor()).interval(FOR_EVER);
    let server = service.start(&port()).expect("it is free");
    let looks = [(); 3].map(|()| {
        let mut feed = Feed::connect(server.address()).expect("there is room");
        producer.try_publish(|_| ()).expect("there is room");
        feed.next_update().expect("it serves").snapshot
    });
    assert!(looks.iter().all(|look| *look == looks[0]), "{looks:?}");
}

/// Longer than any test may take.
const FOR_EVER: Duration = Duration::from_hours(1);

/// Serves there, and writes nothing behind the first look.
fn quiet(dispatcher: &Dispatcher<u64>, path: &Path) -> Server {
    let service = Service::new("orders").ring("orders", dispatcher.monitor()).interval(FOR_EVER);
    service.clients_max(1).start(&Address::socket(path)).expect("it is free")
}

#[test]
fn who_has_gone_makes_room_for_the_next_at_once() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let server = quiet(&dispatcher, &folder.path().join("s"));
    for _ in 0..10 {
        drop(Feed::connect(server.address()).expect("the one before has gone"));
    }
}

#[test]
fn who_hangs_up_or_says_anything_is_let_go() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    let _server = quiet(&dispatcher, &path);
    for says in [true, false] {
        let mut client = UnixStream::connect(&path).expect("it listens");
        if says {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n{\"halt\":true}\n").expect("it is taken");
        } else {
            client.shutdown(Shutdown::Write).expect("it is connected");
        }
        // Only so that a failure is one.
        client.set_read_timeout(Some(Duration::from_mins(1))).expect("it is not zero");
        let mut lines = String::new();
        client.read_to_string(&mut lines).expect("the server hangs up");
        let kinds: Vec<&str> = lines.lines().map(|line| &line[..line.len().min(9)]).collect();
        assert_eq!(kinds, ["{\"hello\":", "{\"snapsho"], "what comes at once has come");
    }
}

#[test]
fn only_this_machine_is_served() {
    for public in ["0.0.0.0:7070", "[::]:7070", "192.168.1.4:7070", "[::ffff:127.0.0.1]:7070"] {
        let error = public.parse::<Address>().expect_err(public);
        assert!(matches!(error, AddressError::NotLoopback(_)), "{error:?}");
        assert!(error.to_string().contains("use 127.0.0.1:7070 or unix:/path"), "{error}");
    }
    for unreadable in ["", "7070", ":7070", "127.0.0.1", "example.com:80", "unix:", "localhost:x"] {
        let error = unreadable.parse::<Address>().expect_err(unreadable);
        assert_eq!(error, AddressError::Unreadable(unreadable.to_owned()));
    }
    assert_eq!("localhost:7070".parse(), "127.0.0.1:7070".parse::<Address>());
}

#[test]
fn a_socket_is_its_owners_alone_and_goes_with_its_server() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    let server =
        serve("orders", dispatcher.monitor(), &Address::socket(&path)).expect("it is free");
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    drop(server);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn a_socket_is_replaced_only_if_nobody_listens() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    let start = || serve("orders", dispatcher.monitor(), &Address::socket(&path));

    drop(UnixListener::bind(&path).expect("it is free")); // As after a crash.
    let server = start().expect("nobody listens");
    let error = start().expect_err("the other one listens");
    assert!(matches!(error, ServeError::Taken { .. }), "{error}");
    five(&server);
    drop(server);

    fs::write(&path, "precious").expect("it is free");
    let error = start().expect_err("it is a file");
    assert!(matches!(error, ServeError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
}

#[test]
fn of_servers_that_find_the_same_socket_left_one_gets_its_place() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    for _ in 0..40 {
        drop(UnixListener::bind(&path).expect("it is free"));
        let line = Barrier::new(4);
        let start = || {
            line.wait();
            serve("orders", dispatcher.monitor(), &Address::socket(&path))
        };
        let results = thread::scope(|scope| {
            let racers = [(); 4].map(|()| scope.spawn(start));
            racers.map(|racer| racer.join().expect("it is well"))
        });
        let (first, others): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(first.len(), 1);
        assert!(others.iter().all(|it| matches!(it, Err(ServeError::Taken { .. }))), "{others:?}");
        Feed::connect(&Address::socket(&path)).expect("it serves");
    }
}

/// Else the next server takes the file for one that was left, and this one removes the next one's.
#[test]
fn as_long_as_its_file_is_there_a_server_listens() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    for _ in 0..100 {
        let server = serve("orders", dispatcher.monitor(), &Address::socket(&path));
        let server = server.expect("it is free");
        thread::scope(|scope| {
            scope.spawn(move || drop(server));
            while UnixStream::connect(&path).is_ok() {}
            assert!(!path.exists(), "nobody listens");
        });
    }
}

/// What comes of serving there.
fn refusal(path: &Path) -> ServeError {
    let (_producer, dispatcher) = ring();
    serve("orders", dispatcher.monitor(), &Address::socket(path)).expect_err("it cannot")
}

#[test]
fn who_cannot_listen_is_told_what_to_do() {
    let folder = tempdir().expect("a folder");
    let long = folder.path().join("x".repeat(90));
    fs::create_dir(&long).expect("it is free");
    // The second has room for itself, and for nothing beside it.
    let short = folder.path().join("y".repeat(100 - folder.path().as_os_str().len()));
    fs::create_dir(&short).expect("it is free");
    for path in [long.join("s"), short.join("s")] {
        let error = refusal(&path);
        assert!(matches!(error, ServeError::TooLong { .. }), "{error}");
        assert!(error.to_string().contains("use a shorter folder"), "{error}");
        assert_eq!(fs::read_dir(path.parent().expect("one")).expect("it is there").count(), 0);
    }
    let error = refusal(&folder.path().join("nowhere/s"));
    assert!(matches!(error, ServeError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("is it there, and may this user write in it?"), "{error}");
}

#[test]
fn what_was_left_of_a_crash_is_in_nobodys_way() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    for number in 0..100 {
        drop(serve("orders", dispatcher.monitor(), &Address::socket(&path)).expect("it is free"));
        fs::create_dir(folder.path().join(format!(".slipring-{number}"))).expect("it is free");
    }
    let error = refusal(&path);
    assert!(matches!(error, ServeError::Leftovers { .. }), "{error}");
    assert!(error.to_string().ends_with("/.slipring-*"), "{error}");
}

#[test]
fn who_keeps_the_folder_locked_is_not_waited_for_without_end() {
    let folder = tempdir().expect("a folder");
    let lock = fs::File::open(folder.path()).expect("it is there");
    lock.lock().expect("nobody else has it");
    let error = refusal(&folder.path().join("s"));
    assert!(matches!(error, ServeError::Locked { .. }), "{error}");
}

/// Elsewhere, a queue that is full refuses whoever comes.
#[cfg(target_os = "linux")]
#[test]
fn a_listener_that_is_stuck_is_not_waited_for_without_end() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).expect("it is free");
    rustix::net::listen(&listener, 0).expect("it listens");
    let _queued = UnixStream::connect(&path).expect("there is room for one");
    let error = Feed::connect(&Address::socket(&path)).expect_err("there is room for one only");
    let FeedError::Connect { error, .. } = error else { panic!("{error}") };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let error = refusal(&path);
    assert!(matches!(error, ServeError::Taken { .. }), "{error}");
}

#[test]
fn somebody_elses_socket_is_left_alone() {
    let (_producer, dispatcher) = ring();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("s");
    let server =
        serve("orders", dispatcher.monitor(), &Address::socket(&path)).expect("it is free");
    fs::rename(&path, folder.path().join("moved")).expect("it is there");
    let _other = UnixListener::bind(&path).expect("it is free");
    drop(server);
    assert!(path.exists());
}
