//! The rest of the public interface: what the machines have no use for, called once each, and shown.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use slipring::{
    At, BuildError, Builder, GiveUp, Handler, HandlerError, HandlerMut, Policy, Poll, PublishError,
    ShutdownCause, Wait, poller, poller_mut, read, read_handler, update_handler,
};

use crate::{
    common::{A_MINUTE, Log, WAITS, far_future, joined, polled, within_a_minute},
    payload::{Content, Counted, EXPLOSION, Ledger, MADE, Payload},
};

/// A handler that tells of its life.
struct Diary(Log<&'static str>);

impl Handler<u64> for Diary {
    fn on_start(&mut self) {
        self.0.push("start");
    }

    fn on_event(&mut self, _: &u64, _: At<'_>) -> Result<(), HandlerError> {
        self.0.push("event");
        Ok(())
    }

    fn on_idle(&mut self) {
        self.0.push("idle");
    }

    fn on_stop(&mut self) {
        self.0.push("stop");
    }
}

impl HandlerMut<u64> for Diary {
    fn on_start(&mut self) {
        Handler::on_start(self);
    }

    fn on_event(&mut self, event: &mut u64, at: At<'_>) -> Result<(), HandlerError> {
        Handler::on_event(self, event, at)
    }

    fn on_idle(&mut self) {
        Handler::on_idle(self);
    }

    fn on_stop(&mut self) {
        Handler::on_stop(self);
    }
}

#[test]
fn a_handler_is_told_of_its_start_its_idleness_and_its_end() {
    within_a_minute(|| {
        let (reads, updates) = (Log::default(), Log::default());
        let (first, second) = (reads.clone(), updates.clone());
        // Hours: an idle hook more would come from nowhere.
        let hours = Duration::from_hours(9);
        let (mut producer, dispatcher) = Builder::<u64>::with_defaults(2)
            .then(read_handler("reads", move || Diary(first)).idle_after(hours))
            .then(update_handler("updates", move || Diary(second)).idle_after(hours))
            .start()
            .unwrap();
        assert_eq!(producer.publish(|event| assert_eq!(*event, 0)), Ok(0));
        drop(producer);
        assert!(joined(dispatcher).is_complete());
        for diary in [reads, updates] {
            let mut told = diary.take();
            assert_eq!((told.first(), told.last()), (Some(&"start"), Some(&"stop")));
            // Whether a thread finds the event at once is its own business.
            told.retain(|word| *word != "idle");
            assert_eq!(told, ["start", "event", "stop"]);
        }
    });
}

#[test]
fn a_poller_has_no_hooks_but_those_of_a_batch() {
    let log = Log::default();
    let mut diary = Diary(log.clone());
    let (mut producer, mut dispatcher) = Builder::<u64>::with_defaults(2)
        .then(poller("reads"))
        .then(poller_mut("updates").idle_after(Duration::ZERO))
        .start()
        .unwrap();
    let (mut reads, mut updates) =
        (dispatcher.poller("reads").unwrap(), dispatcher.poller_mut("updates").unwrap());
    assert_eq!(reads.poll_handler(&mut diary), Ok(Poll::Idle));
    producer.publish(|_| ()).unwrap();
    // There is something to do: however long the wait, it is over at once.
    assert!(reads.wait(A_MINUTE) && !updates.wait(Duration::ZERO));
    assert_eq!(reads.poll_handler(&mut diary), Ok(Poll::Events(1)));
    assert!(updates.wait(Duration::MAX));
    assert_eq!(updates.poll_handler(&mut diary), Ok(Poll::Events(1)));
    drop(producer);
    assert_eq!(reads.poll_handler(&mut diary), Ok(Poll::Closed));
    assert_eq!(log.take(), ["event", "event"]);
    let report = joined(dispatcher);
    assert!((report.stations[0].average_batch() - 1.0).abs() < f64::EPSILON);
    assert_eq!(report.station("nobody"), None);
}

#[test]
fn the_last_handle_drops_every_event_even_if_one_of_them_panics() {
    type Handles =
        (slipring::Producer<Counted>, slipring::Poller<Counted>, slipring::Dispatcher<Counted>);
    let ends: [fn(Handles); 3] = [
        |(producer, poller, dispatcher)| {
            drop((dispatcher, poller));
            drop(producer);
        },
        |(producer, poller, dispatcher)| {
            drop((producer, dispatcher));
            drop(poller);
        },
        |(producer, poller, dispatcher)| {
            drop((producer, poller));
            let _ = dispatcher.shutdown(Duration::ZERO);
        },
    ];
    for end in ends {
        let ledger = Arc::<Ledger>::default();
        let made = Arc::clone(&ledger);
        let (mut producer, mut dispatcher) = Builder::new(4, move || Counted::make(&made, MADE))
            .then(poller("mine"))
            .start()
            .unwrap();
        let poller = dispatcher.poller("mine").unwrap();
        let bomb = Content { is_bomb: true, ..MADE };
        producer.publish_batch(2, |_, event| *event = Counted::make(&ledger, MADE)).unwrap();
        producer.publish(|event| *event = Counted::make(&ledger, bomb)).unwrap();
        let end = || end((producer, poller, dispatcher));
        let payload = catch_unwind(AssertUnwindSafe(end)).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&EXPLOSION), "it goes on to whoever was last");
        assert_eq!((ledger.made(), ledger.alive(), ledger.dropped_twice()), (7, 0, 0));
    }
}

