//! How fast everybody is at most: an open loop above that measures only how long it goes on.

use std::collections::HashMap;

use super::Bench;
use crate::{
    cell::Cell,
    contest::{self, Rules},
    contestant::Contestant,
    results::Throughput,
    stats::Spread,
};

/// Median rates by cell and name.
#[derive(Debug, Default)]
pub struct Peaks {
    known: HashMap<(Cell, String), f64>,
}

impl Peaks {
    /// Keeps what was measured anyhow.
    pub fn learn(&mut self, rows: &[Throughput]) {
        for row in rows {
            if let Some(spread) = row.spread() {
                self.known.insert((row.cell, row.who.contestant.clone()), spread.median);
            }
        }
    }

    /// The peak there; measured in a round of its own if it is not known yet. None if the contestant
    /// fails at full speed: then an open loop may show why.
    pub fn of(
        &mut self,
        bench: &Bench<'_>,
        cell: Cell,
        contestant: &dyn Contestant,
    ) -> Option<f64> {
        let key = (cell, contestant.name().to_owned());
        if let Some(&peak) = self.known.get(&key) {
            return Some(peak);
        }
        let once = Rules { rounds: 1, ..bench.rules.clone() };
        let entries = contest::hold(&cell, &[contestant], &once);
        let peak = Spread::of(entries.first()?.rates())?.median;
        self.known.insert(key, peak);
        Some(peak)
    }
}
