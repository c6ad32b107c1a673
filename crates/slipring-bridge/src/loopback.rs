//! A broker in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    Connect, Delivery, Incoming, LinkError, Listen, Outgoing, Parcel, Settled, Settlement,
};

/// A broker in memory with one queue: for tests, and to couple two stores or buses of one program. It can be cloned, and
/// is gone with the program.
///
/// Each link of an inbox shares in the queue; what it has not settled when it is lost comes again, before the rest.
///
/// # Examples
/// ```
/// use slipring_bridge::{Inbox, IntoStore, Loopback, Outbox};
/// use slipring_store::{Batch, Durability, Entry, EventStore, Memory};
/// use std::{sync::Arc, time::Duration};
///
/// let (here, there, broker) = (Arc::new(Memory::new()), Arc::new(Memory::new()), Loopback::new());
/// let outbox = Outbox::builder("orders", here.clone(), broker.clone()).start()?;
/// let intake = IntoStore::new("orders", there.clone())?;
/// let inbox = Inbox::builder("orders", broker.clone(), intake).start()?;
///
/// let mut batch = Batch::new();
/// batch.append(Entry::new("order.created", "lamp"))?;
/// let committed = here.commit(&batch, Durability::Synced)?;
///
/// outbox.wait_for(committed.end, Duration::from_secs(60))?;
/// inbox.wait_until(Duration::from_secs(60), |status| status.safe == 1);
/// assert_eq!(there.bounds()?.durable, 1);
/// assert!(outbox.stop(Duration::from_secs(5)).has_ended);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Loopback(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Parcel>,
    dead: Vec<(Parcel, Box<str>)>,
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("Loopback")
            .field("waiting", &state.queue.len())
            .field("dead", &state.dead.len())
            .finish()
    }
}

impl Loopback {
    /// One with nothing in its queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts something into the queue as another program would.
    pub fn put(&self, parcel: Parcel) {
        self.0.state.lock().queue.push_back(parcel);
        self.0.bell.notify_waiters();
    }

    fn take(&self, most: usize) -> Vec<Parcel> {
        let queue = &mut self.0.state.lock().queue;
        let count = most.min(queue.len());
        queue.drain(..count).collect()
    }

    /// How many parcels nobody has yet.
    pub fn waiting(&self) -> usize {
        self.0.state.lock().queue.len()
    }

    /// The dead letters, with their reasons.
    pub fn dead(&self) -> Vec<(Parcel, Box<str>)> {
        self.0.state.lock().dead.clone()
    }
}

/// A link of an outbox to a [`Loopback`].
#[derive(Debug)]
pub struct LoopbackOut {
    broker: Loopback,
    unconfirmed: usize,
}

/// A link of an inbox to a [`Loopback`].
#[derive(Debug)]
pub struct LoopbackIn {
    broker: Loopback,
    window: usize,
    unsettled: BTreeMap<u64, Parcel>,
    next_tag: u64,
}

impl Connect for Loopback {
    type Link = LoopbackOut;

    async fn connect(&self) -> Result<LoopbackOut, LinkError> {
        Ok(LoopbackOut { broker: self.clone(), unconfirmed: 0 })
    }

    fn largest(&self) -> usize {
        usize::MAX
    }
}

impl Outgoing for LoopbackOut {
    async fn submit(&mut self, parcels: &[Parcel]) -> Result<(), LinkError> {
        self.broker.0.state.lock().queue.extend(parcels.iter().cloned());
        self.broker.0.bell.notify_waiters();
        self.unconfirmed += parcels.len();
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<usize, LinkError> {
        Ok(std::mem::take(&mut self.unconfirmed))
    }

    async fn close(self) {}
}

impl Listen for Loopback {
    type Link = LoopbackIn;

    async fn listen(&self, window: usize) -> Result<LoopbackIn, LinkError> {
        let unsettled = BTreeMap::new();
        Ok(LoopbackIn { broker: self.clone(), window, unsettled, next_tag: 0 })
    }
}

impl Incoming for LoopbackIn {
    async fn receive(&mut self, most: usize, into: &mut Vec<Delivery>) -> Result<(), LinkError> {
        let broker = self.broker.clone();
        loop {
            // Before it looks, so that nothing comes unheard in between.
            let bell = broker.0.bell.notified();
            let room = self.window.saturating_sub(self.unsettled.len()).min(most);
            let parcels = broker.take(room);
            if parcels.is_empty() {
                bell.await;
                continue;
            }
            for parcel in parcels {
                let tag = self.next_tag;
                self.next_tag += 1;
                self.unsettled.insert(tag, parcel.clone());
                into.push(Delivery { tag, is_again: false, content: Ok(parcel) });
            }
            return Ok(());
        }
    }

    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), LinkError> {
        let mut state = self.broker.0.state.lock();
        for Settlement { tag, settled } in settlements {
            let Some(parcel) = self.unsettled.remove(tag) else { continue };
            match settled {
                Settled::Done => {}
                Settled::Again => state.queue.push_front(parcel),
                Settled::Dead(reason) => state.dead.push((parcel, reason.clone())),
            }
        }
        drop(state);
        self.broker.0.bell.notify_waiters();
        Ok(())
    }

    async fn close(self) {}
}

impl Drop for LoopbackIn {
    fn drop(&mut self) {
        let mut state = self.broker.0.state.lock();
        // The oldest one goes to the front last.
        while let Some((_, parcel)) = self.unsettled.pop_last() {
            state.queue.push_front(parcel);
        }
        drop(state);
        self.broker.0.bell.notify_waiters();
    }
}
