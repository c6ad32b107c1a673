//! Rules beside a plain model, and what each kind of them measures, on snapshots that nobody took.

use std::time::Duration;

use proptest::prelude::*;
use slipring::{Builder, Doing, Figure, Snapshot, poller};
use slipring_insight::{Alert, Rule, Rules, Stations, Turn, Value};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A ring of 128 slots with these stations, at which nothing has happened.
fn untouched(stations: &[&str]) -> Snapshot {
    let polled: Vec<_> = stations.iter().map(|name| poller(*name)).collect();
    let (producer, dispatcher) =
        Builder::new(128, || 0_u64).then(polled).start().expect("the ring is well formed");
    let mut snapshot = dispatcher.snapshot();
    drop(producer);
    snapshot.at = Duration::ZERO;
    snapshot
}

fn after(time: Duration, before: &Snapshot, change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let mut snapshot = before.clone();
    snapshot.at += time;
    change(&mut snapshot);
    snapshot
}

/// Who was raised (true) or cleared, and the value.
fn gist(alerts: &[Alert]) -> Vec<(bool, &str, Option<Value>)> {
    let gist = |alert: &Alert| alert.turn == Turn::Raised;
    alerts
        .iter()
        .map(|alert| (gist(alert), alert.station.as_deref().unwrap_or("ring"), alert.value))
        .collect()
}

/// What a rule's description says, told from the whole history at every look: `values` that are `None`
/// could not be told.
fn is_raised(history: &[(Duration, Option<u64>)], from: u64, until: u64, hold: Duration) -> bool {
    let known: Vec<(Duration, u64)> =
        history.iter().filter_map(|(at, value)| value.map(|value| (*at, value))).collect();
    (0..known.len()).any(|begin| {
        (begin..known.len()).any(|raised| {
            known[begin..=raised].iter().all(|(_, value)| *value >= from)
                && known[raised].0 >= known[begin].0 + hold
                && known[raised + 1..].iter().all(|(_, value)| *value >= until)
        })
    })
}

proptest! {
    #[test]
    fn alerts_are_raised_and_cleared_as_a_plain_model_says(
        looks in prop::collection::vec((0..4_u64, 0..12_u64), 0..40),
        from in 1..10_u64,
        below in 0..4_u64,
        hold in 0..6_u64,
    ) {
        let until = from.saturating_sub(below);
        let rule = Rule::lag(Stations::Any, from).until(until).for_at_least(seconds(hold));
        let mut rules = Rules::new("orders").with(rule);
        let mut snapshot = untouched(&["one"]);
        let (mut history, mut was_raised) = (Vec::new(), false);
        for (time, lag) in looks {
            snapshot = after(seconds(time), &snapshot, |it| it.stations[0].lag = lag);
            history.push((snapshot.at, Some(lag)));
            let alerts = rules.look(&snapshot);
            let raised = is_raised(&history, from, until, seconds(hold));
            let expected = (raised != was_raised)
                .then_some((raised, "one", Some(Value::Events(lag))));
            prop_assert_eq!(gist(&alerts), expected.into_iter().collect::<Vec<_>>());
            for alert in alerts {
                let mut known = history.iter().rev().map(|(at, value)| (*at, value.unwrap_or(0)));
                if raised {
                    let begin = known.take_while(|(_, value)| *value >= from).last();
                    prop_assert_eq!(Some(alert.since), begin.map(|(at, _)| at));
                    prop_assert!(alert.lasted() >= seconds(hold));
                } else {
                    prop_assert!(known.any(|(at, value)| at == alert.since && value >= from));
                }
            }
            was_raised = raised;
        }
    }

    #[test]
    fn looks_that_cannot_tell_change_nothing(
        looks in prop::collection::vec((0..3_u64, 0..6_u64, 0..4_u64), 0..40),
        hold in 0..6_u64,
    ) {
        // A handler that fails more often than every other time.
        let rule = Rule::error_rate("one", 0.5).for_at_least(seconds(hold));
        let mut rules = Rules::new("orders").with(rule);
        let mut snapshot = untouched(&["one"]);
        rules.look(&snapshot);
        let (mut history, mut was_raised) = (Vec::new(), false);
        for (time, handled, failed) in looks {
            snapshot = after(seconds(time), &snapshot, |it| {
                it.stations[0].account.handled += handled;
                it.stations[0].account.failed += failed;
            });
            let is_known = handled + failed > 0;
            history.push((snapshot.at, is_known.then_some(u64::from(failed >= handled))));
            let raised = is_raised(&history, 1, 1, seconds(hold));
            prop_assert_eq!(rules.look(&snapshot).len(), usize::from(raised != was_raised));
            was_raised = raised;
        }
    }

    #[test]
    fn every_station_has_alerts_of_its_own(
        looks in prop::collection::vec(prop::collection::vec(0..8_u64, 3), 0..20),
    ) {
        let names = ["one", "two", "three"];
        let rule = |stations: Stations| Rule::lag(stations, 5).until(2).for_at_least(seconds(2));
        let mut all = Rules::new("orders").with(rule(Stations::Any));
        let mut each = names.map(|name| Rules::new("orders").with(rule(name.into())));
        let mut snapshot = untouched(&names);
        for lags in looks {
            snapshot = after(seconds(1), &snapshot, |it| {
                for (station, lag) in it.stations.iter_mut().zip(&lags) {
                    station.lag = *lag;
                }
            });
            let apart: Vec<Alert> = each.iter_mut().flat_map(|it| it.look(&snapshot)).collect();
            let together = all.look(&snapshot);
            prop_assert_eq!(gist(&together), gist(&apart));
        }
    }
}

