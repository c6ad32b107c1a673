//! The knee: latency as the offered load grows, and what arrives of it.

use std::collections::BTreeMap;

use super::{
    figure::{Figure, Panel},
    lines::{Line, Lines, Stroke},
    palette::{Palette, SHADOW},
    scale::{Scale, Unit},
};
use crate::{
    cell::Cell,
    on_slipring::SLIPRING,
    results::{Knee, KneePoint, Results},
};

/// The plots.
pub fn figures(results: &Results, palette: &Palette) -> Vec<Figure> {
    let mut groups: BTreeMap<Cell, Vec<&Knee>> = BTreeMap::new();
    for knee in results.knee.iter().filter(|knee| knee.fault.is_none()) {
        groups.entry(knee.cell).or_default().push(knee);
    }
    let figure = |(cell, knees): (Cell, Vec<&Knee>)| Figure {
        name: format!("knee-{}-{}", cell.scenario, cell.wait),
        title: format!("Latency as the load grows: {}, wait {}", cell.scenario, cell.wait),
        note:
            "Offered load from 5 to 110 % of each contestant's peak in an open loop, in which both \
               sides read the clock for every event. The dashed line is where all that is offered \
               arrives."
                .into(),
        panels: [Some(0.5), Some(0.99), None]
            .map(|quantile| Panel::Lines(panel(&knees, quantile, palette)))
            .into(),
    };
    groups.into_iter().map(figure).collect()
}

/// A percentile, or else what arrives.
fn panel(knees: &[&Knee], quantile: Option<f64>, palette: &Palette) -> Lines {
    let figure = |point: &KneePoint| match quantile {
        Some(quantile) if quantile < 0.9 => point.p50.max(1) as f64,
        Some(_) => point.p99.max(1) as f64,
        None => point.achieved,
    };
    let mut lines: Vec<_> = knees
        .iter()
        .map(|knee| Line {
            name: knee.who.contestant.clone(),
            colour: palette.colour(&knee.who),
            points: knee.points.iter().map(|point| (point.offered as f64, figure(point))).collect(),
            ranges: Vec::new(),
            stroke: if knee.who.family == SLIPRING { Stroke::Strong } else { Stroke::Plain },
        })
        .collect();
    lines.sort_by_key(|line| line.stroke == Stroke::Strong);
    let points: Vec<_> = lines.iter().flat_map(|line| line.points.clone()).collect();
    let x = Scale::around(points.iter().map(|point| point.0), Unit::Count).linear();
    let (title, y) = if let Some(quantile) = quantile {
        let title = format!("Latency, {:.0}th percentile", 100.0 * quantile);
        (title, (Scale::log(points.iter().map(|point| point.1), Unit::Time), "latency"))
    } else {
        let most = points.iter().map(|point| point.0).fold(0.0, f64::max);
        lines.insert(0, ideal(most));
        // The same scale on both axes: what is offered is the diagonal.
        ("What arrives".into(), (x.clone(), "events/s"))
    };
    Lines { title, x: (x, "events/s offered"), y, all: lines }
}

fn ideal(most: f64) -> Line {
    Line {
        name: String::new(),
        colour: SHADOW,
        points: vec![(0.0, 0.0), (most, most)],
        ranges: Vec::new(),
        stroke: Stroke::Dashed,
    }
}
