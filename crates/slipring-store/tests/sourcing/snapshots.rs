//! Snapshots spare reading, and are never needed.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use slipring_store::{
    Batch, Durability, EventStore, Json, Memory, Retention, StoreError,
    sourcing::{Aggregate, Decide, LoadError, Repository, SNAPSHOTS},
};

use crate::{
    bank::{Account, AccountEvent, Deposit, Open, Refusal, Withdraw},
    common::{Failure, accounts, failing},
};

fn hash(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_snapshot_and_the_rest_are_all_events(
        amounts in prop::collection::vec(1..100_u64, 0..40),
        intervals in prop::collection::vec(1..9_u64, 1..5),
    ) {
        let store = Arc::new(Memory::new());
        // Several programs, each with an interval of its own, take turns.
        let all: Vec<_> = intervals.iter().map(|every| accounts(&store).snapshots(*every)).collect();
        all[0].execute("7", &Open("Ada")).unwrap();
        for (at, amount) in amounts.iter().enumerate() {
            let accounts = &all[at % all.len()];
            // Some are refused.
            let _ = accounts.execute("7", &Withdraw(amount * 3));
            accounts.execute("7", &Deposit(*amount)).unwrap();
            let (loaded, replayed) = (accounts.load("7").unwrap(), accounts.replay("7").unwrap());
            prop_assert_eq!(hash(&loaded.state), hash(&replayed.state));
            prop_assert_eq!((loaded.version, loaded.position), (replayed.version, replayed.position));
            prop_assert_eq!(replayed.snapshot, None);
        }
        let last = all[0].load("7").unwrap();
        let most = intervals.iter().max().unwrap();
        if last.version >= *most * all.len() as u64 {
            prop_assert!(last.snapshot.is_some());
        }
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
        let store = Arc::new(Memory::new());
        let accounts = accounts(&store).snapshots(2);
        accounts.execute("7", &Open("Ada")).unwrap();
        accounts.execute("7", &Deposit(5)).unwrap();
        let whole = store.value(SNAPSHOTS, b"account-7").unwrap().unwrap();
        let mut flipped = whole.clone();
        flipped[flip.index(whole.len())] ^= 1;
        let cut = &whole[..cut.index(whole.len())];
        for (number, odd) in [&bytes[..], cut, &flipped].into_iter().enumerate() {
            put(&*store, odd);
            prop_assert_eq!(accounts.load("7").unwrap().state.cents, 5);
            let report = accounts.snapshot_report();
            prop_assert_eq!((report.unreadable, report.used), (number as u64 + 1, 0), "{:?}", odd);
        }
    }
}

fn put(store: &dyn EventStore, bytes: &[u8]) {
    let mut batch = Batch::new();
    batch.put(SNAPSHOTS, b"account-7", bytes);
    store.commit(&batch, Durability::Synced).unwrap();
}

#[test]
fn one_is_taken_every_so_many_events() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store).snapshots(3);
    accounts.execute("7", &Open("Ada")).unwrap();
    let used: Vec<_> = (0..8)
        .map(|_| {
            accounts.execute("7", &Deposit(1)).unwrap();
            accounts.load("7").unwrap().snapshot
        })
        .collect();
    let expected = [None, Some(3), Some(3), Some(3), Some(6), Some(6), Some(6), Some(9)];
    assert_eq!(used, expected);
    assert_eq!(accounts.snapshot_report().taken, 3);
}

