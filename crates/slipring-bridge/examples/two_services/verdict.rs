//! What is in the two stores in the end.

use std::{fmt, ops::ControlFlow, path::Path};

use slipring_store::{Embedded, EventStore};

use super::{
    Fault,
    folds::{COUNT, DEDUCTED, DONE, INITIAL, ITEMS, Order, PLACED, in_stock, number},
    service::Who,
};

/// Of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// By the order service's events.
    pub ordered: u64,
    /// In the warehouse.
    pub in_stock: u64,
}

/// What there is of each item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub items: [Item; ITEMS as usize],
}

/// Looks into both stores: each has each order and each answer once, in order, and each order is done. Gives what is
/// there of each item; whether that is right is yet to be [checked](Sums::check).
pub fn look(home: &Path, orders: u64) -> Result<Sums, Fault> {
    let mut sums = Sums::default();
    let shop = Embedded::open(home.join(Who::Orders.name()))?;
    let warehouse = Embedded::open(home.join(Who::Warehouse.name()))?;
    for (store, name) in [(&shop, "the order service"), (&warehouse, "the warehouse")] {
        for topic in [PLACED, DEDUCTED] {
            let found = numbers(store, topic)?;
            once_each(&found, orders).map_err(|why| format!("{topic} in {name}: {why}"))?;
        }
    }
    let mut done = 0;
    shop.values(DONE, b"", &mut |key, _| {
        done += u64::from(key != COUNT);
        ControlFlow::Continue(())
    })?;
    let counted = number(&shop, DONE, COUNT)?.unwrap_or(0);
    if (done, counted) != (orders, orders) {
        return Err(format!("{done} of {orders} orders are done, and {counted} counted").into());
    }
    for order in (0..orders).map(Order::of) {
        sums.items[order.item as usize].ordered += order.quantity;
    }
    for (number, item) in (0..).zip(&mut sums.items) {
        item.in_stock = in_stock(&warehouse, number)?;
    }
    Ok(sums)
}

/// The orders that the events of a topic are about.
fn numbers(store: &dyn EventStore, topic: &str) -> Result<Vec<u64>, Fault> {
    let (mut found, mut fault) = (Vec::new(), None);
    store.scan(0, &mut |record| {
        if record.topic == topic {
            match Order::read(&record) {
                Ok(order) => found.push(order.number),
                Err(error) => {
                    fault = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    fault.map_or(Ok(found), Err)
}

/// Whether they are all there, once and in order.
fn once_each(found: &[u64], orders: u64) -> Result<(), String> {
    if let Some((expected, found)) = (0..).zip(found).find(|(expected, found)| expected != *found) {
        return Err(format!("in place of order {expected} there is order {found}"));
    }
    match found.len() as u64 {
        there if there == orders => Ok(()),
        there => Err(format!("there are {there} in place of {orders}")),
    }
}

impl Sums {
    /// Whether every unit is there.
    pub fn check(&self) -> Result<(), Fault> {
        for (number, item) in self.items.iter().enumerate() {
            let there = item.in_stock + item.ordered;
            if there != INITIAL {
                return Err(format!(
                    "of item {number} there were {INITIAL}, and in stock and ordered there are {there}"
                )
                .into());
            }
        }
        Ok(())
    }

    /// How much was ordered, and how much is in stock.
    pub fn total(&self) -> Item {
        let sum = |of: fn(&Item) -> u64| self.items.iter().map(of).sum();
        Item { ordered: sum(|item| item.ordered), in_stock: sum(|item| item.in_stock) }
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "item   at first    ordered   in stock")?;
        for (number, item) in self.items.iter().enumerate() {
            writeln!(f, "{number:>4}  {INITIAL:>9}  {:>9}  {:>9}", item.ordered, item.in_stock)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums() -> Sums {
        Sums { items: [Item { ordered: 7, in_stock: INITIAL - 7 }; ITEMS as usize] }
    }

    #[test]
    fn a_unit_that_is_missing_is_seen() {
        sums().check().unwrap();
        for (ordered, in_stock) in [(7, INITIAL - 8), (7, INITIAL - 6), (6, INITIAL - 7)] {
            let mut sums = sums();
            sums.items[3] = Item { ordered, in_stock };
            let why = sums.check().unwrap_err().to_string();
            assert!(why.starts_with("of item 3 there were 10000000, and"), "{why}");
        }
    }

    #[test]
    fn an_order_that_is_missing_or_there_twice_or_late_is_seen() {
        assert_eq!(once_each(&[0, 1, 2], 3), Ok(()));
        for wrong in [&[0, 1][..], &[0, 1, 1, 2], &[0, 2, 1], &[0, 1, 2, 2], &[]] {
            assert!(once_each(wrong, 3).is_err(), "{wrong:?}");
        }
    }
}
