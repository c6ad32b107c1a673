//! The graph of stations: who follows whom, what a stage sees of the stages before it, and every
//! graph that is refused.

#![forbid(unsafe_code)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use common::{Log, joined, polled, turnstile, within_a_minute};
use slipring::{
    BuildError, Builder, PublishError, Shared, Stage, Station, Wait, Warning, poller, poller_mut,
    read, read_with, update,
};

/// More than the laps that any protocol could tell apart by accident.
const EVENTS: u64 = if cfg!(miri) { 20 } else { 300 };
const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Stations that check what they see: every event once, in order, with its content, and never
/// before the stations that they follow.
#[derive(Clone, Default)]
struct Watch(Arc<[AtomicU64; NAMES.len()]>);

impl Watch {
    /// The station called `NAMES[index]`, which has to be behind those in `before`.
    fn station(&self, index: usize, before: &'static [usize]) -> Station<u64, Shared> {
        let passed = Arc::clone(&self.0);
        read(NAMES[index], move |event: &u64, at| {
            let sequence = at.sequence();
            assert_eq!(passed[index].load(Ordering::SeqCst), sequence, "once and in order");
            assert_eq!(*event, content(sequence));
            for other in before {
                let position = passed[*other].load(Ordering::SeqCst);
                assert!(position > sequence, "{} is behind {}", NAMES[*other], NAMES[index]);
            }
            passed[index].store(sequence + 1, Ordering::SeqCst);
        })
    }

    /// Runs the ring; its stations have to see everything.
    #[track_caller]
    fn run(&self, stations: usize, ring: Builder<u64>) {
        let (mut producer, dispatcher) = ring.wait(Wait::Yield).start().expect("a good graph");
        for sequence in 0..EVENTS {
            producer.publish(|event| *event = content(sequence)).expect("nothing halts the ring");
        }
        drop(producer);
        let report = joined(dispatcher);
        assert_eq!(report.published, EVENTS);
        assert_eq!(report.stations.len(), stations);
        for station in &report.stations {
            assert_eq!(station.handled, EVENTS, "{}", station.name);
        }
        for (index, passed) in self.0.iter().enumerate() {
            let expected = if index < stations { EVENTS } else { 0 };
            assert_eq!(passed.load(Ordering::SeqCst), expected, "{}", NAMES[index]);
        }
    }
}

fn content(sequence: u64) -> u64 {
    sequence * 7 + 3
}

/// Runs a graph on the tiniest rings.
#[track_caller]
fn check(
    stations: usize,
    graph: impl Fn(&Watch, Builder<u64>) -> Builder<u64> + Send + Clone + 'static,
) {
    for capacity in [1, 2, 4] {
        let graph = graph.clone();
        within_a_minute(move || {
            let watch = Watch::default();
            watch.run(stations, graph(&watch, Builder::with_defaults(capacity)));
        });
    }
}

#[test]
fn a_pipeline() {
    check(3, |watch, ring| {
        ring.then(watch.station(0, &[]))
            .then(watch.station(1, &[0]))
            .then(watch.station(2, &[0, 1]))
    });
}

#[test]
fn a_multicast() {
    check(3, |watch, ring| {
        ring.then((watch.station(0, &[]), watch.station(1, &[]), watch.station(2, &[])))
    });
}

#[test]
fn a_diamond() {
    check(4, |watch, ring| {
        ring.then(watch.station(0, &[]))
            .then([watch.station(1, &[0]), watch.station(2, &[0])])
            .then(watch.station(3, &[0, 1, 2]))
    });
}

#[test]
fn an_uneven_diamond() {
    check(5, |watch, ring| {
        ring.then(watch.station(0, &[]))
            .then(watch.station(1, &[0]))
            .after(["a"], watch.station(2, &[0]))
            .then(watch.station(3, &[0, 2]))
            .after(["b", "d"], watch.station(4, &[0, 1, 2, 3]))
    });
}

