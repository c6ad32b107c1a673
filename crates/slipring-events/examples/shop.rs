//! The order service. Stock is deducted when an order comes, as a follow-up of it; when the payment
//! fails or does not come in time, that is undone. At the end no unit and no cent is missing.
//!
//! ```text
//! order.created ─▶ stock ─┬▶ inventory.deducted ─▶ payments ─┬▶ order.paid ──────▶ orders ─▶ order.shipped
//!                         │                                  └▶ payment.failed ─▶ orders ─▶ order.cancelled
//!                         └▶ order.refused       15 minutes ──▶ payment.due ────▶ orders ─┘      │
//!                                                                   stock, deducted in vain ◀────┘
//! ```
//!
//! * `stock` takes all lines of an order off the shelves, or none (`all_or_nothing`), and tries again
//!   when the warehouse does not answer.
//! * `orders` follows each order to its end (`Saga`); what comes too late is paid back.
//! * `payments` stands for somebody else's service, with customers of all kinds.
//! * `till` moves the money.
//!
//! Run it with `cargo run --release -p slipring-events --example shop`, add `-- --help` for the options.
//! Exit code 0: stock and money are conserved; 1: they are not.

mod simulation;

use std::{
    cell::Cell,
    collections::HashMap,
    error::Error,
    fmt,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use clap::Parser;
use simulation::{Simulation, Story};
use slipring_events::{
    Account, Bus, ByHand, Context, HandlerError, Retry, RolledBack, Saga, all_or_nothing, events,
};

const MINUTE: Duration = Duration::from_mins(1);
/// How long the shop waits for a payment.
const PATIENCE: Duration = Duration::from_mins(15);

/// Orders, stock and money, conserved.
#[derive(Parser, Clone, Debug)]
struct Options {
    /// How many orders come, one a minute.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    orders: u32,
    /// How many units of each item lie on the shelves at first.
    #[arg(long, default_value_t = 80)]
    stock: u32,
    /// How many times in a hundred the warehouse does not answer.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=50))]
    trouble: u32,
    /// What orders, customers and faults are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many lines of the story to show.
    #[arg(long, default_value_t = 30)]
    show: usize,
}

const ITEMS: usize = 5;
const CUSTOMERS: usize = 10;
/// What an item costs, in cents.
const PRICES: [i64; ITEMS] = [499, 1_250, 1_999, 3_500, 9_900];
/// What each customer has at first.
const PURSE: i64 = 1_000_000;

/// So many units of an item.
#[derive(Clone, Copy, Debug)]
struct Line {
    item: usize,
    units: u32,
}

#[derive(Clone, Debug)]
struct OrderCreated {
    order: u32,
    bill: Bill,
    lines: Vec<Line>,
}

/// Who is to pay, and how much.
#[derive(Clone, Copy, Debug)]
struct Bill {
    customer: usize,
    cents: i64,
}

#[derive(Clone, Debug)]
struct InventoryDeducted(u32, Bill);
#[derive(Clone, Debug)]
struct OrderRefused(u32);
#[derive(Clone, Debug)]
struct OrderPaid(u32, Bill);
#[derive(Clone, Debug)]
struct PaymentFailed(u32);
#[derive(Clone, Debug)]
struct PaymentDue(u32);
#[derive(Clone, Debug)]
struct OrderShipped(u32);
#[derive(Clone, Debug)]
struct OrderCancelled(u32, &'static str);
#[derive(Clone, Debug)]
struct OrderRefunded(u32, Bill);

events! {
    /// What happens in the shop.
    enum Shop {
        OrderCreated = "order.created",
        /// All of it is taken off the shelves.
        InventoryDeducted = "inventory.deducted",
        /// Something is sold out.
        OrderRefused = "order.refused",
        OrderPaid = "order.paid",
        PaymentFailed = "payment.failed",
        /// The time is up.
        PaymentDue = "payment.due",
        OrderShipped = "order.shipped",
        OrderCancelled = "order.cancelled",
        /// It was paid too late.
        OrderRefunded = "order.refunded",
    }
}

impl fmt::Display for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OrderCreated(OrderCreated { order, bill, lines }) => {
                let units: u32 = lines.iter().map(|line| line.units).sum();
                let s = if units == 1 { "" } else { "s" };
                write!(f, "order {order}  {units} unit{s} for {}", Euros(bill.cents))
            }
            Self::OrderRefused(OrderRefused(order)) => write!(f, "order {order}  sold out"),
            Self::OrderPaid(OrderPaid(order, bill))
            | Self::OrderRefunded(OrderRefunded(order, bill)) => {
                write!(f, "order {order}  {}", Euros(bill.cents))
            }
            Self::OrderCancelled(OrderCancelled(order, why)) => write!(f, "order {order}  {why}"),
            Self::InventoryDeducted(InventoryDeducted(order, _))
            | Self::PaymentFailed(PaymentFailed(order))
            | Self::PaymentDue(PaymentDue(order))
            | Self::OrderShipped(OrderShipped(order)) => write!(f, "order {order}"),
        }
    }
}

