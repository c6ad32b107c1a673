//! Dead letters: what they tell, and how they come back.

use slipring_events::{
    AnyEvent, Backoff, Bus, ByHand, DeadLetters, LetterInfo, ManualClock, Reason, Requeue, Retry,
    Step, Subscription, WhenFull,
};

use crate::common::{AMPLE, Bad, Log, MILLI, SECOND, by_clock, log, news, number, publish, settle};

struct Desk {
    clock: ManualClock,
    letters: DeadLetters<AnyEvent>,
    bad: Bad,
    calls: Log<u32>,
    handler: Subscription<AnyEvent>,
    hand: ByHand<AnyEvent>,
    /// The last one: it waits for its handlers when it is dropped.
    bus: Bus<AnyEvent>,
}

/// A handler by tens that fails on some numbers.
fn desk(letters: DeadLetters<AnyEvent>, bad: impl IntoIterator<Item = u32>) -> Desk {
    let (bus, clock) = by_clock(32);
    let (calls, record) = log();
    let bad = Bad::these(bad);
    let is_bad = bad.clone();
    let (handler, hand) = bus
        .handler("desk")
        .on::<u32>()
        .in_sequence(|number| number / 10)
        .dead_letters(&letters)
        .retry(Retry::immediately(1))
        .by_hand(move |number, _| {
            record.lock().unwrap().push(*number);
            is_bad.try_on(*number)
        })
        .unwrap();
    Desk { clock, letters, bad, calls, handler, hand, bus }
}

impl Desk {
    /// Publishes, and has it do what it can; what it was called with.
    fn goes_on(&mut self, numbers: impl IntoIterator<Item = u32>) -> Vec<u32> {
        publish(&self.bus, numbers);
        settle(&mut self.hand);
        assert!(self.handler.account().adds_up(), "{:?}", self.handler.account());
        news(&self.calls)
    }

    fn numbers(&self) -> Vec<u32> {
        let number = |letter: &LetterInfo| {
            *self.letters.get(letter.id).unwrap().envelope.payload.get::<u32>().unwrap()
        };
        self.letters.list().iter().map(number).collect()
    }
}

