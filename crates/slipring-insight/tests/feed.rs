//! Servers that are something else than they should be.

mod common;

use std::{
    io::Write,
    net::{Shutdown, TcpListener},
    thread::{self, JoinHandle},
};

use common::{ring, station, with};
use serde_json::json;
use slipring_insight::{Address, Feed, FeedError};

/// Sends this to the first who comes, and ends.
fn server(text: impl Into<Vec<u8>>) -> (Address, JoinHandle<()>) {
    let text = text.into();
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = Address::port(listener.local_addr().expect("it is bound")).expect("it is local");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        // A client that has read enough does not read the rest.
        let _ = stream.write_all(&text).and_then(|()| stream.shutdown(Shutdown::Write));
    });
    (address, thread)
}

/// What comes of a server that sends this: of connecting, or of the first update.
fn outcome(text: impl Into<Vec<u8>>) -> FeedError {
    let (address, thread) = server(text);
    let outcome = Feed::connect(&address).and_then(|mut feed| feed.next_update().map(drop));
    thread.join().expect("the server is well");
    outcome.expect_err("that was no feed")
}

fn hello() -> String {
    let hello = json!({"version": 1, "program": "orders", "rings": ["orders"], "interval_ms": 100});
    format!("{}\n", json!({ "hello": hello }))
}

#[test]
fn another_version_is_named_whatever_else_it_says() {
    let error = outcome("{\"hello\":{\"version\":7,\"rings\":{\"new\":\"form\"}}}\n");
    assert!(matches!(error, FeedError::Version { theirs: 7, ours: 1 }), "{error}");
    assert!(error.to_string().contains("the same release"), "{error}");
}

#[test]
fn garbage_is_no_feed() {
    for garbage in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "\n", "{}\n", "null\n", "\u{1}\u{2}\n", "[[[\n"]
    {
        let error = outcome(garbage);
        assert!(matches!(error, FeedError::Garbage(_)), "{garbage:?}: {error}");
        assert!(error.to_string().contains("another program's address?"), "{error}");
    }
}

#[test]
fn garbage_behind_a_greeting_is_none_either() {
    let snapshot =
        |ring_index: usize, ring| json!({"snapshot": {"ring": ring_index, "snapshot": ring}});
    let follows_nobody = with(station("risk", &[]), "follows", json!([3]));
    for wrong in [
        json!({"snapshot": {"ring": 0}}),
        snapshot(1, ring(&[])),
        snapshot(0, ring(&[follows_nobody])),
        json!({"hello": {"version": 1, "program": "", "rings": [], "interval_ms": 1}}),
    ] {
        let error = outcome(format!("{}{wrong}\n", hello()));
        assert!(matches!(error, FeedError::Garbage(_)), "{wrong}: {error}");
    }
}

#[test]
fn a_line_without_end_is_too_long() {
    let error = outcome(vec![b'x'; 5 << 20]);
    assert!(matches!(error, FeedError::TooLong { bytes_max: 4_194_304 }), "{error}");
}

#[test]
fn a_server_that_goes_away_has_ended() {
    for text in [String::new(), hello(), hello() + "{\"snapshot\":"] {
        let error = outcome(text);
        assert!(matches!(error, FeedError::Ended), "{error}");
    }
}

#[test]
fn nobody_is_reached_where_nobody_is() {
    let (address, thread) = server("");
    drop(Feed::connect(&address));
    thread.join().expect("the server is well");
    let error = Feed::connect(&address).expect_err("it is gone");
    assert!(matches!(error, FeedError::Connect { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
