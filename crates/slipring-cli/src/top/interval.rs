//! Times on the command line.

use std::time::Duration;

/// Faster, nobody can read it.
const MIN: Duration = Duration::from_millis(50);
/// Slower, it is no rate of now.
const MAX: Duration = Duration::from_mins(1);

pub fn parse(text: &str) -> Result<Duration, String> {
    let unreadable = || format!("{text:?} is no time: write 500ms or 2s");
    let (number, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
    let seconds_each = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        _ => return Err(unreadable()),
    };
    let number: f64 = number.trim().parse().map_err(|_| unreadable())?;
    let time = Duration::try_from_secs_f64(number * seconds_each).map_err(|_| unreadable())?;
    if (MIN..=MAX).contains(&time) {
        Ok(time)
    } else {
        Err(format!("{text} is out of range: use 50ms to 60s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1_500)));
        for wrong in ["", "5", "s", "-1s", "1h", "NaNs", "1e99s"] {
            assert!(parse(wrong).expect_err(wrong).contains("500ms or 2s"), "{wrong}");
        }
        for extreme in ["0s", "49ms", "61s"] {
            assert!(parse(extreme).expect_err(extreme).contains("50ms to 60s"), "{extreme}");
        }
    }
}
