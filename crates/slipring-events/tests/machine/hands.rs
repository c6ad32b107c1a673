//! A handler at work, and what it writes down.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use parking_lot::Mutex;
use slipring_events::{
    Clock as _, Context, DeadLetters, EventId, Handle, HandlerError, ManualClock, Saga,
    all_or_nothing,
};

use crate::{
    facts::{Fact, Note, Remark},
    plan::{Driver, HandlerPlan},
};

pub const ON_PURPOSE: &str = "on purpose";

/// An attempt that has come to an end.
#[derive(Clone, Debug)]
pub struct Try {
    pub sequence: u64,
    pub number: u64,
    pub key: u8,
    pub attempt: u32,
    /// When it was begun and when it ended, by the clock of the round.
    pub from: Duration,
    pub to: Duration,
    /// What the handler has said.
    pub went_well: bool,
    /// Whether it counts: it may have gone well and not be recorded.
    pub is_ok: bool,
    /// How many steps were done, to stay if it went well.
    pub steps: usize,
    pub follow_ups: Vec<Next>,
}

/// What follows.
#[derive(Clone, Copy, Debug)]
pub struct Next {
    pub number: u64,
    pub delay: Option<Duration>,
    pub is_reply: bool,
}

/// What a handler has written down.
#[derive(Debug, Default)]
pub struct Notes {
    pub tries: Vec<Try>,
    /// What it was told that it had handled before, each time.
    pub known: Vec<EventId>,
    /// How often it was not told whether it had.
    pub unknowable: u64,
    pub complaints: Vec<String>,
}

pub type Log = Arc<Mutex<Notes>>;

/// What a handler of a round has, whoever runs it.
#[derive(Clone)]
pub struct Core {
    pub seed: u64,
    pub plan: HandlerPlan,
    pub most_depth: u8,
    pub numbers: Arc<AtomicU64>,
    pub clock: ManualClock,
    /// How many are at it of those that stand in the bulkhead, and how many may be.
    pub crowd: Arc<AtomicUsize>,
    pub places: usize,
    pub letters: DeadLetters<Fact>,
    /// Steps that were done and not undone.
    pub ledger: Arc<Mutex<Vec<usize>>>,
    pub log: Log,
}

/// A handler of a round.
pub struct Hand {
    core: Core,
    saga: Option<Saga<u32, Step>>,
}

type Step = Box<dyn FnMut(Option<u32>, &Fact, &mut Context<'_, Fact>) -> Memory + Send>;
type Memory = Result<Option<u32>, HandlerError>;

/// An attempt at work. It is written down however it ends.
struct Attempt<'a> {
    core: &'a Core,
    record: Option<Try>,
    rng: Rng,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.core.stands_in_the_bulkhead() {
            self.core.crowd.fetch_sub(1, Ordering::Relaxed);
        }
        let to = self.core.clock.monotonic();
        let record = self.record.take().map(|record| Try { to, is_ok: record.went_well, ..record });
        self.core.log.lock().tries.extend(record);
    }
}

impl Core {
    fn complain(&self, complaint: String) {
        self.log.lock().complaints.push(complaint);
    }

    fn stands_in_the_bulkhead(&self) -> bool {
        self.plan.limits.is_some_and(|limits| limits.has_bulkhead)
    }

    /// What comes of this attempt is a matter of the seed.
    fn dice(&self, number: u64, attempt: u32) -> Rng {
        let mut rng = Rng::with_seed(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..attempt).for_each(|_| drop(rng.fork()));
        rng
    }

    fn begin(&self, context: &Context<'_, Fact>) -> Attempt<'_> {
        if self.stands_in_the_bulkhead() {
            let before = self.crowd.fetch_add(1, Ordering::Relaxed);
            if before >= self.places {
                self.complain(format!("{} are in a bulkhead for {}", before + 1, self.places));
            }
        }
        // Nobody else adds letters.
        if self.plan.holds && self.letters.len() >= self.plan.letters {
            self.complain("it goes on where it has to hold".to_owned());
        }
        let (Note { number, key, .. }, now) = (*context.event().note(), self.clock.monotonic());
        let record = Try {
            sequence: context.sequence(),
            number,
            key,
            attempt: context.attempt(),
            from: now,
            to: now,
            went_well: false,
            is_ok: false,
            steps: 0,
            follow_ups: Vec::new(),
        };
        let rng = self.dice(number, context.attempt());
        Attempt { core: self, record: Some(record), rng }
    }

    fn attempt(&self, context: &mut Context<'_, Fact>) -> Result<(), HandlerError> {
        self.begin(context).work(context)
    }
}

impl Attempt<'_> {
    fn work(mut self, context: &mut Context<'_, Fact>) -> Result<(), HandlerError> {
        let Some(mut record) = self.record.take() else { return Ok(()) };
        let fails = self.rng.u8(..16) < self.core.plan.fails;
        let followed = self.lead_to_more(context, &mut record.follow_ups);
        record.steps = self.rng.usize(..3);
        let steps = record.steps;
        // From here on it may panic.
        self.record = Some(record);
        let done = self.do_steps(steps, fails, followed);
        if let Some(record) = &mut self.record {
            record.went_well = done.is_ok();
        }
        done
    }

