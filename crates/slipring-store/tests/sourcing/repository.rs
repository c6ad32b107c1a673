//! Aggregates and commands, against a plain model and among threads.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc, thread};

use proptest::prelude::*;
use slipring_events::{EventId, events};
use slipring_store::{
    Batch, CodecError, Conflict, Durability, Entry, EventStore, Expected, Json, Memory, StoreError,
    sourcing::{
        Aggregate, CommandError, Decide, LoadError, Origin, ReadProblem, Repository, Settings,
    },
};

use crate::{
    bank::{Account, Deposit, Open, Refusal, Withdraw},
    common::{Failure, accounts, deposited, events, failing, opened},
};

#[derive(Clone, Debug)]
enum Act {
    Open(u8),
    Deposit(u8, u64),
    Withdraw(u8, u64),
    Transfer(u8, u8, u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let account = 0..4_u8;
    let act = prop_oneof![
        account.clone().prop_map(Act::Open),
        (account.clone(), 0..50_u64).prop_map(|(account, cents)| Act::Deposit(account, cents)),
        (account.clone(), 0..80_u64).prop_map(|(account, cents)| Act::Withdraw(account, cents)),
        (account.clone(), account, 0..60_u64)
            .prop_map(|(from, to, cents)| Act::Transfer(from, to, cents)),
    ];
    prop::collection::vec(act, 0..60)
}

/// The bank as anybody would write it.
#[derive(Default)]
struct Plain(HashMap<u8, u64>);

impl Plain {
    fn act(&mut self, act: &Act) -> Result<u64, Refusal> {
        match *act {
            Act::Open(account) if self.0.contains_key(&account) => Err(Refusal::Open),
            Act::Open(account) => {
                self.0.insert(account, 0);
                Ok(1)
            }
            Act::Deposit(account, cents) => {
                *self.0.get_mut(&account).ok_or(Refusal::NotOpen)? += cents;
                Ok(u64::from(cents > 0))
            }
            Act::Withdraw(account, cents) => {
                let has = self.0.get_mut(&account).ok_or(Refusal::NotOpen)?;
                *has = has.checked_sub(cents).ok_or(Refusal::Overdrawn(*has))?;
                Ok(1)
            }
            Act::Transfer(from, to, cents) => {
                let before = self.0.clone();
                let done = self
                    .act(&Act::Withdraw(from, cents))
                    .and_then(|one| Ok(one + self.act(&Act::Deposit(to, cents))?));
                if done.is_err() {
                    self.0 = before;
                }
                done
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_bank_does_what_a_plain_one_does(acts in acts(), every in 0..6_u64) {
        let store = Arc::new(Memory::new());
        let mut accounts = accounts(&store);
        if every > 0 {
            accounts = accounts.snapshots(every);
        }
        let mut plain = Plain::default();
        for act in &acts {
            let done = match act {
                Act::Open(account) => accounts.execute(&account.to_string(), &Open("x")),
                Act::Deposit(account, cents) => accounts.execute(&account.to_string(), &Deposit(*cents)),
                Act::Withdraw(account, cents) => accounts.execute(&account.to_string(), &Withdraw(*cents)),
                Act::Transfer(from, to, cents) => accounts.transact(&Origin::unknown(), |work| {
                    work.execute(&accounts, &from.to_string(), &Withdraw(*cents))?;
                    work.execute(&accounts, &to.to_string(), &Deposit(*cents))
                }),
            };
            let end = store.bounds().unwrap().end;
            match (done, plain.act(act)) {
                (Ok(done), Ok(events)) => {
                    prop_assert_eq!((done.events(), done.attempts), (events, 1));
                    if events > 0 {
                        prop_assert_eq!(done.end, end);
                    }
                }
                (Err(CommandError::Refused(found)), Err(expected)) => prop_assert_eq!(found, expected),
                (found, expected) => prop_assert!(false, "{found:?} and {expected:?}"),
            }
        }
        for account in 0..4_u8 {
            let loaded = accounts.load(&account.to_string()).unwrap();
            let expected = plain.0.get(&account).copied();
            prop_assert_eq!(loaded.state.owner.as_ref().map(|_| loaded.state.cents), expected);
            let replayed = accounts.replay(&account.to_string()).unwrap();
            prop_assert_eq!((loaded.state, loaded.version), (replayed.state, replayed.version));
            prop_assert_eq!(loaded.position, replayed.position);
        }
    }
}

#[test]
fn no_update_is_lost_among_threads_and_each_command_counts_once() {
    const THREADS: u64 = 4;
    const EACH: u64 = 60;
    let store = Arc::new(Memory::new());
    let accounts =
        Arc::new(accounts(&store).snapshots(7).settings(Settings::default().retries(100_000)));
    accounts.execute("7", &Open("Ada")).unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let accounts = accounts.clone();
            thread::spawn(move || {
                let mut positions = Vec::new();
                for number in 0..EACH {
                    let done = accounts.execute("7", &Deposit(1 + thread * EACH + number)).unwrap();
                    assert_eq!(done.events(), 1);
                    positions.push(done.first);
                }
                positions
            })
        })
        .collect();
    let mut positions: Vec<_> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=THREADS * EACH).collect::<Vec<_>>());
    let all = THREADS * EACH;
    let account = accounts.load("7").unwrap();
    assert_eq!((account.version, account.state.cents), (all + 1, all * (all + 1) / 2));
    let mut amounts = events(&*store, "account-7");
    amounts.sort_by_key(|event| format!("{event:?}"));
    let mut expected: Vec<_> = (1..=all).map(deposited).chain([opened("Ada")]).collect();
    expected.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(amounts, expected);
}

