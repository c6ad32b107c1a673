//! Random rings beside a sequential model.
//!
//! A case is an acyclic graph of up to six stations, threads, teams and pollers mixed, that read or change
//! events, fail now and then, and skip or retry; one or several producers that publish in batches
//! and sometimes panic half-way; a tiny ring. The model runs the same events, in the order of the
//! sequences that the producers were given, through the stations one after the other. Every
//! station must have seen exactly what the model says, and the report must add up.

mod common;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    thread,
};

use common::{Log, assert_accounts, within_a_minute};
use proptest::prelude::*;
use slipring::{
    Access, At, Builder, Claim, Dispatcher, Exclusive, Policy, Poll, Poller, Producer, Report,
    Shared, Station, Wait, keyed, keyed_mut, poller, poller_mut, read, share, share_mut, update,
};

/// What a station looks like.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // They are drawn, not designed.
struct Plan {
    /// Earlier stations that it follows.
    follows: Vec<usize>,
    mutates: bool,
    is_polled: bool,
    /// How many threads share it; one has it to itself.
    workers: usize,
    /// Whether they do so by the events' keys.
    by_key: bool,
    max_batch: usize,
    wait: Wait,
    /// It fails at sequences that are this modulo 7; none if larger.
    fails_at: u64,
    /// How often it fails there before it succeeds.
    failures: u32,
    panics: bool,
    policy: Policy,
}

impl Plan {
    fn name(index: usize) -> String {
        format!("s{index}")
    }

    /// Whether the handler fails for good at this sequence.
    fn skips(&self, sequence: u64) -> bool {
        let retries = match self.policy {
            Policy::Retry { times, .. } => times.get(),
            _ => 0,
        };
        sequence % 7 == self.fails_at && self.failures > retries
    }

    /// Calls repeated at this sequence.
    fn retries(&self, sequence: u64) -> u64 {
        match self.policy {
            Policy::Retry { times, .. } if sequence % 7 == self.fails_at => {
                u64::from(times.get().min(self.failures))
            }
            _ => 0,
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    capacity: usize,
    first: u64,
    stations: Vec<Plan>,
    /// Batch lengths of each producer; more than one producer needs a multi-producer ring.
    producers: Vec<Vec<usize>>,
    is_multi: bool,
    /// A batch whose number is this modulo 5 panics half-way; none if larger.
    panics_at: usize,
}

/// An event, and the traces that changing stations leave on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Event {
    producer: usize,
    number: u64,
    trace: u64,
}

impl Event {
    fn pass(&mut self, station: usize) {
        self.trace = self.trace.wrapping_mul(31).wrapping_add(station as u64 + 1);
    }
}

fn waits() -> impl Strategy<Value = Wait> {
    prop::sample::select(vec![
        Wait::Adaptive,
        Wait::Hint,
        Wait::Yield,
        Wait::Backoff,
        Wait::Sleep(std::time::Duration::from_micros(5)),
        Wait::Block,
    ])
}

fn station(index: usize) -> impl Strategy<Value = Plan> {
    let follows = prop::collection::vec(0..index.max(1), 0..=index.min(3));
    let policy = prop::sample::select(vec![Policy::Skip, Policy::retry(2).or_skip()]);
    let failing = (0_u64..20, 1_u32..5, any::<bool>(), policy);
    let workers = (prop_oneof![2 => Just(1), 1 => 2_usize..4], any::<bool>());
    (follows, any::<bool>(), prop::bool::weighted(0.2), workers, 1_usize..9, waits(), failing)
        .prop_map(
            move |(
                mut follows,
                mutates,
                is_polled,
                (workers, by_key),
                max_batch,
                wait,
                failing,
            )| {
                follows.retain(|followed| *followed < index);
                let (fails_at, failures, panics, policy) = failing;
                Plan {
                    follows,
                    mutates,
                    is_polled,
                    workers,
                    by_key,
                    max_batch,
                    wait,
                    fails_at,
                    failures,
                    panics,
                    policy,
                }
            },
        )
}

fn cases() -> impl Strategy<Value = Case> {
    let stations = (1_usize..7).prop_flat_map(|count| (0..count).map(station).collect::<Vec<_>>());
    let batches = prop::collection::vec(1_usize..5, 1..12);
    let producers = prop::collection::vec(batches, 1..4);
    let first = prop_oneof![Just(0), 1_u64..1_000, Just((1 << 34) - 3), Just((1 << 62) - 9)];
    (0_u32..4, first, stations, producers, any::<bool>(), 0_usize..15).prop_map(
        |(bits, first, mut stations, producers, is_multi, panics_at)| {
            order_mutations(&mut stations);
            let is_multi = is_multi || producers.len() > 1;
            Case { capacity: 1 << bits, first, stations, producers, is_multi, panics_at }
        },
    )
}

/// Lets a station change events only if it is before or after every other one.
fn order_mutations(stations: &mut [Plan]) {
    let mut before: Vec<Vec<usize>> = Vec::new();
    for plan in stations.iter() {
        let mut all: Vec<usize> = plan.follows.clone();
        all.extend(plan.follows.iter().flat_map(|followed| before[*followed].clone()));
        before.push(all);
    }
    for index in 0..stations.len() {
        let is_ordered = |other: usize| {
            other == index || before[index].contains(&other) || before[other].contains(&index)
        };
        let is_sound = (0..stations.len()).all(is_ordered);
        stations[index].mutates &= is_sound;
    }
}

/// What one station saw, in its order.
type History = Vec<(u64, Event)>;

/// The handler of a station, or of one of its workers: fails as planned, else passes the event on and remembers it.
#[derive(Clone)]
struct Script {
    index: usize,
    plan: Plan,
    history: Log<(u64, Event)>,
    /// Failures so far at the event that it fails on.
    failed: u32,
}

impl Script {
    fn check(&mut self, sequence: u64) -> Result<(), String> {
        if sequence % 7 != self.plan.fails_at {
            return Ok(());
        }
        if self.failed < self.plan.failures {
            self.failed += 1;
            // The last attempt that the policy allows leaves the counter fresh for the next event.
            let attempts = 1 + self.plan.retries(sequence);
            if u64::from(self.failed) == attempts {
                self.failed = 0;
            }
            assert!(!self.plan.panics, "on purpose");
            return Err("on purpose".into());
        }
        self.failed = 0;
        Ok(())
    }

