//! A service: a store, an outbox, an inbox, and what it makes of what comes in.

use std::{
    io::{self, Read as _, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use slipring_bridge::{
    Connect, Inbox, InboxHandle, InboxState, IntoStore, Listen, Outbox, OutboxHandle, OutboxState,
    Pauses,
};
use slipring_events::Pattern;
use slipring_store::{Batch, Durability, Embedded, Entry, EventStore};

use super::{
    Args, Fault,
    folds::{COUNT, DEDUCTED, DONE, Fold, Order, PLACED, STOCK, number},
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Who {
    Orders,
    Warehouse,
}

/// The space of how many orders are placed.
const TAKEN: &str = "taken";

/// How many orders may be open before the shop takes no more for a while: so there is something to do at each kill.
const OPEN: u64 = 100;

/// How often the parent is told.
const TELL: Duration = Duration::from_millis(5);

/// How long a service takes for its farewell.
const FAREWELL: Duration = Duration::from_secs(3);

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Warehouse => "warehouse",
        }
    }

    /// The stream, or queue, that it sends to.
    pub fn sends(self) -> &'static str {
        match self {
            Self::Orders => "two-services-placed",
            Self::Warehouse => "two-services-deducted",
        }
    }

    /// The one that it hears.
    pub fn hears(self) -> &'static str {
        match self {
            Self::Orders => Self::Warehouse.sends(),
            Self::Warehouse => Self::Orders.sends(),
        }
    }

    /// What it says, and what it hears.
    const fn topics(self) -> (&'static str, &'static str) {
        match self {
            Self::Orders => (PLACED, DEDUCTED),
            Self::Warehouse => (DEDUCTED, PLACED),
        }
    }
}

/// What a service tells the parent now and then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How many orders are placed, or deducted: all durable.
    pub made: u64,
    /// How many orders are done.
    pub done: u64,
    /// How many parcels came in this run that were there already.
    pub twice: u64,
}

/// One that is about to run.
pub struct Service {
    pub who: Who,
    store: Arc<Embedded>,
    orders: u64,
}

/// Runs it until the pipe to the parent closes.
pub fn run(who: Who, args: &Args, home: &Path, url: &str) -> Result<(), Fault> {
    let store = Arc::new(Embedded::open(home.join(who.name()))?);
    args.broker.connect(url, Service { who, store, orders: args.orders })
}

impl Service {
    /// Between its two ends of the broker.
    pub fn run<C: Connect, L: Listen>(self, out: C, input: L) -> Result<(), Fault> {
        let (says, hears) = self.who.topics();
        // The broker comes back in a moment.
        let pauses = Pauses::between(Duration::from_millis(10), Duration::from_millis(500));
        let outbox = Outbox::builder(self.who.sends(), self.store.clone(), out)
            .topic(Pattern::new(says)?)
            .content_type("application/json")
            .pauses(pauses)
            .start()?;
        // Both lanes are heard from their first event on: whoever is killed before it has noted it, gets that one again,
        // maybe behind others, and is to wait for it.
        let inbox = Inbox::builder(
            self.who.hears(),
            input,
            IntoStore::new(self.who.hears(), self.store.clone())?,
        )
        .begin_after(Duration::from_mins(1))
        .pauses(pauses)
        .start()?;

        let is_over = Arc::new(AtomicBool::new(false));
        thread::spawn({
            let is_over = is_over.clone();
            move || {
                // An error is an end as well.
                let _ = io::stdin().read_to_end(&mut Vec::new());
                is_over.store(true, Ordering::Relaxed);
            }
        });
        let mut fold = Fold::open(self.store.clone(), hears)?;
        let folding = thread::spawn({
            let is_over = is_over.clone();
            move || -> Result<(), Fault> {
                while !is_over.load(Ordering::Relaxed) {
                    fold.step(Duration::from_millis(50))?;
                }
                Ok(())
            }
        });
        let worked = self.work(&is_over, &outbox, &inbox, || folding.is_finished());
        is_over.store(true, Ordering::Relaxed);
        folding.join().map_err(|_| "the fold has panicked")??;
        worked?;
        outbox.stop(FAREWELL);
        inbox.stop(FAREWELL);
        Ok(())
    }

    /// Takes orders, if it is the one that does, and tells how it goes.
    fn work(
        &self,
        is_over: &AtomicBool,
        outbox: &OutboxHandle,
        inbox: &InboxHandle,
        has_failed: impl Fn() -> bool,
    ) -> Result<(), Fault> {
        while !is_over.load(Ordering::Relaxed) && !has_failed() {
            let (out, taken) = (outbox.status()?, inbox.status());
            if let OutboxState::Halted(halt) = out.state {
                return Err(halt.into());
            }
            if let InboxState::Halted(halt) = taken.state {
                return Err(halt.into());
            }
            if out.set_aside > 0 || taken.dead > 0 {
                return Err(format!("{:?} {:?}", out.last_error, taken.last_error).into());
            }
            let count = |space| number(&*self.store, space, COUNT).map(Option::unwrap_or_default);
            let made = match self.who {
                Who::Orders => count(TAKEN)?,
                Who::Warehouse => count(STOCK)?,
            };
            let progress = Progress { made, done: count(DONE)?, twice: taken.duplicates };
            if tell(&progress).is_err() {
                // Nobody is there any more.
                return Ok(());
            }
            if self.who == Who::Orders {
                self.place(&progress)?;
            }
            thread::sleep(TELL);
        }
        Ok(())
    }

    /// A few orders; how many there are is in the same commit.
    fn place(&self, progress: &Progress) -> Result<(), Fault> {
        let placed = progress.made;
        let some = (placed + fastrand::u64(1..=16)).min(self.orders).min(progress.done + OPEN);
        if some <= placed {
            return Ok(());
        }
        let mut batch = Batch::new();
        for number in placed..some {
            batch.append(Entry::new(PLACED, &Order::of(number).bytes()?))?;
        }
        batch.put(TAKEN, COUNT, &some.to_be_bytes());
        self.store.commit(&batch, Durability::Synced)?;
        Ok(())
    }
}

fn tell(progress: &Progress) -> io::Result<()> {
    let mut line = serde_json::to_string(progress)?;
    line.push('\n');
    let mut to = io::stdout().lock();
    to.write_all(line.as_bytes())?;
    to.flush()
}
