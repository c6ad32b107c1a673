//! Two services and a broker, any of which is killed at any moment: no order is lost, none is done twice.
//!
//! ```sh
//! cargo run --release -p slipring-bridge --all-features --example two_services -- --broker redis --orders 5000 --kills 20
//! ```
//!
//! ```text
//!   order service                      broker                     warehouse
//!   store ── outbox ──▶ stream or queue `orders`   ──▶ inbox ──▶ store ── stock
//!   done ◀── store ◀── inbox ◀── stream or queue `deducted` ◀── outbox ──┘
//! ```
//!
//! Each service is a process with a store of its own. The order service takes orders; its outbox sends them. The warehouse's
//! inbox puts them into its store, and from there they are deducted from the stock: the new stock, how far it has come,
//! and the answer are one commit. The answers go back the same way, and the order service ticks the orders off.
//!
//! The parent has a broker of its own (`rabbitmq-server`, `redis-server` or `nats-server` has to be installed). It kills one
//! of the three with SIGKILL now and then, starts it again, and in the end looks into both stores: what is in stock and
//! what was ordered is what there was at the beginning, to the unit, and each order is done once. The exit code is 1 if not.

#![cfg_attr(
    not(any(feature = "rabbitmq", feature = "redis", feature = "nats")),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "without a broker there is only a message to whoever starts it"
    )
)]

#[path = "../../tests/common"]
mod servers {
    #[cfg(feature = "nats")]
    #[allow(dead_code, reason = "tests need more of it")]
    pub mod nats_server;
    #[cfg(feature = "rabbitmq")]
    #[allow(dead_code, reason = "tests need more of it")]
    pub mod rabbit_server;
    #[cfg(feature = "redis")]
    #[path = "../../../slipring-store/tests/common/redis_server.rs"]
    #[allow(dead_code, reason = "tests need more of it")]
    pub mod redis_server;
}

mod broker;
mod folds;
mod service;
mod story;
mod verdict;

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::Parser;

type Fault = Box<dyn Error + Send + Sync>;

#[derive(Clone, Debug, Parser)]
struct Args {
    /// Which broker is between the services.
    #[arg(long)]
    broker: broker::Kind,
    /// How many orders are placed.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    orders: u64,
    /// How often something is killed.
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// What the moments depend on; another one each time if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Be that service.
    #[arg(long, hide = true, requires_all = ["home", "url"])]
    serve: Option<service::Who>,
    /// Where its store is.
    #[arg(long, hide = true)]
    home: Option<PathBuf>,
    /// Where the broker is.
    #[arg(long, hide = true)]
    url: Option<String>,
}

/// The example; a test runs it, too.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let done = match (args.serve, &args.home, &args.url) {
        (Some(who), Some(home), Some(url)) => service::run(who, &args, home, url),
        _ => story::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(words.split(' '))
    }

    #[test]
    fn arguments_are_taken_as_they_are() {
        let args = parse("two_services --broker nats --orders 7 --kills 3 --seed 9").unwrap();
        assert_eq!((args.broker, args.orders, args.kills), (broker::Kind::Nats, 7, 3));
        assert_eq!((args.seed, args.serve.is_none()), (Some(9), true));
        assert_eq!(parse("two_services --broker redis").unwrap().orders, 2_000);
    }

    #[test]
    fn what_makes_no_story_is_refused() {
        let why = |words: &str| parse(words).unwrap_err().to_string();
        assert!(why("two_services").contains("--broker"));
        assert!(why("two_services --broker kafka").contains("rabbitmq, redis, nats"));
        assert!(why("two_services --broker redis --orders 0").contains("1..=1000000"));
        assert!(why("two_services --broker redis --serve warehouse").contains("--home"));
    }
}
