//! The ring: five stations, the threads that publish, and how their results come back.
//!
//! ```text
//! producers -> created -> risk   -> inventory -> report
//!                      -> ledger ->
//! ```

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{self, Receiver, Sender};
use hdrhistogram::Histogram;
use slipring::{
    At, Builder, Dispatcher, Handler, HandlerError, HandlerMut, MultiProducer, Producer,
    PublishError, Report, read_handler, update_handler,
};
use slipring_insight::{Server, serve};

use crate::input::Source;
use crate::options::Options;
use crate::order::{Books, Inventory, Ledger, Order, Record, Risk};

/// The stations, in the order of the table.
pub(crate) const STATIONS: [&str; 5] = ["created", "risk", "ledger", "inventory", "report"];

/// Flat out, one order in this many has its latency taken, because reading the clock for each
/// would slow the stations down. A prime number, so that all places of a publish batch are seen.
pub(crate) const SAMPLE_EVERY: u64 = 61;

/// Runs up to this many orders have each latency taken even so.
const SMALL_RUN: u32 = 100_000;

/// The histograms reach from a nanosecond to an hour.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// A wait for a due time sleeps until this long before, and yields from there on.
const SLEEP_MARGIN: Duration = Duration::from_micros(200);

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Run {
    /// What the stations know.
    pub(crate) books: Books,
    /// Latency from intended publish to the end of each station, in nanoseconds.
    pub(crate) latencies: [Histogram<u64>; STATIONS.len()],
    /// One order in this many is in the histograms.
    pub(crate) sample_every: u64,
    /// From the first publish to the end of the last station.
    pub(crate) elapsed: Duration,
    /// What the ring counted.
    pub(crate) ring: Report,
}

/// Nanoseconds since the run's epoch.
#[derive(Debug, Clone, Copy)]
struct Clock {
    epoch: Instant,
}

impl Clock {
    fn now_ns(self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wait_until(self, due_ns: u64) {
        let due = Duration::from_nanos(due_ns);
        loop {
            let left = due.saturating_sub(self.epoch.elapsed());
            if left.is_zero() {
                return;
            }
            match left.checked_sub(SLEEP_MARGIN) {
                Some(long) => thread::sleep(long),
                None => thread::yield_now(),
            }
        }
    }
}

/// When orders are due.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// At once.
    FlatOut,
    /// The order at `index` is due at `start_ns + index / rate` seconds, whatever happened to the
    /// others before.
    OpenLoop { start_ns: u64, rate: u64 },
}

impl Pace {
    fn due_ns(self, index: u32) -> u64 {
        match self {
            Self::FlatOut => 0,
            Self::OpenLoop { start_ns, rate } => {
                let offset_ns = u128::from(index) * 1_000_000_000 / u128::from(rate);
                start_ns.saturating_add(u64::try_from(offset_ns).unwrap_or(u64::MAX))
            }
        }
    }
}

/// What a station that only reads does with an order.
trait Reads {
    fn read(&mut self, order: &Order);
}

/// What a station that writes does with an order.
trait Updates {
    fn update(&mut self, order: &mut Order) -> Result<(), String>;
}

/// *created* keeps nothing.
#[derive(Debug, Default)]
struct Created;

impl Updates for Created {
    fn update(&mut self, order: &mut Order) -> Result<(), String> {
        order.create();
        Ok(())
    }
}

impl Reads for Risk {
    fn read(&mut self, order: &Order) {
        self.note(order);
    }
}

impl Reads for Ledger {
    fn read(&mut self, order: &Order) {
        self.book(order);
    }
}

impl Updates for Inventory {
    fn update(&mut self, order: &mut Order) -> Result<(), String> {
        self.fill(order)
    }
}

impl Reads for Record {
    fn read(&mut self, order: &Order) {
        self.note(order);
    }
}

/// What every station is given.
#[derive(Debug, Clone)]
struct Common {
    clock: Clock,
    sample_every: u64,
    /// An empty histogram, made where a failure can still be reported.
    latency: Histogram<u64>,
}

