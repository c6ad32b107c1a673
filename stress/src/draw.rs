//! Draws a round from its seed.

use std::{num::NonZero, time::Duration};

use fastrand::Rng;
use slipring::{Detach, GiveUp, LagPolicy, Policy, Start, Wait};

use crate::plan::{
    AMPLE, Awaits, Behind, Cargo, Deed, Driver, ExecutorPlan, Failing, Finale, Form, Hook,
    HookPanic, KeyPlan, Limit, Placing, Plan, PollerPlan, ProducerPlan, ResetPlan, ScopeEnd,
    StagePlan, StationPlan, Stay, TaskPlan, TeamPlan, Trouble, VisitPlan, Way, ancestors,
};

const MOST_STATIONS: usize = 8;
/// More calls than a producer comes to before the ring is ended.
const CALLS_WITHOUT_END: u32 = 20_000;

/// The round of this seed.
pub fn plan(seed: u64) -> Plan {
    let mut rng = Rng::with_seed(seed);
    let rng = &mut rng;
    let stages = stages(rng);
    let count = stages.iter().map(|stage| stage.stations.len()).sum();
    let capacity = *pick(rng, &[1, 1, 2, 2, 4, 4, 8, 64]);
    let first = *pick(rng, &[0, 0, 0, 1, 7, 999, (1 << 34) - 3, (1 << 62) - 9, 1 << 62]);
    let is_multi = rng.bool();
    // Most rounds are to end well, or little would be seen of drained rings.
    let is_calm = one_in(rng, 2);
    let mut plan = Plan {
        seed,
        capacity,
        first,
        cargo: if rng.bool() { Cargo::Copied } else { Cargo::Owned },
        wait: wait(rng),
        producer_wait: rng.bool().then(|| wait(rng)),
        is_multi,
        producers: producers(rng, is_multi),
        stations: (0..count).map(|index| station(rng, index, capacity, is_calm)).collect(),
        stages,
        visitors: Vec::new(),
        reset: one_in(rng, 2).then(|| ResetPlan {
            panics_at: (!is_calm && one_in(rng, 4)).then(|| rng.usize(0..60)),
        }),
        has_clock: one_in(rng, 4),
        watch: one_in(rng, 3).then(|| Duration::from_micros(*pick(rng, &[0, 0, 20, 300]))),
        executors: if one_in(rng, 3) { executors(rng) } else { Vec::new() },
        troubles: if is_calm { Vec::new() } else { troubles(rng) },
        finale: finale(rng, is_calm),
    };
    order_changes(rng, &mut plan);
    if plan.stations.is_empty() || one_in(rng, 2) {
        plan.visitors = visitors(rng, &plan, is_calm);
        if one_in(rng, 2) {
            // It takes time to come, and something is to happen then.
            for producer in &mut plan.producers {
                producer.calls *= 10;
            }
        }
    }
    if !plan.executors.is_empty() {
        make_tasks(rng, &mut plan);
    }
    if is_cut_short(&plan) && !one_in(rng, 4) {
        for producer in &mut plan.producers {
            producer.calls = CALLS_WITHOUT_END;
        }
    }
    if one_in(rng, 60) {
        fail_to_start(rng, &mut plan);
    }
    if plan.stations.iter().any(|station| matches!(station.driver, Driver::Untaken)) {
        // It holds everybody back until the dispatcher goes.
        plan.finale.awaits = Awaits::Nobody;
    }
    plan
}

/// Whether somebody ends the ring without waiting for the producers: then they are to be at it.
fn is_cut_short(plan: &Plan) -> bool {
    let finale = &plan.finale;
    !plan.troubles.is_empty() || (finale.awaits == Awaits::Nobody && finale.way != Way::Join)
}

fn pick<'a, T>(rng: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.usize(0..choices.len())]
}

fn one_in(rng: &mut Rng, cases: u32) -> bool {
    rng.u32(0..cases) == 0
}

