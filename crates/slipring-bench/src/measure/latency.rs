//! A cell at a fixed rate.

use hdrhistogram::Histogram;

use super::{Bench, Peaks, fault_of, who};
use crate::{
    cell::Cell,
    contest::{self, Entry, Rules},
    contestant::Contestant,
    outcome::Outcome,
    results::{Latency, Percentiles},
};

pub fn measure(
    bench: &Bench<'_>,
    cell: Cell,
    rate: u64,
    stretch: u32,
    peaks: &mut Peaks,
) -> Vec<Latency> {
    let (mut able, mut rows) = (Vec::new(), Vec::new());
    for &contestant in bench.contestants.iter().filter(|contestant| contestant.fits_paced(&cell)) {
        match peaks.of(bench, cell, contestant) {
            Some(peak) if peak < rate as f64 => rows.push(omitted(cell, rate, contestant, peak)),
            _ => able.push(contestant),
        }
    }
    let rules = Rules { target: bench.rules.target * stretch, ..bench.rules.clone() };
    let entries = contest::hold_paced(&cell, rate, &able, &rules);
    rows.extend(entries.iter().map(|entry| measured(cell, rate, entry)));
    rows
}

fn measured(cell: Cell, rate: u64, entry: &Entry<'_>) -> Latency {
    let latency = merged(&entry.outcomes);
    let medians = entry.outcomes.iter().filter_map(|outcome| outcome.latency.as_ref());
    Latency {
        cell,
        rate,
        who: who(entry.contestant),
        percentiles: latency.as_ref().map(Percentiles::of),
        p50_by_round: medians.map(|latency| latency.value_at_quantile(0.5)).collect(),
        achieved: entry.rates(),
        curve: latency.as_ref().map(curve).unwrap_or_default(),
        omitted: None,
        fault: fault_of(entry),
    }
}

fn omitted(cell: Cell, rate: u64, contestant: &dyn Contestant, peak: f64) -> Latency {
    Latency {
        cell,
        rate,
        who: who(contestant),
        percentiles: None,
        p50_by_round: Vec::new(),
        achieved: Vec::new(),
        curve: Vec::new(),
        omitted: Some(format!("its peak is {:.2} M/s", peak / 1e6)),
        fault: None,
    }
}

/// The latencies of all rounds.
pub fn merged(outcomes: &[Outcome]) -> Option<Histogram<u64>> {
    let mut all: Option<Histogram<u64>> = None;
    for latency in outcomes.iter().filter_map(|outcome| outcome.latency.as_ref()) {
        match &mut all {
            Some(all) => all.add(latency).expect("the same bounds"),
            None => all = Some(latency.clone()),
        }
    }
    all
}

/// Far more than there are events for.
const STEPS_MAX: u32 = 128;

/// Quantiles to be drawn over 1 / (1 - q), eight to a decade, as far as there are events.
fn curve(latency: &Histogram<u64>) -> Vec<(f64, u64)> {
    let events = latency.len() as f64;
    (0..STEPS_MAX)
        .map(|step| 10_f64.powf(f64::from(step) / 8.0))
        .take_while(|inverse| *inverse <= events)
        .map(|inverse| 1.0 - 1.0 / inverse)
        .map(|quantile| (quantile, latency.value_at_quantile(quantile)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_where_the_events_do() {
        let mut latency = Histogram::new_with_bounds(1, 1_000_000, 3).expect("fixed bounds");
        (1..=1000).for_each(|ns| latency.record(ns).expect("within bounds"));
        let curve = curve(&latency);
        assert_eq!(curve.len(), 25);
        assert_eq!(curve.first(), Some(&(0.0, 1)));
        assert!((curve[24].0 - 0.999).abs() < 1e-9 && curve.is_sorted_by_key(|point| point.1));
    }
}