struct Euros(i64);

impl fmt::Display for Euros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} €", self.0 / 100, self.0 % 100)
    }
}

// ---- the stock ----

/// What lies where. The shelves can be changed by a step and by its undoing.
#[derive(Debug)]
struct Warehouse {
    shelves: [Cell<u32>; ITEMS],
    /// Taken off the shelves, and not shipped yet.
    reserved: HashMap<u32, Vec<Line>>,
    shipped: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("sold out")]
struct SoldOut;

impl Warehouse {
    /// Takes all of it off the shelves, or none. In the middle of it, the warehouse may not answer.
    fn reserve(&mut self, lines: &[Line], has_trouble: bool) -> Result<(), RolledBack> {
        let shelves = &self.shelves;
        all_or_nothing(|steps| {
            for (index, Line { item, units }) in lines.iter().enumerate() {
                if has_trouble && index + 1 == lines.len() {
                    return Err("the warehouse does not answer".into());
                }
                let place = &shelves[*item];
                place.set(place.get().checked_sub(*units).ok_or(SoldOut)?);
                steps.undo("take off the shelf", move || place.set(place.get() + units));
            }
            Ok::<(), HandlerError>(())
        })
    }

    /// Puts back what was taken for an order.
    fn put_back(&mut self, order: u32) {
        for Line { item, units } in self.reserved.remove(&order).unwrap_or_default() {
            let place = &self.shelves[item];
            place.set(place.get() + units);
        }
    }

    fn ship(&mut self, order: u32) {
        let lines = self.reserved.remove(&order).unwrap_or_default();
        self.shipped += lines.iter().map(|line| line.units).sum::<u32>();
    }

    fn left(&self) -> u32 {
        self.shelves.iter().map(Cell::get).sum()
    }
}

/// What the handler of the stock does with an event, and what follows from it.
fn stock(
    warehouse: &mut Warehouse,
    event: &Shop,
    has_trouble: bool,
) -> Result<Option<Shop>, HandlerError> {
    Ok(match event {
        Shop::OrderCreated(OrderCreated { order, bill, lines }) => {
            match warehouse.reserve(lines, has_trouble) {
                Ok(()) => {
                    warehouse.reserved.insert(*order, lines.clone());
                    Some(InventoryDeducted(*order, *bill).into())
                }
                Err(error) if error.cause.is::<SoldOut>() => Some(OrderRefused(*order).into()),
                Err(error) => return Err(error.into()),
            }
        }
        Shop::OrderCancelled(OrderCancelled(order, _)) => {
            warehouse.put_back(*order);
            None
        }
        Shop::OrderShipped(OrderShipped(order)) => {
            warehouse.ship(*order);
            None
        }
        _ => None,
    })
}

// ---- the orders ----

/// What is remembered of an order that has come to no end yet.
#[derive(Clone, Copy, Debug)]
struct Open;

/// Follows an order to its end.
fn follow(
    open: Option<Open>,
    event: &Shop,
    context: &mut Context<'_, Shop>,
) -> Result<Option<Open>, HandlerError> {
    match (event, open) {
        (Shop::OrderCreated(OrderCreated { order, .. }), None) => {
            context.publish_after(PATIENCE, PaymentDue(*order))?;
            return Ok(Some(Open));
        }
        (Shop::OrderPaid(OrderPaid(order, _)), Some(Open)) => {
            context.publish(OrderShipped(*order))?;
        }
        (Shop::PaymentFailed(PaymentFailed(order)), Some(Open)) => {
            context.publish(OrderCancelled(*order, "the card was refused"))?;
        }
        (Shop::PaymentDue(PaymentDue(order)), Some(Open)) => {
            context.publish(OrderCancelled(*order, "not paid in time"))?;
        }
        (Shop::OrderRefused(_), Some(Open)) => {}
        // The story is over, and somebody has paid: too late.
        (Shop::OrderPaid(OrderPaid(order, bill)), None) => {
            context.publish(OrderRefunded(*order, *bill))?;
        }
        (_, open) => return Ok(open),
    }
    Ok(None)
}

