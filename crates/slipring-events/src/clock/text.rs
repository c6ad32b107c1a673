//! Moments as text: RFC 3339, with the calendar's arithmetic of days since 1970.

use std::{fmt, str::FromStr};

use super::Time;

const NANOS: u64 = 1_000_000_000;
const DAY: u64 = 86_400;
/// Days from the first of March of the year 0, where leap days come last, to the start of 1970.
const EPOCH_DAY: u64 = 719_468;
/// Days in 400 years, after which the calendar repeats itself.
const ERA: u64 = 146_097;

/// A text that is no moment of RFC 3339 between 1970 and 2554.
///
/// # Examples
/// ```
/// use slipring_events::Time;
///
/// // Local time, of nobody knows which place.
/// let error = "2026-11-22T08:30:00".parse::<Time>().unwrap_err();
/// assert!(error.to_string().contains("2026-11-22T08:30:00"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no moment from 1970 to 2554: write it as 2026-11-22T07:30:00Z, with up to nine \
     digits of a second if you like, and with +01:00 in place of Z elsewhere"
)]
pub struct TimeError(Box<str>);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / NANOS, self.0 % NANOS);
        let (year, month, day) = date(seconds / DAY);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse(text.as_bytes()).map(Self).ok_or_else(|| TimeError(text.into()))
    }
}

/// Year, month and day of a day since 1970.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + EPOCH_DAY;
    let (era, of_era) = (day / ERA, day % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March, of which five have 153 days.
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The day since 1970 of a date, if there is such a date.
fn day(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let from_march = (month + 9) % 12;
    let year_of_march = year.checked_sub(u64::from(month <= 2))?;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let leap_days = year_of_march / 4 - year_of_march / 100 + year_of_march / 400;
    let days = (365 * year_of_march + leap_days + of_year).checked_sub(EPOCH_DAY)?;
    // The 31st of a shorter month would be a day of the next.
    (date(days) == (year, month, day)).then_some(days)
}

fn parse(text: &[u8]) -> Option<u64> {
    let (at_second, rest) = text.split_at_checked(19)?;
    let at = |start: usize, end: usize| number(&at_second[start..end]);
    let between = [at_second[4], at_second[7], at_second[10], at_second[13], at_second[16]];
    if !matches!(between, [b'-', b'-', b'T' | b't' | b' ', b':', b':']) {
        return None;
    }
    let days = day(at(0, 4)?, at(5, 7)?, at(8, 10)?)?;
    let (hour, minute, second) = (at(11, 13)?, at(14, 16)?, at(17, 19)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let there = days * DAY + hour * 3600 + minute * 60 + second;
    let seconds = there.checked_add_signed(-offset(zone)?)?;
    seconds.checked_mul(NANOS)?.checked_add(nanos)
}

/// The nanoseconds behind a point, if there is one, and what follows.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, text)) };
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let missing = 9_u32.checked_sub(digits as u32)?;
    Some((number(&text[..digits])? * 10_u64.pow(missing), &text[digits..]))
}

/// The seconds by which a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), hours @ .., b':', m1, m2] if hours.len() == 2 => {
            let (hours, minutes) = (number(hours)?, number(&[*m1, *m2])?);
            let seconds = i64::try_from(hours * 3600 + minutes * 60).ok()?;
            let is_one = hours < 24 && minutes < 60;
            is_one.then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// A number of at least one digit and of nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
    })
}

/// As text where somebody may read it, elsewhere as the number.
#[cfg(feature = "serde")]
mod form {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::Time;

    impl Serialize for Time {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() {
                serializer.collect_str(self)
            } else {
                self.0.serialize(serializer)
            }
        }
    }

    impl<'de> Deserialize<'de> for Time {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            if deserializer.is_human_readable() {
                String::deserialize(deserializer)?.parse().map_err(Error::custom)
            } else {
                u64::deserialize(deserializer).map(Time)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanos(text: &str) -> Option<u64> {
        text.parse().ok().map(Time::as_nanos)
    }

    #[test]
    fn known_moments() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00.000000000Z", 0),
            ("2000-02-29T23:59:59.000000000Z", 951_868_799),
            ("2100-03-01T00:00:00.000000000Z", 4_107_542_400),
            ("2026-11-22T07:30:00.000000000Z", 1_795_332_600),
        ] {
            assert_eq!(Time::from_nanos(seconds * NANOS).to_string(), text);
            assert_eq!(nanos(text), Some(seconds * NANOS), "{text}");
        }
        let last = Time::from_nanos(u64::MAX);
        assert_eq!(last.to_string(), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn other_ways_to_write_the_same() {
        let moment = nanos("2026-11-22T07:30:00.5Z");
        for text in [
            "2026-11-22t07:30:00.500z",
            "2026-11-22 07:30:00.500000000+00:00",
            "2026-11-22T09:00:00.5+01:30",
            "2026-11-21T23:30:00.5-08:00",
        ] {
            assert_eq!(nanos(text), moment, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T07:30:00",
            "2026-11-22T07:30:00.Z",
            "2026-11-22T07:30:00.0000000001Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T07:60:00Z",
            "2026-11-22T07:30:60Z",
            "2026-13-22T07:30:00Z",
            "2026-00-22T07:30:00Z",
            "2026-11-31T07:30:00Z",
            "2026-02-29T07:30:00Z",
            "2100-02-29T07:30:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "0000-01-01T00:00:00Z",
            "2554-07-21T23:34:33.709551616Z",
            "9999-12-31T23:59:59Z",
            "2026-11-22T07:30:00+24:00",
            "2026-11-22T07:30:00+01:60",
            "2026-11-22T07:30:00+0100",
            "2026-11-22T07:30:00Zulu",
            "+026-11-22T07:30:00Z",
            "2026-11-22T07:30:00é",
        ] {
            let error = text.parse::<Time>().expect_err(text);
            assert!(error.to_string().contains(text));
        }
    }

    #[test]
    fn every_day_until_the_last_follows_the_one_before() {
        let mut before = (1969, 12, 31);
        for days in 0..=u64::MAX / NANOS / DAY {
            let (year, month, of_month) = date(days);
            let is_next = match before {
                (y, m, d) if d < 28 => (year, month, of_month) == (y, m, d + 1),
                (y, 12, 31) => (year, month, of_month) == (y + 1, 1, 1),
                (y, m, d) => [(y, m, d + 1), (y, m + 1, 1)].contains(&(year, month, of_month)),
            };
            assert!(is_next, "{before:?} and {:?}", (year, month, of_month));
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            assert!(before != (year, 2, 28) || (of_month == 29) == is_leap, "{year}");
            assert_eq!(day(year, month, of_month), Some(days));
            before = (year, month, of_month);
        }
    }

    proptest! {
        #[test]
        fn text_and_back(nanos in any::<u64>()) {
            let time = Time::from_nanos(nanos);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn texts_sort_as_the_moments(a in any::<u64>(), b in any::<u64>()) {
            let (first, second) = (Time::from_nanos(a), Time::from_nanos(b));
            prop_assert_eq!(first.cmp(&second), first.to_string().cmp(&second.to_string()));
        }

        #[test]
        fn no_text_is_too_odd(text in "[0-9TZ:.+ -]{0,40}|.*") {
            let _ = text.parse::<Time>();
        }
    }
}
