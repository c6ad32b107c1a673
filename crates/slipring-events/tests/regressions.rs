//! Every bug that was found is a test here.

use std::{
    future::Future as _,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use slipring::{Detach, LagPolicy};
use slipring_events::{
    AnyEvent, Backoff, Breaker, Bus, Carries, DeadLetters, Event, Fate, Handle, HandlerError,
    ManualClock, Publisher, Reason, RefusedReason, RegisterError, Requeue, Retry, Step,
};

const AMPLE: Duration = Duration::from_secs(20);

fn number(number: u32) -> AnyEvent {
    AnyEvent::new(number)
}

/// Fails instead of hanging.
fn within_a_minute(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let worker = thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    match is_done.recv_timeout(Duration::from_mins(1)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => worker.join().unwrap(),
    }
}

/// Steps until there is nothing to do, but not for ever.
fn run_down(hand: &mut slipring_events::ByHand<AnyEvent>) {
    for _ in 0..1_000 {
        if !matches!(hand.step(), Step::Moved | Step::Full) {
            return;
        }
    }
    panic!("it never comes to rest");
}

#[test]
fn a_handler_whose_follow_ups_find_no_room_goes_on_and_makes_some() {
    within_a_minute(|| {
        let bus = Bus::<AnyEvent>::start(1).unwrap();
        // Each leads to two, down to 0.
        let (handler, mut hand) = bus
            .handler("twice")
            .on::<u32>()
            .by_hand(|left, _| (0..*left * 2).map(|_| number(left - 1)).take(2).collect::<Vec<_>>())
            .unwrap();
        bus.publisher().publish(number(4)).unwrap();
        run_down(&mut hand);
        assert_eq!((handler.account().handled, handler.account().unsent), (31, 0));
    });
}

#[test]
fn two_handlers_whose_follow_ups_find_no_room_make_some_for_each_other() {
    within_a_minute(|| {
        let bus = Bus::<AnyEvent>::start(1).unwrap();
        for name in ["one", "other"] {
            bus.handler(name).on::<u32>().run(|left, _| left.checked_sub(1).map(number)).unwrap();
        }
        bus.publisher().publish(number(5)).unwrap();
        let report = bus.shutdown(AMPLE).unwrap();
        assert!(report.handlers.iter().all(|handler| handler.account.handled == 63), "{report}");
    });
}

#[test]
fn a_task_that_is_dropped_in_the_middle_of_an_event_accounts_for_it() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let (handler, task) = bus
        .handler("stuck")
        .on::<u32>()
        .task(async |_, _| std::future::pending::<()>().await)
        .unwrap();
    let mut publisher = bus.publisher();
    let mut receipts: Vec<_> =
        (0..3).map(|count| publisher.publish_tracked(number(count)).unwrap()).collect();
    {
        let mut task = pin!(task);
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let account = handler.account();
    assert!(account.adds_up(), "{account:?}");
    for receipt in &mut receipts {
        let unhandled = receipt.wait(Duration::ZERO).expect("it has left");
        assert_eq!(unhandled.len(), 1);
    }
}

#[test]
fn a_task_that_is_dropped_in_the_middle_of_a_retry_loses_nothing() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let (handler, task) = bus
        .handler("stuck")
        .on::<u32>()
        .retry(Retry::none().then(Backoff::fixed(Duration::from_nanos(1)), 3))
        .in_sequence(|_| 0)
        .task(async move |_, _| {
            if count.fetch_add(1, Ordering::Relaxed) > 0 {
                std::future::pending::<()>().await;
            }
            Err::<(), _>("not yet")
        })
        .unwrap();
    let mut publisher = bus.publisher();
    let mut receipts: Vec<_> =
        (0..3).map(|count| publisher.publish_tracked(number(count)).unwrap()).collect();
    {
        let mut task = pin!(task);
        while attempts.load(Ordering::Relaxed) < 2 {
            assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    }
    let account = handler.account();
    assert!(account.adds_up() && account.waiting == 0, "{account:?}");
    let is_left = |info: &slipring_events::LetterInfo| info.reason == Reason::Left;
    assert_eq!(bus.dead_letters().list().iter().filter(|info| is_left(info)).count(), 3);
    for receipt in &mut receipts {
        assert_eq!(receipt.wait(Duration::ZERO).expect("it has left").len(), 1);
    }
}

#[test]
fn an_inline_handler_leaves_also_when_nobody_publishes() {
    for how in [Detach::Drained, Detach::AtOnce] {
        let bus = Bus::<AnyEvent>::start(8).unwrap();
        let handler = bus.handler("inline").inline(|_, _| ()).unwrap();
        bus.publisher().publish(number(1)).unwrap();
        let account =
            handler.unsubscribe(how, Duration::from_secs(1)).expect("nothing is in its way");
        assert_eq!(account.handled, 1);
    }
}

#[test]
fn inline_handlers_of_two_buses_that_publish_on_each_other_do_not_wait_for_themselves() {
    within_a_minute(|| {
        let buses = [(); 2].map(|()| Bus::<AnyEvent>::start(8).unwrap());
        let (seen, record) = mpsc::channel();
        for (index, bus) in buses.iter().enumerate() {
            let mut other: Publisher<AnyEvent> = buses[1 - index].publisher();
            let seen = seen.clone();
            bus.handler("ping")
                .on::<u32>()
                .inline(move |left, _| {
                    seen.send((index, *left)).unwrap();
                    left.checked_sub(1).into_iter().for_each(|left| {
                        other.publish(number(left)).unwrap();
                    });
                })
                .unwrap();
        }
        buses[0].publisher().publish(number(3)).unwrap();
        drop((seen, buses));
        assert_eq!(record.iter().collect::<Vec<_>>(), [(0, 3), (1, 2), (0, 1), (1, 0)]);
    });
}

#[test]
fn whoever_awaits_an_event_that_the_lag_limit_passes_over_is_told() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let (handler, mut hand) = bus
        .handler("late")
        .on::<u32>()
        .lag_limit(2, LagPolicy::SkipAhead)
        .by_hand(|_, _| ())
        .unwrap();
    let mut publisher = bus.publisher();
    let mut receipt = publisher.publish_tracked(number(0)).unwrap();
    (1..5).for_each(|count| assert_eq!(publisher.publish(number(count)).unwrap().handlers(), 1));
    run_down(&mut hand);
    assert_eq!((handler.account().handled, handler.account().passed_over), (2, 3));
    assert_eq!(receipt.wait(Duration::ZERO).expect("it was passed over")[0].fate, Fate::PassedOver);
}

