//! As fast as it goes.

use super::{Sheet, dash, place, short, spread};
use crate::{
    cell::{Cell, Wait},
    contestant::Contestant as _,
    floor::{FLOOR, Floor},
    on_slipring::SLIPRING,
    results::Throughput,
    stats::Spread,
};

/// The table: cells in the order in which they were measured, the best of each first.
pub fn sheet(rows: &[Throughput]) -> Sheet {
    let mut sheet = Sheet {
        title: "Throughput, M events/s".into(),
        header: vec![
            "scenario",
            "wait",
            "batch",
            "ring",
            "bytes",
            "contestant",
            "median (min..max)",
            "average batch",
            "slipring / it",
            "it / held floor",
        ],
        names: 6,
        rows: Vec::new(),
    };
    for (cell, mut rows_there) in by_cell(rows) {
        rows_there.sort_by(|left, right| median(right).total_cmp(&median(left)));
        let ours = rows_there
            .iter()
            .copied()
            .find(|row| row.who.family == SLIPRING && row.spread().is_some());
        let held = held_floor(rows, &cell);
        for row in rows_there {
            let mut line = place(&cell);
            line.push(row.who.contestant.clone());
            line.extend(figures(row, ours, held));
            sheet.rows.push(line);
        }
    }
    sheet
}

/// The columns behind the names.
fn figures(row: &Throughput, ours: Option<&Throughput>, held: Option<f64>) -> [String; 4] {
    let Some(rate) = row.spread() else {
        let why = row.fault.as_ref().map_or_else(dash, |fault| format!("FAILED: {fault}"));
        return [why, dash(), dash(), dash()];
    };
    let batch = Spread::of(row.average_batches.iter().copied());
    let ratio = ours
        .filter(|ours| ours.who != row.who)
        .and_then(|ours| Spread::of_ratios(&ours.rates, &row.rates));
    [
        spread(rate, 1e6),
        batch.map_or_else(dash, |batch| short(batch.median)),
        ratio.map_or_else(dash, |ratio| spread(ratio, 1.0)),
        held.map_or_else(dash, |held| format!("{:.2}", rate.median / held)),
    ]
}

/// In the order in which they were measured.
fn by_cell(rows: &[Throughput]) -> Vec<(Cell, Vec<&Throughput>)> {
    let mut cells: Vec<(Cell, Vec<&Throughput>)> = Vec::new();
    for row in rows {
        match cells.iter_mut().find(|(cell, _)| *cell == row.cell) {
            Some((_, rows)) => rows.push(row),
            None => cells.push((row.cell, vec![row])),
        }
    }
    cells
}

fn median(row: &Throughput) -> f64 {
    row.spread().map_or(0.0, |spread| spread.median)
}

/// The held floor with this batch, ring and event: with the same wait, or else with any that spins.
fn held_floor(rows: &[Throughput], cell: &Cell) -> Option<f64> {
    let alike = |row: &&Throughput| {
        let there = &row.cell;
        row.who.family == FLOOR
            && row.who.contestant == Floor::HELD.name()
            && (there.batch, there.capacity, there.bytes) == (cell.batch, cell.capacity, cell.bytes)
            && row.spread().is_some()
    };
    let same = |row: &&Throughput| row.cell.wait == cell.wait;
    let spins = |row: &&Throughput| matches!(row.cell.wait, Wait::Spin | Wait::Hint);
    let all = || rows.iter().filter(alike);
    let row = all().find(same).or_else(|| all().find(spins))?;
    Some(row.spread()?.median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_best_comes_first_and_ratios_stand_beside_it() {
        let sheet = sheet(&sample::results().throughput);
        let texts: Vec<_> = sheet.rows.iter().map(|row| row[5..].join(" | ")).collect();
        assert_eq!(texts[0], "floor-held | 950 (900..1000) | 12.5 | 0.89 (0.89..0.90) | 1.00");
        assert_eq!(texts[1], "slipring | 850 (800..900) | 12.5 | - | 0.89");
        assert_eq!(texts[2], "rtrb | 350 (300..400) | 12.5 | 2.50 (2.00..3.00) | 0.37");
        assert!(texts[3].ends_with("| -"), "no floor has 24 bytes: {}", texts[3]);
    }

    #[test]
    fn a_fault_stands_in_the_table() {
        let mut results = sample::results();
        results.throughput[1].fault = Some("the sum is wrong".into());
        let sheet = sheet(&results.throughput);
        assert!(sheet.rows.iter().any(|row| row.contains(&"FAILED: the sum is wrong".to_owned())));
    }
}
