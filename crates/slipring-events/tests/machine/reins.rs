//! Who drives a handler, and what stands around it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use slipring::Start;
use slipring_events::{
    Bare, Breaker, Bulkhead, Bus, DeadLetters, Inside, Part, RegisterError, Registration, Step,
    Subscription, Throttle, Timed, Untimed, View, Whole,
};

use crate::{
    facts::{Fact, Note, Scope},
    hands::{Core, Hand},
    memory::Memory,
    plan::{Driver, HandlerPlan, Limits, Order},
};

/// Attempts that never end are broken off then. This clock is the system's: only those wait for it.
const TIMEOUT: Duration = Duration::from_micros(50);

/// What drives a handler from outside; `Nobody` if the bus does.
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

/// What a handler shares with others.
pub struct Around<'a> {
    pub bus: &'a Bus<Fact>,
    pub letters: &'a DeadLetters<Fact>,
    pub bulkhead: &'a Bulkhead,
}

pub fn register(around: &Around<'_>, name: &str, plan: &HandlerPlan, core: Core) -> Registered {
    let mut registration = around.bus.handler(name);
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
    if let Some((limit, policy)) = plan.lag_limit {
        registration = registration.lag_limit(limit, policy);
    }
    match plan.scope {
        Scope::All => dress::<Whole>(registration, around, plan, core),
        Scope::Apart => dress::<Whole>(registration.topic("apart.*"), around, plan, core),
        Scope::Notes => dress::<Part<Note>>(registration.on::<Note>(), around, plan, core),
    }
}

fn dress<V: View<Fact, Seen: Sync> + Send>(
    registration: Registration<'_, Fact, V, Bare>,
    around: &Around<'_>,
    plan: &HandlerPlan,
    core: Core,
) -> Registered {
    let registration = match plan.inbox {
        None => registration.dead_letters(around.letters),
        Some(inbox) => {
            let memory = Memory::new(inbox, core.seed, &core.log);
            registration.idempotent_by(memory).dead_letters(around.letters)
        }
    };
    let (registration, hand) = (registration.retry(plan.retry.retry()), Hand::new(core));
    let Some(Limits { breaker, has_bulkhead, throttle }) = plan.limits else {
        return drive(registration, plan, hand);
    };
    let registration = match breaker {
        Some((failures, time)) => registration.breaker(Breaker::after(failures).open_for(time)),
        // It never opens.
        None => registration.breaker(Breaker::after(u32::MAX)),
    };
    let own = Bulkhead::new(1);
    let registration = registration.bulkhead(if has_bulkhead { around.bulkhead } else { &own });
    match throttle {
        None => drive(registration, plan, hand),
        Some(rate) => {
            let throttle = Throttle::per(rate.count, rate.period).burst(rate.burst);
            drive(registration.throttle(throttle), plan, hand)
        }
    }
}

fn drive<V: View<Fact, Seen: Sync> + Send, L: Untimed + 'static>(
    registration: Registration<'_, Fact, V, L>,
    plan: &HandlerPlan,
    hand: Hand,
) -> Registered
where
    Timed: Inside<L>,
{
    Ok(match plan.driver {
        Driver::Inline => (registration.inline_handler(hand)?, Rein::Nobody),
        Driver::Thread => (registration.run_handler(hand)?, Rein::Nobody),
        Driver::ByHand => {
            let (subscription, mut by_hand) = registration.by_hand_handler(hand)?;
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
        Driver::Task if plan.has_timeout => {
            let (subscription, task) = registration.timeout(TIMEOUT).task_handler(hand)?;
            (subscription, Rein::Task(smol::spawn(task)))
        }
        Driver::Task => {
            let (subscription, task) = registration.task_handler(hand)?;
            (subscription, Rein::Task(smol::spawn(task)))
        }
    })
}
