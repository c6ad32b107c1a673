//! Operators that have to do with time, beside models in which it goes by in seconds.

use std::{task::Poll, time::Duration};

use proptest::{collection::vec, prelude::*};
use slipring_events::reactive::{Flow, ManualTimer, Subject, Timer as _};

use crate::common::{Script, Step, drain, poll};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
enum Move {
    Item(u8),
    Pause,
    Second,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (0..100_u8).prop_map(Move::Item),
        1 => Just(Move::Pause),
        2 => Just(Move::Second),
    ];
    vec(one, 0..40)
}

/// A source that lets a second go by at each `Second`.
fn source(moves: &[Move], timer: &ManualTimer) -> Flow<u8> {
    let step = |step: &Move| match *step {
        Move::Item(item) => Step::Item(item),
        Move::Pause => Step::Pending,
        Move::Second => {
            let timer = timer.clone();
            Step::Call(Box::new(move || timer.advance(SECOND)))
        }
    };
    Flow::from_stream(Script::new(moves.iter().map(step)))
}

/// The items, each with the second in which it comes, and the number of seconds.
fn timed(moves: &[Move]) -> (Vec<(u64, u8)>, u64) {
    let (mut now, mut items) = (0, Vec::new());
    for step in moves {
        match *step {
            Move::Item(item) => items.push((now, item)),
            Move::Pause => {}
            Move::Second => now += 1,
        }
    }
    (items, now)
}

fn windows(moves: &[Move], count: usize, period: u64) -> Vec<Vec<u8>> {
    let (mut windows, mut open) = (Vec::new(), None::<(u64, Vec<u8>)>);
    for (now, item) in timed(moves).0 {
        if let Some((_, full)) = open.take_if(|(since, _)| now >= *since + period) {
            windows.push(full);
        }
        open.get_or_insert_with(|| (now, Vec::new())).1.push(item);
        if let Some((_, full)) = open.take_if(|(_, items)| items.len() == count) {
            windows.push(full);
        }
    }
    windows.extend(open.map(|(_, items)| items));
    windows
}

fn debounced(moves: &[Move], period: u64) -> Vec<u8> {
    let items = timed(moves).0;
    let stays = |index: &usize| {
        items.get(index + 1).is_none_or(|(next, _)| *next >= items[*index].0 + period)
    };
    (0..items.len()).filter(stays).map(|index| items[index].1).collect()
}

fn throttled(moves: &[Move], period: u64) -> (Vec<u8>, Vec<u8>) {
    let (mut first, mut last, mut since) = (Vec::new(), Vec::new(), None);
    for (now, item) in timed(moves).0 {
        if since.is_none_or(|since| now >= since + period) {
            since = Some(now);
            first.push(item);
            last.push(item);
        } else if let Some(last) = last.last_mut() {
            *last = item;
        }
    }
    (first, last)
}

proptest! {
    #[test]
    fn windows_by_count_or_time(moves in moves(), count in 1..6_usize, period in 1..4_u64) {
        let timer = ManualTimer::new();
        let flow = source(&moves, &timer).window(count, SECOND * period as u32, timer.clone());
        prop_assert_eq!(drain(flow), windows(&moves, count, period));
        prop_assert_eq!(timer.waiting(), 0);
    }

    /// One that never fills up is one by time alone.
    #[test]
    fn windows_by_time(moves in moves(), period in 1..4_u64) {
        let timer = ManualTimer::new();
        let flow = source(&moves, &timer).window_time(SECOND * period as u32, 100, timer.clone());
        prop_assert_eq!(drain(flow), windows(&moves, 100, period));
    }

    #[test]
    fn the_newest_when_they_have_stopped_coming(moves in moves(), period in 1..4_u64) {
        let timer = ManualTimer::new();
        let flow = source(&moves, &timer).debounce(SECOND * period as u32, timer.clone());
        prop_assert_eq!(drain(flow), debounced(&moves, period));
        prop_assert_eq!(timer.waiting(), 0);
    }

    #[test]
    fn the_first_and_the_last_of_a_period(moves in moves(), period in 1..4_u64) {
        let (first, last) = throttled(&moves, period);
        let timer = ManualTimer::new();
        let flow = source(&moves, &timer).throttle(SECOND * period as u32, timer.clone());
        prop_assert_eq!(drain(flow), first);
        let timer = ManualTimer::new();
        let flow = source(&moves, &timer).throttle_last(SECOND * period as u32, timer.clone());
        prop_assert_eq!(drain(flow), last);
        prop_assert_eq!(timer.waiting(), 0);
    }
}