// ---- the money ----

/// Of ten customers seven pay in time, one too late, one never, and of one the card is refused.
fn pay(
    InventoryDeducted(order, bill): &InventoryDeducted,
    rng: &mut fastrand::Rng,
    context: &mut Context<'_, Shop>,
) -> Result<(), HandlerError> {
    match rng.u32(..10) {
        0 => {}
        1 => context.publish_after(MINUTE, PaymentFailed(*order))?,
        2 => context.publish_after(PATIENCE + 5 * MINUTE, OrderPaid(*order, *bill))?,
        _ => context.publish_after(MINUTE * rng.u32(1..10), OrderPaid(*order, *bill))?,
    }
    Ok(())
}

#[derive(Debug)]
struct Money {
    purses: [i64; CUSTOMERS],
    till: i64,
}

impl Money {
    fn book(&mut self, event: &Shop) {
        let (bill, sign) = match event {
            Shop::OrderPaid(OrderPaid(_, bill)) => (bill, 1),
            Shop::OrderRefunded(OrderRefunded(_, bill)) => (bill, -1),
            _ => return,
        };
        self.purses[bill.customer] -= sign * bill.cents;
        self.till += sign * bill.cents;
    }
}

// ---- all of it ----

/// What has come of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Totals {
    shipped: u32,
    refused: u32,
    /// By the card, or since no payment came in time.
    cancelled: [u32; 2],
    refunded: u32,
    /// What was shipped is worth so much.
    worth: i64,
    units_at_first: u32,
    units_left: u32,
    units_shipped: u32,
    till: i64,
    purses: i64,
    /// Of the stock, which had to try again.
    stock: Account,
}

/// Counts the ends of orders, and tells of them.
struct Clerk {
    story: Story,
    worth: HashMap<u32, i64>,
    totals: Arc<Mutex<Totals>>,
}

impl Clerk {
    fn write_down(&mut self, topic: &str, event: &Shop) {
        self.story.tell(format_args!("{topic:<19} {event}"));
        let mut totals = locked(&self.totals);
        match event {
            Shop::OrderCreated(OrderCreated { order, bill, .. }) => {
                self.worth.insert(*order, bill.cents);
            }
            Shop::OrderShipped(OrderShipped(order)) => {
                totals.shipped += 1;
                totals.worth += self.worth[order];
            }
            Shop::OrderRefused(_) => totals.refused += 1,
            Shop::OrderCancelled(OrderCancelled(_, why)) => {
                totals.cancelled[usize::from(*why == "not paid in time")] += 1;
            }
            Shop::OrderRefunded(_) => totals.refunded += 1,
            _ => {}
        }
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nobody panics with it")
}

struct Service {
    bus: Bus<Shop>,
    simulation: Simulation<Shop>,
    story: Story,
    warehouse: Arc<Mutex<Warehouse>>,
    money: Arc<Mutex<Money>>,
    totals: Arc<Mutex<Totals>>,
}

impl Service {
    fn start(options: &Options) -> Result<Self, Box<dyn Error>> {
        let simulation = Simulation::new();
        let bus = Bus::<Shop>::builder(1024).clock(simulation.clock()).start()?;
        let warehouse = Warehouse {
            shelves: std::array::from_fn(|_| Cell::new(options.stock)),
            reserved: HashMap::new(),
            shipped: 0,
        };
        let mut service = Self {
            bus,
            story: Story::new(simulation.clock()),
            simulation,
            warehouse: Arc::new(Mutex::new(warehouse)),
            money: Arc::new(Mutex::new(Money { purses: [PURSE; CUSTOMERS], till: 0 })),
            totals: Arc::default(),
        };
        let hands = [
            service.stock(options)?,
            service.orders()?,
            service.payments(options)?,
            service.till()?,
            service.clerk()?,
        ];
        for hand in hands {
            service.simulation.add(hand);
        }
        Ok(service)
    }

    fn stock(&self, options: &Options) -> Result<ByHand<Shop>, Box<dyn Error>> {
        let (warehouse, trouble) = (Arc::clone(&self.warehouse), options.trouble);
        let mut rng = fastrand::Rng::with_seed(options.seed ^ 1);
        let handler = self.bus.handler("stock").idempotent(10_000).retry(Retry::immediately(50));
        let (_, hand) = handler.by_hand(move |event, _| {
            let has_trouble = rng.u32(..100) < trouble;
            stock(&mut locked(&warehouse), event, has_trouble)
        })?;
        Ok(hand)
    }

