//! Every bug that was found is a test here, or a case in `model.proptest-regressions`.

mod common;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use common::{A_MINUTE, Log, abandon, joined, past, polled, turnstile, within_a_minute};
use slipring::{
    At, BuildError, Builder, Dispatcher, Handler, HandlerError, MultiProducer, Policy, Poll,
    Producer, PublishError, ShutdownCause, Wait, poller, read, read_with,
};

/// Lets a producer get to sleep. Whether it does decides only how much is tested.
fn a_moment() {
    thread::sleep(std::time::Duration::from_millis(20));
}

#[test]
fn a_reset_hook_runs_for_the_station_before_a_poller_that_left() {
    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let slow = move |_: &u64, at: At<'_>| turnstile.pass(at.sequence());
        let (mut producer, mut dispatcher) = Builder::new(1, || 0)
            .reset(|_| ())
            .wait(Wait::Block)
            .then(read("slow", slow))
            .then(poller("leaves"))
            .start()
            .unwrap();
        drop(dispatcher.poller("leaves").unwrap());
        producer.publish(|_| ()).unwrap();
        assert_eq!(keeper.arrival(), 0);
        let second = thread::spawn(move || producer.publish(|_| ()));
        a_moment();
        keeper.let_through();
        assert_eq!(second.join().unwrap(), Ok(1));
        drop(keeper);
        joined(dispatcher);
    });
}

#[test]
fn an_early_release_makes_room_also_with_a_reset_hook() {
    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let slow = move |_: &u64, at: At<'_>| {
            turnstile.pass(at.sequence());
            if at.sequence() == 1 {
                at.release();
                turnstile.pass(100);
            }
        };
        let (mut producer, dispatcher) = Builder::new(2, || 0)
            .reset(|_| ())
            .wait(Wait::Block)
            .then(read("slow", slow).max_batch(2))
            .start()
            .unwrap();
        producer.publish_slice(&[1, 2]).unwrap();
        assert_eq!(keeper.arrival(), 0);
        let third = thread::spawn(move || producer.publish(|_| ()));
        a_moment();
        keeper.let_through();
        // The batch is two events only if the station had not looked between them.
        let mut at = keeper.arrival();
        assert_eq!(at, 1);
        keeper.let_through();
        at = keeper.arrival();
        assert_eq!(at, 100);
        assert_eq!(third.join().unwrap(), Ok(2), "while the handler is still in its batch");
        drop(keeper);
        joined(dispatcher);
    });
}

#[test]
fn a_reset_hook_may_publish_and_is_told_when_it_would_wait_for_itself() {
    within_a_minute(|| {
        let shared: Arc<Mutex<Option<MultiProducer<u64>>>> = Arc::default();
        let in_hook = Arc::clone(&shared);
        let (tell, told) = mpsc::channel();
        let hook = move |_: &mut u64| {
            if let Some(producer) = in_hook.lock().unwrap().as_mut() {
                tell.send((producer.try_publish(|_| ()), producer.publish(|_| ()))).unwrap();
            }
        };
        let (mut producer, mut dispatcher) =
            Builder::new(1, || 0).reset(hook).then(poller("mine")).start_multi().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        *shared.lock().unwrap() = Some(producer.clone());
        producer.publish(|_| ()).unwrap();
        assert_eq!(poller.poll(|_, _| ()), Ok(Poll::Events(1)));
        let deadlock = PublishError::WouldDeadlock { station: "reset hook".into() };
        assert_eq!(told.recv_timeout(A_MINUTE), Ok((Err(PublishError::Full), Err(deadlock))));
        *shared.lock().unwrap() = None;
        assert_eq!(producer.try_publish(|_| ()), Ok(1));
    });
}

#[test]
fn a_reset_hook_that_has_panicked_is_not_called_again() {
    within_a_minute(|| {
        let log = Log::default();
        let cleared = log.clone();
        let hook = move |event: &mut u64| {
            cleared.push(*event);
            assert_ne!(*event, 2, "on purpose");
        };
        let (mut producer, mut dispatcher) =
            Builder::new(4, || 0).reset(hook).then(poller("mine").max_batch(4)).start().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        producer.publish_slice(&[1, 2, 3]).unwrap();
        assert_eq!(poller.poll(|_, _| ()), Ok(Poll::Events(3)));
        assert_eq!(poller.poll(|_, _| ()).unwrap_err().station(), "reset hook");
        drop(poller);
        assert_eq!(log.take(), [1, 2]);
    });
}

