//! Pictures of known rings, to the letter, and of rings with any names.

mod common;

use common::{at, before, ring, snapshot, station, telling, with};
use layout::gv::{DotParser, parser::ast};
use proptest::{collection::vec, prelude::*};
use serde_json::Value;
use slipring_insight::{Change, Picture, columns, printable};

fn picture(stations: &[Value]) -> Picture {
    let now = snapshot(ring(stations));
    Picture::with_change("orders", &now, &Change::between(&before(&now), &now))
}

fn drawn(stations: &[Value]) -> String {
    // On lines of its own, as it stands below.
    format!("\n{}\n", picture(stations).drawing(200).join("\n"))
}

#[test]
fn unicast_as_text() {
    let text = "\
orders: open, 30 of 1,024 slots in use (3%), published 1,000, 1.00k/s, 3 stalls, 1.50 ms in all

           970/s
producers ──────────▶ risk
2 handles  lag 30

station  doing     rate  lag  busy  batch  failed  skipped  handled  sleeps  follows
risk     working  970/s   30   50%   10.0       0        0      970       2  producers
";
    assert_eq!(picture(&[station("risk", &[])]).text().to_string(), text);
}

#[test]
fn columns_that_say_nothing_are_left_out() {
    let late = with(station("risk", &[]), "late", 3);
    let mut conflated = station("risk", &[]);
    conflated["account"]["conflated"] = 100.into();
    for (station, columns) in [
        (late, ["skipped  late  handled", "      0     3      970"]),
        (conflated, ["skipped  conflated  handled", "      0        100      970"]),
    ] {
        let table = picture(&[station]).table().to_string();
        for (line, expected) in table.lines().zip(columns) {
            assert!(line.contains(expected), "{table}");
        }
    }
}

#[test]
fn what_stations_tell_has_columns_where_it_says_something() {
    let mail = [
        ("waiting", "Level", 12),
        ("late", "Count", 3),
        ("never", "Count", 0),
        ("age p99", "Time", 1_234_000),
    ];
    let audit = [("dead", "Count", 1_300), ("waiting", "Level", 0), ("dead", "Count", 7)];
    let stations = [
        telling(station("mail", &[]), &mail),
        telling(station("audit", &[]), &audit),
        station("silent", &[]),
    ];
    let table = "\
station  doing     rate  lag  busy  batch  failed  skipped  waiting  late  age p99   dead  handled  sleeps  follows
mail     working  970/s   30   50%   10.0       0        0       12     3  1.23 ms             970       2  producers
audit    working  970/s   30   50%   10.0       0        0        0                 1,300      970       2  producers
silent   working  970/s   30   50%   10.0       0        0                                     970       2  producers
";
    let picture = picture(&stations);
    assert_eq!(picture.table().to_string(), table);
    let dot = picture.dot().to_string();
    assert!(dot.contains("handled 970\\nwaiting 12\\nlate 3\\nage p99 1.23 ms\""), "{dot}");
    assert!(dot.contains("handled 970\\ndead 1,300\""), "{dot}");
}

#[test]
fn calls_that_were_made_again_have_a_column_where_there_are_some() {
    let mut failing = station("mail", &[]);
    (failing["account"]["failed"], failing["account"]["retried"]) = (5.into(), 4.into());
    let picture = picture(&[failing]);
    let table = picture.table().to_string();
    assert!(table.contains("failed  retried  skipped"), "{table}");
    assert!(table.contains("     5        4        0"), "{table}");
    assert!(picture.mermaid().to_string().contains("failed 5<br>retried 4"));
}

#[test]
fn a_pipeline() {
    let stations =
        [at("decode", &[], 990, 10), at("price", &[0], 980, 10), at("store", &[1], 980, 0)];
    let drawing = "
           990/s              980/s             980/s
producers ──────────▶ decode ──────────▶ price ──────────▶ store
2 handles  lag 10             lag 10            lag 0
";
    assert_eq!(drawn(&stations), drawing);
}

fn orders() -> [Value; 5] {
    [
        with(at("created", &[], 990, 10), "mutates", true),
        at("risk", &[0], 700, 290),
        at("ledger", &[0], 980, 10),
        with(at("inventory", &[1, 2], 700, 0), "mutates", true),
        at("report", &[3], 700, 0),
    ]
}

#[test]
fn a_diamond() {
    let drawing = "
           990/s                 700/s                         700/s                 700/s
producers ──────────▶ created ─┬──────────▶ risk ────────────┬──────────▶ inventory ──────────▶ report
2 handles  lag 10     changes  │ lag 290           lag 0     │            changes    lag 0
                               │ 980/s                       │
                               └──────────▶ ledger ──────────┘
                                 lag 10            lag 280
";
    assert_eq!(drawn(&orders()), drawing);
}

