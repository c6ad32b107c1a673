//! Cost as the work grows, theory beside what was measured; and what rings take.

use super::{
    figure::{Figure, Panel},
    lines::{Line, Lines, Stroke},
    palette::{FADED, Palette},
    scale::{Scale, Unit},
};
use crate::{
    contestant::Contestant as _,
    on_slipring::{SLIPRING, Slipring},
    results::{Axis, Growth, Results},
};

/// Others beside slipring.
const OTHERS: usize = 4;

/// How far above the highest median a range is shown: one bad round must not flatten the rest.
const RANGE_MAX: f64 = 2.0;

/// The plots.
pub fn figures(results: &Results, palette: &Palette) -> Vec<Figure> {
    let figures = Axis::ALL.into_iter().filter_map(|axis| figure(axis, &results.growth, palette));
    figures.chain(memory(&results.growth, palette)).collect()
}

fn figure(axis: Axis, all: &[Growth], palette: &Palette) -> Option<Figure> {
    let mut curves: Vec<_> = all.iter().filter(|curve| curve.axis == axis).collect();
    let theory = curves.iter().find(|curve| is_ours(curve)).or(curves.first())?.theory.clone();
    // Ours, then those that have most points, then the cheapest.
    curves.sort_by(|left, right| {
        let key = |curve: &Growth| (!is_ours(curve), usize::MAX - curve.points.len());
        key(left).cmp(&key(right)).then(cheapest(left).total_cmp(&cheapest(right)))
    });
    curves.truncate(1 + OTHERS);
    let mut lines: Vec<_> = curves.iter().map(|curve| measured(curve, palette)).collect();
    lines.retain(|line| !line.points.is_empty());
    lines.reverse();
    lines
        .splice(0..0, curves.iter().find(|curve| is_ours(curve)).and_then(|curve| expected(curve)));
    let panel = panel(axis, String::new(), (Unit::Time, "time of an event"), lines)?;
    Some(Figure {
        name: format!("growth-{}", name(axis)),
        title: format!("Cost of an event over {}", axis.unit()),
        note: format!(
            "{theory} Bars at the points are the range over the rounds, cut off far above all medians."
        ),
        panels: vec![panel],
    })
}

fn panel(
    axis: Axis,
    title: String,
    (unit, label): (Unit, &'static str),
    lines: Vec<Line>,
) -> Option<Panel> {
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    points().next()?;
    let heights = || points().map(|point| point.1);
    let top = heights().fold(0.0, f64::max) * RANGE_MAX;
    let ranges = lines.iter().flat_map(|line| &line.ranges);
    let ends = ranges.flat_map(|range| [range.1, range.2.min(top)]);
    let across = || points().map(|point| point.0);
    let x = match axis {
        Axis::Capacity | Axis::Bytes => Scale::log(across(), Unit::Size),
        _ => Scale::around(across(), Unit::Count).linear(),
    };
    let heights = heights().chain(ends);
    let y = match (axis, unit) {
        // Twice as much on one axis is twice as much on the other.
        (Axis::Capacity | Axis::Bytes, Unit::Size) => Scale::log(heights, Unit::Size),
        (_, unit) => Scale::around(heights, unit),
    };
    Some(Panel::Lines(Lines { title, x: (x, axis.unit()), y: (y, label), all: lines }))
}

fn is_ours(curve: &Growth) -> bool {
    curve.who.family == SLIPRING && curve.who.contestant == Slipring::PER_EVENT.name()
}

fn cheapest(curve: &Growth) -> f64 {
    let costs = curve.points.iter().filter_map(|point| Some(point.cost_ns()?.median));
    costs.fold(f64::INFINITY, f64::min)
}

fn measured(curve: &Growth, palette: &Palette) -> Line {
    let costs = || curve.points.iter().filter_map(|point| Some((point.x as f64, point.cost_ns()?)));
    Line {
        name: curve.who.contestant.clone(),
        colour: palette.colour(&curve.who),
        points: costs().map(|(x, cost)| (x, cost.median)).collect(),
        ranges: costs().map(|(x, cost)| (x, cost.low, cost.high)).collect(),
        stroke: if is_ours(curve) { Stroke::Strong } else { Stroke::Plain },
    }
}

fn expected(curve: &Growth) -> Option<Line> {
    let points = curve.points.iter().filter_map(|point| Some((point.x as f64, point.expected_ns?)));
    let points: Vec<_> = points.collect();
    (!points.is_empty()).then(|| Line {
        name: "theory".into(),
        colour: FADED,
        points,
        ranges: Vec::new(),
        stroke: Stroke::Dashed,
    })
}

/// What slipring's rings take, a panel for each axis.
fn memory(all: &[Growth], palette: &Palette) -> Option<Figure> {
    let panels: Vec<_> = all
        .iter()
        .filter(|curve| is_ours(curve))
        .filter_map(|curve| {
            let bytes =
                |point: &crate::results::GrowthPoint| Some((point.x as f64, point.memory? as f64));
            let line = Line {
                name: curve.who.contestant.clone(),
                colour: palette.colour(&curve.who),
                points: curve.points.iter().filter_map(bytes).collect(),
                ranges: Vec::new(),
                stroke: Stroke::Strong,
            };
            let title = format!("over {}", curve.axis.unit());
            panel(curve.axis, title, (Unit::Size, "bytes"), vec![line])
        })
        .collect();
    (!panels.is_empty()).then(|| Figure {
        name: "memory".into(),
        title: "Memory of a ring and its stations".into(),
        note: "Counted by the allocator when the ring has started: slots, cursors, bells and handles; \
               the stacks of the threads are not in it. It must be slots times bytes, and a fixed part \
               for each station."
            .into(),
        panels,
    })
}

fn name(axis: Axis) -> &'static str {
    match axis {
        Axis::Consumers => "consumers",
        Axis::Stages => "stages",
        Axis::Producers => "producers",
        Axis::Capacity => "capacity",
        Axis::Bytes => "bytes",
    }
}
