//! What panics in code that is not the handler's own: nothing is lost, nobody is wedged, and all is accounted for.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use slipring_events::{
    AnyEvent, Backoff, ByHand, EventId, HandlerError, Inbox, LetterInfo, Reason, Registration,
    Retry, Step, Subscription,
};

use crate::common::{AMPLE, SECOND, by_clock, number, publish, settle};

fn reason(letter: &LetterInfo) -> &str {
    match &letter.reason {
        Reason::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

/// Numbers are published; 1 comes to grief and says so, the others are handled.
fn only_the_second_fails(
    register: impl FnOnce(
        Registration<'_, AnyEvent, slipring_events::Part<u32>>,
    ) -> (Subscription<AnyEvent>, ByHand<AnyEvent>),
) -> LetterInfo {
    let (bus, _) = by_clock(16);
    let (handler, mut hand) = register(bus.handler("panics").on::<u32>());
    let mut receipts: Vec<_> =
        (0..3).map(|count| bus.publisher().publish_tracked(number(count)).unwrap()).collect();
    settle(&mut hand);
    let unhandled: Vec<_> =
        receipts.iter_mut().map(|receipt| receipt.wait(AMPLE).unwrap().len()).collect();
    assert_eq!(unhandled, [0, 1, 0]);
    let account = handler.account();
    assert!(account.adds_up() && account.handled == 2 && account.dead == 1, "{account:?}");
    let mut letters = bus.dead_letters().list();
    assert_eq!(letters.len(), 1);
    letters.remove(0)
}

#[test]
fn a_handler_that_panics_has_failed_and_goes_on() {
    for (text, payload) in [("a word", 0), ("owned 1", 1), ("a panic that tells nothing", 2)] {
        let letter = only_the_second_fails(|registration| {
            let handler = registration.by_hand(move |number, _| match (*number, payload) {
                (1, 0) => panic!("a word"),
                (1, 1) => panic!("owned {number}"),
                (1, _) => std::panic::panic_any(7_u8),
                _ => {}
            });
            handler.unwrap()
        });
        assert_eq!((reason(&letter), letter.history[0].panicked), (text, true));
    }
}

#[test]
fn an_error_that_cannot_be_shown_is_an_error() {
    #[derive(Debug)]
    struct Unspeakable;
    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("unspeakable")
        }
    }
    impl std::error::Error for Unspeakable {}
    let letter = only_the_second_fails(|registration| {
        registration
            .by_hand(|number, _| if *number == 1 { Err(Unspeakable) } else { Ok(()) })
            .unwrap()
    });
    assert!(reason(&letter).contains("unspeakable"), "{letter:?}");
}

#[test]
fn a_predicate_that_panics_gives_up() {
    let letter = only_the_second_fails(|registration| {
        registration
            .retry(Retry::immediately(3).when(|_| panic!("undecided")))
            .by_hand(|number, _| if *number == 1 { Err("an error") } else { Ok(()) })
            .unwrap()
    });
    assert_eq!((letter.attempts, reason(&letter)), (1, "an error"));
}

#[test]
fn a_key_that_panics_fails_the_event() {
    let letter = only_the_second_fails(|registration| {
        let key = |number: &u32| if *number == 1 { panic!("keyless") } else { *number };
        registration.in_sequence(key).by_hand(|_, _| ()).unwrap()
    });
    assert!(reason(&letter).contains("keyless"), "{letter:?}");
    assert_eq!(letter.attempts, 0);
}

#[test]
fn an_inbox_that_panics_fails_the_event() {
    struct Panics(bool);
    impl Inbox for Panics {
        fn knows(&mut self, id: EventId) -> Result<bool, HandlerError> {
            assert!(self.0 || id.sequence() != Some(1), "no idea");
            Ok(false)
        }

        fn record(&mut self, id: EventId) -> Result<(), HandlerError> {
            assert!(!self.0 || id.sequence() != Some(1), "no paper");
            Ok(())
        }
    }
    for (is_late, text) in [(false, "no idea"), (true, "no paper")] {
        let letter = only_the_second_fails(|registration| {
            registration.idempotent_by(Panics(is_late)).by_hand(|_, _| ()).unwrap()
        });
        assert_eq!((reason(&letter), letter.history[0].panicked), (text, true));
    }
}