/// Runs a station: it keeps the station's books and its latencies to itself, so that no event
/// needs a lock, and hands both over when the ring stops.
struct Clerk<B> {
    books: B,
    common: Common,
    /// Where the progress bar looks, if this station is the one it follows.
    passed: Option<Arc<AtomicU64>>,
    results: Sender<(B, Histogram<u64>)>,
}

impl<B: Default> Clerk<B> {
    fn after_event(&mut self, order: &Order, at: &At<'_>) {
        let sequence = at.sequence();
        if sequence.is_multiple_of(self.common.sample_every) {
            let latency_ns = self.common.clock.now_ns().saturating_sub(order.intended_ns);
            self.common.latency.saturating_record(latency_ns);
        }
        if let Some(passed) = &self.passed
            && at.end_of_batch()
        {
            // Nobody reads anything else because of this number.
            passed.store(sequence + 1, Ordering::Relaxed);
        }
    }

    fn hand_over(&mut self) {
        let empty = Histogram::new_from(&self.common.latency);
        let latency = mem::replace(&mut self.common.latency, empty);
        // The run that waits for the result is gone only when it failed, and then says so itself.
        let _ = self.results.send((mem::take(&mut self.books), latency));
    }
}

impl<B: Reads + Default> Handler<Order> for Clerk<B> {
    fn on_event(&mut self, order: &Order, at: At<'_>) -> Result<(), HandlerError> {
        self.books.read(order);
        self.after_event(order, &at);
        Ok(())
    }

    fn on_stop(&mut self) {
        self.hand_over();
    }
}

impl<B: Updates + Default> HandlerMut<Order> for Clerk<B> {
    fn on_event(&mut self, order: &mut Order, at: At<'_>) -> Result<(), HandlerError> {
        self.books.update(order)?;
        self.after_event(order, &at);
        Ok(())
    }

    fn on_stop(&mut self) {
        self.hand_over();
    }
}

/// Where a station's results arrive once it has stopped.
type Results<B> = Receiver<(B, Histogram<u64>)>;

impl Common {
    /// Employs a clerk for a station.
    fn clerk<B>(&self, books: B) -> (Clerk<B>, Results<B>) {
        let (results, receiver) = channel::bounded(1);
        (Clerk { books, common: self.clone(), passed: None, results }, receiver)
    }
}

/// The results of all stations, still to come.
struct Pending {
    created: Results<Created>,
    risk: Results<Risk>,
    ledger: Results<Ledger>,
    inventory: Results<Inventory>,
    record: Results<Record>,
}

impl Pending {
    /// Collects the results of a ring that has stopped.
    fn collect(self) -> Result<(Books, [Histogram<u64>; STATIONS.len()]), String> {
        fn take<B>(results: &Results<B>, name: &str) -> Result<(B, Histogram<u64>), String> {
            results.try_recv().map_err(|_| format!("station {name} left no result behind"))
        }
        let [created, risk, ledger, inventory, report] = STATIONS;
        let (Created, created) = take(&self.created, created)?;
        let (risk, risk_latency) = take(&self.risk, risk)?;
        let (ledger, ledger_latency) = take(&self.ledger, ledger)?;
        let (inventory, inventory_latency) = take(&self.inventory, inventory)?;
        let (record, report) = take(&self.record, report)?;
        let latencies = [created, risk_latency, ledger_latency, inventory_latency, report];
        Ok((Books { risk, ledger, inventory, record }, latencies))
    }
}

/// One producer of either kind of ring.
enum Publisher {
    /// The only one.
    Single(Producer<Order>),
    /// One of several.
    Multi(MultiProducer<Order>),
}

impl Publisher {
    fn publish(&mut self, orders: &[Order]) -> Result<(), PublishError> {
        match self {
            Self::Single(producer) => producer.publish_slice(orders)?,
            Self::Multi(producer) => producer.publish_slice(orders)?,
        };
        Ok(())
    }
}

