//! What all parts of a bus share.

use std::{
    cell::{Cell, RefCell},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use slipring::{Membership, MultiProducer};

use crate::{
    card::Card,
    clock::Clock,
    envelope::{Envelope, Metadata},
    event::Event,
    gate::Gate,
    id::{EventId, Source},
    journal::Progress,
    slot::{Delivered, Slot},
    topics::Topics,
};

pub(crate) struct Hub<E: Event> {
    pub identity: Arc<Identity>,
    pub members: Membership<Slot<E>>,
    pub gate: Gate,
    pub clock: Arc<dyn Clock>,
    /// What handlers stand behind, if anything is.
    pub journal: Option<Arc<Progress<E>>>,
    handlers: RwLock<Vec<Arc<Card<E>>>>,
    /// Moves with every change of the handlers.
    edition: AtomicU64,
    next_number: AtomicU64,
    /// Has handlers look around. None when the bus has ended.
    nudger: Mutex<Option<MultiProducer<Slot<E>>>>,
}

/// What an event's id and topic are made of.
#[derive(Debug)]
pub(crate) struct Identity {
    pub name: Arc<str>,
    pub source: Source,
    pub topics: Topics,
}

impl<E: Event> fmt::Debug for Hub<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Identity {
    pub(crate) fn id_of<E: Event>(&self, delivered: &Delivered<'_, E>) -> EventId {
        let given = delivered.extra().and_then(|extra| extra.id);
        given.unwrap_or_else(|| EventId::of(self.source, delivered.sequence))
    }

    pub(crate) fn envelope<E: Event>(&self, delivered: &Delivered<'_, E>) -> Envelope<E> {
        let extra = delivered.extra();
        let metadata = extra.and_then(|extra| extra.metadata.as_deref());
        Envelope {
            id: self.id_of(delivered),
            topic: self.topics.name(delivered.head.topic).to_string().into(),
            time: delivered.head.time,
            source: self.name.to_string().into(),
            correlation: extra.and_then(|extra| extra.correlation),
            causation: extra.and_then(|extra| extra.causation),
            metadata: metadata.map_or_else(Metadata::default, Clone::clone),
            payload: delivered.event.clone(),
        }
    }
}

impl<E: Event> Hub<E> {
    pub(crate) fn new(
        identity: Arc<Identity>,
        members: Membership<Slot<E>>,
        clock: Arc<dyn Clock>,
        nudger: MultiProducer<Slot<E>>,
        journal: Option<Arc<Progress<E>>>,
    ) -> Self {
        Self {
            identity,
            members,
            gate: Gate::default(),
            clock,
            journal,
            handlers: RwLock::default(),
            edition: AtomicU64::new(1),
            next_number: AtomicU64::new(0),
            nudger: Mutex::new(Some(nudger)),
        }
    }

    /// A handler's own.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn handlers(&self) -> Vec<Arc<Card<E>>> {
        self.handlers.read().clone()
    }

    /// A number that has changed if the handlers have.
    #[inline]
    pub(crate) fn edition(&self) -> u64 {
        // Whoever has been told that a handler is there, or is not, has been told so by somebody who had changed
        // this before; the handlers themselves are read under their lock.
        self.edition.load(Ordering::Relaxed)
    }

    pub(crate) fn with_handlers<T>(&self, look: impl FnOnce(&[Arc<Card<E>>]) -> T) -> T {
        look(&self.handlers.read())
    }

    pub(crate) fn add(&self, card: Arc<Card<E>>) {
        let mut handlers = self.handlers.write();
        handlers.push(card);
        self.edition.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, number: u64) {
        let mut handlers = self.handlers.write();
        handlers.retain(|card| card.number != number);
        self.edition.fetch_add(1, Ordering::Relaxed);
    }

    /// Has idle handlers look around, by an event that is none; returns where it stands. On a full ring nobody is
    /// idle but who has nothing to do before the others move, and looks around by itself now and then.
    pub(crate) fn nudge(&self) -> Option<u64> {
        self.nudger.lock().as_mut()?.try_publish(Slot::nudge).ok()
    }

    /// Closes the ring if nothing came from there on; whether it ends there.
    pub(crate) fn close_at(&self, end: u64) -> bool {
        self.nudger.lock().as_ref().is_some_and(|nudger| nudger.close_at(end))
    }

    /// A producer for a handler's follow-ups, or for others.
    pub(crate) fn producer(&self) -> Option<MultiProducer<Slot<E>>> {
        self.nudger.lock().clone()
    }

    pub(crate) fn end(&self) {
        *self.nudger.lock() = None;
    }

    /// Where handlers of this bus are.
    #[inline]
    pub(crate) fn place(&self) -> Place {
        Place(std::ptr::from_ref(self) as usize)
    }

    /// Whether this thread runs a handler of this bus.
    pub(crate) fn is_inside(&self) -> bool {
        let Place(here) = self.place();
        let inside = INSIDE.get();
        inside == here || (inside != 0 && OUTSIDE.with_borrow(|outside| outside.contains(&here)))
    }
}

/// A bus, told from the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(usize);

impl Place {
    /// Marks this thread as one that runs a handler of this bus, as long as what is returned lives.
    #[inline]
    pub(crate) fn enter(self) -> Inside {
        let Self(here) = self;
        let before = INSIDE.replace(here);
        if before != 0 {
            OUTSIDE.with_borrow_mut(|outside| outside.push(before));
        }
        Inside { before }
    }
}

/// Whether this thread runs a handler of any bus.
pub(crate) fn is_inside_any() -> bool {
    INSIDE.get() != 0
}

thread_local! {
    /// The bus whose handler this thread runs.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
    /// The buses whose handlers run this one: each publishes on the next.
    static OUTSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct Inside {
    before: usize,
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.before);
        if self.before != 0 {
            OUTSIDE.with_borrow_mut(Vec::pop);
        }
    }
}