fn wait(rng: &mut Rng) -> Wait {
    let nap = Duration::from_micros(rng.u64(0..40));
    let waits = [
        Wait::Adaptive,
        Wait::Adaptive,
        Wait::Spin,
        Wait::Hint,
        Wait::Yield,
        Wait::Backoff,
        Wait::Sleep(nap),
        Wait::Block,
        Wait::Block,
    ];
    *pick(rng, &waits)
}

/// A moment while a round runs, or soon after.
fn moment(rng: &mut Rng) -> Duration {
    Duration::from_micros(match rng.u32(0..4) {
        0 => 0,
        1 => rng.u64(0..60),
        2 => rng.u64(0..600),
        _ => rng.u64(0..4_000),
    })
}

fn stages(rng: &mut Rng) -> Vec<StagePlan> {
    if one_in(rng, 12) {
        return Vec::new();
    }
    let count = rng.usize(1..=MOST_STATIONS);
    let sizes = match rng.u32(0..5) {
        // A chain, side by side, a diamond, layers.
        0 => vec![1; count],
        1 => vec![count],
        2 => vec![1, rng.usize(1..=MOST_STATIONS - 2), 1],
        3 => layers(rng, count),
        _ => return graph(rng, count),
    };
    let mut next = 0;
    let stage = |size: usize| {
        let stations = (next..next + size).collect();
        next += size;
        StagePlan { placing: Placing::Then, stations }
    };
    sizes.into_iter().map(stage).collect()
}

fn layers(rng: &mut Rng, count: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut left = count;
    while left > 0 {
        let size = rng.usize(1..=left.min(3));
        sizes.push(size);
        left -= size;
    }
    sizes
}

/// An acyclic graph, declared in an order of its own.
fn graph(rng: &mut Rng, count: usize) -> Vec<StagePlan> {
    let mut order: Vec<usize> = (0..count).collect();
    if rng.bool() {
        rng.shuffle(&mut order);
    }
    // Who comes `place`-th in the flow is declared `order[place]`-th.
    let mut stages: Vec<(usize, StagePlan)> = Vec::new();
    for place in 0..count {
        let mut after = Vec::new();
        if place > 0 {
            after.extend((0..rng.usize(0..=place.min(3))).map(|_| order[rng.usize(0..place)]));
        }
        let placing = match &*after {
            [] => Placing::Branch,
            // As `then` would place it, if that is where it was declared.
            [only] if only + 1 == order[place] && rng.bool() => Placing::Then,
            _ => Placing::After(after),
        };
        stages.push((order[place], StagePlan { placing, stations: vec![order[place]] }));
    }
    stages.sort_by_key(|(declared, _)| *declared);
    stages.into_iter().map(|(_, stage)| stage).collect()
}

fn producers(rng: &mut Rng, is_multi: bool) -> Vec<ProducerPlan> {
    let count = if is_multi { rng.usize(1..=4) } else { 1 };
    // Most misfortune comes at a beginning or an end: many short rounds, and a few long ones.
    let most = if one_in(rng, 50) { 2_000 } else { *pick(rng, &[4, 30, 30, 100]) };
    let producer = |_| ProducerPlan {
        seed: rng.u64(..),
        calls: rng.u32(0..=most),
        panics: *pick(rng, &[0, 0, 3, 10, 30]),
        clones: one_in(rng, 3),
        pause: *pick(rng, &[0, 0, 1, 10]),
        dawdles: *pick(rng, &[0, 0, 2, 10]),
        task: None,
    };
    (0..count).map(producer).collect()
}

fn station(rng: &mut Rng, index: usize, capacity: usize, is_calm: bool) -> StationPlan {
    let driver = match rng.u32(0..20) {
        0..=3 => polled(rng),
        4 if !is_calm && one_in(rng, 3) => Driver::Untaken,
        5..=8 => Driver::Team(team(rng, is_calm)),
        _ => threaded(rng),
    };
    let mutates = rng.bool();
    station_of(rng, format!("s{index}"), driver, mutates, capacity, is_calm)
}

