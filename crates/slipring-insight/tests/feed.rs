//! Servers that are something else than they should be.

mod common;

use std::time::Duration;

use common::{
    hostile::{any_look, hello, server, through_a_feed},
    ring, station, telling, with,
};
use proptest::{collection::vec, prelude::*};
use serde_json::json;
use slipring::{Builder, Figure, poller};
use slipring_insight::{
    Change, Column, Feed, FeedError, Picture, Rule, Rules, Stations, columns, figure, serve,
};

/// What comes of a server that sends this: of connecting, or of the first update.
fn outcome(text: impl Into<Vec<u8>>) -> FeedError {
    let (address, thread) = server(text);
    let outcome = Feed::connect(&address).and_then(|mut feed| feed.next_update().map(drop));
    thread.join().expect("the server is well");
    outcome.expect_err("that was no feed")
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

#[test]
fn an_older_server_tells_no_figures_and_notes_no_calls() {
    let looks = through_a_feed(&[ring(&[station("risk", &[])])]);
    let station = &looks[0].snapshot.stations[0];
    assert_eq!((&station.told[..], station.account.calls), (&[][..], 0));
}

#[test]
fn a_server_that_tells_too_much_is_cut_short() {
    let name = |number: usize| format!("{number}{}", "é\u{202e}".repeat(5_000));
    let names: Vec<String> = (0..100).map(name).collect();
    let figures: Vec<(&str, &str, u64)> = names.iter().map(|name| (&**name, "Level", 1)).collect();
    let looks = through_a_feed(&[ring(&[telling(station("risk", &[]), &figures)])]);
    let snapshot = &looks[0].snapshot;
    let told = &snapshot.stations[0].told;
    assert_eq!(told.len(), 64);
    assert!(told.iter().all(|figure| figure.name.chars().count() == 64));
    let picture = Picture::new("orders", snapshot);
    let told: Vec<&Column> = picture.table().columns().iter().filter(|it| it.is_told).collect();
    assert_eq!(told.len(), 16);
    assert!(told.iter().all(|column| columns(&column.heading) == 20), "{told:?}");
    assert!(told.iter().all(|column| !column.heading.contains('\u{202e}')), "{told:?}");
    assert!(picture.dot().to_string().len() < 2_000);
}

#[test]
fn a_program_that_tells_too_much_is_cut_short_by_itself() {
    let huge = "x".repeat(3 << 20);
    let station = poller("risk").tell(move |figures| {
        let more = || Figure::level(huge.clone(), 1);
        figures.extend((0..100).map(|_| more()));
    });
    let (_producer, dispatcher) = Builder::new(8, || 0_u64).then(station).start().unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let server = serve("orders", dispatcher.monitor(), &address).unwrap();
    let mut feed = Feed::connect(server.address()).unwrap();
    let update = feed.next_update().unwrap();
    assert_eq!(update.snapshot.stations[0].told.len(), 64);
    assert_eq!(update.snapshot.stations[0].told[0].name, "x".repeat(64));
}

proptest! {
    /// Whatever a server says is shown as well as it can be.
    #[test]
    fn no_number_is_too_large(looks in vec(any_look(), 3)) {
        let any = Stations::Any;
        let mut rules = Rules::new("orders")
            .with(Rule::lag(any.clone(), u64::MAX).until(1))
            .with(Rule::fill(0.5))
            .with(Rule::stall(any.clone(), Duration::from_secs(1)))
            .with(Rule::back_pressure(0.5))
            .with(Rule::error_rate(any.clone(), 0.5))
            .with(Rule::told(any.clone(), "dead", u64::MAX).until(1))
            .with(Rule::told(any.clone(), "dead", Duration::from_secs(1)))
            .with(Rule::growth(any, "dead", 1));
        let looks = through_a_feed(&looks);
        prop_assert_eq!(looks.len(), 3);
        for pair in looks.windows(2) {
            let (before, now) = (&pair[0].snapshot, &pair[1].snapshot);
            let alerts = rules.look(now).iter().map(ToString::to_string).collect::<String>();
            let change = Change::between(before, now);
            for picture in [Picture::new("orders", now), Picture::with_change("orders", now, &change)] {
                let forms = [picture.text().to_string(), picture.mermaid().to_string(), picture.dot().to_string()];
                for text in forms.iter().chain([&alerts]) {
                    prop_assert!(!text.contains("NaN") && !text.contains("inf"), "{}", text);
                }
                prop_assert!(picture.drawing(80).iter().all(|line| columns(line) <= 80));
            }
            for station in &now.stations {
                prop_assert!(station.account.average_batch() >= 0.0);
            }
            #[cfg(feature = "metrics")]
            slipring_insight::metrics::export("orders", now);
            let _ = (now.adds_up(), figure::clock(now.at), figure::span(now.at));
        }
        rules.end();
    }
}
