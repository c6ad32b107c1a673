//! Tasks that await events, or room for them, on tokio and on smol.

mod common;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll as Polled, Wake, Waker},
    thread,
};

use common::{Log, joined, polled, within_a_minute};
use futures_util::{Stream, StreamExt as _, stream};
use slipring::{
    At, Builder, FaultKind, MultiProducer, Policy, Poll, PublishError, Start, poller, read, update,
};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs tasks to their end, on threads of a runtime of their own.
type Runtime = fn(Vec<Task>);

fn on_tokio(tasks: Vec<Task>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn on_one_thread_of_tokio(tasks: Vec<Task>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn on_smol(tasks: Vec<Task>) {
    let executor = smol::Executor::new();
    let tasks: Vec<_> = tasks.into_iter().map(|task| executor.spawn(task)).collect();
    thread::scope(|scope| {
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        scope.spawn({
            let (executor, stopped) = (&executor, stopped.clone());
            move || {
                smol::block_on(executor.run(async move {
                    let _ = stopped.recv().await;
                }));
            }
        });
        smol::block_on(executor.run(async {
            for task in tasks {
                task.await;
            }
        }));
        drop(stop);
    });
}

const RUNTIMES: [Runtime; 3] = [on_tokio, on_one_thread_of_tokio, on_smol];

/// Threads and tasks in one topology: tasks publish, a thread prices, two tasks and a thread read.
#[test]
fn tasks_and_threads_share_a_ring_and_everybody_sees_everything() {
    within_a_minute(|| {
        for (turn, run) in RUNTIMES.into_iter().enumerate() {
            for capacity in [1, 8, 64] {
                let thread_saw = Log::default();
                let (producer, mut dispatcher) = Builder::new(capacity, || (0_u64, 0_u64, 0_u64))
                    .then(update("price", |event: &mut (u64, u64, u64), _| event.2 = event.1 * 5))
                    .then((
                        poller("first"),
                        poller("second"),
                        read("third", {
                            let seen = thread_saw.clone();
                            move |event: &(u64, u64, u64), _: At<'_>| seen.push(*event)
                        }),
                    ))
                    .start_multi()
                    .unwrap();
                let logs: Vec<Log<(u64, u64, u64)>> = vec![Log::default(), Log::default()];
                let mut tasks: Vec<Task> = Vec::new();
                for (name, log) in ["first", "second"].into_iter().zip(&logs) {
                    let items = dispatcher.poller(name).unwrap().into_stream(|event, _| *event);
                    let log = log.clone();
                    tasks.push(Box::pin(async move {
                        items.for_each(async |item| log.push(item.unwrap())).await;
                    }));
                }
                for lane in 0..2 {
                    let mut producer = producer.clone();
                    tasks.push(Box::pin(async move {
                        for number in 0..300 {
                            producer
                                .publish_async(|event| *event = (lane, number, 0))
                                .await
                                .unwrap();
                        }
                    }));
                }
                drop(producer);
                run(tasks);
                let report = joined(dispatcher);
                assert_eq!(report.published, 600, "runtime {turn}");
                let seen = thread_saw.take();
                for lane in 0..2 {
                    let own = seen.iter().filter(|event| event.0 == lane);
                    assert!(own.map(|event| (event.1, event.2)).eq((0..300).map(|n| (n, 5 * n))));
                }
                for log in logs {
                    assert_eq!(log.take(), seen, "all in one order");
                }
            }
        }
    });
}

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Polled<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_task_is_woken_once_and_only_if_something_comes() {
    let (mut producer, mut dispatcher) = Builder::new(4, || 0).then(poller("a")).start().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    let (count, waker) = counting();
    {
        let mut ready = pin!(a.ready());
        assert!(poll_once(&mut ready, &waker).is_pending());
        assert!(
            poll_once(&mut ready, &waker).is_pending(),
            "its waker takes the place of its waker"
        );
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        producer.publish(|event| *event = 1).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        producer.publish(|event| *event = 2).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "it knows already");
        assert!(poll_once(&mut ready, &waker).is_ready());
    }
    assert_eq!(polled(&mut a), [1]);
    {
        let mut dropped = pin!(a.ready());
        assert!(poll_once(&mut dropped, &waker).is_ready());
    }
    assert_eq!(polled(&mut a), [2]);
    assert!(poll_once(&mut pin!(a.ready()), &waker).is_pending());
    producer.publish(|event| *event = 3).unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "the future was dropped");
    assert_eq!(polled(&mut a), [3]);
}

