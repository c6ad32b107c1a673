//! What each service makes of the events in its store: with each step, what it has made and how far it has come are one
//! commit, so that nothing is counted twice and nothing is left out, whenever it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use slipring_store::{
    Batch, Checkpoint, Codec, Durability, Entry, EventStore, Json, Reach, Record, StoreError,
    Subscription,
};

use super::Fault;

/// What orders are called.
pub const PLACED: &str = "order.placed";
/// What the warehouse's answers are called.
pub const DEDUCTED: &str = "stock.deducted";

/// The space of the warehouse's stock: a value an item, and in `COUNT` how many orders are deducted.
pub const STOCK: &str = "stock";
/// The space of the orders that are done: a value an order, and in `COUNT` how many.
pub const DONE: &str = "done";
/// The key of how many.
pub const COUNT: &[u8] = b"count";

/// How many items there are, and of each how many at the beginning.
pub const ITEMS: u64 = 5;
pub const INITIAL: u64 = 10_000_000;

/// How many events go into one commit.
const STEP: u64 = 256;

/// An order, and what was deducted for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub number: u64,
    pub item: u64,
    pub quantity: u64,
}

impl Order {
    /// The order of that number, which anybody can tell who knows the number.
    pub fn of(number: u64) -> Self {
        Self { number, item: number * 7 % ITEMS, quantity: number % 9 + 1 }
    }

    /// The one that an event is about.
    pub fn read(record: &Record<'_>) -> Result<Self, Fault> {
        let order: Self = Json.decode(record)?;
        let expected = Self::of(order.number);
        if order == expected {
            Ok(order)
        } else {
            Err(format!("event {} says {order:?} in place of {expected:?}", record.position).into())
        }
    }

    pub fn bytes(&self) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        Json.encode(self, &mut bytes)?;
        Ok(bytes)
    }
}

/// A number that is a value of a store.
pub fn number(store: &dyn EventStore, space: &str, key: &[u8]) -> Result<Option<u64>, StoreError> {
    let value = store.value(space, key)?;
    Ok(value.and_then(|bytes| bytes.try_into().map(u64::from_be_bytes).ok()))
}

/// How much of an item there is.
pub fn in_stock(store: &dyn EventStore, item: u64) -> Result<u64, StoreError> {
    Ok(number(store, STOCK, &item.to_be_bytes())?.unwrap_or(INITIAL))
}

/// One that goes through the events of a topic.
pub struct Fold {
    store: Arc<dyn EventStore>,
    topic: &'static str,
    checkpoint: Checkpoint,
    subscription: Subscription,
    batch: Batch,
}

impl Fold {
    /// Goes on where it was.
    pub fn open(store: Arc<impl EventStore>, topic: &'static str) -> Result<Self, Fault> {
        let checkpoint = Checkpoint::named(format!("fold of {topic}"));
        let from = checkpoint.get(&*store)?.unwrap_or(0);
        // Only what is durable: it would be a pity to have deducted what was never ordered.
        let subscription = Subscription::new(store.clone(), from, Reach::Durable);
        Ok(Self { store, topic, checkpoint, subscription, batch: Batch::new() })
    }

