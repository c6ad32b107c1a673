//! Runs a round: starts the ring, lets everybody loose on it, ends it, and gathers the evidence.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use slipring::{BuildError, Dispatcher, Monitor, Producer, ShutdownCause};

use crate::{
    cast::{Actor, Executors, Gathering, spawn},
    event::{Event, Parcel, Stamp},
    evidence::{Account, Act, Cause, Ending, Evidence, Ledger, Look, Testimony, Visit},
    executor,
    plan::{Awaits, Cargo, Deed, Driver, ExecutorPlan, Plan, PollerPlan, VisitPlan, Way},
    pollers,
    producers::{self, Renew},
    ring,
    scoped::{self, Record},
    script::Script,
    shared::Shared,
    tasks::Awaited,
    visitors,
    watcher::{Watched, Watcher},
};

/// A dropped dispatcher halts what has not drained within ten seconds. One that took less has
/// not done so.
const LESS_THAN_DROP_PATIENCE: Duration = Duration::from_secs(9);

/// What came of a round.
#[derive(Debug)]
pub enum Outcome {
    Ran(Box<Evidence>),
    /// The ring did not start, as planned; what was wrong with that.
    NotStarted(Vec<String>),
}

pub fn run(plan: &Plan, shared: &Arc<Shared>) -> Outcome {
    match plan.cargo {
        Cargo::Copied => run_with::<Stamp>(plan, shared),
        Cargo::Owned => run_with::<Parcel>(plan, shared),
    }
}

fn run_with<E: Event>(plan: &Plan, shared: &Arc<Shared>) -> Outcome {
    if let Way::Scope(end) = plan.finale.way {
        return scoped::run::<E>(plan, shared, end);
    }
    let own = Record::Own(Arc::clone(shared));
    let (ring, scripts) = ring::describe::<E>(plan, &own, shared);
    drop(own);
    if plan.is_multi {
        match ring.start_multi() {
            Ok((producer, dispatcher)) => {
                let mut producers = vec![producer.clone(); plan.producers.len() - 1];
                producers.push(producer);
                play(plan, shared, producers, dispatcher, scripts)
            }
            Err(error) => not_started(plan, shared, &error, scripts),
        }
    } else {
        match ring.start() {
            Ok((producer, dispatcher)) => play(plan, shared, vec![producer], dispatcher, scripts),
            Err(error) => not_started(plan, shared, &error, scripts),
        }
    }
}

/// What is wrong with a ring that did not start.
pub fn not_started(
    plan: &Plan,
    shared: &Arc<Shared>,
    error: &BuildError,
    scripts: Vec<Script<'static>>,
) -> Outcome {
    drop(scripts);
    let mut complaints = Vec::new();
    match (error, plan.start_failure()) {
        (BuildError::NotStarted { station, .. }, Some(failing)) if *station == failing.name => {}
        _ => complaints.push(format!("the ring did not start: {error}")),
    }
    for index in plan.stations.len()..plan.everybody().count() {
        shared.testify(index, 0, Testimony::default());
    }
    let seen = await_testimonies(shared).iter().any(|testimony| !testimony.log.is_empty());
    if seen || !shared.cleared().is_empty() {
        complaints.push("a ring that did not start has handled something".to_owned());
    }
    if !shared.census.count().is_even() {
        complaints.push(format!("not dropped once each: {:?}", shared.census.count()));
    }
    Outcome::NotStarted(complaints)
}

/// A round while it runs.
pub struct Play<'a> {
    plan: &'a Plan,
    shared: &'a Arc<Shared>,
    executors: Gathering<()>,
    ledgers: Gathering<Ledger>,
    polled: Gathering<()>,
    visitors: Vec<Actor<Vec<Visit>>>,
    lookout: Lookout,
    closes: u32,
    halts: u32,
    pub complaints: Vec<String>,
}

