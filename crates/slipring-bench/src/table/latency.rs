//! Open loops: at fixed rates, and as the load grows.

use std::collections::BTreeMap;

use super::{Sheet, dash};
use crate::{
    cell::Cell,
    floor::name_in_latencies,
    results::{Knee, Latency},
    stats::Spread,
};

/// At fixed rates, the lowest median first.
pub fn latency(rows: &[Latency]) -> Sheet {
    let mut groups: BTreeMap<(Cell, u64), Vec<&Latency>> = BTreeMap::new();
    for row in rows {
        groups.entry((row.cell, row.rate)).or_default().push(row);
    }
    let mut sheet = Sheet {
        title: "Latency from the intended time, ns".into(),
        header: vec![
            "scenario",
            "wait",
            "batch",
            "rate/s",
            "contestant",
            "p50 (min..max)",
            "p90",
            "p99",
            "p99.9",
            "p99.99",
            "max",
            "achieved/s",
        ],
        names: 5,
        rows: Vec::new(),
    };
    for ((cell, rate), mut rows) in groups {
        rows.sort_by_key(|row| row.valid().map_or(u64::MAX, |valid| valid.p50));
        for row in rows {
            let Cell { scenario, wait, batch, .. } = cell;
            let mut line = vec![scenario.to_string(), wait.to_string(), batch.to_string()];
            line.extend([rate.to_string(), name_in_latencies(&row.who).to_owned()]);
            line.extend(percentiles(row));
            sheet.rows.push(line);
        }
    }
    sheet
}

fn percentiles(row: &Latency) -> Vec<String> {
    let Some(all) = row.valid() else {
        let why = match (&row.fault, &row.omitted) {
            (Some(fault), _) => format!("FAILED: {fault}"),
            (None, Some(why)) => format!("omitted: {why}"),
            (None, None) => dash(),
        };
        return [vec![why], vec![dash(); 6]].concat();
    };
    let rounds = Spread::of(row.p50_by_round.iter().map(|&ns| ns as f64));
    let p50 =
        rounds.map_or_else(dash, |rounds| format!("{} ({}..{})", all.p50, rounds.low, rounds.high));
    let tail = [all.p90, all.p99, all.p99_9, all.p99_99, all.max].map(|ns| ns.to_string());
    let achieved = Spread::of(row.achieved.iter().copied());
    let achieved = achieved.map_or_else(dash, |achieved| format!("{:.0}", achieved.median));
    [vec![p50], tail.to_vec(), vec![achieved]].concat()
}

/// As the load grows.
pub fn knee(knees: &[Knee]) -> Sheet {
    let mut rows = Vec::new();
    for knee in knees {
        let head = || {
            let Cell { scenario, wait, .. } = knee.cell;
            vec![scenario.to_string(), wait.to_string(), name_in_latencies(&knee.who).to_owned()]
        };
        for point in &knee.points {
            let figures = [
                format!("{} %", point.percent),
                format!("{:.2}", point.offered as f64 / 1e6),
                format!("{:.2}", point.achieved / 1e6),
                point.p50.to_string(),
                point.p99.to_string(),
            ];
            rows.push([head(), figures.to_vec()].concat());
        }
        if let Some(fault) = &knee.fault {
            rows.push([head(), vec![format!("FAILED: {fault}")], vec![dash(); 4]].concat());
        }
    }
    Sheet {
        title: "Latency as the load grows".into(),
        header: vec![
            "scenario",
            "wait",
            "contestant",
            "of its peak",
            "offered M/s",
            "achieved M/s",
            "p50 ns",
            "p99 ns",
        ],
        names: 3,
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn there_is_no_floor_of_latency() {
        let sheet = latency(&sample::results().latency);
        let names: Vec<_> = sheet.rows.iter().map(|row| row[4].as_str()).collect();
        assert_eq!(names, ["slipring", "rtrb", "hand-written ring"]);
    }
}
