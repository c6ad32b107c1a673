//! Who does not read makes who publishes wait: what each operator takes, to the item.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::stream;
use parking_lot::Mutex;
use slipring_events::reactive::{Delivered, Flow, ManualTimer, Pool, Refusal, Subject};

use crate::common::{Woken, fill, poll};

const ROOM: usize = 8;
const SECOND: Duration = Duration::from_secs(1);

/// How many items each of two polls makes room for, when there is nothing but a subject with `ROOM`, full, before it.
fn taken<U>(operator: impl FnOnce(Flow<usize>) -> Flow<U>) -> (usize, usize) {
    let mut subject = Subject::new(ROOM).expect("a ring");
    let mut flow = operator(subject.subscribe().expect("a place"));
    assert_eq!(fill(&mut subject), ROOM, "nothing is taken before it is polled");
    let first = poll(&mut flow);
    let taken_first = fill(&mut subject);
    drop(first);
    let _second = poll(&mut flow);
    (taken_first, fill(&mut subject))
}

#[test]
fn what_keeps_nothing_takes_one_for_each_that_is_asked_for() {
    let one = (1, 1);
    assert_eq!(taken(|flow| flow), one);
    assert_eq!(taken(|flow| flow.map(|n| n + 1)), one);
    assert_eq!(taken(|flow| flow.filter(|_| true)), one);
    assert_eq!(taken(|flow| flow.scan(0, |_, n| n)), one);
    assert_eq!(taken(|flow| flow.take(9)), one);
    assert_eq!(taken(|flow| flow.take_until(std::future::pending::<()>())), one);
    assert_eq!(taken(|flow| flow.distinct(2)), one);
    assert_eq!(taken(Flow::distinct_until_changed), one);
    assert_eq!(taken(|flow| flow.merge(stream::pending())), one);
    assert_eq!(taken(|flow| flow.map(Ok::<_, ()>).recover(|()| 0)), one);
    assert_eq!(taken(|flow| flow.map(Ok::<_, ()>).on_error(|()| ())), one);
    assert_eq!(taken(|flow| flow.map(Ok::<_, ()>).until_error()), one);
    let retry = |flow: Flow<usize>| {
        let mut flow = Some(flow.map(Ok::<_, ()>));
        Flow::retry(1, SECOND, ManualTimer::new(), move |_| flow.take().expect("once"))
    };
    assert_eq!(taken(retry), one);
}

#[test]
fn what_passes_over_takes_what_it_passes_over_as_well() {
    assert_eq!(taken(|flow| flow.skip(2)), (3, 1));
    assert_eq!(taken(|flow| flow.filter(|n| *n == 5)), (6, ROOM));
    // These drop what comes too soon, and hold nobody back for as long as they are polled.
    let timer = ManualTimer::new();
    assert_eq!(taken(|flow| flow.debounce(SECOND, timer.clone())), (ROOM, ROOM));
    assert_eq!(taken(|flow| flow.throttle_last(SECOND, timer.clone())), (ROOM, ROOM));
    assert_eq!(taken(|flow| flow.throttle(SECOND, timer)), (1, ROOM));
}

#[test]
fn what_keeps_items_takes_as_many_and_no_more() {
    assert_eq!(taken(|flow| flow.buffer(3)), (3, 3));
    assert_eq!(taken(|flow| flow.window(3, SECOND, ManualTimer::new())), (3, 3));
    assert_eq!(taken(|flow| flow.window_time(SECOND, 3, ManualTimer::new())), (3, 0));
    assert_eq!(taken(|flow| flow.zip(stream::pending::<()>())), (1, 0));
    assert_eq!(taken(|flow| flow.flat_map(|n| [n, n])), (1, 0));
    let stuck = |flow: Flow<usize>| flow.map(Err::<usize, _>).catch(|_| stream::pending());
    assert_eq!(taken(stuck), (1, 0));
}

#[test]
fn what_is_in_the_works_is_bounded() {
    let pool = Pool::new(2).expect("threads");
    for in_flight in [1, 2, 5] {
        for is_ordered in [true, false] {
            let gate = Arc::new(Mutex::new(()));
            let closed = gate.lock();
            let opens = Arc::clone(&gate);
            let work = move |_| drop(opens.lock());
            let operator = |flow: Flow<usize>| {
                if is_ordered {
                    flow.observe_on(&pool, in_flight, work)
                } else {
                    flow.observe_on_unordered(&pool, in_flight, work)
                }
            };
            assert_eq!(taken(operator), (in_flight, 0));
            drop(closed);
        }
    }
}

/// S19: the whole chain has room for what its parts have.
#[test]
fn a_chain_takes_what_its_operators_keep() {
    let pool = Pool::new(1).expect("a thread");
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let opens = Arc::clone(&gate);
    let chain = |flow: Flow<usize>| {
        let windows = flow.map(|n| n + 1).window(3, SECOND, ManualTimer::new());
        windows.observe_on(&pool, 2, move |_| drop(opens.lock())).filter(|()| true)
    };
    assert_eq!(taken(chain), (2 * 3, 0));
    drop(closed);
}

#[test]
fn a_flow_for_many_keeps_what_its_own_ring_has_room_for() {
    let mut subject = Subject::new(ROOM).expect("a ring");
    let (source, pump) = subject.subscribe().expect("a place").replay(16, 2).expect("a ring");
    let mut slow = source.subscribe().expect("a place");
    let mut pump = Box::pin(pump);
    let mut step = || {
        assert!(pump.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    };
    assert_eq!(fill(&mut subject), ROOM);
    step();
    assert_eq!(fill(&mut subject), ROOM);
    step();
    assert_eq!(fill(&mut subject), ROOM);
    step();
    // 16 on its ring, and one on the way.
    assert_eq!(fill(&mut subject), 1);
    step();
    assert_eq!(fill(&mut subject), 0);
    for _ in 0..3 {
        assert!(poll(&mut slow).is_ready());
    }
    step();
    assert_eq!(fill(&mut subject), 3);
}

/// T9: "backpressure" that never slows the producer.
#[test]
fn t9_a_slow_consumer_makes_the_publisher_wait() {
    let timer = ManualTimer::new();
    let mut subject = Subject::new(ROOM).expect("a ring");
    let flow = subject.subscribe().expect("a place");
    let mut windows =
        flow.map(|n: usize| n * 2).window(4, SECOND, timer).map(|window| window.len());
    // Nobody reads: as many as there is room for, and not one more.
    assert_eq!(fill(&mut subject), ROOM);
    assert_eq!(subject.try_publish(0).unwrap_err().why, Refusal::Full);
    // One window is read: exactly so many more.
    assert!(poll(&mut windows).is_ready());
    assert_eq!(fill(&mut subject), 4);
    // A publisher that waits does so until the next one is, and is woken then.
    let waiting = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&waiting));
    let mut context = Context::from_waker(&waker);
    let mut publishing = Box::pin(subject.publish_async(7));
    assert_eq!(publishing.as_mut().poll(&mut context), Poll::Pending);
    assert!(!waiting.is_woken());
    assert!(poll(&mut windows).is_ready());
    assert!(waiting.is_woken());
    let delivered = Delivered { sequence: 12, subscribers: 1 };
    assert_eq!(publishing.as_mut().poll(&mut context), Poll::Ready(Ok(delivered)));
}