impl<'a> Play<'a> {
    /// Lets everybody loose on the ring.
    pub fn begin<E: Event, C: Renew + 'static>(
        plan: &'a Plan,
        shared: &'a Arc<Shared>,
        producers: Vec<Producer<E, C>>,
        dispatcher: &mut Dispatcher<E>,
        scripts: Vec<Script<'static>>,
    ) -> Self
    where
        Producer<E, C>: Send,
    {
        let mut complaints = Vec::new();
        if let Some(failing) = plan.start_failure() {
            complaints.push(format!("the ring started although {} did not", failing.name));
        }
        let mut executors = Executors::new(plan);
        let pollers = start_pollers(shared, dispatcher, scripts, &mut executors);
        let visitors = start_visitors(plan, shared, dispatcher);
        let lookout = Lookout::start(plan, shared, dispatcher);
        let producers: Vec<Actor<Ledger>> = producers
            .into_iter()
            .enumerate()
            .map(|(index, producer)| start_producer(plan, shared, index, producer, &mut executors))
            .collect();
        let executors = executors.start(shared);
        let (closes, halts) = make_trouble(plan, shared, dispatcher);
        Self {
            plan,
            shared,
            executors,
            ledgers: Gathering::new(producers),
            polled: Gathering::new(pollers),
            visitors,
            lookout,
            closes,
            halts,
            complaints,
        }
    }

    /// Waits for the moment at which the ring is to end.
    pub fn go_on(&mut self) {
        thread::sleep(self.plan.finale.after);
        if self.plan.finale.awaits != Awaits::Nobody {
            self.ledgers.finish(&mut self.complaints);
        }
        if self.plan.finale.awaits == Awaits::ProducersAndPollers {
            self.polled.finish(&mut self.complaints);
        }
    }

    /// Gathers the evidence, when the ring has ended.
    pub fn end(mut self, cause: Cause, account: Option<Account>) -> Evidence {
        let Self { plan, shared, .. } = self;
        let awaits = plan.finale.awaits;
        let without_pollers =
            plan.stations.iter().map(|_| awaits == Awaits::ProducersAndPollers).collect();
        let without_producers = awaits != Awaits::Nobody;
        let ending = Ending { cause, account, without_producers, without_pollers };
        self.ledgers.finish(&mut self.complaints);
        self.polled.finish(&mut self.complaints);
        self.executors.finish(&mut self.complaints);
        let visits = |(visitor, plans): (Actor<Vec<Visit>>, &Vec<VisitPlan>)| {
            let visits = visitor.joined(&mut self.complaints);
            visits.unwrap_or_else(|| vec![Visit::default(); plans.len()])
        };
        let visits = self.visitors.into_iter().zip(&plan.visitors).flat_map(visits).collect();

        let testimonies = await_testimonies(shared);
        let (looks, last_look) = self.lookout.end(shared, &mut self.complaints);
        if let Cause::TimedOut(running) = &ending.cause
            && !running.is_empty()
        {
            await_the_end_of(shared);
        }
        Evidence {
            ledgers: self.ledgers.results,
            testimonies,
            asked: shared.asked(),
            visits,
            cleared: shared.cleared(),
            reset_panicked: shared.reset_panicked.load(Ordering::Relaxed),
            closes: self.closes,
            halts: self.halts,
            ending,
            scope: None,
            last_look,
            looks,
            count: shared.census.count(),
            complaints: self.complaints,
        }
    }
}

