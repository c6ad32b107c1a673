//! The bare clients, each doing what it does best, driven alike.

use std::{
    pin::Pin,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt,
    stream::{FuturesOrdered, FuturesUnordered},
};
use hdrhistogram::Histogram;
use slipring_bridge::{Listen, Parcel, Stamp};
use slipring_events::EventId;
use tokio::{select, sync::mpsc::unbounded_channel};

use crate::{Broker, Flight, PAYLOAD, Rate, TOPIC, run};

pub type Confirmed = Pin<Box<dyn Future<Output = ()> + Send>>;

pub trait Sender: Send {
    /// How many go in one call at most.
    const MOST: usize;

    /// Puts events on their way, in one call.
    fn send(&mut self, events: &[Parcel]) -> impl Future<Output = Confirmed> + Send;
}

pub trait Receiver: Send {
    /// Waits for some, shows the payloads, acknowledges them, and says how many there were.
    fn receive(&mut self, see: &mut (dyn FnMut(&[u8]) + Send)) -> impl Future<Output = u64> + Send;
}

pub fn events(count: u64) -> Vec<Parcel> {
    (0..count).map(|number| event(number, vec![b'x'; PAYLOAD])).collect()
}

fn event(number: u64, payload: Vec<u8>) -> Parcel {
    let mut parcel = Parcel::new(TOPIC, payload);
    parcel.id = Some(EventId::random());
    let (lane, previous) = ("bench/0123456789abcdef".into(), number.checked_sub(1));
    parcel.stamp = Some(Stamp { lane, sequence: number, previous });
    parcel
}

/// Makes the place.
fn prepare<B: Broker>(broker: &B, place: &str) {
    run(async { drop(broker.input(place).listen(1).await.expect("the broker is there")) });
}

pub fn send<B: Broker>(broker: &B, place: &str, count: u64, flight: Flight) -> Rate {
    prepare(broker, place);
    run(async {
        let (mut sender, events) = (broker.sender(place).await, events(count));
        let begin = Instant::now();
        let batches = fly(&mut sender, &events, flight).await;
        Rate::new(count, begin.elapsed(), batches)
    })
}

async fn fly(sender: &mut impl Sender, events: &[Parcel], flight: Flight) -> u64 {
    let (mut flying, mut batches) = (FuturesOrdered::new(), 0);
    for some in events.chunks(flight.batch) {
        if (flying.len() + 1) * flight.batch > flight.window {
            let () = flying.next().await.expect("some are under way");
        }
        flying.push_back(sender.send(some).await);
        batches += 1;
    }
    while flying.next().await.is_some() {}
    batches
}

pub fn through<B: Broker + Sync>(broker: &B, place: &str, count: u64, flight: Flight) -> Rate {
    prepare(broker, place);
    thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let receiving = scope.spawn(move || {
            run(async {
                let mut receiver = broker.receiver(place, flight.window.max(1_024)).await;
                ready.send(()).expect("somebody waits for it");
                let mut seen = 0;
                while seen < count {
                    seen +=
                        receiver.receive(&mut |payload| assert_eq!(payload.len(), PAYLOAD)).await;
                }
                assert_eq!(seen, count);
                Instant::now()
            })
        });
        let (begin, batches) = run(async {
            let (mut sender, events) = (broker.sender(place).await, events(count));
            is_ready.recv().expect("it tells when it is ready");
            let begin = Instant::now();
            (begin, fly(&mut sender, &events, flight).await)
        });
        let end = receiving.join().expect("it receives all");
        Rate::new(count, end - begin, batches)
    })
}

/// Calls with the number of nanoseconds at which each of so many is due, when it is; late ones at once.
pub fn on_time(rate: u64, count: u64, begin: Instant, mut with: impl FnMut(u64)) {
    for number in 0..count {
        let due = number * 1_000_000_000 / rate;
        let wait = Duration::from_nanos(due).saturating_sub(begin.elapsed());
        if !wait.is_zero() {
            thread::sleep(wait);
        }
        with(due);
    }
}

/// Says in a payload when it was due.
pub fn payload_due(due: u64) -> Vec<u8> {
    let mut payload = vec![b'x'; PAYLOAD];
    payload[..8].copy_from_slice(&due.to_le_bytes());
    payload
}

/// Notes how late it has come.
pub fn note(payload: &[u8], begin: Instant, delays: &mut Histogram<u64>) {
    let due = u64::from_le_bytes(payload[..8].try_into().expect("it has more"));
    let now = begin.elapsed().as_nanos() as u64;
    delays.saturating_record(now.saturating_sub(due));
}

pub fn delays<B: Broker + Sync>(
    broker: &B,
    place: &str,
    rate: u64,
    count: u64,
    delays: &mut Histogram<u64>,
) {
    prepare(broker, place);
    let begin = Instant::now() + Duration::from_millis(300);
    let (due, mut is_due) = unbounded_channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            run(async {
                let mut receiver = broker.receiver(place, 1_024).await;
                let mut seen = 0;
                while seen < count {
                    seen += receiver.receive(&mut |payload| note(payload, begin, delays)).await;
                }
            });
        });
        scope.spawn(move || {
            run(async {
                let mut sender = broker.sender(place).await;
                let (mut flying, mut some) = (FuturesUnordered::new(), Vec::new());
                loop {
                    select! {
                        biased;
                        taken = is_due.recv_many(&mut some, 256) => {
                            if taken == 0 {
                                break;
                            }
                            for events in some.chunks(B::Sender::MOST) {
                                flying.push(sender.send(events).await);
                            }
                            some.clear();
                        }
                        Some(()) = flying.next() => {}
                    }
                }
                while flying.next().await.is_some() {}
            });
        });
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        let mut number = 0;
        on_time(rate, count, begin, |at| {
            due.send(event(number, payload_due(at))).expect("it is there");
            number += 1;
        });
        drop(due);
    });
}
