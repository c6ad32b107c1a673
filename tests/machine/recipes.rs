//! Random calls of the builder, sensible and not, and what comes of them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use proptest::prelude::*;
use slipring::{
    Access, At, BuildError, Builder, Claim, Dispatcher, Handler, HandlerError, HandlerMut,
    Producer, Shared, Stage, Station, Wait, Warning, poller, poller_mut, read, read_batch,
    read_handler, read_with, update, update_batch, update_handler, update_with,
};

use crate::{
    common::{A_MINUTE, assert_accounts},
    ops::waits,
    payload::{Counted, Ledger, MADE, Payload},
    rules::{LARGEST, Verdict, is_circle, verdict},
};

#[derive(Clone, Debug)]
pub struct Recipe {
    pub capacity: usize,
    pub first: u64,
    pub is_multi: bool,
    pub wait: Wait,
    pub producer_wait: Option<Wait>,
    pub resets: bool,
    /// The call of the factory that panics.
    pub factory_panics_at: Option<usize>,
    pub stages: Vec<Step>,
}

/// A call of the builder.
#[derive(Clone, Debug)]
pub struct Step {
    pub place: Place,
    pub shape: Shape,
    pub units: Vec<Unit>,
}

#[derive(Clone, Debug)]
pub enum Place {
    Then,
    Branch,
    After(Vec<String>),
}

/// The type of a stage.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// The only one for a station that changes events.
    Alone,
    List,
    /// An array, or a tuple, where there is one of that length.
    Array,
    Tuple,
}

#[derive(Clone, Debug)]
pub struct Unit {
    pub name: String,
    pub mutates: bool,
    /// `None` for a polled one.
    pub thread: Option<Thread>,
    pub max_batch: Option<usize>,
    pub core: Option<usize>,
    pub wait: Option<Wait>,
}

/// The form of a station with a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    Each,
    Slices,
    With,
    Handler,
    /// Its state cannot be made.
    FailingState,
    /// Its start hook panics.
    FailingStart,
}

impl Thread {
    pub fn fails(self) -> bool {
        matches!(self, Self::FailingState | Self::FailingStart)
    }
}

const CAUSE: &str = "on purpose, at the start";

/// Alive as long as the closure that it is in; counts the events that were handled.
type Counter = Arc<AtomicUsize>;

/// The handler of a station, whichever form it has.
struct Clerk {
    counter: Counter,
    fails: bool,
}

impl Clerk {
    fn start(&self) {
        if self.fails {
            resume_unwind(Box::new(CAUSE));
        }
    }

    fn count(&self, events: usize) {
        self.counter.fetch_add(events, Ordering::Relaxed);
    }
}

impl Handler<Counted> for Clerk {
    fn on_start(&mut self) {
        self.start();
    }

    fn on_event(&mut self, _: &Counted, _: At<'_>) -> Result<(), HandlerError> {
        self.count(1);
        Ok(())
    }
}

impl HandlerMut<Counted> for Clerk {
    fn on_start(&mut self) {
        self.start();
    }

    fn on_event(&mut self, _: &mut Counted, _: At<'_>) -> Result<(), HandlerError> {
        self.count(1);
        Ok(())
    }
}

fn reading(unit: &Unit, counter: &Counter) -> Station<Counted, Shared> {
    let (name, counter) = (unit.name.clone(), Arc::clone(counter));
    let clerk = Clerk { counter, fails: unit.thread.is_some_and(Thread::fails) };
    let station = match unit.thread {
        None => poller(name),
        Some(Thread::Each) => read(name, move |_: &Counted, _| clerk.count(1)),
        Some(Thread::Slices) => {
            read_batch(name, move |slice: &[Counted], _| clerk.count(slice.len()))
        }
        Some(Thread::With | Thread::FailingState) => {
            let make = move || {
                clerk.start();
                clerk
            };
            read_with(name, make, |clerk, _: &Counted, _| clerk.count(1))
        }
        Some(Thread::Handler | Thread::FailingStart) => read_handler(name, move || clerk),
    };
    with_options(unit, station)
}

