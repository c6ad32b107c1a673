//! Models in memory.

use std::{collections::BTreeMap, sync::Arc, thread};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use slipring_store::{
    Batch, Checkpoint, Durability, Entry, EventStore, Json, Memory, Record, Retention, StoreError,
    Topics,
    sourcing::{Halt, Live, LiveBuilder, MODELS, Model, OnFailure, StartError, WaitError},
};

use crate::{
    bank::AccountEvent,
    common::{LONG, fold},
};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub accounts: BTreeMap<String, (u64, i64)>,
    pub seen: u64,
}

impl Model for Known {
    type Event = AccountEvent;

    fn topics() -> Topics {
        Topics::Matching(slipring_events::Pattern::new("account.*").unwrap())
    }

    fn apply(&mut self, event: &AccountEvent, record: &Record<'_>) {
        self.seen += 1;
        let account = self.accounts.entry(record.stream.unwrap().name.to_owned()).or_default();
        account.0 += 1;
        account.1 += match event {
            AccountEvent::Opened(_) => 0,
            AccountEvent::Deposited(deposited) => deposited.cents.cast_signed(),
            AccountEvent::Withdrawn(withdrawn) => -withdrawn.cents.cast_signed(),
        };
        assert!(account.1 != 1300, "no such amount");
    }
}

fn append(store: &Memory, topic: &str, payload: &str) {
    let mut batch = Batch::new();
    let stream = format!("account-{}", store.bounds().unwrap().end % 3);
    batch.append(Entry::new(topic, payload).stream(&stream)).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
}

