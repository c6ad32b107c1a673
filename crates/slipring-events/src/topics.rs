//! The topics of a bus, numbered: so that an event carries a number, and a handler looks at a topic's name once.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;

use crate::{
    draft::Draft,
    event::Event,
    topic::{self, Pattern, TopicError},
};

/// The number of a topic on its bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicId(u32);

impl TopicId {
    /// Of what is no event.
    pub(crate) const NONE: Self = Self(u32::MAX);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// All topics that a bus has seen.
#[derive(Debug)]
pub(crate) struct Topics {
    most: usize,
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    ids: HashMap<Arc<str>, TopicId>,
    names: Vec<Arc<str>>,
}

/// Why an event cannot be published under a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicRefused {
    /// It is no topic.
    #[error(transparent)]
    Malformed(#[from] TopicError),
    /// The bus has seen as many as there may be.
    #[error(
        "there are {0} topics, as many as may: put what tells events apart into them, or raise `most_topics`"
    )]
    TooMany(usize),
}

impl Topics {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, table: RwLock::default() }
    }

    pub(crate) fn id(&self, name: &str) -> Result<TopicId, TopicRefused> {
        if let Some(id) = self.table.read().ids.get(name) {
            return Ok(*id);
        }
        topic::check(name).map_err(TopicRefused::Malformed)?;
        let mut table = self.table.write();
        if let Some(id) = table.ids.get(name) {
            return Ok(*id);
        }
        if table.names.len() >= self.most {
            return Err(TopicRefused::TooMany(self.most));
        }
        let (id, name): (_, Arc<str>) = (TopicId(table.names.len() as u32), name.into());
        table.names.push(Arc::clone(&name));
        table.ids.insert(name, id);
        Ok(id)
    }

    pub(crate) fn of<E: Event>(&self, draft: &Draft<E>) -> Result<TopicId, TopicRefused> {
        draft.topic.as_deref().map_or_else(|| self.id(draft.event.name()), |topic| self.id(topic))
    }

    pub(crate) fn name(&self, id: TopicId) -> Arc<str> {
        self.name_at(id.index())
    }

    pub(crate) fn name_at(&self, index: usize) -> Arc<str> {
        self.table.read().names.get(index).map_or_else(|| Arc::from(""), Arc::clone)
    }
}

/// What has been found out about each topic, by its number.
#[derive(Debug)]
pub(crate) struct ByTopic<T>(Vec<Option<T>>);

impl<T> Default for ByTopic<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> ByTopic<T> {
    #[inline]
    pub(crate) fn get(&mut self, id: TopicId, find_out: impl FnOnce() -> T) -> T {
        match self.0.get(id.index()) {
            Some(Some(known)) => *known,
            _ => self.learn(id, find_out()),
        }
    }

    #[cold]
    fn learn(&mut self, id: TopicId, value: T) -> T {
        if self.0.len() <= id.index() {
            self.0.resize(id.index() + 1, None);
        }
        self.0[id.index()] = Some(value);
        value
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

/// Which topics somebody wants.
#[derive(Debug)]
pub(crate) struct Filter {
    patterns: Arc<[Pattern]>,
    wanted: ByTopic<bool>,
}

impl Filter {
    pub(crate) fn new(patterns: Arc<[Pattern]>) -> Self {
        Self { patterns, wanted: ByTopic::default() }
    }

    #[inline]
    pub(crate) fn wants(&mut self, id: TopicId, topics: &Topics) -> bool {
        self.wanted.get(id, || wants(&self.patterns, &topics.name(id)))
    }
}

pub(crate) fn wants(patterns: &[Pattern], topic: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(topic))
}

/// The numbers of names that stand in the program's text, found by where they stand.
#[derive(Clone, Debug)]
pub(crate) struct Names([Option<(usize, usize, TopicId)>; Names::PLACES]);

impl Names {
    const PLACES: usize = 32;

    pub(crate) fn new() -> Self {
        Self([None; Self::PLACES])
    }

    #[inline]
    pub(crate) fn id(
        &mut self,
        name: &'static str,
        topics: &Topics,
    ) -> Result<TopicId, TopicRefused> {
        let (at, len) = (name.as_ptr() as usize, name.len());
        // Names stand beside each other: their lengths and lowest bits tell them apart.
        let place = (at ^ (at >> 5) ^ len) % Self::PLACES;
        match self.0[place] {
            Some((known, known_len, id)) if (known, known_len) == (at, len) => Ok(id),
            _ => {
                let id = topics.id(name)?;
                self.0[place] = Some((at, len, id));
                Ok(id)
            }
        }
    }
}
