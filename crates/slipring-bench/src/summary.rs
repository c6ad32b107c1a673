//! The verdict: slipring's best beside everybody else's best, cell by cell.

use std::collections::BTreeMap;

use crate::{
    cell::{Cell, Scenario},
    floor::FLOOR,
    on_slipring::SLIPRING,
    results::Throughput,
};

/// The five topologies of the means.
pub const TOPOLOGIES: [Scenario; 5] = [
    Scenario::Unicast,
    Scenario::Mpsc(3),
    Scenario::Multicast(3),
    Scenario::Pipeline(3),
    Scenario::Diamond,
];

/// How many of the worst cells are listed.
const WORST: usize = 5;

/// One cell in which slipring has a rival.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Where.
    pub cell: Cell,
    /// Slipring's best configuration there.
    pub ours: String,
    /// The best of all others there, the floor aside.
    pub theirs: String,
    /// Our median rate divided by theirs.
    pub ratio: f64,
}

/// Slipring against one family, at equal cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Versus {
    /// The other family.
    pub family: String,
    /// Cells that both were measured in.
    pub cells: usize,
    /// Which of [`TOPOLOGIES`] these cells have.
    pub topologies: Vec<Scenario>,
    /// The geometric mean over the topologies of the mean over each one's cells.
    pub mean: f64,
}

/// What the table comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Every cell with a rival.
    pub verdicts: Vec<Verdict>,
    /// The cells with the lowest ratios, the worst first.
    pub worst: Vec<Verdict>,
    /// Family by family, the strongest first.
    pub versus: Vec<Versus>,
}

impl Summary {
    /// The summary of these rows; rows with a fault do not count.
    #[must_use]
    pub fn of(rows: &[Throughput]) -> Self {
        let cells = best_by_family(rows);
        let verdicts: Vec<_> =
            cells.iter().filter_map(|(&cell, families)| verdict(cell, families)).collect();
        let mut worst = verdicts.clone();
        worst.sort_by(|left, right| left.ratio.total_cmp(&right.ratio));
        worst.truncate(WORST);
        Self { verdicts, worst, versus: versus(&cells) }
    }

    /// Cells in which slipring is at least as fast as the best of the others.
    #[must_use]
    pub fn led(&self) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.ratio >= 1.0).count()
    }
}

/// The best configuration of each family, and its median rate.
type Families<'a> = BTreeMap<&'a str, (&'a str, f64)>;

fn best_by_family(rows: &[Throughput]) -> BTreeMap<Cell, Families<'_>> {
    let mut cells: BTreeMap<Cell, Families<'_>> = BTreeMap::new();
    for row in rows {
        let Some(spread) = row.spread() else { continue };
        let best = cells.entry(row.cell).or_default().entry(&row.who.family);
        let candidate = (row.who.contestant.as_str(), spread.median);
        best.and_modify(|best| {
            if candidate.1 > best.1 {
                *best = candidate;
            }
        })
        .or_insert(candidate);
    }
    cells
}

fn verdict(cell: Cell, families: &Families<'_>) -> Option<Verdict> {
    let (ours, our_rate) = families.get(SLIPRING)?;
    let rivals = families.iter().filter(|(family, _)| ![SLIPRING, FLOOR].contains(*family));
    let (_, (theirs, their_rate)) = rivals.max_by(|left, right| left.1.1.total_cmp(&right.1.1))?;
    let (ours, theirs) = ((*ours).to_owned(), (*theirs).to_owned());
    Some(Verdict { cell, ours, theirs, ratio: our_rate / their_rate })
}

fn versus(cells: &BTreeMap<Cell, Families<'_>>) -> Vec<Versus> {
    // Family, topology, and the logarithms of the ratios there.
    let mut ratios: BTreeMap<&str, BTreeMap<Scenario, Vec<f64>>> = BTreeMap::new();
    for (cell, families) in cells.iter().filter(|(cell, _)| TOPOLOGIES.contains(&cell.scenario)) {
        let Some((_, ours)) = families.get(SLIPRING) else { continue };
        for (&family, (_, theirs)) in families.iter().filter(|(family, _)| **family != SLIPRING) {
            let topologies = ratios.entry(family).or_default();
            topologies.entry(cell.scenario).or_default().push((ours / theirs).ln());
        }
    }
    let mut all: Vec<_> = ratios
        .into_iter()
        .map(|(family, topologies)| Versus {
            family: family.to_owned(),
            cells: topologies.values().map(Vec::len).sum(),
            topologies: topologies.keys().copied().collect(),
            mean: mean(topologies.values().map(|ratios| mean(ratios.iter().copied()))).exp(),
        })
        .collect();
    all.sort_by(|left, right| left.mean.total_cmp(&right.mean));
    all
}

/// The arithmetic mean; of logarithms, the logarithm of the geometric one.
fn mean(figures: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = figures.len() as f64;
    figures.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::row;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn best_meets_best_and_the_floor_is_nobody() {
        let rows = [
            row(Scenario::Unicast, "slipring", "slipring", &[1.0, 2.0, 3.0]),
            row(Scenario::Unicast, "slipring-slices", "slipring", &[4.0]),
            row(Scenario::Unicast, "rtrb", "rtrb", &[2.0]),
            row(Scenario::Unicast, "kanal", "kanal", &[1.0]),
            row(Scenario::Unicast, "floor-held", "floor", &[100.0]),
        ];
        let summary = Summary::of(&rows);
        let [verdict] = &summary.verdicts[..] else { panic!("one cell") };
        assert_eq!((&*verdict.ours, &*verdict.theirs), ("slipring-slices", "rtrb"));
        assert!(near(verdict.ratio, 2.0));
        assert_eq!(summary.led(), 1);
    }

    #[test]
    fn a_fault_and_a_lonely_cell_do_not_count() {
        let mut rows = [
            row(Scenario::Unicast, "slipring", "slipring", &[1.0]),
            row(Scenario::Unicast, "rtrb", "rtrb", &[2.0]),
        ];
        assert_eq!(Summary::of(&rows).led(), 0);
        assert_eq!(Summary::of(&rows).worst.len(), 1);
        rows[1].fault = Some("torn".into());
        assert_eq!(Summary::of(&rows), Summary::default());
    }

    #[test]
    fn each_topology_weighs_the_same_in_a_mean() {
        let mut rows = vec![
            // Two unicast cells at 4 and 4, one pipeline at 1: sqrt(4 * 1) and not cbrt(16).
            row(Scenario::Unicast, "slipring", "slipring", &[4.0]),
            row(Scenario::Unicast, "rtrb", "rtrb", &[1.0]),
            row(Scenario::Unicast, "slipring", "slipring", &[8.0]),
            row(Scenario::Unicast, "rtrb", "rtrb", &[2.0]),
            row(Scenario::Pipeline(3), "slipring", "slipring", &[3.0]),
            row(Scenario::Pipeline(3), "rtrb", "rtrb", &[3.0]),
            // Not one of the five.
            row(Scenario::PingPong, "slipring", "slipring", &[9.0]),
            row(Scenario::PingPong, "rtrb", "rtrb", &[1.0]),
        ];
        for row in &mut rows[2..4] {
            row.cell.capacity = 8192;
        }
        let [versus] = &Summary::of(&rows).versus[..] else { panic!("one family") };
        assert!(near(versus.mean, 2.0), "{}", versus.mean);
        assert_eq!((versus.cells, versus.topologies.len()), (3, 2));
    }
}
