//! The order itself and what each station does to it, free of any ring.
//!
//! The ring in `pipeline` and the plain loop in `reference` both call the code of this file, so a
//! difference between the two can only come from how the events travelled.

use std::collections::HashMap;

/// How many products there are.
pub(crate) const PRODUCTS: usize = 512;

/// A customer whose running total has passed this many cents is over the limit.
const CREDIT_LIMIT_CENTS: u128 = 500_000;

/// Scrambles a word so that every input bit reaches every output bit (the finaliser of splitmix64).
pub(crate) const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Scrambles a word into `0..bound`.
///
/// # Panics
///
/// Panics when `bound` is 0.
#[expect(clippy::cast_possible_truncation, reason = "the remainder is below a u32")]
pub(crate) const fn pick(word: u64, bound: u32) -> u32 {
    (mix(word) % bound as u64) as u32
}

/// An order as it comes in, before any station has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RawOrder {
    /// Who buys.
    pub(crate) customer: u32,
    /// When, as the number YYYYMMDD.
    pub(crate) date: u32,
    /// How many pieces.
    pub(crate) quantity: u32,
    /// What all pieces cost together. Cents are whole numbers, so that sums are exact.
    pub(crate) value_cents: u64,
}

/// How far an order got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Status {
    /// Published, not yet seen by a station.
    #[default]
    New,
    /// Failed the validation; the later stations leave it alone.
    Rejected,
    /// Valid and priced.
    Accepted,
    /// Taken from the stock.
    Filled,
    /// The stock did not suffice.
    BackOrdered,
}

/// The event: what one slot of the ring holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Order {
    /// When the order should have been published, in nanoseconds since the run's epoch.
    pub(crate) intended_ns: u64,
    /// Which order of the source this is.
    pub(crate) index: u32,
    /// The order as it came in.
    pub(crate) raw: RawOrder,
    /// Price of one piece, rounded half up.
    pub(crate) unit_cents: u64,
    /// Which product, derived from the unit price.
    pub(crate) product: u32,
    /// How far the order got.
    pub(crate) status: Status,
}

impl Order {
    /// An order as a producer writes it into a slot.
    pub(crate) fn new(index: u32, raw: RawOrder, intended_ns: u64) -> Self {
        Self { intended_ns, index, raw, ..Self::default() }
    }

    /// Validates and prices the order: the work of the first station.
    pub(crate) fn create(&mut self) {
        let RawOrder { date, quantity, value_cents, .. } = self.raw;
        if quantity == 0 || date == 0 {
            self.status = Status::Rejected;
            return;
        }
        let pieces = u64::from(quantity);
        // Comparing the remainder with what is missing to the next cent rounds half up without
        // a sum that could overflow.
        let remainder = value_cents % pieces;
        self.unit_cents = value_cents / pieces + u64::from(remainder >= pieces - remainder);
        self.product = product_of(self.unit_cents);
        self.status = Status::Accepted;
    }

    /// A hash of everything but the time, which differs from run to run.
    fn fingerprint(&self) -> u64 {
        let raw = &self.raw;
        [
            u64::from(self.index) << 32 | u64::from(raw.customer),
            u64::from(raw.date) << 32 | u64::from(raw.quantity),
            raw.value_cents,
            self.unit_cents,
            u64::from(self.product) << 8 | self.status as u64,
        ]
        .into_iter()
        .fold(0, |hash, word| mix(hash ^ word))
    }
}

/// The product that costs this much. The CDNOW file names none, so equal unit prices stand for
/// the same product.
#[expect(clippy::cast_possible_truncation, reason = "512 products fit")]
fn product_of(unit_cents: u64) -> u32 {
    pick(unit_cents, PRODUCTS as u32)
}

/// What *risk* keeps: a running total per customer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Risk {
    /// Cents ordered so far, per customer.
    pub(crate) totals: HashMap<u32, u128>,
    /// Orders of customers who were over the limit already. It depends on the order of events.
    pub(crate) over_limit: u64,
}

impl Risk {
    /// Adds an order to its customer's total.
    pub(crate) fn note(&mut self, order: &Order) {
        if order.status == Status::Rejected {
            return;
        }
        let total = self.totals.entry(order.raw.customer).or_default();
        self.over_limit += u64::from(*total > CREDIT_LIMIT_CENTS);
        *total += u128::from(order.raw.value_cents);
    }
}

/// What *ledger* keeps: totals and a checksum that do not depend on the order of events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    /// Accepted orders.
    pub(crate) orders: u64,
    /// Rejected orders.
    pub(crate) rejected: u64,
    /// Pieces of all accepted orders.
    pub(crate) units: u64,
    /// Value of all accepted orders.
    pub(crate) value_cents: u128,
    /// Sum of the fingerprints of all orders, accepted or not.
    pub(crate) checksum: u64,
}

impl Ledger {
    /// Books an order.
    pub(crate) fn book(&mut self, order: &Order) {
        self.checksum = self.checksum.wrapping_add(order.fingerprint());
        if order.status == Status::Rejected {
            self.rejected += 1;
            return;
        }
        self.orders += 1;
        self.units += u64::from(order.raw.quantity);
        self.value_cents += u128::from(order.raw.value_cents);
    }
}

/// What *inventory* keeps: the pieces left per product.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Inventory {
    /// Pieces left, per product.
    pub(crate) stock: Vec<u64>,
}