fn polled(rng: &mut Rng) -> Driver {
    Driver::Poller(PollerPlan {
        seed: rng.u64(..),
        leaves_after: one_in(rng, 3).then(|| rng.u64(0..80)),
        panics: one_in(rng, 2),
        skips: one_in(rng, 3),
        task: None,
    })
}

fn threaded(rng: &mut Rng) -> Driver {
    Driver::Thread(*pick(rng, &[Form::Each, Form::Batch, Form::With, Form::Handler]))
}

fn team(rng: &mut Rng, is_calm: bool) -> TeamPlan {
    TeamPlan {
        workers: *pick(rng, &[1, 2, 2, 2, 3, 3, 4]),
        by_key: rng.bool().then(|| KeyPlan {
            keys: *pick(rng, &[1, 2, 3, 7, 50]),
            panics_at: (!is_calm && one_in(rng, 8)).then(|| rng.usize(0..80)),
        }),
    }
}

fn station_of(
    rng: &mut Rng,
    name: String,
    driver: Driver,
    mutates: bool,
    capacity: usize,
    is_calm: bool,
) -> StationPlan {
    let policy = policy(rng, is_calm);
    let hook = *pick(rng, &[Hook::BatchStart, Hook::Idle, Hook::Stop]);
    let has_hooks = !matches!(driver, Driver::Team(_));
    let hook_panic = (has_hooks && !is_calm && one_in(rng, 30))
        .then(|| HookPanic { hook, call: rng.u32(0..20) });
    let limit = if matches!(driver, Driver::Thread(_)) { limit(rng, capacity) } else { None };
    StationPlan {
        name,
        mutates,
        driver,
        limit,
        wait: rng.bool().then(|| wait(rng)),
        policy,
        max_batch: rng.bool().then(|| rng.usize(1..=capacity + 1)),
        idle_after: one_in(rng, 3).then(|| Duration::from_micros(rng.u64(0..300))),
        failing: failing(rng, policy, is_calm),
        hook_panic,
        release: *pick(rng, &[0, 0, 1, 3]),
        pause: *pick(rng, &[0, 0, 0, 1, 7]),
    }
}

fn policy(rng: &mut Rng, is_calm: bool) -> Policy {
    let times = NonZero::<u32>::MIN.saturating_add(rng.u32(0..3));
    let then = if is_calm || rng.bool() { GiveUp::Skip } else { GiveUp::Halt };
    match (rng.bool(), then) {
        (true, then) => Policy::Retry { times, then },
        (false, GiveUp::Skip) => Policy::Skip,
        (false, GiveUp::Halt) => Policy::Halt,
    }
}

fn limit(rng: &mut Rng, capacity: usize) -> Option<Limit> {
    // A station that skips nothing, and stays, is to have seen everything: most are.
    if capacity == 1 || !one_in(rng, 5) {
        return None;
    }
    let events = if rng.bool() { 1 } else { rng.u64(1..capacity as u64) };
    let policies =
        [LagPolicy::Alert, LagPolicy::Detach, LagPolicy::SkipAhead, LagPolicy::SkipAhead];
    Some(Limit { events, policy: *pick(rng, &policies) })
}

fn failing(rng: &mut Rng, policy: Policy, is_calm: bool) -> Option<Failing> {
    if one_in(rng, 2) {
        return None;
    }
    let halts = matches!(policy, Policy::Halt | Policy::Retry { then: GiveUp::Halt, .. });
    if halts && !is_calm && one_in(rng, 2) {
        return None;
    }
    let period = match rng.u32(0..6) {
        // A failure that halts is to come late enough for something to have happened.
        _ if halts => 97,
        // A station that does nothing else: whatever a report says it has handled is wrong.
        0 => 1,
        _ => rng.u64(2..30),
    };
    Some(Failing {
        period,
        phase: rng.u64(0..period),
        times: rng.u32(1..=5),
        panics: rng.bool(),
        half_done: rng.bool(),
    })
}

