//! What it prints.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::{Flight, Rate};

/// Up to a minute, to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("these are bounds")
}

/// What was measured with each window.
pub struct Rates {
    pub ours: Vec<(usize, Vec<Rate>)>,
    pub theirs: Vec<(Flight, Vec<Rate>)>,
}

impl Rates {
    pub fn new(windows: &[usize], flights: &[Flight]) -> Self {
        Self {
            ours: windows.iter().map(|window| (*window, Vec::new())).collect(),
            theirs: flights.iter().map(|flight| (*flight, Vec::new())).collect(),
        }
    }
}

/// The median, with the ends and the average batch.
fn summary(rates: &[Rate]) -> (f64, String) {
    let mut sorted: Vec<f64> = rates.iter().map(|rate| rate.rate).collect();
    sorted.sort_by(f64::total_cmp);
    let (low, median, high) = (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    let batch = rates.iter().map(|rate| rate.batch).sum::<f64>() / rates.len() as f64;
    let [median_of, low, high] = [median, low, high].map(thousands);
    (median, format!("{median_of} ({low}..{high}), b {batch:.0}"))
}

fn thousands(rate: f64) -> String {
    if rate < 10_000.0 { format!("{:.2}", rate / 1e3) } else { format!("{:.1}", rate / 1e3) }
}

pub fn throughput(title: &str, rates: &Rates) -> String {
    let mut text = format!(
        "| {title}, thousand/s | at most under way | median (min..max), b |\n|---|---:|---|\n"
    );
    let (mut ours, mut theirs, mut waiting) = (0.0_f64, 0.0_f64, None);
    for (window, of_it) in &rates.ours {
        let (median, told) = summary(of_it);
        ours = ours.max(median);
        let _ = writeln!(text, "| slipring | {window} | {told} |");
    }
    for (Flight { window, batch }, of_it) in &rates.theirs {
        let (median, told) = summary(of_it);
        theirs = theirs.max(median);
        if *window == 1 {
            waiting = Some(median);
        }
        let _ = writeln!(text, "| client, {batch} a call | {window} | {told} |");
    }
    let _ = write!(text, "\nBest over best: ×{:.2}", ours / theirs);
    if let Some(waiting) = waiting {
        let _ = write!(text, "; over a client that waits for each: ×{:.1}", ours / waiting);
    }
    text + ".\n"
}

pub fn latencies(rates: &[u64], delays: &[[Histogram<u64>; 2]]) -> String {
    let mut text = String::from(
        "| end to end, µs | events/s | p50 | p90 | p99 | p99.9 | max |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (rate, both) in rates.iter().zip(delays) {
        for (name, delays) in ["slipring", "client"].iter().zip(both) {
            let _ = write!(text, "| {name} | {rate} |");
            for quantile in [0.5, 0.9, 0.99, 0.999] {
                let _ = write!(text, " {} |", delays.value_at_quantile(quantile) / 1_000);
            }
            let _ = writeln!(text, " {} |", delays.max() / 1_000);
        }
    }
    text
}
