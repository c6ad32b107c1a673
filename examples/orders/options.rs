//! The command line.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use slipring::Wait;
use slipring_insight::Address;

/// More slots than this would only cost memory.
const MAX_CAPACITY: usize = 1 << 24;

/// More producer threads than this would only cost memory.
const MAX_PRODUCERS: u32 = 256;

/// The publish batch when the run is flat out and the ring is not smaller.
const DEFAULT_BATCH: usize = 16;

const ABOUT: &str = "Sends orders from several threads through a ring of five stations";

const LONG_ABOUT: &str = "\
Sends orders from several threads through a ring of five stations:

    producers -> created -> risk   -> inventory -> report
                         -> ledger ->

created validates and prices an order; risk (a running total per customer) and ledger (totals and
a checksum) read it side by side; inventory takes it from the stock or marks it back-ordered;
report writes down how it ended. The result is checked against the same orders processed in a
plain loop, in the order the ring gave them. With several producers that order differs from run to
run, and with it who finds the stock used up or the credit limit reached.

Without --input the orders come from a seeded generator. The CDNOW file names no product, so one is
derived from the unit price: value divided by quantity, in cents, hashed to one of 512 products.
The stock of each product is seeded with 80 to 114 percent of what the run will ask for, so that
some orders become back-orders. An order of value 0.00 is a gift: the real file has eight, and its
totals count them.";

const AFTER_HELP: &str = "\
Exit code: 0 when all is well (bad input lines are named and skipped), 1 when the self-check or the
ring failed, 2 for a bad option or an unreadable file.";

/// What the user asked for.
#[derive(Debug, Clone, Parser)]
#[command(name = "orders", about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
pub(crate) struct Options {
    /// Read orders from this CDNOW purchase file: lines of customer, customer in the sample (or
    /// not), date (YYYYMMDD), quantity and value, with or without a header
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Read the file this many times over
    #[arg(long, value_name = "N", default_value = "1", requires = "input")]
    pub(crate) repeat: NonZeroU32,

    /// Generate this many orders
    #[arg(long, value_name = "N", default_value = "3000000", conflicts_with = "input")]
    pub(crate) events: NonZeroU32,

    /// Seed of the generated orders and of the stock
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Threads that publish orders
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PRODUCERS)))]
    pub(crate) producers: u32,

    /// Slots of the ring, a power of two
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = parse_capacity)]
    pub(crate) capacity: usize,

    /// Orders per publish call, at most the capacity [default: 1 with --rate, else up to 16]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,

    /// How stations and producers wait: adaptive, spin, hint, yield, backoff, sleep or block
    #[arg(long, value_name = "HOW", default_value = "adaptive")]
    pub(crate) wait: Wait,

    /// Pin the stations to the available cores, round robin
    #[arg(long)]
    pub(crate) pin: bool,

    /// Publish this many orders per second on a fixed schedule, however late the ring is;
    /// 0 publishes as fast as the ring takes them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) rate: u64,

    /// Show the ring while it runs to `slipring top`: at `127.0.0.1:7070`, `127.0.0.1:0` (any free port)
    /// or `unix:/path`
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) serve: Option<Address>,
}

impl Options {
    /// Parses the command line; prints a message and exits with code 2 when it is bad.
    pub(crate) fn from_command_line() -> Self {
        Self::try_parse().and_then(Self::checked).unwrap_or_else(|error| error.exit())
    }

    /// Checks what concerns more than one option.
    fn checked(self) -> Result<Self, clap::Error> {
        let problem = match self.batch {
            Some(0) => "a batch holds at least one order (--batch 0)".to_owned(),
            Some(batch) if batch > self.capacity => format!(
                "a batch of {batch} orders does not fit into a ring of {} (--batch, --capacity)",
                self.capacity
            ),
            _ => return Ok(self),
        };
        Err(Self::command().error(ErrorKind::ValueValidation, problem))
    }

    /// Orders per publish call.
    pub(crate) fn batch(&self) -> usize {
        // An order of an open-loop run should not have to wait for others to fill its batch,
        // unless the user wants to see what that costs.
        let default = if self.rate > 0 { 1 } else { DEFAULT_BATCH };
        self.batch.unwrap_or(default.min(self.capacity))
    }
}

/// Parses the number of slots.
fn parse_capacity(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Err(error) => Err(error.to_string()),
        Ok(slots) if !slots.is_power_of_two() => {
            let near = slots.clamp(1, MAX_CAPACITY).next_power_of_two();
            Err(format!("the capacity must be a power of two, for example {near}"))
        }
        Ok(slots) if slots > MAX_CAPACITY => Err(format!("the largest capacity is {MAX_CAPACITY}")),
        Ok(slots) => Ok(slots),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(["orders"].into_iter().chain(line.split_whitespace()))
            .and_then(Options::checked)
    }

    #[test]
    fn the_definition_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_default_batch_follows_rate_and_capacity() {
        assert_eq!(parse("").unwrap().batch(), DEFAULT_BATCH);
        assert_eq!(parse("--capacity 2").unwrap().batch(), 2);
        assert_eq!(parse("--rate 1000").unwrap().batch(), 1);
        assert_eq!(parse("--rate 1000 --batch 4").unwrap().batch(), 4);
    }

    #[test]
    fn bad_options_are_usage_errors() {
        for line in [
            "--capacity 3",
            "--capacity 0",
            "--capacity -1",
            "--capacity 33554432",
            "--capacity 18446744073709551615",
            "--producers 0",
            "--producers 257",
            "--batch 0",
            "--batch 4 --capacity 2",
            "--wait forever",
            "--rate -1",
            "--events 0",
            "--repeat 0 --input x",
            "--repeat 2",
            "--events 5 --input x",
            "--serve 0.0.0.0:7070",
            "--serve 7070",
            "--colour",
            "stray",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
