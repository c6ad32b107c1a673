//! A broker in memory, with faults drawn from a seed: links that are lost at any await, confirmations that are lost when
//! the broker has it, parcels that it loses before it confirms them, duplicates, and redelivery in another order.
//!
//! It is no stand-in for a server: the transports are tested against real ones.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use parking_lot::Mutex;
use slipring_bridge::{
    Connect, Delivery, Incoming, LinkError, Listen, Outgoing, Parcel, Settled, Settlement,
    Unreadable,
};
use tokio::sync::Notify;

/// How often something goes wrong, in 1,000.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub refused: u32,
    pub lost: u32,
    pub swallowed: u32,
    pub twice: u32,
    pub slow: u32,
}

/// A broker with one queue.
#[derive(Clone)]
pub struct Sim(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    bell: Notify,
}

struct State {
    rng: Rng,
    faults: Faults,
    is_down: bool,
    /// It takes poison.
    is_lax: bool,
    queue: VecDeque<Result<Parcel, Unreadable>>,
    /// What is delivered and not settled, by the listener's number.
    delivered: BTreeMap<u64, BTreeMap<u64, Result<Parcel, Unreadable>>>,
    next_listener: u64,
    dead: Vec<(Result<Parcel, Unreadable>, String)>,
    settled: u64,
}

/// Whether the process to which a link belongs is still there.
#[derive(Clone, Debug, Default)]
pub struct Alive(Arc<AtomicBool>);

impl Alive {
    pub fn kill(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_dead(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), LinkError> {
        if self.is_dead() { Err(LinkError::lost("living", "the process is dead")) } else { Ok(()) }
    }
}

/// What begins so this broker does not take, unless it is lax.
pub const POISON: &[u8] = b"poison";

impl Sim {
    pub fn new(seed: u64) -> Self {
        let state = State {
            rng: Rng::with_seed(seed),
            faults: Faults::default(),
            is_down: false,
            is_lax: false,
            queue: VecDeque::new(),
            delivered: BTreeMap::new(),
            next_listener: 0,
            dead: Vec::new(),
            settled: 0,
        };
        Self(Arc::new(Inner { state: Mutex::new(state), bell: Notify::new() }))
    }

    pub fn set_faults(&self, faults: Faults) {
        self.0.state.lock().faults = faults;
    }

    pub fn set_down(&self, is_down: bool) {
        self.0.state.lock().is_down = is_down;
        self.0.bell.notify_waiters();
    }

    pub fn connect(&self, alive: &Alive) -> SimConnect {
        SimConnect { sim: self.clone(), alive: alive.clone(), largest: 1 << 20 }
    }

    pub fn listen(&self, alive: &Alive) -> SimListen {
        SimListen { sim: self.clone(), alive: alive.clone() }
    }

    /// From now on it takes poison.
    pub fn be_lax(&self) {
        self.0.state.lock().is_lax = true;
    }

    /// Puts something into the queue as another program would.
    pub fn put(&self, content: Result<Parcel, Unreadable>) {
        self.0.state.lock().queue.push_back(content);
        self.0.bell.notify_waiters();
    }

    /// What is in the queue, or delivered and not settled.
    pub fn left(&self) -> usize {
        let state = self.0.state.lock();
        state.queue.len() + state.delivered.values().map(BTreeMap::len).sum::<usize>()
    }

    /// The parcels in the queue.
    pub fn parcels(&self) -> Vec<Parcel> {
        self.0.state.lock().queue.iter().filter_map(|content| content.clone().ok()).collect()
    }

    /// Empties the queue.
    pub fn clear(&self) {
        self.0.state.lock().queue.clear();
    }

    pub fn settled(&self) -> u64 {
        self.0.state.lock().settled
    }

    pub fn dead(&self) -> Vec<(Result<Parcel, Unreadable>, String)> {
        self.0.state.lock().dead.clone()
    }

    async fn pause(&self) {
        let slow = {
            let mut state = self.0.state.lock();
            let one_in = state.faults.slow;
            state.chance(one_in).then(|| Duration::from_micros(state.rng.u64(1..400)))
        };
        match slow {
            Some(time) => tokio::time::sleep(time).await,
            None => tokio::task::yield_now().await,
        }
    }

    /// A link may be lost here.
    fn at_risk(&self, alive: &Alive, doing: &'static str) -> Result<(), LinkError> {
        alive.check()?;
        let mut state = self.0.state.lock();
        let one_in = state.faults.lost;
        if state.is_down || state.chance(one_in) {
            return Err(LinkError::lost(doing, "the link is lost"));
        }
        Ok(())
    }
}

impl State {
    fn chance(&mut self, of_1000: u32) -> bool {
        of_1000 > 0 && self.rng.u32(..1_000) < of_1000
    }

    /// What a listener had not settled comes again, before the rest, in any order.
    fn give_back(&mut self, listener: u64) {
        let mut again: Vec<_> =
            self.delivered.remove(&listener).unwrap_or_default().into_values().collect();
        self.rng.shuffle(&mut again);
        for content in again {
            self.queue.push_front(content);
        }
    }
}

#[derive(Clone)]
pub struct SimConnect {
    sim: Sim,
    alive: Alive,
    pub largest: usize,
}

impl Connect for SimConnect {
    type Link = SimOut;

