//! A handler at work, what it writes down, and who drives it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use fastrand::Rng;
use parking_lot::Mutex;
use slipring::{LagPolicy, Start};
use slipring_events::{
    Bus, Carries, Context, DeadLetters, HandlerError, Part, RegisterError, Registration, Retried,
    Step, Subscription, View, Whole,
};

use crate::{
    facts::{Fact, Note, Remark, Scope},
    plan::{Driver, HandlerPlan, Order},
};

pub const ON_PURPOSE: &str = "on purpose";

/// An attempt that has come to an end.
#[derive(Clone, Debug)]
pub struct Try {
    pub sequence: u64,
    pub number: u64,
    pub key: u8,
    pub attempt: u32,
    pub is_ok: bool,
    /// The numbers of what follows.
    pub follow_ups: Vec<u64>,
}

/// What a handler has written down.
pub type Log = Arc<Mutex<Vec<Try>>>;

/// A handler of a round.
#[derive(Clone)]
pub struct Hand {
    pub seed: u64,
    pub fails: u8,
    pub most_depth: u8,
    pub numbers: Arc<AtomicU64>,
    pub log: Log,
}

impl Hand {
    /// What comes of this attempt is a matter of the seed.
    fn dice(&self, number: u64, attempt: u32) -> Rng {
        let mut rng = Rng::with_seed(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..attempt).for_each(|_| drop(rng.fork()));
        rng
    }

    fn attempt(&self, context: &mut Context<'_, Fact>) -> Result<(), HandlerError> {
        let Note { number, key, depth } = *context.event().note();
        let mut rng = self.dice(number, context.attempt());
        let mut record = Try {
            sequence: context.sequence(),
            number,
            key,
            attempt: context.attempt(),
            is_ok: false,
            follow_ups: Vec::new(),
        };
        let fails = rng.u8(..16) < self.fails;
        let mut result = Ok(());
        if depth < self.most_depth && rng.u8(..4) == 0 {
            for _ in 0..rng.u8(1..3) {
                let note = Note {
                    number: self.numbers.fetch_add(1, Ordering::Relaxed),
                    key: rng.u8(..4),
                    depth: depth + 1,
                };
                record.follow_ups.push(note.number);
                result = result.and_then(|()| {
                    if rng.bool() { context.publish(note) } else { context.publish(Remark(note)) }
                });
            }
        }
        record.is_ok = !fails && result.is_ok();
        self.log.lock().push(record);
        if fails && rng.bool() {
            std::panic::panic_any(ON_PURPOSE);
        }
        if fails { Err("no".into()) } else { Ok(result?) }
    }
}

/// What drives a handler from outside; `None` if the bus does.
pub enum Rein {
    Nobody,
    Thread { leaves: Arc<AtomicBool>, thread: thread::JoinHandle<()> },
    Task(smol::Task<()>),
}

impl Rein {
    /// Drops the hand or the future, wherever it is.
    pub fn cut(&mut self) {
        match self {
            Self::Nobody => {}
            Self::Thread { leaves, .. } => leaves.store(true, Ordering::Relaxed),
            Self::Task(_) => *self = Self::Nobody,
        }
    }

    pub fn join(self) {
        match self {
            Self::Nobody => {}
            Self::Thread { thread, .. } => thread.join().unwrap(),
            Self::Task(task) => smol::block_on(task),
        }
    }
}

pub type Registered = Result<(Subscription<Fact>, Rein), RegisterError>;

pub fn register(
    bus: &Bus<Fact>,
    name: &str,
    plan: &HandlerPlan,
    letters: &DeadLetters<Fact>,
    hand: Hand,
) -> Registered {
    let mut registration = bus.handler(name);
    registration = match plan.order {
        Order::Overtake => registration,
        Order::Strict => registration.in_order(),
        Order::ByKey => registration.in_sequence(|fact: &Fact| fact.note().key),
    };
    if plan.is_curious {
        registration = registration.start(Start::Oldest);
    }
    if let Some(most) = plan.follow_ups {
        registration = registration.follow_ups(most);
    }
    if let Some(most) = plan.most_aside {
        registration = registration.most_aside(most);
    }
    if let Some(limit) = plan.lag_limit {
        registration = registration.lag_limit(limit, LagPolicy::SkipAhead);
    }
    let retry = plan.retry.retry();
    match plan.scope {
        Scope::All => {
            drive::<Whole>(registration.dead_letters(letters).retry(retry), plan.driver, hand)
        }
        Scope::Apart => drive::<Whole>(
            registration.topic("apart.*").dead_letters(letters).retry(retry),
            plan.driver,
            hand,
        ),
        Scope::Notes => drive::<Part<Note>>(
            registration.on::<Note>().dead_letters(letters).retry(retry),
            plan.driver,
            hand,
        ),
    }
}

fn drive<V: View<Fact, Seen: Sync> + Send>(
    registration: Registration<'_, Fact, V, Retried>,
    driver: Driver,
    hand: Hand,
) -> Registered
where
    Fact: Carries<Note>,
{
    let attempt = {
        let hand = hand.clone();
        move |_: &V::Seen, context: &mut Context<'_, Fact>| hand.attempt(context)
    };
    Ok(match driver {
        Driver::Inline => (registration.inline(attempt)?, Rein::Nobody),
        Driver::Thread => (registration.run(attempt)?, Rein::Nobody),
        Driver::ByHand => {
            let (subscription, mut by_hand) = registration.by_hand(attempt)?;
            let leaves = Arc::new(AtomicBool::new(false));
            let is_leaving = Arc::clone(&leaves);
            let thread = thread::spawn(move || {
                while !is_leaving.load(Ordering::Relaxed) {
                    match by_hand.step() {
                        Step::Moved => {}
                        Step::Over => return,
                        _ => thread::yield_now(),
                    }
                }
            });
            (subscription, Rein::Thread { leaves, thread })
        }
        Driver::Task => {
            let (subscription, task) = registration.task(async move |_, context| {
                if context.sequence() % 3 == 0 {
                    smol::future::yield_now().await;
                }
                hand.attempt(context)
            })?;
            (subscription, Rein::Task(smol::spawn(task)))
        }
    })
}
