//! Events that nothing was made of, yet.

use std::sync::{Arc, atomic::Ordering};

use slipring_store::{
    Batch, Checkpoint, Durability, Entry, EventStore, Json, Memory, Retention,
    sourcing::{Halt, OnFailure, Parked, Projector, RetryError, Steps, WaitError},
};

use crate::common::{Balances, LONG, fold, shown};

fn append(store: &Memory, account: u64, payload: &str) {
    let mut batch = Batch::new();
    let stream = format!("account-{account}");
    batch.append(Entry::new("account.deposited", payload).stream(&stream)).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
}

fn deposit(store: &Memory, account: u64, cents: u64) {
    append(store, account, &format!(r#"{{"Deposited":{{"cents":{cents}}}}}"#));
}

/// One that does not like 13 cents, until it is told otherwise.
fn fussy() -> Balances {
    let balances = Balances::version(1);
    balances.fails_at.store(13, Ordering::SeqCst);
    balances
}

fn steps(store: &Arc<Memory>, balances: &Balances, on_failure: OnFailure) -> Steps<Balances, Json> {
    Projector::new(store.clone(), balances.clone(), Json).on_failure(on_failure).by_hand().unwrap()
}

fn places(parked: &[Parked]) -> Vec<(u64, u32)> {
    parked.iter().map(|parked| (parked.position, parked.attempts)).collect()
}

#[test]
fn it_is_put_aside_with_its_reason_and_the_rest_goes_on() {
    let store = Arc::new(Memory::new());
    let balances = fussy();
    deposit(&store, 0, 1);
    deposit(&store, 0, 13);
    deposit(&store, 1, 2);
    append(&store, 1, "{");
    deposit(&store, 0, 4);
    let mut one = steps(&store, &balances, OnFailure::Park);
    one.catch_up().unwrap();
    assert_eq!(one.position(), 5);
    let all = one.parked().unwrap();
    assert_eq!(places(&all), [(1, 1), (3, 1)]);
    assert_eq!(all[0].reason, "I do not like that amount");
    assert!(all[1].reason.starts_with("event 3 (`account.deposited`, form 0) cannot be read"));
    assert_eq!(
        (all[0].topic.as_str(), all[0].stream.as_deref()),
        ("account.deposited", Some("account-0"))
    );
    assert_eq!(all[0].id, slipring_events::EventId::of(store.source(), 1));
    // What it had put before it failed is dropped.
    let expected = [("account-0".into(), (2, 5)), ("account-1".into(), (1, 2))];
    assert_eq!(shown(&*store, "balances@1"), expected);

    // It is still there for the next one, which fails again, and counts.
    drop(one);
    let mut next = steps(&store, &balances, OnFailure::Park);
    let failed = next.retry(1).unwrap_err();
    let RetryError::Failed { attempts: 2, reason } = failed else { panic!("{failed}") };
    assert_eq!(&*reason, "I do not like that amount");
    assert_eq!(places(&next.parked().unwrap()), [(1, 2), (3, 1)]);
    assert!(matches!(next.retry(2), Err(RetryError::NotParked(2))));

    balances.fails_at.store(u64::MAX, Ordering::SeqCst);
    next.retry(1).unwrap();
    assert!(matches!(next.retry(1), Err(RetryError::NotParked(1))), "it counts once");
    assert_eq!(shown(&*store, "balances@1")[0].1, (3, 18));
    assert_eq!(next.retry_all().unwrap(), 0);
    assert_eq!(places(&next.parked().unwrap()), [(3, 2)]);
    assert_eq!(next.purge(3).unwrap().attempts, 2);
    assert!(matches!(next.purge(3), Err(RetryError::NotParked(3))));
    assert_eq!(next.parked().unwrap(), []);
}

#[test]
fn of_a_stream_all_that_comes_later_waits_and_is_applied_in_order() {
    let store = Arc::new(Memory::new());
    let balances = fussy();
    for (account, cents) in [(0, 1), (0, 13), (1, 2), (0, 3), (1, 4)] {
        deposit(&store, account, cents);
    }
    let mut one = steps(&store, &balances, OnFailure::ParkStream);
    one.catch_up().unwrap();
    assert_eq!(places(&one.parked().unwrap()), [(1, 1), (3, 0)]);
    let expected = [("account-0".into(), (1, 1)), ("account-1".into(), (2, 6))];
    assert_eq!(shown(&*store, "balances@1"), expected);

    // Also for the next one.
    drop(one);
    let mut next = steps(&store, &balances, OnFailure::ParkStream);
    deposit(&store, 0, 5);
    deposit(&store, 1, 6);
    next.catch_up().unwrap();
    assert_eq!(places(&next.parked().unwrap()), [(1, 1), (3, 0), (5, 0)]);
    assert!(matches!(next.retry(3), Err(RetryError::Behind { first: 1 })));
    assert_eq!(next.retry_all().unwrap(), 0, "the first one is in the way of the others");
    assert_eq!(places(&next.parked().unwrap()), [(1, 2), (3, 0), (5, 0)]);

    balances.fails_at.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(next.retry_all().unwrap(), 3);
    deposit(&store, 0, 7);
    next.catch_up().unwrap();
    assert_eq!(next.parked().unwrap(), []);
    assert_eq!(shown(&*store, "balances@1"), fold(&*store));
}

#[test]
fn without_the_first_one_the_others_of_its_stream_can_be_retried() {
    let store = Arc::new(Memory::new());
    let balances = fussy();
    for cents in [13, 3, 4] {
        deposit(&store, 0, cents);
    }
    let mut one = steps(&store, &balances, OnFailure::ParkStream);
    one.catch_up().unwrap();
    one.purge(0).unwrap();
    assert_eq!(one.retry_all().unwrap(), 2);
    assert_eq!(shown(&*store, "balances@1"), [("account-0".into(), (2, 7))]);
}

#[test]
fn what_is_parked_is_not_removed_by_retention() {
    let store = Arc::new(Memory::new());
    let balances = fussy();
    for cents in [1, 13, 13, 2] {
        deposit(&store, 0, cents);
    }
    let mut one = steps(&store, &balances, OnFailure::Park);
    one.catch_up().unwrap();
    let now = slipring_events::Clock::now(&slipring_events::SystemClock);
    let retain = || {
        let removed = store.retain(&Retention::everything().events(0), now).unwrap();
        (removed.first, removed.held_by)
    };
    assert_eq!(retain(), (1, Some("balances@1!parked".into())));
    balances.fails_at.store(u64::MAX, Ordering::SeqCst);
    one.retry(1).unwrap();
    assert_eq!(retain(), (2, Some("balances@1!parked".into())));
    one.retry(2).unwrap();
    assert_eq!(retain(), (4, None));
    assert_eq!(shown(&*store, "balances@1"), [("account-0".into(), (4, 29))]);
    let names: Vec<_> = Checkpoint::all(&*store).unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["balances@1"]);
}

#[test]
fn when_too_many_are_parked_it_halts() {
    let store = Arc::new(Memory::new());
    (0..9).for_each(|_| deposit(&store, 0, 13));
    for batch in [1, 100] {
        let store = store.clone();
        let mut one = Projector::new(store, Balances { version: batch, ..fussy() }, Json)
            .on_failure(OnFailure::Park)
            .most_parked(4)
            .batch(batch as usize)
            .by_hand()
            .unwrap();
        assert!(matches!(one.catch_up(), Err(Halt::TooManyParked { most: 4 })));
        assert_eq!((one.position(), one.parked().unwrap().len()), (4, 4));
    }
}

#[test]
fn while_it_runs_they_are_listed_retried_and_purged() {
    let store = Arc::new(Memory::new());
    let balances = fussy();
    for cents in [13, 1, 13] {
        deposit(&store, 0, cents);
    }
    let running = Projector::new(store.clone(), balances.clone(), Json)
        .on_failure(OnFailure::Park)
        .start()
        .unwrap();
    running.wait_for(3, LONG).unwrap();
    assert_eq!(places(&running.parked().unwrap()), [(0, 1), (2, 1)]);
    assert_eq!(running.status().unwrap().parked, 2);
    assert_eq!(running.purge(2).unwrap().position, 2);
    balances.fails_at.store(u64::MAX, Ordering::SeqCst);
    running.retry(0).unwrap();
    assert_eq!(running.retry_all().unwrap(), 0);
    deposit(&store, 0, 2);
    running.wait_for(4, LONG).unwrap();
    assert_eq!(running.status().unwrap().parked, 0);
    assert_eq!(shown(&*store, "balances@1"), [("account-0".into(), (3, 16))]);
    running.stop().unwrap();
}

#[test]
fn a_panic_while_it_is_retried_is_told_and_it_stays() {
    let store = Arc::new(Memory::new());
    let balances = fussy();
    deposit(&store, 0, 13);
    let mut one = steps(&store, &balances, OnFailure::Park);
    one.catch_up().unwrap();
    let mut other = steps(&store, &Balances { panics_at: 13, ..balances }, OnFailure::Park);
    let panicked = other.retry(0).unwrap_err();
    assert!(matches!(panicked, RetryError::Halt(Halt::Panicked { position: 0, .. })), "{panicked}");
    assert_eq!(places(&other.parked().unwrap()), [(0, 1)]);
    assert_eq!(shown(&*store, "balances@1"), []);
}

#[test]
fn what_another_runs_is_not_retried() {
    let store = Arc::new(Memory::new());
    let balances = fussy();
    deposit(&store, 0, 13);
    let mut one = steps(&store, &balances, OnFailure::Park);
    one.catch_up().unwrap();
    let mut other = steps(&store, &balances, OnFailure::Park);
    deposit(&store, 0, 1);
    other.catch_up().unwrap();
    balances.fails_at.store(u64::MAX, Ordering::SeqCst);
    assert!(matches!(one.retry(0), Err(RetryError::Halt(Halt::RunTwice))));
    assert_eq!(places(&other.parked().unwrap()), [(0, 1)]);
    let running = Projector::new(store.clone(), balances, Json).start().unwrap();
    assert!(matches!(running.wait_for(9, std::time::Duration::ZERO), Err(WaitError::Late { .. })));
}