    fn orders(&self) -> Result<ByHand<Shop>, Box<dyn Error>> {
        // Deadlines wait with the handler, and count among its follow-ups.
        let handler = self.bus.handler("orders").follow_ups(10_000).idempotent(10_000);
        Ok(handler.by_hand_handler(Saga::new(follow))?.1)
    }

    fn payments(&self, options: &Options) -> Result<ByHand<Shop>, Box<dyn Error>> {
        let mut rng = fastrand::Rng::with_seed(options.seed ^ 2);
        let handler = self.bus.handler("payments").on::<InventoryDeducted>().idempotent(10_000);
        Ok(handler.by_hand(move |deducted, context| pay(deducted, &mut rng, context))?.1)
    }

    fn till(&self) -> Result<ByHand<Shop>, Box<dyn Error>> {
        let money = Arc::clone(&self.money);
        let handler = self.bus.handler("till").topic("order.paid").topic("order.refunded");
        Ok(handler.idempotent(10_000).by_hand(move |event, _| locked(&money).book(event))?.1)
    }

    fn clerk(&self) -> Result<ByHand<Shop>, Box<dyn Error>> {
        let (story, totals) = (self.story.clone(), Arc::clone(&self.totals));
        let mut clerk = Clerk { story, worth: HashMap::new(), totals };
        let handler = self.bus.handler("clerk");
        Ok(handler.by_hand(move |event, context| clerk.write_down(&context.topic(), event))?.1)
    }

    fn take_orders(&mut self, options: &Options) -> Result<(), Box<dyn Error>> {
        let mut rng = fastrand::Rng::with_seed(options.seed);
        let mut publisher = self.bus.publisher();
        for order in 0..options.orders {
            publisher.publish(create_order(order, &mut rng))?;
            self.simulation.pass(MINUTE);
        }
        self.simulation.run_out();
        Ok(())
    }

    fn end(self, options: &Options) -> Result<(Totals, Story), Box<dyn Error>> {
        let Self { bus, simulation, story, warehouse, money, totals } = self;
        let accounts = bus.accounts();
        if let Some(wrong) = accounts.iter().find(|handler| !handler.account.adds_up()) {
            return Err(format!("the account of {} does not add up", wrong.name).into());
        }
        // Handlers that run by hand would be waited for: nobody has them in hand any more.
        drop(simulation);
        bus.shutdown(MINUTE)?;
        let (warehouse, money) = (locked(&warehouse), locked(&money));
        if !warehouse.reserved.is_empty() {
            return Err("some of the stock is reserved for nobody".into());
        }
        let mut totals = locked(&totals).clone();
        totals.units_at_first = options.stock * ITEMS as u32;
        totals.units_left = warehouse.left();
        totals.units_shipped = warehouse.shipped;
        totals.till = money.till;
        totals.purses = money.purses.iter().sum();
        totals.stock = accounts[0].account;
        Ok((totals, story))
    }
}

fn create_order(order: u32, rng: &mut fastrand::Rng) -> OrderCreated {
    let line = |rng: &mut fastrand::Rng| Line { item: rng.usize(..ITEMS), units: rng.u32(1..=4) };
    let lines: Vec<Line> = (0..rng.u32(1..=3)).map(|_| line(rng)).collect();
    let cents = lines.iter().map(|line| i64::from(line.units) * PRICES[line.item]).sum();
    OrderCreated { order, bill: Bill { customer: rng.usize(..CUSTOMERS), cents }, lines }
}

fn run(options: &Options) -> Result<(Totals, Story), Box<dyn Error>> {
    let mut service = Service::start(options)?;
    service.take_orders(options)?;
    service.end(options)
}

/// What is wrong with the totals.
fn flaw(totals: &Totals, orders: u32) -> Option<&'static str> {
    let ends = totals.shipped + totals.refused + totals.cancelled.iter().sum::<u32>();
    let money: i64 = [PURSE; CUSTOMERS].iter().sum();
    match () {
        () if ends != orders => Some("not every order has come to one end"),
        () if totals.units_left + totals.units_shipped != totals.units_at_first => {
            Some("stock is missing, or too much")
        }
        () if totals.till != totals.worth => Some("the till does not hold what was shipped"),
        () if totals.till + totals.purses != money => Some("money is missing, or too much"),
        () => None,
    }
}