#[test]
fn an_account_is_never_overdrawn_by_several_at_once() {
    let store = Arc::new(Memory::new());
    let accounts = Arc::new(accounts(&store).settings(Settings::default().retries(100_000)));
    accounts.execute("7", &Open("Ada")).unwrap();
    accounts.execute("7", &Deposit(50)).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let accounts = accounts.clone();
            thread::spawn(move || {
                (0..30).filter(|_| accounts.execute("7", &Withdraw(1)).is_ok()).count()
            })
        })
        .collect();
    let withdrawn: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!((withdrawn, accounts.load("7").unwrap().state.cents), (50, 0));
}

fn rival(store: &Memory) {
    let mut batch = Batch::new();
    batch
        .append(Entry::new("account.deposited", r#"{"Deposited":{"cents":1}}"#).stream("account-7"))
        .unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
}

#[test]
fn who_comes_second_decides_again_so_often_and_no_more() {
    for (retries, rivals) in [(0, 1), (2, 3), (2, 2), (3, 1)] {
        let store = failing([]);
        (1..=rivals).for_each(|number| store.rival_at(number, rival));
        let accounts = accounts(&store).settings(Settings::default().retries(retries));
        accounts.execute("7", &Open("Ada")).unwrap();
        let done = accounts.execute("7", &Deposit(100));
        if rivals <= u64::from(retries) {
            let done = done.unwrap();
            assert_eq!(u64::from(done.attempts), rivals + 1);
            assert_eq!(done.positions(), rivals + 1..rivals + 2);
            assert_eq!(accounts.load("7").unwrap().state.cents, 100 + rivals);
        } else {
            let Err(CommandError::Conflict { conflict, attempts }) = done else {
                panic!("{done:?}")
            };
            assert_eq!(attempts, retries + 1);
            let expected = Expected::Events(rivals);
            let found = rivals + 1;
            assert_eq!(conflict, Conflict::Stream { stream: "account-7".into(), expected, found });
            assert_eq!(
                accounts.load("7").unwrap().state.cents,
                rivals,
                "nothing of it has happened"
            );
        }
    }
}

#[test]
fn what_the_sender_has_seen_is_not_tried_again() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    let fresh = Origin::unknown().expecting(Expected::Empty);
    accounts.execute_as("7", &Open("Ada"), &fresh).unwrap();
    let seen_one = Origin::unknown().expecting(Expected::Events(1));
    accounts.execute_as("7", &Deposit(1), &seen_one).unwrap();
    let again = accounts.execute_as("7", &Deposit(1), &seen_one);
    let Err(CommandError::Conflict { conflict, attempts: 1 }) = again else { panic!("{again:?}") };
    let expected = Expected::Events(1);
    assert_eq!(conflict, Conflict::Stream { stream: "account-7".into(), expected, found: 2 });
    assert_eq!(accounts.load("7").unwrap().version, 2);
}

#[test]
fn a_refusal_by_a_mixture_of_times_is_decided_again() {
    // Between the two accounts' loads, a transfer goes from the second to the first: by the states of different
    // times, neither has the money.
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    for id in ["a", "b"] {
        accounts.execute(id, &Open("Ada")).unwrap();
    }
    accounts.execute("b", &Deposit(10)).unwrap();
    let mut calls = 0;
    let done = accounts.transact(&Origin::unknown(), |work| {
        calls += 1;
        let a = work.state(&accounts, "a")?.cents;
        if calls == 1 {
            let moved = accounts.transact(&Origin::unknown(), |work| {
                work.execute(&accounts, "b", &Withdraw(10))?;
                work.execute(&accounts, "a", &Deposit(10))
            });
            moved.unwrap();
        }
        let b = work.state(&accounts, "b")?.cents;
        if a + b < 10 {
            return Err(CommandError::Refused(Refusal::Overdrawn(a + b)));
        }
        work.execute(&accounts, if a > 0 { "a" } else { "b" }, &Withdraw(10))
    });
    assert_eq!((done.unwrap().attempts, calls), (2, 2));
    assert_eq!(accounts.load("a").unwrap().state.cents, 0);
}

#[test]
fn a_decision_for_nothing_by_a_mixture_of_times_is_made_again() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    for id in ["a", "b"] {
        accounts.execute(id, &Open("Ada")).unwrap();
    }
    accounts.execute("b", &Deposit(10)).unwrap();
    let mut seen = Vec::new();
    let done = accounts.transact::<Refusal>(&Origin::unknown(), |work| {
        let a = work.state(&accounts, "a")?.cents;
        if seen.is_empty() {
            let moved = accounts.transact(&Origin::unknown(), |work| {
                work.execute(&accounts, "b", &Withdraw(10))?;
                work.execute(&accounts, "a", &Deposit(10))
            });
            moved.unwrap();
        }
        seen.push(a + work.state(&accounts, "b")?.cents);
        Ok(())
    });
    let done = done.unwrap();
    assert_eq!((done.attempts, done.positions(), seen), (2, 5..5, vec![0, 10]));
}

