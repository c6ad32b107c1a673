//! Rings drawn at random, run, and judged by a plain model of what each station must have seen.
//!
//! | file | what |
//! |---|---|
//! | `case.rs` | what is drawn: graph, stations, producers, recipe |
//! | `event.rs` | events that notice overlapping accesses, payloads that are dropped once |
//! | `script.rs` | what a station's handler does and remembers |
//! | `place.rs` | from a case to a builder |
//! | `feed.rs`, `polling.rs`, `ending.rs` | the threads around the ring |
//! | `verdict.rs` | the model, and what the reports must say |

pub mod case;
pub mod ending;
pub mod event;
mod feed;
mod place;
mod polling;
mod script;
pub mod verdict;

use std::sync::{Arc, atomic::Ordering};

use fastrand::Rng;
use shuttle::thread::{self, JoinHandle};
use slipring::{
    Claim, Dispatcher, Producer,
    model::{let_time_pass, set_fences},
};

use case::{Case, Form, Recipe, Station};
use ending::{Ending, Told};
use event::{Content, Event, Ledger, await_that};
use feed::Fed;
use polling::End;
use script::{Notes, Script};

pub use script::Seen;

/// What came of a case.
#[derive(Debug)]
pub struct Outcome {
    pub fed: Vec<Fed>,
    /// Why each polled station stopped, by station.
    pub ends: Vec<Option<End>>,
    pub told: Told,
    pub seen: Vec<Vec<Seen>>,
    pub retried: Vec<u64>,
    pub faults: Vec<(String, Option<u64>)>,
    /// What the reset hook was called for.
    pub cleared: Vec<Content>,
}

/// Draws a case from a recipe, runs it and judges it.
pub fn run(rng: &mut Rng, recipe: Recipe) {
    let case = Case::draw(rng, recipe);
    let has_untaken = case.stations.iter().any(|station| station.form == Form::Untaken);
    let ending =
        if recipe.storm { Ending::storm(rng) } else { Ending::orderly(!has_untaken && rng.bool()) };
    let outcome = play(&case, &ending);
    if let Err(objection) = verdict::judge(&case, &ending, &outcome) {
        panic!("{objection}\n\n{case:#?}\n\n{ending:?}\n\n{outcome:#?}");
    }
}

/// Runs a case to the end of all that it has started.
pub fn play(case: &Case, ending: &Ending) -> Outcome {
    set_fences(case.fences);
    let_time_pass(case.time_passes);
    let (notes, ledger) = (Arc::new(Notes::new(case.stations.len())), Ledger::default());
    let ring = place::describe(case, &notes);
    let outcome = if case.is_multi {
        let (producer, dispatcher) = ring.start_multi().expect("the ring is sound");
        let mut producers = vec![producer.clone(); case.producers.len() - 1];
        producers.push(producer);
        run_all(case, ending, producers, dispatcher, &notes, &ledger)
    } else {
        let (producer, dispatcher) = ring.start().expect("the ring is sound");
        run_all(case, ending, vec![producer], dispatcher, &notes, &ledger)
    };
    await_that("every payload is dropped", || ledger.is_settled());
    outcome
}

fn run_all<C: Claim + Send + 'static>(
    case: &Case,
    ending: &Ending,
    producers: Vec<Producer<Event, C>>,
    mut dispatcher: Dispatcher<Event>,
    notes: &Arc<Notes>,
    ledger: &Ledger,
) -> Outcome {
    let pollers: Vec<Option<JoinHandle<End>>> = (0..case.stations.len())
        .map(|index| start_poller(case, index, &mut dispatcher, notes))
        .collect();
    let feeding = producers.into_iter().enumerate().map(|(index, producer)| {
        let (case, ledger) = (case.clone(), ledger.clone());
        thread::spawn(move || feed::feed(producer, index, &case, &ledger))
    });
    let feeding: Vec<JoinHandle<Fed>> = feeding.collect();
    let mut dispatcher = Some(dispatcher);
    let mut start_ending = || dispatcher.take().map(|owned| ending::start(ending, owned));
    let early = if ending.late { None } else { start_ending() };
    let fed = feeding.into_iter().map(|thread| thread.join().expect("no producer fails")).collect();
    let ends = pollers
        .into_iter()
        .map(|thread| thread.map(|thread| thread.join().expect("no poller fails")))
        .collect();
    let (enders, told) = early.or_else(start_ending).expect("the dispatcher is ended once");
    for ender in enders {
        ender.join().expect("nobody fails to end the ring");
    }
    // Threads that were left alone end on their own.
    await_that("every handler is gone", || notes.handlers.load(Ordering::Relaxed) == 0);
    let told = told.lock().expect("nothing panics here").take();
    let take = |seen: &std::sync::Mutex<Vec<Seen>>| {
        std::mem::take(&mut *seen.lock().expect("nothing panics here"))
    };
    Outcome {
        fed,
        ends,
        told,
        seen: notes.seen.iter().map(take).collect(),
        retried: notes.retried.iter().map(|times| times.load(Ordering::Relaxed) as u64).collect(),
        faults: notes.faults.lock().expect("nothing panics here").clone(),
        cleared: notes.cleared.lock().expect("nothing panics here").clone(),
    }
}

fn start_poller(
    case: &Case,
    index: usize,
    dispatcher: &mut Dispatcher<Event>,
    notes: &Arc<Notes>,
) -> Option<JoinHandle<End>> {
    let station = &case.stations[index];
    if !station.form.is_polled() || station.form == Form::Untaken {
        return None;
    }
    let name = Station::name(index);
    let mut script = Script::new(index, station, notes);
    Some(if station.mutates {
        let poller = dispatcher.poller_mut(&name).expect("it is there");
        thread::spawn(move || polling::poll_changing(poller, &mut script))
    } else {
        let poller = dispatcher.poller(&name).expect("it is there");
        thread::spawn(move || polling::poll_reading(poller, &mut script))
    })
}
