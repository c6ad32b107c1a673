//! What a handler has missed comes first, and then what is on the ring.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use slipring_events::{AnyEvent, Backoff, Draft, Reason, Retry, Step, Subscription};
use slipring_store::{Batch, Durability, Entry, EventStore, Memory, Replay, Retention, StoreInbox};

use crate::{
    common::until,
    program::{LONG, Number, Run, Seen, checkpoint_at, stored},
};

/// A handler that notes what it sees.
fn noting(run: &Run, seen: &Seen) -> Subscription<AnyEvent> {
    let seen = Arc::clone(seen);
    let handler = run.bus.handler("notes").topic("a.#").on_numbers();
    handler
        .durable(run.checkpoint())
        .run(move |number, _| seen.lock().unwrap().push(*number))
        .unwrap()
}

/// Shorter.
trait OnNumbers<'b> {
    fn on_numbers(self) -> slipring_events::Registration<'b, AnyEvent, slipring_events::Part<u64>>;
}

impl<'b> OnNumbers<'b> for slipring_events::Registration<'b, AnyEvent> {
    fn on_numbers(self) -> slipring_events::Registration<'b, AnyEvent, slipring_events::Part<u64>> {
        self.on::<u64>()
    }
}

#[test]
fn what_is_missed_comes_in_order_and_then_what_is_new() {
    let (store, seen) = (Arc::new(Memory::new()), Seen::default());
    let first = Run::new(&store);
    first.publish(0..5);
    let handler = noting(&first, &seen);
    first.publish(5..40);
    first.publish_to("b.number", 100..120);
    first.publish(40..50);
    until("all is seen", || handler.account().handled == 45);
    first.end();
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(5..50), "from when it was registered");
    assert_eq!(checkpoint_at(&*store, "numbers/notes"), Some(70));

    // A run without it.
    let second = Run::new(&store);
    second.publish(50..150);
    second.end();
    let third = Run::new(&store);
    third.publish(150..160);
    let handler = noting(&third, &seen);
    third.publish(160..200);
    third.end();
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(5..200));
    let account = handler.account();
    assert!(account.adds_up() && account.handled == 150 && account.caught_up >= 110, "{account:?}");
    assert_eq!(handler.account().duplicates, 0);
}

#[test]
fn a_new_handler_begins_at_the_beginning_if_it_is_to() {
    let (store, seen) = (Arc::new(Memory::new()), Seen::default());
    let first = Run::new(&store);
    first.publish(0..100);
    first.end();
    // Of somebody else, who has the store as well.
    let mut batch = Batch::new();
    batch.append(Entry::new("a.number", &7_u64.to_le_bytes())).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
    let second = Run::new(&store);
    second.publish(100..110);
    let note = Arc::clone(&seen);
    let handler = second
        .bus
        .handler("late")
        .durable(second.checkpoint().from_the_beginning().named("somebody"))
        .run(move |event: &AnyEvent, _| note.lock().unwrap().push(*event.get().unwrap()))
        .unwrap();
    second.publish(110..120);
    second.end();
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..120));
    assert!(handler.account().adds_up());
    assert_eq!(checkpoint_at(&*store, "somebody"), Some(121));
}

#[test]
fn it_is_in_nobodys_way_while_it_catches_up_and_what_follows_is_stored_once() {
    let (store, seen) = (Arc::new(Memory::new()), Seen::default());
    let first = Run::new(&store);
    first.publish(0..500);
    first.end();
    // A ring of 4, and each event leads to three: there is no room but what the handler itself makes. Those that come by
    // the ring may wait for room, the others not.
    let second = Run::with(&store, 4);
    let note = Arc::clone(&seen);
    let handler = second
        .bus
        .handler("three")
        .topic("a.#")
        .on::<u64>()
        .follow_ups(400)
        .durable(second.checkpoint().from_the_beginning())
        .run(move |number: &u64, context| {
            note.lock().unwrap().push(*number);
            (0..3).try_for_each(|third| {
                let event = AnyEvent::named("number", number * 3 + third);
                context.send(Draft::new(event).topic("b.number"))
            })
        })
        .unwrap();
    second.publish(500..600);
    second.end();
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..600));
    let account = handler.account();
    assert!(account.adds_up() && account.dead == 0, "{account:?}");
    assert!(stored(&*store, "b").into_iter().eq(0..1_800), "{account:?}");
    let end = store.bounds().unwrap().end;
    assert_eq!(checkpoint_at(&*store, "numbers/three"), Some(end));
}