#[test]
fn everything_can_be_shown() {
    let (mut producer, mut dispatcher) = Builder::new(2, || 0_u64)
        .then(poller("one").policy(Policy::retry(1).or_skip()))
        .then(poller("two"))
        .start_multi()
        .unwrap();
    let (mut one, mut two) = (dispatcher.poller("one").unwrap(), dispatcher.poller("two").unwrap());
    assert!(format!("{producer:?} {dispatcher:?} {one:?}").contains("station: \"one\""));
    assert_eq!(producer.publish_slice_deadline(far_future(), &[1, 2]), Ok(0..2));
    assert!(one.read().is_some_and(|batch| format!("{batch:?}").contains("to: 1")));
    assert_eq!(
        one.poll(|_, at| assert!(format!("{at:?}").contains("sequence"))),
        Ok(Poll::Events(1))
    );
    let errors = [
        (producer.try_publish(|_| ()).unwrap_err(), "full"),
        (producer.publish_slice(&[0; 3]).unwrap_err(), "3 events never fits a ring of 2"),
        (producer.publish_deadline(std::time::Instant::now(), |_| ()).unwrap_err(), "deadline"),
        (PublishError::WouldDeadlock { station: "s".into() }, "`s` publishes into its own"),
        (PublishError::Exhausted, "used up its sequences"),
        (PublishError::Closed, "closed"),
    ];
    for (error, expected) in errors {
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(polled(&mut two), [1]);
    let fault = two.poll(|_, _| Ok::<_, String>(())).and(one.poll(|_, _| ())).and_then(|_| {
        two.poll(|_, at| {
            assert_eq!(at.sequence(), 1);
            Err("no")
        })
    });
    let fault = fault.unwrap_err();
    assert_eq!(fault.to_string(), "station `two` failed at sequence 1: no");
    let error = dispatcher.shutdown(Duration::ZERO).unwrap_err();
    assert_eq!(
        (error.fault(), error.cause.clone()),
        (Some(&fault), ShutdownCause::Fault(fault.clone()))
    );
    assert_eq!(error.to_string(), format!("the ring was halted: {fault}"));
    assert!(
        error.report.to_string().contains("published 2, abandoned 0; one: handled 2, skipped 0")
    );
    let unknown = BuildError::UnknownName { name: "x".into(), known: vec!["one".into()] };
    assert!(unknown.to_string().contains("`x`"));
}

#[test]
fn words_become_waits_and_policies_what_they_say() {
    for wait in WAITS {
        let read_back: Wait = wait.to_string().parse().unwrap();
        assert_eq!(std::mem::discriminant(&read_back), std::mem::discriminant(&wait));
    }
    let error = "busily".parse::<Wait>().unwrap_err();
    assert!(error.to_string().contains("`busily`"), "{error}");
    assert_eq!(Policy::retry(0), Policy::default());
    assert_eq!(Policy::Halt.or_skip(), Policy::Skip);
    assert!(matches!(Policy::retry(2), Policy::Retry { then: GiveUp::Halt, .. }));
    assert!(matches!(Policy::retry(2).or_skip(), Policy::Retry { then: GiveUp::Skip, .. }));
    assert!(format!("{:?}", read("shown", |_: &u8, _| ())).contains("shown"));
}
