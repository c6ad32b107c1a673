//! What is drawn before a ring is started: its size, its graph, its stations and its producers.

use std::{num::NonZero, time::Duration};

use fastrand::Rng;
use slipring::{GiveUp, Policy, Wait, model::Fences};

/// Who follows whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each the one before.
    Chain,
    /// One, then several side by side, then one that follows them all.
    Diamond,
    /// All side by side.
    Fan,
    /// Each all of the layer before.
    Layers,
    /// Each up to three of those before.
    Graph,
}

/// What cases are drawn from: the shape, and what may happen to a ring beside events. Each hazard
/// is drawn again for each station or call, and none is certain.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // A list of hazards, each there or not.
pub struct Recipe {
    /// Any of them, if not given.
    pub shape: Option<Shape>,
    /// Write closures panic.
    pub panicking_writes: bool,
    /// Handlers fail, panic, retry and skip.
    pub failures: bool,
    /// They halt the ring, too; so do hooks that panic.
    pub faults: bool,
    /// Pollers leave early, and some are never taken.
    pub leaving: bool,
    /// The dispatcher is ended from several threads while everything runs.
    pub storm: bool,
    /// Deadlines come.
    pub timeouts: bool,
}

/// Nothing happens but events.
pub const CALM: Recipe = Recipe {
    shape: None,
    panicking_writes: false,
    failures: false,
    faults: false,
    leaving: false,
    storm: false,
    timeouts: false,
};

/// How a station gets its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Each,
    Slices,
    Hooked,
    /// By a poller: one by one, at most two, in slices, or taken as a batch (by readers only).
    Poll,
    PollAtMost,
    PollSlices,
    Take,
    /// By a poller that nobody takes.
    Untaken,
}

impl Form {
    pub fn is_polled(self) -> bool {
        !matches!(self, Self::Each | Self::Slices | Self::Hooked)
    }
}

/// How a handler fails.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    /// At sequences that are this modulo 7.
    pub at: u64,
    /// So many times before it succeeds.
    pub times: u32,
    pub panics: bool,
}

/// A hook of a handler that panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanickingHook {
    BatchStart,
    Stop,
}

#[derive(Clone, Debug)]
pub struct Station {
    /// Earlier stations.
    pub follows: Vec<usize>,
    pub mutates: bool,
    pub form: Form,
    pub max_batch: usize,
    pub wait: Wait,
    pub policy: Policy,
    pub failing: Option<Failing>,
    pub hook: Option<PanickingHook>,
    /// Releases early at sequences that are this modulo 5.
    pub releases_at: u64,
    /// A poller goes at this sequence.
    pub leaves_at: Option<u64>,
    pub idle_after: Option<Duration>,
}

impl Station {
    pub fn name(index: usize) -> String {
        format!("s{index}")
    }

    /// Calls repeated before the last resort.
    pub fn retries(&self) -> u32 {
        match self.policy {
            Policy::Retry { times, .. } => times.get(),
            _ => 0,
        }
    }

    /// Whether the last resort is to skip.
    pub fn skips(&self) -> bool {
        matches!(self.policy, Policy::Skip | Policy::Retry { then: GiveUp::Skip, .. })
    }
}

/// How a producer publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Wait,
    Try,
    /// With a deadline that has passed, or with one that comes only if time passes.
    Past,
    Future,
}

/// One call of a producer's.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    pub call: Call,
    pub events: usize,
    /// A single event, not a batch of one.
    pub alone: bool,
    pub panics: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    None,
    Clears,
    /// Panics in its so many-th call.
    Panics(u64),
}

#[derive(Clone, Debug)]
pub struct Case {
    pub capacity: usize,
    pub first: u64,
    pub is_multi: bool,
    pub fences: Fences,
    pub wait: Wait,
    pub producer_wait: Wait,
    pub reset: Reset,
    pub stations: Vec<Station>,
    pub producers: Vec<Vec<Turn>>,
    /// One in so many looks at the clock finds that every deadline has come; 0: none does.
    pub time_passes: u32,
}

const WAITS: [Wait; 6] = [
    Wait::Adaptive,
    Wait::Block,
    Wait::Block,
    Wait::Yield,
    Wait::Backoff,
    Wait::Sleep(Duration::from_micros(50)),
];

/// So many of 10.
fn in_ten(rng: &mut Rng, times: u32) -> bool {
    rng.u32(0..10) < times
}

fn pick<T: Copy>(rng: &mut Rng, among: &[T]) -> T {
    among[rng.usize(0..among.len())]
}

