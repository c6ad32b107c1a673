//! The universal properties of Watermill's suite that a store can have, at full size, and stricter: whatever arrives is
//! counted, so that a duplicate is seen. A subscriber is a subscription with a checkpoint.

use std::{ops::ControlFlow, thread};

use slipring_store::{Batch, Checkpoint, Durability, Reach, Subscription};

use crate::{
    common::harness::{Event, LONG, Model, Stored, commit, same, scan, until},
    stores::{Shared, Subject},
};

fn numbered(topic: &str, number: u64) -> Event {
    Event::new(topic, 1_000 + number, format!("payload {number}"))
}

/// Subscribes where the checkpoint is, reads so many, says so, and closes.
fn read_some(store: &Shared, group: &str, most: u64) -> Vec<Stored> {
    let checkpoint = Checkpoint::named(group);
    let from = checkpoint.get(&**store).unwrap().unwrap_or(0);
    let mut subscription = Subscription::new(store.clone(), from, Reach::Durable);
    let mut seen = Vec::new();
    while (seen.len() as u64) < most {
        let read = subscription.next_within(LONG, &mut |record| {
            seen.push(Stored::of(&record));
            until(seen.len() as u64 == most)
        });
        assert!(read.unwrap() > 0, "nothing came");
    }
    let mut batch = Batch::new();
    checkpoint.put(&mut batch, subscription.position());
    store.commit(&batch, Durability::Synced).unwrap();
    seen
}

pub fn p01_what_is_published_arrives_with_all_that_is_said_of_it(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    for number in 0..100 {
        model.commit(&*store, &[numbered("p1", number).dressed()]);
    }
    same(&read_some(&store, "reader", 100), &model.events);
    // Nothing more comes, and nobody is kept waiting for it.
    let mut subscription = Subscription::new(store, 100, Reach::Durable);
    assert_eq!(subscription.next_now(&mut |record| panic!("{record:?}")).unwrap(), 0);
}

pub fn p02_many_subscribers_see_what_many_publishers_say(subject: &dyn Subject) {
    const PUBLISHERS: u64 = 50;
    const EACH: u64 = 100;
    const SUBSCRIBERS: usize = 5;
    let store = subject.open();
    let seen = thread::scope(|scope| {
        let readers: Vec<_> = (0..SUBSCRIBERS)
            .map(|reader| {
                let store = &store;
                scope.spawn(move || read_some(store, &format!("r{reader}"), PUBLISHERS * EACH))
            })
            .collect();
        for publisher in 0..PUBLISHERS {
            let store = &store;
            scope.spawn(move || {
                for begin in (0..EACH).step_by(20) {
                    let numbers = begin..begin + 20;
                    let topic = format!("p2.{publisher}");
                    let events: Vec<_> = numbers.map(|number| numbered(&topic, number)).collect();
                    commit(&**store, &events);
                }
            });
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    let all = scan(&*store, 0).unwrap();
    for publisher in 0..PUBLISHERS {
        let topic = format!("p2.{publisher}");
        let said = all.iter().map(|stored| &stored.event).filter(|event| event.topic == topic);
        assert!(said.cloned().eq((0..EACH).map(|number| numbered(&topic, number))));
    }
    for seen in seen {
        same(&seen, &all);
    }
}

pub fn p05_nothing_comes_before_the_one_in_front_is_accepted(subject: &dyn Subject) {
    let store = subject.open();
    commit(&*store, &[numbered("p5", 0), numbered("p5", 1)]);
    // Closed without a checkpoint, it is not accepted, and comes again: the second has not been seen.
    for _ in 0..3 {
        let mut subscription = Subscription::new(store.clone(), 0, Reach::Durable);
        let read = subscription.next_now(&mut |record| {
            assert_eq!(record.position, 0);
            ControlFlow::Break(())
        });
        assert_eq!((read.unwrap(), subscription.position()), (1, 1));
    }
    let first = read_some(&store, "reader", 1);
    let second = read_some(&store, "reader", 1);
    assert_eq!((first[0].position, second[0].position), (0, 1));
}

pub fn p06_a_subscription_goes_on_where_its_predecessor_was_closed(subject: &dyn Subject) {
    const MESSAGES: u64 = 5_000;
    const BATCHES: u64 = 50;
    let mut store = subject.open();
    let mut model = Model::of(&*store);
    for begin in (0..MESSAGES).step_by(125) {
        let numbers = begin..begin + 125;
        model.commit(&*store, &numbers.map(|at| numbered("p6", at)).collect::<Vec<_>>());
    }
    let mut seen = Vec::new();
    for batch in 0..BATCHES {
        seen.extend(read_some(&store, "reader", MESSAGES / BATCHES));
        if batch % 5 == 4 {
            store = subject.reopen(store);
        }
    }
    same(&seen, &model.events);
}

pub fn p09_every_type_comes_in_order_to_everybody(subject: &dyn Subject) {
    let store = subject.open();
    thread::scope(|scope| {
        for kind in 0..16_u64 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..63 {
                    commit(&**store, &[numbered(&format!("p9.{kind}"), number)]);
                }
            });
        }
    });
    let all = scan(&*store, 0).unwrap();
    assert_eq!(all.len(), 16 * 63);
    for reader in 0..10 {
        same(&read_some(&store, &format!("r{reader}"), 16 * 63), &all);
    }
    for kind in 0..16 {
        let topic = format!("p9.{kind}");
        let said = all.iter().map(|stored| &stored.event).filter(|event| event.topic == topic);
        assert!(said.cloned().eq((0..63).map(|number| numbered(&topic, number))));
    }
}

pub fn p11_topics_are_apart(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    for number in 0..100 {
        let topic = ["one", "other"][number as usize % 2];
        model.commit(&*store, &[numbered(topic, number)]);
    }
    for topic in ["one", "other"] {
        let asked = slipring_store::Query::topic(topic);
        let found = crate::common::harness::query(&*store, &asked);
        assert_eq!(found.len(), 50);
        same(&found, &model.query(&asked, 0));
    }
}

pub fn p14_a_new_subscriber_gets_what_came_before_it(subject: &dyn Subject) {
    const ROUND: u64 = 100;
    let mut store = subject.open();
    let mut model = Model::of(&*store);
    for round in 0..3_u64 {
        let numbers = round * ROUND..(round + 1) * ROUND;
        let events: Vec<_> = numbers.map(|number| numbered("p14", number).dressed()).collect();
        model.commit(&*store, &events);
        // The new one gets the whole history, and the old ones what is new.
        for reader in 0..=round {
            let known = if reader == round { 0 } else { round * ROUND };
            let name = format!("reader {reader}");
            let seen = read_some(&store, &name, (round + 1) * ROUND - known);
            same(&seen, &model.events[known as usize..]);
        }
        store = subject.reopen(store);
    }
}

pub fn p16_each_group_gets_all_that_came_before_it_read(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let events: Vec<_> = (0..50).map(|number| numbered("p16", number)).collect();
    model.commit(&*store, &events);
    let store = subject.reopen(store);
    for group in ["one", "other"] {
        let mut seen = read_some(&store, group, 20);
        seen.extend(read_some(&store, group, 30));
        same(&seen, &model.events);
    }
}
