//! Event stores side by side: appending with and without sync by the size of a commit, a query, reading all.
//!
//! All take turns in each round, in another order each time, and every run is checked: what is read is what was
//! written.

#![forbid(unsafe_code)]

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use slipring_peers::stores::{
    CONTESTANTS, Contestant, Event, Fault, Seen, TOPICS, event,
    plot::{Appended, plot},
    table::{Column, Figures, markdown},
};

/// Of a query: this many of a thousand events of its topic.
const QUERIED: u64 = 10;

#[derive(Debug, Parser)]
struct Args {
    /// How many events are committed at once.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16,64,256,1024,4096")]
    sizes: Vec<u32>,
    /// How often everybody has a turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn of appending takes.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 500)]
    millis: u64,
    /// How many events are read.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Only contestants whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Where the stores are put, on the disk that is to be measured.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Where the plot goes.
    #[arg(long)]
    plot: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Fault> {
    let column =
        |title: String| Column { title, figures: vec![Figures::default(); CONTESTANTS.len()] };
    let columns =
        || args.sizes.iter().map(|size| column(format!("{size} at once"))).collect::<Vec<_>>();
    let mut appended =
        Appended { sizes: args.sizes.clone(), unsynced: columns(), synced: columns() };
    let mut read = [column("query".to_owned()), column("scan".to_owned())];
    for round in 0..args.rounds {
        for turn in 0..CONTESTANTS.len() {
            let who = (turn + round) % CONTESTANTS.len();
            if !CONTESTANTS[who].name.contains(&args.only) {
                continue;
            }
            eprintln!("round {}: {}", round + 1, CONTESTANTS[who].name);
            for (place, &size) in args.sizes.iter().enumerate() {
                for synced in [false, true] {
                    let rate = append(args, CONTESTANTS[who], size, synced)?;
                    let columns =
                        if synced { &mut appended.synced } else { &mut appended.unsynced };
                    columns[place].figures[who].rates.push(rate);
                }
            }
            let (query, scan) = self::read(args, CONTESTANTS[who])?;
            read[0].figures[who].rates.extend(query);
            read[1].figures[who].rates.push(scan);
        }
    }
    println!("Million events a second, median (ends), and ours over theirs.\n");
    println!("{}", markdown("each commit synced", &appended.synced));
    println!("{}", markdown("without sync", &appended.unsynced));
    println!("{}", markdown(&format!("reading, of {} events", args.events), &read));
    if let Some(path) = &args.plot {
        fs::write(path, plot(&appended)?.svg)?;
    }
    Ok(())
}

/// Events a second, appended for a while to an empty store.
fn append(args: &Args, contestant: Contestant, size: u32, synced: bool) -> Result<f64, Fault> {
    let directory = tempfile::Builder::new().prefix("stores-").tempdir_in(&args.directory)?;
    let mut store = (contestant.open)(directory.path(), synced)?;
    let mut events: Vec<Event> = Vec::with_capacity(size as usize);
    let (mut next, mut expected) = (0, Seen::default());
    let (mut spent, limit) = (Duration::ZERO, Duration::from_millis(args.millis));
    while spent < limit {
        events.clear();
        events.extend((next..next + u64::from(size)).map(event));
        events.iter().for_each(|event| expected.note(&event.payload));
        next += u64::from(size);
        let start = Instant::now();
        store.append(&events, synced)?;
        spent += start.elapsed();
    }
    check(contestant, "appended", store.scan()?, expected)?;
    Ok(next as f64 / spent.as_secs_f64())
}

/// Events a second of a query, and of reading all.
fn read(args: &Args, contestant: Contestant) -> Result<(Option<f64>, f64), Fault> {
    let directory = tempfile::Builder::new().prefix("stores-").tempdir_in(&args.directory)?;
    let mut store = (contestant.open)(directory.path(), false)?;
    let mut expected = Seen::default();
    let mut next = 0;
    while next < args.events {
        let end = args.events.min(next + 1_024);
        let events: Vec<Event> = (next..end).map(event).collect();
        events.iter().for_each(|event| expected.note(&event.payload));
        store.append(&events, false)?;
        next = end;
    }
    let topics = TOPICS as u64;
    let (from, to) = (args.events / 2, args.events / 2 + args.events * QUERIED / 1_000);
    let first = event(from);
    let mut of_query = Seen::default();
    (from..=to).step_by(topics as usize).for_each(|number| of_query.note(&event(number).payload));
    let start = Instant::now();
    let queried = store.query(first.topic, first.time, event(to).time)?;
    let query = start.elapsed();
    if let Some(queried) = queried {
        check(contestant, "queried", queried, of_query)?;
    }
    let start = Instant::now();
    let scanned = store.scan()?;
    let scan = start.elapsed();
    check(contestant, "scanned", scanned, expected)?;
    let rate = |seen: Seen, took: Duration| seen.events as f64 / took.as_secs_f64();
    Ok((queried.map(|seen| rate(seen, query)), rate(scanned, scan)))
}

fn check(contestant: Contestant, what: &str, seen: Seen, expected: Seen) -> Result<(), Fault> {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{}: what was {what} is {seen:?} in place of {expected:?}", contestant.name).into())
}
