//! Moments and spans of time on the command line.

use std::time::Duration;

use slipring_events::{Clock, SystemClock, Time};

/// A moment as RFC 3339, or so long ago: `2026-11-22T08:30:00Z`, `90s`, `24h`.
pub fn moment(text: &str) -> Result<Time, String> {
    moment_at(text, SystemClock.now())
}

fn moment_at(text: &str, now: Time) -> Result<Time, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = span(text).map_err(|_| {
        format!("{text:?} is no time: write 2026-11-22T08:30:00Z, or 24h for a day ago")
    })?;
    let nanos = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
    Ok(Time::from_nanos(now.as_nanos().saturating_sub(nanos)))
}

/// A span: `500ms`, `90s`, `15m`, `24h`, `7d`.
pub fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no span of time: write 90s, 15m, 24h or 7d");
    let (number, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
    let seconds_each = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds_each).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("1.5h"), Ok(Duration::from_mins(90)));
        assert_eq!(span("7d"), Ok(Duration::from_hours(168)));
        for wrong in ["", "7", "d", "-1s", "1y", "NaNs", "1e99d"] {
            assert!(span(wrong).expect_err(wrong).contains("24h"), "{wrong}");
        }
    }

    #[test]
    fn moments_are_dates_or_so_long_ago() {
        let now: Time = "2026-11-22T08:30:00Z".parse().expect("it is a time");
        let date = "2026-11-21T08:30:00+01:00";
        let time = moment_at(date, now).expect("it is a time");
        assert_eq!(now.since(time), Duration::from_hours(25));
        let day_ago = moment_at("24h", now).expect("it is a time");
        assert_eq!(now.since(day_ago), Duration::from_hours(24));
        assert_eq!(moment_at("99999999d", now), Ok(Time::EPOCH));
        assert!(moment_at("yesterday", now).expect_err("it is none").contains("a day ago"));
    }
}
