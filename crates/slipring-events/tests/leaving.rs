//! How handlers leave, and how a bus ends: nothing is lost in silence, and nobody is waited for for ever.

mod common;

use std::{
    future::pending,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Waker},
    thread,
    time::{Duration, Instant},
};

use common::{AMPLE, Bad, MILLI, SECOND, by_clock, log, news, number, publish, settle};
use slipring::Detach;
use slipring_events::{AnyEvent, Backoff, Bus, Fate, Reason, Retry, Step, Subscription};

/// Long enough to be seen, if somebody waits who should not.
const TOO_LONG: Duration = Duration::from_secs(20);

// ---- unsubscribing ----

#[test]
fn a_thread_and_a_task_are_drained_or_leave_at_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    for is_task in [false, true] {
        for how in [Detach::Drained, Detach::AtOnce] {
            let bus = Bus::<AnyEvent>::start(16).unwrap();
            let (go, wait) = mpsc::channel::<()>();
            let (tell, told) = mpsc::channel();
            let wait = Mutex::new(wait);
            let handle = move |_: &u32| {
                tell.send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
            };
            let registration = bus.handler("leaves").on::<u32>();
            let handler = if is_task {
                let (handler, task) =
                    registration.task(async move |number, _| handle(number)).unwrap();
                runtime.spawn(task);
                handler
            } else {
                registration.run(move |number, _| handle(number)).unwrap()
            };
            publish(&bus, 0..10);
            // It has the first one in hand.
            told.recv_timeout(AMPLE).unwrap();
            let still = handler.unsubscribe(how, Duration::ZERO).unwrap_err();
            assert!(still.to_string().contains("leaves"));
            // After it was told, so not for a drained one.
            publish(&bus, [10]);
            (0..11).for_each(|_| _ = go.send(()));
            let account = still.subscription.unsubscribe(how, AMPLE).unwrap();
            assert!(account.adds_up(), "{account:?}");
            if how == Detach::Drained {
                assert!(account.handled >= 10, "{account:?}");
            } else {
                // It looks at its orders between two batches.
                assert_eq!(account.handled + account.passed_over, 11, "{account:?}");
            }
            assert!(bus.accounts().is_empty());
        }
    }
}

#[test]
fn an_inline_handler_leaves_though_nobody_publishes() {
    let bus = Bus::<AnyEvent>::start(16).unwrap();
    for how in [Detach::Drained, Detach::AtOnce] {
        let handler = bus.handler("inline").on::<u32>().inline(|_, _| ()).unwrap();
        publish(&bus, 0..3);
        let account = handler.unsubscribe(how, TOO_LONG).unwrap();
        assert_eq!(account.handled, 3);
        assert_eq!(bus.publisher().publish(number(1)).unwrap().handlers(), 0);
    }
}

#[test]
fn a_hand_leaves_when_it_is_stepped() {
    let (bus, clock) = by_clock(16);
    let bad = Bad::these([1]);
    let is_bad = bad.clone();
    let register = |is_bad: Bad| {
        bus.handler("hand")
            .on::<u32>()
            .retry(Retry::none().then(Backoff::fixed(SECOND), 9))
            .by_hand(move |number, _| is_bad.try_on(*number))
            .unwrap()
    };
    let (handler, mut hand) = register(is_bad);
    publish(&bus, [0, 1, 2]);
    let handler = handler.unsubscribe(Detach::Drained, Duration::ZERO).unwrap_err().subscription;
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND)));
    publish(&bus, [3]);
    clock.advance(SECOND);
    // What came after it was told is none of its business; what it has put aside is.
    assert_eq!(settle(&mut hand), Step::Idle(Some(SECOND)));
    bad.mend(1);
    clock.advance(SECOND);
    assert_eq!(settle(&mut hand), Step::Over);
    drop(hand);
    let account = handler.unsubscribe(Detach::Drained, AMPLE).unwrap();
    assert_eq!((account.handled, account.waiting, account.dead), (3, 0, 0), "{account:?}");

    let (handler, mut hand) = register(Bad::these([5]));
    publish(&bus, [4, 5, 6]);
    settle(&mut hand);
    publish(&bus, [7]);
    let handler = handler.unsubscribe(Detach::AtOnce, Duration::ZERO).unwrap_err().subscription;
    assert_eq!(hand.step(), Step::Over);
    drop(hand);
    let account = handler.unsubscribe(Detach::AtOnce, AMPLE).unwrap();
    assert_eq!((account.handled, account.passed_over, account.dead), (2, 1, 1), "{account:?}");
    assert_eq!(bus.dead_letters().list()[0].reason, Reason::Left);
}