fn visitors(rng: &mut Rng, plan: &Plan, is_calm: bool) -> Vec<Vec<VisitPlan>> {
    let visits = |visitor: usize, rng: &mut Rng| {
        let (has_one_name, count) = (rng.bool(), *pick(rng, &[1, 1, 2, 3, 8]));
        let visit = |number: usize| {
            let mut visit = visit(rng, plan, format!("g{visitor}"), is_calm);
            // A name is free again when its guest has been seen off.
            if !has_one_name || matches!(visit.stay, Stay::Forgotten) {
                visit.guest.name = format!("g{visitor}.{number}");
            }
            visit
        };
        (0..count).map(visit).collect()
    };
    let count = *pick(rng, &[1, 1, 2, 3]);
    (0..count).map(|visitor| visits(visitor, rng)).collect()
}

fn visit(rng: &mut Rng, plan: &Plan, name: String, is_calm: bool) -> VisitPlan {
    let driver = if one_in(rng, 3) { polled(rng) } else { threaded(rng) };
    let mut guest = station_of(rng, name, driver, false, plan.capacity, is_calm);
    if one_in(rng, 20) && matches!(guest.driver, Driver::Thread(Form::With | Form::Handler)) {
        guest.hook_panic = Some(HookPanic { hook: Hook::Start, call: 0 });
    }
    let how = *pick(rng, &[Detach::Drained, Detach::AtOnce]);
    let stay = match rng.u32(0..8) {
        _ if guest.is_polled() => Stay::Polled,
        0 => Stay::ToTheEnd(how),
        1 => Stay::Forgotten,
        _ => Stay::For { time: moment(rng), how, pause: one_in(rng, 3).then(|| moment(rng)) },
    };
    let stations = plan.stations.len();
    let behind = match rng.u32(0..6) {
        0 => Behind::These(Vec::new()),
        1 | 2 if stations > 0 => {
            Behind::These((0..rng.usize(1..=3)).map(|_| rng.usize(0..stations)).collect())
        }
        _ => Behind::Last,
    };
    VisitPlan {
        guest,
        after: if rng.bool() { Duration::ZERO } else { moment(rng) / 8 },
        start: *pick(rng, &[Start::Now, Start::Oldest]),
        behind,
        stay,
        has_twin: one_in(rng, 6),
    }
}

fn troubles(rng: &mut Rng) -> Vec<Trouble> {
    let count = usize::from(rng.u8(0..4)).saturating_sub(1);
    let trouble = |_| Trouble {
        after: moment(rng),
        deed: if one_in(rng, 3) { Deed::Halt } else { Deed::Close },
    };
    (0..count).map(trouble).collect()
}

fn finale(rng: &mut Rng, is_calm: bool) -> Finale {
    let awaits = *pick(rng, &[Awaits::Nobody, Awaits::Producers, Awaits::ProducersAndPollers]);
    let hasty = if rng.bool() { Duration::ZERO } else { moment(rng) };
    let way = match rng.u32(0..8) {
        _ if one_in(rng, 5) => Way::Scope(scope_end(rng, is_calm)),
        0..=2 => Way::Join,
        3 if !is_calm => Way::Shutdown(hasty),
        3..=5 => Way::Shutdown(AMPLE),
        _ => Way::Drop,
    };
    Finale { after: moment(rng), awaits, way, elsewhere: one_in(rng, 3) }
}

fn scope_end(rng: &mut Rng, is_calm: bool) -> ScopeEnd {
    match rng.u32(0..5) {
        0 if !is_calm => ScopeEnd::Halts,
        0..=2 => ScopeEnd::Returns,
        3 => ScopeEnd::Panics,
        _ => ScopeEnd::Closes,
    }
}