/// Gives all letters of a handler back as soon as somebody is told that one is there.
struct GivesBack {
    letters: DeadLetters<AnyEvent>,
    has_worked: AtomicBool,
    results: Mutex<Vec<Result<usize, Requeue>>>,
}

impl Wake for GivesBack {
    fn wake(self: Arc<Self>) {
        let result = self.letters.requeue_all("handler");
        self.results.lock().unwrap().push(result);
        self.has_worked.store(true, Ordering::Relaxed);
    }
}

impl GivesBack {
    fn new(letters: &DeadLetters<AnyEvent>) -> Arc<Self> {
        Arc::new(Self {
            letters: letters.clone(),
            has_worked: AtomicBool::new(false),
            results: Mutex::default(),
        })
    }

    /// From now on, when this is settled.
    fn when_settled(self: &Arc<Self>, receipt: &mut slipring_events::Receipt) {
        let waker = Waker::from(Arc::clone(self));
        let poll = pin!(receipt).poll(&mut Context::from_waker(&waker));
        assert_eq!(poll, Poll::Pending);
    }
}

#[test]
fn a_key_that_is_given_back_while_it_is_parked_keeps_its_order() {
    let clock = ManualClock::default();
    let letters = DeadLetters::new(64);
    let bus = Bus::<AnyEvent>::builder(8).clock(clock.clone()).start().unwrap();
    let (seen, record) = mpsc::channel();
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let (_handler, mut hand) = bus
        .handler("handler")
        .on::<u32>()
        .in_sequence(|_| 0)
        .dead_letters(&letters)
        .retry(Retry::none().then(Backoff::fixed(Duration::from_secs(1)), 1))
        .by_hand(move |number, _| {
            if !mended.load(Ordering::Relaxed) {
                return Err("not yet");
            }
            seen.send(*number).unwrap();
            Ok(())
        })
        .unwrap();
    let mut publisher = bus.publisher();
    let mut receipts: Vec<_> =
        (0..3).map(|count| publisher.publish_tracked(number(count)).unwrap()).collect();
    run_down(&mut hand);
    let gives_back = GivesBack::new(&letters);
    for receipt in &mut receipts {
        gives_back.when_settled(receipt);
    }
    clock.advance(Duration::from_secs(1));
    // The first one dies, the others behind it, and each is given back as soon as it is there.
    assert_eq!(hand.step(), Step::Moved);
    assert!(gives_back.has_worked.load(Ordering::Relaxed));
    is_mended.store(true, Ordering::Relaxed);
    publisher.publish(number(3)).unwrap();
    run_down(&mut hand);
    clock.advance(Duration::from_secs(1));
    run_down(&mut hand);
    assert_eq!(record.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_letter_is_not_given_back_to_a_handler_that_is_leaving() {
    let letters = DeadLetters::new(64);
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let (_handler, mut hand) = bus
        .handler("handler")
        .on::<u32>()
        .dead_letters(&letters)
        .retry(Retry::none().then(Backoff::fixed(Duration::from_mins(1)), 1))
        .by_hand(|_, _| Err::<(), _>("no"))
        .unwrap();
    let mut receipt = bus.publisher().publish_tracked(number(0)).unwrap();
    run_down(&mut hand);
    let gives_back = GivesBack::new(&letters);
    gives_back.when_settled(&mut receipt);
    drop(hand);
    let results = gives_back.results.lock().unwrap();
    // Whoever waits is woken when it is settled, and when the handler has ended.
    assert!(!results.is_empty());
    assert!(results.iter().all(|result| *result == Err(Requeue::NoHandler("handler".into()))));
    assert_eq!(letters.len(), 1);
}

/// Publishes when it is dropped.
struct Farewell(Publisher<AnyEvent>);

impl Drop for Farewell {
    fn drop(&mut self) {
        (0..3).for_each(|count| assert_eq!(self.0.publish(number(count)).unwrap().handlers(), 1));
    }
}

#[test]
fn inline_handlers_see_each_event_once_also_in_a_thread_that_panics() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let (seen, record) = mpsc::channel();
    let handler = bus
        .handler("inline")
        .on::<u32>()
        .inline(move |number, _| seen.send(*number).unwrap())
        .unwrap();
    let publisher = bus.publisher();
    let panicked = thread::spawn(move || {
        let _farewell = Farewell(publisher);
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    // In a thread that unwinds nobody handles anything: whoever publishes next does it.
    bus.publisher().publish(number(3)).unwrap();
    assert_eq!(record.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!((handler.account().handled, handler.account().adds_up()), (4, true));
}

#[test]
fn a_shutdown_in_a_hurry_does_not_wait_for_room_that_never_comes() {
    within_a_minute(|| {
        let bus = Bus::<AnyEvent>::start(1).unwrap();
        // A task that nobody polls.
        let (_stuck, stuck) = bus.handler("stuck").task(async |_, _| ()).unwrap();
        let handler = bus
            .handler("inline")
            .on::<u32>()
            .inline(|left, _| left.checked_sub(1).map(number))
            .unwrap();
        let mut publisher = bus.publisher();
        // It waits until there is room for what follows.
        let publishing = thread::spawn(move || publisher.publish(number(1)).is_ok());
        while handler.account().handled < 1 {
            thread::yield_now();
        }
        let not_done = bus.shutdown(Duration::from_millis(10)).unwrap_err();
        assert_eq!(not_done.running, ["stuck".into()]);
        assert!(publishing.join().unwrap());
        assert_eq!((handler.account().unsent, handler.account().adds_up()), (1, true));
        drop(stuck);
    });
}

#[test]
fn what_was_given_back_before_a_shutdown_is_done_in_it() {
    within_a_minute(|| {
        let letters = DeadLetters::new(8);
        let bus = Bus::<AnyEvent>::start(8).unwrap();
        let monitor = bus.monitor();
        let (mut has_returned, given_back) = (false, letters.clone());
        let (returned, is_returned) = mpsc::channel();
        let retry = Retry::none().then(Backoff::fixed(Duration::from_millis(20)), 3);
        let handler = bus
            .handler("handler")
            .on::<u32>()
            .dead_letters(&letters)
            .retry(retry.when(|error| error.to_string() != "fatal"))
            .run(move |number, context| match (number, context.attempt()) {
                (0, 1) => Err("fatal"),
                (_, 1) | (0, 2) => Err("again"),
                (1, 2) => {
                    has_returned |= given_back.requeue_all("handler") == Ok(1);
                    assert!(has_returned, "it was dead");
                    returned.send(()).unwrap();
                    // Until the shutdown has put a mark behind all that was published.
                    while monitor.snapshot().published < 4 {
                        thread::yield_now();
                    }
                    Ok(())
                }
                _ => Ok(()),
            })
            .unwrap();
        let mut publisher = bus.publisher();
        (0..2)
            .for_each(|count| assert_eq!(publisher.publish(number(count)).unwrap().handlers(), 1));
        is_returned.recv().unwrap();
        let report = bus.shutdown(AMPLE).unwrap();
        assert_eq!((handler.account().handled, letters.len()), (2, 0), "{report}");
    });
}

#[test]
fn an_inline_handler_that_comes_while_publishers_wait_is_looked_after_by_them() {
    within_a_minute(|| {
        let bus = Bus::<AnyEvent>::start(1).unwrap();
        let (first, mut hand) = bus.handler("first").by_hand(|_, _| ()).unwrap();
        let mut publisher = bus.publisher();
        publisher.publish(number(0)).unwrap();
        let mut waits = bus.publisher();
        let blocking = thread::spawn(move || waits.publish(number(1)).is_ok());
        let mut waits = bus.publisher();
        let awaiting =
            thread::spawn(move || smol::block_on(waits.publish_async(number(2))).is_ok());
        while bus.monitor().snapshot().producers.stalled == 0 {
            thread::yield_now();
        }
        let inline =
            bus.handler("inline").start(slipring::Start::Oldest).inline(|_, _| ()).unwrap();
        while first.account().handled < 3 {
            hand.step();
        }
        assert!(blocking.join().unwrap() && awaiting.join().unwrap());
        assert!(inline.account().handled >= 2, "{inline:?}");
    });
}

#[test]
fn an_inline_handler_comes_while_another_one_waits_for_the_room_that_it_has_to_make() {
    within_a_minute(|| {
        let bus = Bus::<AnyEvent>::start(1).unwrap();
        let (stuck, mut hand) = bus.handler("stuck").by_hand(|_, _| ()).unwrap();
        let first = bus
            .handler("first")
            .on::<u32>()
            .inline(|left, _| left.checked_sub(1).map(number))
            .unwrap();
        let mut publisher = bus.publisher();
        let publishing = thread::spawn(move || publisher.publish(number(3)).is_ok());
        // What follows from the first event has no room, since one is stuck.
        while first.account().handled < 1 {
            thread::yield_now();
        }
        let second = bus.handler("second").start(slipring::Start::Oldest);
        thread::scope(|scope| {
            let registering = scope.spawn(|| second.inline(|_, _| ()).unwrap());
            while bus.accounts().len() < 3 {
                thread::yield_now();
            }
            while !registering.is_finished() || stuck.account().handled < 4 {
                hand.step();
            }
            assert!(publishing.join().unwrap());
            assert_eq!(
                (first.account().handled, registering.join().unwrap().account().handled),
                (4, 4)
            );
        });
    });
}

#[test]
fn inline_handlers_see_what_follows_also_when_nobody_else_publishes() {
    within_a_minute(|| {
        for is_thread in [true, false] {
            let bus = Bus::<AnyEvent>::start(8).unwrap();
            let (seen, arrives) = mpsc::channel();
            let record = move |number: &u32, _: &mut slipring_events::Context<'_, AnyEvent>| {
                seen.send(*number)
            };
            bus.handler("inline").on::<u32>().inline(record).unwrap();
            let leads_to = |left: &u32, _: &mut slipring_events::Context<'_, AnyEvent>| {
                left.checked_sub(1).map(number)
            };
            let counts = bus.handler("counts").on::<u32>();
            let mut hand = None;
            if is_thread {
                counts.run(leads_to).unwrap();
            } else {
                hand = Some(counts.by_hand(leads_to).unwrap().1);
            }
            bus.publisher().publish(number(3)).unwrap();
            if let Some(hand) = &mut hand {
                run_down(hand);
            }
            let numbers: Vec<u32> =
                (0..4).map_while(|_| arrives.recv_timeout(AMPLE).ok()).collect();
            assert_eq!(numbers, [3, 2, 1, 0]);
        }
    });
}

/// A thread that would wait for room on its own bus, which nobody but it can make.
#[test]
fn a_batch_from_inside_of_a_handler_is_refused_on_a_full_ring() {
    within_a_minute(|| {
        let bus = Bus::<AnyEvent>::start(2).unwrap();
        let mut inside = bus.publisher();
        let (told, heard) = mpsc::channel();
        bus.handler("batches")
            .on::<u32>()
            .run(move |count, _| {
                if *count == 0 {
                    let mut batch = vec![number(8), number(9)];
                    let refused = inside.publish_batch(&mut batch).unwrap_err();
                    told.send((refused, batch.len())).unwrap();
                }
            })
            .unwrap();
        let mut publisher = bus.publisher();
        publisher.publish_batch(&mut vec![number(0), number(1)]).unwrap();
        assert_eq!(heard.recv().unwrap(), (RefusedReason::WouldDeadlock, 2));
        bus.shutdown(Duration::from_secs(30)).unwrap();
    });
}

/// Each holds its own inline handlers and would wait for those of the other.
#[test]
fn two_threads_on_two_buses_whose_inline_handlers_feed_each_other_do_not_lock_up() {
    within_a_minute(|| {
        // With room for all: who publishes over there does not wait, and one of the threads may sleep meanwhile.
        let [left, right] = [(); 2].map(|()| Bus::<AnyEvent>::start(4_096).unwrap());
        let bridge = |from: &Bus<AnyEvent>, to: &Bus<AnyEvent>| {
            let mut to = to.publisher();
            from.handler("bridge")
                .on::<u32>()
                .inline(move |_, _| {
                    thread::yield_now();
                    to.try_publish(AnyEvent::new("over there"))
                        .map(drop)
                        .map_err(|refused| refused.to_string())
                })
                .unwrap();
        };
        bridge(&left, &right);
        bridge(&right, &left);
        thread::scope(|scope| {
            for bus in [&left, &right] {
                let mut publisher = bus.publisher();
                scope.spawn(move || {
                    for count in 0..2_000 {
                        publisher.publish(number(count)).unwrap();
                    }
                });
            }
        });
        let reports = [left, right].map(|bus| bus.shutdown(Duration::from_secs(30)).unwrap());
        for report in reports {
            let account = report.handlers[0].account;
            assert_eq!((account.handled, account.filtered), (2_000, 2_000), "{account:?}");
        }
    });
}

/// What is on the ring behind the last one is not for it: it sleeps until what was put aside is due.
#[test]
fn who_drains_and_waits_for_a_retry_does_not_spin() {
    let clock = ManualClock::default();
    let bus = Bus::<AnyEvent>::builder(8).clock(clock.clone()).start().unwrap();
    let hour = Duration::from_hours(1);
    let (handler, mut hand) = bus
        .handler("drains")
        .on::<u32>()
        .retry(Retry::none().then(Backoff::fixed(hour), 1))
        .by_hand(|_, context| if context.attempt() > 1 { Ok(()) } else { Err("not yet") })
        .unwrap();
    let mut publisher = bus.publisher();
    publisher.publish(number(0)).unwrap();
    assert_eq!(hand.step(), Step::Moved);
    let handler = handler.unsubscribe(Detach::Drained, Duration::ZERO).unwrap_err().subscription;
    // The nudge, and then nothing of what comes.
    assert_eq!(hand.step(), Step::Moved);
    publisher.publish(number(1)).unwrap();
    assert_eq!((hand.step(), hand.step()), (Step::Idle(Some(hour)), Step::Idle(Some(hour))));
    clock.advance(hour);
    while hand.step() == Step::Moved {}
    assert_eq!((hand.step(), handler.account().handled), (Step::Over, 1));
}

#[test]
fn a_deadline_comes_though_the_breaker_is_open() {
    let clock = ManualClock::default();
    let bus = Bus::<AnyEvent>::builder(8).clock(clock.clone()).start().unwrap();
    let second = Duration::from_secs(1);
    let (handler, mut hand) = bus
        .handler("breaks")
        .on::<u32>()
        .breaker(Breaker::after(1).open_for(Duration::from_hours(1)))
        .by_hand(move |count, context| {
            if *count == 0 {
                return Ok(context.publish_after(second, AnyEvent::new("late"))?);
            }
            Err::<(), HandlerError>("broken".into())
        })
        .unwrap();
    let mut publisher = bus.publisher();
    publisher.publish(number(0)).unwrap();
    publisher.publish(number(1)).unwrap();
    while hand.step() == Step::Moved {}
    assert_eq!(hand.step(), Step::Idle(Some(second)));
    clock.advance(second);
    hand.step();
    assert_eq!(handler.account().follow_ups, 1);
}

/// A handler may do its work before there is a future.
#[test]
fn a_panic_in_the_call_of_a_handler_is_a_failure() {
    struct AtOnce;
    impl Handle<AnyEvent, u32> for AtOnce {
        #[allow(clippy::manual_async_fn)]
        fn handle(
            &mut self,
            event: &u32,
            _: &mut slipring_events::Context<'_, AnyEvent>,
        ) -> impl Future<Output = Result<(), HandlerError>> {
            assert_ne!(*event, 1, "it is the one");
            std::future::ready(Ok(()))
        }
    }
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let handler = bus.handler("at once").on::<u32>().inline_handler(AtOnce).unwrap();
    let mut publisher = bus.publisher();
    for count in 0..3 {
        publisher.publish(number(count)).unwrap();
    }
    assert_eq!((handler.account().handled, handler.account().dead), (2, 1));
}

/// Whoever publishes drops what was in the slot a lap ago, and has nothing to do with it.
#[test]
fn a_destructor_that_panics_stops_nobody() {
    #[derive(Clone)]
    struct Odd(bool);
    impl Drop for Odd {
        fn drop(&mut self) {
            assert!(!self.0, "on purpose");
        }
    }
    let bus = Bus::<AnyEvent>::start(1).unwrap();
    let (handler, mut hand) = bus
        .handler("follows")
        .by_hand(|event, _| {
            event.get::<Odd>().map(|_| vec![number(1), number(2)]).unwrap_or_default()
        })
        .unwrap();
    let mut publisher = bus.publisher();
    publisher.publish(AnyEvent::new(Odd(true))).unwrap();
    while hand.step() == Step::Moved {}
    publisher.publish(number(3)).unwrap();
    while hand.step() == Step::Moved {}
    let account = handler.account();
    assert_eq!(
        (account.handled, account.follow_ups, account.adds_up()),
        (4, 2, true),
        "{account:?}"
    );
}

#[test]
fn a_worker_that_has_no_part_of_the_work_is_refused() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    for (worker, of) in [(2, 2), (0, 0)] {
        let refused = bus.handler("worker").share(worker, of).run(|_, _| ()).unwrap_err();
        assert!(matches!(refused, RegisterError::Share { .. }), "{refused}");
    }
}

/// Notes that it was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_task_that_awaits_room_is_told_when_the_bus_closes() {
    let bus = Bus::<AnyEvent>::start(2).unwrap();
    let (_handler, _hand) = bus.handler("never steps").by_hand(|_, _| ()).unwrap();
    let mut publisher = bus.publisher();
    publisher.publish(number(0)).unwrap();
    publisher.publish(number(1)).unwrap();

    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut task = Context::from_waker(&waker);
    let mut publishing = pin!(publisher.publish_async(number(2)));
    // It looks around a few times before it falls asleep.
    loop {
        assert!(publishing.as_mut().poll(&mut task).is_pending());
        if !bell.0.swap(false, Ordering::SeqCst) {
            break;
        }
    }
    bus.close();
    assert!(bell.0.load(Ordering::SeqCst));
    let refused = smol::block_on(publishing).unwrap_err();
    assert_eq!(refused.reason, RefusedReason::Closed);
}

/// An event that panics when it is asked what it carries.
#[derive(Clone, Debug)]
struct Moody(u32);

impl Event for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }
}

impl Carries<u32> for Moody {
    fn get(&self) -> Option<&u32> {
        assert_ne!(self.0, 1, "not in the mood");
        Some(&self.0)
    }
}

#[test]
fn an_event_that_panics_when_it_is_asked_what_it_carries_is_a_dead_letter() {
    within_a_minute(|| {
        let bus = Bus::<Moody>::start(8).unwrap();
        let _thread = bus.handler("thread").on::<u32>().run(|_, _| ()).unwrap();
        let (_handler, task) = bus.handler("task").on::<u32>().task(async |_, _| ()).unwrap();
        let task = smol::spawn(task);
        let mut publisher = bus.publisher();
        for number in 0..3 {
            publisher.publish(Moody(number)).unwrap();
        }
        let report = bus.shutdown(AMPLE).unwrap();
        smol::block_on(task);
        for handler in report.handlers {
            let account = handler.account;
            assert!(account.adds_up(), "{account}");
            assert_eq!((account.handled, account.dead), (2, 1), "{}", handler.name);
        }
    });
}
