//! Where orders come from: the CDNOW purchase file, or a seeded generator.

use std::path::Path;
use std::{fs, io};

use crate::order::{RawOrder, mix, pick};

/// How many customers the generator invents.
const GENERATED_CUSTOMERS: u32 = 50_000;

/// How many different prices the generator knows.
const GENERATED_PRICES: u32 = 400;

/// How much of a bad line is quoted back.
const QUOTED_CHARS: usize = 60;

/// A fixed list of orders that any thread can look up by index.
#[derive(Debug)]
pub(crate) enum Source {
    /// The orders of a file, `repeat` times over.
    File {
        /// The good lines.
        orders: Vec<RawOrder>,
        /// How often they are read.
        repeat: u32,
    },
    /// Orders computed from their index, so that none of them has to be stored.
    Generated {
        /// Decides everything.
        seed: u64,
        /// How many orders.
        events: u32,
    },
}

impl Source {
    /// How many orders there are; `None` when their indices do not fit into 32 bits.
    pub(crate) fn len(&self) -> Option<u32> {
        match self {
            Self::File { orders, repeat } => u32::try_from(orders.len()).ok()?.checked_mul(*repeat),
            Self::Generated { events, .. } => Some(*events),
        }
    }

    /// The order at `index`, which must be below [`Source::len`].
    pub(crate) fn get(&self, index: u32) -> RawOrder {
        match self {
            Self::File { orders, .. } => orders[index as usize % orders.len()],
            Self::Generated { seed, .. } => generate(*seed, index),
        }
    }

    /// All orders, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = RawOrder> {
        (0..self.len().unwrap_or(0)).map(|index| self.get(index))
    }
}

/// Invents the order at `index`. Small customer and price numbers come up more often than large
/// ones, as they do in a shop.
fn generate(seed: u64, index: u32) -> RawOrder {
    let word = mix(seed ^ mix(u64::from(index)));
    let draw = |salt: u64, bound| pick(word ^ salt, bound);
    let customer = draw(1, GENERATED_CUSTOMERS).min(draw(2, GENERATED_CUSTOMERS));
    let price_cents =
        499 + 25 * u64::from(draw(3, GENERATED_PRICES).min(draw(4, GENERATED_PRICES)));
    // Each further piece is half as likely as the one before, up to eight.
    let quantity = 1 + mix(word ^ 5).trailing_zeros().min(7);
    RawOrder {
        customer: customer + 1,
        date: 10_000 * (1997 + draw(6, 2)) + 100 * (1 + draw(7, 12)) + 1 + draw(8, 28),
        quantity,
        value_cents: price_cents * u64::from(quantity),
    }
}

/// Which fields the lines of a CDNOW file have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Customer, date, quantity, value: the full data set.
    Full,
    /// Customer, customer in the sample, date, quantity, value: the 1/10 sample.
    Sample,
}

impl Form {
    const fn fields(self) -> usize {
        match self {
            Self::Full => 4,
            Self::Sample => 5,
        }
    }
}

/// A line that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// Its number, from 1.
    pub(crate) number: usize,
    /// What is wrong with it.
    pub(crate) reason: String,
    /// The beginning of its text, with everything unprintable escaped.
    pub(crate) quote: String,
}

/// What was found in a CDNOW file.
#[derive(Debug, Default)]
pub(crate) struct Purchases {
    /// The good lines.
    pub(crate) orders: Vec<RawOrder>,
    /// The lines that were left out, other than a header.
    pub(crate) bad_lines: Vec<BadLine>,
    /// Whether the first line was taken for a header.
    pub(crate) header: bool,
}

/// Reads a CDNOW file.
///
/// # Errors
///
/// Fails when the file cannot be read; a bad line is no failure.
pub(crate) fn read_purchases(path: &Path) -> io::Result<Purchases> {
    fs::read(path).map(|bytes| parse_purchases(&bytes))
}