fn executors(rng: &mut Rng) -> Vec<ExecutorPlan> {
    let count = *pick(rng, &[1, 1, 2]);
    let executor =
        |_| ExecutorPlan { seed: rng.u64(..), renews: rng.bool(), panics: one_in(rng, 6) };
    (0..count).map(executor).collect()
}

/// Makes tasks of some threads: of most pollers, and of some that were none.
fn make_tasks(rng: &mut Rng, plan: &mut Plan) {
    let count = plan.executors.len();
    for station in &mut plan.stations {
        if matches!(station.driver, Driver::Thread(_)) && one_in(rng, 3) {
            station.driver = polled(rng);
            station.limit = None;
        }
    }
    let guests = plan.visitors.iter_mut().flatten().map(|visit| &mut visit.guest);
    for own in plan.stations.iter_mut().chain(guests) {
        if let Driver::Poller(poller) = &mut own.driver
            && !one_in(rng, 4)
        {
            poller.task = Some(TaskPlan {
                executor: rng.usize(0..count),
                streams: rng.bool(),
                gives_up: *pick(rng, &[0, 2, 3, 8]),
            });
        }
    }
    for producer in &mut plan.producers {
        producer.task = rng.bool().then(|| rng.usize(0..count));
    }
}

/// Lets a station change events only where the topology allows it.
fn order_changes(rng: &mut Rng, plan: &mut Plan) {
    let before = ancestors(&plan.follows());
    let is_ordered = |one: usize, other: usize| {
        one == other || before[one].contains(&other) || before[other].contains(&one)
    };
    // In some rounds nobody changes anything: the changes of one station could hide that another
    // is missing.
    let changes = !one_in(rng, 4);
    for index in 0..plan.stations.len() {
        let is_sound = (0..plan.stations.len()).all(|other| is_ordered(index, other));
        plan.stations[index].mutates &= changes && is_sound;
    }
}