fn play<E: Event, C: Renew + 'static>(
    plan: &Plan,
    shared: &Arc<Shared>,
    producers: Vec<Producer<E, C>>,
    mut dispatcher: Dispatcher<E>,
    scripts: Vec<Script<'static>>,
) -> Outcome
where
    Producer<E, C>: Send,
{
    let mut round = Play::begin(plan, shared, producers, &mut dispatcher, scripts);
    round.go_on();
    let (cause, account) = if plan.finale.elsewhere {
        let (way, plan) = (plan.finale.way, plan.clone());
        let shared_by_it = Arc::clone(shared);
        let ending = move || end(dispatcher, way, &plan, &shared_by_it);
        let ended = spawn(shared, "finale".to_owned(), ending).joined(&mut round.complaints);
        ended.unwrap_or((Cause::Dropped { may_be_halted: true }, None))
    } else {
        end(dispatcher, plan.finale.way, plan, shared)
    };
    Outcome::Ran(Box::new(round.end(cause, account)))
}

/// Those who look at the ring.
struct Lookout {
    watcher: Option<Actor<Watched>>,
    /// For the last look.
    monitor: Option<Monitor>,
}

impl Lookout {
    fn start<E: Event>(plan: &Plan, shared: &Arc<Shared>, dispatcher: &Dispatcher<E>) -> Self {
        let watcher = plan.watch.map(|rest| {
            let watcher = Watcher::new(plan, dispatcher.monitor(), shared);
            spawn(shared, "watcher".to_owned(), move || watcher.watch(rest))
        });
        Self { watcher, monitor: plan.has_last_look().then(|| dispatcher.monitor()) }
    }

    /// How many looks there were, and what the last one shows, when all is over. With this goes the
    /// ring, if all others have let go of it.
    fn end(self, shared: &Shared, complaints: &mut Vec<String>) -> (u64, Option<Look>) {
        shared.is_over.store(true, Ordering::Release);
        let came_of_it = self.watcher.and_then(|watcher| watcher.joined(complaints));
        let Watched { looks, complaints: seen } = came_of_it.unwrap_or_default();
        complaints.extend(seen);
        (looks, self.monitor.map(|monitor| Look::of(&monitor.snapshot())))
    }
}

/// Starts a thread, or a task, for each poller that is taken; the others' scripts end here.
fn start_pollers<E: Event>(
    shared: &Arc<Shared>,
    dispatcher: &mut Dispatcher<E>,
    scripts: Vec<Script<'static>>,
    executors: &mut Executors,
) -> Vec<Actor<()>> {
    let mut actors = Vec::new();
    for script in scripts {
        let name = script.plan().name.clone();
        let Driver::Poller(how) = script.plan().driver.clone() else { continue };
        let actor = if script.plan().mutates {
            let poller = dispatcher.poller_mut(&name).expect("declared, and taken once");
            start_poller(shared, poller, script, how, executors)
        } else {
            let poller = dispatcher.poller(&name).expect("declared, and taken once");
            start_poller(shared, poller, script, how, executors)
        };
        actors.push(actor);
    }
    actors
}

fn start_poller<P: Awaited + Send + 'static>(
    shared: &Arc<Shared>,
    poller: P,
    script: Script<'static>,
    how: PollerPlan,
    executors: &mut Executors,
) -> Actor<()> {
    let name = format!("poller {}", script.plan().name);
    let task = how.task;
    let attend = move || async move { pollers::attend(poller, script, &how).await };
    match task {
        Some(task) => executors.spawn(task.executor, shared, name, attend),
        None => spawn(shared, name, || executor::alone(attend(), ExecutorPlan::default())),
    }
}

/// Starts a thread for each visitor.
fn start_visitors<E: Event>(
    plan: &Plan,
    shared: &Arc<Shared>,
    dispatcher: &Dispatcher<E>,
) -> Vec<Actor<Vec<Visit>>> {
    let mut indices = plan.stations.len()..;
    let start = |(number, visits): (usize, &Vec<VisitPlan>)| {
        let scripts = indices.by_ref().take(visits.len());
        let script = |index| Script::new(plan, index, Record::Own(Arc::clone(shared)));
        let scripts: Vec<Script<'static>> = scripts.map(script).collect();
        let visitor = visitors::Visitor::new(plan, dispatcher.membership(), shared);
        let visits = visits.clone();
        spawn(shared, format!("visitor {number}"), move || visitor.pay(visits, scripts))
    };
    plan.visitors.iter().enumerate().map(start).collect()
}

