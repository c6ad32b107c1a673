//! Runs a round: starts the ring, lets everybody loose on it, ends it, and gathers the evidence.

use std::{
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use slipring::{BuildError, Dispatcher, Monitor, Producer, ShutdownCause};

use crate::{
    event::{Event, Parcel, Stamp},
    evidence::{Account, Act, Cause, Ending, Evidence, Ledger, Look, Shared, Testimony, Visit},
    plan::{Awaits, Cargo, Deed, Driver, Plan, VisitPlan, Way},
    pollers,
    producers::{self, Renew},
    ring,
    script::Script,
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
    let (ring, scripts) = ring::describe::<E>(plan, shared);
    if plan.is_multi {
        match ring.start_multi() {
            Ok((producer, dispatcher)) => {
                let mut producers = vec![producer.clone(); plan.producers.len() - 1];
                producers.push(producer);
                Outcome::Ran(Box::new(play(plan, shared, producers, dispatcher, scripts)))
            }
            Err(error) => not_started(plan, shared, &error, scripts),
        }
    } else {
        match ring.start() {
            Ok((producer, dispatcher)) => {
                Outcome::Ran(Box::new(play(plan, shared, vec![producer], dispatcher, scripts)))
            }
            Err(error) => not_started(plan, shared, &error, scripts),
        }
    }
}

fn not_started(
    plan: &Plan,
    shared: &Arc<Shared>,
    error: &BuildError,
    scripts: Vec<Script>,
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

/// What a thread of a round came to, or that it panicked by itself.
type Thread<T> = (String, JoinHandle<T>);

fn spawn<T: Send + 'static>(
    shared: &Arc<Shared>,
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> Thread<T> {
    let enlisted = shared.enlist(name.clone());
    let body = move || {
        let _enlisted = enlisted;
        body()
    };
    let handle = thread::Builder::new().name(name.clone()).spawn(body).expect("a thread");
    (name, handle)
}

fn joined<T>((name, handle): Thread<T>, complaints: &mut Vec<String>) -> Option<T> {
    let outcome = handle.join();
    if outcome.is_err() {
        complaints.push(format!("{name} panicked by itself"));
    }
    outcome.ok()
}

fn play<E: Event, C: Renew + 'static>(
    plan: &Plan,
    shared: &Arc<Shared>,
    producers: Vec<Producer<E, C>>,
    mut dispatcher: Dispatcher<E>,
    scripts: Vec<Script>,
) -> Evidence
where
    Producer<E, C>: Send,
{
    let mut complaints = Vec::new();
    if let Some(failing) = plan.start_failure() {
        complaints.push(format!("the ring started although {} did not", failing.name));
    }
    let pollers = start_pollers(shared, &mut dispatcher, scripts);
    let visitors = start_visitors(plan, shared, &dispatcher);
    let lookout = Lookout::start(plan, shared, &dispatcher);
    let producers: Vec<Thread<Ledger>> = producers
        .into_iter()
        .enumerate()
        .map(|(index, producer)| start_producer(plan, shared, index, producer))
        .collect();
    let (closes, halts) = make_trouble(plan, shared, &dispatcher);

    let mut ledgers = Gathering::new(producers);
    let mut polled = Gathering::new(pollers);
    thread::sleep(plan.finale.after);
    if plan.finale.awaits != Awaits::Nobody {
        ledgers.finish(&mut complaints);
    }
    if plan.finale.awaits == Awaits::ProducersAndPollers {
        polled.finish(&mut complaints);
    }
    let without_pollers =
        plan.stations.iter().map(|_| plan.finale.awaits == Awaits::ProducersAndPollers).collect();
    let without_producers = plan.finale.awaits != Awaits::Nobody;
    let (cause, account) = if plan.finale.elsewhere {
        let (way, plan) = (plan.finale.way, plan.clone());
        let shared_by_it = Arc::clone(shared);
        let ending = move || end(dispatcher, way, &plan, &shared_by_it);
        let ended = joined(spawn(shared, "finale".to_owned(), ending), &mut complaints);
        ended.unwrap_or((Cause::Dropped { may_be_halted: true }, None))
    } else {
        end(dispatcher, plan.finale.way, plan, shared)
    };
    let ending = Ending { cause, account, without_producers, without_pollers };
    ledgers.finish(&mut complaints);
    polled.finish(&mut complaints);
    let visits = |(visitor, plans): (Thread<Vec<Visit>>, &Vec<VisitPlan>)| {
        joined(visitor, &mut complaints).unwrap_or_else(|| vec![Visit::default(); plans.len()])
    };
    let visits = visitors.into_iter().zip(&plan.visitors).flat_map(visits).collect();

    let testimonies = await_testimonies(shared);
    let (looks, last_look) = lookout.end(shared, &mut complaints);
    if let Cause::TimedOut(running) = &ending.cause
        && !running.is_empty()
    {
        await_the_end_of(shared);
    }
    Evidence {
        ledgers: ledgers.results,
        testimonies,
        asked: shared.asked(),
        visits,
        cleared: shared.cleared(),
        reset_panicked: shared.reset_panicked.load(Ordering::Relaxed),
        closes,
        halts,
        ending,
        last_look,
        looks,
        count: shared.census.count(),
        complaints,
    }
}

/// Threads, and what those that have been waited for came to.
struct Gathering<T> {
    threads: Vec<Thread<T>>,
    results: Vec<T>,
}

impl<T> Gathering<T> {
    fn new(threads: Vec<Thread<T>>) -> Self {
        Self { threads, results: Vec::new() }
    }

    fn finish(&mut self, complaints: &mut Vec<String>) {
        for thread in self.threads.drain(..) {
            self.results.extend(joined(thread, complaints));
        }
    }
}

/// Those who look at the ring.
struct Lookout {
    watcher: Option<Thread<Watched>>,
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
        let came_of_it = self.watcher.and_then(|watcher| joined(watcher, complaints));
        let Watched { looks, complaints: seen } = came_of_it.unwrap_or_default();
        complaints.extend(seen);
        (looks, self.monitor.map(|monitor| Look::of(&monitor.snapshot())))
    }
}

