//! Pictures of a ring: who follows whom, with the figures of one look, or of what came between two.

mod canvas;
mod dot;
mod drawing;
mod graph;
mod layout;
mod mermaid;
mod table;

use std::fmt;

use slipring::Snapshot;

use crate::{Change, columns, figure, fitted, printable};
use drawing::Style;
use graph::Graph;
pub use graph::{doing, phase};
pub use table::{Align, Column, StationTable};

/// A picture of a ring at one look.
///
/// Producers and stations, with lines from those who are followed to those who follow. On a line:
/// how many events go over it in a second, if an earlier look is there to compare with, and how far the one is
/// behind the other. Guests, teams, and stations that change events are told apart from the rest.
///
/// # Examples
/// ```
/// use slipring::{Builder, poller};
/// use slipring_insight::Picture;
///
/// let (mut producer, dispatcher) =
///     Builder::new(8, || 0_u64).then(poller("risk")).then(poller("ledger")).start()?;
/// producer.publish_batch(3, |_, _| ())?;
/// let snapshot = dispatcher.snapshot();
/// let picture = Picture::new("orders", &snapshot);
/// assert_eq!(
///     picture.drawing(80),
///     [
///         "producers ──────────▶ risk ──────────▶ ledger",
///         "1 handle   lag 3            lag 0",
///     ],
/// );
/// assert!(picture.mermaid().to_string().contains("producers -->|\"lag 3\"| s0"));
/// assert!(picture.dot().to_string().contains("s0 -> s1 [label=\"lag 0\"]"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Picture {
    /// The ring's name, fit to be shown.
    ring: String,
    headline: String,
    graph: Graph,
    table: StationTable,
}

impl Picture {
    /// A picture without rates.
    pub fn new(ring: &str, snapshot: &Snapshot) -> Self {
        Self::of(ring, snapshot, None)
    }

    /// A picture with the rates of what has happened up to this look.
    ///
    /// # Examples
    /// ```
    /// use slipring::{Builder, poller};
    /// use slipring_insight::{Change, Picture};
    ///
    /// let (producer, dispatcher) = Builder::new(8, || 0_u64).then(poller("risk")).start()?;
    /// let (before, now) = (dispatcher.snapshot(), dispatcher.snapshot());
    /// let picture = Picture::with_change("orders", &now, &Change::between(&before, &now));
    /// assert!(picture.text().to_string().contains("0/s"));
    /// # drop(producer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_change(ring: &str, snapshot: &Snapshot, change: &Change) -> Self {
        Self::of(ring, snapshot, Some(change))
    }

    fn of(ring: &str, snapshot: &Snapshot, change: Option<&Change>) -> Self {
        let ring = printable(ring);
        Self {
            headline: headline(&ring, snapshot, change),
            graph: Graph::of(snapshot, change),
            table: StationTable::of(snapshot, change),
            ring,
        }
    }

    /// For a terminal or a log: a line on the ring, the drawing, and a row for each station.
    pub fn text(&self) -> impl fmt::Display + '_ {
        Text(self)
    }

    /// For Markdown: a [Mermaid](https://mermaid.js.org) flowchart.
    pub fn mermaid(&self) -> impl fmt::Display + '_ {
        mermaid::Mermaid(&self.graph)
    }

    /// For [Graphviz](https://graphviz.org): a digraph.
    pub fn dot(&self) -> impl fmt::Display + '_ {
        dot::Dot { name: &self.ring, graph: &self.graph }
    }

    /// The drawing alone, line by line, in at most so many columns: where room is short, names are cut and
    /// figures left out, and in the end the right end is cut off.
    pub fn drawing(&self, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for style in Style::NARROWING {
            lines = drawing::draw(&self.graph, style);
            if lines.iter().all(|line| columns(line) <= width) {
                return lines;
            }
        }
        let cut = |line: String| if columns(&line) > width { fitted(&line, width) } else { line };
        lines.into_iter().map(cut).collect()
    }

    /// The stations' figures.
    pub fn table(&self) -> &StationTable {
        &self.table
    }
}

fn headline(ring: &str, snapshot: &Snapshot, change: Option<&Change>) -> String {
    let producers = &snapshot.producers;
    let mut parts = vec![
        format!("{ring}: {}", phase(snapshot.phase)),
        format!(
            "{} of {} slots in use ({})",
            figure::grouped(snapshot.fill),
            figure::grouped(snapshot.capacity),
            figure::percent(snapshot.fullness())
        ),
        format!("published {}", figure::grouped(snapshot.published)),
    ];
    parts.extend(change.map(|change| figure::rate(change.publish_rate())));
    parts.push(match producers.stalls {
        0 => "no stalls".to_owned(),
        stalls => {
            let time = figure::span(producers.stall_time);
            format!("{}, {time} in all", figure::counted(stalls, "stall"))
        }
    });
    if snapshot.abandoned > 0 {
        parts.push(format!("abandoned {}", figure::grouped(snapshot.abandoned)));
    }
    parts.join(", ")
}

struct Text<'a>(&'a Picture);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let picture = self.0;
        writeln!(f, "{}\n", picture.headline)?;
        for line in drawing::draw(&picture.graph, Style::FULL) {
            writeln!(f, "{line}")?;
        }
        write!(f, "\n{}", picture.table)
    }
}