#[test]
fn short_room_costs_figures_first_and_names_then() {
    let picture = picture(&orders());
    let without_figures = "\
producers ──▶ created ─┬──▶ risk ───┬──▶ inventory ──▶ report
                       └──▶ ledger ─┘";
    assert_eq!(picture.drawing(70).join("\n"), without_figures);
    let short = "\
produ… ──▶ creat… ─┬──▶ risk ───┬──▶ inven… ──▶ report
                   └──▶ ledger ─┘";
    assert_eq!(picture.drawing(56).join("\n"), short);
    assert_eq!(picture.drawing(20).join("\n"), "produ… ──▶ creat… ─…\n                   …");
    assert!(picture.drawing(0).iter().all(String::is_empty));
}

fn team_and_guest() -> [Value; 3] {
    [
        with(with(at("price", &[], 990, 10), "workers", 3), "mutates", true),
        at("store", &[0], 980, 10),
        with(at("late", &[], 980, 20), "is_guest", true),
    ]
}

#[test]
fn a_team_and_a_guest() {
    let drawing = "
             990/s                          980/s
producers ─┬──────────▶ price ───────────────────────▶ store
2 handles  │ lag 10     team of 3, changes  lag 10
           │ 980/s
           └──────────▶ late
             lag 20     guest
";
    assert_eq!(drawn(&team_and_guest()), drawing);
}

#[test]
fn a_graph_with_a_line_that_passes_by() {
    let stations = [
        at("a", &[], 990, 10),
        at("b", &[0], 980, 10),
        at("c1", &[0], 980, 0),
        at("c2", &[2], 970, 10),
        at("d", &[1, 3], 960, 10),
        at("x", &[], 5, 995),
    ];
    let drawing = "
             990/s           980/s                                    960/s
producers ─┬──────────▶ a ─┬──────────▶ b ──────────────────────────┬──────────▶ d
2 handles  │ lag 10        │ lag 10                       lag 20    │
           │ 5/s           │ 980/s          970/s                   │
           └──────────▶ x  └──────────▶ c1 ──────────▶ c2 ──────────┘
             lag 995         lag 0          lag 10        lag 10
";
    assert_eq!(drawn(&stations), drawing);
}

#[test]
fn a_station_that_has_left_is_looked_through() {
    let gone = with(at("gone", &[], 500, 0), "doing", "Stopped");
    let drawing = drawn(&[gone, at("stays", &[], 980, 20), at("behind", &[0, 1], 970, 10)]);
    assert!(drawing.contains("lag 10") && !drawing.contains("lag 470"), "{drawing}");
}

#[test]
fn mermaid_tells_the_kinds_apart() {
    let mermaid = r#"flowchart LR
    producers{{"producers<br>2 handles<br>open<br>published 1,000<br>1.00k/s<br>ring 3% of 1,024 full<br>stalls 3, 1.50 ms"}}
    s0[["price<br>team of 3, changes<br>working, busy 83%<br>handled 990"]]
    s1["store<br>working, busy 50%<br>handled 980"]
    s2(["late<br>guest<br>working, busy 50%<br>handled 980"])
    producers -->|"990/s, lag 10"| s0
    s0 -->|"980/s, lag 10"| s1
    producers -.->|"980/s, lag 20"| s2
    classDef changes stroke-width:3px
    class s0 changes
"#;
    assert_eq!(picture(&team_and_guest()).mermaid().to_string(), mermaid);
}

#[test]
fn dot_tells_the_kinds_apart() {
    let dot = r#"digraph "orders" {
    graph [rankdir=LR];
    node [shape=box, fontname="sans-serif"];
    edge [fontname="sans-serif"];
    producers [label="producers\n2 handles\nopen\npublished 1,000\n1.00k/s\nring 3% of 1,024 full\nstalls 3, 1.50 ms", shape=hexagon];
    s0 [label="price\nteam of 3, changes\nworking, busy 83%\nhandled 990", peripheries=2, penwidth=3];
    s1 [label="store\nworking, busy 50%\nhandled 980"];
    s2 [label="late\nguest\nworking, busy 50%\nhandled 980", style="rounded,dashed"];
    producers -> s0 [label="990/s\nlag 10"];
    s0 -> s1 [label="980/s\nlag 10"];
    producers -> s2 [label="980/s\nlag 20", style=dashed];
}
"#;
    assert_eq!(picture(&team_and_guest()).dot().to_string(), dot);
}

#[test]
fn failures_and_what_was_skipped_are_shown() {
    let mut failing = station("risk", &[]);
    failing["account"]["skipped"] = 12.into();
    failing["account"]["failed"] = 1_300.into();
    let dot = picture(&[failing]).dot().to_string();
    assert!(dot.contains(r"handled 970\nskipped 12\nfailed 1,300"), "{dot}");
}