fn published(numbers: impl IntoIterator<Item = u8>, subject: &mut Subject<u8>) {
    for number in numbers {
        subject.try_publish(number).expect("there is room");
    }
}

#[test]
fn a_window_is_passed_on_when_its_time_is_up_and_not_before() {
    let timer = ManualTimer::new();
    let mut subject = Subject::new(16).expect("a ring");
    let mut flow = subject.subscribe().expect("a place").window(3, SECOND * 2, timer.clone());
    published([1, 2], &mut subject);
    assert_eq!(poll(&mut flow), Poll::Pending);
    timer.advance(Duration::from_millis(1_999));
    assert_eq!(poll(&mut flow), Poll::Pending);
    timer.advance(Duration::from_millis(1));
    // What has come before it was looked at belongs to the next window.
    published([3], &mut subject);
    assert_eq!(poll(&mut flow), Poll::Ready(Some(vec![1, 2])));
    assert_eq!(poll(&mut flow), Poll::Pending);
    // The time of a window begins with its first item: this one's has just begun.
    timer.advance(SECOND);
    published([4, 5, 6], &mut subject);
    assert_eq!(poll(&mut flow), Poll::Ready(Some(vec![3, 4, 5])));
    subject.close();
    assert_eq!(poll(&mut flow), Poll::Ready(Some(vec![6])));
    assert_eq!(poll(&mut flow), Poll::Ready(None));
}

#[test]
fn a_window_by_time_that_is_full_takes_no_more() {
    let timer = ManualTimer::new();
    let mut subject = Subject::new(16).expect("a ring");
    let mut flow = subject.subscribe().expect("a place").window_time(SECOND, 2, timer.clone());
    published(1..=5, &mut subject);
    assert_eq!(poll(&mut flow), Poll::Pending);
    timer.advance(SECOND);
    assert_eq!(poll(&mut flow), Poll::Ready(Some(vec![1, 2])));
    assert_eq!(poll(&mut flow), Poll::Pending);
    timer.advance(SECOND);
    assert_eq!(poll(&mut flow), Poll::Ready(Some(vec![3, 4])));
    subject.close();
    assert_eq!(poll(&mut flow), Poll::Ready(Some(vec![5])));
    assert_eq!(poll(&mut flow), Poll::Ready(None));
}

#[test]
fn an_item_waits_until_it_has_been_quiet() {
    let timer = ManualTimer::new();
    let mut subject = Subject::new(16).expect("a ring");
    let mut flow = subject.subscribe().expect("a place").debounce(SECOND, timer.clone());
    published([1], &mut subject);
    assert_eq!(poll(&mut flow), Poll::Pending);
    timer.advance(SECOND / 2);
    published([2], &mut subject);
    assert_eq!(poll(&mut flow), Poll::Pending);
    timer.advance(SECOND / 2);
    assert_eq!(poll(&mut flow), Poll::Pending);
    timer.advance(SECOND / 2);
    assert_eq!(poll(&mut flow), Poll::Ready(Some(2)));
    published([3], &mut subject);
    subject.close();
    assert_eq!(poll(&mut flow), Poll::Ready(Some(3)));
    assert_eq!(poll(&mut flow), Poll::Ready(None));
}

#[test]
fn delays_are_woken_in_the_order_of_their_times() {
    let timer = ManualTimer::new();
    let late = Flow::from_stream(futures_util::stream::once(timer.after(SECOND * 3))).map(|()| 3);
    let soon = Flow::from_stream(futures_util::stream::once(timer.after(SECOND))).map(|()| 1);
    let mut both = late.merge(soon);
    assert_eq!((poll(&mut both), timer.waiting()), (Poll::Pending, 2));
    timer.advance(SECOND);
    assert_eq!((poll(&mut both), timer.waiting()), (Poll::Ready(Some(1)), 1));
    assert_eq!(poll(&mut both), Poll::Pending);
    drop(both);
    assert_eq!(timer.waiting(), 0);
}
