//! A service that is killed in mid-stream, again and again: nothing that it confirmed is lost, nothing is applied twice.
//!
//! ```sh
//! cargo run --release -p slipring-store --example crash
//! ```
//!
//! A child takes orders on a ring: the journal is its first station, and the next one confirms what it sees, so it
//! confirms what is on the disk. A second thread reads the store and deducts each order from the stock; the stock and
//! how far it has come are one commit. The parent lets it run for a moment, kills it with SIGKILL, looks into the store,
//! and starts it again.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, BufRead as _, BufReader, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::Parser;
use serde::{Deserialize, Serialize};
use slipring::{Builder, read};
use slipring_store::{
    Batch, Checkpoint, Codec, Durability, Embedded, Entry, EventStore, Json, Reach, Record,
    StoreError, Subscription, journal,
};

type Fault = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Args {
    /// How often it is killed.
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// What the moments depend on; another one each time if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Be the child, with the store there.
    #[arg(long, hide = true)]
    child: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    number: u64,
    item: u64,
    quantity: u64,
}

const ITEMS: u64 = 5;
/// Who deducts: its checkpoint, and the space of its values.
const STOCK: &str = "stock";

/// The order of that number, which anybody can tell who knows the number.
fn order(number: u64) -> Order {
    Order { number, item: number * 7 % ITEMS, quantity: number % 9 + 1 }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.child {
        Some(directory) => serve(directory),
        None => kill_and_look(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// The child: takes orders until it is killed.
fn serve(directory: &Path) -> Result<(), Fault> {
    let store = Arc::new(Embedded::open(directory)?);
    let stock = thread::spawn({
        let store = store.clone();
        move || keep_stock(&store)
    });
    let next = store.bounds()?.end;
    let kept = journal("orders", store, |order: &Order, bytes| {
        Json.encode(order, bytes)?;
        Ok(Entry::new("order.created", bytes))
    })?;
    let (mut producer, dispatcher) = Builder::new(1_024, Order::default)
        .first_sequence(kept.handle().first_sequence())
        .then(kept.station())
        .then(read("confirm", |order: &Order, at| {
            if at.end_of_batch() { say(format_args!("confirmed {}", order.number)) } else { Ok(()) }
        }))
        .start()?;
    for number in next.. {
        producer.publish(|slot| *slot = order(number))?;
        if number.is_multiple_of(64) {
            // Orders come in bursts.
            thread::sleep(Duration::from_micros(500));
        }
    }
    drop(producer);
    dispatcher.join()?;
    stock.join().map_err(|_| "the stock's thread panicked")?
}

/// Tells the parent.
fn say(line: std::fmt::Arguments<'_>) -> io::Result<()> {
    let mut to = io::stdout().lock();
    writeln!(to, "{line}")?;
    to.flush()
}

/// Deducts what is ordered, from where it was when it was killed. The stock of an item is a value of the store, and so is
/// the checkpoint: one commit has both, so no order is deducted twice and none is left out.
fn keep_stock(store: &Arc<Embedded>) -> Result<(), Fault> {
    let checkpoint = Checkpoint::named(STOCK);
    let from = checkpoint.get(&**store)?.unwrap_or(0);
    let mut subscription = Subscription::new(store.clone(), from, Reach::Durable);
    let mut batch = Batch::new();
    loop {
        let mut deducted = BTreeMap::new();
        let mut unreadable = None;
        subscription.next_within(
            Duration::from_secs(1),
            &mut |record| match read_order(&record) {
                Ok(order) => {
                    *deducted.entry(order.item).or_insert(0) += order.quantity;
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    unreadable = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        unreadable.map_or(Ok(()), Err)?;
        batch.clear();
        for (item, quantity) in deducted {
            let sum = sold(&**store, item)? + quantity;
            batch.put(STOCK, &item.to_be_bytes(), &sum.to_be_bytes());
        }
        checkpoint.put(&mut batch, subscription.position());
        store.commit(&batch, Durability::Synced)?;
        say(format_args!("deducted {}", subscription.position()))?;
    }
}

fn read_order(record: &Record<'_>) -> Result<Order, slipring_store::CodecError> {
    Json.decode(record)
}

/// How much of an item has been deducted.
fn sold(store: &dyn EventStore, item: u64) -> Result<u64, StoreError> {
    let value = store.value(STOCK, &item.to_be_bytes())?;
    let number = |bytes: Vec<u8>| bytes.try_into().map(u64::from_be_bytes).ok();
    Ok(value.and_then(number).unwrap_or(0))
}

/// What the parent has been told by all children so far.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// The last order that was confirmed.
    confirmed: Option<u64>,
    /// Up to which position orders were deducted.
    deducted: u64,
}

impl Told {
    fn note(&mut self, line: &str) -> Result<(), Fault> {
        match line.split_once(' ') {
            Some(("confirmed", number)) => self.confirmed = Some(number.parse()?),
            Some(("deducted", position)) => self.deducted = position.parse()?,
            _ => return Err(format!("the child says {line:?}").into()),
        }
        Ok(())
    }
}

/// The parent.
fn kill_and_look(args: &Args) -> Result<(), Fault> {
    let directory = tempfile::tempdir()?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    println!("{} kills, seed {seed}\n", args.kills);
    println!(
        "{:>4}  {:>10}  {:>9}  {:>10}  {:>10}",
        "kill", "confirmed", "stored", "deducted", "deducted to"
    );
    let mut told = Told::default();
    for kill in 1..=args.kills {
        run_and_kill(directory.path(), random.u32(0..60), &mut told)?;
        let found = look(&Embedded::open(directory.path())?)?;
        let confirmed = told.confirmed.map_or(0, |last| last + 1);
        println!(
            "{kill:>4}  {confirmed:>10}  {:>9}  {:>10}  {:>10}",
            found.stored, told.deducted, found.deducted
        );
        if found.stored < confirmed {
            return Err(format!(
                "{confirmed} orders were confirmed, and {} are there",
                found.stored
            )
            .into());
        }
        if found.deducted < told.deducted {
            return Err(format!(
                "the stock went back from {} to {}",
                told.deducted, found.deducted
            )
            .into());
        }
    }
    println!(
        "\nnothing that was confirmed is lost, and every order up to the mark is deducted once"
    );
    Ok(())
}

/// Runs a child, and kills it when it has said so many things.
fn run_and_kill(directory: &Path, lines: u32, told: &mut Told) -> Result<(), Fault> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--child")
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()?;
    let from = child.stdout.take().ok_or("the child has no output")?;
    let mut killed = false;
    for (number, line) in (0..).zip(BufReader::new(from).lines()) {
        // What it said before it was killed counts, also if it is read later.
        told.note(&line?)?;
        if number == lines {
            child.kill()?;
            killed = true;
        }
    }
    let status = child.wait()?;
    if killed { Ok(()) } else { Err(format!("the child ended by itself: {status}").into()) }
}

/// What is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    stored: u64,
    /// Up to which position orders are deducted.
    deducted: u64,
}

/// Looks at every order, and at the stock.
fn look(store: &Embedded) -> Result<Found, Fault> {
    let mark = Checkpoint::named(STOCK).get(store)?.unwrap_or(0);
    let mut expected = [0; ITEMS as usize];
    let mut wrong = None;
    let stored = store.scan(0, &mut |record| {
        match read_order(&record) {
            Ok(found) if found == order(record.position) => {}
            found => {
                wrong = Some(format!("in place of order {} there is {found:?}", record.position));
                return ControlFlow::Break(());
            }
        }
        if record.position < mark {
            let order = order(record.position);
            expected[order.item as usize] += order.quantity;
        }
        ControlFlow::Continue(())
    })?;
    wrong.map_or(Ok(()), Err)?;
    for (item, expected) in (0..).zip(expected) {
        let found = sold(store, item)?;
        if found != expected {
            return Err(
                format!("of item {item} {found} are deducted in place of {expected}").into()
            );
        }
    }
    Ok(Found { stored, deducted: mark })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_of(orders: u64) -> (tempfile::TempDir, Embedded) {
        let directory = tempfile::tempdir().expect("there is room");
        let store = Embedded::open(directory.path()).expect("it can be made");
        let mut batch = Batch::new();
        for number in 0..orders {
            let bytes = serde_json::to_vec(&order(number)).expect("it has a form");
            batch.append(Entry::new("order.created", &bytes)).expect("it is an event");
        }
        store.commit(&batch, Durability::Synced).expect("it is taken");
        (directory, store)
    }

    #[test]
    fn an_order_that_was_deducted_twice_is_seen() {
        let (_directory, store) = store_of(3);
        let mut batch = Batch::new();
        Checkpoint::named(STOCK).put(&mut batch, 1);
        let Order { item, quantity, .. } = order(0);
        batch.put(STOCK, &item.to_be_bytes(), &quantity.to_be_bytes());
        store.commit(&batch, Durability::Synced).expect("it is taken");
        assert_eq!(look(&store).expect("all is well"), Found { stored: 3, deducted: 1 });

        batch.clear();
        batch.put(STOCK, &item.to_be_bytes(), &(2 * quantity).to_be_bytes());
        store.commit(&batch, Durability::Synced).expect("it is taken");
        let why = look(&store).expect_err("it is deducted twice").to_string();
        assert_eq!(
            why,
            format!("of item {item} {} are deducted in place of {quantity}", 2 * quantity)
        );
    }

    #[test]
    fn an_order_that_is_stored_twice_is_seen() {
        let (_directory, store) = store_of(3);
        let mut batch = Batch::new();
        let bytes = serde_json::to_vec(&order(2)).expect("it has a form");
        batch.append(Entry::new("order.created", &bytes)).expect("it is an event");
        store.commit(&batch, Durability::Synced).expect("it is taken");
        let why = look(&store).expect_err("the last comes twice").to_string();
        assert!(why.starts_with("in place of order 3 there is Ok(Order { number: 2,"), "{why}");
    }

    #[test]
    fn what_a_child_says_is_taken_as_it_is() {
        let mut told = Told::default();
        told.note("confirmed 7").expect("it is well said");
        told.note("deducted 3").expect("it is well said");
        assert_eq!((told.confirmed, told.deducted), (Some(7), 3));
        assert!(told.note("confirmed").is_err() && told.note("deducted x").is_err());
    }
}
