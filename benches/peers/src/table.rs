//! The table in Markdown.

use crate::cell::Cell;
use crate::contest::Entry;
use crate::peer::Peer;
use crate::stats::Spread;

/// The head of the table.
pub const HEAD: &str = "\
| scenario | wait | batch | capacity | event bytes | peer | M events/s, median (min..max) \
| average batch | slipring / peer, paired: median (min..max) |
|---|---|---:|---:|---:|---|---:|---:|---:|";

/// One line per peer.
#[must_use]
pub fn rows(cell: &Cell, entries: &[Entry]) -> Vec<String> {
    let ours = entries.iter().find(|entry| entry.peer == Peer::Slipring).map(Entry::rates);
    entries.iter().map(|entry| row(cell, entry, ours.as_deref())).collect()
}

fn row(cell: &Cell, entry: &Entry, ours: Option<&[f64]>) -> String {
    let Cell { scenario, wait, batch, capacity } = cell;
    let bytes = scenario.event_bytes();
    let rates = entry.rates();
    let rate = spread(Spread::of(rates.iter().map(|rate| rate / 1e6)), 1);
    let averages = Spread::of(entry.outcomes.iter().map(|outcome| outcome.average_batch));
    let average = averages.map_or_else(|| "-".into(), |averages| format!("{:.1}", averages.median));
    let ratio = match ours {
        Some(ours) if entry.peer != Peer::Slipring => spread(Spread::of_ratios(ours, &rates), 2),
        _ => "-".into(),
    };
    let peer = entry.peer;
    format!(
        "| {scenario} | {wait} | {batch} | {capacity} | {bytes} | {peer} | {rate} | {average} | {ratio} |"
    )
}

fn spread(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(
        || "-".into(),
        |Spread { low, median, high }| {
            format!("**{median:.digits$}** ({low:.digits$}..{high:.digits$})")
        },
    )
}
