//! Replaying into a ring, and into a bus.

use std::{iter, mem};

use slipring::{Claim, Producer, PublishError};
use slipring_events::{Draft, Event, Publisher};

use super::run::{Replay, ReplayCause, ReplayError, Replayed};
use crate::{Codec, CodecError, Record};

/// How many events are published at a time.
const PAGE: usize = 64;

/// Events that are read and not published yet.
struct Page<E> {
    events: Vec<E>,
    held: usize,
}

impl<E> Page<E> {
    /// Publishes what is held; it is still held if it is refused.
    fn publish<C: Claim>(&mut self, producer: &mut Producer<E, C>) -> Result<(), PublishError> {
        if self.held > 0 {
            let events = &mut self.events;
            producer.publish_batch(self.held, |at, slot| mem::swap(slot, &mut events[at]))?;
            self.held = 0;
        }
        Ok(())
    }
}

impl Replay {
    /// Writes each event into a slot of a ring, behind what is published there, and waits for room as every producer
    /// does. `decode` writes what is recorded into an event, over what was in it: what it had allocated it can use
    /// again, so that nothing is allocated for an event. The first ones are made by `blank`. Events are published up to
    /// 64 at a time, and one at a time by a replay that goes on with what comes.
    ///
    /// An event that cannot be decoded is not published, nor is anything behind it. A ring with a
    /// [journal](crate::journal) would store the events once more: replay into one without.
    ///
    /// # Errors
    /// The store cannot be read, an event cannot be decoded, or the ring is closed or halted.
    ///
    /// # Examples
    /// ```
    /// use slipring::{Builder, read};
    /// use slipring_store::{Batch, CodecError, Durability, Entry, EventStore, Memory, Replay};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(Memory::new());
    /// let mut batch = Batch::new();
    /// batch.append(Entry::new("text", "lamp"))?;
    /// batch.append(Entry::new("text", "bulb"))?;
    /// store.commit(&batch, Durability::Synced)?;
    ///
    /// let (mut producer, dispatcher) = Builder::new(64, String::new)
    ///     .then(read("all", |text: &String, _| assert_eq!(text.len(), 4)))
    ///     .start()?;
    /// let done = Replay::new(store).into_ring(&mut producer, String::new, |record, text| {
    ///     let payload = std::str::from_utf8(record.payload);
    ///     text.clear();
    ///     text.push_str(payload.map_err(|error| CodecError::unreadable(record.topic, error))?);
    ///     Ok(())
    /// })?;
    /// drop(producer);
    /// assert_eq!((done.events, dispatcher.join()?.published), (2, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_ring<E, C: Claim>(
        self,
        producer: &mut Producer<E, C>,
        blank: impl FnMut() -> E,
        mut decode: impl FnMut(&Record<'_>, &mut E) -> Result<(), CodecError>,
    ) -> Result<Replayed, ReplayError> {
        let events = if self.follows() { 1 } else { PAGE.min(producer.capacity()) };
        let mut page = Page { events: iter::repeat_with(blank).take(events).collect(), held: 0 };
        // Where the first event stands that is not published.
        let mut next = None;
        let done = self.run(|record| {
            next.get_or_insert(record.position);
            decode(record, &mut page.events[page.held])?;
            page.held += 1;
            if page.held == page.events.len() {
                page.publish(producer)?;
                next = Some(record.position + 1);
            }
            Ok(())
        });
        // Also what was read before something went wrong.
        match (page.publish(producer), next) {
            (Err(cause), Some(position)) => Err(ReplayError { position, cause: cause.into() }),
            _ => done,
        }
    }

    /// Publishes each event on a bus, as it was: with its id, its time, its topic, what it follows from and what was
    /// said of it. A journal of that bus does not store it again, and what handlers publish because of it is not
    /// published: it is stored as well. See [`Draft::replayed`].
    ///
    /// To go on with a bus where it was, replay into it before anybody else publishes there, up to the end of the store;
    /// what is published then comes behind that.
    ///
    /// # Errors
    /// The store cannot be read, an event cannot be decoded, or the bus takes no more.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::{AnyEvent, Bus};
    /// use slipring_store::{BusJournal, Codec, CodecError, Memory, Record, Replay};
    /// use std::{sync::{Arc, Mutex}, time::Duration};
    ///
    /// struct Bytes;
    ///
    /// impl Codec<AnyEvent> for Bytes {
    ///     fn encode(&self, event: &AnyEvent, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    ///         bytes.extend(event.get::<Vec<u8>>().ok_or_else(|| CodecError::unwritable("no bytes"))?);
    ///         Ok(())
    ///     }
    ///     fn decode(&self, record: &Record<'_>) -> Result<AnyEvent, CodecError> {
    ///         Ok(AnyEvent::named("bytes", record.payload.to_vec()))
    ///     }
    /// }
    ///
    /// let (store, ids) = (Arc::new(Memory::new()), Arc::new(Mutex::new(Vec::new())));
    /// for run in 0..2 {
    ///     let journal = BusJournal::open("bytes", store.clone(), Bytes)?;
    ///     let bus = Bus::<AnyEvent>::builder(64).journal(journal).start()?;
    ///     let seen = ids.clone();
    ///     let _all = bus.handler("all").run(move |_, context| seen.lock().unwrap().push(context.id()))?;
    ///     let mut publisher = bus.publisher();
    ///     let before = Replay::new(store.clone()).into_bus(&mut publisher, &Bytes)?;
    ///     assert_eq!(before.events, run);
    ///     publisher.publish(AnyEvent::named("bytes", vec![7_u8]))?;
    ///     bus.shutdown(Duration::from_secs(5))?;
    /// }
    /// let ids = ids.lock().unwrap();
    /// assert_eq!((ids.len(), ids[0], ids[1] == ids[2]), (3, ids[1], false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_bus<E: Event>(
        self,
        publisher: &mut Publisher<E>,
        codec: &impl Codec<E>,
    ) -> Result<Replayed, ReplayError> {
        self.run(|record| {
            let envelope = record.to_envelope(codec)?;
            let sent = publisher.send(Draft::from(envelope).replayed());
            sent.map_err(|refused| ReplayCause::from(refused.reason))?;
            Ok(())
        })
    }
}