#[test]
fn a_handler_of_any_kind_can_have_itself_leave() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let kinds = ["thread", "task", "inline", "hand"];
    for (kind, how) in
        kinds.into_iter().flat_map(|kind| [(kind, Detach::AtOnce), (kind, Detach::Drained)])
    {
        let bus = Bus::<AnyEvent>::start(16).unwrap();
        let own = Arc::new(Mutex::new(None::<Subscription<AnyEvent>>));
        let place = Arc::clone(&own);
        let (tell, told) = mpsc::channel();
        let leave = move || {
            let handler = place.lock().unwrap().take();
            let still = handler.and_then(|handler| handler.unsubscribe(how, TOO_LONG).err());
            // Dropped, it leaves all the same.
            tell.send(still.is_some()).unwrap();
        };
        let registration = bus.handler("once").on::<u32>();
        let mut hand = None;
        let handler = match kind {
            "thread" => registration.run(move |_, _| leave()).unwrap(),
            "task" => {
                let (handler, task) = registration.task(async move |_, _| leave()).unwrap();
                runtime.spawn(task);
                handler
            }
            "inline" => registration.inline(move |_, _| leave()).unwrap(),
            _ => {
                let (handler, by_hand) = registration.by_hand(move |_, _| leave()).unwrap();
                hand = Some(by_hand);
                handler
            }
        };
        *own.lock().unwrap() = Some(handler);
        let start = Instant::now();
        publish(&bus, [0]);
        if let Some(mut hand) = hand.take() {
            assert_eq!(settle(&mut hand), Step::Over);
        }
        assert_eq!(told.recv_timeout(TOO_LONG), Ok(true), "{kind}");
        while !bus.accounts().is_empty() {
            assert!(start.elapsed() < TOO_LONG, "{kind}");
            thread::yield_now();
        }
        bus.shutdown(AMPLE).unwrap();
    }
}

#[test]
fn who_leaves_at_once_publishes_first_what_follows() {
    let (bus, _) = by_clock(2);
    let (handler, mut hand) = bus
        .handler("leaves")
        .on::<u32>()
        .by_hand(|_, _| vec![AnyEvent::new("a"), AnyEvent::new("b")])
        .unwrap();
    let (_slow, mut slow) = bus.handler("slow").by_hand(|_, _| ()).unwrap();
    publish(&bus, [0, 1]);
    assert_eq!((hand.step(), hand.step()), (Step::Moved, Step::Full));
    let handler = handler.unsubscribe(Detach::AtOnce, Duration::ZERO).unwrap_err().subscription;
    assert_eq!((hand.step(), slow.step()), (Step::Full, Step::Moved));
    // It leaves the ring first, with which its second event is passed over, and what follows finds room.
    assert_eq!((settle(&mut hand), handler.account().handled), (Step::Over, 1));
    drop(hand);
    let account = handler.account();
    assert_eq!((account.passed_over, account.follow_ups, account.unsent), (1, 2, 0), "{account:?}");
    drop(slow);
}

// ---- dropped ----

