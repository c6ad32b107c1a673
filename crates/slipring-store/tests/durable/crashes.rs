//! The program ends between any two writes, or at any other moment, and begins anew; stores fail on the way. In the end
//! each event is handled or dead, once if there is an inbox, and at least once if not.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use fastrand::Rng;
use parking_lot::Mutex;
use slipring::Detach;
use slipring_events::{
    AnyEvent, Backoff, Bus, Context, DeadLetters, EventId, HandlerError, Inbox, Part, Registration,
    Retry, Step, Subscription, WhenFull, reactive::Pool,
};
use slipring_store::{
    BusJournal, Entry, EventStore, Memory, Output, StoreCheckpoint, StoreError, StoreInbox,
    StoreLetters, WhenFailing,
};

use crate::{
    common::failing::{Failing, Failure},
    program::{LONG, Number, block_on_until, pause},
};

const KEYS: u64 = 4;
/// How long a run may take that is to end badly. It decides nothing.
const A_WHILE: Duration = Duration::from_millis(60);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Thread,
    Task,
    Pool,
    ByHand,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Overtake,
    Strict,
    ByKey,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    kind: Kind,
    order: Order,
    has_inbox: bool,
    seed: u64,
}

/// What is there beside the store: the world outside.
#[derive(Default)]
struct World {
    /// In which order numbers were handled, whatever became of it.
    seen: Mutex<Vec<u64>>,
    attempts: Mutex<HashMap<u64, u64>>,
}

fn is_poison(number: u64) -> bool {
    number % 23 == 11
}

impl World {
    fn handle(&self, number: u64) -> Result<(), HandlerError> {
        if is_poison(number) {
            return Err("never".into());
        }
        let mut attempts = self.attempts.lock();
        let attempt = attempts.entry(number).or_default();
        *attempt += 1;
        // Some fail at first, and a few panic.
        if *attempt <= number % 5 / 2 {
            assert!(!number.is_multiple_of(2), "bad luck");
            return Err("not yet".into());
        }
        self.seen.lock().push(number);
        Ok(())
    }
}

/// An inbox, or none.
enum MaybeInbox {
    Kept(Box<StoreInbox>),
    None,
}

impl Inbox for MaybeInbox {
    fn knows(&mut self, id: EventId) -> Result<bool, HandlerError> {
        match self {
            Self::Kept(inbox) => inbox.knows(id),
            Self::None => Ok(false),
        }
    }

    fn record(&mut self, id: EventId) -> Result<(), HandlerError> {
        match self {
            Self::Kept(inbox) => inbox.record(id),
            Self::None => Ok(()),
        }
    }
}

/// A handler, and whoever runs it.
struct Worker {
    subscription: Subscription<AnyEvent>,
    is_to_stop: Arc<AtomicBool>,
    runner: Option<JoinHandle<()>>,
}

impl Worker {
    /// It is dropped wherever it is, if it is one that is run by somebody.
    fn stop(&mut self) {
        self.is_to_stop.store(true, Ordering::SeqCst);
        if let Some(runner) = self.runner.take() {
            runner.join().unwrap();
        }
    }
}

struct Program<S> {
    plan: Plan,
    store: Arc<Failing<S>>,
    bus: Bus<AnyEvent>,
    journal: slipring_store::Journal,
    pool: Option<Pool>,
}

type Made<'b> = Registration<'b, AnyEvent, Part<u64>>;

impl<S: EventStore> Program<S> {
    fn start(
        plan: Plan,
        store: &Arc<Failing<S>>,
        rng: &mut Rng,
        holds: bool,
    ) -> Result<Self, HandlerError> {
        let when = if holds { WhenFailing::Hold } else { WhenFailing::Halt };
        let journal = BusJournal::open("numbers", Arc::clone(store), Number)?.when_failing(when);
        let handle = journal.handle();
        let keeper = StoreLetters::named("work", Arc::clone(store), Number);
        let letters = DeadLetters::kept(10_000, WhenFull::Hold, keeper)?;
        let capacity = [8, 64][rng.usize(..2)];
        let bus = Bus::<AnyEvent>::builder(capacity).journal(journal).dead_letters(letters);
        let pool = (plan.kind == Kind::Pool).then(|| Pool::new(2).unwrap());
        let (store, bus) = (Arc::clone(store), bus.start()?);
        Ok(Self { plan, store, bus, journal: handle, pool })
    }