/// Parses the content of a CDNOW file. It need not be text: one damaged line should not cost the
/// others.
fn parse_purchases(bytes: &[u8]) -> Purchases {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Blank lines at the end of a file are common and mean nothing; elsewhere an order is missing.
    let bytes = bytes.trim_ascii_end();
    if bytes.is_empty() {
        return Purchases::default();
    }
    let mut lines: Vec<(usize, &[u8])> = (1..).zip(bytes.split(|byte| *byte == b'\n')).collect();
    let header = is_header(lines[0].1);
    if header {
        lines.remove(0);
    }

    let form = form_of(&lines);
    let mut purchases = Purchases { header, ..Purchases::default() };
    for (number, line) in lines {
        match parse_line(line, form) {
            Ok(order) => purchases.orders.push(order),
            Err(reason) => {
                purchases.bad_lines.push(BadLine { number, reason, quote: quote(line) });
            }
        }
    }
    purchases
}

/// Whether the first line names the fields. An order has digits where a header has words.
fn is_header(line: &[u8]) -> bool {
    let names = || {
        line.split(|byte| byte.is_ascii_whitespace() || *byte == b',')
            .filter(|name| !name.is_empty())
    };
    let starts_as_name = |name: &[u8]| name[0].is_ascii_alphabetic() || b"_#\"".contains(&name[0]);
    names().count() >= Form::Full.fields() && names().all(starts_as_name)
}

/// The form in which more lines make sense.
///
/// A file has one form: if each line could choose its own, a sample line that lost its first field
/// would pass for a line of the full data set.
fn form_of(lines: &[(usize, &[u8])]) -> Form {
    let good = |form| lines.iter().filter(|(_, line)| parse_line(line, form).is_ok()).count();
    if good(Form::Full) > good(Form::Sample) { Form::Full } else { Form::Sample }
}

/// Parses one line, or says what is wrong with it.
fn parse_line(line: &[u8], form: Form) -> Result<RawOrder, String> {
    let line = str::from_utf8(line).map_err(|_| "not valid UTF-8".to_owned())?;
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if fields.len() != form.fields() {
        return Err(format!("{} fields instead of {}", fields.len(), form.fields()));
    }
    let (customer, rest) = (fields[0], &fields[1..]);
    let rest = if form == Form::Sample {
        parse_whole(rest[0], "customer in the sample")?;
        &rest[1..]
    } else {
        rest
    };
    Ok(RawOrder {
        customer: parse_whole(customer, "customer")?,
        date: parse_date(rest[0])?,
        quantity: parse_quantity(rest[1])?,
        value_cents: parse_cents(rest[2])?,
    })
}

/// Parses an unsigned number of digits only; `str::parse` would let a plus sign pass.
fn parse_whole(text: &str, what: &str) -> Result<u32, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{what} {text:?} is not a whole number"));
    }
    text.parse().map_err(|_| format!("{what} {text} is too large"))
}

/// Parses a number of pieces.
fn parse_quantity(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match parse_whole(digits, "quantity") {
        Ok(quantity) if quantity > 0 && digits.len() == text.len() => Ok(quantity),
        Ok(_) => Err(format!("quantity {text} is below 1")),
        Err(reason) => Err(reason),
    }
}

/// Parses YYYYMMDD and looks it up in the calendar.
fn parse_date(text: &str) -> Result<u32, String> {
    if text.len() != 8 {
        return Err(format!("date {text:?} is not of the form YYYYMMDD"));
    }
    let date = parse_whole(text, "date")?;
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    if year == 0 || !(1..=days).contains(&day) {
        return Err(format!("date {text} is not in the calendar"));
    }
    Ok(date)
}

