//! Work of a pool: its order, its panics, and what becomes of it when nobody wants it.

use std::{
    sync::{Arc, Barrier, mpsc},
    task::Poll,
    thread,
    time::Duration,
};

use futures_util::stream;
use slipring_events::reactive::{Flow, Pool, Subject};

use crate::common::{bounded, panic_of, poll};

fn numbers(count: u32) -> Flow<u32> {
    Flow::from_stream(stream::iter(0..count))
}

/// Work in which the first item is done only when the second is.
fn first_is_last() -> impl Fn(u32) -> u32 + Send + Sync + 'static {
    let both = Barrier::new(2);
    let (tell, told) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    move |number| {
        match number {
            0 => {
                both.wait();
                told.lock().expect("no panic").recv().expect("the second is done");
            }
            1 => {
                both.wait();
            }
            // The second has been passed on, or is at least done.
            _ => tell.send(()).expect("the first waits"),
        }
        number
    }
}

#[test]
fn they_come_in_order_though_the_first_is_done_last() {
    let pool = Pool::new(2).expect("threads");
    let flow = numbers(3).observe_on(&pool, 3, first_is_last());
    assert_eq!(bounded(|| smol::block_on(flow.collect::<Vec<_>>())), [0, 1, 2]);
}

#[test]
fn without_order_nothing_waits_for_the_first() {
    let pool = Pool::new(2).expect("threads");
    // The first waits for the third, which is not read before one is passed on.
    let flow = numbers(3).observe_on_unordered(&pool, 2, first_is_last());
    let done = bounded(|| smol::block_on(flow.collect::<Vec<_>>()));
    assert_eq!(done[0], 1);
}

#[test]
fn a_panic_goes_to_the_consumer_in_its_turn_and_the_pool_goes_on() {
    let pool = Pool::new(2).expect("threads");
    let work = |number| {
        assert!(number != 3, "the fourth");
        number
    };
    let mut flow = numbers(6).observe_on(&pool, 4, work);
    let other = numbers(100).observe_on(&pool, 4, |number| number);
    bounded(move || {
        for number in 0..3 {
            assert_eq!(smol::block_on(flow.next()), Some(number));
        }
        assert_eq!(panic_of(|| smol::block_on(flow.next())), "the fourth");
        assert_eq!(smol::block_on(flow.next()), None);
        assert_eq!(smol::block_on(other.collect::<Vec<_>>()).len(), 100);
        let mut flow = numbers(1).observe_on_unordered(&pool, 1, |_| -> u32 { panic!("all") });
        assert_eq!(panic_of(|| smol::block_on(flow.next())), "all");
    });
}

/// An operator's panic ends the whole chain, and gives up the place among the subscribers.
#[test]
fn a_panic_lets_go_of_the_source() {
    let mut subject = Subject::new(2).expect("a ring");
    let flow = subject.subscribe().expect("a place");
    let mut flow = flow.map(|_: u8| -> u8 { panic!("no") }).filter(|_| true).buffer(1);
    subject.try_publish(1).expect("there is room");
    assert_eq!(panic_of(|| poll(&mut flow)), "no");
    assert_eq!(poll(&mut flow), Poll::Ready(None));
    assert_eq!(subject.subscribers(), 0);
}

#[test]
fn work_that_nobody_wants_any_more_is_not_begun() {
    let pool = Pool::new(1).expect("a thread");
    let (begun, is_begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = std::sync::Mutex::new(goes_on);
    let item = Arc::new(());
    let items = stream::iter(vec![Arc::clone(&item); 5]);
    let mut flow = Flow::from_stream(items).observe_on(&pool, 5, move |_item| {
        begun.send(()).expect("the test is there");
        let _ = goes_on.lock().expect("no panic").recv();
    });
    assert_eq!(poll(&mut flow), Poll::Pending);
    is_begun.recv().expect("the first is begun");
    drop(flow);
    drop(go_on);
    // Behind all of them.
    let after = numbers(1).observe_on(&pool, 1, |number| number);
    assert_eq!(bounded(|| smol::block_on(after.collect::<Vec<_>>())), [0]);
    assert!(is_begun.try_recv().is_err());
    assert_eq!(Arc::strong_count(&item), 1);
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("a destructor that panics, on purpose");
    }
}

#[test]
fn a_destructor_that_panics_on_a_thread_of_the_pool_does_not_end_it() {
    let pool = Pool::new(1).expect("a thread");
    let (begun, is_begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = std::sync::Mutex::new(goes_on);
    let mut flow = numbers(1).observe_on(&pool, 1, move |_| {
        begun.send(()).expect("the test is there");
        let _ = goes_on.lock().expect("no panic").recv();
        PanicsWhenDropped
    });
    assert!(poll(&mut flow).is_pending());
    is_begun.recv().expect("it is begun");
    // Nobody wants what it comes to: the thread drops it.
    drop(flow);
    drop(go_on);
    let after = numbers(3).observe_on(&pool, 1, |number| number);
    assert_eq!(bounded(|| smol::block_on(after.collect::<Vec<_>>())), [0, 1, 2]);
}

/// Tells when its thread ends.
struct Ends(mpsc::Sender<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn the_threads_end_with_the_last_handle() {
    thread_local!(static ENDS: std::cell::RefCell<Option<Ends>> = const { std::cell::RefCell::new(None) });
    let (tell, told) = mpsc::channel();
    let pool = Pool::new(1).expect("a thread");
    let mut flow = numbers(2).observe_on(&pool, 1, move |_| {
        ENDS.set(Some(Ends(tell.clone())));
    });
    drop(pool);
    assert_eq!(smol::block_on(flow.next()), Some(()));
    // The flow is a handle, too: its thread still works.
    assert_eq!(smol::block_on(flow.next()), Some(()));
    told.recv_timeout(Duration::from_mins(1)).expect("the first was replaced");
    assert!(told.try_recv().is_err());
    drop(flow);
    told.recv_timeout(Duration::from_mins(1)).expect("the thread ends");
}

#[test]
fn a_pool_needs_a_thread() {
    assert_eq!(Pool::new(0).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(Pool::new(3).expect("threads").workers(), 3);
    assert!(Pool::of_cores().expect("threads").workers() >= 1);
}

/// S19: windows by count or time, each worked on by the pool.
#[test]
fn windows_on_a_pool() {
    use slipring_events::reactive::ManualTimer;
    let (timer, pool) = (ManualTimer::new(), Pool::new(2).expect("threads"));
    let mut subject = Subject::new(8).expect("a ring");
    let sums = subject
        .subscribe()
        .expect("a place")
        .window(10, Duration::from_secs(1), timer)
        .observe_on(&pool, 2, |window: Vec<u64>| [window.len() as u64, window.iter().sum()])
        .flat_map(|sums| sums);
    let feed = thread::spawn(move || (1..=25).all(|n| subject.publish(n).is_ok()));
    let all = bounded(|| smol::block_on(sums.collect::<Vec<_>>()));
    assert_eq!(all, [10, 55, 10, 155, 5, 115]);
    assert!(feed.join().expect("no panic"));
}