    /// Waits for events, for so long at most, and makes of them what they are; all in one commit.
    pub fn step(&mut self, wait: Duration) -> Result<(), Fault> {
        let (mut found, mut fault) = (Vec::new(), None);
        let (topic, mut seen) = (self.topic, 0);
        self.subscription.next_within(wait, &mut |record| {
            seen += 1;
            if record.topic == topic {
                match Order::read(&record) {
                    Ok(order) => found.push((order, record.id)),
                    Err(error) => fault = Some(error),
                }
            }
            if fault.is_some() || seen == STEP {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        fault.map_or(Ok(()), Err)?;
        if seen == 0 {
            return Ok(());
        }
        self.batch.clear();
        if topic == PLACED {
            self.deduct(&found)?;
        } else {
            self.tick_off(&found)?;
        }
        self.checkpoint.put(&mut self.batch, self.subscription.position());
        self.store.commit(&self.batch, Durability::Synced)?;
        Ok(())
    }

    /// The warehouse: each order out of the stock, and an answer to it.
    fn deduct(&mut self, orders: &[(Order, slipring_events::EventId)]) -> Result<(), Fault> {
        let mut stock = BTreeMap::new();
        for (order, id) in orders {
            let left = match stock.get(&order.item) {
                Some(left) => *left,
                None => in_stock(&*self.store, order.item)?,
            };
            let left = left
                .checked_sub(order.quantity)
                .ok_or_else(|| format!("there is not enough for order {}", order.number))?;
            stock.insert(order.item, left);
            let bytes = order.bytes()?;
            self.batch.append(Entry::new(DEDUCTED, &bytes).following(*id, *id))?;
        }
        let deducted = number(&*self.store, STOCK, COUNT)?.unwrap_or(0) + orders.len() as u64;
        self.batch.put(STOCK, COUNT, &deducted.to_be_bytes());
        for (item, left) in stock {
            self.batch.put(STOCK, &item.to_be_bytes(), &left.to_be_bytes());
        }
        Ok(())
    }

    /// The order service: each order is done, and has not been before.
    fn tick_off(&mut self, orders: &[(Order, slipring_events::EventId)]) -> Result<(), Fault> {
        let (mut done, mut now) =
            (number(&*self.store, DONE, COUNT)?.unwrap_or(0), BTreeSet::new());
        for (order, _) in orders {
            let key = order.number.to_be_bytes();
            if self.store.value(DONE, &key)?.is_some() || !now.insert(key) {
                return Err(format!("order {} is done twice", order.number).into());
            }
            self.batch.put(DONE, &key, b"");
            done += 1;
        }
        self.batch.put(DONE, COUNT, &done.to_be_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipring_store::Memory;

    fn put(store: &Memory, topic: &str, numbers: &[u64]) {
        let mut batch = Batch::new();
        for number in numbers {
            let bytes = Order::of(*number).bytes().unwrap();
            batch.append(Entry::new(topic, &bytes)).unwrap();
        }
        store.commit(&batch, Durability::Synced).unwrap();
    }

    fn answers(store: &Memory) -> Vec<u64> {
        let mut numbers = Vec::new();
        store
            .scan(0, &mut |record| {
                if record.topic == DEDUCTED {
                    numbers.push(Order::read(&record).unwrap().number);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        numbers
    }

    #[test]
    fn each_order_is_deducted_once_however_often_the_fold_begins_anew() {
        let store = Arc::new(Memory::new());
        for numbers in [&[0, 1, 2][..], &[3], &[4, 5, 6, 7, 8, 9]] {
            put(&store, PLACED, numbers);
            let mut fold = Fold::open(store.clone(), PLACED).unwrap();
            // Its own answers are passed over.
            for _ in 0..3 {
                fold.step(Duration::ZERO).unwrap();
            }
        }
        assert_eq!(answers(&store), (0..10).collect::<Vec<_>>());
        for item in 0..ITEMS {
            let ordered: u64 =
                (0..10).map(Order::of).filter(|order| order.item == item).map(|o| o.quantity).sum();
            assert!(ordered > 0);
            assert_eq!(in_stock(&*store, item).unwrap(), INITIAL - ordered);
        }
    }

    #[test]
    fn a_step_takes_a_bounded_number_of_events() {
        let store = Arc::new(Memory::new());
        put(&store, PLACED, &(0..=STEP).collect::<Vec<_>>());
        let mut fold = Fold::open(store.clone(), PLACED).unwrap();
        fold.step(Duration::ZERO).unwrap();
        assert_eq!(answers(&store).len() as u64, STEP);
        fold.step(Duration::ZERO).unwrap();
        assert_eq!(answers(&store).len() as u64, STEP + 1);
    }

    #[test]
    fn an_order_that_is_done_twice_is_seen() {
        let store = Arc::new(Memory::new());
        put(&store, DEDUCTED, &[4, 5]);
        let mut fold = Fold::open(store.clone(), DEDUCTED).unwrap();
        fold.step(Duration::ZERO).unwrap();
        assert_eq!(number(&*store, DONE, COUNT).unwrap(), Some(2));
        put(&store, DEDUCTED, &[4]);
        let why = fold.step(Duration::ZERO).unwrap_err().to_string();
        assert_eq!(why, "order 4 is done twice");
        assert_eq!(number(&*store, DONE, COUNT).unwrap(), Some(2));

        let store = Arc::new(Memory::new());
        put(&store, DEDUCTED, &[6, 6]);
        let mut fold = Fold::open(store, DEDUCTED).unwrap();
        assert_eq!(fold.step(Duration::ZERO).unwrap_err().to_string(), "order 6 is done twice");
    }

    #[test]
    fn what_is_no_such_order_is_refused() {
        let store = Arc::new(Memory::new());
        let mut batch = Batch::new();
        batch.append(Entry::new(PLACED, r#"{"number":1,"item":2,"quantity":900}"#)).unwrap();
        store.commit(&batch, Durability::Synced).unwrap();
        let mut fold = Fold::open(store.clone(), PLACED).unwrap();
        let why = fold.step(Duration::ZERO).unwrap_err().to_string();
        assert!(why.starts_with("event 0 says"), "{why}");
        assert_eq!(in_stock(&*store, 2).unwrap(), INITIAL);
    }
}
