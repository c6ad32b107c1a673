//! Events that wait to be tried again, and those that wait behind them.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    time::Duration,
};

use super::{Key, Parked};
use crate::{checkpoints::DoneBefore, event::Event};

/// Events that keep their order: one alone, or all of a key.
#[derive(Debug)]
pub(crate) struct Lane<E: Event> {
    pub key: Option<Key>,
    pub queue: VecDeque<Parked<E>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Name {
    Key(Key),
    /// Of an event that waits for itself alone.
    Alone(u64),
}

/// All that a handler has put aside.
#[derive(Debug)]
pub(crate) struct Lanes<E: Event> {
    waiting: HashMap<Name, Lane<E>>,
    /// When the first of each lane is to be tried again. Lanes that are out at the moment are in neither.
    due: BinaryHeap<Reverse<(Duration, Name)>>,
    events: usize,
    next: u64,
}

impl<E: Event> Default for Lanes<E> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), due: BinaryHeap::new(), events: 0, next: 0 }
    }
}

impl<E: Event> Lanes<E> {
    /// How many events wait.
    pub(crate) fn events(&self) -> usize {
        self.events
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events == 0
    }

    pub(crate) fn has(&self, key: Key) -> bool {
        self.waiting.contains_key(&Name::Key(key))
    }

    /// When the next one is to be tried again.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// Puts an event behind those of its key that wait.
    pub(crate) fn follow(&mut self, key: Key, parked: Parked<E>) {
        if let Some(lane) = self.waiting.get_mut(&Name::Key(key)) {
            lane.queue.push_back(parked);
            self.events += 1;
        } else {
            debug_assert!(false, "nobody of this key waits");
            self.put(Lane { key: Some(key), queue: VecDeque::from([parked]) }, Duration::ZERO);
        }
    }

    /// Has a lane wait until it is due. If there is one of its key it comes before that: it is older.
    pub(crate) fn put(&mut self, mut lane: Lane<E>, due: Duration) {
        if lane.queue.is_empty() {
            return;
        }
        self.events += lane.queue.len();
        let name = lane.key.map_or_else(|| self.name_of_one_alone(), Name::Key);
        if let Some(younger) = self.waiting.remove(&name) {
            self.due.retain(|Reverse((_, other))| *other != name);
            lane.queue.extend(younger.queue);
        }
        self.waiting.insert(name, lane);
        self.due.push(Reverse((due, name)));
    }

    /// Where the first of them stands, but for those that came back from the dead letters, which are kept there.
    pub(crate) fn oldest(&self) -> Option<DoneBefore> {
        let all = self.waiting.values().flat_map(|lane| &lane.queue);
        let own = all.filter(|parked| parked.trial.letter.is_none());
        own.map(|parked| parked.aside.delivered().stands_at()).min()
    }

    fn name_of_one_alone(&mut self) -> Name {
        self.next += 1;
        Name::Alone(self.next)
    }

    /// Takes out a lane that is due.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<Lane<E>> {
        let Reverse((due, name)) = *self.due.peek()?;
        if due > now {
            return None;
        }
        self.due.pop();
        let lane = self.waiting.remove(&name)?;
        self.events -= lane.queue.len();
        Some(lane)
    }

    /// Takes out all of them.
    pub(crate) fn drain(&mut self) -> Vec<Lane<E>> {
        self.due.clear();
        self.events = 0;
        self.waiting.drain().map(|(_, lane)| lane).collect()
    }
}