fn start_producer<E: Event, C: Renew + 'static>(
    plan: &Plan,
    shared: &Arc<Shared>,
    index: usize,
    producer: Producer<E, C>,
    executors: &mut Executors,
) -> Actor<Ledger>
where
    Producer<E, C>: Send,
{
    let how = plan.producers[index].clone();
    // The only producer writes again to slots that a panic of its own has left half-written.
    let slots_are_cleared = plan.reset.is_some() && (plan.is_multi || how.panics == 0);
    let shared_by_it = Arc::clone(shared);
    let (name, task) = (format!("producer {index}"), how.task);
    let feed = move || async move {
        producers::feed(producer, index, &how, slots_are_cleared, &shared_by_it).await
    };
    match task {
        Some(executor) => executors.spawn(executor, shared, name, feed),
        None => spawn(shared, name, || executor::alone(feed(), ExecutorPlan::default())),
    }
}

/// Closes and halts from other threads, as planned; returns how often.
fn make_trouble<E: Event>(
    plan: &Plan,
    shared: &Arc<Shared>,
    dispatcher: &Dispatcher<E>,
) -> (u32, u32) {
    thread::scope(|scope| {
        for trouble in &plan.troubles {
            scope.spawn(move || {
                thread::sleep(trouble.after);
                shared.is_closing.store(true, Ordering::Release);
                match trouble.deed {
                    Deed::Close => dispatcher.close(),
                    Deed::Halt => dispatcher.halt(),
                }
                shared.is_closed.store(true, Ordering::Release);
            });
        }
    });
    let times = |deed| plan.troubles.iter().filter(|trouble| trouble.deed == deed).count() as u32;
    (times(Deed::Close), times(Deed::Halt))
}

fn end<E: Event>(
    dispatcher: Dispatcher<E>,
    way: Way,
    plan: &Plan,
    shared: &Shared,
) -> (Cause, Option<Account>) {
    shared.is_closing.store(true, Ordering::Release);
    shared.begin(Act::During);
    let ended = end_by(dispatcher, way, plan);
    shared.begin(Act::After);
    ended
}

fn end_by<E: Event>(dispatcher: Dispatcher<E>, way: Way, plan: &Plan) -> (Cause, Option<Account>) {
    let outcome = match way {
        Way::Join => dispatcher.join(),
        Way::Shutdown(timeout) => dispatcher.shutdown(timeout),
        Way::Drop => {
            let started = Instant::now();
            drop(dispatcher);
            let may_be_halted = started.elapsed() > LESS_THAN_DROP_PATIENCE;
            return (Cause::Dropped { may_be_halted }, None);
        }
        Way::Scope(_) => unreachable!("its dispatcher is lent"),
    };
    let (cause, report) = match outcome {
        Ok(report) => (Cause::Drained, report),
        Err(error) => match error.cause {
            ShutdownCause::Fault(fault) => (Cause::Fault((&fault).into()), error.report),
            ShutdownCause::TimedOut { running } => (Cause::TimedOut(running), error.report),
            cause => panic!("no handler ends its ring, and yet: {cause:?}"),
        },
    };
    let account = Account::of(&report, plan).unwrap_or_else(|complaint| panic!("{complaint}"));
    (cause, Some(account))
}

/// Waits until the code of every station has been dropped; the watchdog sees to it that this ends.
fn await_testimonies(shared: &Shared) -> Vec<Testimony> {
    loop {
        if let Some(testimonies) = shared.take_testimonies() {
            return testimonies;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for a thread that a shutdown has left alone, and that keeps the ring alive.
fn await_the_end_of(shared: &Shared) {
    while !shared.census.count().is_even() {
        thread::sleep(Duration::from_millis(1));
    }
}
