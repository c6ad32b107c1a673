//! Builds a round's ring.

use std::sync::{Arc, atomic::Ordering};

use slipring::{
    Access, At, Builder, Exclusive, Shared as Reading, Stage, Station, Within, keyed, keyed_mut,
    poller, poller_mut, read, read_batch, read_handler, read_with, share, share_mut, update,
    update_batch, update_handler, update_with,
};

use crate::{
    event::Event,
    evidence::{Asked, Cleared, End, panic_on_purpose},
    plan::{Driver, Form, Hook, KeyPlan, Placing, Plan, StationPlan},
    scoped::Record,
    script::Script,
    shared::Shared,
};

/// The ring, not started, and the code of the stations that are polled.
///
/// Handlers write to `record`, which they may borrow; those that are polled go elsewhere, and borrow nothing.
pub fn describe<'a, E: Event>(
    plan: &Plan,
    record: &Record<'a>,
    shared: &Arc<Shared>,
) -> (Builder<E, Within<'a>>, Vec<Script<'static>>) {
    let factory = record.clone();
    let mut ring = Builder::new(plan.capacity, move || E::blank(&factory.census))
        .first_sequence(plan.first)
        .wait(plan.wait);
    if let Some(wait) = plan.producer_wait {
        ring = ring.producer_wait(wait);
    }
    if let Some(reset) = plan.reset {
        ring = ring.reset(reset_hook(reset.panics_at, Arc::clone(shared)));
    }
    if plan.stations.is_empty() {
        ring = ring.without_stations();
    }
    let mut scripts = Vec::new();
    for stage in &plan.stages {
        let mut read = |index: &usize| reader(plan, *index, record, shared, &mut scripts);
        ring = match &*stage.stations {
            [index] if plan.stations[*index].mutates => {
                let station = changer(plan, *index, record, shared, &mut scripts);
                place(ring, plan, &stage.placing, station)
            }
            [index] => place(ring, plan, &stage.placing, read(index)),
            several => {
                let stations: Vec<Station<E, Reading, Within<'a>>> =
                    several.iter().map(read).collect();
                place(ring, plan, &stage.placing, stations)
            }
        };
    }
    (ring, scripts)
}

fn place<'a, E: Event>(
    ring: Builder<E, Within<'a>>,
    plan: &Plan,
    placing: &Placing,
    stage: impl Stage<E, Within<'a>>,
) -> Builder<E, Within<'a>> {
    match placing {
        Placing::Then => ring.then(stage),
        Placing::Branch => ring.branch(stage),
        Placing::After(followed) => {
            ring.after(followed.iter().map(|index| &plan.stations[*index].name), stage)
        }
    }
}

fn reset_hook<E: Event>(
    panics_at: Option<usize>,
    shared: Arc<Shared>,
) -> impl FnMut(&mut E) + Send + 'static {
    let mut calls = 0;
    move |slot: &mut E| {
        shared.clear(Cleared { stamp: slot.stamp(), tick: shared.tick() });
        if panics_at == Some(calls) {
            shared.reset_panicked.store(true, Ordering::Relaxed);
            panic_on_purpose();
        }
        calls += 1;
        slot.clear();
    }
}

fn reader<'a, E: Event>(
    plan: &Plan,
    index: usize,
    record: &Record<'a>,
    shared: &Arc<Shared>,
    scripts: &mut Vec<Script<'static>>,
) -> Station<E, Reading, Within<'a>> {
    match plan.stations[index].driver {
        Driver::Team(_) => reading_team(plan, index, record),
        Driver::Thread(_) => reading(Script::new(plan, index, record.clone())),
        Driver::Poller(_) | Driver::Untaken => {
            let (station, script) =
                polled(Script::new(plan, index, Record::Own(Arc::clone(shared))));
            scripts.push(script);
            station
        }
    }
}

fn changer<'a, E: Event>(
    plan: &Plan,
    index: usize,
    record: &Record<'a>,
    shared: &Arc<Shared>,
    scripts: &mut Vec<Script<'static>>,
) -> Station<E, Exclusive, Within<'a>> {
    let own = &plan.stations[index];
    match own.driver {
        Driver::Team(_) => changing_team(plan, index, record),
        Driver::Thread(form) => {
            let script = Script::new(plan, index, record.clone());
            with_options(threaded_changing(form, own.name.clone(), script), own)
        }
        Driver::Poller(_) | Driver::Untaken => {
            let mut script = Script::new(plan, index, Record::Own(Arc::clone(shared)));
            script.testimony.end = End::Left;
            scripts.push(script);
            with_options(poller_mut(own.name.clone()), own)
        }
    }
}