fn updating(unit: &Unit, counter: &Counter) -> Station<Counted, slipring::Exclusive> {
    let (name, counter) = (unit.name.clone(), Arc::clone(counter));
    let clerk = Clerk { counter, fails: unit.thread.is_some_and(Thread::fails) };
    let station = match unit.thread {
        None => poller_mut(name),
        Some(Thread::Each) => update(name, move |_: &mut Counted, _| clerk.count(1)),
        Some(Thread::Slices) => {
            update_batch(name, move |slice: &mut [Counted], _| clerk.count(slice.len()))
        }
        Some(Thread::With | Thread::FailingState) => {
            let make = move || {
                clerk.start();
                clerk
            };
            update_with(name, make, |clerk, _: &mut Counted, _| clerk.count(1))
        }
        Some(Thread::Handler | Thread::FailingStart) => update_handler(name, move || clerk),
    };
    with_options(unit, station)
}

fn with_options<A: Access>(unit: &Unit, mut station: Station<Counted, A>) -> Station<Counted, A> {
    if let Some(events) = unit.max_batch {
        station = station.max_batch(events);
    }
    if let Some(core) = unit.core {
        station = station.pin(core);
    }
    if let Some(wait) = unit.wait {
        station = station.wait(wait);
    }
    station
}

/// Stations as a stage of the given shape: as an array or a tuple of that many.
macro_rules! shaped {
    ($ring:ident, $step:ident, $stations:ident, $shape:ident: $($count:literal $($name:ident)*;)*) => {
        match ($shape, $stations.len()) {
            $(
                (Shape::Array, $count) => {
                    let Ok(array) = <[_; $count]>::try_from($stations) else { unreachable!() };
                    placed($ring, &$step.place, array)
                }
            )*
            $(
                (Shape::Tuple, $count) if $count > 1 => {
                    let Ok([$($name),*]) = <[_; $count]>::try_from($stations) else { unreachable!() };
                    tuple!($ring, $step, $($name)*)
                }
            )*
            _ => placed($ring, &$step.place, $stations),
        }
    };
}

/// There are no tuples of none or one.
macro_rules! tuple {
    ($ring:ident, $step:ident,) => { $ring };
    ($ring:ident, $step:ident, $one:ident) => { { let _ = $one; $ring } };
    ($ring:ident, $step:ident, $($name:ident)+) => { placed($ring, &$step.place, ($($name),+)) };
}

fn placed(ring: Builder<Counted>, place: &Place, stage: impl Stage<Counted>) -> Builder<Counted> {
    match place {
        Place::Then => ring.then(stage),
        Place::Branch => ring.branch(stage),
        Place::After(names) => ring.after(names, stage),
    }
}

fn add(ring: Builder<Counted>, step: &Step, counter: &Counter) -> Builder<Counted> {
    let shape = step.shape;
    if let (Shape::Alone, [unit]) = (shape, &*step.units) {
        return if unit.mutates {
            placed(ring, &step.place, updating(unit, counter))
        } else {
            placed(ring, &step.place, reading(unit, counter))
        };
    }
    let stations: Vec<Station<Counted, Shared>> =
        step.units.iter().map(|unit| reading(unit, counter)).collect();
    shaped!(ring, step, stations, shape:
        0; 1 a; 2 a b; 3 a b c; 4 a b c d; 5 a b c d e; 6 a b c d e f; 7 a b c d e f g;
        8 a b c d e f g h;)
}

fn describe(recipe: &Recipe, ledger: &Arc<Ledger>, counter: &Counter) -> Builder<Counted> {
    let (made, panics_at, mut calls) = (Arc::clone(ledger), recipe.factory_panics_at, 0);
    let factory = move || {
        if panics_at == Some(calls) {
            resume_unwind(Box::new(CAUSE));
        }
        calls += 1;
        Counted::make(&made, MADE)
    };
    let mut ring =
        Builder::new(recipe.capacity, factory).first_sequence(recipe.first).wait(recipe.wait);
    if let Some(wait) = recipe.producer_wait {
        ring = ring.producer_wait(wait);
    }
    if recipe.resets {
        let counter = Arc::clone(counter);
        ring = ring.reset(move |_| {
            let _ = &counter;
        });
    }
    recipe.stages.iter().fold(ring, |ring, step| add(ring, step, counter))
}

