//! Events, both programs, and what has to be so in the end.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Context,
    thread,
    time::{Duration, Instant},
};

use slipring_bridge::{
    Connect, Inbox, InboxHandle, InboxState, InboxStatus, Intake, IntakeError, IntoStore, Listen,
    Mark, Outbox, OutboxBuilder, OutboxHandle, Parcel, Pauses, RefusedBefore, Verdict,
};
use slipring_events::{EventId, Metadata, Time};
use slipring_store::{Batch, Durability, Entry, EventStore, Memory};

use crate::{
    history::{self, Seen, Sent},
    world::{self, Kept},
};

/// Longer than anything may take, on whatever machine.
pub const LONG: Duration = Duration::from_mins(3);

/// The window of an inbox: larger than those of two outboxes.
pub const WINDOW: usize = 1_024;

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

pub fn pauses() -> Pauses {
    Pauses::between(Duration::from_millis(1), Duration::from_millis(20))
}

/// Commits those numbers of a topic, in one batch.
pub fn publish(store: &Memory, topic: &str, numbers: std::ops::Range<u64>) -> u64 {
    let mut batch = Batch::new();
    for number in numbers {
        batch.append(Entry::new(topic, &format!("payload {number} of {topic}"))).unwrap();
    }
    store.commit(&batch, Durability::Synced).unwrap().end
}

/// Commits one of which there is something to be said in every field.
pub fn publish_dressed(store: &Memory, number: u64) -> u64 {
    let mut metadata = Metadata::default();
    metadata.insert("tenant", "nord");
    metadata.insert("Two Words", format!("{number} ☂ = %20\t\u{e4}"));
    let payload: Vec<u8> = (0..number * 7).map(|byte| byte as u8).collect();
    let time = Time::from_nanos(1_700_000_000_123_456_789 + number);
    let entry = Entry::at(time, "p01.dressed", &payload)
        .id(EventId::random())
        .source("somebody ☂")
        .stream("order-17")
        .following(EventId::random(), EventId::random())
        .schema(513 + number as u16)
        .metadata(&metadata);
    let mut batch = Batch::new();
    batch.append(entry).unwrap();
    store.commit(&batch, Durability::Synced).unwrap().end
}

pub fn describe<C: Connect>(name: &str, store: &Arc<impl EventStore>, out: C) -> OutboxBuilder<C> {
    Outbox::builder(name, store.clone(), out).window(400).pauses(pauses())
}

pub fn send(name: &str, store: &Arc<Memory>, out: impl Connect) -> OutboxHandle {
    describe(name, store, out).start().unwrap()
}

/// An inbox into a store. Its first event is the first of its lane, however long that takes.
pub fn receive(listen: impl Listen, intake: impl Intake) -> InboxHandle {
    let inbox = Inbox::builder("in", listen, intake).window(WINDOW).pauses(pauses());
    inbox.begin_after(LONG).missing_after(LONG).start().unwrap()
}

pub fn into(store: &Arc<impl EventStore>) -> IntoStore {
    IntoStore::new("in", store.clone()).unwrap()
}

/// How many events a store has.
pub fn count(store: &Memory) -> u64 {
    store.bounds().unwrap().durable
}

/// How many events some stores have together.
pub fn count_all(stores: &[Arc<Memory>]) -> u64 {
    stores.iter().map(|store| count(store)).sum()
}

/// Waits until a store has so many, and says what the inbox has to say if it does not get them.
pub fn arrive(store: &Memory, events: u64, inbox: &InboxHandle) {
    arrive_by(&[inbox], events, || count(store));
}

/// Waits until there are so many, and says what the inboxes have to say if they do not get them.
pub fn arrive_by(inboxes: &[&InboxHandle], events: u64, count: impl Fn() -> u64) {
    let deadline = Instant::now() + LONG;
    while count() < events {
        let is_over = |status: &InboxStatus| {
            matches!(status.state, InboxState::Halted(_) | InboxState::Stopped)
        };
        let statuses: Vec<_> = inboxes.iter().map(|inbox| inbox.status()).collect();
        let is_late = statuses.iter().any(is_over) || Instant::now() > deadline;
        assert!(!is_late || count() >= events, "{} of {events}: {statuses:?}", count());
        thread::sleep(Duration::from_micros(500));
    }
}

/// Waits until inboxes listen: what is sent from now on is for them.
pub fn listens<'a>(inboxes: impl IntoIterator<Item = &'a InboxHandle>) {
    for inbox in inboxes {
        let (status, listens) = inbox.wait_until(LONG, |status| status.links > 0);
        assert!(listens, "{status:?}");
    }
}

/// One of several inboxes that share what comes. Its intake is to know what it has.
pub fn share(listen: impl Listen, window: usize, intake: impl Intake) -> InboxHandle {
    let inbox = Inbox::builder("in", listen, intake).window(window).pauses(pauses());
    inbox.unordered().start().unwrap()
}

/// For one of these: more than there are events.
pub fn into_shared(store: &Arc<Memory>) -> IntoStore {
    IntoStore::remember_ids("in", store.clone(), 1 << 20).unwrap()
}

