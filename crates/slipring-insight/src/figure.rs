//! Figures for people: short, and of a width that does not jump about.

use std::time::Duration;

/// Thousands, millions, and so on, as far as a `u64` goes.
const UNITS: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// A figure in three digits and a unit: at most five characters.
///
/// # Examples
/// ```
/// use slipring_insight::figure::compact;
///
/// assert_eq!(compact(0.0), "0");
/// assert_eq!(compact(12.34), "12.3");
/// assert_eq!(compact(199_960.0), "200k");
/// assert_eq!(compact(1_234_567.0), "1.23M");
/// ```
pub fn compact(figure: f64) -> String {
    let (mut scaled, mut unit) = (figure.max(0.0), 0);
    while scaled >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1_000.0;
        unit += 1;
    }
    let is_whole = unit == 0 && scaled.fract() == 0.0;
    let decimals = match scaled {
        _ if is_whole => 0,
        small if small < 9.995 && unit > 0 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$}{}", UNITS[unit])
}

/// A count in [three digits and a unit](compact).
///
/// # Examples
/// ```
/// assert_eq!(slipring_insight::figure::count(65_536), "65.5k");
/// ```
#[allow(clippy::cast_precision_loss)] // Three digits are kept.
pub fn count(count: u64) -> String {
    compact(count as f64)
}

/// A count in full, with a comma between groups of three digits.
///
/// # Examples
/// ```
/// use slipring_insight::figure::grouped;
///
/// assert_eq!(grouped(1_234_567_u64), "1,234,567");
/// assert_eq!(grouped(u128::MAX / 10_u128.pow(33)), "340,282");
/// ```
pub fn grouped(count: impl Into<u128>) -> String {
    let digits = count.into().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Events in a second, [in three digits and a unit](compact).
///
/// # Examples
/// ```
/// assert_eq!(slipring_insight::figure::rate(200_000.0), "200k/s");
/// ```
pub fn rate(events_per_second: f64) -> String {
    compact(events_per_second) + "/s"
}

/// A share of 1 in percent. What is more than nothing is never shown as 0, and what is less than
/// everything never as 100.
///
/// # Examples
/// ```
/// use slipring_insight::figure::percent;
///
/// assert_eq!([0.0, 0.001, 0.42, 0.9999, 1.0].map(percent), ["0%", "<1%", "42%", ">99%", "100%"]);
/// ```
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        none if none <= 0.0 => "0%".to_owned(),
        little if little < 0.5 => "<1%".to_owned(),
        almost if (99.5..100.0).contains(&almost) => ">99%".to_owned(),
        percent => format!("{percent:.0}%"),
    }
}

/// A span of time: in nanoseconds to seconds with three digits, and from a minute on in two units.
///
/// # Examples
/// ```
/// use slipring_insight::figure::span;
/// use std::time::Duration;
///
/// assert_eq!(span(Duration::from_micros(1_234)), "1.23 ms");
/// assert_eq!(span(Duration::from_secs(83)), "1 min 23 s");
/// assert_eq!(span(Duration::from_secs(90_000)), "1 d 1 h");
/// ```
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => short_span(span),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A span of time as a clock that was started shows it: hours, minutes, seconds.
///
/// # Examples
/// ```
/// use slipring_insight::figure::clock;
/// use std::time::Duration;
///
/// assert_eq!(clock(Duration::from_millis(3_725_999)), "1:02:05");
/// ```
pub fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// So many of something, [in full](grouped): the word has an s unless it is one.
///
/// # Examples
/// ```
/// use slipring_insight::figure::counted;
///
/// assert_eq!([1, 1_234].map(|lag| counted(lag, "event")), ["1 event", "1,234 events"]);
/// ```
pub fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
}

fn short_span(span: Duration) -> String {
    let (mut scaled, mut unit) = (span.as_secs_f64() * 1e9, 0);
    let units = ["ns", "µs", "ms", "s"];
    while scaled >= 999.5 && unit + 1 < units.len() {
        scaled /= 1_000.0;
        unit += 1;
    }
    let decimals = match scaled {
        _ if unit == 0 => 0,
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_figures_have_five_characters_at_most() {
        for power in 0..64 {
            for near in [-1_i64, 0, 1] {
                let figure = (1_u64 << power).saturating_add_signed(near);
                assert!(count(figure).len() <= 5, "{figure}: {}", count(figure));
            }
        }
        let borders = [999.4, 999.6, 9_994.0, 9_996.0, 99_949.0, 99_951.0, 999_499.0, 999_500.0];
        let shown = ["999", "1.00k", "9.99k", "10.0k", "99.9k", "100k", "999k", "1.00M"];
        assert_eq!(borders.map(compact), shown);
    }

    #[test]
    fn groups_have_three_digits() {
        for (count, text) in [
            (0_u32, "0"),
            (999, "999"),
            (6_919, "6,919"),
            (24_409, "24,409"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(grouped(count), text);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn what_is_no_number_is_no_trouble() {
        assert_eq!([f64::NAN, -3.0].map(compact), ["0", "0"]);
        assert_eq!(compact(f64::INFINITY), "infE");
    }

    #[test]
    fn spans_change_their_unit() {
        let nanos = [0, 999, 1_500, 999_600, 59_900_000_000];
        let shown = ["0 ns", "999 ns", "1.50 µs", "1.00 ms", "59.9 s"];
        assert_eq!(nanos.map(|nanos| span(Duration::from_nanos(nanos))), shown);
        assert_eq!(span(Duration::from_secs(3_725)), "1 h 2 min");
    }
}
