//! A program with a bus, as the tests run it: events are numbers, each of a key.

use std::{
    future::poll_fn,
    ops::ControlFlow,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use slipring_events::{AnyEvent, Bus, DeadLetters, Draft, Event, WhenFull};
use slipring_store::{
    BusJournal, Codec, CodecError, EventStore, Record, StoreCheckpoint, StoreLetters,
};

pub const LONG: Duration = Duration::from_mins(1);

/// Events of the tests are numbers. One that is a text has no form.
#[derive(Clone, Copy, Debug)]
pub struct Number;

impl Codec<AnyEvent> for Number {
    fn encode(&self, payload: &AnyEvent, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        let number: &u64 = payload.get().ok_or_else(|| CodecError::unwritable("no number"))?;
        bytes.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn decode(&self, record: &Record<'_>) -> Result<AnyEvent, CodecError> {
        let bytes = record.payload.try_into();
        let bytes = bytes.map_err(|_| CodecError::unreadable(record.topic, "no number"))?;
        Ok(AnyEvent::named("number", u64::from_le_bytes(bytes)))
    }
}

/// A run of the program.
pub struct Run {
    pub bus: Bus<AnyEvent>,
    pub journal: slipring_store::Journal,
    pub letters: DeadLetters<AnyEvent>,
}

impl Run {
    pub fn new(store: &Arc<impl EventStore>) -> Self {
        Self::with(store, 16)
    }

    pub fn with(store: &Arc<impl EventStore>, capacity: usize) -> Self {
        let journal = BusJournal::open("numbers", Arc::clone(store), Number).unwrap();
        let handle = journal.handle();
        let keeper = StoreLetters::named("numbers", Arc::clone(store), Number);
        let letters = DeadLetters::kept(10_000, WhenFull::Hold, keeper).unwrap();
        let bus = Bus::<AnyEvent>::builder(capacity)
            .journal(journal)
            .dead_letters(letters.clone())
            .start()
            .unwrap();
        Self { bus, journal: handle, letters }
    }

    pub fn checkpoint<E: Event>(&self) -> StoreCheckpoint<E, Number>
    where
        Number: Codec<E>,
    {
        StoreCheckpoint::new(&self.journal, Number)
    }

    pub fn publish(&self, numbers: impl IntoIterator<Item = u64>) {
        self.publish_to("a.number", numbers);
    }

    pub fn publish_to(&self, topic: &str, numbers: impl IntoIterator<Item = u64>) {
        let mut publisher = self.bus.publisher();
        for number in numbers {
            let draft = Draft::new(AnyEvent::named("number", number)).topic(topic);
            publisher.send(draft).unwrap();
        }
    }

    /// It ends well.
    pub fn end(self) {
        self.bus.shutdown(LONG).unwrap();
    }
}

/// What handlers have seen.
pub type Seen = Arc<Mutex<Vec<u64>>>;

/// Where a checkpoint is.
pub fn checkpoint_at(store: &dyn EventStore, name: &str) -> Option<u64> {
    slipring_store::Checkpoint::named(name).get(store).unwrap()
}

/// The numbers that are stored under a topic that begins so, in order.
pub fn stored(store: &dyn EventStore, topic: &str) -> Vec<u64> {
    let mut stored = Vec::new();
    let first = store.bounds().unwrap().first;
    store
        .scan(first, &mut |record| {
            if record.topic.starts_with(topic) {
                stored.push(u64::from_le_bytes(record.payload.try_into().unwrap()));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    stored
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a task in this thread, until it ends or is to be dropped wherever it is.
pub fn block_on_until(future: impl Future<Output = ()>, is_to_stop: &AtomicBool) {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut task = Context::from_waker(&waker);
    while !is_to_stop.load(Ordering::SeqCst) && future.as_mut().poll(&mut task).is_pending() {
        // Nobody wakes it when it is to stop.
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Waits for nothing, so many times.
pub async fn pause(mut times: u64) {
    poll_fn(|task| {
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
