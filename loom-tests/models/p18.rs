//! p18: a handler that publishes what follows into its own full ring comes to an end. It keeps what finds no room
//! and goes on, which makes room; whoever publishes from outside lets that go first.
//!
//! This is the protocol of slipring-events in small: its `gate.rs` is the counter, its `trials.rs` the handler.

use std::{
    collections::VecDeque,
    future::{Future as _, poll_fn},
    pin::pin,
    task,
};

use loom::{
    future::block_on,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use slipring::{MultiProducer, Poll, Poller, PublishError, Wait, poller};

use crate::{
    harness::Model,
    shapes::{read_asleep, reader, ring},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p18", "on_a_ring_of_one", (2, 1, 2), on_a_ring_of_one)
        .both_fences()
        .bounded(2)
        .full_bounded(3),
    Model::exhaustive("p18", "beside_another_handler", (2, 1, 2), beside_another_handler)
        .both_fences()
        .bounded(1)
        .full_bounded(2),
    Model::exhaustive("p18", "behind_the_gate", (2, 2, 4), behind_the_gate)
        .bounded(2)
        .full_bounded(2),
];

/// From an even number follows the next one.
struct Handler {
    poller: Poller<u64>,
    producer: MultiProducer<u64>,
    spill: VecDeque<u64>,
    seen: Vec<u64>,
    /// The most that ever waited.
    most: usize,
}

impl Handler {
    fn new(poller: Poller<u64>, producer: MultiProducer<u64>) -> Self {
        Self { poller, producer, spill: VecDeque::new(), seen: Vec::new(), most: 0 }
    }

    /// Publishes what waits, as far as there is room; returns how many that were.
    fn flush(&mut self) -> usize {
        let before = self.spill.len();
        while let Some(next) = self.spill.front().copied() {
            match self.producer.try_publish(|slot| *slot = next) {
                Ok(_) => drop(self.spill.pop_front()),
                Err(PublishError::Full) => break,
                Err(other) => panic!("{other}"),
            }
        }
        before - self.spill.len()
    }

    /// Handles what is there; whether that was something.
    fn handle(&mut self) -> bool {
        let (seen, spill) = (&mut self.seen, &mut self.spill);
        let polled = self.poller.poll(|number, _| {
            seen.push(*number);
            spill.extend(number.is_multiple_of(2).then_some(number + 1));
        });
        self.most = self.most.max(self.spill.len());
        matches!(polled, Ok(Poll::Events(_)))
    }

    /// Awaits something on the ring, or room if something waits for it.
    async fn ready(&mut self) {
        let (producer, spill) = (&mut self.producer, &mut self.spill);
        let next = spill.front().copied();
        let mut room = pin!(async {
            match next {
                Some(next) => {
                    producer.publish_async(|slot| *slot = next).await.expect("it is open");
                    spill.pop_front();
                }
                None => std::future::pending().await,
            }
        });
        let mut ready = pin!(self.poller.ready());
        poll_fn(|context| {
            if room.as_mut().poll(context).is_ready() {
                return task::Poll::Ready(());
            }
            ready.as_mut().poll(context)
        })
        .await;
    }
}

fn on_a_ring_of_one() {
    let (mut outside, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a")).start_multi().unwrap();
    let mut handler = Handler::new(reader(&mut dispatcher, "a"), outside.clone());
    let publishing = thread::spawn(move || outside.publish(|slot| *slot = 10).unwrap());
    block_on(async {
        while handler.seen.len() < 2 {
            handler.flush();
            if !handler.handle() {
                handler.ready().await;
            }
        }
    });
    publishing.join().unwrap();
    assert_eq!(handler.seen, [10, 11]);
}

/// The room that it waits for is made by somebody else.
fn beside_another_handler() {
    let (mut outside, mut dispatcher) =
        ring(1).wait(Wait::Block).then((poller("a"), poller("b"))).start_multi().unwrap();
    let mut handler = Handler::new(reader(&mut dispatcher, "a"), outside.clone());
    let mut other = reader(&mut dispatcher, "b");
    outside.publish(|slot| *slot = 10).unwrap();
    let reading = thread::spawn(move || read_asleep(&mut other, 2));
    block_on(async {
        while handler.seen.len() < 2 {
            handler.flush();
            if !handler.handle() {
                handler.ready().await;
            }
        }
    });
    assert_eq!(handler.seen, [10, 11]);
    assert_eq!(reading.join().unwrap(), [10, 11]);
}

/// However often somebody publishes from outside, no more waits than was on the ring when it was full.
fn behind_the_gate() {
    let (mut outside, mut dispatcher) = ring(1).then(poller("a")).start_multi().unwrap();
    let mut handler = Handler::new(reader(&mut dispatcher, "a"), outside.clone());
    let gate = Arc::new(AtomicUsize::new(0));
    let publishing = {
        let gate = Arc::clone(&gate);
        thread::spawn(move || {
            let mut left = VecDeque::from([10, 20]);
            for _ in 0..3 {
                let Some(next) = left.front().copied() else { break };
                if gate.load(Ordering::Relaxed) == 0
                    && outside.try_publish(|slot| *slot = next).is_ok()
                {
                    left.pop_front();
                }
            }
            (outside, left)
        })
    };
    for _ in 0..3 {
        turn(&mut handler, &gate);
    }
    let (mut outside, mut left) = publishing.join().unwrap();
    // More turns than it takes.
    for _ in 0..12 {
        if gate.load(Ordering::Relaxed) == 0
            && let Some(next) = left.front().copied()
            && outside.try_publish(|slot| *slot = next).is_ok()
        {
            left.pop_front();
        }
        turn(&mut handler, &gate);
    }
    let of = |tens: u64| handler.seen.iter().copied().filter(move |number| number / 10 == tens);
    assert!(of(1).eq([10, 11]) && of(2).eq([20, 21]));
    assert!(handler.most <= 2, "the one in hand, and the one that had passed the gate");
}

fn turn(handler: &mut Handler, gate: &AtomicUsize) {
    gate.fetch_sub(handler.flush(), Ordering::Release);
    let waiting = handler.spill.len();
    handler.handle();
    gate.fetch_add(handler.spill.len() - waiting, Ordering::Relaxed);
}