#[test]
fn stations_may_follow_some_that_are_declared_later() {
    check(4, |watch, ring| {
        ring.after(["d"], watch.station(0, &[1, 2, 3]))
            .branch(watch.station(1, &[]))
            .then(watch.station(2, &[1]))
            .after(vec![String::from("c"), String::from("b")], watch.station(3, &[1, 2]))
    });
}

#[test]
fn a_branch_follows_the_producers() {
    check(4, |watch, ring| {
        ring.then(watch.station(0, &[]))
            .then(watch.station(1, &[0]))
            .branch(watch.station(2, &[]))
            .then(watch.station(3, &[2]))
    });
}

#[test]
fn stations_side_by_side_in_a_tuple() {
    fn tuple<S: Stage<u64> + 'static>(stations: usize, stage: fn(&Watch) -> S) {
        check(stations, move |watch, ring| ring.then(stage(watch)));
    }
    tuple(2, |w| (w.station(0, &[]), w.station(1, &[])));
    tuple(3, |w| (w.station(0, &[]), w.station(1, &[]), w.station(2, &[])));
    tuple(4, |w| (w.station(0, &[]), w.station(1, &[]), w.station(2, &[]), w.station(3, &[])));
    tuple(5, |w| {
        let s = |index| w.station(index, &[]);
        (s(0), s(1), s(2), s(3), s(4))
    });
    tuple(6, |w| {
        let s = |index| w.station(index, &[]);
        (s(0), s(1), s(2), s(3), s(4), s(5))
    });
    tuple(7, |w| {
        let s = |index| w.station(index, &[]);
        (s(0), s(1), s(2), s(3), s(4), s(5), s(6))
    });
    tuple(8, |w| {
        let s = |index| w.station(index, &[]);
        (s(0), s(1), s(2), s(3), s(4), s(5), s(6), s(7))
    });
}

#[test]
fn stations_side_by_side_in_an_array_or_a_list() {
    check(1, |watch, ring| ring.then([watch.station(0, &[])]));
    check(8, |watch, ring| {
        ring.then([0, 1, 2, 3, 4, 5, 6, 7].map(|index| watch.station(index, &[])))
    });
    check(5, |watch, ring| {
        let stage: Vec<_> = (0..5).map(|index| watch.station(index, &[])).collect();
        ring.then(stage)
    });
    // The next stage follows all of them.
    check(6, |watch, ring| {
        let stage: Vec<_> = (0..5).map(|index| watch.station(index, &[])).collect();
        ring.then(stage).then(watch.station(5, &[0, 1, 2, 3, 4]))
    });
}

#[test]
fn what_a_stage_writes_is_what_the_next_one_sees() {
    /// Larger than a cache line, so that a torn event would show.
    type Wide = [u64; 24];
    for capacity in [1, 2, 4] {
        within_a_minute(move || {
            let log = Log::default();
            let seen = log.clone();
            let ring = Builder::new(capacity, || [0; 24])
                .wait(Wait::Yield)
                .then(update("add", |event: &mut Wide, _| *event = event.map(|n| n + 1)))
                .then(update("double", |event: &mut Wide, _| *event = event.map(|n| n * 2)))
                .then((
                    read("log", move |event: &Wide, _| seen.push(*event)),
                    read("check", |event: &Wide, at| {
                        assert_eq!(*event, [(at.sequence() + 1) * 2; 24]);
                    }),
                ))
                .then(update("erase", |event: &mut Wide, _| *event = [0; 24]));
            let (mut producer, dispatcher) = ring.start().expect("a good graph");
            for sequence in 0..EVENTS {
                let write = |event: &mut Wide| {
                    assert_eq!(*event, [0; 24], "the last stage has erased it");
                    *event = [sequence; 24];
                };
                producer.publish(write).expect("nothing halts the ring");
            }
            drop(producer);
            assert_eq!(joined(dispatcher).published, EVENTS);
            let expected: Vec<Wide> = (0..EVENTS).map(|n| [(n + 1) * 2; 24]).collect();
            assert_eq!(log.take(), expected);
        });
    }
}

