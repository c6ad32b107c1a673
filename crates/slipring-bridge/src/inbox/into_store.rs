//! From an inbox into a store.

use std::{collections::VecDeque, fmt, sync::Arc};

use slipring_events::EventId;
use slipring_store::{
    Batch, CommitError, Durability, Entry, EntryError, EventStore, InboxError, Once, StoreError,
    StoreInbox,
};

use super::{
    Intake, IntakeError, Mark, RefusedBefore, Verdict,
    intake::note_origin,
    marks::{Kept, Marks, refused_of},
};
use crate::{Parcel, Renames, Stamp};

/// How many bytes are committed at once: no store takes any number of them. One more event may be on top.
const PART: usize = 8 << 20;

/// Puts what arrives into a store, each event once: with its id, its time and all that goes with it, and with the notes
/// [`ORIGIN`](crate::ORIGIN) and [`ORIGIN_SEQUENCE`](crate::ORIGIN_SEQUENCE).
///
/// Events and how far their lanes are go into the store in one commit, durably, and only then the broker may forget them: so
/// however the program ends, an event is there once. What has no stamp, from other programs, comes as often as the
/// broker delivers it, unless ids are [remembered](Self::remember_ids).
///
/// # Examples
/// ```
/// use slipring_bridge::{Intake, IntoStore, Parcel, Stamp, Verdict};
/// use slipring_store::{EventStore, Memory};
/// use std::{collections::VecDeque, sync::Arc};
///
/// let store = Arc::new(Memory::new());
/// let mut intake = IntoStore::new("orders", store.clone())?;
/// let mut parcel = Parcel::new("order.created", "lamp");
/// parcel.stamp = Some(Stamp { lane: "shop/orders".into(), sequence: 7, previous: None });
/// let mut verdicts = Vec::new();
/// intake.take(&mut VecDeque::from([parcel]), &mut verdicts)?;
/// assert_eq!((verdicts, store.bounds()?.durable), (vec![Verdict::Safe], 1));
/// assert_eq!(IntoStore::new("orders", store)?.marks()?[0].sequence, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IntoStore {
    store: Arc<dyn EventStore>,
    name: Box<str>,
    order: Order,
    renames: Renames,
    keeps_streams: bool,
    batch: Batch,
}

enum Order {
    /// By the marks of the lanes.
    Kept(Marks),
    /// Anyhow: what has an id is known by it.
    Any(Box<StoreInbox>),
}

impl fmt::Debug for IntoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoStore")
            .field("name", &self.name)
            .field("is_ordered", &matches!(self.order, Order::Kept(_)))
            .finish_non_exhaustive()
    }
}

impl IntoStore {
    /// For the inbox of that name: how far it is, is kept in the store under it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn new(name: &str, store: Arc<impl EventStore>) -> Result<Self, StoreError> {
        let marks = Marks::open(store.clone(), name)?;
        Ok(Self {
            store,
            name: name.into(),
            order: Order::Kept(marks),
            renames: Renames::none(),
            keeps_streams: true,
            batch: Batch::new(),
        })
    }

    /// For one of several inboxes of that name that share what a queue has, and so keep no order
    /// ([`unordered`](crate::InboxBuilder::unordered)): the store remembers the ids of the last so many events, and none of
    /// these is stored twice.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn remember_ids(
        name: &str,
        store: Arc<impl EventStore>,
        events: u64,
    ) -> Result<Self, StoreError> {
        let known = Box::new(StoreInbox::last(name, store.clone(), events)?);
        Ok(Self {
            store,
            name: name.into(),
            order: Order::Any(known),
            renames: Renames::none(),
            keeps_streams: true,
            batch: Batch::new(),
        })
    }

    /// What topics are called here.
    #[must_use = "it is built by value, another is returned"]
    pub fn rename(mut self, rules: Renames) -> Self {
        self.renames = rules;
        self
    }

    /// Events are in no stream here: where streams of the same names have other events.
    #[must_use = "it is built by value, another is returned"]
    pub fn without_streams(mut self) -> Self {
        self.keeps_streams = false;
        self
    }

    fn append(&mut self, parcel: &Parcel) -> Result<(), EntryError> {
        let topic = self.renames.apply(&parcel.topic);
        let notes = note_origin(parcel, &self.name);
        let mut entry = Entry::at(parcel.time, &topic, &parcel.payload).schema(parcel.schema);
        (entry.id, entry.source) = (parcel.id, &parcel.source);
        entry.stream = parcel.stream.as_deref().filter(|_| self.keeps_streams);
        (entry.correlation, entry.causation) = (parcel.correlation, parcel.causation);
        entry.metadata = Some(&notes);
        self.batch.append(entry)
    }

    fn verdict(&mut self, parcel: &Parcel) -> Verdict {
        match self.append(parcel) {
            Ok(()) => Verdict::Safe,
            Err(error) => Verdict::Refused(error.to_string().into()),
        }
    }

    fn take_in_order(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        self.batch.clear();
        let mut said: Vec<Verdict> = Vec::new();
        for parcel in &*parcels {
            // The same ones if it is tried again.
            if self.batch.bytes().len() >= PART {
                break;
            }
            said.push(self.verdict(parcel));
        }
        let part = parcels.range(..said.len()).map(|parcel| parcel.stamp.as_ref());
        let stamps: Vec<&Stamp> = part.clone().flatten().collect();
        let refused = part.zip(&said);
        let refused = refused_of(refused);
        let Order::Kept(marks) = &mut self.order else { return Ok(()) };
        match marks.commit(&mut self.batch, stamps, refused)? {
            Kept::Now(_) | Kept::Before => {
                parcels.drain(..said.len());
                verdicts.extend(said);
                Ok(())
            }
        }
    }

    fn take_anyhow(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        while let Some(parcel) = parcels.front() {
            self.batch.clear();
            let (id, parcel) = (parcel.id, parcel.clone());
            let verdict = self.verdict(&parcel);
            if verdict == Verdict::Safe {
                self.commit_one(id)?;
            }
            parcels.pop_front();
            verdicts.push(verdict);
        }
        Ok(())
    }

    fn commit_one(&mut self, id: Option<EventId>) -> Result<(), IntakeError> {
        let Order::Any(known) = &mut self.order else { return Ok(()) };
        let committed = if let Some(id) = id {
            known.commit(id, &self.batch)
        } else {
            let committed = self.store.commit(&self.batch, Durability::Synced);
            committed.map(Once::First).map_err(InboxError::Commit)
        };
        match committed {
            Ok(Once::First(_) | Once::Known) => Ok(()),
            Err(InboxError::Commit(CommitError::Store(error))) => Err(error.into()),
            Err(error) => Err(IntakeError::over(error)),
        }
    }
}

impl Intake for IntoStore {
    fn marks(&mut self) -> Result<Vec<Mark>, IntakeError> {
        match &self.order {
            Order::Kept(marks) => Ok(marks.all()),
            Order::Any(_) => Ok(Vec::new()),
        }
    }

    fn needs_order(&self) -> bool {
        matches!(self.order, Order::Kept(_))
    }

    fn refused(&mut self) -> Result<Vec<RefusedBefore>, IntakeError> {
        match &self.order {
            Order::Kept(marks) => Ok(marks.refused()),
            Order::Any(_) => Ok(Vec::new()),
        }
    }

    fn take(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        match self.order {
            Order::Kept(_) => self.take_in_order(parcels, verdicts),
            Order::Any(_) => self.take_anyhow(parcels, verdicts),
        }
    }
}
