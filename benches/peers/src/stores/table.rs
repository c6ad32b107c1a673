//! What was measured, as tables.

use std::fmt::Write as _;

use slipring_bench::stats::Spread;

use super::{CONTESTANTS, Form};

/// How fast somebody was, round by round.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Events a second.
    pub rates: Vec<f64>,
    /// Of a journal: events a commit.
    pub batches: Vec<f64>,
    /// Of a journal: events a second in which its thread had a processor.
    pub of_cpu: Vec<f64>,
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
    let mut text = head(title, columns);
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

/// What journals made of it: events a commit, and million events for each second of a processor.
#[must_use]
pub fn journals(title: &str, columns: &[Column]) -> String {
    let mut text = head(title, columns);
    for (index, contestant) in CONTESTANTS.iter().enumerate() {
        if !matches!(contestant.form, Form::Journal(_)) {
            continue;
        }
        let _ = write!(text, "| {} |", contestant.name);
        for column in columns {
            let Figures { batches, of_cpu, .. } = &column.figures[index];
            if let Some(batch) = Spread::of(batches.iter().copied()) {
                let _ = write!(text, " {:.0}", batch.median);
            }
            if let Some(rate) = Spread::of(of_cpu.iter().copied()) {
                let _ = write!(
                    text,
                    ", {} ({} to {})",
                    mega(rate.median),
                    mega(rate.low),
                    mega(rate.high)
                );
            }
            text.push_str(" |");
        }
        text.push('\n');
    }
    text
}

/// How a figure of each contestant is to another one of its own, pair by pair.
#[must_use]
pub fn ratio(what: &str, figure: &Column, over: &Column) -> String {
    let mut text = format!("{what}:");
    for (index, contestant) in CONTESTANTS.iter().enumerate() {
        let (figure, over) = (&figure.figures[index].rates, &over.figures[index].rates);
        if let Some(Spread { low, median, high }) = Spread::of_ratios(figure, over) {
            let _ = write!(text, " {} x{median:.2} ({low:.2} to {high:.2});", contestant.name);
        }
    }
    text
}

/// The two lines with which a table begins.
fn head(title: &str, columns: &[Column]) -> String {
    let mut text = format!("| {title} |");
    for column in columns {
        let _ = write!(text, " {} |", column.title);
    }
    text.push_str("\n|---|");
    text.push_str(&"---:|".repeat(columns.len()));
    text.push('\n');
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