/// So many publish so many each, at once, each under a topic of its own.
pub fn publish_at_once(store: &Memory, place: &str, publishers: u64, each: u64) {
    thread::scope(|scope| {
        for publisher in 0..publishers {
            scope.spawn(move || {
                let topic = format!("{place}.{publisher}");
                for begin in (0..each).step_by(5) {
                    publish(store, &topic, begin..begin + 5);
                }
            });
        }
    });
}

/// Waits until the broker has what is in a store.
pub fn sent(outbox: &OutboxHandle, store: &Memory) {
    outbox.wait_for(count(store), LONG).unwrap();
}

pub fn stop(inbox: InboxHandle) -> InboxStatus {
    let report = inbox.stop(LONG);
    assert!(report.has_ended && report.halted.is_none(), "{report:?}");
    assert_eq!((report.status.dead, report.status.gaps), (0, 0), "{report:?}");
    report.status
}

/// What has arrived is what was sent, once, as it was, and in order within each of so many lanes. `wanted`: what of
/// it was for the receiver.
pub fn same(sender: &Memory, receiver: &Memory, lanes: usize, wanted: impl Fn(&Kept) -> bool) {
    let was = world::all(sender).into_iter().map(|(at, _, kept)| (at, kept));
    let was: BTreeMap<_, _> = was.filter(|(_, kept)| wanted(kept)).collect();
    let arrived = world::all(receiver);
    let lane_of: BTreeMap<u64, String> = arrived
        .iter()
        .filter_map(|(_, origin, _)| origin.clone())
        .map(|(lane, at)| (at, lane))
        .collect();
    let names: std::collections::BTreeSet<_> = lane_of.values().collect();
    assert_eq!(names.len(), lanes, "{names:?}");
    let nowhere = String::new();
    let sent: Vec<_> = was
        .iter()
        .map(|(at, kept)| {
            let lane = lane_of.get(at).unwrap_or(&nowhere).as_str().into();
            Sent { lane, sequence: *at, value: kept.clone(), is_certain: true }
        })
        .collect();
    let seen: Vec<_> = arrived
        .into_iter()
        .map(|(_, origin, kept)| {
            let (lane, sequence) = origin.expect("it says where it comes from");
            Seen { lane: lane.as_str().into(), sequence, value: kept }
        })
        .collect();
    let anomalies = history::check(&sent, &seen, true);
    assert!(
        anomalies.is_empty(),
        "{} anomalies: {:?}",
        anomalies.len(),
        &anomalies[..anomalies.len().min(3)]
    );
    assert_eq!(seen.len(), was.len());
}

/// What has arrived in some stores is what was sent, each event once in one of them, as it was.
pub fn once_in_one(sender: &Memory, receivers: &[Arc<Memory>]) {
    let arrived = receivers.iter().flat_map(|receiver| world::all(&**receiver));
    let mut arrived: Vec<_> = arrived
        .map(|(_, origin, kept)| (origin.expect("it says where it comes from").1, kept))
        .collect();
    arrived.sort_by_key(|(sequence, _)| *sequence);
    let sent: Vec<_> = world::all(sender).into_iter().map(|(at, _, kept)| (at, kept)).collect();
    let of = |events: &[(u64, Kept)]| events.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(of(&sent), of(&arrived));
    for (was, is) in sent.iter().zip(&arrived) {
        assert_eq!(was, is);
    }
}

/// An intake that takes no more than so many, and fails so often before.
pub struct Moody {
    inner: IntoStore,
    takes: usize,
    fails: u64,
    failed: Arc<AtomicU64>,
}

impl Moody {
    pub fn new(inner: IntoStore, takes: usize, fails: u64) -> (Self, Arc<AtomicU64>) {
        let failed = Arc::<AtomicU64>::default();
        (Self { inner, takes, fails, failed: failed.clone() }, failed)
    }
}

impl Intake for Moody {
    fn marks(&mut self) -> Result<Vec<Mark>, IntakeError> {
        self.inner.marks()
    }

    fn refused(&mut self) -> Result<Vec<RefusedBefore>, IntakeError> {
        self.inner.refused()
    }

    fn needs_order(&self) -> bool {
        self.inner.needs_order()
    }

    fn take(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        // It fails in the middle of what it is given.
        let most = if self.fails > 0 { parcels.len() / 2 } else { parcels.len() };
        let mut some: VecDeque<_> = parcels.drain(..most.min(self.takes)).collect();
        let before = some.len();
        let taken = if some.is_empty() { Ok(()) } else { self.inner.take(&mut some, verdicts) };
        self.takes -= before - some.len();
        while let Some(parcel) = some.pop_back() {
            parcels.push_front(parcel);
        }
        taken?;
        if self.fails > 0 {
            self.fails -= 1;
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err(IntakeError::failing("not now"));
        }
        if parcels.is_empty() { Ok(()) } else { Err(IntakeError::failing("that is enough")) }
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<Option<Duration>, IntakeError> {
        self.inner.poll(context, verdicts)
    }

    fn end(&mut self) -> Result<(), IntakeError> {
        self.inner.end()
    }
}
