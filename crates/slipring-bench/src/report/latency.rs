//! Percentile curves: one plot for each scenario and wait, a panel for each rate.

use std::collections::BTreeMap;

use super::{
    figure::{Figure, Panel},
    lines::{Line, Lines, Stroke},
    palette::{Palette, SHADOW},
    scale::{Scale, Unit},
};
use crate::{
    cell::Cell,
    floor::{FLOOR, name_in_latencies},
    on_slipring::SLIPRING,
    results::{Latency, Results},
};

/// Others with a name; the rest are thin lines.
const NAMED: usize = 4;

/// The plots.
pub fn figures(results: &Results, palette: &Palette) -> Vec<Figure> {
    let mut groups: BTreeMap<Cell, BTreeMap<u64, Vec<&Latency>>> = BTreeMap::new();
    for row in results.latency.iter().filter(|row| row.valid().is_some()) {
        groups.entry(row.cell).or_default().entry(row.rate).or_default().push(row);
    }
    let several = |cell: &Cell| {
        let alike = |other: &&Cell| (other.scenario, other.wait) == (cell.scenario, cell.wait);
        groups.keys().filter(alike).count() > 1
    };
    let figure = |(cell, rates): (&Cell, &BTreeMap<u64, Vec<&Latency>>)| {
        let Cell { scenario, wait, batch, capacity, bytes } = cell;
        let more = if several(cell) {
            (
                format!("-{batch}-{capacity}-{bytes}"),
                format!(", batch {batch}, ring {capacity}, {bytes} bytes"),
            )
        } else {
            Default::default()
        };
        Figure {
            name: format!("latency-{scenario}-{wait}{}", more.0),
            title: format!("Latency: {scenario}, wait {wait}{}", more.1),
            note:
                "From the intended time of each event until its consumer sees it, over all rounds. \
                   Thin lines are the other contestants; see the table."
                    .into(),
            panels: rates
                .iter()
                .map(|(rate, rows)| Panel::Lines(panel(*rate, rows, palette)))
                .collect(),
        }
    };
    groups.iter().map(figure).collect()
}

fn panel(rate: u64, rows: &[&Latency], palette: &Palette) -> Lines {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| row.valid().map_or(u64::MAX, |valid| valid.p50));
    let rivals = rows.iter().filter(|row| ![SLIPRING, FLOOR].contains(&row.who.family.as_str()));
    let named: Vec<_> = rivals.take(NAMED).map(|row| &row.who.contestant).collect();
    let mut lines: Vec<_> = rows
        .iter()
        .map(|row| {
            let is_ours = row.who.family == SLIPRING;
            let is_named =
                is_ours || row.who.family == FLOOR || named.contains(&&row.who.contestant);
            Line {
                name: if is_named { name_in_latencies(&row.who).into() } else { String::new() },
                colour: if is_named { palette.colour(&row.who) } else { SHADOW },
                points: row.curve.iter().map(|&(quantile, ns)| point(quantile, ns)).collect(),
                ranges: Vec::new(),
                stroke: match (is_ours, is_named) {
                    (true, _) => Stroke::Strong,
                    (_, true) => Stroke::Plain,
                    _ => Stroke::Thin,
                },
            }
        })
        .collect();
    lines.sort_by_key(|line| match line.stroke {
        Stroke::Thin | Stroke::Dashed => 0,
        Stroke::Plain => 1,
        Stroke::Strong => 2,
    });
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    Lines {
        title: format!("{} events/s", thousands(rate)),
        x: (Scale::around(points().map(|(x, _)| x), Unit::Quantile), "percentile"),
        y: (Scale::log(points().map(|(_, y)| y), Unit::Time), "latency"),
        all: lines,
    }
}

/// A latency of 0 is one below the clock's step.
fn point(quantile: f64, ns: u64) -> (f64, f64) {
    (1.0 / (1.0 - quantile), ns.max(1) as f64)
}

fn thousands(rate: u64) -> String {
    let digits = rate.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn there_is_no_floor_of_latency() {
        let results = sample::results();
        let figures = figures(&results, &Palette::of(&results));
        let [Panel::Lines(panel)] = &figures[0].panels[..] else { panic!("one rate") };
        let mut names: Vec<_> = panel.all.iter().map(|line| line.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["hand-written ring", "rtrb", "slipring"]);
    }

    #[test]
    fn rates_are_read_in_thousands() {
        assert_eq!([5, 10_000, 1_000_000].map(thousands), ["5", "10 000", "1 000 000"]);
    }
}
