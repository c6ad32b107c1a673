//! Cost as the work grows.

use super::{Sheet, dash, short, spread};
use crate::results::Growth;

/// The table.
pub fn sheet(curves: &[Growth]) -> Sheet {
    let rows = curves.iter().flat_map(|curve| {
        curve.points.iter().map(|point| {
            let cost = match (&point.fault, point.cost_ns()) {
                (Some(fault), _) => format!("FAILED: {fault}"),
                (None, cost) => cost.map_or_else(dash, |cost| spread(cost, 1.0)),
            };
            vec![
                curve.axis.unit().to_owned(),
                curve.who.contestant.clone(),
                point.x.to_string(),
                cost,
                point.expected_ns.map_or_else(dash, short),
                point.memory.map_or_else(dash, |bytes| bytes.to_string()),
            ]
        })
    });
    Sheet {
        title: "Cost of an event as the work grows, ns".into(),
        header: vec![
            "what grows",
            "contestant",
            "to",
            "median (min..max)",
            "theory",
            "memory, bytes",
        ],
        names: 2,
        rows: rows.collect(),
    }
}
