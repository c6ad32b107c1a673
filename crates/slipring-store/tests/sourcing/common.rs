//! What the tests share: stores that fail, and what is made of the bank's events.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use slipring_store::{
    EventStore, Json, Memory, Record,
    sourcing::{Fault, Projection, Repository, Values},
};

use crate::bank::{Account, AccountEvent, Deposited, Opened, Withdrawn};

/// What waiting must not take; it decides nothing.
pub const LONG: Duration = Duration::from_mins(1);

pub type Accounts = Repository<Account, Json>;

pub fn accounts(store: &Arc<impl EventStore>) -> Accounts {
    Repository::new(store.clone(), Json)
}

pub fn opened(owner: &str) -> AccountEvent {
    Opened { owner: owner.into() }.into()
}

pub fn deposited(cents: u64) -> AccountEvent {
    Deposited { cents }.into()
}

pub fn withdrawn(cents: u64) -> AccountEvent {
    Withdrawn { cents }.into()
}

#[path = "../common/mod.rs"]
mod shared;

pub use shared::{
    failing::{Failing, Failure},
    until,
};

/// A store whose commits of these numbers fail.
pub fn failing(plan: impl IntoIterator<Item = (u64, Failure)>) -> Arc<Failing<Memory>> {
    let store = Failing::new(Memory::new());
    plan.into_iter().for_each(|(nth, failure)| store.fail_commit(nth, failure));
    store
}

/// What is on each account, and how many events were applied. An event applied twice, or left out, is in the numbers.
#[derive(Clone, Debug)]
pub struct Balances {
    pub version: u32,
    /// Cents at which it panics.
    pub panics_at: u64,
    /// Cents that it does not like.
    pub fails_at: Arc<AtomicU64>,
}

impl Balances {
    pub fn version(version: u32) -> Self {
        Self { version, panics_at: u64::MAX, fails_at: Arc::new(AtomicU64::new(u64::MAX)) }
    }
}

impl Projection for Balances {
    type Event = AccountEvent;

    fn name(&self) -> &'static str {
        "balances"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn apply(
        &self,
        event: &AccountEvent,
        record: &Record<'_>,
        values: &mut Values<'_>,
    ) -> Result<(), Fault> {
        let stream = record.stream.ok_or("it is in no stream")?.name;
        let (events, cents): (u64, i64) = values.get_as(stream)?.unwrap_or_default();
        // Put before it fails: to be dropped.
        values.put_as(stream, &(events + 1000, cents))?;
        let all: u64 = values.get_as("all")?.unwrap_or_default();
        values.put_as("all", &(all + 1))?;
        let more = match event {
            AccountEvent::Opened(_) => 0,
            AccountEvent::Deposited(Deposited { cents }) => cents.cast_signed(),
            AccountEvent::Withdrawn(Withdrawn { cents }) => -cents.cast_signed(),
        };
        assert!(more.unsigned_abs() != self.panics_at, "no such amount: {more}");
        if more.unsigned_abs() == self.fails_at.load(Ordering::SeqCst) {
            return Err("I do not like that amount".into());
        }
        values.put_as(stream, &(events + 1, cents + more))
    }
}

/// What `Balances` should have, by a plain fold over all that is in the store.
pub fn fold(store: &dyn EventStore) -> Vec<(String, (u64, i64))> {
    use slipring_store::Codec;
    let mut all = std::collections::BTreeMap::<String, (u64, i64)>::new();
    store
        .scan(0, &mut |record| {
            let place = all.entry(record.stream.unwrap().name.to_owned()).or_default();
            place.0 += 1;
            place.1 += match Codec::<AccountEvent>::decode(&Json, &record).unwrap() {
                AccountEvent::Opened(_) => 0,
                AccountEvent::Deposited(Deposited { cents }) => cents.cast_signed(),
                AccountEvent::Withdrawn(Withdrawn { cents }) => -cents.cast_signed(),
            };
            ControlFlow::Continue(())
        })
        .unwrap();
    all.into_iter().collect()
}

/// What is in a space, but for the sum.
pub fn shown(store: &dyn EventStore, space: &str) -> Vec<(String, (u64, i64))> {
    let mut all = Vec::new();
    store
        .values(space, b"", &mut |key, value| {
            if key != b"all" {
                let key = String::from_utf8(key.to_vec()).unwrap();
                all.push((key, postcard::from_bytes(value).unwrap()));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    all
}

/// How many values are in a space.
pub fn count(store: &dyn EventStore, space: &str) -> usize {
    let mut count = 0;
    store
        .values(space, b"", &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    count
}

/// All events of a stream.
pub fn events(store: &dyn EventStore, stream: &str) -> Vec<AccountEvent> {
    use slipring_store::Codec;
    let mut all = Vec::new();
    store
        .stream(stream, 0, &mut |record| {
            all.push(Json.decode(&record).unwrap());
            ControlFlow::Continue(())
        })
        .unwrap();
    all
}