#[test]
fn whoever_waits_for_an_event_is_told_also_if_it_comes_from_the_store() {
    let (store, seen) = (Arc::new(Memory::new()), Seen::default());
    let first = Run::new(&store);
    first.publish(0..100);
    first.end();
    let second = Run::with(&store, 8);
    let (gate, note) = (Arc::new(AtomicU64::new(0)), Arc::clone(&seen));
    let (handler, mut hand) = second
        .bus
        .handler("answers")
        .on::<u64>()
        .topic("a.#")
        .durable(second.checkpoint().from_the_beginning())
        .by_hand({
            let gate = Arc::clone(&gate);
            move |number: &u64, context| {
                note.lock().unwrap().push(*number);
                gate.fetch_add(1, Ordering::SeqCst);
                let event = AnyEvent::named("number", *number);
                // Of most nobody wants to know.
                context.reply(event).ok();
            }
        })
        .unwrap();
    let mut publisher = second.bus.publisher();
    let draft = || Draft::new(AnyEvent::named("number", 100_u64)).topic("a.number");
    let mut receipt = publisher.send_tracked(draft()).unwrap();
    second.publish(101..106);
    until("the journal has passed them", || {
        second.bus.monitor().snapshot().stations[0].position >= handler.first_sequence() + 6
    });
    // The ring is more than half full: it lets them pass.
    until("it has let it pass", || {
        hand.step();
        handler.account().deferred > 0
    });
    assert_eq!(seen.lock().unwrap().len() as u64, gate.load(Ordering::SeqCst));
    until("it has caught up", || {
        hand.step();
        seen.lock().unwrap().len() == 106
    });
    assert!(receipt.wait(LONG).unwrap().is_empty(), "it was handled");
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..106));
    drop(hand);
    second.end();
}

#[test]
fn what_is_replayed_passes_it_by() {
    let (store, seen) = (Arc::new(Memory::new()), Seen::default());
    let first = Run::new(&store);
    let handler = noting(&first, &seen);
    first.publish(0..10);
    until("all is seen", || handler.account().handled == 10);
    first.end();
    let second = Run::new(&store);
    let handler = noting(&second, &seen);
    let mut publisher = second.bus.publisher();
    Replay::new(store.clone()).into_bus(&mut publisher, &Number).unwrap();
    second.publish(10..12);
    until("it has come there", || handler.account().handled == 2);
    second.end();
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..12));
    assert_eq!(handler.account().filtered, 10);
}

#[test]
fn retention_leaves_it_what_it_has_not_done() {
    let (store, seen) = (Arc::new(Memory::new()), Seen::default());
    let first = Run::new(&store);
    let handler = noting(&first, &seen);
    first.publish(0..10);
    until("all is seen", || handler.account().handled == 10);
    first.end();
    let second = Run::new(&store);
    second.publish(10..20);
    second.end();
    let now = slipring_events::Time::from_nanos(u64::MAX);
    let removed = store.retain(&Retention::everything().events(0), now).unwrap();
    assert_eq!(removed.held_by.as_deref(), Some("numbers/notes"));
    assert!(removed.first <= 10, "{removed:?}");
    let third = Run::new(&store);
    noting(&third, &seen);
    third.end();
    assert_eq!(*seen.lock().unwrap(), Vec::from_iter(0..20));
}

#[test]
fn what_waits_holds_the_checkpoint_and_comes_again_and_what_is_dead_does_not() {
    let store = Arc::new(Memory::new());
    let seen = Seen::default();
    for run in 0..2 {
        let run_of = Run::new(&store);
        let note = Arc::clone(&seen);
        let (handler, mut hand) = run_of
            .bus
            .handler("desk")
            .on::<u64>()
            .retry(
                Retry::immediately(0)
                    .then(Backoff::fixed(Duration::from_hours(1)), 1)
                    .when(|error| error.to_string() == "later"),
            )
            .durable(run_of.checkpoint())
            .by_hand(move |number: &u64, _| match number {
                3 if run == 0 => Err("later"),
                5 => Err("never"),
                _ => {
                    note.lock().unwrap().push(*number);
                    Ok(())
                }
            })
            .unwrap();
        if run == 0 {
            run_of.publish(0..8);
        }
        until("all has come", || {
            hand.step();
            let account = handler.account();
            account.handled + account.waiting + account.dead + account.duplicates == [8, 5][run]
        });
        drop(hand);
        let account = handler.account();
        assert!(account.adds_up(), "{account:?}");
        assert_eq!((account.passed_over, run_of.letters.len()), (1 - run as u64, 1));
        assert_eq!(checkpoint_at(&*store, "numbers/desk"), Some([3, 8][run]));
        assert_eq!(run_of.letters.list()[0].reason, Reason::Failed("never".into()));
        run_of.end();
    }
    // 4, 6 and 7 come again, as there is no inbox; 5 is dead, and stays so.
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 4, 6, 7, 3, 4, 6, 7]);
}

#[test]
fn with_an_inbox_what_comes_again_is_known() {
    let (store, seen) = (Arc::new(Memory::new()), Seen::default());
    for run in 0..2 {
        let run_of = Run::new(&store);
        let (note, inbox) = (Arc::clone(&seen), StoreInbox::last("desk", store.clone(), 100));
        let (handler, mut hand) = run_of
            .bus
            .handler("desk")
            .on::<u64>()
            .idempotent_by(inbox.unwrap())
            .retry(Retry::immediately(0).then(Backoff::fixed(Duration::from_hours(1)), 1))
            .durable(run_of.checkpoint())
            .by_hand(move |number: &u64, _| {
                if *number == 3 && run == 0 {
                    return Err("later");
                }
                note.lock().unwrap().push(*number);
                Ok(())
            })
            .unwrap();
        if run == 0 {
            run_of.publish(0..8);
        }
        until("all has come", || {
            assert!(matches!(hand.step(), Step::Moved | Step::Idle(_)));
            let account = handler.account();
            account.handled + account.waiting + account.duplicates == [8, 5][run]
        });
        if run == 1 {
            assert_eq!((handler.account().handled, handler.account().duplicates), (1, 4));
        }
        drop(hand);
        run_of.end();
    }
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 4, 5, 6, 7, 3]);
}
