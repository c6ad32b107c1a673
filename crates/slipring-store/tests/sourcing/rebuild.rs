//! A new version beside the one that is shown.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use proptest::prelude::*;
use slipring_store::{
    Batch, Checkpoint, Durability, Entry, EventStore, Json, Memory, Reach, StoreError,
    sourcing::{
        Halt, OnFailure, PROJECTIONS, ProjectionView, Projector, ProjectorState, StartError,
        Stepped, Steps, WaitError,
    },
};

use crate::common::{Balances, LONG, count, fold, shown};

fn deposit(store: &Memory, account: u64, cents: u64) {
    let mut batch = Batch::new();
    let payload = format!(r#"{{"Deposited":{{"cents":{cents}}}}}"#);
    let stream = format!("account-{account}");
    batch.append(Entry::new("account.deposited", &payload).stream(&stream)).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
}

fn projector(store: &Arc<Memory>, version: u32) -> Projector<Balances, Json> {
    Projector::new(store.clone(), Balances::version(version), Json)
}

#[test]
fn the_new_one_takes_over_when_it_has_caught_up_and_the_old_one_goes() {
    let store = Arc::new(Memory::new());
    for number in 0..1500 {
        deposit(&store, number, 1);
    }
    let view = ProjectionView::of(store.clone(), "balances");
    assert_eq!((view.version().unwrap(), view.get("all").unwrap()), (None, None));
    let mut old = projector(&store, 1).by_hand().unwrap();
    assert!(old.is_shown(), "the first one is shown from the start");
    old.catch_up().unwrap();

    let mut new = projector(&store, 2).batch(600).by_hand().unwrap();
    for _ in 0..3 {
        assert_eq!(view.version().unwrap(), Some(1));
        assert_eq!(new.step().unwrap(), Stepped::Moved);
        assert!(!new.is_shown());
    }
    // It has read all, and the old one goes on meanwhile: it is not shown before it is as far.
    deposit(&store, 0, 1);
    old.catch_up().unwrap();
    assert_eq!(new.step().unwrap(), Stepped::Moved);
    assert_eq!((new.position(), new.is_shown()), (1501, false));
    assert_eq!(new.step().unwrap(), Stepped::Moved);
    assert!(new.is_shown());
    assert_eq!(view.version().unwrap(), Some(2));
    assert_eq!(shown(&*store, "balances@2"), fold(&*store));

    // The old one can do nothing more, though its values are still there.
    deposit(&store, 0, 1);
    assert_eq!(count(&*store, "balances@1"), 1501);
    assert!(matches!(old.step(), Err(Halt::Superseded { by: 2 })));
    let start = projector(&store, 1).by_hand();
    assert!(matches!(start, Err(StartError::Superseded { active: 2 })));
    assert_eq!(shown(&*store, "balances@1")[0].1, (2, 2));

    new.catch_up().unwrap();
    assert_eq!(count(&*store, "balances@1"), 0);
    assert_eq!(count(&*store, PROJECTIONS), 2);
    let checkpoints: Vec<_> =
        Checkpoint::all(&*store).unwrap().into_iter().map(|checkpoint| checkpoint.name).collect();
    assert_eq!(checkpoints, ["balances@2"]);
    assert_eq!(shown(&*store, "balances@2"), fold(&*store));
}

#[test]
fn it_does_not_take_over_as_long_as_the_old_one_is_further() {
    let store = Arc::new(Memory::new());
    deposit(&store, 0, 1);
    let mut batch = Batch::new();
    let payload = r#"{"Deposited":{"cents":2}}"#;
    batch.append(Entry::new("account.deposited", payload).stream("account-0")).unwrap();
    store.commit(&batch, Durability::Visible).unwrap();
    let mut old = projector(&store, 1).by_hand().unwrap();
    old.catch_up().unwrap();
    // It reads what is durable, and has come to the end of that.
    let mut new = projector(&store, 2).reach(Reach::Durable).by_hand().unwrap();
    new.catch_up().unwrap();
    assert_eq!((old.position(), new.position(), new.is_shown()), (2, 1, false));
    store.sync().unwrap();
    new.catch_up().unwrap();
    assert_eq!((new.position(), new.is_shown()), (2, true));
}

#[test]
fn an_idle_old_one_notices() {
    let store = Arc::new(Memory::new());
    deposit(&store, 0, 1);
    let old = projector(&store, 1).start().unwrap();
    old.wait_for(1, LONG).unwrap();
    let new = projector(&store, 2).start().unwrap();
    let gone = old.wait_for(2, LONG).unwrap_err();
    assert!(matches!(gone, WaitError::Halted { at: 1, why: Halt::Superseded { by: 2 } }), "{gone}");
    assert!(matches!(old.join(), Err(Halt::Superseded { by: 2 })));
    deposit(&store, 0, 1);
    new.wait_for(2, LONG).unwrap();
    let status = new.status().unwrap();
    assert!(status.is_shown && !matches!(status.state, ProjectorState::Halted(_)));
}

#[test]
fn what_was_parked_goes_with_the_old_one() {
    let store = Arc::new(Memory::new());
    let mut batch = Batch::new();
    batch.append(Entry::new("account.burnt", "?").stream("account-0")).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
    let mut old = projector(&store, 1).on_failure(OnFailure::Park).by_hand().unwrap();
    old.catch_up().unwrap();
    assert_eq!((old.parked().unwrap().len(), Checkpoint::all(&*store).unwrap().len()), (1, 2));
    let mut new = projector(&store, 3).on_failure(OnFailure::Park).by_hand().unwrap();
    new.catch_up().unwrap();
    assert_eq!(count(&*store, "balances@1!parked"), 0);
    let names: Vec<_> = Checkpoint::all(&*store).unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["balances@3", "balances@3!parked"]);
}