#[test]
fn a_figure_that_dances_around_the_threshold_raises_one_alert() {
    let rule = Rule::fill(0.5).until(0.25);
    let mut rules = Rules::new("orders").with(rule);
    let mut snapshot = untouched(&["one"]);
    let mut turns = Vec::new();
    for fill in [60, 64, 63, 65, 33, 64, 32, 31, 63, 64] {
        snapshot = after(seconds(1), &snapshot, |it| it.fill = fill);
        turns.extend(rules.look(&snapshot).iter().map(|alert| (fill, alert.turn)));
    }
    assert_eq!(turns, [(64, Turn::Raised), (31, Turn::Cleared), (64, Turn::Raised)]);
}

#[test]
fn a_hung_handler_is_told_from_one_that_is_slow_or_has_nothing_to_do() {
    let mut rules = Rules::new("orders").with(Rule::stall(Stations::Any, seconds(10)));
    let mut snapshot = untouched(&["hung", "slow", "idle", "failing", "late"]);
    let at = |snapshot: &Snapshot, seconds: u64| snapshot.at == Duration::from_secs(seconds);
    for _ in 0..5 {
        snapshot = after(seconds(3), &snapshot, |it| {
            for (station, moves) in it.stations.iter_mut().zip([0, 1, 0, 0, 0]) {
                station.doing = Doing::Working;
                station.position += moves;
            }
            it.stations[2].doing = Doing::Waiting;
            it.stations[3].account.failed += 1;
            // It stood there all the time, but has work only now.
            let is_late = it.at < seconds(9);
            it.stations[4].doing = if is_late { Doing::Waiting } else { Doing::Working };
        });
        let alerts = rules.look(&snapshot);
        let expected: &[_] =
            if at(&snapshot, 15) { &[(true, "hung", Some(Value::Time(seconds(12))))] } else { &[] };
        assert_eq!(gist(&alerts), expected, "{:?}", snapshot.at);
    }
    snapshot = after(seconds(3), &snapshot, |it| it.stations[0].position += 1);
    let alerts = rules.look(&snapshot);
    assert_eq!(gist(&alerts), [(false, "hung", Some(Value::Time(Duration::ZERO)))]);
    assert_eq!((alerts[0].since, alerts[0].lasted()), (seconds(15), seconds(3)));
}