#[test]
fn a_future_that_is_dropped_has_published_nothing() {
    let (mut producer, mut dispatcher) =
        Builder::new(2, || 0).then(poller("a").max_batch(2)).start_multi().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    let (count, waker) = counting();
    for number in 0..2 {
        let mut publishing = pin!(producer.publish_async(move |event| *event = number));
        assert_eq!(poll_once(&mut publishing, &waker), Polled::Ready(Ok(number)));
    }
    {
        let mut publishing = pin!(producer.publish_async(|_| panic!("it is not called")));
        assert!(poll_once(&mut publishing, &waker).is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }
    {
        let mut batch =
            pin!(producer.publish_batch_async(2, |index, event| *event = 2 + index as u64));
        assert!(poll_once(&mut batch, &waker).is_pending());
        assert_eq!(a.poll_at_most(1, |event, _| assert_eq!(*event, 0)), Ok(Poll::Events(1)));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(poll_once(&mut batch, &waker).is_pending(), "there is room for one");
        assert_eq!(polled(&mut a), [1]);
        assert_eq!(poll_once(&mut batch, &waker), Polled::Ready(Ok(2..4)));
    }
    assert_eq!(polled(&mut a), [2, 3]);
    let mut too_large = pin!(producer.publish_batch_async(3, |_, _| ()));
    let refused = Polled::Ready(Err(PublishError::TooLarge { asked: 3, capacity: 2 }));
    assert_eq!(poll_once(&mut too_large, &waker), refused);
}

/// One of two branches of a select is dropped each time, often when it was about to be woken.
#[test]
fn nothing_is_lost_where_futures_are_dropped_all_the_time() {
    within_a_minute(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let (producer, mut dispatcher) =
            Builder::new(4, || 0_u64).then(poller("a")).start_multi().unwrap();
        let mut a = dispatcher.poller("a").unwrap();
        let feed = |mut producer: MultiProducer<u64>| async move {
            let mut number = 0;
            while number < 2_000 {
                tokio::select! {
                    published = producer.publish_async(|event| *event = number) => {
                        published.unwrap();
                        number += 1;
                    }
                    () = tokio::task::yield_now() => {}
                }
            }
        };
        let seen = runtime.block_on(async move {
            let feeds = [tokio::spawn(feed(producer.clone())), tokio::spawn(feed(producer))];
            let mut seen = Vec::new();
            loop {
                tokio::select! {
                    () = a.ready() => {}
                    () = tokio::task::yield_now() => continue,
                }
                if a.poll(|event, _| seen.push(*event)).unwrap() == Poll::Closed {
                    break;
                }
            }
            for feed in feeds {
                feed.await.unwrap();
            }
            seen
        });
        let mut sorted = seen;
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq((0..2_000).flat_map(|number| [number, number])));
        assert_eq!(joined(dispatcher).published, 4_000);
    });
}

#[test]
fn the_end_of_a_ring_is_the_end_of_its_streams_and_of_those_who_await_room() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) =
            Builder::new(2, || 0).then(poller("a")).start_multi().unwrap();
        let mut items = dispatcher.poller("a").unwrap().into_stream(|event, _| *event);
        let (count, waker) = counting();
        producer.publish_batch(2, |index, event| *event = index).unwrap();
        let mut second = producer.clone();
        let mut refused = pin!(second.publish_async(|_| ()));
        assert!(poll_once(&mut refused, &waker).is_pending());
        dispatcher.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(poll_once(&mut refused, &waker), Polled::Ready(Err(PublishError::Closed)));
        let all: Vec<_> = smol::block_on(items.by_ref().collect());
        assert_eq!(all, [Ok(0), Ok(1)]);
        assert!(smol::block_on(items.next()).is_none(), "for good");
        joined(dispatcher);
    });
}

#[test]
fn a_fault_is_the_last_item() {
    within_a_minute(|| {
        for policy in [Policy::Halt, Policy::Skip] {
            let (mut producer, mut dispatcher) =
                Builder::new(8, || 0).then(poller("a").policy(policy)).start().unwrap();
            let items = dispatcher.poller("a").unwrap().into_stream(|event: &u64, _| {
                assert_ne!(*event, 2, "no twos");
                *event
            });
            producer.publish_batch(4, |index, event| *event = index as u64).unwrap();
            drop(producer);
            let items: Vec<_> = smol::block_on(items.collect());
            if policy == Policy::Skip {
                assert_eq!(items, [Ok(0), Ok(1), Ok(3)]);
                let report = joined(dispatcher);
                assert_eq!(report.station("a").map(|a| (a.handled, a.skipped)), Some((3, 1)));
                continue;
            }
            let Some(Err(fault)) = items.last() else { panic!("{items:?}") };
            assert_eq!((fault.station(), fault.sequence()), ("a", 2));
            assert_eq!(fault.kind(), FaultKind::Panic);
            assert_eq!(items.len(), 3);
            let error = dispatcher.join().unwrap_err();
            assert_eq!(error.fault(), Some(fault));
            let a = error.report.station("a").unwrap();
            assert_eq!((a.handled, a.left), (2, 2));
        }
    });
}