/// Can be cloned until it cannot.
struct Original(u32, Arc<AtomicBool>);

impl Clone for Original {
    fn clone(&self) -> Self {
        assert!(!self.1.load(Ordering::Relaxed), "one of a kind");
        Self(self.0, Arc::clone(&self.1))
    }
}

/// An event fails that cannot be put aside: it is lost, but not in silence, and the handler goes on.
fn a_clone_that_panics(retry: Retry, is_in_sequence: bool) {
    let (bus, _) = by_clock(16);
    let registration = bus.handler("collector").on::<Original>();
    let registration = if is_in_sequence {
        registration.in_sequence(|original| original.0 % 2)
    } else {
        registration
    };
    let (handler, mut hand) = registration
        .retry(retry)
        .by_hand(|original, _| if original.0 == 1 { Err("broken") } else { Ok(()) })
        .unwrap();
    let unique = Arc::new(AtomicBool::new(true));
    let mut receipts: Vec<_> = (0..3)
        .map(|count| {
            let original = AnyEvent::new(Original(count, Arc::clone(&unique)));
            bus.publisher().publish_tracked(original).unwrap()
        })
        .collect();
    assert_eq!(settle(&mut hand), Step::Idle(None));
    let account = handler.account();
    assert!(account.adds_up(), "{account:?}");
    assert_eq!((account.handled, account.lost, account.next), (2, 1, 3), "{account:?}");
    assert_eq!(bus.dead_letters().len(), 0);
    let unhandled: Vec<_> =
        receipts.iter_mut().map(|receipt| receipt.wait(AMPLE).unwrap()).collect();
    assert_eq!((unhandled[0].len(), unhandled[2].len()), (0, 0));
    let text = unhandled[1][0].to_string();
    assert!(text.contains("one of a kind") && text.contains("collector"), "{text}");
}

#[test]
fn an_event_whose_clone_panics_is_lost_and_told() {
    a_clone_that_panics(Retry::none(), false);
    a_clone_that_panics(Retry::none().then(Backoff::fixed(SECOND), 3), false);
    a_clone_that_panics(Retry::none().then(Backoff::fixed(SECOND), 3), true);
}

#[test]
fn an_event_behind_others_whose_clone_panics_is_lost_and_told() {
    let (bus, clock) = by_clock(16);
    let (handler, mut hand) = bus
        .handler("collector")
        .on::<Original>()
        .in_sequence(|_| 0)
        .retry(Retry::none().then(Backoff::fixed(SECOND), 1))
        .by_hand(|original, _| if original.0 == 0 { Err("broken") } else { Ok(()) })
        .unwrap();
    let unique = Arc::new(AtomicBool::new(false));
    let mut next = |is_unique: bool, count: u32| {
        unique.store(false, Ordering::Relaxed);
        bus.publisher().publish(AnyEvent::new(Original(count, Arc::clone(&unique)))).unwrap();
        unique.store(is_unique, Ordering::Relaxed);
        settle(&mut hand);
    };
    // Behind one that waits.
    next(false, 0);
    next(true, 1);
    assert_eq!((handler.account().waiting, handler.account().lost), (1, 1));
    clock.advance(SECOND);
    // Behind one that is dead.
    next(false, 2);
    next(true, 3);
    assert_eq!((handler.account().dead, handler.account().lost), (2, 2), "{:?}", handler.account());
    assert!(handler.account().adds_up());
    // A letter that cannot be copied is not thrown away by the attempt.
    let letters = bus.dead_letters();
    let purged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| letters.purge(0)));
    assert!(purged.is_err() && letters.len() == 2);
}

#[test]
fn a_reply_whose_clone_panics_is_an_event_all_the_same() {
    let (bus, _) = by_clock(16);
    let unique = Arc::new(AtomicBool::new(true));
    let (handler, mut hand) = bus
        .handler("answers")
        .on::<u32>()
        .by_hand(move |number, context| {
            context.reply(AnyEvent::new(Original(*number, Arc::clone(&unique))))
        })
        .unwrap();
    let mut request = bus.publisher().request(number(7)).unwrap();
    publish(&bus, []);
    settle(&mut hand);
    assert_eq!((handler.account().handled, handler.account().follow_ups), (1, 1));
    assert!(request.wait(std::time::Duration::ZERO).is_err());
}
