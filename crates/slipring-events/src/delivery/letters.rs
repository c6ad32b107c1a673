//! Dead letters: events that a handler has failed on for good.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

use self::kept::{Changes, Strangers};
use super::{Attempt, HandlerError, Key, Parked, lanes::Lane};
use crate::{
    card::Card,
    clock::Time,
    envelope::Envelope,
    event::Event,
    hub::{Hub, Identity},
    inline::Inline,
};

mod kept;

pub use kept::{KeepLetters, KeptLetter};

/// Where events go that a handler has failed on for good: to be looked at, given back, or thrown away. In memory.
///
/// A handler that keeps the order of each key ([`in_sequence`](crate::Registration::in_sequence)) parks the whole
/// key here: the event that failed, and all of its key that come after it, until they are given back together.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Bus, DeadLetters, Reason};
/// use std::{sync::atomic::{AtomicBool, Ordering}, time::Duration};
///
/// static IS_MENDED: AtomicBool = AtomicBool::new(false);
/// let bus = Bus::<AnyEvent>::start(64)?;
/// let letters = DeadLetters::new(100);
/// let _mail = bus.handler("mail").on::<String>().dead_letters(&letters).run(|_, _| {
///     if IS_MENDED.load(Ordering::Relaxed) { Ok(()) } else { Err("no connection") }
/// })?;
/// let mut publisher = bus.publisher();
/// publisher.publish_tracked(AnyEvent::new(String::from("welcome")))?.wait(Duration::from_secs(5))?;
///
/// let letter = &letters.list()[0];
/// assert_eq!((&*letter.handler, letter.attempts), ("mail", 1));
/// assert!(matches!(&letter.reason, Reason::Failed(error) if &**error == "no connection"));
///
/// IS_MENDED.store(true, Ordering::Relaxed);
/// letters.requeue(letter.id)?;
/// let report = bus.shutdown(Duration::from_secs(5))?;
/// assert_eq!((report.handlers[0].account.handled, letters.len()), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DeadLetters<E: Event>(Arc<Shared<E>>);

struct Shared<E: Event> {
    capacity: usize,
    when_full: WhenFull,
    book: Mutex<Book<E>>,
    /// How many keys are parked, so that nobody needs the book if none is. Set with the book at hand.
    parked: AtomicUsize,
    /// Where they are kept beyond the program, if they are.
    keeper: Option<Box<dyn KeepLetters<E>>>,
    /// Something is not written there that should be: handlers hold.
    is_behind: AtomicBool,
}

struct Book<E: Event> {
    /// By their numbers: the oldest first.
    letters: BTreeMap<u64, Entry<E>>,
    next: u64,
    /// The numbers of the letters of each key that is parked.
    keys: HashMap<(Place, Key), VecDeque<u64>>,
    /// Who can take letters back.
    handlers: HashMap<Place, Weak<Owner<E>>>,
    dropped: u64,
    changes: Changes,
    strangers: Strangers,
}

/// Whose letters: where the bus's identity lies, and the handler's name. Letters of several buses may be kept together.
type Place = (usize, Arc<str>);

fn place(identity: &Arc<Identity>, handler: &Arc<str>) -> Place {
    (Arc::as_ptr(identity) as usize, Arc::clone(handler))
}

struct Entry<E: Event> {
    handler: Arc<str>,
    key: Option<Key>,
    reason: Reason,
    time: Time,
    parked: Parked<E>,
    identity: Arc<Identity>,
    /// From where it is kept: an earlier run has written it.
    was_loaded: bool,
}

/// A handler that gives and takes letters.
pub(crate) struct Owner<E: Event> {
    pub card: Arc<Card<E>>,
    pub hub: Arc<Hub<E>>,
    /// They have this, if it is one of them.
    pub inline: Weak<Inline<E>>,
}

/// What happens to a letter when there is no room for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest one goes, and is [counted](DeadLetters::dropped). One handler that fails does not disturb the
    /// others.
    #[default]
    DropOldest,
    /// The handler holds until there is room: nothing is ever lost, and in the end the publishers wait.
    Hold,
}

/// Why a letter is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The handler has failed on it, at last with this error, and is not to try again.
    Failed(Arc<str>),
    /// An event of its key that came before it is dead.
    Behind,
    /// It waited to be tried again when the handler left, or the bus was shut down.
    Left,
    /// It followed from an event that this handler has handled, and could not be published any more.
    Unsent,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => f.write_str(error),
            Self::Behind => f.write_str("an event of its key before it is dead"),
            Self::Left => f.write_str("its handler left while it waited"),
            Self::Unsent => f.write_str("it could not be published any more"),
        }
    }
}

