//! The universal properties of Watermill's suite over outbox, broker and inbox, and stricter: each event is to arrive
//! once, as it was and in order, whatever happens to the broker, and whatever arrives is counted. Each test has places of
//! its own in the broker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use slipring_events::Pattern;
use slipring_store::Memory;

use crate::{
    harness::{
        LONG, Moody, arrive, count, describe, into, listens, publish, publish_dressed, receive,
        same, send, sent, stop, until,
    },
    worlds::World,
};

mod ending;
mod sharing;

pub use ending::{
    p05_nothing_comes_before_what_is_in_front_is_accepted, p12_what_an_inbox_holds_ends_with_it,
    p13_what_is_in_hand_when_an_inbox_stops_is_for_the_next,
};
pub use sharing::{
    p02_a_store_that_is_shared_has_each_event_once_though_some_die,
    p02_those_who_share_have_each_event_once_between_them,
    p07_after_many_have_come_and_gone_at_once_one_gets_all,
};

fn store() -> Arc<Memory> {
    Arc::new(Memory::new())
}

pub fn p01_what_is_published_arrives_with_all_that_is_said_of_it<W: World>(world: &mut W) {
    let (sender, receiver) = (store(), store());
    world.announce("p01", &["all"]);
    let inbox = receive(world.input("p01", "all"), into(&receiver));
    let outbox = send("out", &sender, world.out("p01", true));
    for number in 0..50 {
        publish_dressed(&sender, number);
        publish(&sender, "p01.plain", number..number + 1);
    }
    sent(&outbox, &sender);
    arrive(&receiver, 100, &inbox);
    // It comes once even from the broker, when nothing goes wrong.
    let status = stop(inbox);
    assert_eq!((status.received, status.safe, status.duplicates), (100, 100, 0));
    assert!(outbox.stop(LONG).has_ended);
    same(&sender, &receiver, 1, |_| true);
}

pub fn p03_many_topics_at_once<W: World>(world: &mut W) {
    const TOPICS: u64 = 20;
    const EACH: u64 = 100;
    let sender = store();
    let ends: Vec<_> = (0..TOPICS)
        .map(|topic| {
            let (name, receiver) = (format!("p03topic{topic}"), store());
            let inbox = receive(world.input(&name, "all"), into(&receiver));
            listens([&inbox]);
            let outbox = describe(&name, &sender, world.out(&name, true));
            let outbox = outbox.topic(Pattern::new(&name).unwrap()).start().unwrap();
            (name, receiver, outbox, inbox)
        })
        .collect();
    thread::scope(|scope| {
        for (name, ..) in &ends {
            let sender = &sender;
            scope.spawn(move || {
                for begin in (0..EACH).step_by(5) {
                    publish(sender, name, begin..begin + 5);
                }
            });
        }
    });
    for (name, receiver, outbox, inbox) in ends {
        sent(&outbox, &sender);
        arrive(&receiver, EACH, &inbox);
        let status = stop(inbox);
        assert_eq!((status.received, status.duplicates), (EACH, 0), "{name}");
        same(&sender, &receiver, 1, |kept| kept.topic == name);
        assert_eq!(count(&receiver), EACH, "{name}");
    }
}

pub fn p04_what_is_refused_for_now_comes_again<W: World>(world: &mut W) {
    refusing(world, "p04", 100, 2);
}

pub fn p08_after_many_errors_all_is_there<W: World>(world: &mut W) {
    refusing(world, "p08", 50, 100);
}

fn refusing<W: World>(world: &W, place: &str, events: u64, fails: u64) {
    let (sender, receiver) = (store(), store());
    world.announce(place, &["all"]);
    let outbox = send("out", &sender, world.out(place, true));
    publish(&sender, place, 0..events);
    sent(&outbox, &sender);
    let (moody, failed) = Moody::new(into(&receiver), usize::MAX, fails);
    let inbox = receive(world.input(place, "all"), moody);
    arrive(&receiver, events, &inbox);
    until("it has failed so often", || failed.load(Ordering::SeqCst) == fails);
    stop(inbox);
    same(&sender, &receiver, 1, |_| true);
}

