//! The journal of a bus.

use std::{fmt, sync::Arc, time::Duration};

use slipring::Policy;
use slipring_events::{Event, HandlerError, JournalTeller, OnRing, Source};

use super::{
    handle::Journal,
    ledger::{Ledger, Written},
    policy::{SyncPolicy, WhenFailing, WhenRefused},
};
use crate::{Codec, Entry, EventStore, StoreError};

/// Stores the events of a bus before its handlers see them: with their ids, times and topics, and what they follow
/// from. For [`BusBuilder::journal`](slipring_events::BusBuilder::journal).
///
/// The bus's ids are made of a source that belongs to the store and the journal's name, and its sequences go on where
/// the journal was, so that an event has the same id whenever it is read, and no other event ever has it.
///
/// # Examples
/// ```
/// use slipring_events::{Bus, EventId, events};
/// use slipring_store::{BusJournal, Json, Memory, EventStore};
/// use std::{ops::ControlFlow, sync::Arc, time::Duration};
///
/// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
/// pub struct Order { id: u32 }
///
/// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
/// pub struct Paid { order: u32 }
///
/// events! {
///     /// What happens in the shop.
///     #[derive(serde::Serialize, serde::Deserialize)]
///     pub enum Shop {
///         Created(Order) = "order.created",
///         Paid = "order.paid",
///     }
/// }
///
/// let store = Arc::new(Memory::new());
/// let journal = BusJournal::open("shop", store.clone(), Json)?;
/// let bus = Bus::<Shop>::builder(64).journal(journal).start()?;
/// let _pay = bus.handler("pay").on::<Order>().run(|order, context| {
///     context.publish(Paid { order: order.id })
/// })?;
/// let order = bus.publisher().publish(Order { id: 7 })?;
/// bus.shutdown(Duration::from_secs(5))?;
///
/// let mut stored = Vec::new();
/// store.scan(0, &mut |record| {
///     stored.push((record.topic.to_owned(), record.id, record.causation));
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!((&*stored[0].0, stored[0].1), ("order.created", order.id()));
/// assert_eq!((&*stored[1].0, stored[1].2), ("order.paid", Some(order.id())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it stores nothing before it is given to a bus"]
pub struct BusJournal<C> {
    ledger: Ledger,
    name: String,
    codec: C,
    schema: u16,
}

impl<C> fmt::Debug for BusJournal<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusJournal").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<C> BusJournal<C> {
    /// The journal of that name in a store, with a codec for the events. Opening it says so in the store, durably; see
    /// [`journal`](crate::journal).
    ///
    /// # Errors
    /// The store cannot be read or written, or somebody else opens it at the same time.
    pub fn open(
        name: impl Into<String>,
        store: Arc<impl EventStore>,
        codec: C,
    ) -> Result<Self, StoreError> {
        let name = name.into();
        let ledger = Ledger::open(store, &name)?;
        Ok(Self { ledger, name, codec, schema: 0 })
    }

    /// When what it commits is made durable; [`SyncPolicy::EachBatch`] if not given.
    pub fn sync(mut self, policy: SyncPolicy) -> Self {
        self.ledger.sync = policy;
        self
    }

    /// What it does when the store fails; [`WhenFailing::Halt`] if not given.
    pub fn when_failing(mut self, what: WhenFailing) -> Self {
        self.ledger.when_failing = what;
        self
    }

    /// What it does with an event that no store takes; [`WhenRefused::Halt`] if not given.
    pub fn when_refused(mut self, what: WhenRefused) -> Self {
        self.ledger.when_refused = what;
        self
    }

    /// Which form the payloads have, as it goes with each [entry](Entry::schema).
    pub fn schema(mut self, schema: u16) -> Self {
        self.schema = schema;
        self
    }

    /// To ask it how far it is.
    pub fn handle(&self) -> Journal {
        self.ledger.handle()
    }

    /// What the ids of a bus are made of that has this journal.
    pub fn source(&self) -> Source {
        self.handle().source_of_bus()
    }
}

impl<E: Event, C: Codec<E>> slipring_events::Journal<E> for BusJournal<C> {
    fn keep(&mut self, events: OnRing<'_, E>) -> Result<(), HandlerError> {
        let (codec, schema, name) = (&self.codec, self.schema, &*self.name);
        self.ledger.keep(events.first_sequence(), events.slots(), |slot, batch, bytes| {
            let Some(event) = events.get(slot) else { return Ok(Written::Nothing) };
            codec.encode(event.event, bytes)?;
            let mut entry = Entry::at(event.time, event.topic, bytes).id(event.id).schema(schema);
            entry.source = name;
            entry.correlation = event.correlation;
            entry.causation = event.causation;
            entry.metadata = event.metadata;
            batch.append(entry)?;
            Ok(Written::Stored)
        })
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn source(&self) -> Option<Source> {
        Some(Self::source(self))
    }

    fn first_sequence(&self) -> u64 {
        self.handle().first_sequence()
    }

    fn policy(&self) -> Policy {
        self.ledger.policy()
    }

    fn idle_after(&self) -> Option<Duration> {
        self.ledger.sync.idle_after()
    }

    fn idle(&mut self) {
        self.ledger.idle();
    }

    fn halt(&mut self) {
        self.ledger.halt();
    }

    fn end(&mut self) {
        self.ledger.end();
    }

    fn teller(&self) -> JournalTeller {
        let told = self.handle();
        Box::new(move |figures| told.shared.tell(figures))
    }
}