/// Whatever somebody may call a station, with what means something to the formats often among it.
fn any_name() -> impl Strategy<Value = String> {
    let specials = prop_oneof![
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("\n".to_owned()),
        Just("<b>".to_owned()),
        Just("&amp;".to_owned()),
        Just("]".to_owned()),
        Just("}}".to_owned()),
        Just("-->".to_owned()),
        Just("#quot;".to_owned()),
        Just("`".to_owned()),
        Just("\\N".to_owned()),
        Just("|".to_owned()),
        Just("価格".to_owned()),
        Just("e\u{301}".to_owned()),
        Just("\u{202e}".to_owned()),
        Just("\u{1f469}\u{200d}\u{1f680}".to_owned()),
        Just("3\u{fe0f}".to_owned()),
        Just("\u{1f44d}\u{1f3fd}".to_owned()),
        Just("\u{644}\u{627}".to_owned()),
    ];
    vec(prop_oneof![specials, "\\PC{0,3}", any::<char>().prop_map(String::from)], 0..6)
        .prop_map(|parts| parts.concat())
}

/// A name, whom of those before it follows, how much it has handled, its workers, and a figure that it tells.
type Drawn = (String, [bool; 8], u64, usize, (String, u64));

/// Up to eight stations, each behind some of those before it.
fn any_ring() -> impl Strategy<Value = Vec<Value>> {
    let told = (any_name(), 0..3_u64);
    vec((any_name(), any::<[bool; 8]>(), 0_u64..=1_000, 1_usize..4, told), 1..8).prop_map(
        |stations| {
            let station = |(index, drawn): (usize, Drawn)| {
                let (name, follows, handled, workers, (told, value)) = drawn;
                let followed: Vec<usize> = (0..index).filter(|earlier| follows[*earlier]).collect();
                let station =
                    with(at(&name, &followed, handled, 1_000 - handled), "workers", workers);
                telling(station, &[(&told, "Level", value)])
            };
            stations.into_iter().enumerate().map(station).collect()
        },
    )
}

/// The labels of the nodes, as they are after the escapes have been read.
fn labels(dot: &str) -> Vec<String> {
    let graph = DotParser::new(dot).process().unwrap_or_else(|error| panic!("{error}:\n{dot}"));
    let node = |statement: ast::Stmt| match statement {
        ast::Stmt::Node(node) => {
            node.list.list.into_iter().find(|(key, _)| key == "label").map(|(_, label)| label)
        }
        _ => None,
    };
    graph.list.list.into_iter().filter_map(node).collect()
}

fn names(stations: &[Value]) -> Vec<String> {
    let name = |station: &Value| printable(station["account"]["name"].as_str().expect("a text"));
    stations.iter().map(name).collect()
}

proptest! {
    #[test]
    fn names_come_through_dot_as_they_are(stations in any_ring()) {
        let dot = picture(&stations).dot().to_string();
        let labels = labels(&dot);
        prop_assert_eq!(labels.len(), stations.len() + 1);
        for (label, name) in labels[1..].iter().zip(names(&stations)) {
            let shown = label.replace("&amp;", "&");
            prop_assert!(shown.starts_with(&format!("{name}\n")), "{name:?} in {label:?}");
        }
    }

    #[test]
    fn names_are_nothing_else_to_mermaid(stations in any_ring()) {
        let mermaid = picture(&stations).mermaid().to_string();
        let edges: usize = stations.iter().map(|it| it["follows"].as_array().map_or(1, |f| f.len().max(1))).sum();
        prop_assert_eq!(mermaid.lines().filter(|line| line.contains("-->")).count(), edges);
        for line in mermaid.lines().skip(2).take(stations.len()) {
            prop_assert_eq!(line.matches('"').count(), 2);
            let label = line.split('"').nth(1).expect("it is quoted");
            let plain = label.replace("<br>", "");
            prop_assert!(!plain.contains(['<', '>', '`', '[', ']', '{', '}', '|', '&']), "{line}");
        }
    }

    /// The column in which a cell of the table ends, or begins, is the same in each row.
    #[test]
    fn no_row_of_the_table_is_out_of_line(stations in any_ring()) {
        let table = picture(&stations).table().to_string();
        let lines: Vec<&str> = table.lines().collect();
        prop_assert_eq!(lines.len(), stations.len() + 1);
        let doing = columns(lines[0].split("doing").next().expect("a heading"));
        for (line, name) in lines[1..].iter().zip(names(&stations)) {
            prop_assert!(line.starts_with(&name));
            let rest = &line[name.len()..];
            let state = rest.trim_start();
            prop_assert_eq!(columns(&line[..line.len() - state.len()]), doing, "{}", line);
        }
    }

    /// Arrows lead to the column of names in which their targets stand.
    #[test]
    fn no_line_of_the_drawing_is_out_of_line(stations in any_ring(), name in any_name()) {
        let mut other = stations.clone();
        let width = columns(&printable(&name)).min(40);
        prop_assume!(width > 0);
        for station in &mut other {
            station["account"]["name"] = name.clone().into();
        }
        let mut plain = other.clone();
        for station in &mut plain {
            station["account"]["name"] = "x".repeat(width).into();
        }
        let shape = |stations: &[Value]| -> Vec<usize> {
            picture(stations).drawing(10_000).iter().map(|line| columns(line)).collect()
        };
        prop_assert_eq!(shape(&other), shape(&plain));
        prop_assert!(picture(&stations).drawing(50).iter().all(|line| columns(line) <= 50));
    }
}
