//! What news and keys do to the screen, to the letter.

#[path = "../../../slipring-insight/tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::{
    at, before,
    hostile::{any_look, through_a_feed},
    ring, snapshot, telling, with,
};
use proptest::{collection::vec, prelude::*};
use ratatui::{Terminal, backend::TestBackend};
use serde_json::{Value, json};
use slipring::Snapshot;

use super::{
    keys::{Step, Wish},
    source::News,
    state::Top,
    verdict::{Mood, verdict},
    view,
};

const INTERVAL: Duration = Duration::from_millis(500);

/// A program that has just been reached.
fn top(rings: &[&str]) -> Top {
    let mut top = Top::new("127.0.0.1:7070".to_owned(), INTERVAL);
    top.hear(came(rings));
    top
}

fn came(rings: &[&str]) -> News {
    let hello = json!({"version": 1, "program": "orders", "rings": rings, "interval_ms": 100});
    News::Came(serde_json::from_value(hello).expect("it is a greeting"))
}

fn seen(ring: usize, snapshot: &Snapshot) -> News {
    News::Seen { ring, snapshot: Box::new(snapshot.clone()) }
}

/// A program in which a ring without events was seen, and this one a second later.
fn after(ring: Value) -> Top {
    let now = snapshot(ring);
    let mut top = top(&["orders"]);
    top.hear(seen(0, &before(&now)));
    top.hear(seen(0, &now));
    top
}

fn orders() -> Value {
    ring(&[
        with(at("created", &[], 990, 10), "mutates", true),
        at("risk", &[0], 700, 290),
        at("ledger", &[0], 980, 10),
        with(at("inventory", &[1, 2], 700, 0), "mutates", true),
    ])
}

/// The screen, its rows without spaces at their ends.
fn screen(top: &Top, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it cannot fail");
    terminal.draw(|frame| view::draw(top, frame)).expect("it cannot fail");
    let buffer = terminal.backend().buffer();
    let mut screen = String::from("\n");
    for row in buffer.content().chunks(usize::from(width.max(1))) {
        let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        screen.push_str(row.trim_end());
        screen.push('\n');
    }
    screen
}

#[test]
fn a_busy_ring() {
    let expected = "
 orders   127.0.0.1:7070   open   up 0:00:01                                                           ● live
 ✓ all stations keep up
╭ flow ──────────────────────────────────────────────────────────────────────────────────────────────────────╮
│            990/s                 700/s                         700/s                                       │
│ producers ──────────▶ created ─┬──────────▶ risk ────────────┬──────────▶ inventory                        │
│ 2 handles  lag 10     changes  │ lag 290           lag 0     │            changes                          │
│                                │ 980/s                       │                                             │
│                                └──────────▶ ledger ──────────┘                                             │
│                                  lag 10            lag 280                                                 │
╰────────────────────────────────────────────────────────────────────────────────────────────────────────────╯
╭ stations ──────────────────────────────────────────────────────────────────────────────────────────────────╮
│ station     doing        rate      lag   busy   batch  failed  skipped        handled   sleeps             │
│ created     working     990/s       10    50%    10.2       0        0            990        2             │
│ risk        working     700/s      290    50%     7.2       0        0            700        2             │
│ ledger      working     980/s       10    50%    10.1       0        0            980        2             │
│ inventory   waiting     700/s        0    50%     7.2       0        0            700        2             │
╰────────────────────────────────────────────────────────────────────────────────────────────────────────────╯
╭ ring ───────────────────────────────────────────────╮╭ over time ──────────────────────────────────────────╮
│ fill   3% █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ ││ published 1.00k/s, most 1.00k/s                     │
│ in use              30  of 1,024                    ││                                                   █ │
│ published        1,000  1.00k/s                     ││                                                   █ │
│ producers            2                              ││ in use 30, most 30                                  │
│ stalls               3  0% of time                  ││                                                     │
│                                                     ││                                                     │
╰─────────────────────────────────────────────────────╯╰─────────────────────────────────────────────────────╯
 q quit   ↑↓ station   tab ring   p pause   ? help
";
    assert_eq!(screen(&after(orders()), 110, 26), expected);
}

#[test]
fn who_is_late_and_what_was_conflated_has_columns_where_there_is_some() {
    let mut limited = at("screen", &[], 700, 200);
    limited["account"]["conflated"] = 100.into();
    let mut top = after(ring(&[with(limited, "late", 3), at("ledger", &[], 980, 10)]));
    let shown = screen(&top, 130, 26);
    let row = |name: &str| shown.lines().find(|line| line.starts_with(name)).expect("a row");
    let heading = "│ station     doing        rate      lag   busy   batch  failed  skipped  conflated   late ";
    assert!(row("│ station").starts_with(heading), "{shown}");
    assert!(row("│ screen").contains("       0        0        100      3 "), "{shown}");
    assert!(row("│ ledger").contains("       0        0          0      0 "), "{shown}");
    top.grant(Wish::Help);
    assert!(screen(&top, 80, 24).contains("how often it exceeded its lag limit"));
}

