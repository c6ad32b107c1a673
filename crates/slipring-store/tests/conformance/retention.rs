//! What a store forgets, and what it must not.

use std::time::Duration;

use slipring_events::Time;
use slipring_store::{
    Batch, Checkpoint, Durability, EventStore, Query, Reach, Removed, Retention, StoreError,
    Subscription,
};

use crate::{
    common::harness::{Event, Model, query, same, scan},
    stores::Subject,
};

const SECOND: u64 = 1_000_000_000;

/// 2,000 events in batches of 20, one second apart.
fn filled(store: &dyn EventStore) -> Model {
    let mut model = Model::of(store);
    for batch in 0..100_u64 {
        let events: Vec<_> = (batch * 20..(batch + 1) * 20)
            .map(|number| {
                let topic = ["even", "odd"][number as usize % 2];
                let event = Event::new(topic, number * SECOND, [7; 100]);
                if number % 5 == 0 { event.stream(&format!("s{}", number % 3)) } else { event }
            })
            .collect();
        model.commit(store, &events);
    }
    model
}

/// Removes as long as that helps, and says what that was in all.
fn retain(store: &dyn EventStore, keep: &Retention, now: u64) -> Removed {
    let before = store.bounds().unwrap().first;
    loop {
        let mut removed = store.retain(keep, Time::from_nanos(now)).unwrap();
        let first = store.bounds().unwrap().first;
        assert_eq!(removed.first, first);
        if removed.events == 0 {
            removed.events = first - before;
            return removed;
        }
    }
}

fn checkpoint(store: &dyn EventStore, name: &str, position: Option<u64>) {
    let mut batch = Batch::new();
    match position {
        Some(position) => Checkpoint::named(name).put(&mut batch, position),
        None => Checkpoint::named(name).remove(&mut batch),
    }
    store.commit(&batch, Durability::Synced).unwrap();
}

pub fn what_is_removed_is_removed_everywhere(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = filled(&*store);
    let removed = retain(&*store, &Retention::everything().events(500), 0);
    assert!((1_000..=1_500).contains(&removed.first), "{removed:?}");
    assert_eq!((removed.events, &removed.held_by), (removed.first, &None));
    // Bounds, the log, the index, and each stream begin there; the streams go on counting.
    model.check(&*store, removed.first);
    for from in [0, removed.first - 1] {
        let error = scan(&*store, from).unwrap_err();
        let StoreError::Removed { asked, first } = error else { panic!("{error}") };
        assert_eq!((asked, first), (from, removed.first));
    }
    for asked in [
        Query::topic("odd"),
        Query::topic("even").between(..Time::from_nanos((removed.first + 9) * SECOND)),
        Query::all().limit(7),
    ] {
        same(&query(&*store, &asked), &model.query(&asked, removed.first));
    }
    let store = subject.reopen(store);
    model.check(&*store, removed.first);
    model.commit(&*store, &[Event::new("odd", 1, "late").stream("s0")]);
    model.check(&*store, removed.first);
    assert_eq!(retain(&*store, &Retention::everything(), u64::MAX).events, 0);
    model.check(&*store, removed.first);
}

pub fn retention_keeps_what_it_is_told_to(subject: &dyn Subject) {
    let store = subject.open();
    let model = filled(&*store);
    let now = 2_000 * SECOND;
    // More than there is.
    for keep in [
        Retention::everything(),
        Retention::everything().events(2_000),
        Retention::everything().bytes(u64::MAX),
        Retention::everything().age(Duration::from_secs(2_000)),
        Retention::day(),
    ] {
        assert_eq!(retain(&*store, &keep, now).events, 0, "{keep:?}");
    }
    model.check(&*store, 0);
    let by_age = Retention::everything().age(Duration::from_mins(25));
    let first = retain(&*store, &by_age, now).first;
    assert!((300..=500).contains(&first), "{first}");
    model.check(&*store, first);
    let first = retain(&*store, &Retention::everything().events(1_000), now).first;
    assert!((800..=1_000).contains(&first), "{first}");
    model.check(&*store, first);
    // Each event has more than 100 bytes, and not many more.
    let first = retain(&*store, &Retention::everything().bytes(60_000), now).first;
    assert!((1_200..=1_700).contains(&first), "{first}");
    model.check(&*store, first);
}