fn print(totals: &Totals, orders: u32) {
    let Totals { shipped, refused, cancelled: [by_card, by_time], refunded, .. } = totals;
    let Totals { units_at_first, units_left, units_shipped, .. } = totals;
    println!(
        "\norders    {orders:>6} = {shipped} shipped + {refused} refused + {by_card} with a refused card + {by_time} not paid in time"
    );
    println!(
        "units     {units_at_first:>6} = {units_left} on the shelves + {units_shipped} shipped"
    );
    println!(
        "money     {} = {} in the purses + {} in the till",
        Euros(totals.till + totals.purses),
        Euros(totals.purses),
        Euros(totals.till)
    );
    println!("refunded  {refunded:>6} payments that came too late");
    println!("stock     {}", totals.stock);
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (totals, story) = match run(&options) {
        Ok(done) => done,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    story.print(options.show);
    print(&totals, options.orders);
    if let Some(flaw) = flaw(&totals, options.orders) {
        eprintln!("error: {flaw}");
        return ExitCode::FAILURE;
    }
    println!("checked   every order has come to one end; no unit and no cent is missing");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_of_the_readme() {
        let (totals, _) = run(&Options::parse_from(["shop"])).unwrap();
        assert_eq!(flaw(&totals, 200), None);
        assert_eq!((totals.shipped, totals.refused, totals.cancelled), (89, 67, [16, 28]));
        assert_eq!((totals.units_left, totals.units_shipped), (21, 379));
        assert_eq!((totals.till, totals.refunded, totals.stock.retries), (1_215_846, 17, 22));
    }

    fn options(orders: u32, stock: u32, trouble: u32) -> Options {
        Options { orders, stock, trouble, seed: 7, show: 0 }
    }

    #[test]
    fn no_unit_and_no_cent_is_missing() {
        for seed in 0..5 {
            let options = Options { seed, ..options(300, 100, 30) };
            let (totals, _) = run(&options).unwrap();
            assert_eq!(flaw(&totals, 300), None, "{totals:?}");
            // All of it has happened.
            let ends = [
                totals.shipped,
                totals.refused,
                totals.refunded,
                totals.cancelled[0],
                totals.cancelled[1],
            ];
            assert!(ends.iter().all(|count| *count > 0), "{totals:?}");
            assert!(totals.stock.retries > 0 && totals.stock.dead == 0, "{totals:?}");
        }
    }

    #[test]
    fn without_trouble_nothing_is_tried_again() {
        let (totals, _) = run(&options(100, 1_000, 0)).unwrap();
        assert_eq!((totals.stock.failures, totals.stock.retries, totals.refused), (0, 0, 0));
        // Each order, its deduction, its end, and three more events at most.
        assert_eq!(totals.stock.handled, totals.stock.next - totals.stock.first);
        assert_eq!(totals.shipped + totals.cancelled[0] + totals.cancelled[1], 100);
    }

    #[test]
    fn an_empty_shop_refuses_everybody() {
        let (totals, _) = run(&options(50, 0, 10)).unwrap();
        assert_eq!(flaw(&totals, 50), None);
        assert_eq!((totals.refused, totals.till, totals.units_left), (50, 0, 0));
    }

    #[test]
    fn the_same_seed_has_the_same_totals() {
        let options = options(100, 80, 20);
        assert_eq!(run(&options).unwrap().0, run(&options).unwrap().0);
    }

    #[test]
    fn what_is_missing_is_found() {
        let (totals, _) = run(&options(50, 80, 10)).unwrap();
        let flaws = |change: fn(&mut Totals)| {
            let mut totals = totals.clone();
            change(&mut totals);
            flaw(&totals, 50).unwrap()
        };
        assert!(flaws(|totals| totals.shipped += 1).contains("one end"));
        assert!(flaws(|totals| totals.units_left -= 1).contains("stock"));
        assert!(flaws(|totals| totals.till += 1).contains("till"));
        assert!(flaws(|totals| totals.purses -= 1).contains("money"));
    }

    #[test]
    fn a_warehouse_that_does_not_answer_has_taken_nothing() {
        let shelves = std::array::from_fn(|_| Cell::new(10));
        let mut warehouse = Warehouse { shelves, reserved: HashMap::new(), shipped: 0 };
        let lines = [Line { item: 0, units: 3 }, Line { item: 1, units: 4 }];
        let error = warehouse.reserve(&lines, true).unwrap_err();
        assert!(!error.cause.is::<SoldOut>() && error.not_undone.is_empty());
        assert_eq!(warehouse.left(), 50);
        warehouse.reserve(&lines, false).unwrap();
        assert_eq!(warehouse.left(), 43);
        let too_many = [lines[0], Line { item: 1, units: 7 }];
        assert!(warehouse.reserve(&too_many, false).unwrap_err().cause.is::<SoldOut>());
        assert_eq!(warehouse.left(), 43);
    }
}
