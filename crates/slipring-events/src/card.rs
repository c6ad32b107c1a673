//! What is known of a handler from outside: its account, and what it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::Waker,
};

use parking_lot::{Condvar, Mutex};

use crate::{
    account::Account,
    alarm::Alarm,
    delivery::lanes::Lane,
    event::Event,
    receipt::{Answers, Fate, Ticket},
    slot::Delivered,
    topic::Pattern,
};

/// A handler, as all others see it.
#[derive(Debug)]
pub(crate) struct Card<E: Event> {
    pub name: Arc<str>,
    /// Its own, on its bus.
    pub number: u64,
    /// What it subscribes to.
    pub patterns: Arc<[Pattern]>,
    /// Sees every event from here on.
    pub first: u64,
    /// As of the end of its last turn: all of it belongs together.
    account: Mutex<Account>,
    /// Whether it was not to go on, as of then.
    is_held: AtomicBool,
    /// It has missed events that it has not got yet.
    is_catching_up: AtomicBool,
    /// Why it holds, if its store has failed.
    trouble: Mutex<Option<Arc<str>>>,
    orders: AtomicU8,
    pub alarm: Arc<Alarm>,
    /// None when nobody takes anything back any more.
    returned: Mutex<Option<Vec<Lane<E>>>>,
    has_returned: AtomicBool,
    /// What was being tried again when whoever runs the handler was dropped.
    dropped: Mutex<Vec<Lane<E>>>,
    end: Mutex<End>,
    has_ended: Condvar,
}

/// Whether a handler has ended, and whom that interests.
#[derive(Debug, Default)]
struct End {
    is_over: bool,
    waiting: Vec<Waker>,
}

/// What a handler is told from outside. Later ones are stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Orders {
    Stay,
    /// Handle what was published before this, and leave.
    Drain,
    /// Leave as soon as what follows from handled events is published.
    Leave,
    /// Leave now.
    Quit,
}

impl<E: Event> Card<E> {
    pub(crate) fn new(name: Arc<str>, number: u64, patterns: Arc<[Pattern]>, first: u64) -> Self {
        Self {
            name,
            number,
            patterns,
            first,
            account: Mutex::new(Account::starting_at(first)),
            is_held: AtomicBool::new(false),
            is_catching_up: AtomicBool::new(false),
            trouble: Mutex::default(),
            orders: AtomicU8::new(Orders::Stay as u8),
            alarm: Arc::default(),
            returned: Mutex::new(Some(Vec::new())),
            has_returned: AtomicBool::new(false),
            dropped: Mutex::default(),
            end: Mutex::default(),
            has_ended: Condvar::new(),
        }
    }

    pub(crate) fn account(&self) -> Account {
        *self.account.lock()
    }

    pub(crate) fn post(&self, account: &Account) {
        *self.account.lock() = *account;
    }

    /// Notes whether the handler is held up by a breaker, a bulkhead, a throttle, or what was put aside.
    #[inline]
    pub(crate) fn note_held(&self, is_held: bool) {
        // For whoever looks; it orders nothing, and only whoever runs the handler writes it.
        if self.is_held.load(Ordering::Relaxed) != is_held {
            self.is_held.store(is_held, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Relaxed)
    }

    /// Notes whether there is something that it has missed and not got yet.
    pub(crate) fn note_catching_up(&self, is_so: bool) {
        // Release: pairs with `is_catching_up`.
        self.is_catching_up.store(is_so, Ordering::Release);
    }

    pub(crate) fn is_catching_up(&self) -> bool {
        self.is_catching_up.load(Ordering::Acquire)
    }

    /// Notes why it holds.
    pub(crate) fn note_trouble(&self, trouble: Option<Arc<str>>) {
        *self.trouble.lock() = trouble;
    }

    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.lock().clone()
    }

    pub(crate) fn order(&self, orders: Orders) {
        // The alarm pairs with whoever looks.
        self.orders.fetch_max(orders as u8, Ordering::Relaxed);
        self.alarm.ring();
    }

    #[inline]
    pub(crate) fn orders(&self) -> Orders {
        match self.orders.load(Ordering::Relaxed) {
            0 => Orders::Stay,
            1 => Orders::Drain,
            2 => Orders::Leave,
            _ => Orders::Quit,
        }
    }

    /// Gives back what had been put among the dead letters; how many events, if somebody is there to take them.
    pub(crate) fn give_back(&self, lane: impl FnOnce() -> Lane<E>) -> Option<usize> {
        let mut returned = self.returned.lock();
        let lanes = returned.as_mut()?;
        let lane = lane();
        let count = lane.queue.len();
        lanes.push(lane);
        self.has_returned.store(true, Ordering::Relaxed);
        drop(returned);
        self.alarm.ring();
        Some(count)
    }

    /// What was given back since the last time.
    pub(crate) fn take_returned(&self) -> Vec<Lane<E>> {
        if !self.has_returned.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut returned = self.returned.lock();
        self.has_returned.store(false, Ordering::Relaxed);
        returned.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What was given back since the last time; from now on nothing is.
    pub(crate) fn take_last_returned(&self) -> Vec<Lane<E>> {
        self.returned.lock().take().unwrap_or_default()
    }

    /// Whoever tried this was dropped.
    pub(crate) fn dropped(&self, lane: Lane<E>) {
        self.dropped.lock().push(lane);
    }

    pub(crate) fn take_dropped(&self) -> Vec<Lane<E>> {
        std::mem::take(&mut *self.dropped.lock())
    }

    pub(crate) fn end(&self) {
        let mut end = self.end.lock();
        end.is_over = true;
        let waiting = std::mem::take(&mut end.waiting);
        drop(end);
        self.has_ended.notify_all();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits for its end; whether it came in time.
    pub(crate) fn await_end(&self, deadline: Option<std::time::Instant>) -> bool {
        let mut end = self.end.lock();
        while !end.is_over {
            match deadline {
                None => self.has_ended.wait(&mut end),
                Some(deadline) => {
                    if self.has_ended.wait_until(&mut end, deadline).timed_out() {
                        return end.is_over;
                    }
                }
            }
        }
        true
    }

    pub(crate) fn settle(&self, ticket: &Ticket, fate: Fate) {
        ticket.settle(self.number, fate);
    }

    pub(crate) fn settle_if_awaited(
        &self,
        delivered: &Delivered<'_, E>,
        fate: impl FnOnce() -> Fate,
    ) {
        if let Some(ticket) = delivered.ticket() {
            self.settle(ticket, fate());
        }
    }
}

impl<E: Event> Answers for Card<E> {
    fn number(&self) -> u64 {
        self.number
    }

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn has_ended(&self, waker: Option<&Waker>) -> bool {
        let mut end = self.end.lock();
        if let Some(waker) = waker
            && !end.is_over
            && !end.waiting.iter().any(|other| other.will_wake(waker))
        {
            end.waiting.push(waker.clone());
        }
        end.is_over
    }
}