#[test]
fn it_goes_with_the_commit_or_not_at_all() {
    for blow in [Failure::Before, Failure::After] {
        let store = failing([(1, blow)]);
        let accounts = accounts(&store).snapshots(2);
        accounts.execute("7", &Open("Ada")).unwrap();
        accounts.execute("7", &Deposit(5)).unwrap_err();
        let loaded = accounts.load("7").unwrap();
        let there = matches!(blow, Failure::After);
        assert_eq!(
            (loaded.state.cents, loaded.snapshot),
            if there { (5, Some(2)) } else { (0, None) }
        );
        assert_eq!(accounts.snapshot_report().taken, 0, "nobody knows that it was");
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct NewAccount {
    cents: u64,
    deposits: u32,
}

impl Aggregate for NewAccount {
    const KIND: &'static str = "account";
    const SCHEMA: u16 = 1;
    type Event = AccountEvent;
    type Error = Refusal;
    type Services = ();

    fn apply(&mut self, event: &AccountEvent) {
        if let AccountEvent::Deposited(deposited) = event {
            self.cents += deposited.cents;
            self.deposits += 1;
        }
    }
}

impl Decide<Deposit> for NewAccount {
    fn decide(&self, command: &Deposit, (): &()) -> Result<Vec<AccountEvent>, Refusal> {
        Ok(vec![crate::common::deposited(command.0)])
    }
}

#[test]
fn one_of_an_older_schema_is_left_aside_and_replaced() {
    let store = Arc::new(Memory::new());
    let old = accounts(&store).snapshots(2);
    old.execute("7", &Open("Ada")).unwrap();
    old.execute("7", &Deposit(5)).unwrap();
    let new = Repository::<NewAccount, _>::new(store.clone(), Json).snapshots(2);
    let loaded = new.load("7").unwrap();
    assert_eq!((loaded.state, loaded.snapshot), (NewAccount { cents: 5, deposits: 1 }, None));
    assert_eq!(new.snapshot_report().outdated, 1);
    new.execute("7", &Deposit(1)).unwrap();
    let loaded = new.load("7").unwrap();
    assert_eq!((loaded.state, loaded.snapshot), (NewAccount { cents: 6, deposits: 2 }, Some(3)));
    // And the other way round.
    assert_eq!(old.load("7").unwrap().state.cents, 6);
    assert_eq!(old.snapshot_report().outdated, 1);
}

#[test]
fn one_that_is_ahead_of_its_stream_is_not_believed() {
    let (store, other) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
    let (here, there) = (accounts(&store).snapshots(2), accounts(&other).snapshots(2));
    for accounts in [&here, &there] {
        accounts.execute("7", &Open("Ada")).unwrap();
    }
    there.execute("7", &Deposit(5)).unwrap();
    put(&*store, &other.value(SNAPSHOTS, b"account-7").unwrap().unwrap());
    assert_eq!(here.load("7").unwrap().state.cents, 0);
    here.execute("7", &Deposit(1)).unwrap();
    assert_eq!(here.load("7").unwrap().state.cents, 1);
    assert_eq!(here.snapshot_report().ahead, 2);
}

#[test]
fn with_one_the_events_before_it_may_go() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store).snapshots(3);
    accounts.execute("7", &Open("Ada")).unwrap();
    for _ in 0..5 {
        accounts.execute("7", &Deposit(1)).unwrap();
    }
    let now = slipring_events::Clock::now(&slipring_events::SystemClock);
    store.retain(&Retention::everything().events(0), now).unwrap();
    assert_eq!(store.bounds().unwrap().first, 6);
    let loaded = accounts.load("7").unwrap();
    assert_eq!((loaded.state.cents, loaded.version, loaded.position), (5, 6, 6));
    let done = accounts.execute("7", &Deposit(1)).unwrap();
    assert_eq!(done.positions(), 6..7);
    // Without it they are missed, and that is said.
    put(&*store, b"gone");
    let lost = accounts.load("7");
    assert!(matches!(lost, Err(LoadError::Store(StoreError::Removed { asked: 0, first: 6 }))));
}

#[test]
fn a_state_without_a_form_is_counted() {
    #[derive(Default, Deserialize)]
    struct Odd;
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    impl Aggregate for Odd {
        const KIND: &'static str = "account";
        type Event = AccountEvent;
        type Error = Refusal;
        type Services = ();
        fn apply(&mut self, _: &AccountEvent) {}
    }
    impl Decide<Open> for Odd {
        fn decide(&self, command: &Open, (): &()) -> Result<Vec<AccountEvent>, Refusal> {
            Account::default().decide(command, &())
        }
    }
    let store = Arc::new(Memory::new());
    let odd = Repository::<Odd, _>::new(store.clone(), Json).snapshots(1);
    odd.execute("7", &Open("Ada")).unwrap();
    let report = odd.snapshot_report();
    assert_eq!((report.unwritable, report.taken), (1, 0));
    assert_eq!(store.value(SNAPSHOTS, b"account-7").unwrap(), None);
}
