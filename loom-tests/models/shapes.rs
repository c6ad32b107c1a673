//! What many models are made of.
//!
//! A thread that waits in a loop makes a search endless, or nearly so. So most models make a fixed
//! number of attempts, each of which may fail; at the end the main thread joins them all, does what
//! is left in the order of the stages (it is the *arbiter*), and looks at the whole history.

use std::{ops::Range, time::Duration};

use slipring::{At, Builder, Claim, Dispatcher, Poll, Poller, PollerMut, Producer, PublishError};

/// A ring of numbers.
pub fn ring(slots: usize) -> Builder<u64> {
    Builder::new(slots, || 0)
}

/// The poller of a reading station.
pub fn reader(dispatcher: &mut Dispatcher<u64>, name: &str) -> Poller<u64> {
    dispatcher.poller(name).expect("the station is declared as a poller")
}

/// The poller of a changing station.
pub fn changer(dispatcher: &mut Dispatcher<u64>, name: &str) -> PollerMut<u64> {
    dispatcher.poller_mut(name).expect("the station is declared as a changing poller")
}

/// Publishes these numbers in order, each with one attempt for as long as there is room; returns
/// those that were not.
pub fn try_each<C: Claim>(producer: &mut Producer<u64, C>, mut numbers: Range<u64>) -> Range<u64> {
    while let Some(number) = numbers.clone().next() {
        match producer.try_publish(|slot| *slot = number) {
            Ok(_) => numbers.start += 1,
            Err(PublishError::Full) => break,
            Err(other) => panic!("{other}"),
        }
    }
    numbers
}

/// So many attempts to read one number each.
pub fn read_some(poller: &mut Poller<u64>, attempts: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    for _ in 0..attempts {
        poller.poll_at_most(1, |number, _| seen.push(*number)).expect("nobody faults");
    }
    seen
}

/// Longer than any model.
pub const LONG: Duration = Duration::from_hours(1);

/// Reads so many numbers, asleep until each is there.
pub fn read_asleep(poller: &mut Poller<u64>, count: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.len() < count {
        assert!(poller.wait(LONG));
        poller.poll(|number, _| seen.push(*number)).expect("no fault");
    }
    seen
}

/// Reads whatever is there now.
pub fn read_now(poller: &mut Poller<u64>, seen: &mut Vec<u64>) {
    while let Poll::Events(_) = poller.poll(|number, _| seen.push(*number)).expect("no fault") {}
}

/// Reads to the end of a closed ring.
pub fn read_to_the_end(poller: &mut Poller<u64>, seen: &mut Vec<u64>) {
    read_now(poller, seen);
    let poll = poller.poll(|_, _| ()).expect("no fault");
    assert_eq!(poll, Poll::Closed, "nothing is left, and nothing will come");
}

/// The arbiter's part where one station reads: publishes the numbers that are left, closes the ring,
/// and reads to its end.
pub fn finish<C: Claim>(
    mut producer: Producer<u64, C>,
    mut left: Range<u64>,
    poller: &mut Poller<u64>,
    seen: &mut Vec<u64>,
) {
    while !left.is_empty() {
        read_now(poller, seen);
        left = try_each(&mut producer, left);
    }
    drop(producer);
    read_to_the_end(poller, seen);
}

/// So many attempts to change one number each.
pub fn change_some(poller: &mut PollerMut<u64>, attempts: usize, change: fn(&mut u64)) {
    for _ in 0..attempts {
        poller.poll_at_most(1, |number, _: At<'_>| change(number)).expect("nobody faults");
    }
}

/// Changes whatever is there now.
pub fn change_now(poller: &mut PollerMut<u64>, change: fn(&mut u64)) {
    while let Poll::Events(_) = poller.poll(|number, _| change(number)).expect("no fault") {}
}
