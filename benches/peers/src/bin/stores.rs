//! Event stores side by side: appending with and without sync by the size of a commit, a query, reading all, replaying
//! all; and a ring and a bus with a journal, by the most that they commit at once.
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
    CONTESTANTS, Contestant, Event, Fault, Form, Open, Seen, TOPICS, event,
    journalled::Publish,
    plot::{Appended, plot},
    table::{Column, Figures, journals, markdown, ratio},
};

/// A journal commits a quarter of its ring at most.
const OF_RING: u32 = 4;

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
    let mut read = ["query", "scan", "replay into a ring"].map(|title| column(title.to_owned()));
    for round in 0..args.rounds {
        for turn in 0..CONTESTANTS.len() {
            let who = (turn + round) % CONTESTANTS.len();
            let contestant = CONTESTANTS[who];
            if !contestant.name.contains(&args.only) {
                continue;
            }
            eprintln!("round {}: {}", round + 1, contestant.name);
            for (place, &size) in args.sizes.iter().enumerate() {
                for synced in [false, true] {
                    let columns =
                        if synced { &mut appended.synced } else { &mut appended.unsynced };
                    append(args, contestant, size, synced, &mut columns[place].figures[who])?;
                }
            }
            if let Form::Store(open) = contestant.form {
                for (column, rate) in read.iter_mut().zip(self::read(args, contestant, open)?) {
                    column.figures[who].rates.extend(rate);
                }
            }
        }
    }
    print(args, &appended, &read)
}

fn print(args: &Args, appended: &Appended, read: &[Column; 3]) -> Result<(), Fault> {
    println!("Million events a second, median (ends), and ours over theirs.\n");
    println!("{}", markdown("each commit synced", &appended.synced));
    println!("{}", markdown("without sync", &appended.unsynced));
    println!("{}", markdown(&format!("reading, of {} events", args.events), read));
    let [_, scan, replay] = read;
    println!("{}\n", ratio("Replayed into a ring, over its own scan", replay, scan));
    println!(
        "A ring of {OF_RING} times as many: events a commit, and million events for each second in which the"
    );
    println!("journal's thread had a processor.\n");
    println!("{}", journals("each commit synced", &appended.synced));
    println!("{}", journals("without sync", &appended.unsynced));
    if let Some(path) = &args.plot {
        fs::write(path, plot(appended)?.svg)?;
    }
    Ok(())
}

/// Events a second, appended for a while to an empty store.
fn append(
    args: &Args,
    contestant: Contestant,
    size: u32,
    synced: bool,
    figures: &mut Figures,
) -> Result<(), Fault> {
    let directory = tempfile::Builder::new().prefix("stores-").tempdir_in(&args.directory)?;
    let open = match contestant.form {
        Form::Store(open) => open,
        Form::Journal(publish) => {
            return self::publish(args, contestant, publish, size, synced, figures);
        }
    };
    let mut store = open(directory.path(), synced)?;
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
    figures.rates.push(next as f64 / spent.as_secs_f64());
    Ok(())
}

/// Events a second, published for a while to a ring or a bus with a journal.
fn publish(
    args: &Args,
    contestant: Contestant,
    publish: Publish,
    most: u32,
    synced: bool,
    figures: &mut Figures,
) -> Result<(), Fault> {
    let directory = tempfile::Builder::new().prefix("stores-").tempdir_in(&args.directory)?;
    let capacity = (most * OF_RING).next_power_of_two() as usize;
    let time = Duration::from_millis(args.millis);
    let done = publish(directory.path(), capacity, synced, time)?;
    check(contestant, "journalled", done.seen, done.published)?;
    let events = done.seen.events as f64;
    figures.rates.push(events / done.took.as_secs_f64());
    figures.batches.push(events / done.commits as f64);
    figures.of_cpu.extend(done.cpu.map(|cpu| events / cpu.as_secs_f64()));
    Ok(())
}

/// Events a second of a query, of reading all, and of replaying all.
fn read(args: &Args, contestant: Contestant, open: Open) -> Result<[Option<f64>; 3], Fault> {
    let directory = tempfile::Builder::new().prefix("stores-").tempdir_in(&args.directory)?;
    let mut store = open(directory.path(), false)?;
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
    let rate = |what, read: &mut dyn FnMut() -> Result<Option<Seen>, Fault>, expected: Seen| {
        let start = Instant::now();
        let Some(seen) = read()? else { return Ok(None) };
        let took = start.elapsed();
        check(contestant, what, seen, expected)?;
        Ok::<_, Fault>(Some(seen.events as f64 / took.as_secs_f64()))
    };
    let end = event(to).time;
    Ok([
        rate("queried", &mut || store.query(first.topic, first.time, end), of_query)?,
        rate("scanned", &mut || store.scan().map(Some), expected)?,
        rate("replayed", &mut || store.replay(), expected)?,
    ])
}

fn check(contestant: Contestant, what: &str, seen: Seen, expected: Seen) -> Result<(), Fault> {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{}: what was {what} is {seen:?} in place of {expected:?}", contestant.name).into())
}