/// A letter, without the event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LetterInfo {
    /// Its number, among all letters of its [`DeadLetters`].
    pub id: u64,
    /// The handler that has failed.
    pub handler: Arc<str>,
    /// The event's topic.
    pub topic: Arc<str>,
    /// Why it is dead.
    pub reason: Reason,
    /// Since when.
    pub time: Time,
    /// How often it was tried, in all its lives.
    pub attempts: u32,
    /// The attempts that failed, the oldest first; of very many the first and the last ones.
    pub history: Vec<Attempt>,
}

/// A letter with its event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Letter<E> {
    /// All but the event.
    pub info: LetterInfo,
    /// The event, and all that belongs to it.
    pub envelope: Envelope<E>,
}

/// Why letters are not given back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Requeue {
    /// There is no letter of this number (any more).
    #[error("there is no letter {0}: it was given back, purged, or dropped for a newer one")]
    NoSuchLetter(u64),
    /// No handler of this name is there. The letter stays.
    #[error("no handler `{0}` is there to take it: register one of this name first")]
    NoHandler(Arc<str>),
    /// It is nothing that a handler has failed on: it was never published.
    #[error("letter {0} was never published: publish a draft of its envelope, where it is to go")]
    Unsent(u64),
}

impl<E: Event> Clone for DeadLetters<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Event> fmt::Debug for DeadLetters<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters")
            .field("letters", &self.len())
            .field("capacity", &self.0.capacity)
            .finish_non_exhaustive()
    }
}

impl<E: Event> DeadLetters<E> {
    /// Room for so many letters, at least 1; when it is full the oldest one goes.
    pub fn new(capacity: usize) -> Self {
        Self::when_full(capacity, WhenFull::default())
    }

    /// Room for so many letters, at least 1, and what to do when it is full.
    pub fn when_full(capacity: usize, when_full: WhenFull) -> Self {
        Self::with(capacity, when_full, None)
    }

    /// As [`when_full`](Self::when_full), with letters that are kept elsewhere, beyond the program: those of earlier runs
    /// are there, and go back to the handlers of their names. A handler does not go on before its letter is written;
    /// where that fails, it holds and tries again.
    ///
    /// # Errors
    /// Those that are kept cannot be read.
    pub fn kept(
        capacity: usize,
        when_full: WhenFull,
        keeper: impl KeepLetters<E>,
    ) -> Result<Self, HandlerError> {
        let kept = keeper.load()?;
        let letters = Self::with(capacity, when_full, Some(Box::new(keeper)));
        let mut book = letters.0.book.lock();
        for kept in kept {
            let (id, entry) = book.strangers.revive(kept)?;
            if let Some(key) = entry.key {
                book.keys.entry((entry.place(), key)).or_default().push_back(id);
            }
            book.next = book.next.max(id + 1);
            book.letters.insert(id, entry);
        }
        letters.0.count(&book);
        drop(book);
        Ok(letters)
    }

    fn with(capacity: usize, when_full: WhenFull, keeper: Option<Box<dyn KeepLetters<E>>>) -> Self {
        let book = Book {
            letters: BTreeMap::new(),
            next: 0,
            keys: HashMap::new(),
            handlers: HashMap::new(),
            dropped: 0,
            changes: Changes::default(),
            strangers: Strangers::default(),
        };
        Self(Arc::new(Shared {
            capacity: capacity.max(1),
            when_full,
            book: Mutex::new(book),
            parked: AtomicUsize::new(0),
            keeper,
            is_behind: AtomicBool::new(false),
        }))
    }

