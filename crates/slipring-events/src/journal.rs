//! A journal: what stores the events of a bus before its handlers see them.
//!
//! It is a station that the ring is built with. Handlers come and go behind it, as they do behind the publishers where
//! there is none: every station stays behind the cursors it follows.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use slipring::{At, BatchHandler, Figure, Policy, Station, read_batch_handler};

use crate::{
    clock::Time,
    delivery::HandlerError,
    envelope::Metadata,
    event::Event,
    hub::{Hub, Identity},
    id::{EventId, Source},
    inline::Inline,
    receipt::{Answers, Fate},
    slot::Slot,
};

/// The number by which it answers for an event: no handler has it.
const NUMBER: u64 = u64::MAX;

/// Stores the events of a bus, in order, before any handler sees them; see
/// [`BusBuilder::journal`](crate::BusBuilder::journal).
///
/// All of it is called in a thread of the journal's own, but for what is asked when the bus starts.
///
/// # Examples
/// A list, for a test:
/// ```
/// use slipring_events::{AnyEvent, Bus, HandlerError, Journal, OnRing};
/// use std::{sync::{Arc, Mutex}, time::Duration};
///
/// struct List(Arc<Mutex<Vec<String>>>);
///
/// impl Journal<AnyEvent> for List {
///     fn keep(&mut self, events: OnRing<'_, AnyEvent>) -> Result<(), HandlerError> {
///         let topics = events.iter().map(|event| event.topic.to_owned());
///         self.0.lock().unwrap().extend(topics);
///         Ok(())
///     }
/// }
///
/// let list = Arc::new(Mutex::new(Vec::new()));
/// let bus = Bus::<AnyEvent>::builder(64).journal(List(Arc::clone(&list))).start()?;
/// let seen = Arc::clone(&list);
/// let _handler = bus.handler("mail").run(move |_, context| {
///     assert!(seen.lock().unwrap().contains(&context.topic().to_string()));
/// })?;
/// bus.publisher().publish(AnyEvent::named("order.created", 7_u32))?;
/// bus.shutdown(Duration::from_secs(5))?;
/// assert_eq!(*list.lock().unwrap(), ["order.created"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Journal<E: Event>: Send + 'static {
    /// Stores the events of a slice: all of them, or none. When it has returned, handlers see them. A slice that
    /// failed comes again whole, if the [policy](Self::policy) is to try again.
    ///
    /// # Errors
    /// They are not stored. By the policy the bus halts, or this is called again; with a
    /// [`Fatal`](slipring::Fatal) error it halts.
    fn keep(&mut self, events: OnRing<'_, E>) -> Result<(), HandlerError>;

    /// What its station is called.
    fn name(&self) -> String {
        String::from("journal")
    }

    /// What ids are made of, if the bus was not told: it has to be the same when its events are read again.
    fn source(&self) -> Option<Source> {
        None
    }

    /// Where the sequences of a bus go on that was not told where they begin: no id is to be given twice.
    fn first_sequence(&self) -> u64 {
        0
    }

    /// What happens when it fails.
    fn policy(&self) -> Policy {
        Policy::Halt
    }

    /// After how long without an event [`idle`](Self::idle) is called again.
    fn idle_after(&self) -> Option<Duration> {
        None
    }

    /// When all events are stored, and no other has come yet. A panic halts the bus.
    fn idle(&mut self) {}

    /// Before [`end`](Self::end), if the bus was halted: events may have been published, and their ids told, that it will
    /// never be given.
    fn halt(&mut self) {}

    /// When the bus ends, behind the last event that it is given. A panic is the bus's fault.
    fn end(&mut self) {}

    /// Tells of it, whenever somebody looks at the bus.
    fn teller(&self) -> JournalTeller {
        Box::new(|_| ())
    }
}

/// Tells figures of a journal, each time anew.
pub type JournalTeller = Box<dyn Fn(&mut Vec<Figure>) + Send + Sync>;

/// Events that stand side by side on the ring of a bus, on their way to its [`Journal`].
pub struct OnRing<'a, E: Event> {
    slots: &'a [Slot<E>],
    first: u64,
    identity: &'a Identity,
    names: &'a [Arc<str>],
}

