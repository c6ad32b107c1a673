//! What was measured, as tables.

use std::fmt::Write as _;

use slipring_bench::stats::Spread;

use super::CONTESTANTS;

/// How fast somebody was, round by round.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Events a second.
    pub rates: Vec<f64>,
}

/// A column: what was done, and the figures of each contestant; those without any did not take part.
#[derive(Clone, Debug)]
pub struct Column {
    /// What was done.
    pub title: String,
    /// By contestant.
    pub figures: Vec<Figures>,
}

/// Million events a second: the median, the ends, and by how much ours is faster than the other one, pair by pair.
#[must_use]
pub fn markdown(title: &str, columns: &[Column]) -> String {
    let mut text = format!("| {title} |");
    for column in columns {
        let _ = write!(text, " {} |", column.title);
    }
    text.push_str("\n|---|");
    text.push_str(&"---:|".repeat(columns.len()));
    text.push('\n');
    for (index, contestant) in CONTESTANTS.iter().enumerate() {
        let _ = write!(text, "| {} |", contestant.name);
        for column in columns {
            let (ours, theirs) = (&column.figures[0].rates, &column.figures[index].rates);
            let _ = match Spread::of(theirs.iter().copied()) {
                Some(Spread { low, median, high }) => {
                    let _ = write!(text, " {} ({} to {})", mega(median), mega(low), mega(high));
                    match Spread::of_ratios(ours, theirs) {
                        Some(ratio) if index > 0 => write!(text, ", x{:.2} |", ratio.median),
                        _ => write!(text, " |"),
                    }
                }
                None => write!(text, " |"),
            };
        }
        text.push('\n');
    }
    text
}

/// Three digits of a figure in millions.
fn mega(figure: f64) -> String {
    let millions = figure / 1e6;
    match millions {
        _ if millions >= 100.0 => format!("{millions:.0}"),
        _ if millions >= 10.0 => format!("{millions:.1}"),
        _ if millions >= 1.0 => format!("{millions:.2}"),
        _ if millions >= 0.1 => format!("{millions:.3}"),
        _ => format!("{millions:.4}"),
    }
}
