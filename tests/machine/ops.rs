//! What the machine does to a ring: the kinds of rings, the operations, and how they are drawn.

use proptest::prelude::*;
use slipring::{Policy, Wait};

use crate::{common::WAITS, payload::Patience};

/// A polled station.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Stations that it follows, by index; the graph is acyclic.
    pub follows: Vec<usize>,
    pub mutates: bool,
    pub policy: Policy,
    pub max_batch: Option<usize>,
    pub wait: Option<Wait>,
}

/// How something panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    Str,
    String,
    /// Neither, and dropping it panics again, without end.
    Loud,
}

/// The reset hook: does it panic, and in which call?
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    pub panics_at: Option<(usize, Payload)>,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub capacity: usize,
    pub first: u64,
    pub is_multi: bool,
    pub stations: Vec<Plan>,
    pub hook: Option<Hook>,
    pub producer_wait: Option<Wait>,
    /// Whether all pollers are taken before anything else is done.
    pub takes_all: bool,
    pub ops: Vec<Op>,
}

#[derive(Clone, Debug)]
pub enum Op {
    Publish(Publish),
    Poll(Polling),
    Read(Reading),
    /// `Poller::wait` with no time.
    Wait(u8),
    /// Drops a poller.
    Leave(u8),
    /// Takes a station's poller, as what it is or as what it is not.
    Take {
        who: u8,
        is_right: bool,
    },
    TakeUnknown,
    Clone(u8),
    DropProducer(u8),
    Close,
    Halt,
    Shutdown {
        has_time: bool,
    },
    Join,
    DropDispatcher,
}

#[derive(Clone, Debug)]
pub struct Publish {
    pub who: u8,
    pub form: Form,
    pub patience: Patience,
    /// Of a batch.
    pub count: usize,
    /// The event of the batch whose write closure panics.
    pub panics_at: Option<(usize, Payload)>,
    /// Whether the destructors of the events panic, where they have any.
    pub are_bombs: bool,
    /// Done inside the first call of the write closure.
    pub inside: Vec<Op>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    One,
    Batch,
    Slice,
}

#[derive(Clone, Debug)]
pub struct Polling {
    pub who: u8,
    pub how: How,
    /// What the handler does, call by call; afterwards nothing in particular.
    pub reactions: Vec<Reaction>,
}

#[derive(Clone, Copy, Debug)]
pub enum How {
    Each,
    AtMost(usize),
    Slices,
    Handler { start_panics: bool },
}

#[derive(Clone, Debug)]
pub struct Reaction {
    pub releases: bool,
    pub inside: Vec<Op>,
    pub end: End,
}

#[derive(Clone, Copy, Debug)]
pub enum End {
    Fine,
    Error,
    /// An error that panics while it is shown.
    Unspeakable,
    Panic(Payload),
}

#[derive(Clone, Debug)]
pub struct Reading {
    pub who: u8,
    /// How many events are asked for.
    pub takes: usize,
    /// Done while the first event is in hand.
    pub inside: Vec<Op>,
    pub after: After,
}

/// What becomes of a batch that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Drop,
    Forget,
    Panic,
}

/// Operations are nested so deep.
const DEEPEST: u32 = 2;

fn payloads() -> impl Strategy<Value = Payload> {
    prop::sample::select(vec![Payload::Str, Payload::String, Payload::Loud])
}

fn publishes(depth: u32) -> impl Strategy<Value = Publish> {
    let forms = prop_oneof![4 => Just(Form::One), 3 => Just(Form::Batch), 2 => Just(Form::Slice)];
    let patience = prop::sample::select(vec![
        Patience::Forever,
        Patience::None,
        Patience::None,
        Patience::Past,
        Patience::Far,
    ]);
    let panics = prop::option::weighted(0.15, (0_usize..4, payloads()));
    let bombs = prop::bool::weighted(0.05);
    (any::<u8>(), forms, patience, 0_usize..11, panics, bombs, inside(depth, 0.1)).prop_map(
        |(who, form, patience, count, panics_at, are_bombs, inside)| Publish {
            who,
            form,
            patience,
            count,
            panics_at,
            are_bombs,
            inside,
        },
    )
}

fn reactions(depth: u32) -> impl Strategy<Value = Reaction> {
    let ends = prop_oneof![
        5 => Just(End::Fine),
        2 => Just(End::Error),
        1 => Just(End::Unspeakable),
        2 => payloads().prop_map(End::Panic),
    ];
    (prop::bool::weighted(0.25), inside(depth, 0.25), ends)
        .prop_map(|(releases, inside, end)| Reaction { releases, inside, end })
}

fn pollings(depth: u32) -> impl Strategy<Value = Polling> {
    let how = prop_oneof![
        4 => Just(How::Each),
        2 => (0_usize..4).prop_map(How::AtMost),
        3 => Just(How::Slices),
        2 => prop::bool::weighted(0.1).prop_map(|start_panics| How::Handler { start_panics }),
    ];
    let reactions = prop_oneof![
        Just(Vec::new()).boxed(),
        prop::collection::vec(reactions(depth), 0..5).boxed()
    ];
    (any::<u8>(), how, reactions).prop_map(|(who, how, reactions)| Polling { who, how, reactions })
}

