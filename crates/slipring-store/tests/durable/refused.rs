//! Handlers that cannot be durable.

use std::sync::Arc;

use slipring::{LagPolicy, Start};
use slipring_events::{AnyEvent, Bus, DeadLetters, NotDurable, RegisterError};
use slipring_store::{Batch, Checkpoint, Durability, EventStore, Memory, Retention, StoreError};

use crate::program::{Run, checkpoint_at};

fn why(refused: Result<impl Sized, RegisterError>) -> NotDurable {
    match refused {
        Ok(_) => panic!("it is registered"),
        Err(RegisterError::NotDurable(why)) => why,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_cannot_be_durable_is_refused_and_told_what_to_do() {
    let store = Arc::new(Memory::new());
    let run = Run::new(&store);
    let handler = || run.bus.handler("notes").durable(run.checkpoint());
    let refused = why(handler().inline(|_, _| ()));
    assert!(matches!(refused, NotDurable::Inline), "{refused}");
    let refused = why(handler().share(0, 2).run(|_, _| ()));
    assert!(matches!(refused, NotDurable::Shared), "{refused}");
    let refused = why(handler().lag_limit(4, LagPolicy::SkipAhead).run(|_, _| ()));
    assert!(matches!(refused, NotDurable::SkipsAhead), "{refused}");
    let refused = why(handler().start(Start::Oldest).run(|_, _| ()));
    assert!(matches!(refused, NotDurable::Start), "{refused}");
    let refused = why(handler().dead_letters(&DeadLetters::new(10)).run(|_, _| ()));
    assert!(matches!(refused, NotDurable::Letters), "{refused}");
    let bus = Bus::<AnyEvent>::start(16).unwrap();
    let refused = why(bus.handler("notes").durable(run.checkpoint()).run(|_, _| ()));
    assert!(matches!(refused, NotDurable::NoJournal), "{refused}");
    assert_eq!(checkpoint_at(&*store, "numbers/notes"), None, "of none of them there is anything");
    // Its name is free.
    handler().run(|_, _| ()).unwrap();
    assert_eq!(checkpoint_at(&*store, "numbers/notes"), Some(0));
    run.end();
}

#[test]
fn a_checkpoint_of_another_journal_is_refused() {
    let (store, other) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
    let run = Run::new(&store);
    let journal = slipring_store::BusJournal::open("others", other, crate::program::Number);
    let of_other =
        slipring_store::StoreCheckpoint::new(&journal.unwrap().handle(), crate::program::Number);
    let refused = why(run.bus.handler("notes").durable(of_other).run(|_, _| ()));
    assert!(refused.to_string().contains("the bus of `notes` has journal `numbers`"), "{refused}");
    run.end();
}

#[test]
fn a_checkpoint_before_what_is_there_or_behind_it_is_an_error() {
    let store = Arc::new(Memory::new());
    let run = Run::new(&store);
    run.publish(0..10);
    run.end();
    let now = slipring_events::Time::from_nanos(u64::MAX);
    store.retain(&Retention::everything().events(0), now).unwrap();
    for (position, is_removed) in [(0, true), (1_000, false)] {
        let mut batch = Batch::new();
        Checkpoint::named("numbers/notes").put(&mut batch, position);
        store.commit(&batch, Durability::Synced).unwrap();
        let run = Run::new(&store);
        let refused = why(run.bus.handler("notes").durable(run.checkpoint()).run(|_, _| ()));
        let NotDurable::Checkpoint(error) = refused else { panic!("{refused}") };
        match error.downcast_ref::<StoreError>() {
            Some(StoreError::Removed { asked: 0, first: 10 }) => assert!(is_removed),
            Some(StoreError::Beyond { asked: 1_000, .. }) => assert!(!is_removed),
            _ => panic!("{error}"),
        }
        run.end();
    }
}
