//! Mistakes that others have made, each by the number it has in the list of those: none of them is made here.
//!
//! What they were is said at each test.

mod common;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use common::{AMPLE, Bad, by_clock, log, news, number, publish, settle};
use slipring_events::{
    AnyEvent, Bus, Context, Draft, EventId, Handle, HandlerError, Inbox, Reason, RefusedReason,
    Retry, Window,
};

/// Errors of asynchronous handlers were gathered and thrown away.
#[test]
fn t1_an_error_of_an_asynchronous_handler_is_seen() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let (_fails, task) = bus
        .handler("fails")
        .on::<u32>()
        .task(async |number, _| {
            tokio::task::yield_now().await;
            if *number == 1 { Err("late trouble") } else { Ok(()) }
        })
        .unwrap();
    runtime.spawn(task);
    bus.handler("fine").on::<u32>().run(|_, _| ()).unwrap();
    let unhandled = bus.publisher().publish_tracked(number(1)).unwrap().wait(AMPLE).unwrap();
    assert_eq!(
        unhandled.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["handler `fails`: late trouble"]
    );
    let letters = bus.dead_letters().list();
    assert_eq!(
        (&*letters[0].handler, &letters[0].reason),
        ("fails", &Reason::Failed("late trouble".into()))
    );
    publish(&bus, [2]);
    let report = bus.shutdown(AMPLE).unwrap();
    let accounts =
        report.handlers.iter().map(|handler| (handler.account.handled, handler.account.failures));
    assert_eq!(accounts.collect::<Vec<_>>(), [(1, 1), (2, 0)]);
}

/// Events were kept by the microsecond: of two within one, the second took the place of the first.
#[test]
fn t2_ids_are_unique_within_one_tick_of_the_clock() {
    const PUBLISHERS: usize = 4;
    const EACH: usize = 500;
    let (bus, _stands_still) = by_clock(64);
    let (seen, record) = log();
    bus.handler("ids")
        .run(move |_, context| record.lock().unwrap().push((context.id(), context.time())))
        .unwrap();
    let mut told = HashSet::new();
    thread::scope(|scope| {
        let publishing = |_| {
            let mut publisher = bus.publisher();
            scope.spawn(move || -> Vec<EventId> {
                (0..EACH).map(|_| publisher.publish(number(7)).unwrap().id()).collect()
            })
        };
        let threads: Vec<_> = (0..PUBLISHERS).map(publishing).collect();
        for thread in threads {
            told.extend(thread.join().unwrap());
        }
    });
    bus.shutdown(AMPLE).unwrap();
    let seen = news(&seen);
    assert!(seen.iter().all(|(_, time)| *time == seen[0].1));
    assert!(seen.is_sorted(), "ids are ordered as events are");
    let ids: HashSet<EventId> = seen.iter().map(|(id, _)| *id).collect();
    assert_eq!((ids.len(), told.len()), (PUBLISHERS * EACH, PUBLISHERS * EACH));
    assert_eq!(ids, told);
}

/// A handler's exception was caught where the message had been acknowledged: it was lost.
#[test]
fn t7_what_a_handler_fails_on_is_kept_until_it_is_handled() {
    let (bus, _) = by_clock(8);
    let bad = Bad::these([1]);
    let is_bad = bad.clone();
    let (handler, mut hand) = bus
        .handler("mail")
        .on::<u32>()
        .retry(Retry::immediately(2))
        .by_hand(move |number, _| is_bad.try_on(*number))
        .unwrap();
    publish(&bus, 0..3);
    settle(&mut hand);
    let letters = bus.dead_letters();
    let letter = letters.get(0).unwrap();
    assert_eq!((letter.envelope.payload.get::<u32>(), letter.info.attempts), (Some(&1), 3));
    bad.mend(1);
    assert_eq!(letters.requeue(0), Ok(1));
    settle(&mut hand);
    let account = handler.account();
    assert_eq!((account.handled, letters.len(), account.adds_up()), (3, 0, true), "{account:?}");
}

/// A handler that raised ended the one thread of the queue; what was queued at the end was lost; and the queue had
/// no bound.
#[test]
fn t10_a_handler_that_panics_goes_on_the_end_waits_and_the_ring_is_bounded() {
    let bus = Bus::<AnyEvent>::start(64).unwrap();
    let (seen, record) = log();
    bus.handler("panics")
        .on::<u32>()
        .run(move |number, _| {
            record.lock().unwrap().push(*number);
            assert!(number % 10 != 0, "a round number");
        })
        .unwrap();
    let mut publisher = bus.publisher();
    (0..64).for_each(|count| {
        publisher.publish(number(count)).unwrap();
    });
    let report = bus.shutdown(AMPLE).unwrap();
    assert_eq!(news(&seen), (0..64).collect::<Vec<u32>>());
    let account = report.handlers[0].account;
    assert_eq!((account.handled, account.dead, account.adds_up()), (57, 7, true), "{report}");

    let (bus, _) = by_clock(2);
    let (_slow, slow) = bus.handler("slow").by_hand(|_, _| ()).unwrap();
    publish(&bus, 0..2);
    assert_eq!(bus.publisher().try_publish(number(2)).unwrap_err().reason, RefusedReason::Full);
    drop(slow);
}

