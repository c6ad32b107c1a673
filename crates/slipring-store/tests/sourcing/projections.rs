//! Projections: each event once, whatever comes in between.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use proptest::prelude::*;
use slipring_events::Pattern;
use slipring_store::{
    Batch, Checkpoint, Durability, Entry, EventStore, Json, Memory, Reach, Record, Retention,
    StoreError, Topics,
    sourcing::{
        Fault, Halt, OnFailure, Projection, ProjectionView, Projector, ProjectorState, StartError,
        Stepped, Steps, Values, WaitError, WhenStoreFails,
    },
};

use crate::{
    bank::{AccountEvent, Deposit, Open, Withdraw},
    common::{Balances, Failure, LONG, accounts, failing, fold, shown, until},
};

fn projector<S: EventStore>(store: &Arc<S>) -> Projector<Balances, Json> {
    Projector::new(store.clone(), Balances::version(1), Json)
}

/// Steps until there is nothing to do; after a failure of the store, a new one goes on.
fn finish<S: EventStore>(store: &Arc<S>) {
    loop {
        let caught_up = projector(store)
            .batch(3)
            .by_hand()
            .map_err(|_| ())
            .and_then(|mut steps| steps.catch_up().map_err(|_| ()));
        if caught_up.is_ok() {
            return;
        }
    }
}

#[derive(Clone, Debug)]
enum Move {
    Event(u8, u64),
    Step,
    /// It is dropped, and made anew.
    Kill,
    /// Its next commit does not come about, or it does and nobody hears of it.
    Fail(bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0..3_u8, 1..9_u64).prop_map(|(account, cents)| Move::Event(account, cents)),
        3 => Just(Move::Step),
        2 => Just(Move::Kill),
        1 => any::<bool>().prop_map(Move::Fail),
    ];
    prop::collection::vec(one, 0..80)
}

