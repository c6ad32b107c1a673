//! The board with a bug: one word is not that of `src/board.rs`.

use crate::sync::{AtomicU64, Ordering};

/// Written by the stages, each its own number; read by whoever asks.
#[derive(Debug)]
pub struct Board {
    available: AtomicU64,
    revenue: AtomicU64,
}

/// An answer. The revenue is never more than what has left the stock explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Units in stock.
    pub available: u64,
    /// What the units sold have brought in.
    pub revenue: u64,
}

impl Board {
    pub(crate) fn new(available: u64) -> Self {
        Self { available: AtomicU64::new(available), revenue: AtomicU64::new(0) }
    }

    /// The inventory stage says what is left.
    pub(crate) fn set_available(&self, units: u64) {
        // Relaxed: it is made visible by `add_revenue`, which the ring orders behind it.
        self.available.store(units, Ordering::Relaxed);
    }

    /// The revenue stage has recorded an order.
    pub(crate) fn add_revenue(&self, amount: u64) {
        // The ring has ordered this behind `set_available`: for the stages. Whoever asks is not on it.
        self.revenue.fetch_add(amount, Ordering::Relaxed);
    }

    /// Units in stock.
    pub fn available(&self) -> u64 {
        self.available.load(Ordering::Relaxed)
    }

    /// Both figures.
    pub fn figures(&self) -> Figures {
        // Acquire, and before the stock: see `add_revenue`.
        let revenue = self.revenue.load(Ordering::Acquire);
        Figures { available: self.available(), revenue }
    }
}