    /// How many letters there are.
    pub fn len(&self) -> usize {
        self.0.book.lock().letters.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are not written to where they are to be [kept](Self::kept), since that fails: they are lost if the program
    /// ends. It is tried again with every letter, by every handler that holds, and when this is dropped.
    pub fn unwritten(&self) -> usize {
        self.0.book.lock().changes.put.len()
    }

    /// How many have gone to make room for newer ones.
    pub fn dropped(&self) -> u64 {
        self.0.book.lock().dropped
    }

    /// All letters, the oldest first, without their events.
    pub fn list(&self) -> Vec<LetterInfo> {
        self.0.book.lock().letters.iter().map(|(id, entry)| entry.info(*id)).collect()
    }

    /// A copy of a letter.
    pub fn get(&self, id: u64) -> Option<Letter<E>> {
        let book = self.0.book.lock();
        let entry = book.letters.get(&id)?;
        Some(entry.letter(id))
    }

    /// Gives a letter back to its handler, to be tried anew; nobody else sees it again. Of a key that is parked all
    /// letters go back, in their order. Returns how many.
    ///
    /// # Errors
    /// See [`Requeue`]. Nothing has changed then.
    pub fn requeue(&self, id: u64) -> Result<usize, Requeue> {
        let (count, owner) = self.give_back(id)?;
        owner.look_around();
        Ok(count)
    }

    fn give_back(&self, id: u64) -> Result<(usize, Arc<Owner<E>>), Requeue> {
        let mut book = self.0.book.lock();
        let entry = book.letters.get(&id).ok_or(Requeue::NoSuchLetter(id))?;
        if entry.reason == Reason::Unsent {
            return Err(Requeue::Unsent(id));
        }
        let desk = book.handlers.get(&entry.place()).and_then(Weak::upgrade);
        let desk = desk.ok_or_else(|| Requeue::NoHandler(Arc::clone(&entry.handler)))?;
        // With the book at hand: an event of this key that comes now is either behind these, or finds them gone
        // from here and given back.
        let count = desk.card.give_back(|| book.take_out(id));
        let count = count.ok_or_else(|| Requeue::NoHandler(Arc::clone(&desk.card.name)))?;
        self.0.count(&book);
        let others = book.all_owners();
        drop(book);
        for other in others {
            other.ring();
        }
        Ok((count, desk))
    }

    /// Gives all letters of a handler back that it has failed on; [unsent](Reason::Unsent) ones stay. Returns how many.
    ///
    /// # Errors
    /// No handler of this name is there. Those that were given back before that stay so.
    pub fn requeue_all(&self, handler: &str) -> Result<usize, Requeue> {
        let (mut count, mut owner) = (0, None);
        let of_it = |info: &LetterInfo| &*info.handler == handler && info.reason != Reason::Unsent;
        let mut ended = Ok(());
        for info in self.list().into_iter().filter(of_it) {
            match self.give_back(info.id) {
                Ok((more, whose)) => {
                    count += more;
                    owner = Some(whose);
                }
                // It went with others of its key, or somebody else was faster.
                Err(Requeue::NoSuchLetter(_)) => {}
                Err(other) => ended = Err(other),
            }
        }
        // Once for all of them.
        if let Some(owner) = owner {
            owner.look_around();
        }
        ended.map(|()| count)
    }

    /// Throws a letter away and returns it. The others of its key stay.
    pub fn purge(&self, id: u64) -> Option<Letter<E>> {
        let mut book = self.0.book.lock();
        // Before it goes: the event's clone may panic.
        let letter = book.letters.get(&id)?.letter(id);
        book.remove(id);
        book.changes.remove(id);
        self.0.write(&mut book);
        self.0.count(&book);
        let holding = book.all_owners();
        drop(book);
        for owner in holding {
            owner.ring();
        }
        Some(letter)
    }

    /// Throws all letters away. Returns how many.
    pub fn purge_all(&self) -> usize {
        let mut book = self.0.book.lock();
        book.keys.clear();
        let letters = std::mem::take(&mut book.letters);
        for id in letters.keys() {
            book.changes.remove(*id);
        }
        self.0.write(&mut book);
        self.0.count(&book);
        let holding = book.all_owners();
        drop(book);
        for owner in holding {
            owner.ring();
        }
        letters.len()
    }

    /// Whether room is made for every letter.
    pub(crate) fn has_always_room(&self) -> bool {
        self.0.when_full == WhenFull::DropOldest && self.0.keeper.is_none()
    }

    /// Whether a handler may go on that may come to a new letter.
    pub(crate) fn has_room(&self) -> bool {
        if self.is_behind() {
            self.0.write(&mut self.0.book.lock());
            if self.is_behind() {
                return false;
            }
        }
        self.0.when_full == WhenFull::DropOldest || self.len() < self.0.capacity
    }

    /// Whether something is still to be written to where letters are kept.
    pub(crate) fn is_behind(&self) -> bool {
        self.0.is_behind.load(Ordering::Acquire)
    }

    /// What was given back is handled, and need not be kept any more.
    pub(crate) fn settle(&self, letter: Option<u64>) {
        if let Some(id) = letter {
            let mut book = self.0.book.lock();
            book.changes.remove(id);
            self.0.write(&mut book);
        }
    }

    pub(crate) fn introduce(&self, owner: &Arc<Owner<E>>) {
        let mut book = self.0.book.lock();
        book.handlers.insert(owner.place(), Arc::downgrade(owner));
        book.bring_home(owner);
        self.0.count(&book);
    }

    /// Adds letters, of one key if they have one, at once.
    pub(crate) fn add_all(
        &self,
        owner: &Owner<E>,
        key: Option<Key>,
        letters: Vec<(Reason, Parked<E>)>,
    ) {
        let mut book = self.0.book.lock();
        for (reason, parked) in letters {
            self.0.add(&mut book, owner, key, reason, parked);
        }
        self.0.write(&mut book);
    }

    /// Adds an event behind those of its key, if the key is parked here; whether it is. There may be no copy of it.
    pub(crate) fn add_behind(
        &self,
        owner: &Owner<E>,
        key: Key,
        parked: impl FnOnce() -> Option<Parked<E>>,
    ) -> bool {
        // Only the handler itself parks its keys. If one was given back, that is seen after this.
        if self.0.parked.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut book = self.0.book.lock();
        let is_parked = book.keys.contains_key(&(owner.place(), key));
        if is_parked && let Some(parked) = parked() {
            self.0.add(&mut book, owner, Some(key), Reason::Behind, parked);
            self.0.write(&mut book);
        }
        is_parked
    }
}

impl<E: Event> Shared<E> {
    fn add(
        &self,
        book: &mut Book<E>,
        owner: &Owner<E>,
        key: Option<Key>,
        reason: Reason,
        mut parked: Parked<E>,
    ) {
        if let Some(before) = parked.trial.letter.take() {
            book.changes.remove(before);
        }
        let Some(parked) = book.find_again(owner, &reason, parked) else { return };
        while book.letters.len() >= self.capacity && self.when_full == WhenFull::DropOldest {
            let oldest = book.letters.first_key_value().map(|(id, _)| *id);
            let dropped = oldest.and_then(|id| book.remove(id));
            book.dropped += u64::from(dropped.is_some());
            if let Some(oldest) = oldest {
                book.changes.remove(oldest);
            }
        }
        let id = book.next;
        book.next += 1;
        let handler = Arc::clone(&owner.card.name);
        if let Some(key) = key {
            book.keys.entry((owner.place(), key)).or_default().push_back(id);
        }
        let (time, identity) = (owner.hub.clock.now(), Arc::clone(&owner.hub.identity));
        let was_loaded = false;
        book.letters.insert(id, Entry { handler, key, reason, time, parked, identity, was_loaded });
        book.changes.put(id);
        self.count(book);
    }

