//! How far a handler is, where the store fails and where others are in the way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use slipring_events::{AnyEvent, ByHand, Reason, Subscription};
use slipring_store::{Batch, CHECKPOINTS, Checkpoint, Durability, Entry, EventStore, Memory};

use crate::{
    common::{
        failing::{Failing, Failure},
        until,
    },
    program::{Run, Seen, checkpoint_at},
};

const NAME: &str = "numbers/notes";

fn noting(run: &Run, seen: &Seen) -> (Subscription<AnyEvent>, ByHand<AnyEvent>) {
    let seen = Arc::clone(seen);
    run.bus
        .handler("notes")
        .topic("a.#")
        .on::<u64>()
        .durable(run.checkpoint().from_the_beginning())
        .by_hand(move |number, _| seen.lock().unwrap().push(*number))
        .unwrap()
}

/// Steps until something is so.
fn step_until(hand: &mut ByHand<AnyEvent>, what: &str, mut is_so: impl FnMut() -> bool) {
    until(what, || {
        hand.step();
        is_so()
    });
}

#[test]
fn it_holds_while_its_checkpoint_cannot_be_written() {
    for failure in [Failure::Before, Failure::After] {
        let (store, seen) = (Failing::new(Memory::new()), Seen::default());
        let run = Run::new(&store);
        let (handler, mut hand) = noting(&run, &seen);
        run.publish(0..10);
        step_until(&mut hand, "all is seen", || handler.account().handled == 10);
        store.fail_space(Some((CHECKPOINTS, failure)));
        step_until(&mut hand, "it says so", || handler.trouble().is_some());
        assert!(handler.trouble().unwrap().contains("no space left"));
        run.publish(10..15);
        let (tried, is_stored) = (store.commits(), || run.journal.position_from(14).is_some());
        until("it is stored", is_stored);
        if failure == Failure::Before {
            step_until(&mut hand, "it has tried again", || store.commits() > tried + 2);
            assert_eq!(seen.lock().unwrap().len(), 10, "and has not gone on");
            assert_eq!(checkpoint_at(&store.inner, NAME), Some(0));
        }
        store.fail_space(None);
        step_until(&mut hand, "it goes on", || checkpoint_at(&store.inner, NAME) == Some(15));
        assert!(seen.lock().unwrap().iter().copied().eq(0..15));
        assert_eq!(handler.trouble(), None);
        drop(hand);
        run.end();
    }
}

#[test]
fn it_holds_while_what_it_has_missed_cannot_be_read() {
    let (store, seen) = (Failing::new(Memory::new()), Seen::default());
    let run = Run::with(&store, 512);
    run.publish(0..200);
    let is_stored = || run.journal.next_sequence() >= 200;
    until("it is stored", is_stored);
    let (handler, mut hand) = noting(&run, &seen);
    run.publish(200..210);
    store.blind_to(Some(""));
    step_until(&mut hand, "it says so", || handler.trouble().is_some());
    assert!(handler.trouble().unwrap().contains("no disk"));
    assert!(seen.lock().unwrap().is_empty(), "what is on the ring has to wait");
    assert!(handler.is_catching_up());
    store.blind_to(None);
    step_until(&mut hand, "all is seen", || seen.lock().unwrap().len() == 210);
    assert!(seen.lock().unwrap().iter().copied().eq(0..210));
    assert_eq!((handler.trouble(), handler.is_catching_up()), (None, false));
    drop(hand);
    run.end();
}

#[test]
fn a_letter_that_was_written_before_the_checkpoint_is_all_that_becomes_of_its_event() {
    let (store, seen) = (Failing::new(Memory::new()), Seen::default());
    let is_mended = Arc::new(AtomicBool::new(false));
    let handler = |run: &Run| {
        let (seen, is_mended) = (Arc::clone(&seen), Arc::clone(&is_mended));
        let handler = run.bus.handler("notes").on::<u64>().durable(run.checkpoint());
        let handler = handler.by_hand(move |number: &u64, _| {
            if *number == 3 && !is_mended.load(Ordering::SeqCst) {
                return Err("not now");
            }
            seen.lock().unwrap().push(*number);
            Ok(())
        });
        handler.unwrap()
    };
    let first = Run::new(&store);
    let (_, mut hand) = handler(&first);
    store.fail_space(Some((CHECKPOINTS, Failure::Before)));
    first.publish(0..5);
    step_until(&mut hand, "all has come", || first.letters.len() + seen.lock().unwrap().len() == 5);
    drop(hand);
    first.end();
    assert_eq!(checkpoint_at(&store.inner, NAME), Some(0));

    store.begin_anew();
    is_mended.store(true, Ordering::SeqCst);
    let second = Run::new(&store);
    let (subscription, mut hand) = handler(&second);
    step_until(&mut hand, "all has come again", || !subscription.is_catching_up());
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 4, 0, 1, 2, 4]);
    assert_eq!(second.letters.len(), 1);
    assert_eq!(subscription.account().duplicates, 1);
    second.letters.requeue_all("notes").unwrap();
    step_until(&mut hand, "it is given back", || seen.lock().unwrap().last() == Some(&3));
    assert_eq!(second.letters.len(), 0);
    drop(hand);
    second.end();
}

