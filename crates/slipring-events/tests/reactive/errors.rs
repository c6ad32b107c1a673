//! Errors are values: they end nothing that is not asked to.

use std::{task::Poll, time::Duration};

use futures_util::stream;
use slipring_events::reactive::{Flow, ManualTimer, Pool, Subject};

use crate::common::{drain, poll};

/// T8: `catch => empty` ends the stream at the first error, and later events are dropped.
#[test]
fn t8_an_error_does_not_end_the_stream() {
    let pool = Pool::new(2).expect("threads");
    let parse = |text: &'static str| text.parse::<u32>();
    let all = ["1", "x", "3", "y", "5"];
    let flow = || Flow::from_stream(stream::iter(all)).observe_on(&pool, 2, parse);
    let collect = |flow: Flow<u32>| smol::block_on(flow.collect::<Vec<_>>());
    assert_eq!(collect(flow().catch(|_| Flow::empty())), [1, 3, 5]);
    assert_eq!(collect(flow().catch(|_| stream::iter([7, 8]))), [1, 7, 8, 3, 7, 8, 5]);
    assert_eq!(collect(flow().recover(|_| 0)), [1, 0, 3, 0, 5]);
    assert_eq!(collect(flow().on_error(|_| ())), [1, 3, 5]);
    // Where it is asked for.
    let until = flow().until_error().map(|item| item.unwrap_or(0));
    assert_eq!(collect(until), [1, 0]);
}

/// S18: errors become values that a handler gets, in order.
#[test]
fn errors_go_to_the_handler() {
    let (errors, told) = std::sync::mpsc::channel();
    let items = [Ok(1), Err("first"), Ok(2), Err("second")];
    let flow = Flow::from_stream(stream::iter(items));
    let values = flow.on_error(move |error| errors.send(error).expect("the test is there"));
    assert_eq!(drain(values), [1, 2]);
    assert_eq!(told.iter().collect::<Vec<_>>(), ["first", "second"]);
}

#[test]
fn until_an_error_lets_go_of_the_source() {
    let mut subject = Subject::new(4).expect("a ring");
    let mut flow = subject.subscribe().expect("a place").until_error();
    for item in [Ok(1), Err("no")] {
        subject.try_publish(item).expect("there is room");
        assert_eq!(poll(&mut flow), Poll::Ready(Some(item)));
    }
    assert_eq!(subject.subscribers(), 0);
    assert_eq!(poll(&mut flow), Poll::Ready(None));
}

#[test]
fn it_is_tried_again_so_often_and_each_time_after_the_delay() {
    let timer = ManualTimer::new();
    let mut subject = Subject::<Result<u32, u32>>::new(8).expect("a ring");
    let source = subject.source();
    let (told, causes) = std::sync::mpsc::channel();
    let subscribe = move |cause| {
        told.send(cause).expect("the test is there");
        source.subscribe().expect("a place")
    };
    let delay = Duration::from_secs(1);
    let mut flow = Flow::retry(2, delay, timer.clone(), subscribe);
    for failure in [10, 11] {
        subject.try_publish(Ok(1)).expect("there is room");
        subject.try_publish(Err(failure)).expect("there is room");
        // Of a subscription that is over.
        subject.try_publish(Ok(99)).expect("there is room");
        assert_eq!(poll(&mut flow), Poll::Ready(Some(Ok(1))));
        assert_eq!((poll(&mut flow), subject.subscribers()), (Poll::Pending, 0));
        timer.advance(delay / 2);
        assert_eq!((poll(&mut flow), subject.subscribers()), (Poll::Pending, 0));
        timer.advance(delay / 2);
        assert_eq!((poll(&mut flow), subject.subscribers()), (Poll::Pending, 1));
    }
    // Used up: errors are items, and it goes on.
    for item in [Err(12), Ok(2), Err(13)] {
        subject.try_publish(item).expect("there is room");
        assert_eq!(poll(&mut flow), Poll::Ready(Some(item)));
    }
    subject.close();
    assert_eq!(poll(&mut flow), Poll::Ready(None));
    assert_eq!(causes.try_iter().collect::<Vec<_>>(), [None, Some(10), Some(11)]);
}