/// Parses a decimal number of dollars into cents, rounding half up.
///
/// Zero passes: eight orders of the real file cost nothing, and its totals count them. The digits
/// are taken as they are, since a detour over floating point would turn some amounts into their
/// neighbours.
fn parse_cents(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix('+').unwrap_or(text);
    let (number, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let numeric = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let (true, Ok(exponent)) = (numeric, exponent.parse::<i32>()) else {
        return Err(format!("value {text:?} is not a finite number of 0 or more"));
    };
    let Some(first) = digits.iter().position(|digit| *digit != b'0') else {
        return Ok(0);
    };

    let place = |position: usize| i64::try_from(position).unwrap_or(i64::MAX);
    // So many digits make the whole cents; the one after them decides the rounding.
    let kept = place(whole.len()).saturating_add(2 + i64::from(exponent));
    let digit_at = |position: i64| {
        let digit = usize::try_from(position).ok().and_then(|position| digits.get(position));
        digit.map_or(0, |digit| u64::from(digit - b'0'))
    };
    // It starts at a digit that is not 0, so however far it should go, it overflows by the
    // twentieth round.
    let cents = (place(first)..kept)
        .try_fold(0_u64, |cents, position| cents.checked_mul(10)?.checked_add(digit_at(position)))
        .and_then(|cents| cents.checked_add(u64::from(digit_at(kept) >= 5)));
    cents.ok_or_else(|| format!("value {text} is too large"))
}

/// The beginning of a line, fit to be printed.
fn quote(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.trim_ascii());
    let mut quoted: String = text.chars().take(QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().count() > QUOTED_CHARS {
        quoted.push_str("...");
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_exact() {
        for (text, cents) in [
            ("29.33", 2933),
            ("6.79", 679),
            ("0.29", 29),
            ("1.15", 115),
            ("3", 300),
            ("3.", 300),
            (".5", 50),
            ("+1.5", 150),
            ("007.10", 710),
            ("0.00", 0),
            ("0e2147483647", 0),
            ("0.0049", 0),
            ("1e-9", 0),
            ("1.004999", 100),
            ("1.005", 101),
            ("0.005", 1),
            ("9.999", 1000),
            ("1e3", 100_000),
            ("12.5E-1", 125),
            ("5e-3", 1),
            ("0.0000000000000000000000001e25", 100),
            ("184467440737095516.15", u64::MAX),
        ] {
            assert_eq!(parse_cents(text), Ok(cents), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_finite_positive_amount_is_refused() {
        for (text, why) in [
            ("", "not a finite"),
            (".", "not a finite"),
            ("-1.00", "not a finite"),
            ("nan", "not a finite"),
            ("NaN", "not a finite"),
            ("inf", "not a finite"),
            ("infinity", "not a finite"),
            ("1,5", "not a finite"),
            ("1.2.3", "not a finite"),
            ("0x10", "not a finite"),
            ("1e", "not a finite"),
            ("1e99999999999", "not a finite"),
            ("\u{663}", "not a finite"),
            ("-0.00", "not a finite"),
            ("184467440737095516.16", "too large"),
            ("184467440737095516.155", "too large"),
            ("1e400", "too large"),
            ("1e2147483647", "too large"),
        ] {
            let error = parse_cents(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn dates_follow_the_calendar() {
        for text in ["19970101", "19971231", "19960229", "20000229", "19970430", "00010101"] {
            assert!(parse_date(text).is_ok(), "{text}");
        }
        for text in [
            "19970229",
            "19000229",
            "19971301",
            "19970001",
            "19970100",
            "19970132",
            "19970431",
            "00000101",
            "1997010",
            "199701011",
            "1997-1-1",
            "+9970101",
            "",
        ] {
            assert!(parse_date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_are_whole_and_at_least_one() {
        assert_eq!(parse_quantity("1"), Ok(1));
        assert_eq!(parse_quantity("4294967295"), Ok(u32::MAX));
        for (text, why) in [
            ("0", "below 1"),
            ("-3", "below 1"),
            ("-0", "below 1"),
            ("1.5", "not a whole number"),
            ("--1", "not a whole number"),
            ("+1", "not a whole number"),
            ("two", "not a whole number"),
            ("4294967296", "too large"),
        ] {
            let error = parse_quantity(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    const ORDER: RawOrder =
        RawOrder { customer: 4, date: 19_970_101, quantity: 2, value_cents: 2933 };

    #[test]
    fn both_forms_are_read_with_any_line_ending() {
        for text in [
            " 00004 0001 19970101  2   29.33\r\n 00004 0001 19970101  2   29.33\r\n",
            "00004\t0001 19970101 2 29.33\n00004 0001 19970101 2 29.33",
            "id sample date cds value\n4 1 19970101 2 29.33\n4 1 19970101 2 29.33\n\n",
            "_ID,DATE,CDS,DOLLARS\r\n00004 19970101 2 29.33\r\n00004 19970101 2 29.33\r\n",
            "\u{feff}Customer Date Quantity Value\n4 19970101 2 29.33\n4 19970101 2 29.33",
        ] {
            let purchases = parse_purchases(text.as_bytes());
            assert_eq!(purchases.orders, [ORDER, ORDER], "{text}");
            assert_eq!(purchases.bad_lines, [], "{text}");
        }
    }

    #[test]
    fn bad_lines_are_numbered_and_the_others_kept() {
        let text = b"id sample date cds value\n\
            00004 0001 19970101 2 29.33\n\
            \n\
            00004 19970101 2 29.33\n\
            00004 0001 19970101 2 \xff\n\
            00004 0001 19970101 2 29.33\n\
            00004 0001 19970101 2 29.33 9\n";
        let purchases = parse_purchases(text);
        assert!(purchases.header);
        assert_eq!(purchases.orders, [ORDER, ORDER]);
        let bad: Vec<_> =
            purchases.bad_lines.iter().map(|bad| (bad.number, bad.reason.as_str())).collect();
        assert_eq!(
            bad,
            [
                (3, "0 fields instead of 5"),
                (4, "4 fields instead of 5"),
                (5, "not valid UTF-8"),
                (7, "6 fields instead of 5"),
            ]
        );
    }

    #[test]
    fn a_damaged_first_line_is_no_header() {
        let purchases = parse_purchases(b"x0004 0001 19970101 2 29.33\n4 1 19970101 2 29.33\n");
        assert!(!purchases.header);
        assert_eq!(purchases.orders, [ORDER]);
        assert_eq!(purchases.bad_lines[0].number, 1);
    }

    #[test]
    fn an_empty_file_has_no_orders() {
        for text in ["", "\n", "\r\n\r\n", "\u{feff}"] {
            let purchases = parse_purchases(text.as_bytes());
            assert!(purchases.orders.is_empty() && purchases.bad_lines.is_empty());
        }
    }

    #[test]
    fn a_quote_is_short_and_printable() {
        assert_eq!(quote(b"  a\x1b[31m\r"), "a\\u{1b}[31m");
        assert_eq!(quote(&[b'x'; 200]).len(), QUOTED_CHARS + 3);
    }

    #[test]
    fn generated_orders_are_valid_and_follow_the_seed() {
        let source = |seed| Source::Generated { seed, events: 5_000 };
        for raw in source(1).iter() {
            assert!(parse_date(&raw.date.to_string()).is_ok(), "{raw:?}");
            assert!((1..=8).contains(&raw.quantity) && raw.value_cents >= 499);
        }
        assert!(source(1).iter().eq(source(1).iter()));
        assert!(source(1).iter().ne(source(2).iter()));
    }

    #[test]
    fn a_file_repeats_from_its_start() {
        let second = RawOrder { customer: 5, ..ORDER };
        let source = |repeat| Source::File { orders: vec![ORDER, second], repeat };
        assert!(source(2).iter().eq([ORDER, second, ORDER, second]));
        assert_eq!(source(u32::MAX).len(), None);
    }
}
