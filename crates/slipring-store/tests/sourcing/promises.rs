//! The promises, each test called by its rows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use slipring_events::EventId;
use slipring_store::{
    Checkpoint, EventStore, Json, Memory,
    sourcing::{CommandError, Origin, ProjectionView, Projector, Settings, Stepped},
};

use crate::{
    bank::{Deposit, Open, Refusal, Withdraw},
    common::{Balances, Failure, LONG, accounts, events, failing, fold, shown},
};

/// Event sourcing and CQRS: what is decided follows from events, what is shown is made of them, and both agree.
#[test]
fn s23_state_follows_from_events_and_views_follow_them() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store).snapshots(10);
    let running = Projector::new(store.clone(), Balances::version(1), Json).start().unwrap();
    let mut random = fastrand::Rng::with_seed(23);
    let mut end = 0;
    for account in 0..5 {
        end = accounts.execute(&account.to_string(), &Open("Ada")).unwrap().end;
    }
    for _ in 0..500 {
        let (account, cents) = (random.u32(..5).to_string(), random.u64(1..100));
        let done = if random.bool() {
            accounts.execute(&account, &Deposit(cents))
        } else {
            accounts.execute(&account, &Withdraw(cents))
        };
        match done {
            Ok(done) => end = done.end,
            Err(error) => assert!(matches!(error, CommandError::Refused(Refusal::Overdrawn(_)))),
        }
    }
    running.wait_for(end, LONG).unwrap();
    let view = ProjectionView::of(store.clone(), "balances");
    for account in 0..5 {
        let loaded = accounts.load(&account.to_string()).unwrap();
        let (events, cents): (u64, i64) =
            view.get_as(format!("account-{account}")).unwrap().unwrap();
        assert_eq!((loaded.version, loaded.state.cents.cast_signed()), (events, cents));
        assert_eq!(loaded.state, accounts.replay(&account.to_string()).unwrap().state);
    }
    assert_eq!(shown(&*store, "balances@1"), fold(&*store));
}

/// A handler's result is stored with how far it has come: never one without the other.
#[test]
fn s41_a_result_is_stored_with_the_position_it_is_of() {
    for blow in [Failure::Before, Failure::After] {
        // Commit 0 opens the account, 1 pays in, 2 begins the projection, 3 is the first of its results.
        let store = failing([(3, blow)]);
        let accounts = accounts(&store);
        accounts.execute("7", &Open("Ada")).unwrap();
        accounts.execute("7", &Deposit(5)).unwrap();
        let projector = || Projector::new(store.clone(), Balances::version(1), Json);
        let mut first = projector().by_hand().unwrap();
        first.step().unwrap_err();
        let known = Checkpoint::named("balances@1").get(&store.inner).unwrap();
        let stored = shown(&store.inner, "balances@1");
        match blow {
            Failure::After => assert_eq!((known, stored), (Some(2), fold(&store.inner))),
            _ => assert_eq!((known, stored), (Some(0), vec![])),
        }
        let mut next = projector().by_hand().unwrap();
        next.catch_up().unwrap();
        assert_eq!(shown(&store.inner, "balances@1"), fold(&store.inner));
        assert_eq!(next.step().unwrap(), Stepped::Idle);
    }
}

/// Transactions over several aggregates: all or nothing, whatever fails, and nothing is seen of a half.
#[test]
fn s42_s51_a_transaction_is_done_whole_or_not_at_all() {
    for blow in [None, Some(Failure::Before), Some(Failure::After)] {
        let store = failing(blow.map(|blow| (3, blow)));
        let accounts = accounts(&store);
        for id in ["a", "b"] {
            accounts.execute(id, &Open("Ada")).unwrap();
        }
        accounts.execute("a", &Deposit(10)).unwrap();
        let origin = Origin::command(EventId::random());
        let transfer = |to: &str| {
            accounts.transact(&origin, |work| {
                work.execute(&accounts, "a", &Withdraw(4))?;
                work.put("transfers", b"last", to.as_bytes());
                work.execute(&accounts, to, &Deposit(4))
            })
        };
        // The second half is refused: nothing of the first has happened.
        let refused = transfer("nobody");
        assert!(matches!(refused, Err(CommandError::Refused(Refusal::NotOpen))));
        assert_eq!(store.value("transfers", b"last").unwrap(), None);
        assert_eq!(transfer("b").is_err(), blow.is_some());
        let done = transfer("b").unwrap();
        assert_eq!(
            (done.positions(), done.repeated),
            (3..5, !matches!(blow, Some(Failure::Before)))
        );
        let cents = |id| accounts.load(id).unwrap().state.cents;
        assert_eq!((cents("a"), cents("b")), (6, 4));
        assert_eq!(store.value("transfers", b"last").unwrap().as_deref(), Some(&b"b"[..]));
    }
}

