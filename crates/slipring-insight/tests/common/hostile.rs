//! Looks that no ring has: any numbers, stations that follow each other in circles, servers that say so.

use std::{
    io::Write,
    net::{Shutdown, TcpListener},
    thread::{self, JoinHandle},
};

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use slipring_insight::{Address, Feed, FeedError, Update};

use super::{ring, station, telling, with};

/// Sends this to the first who comes, and ends.
pub fn server(text: impl Into<Vec<u8>>) -> (Address, JoinHandle<()>) {
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

pub fn hello() -> String {
    let hello = json!({"version": 1, "program": "orders", "rings": ["orders"], "interval_ms": 100});
    format!("{}\n", json!({ "hello": hello }))
}

/// What a client has of these looks at one ring.
pub fn through_a_feed(looks: &[Value]) -> Vec<Update> {
    let line = |look| format!("{}\n", json!({"snapshot": {"ring": 0, "snapshot": look}}));
    let (address, thread) = server(hello() + &looks.iter().map(line).collect::<String>());
    let mut feed = Feed::connect(&address).expect("it greets");
    let mut updates = Vec::new();
    let end = loop {
        match feed.next_update() {
            Ok(update) => updates.push(update),
            Err(error) => break error,
        }
    };
    thread.join().expect("the server is well");
    assert!(matches!(end, FeedError::Ended), "{end}");
    updates
}

fn any_number() -> impl Strategy<Value = u64> {
    let edges = prop::sample::select(vec![0, 1, 2, (1 << 53) + 1, 1 << 63, u64::MAX - 1, u64::MAX]);
    prop_oneof![edges, any::<u64>()]
}

/// A look at up to four stations, of which each follows any.
pub fn any_look() -> impl Strategy<Value = Value> {
    let doing = prop::sample::select(vec!["Working", "Waiting", "Finished", "Stopped"]);
    let phase = prop::sample::select(vec!["Open", "Closed", "Halted"]);
    let kind = prop::sample::select(vec!["Count", "Level", "Time"]);
    // Names that are told twice, are those of other columns, or do what they should not.
    let name =
        prop::sample::select(vec!["dead", "lag", "", "\u{202e}\n", "価格".repeat(40).leak()]);
    let told = vec((name, kind, 0..1_u64), 0..20);
    let follows = vec(any::<prop::sample::Index>(), 0..4);
    let stations = vec((follows, doing, any::<bool>(), told), 0..5);
    (stations, phase, vec(any_number(), 400)).prop_map(|(stations, phase, numbers)| {
        let count = stations.len();
        let station =
            |(place, (follows, doing, is_guest, told)): (usize, (Vec<_>, &str, bool, Vec<_>))| {
                let follows = follows.iter().map(|it: &prop::sample::Index| it.index(count));
                let station = station(&format!("s{place}"), &follows.collect::<Vec<_>>());
                let station = with(with(station, "doing", doing), "is_guest", is_guest);
                telling(station, &told)
            };
        let stations: Vec<Value> = stations.into_iter().enumerate().map(station).collect();
        renumbered(with(ring(&stations), "phase", phase), &mut numbers.into_iter())
    })
}

/// The same with the next of these numbers wherever one stands.
fn renumbered(value: Value, numbers: &mut dyn Iterator<Item = u64>) -> Value {
    match value {
        Value::Number(_) => next(numbers).into(),
        Value::Array(values) => {
            values.into_iter().map(|value| renumbered(value, numbers)).collect()
        }
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                let value = match name.as_str() {
                    "follows" => value,
                    // More is no time.
                    "nanos" => (next(numbers) % 1_000_000_000).into(),
                    // Else no station would be that of the look before.
                    "first" => (next(numbers) % 2).into(),
                    _ => renumbered(value, numbers),
                };
                (name, value)
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        other => other,
    }
}

fn next(numbers: &mut dyn Iterator<Item = u64>) -> u64 {
    numbers.next().expect("there are enough")
}