/// An event that is to be stored.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unstored<'a, E> {
    /// Where it stands on the ring.
    pub sequence: u64,
    /// Its id: the one that it was given, or one of the bus's source and its sequence.
    pub id: EventId,
    /// When it happened.
    pub time: Time,
    /// What it was published under.
    pub topic: &'a str,
    /// The first event of the story that it belongs to.
    pub correlation: Option<EventId>,
    /// The event that led to it.
    pub causation: Option<EventId>,
    /// What is said of it besides.
    pub metadata: Option<&'a Metadata>,
    /// What happened.
    pub event: &'a E,
}

impl<E: Event> fmt::Debug for OnRing<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnRing")
            .field("first", &self.first)
            .field("len", &self.slots.len())
            .finish_non_exhaustive()
    }
}

// Not derived: they are copied whatever the event is.
#[allow(clippy::expl_impl_clone_on_copy)]
impl<E: Event> Clone for OnRing<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Event> Copy for OnRing<'_, E> {}

#[allow(clippy::expl_impl_clone_on_copy)]
impl<E> Clone for Unstored<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Unstored<'_, E> {}

impl<'a, E: Event> OnRing<'a, E> {
    /// The sequence of the first slot.
    pub fn first_sequence(&self) -> u64 {
        self.first
    }

    /// How many slots there are: not each of them has an event.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The event in a slot, if there is one that is to be stored: some slots only wake handlers up, and what is
    /// [replayed](crate::Draft::replayed) is stored already.
    pub fn get(&self, slot: usize) -> Option<Unstored<'a, E>> {
        let sequence = self.first + slot as u64;
        let delivered = self.slots.get(slot)?.read(sequence)?;
        let extra = delivered.extra();
        if extra.is_some_and(|extra| extra.is_replay) {
            return None;
        }
        Some(Unstored {
            sequence,
            id: self.identity.id_of(&delivered),
            time: delivered.head.time,
            topic: self.names.get(delivered.head.topic.index()).map_or("", |name| &**name),
            correlation: extra.and_then(|extra| extra.correlation),
            causation: extra.and_then(|extra| extra.causation),
            metadata: extra.and_then(|extra| extra.metadata.as_deref()),
            event: delivered.event,
        })
    }

    /// The events that are to be stored, in order.
    pub fn iter(&self) -> impl Iterator<Item = Unstored<'a, E>> {
        let all = *self;
        (0..all.slots.len()).filter_map(move |slot| all.get(slot))
    }
}

/// How far a journal has come, for those who wait for it.
pub(crate) struct Progress<E: Event> {
    name: Arc<str>,
    /// Everything before it can be seen by handlers.
    passed: AtomicU64,
    is_over: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
    bell: Condvar,
    hub: OnceLock<Weak<Hub<E>>>,
}

impl<E: Event> fmt::Debug for Progress<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("passed", &self.passed).finish_non_exhaustive()
    }
}