fn readings(depth: u32) -> impl Strategy<Value = Reading> {
    let after =
        prop_oneof![4 => Just(After::Drop), 1 => Just(After::Forget), 1 => Just(After::Panic)];
    (any::<u8>(), 0_usize..6, inside(depth, 0.3), after)
        .prop_map(|(who, takes, inside, after)| Reading { who, takes, inside, after })
}

/// Operations inside another one.
fn inside(depth: u32, weight: f64) -> BoxedStrategy<Vec<Op>> {
    if depth == 0 {
        return Just(Vec::new()).boxed();
    }
    let some = prop::collection::vec(ops(depth - 1), 1..4);
    prop::option::weighted(weight, some).prop_map(Option::unwrap_or_default).boxed()
}

fn ops(depth: u32) -> BoxedStrategy<Op> {
    let end = prop_oneof![
        2 => Just(Op::Close),
        2 => Just(Op::Halt),
        2 => any::<bool>().prop_map(|has_time| Op::Shutdown { has_time }),
        1 => Just(Op::Join),
        1 => Just(Op::DropDispatcher),
    ];
    // Rare, because not much happens afterwards; less so where it happens in the middle of something.
    let how_often = if depth == DEEPEST { 2 } else { 12 };
    prop_oneof![
        30 => publishes(depth).prop_map(Op::Publish),
        34 => pollings(depth).prop_map(Op::Poll),
        9 => readings(depth).prop_map(Op::Read),
        3 => any::<u8>().prop_map(Op::Wait),
        2 => any::<u8>().prop_map(Op::Leave),
        5 => (any::<u8>(), prop::bool::weighted(0.8))
            .prop_map(|(who, is_right)| Op::Take { who, is_right }),
        1 => Just(Op::TakeUnknown),
        2 => any::<u8>().prop_map(Op::Clone),
        1 => any::<u8>().prop_map(Op::DropProducer),
        how_often => end,
    ]
    .boxed()
}

pub fn waits() -> impl Strategy<Value = Wait> {
    prop::sample::select(WAITS.to_vec())
}

fn plans(index: usize) -> impl Strategy<Value = Plan> {
    let follows = prop::collection::vec(0..index.max(1), 0..=index.min(3));
    let policies = prop::sample::select(vec![
        Policy::Halt,
        Policy::Skip,
        Policy::retry(1),
        Policy::retry(2).or_skip(),
        Policy::Skip.or_skip(),
        Policy::retry(0),
    ]);
    let max_batch = prop::option::weighted(0.8, 1_usize..12);
    (follows, any::<bool>(), policies, max_batch, prop::option::weighted(0.3, waits())).prop_map(
        move |(mut follows, mutates, policy, max_batch, wait)| {
            follows.retain(|followed| *followed < index);
            Plan { follows, mutates, policy, max_batch, wait }
        },
    )
}

/// Lets a station change events only if it is before or after every other one.
fn order_mutations(plans: &mut [Plan]) {
    let mut before: Vec<Vec<usize>> = Vec::new();
    for plan in plans.iter() {
        let further = plan.follows.iter().flat_map(|followed| before[*followed].clone());
        before.push(plan.follows.iter().copied().chain(further).collect());
    }
    for index in 0..plans.len() {
        plans[index].mutates &= (0..plans.len()).all(|other| {
            other == index || before[index].contains(&other) || before[other].contains(&index)
        });
    }
}

/// Declares the stations the other way round: names may be followed before they are declared.
fn reverse(plans: &mut [Plan]) {
    let last = plans.len() - 1;
    plans.reverse();
    for followed in plans.iter_mut().flat_map(|plan| &mut plan.follows) {
        *followed = last - *followed;
    }
}

pub fn cases() -> impl Strategy<Value = Case> {
    let stations = (1_usize..6).prop_flat_map(|count| (0..count).map(plans).collect::<Vec<_>>());
    let first = prop_oneof![
        3 => Just(0),
        1 => 1_u64..1_000,
        1 => Just((1 << 34) - 3),
        1 => ((1 << 62) - 9)..=(1_u64 << 62),
    ];
    let hook = prop::option::weighted(0.12, (0_usize..12, payloads()));
    let hook = prop::option::weighted(0.4, hook.prop_map(|panics_at| Hook { panics_at }));
    let shape = (0_u32..4, first, any::<bool>(), stations, any::<bool>());
    let rest = (prop::option::of(waits()), prop::bool::weighted(0.8));
    (shape, hook, rest, prop::collection::vec(ops(DEEPEST), 1..50)).prop_map(
        |((bits, first, is_multi, mut stations, is_reversed), hook, rest, ops)| {
            order_mutations(&mut stations);
            if is_reversed {
                reverse(&mut stations);
            }
            let (producer_wait, takes_all) = rest;
            Case {
                capacity: 1 << bits,
                first,
                is_multi,
                stations,
                hook,
                producer_wait,
                takes_all,
                ops,
            }
        },
    )
}