    fn observe(&mut self, event: &Event, at: At<'_>) -> Result<(), String> {
        self.check(at.sequence())?;
        self.history.push((at.sequence(), *event));
        Ok(())
    }

    fn change(&mut self, event: &mut Event, at: At<'_>) -> Result<(), String> {
        self.check(at.sequence())?;
        event.pass(self.index);
        self.history.push((at.sequence(), *event));
        Ok(())
    }
}

/// The sequences that were published, and what was written.
type Published = Arc<Mutex<BTreeMap<u64, Event>>>;

fn feed<C: Claim>(
    mut producer: Producer<Event, C>,
    index: usize,
    case: &Case,
    published: &Published,
) {
    let mut number = 0;
    for (turn, len) in case.producers[index].iter().enumerate() {
        let len = (*len).min(case.capacity);
        let panics = turn % 5 == case.panics_at;
        let write = |at: usize, event: &mut Event| {
            *event = Event { producer: index, number: number + at as u64, trace: 0 };
            assert!(!(panics && at + 1 == len), "on purpose");
        };
        let result = catch_unwind(AssertUnwindSafe(|| producer.publish_batch(len, write)));
        assert_eq!(result.is_err(), panics);
        if let Ok(range) = result {
            let range = range.expect("nobody closes the ring");
            let event = |at: u64| Event { producer: index, number: number + at, trace: 0 };
            let events = range.clone().map(|sequence| (sequence, event(sequence - range.start)));
            published.lock().unwrap().extend(events);
        }
        number += len as u64;
    }
}

fn key(event: &Event) -> u64 {
    event.number / 2
}

/// Places the stations on a ring. The handlers of those that are polled are handed back.
fn describe(case: &Case, logs: &[Log<(u64, Event)>]) -> (Builder<Event>, Vec<Script>) {
    let mut polled = Vec::new();
    let empty = Builder::new(case.capacity, Event::default).first_sequence(case.first);
    let ring = case.stations.iter().enumerate().fold(empty, |ring, (index, plan)| {
        let (name, history) = (Plan::name(index), logs[index].clone());
        let mut script = Script { index, plan: plan.clone(), history, failed: 0 };
        match (plan.mutates, plan.is_polled) {
            (false, true) => {
                polled.push(script);
                place(ring, plan, poller(name))
            }
            (true, true) => {
                polled.push(script);
                place(ring, plan, poller_mut(name))
            }
            (false, false) if plan.workers == 1 => place(
                ring,
                plan,
                read(name, move |event: &Event, at: At<'_>| script.observe(event, at)),
            ),
            (false, false) if plan.by_key => place(
                ring,
                plan,
                keyed(name, plan.workers, key, |_| {
                    let mut script = script.clone();
                    move |event: &Event, at: At<'_>| script.observe(event, at)
                }),
            ),
            (false, false) => place(
                ring,
                plan,
                share(name, plan.workers, |_| {
                    let mut script = script.clone();
                    move |event: &Event, at: At<'_>| script.observe(event, at)
                }),
            ),
            (true, false) if plan.workers == 1 => {
                let change = move |event: &mut Event, at: At<'_>| script.change(event, at);
                place(ring, plan, update(name, change))
            }
            (true, false) if plan.by_key => place(
                ring,
                plan,
                keyed_mut(name, plan.workers, key, |_| {
                    let mut script = script.clone();
                    move |event: &mut Event, at: At<'_>| script.change(event, at)
                }),
            ),
            (true, false) => place(
                ring,
                plan,
                share_mut(name, plan.workers, |_| {
                    let mut script = script.clone();
                    move |event: &mut Event, at: At<'_>| script.change(event, at)
                }),
            ),
        }
    });
    (ring, polled)
}

fn place<A: Access>(ring: Builder<Event>, plan: &Plan, station: Station<Event, A>) -> Builder<Event>
where
    Station<Event, A>: slipring::Stage<Event>,
{
    let station = station.max_batch(plan.max_batch).wait(plan.wait).policy(plan.policy);
    ring.after(plan.follows.iter().map(|followed| Plan::name(*followed)), station)
}

fn poll_to_the_end(dispatcher: &mut Dispatcher<Event>, script: Script) -> thread::JoinHandle<()> {
    fn run<A: Access>(
        mut poller: Poller<Event, A>,
        mut poll: impl FnMut(&mut Poller<Event, A>) -> Poll,
    ) {
        while poll(&mut poller) != Poll::Closed {
            poller.wait(common::A_MINUTE);
        }
    }
    let mut script = script;
    let name = Plan::name(script.index);
    if script.plan.mutates {
        let poller: Poller<Event, Exclusive> = dispatcher.poller_mut(&name).unwrap();
        thread::spawn(move || {
            run(poller, |poller| poller.poll(|event, at| script.change(event, at)).unwrap());
        })
    } else {
        let poller: Poller<Event, Shared> = dispatcher.poller(&name).unwrap();
        thread::spawn(move || {
            run(poller, |poller| poller.poll(|event, at| script.observe(event, at)).unwrap());
        })
    }
}

fn run_producers<C: Claim>(producers: Vec<Producer<Event, C>>, case: &Case, published: &Published)
where
    Producer<Event, C>: Send,
{
    thread::scope(|scope| {
        for (index, producer) in producers.into_iter().enumerate() {
            scope.spawn(move || feed(producer, index, case, published));
        }
    });
}

/// Runs the case on a real ring.
fn run(case: &Case) -> (BTreeMap<u64, Event>, Vec<History>, Report) {
    let logs: Vec<Log<(u64, Event)>> = case.stations.iter().map(|_| Log::default()).collect();
    let published = Published::default();
    let (ring, polled) = describe(case, &logs);
    let start_pollers = |dispatcher: &mut Dispatcher<Event>| -> Vec<thread::JoinHandle<()>> {
        polled.into_iter().map(|script| poll_to_the_end(dispatcher, script)).collect()
    };
    let (dispatcher, pollers) = if case.is_multi {
        let (producer, mut dispatcher) = ring.start_multi().expect("the graph is sound");
        let pollers = start_pollers(&mut dispatcher);
        let mut producers = vec![producer.clone(); case.producers.len() - 1];
        producers.push(producer);
        run_producers(producers, case, &published);
        (dispatcher, pollers)
    } else {
        let (producer, mut dispatcher) = ring.start().expect("the graph is sound");
        let pollers = start_pollers(&mut dispatcher);
        run_producers(vec![producer], case, &published);
        (dispatcher, pollers)
    };
    for poller in pollers {
        poller.join().expect("pollers do not panic");
    }
    let report = dispatcher.join().expect("every failure is skipped");
    let published = published.lock().unwrap().clone();
    (published, logs.iter().map(Log::take).collect(), report)
}

/// The same, one station and one event after the other.
fn model(case: &Case, published: &BTreeMap<u64, Event>) -> Vec<History> {
    let mut events = published.clone();
    let run_station = |(index, plan): (usize, &Plan)| {
        let mut history = History::new();
        for (sequence, event) in &mut events {
            if plan.skips(*sequence) {
                continue;
            }
            if plan.mutates {
                event.pass(index);
            }
            history.push((*sequence, *event));
        }
        history
    };
    // In the order of declaration: a station comes after all that it follows, and one that changes
    // events is ordered against all others.
    case.stations.iter().enumerate().map(run_station).collect()
}

/// 300, or as many as `PROPTEST_CASES` says.
fn cases_to_run() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_time: 60_000, ..ProptestConfig::with_cases(cases_to_run()) })]

    #[test]
    fn every_station_sees_what_the_model_says(case in cases()) {
        let (case, (published, histories, report)) = within_a_minute(move || {
            let result = run(&case);
            (case, result)
        });
        let expected = model(&case, &published);
        for (index, (mut history, expected)) in histories.into_iter().zip(&expected).enumerate() {
            // Workers handle their events side by side.
            if case.stations[index].workers > 1 {
                history.sort_by_key(|(sequence, _)| *sequence);
            }
            prop_assert_eq!(&history, expected, "station {}", index);
        }
        prop_assert_eq!(report.published, published.len() as u64);
        assert_accounts(&report);
        for (plan, account) in case.stations.iter().zip(&report.stations) {
            let skipped = published.keys().filter(|sequence| plan.skips(**sequence)).count();
            let retried: u64 = published.keys().map(|sequence| plan.retries(*sequence)).sum();
            prop_assert_eq!((account.skipped, account.retried), (skipped as u64, retried));
            prop_assert_eq!(account.left, 0);
        }
        // Abandoned sequences are gaps, and the only ones, on a ring of many producers; a single
        // producer uses them again.
        let span = published.last_key_value().map_or(0, |(last, _)| last + 1 - case.first);
        let gaps = span - published.len() as u64;
        if case.is_multi {
            prop_assert!(report.abandoned >= gaps);
        } else {
            prop_assert_eq!((report.abandoned, gaps), (0, 0));
        }
    }
}