/// Starts what the recipe describes, and compares with the rules.
pub fn run(recipe: &Recipe) {
    let cores = cores();
    let expected = verdict(recipe, &cores);
    if recipe.capacity > 1 << 12 && !matches!(expected, Verdict::Fails(_)) {
        // Nothing is wrong with it but the memory that it would take.
        return;
    }
    let (ledger, counter) = (Arc::<Ledger>::default(), Counter::default());
    let ring = describe(recipe, &ledger, &counter);
    let started = catch_unwind(AssertUnwindSafe(|| {
        if recipe.is_multi {
            ring.start_multi().map(|(producer, dispatcher)| finish(recipe, producer, dispatcher))
        } else {
            ring.start().map(|(producer, dispatcher)| finish(recipe, producer, dispatcher))
        }
    }));
    let made = match (&expected, started) {
        (Verdict::Starts { warns }, Ok(Ok(warned))) => {
            assert_eq!(warned, *warns, "warnings");
            let threads = recipe.units().filter(|unit| unit.thread.is_some()).count();
            assert_eq!(counter.load(Ordering::Relaxed), threads, "each handles the one event");
            recipe.capacity
        }
        (Verdict::Fails(expected), Ok(Err(error))) => {
            assert_eq!(error, *expected);
            assert!(error.to_string().len() > 20, "{error}");
            0
        }
        (Verdict::FailsInACircle(edges), Ok(Err(BuildError::Cycle(names)))) => {
            assert!(is_circle(&names, recipe, edges), "{names:?} is no circle");
            0
        }
        (Verdict::Panics, Err(payload)) => {
            assert_eq!(payload.downcast_ref(), Some(&CAUSE), "the factory's own panic");
            recipe.factory_panics_at.unwrap_or_default()
        }
        (Verdict::DoesNotStart(stations), Ok(Err(BuildError::NotStarted { station, cause }))) => {
            assert!(stations.contains(&station), "{station} could start");
            assert_eq!(cause, CAUSE);
            recipe.capacity
        }
        (expected, started) => panic!("{:?}, not {expected:?}", started.map_err(drop)),
    };
    // Nothing is made of a ring that is refused, and nothing outlives one.
    assert_eq!((ledger.made(), ledger.alive(), ledger.dropped_twice()), (made, 0, 0));
    assert_eq!(Arc::strong_count(&counter), 1, "every closure is gone, and every thread");
}

/// Sends one event through, and returns whether there was a warning.
fn finish<C: Claim>(
    recipe: &Recipe,
    mut producer: Producer<Counted, C>,
    dispatcher: Dispatcher<Counted>,
) -> bool {
    assert_eq!((producer.capacity(), dispatcher.capacity()), (recipe.capacity, recipe.capacity));
    let warnings = dispatcher.warnings().to_vec();
    for warning in &warnings {
        let Warning::Oversubscribed { spinning, threads, cores } = warning else {
            panic!("an unknown warning: {warning}")
        };
        let working = recipe.units().filter(|unit| unit.thread.is_some()).count();
        assert!((1..=working).contains(spinning) && threads > cores, "{warning}");
        assert_eq!(*threads, working + 1);
    }
    assert_eq!(producer.publish(|event| assert_eq!(event.content(), MADE)), Ok(recipe.first));
    let report = if recipe.first.is_multiple_of(2) {
        drop(producer);
        dispatcher.join()
    } else {
        dispatcher.shutdown(A_MINUTE)
    }
    .expect("nothing goes wrong");
    assert_accounts(&report);
    let found: Vec<(&str, u64)> =
        report.stations.iter().map(|station| (&*station.name, station.handled)).collect();
    // A poller that nobody takes leaves, and what it has not seen is left.
    let handled = |unit: &Unit| u64::from(unit.thread.is_some());
    let expected: Vec<(&str, u64)> =
        recipe.units().map(|unit| (&*unit.name, handled(unit))).collect();
    assert_eq!(found, expected);
    !warnings.is_empty()
}

/// The cores that this process may be pinned to, asked for in another way than the crate does: by an
/// error that lists them.
fn cores() -> Vec<usize> {
    let error = Builder::new(1, || 0_u8)
        .then(read("r", |_: &u8, _| ()).pin(usize::MAX))
        .start()
        .unwrap_err();
    let BuildError::NoSuchCore { available, .. } = error else { panic!("{error}") };
    assert!(available.is_sorted());
    available
}

impl Recipe {
    fn units(&self) -> impl Iterator<Item = &Unit> {
        self.stages.iter().flat_map(|step| &step.units)
    }
}