#[test]
fn versions_that_were_given_up_go_as_well_and_newer_ones_stay() {
    let store = Arc::new(Memory::new());
    for number in 0..3 {
        deposit(&store, number, 1);
    }
    let built = |version, steps| {
        let mut building = projector(&store, version).batch(1).by_hand().unwrap();
        (0..steps).for_each(|_| assert_eq!(building.step().unwrap(), Stepped::Moved));
        building
    };
    drop(built(1, 3));
    drop(built(2, 1));
    let mut next = built(4, 1);
    built(3, 0).catch_up().unwrap();
    assert_eq!(["balances@1", "balances@2"].map(|space| count(&*store, space)), [0, 0]);
    assert_eq!(shown(&*store, "balances@3"), fold(&*store));
    next.catch_up().unwrap();
    assert_eq!(ProjectionView::of(store.clone(), "balances").version().unwrap(), Some(4));
    assert_eq!(count(&*store, "balances@3"), 0);
}

#[test]
fn readers_see_one_version_whole_while_another_takes_over() {
    const VERSIONS: u32 = 12;
    let store = Arc::new(Memory::new());
    for number in 0..300 {
        deposit(&store, number % 30, 1);
    }
    projector(&store, 1).by_hand().unwrap().catch_up().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = {
        let (store, is_over) = (store.clone(), is_over.clone());
        thread::spawn(move || {
            let view = ProjectionView::of(store, "balances");
            let (mut last, mut position) = (0, 0);
            while !is_over.load(Ordering::SeqCst) {
                let (version, values) = view
                    .read(|shown| Ok::<_, StoreError>((shown.version(), shown.range("", 99)?)))
                    .unwrap();
                assert_eq!(values.len(), 31, "a part of version {version:?}");
                assert!(view.get("account-7").unwrap().is_some());
                assert!(version >= Some(last));
                last = version.unwrap();
                // A reader never goes back in time.
                let now = view.position().unwrap();
                assert!(now >= Some(position), "{now:?} after {position}");
                position = now.unwrap();
            }
            last
        })
    };
    let writer = {
        let (store, is_over) = (store.clone(), is_over.clone());
        thread::spawn(move || {
            let mut number = 0;
            while !is_over.load(Ordering::SeqCst) && number < 20_000 {
                deposit(&store, number % 30, 1);
                number += 1;
                thread::yield_now();
            }
        })
    };
    for version in 2..=VERSIONS {
        let running = projector(&store, version).batch(100).start().unwrap();
        while !running.status().unwrap().is_shown
            || count(&*store, &format!("balances@{}", version - 1)) > 0
        {
            assert!(!matches!(running.status().unwrap().state, ProjectorState::Halted(_)));
            thread::yield_now();
        }
    }
    is_over.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    assert!(reader.join().unwrap() >= 1);
    let mut last = projector(&store, VERSIONS).by_hand().unwrap();
    last.catch_up().unwrap();
    assert_eq!(shown(&*store, &format!("balances@{VERSIONS}")), fold(&*store));
}

#[derive(Clone, Debug)]
enum Move {
    Event(u64),
    Step(usize),
    Kill(usize),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Three versions, stepped and killed in any order, while events come: what is shown is always right for where it
    /// is, and never of before.
    #[test]
    fn in_any_order_of_steps_what_is_shown_is_right(moves in prop::collection::vec(prop_oneof![
        2 => (1..9_u64).prop_map(Move::Event),
        4 => (0..3_usize).prop_map(Move::Step),
        1 => (0..3_usize).prop_map(Move::Kill),
    ], 0..120)) {
        let store = Arc::new(Memory::new());
        let view = ProjectionView::of(store.clone(), "balances");
        let mut all: [Option<Steps<Balances, Json>>; 3] = [None, None, None];
        let (mut version, mut position) = (None, None);
        for one in &moves {
            match one {
                Move::Event(cents) => deposit(&store, cents % 3, *cents),
                Move::Kill(which) => all[*which] = None,
                Move::Step(which) => {
                    if all[*which].is_none() {
                        all[*which] = projector(&store, *which as u32 + 1).batch(2).by_hand().ok();
                    }
                    if let Some(steps) = &mut all[*which] {
                        match steps.step() {
                            Ok(_) => {}
                            Err(Halt::Superseded { .. }) => all[*which] = None,
                            Err(halt) => prop_assert!(false, "{halt}"),
                        }
                    }
                }
            }
            let (now, at) = (view.version().unwrap(), view.position().unwrap());
            prop_assert!(now >= version && at >= position);
            let events: u64 = view.get_as("all").unwrap().unwrap_or(0);
            prop_assert_eq!(events, at.unwrap_or(0));
            (version, position) = (now, at);
        }
        drop(all);
        let mut last = projector(&store, 3).by_hand().unwrap();
        last.catch_up().unwrap();
        prop_assert_eq!(shown(&*store, "balances@3"), fold(&*store));
        prop_assert_eq!(count(&*store, "balances@1") + count(&*store, "balances@2"), 0);
    }
}