#[test]
fn a_slow_branch_holds_only_the_producers_back() {
    within_a_minute(|| {
        let (gate, keeper) = turnstile();
        let (seen, sight) = mpsc::channel();
        let ring = Builder::new(4, || 0_u64)
            .then(read("fast", |_: &u64, _| ()))
            .then(
                read("after", move |event: &u64, _| seen.send(*event).expect("it listens"))
                    .max_batch(1),
            )
            .branch(read("slow", move |_: &u64, at| gate.pass(at.sequence())).max_batch(1));
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        assert_eq!(producer.publish_slice(&[1, 2, 3, 4]), Ok(0..4));
        assert_eq!(keeper.arrival(), 0);
        // The others get to the end although this one stands at the first event.
        assert_eq!(sight.iter().take(4).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        assert_eq!(producer.room(), 0);
        // It lets its slots go one by one.
        keeper.let_through();
        assert_eq!(keeper.arrival(), 1);
        assert_eq!(producer.room(), 1);
        drop(keeper);
        drop(producer);
        assert!(joined(dispatcher).is_complete());
    });
}

#[test]
fn a_stage_stays_behind_each_of_those_that_it_follows() {
    // Each of the three is in turn the one that holds the fourth back.
    for slow in 0..3 {
        within_a_minute(move || {
            let stage = [poller("a"), poller("b"), poller("c")];
            let ring = Builder::new(2, || 0_u64).then(stage).then(poller("behind"));
            let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
            let mut pollers =
                ["a", "b", "c"].map(|name| dispatcher.poller(name).expect("it was declared"));
            let mut behind = dispatcher.poller("behind").expect("it was declared");
            producer.publish(|event| *event = 9).expect("there is room");
            for (index, poller) in pollers.iter_mut().enumerate() {
                if index != slow {
                    assert_eq!(polled(poller), [9]);
                }
            }
            assert_eq!(polled(&mut behind), []);
            assert_eq!(polled(&mut pollers[slow]), [9]);
            assert_eq!(polled(&mut behind), [9]);
        });
    }
}

#[test]
fn threads_are_named_after_their_stations() {
    within_a_minute(|| {
        let log = Log::default();
        let (made, handled) = (log.clone(), log.clone());
        let name = || thread::current().name().map(str::to_owned);
        let ring = Builder::new(2, || 0_u64).then(read_with(
            "a name of more than fifteen bytes",
            move || made.push(name()),
            move |(), _: &u64, _| handled.push(name()),
        ));
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        producer.publish(|_| ()).expect("there is room");
        drop(producer);
        joined(dispatcher);
        let expected = Some("a name of more than fifteen bytes".to_owned());
        assert_eq!(log.take(), [expected.clone(), expected]);
    });
}

#[test]
fn a_station_is_pinned_to_its_core() {
    within_a_minute(|| {
        for core in core_affinity::get_core_ids().unwrap_or_default() {
            let log = Log::default();
            let seen = log.clone();
            let ring = Builder::new(2, || 0_u64).then(
                read("pinned", move |_: &u64, _| {
                    let cores = core_affinity::get_core_ids().unwrap_or_default();
                    seen.push(cores.iter().map(|core| core.id).collect::<Vec<_>>());
                })
                .pin(core.id),
            );
            let (mut producer, dispatcher) = ring.start().expect("the core exists");
            producer.publish(|_| ()).expect("there is room");
            drop(producer);
            assert_eq!(joined(dispatcher).stations[0].handled, 1);
            assert_eq!(log.take(), [vec![core.id]], "the handler may run on no other core");
        }
    });
}

#[test]
fn every_slot_is_made_once_by_the_factory() {
    for capacity in [1, 2, 4, 64] {
        let log = Log::default();
        let made = log.clone();
        let ring = Builder::new(capacity, move || made.push(())).then(poller("hand"));
        assert_eq!(log.take().len(), 0, "nothing is made before the start");
        let started = ring.start().expect("a good graph");
        assert_eq!(log.take().len(), capacity);
        drop(started);
        assert_eq!(log.take().len(), 0);
    }
}

#[test]
fn spinning_stations_that_outnumber_the_cores_are_warned_of() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let start = |stations: usize, wait| {
        let stage: Vec<_> =
            (0..stations).map(|index| read(format!("s{index}"), |_: &u64, _| ())).collect();
        let ring = Builder::new(2, || 0_u64).wait(wait).then(stage);
        ring.start().expect("a good graph").1.warnings().to_vec()
    };
    let (spinning, threads) = (cores, cores + 1);
    let warning = Warning::Oversubscribed { spinning, threads, cores };
    assert_eq!(
        warning.to_string(),
        format!(
            "{spinning} stations spin while they wait, but at least {threads} threads have {cores} \
             core(s) to run on: use the adaptive or the yielding wait"
        )
    );
    for wait in [Wait::Spin, Wait::Hint] {
        assert_eq!(start(cores, wait), std::slice::from_ref(&warning));
        // With a core for each of them, and one for the producer, there is nothing to say.
        assert_eq!(start((cores - 1).max(1), wait).len(), usize::from(cores == 1));
    }
    for wait in [Wait::Adaptive, Wait::Yield, Wait::Block] {
        assert_eq!(start(cores, wait), []);
    }
}

