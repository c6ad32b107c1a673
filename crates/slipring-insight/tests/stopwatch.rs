//! Stopwatches around the handlers of running stations.

use std::{
    num::NonZero,
    time::{Duration, Instant},
};

use slipring::{At, Builder, FigureKind, Policy, keyed, read, share_mut, update};
use slipring_insight::Stopwatch;

#[test]
fn each_call_is_timed_whatever_comes_of_it() {
    let times = Stopwatch::new();
    let handle =
        times.around(|event: &u64, _: At<'_>| if *event < 3 { Err("small") } else { Ok(()) });
    let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
        .then(read("r", handle).policy(Policy::retry(1).or_skip()))
        .start()
        .unwrap();
    producer.publish_slice(&[1, 2, 3, 4]).unwrap();
    drop(producer);
    let report = dispatcher.join().unwrap();
    assert_eq!((report.stations[0].skipped, report.stations[0].handled), (2, 2));
    assert_eq!((times.service().calls, times.age().calls), (6, 0));
}

#[test]
fn the_workers_of_a_team_share_one_and_some_calls_are_enough() {
    let (all, some) = (Stopwatch::new(), Stopwatch::one_in(NonZero::new(10).unwrap()));
    let (mut producer, dispatcher) = Builder::new(64, || 0_u64)
        .then(share_mut("share", 3, |_| all.around_mut(|event: &mut u64, _: At<'_>| *event += 1)))
        .then(keyed("keyed", 2, |event: &u64| *event, |_| some.around(|_: &u64, _: At<'_>| ())))
        .start()
        .unwrap();
    for event in 0..1_000 {
        producer.publish(|slot| *slot = event).unwrap();
    }
    drop(producer);
    dispatcher.join().unwrap();
    assert_eq!((all.service().calls, some.service().calls), (1_000, 100));
}

#[test]
fn the_age_counts_from_when_the_event_was_due_also_if_the_handler_forgets_that() {
    let times = Stopwatch::new();
    let handle = times.around_since_mut(
        |due: &Option<Instant>| due.expect("it is due"),
        |due: &mut Option<Instant>, _: At<'_>| *due = None,
    );
    let (mut producer, dispatcher) =
        Builder::new(8, || None::<Instant>).then(update("u", handle)).start().unwrap();
    let an_hour = Duration::from_hours(1);
    let begin = Instant::now();
    let least = begin.elapsed();
    for due in [begin + an_hour, begin] {
        producer.publish(|slot| *slot = Some(due)).unwrap();
    }
    drop(producer);
    dispatcher.join().unwrap();
    let age = times.age();
    assert_eq!((age.calls, age.median), (2, Duration::ZERO), "not yet due is no age at all");
    assert!(age.longest >= least && age.longest <= begin.elapsed() * 2);
}

#[test]
fn switched_off_it_takes_nothing_and_keeps_what_it_has() {
    let times = Stopwatch::new();
    let mut handle = times.around(|event: &u64, _: At<'_>| *event);
    let (mut producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(slipring::poller("p")).start().unwrap();
    let mut poller = dispatcher.poller("p").unwrap();
    for on in [true, false, true] {
        times.switch(on);
        producer.publish(|_| ()).unwrap();
        poller
            .poll(|event, at| {
                handle(event, at);
            })
            .unwrap();
    }
    assert_eq!(times.service().calls, 2);
}

#[test]
fn what_was_noted_is_told_with_what_was_timed() {
    let times = Stopwatch::one_in(NonZero::new(10).unwrap());
    let milli = Duration::from_millis(1);
    for sequence in 0..1_000 {
        if times.wants(sequence) {
            // One in a hundred failed, and was not done with.
            let age = (sequence > 0).then_some(50 * milli);
            times.note(if sequence == 990 { 9 * milli } else { milli }, age);
        }
    }
    times.switch(false);
    assert!(!times.wants(0));
    assert_eq!((times.service().calls, times.age().calls), (100, 99));
    let mut told = Vec::new();
    times.tell(&mut told);
    let told: Vec<(&str, FigureKind, u64)> =
        told.iter().map(|figure| (&*figure.name, figure.kind, figure.value / 1_000_000)).collect();
    let time = FigureKind::Time;
    let expected = [
        ("service p50", time, 1),
        ("service p99", time, 1),
        ("age p50", time, 50),
        ("age p99", time, 50),
    ];
    assert_eq!(told, expected);
}

#[test]
fn nothing_taken_is_no_time() {
    let mut told = Vec::new();
    Stopwatch::new().tell(&mut told);
    assert!(told.len() == 4 && told.iter().all(|figure| figure.value == 0));
}