/// Has one station, if there is one that can, fail before the ring is up.
fn fail_to_start(rng: &mut Rng, plan: &mut Plan) {
    let has_start =
        |plan: &&mut StationPlan| matches!(plan.driver, Driver::Thread(Form::With | Form::Handler));
    let mut able: Vec<&mut StationPlan> = plan.stations.iter_mut().filter(has_start).collect();
    if !able.is_empty() {
        let index = rng.usize(0..able.len());
        able[index].hook_panic = Some(HookPanic { hook: Hook::Start, call: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_depends_on_its_seed_alone() {
        for seed in 0..200 {
            assert_eq!(plan(seed).to_string(), plan(seed).to_string());
        }
        assert_ne!(plan(1).to_string(), plan(2).to_string());
    }

    #[test]
    fn every_shape_and_every_misfortune_is_drawn() {
        let plans: Vec<Plan> = (0..2_000).map(plan).collect();
        let any = |what: &str, is: fn(&Plan) -> bool| assert!(plans.iter().any(is), "{what}");
        any("one station", |plan| plan.stations.len() == 1);
        any("eight stations", |plan| plan.stations.len() == 8);
        any("a change in a graph", |plan| {
            let in_a_graph = |stage: &StagePlan| matches!(stage.placing, Placing::After(_));
            plan.stages.iter().any(in_a_graph) && !plan.changing().is_empty()
        });
        any("a reset hook that panics", |plan| {
            plan.reset.is_some_and(|reset| reset.panics_at.is_some())
        });
        any("a start that fails", |plan| plan.start_failure().is_some());
        any("an untaken poller", |plan| {
            plan.stations.iter().any(|station| matches!(station.driver, Driver::Untaken))
        });
        any("a halt", |plan| plan.troubles.iter().any(|trouble| trouble.deed == Deed::Halt));
        any("no station", |plan| plan.stations.is_empty());
        any("a team that changes events", |plan| {
            let changes = |station: &StationPlan| station.mutates && station.workers() > 1;
            plan.stations.iter().any(changes)
        });
        any("a key that panics", |plan| {
            let panics = |key: KeyPlan| key.panics_at.is_some();
            plan.stations.iter().any(|station| station.by_key().is_some_and(panics))
        });
        any("a guest that is polled", |plan| plan.visits().any(|visit| visit.guest.is_polled()));
        any("a guest that stays", |plan| {
            plan.visits().any(|visit| matches!(visit.stay, Stay::Forgotten))
        });
        any("a guest out of place", |plan| plan.visits().any(|visit| !plan.is_ordered(visit)));
        any("a guest in the middle", |plan| {
            let is_between = |visit: &VisitPlan| match &visit.behind {
                Behind::These(followed) => !followed.is_empty() && plan.is_ordered(visit),
                Behind::Last => false,
            };
            plan.visits().any(is_between)
        });
        for policy in [LagPolicy::Alert, LagPolicy::Detach, LagPolicy::SkipAhead] {
            let has_limit = |plan: &StationPlan| plan.limit.is_some_and(|it| it.policy == policy);
            let is_limited = |plan: &Plan| plan.stations.iter().any(has_limit);
            let has_limited_guest = |plan: &Plan| plan.visits().any(|it| has_limit(&it.guest));
            assert!(plans.iter().any(is_limited) && plans.iter().any(has_limited_guest));
        }
        any("a poller that skips ahead", |plan| {
            let skips = |plan: &StationPlan| {
                matches!(&plan.driver, Driver::Poller(PollerPlan { skips: true, .. }))
            };
            plan.everybody().any(skips)
        });
        any("a watcher", |plan| plan.watch.is_some());
        any("a look at the end only", |plan| plan.watch.is_none() && plan.has_last_look());
        any("no time at all", |plan| plan.finale.way == Way::Shutdown(Duration::ZERO));
    }

    #[test]
    fn every_task_and_every_scope_is_drawn() {
        let plans: Vec<Plan> = (0..6_000).map(plan).collect();
        let any = |what: &str, is: fn(&Plan) -> bool| assert!(plans.iter().any(is), "{what}");
        any("a station that is a task", |plan| {
            plan.stations.iter().any(|station| station.task().is_some())
        });
        any("a changing station that is a task", |plan| {
            plan.stations.iter().any(|station| station.mutates && station.task().is_some())
        });
        any("a guest that is a stream", |plan| {
            plan.visits().any(|visit| visit.guest.task().is_some_and(|task| task.streams))
        });
        any("stations and a producer on one executor", |plan| {
            let runs = |station: &StationPlan| station.task().is_some_and(|it| it.executor == 0);
            plan.stations.iter().filter(|station| runs(station)).count() > 1
                && plan.producers.iter().any(|producer| producer.task == Some(0))
        });
        any("a task and a thread that publish", |plan| {
            let is_task = |producer: &ProducerPlan| producer.task.is_some();
            plan.producers.iter().any(is_task) && !plan.producers.iter().all(is_task)
        });
        any("the only producer is a task", |plan| {
            !plan.is_multi && plan.producers[0].task.is_some()
        });
        any("wakers that change and panic", |plan| {
            plan.executors.iter().any(|executor| executor.renews && executor.panics)
        });
        for end in [ScopeEnd::Returns, ScopeEnd::Panics, ScopeEnd::Closes, ScopeEnd::Halts] {
            let ends_so = |plan: &Plan| plan.finale.way == Way::Scope(end);
            assert!(plans.iter().any(ends_so), "{end:?}");
            let with_guests = |plan: &Plan| ends_so(plan) && !plan.visitors.is_empty();
            assert!(plans.iter().any(with_guests), "{end:?}");
        }
        any("a scope that does not start", |plan| {
            matches!(plan.finale.way, Way::Scope(_)) && plan.start_failure().is_some()
        });
        any("tasks in a scope", |plan| {
            matches!(plan.finale.way, Way::Scope(_)) && !plan.executors.is_empty()
        });
    }
}