fn deposit(store: &Memory, account: u8, cents: u64) {
    let mut batch = Batch::new();
    let payload = format!(r#"{{"Deposited":{{"cents":{cents}}}}}"#);
    let stream = format!("account-{account}");
    batch.append(Entry::new("account.deposited", &payload).stream(&stream)).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn each_event_is_applied_once_whenever_it_is_killed(
        moves in moves(), batch in 1..6_usize, holds in any::<bool>(),
    ) {
        let store = failing([]);
        let mut steps: Option<Steps<Balances, Json>> = None;
        for one in &moves {
            match one {
                Move::Event(account, cents) => deposit(&store.inner, *account, *cents),
                Move::Kill => steps = None,
                Move::Fail(after) => {
                    let failure = if *after { Failure::After } else { Failure::Before };
                    store.fail_commit(0, failure);
                }
                Move::Step => {
                    if steps.is_none() {
                        steps = projector(&store).batch(batch).by_hand().ok();
                    }
                    let has_failed = steps.as_mut().is_some_and(|steps| steps.step().is_err());
                    if has_failed && !holds {
                        steps = None;
                    }
                    if let Some(steps) = steps.as_ref().filter(|_| !has_failed) {
                        // What is committed is what is before its position, no more and no less.
                        let known = Checkpoint::named("balances@1").get(&store.inner).unwrap();
                        prop_assert_eq!(known, Some(steps.position()));
                    }
                }
            }
            let applied: u64 = shown(&store.inner, "balances@1").iter().map(|(_, (events, _))| events).sum();
            let known = Checkpoint::named("balances@1").get(&store.inner).unwrap();
            prop_assert_eq!(applied, known.unwrap_or(0));
        }
        drop(steps);
        finish(&store);
        prop_assert_eq!(shown(&store.inner, "balances@1"), fold(&store.inner));
    }
}

#[test]
fn what_is_there_and_what_comes_are_one() {
    const THREADS: u64 = 3;
    const EACH: u64 = 100;
    let store = Arc::new(Memory::new());
    for number in 0..50 {
        deposit(&store, 0, number + 1);
    }
    let running = projector(&store).batch(7).start().unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let store = store.clone();
            thread::spawn(move || (0..EACH).for_each(|cents| deposit(&store, thread as u8, cents)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let end = 50 + THREADS * EACH;
    running.wait_for(end, LONG).unwrap();
    let status = running.status().unwrap();
    assert_eq!((status.position, status.end, status.lag(), status.parked), (end, end, 0, 0));
    assert!(status.is_shown);
    assert_eq!(shown(&*store, "balances@1"), fold(&*store));
    let view = ProjectionView::of(store.clone(), "balances");
    assert_eq!(view.get_as::<u64>("all").unwrap(), Some(end));
    assert_eq!((view.position().unwrap(), view.version().unwrap()), (Some(end), Some(1)));
    assert_eq!(view.range("account", 2).unwrap().len(), 2);
    running.stop().unwrap();
}

#[test]
fn what_was_written_is_read() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    let running = projector(&store).start().unwrap();
    let view = ProjectionView::of(store.clone(), "balances");
    accounts.execute("7", &Open("Ada")).unwrap();
    for number in 1..=100_u64 {
        let done = accounts.execute("7", &Deposit(2)).unwrap();
        running.wait_for(done.end, LONG).unwrap();
        assert_eq!(view.get_as("account-7").unwrap(), Some((number + 1, number.cast_signed() * 2)));
    }
}

#[test]
fn waiting_ends_and_says_how_far_it_is() {
    let store = Arc::new(Memory::new());
    deposit(&store, 0, 1);
    let running = projector(&store).start().unwrap();
    running.wait_for(1, LONG).unwrap();
    running.wait_for(0, Duration::ZERO).unwrap();
    let timeout = Duration::from_millis(3);
    let late = running.wait_for(2, timeout).unwrap_err();
    assert!(
        matches!(late, WaitError::Late { at: 1, wanted: 2, timeout: found } if found == timeout),
        "{late}"
    );
    thread::scope(|scope| {
        let waiting = scope.spawn(|| running.wait_for(2, LONG));
        deposit(&store, 13, 13);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_panic_halts_it_with_its_message_and_nothing_waits_in_vain() {
    let store = Arc::new(Memory::new());
    for cents in [1, 2, 13, 4] {
        deposit(&store, 0, cents);
    }
    let balances = Balances { panics_at: 13, ..Balances::version(1) };
    // Also with several events in a commit, and if events may be parked.
    for on_failure in [OnFailure::Halt, OnFailure::Park] {
        let running = Projector::new(store.clone(), balances.clone(), Json)
            .on_failure(on_failure)
            .start()
            .unwrap();
        let halted = running.wait_for(4, LONG).unwrap_err();
        let WaitError::Halted { at: 2, why: Halt::Panicked { position: 2, message } } = halted
        else {
            panic!("{halted}");
        };
        assert_eq!(&*message, "no such amount: 13");
        running.wait_for(2, Duration::ZERO).unwrap();
        let status = running.status().unwrap();
        assert!(matches!(status.state, ProjectorState::Halted(Halt::Panicked { .. })));
        assert_eq!((status.position, status.lag()), (2, 2));
        assert_eq!(shown(&*store, "balances@1"), [("account-0".into(), (2, 3))]);
        assert!(running.stop().is_err());
    }
    // One without the fault goes on where it was.
    let running = projector(&store).start().unwrap();
    running.wait_for(4, LONG).unwrap();
    assert_eq!(shown(&*store, "balances@1"), fold(&*store));
}

#[test]
fn an_event_that_cannot_be_read_or_applied_halts_it() {
    let store = Arc::new(Memory::new());
    let balances = Balances::version(1);
    balances.fails_at.store(13, Ordering::SeqCst);
    for cents in [1, 13, 2] {
        deposit(&store, 0, cents);
    }
    let mut batch = Batch::new();
    batch.append(Entry::new("account.burnt", "{}").stream("account-0").schema(9)).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
    let mut steps = Projector::new(store.clone(), balances.clone(), Json).by_hand().unwrap();
    let halt = steps.catch_up().unwrap_err();
    let Halt::Failed { position: 1, topic, problem } = &halt else { panic!("{halt}") };
    assert_eq!((&**topic, &**problem), ("account.deposited", "I do not like that amount"));
    assert_eq!(steps.position(), 1);
    assert_eq!(shown(&*store, "balances@1"), [("account-0".into(), (1, 1))]);
    assert_eq!(steps.step().unwrap_err().to_string(), halt.to_string(), "and it stays so");

    balances.fails_at.store(u64::MAX, Ordering::SeqCst);
    let mut steps = Projector::new(store.clone(), balances, Json).by_hand().unwrap();
    let halt = steps.catch_up().unwrap_err();
    let Halt::Unreadable(error) = &halt else { panic!("{halt}") };
    assert_eq!((error.position, &*error.topic, error.schema), (3, "account.burnt", 9));
    assert_eq!(shown(&*store, "balances@1"), [("account-0".into(), (3, 16))]);
}

#[test]
fn a_store_that_cannot_be_read_halts_it_whatever_is_made_of_the_error() {
    let store = failing([]);
    deposit(&store.inner, 0, 1);
    let mut steps = projector(&store).on_failure(OnFailure::Park).by_hand().unwrap();
    store.blind_to(Some("@"));
    let halt = steps.step().unwrap_err();
    assert!(
        matches!(&halt, Halt::Store(error) if matches!(**error, StoreError::Io { .. })),
        "{halt}"
    );
    store.blind_to(None);
    finish(&store);
    assert_eq!(shown(&store.inner, "balances@1"), fold(&store.inner));
}

/// One that holds finds out what became of each write that failed, parks nothing twice, and counts what is parked.
#[test]
fn one_that_holds_parks_each_event_once_whatever_its_store_says() {
    for seed in 0..40 {
        let (mut rng, store) = (fastrand::Rng::with_seed(seed), failing([]));
        let balances = Balances::version(1);
        balances.fails_at.store(7, Ordering::SeqCst);
        let projector = Projector::new(store.clone(), balances, Json).on_failure(OnFailure::Park);
        let mut steps = projector.batch(2).by_hand().unwrap();
        let mut bad = 0;
        for event in 0..30 {
            let cents = [5, 7][usize::from(rng.bool())];
            bad += u64::from(cents == 7);
            deposit(&store.inner, event % 3, cents);
            if rng.u8(..3) == 0 {
                let failure = if rng.bool() { Failure::After } else { Failure::Before };
                store.fail_commit(0, failure);
            }
            // It says that it has failed, and then goes on.
            let _ = steps.step();
        }
        steps.catch_up().or_else(|_| steps.catch_up()).unwrap();
        assert_eq!(steps.parked().unwrap().len() as u64, bad, "seed {seed}");
        let applied: u64 =
            shown(&store.inner, "balances@1").iter().map(|(_, (events, _))| events).sum();
        assert_eq!(applied + bad, 30, "seed {seed}");
    }
}

#[test]
fn one_in_a_thread_holds_while_its_store_fails_and_goes_on_by_itself() {
    let store = failing([]);
    deposit(&store.inner, 0, 1);
    let running = projector(&store).start().unwrap();
    running.wait_for(1, LONG).unwrap();
    store.fail_all(Some(Failure::Before));
    deposit(&store.inner, 0, 2);
    let state = || running.status().unwrap().state;
    until("it says so", || matches!(state(), ProjectorState::Failing(_)));
    let ProjectorState::Failing(why) = state() else { panic!("it does not work again by itself") };
    assert!(why.to_string().contains("no space left"), "{why}");
    let late = running.wait_for(2, Duration::ZERO);
    assert!(matches!(late, Err(WaitError::Late { at: 1, .. })), "{late:?}");
    store.fail_all(None);
    deposit(&store.inner, 1, 3);
    running.wait_for(3, LONG).unwrap();
    assert_eq!(shown(&store.inner, "balances@1"), fold(&store.inner));
    // What cannot be mended by trying again.
    store.fail_all(Some(Failure::Stopped));
    deposit(&store.inner, 1, 4);
    let halt = running.join().unwrap_err();
    assert!(matches!(&halt, Halt::Store(why) if matches!(**why, StoreError::Stopped { .. })));
    store.fail_all(None);
    finish(&store);
    assert_eq!(shown(&store.inner, "balances@1"), fold(&store.inner));
}

#[test]
fn one_that_is_not_to_hold_halts_and_one_that_holds_can_be_stopped() {
    let store = failing([]);
    let running = projector(&store).when_store_fails(WhenStoreFails::Halt).start().unwrap();
    store.fail_all(Some(Failure::Before));
    deposit(&store.inner, 0, 1);
    let halt = running.join().unwrap_err();
    assert!(matches!(&halt, Halt::Store(why) if matches!(**why, StoreError::Io { .. })), "{halt}");
    store.fail_all(None);
    let running = projector(&store).start().unwrap();
    store.fail_all(Some(Failure::Before));
    deposit(&store.inner, 0, 1);
    until("it holds", || matches!(running.status().unwrap().state, ProjectorState::Failing(_)));
    running.stop().unwrap();
}

#[test]
fn of_two_who_run_it_one_commits() {
    let store = Arc::new(Memory::new());
    deposit(&store, 0, 1);
    let (mut one, mut other) =
        (projector(&store).by_hand().unwrap(), projector(&store).by_hand().unwrap());
    assert_eq!(one.step().unwrap(), Stepped::Moved);
    assert!(matches!(other.step(), Err(Halt::RunTwice)));
    deposit(&store, 0, 2);
    one.catch_up().unwrap();
    assert_eq!(shown(&*store, "balances@1"), fold(&*store));
}

#[test]
fn it_reads_as_far_as_it_is_told() {
    let store = Arc::new(Memory::new());
    deposit(&store, 0, 1);
    let mut batch = Batch::new();
    let payload = r#"{"Deposited":{"cents":2}}"#;
    batch.append(Entry::new("account.deposited", payload).stream("account-0")).unwrap();
    store.commit(&batch, Durability::Visible).unwrap();
    let mut durable = projector(&store).reach(Reach::Durable).by_hand().unwrap();
    durable.catch_up().unwrap();
    assert_eq!(durable.position(), 1);
    store.sync().unwrap();
    durable.catch_up().unwrap();
    assert_eq!(durable.position(), 2);
}

/// Sees deposits only.
struct Deposits;

impl Projection for Deposits {
    type Event = AccountEvent;

    fn name(&self) -> &'static str {
        "deposits"
    }

    fn topics(&self) -> Topics {
        Topics::Matching(Pattern::new("*.deposited").unwrap())
    }

    fn apply(
        &self,
        event: &AccountEvent,
        record: &Record<'_>,
        values: &mut Values<'_>,
    ) -> Result<(), Fault> {
        values.put(record.position.to_be_bytes(), format!("{event:?}"));
        if let Some(before) = record.position.checked_sub(4) {
            values.remove(before.to_be_bytes());
            assert_eq!(values.get(before.to_be_bytes())?, None);
        }
        Ok(())
    }
}

#[test]
fn what_it_does_not_want_is_not_even_read_but_passed() {
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    accounts.execute("7", &Open("Ada")).unwrap();
    for _ in 0..3 {
        accounts.execute("7", &Deposit(5)).unwrap();
        accounts.execute("7", &Withdraw(5)).unwrap();
    }
    let mut batch = Batch::new();
    batch.append(Entry::new("weather.changed", b"\xff")).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
    let mut steps = Projector::new(store.clone(), Deposits, Json).by_hand().unwrap();
    steps.catch_up().unwrap();
    assert_eq!(steps.position(), 8);
    let view = ProjectionView::of(store, "deposits");
    let keys: Vec<_> = view.range("", 9).unwrap().into_iter().map(|(key, _)| key[7]).collect();
    assert_eq!(keys, [3, 5]);
}

#[test]
fn it_says_when_its_first_events_were_removed() {
    let store = Arc::new(Memory::new());
    for cents in 1..=4 {
        deposit(&store, 0, cents);
    }
    let now = slipring_events::Clock::now(&slipring_events::SystemClock);
    store.retain(&Retention::everything().events(2), now).unwrap();
    let removed = projector(&store).by_hand().unwrap_err();
    assert!(
        matches!(removed, StartError::Store(StoreError::Removed { asked: 0, first: 2 })),
        "{removed}"
    );
    let mut steps = projector(&store).from_what_is_there().by_hand().unwrap();
    steps.catch_up().unwrap();
    assert_eq!(shown(&*store, "balances@1"), [("account-0".into(), (2, 7))]);
    // What it has yet to see is kept.
    deposit(&store, 0, 5);
    deposit(&store, 0, 6);
    let removed = store.retain(&Retention::everything().events(0), now).unwrap();
    assert_eq!((removed.first, removed.held_by.as_deref()), (4, Some("balances@1")));
    steps.catch_up().unwrap();
    assert_eq!(shown(&*store, "balances@1"), [("account-0".into(), (4, 18))]);
}

#[test]
fn a_store_that_has_lost_events_is_not_gone_on_with() {
    let store = Arc::new(Memory::new());
    let mut batch = Batch::new();
    batch.put("projections", b"balances\0", &1_u32.to_be_bytes());
    Checkpoint::named("balances@1").put(&mut batch, 5);
    store.commit(&batch, Durability::Synced).unwrap();
    let halt = projector(&store).by_hand().unwrap().step().unwrap_err();
    assert!(
        matches!(&halt, Halt::Store(error) if matches!(**error, StoreError::Beyond { asked: 5, end: 0 }))
    );
}

#[test]
fn odd_names_are_refused() {
    struct Named(&'static str);
    impl Projection for Named {
        type Event = AccountEvent;
        fn name(&self) -> &str {
            self.0
        }
        fn apply(&self, _: &AccountEvent, _: &Record<'_>, _: &mut Values<'_>) -> Result<(), Fault> {
            Ok(())
        }
    }
    for name in ["", "a@1", "a!parked", "a\0"] {
        let start = Projector::new(Arc::new(Memory::new()), Named(name), Json).by_hand();
        assert!(matches!(start, Err(StartError::Name(found)) if &*found == name));
    }
}

#[test]
fn several_values_are_read_as_they_are_together() {
    let store = Arc::new(Memory::new());
    let running = projector(&store).batch(1).start().unwrap();
    let view = ProjectionView::of(store.clone(), "balances");
    let writer = {
        let store = store.clone();
        thread::spawn(move || {
            (0..300_u64).for_each(|number| deposit(&store, (number % 3) as u8, 1));
        })
    };
    let mut read = 0;
    while !writer.is_finished() || read == 0 {
        let together = view.read_together(|shown| {
            let all: u64 = shown.get_as("all")?.unwrap_or(0);
            let mut sum = 0;
            for (key, value) in shown.range("", 9)? {
                if key == b"all" {
                    continue;
                }
                sum += postcard::from_bytes::<(u64, i64)>(&value).unwrap().0;
            }
            Ok((all, sum))
        });
        if let Some((position, (all, sum))) = together.unwrap() {
            assert_eq!((all, sum), (position, position));
            read += 1;
        }
    }
    writer.join().unwrap();
    running.wait_for(300, LONG).unwrap();
    assert_eq!(ProjectionView::of(store, "nothing").read_together(|_| Ok(())).unwrap(), None);
}