/// Transfers among threads: money is conserved at any moment, and the sum of all is what it was.
#[test]
fn s42_s51_transactions_of_several_threads_conserve_what_they_move() {
    const ACCOUNTS: u64 = 4;
    let store = Arc::new(Memory::new());
    let accounts = Arc::new(accounts(&store).settings(Settings::default().retries(100_000)));
    for account in 0..ACCOUNTS {
        accounts.execute(&account.to_string(), &Open("Ada")).unwrap();
        accounts.execute(&account.to_string(), &Deposit(100)).unwrap();
    }
    let running = Projector::new(store.clone(), Balances::version(1), Json).start().unwrap();
    let moved = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            let (accounts, moved) = (accounts.clone(), moved.clone());
            thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..60 {
                    let (from, to) = (random.u64(..ACCOUNTS), random.u64(..ACCOUNTS));
                    let cents = random.u64(1..80);
                    let done = accounts.transact(&Origin::command(EventId::random()), |work| {
                        work.execute(&accounts, &from.to_string(), &Withdraw(cents))?;
                        work.execute(&accounts, &to.to_string(), &Deposit(cents))
                    });
                    match done {
                        Ok(done) => {
                            assert_eq!(done.events(), 2);
                            moved.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => assert!(matches!(error, CommandError::Refused(_)), "{error}"),
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let all: u64 =
        (0..ACCOUNTS).map(|id| accounts.load(&id.to_string()).unwrap().state.cents).sum();
    assert_eq!(all, ACCOUNTS * 100);
    let end = store.bounds().unwrap().end;
    assert_eq!(end, ACCOUNTS * 2 + moved.load(Ordering::SeqCst) * 2);
    running.wait_for(end, LONG).unwrap();
    let shown = shown(&*store, "balances@1");
    assert_eq!(shown, fold(&*store));
    assert_eq!(
        shown.iter().map(|(_, (_, cents))| cents).sum::<i64>(),
        ACCOUNTS.cast_signed() * 100
    );
}

/// A command is recorded after success, in the transaction of its events: one that failed is carried out when it comes
/// again, one that succeeded is not.
#[test]
fn s31_s44_a_command_is_recorded_with_its_success() {
    for blow in [Failure::Before, Failure::After] {
        let store = failing([(2, blow)]);
        let accounts = accounts(&store);
        let origin = Origin::command(EventId::random());
        // Refused: not recorded.
        assert!(matches!(
            accounts.execute_as("7", &Deposit(5), &origin),
            Err(CommandError::Refused(_))
        ));
        accounts.execute("7", &Open("Ada")).unwrap();
        accounts.execute("8", &Open("Bob")).unwrap();
        // Failed: recorded if it has happened, and only then.
        assert!(matches!(
            accounts.execute_as("7", &Deposit(5), &origin),
            Err(CommandError::Store(_))
        ));
        let done = accounts.execute_as("7", &Deposit(5), &origin).unwrap();
        assert_eq!(done.repeated, matches!(blow, Failure::After));
        assert_eq!(events(&*store, "account-7").len(), 2);
    }
}

/// No moment between looking and recording: another thread carries out the same command in between, and it counts once.
#[test]
fn t11_between_looking_and_recording_nobody_comes_in() {
    use std::sync::OnceLock;
    static ID: OnceLock<EventId> = OnceLock::new();
    fn rival(store: &Memory) {
        // The same command, at the last moment: the store below is the same one.
        let _ = store;
        RIVAL.get().expect("it is there")();
    }
    static RIVAL: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

    let id = *ID.get_or_init(EventId::random);
    let store = failing([]);
    store.rival_at(1, rival);
    let accounts = Arc::new(accounts(&store));
    accounts.execute("7", &Open("Ada")).unwrap();
    let other = accounts.clone();
    let told = RIVAL.set(Box::new(move || {
        let first = other.execute_as("7", &Deposit(5), &Origin::command(id)).unwrap();
        assert_eq!((first.repeated, first.positions()), (false, 1..2));
    }));
    assert!(told.is_ok());
    let second = accounts.execute_as("7", &Deposit(5), &Origin::command(id)).unwrap();
    assert_eq!((second.repeated, second.attempts, second.positions()), (true, 2, 1..2));
    assert_eq!(accounts.load("7").unwrap().state.cents, 5);
}

/// The same, with the other one between looking for the command and loading the account: what is loaded has the other's
/// event in it, and only the expectation that the command is not recorded tells.
#[test]
fn t11_what_is_loaded_after_the_other_one_is_not_decided_twice() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    accounts.execute("7", &Open("Ada")).unwrap();
    let origin = Origin::command(EventId::random());
    let mut calls = 0;
    let second = accounts.transact(&origin, |work| {
        calls += 1;
        let first = accounts.transact(&origin, |work| work.execute(&accounts, "7", &Deposit(5)));
        assert_eq!(first.unwrap().positions(), 1..2);
        work.execute(&accounts, "7", &Deposit(5))
    });
    let second = second.unwrap();
    assert_eq!((second.repeated, second.attempts, calls), (true, 2, 1));
    assert_eq!((second.positions(), accounts.load("7").unwrap().state.cents), (1..2, 5));
}