#[test]
fn back_pressure_is_the_share_of_time_that_producers_wait() {
    let rules = || Rules::new("orders").with(Rule::back_pressure(0.5));
    let mut start = untouched(&["one"]);
    start.producers.handles = 2;
    let share = |change: fn(&mut Snapshot)| {
        let mut rules = rules();
        assert!(rules.look(&start).is_empty());
        let alerts = rules.look(&after(seconds(10), &start, change));
        alerts.first().and_then(|alert| alert.value)
    };
    // Two producers, ten seconds: nine of twenty are fewer than half of them.
    assert_eq!(share(|it| it.producers.stall_time += seconds(9)), None);
    let noted = share(|it| it.producers.stall_time += seconds(15));
    assert_eq!(noted, Some(Value::Share(0.75)));
    // Noted now, but it began long before.
    let long = share(|it| it.producers.stall_time += seconds(100));
    assert_eq!(long, Some(Value::Share(1.0)));
    // One of two waits, and no wait has begun since: it has waited all the time.
    assert_eq!(share(|it| it.producers.stalled = 1), Some(Value::Share(0.5)));
    let just_now = share(|it| (it.producers.stalled, it.producers.stalls) = (2, 2));
    assert_eq!(just_now, None);
    assert_eq!(share(|it| it.producers.handles = 0), None);
}

#[test]
fn a_level_that_is_told_raises_one_alert_until_it_is_low_again() {
    let rule = Rule::told("mail", "waiting", 10).until(3).for_at_least(seconds(2));
    let mut rules = Rules::new("bus").with(rule);
    let mut snapshot = untouched(&["mail", "other"]);
    let mut turns = Vec::new();
    for (second, waiting) in (0..).zip([12, 9, 10, 11, 12, 3, 10, 2, 9]) {
        snapshot = after(seconds(1), &snapshot, |it| {
            it.stations[0].told = vec![Figure::level("waiting", waiting)];
            it.stations[1].told = vec![Figure::level("waiting", 99)];
        });
        turns.extend(rules.look(&snapshot).iter().map(|alert| (second, alert.to_string())));
    }
    let raised = "ring `bus`: `waiting` of `mail` is 12 (alert from 10 on; since 3.0s)".to_owned();
    let cleared =
        "ring `bus`: `waiting` over after 5.0s: `waiting` of `mail` is 2 (below 3)".to_owned();
    assert_eq!(turns, [(4, raised), (7, cleared)]);
}

#[test]
fn what_is_not_told_or_is_something_else_changes_nothing() {
    let time = |name: &'static str, millis| Figure::time(name, Duration::from_millis(millis));
    let rules = || {
        Rules::new("bus")
            .with(Rule::told(Stations::Any, "age", Duration::from_millis(5)))
            .with(Rule::told(Stations::Any, "age", 5))
    };
    let raised = |figure: Figure| {
        let snapshot =
            after(seconds(1), &untouched(&["mail"]), |it| it.stations[0].told = vec![figure]);
        let alerts = rules().look(&snapshot);
        alerts.iter().map(|alert| alert.value).collect::<Vec<_>>()
    };
    assert_eq!(raised(time("age", 5)), [Some(Value::Time(Duration::from_millis(5)))]);
    assert_eq!(raised(time("age", 4)), []);
    assert_eq!(raised(Figure::level("age", 5)), [Some(Value::Number(5))]);
    assert_eq!(raised(Figure::count("age", 6)), [Some(Value::Number(6))]);
    assert_eq!(raised(Figure::count("ages", 6)), []);
    // It tells nothing for a while: the alert stays.
    let mut watched = rules();
    let mut snapshot = untouched(&["mail"]);
    let mut turns = Vec::new();
    for told in [vec![time("age", 5)], vec![], vec![time("age", 1)]] {
        snapshot = after(seconds(1), &snapshot, |it| it.stations[0].told = told);
        turns.push(watched.look(&snapshot).iter().map(|alert| alert.turn).collect::<Vec<_>>());
    }
    assert_eq!(turns, [vec![Turn::Raised], vec![], vec![Turn::Cleared]]);
}

