//! The verdict.

use super::{Sheet, place};
use crate::summary::{Summary, Verdict};

/// Cell by cell.
pub fn verdicts(verdicts: &[Verdict]) -> Sheet {
    Sheet {
        title: "Slipring's best beside the best of the others".into(),
        header: vec!["scenario", "wait", "batch", "ring", "bytes", "slipring", "rival", "ratio"],
        names: 7,
        rows: verdicts
            .iter()
            .map(|verdict| {
                let mut line = place(&verdict.cell);
                let ratio = format!("{:.2}", verdict.ratio);
                line.extend([verdict.ours.clone(), verdict.theirs.clone(), ratio]);
                line
            })
            .collect(),
    }
}

/// Family by family.
pub fn versus(summary: &Summary) -> Sheet {
    let rows = summary.versus.iter().map(|versus| {
        let topologies: Vec<_> = versus.topologies.iter().map(ToString::to_string).collect();
        vec![
            versus.family.clone(),
            topologies.join(", "),
            versus.cells.to_string(),
            format!("{:.2}", versus.mean),
        ]
    });
    Sheet {
        title: "Geometric means over the five topologies, at equal cells".into(),
        header: vec!["family", "topologies", "cells", "slipring / it"],
        names: 2,
        rows: rows.collect(),
    }
}

/// The verdict, in a few lines; none without rivals.
#[must_use]
pub fn verdict_lines(summary: &Summary) -> Vec<String> {
    if summary.verdicts.is_empty() {
        return Vec::new();
    }
    let (led, all) = (summary.led(), summary.verdicts.len());
    let worst = summary
        .worst
        .iter()
        .map(|verdict| format!("{:.2} x {} ({})", verdict.ratio, verdict.theirs, verdict.cell));
    let worst: Vec<_> = worst.collect();
    vec![
        format!("slipring leads in {led} of {all} cells with a rival"),
        format!("lowest: {}", worst.join("; ")),
    ]
}
