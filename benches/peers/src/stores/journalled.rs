//! A ring, or a bus, whose journal is slipring's own store: what is published is stored before its handler sees it.
//!
//! Nobody says how many events are committed at once: it is what has come while the last commit was under way, a quarter
//! of the ring at most. One producer publishes as fast as it can, so the journal always has something to do.

use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use slipring::{Builder, read};
use slipring_events::{Bus, Time};
use slipring_store::{
    BusJournal, Codec, CodecError, Embedded, Entry, EventStore as _, Record, SyncPolicy, journal,
};

use super::{Event, Fault, Seen, event};

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub struct Journalled {
    /// What was published.
    pub published: Seen,
    /// What the handler has seen, which is what the store has.
    pub seen: Seen,
    /// From the first event until the handler has seen the last.
    pub took: Duration,
    /// How many commits there were.
    pub commits: u64,
    /// How long the journal's thread has had a processor, if the system tells.
    pub cpu: Option<Duration>,
}

/// Publishes for a while to a ring of that capacity, whose journal is an empty store in a directory.
pub type Publish = fn(&Path, usize, bool, Duration) -> Result<Journalled, Fault>;

/// How many events are published between two looks at the clock.
const STRIDE: u64 = 64;
/// How long the handlers of a bus may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A ring.
///
/// # Errors
/// What the store or the ring says.
pub fn ring(
    directory: &Path,
    capacity: usize,
    synced: bool,
    time: Duration,
) -> Result<Journalled, Fault> {
    let store = Arc::new(Embedded::open(directory)?);
    let (witness, thread) = (Arc::new(Witness::default()), Arc::new(Thread::default()));
    let journal = journal("orders", store.clone(), {
        let thread = thread.clone();
        move |event: &Event, _: &mut Vec<u8>| {
            thread.note();
            Ok(Entry::at(Time::from_nanos(event.time), event.topic, &event.payload))
        }
    })?;
    let journal = journal.sync(policy(synced));
    let (mut producer, dispatcher) = Builder::new(capacity, || event(0))
        .first_sequence(journal.handle().first_sequence())
        .then(journal.station())
        .then(read("seen", {
            let witness = witness.clone();
            move |event: &Event, _| witness.see(&event.payload)
        }))
        .start()?;
    let (published, took) = publish(time, &witness, |new| {
        producer.publish(|event| *event = new)?;
        Ok(())
    })?;
    let cpu = thread.cpu();
    drop(producer);
    dispatcher.join()?;
    settle(&store, published, took, cpu, &witness)
}

/// A bus.
///
/// # Errors
/// What the store or the bus says.
pub fn bus(
    directory: &Path,
    capacity: usize,
    synced: bool,
    time: Duration,
) -> Result<Journalled, Fault> {
    let store = Arc::new(Embedded::open(directory)?);
    let (witness, thread) = (Arc::new(Witness::default()), Arc::new(Thread::default()));
    let journal = BusJournal::open("orders", store.clone(), Plain(thread.clone()))?;
    let bus = Bus::<Event>::builder(capacity).journal(journal.sync(policy(synced))).start()?;
    bus.handler("seen").run({
        let witness = witness.clone();
        move |event: &Event, _| witness.see(&event.payload)
    })?;
    let mut sender = bus.publisher();
    let (published, took) = publish(time, &witness, |new| {
        sender.publish(new)?;
        Ok(())
    })?;
    let cpu = thread.cpu();
    bus.shutdown(PATIENCE)?;
    settle(&store, published, took, cpu, &witness)
}

fn policy(synced: bool) -> SyncPolicy {
    if synced { SyncPolicy::EachBatch } else { SyncPolicy::Never }
}

/// Publishes for a while, and waits until all of it has been seen.
fn publish(
    time: Duration,
    witness: &Witness,
    mut publish: impl FnMut(Event) -> Result<(), Fault>,
) -> Result<(Seen, Duration), Fault> {
    let mut published = Seen::default();
    let begun = Instant::now();
    while begun.elapsed() < time {
        for number in published.events..published.events + STRIDE {
            let event = event(number);
            published.note(&event.payload);
            publish(event)?;
        }
    }
    while witness.events.load(Ordering::Acquire) < published.events {
        thread::yield_now();
    }
    Ok((published, begun.elapsed()))
}

fn settle(
    store: &Embedded,
    published: Seen,
    took: Duration,
    cpu: Option<Duration>,
    witness: &Witness,
) -> Result<Journalled, Fault> {
    let mut stored = Seen::default();
    store.scan(0, &mut |record| {
        stored.note(record.payload);
        ControlFlow::Continue(())
    })?;
    let seen = witness.seen();
    if stored != seen {
        return Err(format!("the handler has seen {seen:?}, and stored is {stored:?}").into());
    }
    // A commit has less than a block can hold.
    Ok(Journalled { published, seen, took, commits: store.figures()?.blocks, cpu })
}

/// What a handler has seen so far, to be looked at from without.
#[derive(Debug, Default)]
pub(super) struct Witness {
    events: AtomicU64,
    fold: AtomicU64,
}

impl Witness {
    /// One more; only one thread calls it.
    #[inline]
    pub(super) fn see(&self, payload: &[u8]) {
        let mut seen = self.seen();
        seen.note(payload);
        self.fold.store(seen.fold, Ordering::Relaxed);
        // Whoever waits for the last event reads the fold that goes with it.
        self.events.store(seen.events, Ordering::Release);
    }

    pub(super) fn seen(&self) -> Seen {
        let events = self.events.load(Ordering::Acquire);
        Seen { events, fold: self.fold.load(Ordering::Relaxed) }
    }
}

/// The thread of a journal, by what the system calls it.
#[derive(Debug, Default)]
struct Thread(OnceLock<Option<String>>);

impl Thread {
    /// To be called there.
    #[inline]
    fn note(&self) {
        self.0.get_or_init(|| {
            let link = fs::read_link("/proc/thread-self").ok()?;
            Some(link.file_name()?.to_str()?.to_owned())
        });
    }

    /// How long it has had a processor, while it is there.
    fn cpu(&self) -> Option<Duration> {
        let thread = self.0.get()?.as_ref()?;
        let told = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        Some(Duration::from_nanos(told.split(' ').next()?.parse().ok()?))
    }
}

impl slipring_events::Event for Event {
    fn name(&self) -> &'static str {
        self.topic
    }
}

/// The payload as it is.
struct Plain(Arc<Thread>);

impl Codec<Event> for Plain {
    #[inline]
    fn encode(&self, event: &Event, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.note();
        bytes.extend_from_slice(&event.payload);
        Ok(())
    }

    fn decode(&self, record: &Record<'_>) -> Result<Event, CodecError> {
        let unknown = || CodecError::unreadable(record.topic, "it is none of this benchmark");
        let topic = super::NAMES.into_iter().find(|name| *name == record.topic);
        let payload = record.payload.try_into().map_err(|_| unknown())?;
        Ok(Event { time: record.time.as_nanos(), topic: topic.ok_or_else(unknown)?, payload })
    }
}