/// Starts a thread for each poller that is taken; the others' scripts end here.
fn start_pollers<E: Event>(
    shared: &Arc<Shared>,
    dispatcher: &mut Dispatcher<E>,
    scripts: Vec<Script>,
) -> Vec<Thread<()>> {
    let mut threads = Vec::new();
    for script in scripts {
        let name = script.plan().name.clone();
        let Driver::Poller(how) = script.plan().driver.clone() else { continue };
        let thread = if script.plan().mutates {
            let poller = dispatcher.poller_mut(&name).expect("declared, and taken once");
            spawn(shared, format!("poller {name}"), move || pollers::attend(poller, script, &how))
        } else {
            let poller = dispatcher.poller(&name).expect("declared, and taken once");
            spawn(shared, format!("poller {name}"), move || pollers::attend(poller, script, &how))
        };
        threads.push(thread);
    }
    threads
}

/// Starts a thread for each visitor.
fn start_visitors<E: Event>(
    plan: &Plan,
    shared: &Arc<Shared>,
    dispatcher: &Dispatcher<E>,
) -> Vec<Thread<Vec<Visit>>> {
    let mut indices = plan.stations.len()..;
    let start = |(number, visits): (usize, &Vec<VisitPlan>)| {
        let scripts = indices.by_ref().take(visits.len());
        let scripts: Vec<Script> = scripts.map(|index| Script::new(plan, index, shared)).collect();
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
) -> Thread<Ledger>
where
    Producer<E, C>: Send,
{
    let how = plan.producers[index].clone();
    // The only producer writes again to slots that a panic of its own has left half-written.
    let slots_are_cleared = plan.reset.is_some() && (plan.is_multi || how.panics == 0);
    let shared_by_it = Arc::clone(shared);
    spawn(shared, format!("producer {index}"), move || {
        producers::feed(producer, index, &how, slots_are_cleared, &shared_by_it)
    })
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