    fn register(&self, world: &Arc<World>) -> Result<Worker, HandlerError> {
        let (inbox, output) = if self.plan.has_inbox {
            let inbox = StoreInbox::last("work", Arc::clone(&self.store), 100_000)?;
            let output = inbox.output();
            (MaybeInbox::Kept(Box::new(inbox)), Some(output))
        } else {
            (MaybeInbox::None, None)
        };
        let made: Made<'_> = self.bus.handler("work").topic("a.#").on::<u64>();
        let made = match self.plan.order {
            Order::Overtake => made,
            Order::Strict => made.in_order(),
            Order::ByKey => made.in_sequence(|number| number % KEYS),
        };
        // Longer than it takes until it is kept how far a handler is, or shorter.
        let wait = Duration::from_millis([1, 30][self.plan.seed as usize % 2]);
        let retry = Retry::immediately(1).then(Backoff::fixed(wait), 200);
        let made = made
            .durable(StoreCheckpoint::new(&self.journal, Number).from_the_beginning())
            .idempotent_by(inbox)
            .retry(retry.when(|error| error.to_string() != "never"));
        let (world, is_to_stop) = (Arc::clone(world), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&is_to_stop);
        let put = move |number: u64, output: &Option<Output>| {
            if let Some(output) = output {
                output.with(|batch| batch.append(Entry::new("seen", &number.to_le_bytes())))?;
            }
            world.handle(number)
        };
        let handle = move |number: &u64, _: &mut Context<'_, AnyEvent>| put(*number, &output);
        let (subscription, runner) = match self.plan.kind {
            Kind::Thread => (made.run(handle)?, None),
            Kind::Pool => (made.pooled(self.pool.as_ref().ok_or("no pool")?, handle)?, None),
            Kind::ByHand => {
                let (subscription, mut hand) = made.by_hand(handle)?;
                let runner = thread::spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        match hand.step() {
                            Step::Over => break,
                            Step::Moved => {}
                            _ => thread::sleep(Duration::from_micros(100)),
                        }
                    }
                });
                (subscription, Some(runner))
            }
            Kind::Task => {
                let (subscription, task) = made.task(async move |number: &u64, context| {
                    // It waits in the middle: there it may be dropped.
                    pause(*number % 3).await;
                    let done = handle(number, context);
                    pause(*number % 2).await;
                    done
                })?;
                (subscription, Some(thread::spawn(move || block_on_until(task, &stop))))
            }
        };
        Ok(Worker { subscription, is_to_stop, runner })
    }
}

/// One run of the program, which may end anywhere. Returns the next number.
fn run<S: EventStore>(
    plan: Plan,
    store: &Arc<Failing<S>>,
    world: &Arc<World>,
    rng: &mut Rng,
    mut next: u64,
) -> u64 {
    let ends_badly = rng.u8(..3) > 0;
    if ends_badly && rng.bool() {
        let failure = if rng.bool() { Failure::Before } else { Failure::After };
        store.end_at(rng.u64(..60), failure);
    }
    if rng.bool() {
        let failure = if rng.bool() { Failure::Before } else { Failure::After };
        store.fail_commit(rng.u64(5..40), failure);
    }
    // One that holds takes a while to end when it never can.
    let holds = rng.u8(..if ends_badly { 6 } else { 2 }) == 0;
    let Ok(program) = Program::start(plan, store, rng, holds) else { return next };
    let mut worker = None;
    let mut publisher = program.bus.publisher();
    for _ in 0..rng.u64(..40) {
        // It comes when there is something on the ring already, or comes again.
        if rng.u8(..10) == 0 {
            let left = worker.take().map(|mut worker: Worker| {
                let how = if rng.bool() { Detach::Drained } else { Detach::AtOnce };
                if rng.bool() {
                    worker.stop();
                }
                let gone = worker.subscription.unsubscribe(how, A_WHILE);
                gone.map_err(|still| (still.subscription, worker.runner, worker.is_to_stop))
            });
            match left {
                None | Some(Ok(_)) => worker = program.register(world).ok(),
                Some(Err((subscription, runner, is_to_stop))) => {
                    worker = Some(Worker { subscription, is_to_stop, runner });
                }
            }
        }
        let topic = if rng.u8(..4) == 0 { "b.x" } else { "a.x" };
        let event = AnyEvent::named(topic, next * KEYS + rng.u64(..KEYS));
        next += 1;
        if publisher.publish_within(A_WHILE, event).is_err() {
            break;
        }
    }
    if ends_badly {
        if rng.bool() {
            store.fail_all(Some(Failure::Before));
        }
        if rng.bool()
            && let Some(worker) = &mut worker
        {
            worker.stop();
        }
    }
    let Program { bus, .. } = program;
    let report = bus.shutdown(if ends_badly { A_WHILE } else { LONG });
    let report = report.unwrap_or_else(|not_done| not_done.report);
    for handler in report.handlers {
        assert!(handler.account.adds_up(), "{plan:?}: {:?}", handler.account);
    }
    if let Some(mut worker) = worker {
        worker.stop();
    }
    next
}

