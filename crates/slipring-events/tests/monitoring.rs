//! What whoever looks at a bus is told of its handlers: exactly what is in their accounts, and alerts on it.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{AMPLE, Bad, MILLI, SECOND, by_clock, number, publish, settle};
use proptest::{collection::vec, prelude::*};
use slipring::{LagPolicy, Snapshot, StationSnapshot};
use slipring_events::{
    Account, AnyEvent, Backoff, Breaker, Bus, Draft, EventId, HandlerError, Retry, Source,
};
use slipring_insight::{Alert, Rule, Rules, Stations, Turn};

/// What a station tells by this name.
fn told(station: &StationSnapshot, name: &str) -> u64 {
    let figure = station.told.iter().find(|figure| figure.name == name);
    figure.unwrap_or_else(|| panic!("`{name}` is told")).value
}

/// What is told is what the account says.
fn agree(station: &StationSnapshot, account: &Account) -> Result<(), String> {
    let Account { waiting, dead, lost, unsent, requeued, duplicates, .. } = *account;
    let Account { passed_over, filtered, follow_ups, caught_up, deferred, .. } = *account;
    let figures = [
        ("waiting", waiting),
        ("dead", dead),
        ("lost", lost),
        ("unsent", unsent),
        ("requeued", requeued),
        ("caught up", caught_up),
        ("deferred", deferred),
        ("duplicates", duplicates),
        ("passed over", passed_over),
        ("filtered", filtered),
        ("follow-ups", follow_ups),
    ];
    for (name, value) in figures {
        if told(station, name) != value {
            return Err(format!("{name}: {} for {value}", told(station, name)));
        }
    }
    let ring = &station.account;
    let noted = (ring.calls, ring.failed, ring.retried, station.late);
    let attempts = account.handled + account.failures;
    let expected = (attempts, account.failures, account.retries, account.late);
    if noted == expected { Ok(()) } else { Err(format!("{noted:?} for {expected:?}")) }
}

/// What happens on a bus from outside.
#[derive(Clone, Debug)]
enum Act {
    /// An event of this number, and of this id.
    Publish(u8, u8),
    /// An event that is not for the handler.
    PublishOther,
    Step,
    Pass,
    GiveBack,
    /// The handler fails on this number from now on, or does not any more.
    Spoil(u8),
    Mend(u8),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..8_u8, 0..40_u8).prop_map(|(number, id)| Act::Publish(number, id)),
        1 => Just(Act::PublishOther),
        6 => Just(Act::Step),
        2 => Just(Act::Pass),
        1 => Just(Act::GiveBack),
        1 => (0..8_u8).prop_map(Act::Spoil),
        1 => (0..8_u8).prop_map(Act::Mend),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever fails, is tried again, dies, comes back, came twice, follows or is passed over.
    #[test]
    fn what_is_told_is_the_account(
        acts in vec(any_act(), 1..120),
        limit in prop::option::of(2..12_u64),
        by_key in any::<bool>(),
    ) {
        let (bus, clock) = by_clock(16);
        let (bad, source) = (Bad::these([1, 2, 5]), Source::fresh("elsewhere"));
        let fails = bad.clone();
        let registration = bus.handler("mail").on::<u32>();
        let registration = match limit {
            Some(limit) => registration.lag_limit(limit, LagPolicy::SkipAhead),
            None => registration,
        };
        let registration = if by_key { registration.in_sequence(|it| it % 3) } else { registration };
        let retry = Retry::immediately(1).then(Backoff::fixed(SECOND), 1);
        let (handler, mut hand) = registration
            .idempotent(64)
            .retry(retry)
            .by_hand(move |number, context| {
                fails.try_on(*number)?;
                if number % 4 == 3 {
                    context.publish(AnyEvent::new("it follows"))?;
                }
                Ok::<(), HandlerError>(())
            })
            .unwrap();
        let (monitor, mut publisher) = (bus.monitor(), bus.publisher());
        for act in acts {
            match act {
                Act::Publish(event, id) => {
                    let event = number(u32::from(event));
                    let id = EventId::of(source, u64::from(id));
                    let _ = publisher.try_send(Draft::new(event).id(id));
                }
                Act::PublishOther => drop(publisher.try_publish(AnyEvent::new(1_u64))),
                Act::Step => drop(hand.step()),
                Act::Pass => clock.advance(SECOND),
                Act::GiveBack => drop(bus.dead_letters().requeue_all("mail")),
                Act::Spoil(event) => bad.spoil(u32::from(event)),
                Act::Mend(event) => bad.mend(u32::from(event)),
            }
            let snapshot = monitor.snapshot();
            prop_assert!(snapshot.adds_up(), "{snapshot:?}");
            let agreed = agree(&snapshot.stations[0], &handler.account());
            prop_assert_eq!(agreed, Ok(()), "after {:?}", act);
        }
    }
}