#[test]
fn a_task_that_is_dropped_in_the_middle_has_left_and_the_event_in_hand_is_passed_over() {
    let (bus, _) = by_clock(16);
    let (handler, task) = bus
        .handler("task")
        .on::<u32>()
        .task(async |number, _| {
            if *number == 1 {
                pending::<()>().await;
            }
        })
        .unwrap();
    let mut receipts: Vec<_> =
        (0..4).map(|count| bus.publisher().publish_tracked(number(count)).unwrap()).collect();
    {
        let mut task = Box::pin(task);
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let account = handler.account();
    assert_eq!((account.handled, account.passed_over, account.next), (1, 3, 4), "{account:?}");
    assert!(account.adds_up());
    for (count, receipt) in receipts.iter_mut().enumerate() {
        let unhandled = receipt.wait(TOO_LONG).unwrap();
        let expected = if count == 0 { vec![] } else { vec![Fate::PassedOver] };
        assert_eq!(unhandled.into_iter().map(|each| each.fate).collect::<Vec<_>>(), expected);
    }
    assert!(bus.accounts().is_empty());
    bus.shutdown(AMPLE).unwrap();
}

#[test]
fn a_task_that_is_dropped_while_it_tries_again_leaves_letters() {
    let (bus, clock) = by_clock(16);
    let (handler, task) = bus
        .handler("task")
        .on::<u32>()
        .in_sequence(|number| number % 2)
        .retry(Retry::none().then(Backoff::fixed(SECOND), 9))
        .task(async |number, context| {
            if context.attempt() > 1 {
                pending::<()>().await;
            }
            if *number == 0 { Err("not now") } else { Ok(()) }
        })
        .unwrap();
    let receipt = bus.publisher().publish_tracked(number(0)).unwrap();
    publish(&bus, [1, 2, 4]);
    {
        let mut task = Box::pin(task);
        let mut poll =
            || assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        (0..10).for_each(|_| poll());
        assert_eq!(handler.account().waiting, 3, "{:?}", handler.account());
        clock.advance(SECOND);
        // It naps for the manual clock, by a timer.
        let start = Instant::now();
        while handler.account().handled == 1 && start.elapsed() < SECOND {
            poll();
            thread::sleep(MILLI);
        }
    }
    let account = handler.account();
    assert!(account.adds_up(), "{account:?}");
    assert_eq!((account.handled, account.dead, account.waiting), (1, 3, 0), "{account:?}");
    let letters = bus.dead_letters().list();
    assert!(letters.iter().all(|letter| letter.reason == Reason::Left), "{letters:?}");
    let numbers: Vec<u32> = letters
        .iter()
        .map(|letter| *bus.dead_letters().get(letter.id).unwrap().envelope.payload.get().unwrap())
        .collect();
    assert_eq!(numbers, [0, 2, 4]);
    let mut receipt = receipt;
    assert_eq!(receipt.wait(TOO_LONG).unwrap().len(), 1);
}

#[test]
fn a_hand_that_is_dropped_makes_room() {
    let (bus, _) = by_clock(2);
    let (handler, hand) = bus.handler("hand").on::<u32>().by_hand(|_, _| ()).unwrap();
    publish(&bus, [0, 1]);
    drop(hand);
    publish(&bus, [2, 3, 4]);
    assert_eq!((handler.account().passed_over, handler.account().adds_up()), (2, true));
}

#[test]
fn a_bus_that_is_dropped_is_shut_down() {
    let (seen, record) = log();
    let bus = Bus::<AnyEvent>::start(4).unwrap();
    bus.handler("numbers")
        .on::<u32>()
        .run(move |number, _| record.lock().unwrap().push(*number))
        .unwrap();
    let mut publisher = bus.publisher();
    (0..4).for_each(|count| {
        publisher.publish(number(count)).unwrap();
    });
    drop(bus);
    assert_eq!(news(&seen), [0, 1, 2, 3]);
    assert!(publisher.is_closed() && publisher.publish(number(4)).is_err());
}

// ---- the end ----

#[test]
fn what_waits_is_tried_again_before_the_bus_ends() {
    let bus = Bus::<AnyEvent>::start(4).unwrap();
    bus.handler("tries")
        .on::<u32>()
        .retry(Retry::none().then(Backoff::fixed(MILLI * 2), 9))
        .run(|_, context| if context.attempt() < 5 { Err("not yet") } else { Ok(()) })
        .unwrap();
    publish(&bus, 0..4);
    let report = bus.shutdown(AMPLE).unwrap();
    let account = report.handlers[0].account;
    assert_eq!((account.handled, account.retries, account.dead), (4, 16, 0), "{report}");
}

#[test]
fn what_still_waits_when_the_time_is_over_is_a_letter() {
    let (bus, _clock) = by_clock(8);
    bus.handler("tries")
        .on::<u32>()
        .retry(Retry::none().then(Backoff::fixed(SECOND), 9))
        .run(|number, _| if *number == 0 { Ok(()) } else { Err("not yet") })
        .unwrap();
    publish(&bus, 0..3);
    let letters = bus.dead_letters().clone();
    let end = bus.shutdown(MILLI * 50).unwrap_err();
    assert!(end.running.is_empty(), "{end}");
    let account = end.report.handlers[0].account;
    assert_eq!((account.handled, account.dead, account.waiting), (1, 2, 0), "{account:?}");
    assert!(account.adds_up());
    let reasons: Vec<_> = letters.list().into_iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [Reason::Left, Reason::Left]);
    assert_eq!(letters.list()[0].attempts, 1);
}