#[test]
fn what_comes_again_and_was_before_the_dead_one_of_its_key_is_not_behind_it() {
    let (store, seen) = (Failing::new(Memory::new()), Seen::default());
    for run in 0..2 {
        store.begin_anew();
        let run_of = Run::new(&store);
        let note = Arc::clone(&seen);
        let (handler, mut hand) = run_of
            .bus
            .handler("notes")
            .on::<u64>()
            .in_sequence(|number| number % 2)
            .durable(run_of.checkpoint())
            .by_hand(move |number: &u64, _| {
                if *number == 4 {
                    return Err("never");
                }
                note.lock().unwrap().push(*number);
                Ok(())
            })
            .unwrap();
        if run == 0 {
            run_of.publish(0..7);
            store.fail_space(Some((CHECKPOINTS, Failure::Before)));
        }
        // 6 is behind 4.
        step_until(&mut hand, "all has come", || {
            let account = handler.account();
            account.handled == 5 && !handler.is_catching_up() && run_of.letters.len() == 2
        });
        if run == 1 {
            run_of.publish(7..10);
            step_until(&mut hand, "what is new has come", || run_of.letters.len() == 3);
        }
        drop(hand);
        run_of.end();
    }
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3, 5, 0, 1, 2, 3, 5, 7, 9]);
    assert_eq!(checkpoint_at(&store.inner, NAME), Some(10));
}

#[test]
fn what_follows_holds_the_checkpoint_until_it_is_stored_or_a_letter() {
    let store = Arc::new(Memory::new());
    let run = Run::new(&store);
    let (handler, mut hand) = run
        .bus
        .handler("notes")
        .topic("a.#")
        .on::<u64>()
        .durable(run.checkpoint())
        .by_hand(|number: &u64, context| {
            if *number == 3 {
                let event = AnyEvent::named("number", *number);
                context.publish_after(Duration::from_hours(1), event)?;
            }
            Ok::<_, slipring_events::FollowUpError>(())
        })
        .unwrap();
    run.publish(0..10);
    step_until(&mut hand, "it is kept", || checkpoint_at(&*store, NAME) == Some(3));
    assert_eq!(handler.account().handled, 10);
    drop(hand);
    assert_eq!(run.letters.list()[0].reason, Reason::Unsent);
    assert_eq!(checkpoint_at(&*store, NAME), Some(10));
    run.end();
}

#[test]
fn of_two_who_have_a_checkpoint_one_moves_it() {
    let (store, seen) = (Arc::new(Memory::new()), Seen::default());
    let run = Run::new(&store);
    let (handler, mut hand) = noting(&run, &seen);
    let mut batch = Batch::new();
    Checkpoint::named(NAME).put(&mut batch, 7);
    store.commit(&batch, Durability::Synced).unwrap();
    run.publish(0..10);
    step_until(&mut hand, "it says so", || handler.trouble().is_some());
    let trouble = handler.trouble().unwrap();
    assert!(trouble.contains("was moved by somebody else"), "{trouble}");
    drop(hand);
    run.end();
    assert_eq!(checkpoint_at(&*store, NAME), Some(7));
}

#[test]
fn what_cannot_be_read_holds_it_if_it_is_for_it() {
    let (store, seen) = (Arc::new(Memory::new()), Seen::default());
    let run = Run::new(&store);
    run.publish(0..3);
    run.end();
    let mut batch = Batch::new();
    for topic in ["b.number", "a.number"] {
        batch.append(Entry::new(topic, b"seven").source("numbers")).unwrap();
    }
    store.commit(&batch, Durability::Synced).unwrap();
    let run = Run::new(&store);
    let (handler, mut hand) = noting(&run, &seen);
    step_until(&mut hand, "it says so", || handler.trouble().is_some());
    let trouble = handler.trouble().unwrap();
    assert!(trouble.contains("the event at 4 cannot be read"), "{trouble}");
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2]);
    drop(hand);
    assert_eq!(checkpoint_at(&*store, NAME), Some(4));
    run.end();
}