impl Case {
    pub fn draw(rng: &mut Rng, recipe: Recipe) -> Self {
        let capacity = 1 << rng.u32(0..4);
        let first = pick(rng, &[0, 0, 5, (1 << 34) - 3, (1 << 62) - 9]);
        let events = rng.u64(10..41);
        let producers = rng.usize(1..5);
        let reset = match rng.u32(0..6) {
            0 | 1 => Reset::Clears,
            2 if recipe.faults => Reset::Panics(rng.u64(1..30)),
            _ => Reset::None,
        };
        let mut stations: Vec<Station> = graph(rng, recipe)
            .into_iter()
            .map(|follows| Station::draw(rng, recipe, follows, first, events))
            .collect();
        order_mutations(&mut stations);
        Self {
            capacity,
            first,
            is_multi: producers > 1 || rng.bool(),
            fences: pick(rng, &[Fences::Symmetric, Fences::Asymmetric]),
            wait: pick(rng, &WAITS),
            producer_wait: pick(rng, &WAITS),
            reset,
            stations,
            producers: (0..producers)
                .map(|_| turns(rng, recipe, capacity, events / producers as u64))
                .collect(),
            time_passes: if recipe.timeouts { 1 << rng.u32(3..9) } else { 0 },
        }
    }
}

/// The stations that each station follows.
fn graph(rng: &mut Rng, recipe: Recipe) -> Vec<Vec<usize>> {
    let shapes = [Shape::Chain, Shape::Diamond, Shape::Fan, Shape::Layers, Shape::Graph];
    let shape = recipe.shape.unwrap_or_else(|| pick(rng, &shapes));
    // Where things happen, one station may be enough.
    let fewest = if recipe.storm || recipe.faults { 1 } else { 3 };
    let count = rng.usize(fewest..9);
    let (last, width) = (count - 1, rng.usize(1..4));
    let follows = |index: usize| match shape {
        Shape::Chain => index.checked_sub(1).into_iter().collect(),
        Shape::Diamond if index == 0 => vec![],
        Shape::Diamond if index < last => vec![0],
        Shape::Diamond => (1.min(last - 1)..last).collect(),
        Shape::Fan => vec![],
        Shape::Layers if index < width => vec![],
        Shape::Layers => {
            let start = index / width * width;
            (start - width..start).collect()
        }
        Shape::Graph => (0..rng.usize(0..=3.min(index))).map(|_| rng.usize(0..index)).collect(),
    };
    (0..count).map(follows).collect()
}

/// Lets a station change events only if it is before or after every other one.
fn order_mutations(stations: &mut [Station]) {
    let mut before: Vec<Vec<usize>> = Vec::new();
    for station in stations.iter() {
        let mut all: Vec<usize> = station.follows.clone();
        all.extend(station.follows.iter().flat_map(|followed| before[*followed].clone()));
        before.push(all);
    }
    for index in 0..stations.len() {
        let is_ordered = |other: usize| {
            other == index || before[index].contains(&other) || before[other].contains(&index)
        };
        stations[index].mutates &= (0..stations.len()).all(is_ordered);
        if stations[index].mutates && stations[index].form == Form::Take {
            stations[index].form = Form::Poll;
        }
    }
}

impl Station {
    fn draw(rng: &mut Rng, recipe: Recipe, follows: Vec<usize>, first: u64, events: u64) -> Self {
        let form = match rng.u32(0..14) {
            0..=3 => Form::Each,
            4..=6 => Form::Slices,
            7..=9 => Form::Hooked,
            10 => Form::Poll,
            11 => Form::PollAtMost,
            12 => Form::PollSlices,
            _ if recipe.leaving && rng.bool() => Form::Untaken,
            _ => Form::Take,
        };
        let retries = rng.u32(1..4);
        let mut policies = vec![Policy::Skip, Policy::retry(retries).or_skip()];
        let halts = recipe.faults && in_ten(rng, 3);
        if halts {
            policies = vec![Policy::Halt, Policy::retry(retries)];
        }
        let fails = recipe.failures && form != Form::Take && in_ten(rng, 5);
        let failing = Failing { at: rng.u64(0..7), times: rng.u32(1..6), panics: rng.bool() };
        let has_hook = recipe.faults && form == Form::Hooked && in_ten(rng, 1);
        let leaves = recipe.leaving && form.is_polled() && in_ten(rng, 6);
        let leaves_at = first + rng.u64(0..events);
        Self {
            follows,
            mutates: rng.bool(),
            form,
            max_batch: rng.usize(1..9),
            wait: pick(rng, &WAITS),
            policy: pick(rng, &policies),
            failing: fails.then_some(failing),
            hook: has_hook.then(|| pick(rng, &[PanickingHook::BatchStart, PanickingHook::Stop])),
            releases_at: rng.u64(0..15),
            leaves_at: leaves.then_some(leaves_at),
            idle_after: (recipe.timeouts && rng.bool()).then_some(Duration::from_millis(1)),
        }
    }
}

fn turns(rng: &mut Rng, recipe: Recipe, capacity: usize, events: u64) -> Vec<Turn> {
    let mut left = NonZero::new(events).map_or(1, NonZero::get) as usize;
    let mut turns = Vec::new();
    while left > 0 {
        let events = rng.usize(1..=capacity.min(left).min(4));
        left -= events;
        let call = match rng.u32(0..10) {
            0 | 1 => Call::Try,
            2 => Call::Past,
            3 => Call::Future,
            _ => Call::Wait,
        };
        let panics = recipe.panicking_writes && in_ten(rng, 2);
        turns.push(Turn { call, events, alone: events == 1 && rng.bool(), panics });
    }
    turns
}
