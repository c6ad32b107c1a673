//! What a query asks for.

use std::ops::Bound;

use slipring_events::Time;
use slipring_store::{Query, Retention};

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

#[test]
fn each_kind_of_range_has_the_ends_that_rust_gives_it() {
    let last = Time::from_nanos(u64::MAX);
    let query = Query::topic("a");
    let ends = |query: Query| (query.from, query.to);
    assert_eq!(ends(query.clone().between(at(3)..=at(5))), (at(3), at(5)));
    assert_eq!(ends(query.clone().between(at(3)..at(5))), (at(3), at(4)));
    assert_eq!(ends(query.clone().between(at(3)..)), (at(3), last));
    assert_eq!(ends(query.clone().between(..=at(5))), (at(0), at(5)));
    assert_eq!(ends(query.clone().between(..)), (at(0), last));
    let behind = (Bound::Excluded(at(3)), Bound::Unbounded);
    assert_eq!(ends(query.clone().between(behind)), (at(4), last));
}

#[test]
fn what_holds_no_moment_admits_none() {
    let last = Time::from_nanos(u64::MAX);
    let query = Query::topic("a");
    let empty = [
        query.clone().between(..at(0)),
        query.clone().between((Bound::Excluded(last), Bound::Unbounded)),
        query.between(at(5)..at(5)),
    ];
    for query in empty {
        for time in [0, 1, 4, 5, u64::MAX] {
            assert!(!query.admits("a", at(time)), "{query:?} {time}");
        }
    }
}

#[test]
fn topics_are_taken_by_name_or_by_pattern() {
    let pattern = Query::matching("order.*".parse().expect("it is a pattern"));
    assert!(pattern.admits("order.paid", at(1)) && !pattern.admits("order.paid.late", at(1)));
    assert!(Query::all().admits("anything", at(u64::MAX)));
    assert!(!Query::topic("order").admits("order.paid", at(1)));
}

#[test]
fn a_day_is_a_day() {
    assert_eq!(Retention::day().age.map(|age| age.as_secs()), Some(24 * 60 * 60));
}
