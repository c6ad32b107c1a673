//! The last values first, then all: no gap, none twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    thread,
};

use futures_util::stream;
use proptest::prelude::*;
use slipring_events::reactive::{Delivered, Flow, Refusal, Subject};

use crate::common::{bounded, drain, poll};

proptest! {
    #[test]
    fn who_comes_late_gets_the_last_ones_first(last in 0..8_usize, before in 0..40_usize, after in 0..8_usize) {
        let mut subject = Subject::replaying(16, last).expect("a ring");
        for number in 0..before {
            subject.try_publish(number).expect("nobody holds it back");
        }
        let flow = subject.subscribe().expect("a place");
        for number in before..before + after {
            subject.try_publish(number).expect("there is room");
        }
        let first = before - last.min(before);
        drop(subject);
        prop_assert_eq!(drain(flow), (first..before + after).collect::<Vec<_>>());
    }
}

#[test]
fn somebody_who_is_behind_does_not_make_others_get_more() {
    let mut subject = Subject::replaying(8, 2).expect("a ring");
    let slow = subject.subscribe().expect("a place");
    for number in 0..8 {
        assert_eq!(subject.try_publish(number), Ok(Delivered { sequence: number, subscribers: 1 }));
    }
    assert_eq!(subject.try_publish(8).unwrap_err().why, Refusal::Full);
    let late = subject.subscribe().expect("a place");
    drop(subject);
    assert_eq!(drain(late), [6, 7]);
    assert_eq!(drain(slow).len(), 8);
}

#[test]
fn who_comes_when_it_is_closed_gets_the_last_ones_and_the_end() {
    let mut subject = Subject::replaying(8, 3).expect("a ring");
    let source = subject.source();
    for number in 0..10 {
        subject.try_publish(number).expect("nobody holds it back");
    }
    drop(subject);
    for _ in 0..2 {
        assert_eq!(drain(source.subscribe().expect("a flow")), [7, 8, 9]);
    }
}

/// Values that nobody will be given again go at once.
#[test]
fn what_is_kept_is_the_last_and_no_more() {
    let mut subject = Subject::replaying(8, 2).expect("a ring");
    let value = Arc::new(());
    for _ in 0..20 {
        subject.try_publish(Arc::clone(&value)).expect("nobody holds it back");
        assert!(Arc::strong_count(&value) <= 3);
    }
    drop(subject);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn one_flow_for_many() {
    let (source, pump) = Flow::from_stream(stream::iter(0..5)).replay(8, 2).expect("a ring");
    let mut early = source.subscribe().expect("a place");
    assert_eq!(poll(&mut early), Poll::Pending);
    assert_eq!(smol::block_on(pump), 5);
    assert_eq!(drain(early), [0, 1, 2, 3, 4]);
    assert_eq!(drain(source.subscribe().expect("a flow")), [3, 4]);
    // Nobody awaits what publishes: all flows end.
    let (source, pump) = Flow::from_stream(stream::pending::<u8>()).replay(8, 2).expect("a ring");
    let flow = source.subscribe().expect("a place");
    drop(pump);
    assert!(drain(flow).is_empty());
}

const ALL: usize = 20_000;
const LAST: usize = 4;

#[test]
fn who_comes_while_it_is_published_has_no_gap_and_none_twice() {
    bounded(|| {
        let mut subject = Subject::replaying(16, LAST).expect("a ring");
        let source = subject.source();
        let total = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&total);
        let publisher = thread::spawn(move || {
            for number in 0..ALL {
                subject.publish(number).expect("it is open");
                count.store(number + 1, Ordering::SeqCst);
            }
        });
        let mut came = 0;
        while !publisher.is_finished() {
            let before = total.load(Ordering::SeqCst);
            let flow = source.subscribe().expect("a place");
            // One may have been published, and not be counted yet.
            let after = total.load(Ordering::SeqCst) + 1;
            let seen = smol::block_on(flow.take(20).collect::<Vec<_>>());
            let first = *seen.first().expect("there are always the last ones");
            assert!(first + LAST >= before.min(ALL), "{first}, with {before} published before");
            assert!(first <= after.saturating_sub(LAST), "{first}, with {after} published after");
            assert!(seen.iter().copied().eq(first..first + seen.len()), "{seen:?}");
            assert!(seen.len() == 20 || seen.last() == Some(&(ALL - 1)), "{seen:?}");
            came += 1;
        }
        publisher.join().expect("no panic");
        assert!(came > 0);
        let rest = source.subscribe().expect("a flow");
        assert_eq!(drain(rest), (ALL - LAST..ALL).collect::<Vec<_>>());
    });
}