#[test]
fn an_event_is_released_when_it_has_become_an_item() {
    let (mut producer, mut dispatcher) = Builder::new(2, || 0).then(poller("a")).start().unwrap();
    let mut items =
        dispatcher.poller("a").unwrap().into_stream(|event, at| (at.sequence(), *event));
    producer.publish_batch(2, |index, event| *event = index).unwrap();
    assert_eq!(smol::block_on(items.next()), Some(Ok((0, 0))));
    producer.try_publish(|event| *event = 2).unwrap();
    assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
    assert_eq!(items.sequence(), 1);
    let mut a = items.into_poller();
    assert_eq!(polled(&mut a), [1]);
    drop(a.into_stream(|_, _| ()));
    producer.publish_batch(2, |_, _| ()).unwrap();
}

#[test]
fn a_stream_joins_a_running_ring() {
    within_a_minute(|| {
        for run in RUNTIMES {
            let (mut producer, dispatcher) =
                Builder::new(16, || 0).then(read("here", |_: &u64, _| ())).start().unwrap();
            let members = dispatcher.membership();
            let seen = Log::default();
            let log = seen.clone();
            run(vec![Box::pin(async move {
                for number in 0..50_u64 {
                    producer.publish_async(|event| *event = number).await.unwrap();
                }
                let guest = members.attach_poller(poller("guest"), Start::Now).unwrap();
                assert_eq!(guest.sequence(), 50);
                let mut items = guest.into_stream(|event, _| *event);
                let feed = async move {
                    for number in 50..100 {
                        producer.publish_async(|event| *event = number).await.unwrap();
                    }
                };
                let read = async {
                    while let Some(item) = items.next().await {
                        log.push(item.unwrap());
                    }
                };
                futures_util::future::join(feed, read).await;
            })]);
            assert_eq!(seen.take(), (50..100).collect::<Vec<_>>());
            joined(dispatcher);
        }
    });
}

#[test]
fn a_handler_that_blocks_on_its_own_full_ring_is_told() {
    within_a_minute(|| {
        let own = Arc::new(std::sync::Mutex::new(None::<MultiProducer<u64>>));
        let (told, refusal) = std::sync::mpsc::channel();
        let (mut producer, dispatcher) = Builder::new(1, || 0)
            .then(read("own", {
                let own = Arc::clone(&own);
                move |_: &u64, _: At<'_>| {
                    if let Some(mut own) = own.lock().unwrap().take() {
                        told.send(smol::block_on(own.publish_async(|_| ()))).unwrap();
                    }
                }
            }))
            .start_multi()
            .unwrap();
        *own.lock().unwrap() = Some(producer.clone());
        producer.publish(|event| *event = 1).unwrap();
        let refused = refusal.recv().unwrap();
        assert_eq!(refused, Err(PublishError::WouldDeadlock { station: "own".into() }));
        drop(producer);
        joined(dispatcher);
    });
}

#[test]
fn a_waker_that_panics_is_nobodys_business_but_its_own() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    let (mut producer, mut dispatcher) =
        Builder::new(4, || 0).then((poller("a"), poller("b"))).start().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    let mut b = dispatcher.poller("b").unwrap();
    let (count, waker) = counting();
    let mut ready = pin!(a.ready());
    assert!(poll_once(&mut ready, &Waker::from(Arc::new(Panics))).is_pending());
    let mut beside = pin!(b.ready());
    assert!(poll_once(&mut beside, &waker).is_pending());
    assert_eq!(producer.publish(|event| *event = 1), Ok(0));
    assert_eq!(producer.publish(|event| *event = 2), Ok(1));
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "the other one is woken");
}

#[test]
fn a_reset_hook_does_not_keep_a_task_from_its_room() {
    within_a_minute(|| {
        for run in RUNTIMES {
            let reset = Arc::new(AtomicUsize::new(0));
            let (mut producer, mut dispatcher) = Builder::new(2, || 0_u64)
                .reset({
                    let reset = Arc::clone(&reset);
                    move |_| {
                        reset.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .then(poller("a"))
                .start()
                .unwrap();
            let items = dispatcher.poller("a").unwrap().into_stream(|event, _| *event);
            run(vec![
                Box::pin(async move {
                    for number in 0..500 {
                        producer.publish_async(|event| *event = number).await.unwrap();
                    }
                }),
                Box::pin(async move {
                    let expected = stream::iter((0..500).map(Ok));
                    let (seen, expected): (Vec<_>, Vec<_>) = futures_util::future::join(
                        items.collect::<Vec<_>>(),
                        expected.collect::<Vec<_>>(),
                    )
                    .await;
                    assert_eq!(seen, expected);
                }),
            ]);
            joined(dispatcher);
            assert_eq!(reset.load(Ordering::Relaxed), 500);
        }
    });
}

/// What tasks need of their futures and streams.
#[test]
fn futures_and_streams_are_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    fn is_stream<S: Stream + Unpin + Send>(stream: S) -> S {
        stream
    }
    let (mut producer, mut dispatcher) = Builder::new(2, || 0).then(poller("a")).start().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    drop(is_send(producer.publish_async(|event| *event = 1)));
    drop(is_send(a.ready()));
    drop(is_stream(a.into_stream(|event, _| *event)));
}