#[test]
fn an_abandoned_sequence_is_passed_over_once_whatever_becomes_of_a_batch() {
    for forget in [false, true] {
        within_a_minute(move || {
            let (mut producer, mut dispatcher) =
                Builder::new(4, || 0_u64).then(poller("mine").max_batch(4)).start_multi().unwrap();
            let mut poller = dispatcher.poller("mine").unwrap();
            producer.publish(|event| *event = 1).unwrap();
            abandon(&mut producer);
            let ask_twice = || {
                let mut batch = poller.read().unwrap();
                assert_eq!((batch.next().copied(), batch.next()), (Some(1), None));
                assert!(forget, "on purpose, after everything was read");
                std::mem::forget(batch);
            };
            assert_eq!(catch_unwind(AssertUnwindSafe(ask_twice)).is_err(), !forget);
            // What a forgotten batch has read is read again; after the panic nothing is left.
            let again = if forget { Poll::Events(2) } else { Poll::Idle };
            assert_eq!(poller.poll(|_, _| ()), Ok(again));
            drop((producer, poller));
            let report = joined(dispatcher);
            assert_eq!((report.published, report.abandoned), (1, 1));
            assert_eq!((report.stations[0].handled, report.stations[0].left), (1, 0));
        });
    }
}

#[test]
fn a_name_that_no_thread_can_have_is_an_error() {
    let error = Builder::new(1, || 0).then(read("a\0b", |_: &u8, _| ())).start().unwrap_err();
    assert_eq!(error, BuildError::BadName("a\0b".into()));
}

#[test]
fn a_poller_behind_the_producers_is_never_gated() {
    let (mut producer, mut dispatcher) =
        Builder::new(2, || 0).then(poller::<u8>("mine")).start().unwrap();
    let mut mine = dispatcher.poller("mine").unwrap();
    producer.publish(|_| ()).unwrap();
    assert_eq!(mine.poll_at_most(0, |_, _| ()), Ok(Poll::Events(1)));
}

/// A payload that panics whenever it is dropped, without end.
struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        std::panic::panic_any(Loud);
    }
}

#[test]
fn panics_on_the_way_to_a_policy_stop_at_the_policy() {
    struct Unspeakable;
    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("on purpose, while it is shown");
        }
    }
    within_a_minute(|| {
        // An error that cannot be shown counts as a panic of the handler...
        let (mut producer, dispatcher) = Builder::new(2, || 0)
            .then(read("bad", |_: &u8, _| Err(Unspeakable)).policy(Policy::Skip))
            .start()
            .unwrap();
        producer.publish(|_| ()).unwrap();
        drop(producer);
        assert_eq!(joined(dispatcher).station("bad").unwrap().skipped, 1);

        // ... and a payload that cannot be dropped as any other.
        let throw = |_: &u8, at: At<'_>| {
            if at.sequence() == 0 {
                std::panic::panic_any(Loud);
            }
        };
        let (mut producer, dispatcher) =
            Builder::new(2, || 0).then(read("loud", throw).policy(Policy::Skip)).start().unwrap();
        producer.publish(|_| ()).unwrap();
        drop(producer);
        assert_eq!(joined(dispatcher).station("loud").unwrap().skipped, 1);
    });
}

