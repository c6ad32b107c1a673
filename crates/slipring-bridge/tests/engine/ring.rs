//! The outbox of a ring: its cursor moves when the broker has confirmed.

use std::time::{Duration, Instant};

use slipring::{Builder, MultiProducer, PublishError, read};
use slipring_bridge::{OutboxState, Parcel, RingOutbox, WhenUnsendable};

use crate::{
    sim::{Alive, Faults, POISON, Sim},
    world::{LONG, short, until},
};

fn parcel(number: u64) -> Parcel {
    Parcel::new("number", number.to_string())
}

fn numbers(sim: &Sim) -> Vec<u64> {
    let number = |parcel: &Parcel| String::from_utf8_lossy(&parcel.payload).parse().unwrap();
    sim.parcels().iter().map(number).collect()
}

#[test]
fn producers_wait_while_the_broker_is_away_and_nothing_is_lost_or_out_of_order() {
    let (sim, alive) = (Sim::new(3), Alive::default());
    sim.set_down(true);
    let write = |number: &u64| Ok((!number.is_multiple_of(3)).then(|| parcel(*number)));
    let outbox = RingOutbox::new("ring", sim.connect(&alive), write).pauses(short());
    let (station, handle) = outbox.station().unwrap();
    let (mut producer, dispatcher) = Builder::new(16, || 0_u64)
        .then(station)
        .then(read("behind", |_: &u64, _| ()))
        .start()
        .unwrap();
    let mut next = 0;
    let full = loop {
        match producer.try_publish(|slot| *slot = next) {
            Ok(_) => next += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, PublishError::Full) && next == 16, "{full:?} at {next}");
    until("it waits", || matches!(handle.state(), OutboxState::Waiting { .. }));
    // The first one is not to be sent: if it came alone, that is done with.
    assert!(handle.confirmed() <= 1 && handle.sent() == 0);
    sim.set_down(false);
    sim.set_faults(Faults { lost: 10, swallowed: 10, ..Faults::default() });
    for number in next..500 {
        producer.publish(|slot| *slot = number).unwrap();
    }
    drop(producer);
    let report = dispatcher.join().unwrap();
    assert_eq!(report.stations.len(), 2);
    assert_eq!((handle.confirmed(), handle.passed()), (500, 0));
    // Those that came again are told by their stamps.
    let mut seen = Vec::new();
    for parcel in sim.parcels() {
        let stamp = parcel.stamp.unwrap();
        assert_eq!(&*stamp.lane, handle.lane());
        let before: Option<u64> = seen.last().copied();
        if before.is_none_or(|before| stamp.sequence > before) && stamp.previous <= before {
            seen.push(stamp.sequence);
        }
    }
    let wanted: Vec<u64> = (0..500).filter(|number| number % 3 != 0).collect();
    assert_eq!(seen, wanted);
    until("it has ended", || matches!(handle.state(), OutboxState::Stopped));
}

#[test]
fn each_run_is_another_lane_and_ids_are_made_of_it() {
    let (sim, alive) = (Sim::new(4), Alive::default());
    let mut lanes = Vec::new();
    for _ in 0..2 {
        let outbox = RingOutbox::new("ring", sim.connect(&alive), |n: &u64| Ok(Some(parcel(*n))));
        let (station, handle) = outbox.station().unwrap();
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64).then(station).start().unwrap();
        producer.publish(|slot| *slot = 7).unwrap();
        drop(producer);
        dispatcher.join().unwrap();
        lanes.push(handle.lane().to_owned());
    }
    let parcels = sim.parcels();
    assert_ne!(lanes[0], lanes[1]);
    assert_ne!(parcels[0].id.unwrap(), parcels[1].id.unwrap());
    assert_eq!(parcels[1].id.unwrap().sequence(), Some(0));
}

/// A ring with an outbox that cannot send the number 3, for one reason or another.
fn with_unsendable(
    sim: &Sim,
    how: u8,
    what: WhenUnsendable,
) -> (MultiProducer<u64>, slipring::Dispatcher<u64>, slipring_bridge::RingOutboxHandle) {
    let mut connect = sim.connect(&Alive::default());
    connect.largest = 300;
    let write = move |number: &u64| match (number, how) {
        (3, 0) => Err("it has no such form".into()),
        (3, 1) => Ok(Some(Parcel::new("number", "3".repeat(1_000)))),
        (3, 2) => Ok(Some(Parcel::new("number", POISON))),
        (3, _) => panic!("as it is told"),
        _ => Ok(Some(parcel(*number))),
    };
    let outbox = RingOutbox::new("ring", connect, write).pauses(short()).when_unsendable(what);
    let (station, handle) = outbox.station().unwrap();
    let (producer, dispatcher) = Builder::new(8, || 0_u64).then(station).start_multi().unwrap();
    (producer, dispatcher, handle)
}

#[test]
fn what_cannot_be_sent_is_passed_and_counted() {
    for how in 0..3 {
        let sim = Sim::new(5);
        let (mut producer, dispatcher, handle) = with_unsendable(&sim, how, WhenUnsendable::Pass);
        for number in 0..20 {
            producer.publish(|slot| *slot = number).unwrap();
        }
        drop(producer);
        dispatcher.join().unwrap();
        let mut sent = numbers(&sim);
        sent.sort_unstable();
        sent.dedup();
        assert_eq!(sent, (0..20).filter(|number| *number != 3).collect::<Vec<_>>(), "{how}");
        assert_eq!(handle.passed(), 1, "{how}");
    }
}

#[test]
fn what_cannot_be_sent_halts_the_ring_with_the_reason() {
    let whys = ["no such form", "at most 300", "it is poison", "as it is told"];
    for (how, why) in (0..4).zip(whys) {
        let sim = Sim::new(6);
        let (mut producer, dispatcher, handle) = with_unsendable(&sim, how, WhenUnsendable::Halt);
        let refused = (0..1_000_u64).find_map(|number| {
            producer.publish_deadline(Instant::now() + LONG, |slot| *slot = number % 10).err()
        });
        assert!(matches!(refused, Some(PublishError::Halted(_))), "{how}: {refused:?}");
        drop(producer);
        let fault = dispatcher.shutdown(LONG).unwrap_err().to_string();
        assert!(fault.contains(why), "{how}: {fault}");
        assert!(handle.confirmed() <= 3, "{how}: nothing behind it is confirmed");
    }
}

#[test]
fn a_ring_that_is_shut_down_while_the_broker_is_away_ends() {
    let (sim, alive) = (Sim::new(7), Alive::default());
    sim.set_down(true);
    let outbox = RingOutbox::new("ring", sim.connect(&alive), |n: &u64| Ok(Some(parcel(*n))));
    let (station, handle) = outbox.pauses(short()).station().unwrap();
    let (mut producer, dispatcher) = Builder::new(8, || 0_u64).then(station).start().unwrap();
    producer.publish(|slot| *slot = 1).unwrap();
    drop(producer);
    let late = dispatcher.shutdown(Duration::from_millis(50));
    assert!(late.is_err(), "{late:?}");
    assert_eq!(handle.sent(), 0);
    until("it has ended", || matches!(handle.state(), OutboxState::Stopped));
}
