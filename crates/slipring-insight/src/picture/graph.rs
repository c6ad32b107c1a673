//! Who follows whom, and what is known of each: what all pictures show.

use slipring::{Doing, Phase, Snapshot, StationSnapshot};

use crate::{Change, StationChange, figure, printable, told};

/// The producers, or a station.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Fit to be shown.
    pub name: String,
    pub kind: Kind,
    /// What is said of it besides: lines, the most important first.
    pub remarks: Vec<String>,
}

/// What makes a node look different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each may go with each")]
pub(super) struct Kind {
    pub is_producers: bool,
    pub is_guest: bool,
    pub is_team: bool,
    pub mutates: bool,
}

/// `to` follows `from`; both are places in [`Graph::nodes`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    /// Events a second.
    pub rate: Option<String>,
    /// How many events `to` is behind `from`.
    pub lag: u64,
}

impl Edge {
    /// The rate, if it is known, and the lag.
    pub fn figures(&self) -> impl Iterator<Item = String> + '_ {
        self.rate.iter().cloned().chain([lag(self.lag)])
    }
}

/// How far behind one is.
pub(super) fn lag(events: u64) -> String {
    format!("lag {}", figure::count(events))
}

/// The producers, which are the first node, and the stations in the order of the snapshot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

impl Graph {
    pub fn of(snapshot: &Snapshot, change: Option<&Change>) -> Self {
        let stations = &snapshot.stations;
        let change_of = |index: usize| change.and_then(|change| change.stations.get(index));
        let described = stations.iter().enumerate();
        let names = told::names(snapshot);
        let described = described.map(|(index, station)| node(station, change_of(index), &names));
        let nodes = std::iter::once(producers(snapshot, change)).chain(described).collect();
        let mut edges = Vec::new();
        for (index, station) in stations.iter().enumerate() {
            let rate = change.map(|change| figure::rate(change.handle_rate(index)));
            let mut edge = |from: usize, lag: u64| {
                edges.push(Edge { from, to: index + 1, rate: rate.clone(), lag });
            };
            let followed = station.follows.iter().filter(|followed| **followed < stations.len());
            if station.follows.is_empty() {
                edge(0, station.lag);
            }
            for &followed in followed {
                edge(followed + 1, lag_behind(station, &stations[followed]));
            }
        }
        Self { nodes, edges }
    }
}

/// A station that has left is looked through, and its own position says nothing.
fn lag_behind(station: &StationSnapshot, followed: &StationSnapshot) -> u64 {
    let is_gone = |station: &StationSnapshot| station.doing == Doing::Stopped;
    if station.follows.len() == 1 || is_gone(station) || is_gone(followed) {
        station.lag
    } else {
        followed.position.saturating_sub(station.position)
    }
}

fn producers(snapshot: &Snapshot, change: Option<&Change>) -> Node {
    let producers = &snapshot.producers;
    let mut remarks = vec![
        figure::counted(producers.handles as u64, "handle"),
        phase(snapshot.phase).to_owned(),
        format!("published {}", figure::grouped(snapshot.published)),
    ];
    remarks.extend(change.map(|change| figure::rate(change.publish_rate())));
    let filled = figure::percent(snapshot.fullness());
    remarks.push(format!("ring {filled} of {} full", figure::grouped(snapshot.capacity)));
    if snapshot.abandoned > 0 {
        remarks.push(format!("abandoned {}", figure::grouped(snapshot.abandoned)));
    }
    if producers.stalls > 0 {
        let time = figure::span(producers.stall_time);
        remarks.push(format!("stalls {}, {time}", figure::grouped(producers.stalls)));
    }
    let kind = Kind { is_producers: true, is_guest: false, is_team: false, mutates: true };
    Node { name: "producers".to_owned(), kind, remarks }
}

fn node(station: &StationSnapshot, change: Option<&StationChange>, names: &[&str]) -> Node {
    let account = &station.account;
    let busy = change.and_then(|change| change.busy);
    let busy = busy.map_or(String::new(), |share| format!(", busy {}", figure::percent(share)));
    let mut remarks = kinds(station);
    remarks.push(format!("{}{busy}", doing(station.doing)));
    remarks.push(format!("handled {}", figure::grouped(account.handled)));
    let exceptions = [
        ("skipped", account.skipped),
        ("conflated", account.conflated),
        ("failed", account.failed),
        ("retried", account.retried),
        ("late", station.late),
    ];
    for (what, count) in exceptions {
        if count > 0 {
            remarks.push(format!("{what} {}", figure::grouped(count)));
        }
    }
    let shown = names.iter().filter_map(|name| told::find(&station.told, name));
    let shown = shown.filter(|figure| figure.value > 0);
    remarks.extend(shown.map(|it| format!("{} {}", told::heading(&it.name), told::text(it))));
    let kind = Kind {
        is_producers: false,
        is_guest: station.is_guest,
        is_team: station.workers > 1,
        mutates: station.mutates,
    };
    Node { name: printable(&account.name), kind, remarks }
}

/// In words, what tells a station from one that reads alone and was always there.
pub(super) fn kinds(station: &StationSnapshot) -> Vec<String> {
    let mut kinds = Vec::new();
    if station.is_guest {
        kinds.push("guest".to_owned());
    }
    if station.workers > 1 {
        kinds.push(format!("team of {}", station.workers));
    }
    if station.mutates {
        kinds.push("changes".to_owned());
    }
    if kinds.is_empty() { kinds } else { vec![kinds.join(", ")] }
}

/// What a station is doing, in a word.
///
/// # Examples
/// ```
/// assert_eq!(slipring_insight::doing(slipring::Doing::Waiting), "waiting");
/// ```
pub fn doing(doing: Doing) -> &'static str {
    match doing {
        Doing::Working => "working",
        Doing::Waiting => "waiting",
        Doing::Finished => "finished",
        Doing::Stopped => "stopped",
    }
}

/// Whether a ring takes events, in a word.
///
/// # Examples
/// ```
/// assert_eq!(slipring_insight::phase(slipring::Phase::Open), "open");
/// ```
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Open => "open",
        Phase::Closed => "closed",
        Phase::Halted => "halted",
    }
}
