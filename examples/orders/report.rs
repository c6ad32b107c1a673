//! What the user sees: the progress bar while the ring runs, and the table afterwards.

use std::fmt::{self, Display, Write};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{self, RecvTimeoutError, Sender};
use indicatif::{ProgressBar, ProgressStyle};
use slipring_insight::figure::grouped;

use crate::options::Options;
use crate::pipeline::{Run, STATIONS};

/// How often the progress bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// The template of the progress bar.
const BAR: &str = "{wide_bar} {human_pos} of {human_len} orders, {eta} left";

/// A progress bar on stderr that a thread of its own keeps drawing, so that the stations only
/// have to count.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Orders that have left the ring.
    pub(crate) passed: Arc<AtomicU64>,
    /// Dropped to stop the drawing; `None` when nobody would see it.
    drawing: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts a progress bar if stderr is a terminal.
    pub(crate) fn start(events: u64) -> Self {
        let passed = Arc::<AtomicU64>::default();
        let drawing = io::stderr().is_terminal().then(|| Self::draw(events, Arc::clone(&passed)));
        // Without a thread to draw it there is no bar, and nothing else is lost.
        Self { drawing: drawing.and_then(io::Result::ok), passed }
    }

    /// Starts the thread that draws.
    fn draw(events: u64, passed: Arc<AtomicU64>) -> io::Result<(Sender<()>, JoinHandle<()>)> {
        let (stop, stopped) = channel::bounded(0);
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(move || {
            let bar = ProgressBar::new(events);
            if let Ok(style) = ProgressStyle::with_template(BAR) {
                bar.set_style(style);
            }
            while stopped.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
                bar.set_position(passed.load(Ordering::Relaxed));
            }
            bar.finish_and_clear();
        })?;
        Ok((stop, thread))
    }

    /// Removes the bar.
    pub(crate) fn stop(self) {
        if let Some((stop, thread)) = self.drawing {
            drop(stop);
            // A bar that panicked is no reason to lose the result.
            let _ = thread.join();
        }
    }
}

/// The table at the end of a run.
pub(crate) struct Table<'a> {
    /// How the ring was run.
    pub(crate) options: &'a Options,
    /// What it gave.
    pub(crate) run: &'a Run,
    /// How many input lines were left out.
    pub(crate) bad_lines: usize,
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_setting(f)?;
        self.write_totals(f)?;
        self.write_stations(f)
    }
}

impl Table<'_> {
    fn write_setting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options;
        let pace = match options.rate {
            0 => "flat out".to_owned(),
            rate => format!("{} orders per second", grouped(rate)),
        };
        writeln!(
            f,
            "{} producers, capacity {}, batch {}, wait {}{}, {pace}",
            options.producers,
            options.capacity,
            options.batch(),
            options.wait,
            if options.pin { ", pinned" } else { "" },
        )
    }

    fn write_totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run { books, elapsed, ring, .. } = self.run;
        let ledger = &books.ledger;
        let per_second = u128::from(ring.published) * 1_000_000_000 / elapsed.as_nanos().max(1);
        let mut row = |name: &str, value: String| writeln!(f, "{name:<20}{value:>20}");
        row("orders", grouped(ledger.orders))?;
        row("units", grouped(ledger.units))?;
        row("value", dollars(ledger.value_cents))?;
        row("back-orders", grouped(books.record.back_orders.len() as u64))?;
        row("customers", grouped(books.risk.totals.len() as u64))?;
        row("over credit limit", grouped(books.risk.over_limit))?;
        if ledger.rejected > 0 {
            row("rejected", grouped(ledger.rejected))?;
        }
        if self.bad_lines > 0 {
            row("bad lines skipped", grouped(self.bad_lines as u64))?;
        }
        row("seconds", format!("{:.3}", elapsed.as_secs_f64()))?;
        row("events per second", grouped(per_second))
    }

    fn write_stations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = if self.options.rate > 0 { "scheduled publish" } else { "publish call" };
        let sample = match self.run.sample_every {
            1 => "every order".to_owned(),
            every => format!("1 order in {every}"),
        };
        writeln!(
            f,
            "\nLatency from the {from} to the end of each station, in microseconds, of {sample}:"
        )?;
        write!(f, "{:<10}{:>10}", "station", "avg batch")?;
        for heading in ["p50", "p90", "p99", "p99.9", "max"] {
            write!(f, "{heading:>12}")?;
        }
        writeln!(f)?;
        for (name, latency) in STATIONS.iter().zip(&self.run.latencies) {
            let station = self.run.ring.station(name);
            let batch = station.map_or(0.0, slipring::StationReport::average_batch);
            write!(f, "{name:<10}{batch:>10.1}")?;
            for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
                write!(f, "{:>12}", microseconds(latency.value_at_quantile(quantile)))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// An amount of cents as dollars.
fn dollars(cents: u128) -> String {
    let mut text = grouped(cents / 100);
    // Writing to a string cannot fail.
    let _ = write!(text, ".{:02}", cents % 100);
    text
}

/// Nanoseconds as microseconds with one decimal.
fn microseconds(ns: u64) -> String {
    let tenths = ns / 100 + u64::from(ns % 100 >= 50);
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_decimals() {
        assert_eq!(dollars(24_409_194), "244,091.94");
        assert_eq!(dollars(5), "0.05");
        assert_eq!(microseconds(1_234_567), "1,234.6");
        assert_eq!(microseconds(49), "0.0");
        assert_eq!(microseconds(999_950), "1,000.0");
    }
}