    fn lead_to_more(
        &mut self,
        context: &mut Context<'_, Fact>,
        follow_ups: &mut Vec<Next>,
    ) -> Result<(), HandlerError> {
        let Self { core, rng, .. } = self;
        let Note { depth, asks, .. } = *context.event().note();
        let new = |key, depth| {
            let number = core.numbers.fetch_add(1, Ordering::Relaxed);
            Note { number, key, depth, asks: false }
        };
        if asks && core.plan.replies {
            let note = new(rng.u8(..4), u8::MAX);
            follow_ups.push(Next { number: note.number, delay: None, is_reply: true });
            context.reply(note)?;
        }
        if depth >= core.most_depth || rng.u8(..4) > 0 {
            return Ok(());
        }
        for _ in 0..rng.u8(1..3) {
            let note = new(rng.u8(..4), depth + 1);
            let is_later = core.plan.driver != Driver::Inline && rng.u8(..4) == 0;
            let delay = is_later.then(|| Duration::from_nanos(rng.u64(..200_000)));
            follow_ups.push(Next { number: note.number, delay, is_reply: false });
            match (delay, rng.bool()) {
                (Some(delay), _) => context.publish_after(delay, note)?,
                (None, true) => context.publish(note)?,
                (None, false) => context.publish(Remark(note))?,
            }
        }
        Ok(())
    }

    /// So many steps, or none if it fails.
    fn do_steps(
        &mut self,
        count: usize,
        fails: bool,
        followed: Result<(), HandlerError>,
    ) -> Result<(), HandlerError> {
        let (core, rng) = (self.core, &mut self.rng);
        let ledger = || core.ledger.lock();
        let before = ledger().len();
        let all = all_or_nothing(|steps| {
            for step in before..before + count {
                ledger().push(step);
                steps.undo("step", move || {
                    let last = core.ledger.lock().pop();
                    if last == Some(step) { Ok(()) } else { Err("it is not the last one") }
                });
            }
            if fails && rng.bool() {
                std::panic::panic_any(ON_PURPOSE);
            }
            if fails { Err("no".into()) } else { followed }
        });
        all.map_err(|error| {
            if !error.not_undone.is_empty() || ledger().len() != before {
                core.complain(format!("it was not undone: {error}"));
            }
            error.into()
        })
    }
}

impl Hand {
    pub fn new(core: Core) -> Self {
        let saga = core.plan.is_saga.then(|| Saga::new(step(core.clone())));
        Self { core, saga }
    }
}

/// Counts how often each conversation was gone on with; and counts it a second time, to see that it is right.
fn step(core: Core) -> Step {
    let mut stories: HashMap<EventId, u32> = HashMap::new();
    Box::new(move |remembered, fact, context| {
        let story = context.correlation();
        let expected = stories.get(&story).copied();
        if remembered != expected {
            core.complain(format!("{remembered:?} is remembered of a story, not {expected:?}"));
        }
        core.attempt(context)?;
        // Some are at their end.
        let next = (fact.note().number % 5 > 0).then(|| expected.unwrap_or(0) + 1);
        match next {
            Some(next) => drop(stories.insert(story, next)),
            None => drop(stories.remove(&story)),
        }
        Ok(next)
    })
}

impl<T> Handle<Fact, T> for Hand {
    async fn handle(&mut self, _: &T, context: &mut Context<'_, Fact>) -> Result<(), HandlerError> {
        let fact = context.event().clone();
        if let Some(saga) = &mut self.saga {
            return saga.handle(&fact, context).await;
        }
        let mut attempt = self.core.begin(context);
        if self.core.plan.driver == Driver::Task && context.sequence().is_multiple_of(3) {
            smol::future::yield_now().await;
        }
        if self.core.plan.has_timeout && attempt.rng.u8(..16) == 0 {
            std::future::pending::<()>().await;
        }
        attempt.work(context)
    }
}
