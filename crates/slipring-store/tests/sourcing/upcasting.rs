//! Events in forms of long ago.

use std::{ops::ControlFlow, sync::Arc};

use proptest::prelude::*;
use serde_json::json;
use slipring_store::{
    Batch, Durability, Entry, EventStore, Json, Memory,
    sourcing::{Form, Halt, LoadError, Projector, ReadProblem, Repository, Upcasters},
};

use crate::{
    bank::{Account, Deposit},
    common::{Balances, shown},
};

fn append(store: &Memory, topic: &str, schema: u16, payload: &serde_json::Value) {
    let mut batch = Batch::new();
    let payload = payload.to_string();
    batch.append(Entry::new(topic, &payload).stream("account-7").schema(schema)).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
}

/// In form 0, an amount was a number of whole euros, and opening came with a first deposit under another name; in form
/// 1, amounts were texts, and a `bank.tick` was there that nobody needs any more. Form 2 is what the bank has now.
fn upcasters() -> Upcasters {
    let to_texts = |value: serde_json::Value| {
        Ok(json!((value.as_u64().ok_or("no number")? * 100).to_string()))
    };
    let to_events = |value: serde_json::Value| {
        let cents: u64 = value.as_str().ok_or("no text")?.parse()?;
        Ok(json!({ "Deposited": { "cents": cents } }))
    };
    Upcasters::to(2)
        .json("account.deposited", 0, to_texts)
        .unwrap()
        .json("account.deposited", 1, to_events)
        .unwrap()
        .step("account.created", 0, |form| {
            let value = form.json()?;
            Ok(vec![
                Form::of("account.opened", &json!({ "Opened": { "owner": value["owner"] } })),
                Form::of("account.deposited", &json!(value["cents"].to_string())),
            ])
        })
        .unwrap()
        .step("bank.tick", 1, |_| Ok(vec![]))
        .unwrap()
}

#[test]
fn the_steps_are_chained_and_one_event_may_become_several_or_none() {
    let store = Arc::new(Memory::new());
    append(&store, "account.created", 0, &json!({ "owner": "Ada", "cents": 250 }));
    append(&store, "account.deposited", 0, &json!(3));
    append(&store, "bank.tick", 0, &json!("whatever"));
    append(&store, "account.deposited", 1, &json!("7"));
    append(&store, "bank.tick", 1, &json!("whatever"));
    let accounts =
        Repository::<Account, _>::new(store.clone(), Json).upcasters(upcasters()).snapshots(6);
    let loaded = accounts.load("7").unwrap();
    assert_eq!((loaded.state.owner.as_deref(), loaded.state.cents), (Some("Ada"), 557));
    assert_eq!((loaded.version, loaded.position), (5, 5), "events are counted as they are stored");

    // What is written now has the latest form.
    accounts.execute("7", &Deposit(1)).unwrap();
    store
        .scan(5, &mut |record| {
            assert_eq!(record.schema, 2);
            ControlFlow::Break(())
        })
        .unwrap();
    let loaded = accounts.load("7").unwrap();
    assert_eq!((loaded.state.cents, loaded.snapshot), (558, Some(6)));

    let mut balances = Projector::new(store.clone(), Balances::version(1), Json)
        .upcasters(upcasters())
        .by_hand()
        .unwrap();
    balances.catch_up().unwrap();
    // Six events of today: opened, and five deposits less the ticks.
    assert_eq!(shown(&*store, "balances@1"), [("account-7".into(), (5, 558))]);
}

#[test]
fn a_step_that_fails_says_where() {
    let store = Arc::new(Memory::new());
    append(&store, "account.deposited", 2, &json!({ "Deposited": { "cents": 1 } }));
    append(&store, "account.created", 0, &json!({ "owner": "Ada", "cents": "many" }));
    let accounts = Repository::<Account, _>::new(store.clone(), Json).upcasters(upcasters());
    let Err(LoadError::Unreadable(error)) = accounts.load("7") else { panic!("it was read") };
    // As it is stored, and where it had come to.
    assert_eq!((error.position, &*error.topic, error.schema), (1, "account.created", 0));
    let ReadProblem::Upcast { topic, from, problem } = &error.problem else { panic!("{error}") };
    assert_eq!((&**topic, *from), ("account.deposited", 1));
    assert!(problem.contains("invalid digit"), "{problem}");
    let text = error.to_string();
    assert!(
        text.starts_with(
            "event 1 (`account.created`, form 0) cannot be read: from form 1 of `account.deposited`"
        ),
        "{text}"
    );

    let mut balances = Projector::new(store.clone(), Balances::version(1), Json)
        .upcasters(upcasters())
        .by_hand()
        .unwrap();
    let halt = balances.catch_up().unwrap_err();
    assert!(matches!(halt, Halt::Unreadable(found) if found == error));
    assert_eq!(balances.position(), 1);
}

#[test]
fn what_a_later_program_has_written_is_not_misread() {
    let store = Arc::new(Memory::new());
    append(&store, "account.deposited", 3, &json!({ "Deposited": { "cents": 1 } }));
    let accounts = Repository::<Account, _>::new(store, Json).upcasters(upcasters());
    let Err(LoadError::Unreadable(error)) = accounts.load("7") else { panic!("it was read") };
    assert_eq!(error.problem, ReadProblem::Later { known: 2 });
}

#[test]
fn two_steps_from_one_form_are_refused_and_so_is_one_from_the_latest() {
    let twice = upcasters().json("account.deposited", 1, Ok).unwrap_err();
    assert_eq!(twice.to_string(), "form 1 of `account.deposited` has a step already");
    let latest = upcasters().json("account.deposited", 2, Ok).unwrap_err();
    assert_eq!(latest.to_string(), "form 2 of `account.deposited` is not older than the latest");
}

proptest! {
    /// Each step writes down its number. Whatever steps there are, those from the event's form on are taken, in order.
    #[test]
    fn the_steps_from_its_form_on_are_taken_each_once(
        steps in prop::collection::btree_set(0..20_u16, 0..12), schema in 0..=20_u16,
    ) {
        let mut upcasters = Upcasters::to(20);
        for step in &steps {
            let step = *step;
            upcasters = upcasters.json("account.opened", step, move |mut value| {
                let owner = format!("{}{step} ", value["Opened"]["owner"].as_str().ok_or("none")?);
                value["Opened"]["owner"] = json!(owner);
                Ok(value)
            }).unwrap();
        }
        let store = Arc::new(Memory::new());
        append(&store, "account.opened", schema, &json!({ "Opened": { "owner": "" } }));
        let accounts = Repository::<Account, _>::new(store, Json).upcasters(upcasters);
        let expected: String = steps.range(schema..).fold(String::new(), |text, step| text + &step.to_string() + " ");
        prop_assert_eq!(accounts.load("7").unwrap().state.owner, Some(expected));
    }
}
