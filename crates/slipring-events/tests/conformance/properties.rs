//! The properties, one a function.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::{self, RecvTimeoutError, TryRecvError},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use slipring::Detach;
use slipring_events::{Account, Backoff, Bus, Draft, ManualClock, Metadata, RefusedReason, Retry};

use crate::drivers::{AMPLE, Kind, Message, Subscriber, Wish};

/// Numbers that handlers have written down, in their order.
type Numbers = Arc<Mutex<Vec<u32>>>;

type Typed = Arc<Mutex<Vec<(String, u32)>>>;

fn bus() -> Bus<Message> {
    Bus::start(64).unwrap()
}

/// A subscriber that accepts everything, and what it has seen.
fn recorder(kind: Kind, bus: &Bus<Message>, wish: Wish) -> (Subscriber, Numbers) {
    let (numbers, record) = twice(Numbers::default());
    let subscriber = kind.subscribe(bus, wish, move |message, _| {
        record.lock().push(message.id);
        Ok(())
    });
    (subscriber, numbers)
}

fn twice<T>(shared: Arc<T>) -> (Arc<T>, Arc<T>) {
    (Arc::clone(&shared), shared)
}

fn sorted(numbers: &Numbers) -> Vec<u32> {
    let mut numbers = numbers.lock().clone();
    numbers.sort_unstable();
    numbers
}

/// Publishes these from so many threads, each its share.
fn publish_from(bus: &Bus<Message>, publishers: u32, numbers: std::ops::Range<u32>) {
    thread::scope(|scope| {
        for share in 0..publishers {
            let (mut publisher, numbers) = (bus.publisher(), numbers.clone());
            scope.spawn(move || {
                for id in numbers.filter(|id| id % publishers == share) {
                    publisher.publish(Message::new(id)).unwrap();
                }
            });
        }
    });
}

/// Ends the bus when all is done, and its subscribers.
fn shut_down(bus: Bus<Message>, subscribers: impl IntoIterator<Item = Subscriber>) -> Vec<Account> {
    bus.shutdown(AMPLE).unwrap();
    let end = |subscriber: Subscriber| {
        (subscriber.end)();
        let account = subscriber.subscription.account();
        assert!(account.adds_up() && account.waiting == 0, "{account:?}");
        account
    };
    subscribers.into_iter().map(end).collect()
}

