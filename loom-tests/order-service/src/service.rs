//! The ring, and the handles of those who use it.

use std::time::Duration;

use slipring::{
    BuildError, Builder, Dispatcher, MultiProducer, PublishError, Report, ShutdownError, poller,
    poller_mut, read, update,
};

use crate::{
    board::Board,
    stages::{Inventory, InventoryStage, Order, Revenue, RevenueStage},
    sync::Arc,
};

const INVENTORY: &str = "inventory";
const REVENUE: &str = "revenue";

/// Where orders come in: one for each thread.
#[derive(Clone, Debug)]
pub struct Gateway {
    orders: MultiProducer<Order>,
}

impl Gateway {
    /// Takes an order in; waits for room.
    ///
    /// # Errors
    /// If the service is closed.
    pub fn order(&mut self, units: u64) -> Result<(), PublishError> {
        self.orders.publish(|order| order.wanted = units).map(drop)
    }

    /// Takes an order in, if there is room.
    ///
    /// # Errors
    /// If there is not, or the service is closed.
    pub fn try_order(&mut self, units: u64) -> Result<(), PublishError> {
        self.orders.try_publish(|order| order.wanted = units).map(drop)
    }
}

/// The service from its opening to its end.
#[derive(Debug)]
pub struct Service {
    dispatcher: Dispatcher<Order>,
    board: Arc<Board>,
}

impl Service {
    /// Opens with a thread for each stage.
    ///
    /// # Errors
    /// If the capacity is not a power of two, or a thread cannot be had.
    pub fn open(capacity: usize, stock: u64) -> Result<(Gateway, Self), BuildError> {
        let (mut inventory, revenue, board) = stages(stock);
        let (orders, dispatcher) = Builder::with_defaults(capacity)
            .then(update(INVENTORY, move |order: &mut Order, _| inventory.deduct(order)))
            .then(read(REVENUE, move |order: &Order, _| revenue.record(order)))
            .start_multi()?;
        Ok((Gateway { orders }, Self { dispatcher, board }))
    }

    /// Opens with stages that the caller's threads run.
    ///
    /// # Errors
    /// If the capacity is not a power of two.
    ///
    /// # Panics
    /// Never: the pollers are the ring's.
    pub fn open_polled(
        capacity: usize,
        stock: u64,
    ) -> Result<(Gateway, Self, InventoryStage, RevenueStage), BuildError> {
        let (inventory, revenue, board) = stages(stock);
        let (orders, mut dispatcher) = Builder::with_defaults(capacity)
            .then(poller_mut(INVENTORY))
            .then(poller(REVENUE))
            .start_multi()?;
        let changed = dispatcher.poller_mut(INVENTORY).expect("it is declared above");
        let read = dispatcher.poller(REVENUE).expect("it is declared above");
        Ok((
            Gateway { orders },
            Self { dispatcher, board },
            InventoryStage { inventory, orders: changed },
            RevenueStage { revenue, orders: read },
        ))
    }

    /// Where the figures are, for those who ask.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Takes no more orders; those taken are handled.
    pub fn close(&self) {
        self.dispatcher.close();
    }

    /// Closes, and waits until every order is handled.
    ///
    /// # Errors
    /// If a stage has failed, or the time was up.
    pub fn shutdown(self, patience: Duration) -> Result<Report, ShutdownError> {
        self.dispatcher.shutdown(patience)
    }

    /// Waits until the gateways are dropped and every order is handled.
    ///
    /// # Errors
    /// If a stage has failed.
    pub fn join(self) -> Result<Report, ShutdownError> {
        self.dispatcher.join()
    }
}

fn stages(stock: u64) -> (Inventory, Revenue, Arc<Board>) {
    let board = Arc::new(Board::new(stock));
    (Inventory { stock, board: Arc::clone(&board) }, Revenue { board: Arc::clone(&board) }, board)
}