/// No count of the later look is smaller.
fn never_goes_back(before: &Snapshot, now: &Snapshot) -> bool {
    let counts = |station: &StationSnapshot| {
        let account = &station.account;
        let mut counts = vec![account.calls, account.failed, account.retried, account.handled];
        // The first one is a level, and so is the last.
        counts.extend(station.told[1..9].iter().map(|figure| figure.value));
        counts
    };
    let stations = before.stations.iter().zip(&now.stations);
    stations.into_iter().all(|(before, now)| {
        counts(before).into_iter().zip(counts(now)).all(|(before, now)| before <= now)
    })
}

#[test]
fn every_look_at_a_running_bus_adds_up_and_the_last_one_is_the_account() {
    const EVENTS: u32 = 20_000;
    let bus = Bus::<AnyEvent>::start(64).unwrap();
    let names = ["mail", "stock", "audit"];
    let handlers: Vec<_> = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let mut random = fastrand::Rng::with_seed(index as u64);
            let registration = bus.handler(name).on::<u32>().retry(Retry::immediately(1));
            let failing = move |_: &u32| if random.u8(..8) == 0 { Err("no luck") } else { Ok(()) };
            let mut failing = failing;
            registration.run(move |number, _| failing(number)).unwrap()
        })
        .collect();
    let (monitor, is_done) = (bus.monitor(), Arc::new(AtomicBool::new(false)));
    let done = Arc::clone(&is_done);
    let watcher = thread::spawn(move || {
        let (mut looks, mut before) = (0_u64, monitor.snapshot());
        while !done.load(Ordering::Relaxed) {
            let now = monitor.snapshot();
            assert!(now.adds_up() && never_goes_back(&before, &now), "{before:?}\n{now:?}");
            (before, looks) = (now, looks + 1);
        }
        looks
    });
    let mut publisher = bus.publisher();
    for count in 0..EVENTS {
        publisher.publish(number(count)).unwrap();
    }
    let deadline = Instant::now() + AMPLE;
    let is_through = |account: Account| account.handled + account.dead == u64::from(EVENTS);
    while !handlers.iter().all(|handler| is_through(handler.account())) {
        assert!(Instant::now() < deadline, "it comes to its end");
        thread::yield_now();
    }
    is_done.store(true, Ordering::Relaxed);
    assert!(watcher.join().unwrap() > 0);
    let snapshot = bus.monitor().snapshot();
    for (station, handler) in snapshot.stations.iter().zip(&handlers) {
        let account = handler.account();
        agree(station, &account).unwrap();
        // One of eight fails, and one of eight of those that are tried again.
        assert!(account.failures > 2_000 && account.dead > 200, "{account}");
        assert_eq!(station.account.calls, account.handled + account.failures);
    }
}

/// Which rules have raised an alert (true) or cleared one.
fn gist(alerts: &[Alert]) -> Vec<(&str, bool)> {
    alerts.iter().map(|alert| (alert.rule.name(), alert.turn == Turn::Raised)).collect()
}

#[test]
fn an_alert_on_what_waits_is_raised_and_cleared_once() {
    let (bus, clock) = by_clock(64);
    let bad = Bad::these(0..6);
    let fails = bad.clone();
    let (_handler, mut hand) = bus
        .handler("mail")
        .on::<u32>()
        .retry(Retry::immediately(0).then(Backoff::fixed(SECOND), 1_000))
        .by_hand(move |number, _| fails.try_on(*number))
        .unwrap();
    let mut rules = Rules::new("bus").with(Rule::told("mail", "waiting", 4).until(2));
    let monitor = bus.monitor();
    let mut turns = Vec::new();
    let mut publisher = bus.publisher();
    // One more waits at each look, and then one less.
    for event in 0..6 {
        publisher.publish(number(event)).unwrap();
        settle(&mut hand);
        turns.extend(rules.look(&monitor.snapshot()).iter().map(|it| (event, it.to_string())));
    }
    for event in 0..6 {
        bad.mend(event);
        clock.advance(SECOND);
        settle(&mut hand);
        turns.extend(rules.look(&monitor.snapshot()).iter().map(|it| (event, it.to_string())));
    }
    assert_eq!(turns.len(), 2, "{turns:?}");
    assert_eq!((turns[0].0, turns[1].0), (3, 4));
    assert!(turns[0].1.starts_with("ring `bus`: `waiting` of `mail` is 4 (alert from 4 on"));
    assert!(turns[1].1.ends_with(": `waiting` of `mail` is 1 (below 2)"), "{}", turns[1].1);
}

#[test]
fn an_alert_on_the_dead_is_raised_for_news_only() {
    let (bus, _clock) = by_clock(64);
    let fails = Bad::these([1, 2, 3]);
    let (_handler, mut hand) =
        bus.handler("mail").on::<u32>().by_hand(move |number, _| fails.try_on(*number)).unwrap();
    let mut rules = Rules::new("bus").with(Rule::growth(Stations::Any, "dead", 2).until(1));
    let monitor = bus.monitor();
    rules.look(&monitor.snapshot());
    let mut turns = Vec::new();
    for events in [vec![0], vec![1], vec![2, 3], vec![1], vec![0], vec![]] {
        publish(&bus, events);
        settle(&mut hand);
        turns.push(gist(&rules.look(&monitor.snapshot())).len());
    }
    assert_eq!(turns, [0, 0, 1, 0, 1, 0]);
}

