//! The stations' figures, a row each.

use std::fmt;

use slipring::{Snapshot, StationSnapshot};

use super::graph::{doing, kinds};
use crate::{Change, StationChange, at_right, columns, figure, fitted, printable};

const CONFLATED: &str = "conflated";
const LATE: &str = "late";

/// At which end of its column a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Figures.
    Right,
}

/// The figures of all stations, as texts: a heading and a row for each, in the snapshot's order.
///
/// What counts events counts from the station's start. Rate, batch and busy share are those of the
/// change that the picture was made with; without one, batches are averaged over the station's life
/// and the others are left out. A station is late when it was found to lag by more than its limit, and conflated are
/// the events that it passed unhandled to keep up: these columns are [shown](Self::is_shown) where they say something.
///
/// # Examples
/// ```
/// use slipring::{Builder, poller};
/// use slipring_insight::Picture;
///
/// let (producer, dispatcher) = Builder::new(8, || 0_u64).then(poller("risk")).start()?;
/// let picture = Picture::new("orders", &dispatcher.snapshot());
/// assert_eq!(picture.table().rows()[0][0], "risk");
/// # drop(producer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationTable {
    rows: Vec<[String; StationTable::COLUMNS.len()]>,
}

impl StationTable {
    /// The headings, and how the texts below them stand.
    pub const COLUMNS: [(&str, Align); 14] = [
        ("station", Align::Left),
        ("doing", Align::Left),
        ("rate", Align::Right),
        ("lag", Align::Right),
        ("busy", Align::Right),
        ("batch", Align::Right),
        ("failed", Align::Right),
        ("skipped", Align::Right),
        (CONFLATED, Align::Right),
        (LATE, Align::Right),
        ("handled", Align::Right),
        ("sleeps", Align::Right),
        ("follows", Align::Left),
        ("", Align::Left),
    ];

    /// The rows.
    pub fn rows(&self) -> &[[String; Self::COLUMNS.len()]] {
        &self.rows
    }

    /// Whether the column at this place is worth its room. Only what few rings have is not: late stations, conflated
    /// events, and remarks.
    pub fn is_shown(&self, column: usize) -> bool {
        let Some((heading, _)) = Self::COLUMNS.get(column) else { return false };
        let is_rare = [CONFLATED, LATE, ""].contains(heading);
        !is_rare || self.rows.iter().any(|row| !row[column].is_empty() && row[column] != "0")
    }

    pub(super) fn of(snapshot: &Snapshot, change: Option<&Change>) -> Self {
        let stations = snapshot.stations.iter().enumerate();
        let row = |(index, station): (usize, &StationSnapshot)| {
            let since = change.and_then(|change| Some((change, change.stations.get(index)?)));
            let account = &station.account;
            let (rate, busy, batch) = match since {
                Some((change, StationChange { busy, .. })) => (
                    figure::rate(change.handle_rate(index)),
                    busy.map_or(String::new(), figure::percent),
                    change.stations[index].average_batch(),
                ),
                None => (String::new(), String::new(), account.average_batch()),
            };
            [
                printable(&account.name),
                doing(station.doing).to_owned(),
                rate,
                figure::grouped(station.lag),
                busy,
                format!("{batch:.1}"),
                figure::grouped(account.failed),
                figure::grouped(account.skipped),
                figure::grouped(account.conflated),
                figure::grouped(station.late),
                figure::grouped(account.handled),
                figure::grouped(station.sleeps),
                follows(snapshot, station),
                kinds(station).join(", "),
            ]
        };
        Self { rows: stations.map(row).collect() }
    }
}

fn follows(snapshot: &Snapshot, station: &StationSnapshot) -> String {
    if station.follows.is_empty() {
        return "producers".to_owned();
    }
    let followed = station.follows.iter().filter_map(|index| snapshot.stations.get(*index));
    followed.map(|followed| printable(&followed.account.name)).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for StationTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = Self::COLUMNS.map(|(heading, _)| heading.to_owned());
        let widths: [usize; Self::COLUMNS.len()] = std::array::from_fn(|column| {
            let rows = std::iter::once(&headings).chain(&self.rows);
            rows.map(|row| columns(&row[column])).max().unwrap_or(0)
        });
        for row in std::iter::once(&headings).chain(&self.rows) {
            let shown = (0..Self::COLUMNS.len()).filter(|column| self.is_shown(*column));
            let cells = shown.map(|column| match Self::COLUMNS[column].1 {
                Align::Left => fitted(&row[column], widths[column]),
                Align::Right => at_right(&row[column], widths[column]),
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}