// ---- what is refused ----

fn silent(name: &str) -> Station<u64, Shared> {
    read(name, |_: &u64, _| ())
}

fn changing(name: &str) -> Station<u64, slipring::Exclusive> {
    update(name, |_: &mut u64, _| ())
}

/// Both ways to start the ring refuse it with this error and this text.
#[track_caller]
fn assert_refused(ring: impl Fn() -> Builder<u64>, expected: &BuildError, text: &str) {
    assert_eq!(ring().start().err().as_ref(), Some(expected));
    assert_eq!(ring().start_multi().err().as_ref(), Some(expected));
    assert_eq!(expected.to_string(), text);
}

#[test]
fn a_capacity_that_is_no_power_of_two_is_refused() {
    for (asked, next) in [(0, 1), (3, 4), (5, 8), (1000, 1024)] {
        assert_refused(
            || Builder::with_defaults(asked).then(silent("a")),
            &BuildError::Capacity { asked, next },
            &format!(
                "a capacity of {asked} is not possible: it must be a power of two, such as {next}"
            ),
        );
    }
    for asked in [usize::MAX, usize::MAX / 2 + 1] {
        let ring = Builder::new(asked, || 0_u64).then(silent("a"));
        assert!(matches!(ring.start(), Err(BuildError::Capacity { asked: a, next }) if a == asked
                && next.is_power_of_two()));
    }
}

#[test]
fn a_ring_without_stations_is_refused() {
    assert_refused(
        || Builder::with_defaults(2),
        &BuildError::NoStations,
        "the ring has no stations: add one with `then`, or let them come later with `without_stations`",
    );
}

#[test]
fn an_empty_stage_is_refused() {
    let text = "a stage has no stations: leave it out or fill it";
    let empty = Vec::<Station<u64, Shared>>::new;
    let first = || Builder::with_defaults(2).then(empty()).then(silent("a"));
    assert_refused(first, &BuildError::EmptyStage, text);
    let last = || Builder::with_defaults(2).then(silent("a")).then(empty());
    assert_refused(last, &BuildError::EmptyStage, text);
    let none: fn() -> [Station<u64, Shared>; 0] = || [];
    let only = || Builder::with_defaults(2).branch(none());
    assert_refused(only, &BuildError::EmptyStage, text);
    let named = || Builder::with_defaults(2).then(silent("a")).after(["a"], none());
    assert_refused(named, &BuildError::EmptyStage, text);
}