#[test]
fn where_a_command_comes_from_goes_with_its_events() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store).settings(Settings::default().source("counter"));
    let (first, cause, id) = (EventId::random(), EventId::random(), EventId::random());
    let origin = Origin::command(id).following(first, cause).note("clerk", "Grace");
    accounts.execute_as("7", &Open("Ada"), &origin).unwrap();
    accounts.execute_as("8", &Open("Bob"), &Origin::command(id)).unwrap();
    accounts.execute("9", &Open("Eve")).unwrap();
    let mut all = Vec::new();
    store
        .scan(0, &mut |record| {
            let notes = record.metadata().unwrap();
            let note = |name| notes.get(name).map(str::to_owned);
            assert_eq!((record.topic, record.source), ("account.opened", "counter"));
            all.push((record.correlation, record.causation, note("command"), note("clerk")));
            ControlFlow::Continue(())
        })
        .unwrap();
    let command = Some(id.to_string());
    let expected = [
        (Some(first), Some(cause), command.clone(), Some("Grace".into())),
        (Some(id), Some(id), command, None),
        (None, None, None, None),
    ];
    assert_eq!(all, expected);
}

#[test]
fn an_event_that_cannot_be_read_is_named() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    accounts.execute("7", &Open("Ada")).unwrap();
    let mut batch = Batch::new();
    batch.append(Entry::new("account.closed", "{}").stream("account-7").schema(3)).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
    let Err(LoadError::Unreadable(error)) = accounts.load("7") else { panic!("it was read") };
    assert_eq!((error.position, &*error.topic, error.schema), (1, "account.closed", 3));
    assert!(matches!(error.problem, ReadProblem::Codec(CodecError::Unreadable { .. })));
    let done = accounts.execute("7", &Deposit(1));
    assert!(matches!(done, Err(CommandError::Unreadable(_))), "{done:?}");
    assert_eq!(store.bounds().unwrap().end, 2);
}

