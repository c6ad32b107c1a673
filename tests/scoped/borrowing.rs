//! What borrows: handlers of every form, factories and events.

use std::{
    cell::Cell,
    collections::HashMap,
    rc::Rc,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use slipring::{
    At, Builder, Handler, HandlerError, Shared, Start, Station, Within, keyed_mut, poller, read,
    read_batch, read_handler, read_with, share, update,
};

use crate::{
    common::{A_MINUTE, WAITS, polled, within_a_minute},
    complete, publish,
};

#[test]
fn handlers_borrow_and_what_they_borrowed_is_there_afterwards() {
    within_a_minute(|| {
        for wait in WAITS {
            let limit = 1_000;
            let (mut ledger, mut slices) = (Vec::new(), Vec::new());
            let outcome = Builder::new(8, || 0_u64)
                .wait(wait)
                .then(update("double", |event: &mut u64, _| *event *= 2))
                .then((
                    read("risk", |event: &u64, _| assert!(*event < limit)),
                    read("ledger", |event: &u64, at| ledger.push((at.sequence(), *event))),
                    read_batch("slices", |events: &[u64], _| slices.extend_from_slice(events)),
                ))
                .scope(|mut producer, dispatcher| {
                    publish(&mut producer, 0..100);
                    dispatcher.capacity()
                });
            let (capacity, report) = complete(outcome);
            assert_eq!((capacity, report.published), (8, 100));
            assert_eq!(ledger, (0..100).map(|n| (n, 2 * n)).collect::<Vec<_>>());
            assert_eq!(slices, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
        }
    });
}

#[test]
fn every_form_of_station_borrows() {
    struct Sum<'a>(&'a mut u64, &'a AtomicBool);
    impl Handler<u64> for Sum<'_> {
        fn on_event(&mut self, event: &u64, _: At<'_>) -> Result<(), HandlerError> {
            *self.0 += event;
            Ok(())
        }

        fn on_stop(&mut self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    within_a_minute(|| {
        let (mut by_handler, has_stopped) = (0, AtomicBool::new(false));
        let (by_state, by_team) = (AtomicU64::new(0), AtomicU64::new(0));
        let stock: [Mutex<HashMap<u64, u64>>; 3] = Default::default();
        let template = 7;
        let outcome = Builder::new(16, || template)
            .then(keyed_mut(
                "stock",
                3,
                |event: &u64| event % 10,
                |worker| {
                    let stock = &stock[worker];
                    move |event: &mut u64, _: At<'_>| {
                        *stock.lock().unwrap().entry(*event % 10).or_default() += 1;
                    }
                },
            ))
            .then((
                read_handler("handler", || Sum(&mut by_handler, &has_stopped)),
                read_with(
                    "state",
                    || (Rc::new(Cell::new(0)), &by_state),
                    |(own, sum), event: &u64, _| {
                        own.set(own.get() + event);
                        sum.store(own.get(), Ordering::Relaxed);
                    },
                ),
                share("team", 2, |_| {
                    |event: &u64, _: At<'_>| {
                        by_team.fetch_add(*event, Ordering::Relaxed);
                    }
                }),
            ))
            .scope(|mut producer, _| publish(&mut producer, 0..1_000));
        let ((), report) = complete(outcome);
        assert_eq!(report.station("team").map(|team| team.handled), Some(1_000));
        let expected = (0..1_000).sum();
        assert_eq!(
            (by_handler, by_state.into_inner(), by_team.into_inner()),
            (expected, expected, expected)
        );
        assert!(has_stopped.into_inner(), "the stop hook has run");
        let stock = stock.map(|stock| stock.into_inner().unwrap());
        for key in 0..10 {
            let counts: Vec<u64> =
                stock.iter().filter_map(|stock| stock.get(&key).copied()).collect();
            assert_eq!(counts, [100], "one worker has all of key {key}");
        }
    });
}

#[test]
fn stations_of_different_lifetimes_stand_side_by_side() {
    fn silent() -> Station<u64, Shared> {
        read("silent", |_: &u64, _| ())
    }
    fn into<'a>(name: &str, log: &'a mut Vec<u64>) -> Station<u64, Shared, Within<'a>> {
        read(name, |event: &u64, _| log.push(*event)).max_batch(2)
    }

    within_a_minute(|| {
        let (mut first, mut second, mut third, mut fourth) = (vec![], vec![], vec![], vec![]);
        {
            let shorter = AtomicU64::new(0);
            let ring = Builder::new(4, || 0)
                .then((silent(), into("first", &mut first)))
                .then([into("second", &mut second), into("third", &mut third)])
                .then(vec![into("fourth", &mut fourth)])
                .after(
                    ["silent"],
                    read("shorter", |event: &u64, _| {
                        shorter.fetch_add(*event, Ordering::Relaxed);
                    }),
                );
            complete(ring.scope(|mut producer, _| publish(&mut producer, 0..20)));
            assert_eq!(shorter.into_inner(), 190);
        }
        let expected: Vec<u64> = (0..20).collect();
        assert_eq!([first, second, third, fourth], [(); 4].map(|()| expected.clone()));
    });
}

#[test]
fn events_borrow() {
    within_a_minute(|| {
        let text = String::from("one two three two one");
        let mut counts: HashMap<&str, u32> = HashMap::new();
        let outcome = Builder::new(2, || "")
            .reset(|slot| *slot = "")
            .then(read("count", |word: &&str, _| *counts.entry(word).or_default() += 1))
            .then(poller("last"))
            .scope(|mut producer, dispatcher| {
                let mut last = dispatcher.poller("last").expect("it was declared");
                let guest = poller("guest");
                let mut guest =
                    dispatcher.membership().attach_poller(guest, Start::Now).expect("it is open");
                let mut seen = Vec::new();
                for word in text.split(' ') {
                    producer.publish(|slot| *slot = word).expect("the ring is open");
                    assert!(last.wait(A_MINUTE));
                    seen.extend(polled(&mut last));
                    assert_eq!(polled(&mut guest), [word]);
                }
                seen
            });
        let (seen, _) = complete(outcome);
        assert_eq!(seen, text.split(' ').collect::<Vec<_>>());
        assert_eq!(counts, HashMap::from([("one", 2), ("two", 2), ("three", 1)]));
    });
}

#[test]
fn everything_in_the_ring_is_dropped_when_the_scope_has_ended() {
    struct Counted<'a>(&'a AtomicU64);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    within_a_minute(|| {
        let (dropped, handlers) = (AtomicU64::new(0), AtomicU64::new(0));
        let in_handler = Counted(&handlers);
        let ring = Builder::new(8, || Counted(&dropped)).then(update("replace", {
            let dropped = &dropped;
            move |event: &mut Counted<'_>, _| {
                let _ = &in_handler;
                event.0 = dropped;
            }
        }));
        let outcome = ring.scope(|mut producer, _| {
            for _ in 0..20 {
                producer.publish(|_| ()).expect("the ring is open");
            }
        });
        complete(outcome);
        assert_eq!((dropped.into_inner(), handlers.into_inner()), (8, 1));
    });
}
