//! The bridge.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use slipring_bridge::{
    Connect, Inbox, InboxHandle, Intake, IntakeError, IntoStore, LinkError, Listen, Outbox,
    OutboxHandle, Outgoing, Parcel, Verdict,
};
use slipring_store::{Batch, Durability, Entry, EventStore, Memory};

use crate::{
    Broker, PAYLOAD, Rate, TOPIC,
    client::{note, on_time, payload_due},
    run,
};

const LONG: Duration = Duration::from_mins(2);

/// Counts the batches.
struct Counted<C> {
    inner: C,
    batches: Arc<AtomicU64>,
}

struct CountedLink<L> {
    inner: L,
    batches: Arc<AtomicU64>,
}

impl<C: Connect> Connect for Counted<C> {
    type Link = CountedLink<C::Link>;

    async fn connect(&self) -> Result<Self::Link, LinkError> {
        let inner = self.inner.connect().await?;
        Ok(CountedLink { inner, batches: self.batches.clone() })
    }

    fn largest(&self) -> usize {
        self.inner.largest()
    }
}

impl<L: Outgoing> Outgoing for CountedLink<L> {
    async fn submit(&mut self, parcels: &[Parcel]) -> Result<(), LinkError> {
        // Relaxed. It is a number by itself.
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.inner.submit(parcels).await
    }

    async fn confirmed(&mut self) -> Result<usize, LinkError> {
        self.inner.confirmed().await
    }

    async fn close(self) {
        self.inner.close().await;
    }
}

/// A program that sends, and has sent its first event.
struct Sending {
    store: Arc<Memory>,
    outbox: OutboxHandle,
    batches: Arc<AtomicU64>,
    before: u64,
}

impl Sending {
    fn start<B: Broker>(broker: &B, place: &str, window: usize) -> Self {
        let (store, batches) = (Arc::new(Memory::new()), Arc::<AtomicU64>::default());
        let out = Counted { inner: broker.out(place), batches: batches.clone() };
        let outbox = Outbox::builder("bench", store.clone(), out).window(window);
        let outbox = outbox.start().expect("nobody else sends");
        commit(&store, &[b'x'; PAYLOAD], 1);
        outbox.wait_for(1, LONG).expect("the broker takes it");
        // Relaxed. It is a number by itself.
        let before = batches.load(Ordering::Relaxed);
        Self { store, outbox, batches, before }
    }

    fn send(&self, count: u64) {
        let payload = [b'x'; PAYLOAD];
        let mut rest = count;
        while rest > 0 {
            let some = rest.min(256);
            commit(&self.store, &payload, some);
            rest -= some;
        }
    }

    fn end(self, count: u64, took: Duration) -> Rate {
        // Relaxed. It is a number by itself.
        let batches = self.batches.load(Ordering::Relaxed) - self.before;
        assert!(self.outbox.stop(LONG).has_ended);
        Rate::new(count, took, batches)
    }
}

fn commit(store: &Memory, payload: &[u8], count: u64) {
    let mut batch = Batch::new();
    for _ in 0..count {
        batch.append(Entry::new(TOPIC, payload)).expect("it is no large event");
    }
    store.commit(&batch, Durability::Synced).expect("there is memory");
}

pub fn send<B: Broker>(broker: &B, place: &str, count: u64, window: usize) -> Rate {
    run(async { drop(broker.input(place).listen(1).await.expect("the broker is there")) });
    let sending = Sending::start(broker, place, window);
    let begin = Instant::now();
    sending.send(count);
    sending.outbox.wait_for(count + 1, LONG).expect("the broker takes them");
    sending.end(count, begin.elapsed())
}

fn receive(listen: impl Listen, intake: impl Intake, window: usize) -> InboxHandle {
    let inbox = Inbox::builder("bench", listen, intake).window(window.max(1_024));
    inbox.start().expect("it has no marks")
}

pub fn through<B: Broker>(broker: &B, place: &str, count: u64, window: usize) -> Rate {
    let store = Arc::new(Memory::new());
    let intake = IntoStore::new("bench", store.clone()).expect("it is a name");
    let inbox = receive(broker.input(place), intake, window);
    inbox.wait_until(LONG, |status| status.links == 1);
    let sending = Sending::start(broker, place, window);
    inbox.wait_until(LONG, |status| status.safe == 1);
    let begin = Instant::now();
    sending.send(count);
    let status = inbox.wait_until(LONG, |status| status.safe == count + 1);
    let took = begin.elapsed();
    assert_eq!(store.bounds().expect("it is there").durable, count + 1, "{status:?}");
    assert!(inbox.stop(LONG).has_ended);
    sending.end(count, took)
}

/// Takes the time of each.
struct Watch {
    begin: Instant,
    delays: Histogram<u64>,
    seen: u64,
    count: u64,
    done: mpsc::Sender<Histogram<u64>>,
}

impl Intake for Watch {
    fn take(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        for parcel in parcels.drain(..) {
            verdicts.push(Verdict::Safe);
            // The first one is to see whether it is there.
            if self.seen > 0 {
                note(&parcel.payload, self.begin, &mut self.delays);
            }
            self.seen += 1;
        }
        if self.seen == self.count + 1 {
            let _ = self.done.send(self.delays.clone());
        }
        Ok(())
    }

    fn needs_order(&self) -> bool {
        true
    }
}

pub fn delays<B: Broker>(
    broker: &B,
    place: &str,
    rate: u64,
    count: u64,
    delays: &mut Histogram<u64>,
) {
    let (done, is_done) = mpsc::channel();
    let begin = Instant::now() + Duration::from_millis(300);
    let watch = Watch { begin, delays: crate::table::histogram(), seen: 0, count, done };
    let inbox = receive(broker.input(place), watch, 1_024);
    inbox.wait_until(LONG, |status| status.links == 1);
    let sending = Sending::start(broker, place, 1_024);
    inbox.wait_until(LONG, |status| status.safe == 1);
    std::thread::sleep(begin.saturating_duration_since(Instant::now()));
    on_time(rate, count, begin, |due| commit(&sending.store, &payload_due(due), 1));
    let seen = is_done.recv_timeout(LONG).expect("all arrive");
    delays.add(seen).expect("both are alike");
    assert!(inbox.stop(LONG).has_ended);
    sending.end(count, Duration::from_secs(1));
}