#[test]
fn a_letter_tells_why_and_when_and_how_often() {
    let mut desk = desk(DeadLetters::new(10), [3]);
    desk.clock.advance(SECOND * 5);
    desk.goes_on([3, 4]);
    let list = desk.letters.list();
    let told = |letter: &LetterInfo| {
        (letter.id, letter.handler.to_string(), letter.attempts, letter.reason.clone())
    };
    let expected = [
        (0, "desk".into(), 2, Reason::Failed("not 3".into())),
        (1, "desk".into(), 0, Reason::Behind),
    ];
    assert_eq!(list.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!((&*list[0].topic, list[0].time.as_nanos()), ("u32", 5_000_000_000));
    assert!(list[0].history.iter().all(|attempt| &*attempt.error == "not 3" && !attempt.panicked));
    let letter = desk.letters.get(0).unwrap();
    assert_eq!((letter.envelope.id.sequence(), &*letter.envelope.topic), (Some(0), "u32"));
    assert!(desk.letters.get(2).is_none());
    // The bus's own are for those who have none.
    assert!(desk.bus.dead_letters().is_empty());
}

#[test]
fn a_key_is_parked_and_the_others_go_on() {
    let mut desk = desk(DeadLetters::new(10), [11]);
    assert_eq!(desk.goes_on([10, 11, 12, 20, 13, 21]), [10, 11, 11, 20, 21]);
    assert_eq!(desk.numbers(), [11, 12, 13]);
    assert_eq!(desk.goes_on([14, 22]), [22]);
    assert_eq!(desk.handler.account().dead, 4);
}

#[test]
fn a_key_comes_back_in_order_with_what_arrives_meanwhile_behind_it() {
    let mut desk = desk(DeadLetters::new(10), [11]);
    desk.goes_on([11, 12, 13]);
    desk.bad.mend(11);
    // On the ring when they are given back.
    publish(&desk.bus, [14, 20]);
    // Any of them stands for its key.
    assert_eq!(desk.letters.requeue(1), Ok(3));
    assert!(desk.letters.is_empty());
    assert_eq!(desk.goes_on([15]), [11, 12, 13, 14, 20, 15]);
    let account = desk.handler.account();
    assert_eq!((account.handled, account.requeued, account.dead, account.waiting), (6, 3, 3, 0));
    assert_eq!(desk.letters.requeue(1), Err(Requeue::NoSuchLetter(1)));
}

#[test]
fn a_key_that_comes_back_and_fails_again_is_parked_again_in_order() {
    let mut desk = desk(DeadLetters::new(10), [11, 12]);
    desk.goes_on([11, 12, 13]);
    desk.bad.mend(11);
    assert_eq!(desk.letters.requeue_all("desk"), Ok(3));
    assert_eq!(desk.goes_on([14]), [11, 12, 12]);
    assert_eq!(desk.numbers(), [12, 13, 14]);
    // Attempts go on where they were.
    desk.letters.requeue_all("desk").unwrap();
    assert_eq!(desk.goes_on([]), [12, 12]);
    let letter = &desk.letters.list()[0];
    assert_eq!((letter.attempts, letter.history.len(), desk.numbers()), (4, 4, vec![12, 13, 14]));
}

#[test]
fn a_letter_can_be_thrown_away_and_the_others_of_its_key_stay() {
    let mut desk = desk(DeadLetters::new(10), [11]);
    desk.goes_on([11, 12, 13, 30]);
    let purged = desk.letters.purge(0).unwrap();
    assert_eq!((purged.envelope.payload.get(), purged.info.attempts), (Some(&11_u32), 2));
    assert!(desk.letters.purge(0).is_none());
    assert!(desk.goes_on([14]).is_empty());
    assert_eq!(desk.numbers(), [12, 13, 14]);
    assert_eq!(desk.letters.purge_all(), 3);
    // Its key is no longer parked.
    assert_eq!(desk.goes_on([15]), [15]);
    assert_eq!((desk.letters.len(), desk.letters.dropped()), (0, 0));
}

#[test]
fn when_it_is_full_the_oldest_goes_and_is_counted() {
    let mut desk = desk(DeadLetters::new(2), [10, 20, 30, 40]);
    desk.goes_on([10, 11, 20, 30, 40]);
    assert_eq!((desk.numbers(), desk.letters.dropped()), (vec![30, 40], 3));
    assert_eq!((desk.handler.account().dead, desk.letters.list()[0].id), (5, 3));
    // Nothing of its key is left that it could be behind.
    assert_eq!(desk.goes_on([12]), [12]);
    assert_eq!(desk.letters.requeue(0), Err(Requeue::NoSuchLetter(0)));
}

#[test]
fn when_it_is_full_a_handler_that_must_lose_nothing_holds() {
    let mut desk = desk(DeadLetters::when_full(2, WhenFull::Hold), [10, 20, 30]);
    assert_eq!(desk.goes_on([10, 20, 30, 40]), [10, 10, 20, 20]);
    assert_eq!(desk.hand.step(), Step::Idle(None));
    assert_eq!(desk.handler.account().next, 2);
    assert!(desk.letters.purge(0).is_some());
    assert_eq!(desk.goes_on([]), [30, 30]);
    desk.bad.mend(20);
    assert_eq!(desk.letters.requeue_all("desk"), Ok(2));
    desk.bad.mend(30);
    assert_eq!(desk.goes_on([]).len(), 3);
    let account = desk.handler.account();
    assert_eq!((account.handled, account.dead, account.requeued), (3, 3, 2), "{account:?}");
    assert_eq!((desk.letters.len(), desk.letters.dropped()), (0, 0));
}

#[test]
fn a_thread_that_holds_goes_on_when_there_is_room() {
    let bus = Bus::<AnyEvent>::start(64).unwrap();
    let letters = DeadLetters::when_full(1, WhenFull::Hold);
    bus.handler("odd")
        .on::<u32>()
        .dead_letters(&letters)
        .run(|number, _| if number % 2 == 1 { Err("odd") } else { Ok(()) })
        .unwrap();
    publish(&bus, 0..50);
    let mut purged = Vec::new();
    while purged.len() < 25 {
        for letter in letters.list() {
            purged.push(*letters.purge(letter.id).unwrap().envelope.payload.get::<u32>().unwrap());
        }
        std::thread::yield_now();
    }
    assert_eq!(purged, (0..25).map(|odd| odd * 2 + 1).collect::<Vec<u32>>());
    let report = bus.shutdown(AMPLE).unwrap();
    assert_eq!(report.handlers[0].account.handled, 25);
}

#[test]
fn letters_of_a_handler_that_is_gone_stay_until_one_of_its_name_is_there() {
    let Desk { bus, letters, bad, hand, handler, .. } = {
        let mut desk = desk(DeadLetters::new(10), [11]);
        desk.goes_on([11, 12]);
        desk
    };
    drop(hand);
    assert_eq!(letters.requeue(0), Err(Requeue::NoHandler("desk".into())));
    assert_eq!((letters.len(), handler.account().dead), (2, 2));
    bad.mend(11);
    let (calls, record) = log();
    let (again, mut hand) = bus
        .handler("desk")
        .on::<u32>()
        .in_sequence(|number| number / 10)
        .dead_letters(&letters)
        .by_hand(move |number, _| record.lock().unwrap().push(*number))
        .unwrap();
    // The key is still parked.
    publish(&bus, [13]);
    settle(&mut hand);
    assert_eq!(letters.len(), 3);
    assert_eq!(letters.requeue(0), Ok(3));
    settle(&mut hand);
    assert_eq!(news(&calls), [11, 12, 13]);
    assert!(again.account().adds_up(), "{:?}", again.account());
}

#[test]
fn a_letter_comes_back_to_its_handler_alone() {
    let (bus, _) = by_clock(8);
    let bad = Bad::these([1]);
    let is_bad = bad.clone();
    let (others, record) = log();
    let (_fails, mut fails) =
        bus.handler("fails").on::<u32>().by_hand(move |number, _| is_bad.try_on(*number)).unwrap();
    let (other, mut hand) = bus
        .handler("other")
        .on::<u32>()
        .by_hand(move |number, _| record.lock().unwrap().push(*number))
        .unwrap();
    publish(&bus, [1]);
    settle(&mut fails);
    settle(&mut hand);
    bad.mend(1);
    assert_eq!(bus.dead_letters().requeue_all("other"), Ok(0));
    assert_eq!(bus.dead_letters().requeue_all("fails"), Ok(1));
    settle(&mut fails);
    settle(&mut hand);
    assert_eq!((news(&others), other.account().handled), (vec![1], 1));
}

#[test]
fn what_waits_when_a_handler_leaves_is_a_letter_in_the_order_of_the_ring() {
    let (bus, _) = by_clock(64);
    let (handler, mut hand) = bus
        .handler("leaves")
        .on::<u32>()
        .in_sequence(|number| number % 7)
        .retry(Retry::none().then(Backoff::fixed(MILLI), 1))
        .by_hand(|_, _| Err::<(), _>("no"))
        .unwrap();
    publish(&bus, 0..21);
    settle(&mut hand);
    assert_eq!(handler.account().waiting, 21);
    drop(hand);
    let letters = bus.dead_letters().list();
    assert!(letters.iter().all(|letter| letter.reason == Reason::Left), "{letters:?}");
    let keys: Vec<u32> = letters
        .iter()
        .map(|letter| {
            *bus.dead_letters().get(letter.id).unwrap().envelope.payload.get::<u32>().unwrap()
        })
        .collect();
    let expected: Vec<u32> = (0..7).flat_map(|key| (0..3).map(move |lap| key + 7 * lap)).collect();
    assert_eq!(keys, expected);
    let account = handler.account();
    assert!(account.adds_up() && account.dead == 21, "{account:?}");
}

#[test]
fn letters_for_two_buses_come_back_to_the_one_they_are_from() {
    let letters = DeadLetters::when_full(2, WhenFull::Hold);
    let bad = Bad::these([1, 2]);
    let mut buses: Vec<_> = [1, 2_u32]
        .map(|which| {
            let (bus, _) = by_clock(8);
            let (calls, record) = log();
            let bad = bad.clone();
            let (handler, mut hand) = bus
                .handler("twin")
                .on::<u32>()
                .dead_letters(&letters)
                .by_hand(move |number, _| {
                    record.lock().unwrap().push(*number);
                    bad.try_on(*number)
                })
                .unwrap();
            publish(&bus, [which]);
            settle(&mut hand);
            (handler, hand, calls, bus)
        })
        .into_iter()
        .collect();
    bad.mend(1);
    bad.mend(2);
    assert_eq!(letters.requeue_all("twin"), Ok(2));
    for (index, (handler, hand, calls, _)) in buses.iter_mut().enumerate() {
        settle(hand);
        assert_eq!((news(calls), handler.account().handled), (vec![index as u32 + 1; 2], 1));
    }
}

#[test]
fn a_whole_key_is_dead_at_once_for_whoever_hears_of_the_first() {
    use std::{
        pin::pin,
        sync::Arc,
        task::{Context, Wake, Waker},
    };
    struct GivesBack(DeadLetters<AnyEvent>);
    impl Wake for GivesBack {
        fn wake(self: Arc<Self>) {
            self.0.requeue_all("keys").unwrap();
        }
    }
    let (bus, clock) = by_clock(8);
    let (calls, record) = log();
    let (handler, mut hand) = bus
        .handler("keys")
        .on::<u32>()
        .in_sequence(|_| 0)
        .retry(Retry::none().then(Backoff::fixed(SECOND), 1))
        .by_hand(move |number, context| {
            record.lock().unwrap().push(*number);
            if *number == 1 && context.attempt() < 3 { Err("not yet") } else { Ok(()) }
        })
        .unwrap();
    let receipt = bus.publisher().publish_tracked(number(1)).unwrap();
    let waker = Waker::from(Arc::new(GivesBack(bus.dead_letters().clone())));
    assert!(pin!(receipt).as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    publish(&bus, [2, 3]);
    settle(&mut hand);
    clock.advance(SECOND);
    settle(&mut hand);
    assert_eq!((news(&calls), bus.dead_letters().len()), (vec![1, 1, 1, 2, 3], 0));
    assert_eq!(handler.account().requeued, 3);
}

#[test]
fn what_is_given_back_to_a_handler_that_is_leaving_is_not_lost() {
    use std::{
        pin::pin,
        sync::{Arc, Mutex},
        task::{Context, Wake, Waker},
    };
    struct GivesBack(DeadLetters<AnyEvent>, Mutex<Vec<Result<usize, Requeue>>>);
    impl Wake for GivesBack {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0.requeue(0));
        }
    }
    let (bus, _) = by_clock(8);
    let (handler, mut hand) = bus
        .handler("leaves")
        .on::<u32>()
        .retry(
            Retry::none()
                .then(Backoff::fixed(SECOND), 1)
                .when(|error| error.to_string() == "later"),
        )
        .by_hand(|number, _| Err::<(), _>(if *number == 1 { "never" } else { "later" }))
        .unwrap();
    publish(&bus, [1]);
    let receipt = bus.publisher().publish_tracked(number(2)).unwrap();
    settle(&mut hand);
    assert_eq!((bus.dead_letters().len(), handler.account().waiting), (1, 1));
    let gives_back = Arc::new(GivesBack(bus.dead_letters().clone(), Mutex::default()));
    let waker = Waker::from(Arc::clone(&gives_back));
    assert!(pin!(receipt).as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(hand);
    // Woken when it is settled, and when the handler has ended.
    let results = gives_back.1.lock().unwrap();
    assert!(!results.is_empty());
    assert!(results.iter().all(|result| *result == Err(Requeue::NoHandler("leaves".into()))));
    assert_eq!(bus.dead_letters().len(), 2);
    assert!(handler.account().adds_up(), "{:?}", handler.account());
}

#[test]
fn no_key_loses_its_order_while_its_letters_come_back_in_another_thread() {
    const KEYS: u32 = 3;
    const EVENTS: u32 = 1_200;
    let bus = Bus::<AnyEvent>::start(16).unwrap();
    let (done, record) = log();
    let letters = DeadLetters::when_full(64, WhenFull::Hold);
    bus.handler("keys")
        .on::<u32>()
        .in_sequence(|number| number % KEYS)
        .dead_letters(&letters)
        .run(move |number, context| {
            // Each fails once or twice before it goes, or not at all.
            if context.attempt() <= number % 7 % 3 {
                return Err("not yet");
            }
            record.lock().unwrap().push(*number);
            Ok(())
        })
        .unwrap();
    std::thread::scope(|scope| {
        let mut publisher = bus.publisher();
        scope.spawn(move || {
            (0..EVENTS).for_each(|count| {
                publisher.publish(number(count)).unwrap();
            });
        });
        while done.lock().unwrap().len() < EVENTS as usize {
            letters.requeue_all("keys").unwrap();
            std::thread::yield_now();
        }
    });
    let done = news(&done);
    for key in 0..KEYS {
        let of_it: Vec<u32> = done.iter().copied().filter(|number| number % KEYS == key).collect();
        assert!(of_it.is_sorted() && of_it.len() == (EVENTS / KEYS) as usize, "{of_it:?}");
    }
    let report = bus.shutdown(AMPLE).unwrap();
    assert!(report.handlers[0].account.adds_up(), "{report}");
}

#[test]
fn a_letter_comes_back_to_an_inline_handler_though_nobody_publishes() {
    let (bus, _) = by_clock(8);
    let bad = Bad::these([1]);
    let is_bad = bad.clone();
    let handler =
        bus.handler("inline").on::<u32>().inline(move |number, _| is_bad.try_on(*number)).unwrap();
    publish(&bus, [1]);
    bad.mend(1);
    assert_eq!(bus.dead_letters().requeue(0), Ok(1));
    assert_eq!(handler.account().handled, 1, "{:?}", handler.account());
}

/// Each would take a slot otherwise, of which there may be none.
#[test]
fn all_letters_of_a_handler_come_back_at_once_and_cost_one_slot() {
    let bus = Bus::<AnyEvent>::start(16).unwrap();
    let (handler, mut hand) = bus
        .handler("mends")
        .on::<u32>()
        .by_hand(|_, context| if context.attempt() > 1 { Ok(()) } else { Err("not yet") })
        .unwrap();
    let mut publisher = bus.publisher();
    for count in 0..8 {
        publisher.publish(number(count)).unwrap();
    }
    settle(&mut hand);
    assert_eq!(bus.dead_letters().requeue_all("somebody else"), Ok(0));
    assert_eq!(bus.dead_letters().requeue_all("mends"), Ok(8));
    settle(&mut hand);
    let account = handler.account();
    assert_eq!((account.handled, account.next, account.empty), (8, 9, 1), "{account:?}");
}
