//! Bars: throughput by scenario, one plot for each wait and batch.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    bars::{Bar, Bars},
    figure::{Figure, Panel},
    palette::Palette,
};
use crate::{
    cell::{Scenario, Wait},
    on_slipring::SLIPRING,
    results::{Results, Throughput},
    stats::Spread,
};

/// The plots. Of several rings the one with most figures is shown, and of several sizes the smallest
/// event; the tables have the rest.
pub fn figures(results: &Results, palette: &Palette) -> Vec<Figure> {
    let Some(capacity) = usual_capacity(&results.throughput) else { return Vec::new() };
    let mut groups: BTreeMap<(Wait, usize), BTreeMap<Scenario, Vec<&Throughput>>> = BTreeMap::new();
    let smallest = smallest_events(&results.throughput);
    for row in results.throughput.iter().filter(|row| row.cell.capacity == capacity) {
        if smallest.contains(&(row.cell.scenario, row.cell.bytes)) && row.spread().is_some() {
            let group = groups.entry((row.cell.wait, row.cell.batch)).or_default();
            group.entry(row.cell.scenario).or_default().push(row);
        }
    }
    let figure = |((wait, batch), scenarios): ((Wait, usize), BTreeMap<_, _>)| Figure {
        name: format!("throughput-{wait}-batch-{batch}-ring-{capacity}"),
        title: format!("Throughput: wait {wait}, batch {batch}, ring {capacity}"),
        note:
            "Bars are medians, lines the range over the rounds. Every panel has a scale of its own."
                .into(),
        panels: scenarios
            .into_iter()
            .map(|(scenario, rows)| Panel::Bars(panel(scenario, rows, palette)))
            .collect(),
    };
    groups.into_iter().map(figure).collect()
}

fn panel(scenario: Scenario, rows: Vec<&Throughput>, palette: &Palette) -> Bars {
    let bar = |row: &Throughput| {
        let Spread { low, median, high } = row.spread()?;
        Some(Bar {
            name: row.who.contestant.clone(),
            colour: palette.colour(&row.who),
            spread: Spread { low: low / 1e6, median: median / 1e6, high: high / 1e6 },
            is_ours: row.who.family == SLIPRING,
        })
    };
    let mut bars: Vec<_> = rows.into_iter().filter_map(bar).collect();
    bars.sort_by(|left, right| right.spread.median.total_cmp(&left.spread.median));
    Bars { title: scenario.to_string(), bars }
}

fn usual_capacity(rows: &[Throughput]) -> Option<usize> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.cell.capacity).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(capacity, _)| capacity)
}

fn smallest_events(rows: &[Throughput]) -> BTreeSet<(Scenario, usize)> {
    let mut smallest: BTreeMap<Scenario, usize> = BTreeMap::new();
    for row in rows {
        let bytes = smallest.entry(row.cell.scenario).or_insert(row.cell.bytes);
        *bytes = row.cell.bytes.min(*bytes);
    }
    smallest.into_iter().collect()
}