#[test]
fn a_name_used_twice_is_refused() {
    let error = BuildError::DuplicateName("a".to_owned());
    let text = "two stations are called `a`: give each a name of its own";
    let side_by_side = || Builder::with_defaults(2).then([silent("a"), silent("a")]);
    assert_refused(side_by_side, &error, text);
    let in_line = || Builder::with_defaults(2).then(silent("a")).then(changing("a"));
    assert_refused(in_line, &error, text);
    let polled = || Builder::with_defaults(2).then(silent("a")).branch(poller("a"));
    assert_refused(polled, &error, text);
}

#[test]
fn an_unknown_name_is_refused_with_those_that_exist() {
    let known = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_refused(
        || {
            Builder::with_defaults(2)
                .then([silent("a"), silent("b")])
                .after(["a", "nobody"], silent("c"))
        },
        &BuildError::UnknownName { name: "nobody".to_owned(), known },
        "no station is called `nobody`: the stations are a, b, c",
    );
}

#[test]
fn a_circle_is_refused_in_the_order_of_the_flow() {
    let circle =
        |names: &[&str]| BuildError::Cycle(names.iter().map(|name| (*name).to_owned()).collect());
    assert_refused(
        || {
            Builder::with_defaults(2)
                .then(silent("in"))
                .after(["in", "c"], silent("a"))
                .then(silent("b"))
                .then(silent("c"))
        },
        &circle(&["a", "b", "c", "a"]),
        "stations follow each other in a circle: a -> b -> c -> a",
    );
    assert_refused(
        || Builder::with_defaults(2).after(["a"], silent("a")),
        &circle(&["a", "a"]),
        "stations follow each other in a circle: a -> a",
    );
}

#[test]
fn a_changing_station_beside_another_one_is_refused() {
    let unordered = |mutating: &str, other: &str| BuildError::Unordered {
        mutating: mutating.to_owned(),
        other: other.to_owned(),
    };
    let text = |mutating: &str, other: &str| {
        format!(
            "`{mutating}` mutates events but is ordered neither before nor after `{other}`: \
             put one after the other, or let `{mutating}` only read"
        )
    };
    assert_refused(
        || Builder::with_defaults(2).then(silent("a")).branch(changing("b")),
        &unordered("b", "a"),
        &text("b", "a"),
    );
    assert_refused(
        || Builder::with_defaults(2).then(changing("a")).branch(changing("b")),
        &unordered("a", "b"),
        &text("a", "b"),
    );
    assert_refused(
        || Builder::with_defaults(2).then(poller_mut("a")).branch(poller("b")),
        &unordered("a", "b"),
        &text("a", "b"),
    );
    // Ordered with its own branch, but not with the other one.
    assert_refused(
        || {
            Builder::with_defaults(2)
                .then(silent("a"))
                .then(silent("b"))
                .after(["a"], silent("c"))
                .after(["b"], changing("d"))
        },
        &unordered("d", "c"),
        &text("d", "c"),
    );
}

#[test]
fn a_largest_batch_of_nothing_is_refused() {
    assert_refused(
        || Builder::with_defaults(2).then(silent("a")).then(silent("b").max_batch(0)),
        &BuildError::NoBatch { station: "b".to_owned() },
        "station `b` has a largest batch of 0: use at least 1",
    );
}

#[test]
fn a_core_that_does_not_exist_is_refused_with_those_that_do() {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    cores.sort_unstable();
    for core in [cores.last().map_or(0, |core| core + 1), usize::MAX] {
        assert_refused(
            || Builder::with_defaults(2).then(silent("a")).then(silent("b").pin(core)),
            &BuildError::NoSuchCore { station: "b".to_owned(), core, available: cores.clone() },
            &format!("station `b` cannot be pinned to core {core}: the cores are {cores:?}"),
        );
    }
}