/// What was handled was kept in a set without a bound, and looked up before it was added: two threads could both
/// find that it was not there.
#[test]
fn t11_of_one_event_from_many_threads_one_is_handled_and_the_memory_is_bounded() {
    const THREADS: u64 = 4;
    let bus = Bus::<AnyEvent>::start(64).unwrap();
    let calls = Arc::<AtomicU32>::default();
    let count = Arc::clone(&calls);
    let handler = bus
        .handler("once")
        .on::<u32>()
        .idempotent(100)
        .inline(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            thread::yield_now();
        })
        .unwrap();
    let ids: Vec<EventId> = (0..100).map(|_| EventId::random()).collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (mut publisher, ids) = (bus.publisher(), &ids);
            scope.spawn(move || {
                for id in ids {
                    publisher.send(Draft::new(number(1)).id(*id)).unwrap();
                }
            });
        }
    });
    let account = handler.account();
    assert_eq!(
        (calls.load(Ordering::Relaxed), account.handled, account.duplicates),
        (100, 100, (THREADS - 1) * 100)
    );

    let mut window = Window::last(10);
    (0..1_000).for_each(|_| window.record(EventId::random()).unwrap());
    assert_eq!(window.len(), 10);
}

/// A handler that published called the next one within itself; with a bounded queue, a full one would have locked
/// it up.
#[test]
fn t12_what_a_handler_publishes_comes_after_it_and_never_locks_up() {
    for capacity in [1, 2, 8] {
        let bus = Bus::<AnyEvent>::start(capacity).unwrap();
        let depth = Arc::<AtomicU32>::default();
        let at = Arc::clone(&depth);
        let handler = bus
            .handler("counts down")
            .on::<u32>()
            .inline(move |number, context| -> Result<(), HandlerError> {
                assert_eq!(at.fetch_add(1, Ordering::Relaxed), 0, "it is called within itself");
                for _ in 0..2 {
                    if let Some(less) = number.checked_sub(1) {
                        context.publish(AnyEvent::new(less))?;
                    }
                }
                at.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            })
            .unwrap();
        bus.publisher().publish(number(6)).unwrap();
        assert_eq!(handler.account().handled, (1 << 7) - 1, "{:?}", handler.account());
        assert_eq!(depth.load(Ordering::Relaxed), 0);
        assert_eq!(bus.shutdown(AMPLE).unwrap().handlers[0].account.follow_ups, (1 << 7) - 2);
    }
}

/// The bus called a method that plain functions do not have.
#[test]
fn t13_functions_closures_and_structs_are_handlers() {
    static CALLS: AtomicU32 = AtomicU32::new(0);

    #[allow(clippy::trivially_copy_pass_by_ref)] // As handlers are called.
    fn counts(number: &u32, _: &mut Context<'_, AnyEvent>) {
        CALLS.fetch_add(*number, Ordering::Relaxed);
    }

    async fn counts_later(number: &u32, _: &mut Context<'_, AnyEvent>) -> Result<(), HandlerError> {
        tokio::task::yield_now().await;
        CALLS.fetch_add(number * 10, Ordering::Relaxed);
        Ok(())
    }

    struct Counts(u32);

    impl Handle<AnyEvent, u32> for Counts {
        async fn handle(
            &mut self,
            number: &u32,
            _: &mut Context<'_, AnyEvent>,
        ) -> Result<(), HandlerError> {
            CALLS.fetch_add(number * self.0, Ordering::Relaxed);
            Ok(())
        }
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    bus.handler("function").on::<u32>().run(counts).unwrap();
    let (_task, task) = bus.handler("asynchronous").on::<u32>().task(counts_later).unwrap();
    runtime.spawn(task);
    bus.handler("struct").on::<u32>().run_handler(Counts(100)).unwrap();
    let thousand = |number: &u32, _: &mut Context<'_, AnyEvent>| {
        CALLS.fetch_add(number * 1_000, Ordering::Relaxed);
    };
    bus.handler("closure").on::<u32>().inline(thousand).unwrap();
    publish(&bus, [3]);
    bus.shutdown(AMPLE).unwrap();
    assert_eq!(CALLS.load(Ordering::Relaxed), 3_333);
}