/// Few names, so that they meet; each with a chance to be made different by its index.
fn names() -> impl Strategy<Value = String> {
    let usual = prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "g"]);
    prop_oneof![
        60 => usual,
        2 => Just(""),
        1 => Just("nul\0"),
    ]
    .prop_map(str::to_owned)
}

fn units() -> impl Strategy<Value = Unit> {
    let threads = prop_oneof![
        6 => Just(Thread::Each),
        3 => Just(Thread::Slices),
        3 => Just(Thread::With),
        3 => Just(Thread::Handler),
        1 => Just(Thread::FailingState),
        1 => Just(Thread::FailingStart),
    ];
    let max_batch = prop_oneof![
        8 => Just(None),
        4 => (1_usize..9).prop_map(Some),
        1 => Just(Some(usize::MAX)),
        1 => Just(Some(0)),
    ];
    let cores =
        prop_oneof![20 => Just(None), 1 => Just(Some(0)), 1 => (512_usize..).prop_map(Some)];
    let rest = (max_batch, cores, prop::option::weighted(0.2, waits()));
    (names(), prop::option::weighted(0.5, threads), prop::bool::weighted(0.4), rest).prop_map(
        |(name, thread, mutates, (max_batch, core, wait))| Unit {
            name,
            mutates,
            thread,
            max_batch,
            core,
            wait,
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let place = prop_oneof![
        5 => Just(Place::Then),
        1 => Just(Place::Branch),
        4 => prop::collection::vec(names(), 0..4).prop_map(Place::After),
    ];
    let alone = units().prop_map(|unit| (Shape::Alone, vec![unit]));
    let shapes = prop::sample::select(vec![Shape::List, Shape::Array, Shape::Tuple]);
    let several = (shapes, prop::collection::vec(units(), 0..9)).prop_map(|(shape, mut units)| {
        for unit in &mut units {
            unit.mutates = false;
        }
        (shape, units)
    });
    (place, prop_oneof![4 => alone, 1 => several]).prop_map(|(place, (shape, units))| Step {
        place,
        shape,
        units,
    })
}

/// Polled stations without end, or nearly.
fn crowds() -> impl Strategy<Value = Step> {
    (prop::sample::select(vec![250_usize, 254, 255, 256, 257, 300])).prop_map(|count| {
        let unit = |index: usize| Unit {
            name: format!("crowd {index}"),
            mutates: false,
            thread: None,
            max_batch: None,
            core: None,
            wait: None,
        };
        Step { place: Place::Then, shape: Shape::List, units: (0..count).map(unit).collect() }
    })
}

pub fn recipes() -> impl Strategy<Value = Recipe> {
    let capacity = prop_oneof![
        24 => (0_u32..7).prop_map(|bits| 1 << bits),
        1 => 0_usize..1_100,
        1 => prop::sample::select(vec![LARGEST, LARGEST + 1, LARGEST << 1, usize::MAX]),
    ];
    let first = prop_oneof![
        6 => 0_u64..4,
        2 => ((1 << 62) - 2)..=(1_u64 << 62),
        1 => ((1_u64 << 62) + 1)..,
    ];
    let panics = prop::option::weighted(0.1, 0_usize..9);
    let stages = (
        prop::collection::vec(steps(), 0..6),
        prop::option::weighted(0.03, crowds()),
        prop::bool::weighted(0.7),
    );
    let stages = stages.prop_map(|(mut steps, crowd, are_distinct)| {
        if are_distinct {
            make_distinct(&mut steps);
        }
        steps.extend(crowd);
        steps
    });
    let waiting = (waits(), prop::option::of(waits()), any::<bool>(), any::<bool>());
    (capacity, first, panics, stages, waiting).prop_map(
        |(capacity, first, factory_panics_at, stages, (wait, producer_wait, resets, is_multi))| {
            Recipe {
                capacity,
                first,
                is_multi,
                wait,
                producer_wait,
                resets,
                factory_panics_at,
                stages,
            }
        },
    )
}

/// Gives every station a name of its own, and lets `after` mostly name stations that exist.
fn make_distinct(steps: &mut [Step]) {
    let mut seen = Vec::new();
    for unit in steps.iter_mut().flat_map(|step| &mut step.units) {
        while seen.contains(&unit.name) {
            unit.name.push('\'');
        }
        seen.push(unit.name.clone());
    }
    for step in steps {
        if let Place::After(names) = &mut step.place {
            names.retain(|name| seen.contains(name) || name.is_empty());
        }
    }
}
