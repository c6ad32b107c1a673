//! A cell as fast as it goes.

use super::{Bench, fault_of, who};
use crate::{cell::Cell, contest, results::Throughput};

pub fn measure(bench: &Bench<'_>, cell: Cell) -> Vec<Throughput> {
    contest::hold(&cell, &bench.contestants, &bench.rules)
        .iter()
        .map(|entry| Throughput {
            cell,
            who: who(entry.contestant),
            rates: entry.rates(),
            average_batches: entry.outcomes.iter().map(|outcome| outcome.average_batch).collect(),
            fault: fault_of(entry),
        })
        .collect()
}
