//! What each stage does with an order, on whichever thread.

use slipring::{Fault, Poll, Poller, PollerMut};

use crate::{board::Board, sync::Arc};

/// What a unit costs.
pub const PRICE: u64 = 5;

#[derive(Debug, Default)]
pub(crate) struct Order {
    pub(crate) wanted: u64,
    /// What the stock had of it.
    filled: u64,
}

/// The stock, which only its stage touches.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) stock: u64,
    pub(crate) board: Arc<Board>,
}

impl Inventory {
    pub(crate) fn deduct(&mut self, order: &mut Order) {
        order.filled = order.wanted.min(self.stock);
        self.stock -= order.filled;
        self.board.set_available(self.stock);
    }
}

#[derive(Debug)]
pub(crate) struct Revenue {
    pub(crate) board: Arc<Board>,
}

impl Revenue {
    pub(crate) fn record(&self, order: &Order) {
        self.board.add_revenue(order.filled * PRICE);
    }
}

/// The inventory stage, for a thread of the caller's.
#[derive(Debug)]
pub struct InventoryStage {
    pub(crate) inventory: Inventory,
    pub(crate) orders: PollerMut<Order>,
}

impl InventoryStage {
    /// Handles the orders that are there.
    ///
    /// # Errors
    /// If a stage has failed.
    pub fn poll(&mut self) -> Result<Poll, Fault> {
        self.orders.poll(|order, _| self.inventory.deduct(order))
    }
}

/// The revenue stage, for a thread of the caller's.
#[derive(Debug)]
pub struct RevenueStage {
    pub(crate) revenue: Revenue,
    pub(crate) orders: Poller<Order>,
}

impl RevenueStage {
    /// Handles the orders that have passed the inventory.
    ///
    /// # Errors
    /// If a stage has failed.
    pub fn poll(&mut self) -> Result<Poll, Fault> {
        self.orders.poll(|order, _| self.revenue.record(order))
    }
}
