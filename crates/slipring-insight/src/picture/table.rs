//! The stations' figures, a row each.

use std::fmt;

use slipring::{Snapshot, StationSnapshot};

use super::graph::{doing, kinds};
use crate::{Change, at_right, columns, figure, fitted, printable, told};

/// At which end of its column a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Figures.
    Right,
}

/// A column of a [`StationTable`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// What stands above it.
    pub heading: String,
    /// How the texts below that stand.
    pub align: Align,
    /// Whether it is a figure that the stations' owners tell, and not one of the ring's.
    pub is_told: bool,
    /// Whether it is worth its room.
    is_shown: bool,
}

/// When a column is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Always,
    /// Where it says something: only few rings have it.
    Rarely,
}
use Align::{Left, Right};
use Shown::{Always, Rarely};

/// What every ring has. In between stands what stations tell.
const FIRST: [(&str, Align, Shown); 11] = [
    ("station", Left, Always),
    ("doing", Left, Always),
    ("rate", Right, Always),
    ("lag", Right, Always),
    ("busy", Right, Always),
    ("batch", Right, Always),
    ("failed", Right, Always),
    ("retried", Right, Rarely),
    ("skipped", Right, Always),
    ("conflated", Right, Rarely),
    ("late", Right, Rarely),
];
const LAST: [(&str, Align, Shown); 4] = [
    ("handled", Right, Always),
    ("sleeps", Right, Always),
    ("follows", Left, Always),
    ("", Left, Rarely),
];

/// The figures of all stations, as texts: a heading and a row for each, in the snapshot's order.
///
/// What counts events counts from the station's start. Rate, batch and busy share are those of the
/// change that the picture was made with; without one, batches are averaged over the station's life
/// and the others are left out. A station is late when it was found to lag by more than its limit, and conflated are
/// the events that it passed unhandled to keep up: these columns are [shown](Self::is_shown) where they say something.
/// So are those of the figures that stations [tell](slipring::StationSnapshot::told), the first 16 that say something,
/// in the order in which they appear.
///
/// # Examples
/// ```
/// use slipring::{Builder, Figure, poller};
/// use slipring_insight::Picture;
///
/// let risk = poller("risk").tell(|figures| figures.push(Figure::count("dead", 3)));
/// let (producer, dispatcher) = Builder::new(8, || 0_u64).then(risk).start()?;
/// let picture = Picture::new("orders", &dispatcher.snapshot());
/// let table = picture.table();
/// assert_eq!(table.rows()[0][0], "risk");
/// let dead = table.columns().iter().position(|column| column.heading == "dead");
/// assert_eq!(dead.map(|dead| &*table.rows()[0][dead]), Some("3"));
/// # drop(producer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationTable {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl StationTable {
    /// The columns, those included that are not [shown](Self::is_shown).
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows: of each, as many texts as there are columns.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Whether the column at this place is worth its room. Only what few rings have is not: calls made again, late
    /// stations, conflated events, and remarks.
    pub fn is_shown(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.is_shown)
    }

    pub(super) fn of(snapshot: &Snapshot, change: Option<&Change>) -> Self {
        let names = told::names(snapshot);
        let stations = snapshot.stations.iter().enumerate();
        let row = |(index, station): (usize, &StationSnapshot)| {
            let told = names.iter().map(|name| told::find(&station.told, name));
            let mut row = Vec::from(first(index, station, change));
            row.extend(told.map(|figure| figure.map_or(String::new(), told::text)));
            row.extend(last(snapshot, station));
            row
        };
        let rows: Vec<Vec<String>> = stations.map(row).collect();
        let known = |&(heading, align, shown): &(&str, Align, Shown)| {
            let (heading, is_shown) = (heading.to_owned(), shown == Always);
            Column { heading, align, is_told: false, is_shown }
        };
        let told = names.iter().map(|name| {
            let heading = told::heading(name);
            Column { heading, align: Right, is_told: true, is_shown: true }
        });
        let columns = FIRST.iter().map(known).chain(told).chain(LAST.iter().map(known));
        let mut columns: Vec<Column> = columns.collect();
        for (place, column) in columns.iter_mut().enumerate() {
            column.is_shown |= rows.iter().any(|row| !row[place].is_empty() && row[place] != "0");
        }
        Self { columns, rows }
    }
}

/// The texts of the first columns.
fn first(
    index: usize,
    station: &StationSnapshot,
    change: Option<&Change>,
) -> [String; FIRST.len()] {
    let account = &station.account;
    let since = change.and_then(|change| Some((change, change.stations.get(index)?)));
    let (rate, busy, batch) = match since {
        Some((change, since)) => (
            figure::rate(change.handle_rate(index)),
            since.busy.map_or(String::new(), figure::percent),
            since.average_batch(),
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
        figure::grouped(account.retried),
        figure::grouped(account.skipped),
        figure::grouped(account.conflated),
        figure::grouped(station.late),
    ]
}

/// Those of the last.
fn last(snapshot: &Snapshot, station: &StationSnapshot) -> [String; LAST.len()] {
    [
        figure::grouped(station.account.handled),
        figure::grouped(station.sleeps),
        follows(snapshot, station),
        kinds(station).join(", "),
    ]
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
        let headings: Vec<String> =
            self.columns.iter().map(|column| column.heading.clone()).collect();
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let width = |place: usize| lines().map(|row| columns(&row[place])).max().unwrap_or(0);
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        for row in lines() {
            let shown = (0..headings.len()).filter(|place| self.is_shown(*place));
            let cells = shown.map(|place| match self.columns[place].align {
                Left => fitted(&row[place], widths[place]),
                Right => at_right(&row[place], widths[place]),
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}
