//! Failing handlers: what each policy makes of an error or a panic, what the report and the fault
//! say about it, and handlers that cannot even start.

#![forbid(unsafe_code)]

mod common;

use std::{
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use common::{Log, assert_accounts, joined, within_a_minute};
use slipring::{
    At, BatchHandler, BuildError, Builder, Fatal, FaultKind, Handler, HandlerError, HandlerMut,
    Policy, PublishError, Report, Shared, ShutdownError, Station, poller, read, read_batch,
    read_batch_handler, read_handler, read_with, update, update_batch, update_handler, update_with,
};

const KINDS: [FaultKind; 2] = [FaultKind::Error, FaultKind::Panic];

/// A handler that fails on chosen events so many times, then succeeds.
#[derive(Clone)]
struct Flaky {
    kind: FaultKind,
    /// Events and how many more times the handler fails on each.
    failures: Vec<(u64, u32)>,
    /// The sequences that it was called with.
    calls: Log<u64>,
}

impl Flaky {
    fn new(kind: FaultKind, failures: &[(u64, u32)], calls: &Log<u64>) -> Self {
        Self { kind, failures: failures.to_vec(), calls: calls.clone() }
    }

    /// Handles the events from `sequence` on.
    fn handle(&mut self, sequence: u64, events: usize) -> Result<(), String> {
        self.calls.push(sequence);
        let last = sequence + events as u64;
        let due = self
            .failures
            .iter_mut()
            .find(|(at, times)| (sequence..last).contains(at) && *times > 0);
        let Some((at, times)) = due else { return Ok(()) };
        *times -= 1;
        match self.kind {
            FaultKind::Panic => panic!("no to {at}"),
            _ => Err(format!("no to {at}")),
        }
    }
}

impl Handler<u64> for Flaky {
    fn on_event(&mut self, _: &u64, at: At<'_>) -> Result<(), HandlerError> {
        Ok(self.handle(at.sequence(), 1)?)
    }
}

impl HandlerMut<u64> for Flaky {
    fn on_event(&mut self, _: &mut u64, at: At<'_>) -> Result<(), HandlerError> {
        Ok(self.handle(at.sequence(), 1)?)
    }
}

/// The forms of handlers that are called for each event.
#[derive(Clone, Copy, Debug)]
enum Form {
    Read,
    ReadWith,
    ReadHandler,
    Update,
    UpdateWith,
    UpdateHandler,
}

const FORMS: [Form; 6] = [
    Form::Read,
    Form::ReadWith,
    Form::ReadHandler,
    Form::Update,
    Form::UpdateWith,
    Form::UpdateHandler,
];

impl Form {
    fn place(self, ring: Builder<u64>, mut flaky: Flaky, policy: Policy) -> Builder<u64> {
        macro_rules! place {
            ($station:expr) => {
                ring.then($station.policy(policy).max_batch(4))
            };
        }
        match self {
            Self::Read => {
                place!(read("flaky", move |_: &u64, at| flaky.handle(at.sequence(), 1)))
            }
            Self::ReadWith => place!(read_with(
                "flaky",
                move || flaky,
                |flaky, _: &u64, at| flaky.handle(at.sequence(), 1)
            )),
            Self::ReadHandler => place!(read_handler("flaky", move || flaky)),
            Self::Update => {
                place!(update("flaky", move |_: &mut u64, at| flaky.handle(at.sequence(), 1)))
            }
            Self::UpdateWith => place!(update_with(
                "flaky",
                move || flaky,
                |flaky, _: &mut u64, at| flaky.handle(at.sequence(), 1)
            )),
            Self::UpdateHandler => place!(update_handler("flaky", move || flaky)),
        }
    }
}

/// What a run came to.
struct Run {
    result: Result<Report, ShutdownError>,
    calls: Vec<u64>,
    seen_behind: Vec<u64>,
}

/// Publishes `batches` over four slots, the sequence as the event, and ends the ring. The station
/// under test comes first; one that looks stands behind it.
fn run(batches: &[usize], calls: &Log<u64>, ring: Builder<u64>) -> Run {
    let behind = Log::default();
    let seen = behind.clone();
    let ring = ring.then(read("behind", move |event: &u64, _| seen.push(*event)));
    let (mut producer, dispatcher) = ring.start().expect("a good graph");
    let mut next = 0;
    for batch in batches {
        let write = |index: usize, event: &mut u64| *event = next + index as u64;
        if producer.publish_batch(*batch, write).is_ok() {
            next += *batch as u64;
        }
    }
    drop(producer);
    let result = dispatcher.join();
    let report = result.as_ref().unwrap_or_else(|error| &error.report);
    assert_accounts(report);
    Run { result, calls: calls.take(), seen_behind: behind.take() }
}

impl Run {
    /// Events handled, skipped, retried and left.
    fn counters(&self) -> [u64; 4] {
        let report = self.result.as_ref().unwrap_or_else(|error| &error.report);
        let flaky = report.station("flaky").expect("it was declared");
        [flaky.handled, flaky.skipped, flaky.retried, flaky.left]
    }

    #[track_caller]
    fn assert_went_on(&self, events: u64, counters: [u64; 4], calls: &[u64]) {
        assert!(self.result.is_ok(), "{:?}", self.result);
        assert_eq!(self.counters(), counters);
        assert_eq!(self.calls, calls);
        assert!(self.seen_behind.iter().copied().eq(0..events), "{:?}", self.seen_behind);
    }

    #[track_caller]
    fn assert_halted(&self, fault: (u64, FaultKind, &str), counters: [u64; 4], calls: &[u64]) {
        let error = self.result.as_ref().expect_err("the ring was halted");
        let found = error.fault().expect("it was a fault");
        assert_eq!(found.station(), "flaky");
        assert_eq!((found.sequence(), found.kind(), found.message()), fault);
        assert_eq!(self.counters(), counters);
        assert_eq!(self.calls, calls);
        // Those behind may have stopped earlier, but never see what failed.
        let seen = self.seen_behind.len() as u64;
        assert!(seen <= fault.0 && self.seen_behind.iter().copied().eq(0..seen));
    }
}

/// Runs a flaky handler of every form, for errors and for panics, on one batch of four events.
fn for_every_form(
    policy: Policy,
    failures: impl Fn(u64) -> Vec<(u64, u32)> + Send + 'static,
    check: fn(Run, u64, FaultKind),
) {
    within_a_minute(move || {
        for form in FORMS {
            for kind in KINDS {
                for position in 0..4 {
                    let calls = Log::default();
                    let flaky = Flaky::new(kind, &failures(position), &calls);
                    let ring = form.place(Builder::new(4, || 0), flaky, policy);
                    check(run(&[4], &calls, ring), position, kind);
                }
            }
        }
    });
}

/// The sequences 0 to 3 with `position` repeated, up to `last`.
fn calls(position: u64, times: usize, last: u64) -> Vec<u64> {
    (0..=last)
        .flat_map(|at| std::iter::repeat_n(at, if at == position { times } else { 1 }))
        .collect()
}

fn once(position: u64) -> Vec<(u64, u32)> {
    vec![(position, 1)]
}

fn thrice(position: u64) -> Vec<(u64, u32)> {
    vec![(position, 3)]
}

#[test]
fn halt_stops_the_ring_at_the_event() {
    for policy in [Policy::Halt, Policy::default(), Policy::retry(0)] {
        for_every_form(policy, once, |run, at, kind| {
            let message = format!("no to {at}");
            run.assert_halted((at, kind, &message), [at, 0, 0, 4 - at], &calls(at, 1, at));
        });
    }
}

#[test]
fn skip_goes_on_and_those_behind_see_the_event() {
    for policy in [Policy::Skip, Policy::Halt.or_skip(), Policy::retry(0).or_skip()] {
        for_every_form(policy, once, |run, at, _| {
            run.assert_went_on(4, [3, 1, 0, 0], &calls(at, 1, 3));
        });
    }
}

#[test]
fn a_retry_that_succeeds_leaves_no_trace_but_its_count() {
    for_every_form(Policy::retry(3), once, |run, at, _| {
        run.assert_went_on(4, [4, 0, 1, 0], &calls(at, 2, 3));
    });
    for_every_form(Policy::retry(3), thrice, |run, at, _| {
        run.assert_went_on(4, [4, 0, 3, 0], &calls(at, 4, 3));
    });
}

#[test]
fn retries_that_fail_halt() {
    for_every_form(Policy::retry(2), thrice, |run, at, kind| {
        let message = format!("no to {at}");
        run.assert_halted((at, kind, &message), [at, 0, 2, 4 - at], &calls(at, 3, at));
    });
}

#[test]
fn retries_that_fail_skip_if_told_so() {
    for_every_form(Policy::retry(2).or_skip(), thrice, |run, at, _| {
        run.assert_went_on(4, [3, 1, 2, 0], &calls(at, 3, 3));
    });
}

#[test]
fn each_event_has_all_its_retries() {
    let all = |_| (0..4).map(|at| (at, 2)).collect();
    for_every_form(Policy::retry(2), all, |run, _, _| {
        run.assert_went_on(4, [4, 0, 8, 0], &[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    });
    for_every_form(Policy::retry(1).or_skip(), all, |run, _, _| {
        run.assert_went_on(4, [0, 4, 4, 0], &[0, 0, 1, 1, 2, 2, 3, 3]);
    });
    for_every_form(Policy::Skip, all, |run, _, _| {
        run.assert_went_on(4, [0, 4, 0, 0], &[0, 1, 2, 3]);
    });
}

/// Runs batch handlers of both kinds on a batch of four events that wraps: after sequences 0 and 1
/// the slices are 2..4 and 4..6. The second of the two fails.
fn for_both_batch_forms(policy: Policy, times: u32, check: fn(Run, FaultKind)) {
    within_a_minute(move || {
        for kind in KINDS {
            let start = || {
                let calls = Log::default();
                (Flaky::new(kind, &[(5, times)], &calls), calls, Builder::new(4, || 0))
            };
            let (mut flaky, calls, ring) = start();
            let handle =
                move |events: &[u64], at: At<'_>| flaky.handle(at.sequence(), events.len());
            let station = read_batch("flaky", handle).policy(policy).max_batch(4);
            check(run(&[2, 4], &calls, ring.then(station)), kind);
            let (mut flaky, calls, ring) = start();
            let handle =
                move |events: &mut [u64], at: At<'_>| flaky.handle(at.sequence(), events.len());
            let station = update_batch("flaky", handle).policy(policy).max_batch(4);
            check(run(&[2, 4], &calls, ring.then(station)), kind);
        }
    });
}

#[test]
fn batch_handlers_fail_by_the_slice() {
    for_both_batch_forms(Policy::Halt, 1, |run, kind| {
        run.assert_halted((4, kind, "no to 5"), [4, 0, 0, 2], &[0, 2, 4]);
    });
    for_both_batch_forms(Policy::Skip, 1, |run, _| {
        run.assert_went_on(6, [4, 2, 0, 0], &[0, 2, 4]);
    });
    for_both_batch_forms(Policy::retry(3), 3, |run, _| {
        run.assert_went_on(6, [6, 0, 3, 0], &[0, 2, 4, 4, 4, 4]);
    });
    for_both_batch_forms(Policy::retry(2), 3, |run, kind| {
        run.assert_halted((4, kind, "no to 5"), [4, 0, 2, 2], &[0, 2, 4, 4, 4]);
    });
    for_both_batch_forms(Policy::retry(2).or_skip(), 3, |run, _| {
        run.assert_went_on(6, [4, 2, 2, 0], &[0, 2, 4, 4, 4]);
    });
}

#[test]
fn only_the_slice_that_failed_is_skipped() {
    within_a_minute(|| {
        for failing in 2..6 {
            let calls = Log::default();
            let mut flaky = Flaky::new(FaultKind::Error, &[(failing, 1)], &calls);
            let handle =
                move |events: &[u64], at: At<'_>| flaky.handle(at.sequence(), events.len());
            let station = read_batch("flaky", handle).policy(Policy::Skip).max_batch(4);
            let run = run(&[2, 4], &calls, Builder::new(4, || 0).then(station));
            run.assert_went_on(6, [4, 2, 0, 0], &[0, 2, 4]);
        }
    });
}

// ---- what a fault says ----

fn fault_of<R: slipring::Outcome + 'static>(
    handle: impl FnMut(&u64, At<'_>) -> R + Send + 'static,
) -> ShutdownError {
    let ring = Builder::new(2, || 0).then(read("s", handle));
    let (mut producer, dispatcher) = ring.start().expect("a good graph");
    producer.publish(|_| ()).expect("there is room");
    drop(producer);
    dispatcher.join().expect_err("the handler fails")
}

#[test]
fn faults_carry_the_message() {
    within_a_minute(|| {
        let text = |error: &ShutdownError| error.fault().map(ToString::to_string);
        let failed = Some("station `s` failed at sequence 0: out of ink".to_owned());
        assert_eq!(text(&fault_of(|_, _| Err("out of ink"))), failed);
        assert_eq!(text(&fault_of(|_, _| Err("out of ink".to_owned()))), failed);
        let boxed = |_: &u64, _: At<'_>| -> Result<(), HandlerError> { Err("out of ink".into()) };
        assert_eq!(text(&fault_of(boxed)), failed);
        let panicked = Some("station `s` panicked at sequence 0: out of ink".to_owned());
        assert_eq!(text(&fault_of(|_, _| -> () { panic!("out of ink") })), panicked);
        assert_eq!(text(&fault_of(|_, _| -> () { panic!("out of {}", "ink") })), panicked);
        let wordless =
            Some("station `s` panicked at sequence 0: a panic without a text".to_owned());
        assert_eq!(text(&fault_of(|_, _| -> () { panic::panic_any(7) })), wordless);
        assert_eq!(
            fault_of(|_, _| Err("out of ink")).to_string(),
            "the ring was halted: station `s` failed at sequence 0: out of ink"
        );
    });
}

#[test]
fn the_first_fault_is_the_one_that_is_told() {
    within_a_minute(|| {
        let ring = Builder::new(2, || 0_u64)
            .then(poller("first"))
            .then(read("second", |_: &u64, _| ()))
            .branch(poller("third"));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut first = dispatcher.poller("first").expect("it was declared");
        let mut third = dispatcher.poller("third").expect("it was declared");
        producer.publish(|_| ()).expect("there is room");
        assert_eq!(dispatcher.fault(), None);
        let fault = first.poll(|_, _| Err("first")).expect_err("it fails");
        assert_eq!(third.poll(|_, _| Err("third")), Err(fault.clone()), "it is not called");
        assert_eq!(dispatcher.fault(), Some(fault.clone()));
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Halted(fault.clone())));
        assert_eq!(dispatcher.join().expect_err("it was halted").fault(), Some(&fault));
    });
}

// ---- hooks ----

/// Panics in the hook called so.
struct Panicking {
    hook: &'static str,
    calls: Log<&'static str>,
    _held: Arc<()>,
}

impl Panicking {
    fn call(&self, hook: &'static str) {
        self.calls.push(hook);
        assert_ne!(hook, self.hook, "panic in the hook");
    }
}

impl Handler<u64> for Panicking {
    fn on_start(&mut self) {
        self.call("on_start");
    }

    fn on_batch_start(&mut self, _: usize, _: u64) {
        self.call("on_batch_start");
    }

    fn on_event(&mut self, _: &u64, _: At<'_>) -> Result<(), HandlerError> {
        self.call("on_event");
        Ok(())
    }

    fn on_idle(&mut self) {
        self.call("on_idle");
    }

    fn on_stop(&mut self) {
        self.call("on_stop");
    }
}

#[test]
fn a_panic_in_a_hook_halts_whatever_the_policy_says() {
    for (hook, handled) in [("on_batch_start", 0), ("on_idle", 0), ("on_stop", 1)] {
        within_a_minute(move || {
            let (calls, held) = (Log::default(), Arc::new(()));
            let handler = Panicking { hook, calls: calls.clone(), _held: Arc::clone(&held) };
            let station = read_handler("s", move || handler).policy(Policy::Skip);
            let (mut producer, dispatcher) =
                Builder::new(2, || 0).then(station).start().expect("a good graph");
            let published = if hook == "on_idle" {
                // Nothing is published, so that it has nothing to do.
                while !producer.is_closed() {
                    thread::yield_now();
                }
                false
            } else {
                producer.publish(|_| ()).is_ok()
            };
            drop(producer);
            let error = dispatcher.join().expect_err("the hook panics");
            let fault = error.fault().expect("it was a fault");
            assert_eq!((fault.station(), fault.kind()), ("s", FaultKind::Panic));
            assert!(fault.message().contains("panic in the hook"), "{fault}");
            assert_accounts(&error.report);
            assert_eq!(error.report.published, u64::from(published));
            let calls = calls.take();
            assert_eq!(calls.iter().filter(|call| **call == hook).count(), 1, "{calls:?}");
            assert_eq!(calls.last(), Some(&"on_stop"));
            assert_eq!(fault.sequence(), handled);
            assert_eq!(error.report.stations[0].handled, handled);
            assert_eq!(Arc::strong_count(&held), 1, "the handler is dropped");
        });
    }
}

/// Logs how it ends.
struct Ending(Log<&'static str>);

impl BatchHandler<u64> for Ending {
    fn on_batch(&mut self, events: &[u64], _: At<'_>) -> Result<(), HandlerError> {
        if events.contains(&7) { Err("no sevens".into()) } else { Ok(()) }
    }

    fn on_halt(&mut self) {
        self.0.push("on_halt");
    }

    fn on_stop(&mut self) {
        self.0.push("on_stop");
    }
}

#[test]
fn who_has_not_come_to_the_end_is_told_of_the_halt_and_nobody_else_is() {
    for (number, expected) in [(1, &["on_stop"][..]), (7, &["on_halt", "on_stop"])] {
        within_a_minute(move || {
            let calls = Log::default();
            let ending = Ending(calls.clone());
            let station = read_batch_handler("ending", move || ending);
            let (mut producer, dispatcher) =
                Builder::new(4, || 0).then(station).start().expect("a good graph");
            producer.publish(|event| *event = number).expect("there is room");
            drop(producer);
            assert_eq!(dispatcher.join().is_ok(), number == 1);
            assert_eq!(calls.take(), expected);
        });
    }
    // Also of a halt that another station has brought about.
    within_a_minute(|| {
        let calls = Log::default();
        let ending = Ending(calls.clone());
        let (mut producer, dispatcher) = Builder::new(4, || 0)
            .then(read_batch_handler("ending", move || ending))
            .then(read("fails", |_: &u64, _| Err("never")))
            .start()
            .expect("a good graph");
        while producer.publish(|event| *event = 1).is_ok() {}
        drop(producer);
        dispatcher.join().expect_err("it was halted");
        assert_eq!(calls.take(), ["on_halt", "on_stop"]);
    });
}

/// Makes a station that holds something.
type Maker = fn(Arc<()>) -> Station<u64, Shared>;

/// A ring of three stations, with a poller and a reset hook, of which the one at `failing` is made
/// by `station`. Everything in it holds `held`.
fn failing_ring(
    failing: usize,
    held: &Arc<()>,
    station: Maker,
    started: &Log<&'static str>,
) -> Builder<u64> {
    let (in_factory, in_reset) = (Arc::clone(held), Arc::clone(held));
    let ring = Builder::new(2, move || Arc::strong_count(&in_factory) as u64)
        .reset(move |_: &mut u64| assert!(Arc::strong_count(&in_reset) > 1))
        .branch(poller("hand"));
    (0..3).fold(ring, |ring, index| {
        if index == failing {
            return ring.then(station(Arc::clone(held)));
        }
        let handler = Panicking { hook: "none", calls: started.clone(), _held: Arc::clone(held) };
        ring.then(read_handler(format!("good {index}"), move || handler))
    })
}

#[test]
fn a_station_that_cannot_start_fails_the_start_and_leaves_nothing_behind() {
    let makers: [(&str, Maker); 3] = [
        ("no state", |held| {
            read_with(
                "bad",
                move || -> Arc<()> { panic!("no state for {held:?}") },
                |_, _: &u64, _| (),
            )
        }),
        ("no handler", |held| {
            read_handler("bad", move || -> Panicking { panic!("no handler for {held:?}") })
        }),
        ("panic in the hook", |held| {
            let calls = Log::default();
            read_handler("bad", move || Panicking { hook: "on_start", calls, _held: held })
        }),
    ];
    for (message, station) in makers {
        for failing in 0..3 {
            within_a_minute(move || {
                let (held, started) = (Arc::new(()), Log::default());
                for many in [false, true] {
                    let ring = failing_ring(failing, &held, station, &started);
                    let error = if many { ring.start_multi().err() } else { ring.start().err() };
                    let Some(BuildError::NotStarted { station, cause }) = &error else {
                        panic!("{error:?}")
                    };
                    assert_eq!(station, "bad");
                    assert!(cause.contains(message), "{cause}");
                    let shown = format!("station `bad` did not start: {cause}");
                    assert_eq!(error.map(|error| error.to_string()), Some(shown));
                    assert_eq!(Arc::strong_count(&held), 1, "threads, handlers and slots are gone");
                    // The others were started and stopped, each once, and handled nothing.
                    let calls = started.take();
                    let count = |name| calls.iter().filter(|call| **call == name).count();
                    assert_eq!(["on_start", "on_stop", "on_event"].map(count), [2, 2, 0]);
                }
            });
        }
    }
}

#[test]
fn a_start_hook_runs_before_start_returns() {
    within_a_minute(|| {
        let started: [Arc<AtomicBool>; 3] = Default::default();
        let stage: Vec<_> = started
            .iter()
            .enumerate()
            .map(|(index, started)| {
                let started = Arc::clone(started);
                read_with(
                    format!("s{index}"),
                    move || {
                        thread::yield_now();
                        started.store(true, Ordering::SeqCst);
                    },
                    |(), _: &u64, _| (),
                )
            })
            .collect();
        let (_producer, dispatcher) =
            Builder::new(2, || 0).then(stage).start().expect("a good graph");
        assert!(started.iter().all(|started| started.load(Ordering::SeqCst)));
        dispatcher.halt();
        joined(dispatcher);
    });
}

/// Fails on its second slice as often as it is told to, then for good.
struct Fails {
    left: u32,
    is_fatal: bool,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl BatchHandler<u64> for Fails {
    fn on_batch(&mut self, events: &[u64], at: At<'_>) -> Result<(), HandlerError> {
        if at.sequence() > 0 && self.left > 0 {
            self.left -= 1;
            return Err("not now".into());
        }
        if at.sequence() > 0 && self.is_fatal {
            return Err(Fatal("never".into()).into());
        }
        self.seen.lock().unwrap().extend(events);
        Ok(())
    }
}

#[test]
fn a_slice_that_failed_comes_again_whole_and_a_fatal_error_halts_whatever_the_policy() {
    for is_fatal in [false, true] {
        let seen = Arc::default();
        let followed = Arc::new(Mutex::new(Vec::new()));
        let fails = Fails { left: 3, is_fatal, seen: Arc::clone(&seen) };
        let behind = Arc::clone(&followed);
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(
                read_batch_handler("fails", move || fails)
                    .max_batch(1)
                    .policy(Policy::retry(u32::MAX)),
            )
            .then(read("behind", move |event: &u64, _| {
                behind.lock().unwrap().push(*event);
            }))
            .start()
            .unwrap();
        let _ = producer.publish(|event| *event = 1);
        let _ = producer.publish(|event| *event = 2);
        drop(producer);
        let ended = dispatcher.join();
        let (seen, followed) = (seen.lock().unwrap().clone(), followed.lock().unwrap().clone());
        if is_fatal {
            let error = ended.unwrap_err();
            let fault = error.fault().expect("it says what happened");
            assert_eq!((fault.message(), fault.sequence()), ("never", 1));
            assert_eq!(seen, [1]);
            assert!(followed.is_empty() || followed == [1], "{followed:?}");
        } else {
            let report = ended.unwrap();
            assert_eq!((report.stations[0].failed, report.stations[0].retried), (3, 3));
            assert_eq!((seen, followed), (vec![1, 2], vec![1, 2]));
        }
    }
}