/// How often each number is stored under topics that begin so, by where it is first.
fn count(store: &dyn EventStore, topic: &str) -> Result<Vec<u64>, StoreError> {
    let mut found = Vec::new();
    store.scan(0, &mut |record| {
        if record.topic.starts_with(topic) {
            found.push(u64::from_le_bytes(record.payload.try_into().unwrap()));
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn times(numbers: &[u64]) -> BTreeMap<u64, u64> {
    numbers.iter().fold(BTreeMap::new(), |mut times, number| {
        *times.entry(*number).or_default() += 1;
        times
    })
}

/// All that is stored is handled or dead, and nothing both.
fn check<S: EventStore>(plan: Plan, store: &Arc<Failing<S>>, world: &World) {
    let stored = count(&store.inner, "a.").unwrap();
    assert_eq!(times(&stored).len(), stored.len(), "numbers are stored once");
    let handled = if plan.has_inbox {
        count(&store.inner, "seen").unwrap()
    } else {
        world.seen.lock().clone()
    };
    let keeper = StoreLetters::named("work", Arc::clone(store), Number);
    let letters = DeadLetters::<AnyEvent>::kept(10_000, WhenFull::Hold, keeper).unwrap();
    let dead =
        letters.list().into_iter().map(|info| letters.get(info.id).unwrap().envelope.payload);
    let dead: Vec<u64> = dead.map(|event| *event.get().unwrap()).collect();
    let (handled_times, dead_times) = (times(&handled), times(&dead));
    for number in &stored {
        let (handled, dead) = (handled_times.get(number), dead_times.get(number));
        let is_right = match (handled, dead) {
            (Some(1), None) | (None, Some(1)) => true,
            (Some(_), None) => !plan.has_inbox,
            _ => false,
        };
        assert!(is_right, "{plan:?}: {number} is handled {handled:?} and dead {dead:?} times");
        assert!(!is_poison(*number) || dead.is_some(), "{plan:?}: {number} is poison");
    }
    let known = handled_times.len() + dead_times.len();
    assert_eq!(known, stored.len(), "{plan:?}: nothing but what is stored");
    if plan.order == Order::Overtake {
        return;
    }
    for key in 0..KEYS {
        let of_key = |numbers: &[u64]| {
            let mut of_key: Vec<_> =
                numbers.iter().copied().filter(|number| number % KEYS == key).collect();
            let mut known = std::collections::HashSet::new();
            of_key.retain(|number| known.insert(*number));
            of_key
        };
        let first = of_key(&handled);
        assert!(first.is_sorted(), "{plan:?}: of key {key} came {first:?}");
        if plan.order == Order::ByKey {
            let dead = of_key(&dead);
            assert!(
                dead.is_sorted() && first.last() < dead.first().or(Some(&u64::MAX)),
                "{plan:?}"
            );
        }
    }
}

fn story<S: EventStore>(
    plan: Plan,
    mut open: impl FnMut(Option<Arc<Failing<S>>>) -> Arc<Failing<S>>,
) {
    let (mut rng, world) = (Rng::with_seed(plan.seed), Arc::new(World::default()));
    let (mut store, mut next) = (open(None), 0);
    for _ in 0..6 {
        store = open(Some(store));
        next = run(plan, &store, &world, &mut rng, next);
    }
    store = open(Some(store));
    let program = Program::start(plan, &store, &mut rng, false).unwrap();
    let mut worker = program.register(&world).unwrap();
    program.bus.publisher().publish(AnyEvent::named("a.x", next * KEYS)).unwrap();
    let Program { bus, .. } = program;
    let report = bus.shutdown(LONG).unwrap_or_else(|error| panic!("{plan:?}: {error}"));
    assert!(report.handlers[0].account.adds_up());
    worker.stop();
    check(plan, &store, &world);
}

fn stories(kind: Kind, seeds: u64) {
    let from = fastrand::u64(..1 << 32);
    for (number, seed) in (from..from + seeds).enumerate() {
        let order = [Order::Overtake, Order::Strict, Order::ByKey][number % 3];
        let plan = Plan { kind, order, has_inbox: number / 3 % 2 == 0, seed };
        story(plan, |store| {
            let store = store.unwrap_or_else(|| Failing::new(Memory::new()));
            store.begin_anew();
            store
        });
    }
}

#[test]
fn a_thread_goes_on_where_it_was() {
    stories(Kind::Thread, 6);
}

#[test]
fn a_task_goes_on_where_it_was() {
    stories(Kind::Task, 6);
}

#[test]
fn a_handler_on_a_pool_goes_on_where_it_was() {
    stories(Kind::Pool, 6);
}

#[test]
fn a_handler_by_hand_goes_on_where_it_was() {
    stories(Kind::ByHand, 6);
}

#[cfg(feature = "embedded")]
#[test]
fn it_is_the_same_with_a_store_in_a_directory() {
    use slipring_store::Embedded;
    let kinds = [Kind::Thread, Kind::Task, Kind::Pool, Kind::ByHand];
    for (seed, kind) in (fastrand::u64(..1 << 32)..).zip(kinds) {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan { kind, order: Order::ByKey, has_inbox: seed % 2 == 0, seed };
        story(plan, |store| {
            drop(store);
            let mut opened = None;
            // Whoever had it may be about to let go of it.
            crate::common::until("it can be opened", || {
                opened = Embedded::open(dir.path()).ok();
                opened.is_some()
            });
            Failing::new(opened.unwrap())
        });
    }
}
