//! Every operator passes on the end, lets go of its source there, and when it is dropped.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use futures_core::Stream;
use futures_util::stream;
use slipring_events::reactive::{Flow, ManualTimer, Pool};

use crate::common::{Woken, poll};

type Item = Result<u8, u8>;

/// Three items and then the end, or nothing more; holds something as long as it lives.
struct Source {
    _held: Arc<()>,
    left: u8,
    ends: bool,
}

impl Stream for Source {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Item>> {
        if self.left > 0 {
            self.left -= 1;
            return Poll::Ready(Some(Ok(self.left)));
        }
        if self.ends { Poll::Ready(None) } else { Poll::Pending }
    }
}

type Operator = Box<dyn Fn(Flow<Item>) -> Flow<()>>;

fn operator<U: Send + 'static>(apply: impl Fn(Flow<Item>) -> Flow<U> + 'static) -> Operator {
    Box::new(move |flow| apply(flow).map(drop))
}

fn all() -> Vec<(&'static str, Operator)> {
    let second = Duration::from_secs(1);
    let pool = Pool::new(1).expect("a thread");
    let other_pool = pool.clone();
    vec![
        ("map", operator(|flow| flow.map(|item| item))),
        ("filter", operator(|flow| flow.filter(|_| true))),
        ("filter_map", operator(|flow| flow.filter_map(Some))),
        ("flat_map", operator(|flow| flow.flat_map(|item| [item, item]))),
        ("scan", operator(|flow| flow.scan((), |(), item| item))),
        ("take", operator(|flow| flow.take(9))),
        ("skip", operator(|flow| flow.skip(1))),
        ("take_until", operator(|flow| flow.take_until(std::future::pending::<()>()))),
        ("merge", operator(|flow| flow.merge(stream::empty()))),
        ("merge with it", operator(|flow| Flow::empty().merge(flow))),
        ("zip", operator(|flow| flow.zip(stream::repeat(0)))),
        ("zip with it", operator(|flow| Flow::from_stream(stream::repeat(0)).zip(flow))),
        ("distinct", operator(|flow| flow.distinct(4))),
        ("distinct_until_changed", operator(Flow::distinct_until_changed)),
        ("buffer", operator(|flow| flow.buffer(2))),
        ("window", operator(move |flow| flow.window(2, second, ManualTimer::new()))),
        ("window_time", operator(move |flow| flow.window_time(second, 9, ManualTimer::new()))),
        ("debounce", operator(move |flow| flow.debounce(second, ManualTimer::new()))),
        ("throttle", operator(move |flow| flow.throttle(second, ManualTimer::new()))),
        ("throttle_last", operator(move |flow| flow.throttle_last(second, ManualTimer::new()))),
        ("observe_on", operator(move |flow| flow.observe_on(&pool, 2, |item| item))),
        (
            "observe_on_unordered",
            operator(move |flow| flow.observe_on_unordered(&other_pool, 2, |item| item)),
        ),
        ("recover", operator(|flow| flow.recover(|error| error))),
        ("catch", operator(|flow| flow.catch(|_| Flow::empty()))),
        ("on_error", operator(|flow| flow.on_error(drop))),
        ("until_error", operator(Flow::until_error)),
        (
            "retry",
            operator(move |flow| {
                let mut flow = Some(flow);
                Flow::retry(1, second, ManualTimer::new(), move |_| flow.take().expect("once"))
            }),
        ),
    ]
}

fn source(ends: bool) -> (Arc<()>, Flow<Item>) {
    let held = Arc::new(());
    let source = Source { _held: Arc::clone(&held), left: 3, ends };
    (held, Flow::from_stream(source))
}

#[test]
fn the_end_is_passed_on_and_the_source_let_go() {
    for (name, apply) in all() {
        let (held, flow) = source(true);
        let mut flow = apply(flow);
        let count = smol::block_on(async {
            let mut count = 0;
            while flow.next().await.is_some() {
                count += 1;
            }
            count
        });
        assert!(count > 0, "{name} passes on something");
        assert_eq!(Arc::strong_count(&held), 1, "{name} at its end");
        assert_eq!(poll(&mut flow), Poll::Ready(None), "{name} behind its end");
    }
}

#[test]
fn the_source_is_let_go_when_it_is_dropped() {
    for (name, apply) in all() {
        let (held, flow) = source(false);
        let mut flow = apply(flow);
        let _ = poll(&mut flow);
        assert_eq!(Arc::strong_count(&held), 2, "{name} has a source");
        drop(flow);
        assert_eq!(Arc::strong_count(&held), 1, "{name} dropped");
    }
}

/// A future for the next item may be dropped: the item comes with the next one.
#[test]
fn nothing_is_lost_with_a_future_that_is_dropped() {
    use crate::common::{Script, Step};
    use futures_util::FutureExt as _;
    for (name, apply) in all() {
        let steps = (0..6).flat_map(|number| [Step::Pending, Step::Item(Ok(number))]);
        let mut flow = apply(Flow::from_stream(Script::new(steps)));
        let plain = (0..6).map(Ok);
        let expected =
            smol::block_on(apply(Flow::from_stream(stream::iter(plain))).collect::<Vec<_>>());
        let mut seen = 0;
        // Work of other threads takes as long as it takes.
        let mut looks = 0_u64;
        while !futures_core::stream::FusedStream::is_terminated(&flow) {
            match flow.next().now_or_never() {
                Some(item) => seen += usize::from(item.is_some()),
                None => thread::yield_now(),
            }
            looks += 1;
            assert!(looks < 100_000_000, "{name} does not end");
        }
        assert_eq!(seen, expected.len(), "{name}");
    }
}

#[test]
fn take_and_take_until_let_go_as_soon_as_they_can() {
    let (held, flow) = source(false);
    let mut flow = flow.take(2);
    for left in [2, 1] {
        assert_eq!(poll(&mut flow), Poll::Ready(Some(Ok(left))));
    }
    assert_eq!(Arc::strong_count(&held), 1);
    let (held, flow) = source(false);
    assert_eq!(poll(&mut flow.take(0)), Poll::Ready(None));
    assert_eq!(Arc::strong_count(&held), 1);
    let (held, flow) = source(false);
    let mut flow = flow.take_until(std::future::ready(()));
    assert_eq!(poll(&mut flow), Poll::Ready(None));
    assert_eq!(Arc::strong_count(&held), 1);
}

/// A source that is always ready does not keep the thread for ever.
#[test]
fn what_passes_over_lets_other_tasks_run() {
    let second = Duration::from_secs(1);
    let endless = || Flow::from_stream(stream::repeat(1));
    let timer = ManualTimer::new();
    for mut flow in [
        endless().filter(|_| false),
        endless().skip(usize::MAX),
        endless().distinct(1).skip(1),
        endless().distinct_until_changed().skip(1),
        endless().map(Err::<u8, _>).on_error(drop),
        endless().debounce(second, timer.clone()),
        endless().throttle_last(second, timer.clone()),
        endless().throttle(second, timer).skip(1),
    ] {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let polled = Pin::new(&mut flow).poll_next(&mut Context::from_waker(&waker));
        assert_eq!((polled, woken.is_woken()), (Poll::Pending, true));
    }
}