#[test]
fn who_is_stuck_is_named_and_not_waited_for() {
    for kind in ["thread", "inline"] {
        let bus = Bus::<AnyEvent>::start(8).unwrap();
        let (tell, told) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let handle = move |_: &u32| {
            tell.send(()).unwrap();
            _ = wait.recv();
        };
        let registration = bus.handler("stuck").on::<u32>();
        let handler = if kind == "thread" {
            registration.run(move |number, _| handle(number)).unwrap()
        } else {
            registration.inline(move |number, _| handle(number)).unwrap()
        };
        bus.handler("fine").on::<u32>().run(|_, _| ()).unwrap();
        let mut publisher = bus.publisher();
        let publishing = thread::spawn(move || publisher.publish(number(1)).is_ok());
        told.recv_timeout(AMPLE).unwrap();
        // In a thread of its own, so that it is seen if it waits.
        let (tell, ended) = mpsc::channel();
        thread::spawn(move || tell.send(bus.shutdown(MILLI * 20)).unwrap());
        let end = ended
            .recv_timeout(TOO_LONG)
            .unwrap_or_else(|_| panic!("{kind}: it waits"))
            .unwrap_err();
        assert_eq!(end.running.iter().map(|name| &**name).collect::<Vec<_>>(), ["stuck"], "{kind}");
        assert!(end.to_string().contains("stuck still at it"), "{end}");
        // It leaves when it returns.
        go.send(()).unwrap();
        assert!(publishing.join().unwrap(), "{kind}");
        assert!(handler.unsubscribe(Detach::AtOnce, TOO_LONG).unwrap().adds_up());
    }
}

#[test]
fn a_bus_ends_whose_inline_handler_waits_for_room_that_nobody_makes() {
    let bus = Bus::<AnyEvent>::start(1).unwrap();
    bus.handler("inline").on::<u32>().inline(|_, _| Some(AnyEvent::new("follows"))).unwrap();
    // A task that nobody polls.
    let (_slow, slow) = bus.handler("slow").task(async |_, _| ()).unwrap();
    let letters = bus.dead_letters().clone();
    let mut publisher = bus.publisher();
    publisher.try_publish(number(1)).unwrap();
    let (tell, ended) = mpsc::channel();
    thread::spawn(move || tell.send(bus.shutdown(MILLI * 20)).unwrap());
    let end = ended.recv_timeout(TOO_LONG).expect("it waits").unwrap_err();
    assert_eq!(end.running.iter().map(|name| &**name).collect::<Vec<_>>(), ["slow"]);
    let list = letters.list();
    assert_eq!((list.len(), &list[0].reason), (1, &Reason::Unsent));
    assert_eq!(letters.requeue(0), Err(slipring_events::Requeue::Unsent(0)));
    drop(slow);
}

#[test]
fn a_thread_that_panics_drops_its_bus_and_does_not_run_inline_handlers() {
    let (seen, record) = log();
    let unwinding = thread::spawn(move || {
        /// Publishes in the middle of a panic.
        struct Last(slipring_events::Publisher<AnyEvent>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.publish(number(2)).unwrap();
            }
        }
        let bus = Bus::<AnyEvent>::start(8).unwrap();
        bus.handler("inline")
            .on::<u32>()
            .inline(move |number, _| record.lock().unwrap().push(*number))
            .unwrap();
        publish(&bus, [1]);
        let _last = Last(bus.publisher());
        panic!("on the way");
    });
    assert_eq!(unwinding.join().unwrap_err().downcast_ref(), Some(&"on the way"));
    assert_eq!(news(&seen), [1]);
}

#[test]
fn a_bus_that_ends_runs_by_itself_what_is_left_to_do_by_hand() {
    let bus = Bus::<AnyEvent>::start(4).unwrap();
    let (handler, mut hand) = bus
        .handler("hand")
        .on::<u32>()
        .by_hand(|number, _| (*number < 3).then(|| AnyEvent::new(number + 1)))
        .unwrap();
    bus.publisher().publish(number(1)).unwrap();
    let report = bus.shutdown(TOO_LONG).unwrap();
    assert_eq!(report.handlers[0].account.handled, 3);
    assert_eq!((hand.step(), handler.account().follow_ups), (Step::Over, 2));
}