/// Lays out the stations and starts them.
fn start(
    options: &Options,
    common: &Common,
    stock: Inventory,
    record: Record,
    passed: &Arc<AtomicU64>,
) -> Result<(Vec<Publisher>, Dispatcher<Order>, Pending), String> {
    let (created, created_results) = common.clerk(Created);
    let (risk, risk_results) = common.clerk(Risk::default());
    let (ledger, ledger_results) = common.clerk(Ledger::default());
    let (inventory, inventory_results) = common.clerk(stock);
    let (mut report, record_results) = common.clerk(record);
    report.passed = Some(Arc::clone(passed));

    let mut created = update_handler(STATIONS[0], move || created);
    let mut risk = read_handler(STATIONS[1], move || risk);
    let mut ledger = read_handler(STATIONS[2], move || ledger);
    let mut inventory = update_handler(STATIONS[3], move || inventory);
    let mut report = read_handler(STATIONS[4], move || report);
    if options.pin {
        let cores = available_cores()?;
        let mut next = cores.iter().copied().cycle();
        let mut core = || next.next().unwrap_or_default();
        created = created.pin(core());
        risk = risk.pin(core());
        ledger = ledger.pin(core());
        inventory = inventory.pin(core());
        report = report.pin(core());
    }

    let ring = Builder::new(options.capacity, Order::default)
        .wait(options.wait)
        .then(created)
        .then((risk, ledger))
        .then(inventory)
        .then(report);
    let fail = |error| format!("the ring could not be started: {error}");
    let (publishers, dispatcher) = if options.producers == 1 {
        let (producer, dispatcher) = ring.start().map_err(fail)?;
        (vec![Publisher::Single(producer)], dispatcher)
    } else {
        let (producer, dispatcher) = ring.start_multi().map_err(fail)?;
        let producers = vec![producer; options.producers as usize];
        (producers.into_iter().map(Publisher::Multi).collect(), dispatcher)
    };
    let pending = Pending {
        created: created_results,
        risk: risk_results,
        ledger: ledger_results,
        inventory: inventory_results,
        record: record_results,
    };
    Ok((publishers, dispatcher, pending))
}

/// The cores this process may run on; never empty.
fn available_cores() -> Result<Vec<usize>, String> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if cores.is_empty() {
        return Err("--pin: this system does not say which cores are available".to_owned());
    }
    Ok(cores.into_iter().map(|core| core.id).collect())
}

/// What one producer thread does: it publishes every `step`-th order from `first` on.
fn produce(
    publisher: &mut Publisher,
    source: &Source,
    (first, step): (u32, u32),
    batch: usize,
    (pace, clock): (Pace, Clock),
) -> Result<(), PublishError> {
    let mut orders = Vec::with_capacity(batch);
    let events = source.len().unwrap_or(0);
    let last = (first..events).step_by(step as usize).next_back();
    for index in (first..events).step_by(step as usize) {
        let due_ns = pace.due_ns(index);
        orders.push(Order::new(index, source.get(index), due_ns));
        if orders.len() < batch && Some(index) != last {
            continue;
        }
        match pace {
            Pace::FlatOut => {
                let now_ns = clock.now_ns();
                for order in &mut orders {
                    order.intended_ns = now_ns;
                }
            }
            // The batch leaves when its last order is due, and the others keep their own times.
            Pace::OpenLoop { .. } => clock.wait_until(due_ns),
        }
        publisher.publish(&orders)?;
        orders.clear();
    }
    Ok(())
}

/// Runs a thread per producer until all orders are published, or until one of them fails.
fn publish_all(
    options: &Options,
    source: &Source,
    publishers: Vec<Publisher>,
    timing: (Pace, Clock),
) -> Result<(), String> {
    thread::scope(|scope| {
        let spawned = (0..).zip(publishers).map(|(first, mut publisher)| {
            let share = (first, options.producers);
            thread::Builder::new()
                .name(format!("producer-{first}"))
                .spawn_scoped(scope, move || {
                    produce(&mut publisher, source, share, options.batch(), timing)
                })
        });
        // If one cannot start, the publishers of the missing ones are dropped here and the scope
        // waits for the others, so the ring still closes.
        let threads = spawned.collect::<Result<Vec<_>, _>>();
        let threads = threads.map_err(|error| format!("cannot start a producer: {error}"))?;
        // All of them are joined before the first error counts.
        let results: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        results.into_iter().try_for_each(|result| match result {
            Ok(published) => published.map_err(|error| format!("publishing failed: {error}")),
            Err(_) => Err("a producer thread panicked".to_owned()),
        })
    })
}

