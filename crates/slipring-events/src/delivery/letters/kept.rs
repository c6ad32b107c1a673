//! Dead letters that are kept elsewhere, beyond the program.

use std::{
    collections::{BTreeSet, HashMap},
    panic,
    sync::{Arc, atomic::Ordering},
};

use super::{Book, DeadLetters, Entry, Letter, LetterInfo, Owner, Reason, Shared};
use crate::delivery::{HandlerError, Key, Parked, Trial};
use crate::{
    clock::Time,
    envelope::Envelope,
    event::Event,
    hub::Identity,
    id::{EventId, Source},
    slot::{Aside, Extra},
    topics::Topics,
};

/// Keeps dead letters beyond the program, for [`DeadLetters::kept`](crate::DeadLetters::kept).
///
/// A letter is written before its handler goes on to another event, and stays until it is handled, purged, or dropped
/// for a newer one: one that was given back and not handled when the program ended is there again.
pub trait KeepLetters<E: Event>: Send + Sync + 'static {
    /// All letters that are kept, in the order of their numbers.
    ///
    /// # Errors
    /// They cannot be read.
    fn load(&self) -> Result<Vec<KeptLetter<E>>, HandlerError>;

    /// Writes letters, over those of the same numbers, and removes others: all of it, or nothing. Of those that are
    /// removed some may not be there.
    ///
    /// # Errors
    /// It cannot be done. It comes again, with whatever has come to it; until it is done the handlers hold.
    fn write(&self, put: &[KeptLetter<E>], removed: &[u64]) -> Result<(), HandlerError>;
}

/// A dead letter as it is kept.
#[derive(Clone, Debug)]
pub struct KeptLetter<E> {
    /// All but the event.
    pub info: LetterInfo,
    /// The event, and all that belongs to it.
    pub envelope: Envelope<E>,
    /// What its handler keeps the order by, as a number: letters of one key go back together.
    pub key: Option<u64>,
}

impl LetterInfo {
    /// What there is to tell of a letter that was read from where it is kept, without its attempts.
    pub fn new(id: u64, handler: Arc<str>, topic: Arc<str>, reason: Reason, time: Time) -> Self {
        Self { id, handler, topic, reason, time, attempts: 0, history: Vec::new() }
    }
}

/// What is to be written to where letters are kept.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub put: BTreeSet<u64>,
    pub removed: BTreeSet<u64>,
}

impl Changes {
    pub fn put(&mut self, id: u64) {
        self.put.insert(id);
    }

    pub fn remove(&mut self, id: u64) {
        self.put.remove(&id);
        self.removed.insert(id);
    }

    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.removed.is_empty()
    }
}

/// Where letters belong that no bus of this run has written, until their handler comes.
#[derive(Debug, Default)]
pub(super) struct Strangers(Vec<Arc<Identity>>);

impl Strangers {
    fn of(&mut self, source: &str) -> Arc<Identity> {
        if let Some(known) = self.0.iter().find(|identity| *identity.name == *source) {
            return Arc::clone(known);
        }
        let identity = Arc::new(Identity {
            name: source.into(),
            source: Source::fresh(source),
            topics: Topics::new(usize::MAX),
        });
        self.0.push(Arc::clone(&identity));
        identity
    }

    pub fn has(&self, identity: &Arc<Identity>) -> bool {
        self.0.iter().any(|other| Arc::ptr_eq(other, identity))
    }

    /// A letter as it was when it was kept.
    pub fn revive<E: Event>(
        &mut self,
        kept: KeptLetter<E>,
    ) -> Result<(u64, Entry<E>), HandlerError> {
        let KeptLetter { info, envelope, key } = kept;
        let identity = self.of(&envelope.source);
        let topic = identity.topics.id(&info.topic)?;
        let extra = Extra {
            id: Some(envelope.id),
            correlation: envelope.correlation,
            causation: envelope.causation,
            metadata: (!envelope.metadata.is_empty()).then(|| Arc::new(envelope.metadata)),
            ..Extra::default()
        };
        let sequence = envelope.id.sequence().unwrap_or(0);
        let aside = Aside::new(sequence, envelope.payload, envelope.time, topic, extra);
        let failed = info.attempts;
        let trial =
            Trial { attempts: info.attempts, failed, history: info.history, ..Trial::default() };
        let entry = Entry {
            handler: info.handler,
            key: key.map(Key::from_number),
            reason: info.reason,
            time: info.time,
            parked: Parked { aside, trial },
            identity,
            was_loaded: true,
        };
        Ok((info.id, entry))
    }
}