fn deposit(store: &Memory, cents: u64) {
    append(store, "account.deposited", &format!(r#"{{"Deposited":{{"cents":{cents}}}}}"#));
}

fn known(store: &Arc<Memory>) -> LiveBuilder<Known, Json> {
    Live::of(store.clone(), Json)
}

#[test]
fn it_follows_what_is_there_and_what_comes() {
    let store = Arc::new(Memory::new());
    (0..700).for_each(|_| deposit(&store, 1));
    let live = known(&store).start().unwrap();
    let writer = {
        let store = store.clone();
        thread::spawn(move || (0..300).for_each(|_| deposit(&store, 2)))
    };
    // However far it is, what is read belongs together.
    loop {
        let (seen, sum, at) = live
            .read_at(|known, at| {
                (known.seen, known.accounts.values().map(|known| known.0).sum::<u64>(), at)
            })
            .unwrap();
        assert_eq!((seen, sum), (at, at));
        if at == 1000 {
            break;
        }
        thread::yield_now();
    }
    writer.join().unwrap();
    live.wait_for(1000, LONG).unwrap();
    let all = live.read(|known| known.accounts.clone().into_iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(all, fold(&*store));
    live.stop().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_snapshot_and_the_rest_are_all_events(parts in prop::collection::vec((0..30_u64, 1..9_u64), 1..6)) {
        let store = Arc::new(Memory::new());
        for (events, every) in parts {
            let live = known(&store).snapshots("known", every).start().unwrap();
            (0..events).for_each(|cents| deposit(&store, cents));
            let end = store.bounds().unwrap().end;
            live.wait_for(end, LONG).unwrap();
            let all = live.read(|known| known.accounts.clone().into_iter().collect::<Vec<_>>()).unwrap();
            prop_assert_eq!(all, fold(&*store));
            live.stop().unwrap();
        }
        let report = known(&store).snapshots("known", 1).start().unwrap().snapshot_report();
        prop_assert_eq!((report.unreadable, report.outdated, report.ahead), (0, 0, 0));
    }
}

#[test]
fn with_a_snapshot_the_events_before_it_may_go_and_no_others() {
    let store = Arc::new(Memory::new());
    (0..10).for_each(|_| deposit(&store, 1));
    let live = known(&store).snapshots("known", 10).start().unwrap();
    live.wait_for(10, LONG).unwrap();
    live.stop().unwrap();
    (0..5).for_each(|_| deposit(&store, 1));
    let now = slipring_events::Clock::now(&slipring_events::SystemClock);
    let removed = store.retain(&Retention::everything().events(0), now).unwrap();
    assert_eq!((removed.first, removed.held_by.as_deref()), (10, Some("model:known")));
    let live = known(&store).snapshots("known", 10).start().unwrap();
    live.wait_for(15, LONG).unwrap();
    assert_eq!(live.read(|known| known.seen).unwrap(), 15);
    assert_eq!(live.snapshot_report().used, 1);
    live.stop().unwrap();

    let without = known(&store).start().unwrap_err();
    assert!(matches!(without, StartError::Store(StoreError::Removed { asked: 0, first: 10 })));
    let live = known(&store).from_what_is_there().start().unwrap();
    live.wait_for(15, LONG).unwrap();
    assert_eq!(live.read(|known| known.seen).unwrap(), 5);
}

#[test]
fn a_snapshot_that_cannot_be_used_is_counted_and_not_needed() {
    let store = Arc::new(Memory::new());
    (0..10).for_each(|_| deposit(&store, 1));
    let live = known(&store).snapshots("known", 5).start().unwrap();
    live.wait_for(10, LONG).unwrap();
    live.stop().unwrap();
    let mut bytes = store.value(MODELS, b"known").unwrap().unwrap();
    let elsewhere = Arc::new(Memory::new());
    let put = |store: &Memory, bytes: &[u8]| {
        let mut batch = Batch::new();
        batch.put(MODELS, b"known", bytes);
        store.commit(&batch, Durability::Synced).unwrap();
    };
    put(&elsewhere, &bytes);
    let live = known(&elsewhere).snapshots("known", 5).start().unwrap();
    assert_eq!((live.snapshot_report().ahead, live.read(|known| known.seen).unwrap()), (1, 0));
    *bytes.last_mut().unwrap() ^= 1;
    put(&store, &bytes);
    let live = known(&store).snapshots("known", 5).start().unwrap();
    live.wait_for(10, LONG).unwrap();
    assert_eq!(
        (live.snapshot_report().unreadable, live.read(|known| known.seen).unwrap()),
        (1, 10)
    );
}

#[test]
fn what_cannot_be_read_halts_it_and_what_it_knows_stays() {
    let store = Arc::new(Memory::new());
    deposit(&store, 1);
    append(&store, "weather.changed", "?");
    append(&store, "account.deposited", "?");
    deposit(&store, 1);
    let live = known(&store).start().unwrap();
    let halted = live.wait_for(4, LONG).unwrap_err();
    assert!(
        matches!(&halted, WaitError::Halted { at: 2, why: Halt::Unreadable(error) } if error.position == 2),
        "{halted}"
    );
    assert_eq!(live.read_at(|known, at| (known.seen, at)).unwrap(), (1, 2));
    assert!(live.stop().is_err());
}

#[test]
fn what_cannot_be_read_may_be_parked_and_no_snapshot_hides_it() {
    let store = Arc::new(Memory::new());
    append(&store, "account.deposited", "?");
    (0..6).for_each(|_| deposit(&store, 1));
    for (on_failure, parked, seen) in [(OnFailure::Park, 1, 6), (OnFailure::ParkStream, 3, 4)] {
        let live = known(&store).on_failure(on_failure).snapshots("known", 1).start().unwrap();
        live.wait_for(7, LONG).unwrap();
        assert_eq!((live.parked().len(), live.read(|known| known.seen).unwrap()), (parked, seen));
        assert_eq!((live.parked()[0].position, live.parked()[0].attempts), (0, 1));
        assert_eq!(
            (live.snapshot_report().taken, live.status().unwrap().parked),
            (0, parked as u64)
        );
        live.stop().unwrap();
    }
    assert_eq!(Checkpoint::all(&*store).unwrap(), []);
    let live = known(&store).on_failure(OnFailure::ParkStream).most_parked(2).start().unwrap();
    let halted = live.wait_for(7, LONG).unwrap_err();
    assert!(matches!(halted, WaitError::Halted { at: 6, why: Halt::TooManyParked { most: 2 } }));
}

#[test]
fn one_that_has_panicked_is_not_asked_any_more() {
    let store = Arc::new(Memory::new());
    deposit(&store, 1);
    deposit(&store, 1300);
    let live = known(&store).start().unwrap();
    let halted = live.wait_for(2, LONG).unwrap_err();
    let WaitError::Halted { at: 1, why: Halt::Panicked { position: 1, message } } = &halted else {
        panic!("{halted}")
    };
    assert_eq!(&**message, "no such amount");
    assert!(matches!(live.read(|known| known.seen), Err(Halt::Panicked { position: 1, .. })));
}
