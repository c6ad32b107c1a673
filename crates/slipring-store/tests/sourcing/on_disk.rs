//! The same on a disk: the program ends between any two steps, and the store is opened again.

use std::sync::Arc;

use slipring_events::EventId;
use slipring_store::{
    Durability, Embedded, Json,
    sourcing::{CommandError, Live, Origin, ProjectionView, Projector, Settings},
};

use crate::{
    bank::{Deposit, Open, Refusal, Withdraw},
    common::{Balances, LONG, accounts, count, fold, shown},
};

#[test]
fn commands_projections_and_versions_outlive_the_program() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("bank");
    let mut random = fastrand::Rng::with_seed(7);
    let (mut ids, mut cents) = (Vec::new(), [0_u64; 3]);
    for day in 0..12_u32 {
        let store = Arc::new(Embedded::open(&dir).unwrap());
        let settings = Settings::default().durability(Durability::Visible);
        let accounts = accounts(&store).snapshots(4).settings(settings);
        for account in 0..3 {
            let opened = accounts.execute(&account.to_string(), &Open("Ada"));
            assert_eq!(matches!(opened, Err(CommandError::Refused(Refusal::Open))), day > 0);
        }
        for _ in 0..8 {
            let (account, amount) = (random.usize(..3), random.u64(1..50));
            let origin = Origin::command(EventId::random());
            if cents[account] >= amount && random.bool() {
                accounts.execute_as(&account.to_string(), &Withdraw(amount), &origin).unwrap();
                cents[account] -= amount;
            } else {
                accounts.execute_as(&account.to_string(), &Deposit(amount), &origin).unwrap();
                cents[account] += amount;
            }
            ids.push((account, origin));
        }
        // Those of days before are still known.
        for (account, origin) in &ids {
            let again = accounts.execute_as(&account.to_string(), &Deposit(1), origin).unwrap();
            assert!(again.repeated && again.events() == 1);
        }
        for (account, cents) in cents.iter().enumerate() {
            let loaded = accounts.load(&account.to_string()).unwrap();
            assert_eq!(loaded.state.cents, *cents);
            assert_eq!(loaded.state, accounts.replay(&account.to_string()).unwrap().state);
        }
        // Each fourth day a new version begins; the steps of a day may not be enough for it.
        let version = 1 + day / 4;
        let mut steps = Projector::new(store.clone(), Balances::version(version), Json)
            .batch(9)
            .by_hand()
            .unwrap();
        for _ in 0..random.usize(1..6) {
            steps.step().unwrap();
        }
        let space = format!("balances@{version}");
        let applied: u64 = shown(&*store, &space).iter().map(|(_, (events, _))| events).sum();
        assert_eq!(applied, steps.position());
    }
    let store = Arc::new(Embedded::open(&dir).unwrap());
    Projector::new(store.clone(), Balances::version(3), Json)
        .by_hand()
        .unwrap()
        .catch_up()
        .unwrap();
    assert_eq!(shown(&*store, "balances@3"), fold(&*store));
    assert_eq!(count(&*store, "balances@1") + count(&*store, "balances@2"), 0);
    assert_eq!(ProjectionView::of(store.clone(), "balances").version().unwrap(), Some(3));
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn what_runs_in_threads_lets_go_of_the_store() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("bank");
    for day in 1..=3_u64 {
        let store = Arc::new(Embedded::open(&dir).unwrap());
        let accounts = accounts(&store);
        let balances = Projector::new(store.clone(), Balances::version(1), Json).start().unwrap();
        let known =
            Live::<crate::live::Known>::of(store.clone(), Json).snapshots("known", 2).start();
        let known = known.unwrap();
        let end = accounts.execute(&day.to_string(), &Open("Ada")).unwrap().end;
        balances.wait_for(end, LONG).unwrap();
        known.wait_for(end, LONG).unwrap();
        assert_eq!((known.read(|known| known.seen).unwrap(), end), (day, day));
        assert_eq!(shown(&*store, "balances@1"), fold(&*store));
        // Dropped without being stopped: the store is in use by nobody when it is opened again.
    }
}