#[test]
fn growth_is_what_has_come_since_the_look_before() {
    let mut rules = Rules::new("bus")
        .with(Rule::growth(Stations::Any, "dead", 3).until(1))
        // A level, of which no growth is known.
        .with(Rule::growth(Stations::Any, "waiting", 1));
    let mut snapshot = untouched(&["mail"]);
    let mut turns = Vec::new();
    // At the first look nothing is known; a count that goes back has not grown.
    for dead in [100, 102, 105, 106, 107, 107, 50, 53] {
        snapshot = after(seconds(1), &snapshot, |it| {
            it.stations[0].told = vec![Figure::level("waiting", dead), Figure::count("dead", dead)];
        });
        turns.extend(rules.look(&snapshot).iter().map(|alert| (dead, alert.turn, alert.value)));
    }
    let number = |number| Some(Value::Number(number));
    let expected = [
        (105, Turn::Raised, number(3)),
        (107, Turn::Cleared, number(0)),
        (53, Turn::Raised, number(3)),
    ];
    assert_eq!(turns, expected);
    // Whoever has come since counts from the beginning.
    let mut watched = Rules::new("bus").with(Rule::growth("guest", "dead", 3));
    assert!(watched.look(&untouched(&["mail"])).is_empty());
    let come = after(seconds(1), &untouched(&["mail", "guest"]), |it| {
        it.stations[1].told = vec![Figure::count("dead", 3)];
    });
    let alerts = watched.look(&come);
    let text = "ring `bus`: `dead` of `guest` has grown by 3 (alert from 3 on; since 1.0s)";
    assert_eq!(alerts.iter().map(Alert::to_string).collect::<Vec<_>>(), [text]);
}

#[test]
fn an_error_rate_is_one_of_calls_if_they_are_noted() {
    let mut rules = Rules::new("bus").with(Rule::error_rate("mail", 0.5));
    let start = untouched(&["mail"]);
    assert!(rules.look(&start).is_empty());
    // A thousand events passed, for two of which the handler was called.
    let failing = after(seconds(1), &start, |it| {
        let account = &mut it.stations[0].account;
        (account.handled, account.calls, account.failed) = (1_000, 3, 2);
    });
    assert_eq!(rules.look(&failing)[0].value, Some(Value::Share(2.0 / 3.0)));
    // Others pass, without a call: that says nothing.
    let passing = after(seconds(1), &failing, |it| it.stations[0].account.handled += 1_000);
    assert!(rules.look(&passing).is_empty());
    let well = after(seconds(1), &passing, |it| it.stations[0].account.calls += 1);
    assert_eq!(gist(&rules.look(&well)), [(false, "mail", Some(Value::Share(0.0)))]);
}

#[test]
fn a_look_at_the_same_moment_tells_no_share() {
    let mut rules = Rules::new("orders").with(Rule::back_pressure(0.0));
    let snapshot = untouched(&["one"]);
    assert!(rules.look(&snapshot).is_empty());
    assert!(rules.look(&snapshot).is_empty(), "no time has passed");
    assert_eq!(rules.look(&after(seconds(1), &snapshot, |_| ())).len(), 1);
}

#[test]
fn who_leaves_the_ring_leaves_no_alert() {
    let mut rules = Rules::new("orders").with(Rule::lag(Stations::Any, 5));
    let start = untouched(&["one", "guest"]);
    let behind = after(seconds(1), &start, |it| it.stations[1].lag = 7);
    assert_eq!(gist(&rules.look(&behind)), [(true, "guest", Some(Value::Events(7)))]);
    // Another one, of the same name and as far behind.
    let another = after(seconds(2), &behind, |it| it.stations[1].account.first = 90);
    let alerts = rules.look(&another);
    let expected = [(true, "guest", Some(Value::Events(7))), (false, "guest", None)];
    assert_eq!(gist(&alerts), expected);
    assert_eq!(
        alerts[1].to_string(),
        "ring `orders`: lag over after 2.0s: `guest` has left the ring"
    );
    let gone = after(seconds(1), &another, |it| it.stations.truncate(1));
    assert_eq!(gist(&rules.look(&gone)), [(false, "guest", None)]);
    assert!(rules.look(&after(seconds(1), &gone, |_| ())).is_empty());
}

