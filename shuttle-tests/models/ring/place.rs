//! From a case to a builder.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use slipring::{
    Access, At, Builder, Exclusive, Shared, Stage, model::plan_a_panic, poller, poller_mut, read,
    read_batch, read_handler, update, update_batch, update_handler,
};

use super::{
    case::{Case, Form, Reset, Station},
    event::{Event, step},
    script::{Notes, Script},
};

/// What faults call the reset hook.
pub const RESET_HOOK: &str = "reset hook";

/// The ring of a case, not yet started.
pub fn describe(case: &Case, notes: &Arc<Notes>) -> Builder<Event> {
    let empty = Builder::new(case.capacity, Event::default)
        .first_sequence(case.first)
        .wait(case.wait)
        .producer_wait(case.producer_wait);
    let ring = with_reset(empty, case.reset, notes);
    case.stations.iter().enumerate().fold(ring, |ring, (index, station)| {
        if station.mutates {
            add(ring, station, changing(index, station, notes))
        } else {
            add(ring, station, reading(index, station, notes))
        }
    })
}

fn with_reset(ring: Builder<Event>, reset: Reset, notes: &Arc<Notes>) -> Builder<Event> {
    let panics_at = match reset {
        Reset::None => return ring,
        Reset::Clears => u64::MAX,
        Reset::Panics(call) => call,
    };
    let (mut calls, is_called, notes) = (0, AtomicBool::new(false), Arc::clone(notes));
    ring.reset(move |event: &mut Event| {
        let overlaps = is_called.swap(true, Ordering::Relaxed);
        assert!(!overlaps, "two threads call the hook at once");
        let held = event.hold_alone();
        calls += 1;
        notes.cleared.lock().expect("nothing panics here").push(event.content);
        event.payload = None;
        step();
        drop(held);
        is_called.store(false, Ordering::Relaxed);
        if calls == panics_at {
            notes.fault(RESET_HOOK, None);
            plan_a_panic();
        }
    })
}

fn reading(
    index: usize,
    station: &Station,
    notes: &Arc<Notes>,
) -> slipring::Station<Event, Shared> {
    let name = Station::name(index);
    if station.form.is_polled() {
        return poller(name);
    }
    let mut script = Script::new(index, station, notes);
    match station.form {
        Form::Slices => {
            read_batch(name, move |events: &[Event], at: At<'_>| script.read_all(events, at))
        }
        Form::Hooked => read_handler(name, move || script),
        _ => read(name, move |event: &Event, at: At<'_>| script.read(event, at)),
    }
}

fn changing(
    index: usize,
    station: &Station,
    notes: &Arc<Notes>,
) -> slipring::Station<Event, Exclusive> {
    let name = Station::name(index);
    if station.form.is_polled() {
        return poller_mut(name);
    }
    let mut script = Script::new(index, station, notes);
    match station.form {
        Form::Slices => update_batch(name, move |events: &mut [Event], at: At<'_>| {
            script.update_all(events, at)
        }),
        Form::Hooked => update_handler(name, move || script),
        _ => update(name, move |event: &mut Event, at: At<'_>| script.update(event, at)),
    }
}

fn add<A: Access>(
    ring: Builder<Event>,
    plan: &Station,
    station: slipring::Station<Event, A>,
) -> Builder<Event>
where
    slipring::Station<Event, A>: Stage<Event>,
{
    let mut station = station.max_batch(plan.max_batch).wait(plan.wait).policy(plan.policy);
    if let Some(time) = plan.idle_after {
        station = station.idle_after(time);
    }
    ring.after(plan.follows.iter().map(|followed| Station::name(*followed)), station)
}