    async fn connect(&self) -> Result<SimOut, LinkError> {
        self.sim.pause().await;
        self.alive.check()?;
        let mut state = self.sim.0.state.lock();
        let one_in = state.faults.refused;
        if state.is_down || state.chance(one_in) {
            return Err(LinkError::lost("connecting", "nobody is there"));
        }
        drop(state);
        let (sim, alive) = (self.sim.clone(), self.alive.clone());
        Ok(SimOut { sim, alive, sent: VecDeque::new() })
    }

    fn largest(&self) -> usize {
        self.largest
    }
}

pub struct SimOut {
    sim: Sim,
    alive: Alive,
    /// Whether each is confirmed, in order: one that the broker has swallowed never is.
    sent: VecDeque<Sent>,
}

enum Sent {
    Taken,
    Swallowed,
    Refused(u64),
}

impl Outgoing for SimOut {
    async fn submit(&mut self, parcels: &[Parcel]) -> Result<(), LinkError> {
        for parcel in parcels {
            if fastrand::u8(..8) == 0 {
                self.sim.pause().await;
            }
            self.sim.at_risk(&self.alive, "sending")?;
            let stamp = parcel.stamp.as_ref().expect("an outbox stamps what it sends");
            let mut state = self.sim.0.state.lock();
            let (swallowed, twice) = (state.faults.swallowed, state.faults.twice);
            let sent = if parcel.payload.starts_with(POISON) && !state.is_lax {
                Sent::Refused(stamp.sequence)
            } else if state.chance(swallowed) {
                Sent::Swallowed
            } else {
                state.queue.push_back(Ok(parcel.clone()));
                if state.chance(twice) {
                    state.queue.push_back(Ok(parcel.clone()));
                }
                Sent::Taken
            };
            drop(state);
            self.sent.push_back(sent);
        }
        self.sim.0.bell.notify_waiters();
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<usize, LinkError> {
        self.sim.pause().await;
        self.sim.at_risk(&self.alive, "confirming")?;
        let is_taken = |sent: &&Sent| matches!(sent, Sent::Taken);
        let taken = self.sent.iter().take_while(is_taken).count();
        if taken == 0 {
            return match self.sent.front() {
                Some(Sent::Refused(sequence)) => Err(LinkError::Unsendable {
                    sequence: *sequence,
                    problem: "it is poison".into(),
                }),
                _ => Err(LinkError::lost("confirming", "the broker did not take it")),
            };
        }
        let count = self.sim.0.state.lock().rng.usize(1..=taken);
        self.sent.drain(..count);
        Ok(count)
    }

    async fn close(self) {
        self.sim.pause().await;
    }
}

#[derive(Clone)]
pub struct SimListen {
    sim: Sim,
    alive: Alive,
}

impl Listen for SimListen {
    type Link = SimIn;

    async fn listen(&self, window: usize) -> Result<SimIn, LinkError> {
        self.sim.pause().await;
        self.alive.check()?;
        let mut state = self.sim.0.state.lock();
        let one_in = state.faults.refused;
        if state.is_down || state.chance(one_in) {
            return Err(LinkError::lost("connecting", "nobody is there"));
        }
        let listener = state.next_listener;
        state.next_listener += 1;
        state.delivered.insert(listener, BTreeMap::new());
        drop(state);
        let (sim, alive) = (self.sim.clone(), self.alive.clone());
        Ok(SimIn { sim, alive, listener, window, next_tag: 0 })
    }
}

pub struct SimIn {
    sim: Sim,
    alive: Alive,
    listener: u64,
    window: usize,
    next_tag: u64,
}

impl SimIn {
    fn fetch(&mut self, most: usize, into: &mut Vec<Delivery>) -> usize {
        let mut state = self.sim.0.state.lock();
        let state = &mut *state;
        let open = state.delivered.entry(self.listener).or_default();
        let room = self.window.saturating_sub(open.len()).min(most);
        let count = room.min(state.queue.len());
        let count = if count > 1 { state.rng.usize(1..=count) } else { count };
        for content in state.queue.drain(..count) {
            let tag = self.next_tag;
            self.next_tag += 1;
            open.insert(tag, content.clone());
            into.push(Delivery { tag, is_again: false, content });
        }
        count
    }
}

impl Incoming for SimIn {
    async fn receive(&mut self, most: usize, into: &mut Vec<Delivery>) -> Result<(), LinkError> {
        let sim = self.sim.clone();
        loop {
            let bell = sim.0.bell.notified();
            self.sim.at_risk(&self.alive, "receiving")?;
            if self.fetch(most, into) > 0 {
                return Ok(());
            }
            // A process that is killed is not told.
            let _ = tokio::time::timeout(Duration::from_millis(5), bell).await;
        }
    }

    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), LinkError> {
        for Settlement { tag, settled } in settlements {
            if fastrand::u8(..8) == 0 {
                self.sim.pause().await;
            }
            self.sim.at_risk(&self.alive, "acknowledging")?;
            let mut state = self.sim.0.state.lock();
            let open = state.delivered.entry(self.listener).or_default();
            let content = open.remove(tag).expect("a delivery is settled once");
            match settled {
                Settled::Done => state.settled += 1,
                Settled::Dead(reason) => state.dead.push((content, reason.to_string())),
                other => panic!("the engine does not say {other:?}"),
            }
        }
        Ok(())
    }

    async fn close(self) {
        self.sim.pause().await;
    }
}

impl Drop for SimIn {
    fn drop(&mut self) {
        self.sim.0.state.lock().give_back(self.listener);
        self.sim.0.bell.notify_waiters();
    }
}