impl Inventory {
    /// Stocks each product with 80 to 114 percent of what `orders` will ask for, so that about
    /// half of the products run out and some orders become back-orders at any scale.
    pub(crate) fn plan(orders: impl Iterator<Item = RawOrder>, seed: u64) -> Self {
        let mut demand = vec![0_u64; PRODUCTS];
        for raw in orders {
            let mut order = Order::new(0, raw, 0);
            order.create();
            if order.status == Status::Accepted {
                demand[order.product as usize] += u64::from(raw.quantity);
            }
        }
        let stock = (0_u64..).zip(demand).map(|(product, pieces)| {
            let percent = 80 + pick(seed ^ mix(product), 35);
            let planned = u128::from(pieces) * u128::from(percent) / 100;
            u64::try_from(planned).unwrap_or(u64::MAX)
        });
        Self { stock: stock.collect() }
    }

    /// Fills the order from the stock or marks it back-ordered.
    ///
    /// # Errors
    ///
    /// Fails when the product is not in the catalogue.
    pub(crate) fn fill(&mut self, order: &mut Order) -> Result<(), String> {
        if order.status != Status::Accepted {
            return Ok(());
        }
        let Some(left) = self.stock.get_mut(order.product as usize) else {
            return Err(format!(
                "order {} asks for product {}, which is not in the catalogue",
                order.index, order.product
            ));
        };
        order.status = match left.checked_sub(u64::from(order.raw.quantity)) {
            Some(rest) => {
                *left = rest;
                Status::Filled
            }
            None => Status::BackOrdered,
        };
        Ok(())
    }
}

/// What *report* keeps: the order of events, and how each of them ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// Index of each order, in the sequence the ring gave them.
    pub(crate) sequence: Vec<u32>,
    /// Indices of the back-ordered ones, in the same sequence.
    pub(crate) back_orders: Vec<u32>,
    /// Rolling hash over the final fields of every order, in the same sequence.
    pub(crate) digest: u64,
}

impl Record {
    /// A record with room for `events` orders, so that none of them pays for growing it.
    pub(crate) fn with_capacity(events: usize) -> Self {
        Self { sequence: Vec::with_capacity(events), ..Self::default() }
    }

    /// Writes down how an order ended.
    pub(crate) fn note(&mut self, order: &Order) {
        self.sequence.push(order.index);
        if order.status == Status::BackOrdered {
            self.back_orders.push(order.index);
        }
        self.digest = mix(self.digest ^ order.fingerprint());
    }
}

/// Everything the stations know at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Books {
    /// Kept by *risk*.
    pub(crate) risk: Risk,
    /// Kept by *ledger*.
    pub(crate) ledger: Ledger,
    /// Kept by *inventory*.
    pub(crate) inventory: Inventory,
    /// Kept by *report*.
    pub(crate) record: Record,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(quantity: u32, value_cents: u64) -> RawOrder {
        RawOrder { customer: 7, date: 19_970_101, quantity, value_cents }
    }

    fn created(quantity: u32, value_cents: u64) -> Order {
        let mut order = Order::new(0, raw(quantity, value_cents), 0);
        order.create();
        order
    }

    #[test]
    fn the_unit_price_rounds_half_up() {
        assert_eq!(created(2, 2933).unit_cents, 1467);
        assert_eq!(created(3, 1000).unit_cents, 333);
        assert_eq!(created(3, 1001).unit_cents, 334);
        assert_eq!(created(1, u64::MAX).unit_cents, u64::MAX);
    }

    #[test]
    fn an_impossible_order_is_rejected_and_moves_nothing() {
        let mut order = created(0, 100);
        assert_eq!(order.status, Status::Rejected);
        let (mut risk, mut ledger) = (Risk::default(), Ledger::default());
        risk.note(&order);
        ledger.book(&order);
        Inventory::default().fill(&mut order).unwrap();
        assert_eq!(order.status, Status::Rejected);
        assert!(risk.totals.is_empty());
        assert_eq!((ledger.orders, ledger.rejected, ledger.units), (0, 1, 0));
    }

    #[test]
    fn an_order_beyond_the_stock_is_back_ordered_and_leaves_the_stock() {
        let mut inventory = Inventory { stock: vec![5; PRODUCTS] };
        let (mut first, mut second, mut third) =
            (created(3, 300), created(3, 300), created(2, 200));
        for order in [&mut first, &mut second, &mut third] {
            inventory.fill(order).unwrap();
        }
        assert_eq!(first.status, Status::Filled);
        assert_eq!(second.status, Status::BackOrdered);
        assert_eq!(third.status, Status::Filled);
        assert_eq!(inventory.stock[first.product as usize], 0);
    }

    #[test]
    fn the_planned_stock_is_near_the_demand() {
        let orders = || (0..1_000).map(|i| raw(2, 1_000 + 2 * (i % 50)));
        let stock: u64 = Inventory::plan(orders(), 1).stock.iter().sum();
        assert!((1_600..=2_280).contains(&stock), "{stock}");
        assert_ne!(Inventory::plan(orders(), 1), Inventory::plan(orders(), 2));
    }

    #[test]
    fn the_limit_counts_orders_after_the_one_that_crossed_it() {
        let mut risk = Risk::default();
        for _ in 0..3 {
            risk.note(&created(1, 500_001));
        }
        assert_eq!(risk.over_limit, 2);
        assert_eq!(risk.totals[&7], 1_500_003);
    }
}