/// A station of one thread.
pub fn reading<E: Event>(script: Script<'_>) -> Station<E, Reading, Within<'_>> {
    let plan = script.plan().clone();
    let Driver::Thread(form) = plan.driver else {
        unreachable!("its code is not one thread's");
    };
    with_options(threaded_reading(form, plan.name.clone(), script), &plan)
}

/// A station that is polled, and the code for whoever polls it.
pub fn polled<'a, E: Event>(
    mut script: Script<'static>,
) -> (Station<E, Reading, Within<'a>>, Script<'static>) {
    script.testimony.end = End::Left;
    let station = poller(script.plan().name.clone());
    (with_options(station, script.plan()), script)
}

fn reading_team<'a, E: Event>(
    plan: &Plan,
    index: usize,
    record: &Record<'a>,
) -> Station<E, Reading, Within<'a>> {
    let own = &plan.stations[index];
    let (name, workers) = (own.name.clone(), own.workers());
    let work = |worker: usize| {
        let mut script = Script::of_worker(plan, index, worker, record.clone());
        move |event: &E, at: At<'_>| script.read(event, at)
    };
    let station = match own.by_key() {
        None => share(name, workers, work),
        Some(by_key) => keyed(name, workers, key(by_key, index, record.clone()), work),
    };
    with_options(station, own)
}

fn changing_team<'a, E: Event>(
    plan: &Plan,
    index: usize,
    record: &Record<'a>,
) -> Station<E, Exclusive, Within<'a>> {
    let own = &plan.stations[index];
    let (name, workers) = (own.name.clone(), own.workers());
    let work = |worker: usize| {
        let mut script = Script::of_worker(plan, index, worker, record.clone());
        move |event: &mut E, at: At<'_>| script.change(event, at)
    };
    let station = match own.by_key() {
        None => share_mut(name, workers, work),
        Some(by_key) => keyed_mut(name, workers, key(by_key, index, record.clone()), work),
    };
    with_options(station, own)
}

/// Writes down what it is asked of.
fn key<E: Event>(
    plan: KeyPlan,
    index: usize,
    record: Record<'_>,
) -> impl Fn(&E) -> u32 + Send + Sync + '_ {
    move |event: &E| {
        let (stamp, is_whole) = (event.stamp(), event.is_whole());
        let asked = record.ask(index, Asked { stamp, is_whole, tick: record.tick() });
        if plan.panics_at == Some(asked) {
            panic_on_purpose();
        }
        stamp.key(plan.keys)
    }
}

fn threaded_reading<'a, E: Event>(
    form: Form,
    name: String,
    mut script: Script<'a>,
) -> Station<E, Reading, Within<'a>> {
    match form {
        Form::Each => read(name, move |event: &E, at: At<'_>| script.read(event, at)),
        Form::Batch => {
            read_batch(name, move |events: &[E], at: At<'_>| script.read_slice(events, at))
        }
        Form::With => read_with(name, started(script), |script: &mut Script<'a>, event: &E, at| {
            script.read(event, at)
        }),
        Form::Handler => read_handler(name, move || script),
    }
}

fn threaded_changing<'a, E: Event>(
    form: Form,
    name: String,
    mut script: Script<'a>,
) -> Station<E, Exclusive, Within<'a>> {
    match form {
        Form::Each => update(name, move |event: &mut E, at: At<'_>| script.change(event, at)),
        Form::Batch => {
            update_batch(name, move |events: &mut [E], at: At<'_>| script.change_slice(events, at))
        }
        Form::With => {
            update_with(name, started(script), |script: &mut Script<'a>, event: &mut E, at| {
                script.change(event, at)
            })
        }
        Form::Handler => update_handler(name, move || script),
    }
}

/// Makes a station's state on its thread, which may fail.
fn started<'a>(mut script: Script<'a>) -> impl FnOnce() -> Script<'a> + Send + 'a {
    move || {
        script.hook(Hook::Start);
        script
    }
}

fn with_options<'a, E, A: Access>(
    mut station: Station<E, A, Within<'a>>,
    plan: &StationPlan,
) -> Station<E, A, Within<'a>> {
    station = station.policy(plan.policy);
    if let Some(wait) = plan.wait {
        station = station.wait(wait);
    }
    if let Some(events) = plan.max_batch {
        station = station.max_batch(events);
    }
    if let Some(limit) = plan.limit {
        station = station.lag_limit(limit.events, limit.policy);
    }
    if let Some(time) = plan.idle_after {
        station = station.idle_after(time);
    }
    station
}