#[test]
fn behind_the_end_comes_another_ring() {
    let mut rules = Rules::new("orders").with(Rule::lag(Stations::Any, 5).for_at_least(seconds(2)));
    let start = after(seconds(9), &untouched(&["one", "two"]), |it| it.stations[0].lag = 7);
    assert!(rules.look(&start).is_empty());
    assert!(rules.end().is_empty(), "it had not held for long enough");
    let again = after(seconds(2), &start, |_| ());
    assert!(rules.look(&again).is_empty(), "of this one, nothing is known yet");
    assert_eq!(gist(&rules.look(&after(seconds(2), &again, |_| ()))).len(), 1);
    let over = rules.end();
    assert_eq!(gist(&over), [(false, "one", None)]);
    assert_eq!((over[0].since, over[0].lasted()), (seconds(11), seconds(2)));
    assert!(rules.end().is_empty());
}

#[test]
fn a_name_that_nobody_has_raises_nothing() {
    let mut rules = Rules::new("orders").with(Rule::lag("nobody", 0));
    assert!(rules.look(&untouched(&["one"])).is_empty());
}

#[test]
fn alerts_are_sentences() {
    let rules = || {
        Rules::new("orders")
            .with(Rule::lag("risk", 100).until(10))
            .with(Rule::fill(0.9))
            .with(Rule::stall("risk", seconds(10)))
            .with(Rule::back_pressure(0.5))
            .with(Rule::error_rate("risk", 0.01))
    };
    let mut watched = rules();
    let start = after(seconds(2), &untouched(&["risk"]), |it| {
        it.stations[0].doing = Doing::Working;
        it.producers.handles = 1;
    });
    assert!(watched.look(&start).is_empty());
    let bad = after(seconds(12), &start, |it| {
        it.fill = 124;
        it.producers.stall_time = seconds(9);
        let risk = &mut it.stations[0];
        (risk.lag, risk.account.handled, risk.account.failed) = (120, 48, 2);
        risk.position = start.stations[0].position;
    });
    let lines: Vec<String> = watched.look(&bad).iter().map(Alert::to_string).collect();
    let expected = [
        "ring `orders`: `risk` lags by 120 events (alert from 100 events on; since 14.0s)",
        "ring `orders`: 96.9% of the slots are in use (alert from 90.0% on; since 14.0s)",
        "ring `orders`: producers wait for room 75.0% of the time (alert from 50.0% on; since 14.0s)",
        "ring `orders`: 4.0% of the calls of `risk` fail (alert from 1.0% on; since 14.0s)",
    ];
    assert_eq!(lines, expected);
    let hung = after(seconds(12), &bad, |it| it.stations[0].lag = 9);
    let lines: Vec<String> = watched.look(&hung).iter().map(Alert::to_string).collect();
    let expected = [
        "ring `orders`: lag over after 12.0s: `risk` lags by 9 events (below 10 events)",
        "ring `orders`: `risk` has work and has not moved for 12.0s (alert from 10.0s on; since 26.0s)",
        "ring `orders`: back_pressure over after 12.0s: producers wait for room 0.0% of the time (below 50.0%)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_rule_can_be_read_and_has_a_name_that_stays() {
    let rule: Rule = Rule::fill(0.9).until(0.7).for_at_least(Duration::from_millis(1_500)).into();
    assert_eq!(rule.to_string(), "fill: from 90.0% on, for at least 1.5s, until below 70.0%");
    assert_eq!((rule.threshold(), rule.lower_threshold()), (0.9.into(), 0.7.into()));
    // A threshold to end at that is not lower is none.
    assert_eq!(Rule::lag("a", 5).until(9), Rule::lag("a", 5));
    let names = [
        Rule::lag(Stations::Any, 1).name(),
        Rule::fill(0.5).name(),
        Rule::stall(Stations::Any, seconds(1)).name(),
        Rule::back_pressure(0.5).name(),
        Rule::error_rate(Stations::Any, 0.5).name(),
        Rule::told(Stations::Any, "dead", 1).name(),
        Rule::growth(Stations::Any, "dead", 1).name(),
    ];
    let expected = ["lag", "fill", "stall", "back_pressure", "error_rate", "told", "growth"];
    assert_eq!(names, expected);
}