/// Shows the ring to other programs, if that is wanted, and says where.
fn show(options: &Options, dispatcher: &Dispatcher<Order>) -> Result<Option<Server>, String> {
    let Some(address) = &options.serve else { return Ok(None) };
    let server = serve("orders", dispatcher.monitor(), address)
        .map_err(|error| format!("cannot serve at {address}: {error}"))?;
    eprintln!("serving at {0}; to see it: slipring top {0}", server.address());
    Ok(Some(server))
}

/// Sends all orders of the source through the ring. `passed` counts them for the progress bar.
///
/// # Errors
///
/// Fails when the ring cannot be started, or when one of its stations faults; the message says
/// which.
pub(crate) fn run(
    options: &Options,
    source: &Source,
    stock: Inventory,
    passed: &Arc<AtomicU64>,
) -> Result<Run, String> {
    let events = source.len().ok_or("more orders than 32 bits can number")?;
    let clock = Clock { epoch: Instant::now() };
    let every_one = options.rate > 0 || events <= SMALL_RUN;
    let common = Common {
        clock,
        sample_every: if every_one { 1 } else { SAMPLE_EVERY },
        latency: Histogram::new_with_max(LONGEST_NS, 3).map_err(|error| error.to_string())?,
    };
    let record = Record::with_capacity(events as usize);
    let (publishers, dispatcher, pending) = start(options, &common, stock, record, passed)?;
    for warning in dispatcher.warnings() {
        eprintln!("warning: {warning}");
    }

    let _server = show(options, &dispatcher)?;

    let start_ns = clock.now_ns();
    let pace = match options.rate {
        0 => Pace::FlatOut,
        rate => Pace::OpenLoop { start_ns, rate },
    };
    let published = publish_all(options, source, publishers, (pace, clock));
    // The last producer is gone, so the ring drains and stops. What a station has to say about
    // its end explains more than what the producers saw of it.
    let ring = dispatcher.join().map_err(|error| error.to_string())?;
    let elapsed = Duration::from_nanos(clock.now_ns() - start_ns);
    published?;
    let (books, latencies) = pending.collect()?;
    Ok(Run { books, latencies, sample_every: common.sample_every, elapsed, ring })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn run_with(line: &str, stock: Option<Inventory>) -> Result<Run, String> {
        let words = ["orders"].into_iter().chain(line.split_whitespace());
        let options = Options::parse_from(words);
        let source = Source::Generated { seed: options.seed, events: options.events.get() };
        let stock = stock.unwrap_or_else(|| Inventory::plan(source.iter(), options.seed));
        run(&options, &source, stock, &Arc::default())
    }

    #[test]
    fn every_order_passes_every_station() {
        let run = run_with("--events 500 --producers 2 --capacity 8", None).unwrap();
        assert_eq!(run.books.ledger.orders, 500);
        assert_eq!(run.books.record.sequence.len(), 500);
        assert_eq!(run.latencies.map(|latency| latency.len()), [500; STATIONS.len()]);
    }

    #[test]
    fn a_ring_that_is_shown_gives_the_same() {
        let run = run_with("--events 500 --serve 127.0.0.1:0", None).unwrap();
        assert_eq!(run.books.ledger.orders, 500);
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let line = format!("--events 500 --serve {}", taken.local_addr().unwrap());
        assert!(run_with(&line, None).unwrap_err().contains("cannot serve at 127.0.0.1:"));
    }

    #[test]
    fn a_faulty_station_is_named() {
        for producers in [1, 3] {
            let line = format!("--events 500 --capacity 8 --producers {producers}");
            let error = run_with(&line, Some(Inventory::default())).unwrap_err();
            assert!(error.contains("inventory"), "{error}");
            assert!(error.contains("catalogue"), "{error}");
        }
    }

    #[test]
    fn an_open_loop_has_a_fixed_schedule() {
        let pace = Pace::OpenLoop { start_ns: 5, rate: 1_000_000 };
        assert_eq!(pace.due_ns(0), 5);
        assert_eq!(pace.due_ns(3), 3_005);
        let slowest = Pace::OpenLoop { start_ns: 5, rate: 1 };
        assert_eq!(slowest.due_ns(u32::MAX), 5 + 1_000_000_000 * u64::from(u32::MAX));
    }
}
