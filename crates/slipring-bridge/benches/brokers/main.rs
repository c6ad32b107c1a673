//! Bridges beside the bare client of each broker, with real servers that it starts: how many events a second go out, how
//! many go all the way, and how long one is under way at a fixed rate.
//!
//! `cargo bench -p slipring-bridge --all-features --bench brokers -- --rounds 5`
//!
//! The two take turns in each round, and every run is checked: as many as were sent have arrived. Both have the same
//! headers and payloads, one thread and one connection at each end, and as many events under way. The bridge reads its events
//! from a store in memory and brings them to another one; the client makes them before the clock starts, and forgets them.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "figures to look at, of a program that nobody else uses"
)]

mod client;
mod nats;
#[path = "../../tests/common/nats_server.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod nats_server;
mod ours;
mod rabbit;
#[path = "../../tests/common/rabbit_server.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod rabbit_server;
mod redis;
#[path = "../../../slipring-store/tests/common/redis_server.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod redis_server;
mod table;

use std::time::Duration;

use clap::Parser;
use hdrhistogram::Histogram;
use slipring_bridge::{Connect, Listen};

use table::{Rates, latencies, throughput};

/// How many bytes a payload has.
pub const PAYLOAD: usize = 256;
/// The topic of each event.
pub const TOPIC: &str = "orders.placed";

#[derive(Debug, Parser)]
struct Args {
    /// How often both have a turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn takes, about.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1_000)]
    millis: u64,
    /// Only brokers whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Leaves out the latencies.
    #[arg(long)]
    no_latency: bool,
    /// Of `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How many are under way at most, and how many of these go in one call if the client has such calls.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    pub window: usize,
    pub batch: usize,
}

/// A server, and the ways to it.
pub trait Broker {
    const NAME: &'static str;
    /// How many the bare client sends in a second, about.
    const PACE: u64;
    /// What the bare client tries.
    const FLIGHTS: &'static [Flight];
    /// Events a second of the latencies.
    const RATES: &'static [u64];

    type Out: Connect;
    type In: Listen;
    type Sender: client::Sender;
    type Receiver: client::Receiver;

    fn out(&self, place: &str) -> Self::Out;

    fn input(&self, place: &str) -> Self::In;

    /// A bare client that sends, where [`input`](Self::input) has listened before.
    fn sender(&self, place: &str) -> impl Future<Output = Self::Sender> + Send;

    fn receiver(&self, place: &str, window: usize) -> impl Future<Output = Self::Receiver> + Send;

    /// Forgets what has been sent there.
    fn clean(&self, place: &str) -> impl Future<Output = ()> + Send;
}

/// Runs it on a runtime of its own, as a bridge does.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("there is a runtime").block_on(work)
}

/// How many events a second, and how many of them went at once on average.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub rate: f64,
    pub batch: f64,
}

impl Rate {
    pub fn new(events: u64, took: Duration, batches: u64) -> Self {
        let rate = events as f64 / took.as_secs_f64();
        Self { rate, batch: events as f64 / batches.max(1) as f64 }
    }
}

fn contest<B: Broker + Sync>(args: &Args, broker: impl FnOnce() -> B) {
    if !B::NAME.contains(&args.only) {
        return;
    }
    let broker = broker();
    let windows: Vec<usize> = vec![1, 16, 256, 1_024, 4_096];
    let mut out = Rates::new(&windows, B::FLIGHTS);
    let mut through = Rates::new(&[1_024, 4_096], &B::FLIGHTS[B::FLIGHTS.len() - 3..]);
    let mut delays: Vec<[Histogram<u64>; 2]> =
        B::RATES.iter().map(|_| [table::histogram(), table::histogram()]).collect();
    let mut number = 0;
    let mut place = || {
        number += 1;
        format!("bench-{number}")
    };
    for round in 0..args.rounds {
        eprintln!("{}: round {}", B::NAME, round + 1);
        let events = |window: usize| {
            let share = match window {
                1 => 20,
                ..=16 => 4,
                _ => 1,
            };
            (B::PACE * args.millis / 1_000 / share).max(50)
        };
        for (window, rates) in &mut out.ours {
            let place = place();
            rates.push(ours::send(&broker, &place, events(*window), *window));
            run(broker.clean(&place));
        }
        for (flight, rates) in &mut out.theirs {
            let place = place();
            rates.push(client::send(&broker, &place, events(flight.window), *flight));
            run(broker.clean(&place));
        }
        for (window, rates) in &mut through.ours {
            let place = place();
            rates.push(ours::through(&broker, &place, events(*window), *window));
            run(broker.clean(&place));
        }
        for (flight, rates) in &mut through.theirs {
            let place = place();
            rates.push(client::through(&broker, &place, events(flight.window), *flight));
            run(broker.clean(&place));
        }
        for (rate, [of_ours, of_theirs]) in B::RATES.iter().zip(&mut delays) {
            if args.no_latency {
                continue;
            }
            let events = rate * args.millis / 500;
            let (first, second) = (place(), place());
            ours::delays(&broker, &first, *rate, events, of_ours);
            run(broker.clean(&first));
            client::delays(&broker, &second, *rate, events, of_theirs);
            run(broker.clean(&second));
        }
    }
    println!("### {}\n", B::NAME);
    println!("{}", throughput("sent and confirmed", &out));
    println!("{}", throughput("all the way", &through));
    if !args.no_latency {
        println!("{}", latencies(B::RATES, &delays));
    }
}

fn main() {
    let args = Args::parse();
    contest(&args, redis::Synced::start);
    contest(&args, redis::InMemory::start);
    contest(&args, nats::Nats::start);
    contest(&args, rabbit::RabbitMq::start);
}
