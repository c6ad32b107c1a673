//! Events by topic and time, against all of them looked at one by one.

use proptest::{
    prelude::{Just, Strategy, prop},
    prop_oneof,
    test_runner::{Config, TestRunner},
};
use slipring_events::{Time, topic::Pattern};
use slipring_store::Query;

use crate::{
    common::harness::{Event, Model, query, same, until},
    stores::Subject,
};

/// Near to where times are told apart badly: one nanosecond apart, at the ends, and beyond what a double holds.
fn a_time() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 1_763_000_000_000_000_000..1_763_000_000_000_000_008_u64,
        2 => (1_u64 << 53) - 2..(1 << 53) + 3,
        2 => 0..4_u64,
        1 => u64::MAX - 2..=u64::MAX,
    ]
}

fn a_topic() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "a.b", "a.b.c", "ab", "b", "b.a", "order.created"])
}

fn a_query() -> impl Strategy<Value = Query> {
    let topics = prop_oneof![
        Just(Query::all()),
        a_topic().prop_map(Query::topic),
        Just(Query::topic("nobody")),
        prop::sample::select(vec!["#", "a.#", "*", "*.b", "a.*", "#.c", "zzz.*"])
            .prop_map(|pattern| Query::matching(Pattern::new(pattern).unwrap())),
    ];
    let limit = prop_oneof![3 => Just(u64::MAX), 1 => 0..20_u64];
    let times = (a_time(), a_time(), 0..5_u8);
    (topics, times, limit).prop_map(|(query, (one, other, form), limit)| {
        let [one, other] = [one, other].map(Time::from_nanos);
        let (from, to) = (one.min(other), one.max(other));
        let query = query.limit(limit);
        match form {
            0 => query,
            1 => query.between(from..),
            2 => query.between(..to),
            3 => query.between(one..=other),
            _ => query.between(from..=to),
        }
    })
}

fn some_events() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let event = (a_topic(), a_time(), 0..3_u8).prop_map(|(topic, time, stream)| {
        let event = Event::new(topic, time, topic);
        if stream == 0 { event.stream("s") } else { event }
    });
    prop::collection::vec(prop::collection::vec(event, 1..40), 1..5)
}

pub fn queries_are_exact(subject: &dyn Subject) {
    let store = subject.open();
    let model = std::cell::RefCell::new(Model::of(&*store));
    let mut runner =
        TestRunner::new(Config { cases: 24, max_shrink_iters: 0, ..Config::default() });
    let queries = prop::collection::vec(a_query(), 12);
    // Each case goes on with what the others have left.
    let checked = runner.run(&(some_events(), queries), |(batches, queries)| {
        let mut model = model.borrow_mut();
        for batch in batches {
            model.commit(&*store, &batch);
        }
        for asked in queries {
            let (found, expected) = (query(&*store, &asked), model.query(&asked, 0));
            proptest::prop_assert_eq!(found, expected, "{:?}", asked);
        }
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
    model.borrow().check(&*store, 0);
}

pub fn both_ends_of_a_query_are_within(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let begin = 1_763_000_000_123_456_789_u64;
    let mut events: Vec<_> =
        (0..200).map(|nanos| Event::new("tick", begin + nanos, nanos.to_le_bytes())).collect();
    fastrand::Rng::with_seed(3).shuffle(&mut events);
    model.commit(&*store, &events);
    let times = |from: u64, to: u64| {
        let [from, to] = [begin + from, begin + to].map(Time::from_nanos);
        let found = query(&*store, &Query::topic("tick").between(from..=to));
        found.iter().map(|stored| stored.event.time - begin).collect::<Vec<_>>()
    };
    for nanos in 0..200 {
        assert_eq!(times(nanos, nanos), [nanos]);
    }
    assert_eq!(times(17, 21), [17, 18, 19, 20, 21]);
    assert_eq!(times(21, 17), [0; 0]);
    assert_eq!(times(199, 5_000), [199]);
    assert_eq!(times(200, 5_000), [0; 0]);
}

pub fn events_of_the_same_nanosecond_are_all_kept(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    // The same time, the same topic, the same payload, in one batch and in many.
    let event = || Event::new("same", 42, "same");
    model.commit(&*store, &(0..500).map(|_| event()).collect::<Vec<_>>());
    for _ in 0..20 {
        model.commit(&*store, &[event()]);
    }
    let found = query(&*store, &Query::topic("same"));
    assert_eq!(found.len(), 520);
    same(&found, &model.events);
}

pub fn a_query_of_many_topics_is_in_order(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..10 {
        let events: Vec<_> = (0..100)
            .map(|_| {
                let topic = format!("t{}.x", random.u16(..400));
                Event::new(&topic, random.u64(..50), topic.as_bytes())
            })
            .collect();
        model.commit(&*store, &events);
    }
    let matching = Query::matching(Pattern::new("*.x").unwrap());
    for asked in [matching.clone(), matching.limit(333), Query::all()] {
        same(&query(&*store, &asked), &model.query(&asked, 0));
    }
}

pub fn a_query_ends_at_its_limit_and_where_the_reader_says(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let events: Vec<_> =
        (0..1_000_u64).map(|number| Event::new("n", number % 7, number.to_le_bytes())).collect();
    model.commit(&*store, &events);
    for limit in [0, 1, 255, 256, 257, 999, 1_000, 1_001] {
        let asked = Query::topic("n").limit(limit);
        same(&query(&*store, &asked), &model.query(&asked, 0));
    }
    for most in [1_usize, 300, 1_000] {
        let mut positions = Vec::new();
        let read = store.query(&Query::all(), &mut |record| {
            positions.push(record.position);
            until(positions.len() == most)
        });
        read.unwrap();
        let expected = model.query(&Query::all().limit(most as u64), 0);
        assert!(positions.into_iter().eq(expected.iter().map(|stored| stored.position)));
    }
}