#[test]
fn a_failed_write_is_told_and_a_command_with_an_id_may_be_sent_again() {
    for blow in [Failure::Before, Failure::After] {
        let store = failing([(1, blow)]);
        let accounts = accounts(&store);
        accounts.execute("7", &Open("Ada")).unwrap();
        let origin = Origin::command(EventId::random());
        let failed = accounts.execute_as("7", &Deposit(5), &origin);
        assert!(matches!(failed, Err(CommandError::Store(StoreError::Io { .. }))), "{failed:?}");
        let done = accounts.execute_as("7", &Deposit(5), &origin).unwrap();
        assert_eq!((done.repeated, done.positions()), (matches!(blow, Failure::After), 1..2));
        assert_eq!(accounts.load("7").unwrap().state.cents, 5);
    }
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Ticked;

events! {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub enum TickEvent { Ticked = "clock.ticked" }
}

/// Of the same kind as the other one.
#[derive(Debug, Default)]
struct Impostor;

impl Aggregate for Impostor {
    const KIND: &'static str = "account";
    type Event = TickEvent;
    type Error = std::fmt::Error;
    type Services = ();
    fn apply(&mut self, _: &TickEvent) {}
}

impl Decide<()> for Impostor {
    fn decide(&self, (): &(), (): &()) -> Result<Vec<TickEvent>, std::fmt::Error> {
        Ok(vec![Ticked.into()])
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let store = Arc::new(Memory::new());
    let here = accounts(&store);
    let elsewhere = accounts(&Arc::new(Memory::new()));
    let impostors = Repository::<Impostor, Json>::new(store.clone(), Json);
    let both = here.transact(&Origin::unknown(), |work| {
        work.execute(&here, "7", &Open("Ada"))?;
        work.execute(&elsewhere, "7", &Open("Ada"))
    });
    assert!(matches!(both, Err(CommandError::Store(StoreError::Refused(_)))), "{both:?}");
    let both = here.transact(&Origin::unknown(), |work| {
        work.execute(&here, "7", &Open("Ada")).unwrap();
        work.execute(&impostors, "7", &())
    });
    assert!(matches!(both, Err(CommandError::Store(StoreError::Refused(_)))), "{both:?}");
    assert_eq!(store.bounds().unwrap().end, 0);
}

#[test]
fn a_part_of_a_decision_is_never_committed() {
    let store = Arc::new(Memory::new());
    let accounts = Repository::<Account, Fussy>::new(store.clone(), Fussy);
    accounts.execute("7", &Open("Ada")).unwrap();
    let done = accounts.transact::<Refusal>(&Origin::unknown(), |work| {
        // An error that is thrown away.
        let _ = work.execute(&accounts, "7", &Deposit(13));
        Ok(())
    });
    assert!(matches!(done, Err(CommandError::Store(StoreError::Refused(_)))), "{done:?}");
    let done = accounts.execute("7", &Deposit(13));
    assert!(matches!(done, Err(CommandError::Unwritable(_))), "{done:?}");
    assert_eq!(accounts.load("7").unwrap().version, 1);
}

/// A codec that does not write everything.
struct Fussy;

impl slipring_store::Codec<crate::bank::AccountEvent> for Fussy {
    fn encode(
        &self,
        event: &crate::bank::AccountEvent,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        if *event == deposited(13) {
            return Err(CodecError::unwritable("13"));
        }
        Json.encode(event, bytes)
    }

    fn decode(
        &self,
        record: &slipring_store::Record<'_>,
    ) -> Result<crate::bank::AccountEvent, CodecError> {
        Json.decode(record)
    }
}