impl<E: Event> Progress<E> {
    pub(crate) fn new(name: &str, first: u64) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            passed: AtomicU64::new(first),
            is_over: AtomicBool::new(false),
            waiting: Mutex::default(),
            bell: Condvar::new(),
            hub: OnceLock::new(),
        })
    }

    pub(crate) fn introduce(&self, hub: &Arc<Hub<E>>) {
        self.hub.get_or_init(|| Arc::downgrade(hub));
    }

    /// Whether its thread has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Whether handlers can see the event of a sequence.
    pub(crate) fn has_passed(&self, sequence: u64) -> bool {
        self.passed.load(Ordering::Acquire) > sequence
    }

    fn pass(&self, next: u64) {
        if self.passed.load(Ordering::Relaxed) < next {
            // Under the lock, so that nobody falls asleep between having looked and waiting.
            let waiting = self.waiting.lock();
            // Release: pairs with `has_passed`; the cursor has moved before.
            self.passed.store(next, Ordering::Release);
            drop(waiting);
            self.bell.notify_all();
        }
    }

    fn end(&self) {
        let mut waiting = self.waiting.lock();
        self.is_over.store(true, Ordering::Release);
        let wakers = std::mem::take(&mut *waiting);
        drop(waiting);
        self.bell.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until handlers can see the event of a sequence, or never will.
    pub(crate) fn wait(&self, sequence: u64, deadline: Option<Instant>) -> bool {
        let mut waiting = self.waiting.lock();
        while !self.has_passed(sequence) && !self.is_over() {
            match deadline {
                None => self.bell.wait(&mut waiting),
                Some(deadline) => {
                    if self.bell.wait_until(&mut waiting, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        self.has_passed(sequence)
    }
}

/// It answers for an event when it is stored.
impl<E: Event> Answers for Progress<E> {
    fn number(&self) -> u64 {
        NUMBER
    }

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn has_ended(&self, waker: Option<&Waker>) -> bool {
        let mut waiting = self.waiting.lock();
        let is_over = self.is_over();
        if let Some(waker) = waker
            && !is_over
            && !waiting.iter().any(|other| other.will_wake(waker))
        {
            waiting.push(waker.clone());
        }
        is_over
    }
}

/// The station of a journal.
pub(crate) fn station<E: Event>(
    journal: Box<dyn Journal<E>>,
    identity: Arc<Identity>,
    inline: Arc<Inline<E>>,
    progress: Arc<Progress<E>>,
) -> Station<Slot<E>, slipring::Shared> {
    let (policy, idle_after, teller) = (journal.policy(), journal.idle_after(), journal.teller());
    let name = progress.name.to_string();
    let make = move || Stage { journal, identity, inline, progress, names: Vec::new(), next: 0 };
    let station = read_batch_handler(name, make).policy(policy).tell(teller);
    match idle_after {
        Some(time) => station.idle_after(time),
        None => station,
    }
}

struct Stage<E: Event> {
    journal: Box<dyn Journal<E>>,
    identity: Arc<Identity>,
    inline: Arc<Inline<E>>,
    progress: Arc<Progress<E>>,
    /// Of the topics, by their numbers: those that it has come to.
    names: Vec<Arc<str>>,
    /// Behind the last batch that was stored: its cursor moves over a batch as a whole, which is several slices where
    /// the ring wraps.
    next: u64,
}

impl<E: Event> Stage<E> {
    /// Everything before is passed: whoever waits for it may go on, and inline handlers are to see it.
    fn pass(&self, next: u64) {
        self.progress.pass(next);
        if !self.inline.is_empty()
            && let Some(hub) = self.progress.hub.get().and_then(Weak::upgrade)
        {
            self.inline.tend(&hub);
        }
    }

    fn learn_names(&mut self, slots: &[Slot<E>]) {
        for slot in slots {
            let Some(delivered) = slot.read(0) else { continue };
            let index = delivered.head.topic.index();
            while self.names.len() <= index {
                let next = self.names.len();
                self.names.push(self.identity.topics.name_at(next));
            }
        }
    }
}

impl<E: Event> BatchHandler<Slot<E>> for Stage<E> {
    fn on_batch(&mut self, slots: &[Slot<E>], at: At<'_>) -> Result<(), HandlerError> {
        let first = at.sequence();
        self.pass(self.next);
        self.learn_names(slots);
        let events = OnRing { slots, first, identity: &self.identity, names: &self.names };
        self.journal.keep(events)?;
        for (sequence, slot) in (first..).zip(slots) {
            if let Some(ticket) = slot.read(sequence).and_then(|delivered| delivered.ticket()) {
                ticket.settle(NUMBER, Fate::Handled);
            }
        }
        if at.end_of_batch() {
            self.next = first + slots.len() as u64;
        }
        Ok(())
    }

    fn on_idle(&mut self) {
        self.pass(self.next);
        self.journal.idle();
    }

    fn on_halt(&mut self) {
        self.journal.halt();
    }

    fn on_stop(&mut self) {
        self.journal.end();
    }
}

impl<E: Event> Drop for Stage<E> {
    fn drop(&mut self) {
        self.progress.end();
    }
}
