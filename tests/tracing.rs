//! What those hear who listen to `tracing`: exactly this, however many events pass.
#![cfg(feature = "tracing")]

mod common;

use std::{
    fmt::{self, Write as _},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::within_a_minute;
use slipring::{At, Builder, Start, poller, read, read_with, share};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

/// What was heard, a line for each span that begins or ends and for each event.
static HEARD: Mutex<Heard> = Mutex::new(Heard { lines: Vec::new(), panics: false });

struct Heard {
    lines: Vec<String>,
    /// Whether the listener panics when it has heard something.
    panics: bool,
}

struct Listener;

/// Fields, as ` name=value`.
#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("it is a string");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Listener {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let line = format!("{}{}", span.metadata().name(), fields.0);
        let parent = context.span(id).and_then(|span| span.parent().map(|parent| parent.name()));
        assert_eq!(parent, None);
        hear(span.metadata().target(), format!("{line} {{"));
        context.span(id).expect("it is new").extensions_mut().insert(line);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is still there");
        let line = span.extensions().get::<String>().cloned().unwrap_or_default();
        hear(span.metadata().target(), format!("}} {line}"));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let inside = context.lookup_current().map_or("", |_| "  ");
        let (level, target) = (event.metadata().level(), event.metadata().target());
        hear(target, format!("{inside}{level}{}", fields.0));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hear(target: &str, line: String) {
    if target == "slipring" {
        let mut heard = lock(&HEARD);
        heard.lines.push(line);
        assert!(!heard.panics, "a listener");
    }
}

/// What is heard while `body` runs; one test at a time.
fn heard(panics: bool, body: impl FnOnce() + Send + 'static) -> Vec<String> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = lock(&TURN);
    // Of a process, there is one.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Listener));
    *lock(&HEARD) = Heard { lines: Vec::new(), panics };
    within_a_minute(body);
    mem::take(&mut lock(&HEARD).lines)
}

/// A ring with one station, from its start to its end.
fn run(events: u64) {
    let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
        .then(read("count", |_: &u64, _| ()))
        .start()
        .expect("the ring is well formed");
    for _ in 0..events {
        producer.publish(|_| ()).expect("the ring is open");
    }
    drop(producer);
    dispatcher.join().expect("nobody fails");
}

#[test]
fn a_start_and_an_orderly_end() {
    let expected = [
        r#"station name="count" {"#,
        r#"INFO message=ring started capacity=8 stations=["count"]"#,
        r#"} station name="count""#,
        "INFO message=ring ended published=3 report=published 3, abandoned 0; count: handled 3, \
         skipped 0, retried 0, left 0",
    ];
    assert_eq!(heard(false, || run(3)), expected);
}

#[test]
fn the_number_of_events_makes_no_difference() {
    let lines = |events| heard(false, move || run(events)).len();
    assert_eq!([0, 1, 100_000].map(lines), [4, 4, 4]);
}

#[test]
fn a_fault_is_told_where_it_happened() {
    let lines = heard(false, || {
        let fails = |_: &u64, at: At<'_>| if at.sequence() == 1 { Err("no") } else { Ok(()) };
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(read("risk", fails))
            .start()
            .expect("the ring is well formed");
        producer.publish_batch(2, |_, _| ()).expect("there is room");
        assert!(dispatcher.shutdown(Duration::MAX).is_err());
    });
    let expected = [
        r#"station name="risk" {"#,
        r#"INFO message=ring started capacity=8 stations=["risk"]"#,
        r#"  ERROR message=station `risk` failed at sequence 1: no station="risk" sequence=1"#,
        r#"} station name="risk""#,
        "WARN message=ring ended published=2 report=published 2, abandoned 0; risk: handled 1, \
         skipped 0, retried 0, left 1 trouble=the ring was halted: station `risk` failed at \
         sequence 1: no",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn workers_guests_and_pinned_threads_have_spans_of_their_own() {
    let core = core_affinity::get_core_ids().and_then(|cores| cores.first().map(|core| core.id));
    let Some(core) = core else { return };
    let lines = heard(false, move || {
        let (producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(share("team", 2, |_| |_: &u64, _: At<'_>| {}))
            .then(read("pinned", |_: &u64, _| ()).pin(core))
            .then(poller("polled"))
            .start()
            .expect("the ring is well formed");
        let guest = read("guest", |_: &u64, _| ());
        let guest = dispatcher.membership().attach(guest, Start::Now).expect("there is a seat");
        drop((producer, guest));
        dispatcher.join().expect("nobody fails");
    });
    let mut spans: Vec<&str> = lines.iter().filter_map(|line| line.strip_suffix(" {")).collect();
    // Whose thread comes first is anybody's guess.
    spans.sort_unstable();
    let pinned = format!(r#"station name="pinned" core={core}"#);
    let expected = [
        r#"station name="guest""#,
        &pinned,
        r#"station name="team" worker=0"#,
        r#"station name="team" worker=1"#,
    ];
    assert_eq!(spans, expected);
    let mut ends: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("} ")).collect();
    ends.sort_unstable();
    assert_eq!(ends, expected);
}

#[test]
fn a_ring_in_a_scope_is_told_of_alike() {
    let lines = heard(false, || {
        let (_, _) = Builder::new(8, || 0_u64)
            .then(read("count", |_: &u64, _| ()))
            .scope(|mut producer, _| producer.publish_batch(3, |_, _| ()))
            .expect("nobody fails");
    });
    assert_eq!(lines, heard(false, || run(3)));
}

#[test]
fn a_ring_that_does_not_start_does_not_end() {
    let lines = heard(false, || {
        let no_state = || -> u64 { panic!("no state") };
        let station = read_with("bad", no_state, |_: &mut u64, _: &u64, _: At<'_>| ());
        assert!(Builder::new(8, || 0_u64).then(station).start().is_err());
    });
    assert_eq!(lines, [r#"station name="bad" {"#, r#"} station name="bad""#]);
}

#[test]
fn a_listener_that_panics_holds_nobody_up() {
    let lines = heard(true, || run(3));
    assert!(lines.iter().any(|line| line.contains("ring ended")), "{lines:?}");
}