pub fn p06_an_inbox_goes_on_where_its_predecessor_was_closed<W: World>(world: &mut W) {
    const EVENTS: u64 = 600;
    const BATCHES: u64 = 10;
    let (sender, receiver) = (store(), store());
    world.announce("p06", &["all"]);
    let outbox = send("out", &sender, world.out("p06", true));
    publish(&sender, "p06", 0..EVENTS);
    sent(&outbox, &sender);
    for batch in 1..=BATCHES {
        let most = EVENTS / BATCHES;
        let (some, _) = Moody::new(into(&receiver), most as usize, 0);
        let inbox = receive(world.hasty_input("p06", "all"), some);
        arrive(&receiver, batch * most, &inbox);
        // It is closed while the intake does not want the next one.
        let report = inbox.stop(Duration::ZERO);
        assert!(report.has_ended && report.halted.is_none(), "{report:?}");
        assert_eq!(count(&receiver), batch * most, "it takes no more than that");
    }
    same(&sender, &receiver, 1, |_| true);
}

pub fn p09_every_type_comes_in_order<W: World>(world: &mut W) {
    let (sender, receiver) = (store(), store());
    world.announce("p09", &["all"]);
    let inbox = receive(world.input("p09", "all"), into(&receiver));
    let outbox = send("out", &sender, world.out("p09", true));
    thread::scope(|scope| {
        for kind in 0..16 {
            let sender = &sender;
            scope.spawn(move || {
                for number in 0..63 {
                    publish(sender, &format!("p09.{kind}"), number..number + 1);
                }
            });
        }
    });
    sent(&outbox, &sender);
    arrive(&receiver, 16 * 63, &inbox);
    stop(inbox);
    same(&sender, &receiver, 1, |_| true);
    for kind in 0..16 {
        let topic = format!("p09.{kind}");
        let arrived = crate::world::all(&*receiver).into_iter().map(|(_, _, kept)| kept);
        let payloads = arrived.filter(|kept| kept.topic == topic).map(|kept| kept.payload);
        let said = (0..63).map(|number| format!("payload {number} of {topic}").into_bytes());
        assert!(payloads.eq(said), "{topic}");
    }
}

pub fn p10_an_outbox_that_is_closed_leaves_nothing_behind<W: World>(world: &mut W) {
    const PUBLISHERS: u64 = 20;
    const EACH: u64 = 100;
    let (sender, receiver) = (store(), store());
    world.announce("p10", &["all"]);
    let inbox = receive(world.input("p10", "all"), into(&receiver));
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let sender = &sender;
            scope.spawn(move || {
                for begin in (0..EACH).step_by(5) {
                    publish(sender, &format!("p10.{publisher}"), begin..begin + 5);
                }
            });
        }
        for closed in 1..=10 {
            let outbox = send("out", &sender, world.out("p10", true));
            let wanted = PUBLISHERS * EACH * closed / 20;
            outbox.wait_for(wanted, LONG).unwrap();
            let report = outbox.stop(LONG);
            assert!(report.has_ended && report.halted.is_none(), "{report:?}");
            assert!(report.confirmed >= wanted, "{report:?}");
        }
    });
    let outbox = send("out", &sender, world.out("p10", true));
    sent(&outbox, &sender);
    arrive(&receiver, PUBLISHERS * EACH, &inbox);
    // What was confirmed when an outbox was closed has not been sent again.
    let status = stop(inbox);
    assert_eq!((status.received, status.duplicates), (PUBLISHERS * EACH, 0));
    same(&sender, &receiver, 1, |_| true);
}

pub fn p11_topics_are_apart<W: World>(world: &mut W) {
    let sender = store();
    let names = ["p11one", "p11other"];
    let ends: Vec<_> = names
        .iter()
        .map(|name| {
            let receiver = store();
            world.announce(name, &["all"]);
            let outbox = describe(name, &sender, world.out(name, true));
            let outbox = outbox.topic(Pattern::new(name).unwrap()).start().unwrap();
            let inbox = receive(world.input(name, "all"), into(&receiver));
            (receiver, outbox, inbox)
        })
        .collect();
    for number in 0..100 {
        publish(&sender, names[number as usize % 2], number..number + 1);
    }
    for (name, (receiver, outbox, inbox)) in names.iter().zip(ends) {
        sent(&outbox, &sender);
        arrive(&receiver, 50, &inbox);
        assert_eq!(stop(inbox).received, 50);
        same(&sender, &receiver, 1, |kept| kept.topic == *name);
    }
}