    fn count(&self, book: &Book<E>) {
        // Pairs with `add_behind`: whoever finds a key gone finds its letters given back.
        self.parked.store(book.keys.len(), Ordering::Release);
    }
}

impl<E: Event> Book<E> {
    fn remove(&mut self, id: u64) -> Option<Entry<E>> {
        let entry = self.letters.remove(&id)?;
        if let Some(key) = entry.key {
            let place = (entry.place(), key);
            if let Some(ids) = self.keys.get_mut(&place) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.keys.remove(&place);
                }
            }
        }
        Some(entry)
    }

    /// Takes out a letter, and all of its key if it has one.
    fn take_out(&mut self, id: u64) -> Lane<E> {
        let entry = self.letters.get(&id);
        let key = entry.and_then(|entry| Some((entry.place(), entry.key?)));
        let ids = match &key {
            Some(key) => self.keys.remove(key).unwrap_or_default(),
            None => VecDeque::from([id]),
        };
        let letters = ids.iter().filter_map(|id| {
            let mut entry = self.letters.remove(id)?;
            // It is kept until it is handled.
            entry.parked.trial.letter = Some(*id);
            Some(entry)
        });
        Lane {
            key: key.map(|(_, key)| key),
            queue: letters.map(|entry| entry.parked.revived()).collect(),
        }
    }

    /// Those that have to look again when there is room, or something came back: to be rung without the book at hand.
    fn all_owners(&mut self) -> Vec<Arc<Owner<E>>> {
        self.handlers.retain(|_, owner| owner.strong_count() > 0);
        self.handlers.values().filter_map(Weak::upgrade).collect()
    }
}

impl<E: Event> Owner<E> {
    /// Has the handler look for what came back.
    fn look_around(&self) {
        self.hub.nudge();
        self.tend_inline();
    }

    /// There is room, or something came back.
    fn ring(&self) {
        self.card.alarm.ring();
        self.tend_inline();
    }

    fn tend_inline(&self) {
        if let Some(inline) = self.inline.upgrade() {
            inline.tend(&self.hub);
        }
    }

    fn place(&self) -> Place {
        place(&self.hub.identity, &self.card.name)
    }
}

impl<E: Event> Entry<E> {
    fn place(&self) -> Place {
        place(&self.identity, &self.handler)
    }

    fn info(&self, id: u64) -> LetterInfo {
        LetterInfo {
            id,
            handler: Arc::clone(&self.handler),
            topic: self.identity.topics.name(self.parked.aside.head.topic),
            reason: self.reason.clone(),
            time: self.time,
            attempts: self.parked.trial.attempts,
            history: self.parked.trial.history.clone(),
        }
    }

    fn letter(&self, id: u64) -> Letter<E> {
        let envelope = self.identity.envelope(&self.parked.aside.delivered());
        Letter { info: self.info(id), envelope }
    }
}
