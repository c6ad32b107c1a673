//! Commands that come again.

use std::{ops::ControlFlow, sync::Arc, thread, time::Duration};

use slipring_events::{EventId, ManualClock, Time};
use slipring_store::{
    Batch, Durability, EventStore, Memory, Retention,
    sourcing::{COMMANDS, CommandError, Origin, Settings},
};

use crate::{
    bank::{Deposit, Open, Refusal, Withdraw},
    common::{accounts, count},
};

#[test]
fn a_command_that_comes_again_returns_what_the_first_did() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    accounts.execute("7", &Open("Ada")).unwrap();
    let origin = Origin::command(EventId::random());
    let first = accounts.execute_as("7", &Deposit(5), &origin).unwrap();
    accounts.execute("7", &Withdraw(5)).unwrap();
    for _ in 0..3 {
        let again = accounts.execute_as("7", &Deposit(5), &origin).unwrap();
        assert_eq!((again.repeated, again.positions()), (true, first.positions()));
    }
    // The same id for another aggregate is another command, and so is another id.
    accounts.execute_as("8", &Open("Bob"), &origin).unwrap();
    accounts.execute_as("7", &Deposit(5), &Origin::command(EventId::random())).unwrap();
    assert_eq!(accounts.load("7").unwrap().state.cents, 5);
    assert_eq!(store.bounds().unwrap().end, 5);
}

#[test]
fn one_that_led_to_nothing_comes_again_as_nothing() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    accounts.execute("7", &Open("Ada")).unwrap();
    let origin = Origin::command(EventId::random());
    let first = accounts.execute_as("7", &Deposit(0), &origin).unwrap();
    assert_eq!((first.repeated, first.positions()), (false, 1..1));
    accounts.execute("7", &Deposit(3)).unwrap();
    let again = accounts.execute_as("7", &Deposit(0), &origin).unwrap();
    assert_eq!((again.repeated, again.positions()), (true, 1..1));
    // Without an id, there is nothing to be recorded.
    let end = accounts.execute("7", &Deposit(0)).unwrap().end;
    assert_eq!((end, count(&*store, COMMANDS)), (2, 1));
}

#[test]
fn one_that_was_refused_is_decided_again() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    accounts.execute("7", &Open("Ada")).unwrap();
    let origin = Origin::command(EventId::random());
    let refused = accounts.execute_as("7", &Withdraw(5), &origin);
    assert!(matches!(refused, Err(CommandError::Refused(Refusal::Overdrawn(0)))));
    accounts.execute("7", &Deposit(5)).unwrap();
    assert!(!accounts.execute_as("7", &Withdraw(5), &origin).unwrap().repeated);
    assert!(accounts.execute_as("7", &Withdraw(5), &origin).unwrap().repeated);
}

#[test]
fn a_transaction_that_comes_again_is_not_even_asked() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    for id in ["a", "b"] {
        accounts.execute(id, &Open("Ada")).unwrap();
    }
    let origin = Origin::command(EventId::random());
    let mut calls = 0;
    let mut send = || {
        accounts.transact(&origin, |work| {
            calls += 1;
            work.execute(&accounts, "a", &Deposit(0))?; // Nothing comes of it.
            work.execute(&accounts, "b", &Deposit(2))?;
            work.execute(&accounts, "b", &Withdraw(1))?;
            work.execute(&accounts, "a", &Deposit(1))
        })
    };
    let (first, again) = (send().unwrap(), send().unwrap());
    assert_eq!((first.repeated, first.positions()), (false, 2..5));
    assert_eq!((again.repeated, again.positions()), (true, 2..5));
    assert_eq!(calls, 1);
}

#[test]
fn commands_are_forgotten_after_their_time_and_not_before() {
    let store = Arc::new(Memory::new());
    let clock = Arc::new(ManualClock::default());
    let hour = Duration::from_hours(1);
    let settings = Settings::default().remember_for(hour).clock(clock.clone());
    let accounts = accounts(&store).settings(settings);
    accounts.execute("7", &Open("Ada")).unwrap();
    let early = Origin::command(EventId::random());
    accounts.execute_as("7", &Deposit(1), &early).unwrap();
    clock.advance(hour);
    // Looked for at each 64th: not older than an hour yet.
    for _ in 0..200 {
        accounts.execute_as("7", &Deposit(1), &Origin::command(EventId::random())).unwrap();
    }
    assert!(accounts.execute_as("7", &Deposit(1), &early).unwrap().repeated);
    assert_eq!((count(&*store, COMMANDS), count(&*store, "commands.by_time")), (201, 201));
    clock.advance(Duration::from_nanos(1));
    for _ in 0..64 {
        accounts.execute_as("7", &Deposit(1), &Origin::command(EventId::random())).unwrap();
    }
    assert_eq!((count(&*store, COMMANDS), count(&*store, "commands.by_time")), (264, 264));
    // However many there are, they go faster than they come.
    clock.advance(hour * 2);
    for _ in 0..128 {
        accounts.execute_as("7", &Deposit(1), &Origin::command(EventId::random())).unwrap();
    }
    assert_eq!((count(&*store, COMMANDS), count(&*store, "commands.by_time")), (128, 128));
    assert!(!accounts.execute_as("7", &Deposit(1), &early).unwrap().repeated);
}

