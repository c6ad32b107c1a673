//! Handlers that run when they are told to.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    account::Account,
    drive::{Tender, now},
    event::Event,
    handler::Handle,
    view::View,
    worker::{Turn, Worker},
};

/// A handler that runs when it is told to, in whatever thread: for loops of one's own, and for tests, step by step.
///
/// It holds the publishers back as every handler does. When it is dropped it leaves. A bus that is shut down runs
/// what is left of it, unless somebody does.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Bus, Step};
///
/// let bus = Bus::<AnyEvent>::start(64)?;
/// let mut sum = 0;
/// let (handler, mut hand) = bus.handler("sum").on::<u32>().by_hand(move |number, _| sum += number)?;
/// bus.publisher().publish(AnyEvent::new(4_u32))?;
/// assert_eq!(hand.step(), Step::Moved);
/// assert!(matches!(hand.step(), Step::Idle(None)));
/// assert_eq!(handler.account().handled, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it handles nothing until it is told to, and leaves when it is dropped"]
pub struct ByHand<E: Event> {
    hand: Arc<Hand>,
    account: Box<dyn Fn() -> Account + Send>,
    /// Whoever makes room looks after handlers that run in the publishers' threads.
    tender: Tender<E>,
}

/// The worker; none when it has left.
struct Hand(Mutex<Option<Box<dyn Handed>>>);

impl<E: Event> fmt::Debug for ByHand<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByHand").field("account", &(self.account)()).finish_non_exhaustive()
    }
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Moved,
    /// There is nothing to do now. Something that is to be tried again is due in so long, by the bus's clock.
    Idle(Option<Duration>),
    /// Follow-ups wait for room on the ring: others have to go on first.
    Full,
    /// It is over: it was told to leave, or the bus has ended.
    Over,
}

trait Handed: Send {
    fn step(&mut self) -> Step;
}

impl<E: Event, V: View<E>, H: Handle<E, V::Seen> + Send> Handed for Worker<E, V, H> {
    fn step(&mut self) -> Step {
        match now(self.turn()) {
            Turn::Moved => Step::Moved,
            Turn::Idle(due) | Turn::Hold(due) => Step::Idle(due.map(|due| self.until(due))),
            Turn::Full => Step::Full,
            Turn::Over => Step::Over,
        }
    }
}

impl Hand {
    fn step(&self) -> Step {
        let mut hand = self.0.lock();
        let step = hand.as_mut().map_or(Step::Over, |worker| worker.step());
        if step == Step::Over {
            *hand = None;
        }
        step
    }
}

impl<E: Event> ByHand<E> {
    pub(crate) fn new<V: View<E>, H>(
        worker: Worker<E, V, H>,
        tender: Tender<E>,
        hands: &Hands,
    ) -> Self
    where
        H: Handle<E, V::Seen> + Send + 'static,
    {
        let card = Arc::clone(worker.card());
        let account = Box::new(move || card.account());
        let hand = Arc::new(Hand(Mutex::new(Some(Box::new(worker)))));
        let mut hands = hands.0.lock();
        hands.retain(|other| other.strong_count() > 0);
        hands.push(Arc::downgrade(&hand));
        Self { hand, account, tender }
    }

    /// Does what there is to do, a batch of it at most.
    pub fn step(&mut self) -> Step {
        let step = self.hand.step();
        self.tender.tend();
        step
    }
}

/// All of a bus that run by hand.
#[derive(Default)]
pub(crate) struct Hands(Mutex<Vec<Weak<Hand>>>);

impl Hands {
    /// Those that nobody runs at this moment.
    fn free(&self) -> Vec<Arc<Hand>> {
        self.0.lock().iter().filter_map(Weak::upgrade).filter(|hand| !hand.0.is_locked()).collect()
    }

    /// Runs each a step, unless somebody does: for a bus that ends, in what may be the only thread.
    pub(crate) fn step(&self) {
        for hand in self.free() {
            // Not waited for: it may be this thread that is in the middle of it.
            let Some(mut worker) = hand.0.try_lock() else { continue };
            let is_over = worker.as_mut().is_some_and(|worker| worker.step() == Step::Over);
            if is_over {
                *worker = None;
            }
        }
    }

    /// Has all leave that nobody runs, when they have done what there is to do.
    pub(crate) fn clear(&self) {
        for hand in self.free() {
            let left = hand.0.try_lock().and_then(|mut worker| worker.take());
            if let Some(mut worker) = left {
                while worker.step() == Step::Moved {}
            }
        }
    }
}