#[test]
fn a_loud_payload_wedges_neither_the_start_nor_the_end_nor_a_poller() {
    within_a_minute(|| {
        let make = || -> u8 { std::panic::panic_any(Loud) };
        let error = Builder::new(2, || 0_u8)
            .then(read_with("loud", make, |_: &mut u8, _: &u8, _| ()))
            .start()
            .unwrap_err();
        assert!(matches!(error, BuildError::NotStarted { .. }), "{error}");

        let (producer, dispatcher) = Builder::new(2, || 0_u8)
            .then(read_with("loud", || OnDrop(|| std::panic::panic_any(Loud)), |_, _: &u8, _| ()))
            .start()
            .unwrap();
        drop(producer);
        assert_eq!(dispatcher.join().unwrap_err().fault().unwrap().station(), "loud");

        // After an early release the slots before the event in hand are the producer's: the poller
        // must not come back to them.
        let (mut producer, mut dispatcher) =
            Builder::new(4, || 0_u64).then(poller("mine").max_batch(4)).start().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        producer.publish_slice(&[1, 2, 3]).unwrap();
        let release_and_panic = |_: &u64, at: At<'_>| {
            if at.sequence() == 2 {
                at.release();
                std::panic::panic_any(Loud);
            }
        };
        assert_eq!(poller.poll(release_and_panic).unwrap_err().sequence(), 2);
        assert_eq!(poller.sequence(), 2);
    });
}

/// Calls something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_report_made_in_the_middle_of_a_batch_adds_up() {
    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let handle = move |_: &u64, at: At<'_>| {
            if at.sequence() == 0 {
                return Err("skipped");
            }
            turnstile.pass(at.sequence());
            Ok(())
        };
        let (mut producer, mut dispatcher) = Builder::new(4, || 0_u64)
            .then(poller("mine").max_batch(4).policy(Policy::Skip))
            .start()
            .unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        producer.publish_slice(&[1, 2]).unwrap();
        let polling = thread::spawn(move || poller.poll(handle));
        assert_eq!(keeper.arrival(), 1);
        drop(producer);
        let report = joined(dispatcher);
        assert_eq!((report.stations[0].handled, report.stations[0].left), (0, 2));
        drop(keeper);
        assert_eq!(polling.join().unwrap(), Ok(Poll::Events(2)));
    });
}

#[test]
fn what_a_forgotten_batch_has_passed_over_is_passed_over_again() {
    let (mut producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(poller("mine").max_batch(8)).start_multi().unwrap();
    let mut poller = dispatcher.poller("mine").unwrap();
    producer.publish(|event| *event = 10).unwrap();
    abandon(&mut producer);
    producer.publish(|event| *event = 12).unwrap();
    let read = |poller: &mut slipring::Poller<u64>| {
        let mut batch = poller.read().unwrap();
        let events: Vec<u64> = std::iter::from_fn(|| batch.next().copied()).collect();
        std::mem::forget(batch);
        events
    };
    assert_eq!(read(&mut poller), [10, 12]);
    assert_eq!(read(&mut poller), [10, 12]);
}

#[test]
fn a_handler_cannot_wait_for_its_own_ring() {
    within_a_minute(|| {
        let (hand_over, dispatcher) = mpsc::channel::<Dispatcher<u64>>();
        let (tell, told) = mpsc::channel();
        let handle = move |_: &u64, _: At<'_>| {
            tell.send(dispatcher.recv().unwrap().join().unwrap_err().cause).unwrap();
        };
        let (mut producer, dispatcher) =
            Builder::new(2, || 0).then(read("joins", handle)).start().unwrap();
        hand_over.send(dispatcher).unwrap();
        producer.publish(|_| ()).unwrap();
        assert_eq!(told.recv_timeout(A_MINUTE), Ok(ShutdownCause::OwnThread));
        assert_eq!(producer.publish(|_| ()), Err(PublishError::Closed));

        // The same for the state of a handler that owns its dispatcher and drops it at the end.
        let (hand_over, dispatcher) = mpsc::channel::<Dispatcher<u64>>();
        let (gone, end) = mpsc::channel::<()>();
        let take =
            move |state: &mut Vec<(Dispatcher<u64>, mpsc::Sender<()>)>, _: &u64, _: At<'_>| {
                state.push((dispatcher.recv().unwrap(), gone.clone()));
            };
        let (mut producer, dispatcher) =
            Builder::new(2, || 0).then(read_with("owns", Vec::new, take)).start().unwrap();
        hand_over.send(dispatcher).unwrap();
        producer.publish(|_| ()).unwrap();
        drop(producer);
        assert_eq!(end.recv_timeout(A_MINUTE), Err(mpsc::RecvTimeoutError::Disconnected));
    });
}

