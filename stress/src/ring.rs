//! Builds a round's ring.

use std::sync::{Arc, atomic::Ordering};

use slipring::{
    Access, At, Builder, Exclusive, Shared as Reading, Stage, Station, keyed, keyed_mut, poller,
    poller_mut, read, read_batch, read_handler, read_with, share, share_mut, update, update_batch,
    update_handler, update_with,
};

use crate::{
    event::Event,
    evidence::{Asked, Cleared, End, Shared, panic_on_purpose},
    plan::{Driver, Form, Hook, KeyPlan, Placing, Plan, StationPlan},
    script::Script,
};

/// The ring, not started, and the code of the stations that are polled.
pub fn describe<E: Event>(plan: &Plan, shared: &Arc<Shared>) -> (Builder<E>, Vec<Script>) {
    let census = Arc::clone(&shared.census);
    let mut ring = Builder::new(plan.capacity, move || E::blank(&census))
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
    let mut polled = Vec::new();
    for stage in &plan.stages {
        let mut read = |index: &usize| match &plan.stations[*index].driver {
            Driver::Team(_) => reading_team(plan, *index, shared),
            _ => reading(Script::new(plan, *index, shared), &mut polled),
        };
        ring = match &*stage.stations {
            [index] if plan.stations[*index].mutates => {
                let station = match &plan.stations[*index].driver {
                    Driver::Team(_) => changing_team(plan, *index, shared),
                    _ => changing(Script::new(plan, *index, shared), &mut polled),
                };
                place(ring, plan, &stage.placing, station)
            }
            [index] => place(ring, plan, &stage.placing, read(index)),
            several => {
                let stations: Vec<Station<E, Reading>> = several.iter().map(read).collect();
                place(ring, plan, &stage.placing, stations)
            }
        };
    }
    (ring, polled)
}

fn place<E: Event>(
    ring: Builder<E>,
    plan: &Plan,
    placing: &Placing,
    stage: impl Stage<E>,
) -> Builder<E> {
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

/// A station of one thread, or polled: then its code comes back.
pub fn reading<E: Event>(script: Script, polled: &mut Vec<Script>) -> Station<E, Reading> {
    let plan = script.plan().clone();
    let mut script = script;
    let station = match plan.driver {
        Driver::Thread(form) => threaded_reading(form, plan.name.clone(), script),
        Driver::Team(_) => unreachable!("it has more than one script"),
        Driver::Poller(_) | Driver::Untaken => {
            script.testimony.end = End::Left;
            polled.push(script);
            poller(plan.name.clone())
        }
    };
    with_options(station, &plan)
}

fn changing<E: Event>(script: Script, polled: &mut Vec<Script>) -> Station<E, Exclusive> {
    let plan = script.plan().clone();
    let mut script = script;
    let station = match plan.driver {
        Driver::Thread(form) => threaded_changing(form, plan.name.clone(), script),
        Driver::Team(_) => unreachable!("it has more than one script"),
        Driver::Poller(_) | Driver::Untaken => {
            script.testimony.end = End::Left;
            polled.push(script);
            poller_mut(plan.name.clone())
        }
    };
    with_options(station, &plan)
}

fn reading_team<E: Event>(plan: &Plan, index: usize, shared: &Arc<Shared>) -> Station<E, Reading> {
    let own = &plan.stations[index];
    let (name, workers) = (own.name.clone(), own.workers());
    let work = |worker: usize| {
        let mut script = Script::of_worker(plan, index, worker, shared);
        move |event: &E, at: At<'_>| script.read(event, at)
    };
    let station = match own.by_key() {
        None => share(name, workers, work),
        Some(by_key) => keyed(name, workers, key(by_key, index, shared), work),
    };
    with_options(station, own)
}

fn changing_team<E: Event>(
    plan: &Plan,
    index: usize,
    shared: &Arc<Shared>,
) -> Station<E, Exclusive> {
    let own = &plan.stations[index];
    let (name, workers) = (own.name.clone(), own.workers());
    let work = |worker: usize| {
        let mut script = Script::of_worker(plan, index, worker, shared);
        move |event: &mut E, at: At<'_>| script.change(event, at)
    };
    let station = match own.by_key() {
        None => share_mut(name, workers, work),
        Some(by_key) => keyed_mut(name, workers, key(by_key, index, shared), work),
    };
    with_options(station, own)
}

/// Writes down what it is asked of.
fn key<E: Event>(
    plan: KeyPlan,
    index: usize,
    shared: &Arc<Shared>,
) -> impl Fn(&E) -> u32 + Send + Sync + 'static {
    let shared = Arc::clone(shared);
    move |event: &E| {
        let (stamp, is_whole) = (event.stamp(), event.is_whole());
        let asked = shared.ask(index, Asked { stamp, is_whole, tick: shared.tick() });
        if plan.panics_at == Some(asked) {
            panic_on_purpose();
        }
        stamp.key(plan.keys)
    }
}

fn threaded_reading<E: Event>(form: Form, name: String, mut script: Script) -> Station<E, Reading> {
    match form {
        Form::Each => read(name, move |event: &E, at: At<'_>| script.read(event, at)),
        Form::Batch => {
            read_batch(name, move |events: &[E], at: At<'_>| script.read_slice(events, at))
        }
        Form::With => read_with(name, started(script), |script: &mut Script, event: &E, at| {
            script.read(event, at)
        }),
        Form::Handler => read_handler(name, move || script),
    }
}

fn threaded_changing<E: Event>(
    form: Form,
    name: String,
    mut script: Script,
) -> Station<E, Exclusive> {
    match form {
        Form::Each => update(name, move |event: &mut E, at: At<'_>| script.change(event, at)),
        Form::Batch => {
            update_batch(name, move |events: &mut [E], at: At<'_>| script.change_slice(events, at))
        }
        Form::With => {
            update_with(name, started(script), |script: &mut Script, event: &mut E, at| {
                script.change(event, at)
            })
        }
        Form::Handler => update_handler(name, move || script),
    }
}

/// Makes a station's state on its thread, which may fail.
fn started(mut script: Script) -> impl FnOnce() -> Script + Send + 'static {
    move || {
        script.hook(Hook::Start);
        script
    }
}

fn with_options<E, A: Access>(mut station: Station<E, A>, plan: &StationPlan) -> Station<E, A> {
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