#[test]
fn what_stations_tell_has_columns_as_far_as_there_is_room() {
    let mail = [("waiting", "Level", 12), ("dead", "Count", 1_300), ("none", "Count", 0)];
    let audit = [("age p99", "Time", 1_234_000)];
    let mail = telling(at("mail", &[], 700, 300), &mail);
    let mut top = after(ring(&[mail, telling(at("audit", &[], 980, 20), &audit)]));
    let shown = |top: &Top, width| -> Vec<String> {
        let screen = screen(top, width, 26);
        let rows = ["│ station", "│ mail", "│ audit"];
        let row =
            |start: &str| screen.lines().find(|line| line.starts_with(start)).map(str::to_owned);
        rows.iter().filter_map(|start| row(start)).collect()
    };
    let rows = [
        "│ station     doing        rate      lag   busy   batch  failed  skipped  waiting   dead  age p99        handled ",
        "│ mail        working     700/s      300    50%     7.2       0        0       12  1,300                     700 ",
        "│ audit       working     980/s       20    50%    10.1       0        0                  1.23 ms            980 ",
    ];
    for (row, start) in shown(&top, 130).iter().zip(rows) {
        assert!(row.starts_with(start), "{row}");
    }
    // Where room is short, columns go from the right, whole.
    let narrower = shown(&top, 96);
    let [heading, mail, audit] = &narrower[..] else { panic!("three rows: {narrower:?}") };
    assert!(heading.ends_with("  skipped  waiting   dead       │"), "{heading}");
    assert!(mail.ends_with("        0       12  1,300       │"), "{mail}");
    assert!(audit.ends_with("        0                       │"), "{audit}");
    top.grant(Wish::Help);
    assert!(screen(&top, 80, 24).contains("what the program tells of the station"));
}

#[test]
fn a_small_terminal() {
    let expected = "
 orders   127.0.0.1:7070   open      ● live
 ✓ all stations keep up
╭ stations ────────────────────────────────╮
│ station     doing        rate      lag   │
│ created     working     990/s       10   │
│ risk        working     700/s      290   │
│ ledger      working     980/s       10   │
│ inventory   waiting     700/s        0   │
╰──────────────────────────────────────────╯
 q quit   ↑↓ station   tab ring   p pause
";
    assert_eq!(screen(&after(orders()), 44, 10), expected);
}

#[test]
fn no_terminal_is_too_small() {
    let mut top = after(orders());
    for _ in 0..2 {
        for width in [0, 1, 2, 3, 5, 11, 20, 40, 81, 300] {
            for height in (0..12).chain([20, 40]) {
                screen(&top, width, height);
            }
        }
        top.grant(Wish::Help);
    }
}

#[test]
fn several_rings_and_help() {
    let mut top = top(&["orders", "trades\n"]);
    top.hear(seen(1, &snapshot(ring(&[at("book", &[], 990, 10)]))));
    assert!(screen(&top, 80, 24).contains("waiting for the first figures"));
    top.grant(Wish::Ring(Step::On));
    let shown = screen(&top, 80, 24);
    assert!(shown.contains("\n rings  orders  trades\\n\n") && shown.contains("book"), "{shown}");
    top.grant(Wish::Help);
    assert!(screen(&top, 80, 24).contains("how often a producer had to wait"));
}

proptest! {
    // Screens are many times dearer to draw than numbers to think of.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a server says is shown as well as it can be.
    #[test]
    fn no_number_is_too_large(looks in vec(any_look(), 2..4), width in 0..200_u16) {
        let mut top = top(&["orders"]);
        for update in through_a_feed(&looks) {
            top.hear(seen(update.ring, &update.snapshot));
            for height in [7, 60] {
                let screen = screen(&top, width, height);
                prop_assert!(!screen.contains("NaN") && !screen.contains("inf"), "{}", screen);
            }
            top.grant(Wish::Station(Step::On));
        }
        top.hear(News::Left("gone".to_owned()));
        screen(&top, width, 24);
    }
}

fn published(top: &Top) -> u64 {
    top.ring().and_then(|ring| ring.shown.as_ref()).map_or(0, |look| look.snapshot.published)
}