#[test]
fn stations_that_nap_for_long_drain_when_the_ring_closes() {
    within_a_minute(|| {
        let hours = std::time::Duration::from_hours(4);
        let (mut producer, dispatcher) = Builder::new(8, || 0)
            .wait(Wait::Sleep(hours))
            .then(read("a", |_: &u64, _| ()))
            .then(read("b", |_: &u64, _| ()))
            .then(read("c", |_: &u64, _| ()))
            .start()
            .unwrap();
        a_moment();
        producer.publish_batch(8, |_, _| ()).unwrap();
        assert!(dispatcher.shutdown(A_MINUTE).unwrap().is_complete());
    });
}

#[test]
fn a_retry_without_end_ends_when_the_ring_is_halted() {
    within_a_minute(|| {
        let (handle, calls) = mpsc::channel();
        let fail = move |_: &u64, _: At<'_>| {
            let _ = handle.send(());
            Err("again")
        };
        let (mut producer, dispatcher) = Builder::new(2, || 0)
            .then(read("stubborn", fail).policy(Policy::retry(u32::MAX)))
            .start()
            .unwrap();
        producer.publish(|_| ()).unwrap();
        calls.recv_timeout(A_MINUTE).unwrap();
        dispatcher.halt();
        let report = dispatcher.join().unwrap();
        assert_eq!((report.stations[0].handled, report.stations[0].left), (0, 1));
        while calls.recv_timeout(A_MINUTE).is_ok() {}
    });
}

#[test]
fn a_fault_after_the_owners_halt_is_still_told() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) =
            Builder::new(2, || 0_u64).then(poller("mine")).start().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        producer.publish(|_| ()).unwrap();
        let fault = poller.poll(|_, _| {
            dispatcher.halt();
            Err("too late")
        });
        assert_eq!(fault.unwrap_err().message(), "too late");
        assert!(poller.is_over());
    });
}

#[test]
fn a_deadlock_is_found_also_through_a_poll_inside_a_handler() {
    within_a_minute(|| {
        let (hand_over, things) = mpsc::channel::<(MultiProducer<u64>, slipring::Poller<u64>)>();
        let (tell, told) = mpsc::channel();
        let outer = move |_: &u64, at: At<'_>| {
            if at.sequence() > 0 {
                return;
            }
            let (mut producer, mut inner) = things.recv().unwrap();
            // The poller is past the event; the handler around it is what holds the slot.
            let polled = inner.poll(|_, at| {
                at.release();
                tell.send(producer.publish_batch(2, |_, _| ())).unwrap();
            });
            assert_eq!(polled, Ok(Poll::Events(1)));
        };
        let (mut producer, mut dispatcher) = Builder::new(2, || 0_u64)
            .then((read("outer", outer), poller("inner")))
            .start_multi()
            .unwrap();
        let inner = dispatcher.poller("inner").unwrap();
        producer.publish(|_| ()).unwrap();
        hand_over.send((producer.clone(), inner)).unwrap();
        let result = told.recv_timeout(A_MINUTE).unwrap();
        assert!(matches!(result, Err(PublishError::WouldDeadlock { .. })), "{result:?}");
        drop(producer);
        joined(dispatcher);
    });
}

#[test]
fn a_slice_waits_for_room_until_its_deadline() {
    let (mut producer, mut dispatcher) =
        Builder::new(2, || 0_u64).then(poller("mine")).start().unwrap();
    let mut mine = dispatcher.poller("mine").unwrap();
    assert_eq!(producer.publish_slice_deadline(past(), &[1, 2]), Ok(0..2));
    assert_eq!(producer.publish_slice_deadline(past(), &[3]), Err(PublishError::TimedOut));
    let mut seen = polled(&mut mine);
    seen.extend(polled(&mut mine));
    assert_eq!(seen, [1, 2]);
}