impl<E: Event> DeadLetters<E> {
    /// Whether they are kept beyond the program.
    pub(crate) fn are_kept(&self) -> bool {
        self.0.keeper.is_some()
    }

    /// The events of a handler that are here, with their keys: all that it has failed on, and what is behind.
    pub(crate) fn events_of(&self, owner: &Owner<E>) -> HashMap<EventId, Option<Key>> {
        let book = self.0.book.lock();
        let its =
            |entry: &&Entry<E>| entry.handler == owner.card.name && entry.reason != Reason::Unsent;
        let id =
            |entry: &Entry<E>| (entry.identity.id_of(&entry.parked.aside.delivered()), entry.key);
        book.letters.values().filter(its).map(id).collect()
    }
}

impl<E: Event> Shared<E> {
    /// Writes what has changed to where letters are kept, or leaves it to the next time.
    pub(super) fn write(&self, book: &mut Book<E>) {
        let Some(keeper) = &self.keeper else {
            book.changes = Changes::default();
            return;
        };
        if book.changes.is_empty() {
            return;
        }
        // An event's clone may panic, and so may whoever keeps them.
        let written = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            let kept = |id: &u64| Some(book.letters.get(id)?.kept(*id));
            let put: Vec<_> = book.changes.put.iter().filter_map(kept).collect();
            let removed: Vec<_> = book.changes.removed.iter().copied().collect();
            keeper.write(&put, &removed)
        }));
        let is_written = matches!(written, Ok(Ok(())));
        if is_written {
            book.changes = Changes::default();
        }
        // Release: pairs with `is_behind`.
        self.is_behind.store(!is_written, Ordering::Release);
    }
}

impl<E: Event> Drop for Shared<E> {
    fn drop(&mut self) {
        if *self.is_behind.get_mut() {
            self.write(&mut self.book.lock());
        }
    }
}

impl<E: Event> Book<E> {
    /// Letters of an earlier run go to the handler of their name.
    pub(super) fn bring_home(&mut self, owner: &Owner<E>) {
        let Self { letters, keys, strangers, .. } = self;
        for (id, entry) in letters {
            if entry.handler != owner.card.name || !strangers.has(&entry.identity) {
                continue;
            }
            let topic = entry.identity.topics.name(entry.parked.aside.head.topic);
            // Where the bus has as many topics as it may, they stay where they are.
            let Ok(topic) = owner.hub.identity.topics.id(&topic) else { continue };
            let before = entry.place();
            entry.identity = Arc::clone(&owner.hub.identity);
            entry.parked.aside.head.topic = topic;
            if let Some(key) = entry.key {
                keys.remove(&(before, key));
                keys.entry((entry.place(), key)).or_default().push_back(*id);
            }
        }
    }

    /// A letter of an earlier run may come once more, if its handler was not done with it when that ended: it stays
    /// where it is, with what is new. Returns what is no such letter.
    pub(super) fn find_again(
        &mut self,
        owner: &Owner<E>,
        reason: &Reason,
        parked: Parked<E>,
    ) -> Option<Parked<E>> {
        let id = owner.hub.identity.id_of(&parked.aside.delivered());
        let is_it = |entry: &Entry<E>| {
            let there = entry.identity.id_of(&entry.parked.aside.delivered());
            entry.was_loaded && entry.handler == owner.card.name && there == id
        };
        let found = self.letters.iter_mut().find(|(_, entry)| is_it(entry));
        let Some((number, entry)) = found.filter(|_| *reason != Reason::Unsent) else {
            return Some(parked);
        };
        if *reason != Reason::Behind {
            entry.reason = reason.clone();
            entry.parked = parked;
            let number = *number;
            self.changes.put(number);
        }
        None
    }
}

impl<E: Event> Entry<E> {
    fn kept(&self, id: u64) -> KeptLetter<E> {
        let Letter { info, envelope } = self.letter(id);
        KeptLetter { info, envelope, key: self.key.map(Key::number) }
    }
}