#[test]
fn rates_are_taken_over_the_interval() {
    let mut now = snapshot(ring(&[]));
    let mut top = top(&["orders"]);
    let mut shown = Vec::new();
    for tenths in 10..=20 {
        now.at = Duration::from_millis(tenths * 100);
        now.published = tenths;
        top.hear(seen(0, &now));
        shown.push(published(&top));
    }
    assert_eq!(shown, [10, 10, 10, 10, 10, 15, 15, 15, 15, 15, 20]);
    assert_eq!(top.ring().expect("one").rates.last(9), [10, 10]);
}

#[test]
fn a_pause_holds_what_is_shown() {
    let mut now = snapshot(ring(&[]));
    let mut top = top(&["orders"]);
    top.hear(seen(0, &now));
    top.grant(Wish::Pause);
    assert!(screen(&top, 80, 24).contains("‖ paused"));
    (now.at, now.published) = (Duration::from_secs(9), 5_000);
    top.hear(seen(0, &now));
    assert_eq!(published(&top), 1_000);
    top.hear(News::Left("gone".to_owned()));
    assert_eq!(published(&top), 1_000);
    top.grant(Wish::Pause);
    assert_eq!(published(&top), 5_000);
}

#[test]
fn the_last_figures_stay_until_the_program_is_back() {
    let mut now = snapshot(ring(&[]));
    let mut top = top(&["orders"]);
    top.hear(seen(0, &now));
    // Too soon to be shown, but the last.
    (now.at, now.published) = (now.at + Duration::from_millis(1), 1_001);
    top.hear(seen(0, &now));
    assert_eq!(published(&top), 1_000);
    top.hear(News::Left("gone".to_owned()));
    assert_eq!(published(&top), 1_001);
    let shown = screen(&top, 80, 24);
    assert!(shown.contains("■ ended") && shown.contains("last figures: gone"), "{shown}");
    top.hear(came(&["orders"]));
    let shown = screen(&top, 80, 24);
    assert!(shown.contains("● live") && shown.contains("waiting for the first figures"), "{shown}");
}

#[test]
fn a_program_that_cannot_be_understood_says_so() {
    let mut top = top(&["orders"]);
    top.hear(News::Left("what came is not what a slipring program sends".to_owned()));
    assert!(screen(&top, 80, 24).contains("\n · what came is not what a slipring program sends\n"));
}

#[test]
fn a_selection_goes_round() {
    let mut top = after(orders());
    let selected = |top: &Top| top.ring().and_then(|ring| ring.station()).map(|(place, _)| place);
    let mut places = Vec::new();
    for step in [Step::Back, Step::On, Step::On] {
        top.grant(Wish::Station(step));
        places.extend(selected(&top));
    }
    assert_eq!(places, [3, 0, 1]);
    // Guests leave.
    let mut fewer = snapshot(ring(&[at("created", &[], 990, 10)]));
    fewer.at = Duration::from_secs(2);
    top.hear(seen(0, &fewer));
    assert_eq!(selected(&top), Some(0));
}

#[test]
fn the_verdict_names_whom_to_look_at() {
    let full = with(orders(), "fill", 700);
    let mut waiting = orders();
    waiting["producers"]["stall_time"] = json!({"secs": 3, "nanos": 0});
    let mut failing = orders();
    failing["stations"][2]["account"]["failed"] = 12.into();
    let idle = ring(&[at("created", &[], 1_000, 0)]);
    for (ring, mood, text) in [
        (ring(&[at("created", &[], 990, 10)]), Mood::Good, "all stations keep up"),
        (full, Mood::Slow, "the ring is 68% full: risk is 290 events behind"),
        (
            with(idle.clone(), "fill", 600),
            Mood::Slow,
            "the ring is 59% full: created is the busiest, 50%",
        ),
        (
            with(orders(), "phase", "Halted"),
            Mood::Bad,
            "halted by a failure or by its owner: 300 events left",
        ),
        (with(orders(), "phase", "Closed"), Mood::Quiet, "closed, 300 events still to be handled"),
        (with(idle, "phase", "Closed"), Mood::Quiet, "closed, and every event is handled"),
    ] {
        assert_eq!(verdict(&after(ring)), (mood, text.to_owned()));
    }
    // What is counted since the look before.
    for (ring, mood, text) in [
        (
            waiting,
            Mood::Slow,
            "producers wait for room >99% of the time: risk is 290 events behind",
        ),
        (failing, Mood::Bad, "ledger fails: 12 calls since the last look, 0 events skipped"),
    ] {
        let now = snapshot(ring);
        let mut earlier = before(&now);
        earlier.producers.stall_time =
            now.producers.stall_time.saturating_sub(Duration::from_millis(1_999));
        for station in &mut earlier.stations {
            station.account.failed = 0;
        }
        let mut top = top(&["orders"]);
        top.hear(seen(0, &earlier));
        top.hear(seen(0, &now));
        assert_eq!(verdict(&top), (mood, text.to_owned()));
    }
}