#[test]
fn an_early_release_accounts_for_what_was_skipped_before_it() {
    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let handle = move |_: &u64, at: At<'_>| {
            if at.sequence() < 3 {
                return Err("skipped");
            }
            at.release();
            turnstile.pass(at.sequence());
            Ok(())
        };
        let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64)
            .then(poller("mine").max_batch(8).policy(Policy::Skip))
            .start()
            .unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        producer.publish_slice(&[0; 5]).unwrap();
        let polling = thread::spawn(move || poller.poll(handle));
        assert_eq!(keeper.arrival(), 3);
        drop(producer);
        let mine = joined(dispatcher).stations.remove(0);
        assert_eq!((mine.handled, mine.skipped, mine.left), (0, 3, 2));
        drop(keeper);
        assert_eq!(polling.join().unwrap(), Ok(Poll::Events(5)));
    });
}

#[test]
fn a_reset_hooks_fault_names_its_event_and_nothing_else_panics() {
    let state = OnDrop(|| panic!("on purpose, in a hook's state"));
    let hook = move |event: &mut u64| {
        let _ = &state;
        assert_ne!(*event, 13, "on purpose");
    };
    let (mut producer, mut dispatcher) =
        Builder::new(4, || 0_u64).reset(hook).then(poller("mine").max_batch(4)).start().unwrap();
    let mut poller = dispatcher.poller("mine").unwrap();
    producer.publish_slice(&[10, 11, 12, 13]).unwrap();
    assert_eq!(poller.poll(|_, _| ()), Ok(Poll::Events(4)));
    let fault = dispatcher.fault().unwrap();
    assert_eq!((fault.station(), fault.sequence()), ("reset hook", 3));
    assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Halted(fault)));
}

/// Publishes one event; then a second one while the ring is closed.
fn refuse_the_second(producer: &mut Producer<u64>, dispatcher: &Dispatcher<u64>) {
    assert_eq!(producer.publish(|event| *event = 1), Ok(0));
    let late = producer.publish(|event| {
        *event = 2;
        dispatcher.close();
    });
    assert_eq!(late, Err(PublishError::Closed));
}

#[test]
fn a_refused_event_is_not_given_to_the_reset_hook() {
    let (tell, told) = mpsc::channel();
    let (mut producer, mut dispatcher) = Builder::new(8, || 0)
        .reset(move |event| tell.send(*event).unwrap())
        .then(poller("mine"))
        .start()
        .unwrap();
    let mine = dispatcher.poller("mine").unwrap();
    refuse_the_second(&mut producer, &dispatcher);
    drop(mine);
    assert_eq!(told.try_iter().collect::<Vec<u64>>(), [1]);
}

#[test]
fn a_refused_event_takes_no_room() {
    let (mut producer, dispatcher) = Builder::new(8, || 0).then(poller("mine")).start().unwrap();
    refuse_the_second(&mut producer, &dispatcher);
    assert_eq!(producer.room(), 7);
}

#[test]
fn a_refused_event_is_in_nobodys_backlog() {
    struct Backlog(u64);
    impl Handler<u64> for Backlog {
        fn on_batch_start(&mut self, _: usize, backlog: u64) {
            self.0 = backlog;
        }
        fn on_event(&mut self, _: &u64, _: At<'_>) -> Result<(), HandlerError> {
            Ok(())
        }
    }
    let (mut producer, mut dispatcher) =
        Builder::new(8, || 0).then(poller("mine")).start().unwrap();
    let mut mine = dispatcher.poller("mine").unwrap();
    refuse_the_second(&mut producer, &dispatcher);
    let mut handler = Backlog(0);
    assert_eq!(mine.poll_handler(&mut handler), Ok(Poll::Events(1)));
    assert_eq!(handler.0, 1);
}

#[test]
fn a_batch_names_the_sequence_of_its_next_event() {
    let (mut producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(poller("mine").max_batch(8)).start_multi().unwrap();
    let mut mine = dispatcher.poller("mine").unwrap();
    abandon(&mut producer);
    assert_eq!(producer.publish(|event| *event = 7), Ok(1));
    let mut batch = mine.read().unwrap();
    assert_eq!(batch.sequence(), 1);
    assert_eq!(batch.next(), Some(&7));
}

#[test]
fn a_polled_station_cannot_be_pinned_wrongly() {
    let ring = Builder::new(2, || 0_u8).then(poller("mine").pin(usize::MAX));
    assert!(ring.start().is_ok());
}