pub fn retention_keeps_what_a_checkpoint_needs(subject: &dyn Subject) {
    let store = subject.open();
    let model = filled(&*store);
    checkpoint(&*store, "quick", Some(1_990));
    checkpoint(&*store, "slow", Some(777));
    let nothing = Retention::everything().events(0).bytes(0).age(Duration::ZERO);
    let removed = retain(&*store, &nothing, u64::MAX);
    assert!((600..=777).contains(&removed.first), "{removed:?}");
    assert_eq!(removed.held_by.as_deref(), Some("slow"));
    model.check(&*store, removed.first);

    checkpoint(&*store, "slow", Some(1_333));
    let removed = retain(&*store, &nothing, u64::MAX);
    assert!((1_200..=1_333).contains(&removed.first), "{removed:?}");
    assert_eq!(removed.held_by.as_deref(), Some("slow"));
    model.check(&*store, removed.first);

    checkpoint(&*store, "slow", None);
    let removed = retain(&*store, &nothing, u64::MAX);
    assert!((1_800..=1_990).contains(&removed.first), "{removed:?}");
    assert_eq!(removed.held_by.as_deref(), Some("quick"));
    model.check(&*store, removed.first);
}

pub fn old_events_go_only_with_all_before_them(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    // One event of tomorrow, then 1,000 of long ago.
    model.commit(&*store, &[Event::new("late", 86_400 * SECOND, "")]);
    for _ in 0..50 {
        model.commit(&*store, &(0..20).map(|at| Event::new("old", at, "")).collect::<Vec<_>>());
    }
    let keep = Retention::everything().age(Duration::from_mins(1));
    assert_eq!(retain(&*store, &keep, 86_400 * SECOND).events, 0);
    model.check(&*store, 0);
    let removed = retain(&*store, &keep, 86_461 * SECOND);
    assert!(removed.first >= 900, "{removed:?}");
    model.check(&*store, removed.first);
}

pub fn the_ends_of_all_numbers_are_no_traps(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    for times in [[0, 1], [u64::MAX, u64::MAX - 1], [5, u64::MAX]] {
        // Of Redis, a segment holds 64 events.
        let events: Vec<_> =
            (0..70).map(|at| Event::new("t", times[at % 2], "").stream("s")).collect();
        model.commit(&*store, &events);
    }
    checkpoint(&*store, "far", Some(u64::MAX));
    let none = |keep: Retention, now: u64| {
        assert_eq!(store.retain(&keep, Time::from_nanos(now)).unwrap().events, 0, "{keep:?}");
    };
    let all = Retention::everything();
    none(all.events(u64::MAX), u64::MAX);
    none(all.bytes(u64::MAX), u64::MAX);
    none(all.age(Duration::MAX), u64::MAX);
    // The clock stands before everything that has happened.
    none(all.age(Duration::ZERO), 0);
    model.check(&*store, 0);
    for beyond in [210, u64::MAX - 1, u64::MAX] {
        let bounds = store.wait(beyond, Reach::Durable, Duration::from_millis(2)).unwrap();
        assert_eq!((bounds.end, bounds.durable), (210, 210));
    }
    let mut subscription = Subscription::new(store.clone(), u64::MAX, Reach::Visible);
    let beyond = subscription.next_within(Duration::MAX, &mut |_| panic!("there is none"));
    assert!(matches!(beyond.unwrap_err(), StoreError::Beyond { asked: u64::MAX, end: 210 }));
    // A checkpoint behind the end needs nothing.
    let removed = retain(&*store, &all.events(0), 0);
    assert_eq!((removed.first, removed.held_by), (210, None));
    assert_eq!(store.version("s").unwrap(), 210);
    model.check(&*store, 210);
}