pub fn p14_a_new_group_gets_what_came_before_it<W: World>(world: &mut W) {
    if !W::KEEPS {
        return;
    }
    let sender = store();
    let outbox = send("out", &sender, world.out("p14", true));
    let mut groups = Vec::new();
    for round in 0..3 {
        publish(&sender, "p14", round * 100..(round + 1) * 100);
        sent(&outbox, &sender);
        let receiver = store();
        let inbox = receive(world.input("p14", &format!("g{round}")), into(&receiver));
        groups.push((receiver, inbox));
        for (receiver, inbox) in &groups {
            arrive(receiver, (round + 1) * 100, inbox);
            same(&sender, receiver, 1, |_| true);
        }
    }
    // The old ones were given only what was new.
    for (_, inbox) in groups {
        assert_eq!(stop(inbox).received, 300);
    }
}

pub fn p15_a_broker_that_is_killed_and_comes_back<W: World>(world: &mut W) {
    const EVENTS: u64 = 10_000;
    const PUBLISHERS: u64 = 100;
    const EACH: u64 = EVENTS / PUBLISHERS;
    let (sender, receiver) = (store(), store());
    world.announce("p15", &["all"]);
    let inbox = receive(world.hasty_input("p15", "all"), into(&receiver));
    let outboxes = [0, 1].map(|partition| {
        let outbox = describe("out", &sender, world.out("p15", false));
        outbox.partition(partition, 2).start().unwrap()
    });
    // They publish half of it, a quarter when the broker is killed, and the rest when it is killed again.
    let gates = [const { AtomicBool::new(false) }; 2];
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (sender, gates) = (&sender, &gates);
            scope.spawn(move || {
                let topic = format!("p15.{publisher}");
                for begin in (0..EACH).step_by(5) {
                    let gate = match begin {
                        50 => Some(0),
                        75 => Some(1),
                        _ => None,
                    };
                    if let Some(gate) = gate {
                        until("it goes on", || gates[gate].load(Ordering::SeqCst));
                    }
                    publish(sender, &topic, begin..begin + 5);
                }
            });
        }
        for (gate, (arrived, published)) in
            [(EVENTS / 3, EVENTS / 4 * 3), (EVENTS / 2, EVENTS)].into_iter().enumerate()
        {
            arrive(&receiver, arrived, &inbox);
            gates[gate].store(true, Ordering::SeqCst);
            // It is killed while some are on their way to it, unless all of them have been faster.
            let is_under_way =
                || outboxes.iter().any(|outbox| outbox.status().unwrap().unconfirmed > 100);
            while !is_under_way() && count(&sender) < published {
                thread::yield_now();
            }
            world.kill();
            // Nobody who publishes waits for the broker.
            until("all is published", || count(&sender) == published);
            world.restart();
        }
    });
    for outbox in &outboxes {
        sent(outbox, &sender);
        assert!(outbox.status().unwrap().links >= 3, "{:?}", outbox.status());
    }
    arrive(&receiver, EVENTS, &inbox);
    let status = stop(inbox);
    assert!(status.links >= 3, "{status:?}");
    println!("p15: {} deliveries, {} duplicates", status.received, status.duplicates);
    same(&sender, &receiver, 2, |_| true);
}

pub fn p16_each_group_gets_all_that_came_before_it_read<W: World>(world: &mut W) {
    let sender = store();
    world.announce("p16", &["one", "other"]);
    let outbox = send("out", &sender, world.out("p16", true));
    publish(&sender, "p16", 0..50);
    sent(&outbox, &sender);
    for group in ["one", "other"] {
        let receiver = store();
        let inbox = receive(world.input("p16", group), into(&receiver));
        arrive(&receiver, 50, &inbox);
        assert_eq!(stop(inbox).received, 50);
        same(&sender, &receiver, 1, |_| true);
    }
}