#[test]
fn an_error_rate_is_that_of_attempts_whatever_passes_the_handler() {
    let (bus, _clock) = by_clock(64);
    let fails = Bad::these([1]);
    let (_handler, mut hand) = bus
        .handler("mail")
        .on::<u32>()
        .retry(Retry::immediately(1))
        .by_hand(move |number, _| fails.try_on(*number))
        .unwrap();
    let mut rules = Rules::new("bus").with(Rule::error_rate("mail", 0.6));
    let monitor = bus.monitor();
    rules.look(&monitor.snapshot());
    let mut publisher = bus.publisher();
    // Two attempts fail, and one goes well; forty events are not for it.
    for _ in 0..40 {
        publisher.publish(AnyEvent::new("another")).unwrap();
    }
    publish(&bus, [0, 1]);
    settle(&mut hand);
    let alerts = rules.look(&monitor.snapshot());
    let shown = "ring `bus`: 66.7% of the calls of `mail` fail (alert from 60.0% on";
    assert!(alerts[0].to_string().starts_with(shown), "{}", alerts[0]);
    // What is not for it says nothing of it.
    publisher.publish(AnyEvent::new("another")).unwrap();
    settle(&mut hand);
    assert!(rules.look(&monitor.snapshot()).is_empty());
    publish(&bus, [0]);
    settle(&mut hand);
    assert_eq!(gist(&rules.look(&monitor.snapshot())), [("error_rate", false)]);
}

#[test]
fn who_is_held_up_says_so_until_it_goes_on() {
    let (bus, clock) = by_clock(64);
    let bad = Bad::these([1]);
    let fails = bad.clone();
    let (_handler, mut hand) = bus
        .handler("mail")
        .on::<u32>()
        .breaker(Breaker::after(2).open_for(SECOND))
        .by_hand(move |number, _| fails.try_on(*number))
        .unwrap();
    let monitor = bus.monitor();
    let mut held = |advance| {
        clock.advance(advance);
        settle(&mut hand);
        told(&monitor.snapshot().stations[0], "held")
    };
    publish(&bus, [1]);
    assert_eq!(held(Duration::ZERO), 0);
    publish(&bus, [1, 0]);
    assert_eq!(held(Duration::ZERO), 1);
    assert_eq!(held(999 * MILLI), 1);
    assert_eq!(held(MILLI), 0);
}

#[test]
fn who_has_left_tells_nothing_and_its_alerts_are_cleared() {
    let (bus, _clock) = by_clock(64);
    let (handler, mut hand) =
        bus.handler("mail").on::<u32>().by_hand(|_, _| Err::<(), _>("no")).unwrap();
    let mut rules = Rules::new("bus").with(Rule::told("mail", "dead", 1));
    let monitor = bus.monitor();
    publish(&bus, [1]);
    settle(&mut hand);
    assert_eq!(gist(&rules.look(&monitor.snapshot())), [("told", true)]);
    drop(hand);
    assert_eq!(handler.account().dead, 1);
    let snapshot = monitor.snapshot();
    assert!(snapshot.stations.is_empty());
    assert_eq!(gist(&rules.look(&snapshot)), [("told", false)]);
}

/// By a clock that the handler itself turns.
#[cfg(feature = "insight")]
#[test]
fn times_are_those_of_attempts_and_ages_those_of_what_was_handled() {
    use slipring_insight::Stopwatch;

    let (bus, clock) = by_clock(64);
    let (times, hands) = (Stopwatch::new(), clock.clone());
    let mut tried = 0;
    let (_handler, mut hand) = bus
        .handler("mail")
        .on::<u32>()
        .timed(&times)
        .retry(Retry::immediately(0).then(Backoff::fixed(SECOND), 5))
        .by_hand(move |_, _| {
            tried += 1;
            hands.advance(4 * MILLI);
            if tried < 3 { Err("not yet") } else { Ok(()) }
        })
        .unwrap();
    publish(&bus, [7]);
    for _ in 0..3 {
        settle(&mut hand);
        clock.advance(SECOND);
    }
    assert_eq!((times.service().calls, times.age().calls), (3, 1));
    let station = &bus.monitor().snapshot().stations[0];
    // Two seconds between three attempts of 4 ms. Times are rounded up by less than 1 %.
    let expected = [("service p50", 4), ("service p99", 4), ("age p50", 2_012), ("age p99", 2_012)];
    for (name, millis) in expected {
        let (told, exact) = (Duration::from_nanos(told(station, name)), millis * MILLI);
        assert!(exact <= told && told < exact * 101 / 100, "{name}: {told:?}");
    }
    // Switched off it takes no time, and what was taken stays.
    times.switch(false);
    publish(&bus, [8]);
    settle(&mut hand);
    assert_eq!((times.service().calls, times.age().calls), (3, 1));
}
