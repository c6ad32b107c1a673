//! p05: `Full` is said only of a ring that was full, leaves no trace, and keeps nobody waiting.

use loom::thread;
use slipring::{PublishError, poller};

use crate::{
    harness::Model,
    shapes::{read_some, read_to_the_end, reader, ring},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p05", "two_attempts", (2, 1, 2), two_attempts),
    Model::exhaustive("p05", "the_last_slot", (2, 1, 2), the_last_slot),
];

fn two_attempts() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    assert_eq!(producer.try_publish(|slot| *slot = 10), Ok(0));
    let reading = thread::spawn(move || {
        let seen = read_some(&mut a, 1);
        (a, seen)
    });
    let mut accepted = vec![10];
    for number in 11..13 {
        let next = accepted.len() as u64;
        let mut was_called = false;
        let published = producer.try_publish(|slot| {
            was_called = true;
            *slot = number;
        });
        match published {
            Ok(sequence) => {
                assert_eq!(sequence, next, "what was refused took no sequence");
                accepted.push(number);
            }
            Err(error) => assert_eq!((error, was_called), (PublishError::Full, false)),
        }
    }
    let (mut a, mut seen) = reading.join().unwrap();
    assert!(accepted.len() <= 2, "one slot was freed once");
    if accepted == seen {
        let next = accepted.len() as u64;
        assert_eq!(producer.try_publish(|slot| *slot = 13), Ok(next), "there is room again");
        accepted.push(13);
    }
    drop(producer);
    read_to_the_end(&mut a, &mut seen);
    assert_eq!(seen, accepted);
}

fn the_last_slot() {
    let (mut first, mut dispatcher) = ring(1).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let competing = thread::spawn(move || second.try_publish(|slot| *slot = 20));
    let mine = first.try_publish(|slot| *slot = 10);
    let theirs = competing.join().unwrap();
    let winner = match (mine, theirs) {
        (Ok(0), Err(PublishError::Full)) => 10,
        (Err(PublishError::Full), Ok(0)) => 20,
        other => panic!("exactly one gets the slot: {other:?}"),
    };
    let mut seen = read_some(&mut a, 1);
    assert_eq!(first.try_publish(|slot| *slot = 30), Ok(1), "the loser left no hole");
    drop(first);
    read_to_the_end(&mut a, &mut seen);
    assert_eq!(seen, [winner, 30]);
}
