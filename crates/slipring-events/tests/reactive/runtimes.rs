//! The same on tokio, on smol and on none: nothing here knows a runtime.

use std::time::Duration;

use slipring_events::reactive::{Delay, ManualTimer, Subject, SystemTimer, Timer};

use crate::common::bounded;

const COUNT: u32 = 1_000;

async fn publish(mut subject: Subject<u32>) {
    for number in 0..COUNT {
        subject.publish_async(number).await.expect("it is open");
    }
}

fn check(windows: &[Vec<u32>], full: usize) {
    assert!(windows.concat().into_iter().eq(0..COUNT));
    assert!(windows.iter().all(|window| !window.is_empty() && window.len() <= full));
}

#[test]
fn on_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    bounded(move || {
        runtime.block_on(async {
            let subject = Subject::new(8).expect("a ring");
            let windows = subject.subscribe().expect("a place").window(
                7,
                Duration::from_hours(1),
                SystemTimer,
            );
            let publisher = tokio::spawn(publish(subject));
            let windows: Vec<_> = tokio::spawn(windows.collect()).await.expect("no panic");
            publisher.await.expect("no panic");
            check(&windows, 7);
            assert_eq!(windows.len(), 143);
        });
    });
}

#[test]
fn on_smol() {
    bounded(|| {
        smol::block_on(async {
            let subject = Subject::new(8).expect("a ring");
            let windows = subject.subscribe().expect("a place").window(
                7,
                Duration::from_hours(1),
                SystemTimer,
            );
            let publisher = smol::spawn(publish(subject));
            let windows: Vec<_> = smol::spawn(windows.collect()).await;
            publisher.await;
            check(&windows, 7);
            assert_eq!(windows.len(), 143);
        });
    });
}

/// One task on one thread, with nothing but futures.
#[test]
fn in_one_task() {
    let subject = Subject::new(8).expect("a ring");
    let windows = subject.subscribe().expect("a place").window(
        7,
        Duration::from_hours(1),
        ManualTimer::new(),
    );
    let both = futures_util::future::join(publish(subject), windows.collect::<Vec<_>>());
    check(&bounded(|| smol::block_on(both)).1, 7);
}

struct Tokio;

impl Timer for Tokio {
    fn after(&self, period: Duration) -> Delay {
        Delay::new(tokio::time::sleep(period))
    }
}

/// The publisher never ends: only time passes these on, whoever counts it.
#[test]
fn by_time_on_every_clock() {
    async fn first(timer: impl Timer) -> Vec<u32> {
        let mut subject = Subject::new(8).expect("a ring");
        let mut windows =
            subject.subscribe().expect("a place").window(7, Duration::from_millis(5), timer);
        subject.publish_async(1).await.expect("it is open");
        windows.next().await.expect("it is open")
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    bounded(move || {
        assert_eq!(runtime.block_on(first(Tokio)), [1]);
        assert_eq!(runtime.block_on(first(SystemTimer)), [1]);
        assert_eq!(smol::block_on(first(SystemTimer)), [1]);
    });
}