#[test]
fn one_that_was_forgotten_and_carried_out_anew_is_known_by_its_new_time() {
    let store = Arc::new(Memory::new());
    let clock = Arc::new(ManualClock::default());
    clock.set(Time::from_nanos(1_000_000));
    let settings = Settings::default().remember_for(Duration::from_micros(500)).clock(clock);
    let accounts = accounts(&store).settings(settings);
    accounts.execute("7", &Open("Ada")).unwrap();
    let origin = Origin::command(EventId::random());
    accounts.execute_as("7", &Deposit(1), &origin).unwrap();
    // What somebody sees who has looked for what is old before it was forgotten: its former time.
    let mut key = Vec::new();
    let _ = store.values(COMMANDS, b"", &mut |found, _| {
        key = [&1_u64.to_be_bytes()[..], found].concat();
        ControlFlow::Break(())
    });
    let mut batch = Batch::new();
    batch.put("commands.by_time", &key, b"");
    store.commit(&batch, Durability::Synced).unwrap();
    for _ in 0..64 {
        accounts.execute_as("7", &Deposit(1), &Origin::command(EventId::random())).unwrap();
    }
    assert_eq!(store.value("commands.by_time", &key).unwrap(), None);
    assert!(accounts.execute_as("7", &Deposit(1), &origin).unwrap().repeated);
}

#[test]
fn one_whose_events_were_removed_is_still_known() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store).snapshots(1);
    accounts.execute("7", &Open("Ada")).unwrap();
    let origin = Origin::command(EventId::random());
    accounts.execute_as("7", &Deposit(5), &origin).unwrap();
    accounts.execute("7", &Deposit(1)).unwrap();
    let clock = slipring_events::SystemClock;
    let now = slipring_events::Clock::now(&clock);
    let removed = store.retain(&Retention::everything().events(1), now).unwrap();
    assert_eq!(removed.first, 2);
    let again = accounts.execute_as("7", &Deposit(5), &origin).unwrap();
    assert_eq!((again.repeated, again.positions()), (true, 2..2));
    assert_eq!(accounts.load("7").unwrap().state.cents, 6);
}

#[test]
fn what_is_told_again_is_as_durable_as_what_is_done_now() {
    let store = Arc::new(Memory::new());
    let careless = accounts(&store).settings(Settings::default().durability(Durability::Visible));
    careless.execute("7", &Open("Ada")).unwrap();
    let origin = Origin::command(EventId::random());
    careless.execute_as("7", &Deposit(5), &origin).unwrap();
    assert_eq!(store.bounds().unwrap().durable, 0);
    assert!(accounts(&store).execute_as("7", &Deposit(5), &origin).unwrap().repeated);
    assert_eq!(store.bounds().unwrap().durable, 2);
    careless.execute("7", &Deposit(1)).unwrap();
    accounts(&store).execute("7", &Deposit(0)).unwrap();
    assert_eq!(store.bounds().unwrap().durable, 3);
}

#[test]
fn of_the_same_command_in_many_threads_one_counts() {
    const THREADS: usize = 4;
    const COMMANDS: usize = 40;
    let store = Arc::new(Memory::new());
    let accounts = Arc::new(accounts(&store).settings(Settings::default().retries(100_000)));
    accounts.execute("7", &Open("Ada")).unwrap();
    let ids: Arc<Vec<_>> = Arc::new((0..COMMANDS).map(|_| EventId::random()).collect());
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (accounts, ids) = (accounts.clone(), ids.clone());
            thread::spawn(move || {
                let send = |id: &EventId| {
                    accounts.execute_as("7", &Deposit(1), &Origin::command(*id)).unwrap()
                };
                ids.iter().map(send).collect::<Vec<_>>()
            })
        })
        .collect();
    let told: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    for command in 0..COMMANDS {
        let firsts = told.iter().filter(|done| !done[command].repeated).count();
        assert_eq!(firsts, 1);
        assert!(told.iter().all(|done| done[command].positions() == told[0][command].positions()));
    }
    assert_eq!(accounts.load("7").unwrap().state.cents, COMMANDS as u64);
}
