//! Coordinates with round ticks: logarithmic where the figures span more than two decades.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// What the figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds; shown as ns, µs, ms or s.
    Time,
    /// Something per second, or any number.
    Count,
    /// Bytes, or slots: powers of two.
    Size,
    /// 1 / (1 - q), shown as q.
    Quantile,
}

/// One axis.
#[derive(Clone, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
    unit: Unit,
}

/// Beyond this span an axis is logarithmic.
const DECADES: f64 = 100.0;

impl Scale {
    /// An axis that has room for all figures. A linear one begins at 0.
    pub fn around(figures: impl IntoIterator<Item = f64>, unit: Unit) -> Self {
        let (low, high) = ends(figures);
        let is_log = high / low > DECADES || matches!(unit, Unit::Quantile);
        Self::fitting(low, high, is_log, unit)
    }

    /// A logarithmic axis, whatever the span.
    pub fn log(figures: impl IntoIterator<Item = f64>, unit: Unit) -> Self {
        let (low, high) = ends(figures);
        Self::fitting(low, high, true, unit)
    }

    fn fitting(low: f64, high: f64, is_log: bool, unit: Unit) -> Self {
        let (low, high) = match (is_log, unit) {
            (true, Unit::Size | Unit::Quantile) => (low, high.max(low * 2.0)),
            (true, _) => (low / 1.3, high * 1.3),
            (false, _) => (0.0, high * 1.08),
        };
        Self { low, high, is_log, unit }
    }

    /// The same, linear from 0 whatever the span.
    pub fn linear(self) -> Self {
        Self { low: 0.0, high: self.high, is_log: false, unit: self.unit }
    }

    /// Whether it is logarithmic.
    pub fn is_log(&self) -> bool {
        self.is_log
    }

    /// Where a figure is, from 0 to 1.
    pub fn place(&self, figure: f64) -> f64 {
        let along = |figure: f64| if self.is_log { figure.max(self.low).ln() } else { figure };
        let (low, high) = (along(self.low), along(self.high));
        ((along(figure) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// At most about so many round figures.
    pub fn ticks(&self, most: usize) -> Vec<f64> {
        if self.is_log { self.log_ticks(most) } else { self.linear_ticks(most) }
    }

    fn log_ticks(&self, most: usize) -> Vec<f64> {
        let base: f64 = if self.unit == Unit::Size { 2.0 } else { 10.0 };
        // A hair of room for figures that are powers themselves.
        let first = (self.low.log(base) - 1e-6).ceil() as i32;
        let last = (self.high.log(base) + 1e-6).floor() as i32;
        let powers = (last - first + 1).max(0).unsigned_abs() as usize;
        if powers <= 2 && base > 2.0 {
            let all = (first - 1..=last).map(|power| base.powi(power));
            let all = all.flat_map(|power| [1.0, 2.0, 5.0].map(|part| part * power));
            return all.filter(|tick| (self.low..=self.high).contains(tick)).collect();
        }
        let stride = powers.div_ceil(most.max(2));
        (first..=last).step_by(stride).map(|power| base.powi(power)).collect()
    }

    fn linear_ticks(&self, most: usize) -> Vec<f64> {
        // Round in the unit that is shown.
        let unit = match self.unit {
            Unit::Size => 1024_f64.powf(self.high.log(1024.0).floor()),
            _ => 1.0,
        };
        let rough = self.high / unit / most.max(1) as f64;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|part| part * decade);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * decade);
        let ticks = (0..=most + 1).map(|index| index as f64 * step * unit);
        ticks.take_while(|tick| *tick <= self.high).collect()
    }
}

fn ends(figures: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let figures = figures.into_iter().filter(|figure| figure.is_finite() && *figure > 0.0);
    let (low, high) = figures
        .fold((f64::INFINITY, 0.0_f64), |(low, high), figure| (low.min(figure), high.max(figure)));
    if high > 0.0 { (low, high) } else { (1.0, 10.0) }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, figure: &f64, (start, end): (i32, i32)) -> i32 {
        start + (self.place(*figure) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks(hint.max_num_points().clamp(2, 8))
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, figure: &f64) -> String {
        match self.unit {
            Unit::Time => time(*figure),
            Unit::Count => with_suffix(*figure, 1000.0, &["", "k", "M", "G"]),
            Unit::Size => with_suffix(*figure, 1024.0, &["", "Ki", "Mi", "Gi"]),
            Unit::Quantile => quantile(*figure),
        }
    }
}

fn time(ns: f64) -> String {
    let (part, unit) = match ns {
        1e9.. => (ns / 1e9, "s"),
        1e6.. => (ns / 1e6, "ms"),
        1e3.. => (ns / 1e3, "µs"),
        _ => (ns, "ns"),
    };
    format!("{} {unit}", plain(part))
}

fn with_suffix(figure: f64, base: f64, suffixes: &[&str]) -> String {
    let mut figure = figure;
    let mut suffixes = suffixes.iter().peekable();
    while let Some(suffix) = suffixes.next() {
        // The hair is for powers that were computed.
        if figure < base * 0.9999 || suffixes.peek().is_none() {
            return format!("{}{suffix}", plain(figure));
        }
        figure /= base;
    }
    plain(figure)
}

/// 10 is 90 %, 100 is 99 %.
fn quantile(inverse: f64) -> String {
    let nines = inverse.log10().round() as i32;
    let percent = 100.0 - 100.0 / inverse;
    format!("{percent:.*} %", (nines - 2).max(0).unsigned_abs() as usize)
}

fn plain(figure: f64) -> String {
    let text = format!("{figure:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks(6).iter().map(|tick| scale.format_ext(tick)).collect()
    }

    #[test]
    fn narrow_figures_are_linear_from_zero() {
        let scale = Scale::around([3.0, 47.0], Unit::Count);
        assert!(!scale.is_log());
        assert_eq!(labels(&scale), ["0", "10", "20", "30", "40", "50"]);
        assert!(scale.place(0.0).abs() < 1e-9);
        let bytes = Scale::around([2_000.0, 26_000.0], Unit::Size);
        assert_eq!(labels(&bytes), ["0", "5Ki", "10Ki", "15Ki", "20Ki", "25Ki"]);
    }

    #[test]
    fn wide_figures_are_logarithmic() {
        let scale = Scale::around([90.0, 2e6], Unit::Time);
        assert!(scale.is_log());
        assert_eq!(labels(&scale), ["100 ns", "1 µs", "10 µs", "100 µs", "1 ms"]);
    }

    #[test]
    fn sizes_are_powers_of_two_and_quantiles_are_nines() {
        let sizes = Scale::log([16.0, 4_194_304.0], Unit::Size);
        assert_eq!(labels(&sizes)[0], "16");
        assert!(labels(&sizes).iter().any(|label| label.ends_with("Mi")));
        let quantiles = Scale::around([1.0, 10_000.0], Unit::Quantile);
        assert_eq!(labels(&quantiles), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }

    #[test]
    fn nothing_is_an_axis_too() {
        assert!(!Scale::around([], Unit::Count).ticks(5).is_empty());
        assert!(!Scale::around([0.0, f64::NAN], Unit::Time).ticks(5).is_empty());
    }
}