pub fn p01_what_is_published_arrives_with_all_that_is_said_of_it(kind: Kind) {
    let bus = bus();
    let (seen, arrives) = mpsc::channel();
    let subscriber = kind.subscribe(&bus, Wish::new("subscriber"), move |message, context| {
        seen.send((context.id(), message.clone(), context.metadata().cloned()))?;
        Ok(())
    });
    let mut publisher = bus.publisher();
    let mut sent = Vec::new();
    for id in 0..100 {
        let metadata: Metadata =
            [("number", id.to_string()), ("of", "100".to_owned())].into_iter().collect();
        let draft = Draft::new(Message::new(id)).metadata(metadata.clone());
        let taken = publisher.send(draft).unwrap();
        sent.push((taken.id(), Message::new(id), Some(metadata)));
    }
    let received: Vec<_> = (0..100).map(|_| arrives.recv_timeout(AMPLE).unwrap()).collect();
    assert_eq!(received, sent);
    assert_eq!(arrives.try_recv(), Err(TryRecvError::Empty));
    shut_down(bus, [subscriber]);
    assert_eq!(arrives.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
}

pub fn p02_many_subscribers_see_what_many_publishers_say(kind: Kind) {
    let bus = bus();
    let subscribe = |index| recorder(kind, &bus, Wish::new(format!("subscriber {index}")));
    let (subscribers, numbers): (Vec<_>, Vec<_>) = (0..50).map(subscribe).unzip();
    publish_from(&bus, 50, 0..5_000);
    shut_down(bus, subscribers);
    for numbers in &numbers {
        assert_eq!(sorted(numbers), (0..5_000).collect::<Vec<u32>>());
    }
    assert!(numbers.windows(2).all(|two| *two[0].lock() == *two[1].lock()), "one order for all");
}

pub fn p02_many_subscribers_share_what_many_publishers_say(kind: Kind) {
    let bus = bus();
    let (numbers, record) = twice(Numbers::default());
    let subscribers: Vec<_> = (0..50)
        .map(|worker| {
            let record = Arc::clone(&record);
            // By turns and by key, both.
            let share =
                Some(if worker < 25 { (worker, 25, false) } else { (worker - 25, 25, true) });
            let wish = Wish { share, ..Wish::new(format!("worker {worker}")) };
            kind.subscribe(&bus, wish, move |message, _| {
                record.lock().push(message.id);
                Ok(())
            })
        })
        .collect();
    publish_from(&bus, 50, 0..5_000);
    let accounts = shut_down(bus, subscribers);
    let taken = |workers: &[Account]| workers.iter().map(|account| account.handled).sum::<u64>();
    assert_eq!((taken(&accounts[..25]), taken(&accounts[25..])), (5_000, 5_000));
    let twice_each: Vec<u32> = (0..5_000).flat_map(|id| [id, id]).collect();
    assert_eq!(sorted(&numbers), twice_each);
}

pub fn p03_many_topics_at_once(kind: Kind) {
    const TOPICS: [&str; 20] = [
        "t.0", "t.1", "t.2", "t.3", "t.4", "t.5", "t.6", "t.7", "t.8", "t.9", "t.10", "t.11",
        "t.12", "t.13", "t.14", "t.15", "t.16", "t.17", "t.18", "t.19",
    ];
    let bus = bus();
    let subscribe =
        |topic: &&'static str| recorder(kind, &bus, Wish { topic, ..Wish::new(*topic) });
    let (subscribers, numbers): (Vec<_>, Vec<_>) = TOPICS.iter().map(subscribe).unzip();
    thread::scope(|scope| {
        for topic in TOPICS {
            let mut publisher = bus.publisher();
            scope.spawn(move || {
                for id in 0..100 {
                    let draft = Draft::new(Message::new(id)).topic(topic);
                    assert_eq!(publisher.send(draft).unwrap().handlers(), 1);
                }
            });
        }
    });
    let accounts = shut_down(bus, subscribers);
    for (numbers, account) in numbers.iter().zip(accounts) {
        assert_eq!(*numbers.lock(), (0..100).collect::<Vec<u32>>());
        assert_eq!((account.handled, account.filtered), (100, 1_900));
    }
}

pub fn p04_what_was_refused_comes_again(kind: Kind) {
    let bus = bus();
    let (attempts, record) = twice(Numbers::default());
    let wish = Wish { retry: Retry::immediately(1), ..Wish::new("subscriber") };
    let subscriber = kind.subscribe(&bus, wish, move |message, context| {
        record.lock().push(message.id);
        if message.id < 2 && context.attempt() == 1 { Err("refused".into()) } else { Ok(()) }
    });
    publish_from(&bus, 1, 0..100);
    let account = shut_down(bus, [subscriber])[0];
    assert_eq!((account.handled, account.failures, account.retries), (100, 2, 2));
    assert_eq!(*attempts.lock(), [0, 0, 1].into_iter().chain(1..100).collect::<Vec<u32>>());
}

pub fn p05_nothing_comes_before_the_one_in_front_is_accepted(kind: Kind) {
    let clock = ManualClock::default();
    let bus = Bus::<Message>::builder(64).clock(clock.clone()).start().unwrap();
    let (attempts, record) = twice(Numbers::default());
    let (is_accepted, accepts) = twice(Arc::new(AtomicBool::new(false)));
    // For one that runs in the publisher's thread nobody looks at the clock: it is tried again at once.
    let retry = if kind.is_inline() {
        Retry::immediately(1_000)
    } else {
        Retry::none().then(Backoff::fixed(Duration::from_secs(1)), 1_000)
    };
    let wish = Wish { retry, is_in_order: true, ..Wish::new("subscriber") };
    let subscriber = kind.subscribe(&bus, wish, move |message, context| {
        record.lock().push(message.id);
        let is_refused =
            if kind.is_inline() { context.attempt() < 6 } else { !accepts.load(Ordering::Acquire) };
        if message.id == 1 && is_refused { Err("not yet".into()) } else { Ok(()) }
    });
    let mut publisher = bus.publisher();
    for id in 1..=2 {
        publisher.publish(Message::new(id)).unwrap();
    }
    if !kind.is_inline() {
        // It waits for the clock: each time that this goes on there is one attempt more, of the first one.
        for attempt in 1..=5 {
            while subscriber.subscription.account().failures < attempt {
                thread::yield_now();
            }
            assert_eq!(*attempts.lock(), vec![1; attempt as usize]);
            clock.advance(Duration::from_secs(u64::from(attempt < 5)));
        }
        is_accepted.store(true, Ordering::Release);
        clock.advance(Duration::from_secs(1));
    }
    let account = shut_down(bus, [subscriber])[0];
    assert_eq!(*attempts.lock(), [1, 1, 1, 1, 1, 1, 2]);
    assert_eq!((account.handled, account.failures), (2, 5));
}

pub fn p07_subscribers_come_and_go_at_once(kind: Kind) {
    let bus = bus();
    thread::scope(|scope| {
        for index in 0..10 {
            let bus = &bus;
            scope.spawn(move || {
                let Subscriber { subscription, end } =
                    recorder(kind, bus, Wish::new(format!("subscriber {index}"))).0;
                let how = if index % 2 == 0 { Detach::AtOnce } else { Detach::Drained };
                assert!(subscription.unsubscribe(how, AMPLE).unwrap().adds_up());
                end();
            });
        }
    });
    assert!(bus.accounts().is_empty());
    let (subscriber, numbers) = recorder(kind, &bus, Wish::new("subscriber 0"));
    publish_from(&bus, 1, 0..50);
    shut_down(bus, [subscriber]);
    assert_eq!(*numbers.lock(), (0..50).collect::<Vec<u32>>());
}

pub fn p08_after_many_errors_everything_has_arrived(kind: Kind) {
    let bus = bus();
    let (subscribers, numbers): (Vec<_>, Vec<_>) = (0..3)
        .map(|index| {
            let (numbers, record) = twice(Numbers::default());
            let mut errors = 100;
            let wish =
                Wish { retry: Retry::immediately(100), ..Wish::new(format!("subscriber {index}")) };
            let subscriber = kind.subscribe(&bus, wish, move |message, _| {
                if errors > 0 {
                    errors -= 1;
                    return Err("refused".into());
                }
                record.lock().push(message.id);
                Ok(())
            });
            (subscriber, numbers)
        })
        .unzip();
    publish_from(&bus, 1, 0..50);
    for (numbers, account) in numbers.iter().zip(shut_down(bus, subscribers)) {
        assert_eq!(*numbers.lock(), (0..50).collect::<Vec<u32>>());
        assert_eq!((account.handled, account.failures), (50, 100));
    }
}

pub fn p09_every_type_comes_in_order_to_everybody(kind: Kind) {
    let bus = bus();
    let (subscribers, seen): (Vec<_>, Vec<_>) = (0..10)
        .map(|index| {
            let (seen, record) = twice(Typed::default());
            let wish = Wish { is_in_order: true, ..Wish::new(format!("subscriber {index}")) };
            let subscriber = kind.subscribe(&bus, wish, move |message, context| {
                record.lock().push((context.topic().to_string(), message.id));
                Ok(())
            });
            (subscriber, seen)
        })
        .unzip();
    thread::scope(|scope| {
        for share in 0..4 {
            let mut publisher = bus.publisher();
            scope.spawn(move || {
                for id in (0..1_000).filter(|id| id % 4 == share) {
                    let draft = Draft::new(Message::new(id)).topic(format!("type.{}", id % 16));
                    publisher.send(draft).unwrap();
                }
            });
        }
    });
    shut_down(bus, subscribers);
    let first = seen[0].lock().clone();
    let mut types: HashMap<&str, Vec<u32>> = HashMap::new();
    for (topic, id) in &first {
        types.entry(topic).or_default().push(*id);
    }
    assert_eq!(types.len(), 16);
    for (topic, ids) in types {
        let number: u32 = topic.trim_start_matches("type.").parse().unwrap();
        assert_eq!(ids, (0..1_000).filter(|id| id % 16 == number).collect::<Vec<u32>>(), "{topic}");
    }
    assert!(seen.iter().all(|other| *other.lock() == first), "one order for all");
}

pub fn p10_none_is_lost_around_the_close(kind: Kind) {
    let bus = bus();
    let (subscriber, numbers) = recorder(kind, &bus, Wish::new("subscriber"));
    let taken = AtomicU32::new(0);
    let accepted = Numbers::default();
    thread::scope(|scope| {
        for share in 0..20 {
            let (mut publisher, accepted, taken) = (bus.publisher(), &accepted, &taken);
            scope.spawn(move || {
                for id in (0..10_000).filter(|id| id % 20 == share) {
                    match publisher.publish(Message::new(id)) {
                        Ok(_) => accepted.lock().push(id),
                        Err(refused) => assert_eq!(refused.reason, RefusedReason::Closed),
                    }
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while taken.load(Ordering::Relaxed) < 4_000 {
            thread::yield_now();
        }
        bus.close();
    });
    let account = shut_down(bus, [subscriber])[0];
    let accepted = sorted(&accepted);
    assert!(accepted.len() >= 4_000, "{} were taken", accepted.len());
    assert_eq!(sorted(&numbers), accepted);
    assert_eq!((account.handled, account.passed_over), (accepted.len() as u64, 0));
}

pub fn p11_topics_are_apart(kind: Kind) {
    let bus = bus();
    let (one, ones) = recorder(kind, &bus, Wish { topic: "one", ..Wish::new("one") });
    let (other, others) = recorder(kind, &bus, Wish { topic: "other", ..Wish::new("other") });
    let mut publisher = bus.publisher();
    for (id, topic) in [(1, "one"), (2, "other")] {
        publisher.send(Draft::new(Message::new(id)).topic(topic)).unwrap();
    }
    shut_down(bus, [one, other]);
    assert_eq!((&**ones.lock(), &**others.lock()), (&[1][..], &[2][..]));
}

/// A message has no context of its own that could end; what its handler holds does, with the subscription, and so does
/// the future of a task.
pub fn p12_what_a_handler_holds_ends_with_its_subscription(kind: Kind) {
    for how in [Detach::AtOnce, Detach::Drained] {
        let bus = bus();
        let (seen, arrives) = mpsc::channel();
        let Subscriber { subscription, end } =
            kind.subscribe(&bus, Wish::new("subscriber"), move |message, _| {
                Ok(seen.send(message.id)?)
            });
        bus.publisher().publish(Message::new(7)).unwrap();
        assert_eq!(arrives.recv_timeout(AMPLE), Ok(7));
        let account = subscription.unsubscribe(how, AMPLE).unwrap();
        end();
        assert_eq!(arrives.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
        assert_eq!((account.handled, account.adds_up()), (1, true));
        assert_eq!(bus.publisher().publish(Message::new(8)).unwrap().handlers(), 0);
    }
}

pub fn p13_a_subscription_that_ends_leaves_its_events_to_the_next(kind: Kind) {
    let bus = bus();
    let (seen, arrives) = mpsc::channel::<u32>();
    let Subscriber { subscription, end } =
        kind.subscribe(&bus, Wish::new("subscriber"), move |message, _| {
            seen.send(message.id)?;
            Err("refused".into())
        });
    let mut publisher = bus.publisher();
    let receipts: Vec<_> =
        (0..20).map(|id| publisher.publish_tracked(Message::new(id)).unwrap()).collect();
    for mut receipt in receipts {
        assert_eq!(receipt.wait(AMPLE).unwrap().len(), 1);
    }
    let account = subscription.unsubscribe(Detach::AtOnce, AMPLE).unwrap();
    end();
    assert_eq!((account.dead, account.passed_over), (20, 0));
    assert_eq!(arrives.iter().collect::<Vec<_>>(), (0..20).collect::<Vec<u32>>());

    let (subscriber, numbers) = recorder(kind, &bus, Wish::new("subscriber"));
    assert_eq!(bus.dead_letters().requeue_all("subscriber"), Ok(20));
    let account = shut_down(bus, [subscriber])[0];
    assert_eq!(sorted(&numbers), (0..20).collect::<Vec<u32>>());
    assert_eq!((account.handled, account.requeued), (20, 20));
}

pub fn p16_each_gets_all_that_came_before_it_read(kind: Kind) {
    let bus = bus();
    // The publisher would wait for one that runs in its own thread.
    let (is_open, opens) = twice(Arc::new(AtomicBool::new(kind.is_inline())));
    let (subscribers, numbers): (Vec<_>, Vec<_>) = ["one", "other"]
        .map(|name| {
            let (numbers, record) = twice(Numbers::default());
            let opens = Arc::clone(&opens);
            let subscriber = kind.subscribe(&bus, Wish::new(name), move |message, _| {
                while !opens.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                record.lock().push(message.id);
                Ok(())
            });
            (subscriber, numbers)
        })
        .into_iter()
        .unzip();
    publish_from(&bus, 1, 0..50);
    assert!(kind.is_inline() || numbers.iter().all(|numbers| numbers.lock().is_empty()));
    is_open.store(true, Ordering::Release);
    shut_down(bus, subscribers);
    assert!(numbers.iter().all(|numbers| numbers.lock().iter().copied().eq(0..50)));
}
