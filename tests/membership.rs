//! Stations that come while the ring runs, and leave again.

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use common::{
    A_MINUTE, Log, abandon, joined, polled, polled_to_the_end, turnstile, within_a_minute,
};
use slipring::{
    AttachError, BuildError, Builder, Detach, FaultKind, Handler, Member, Membership, Policy, Poll,
    Producer, PublishError, ShutdownCause, Start, StationReport, Wait, poller, poller_mut, read,
    read_handler, read_with, share, update,
};

fn publish(producer: &mut Producer<u64>, events: std::ops::Range<u64>) {
    for event in events {
        producer.publish(|slot| *slot = event).unwrap();
    }
}

/// What was handled, skipped and left is what was published since the station came.
fn assert_account(report: &StationReport, published: u64) {
    let accounted = report.handled + report.skipped + report.left;
    assert_eq!(accounted, published, "{report:?}");
}

#[test]
fn a_guest_sees_every_event_from_its_first_on_and_none_after_it_has_drained() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(16, || 0).then(read("here", |_: &u64, _| ())).start().unwrap();
        publish(&mut producer, 0..5);
        let seen = Log::default();
        let guest = {
            let seen = seen.clone();
            read("guest", move |event: &u64, at| seen.push((at.sequence(), *event)))
        };
        let guest = dispatcher.membership().attach(guest, Start::Now).unwrap();
        assert_eq!((guest.name(), guest.first_sequence()), ("guest", 5));
        publish(&mut producer, 5..40);
        let report = guest.detach(Detach::Drained, A_MINUTE).unwrap();
        publish(&mut producer, 40..50);
        drop(producer);
        assert_eq!((report.first, report.handled, report.left), (5, 35, 0));
        assert_eq!(seen.take(), (5..40).map(|event| (event, event)).collect::<Vec<_>>());
        let report = joined(dispatcher);
        assert_eq!(report.stations.len(), 1, "the guest has its own report");
    });
}

#[test]
fn the_oldest_event_is_the_first_that_the_slowest_has_not_passed() {
    let stations = (poller("slow").max_batch(8), poller("fast").max_batch(8));
    let (mut producer, mut dispatcher) = Builder::new(8, || 0).then(stations).start().unwrap();
    let mut slow = dispatcher.poller("slow").unwrap();
    let mut fast = dispatcher.poller("fast").unwrap();
    publish(&mut producer, 0..7);
    slow.poll_at_most(3, |_, _| ()).unwrap();
    assert_eq!(polled(&mut fast).len(), 7);
    let members = dispatcher.membership();
    let mut oldest = members.attach_poller(poller("oldest").max_batch(8), Start::Oldest).unwrap();
    let none: [&str; 0] = [];
    let mut beside =
        members.attach_poller_after(none, poller("beside").max_batch(8), Start::Oldest).unwrap();
    assert_eq!((oldest.sequence(), beside.sequence()), (3, 3));
    assert_eq!(polled(&mut beside), [3, 4, 5, 6], "it follows nobody but the producer");
    assert_eq!(oldest.poll(|_, _| ()), Ok(Poll::Gated), "it follows the slow one");
    assert_eq!(polled(&mut slow), [3, 4, 5, 6]);
    assert_eq!(polled(&mut oldest), [3, 4, 5, 6]);
    let newest = members.attach_poller(poller("newest"), Start::Now).unwrap();
    assert_eq!(newest.sequence(), 7);
}

#[test]
fn a_guest_holds_the_producer_back_until_it_leaves() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) =
            Builder::new(4, || 0).then(poller("here").max_batch(4)).start().unwrap();
        let mut here = dispatcher.poller("here").unwrap();
        publish(&mut producer, 0..2);
        assert_eq!(polled(&mut here), [0, 1]);
        let members = dispatcher.membership();
        let polled_guest = members.attach_poller(poller("polled"), Start::Now).unwrap();
        let (turnstile, keeper) = turnstile();
        let slow = read("slow", move |_: &u64, at| turnstile.pass(at.sequence())).max_batch(1);
        let slow = members.attach(slow, Start::Now).unwrap();
        publish(&mut producer, 2..6);
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        assert_eq!(polled(&mut here), [2, 3, 4, 5]);
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full), "two guests");
        drop(polled_guest);
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full), "one guest");
        assert_eq!(keeper.arrival(), 2);
        // It is told to leave while it is in its handler, and a producer waits for it meanwhile.
        let waiting = thread::spawn(move || {
            publish(&mut producer, 6..7);
            producer
        });
        let still_there = slow.detach(Detach::AtOnce, Duration::ZERO).unwrap_err();
        assert!(still_there.to_string().contains("`slow`"), "{still_there}");
        keeper.let_through();
        let report = still_there.member.detach(Detach::AtOnce, A_MINUTE).unwrap();
        let mut producer = waiting.join().unwrap();
        assert_eq!((report.first, report.handled), (2, 1));
        assert_eq!(report.left, 3 + u64::from(report.left == 4), "with or without the last one");
        assert_eq!(polled(&mut here), [6]);
        publish(&mut producer, 7..11);
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
    });
}

#[test]
fn whoever_is_attached_stands_behind_those_that_are_named() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) = Builder::new(8, || (0_u64, 0_u64))
            .then(update("price", |order: &mut (u64, u64), _| order.1 = order.0 * 5))
            .then(poller("check").max_batch(8))
            .then(update("ship", |order: &mut (u64, u64), _| order.1 += 1))
            .start()
            .unwrap();
        let mut check = dispatcher.poller("check").unwrap();
        let members = dispatcher.membership();
        let none: [&str; 0] = [];
        let error =
            members.attach_after(none, read("early", |_: &_, _| ()), Start::Now).unwrap_err();
        assert_eq!(
            error,
            AttachError::Station(BuildError::Unordered {
                mutating: "price".to_owned(),
                other: "early".to_owned()
            })
        );
        let error =
            members.attach_poller_after(["check"], poller("beside"), Start::Now).unwrap_err();
        assert!(error.to_string().contains("`ship` mutates events"), "{error}");
        let mut last = members
            .attach_poller_after(["ship", "price", "check", "ship"], poller("last"), Start::Now)
            .unwrap();
        for quantity in 1..=3 {
            producer.publish(|order| *order = (quantity, 0)).unwrap();
        }
        drop(producer);
        assert_eq!(last.poll(|_, _| ()), Ok(Poll::Gated));
        assert_eq!(polled_to_the_end(&mut check), [(1, 5), (2, 10), (3, 15)]);
        assert_eq!(polled_to_the_end(&mut last), [(1, 6), (2, 11), (3, 16)]);
    });
}

#[test]
fn what_cannot_be_attached_is_refused_by_name_and_changes_nothing() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(2, || 0).then(read("here", |_: &u64, _| ())).start().unwrap();
        let members = dispatcher.membership();
        let handle = |_: &u64, _: slipring::At<'_>| ();
        let attach = |station| members.attach(station, Start::Oldest).unwrap_err();
        let guest = members.attach(read("guest", handle), Start::Now).unwrap();
        for taken in ["here", "guest"] {
            let error = attach(read(taken, handle));
            assert_eq!(error, BuildError::DuplicateName(taken.to_owned()).into());
        }
        assert_eq!(attach(read("a\0b", handle)), BuildError::BadName("a\0b".to_owned()).into());
        assert_eq!(attach(poller("polled")), AttachError::Polled("polled".to_owned()));
        let error = members.attach_poller(read("runs", handle), Start::Now).unwrap_err();
        assert_eq!(error, AttachError::NotPolled("runs".to_owned()));
        let team = share("team", 2, move |_| handle);
        assert_eq!(attach(team), AttachError::Team("team".to_owned()));
        assert!(matches!(
            attach(read("nowhere", handle).pin(usize::MAX)),
            AttachError::Station(BuildError::NoSuchCore { .. })
        ));
        assert!(matches!(
            attach(read("no batch", handle).max_batch(0)),
            AttachError::Station(BuildError::NoBatch { .. })
        ));
        let error = members.attach_after(["who"], read("x", handle), Start::Now).unwrap_err();
        assert!(error.to_string().contains("no station is called `who`"), "{error}");
        let error =
            attach(read_with("broken", || panic!("no state"), |(): &mut (), _: &u64, _| ()));
        let AttachError::Station(BuildError::NotStarted { station, cause }) = error else {
            panic!("{error}");
        };
        assert_eq!((&*station, &*cause), ("broken", "no state"));
        // Each of these names is free, and none of those attempts holds the producer back.
        publish(&mut producer, 0..10);
        let names = ["polled", "runs", "team", "nowhere", "no batch", "x", "broken"];
        let attached: Vec<Member<u64>> = names
            .into_iter()
            .map(|name| members.attach(read(name, handle), Start::Now).unwrap())
            .collect();
        publish(&mut producer, 10..20);
        let report = guest.detach(Detach::Drained, A_MINUTE).unwrap();
        assert_account(&report, 20);
        drop(members.attach_poller(poller("guest"), Start::Now).unwrap());
        drop(producer);
        dispatcher.join().unwrap();
        for guest in attached {
            let report = guest.detach(Detach::AtOnce, Duration::ZERO).unwrap();
            assert_eq!((report.first, report.handled, report.left), (10, 10, 0));
        }
        assert_eq!(
            members.attach(read("late", handle), Start::Now).unwrap_err(),
            AttachError::Closed
        );
        assert_eq!(
            members.attach_poller(poller("late"), Start::Now).unwrap_err(),
            AttachError::Closed
        );
    });
}

#[test]
fn seats_are_used_again_and_there_are_only_so_many() {
    let (mut producer, dispatcher) = Builder::new(8, || 0).without_stations().start().unwrap();
    let members = dispatcher.membership();
    let attach = |number: usize| members.attach_poller(poller(number.to_string()), Start::Now);
    let mut here: Vec<_> = (0..256).map(|number| attach(number).unwrap()).collect();
    let error = attach(256).unwrap_err();
    assert!(matches!(error, AttachError::Station(BuildError::TooManyStations { .. })), "{error}");
    here.remove(100);
    here.push(attach(256).unwrap());
    publish(&mut producer, 0..8);
    assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
    for poller in &mut here {
        while !polled(poller).is_empty() {}
    }
    publish(&mut producer, 8..16);
    drop(here);
    publish(&mut producer, 16..100);
}

#[test]
fn a_ring_without_stations_forgets_what_nobody_was_there_to_see() {
    within_a_minute(|| {
        for multi in [false, true] {
            let builder = Builder::new(4, || 0).without_stations();
            let (publish, dispatcher): (Box<dyn FnMut(u64)>, _) = if multi {
                let (mut producer, dispatcher) = builder.start_multi().unwrap();
                (Box::new(move |event| drop(producer.publish(|slot| *slot = event))), dispatcher)
            } else {
                let (mut producer, dispatcher) = builder.start().unwrap();
                (Box::new(move |event| drop(producer.publish(|slot| *slot = event))), dispatcher)
            };
            let mut publish = publish;
            (0..11).for_each(&mut publish);
            let members = dispatcher.membership();
            for round in 0..10 {
                let oldest = 11 + 7 * round;
                let mut first = members.attach_poller(poller("first"), Start::Oldest).unwrap();
                assert_eq!(first.sequence(), oldest);
                (oldest..oldest + 4).for_each(&mut publish);
                let second = members.attach_poller(poller("second"), Start::Oldest).unwrap();
                assert_eq!(second.sequence(), oldest);
                drop(second);
                assert_eq!(polled(&mut first), [oldest]);
                drop(first);
                (oldest + 4..oldest + 7).for_each(&mut publish);
            }
            drop(publish);
            assert_eq!(dispatcher.join().unwrap().published, 81);
        }
    });
}

#[test]
fn a_guest_that_stays_is_awaited_and_reported_with_the_others() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(8, || 0).then(read("here", |_: &u64, _| ())).start().unwrap();
        publish(&mut producer, 0..3);
        let members = dispatcher.membership();
        let guest = read("guest", |_: &u64, _| ()).wait(Wait::Block);
        drop(members.attach(guest, Start::Now).unwrap());
        publish(&mut producer, 3..100);
        drop(producer);
        let report = dispatcher.join().unwrap();
        let guest = report.station("guest").unwrap();
        assert_eq!((guest.first, guest.handled, guest.left), (3, 97, 0));
        assert!(report.is_complete());
    });
}

#[test]
fn a_sleeping_guest_leaves_when_it_is_told() {
    within_a_minute(|| {
        for wait in common::WAITS {
            for how in [Detach::AtOnce, Detach::Drained] {
                let (producer, mut dispatcher) =
                    Builder::new(8, || 0_u64).wait(wait).then(poller("here")).start().unwrap();
                let here = dispatcher.poller("here").unwrap();
                let guest = read("guest", |_: &u64, _| ());
                let guest = dispatcher.membership().attach(guest, Start::Oldest).unwrap();
                let report = guest.detach(how, A_MINUTE).unwrap();
                assert_eq!((report.handled, report.left), (0, 0));
                drop((here, producer));
                joined(dispatcher);
            }
        }
    });
}

#[test]
fn hooks_run_on_a_guests_thread_and_around_its_stay() {
    struct Hooks(mpsc::Sender<&'static str>);
    impl Handler<u64> for Hooks {
        fn on_start(&mut self) {
            self.0.send("start").unwrap();
        }

        fn on_event(&mut self, _: &u64, _: slipring::At<'_>) -> Result<(), slipring::HandlerError> {
            self.0.send("event").unwrap();
            Ok(())
        }

        fn on_stop(&mut self) {
            self.0.send("stop").unwrap();
        }
    }
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(8, || 0).then(read("here", |_: &u64, _| ())).start().unwrap();
        let (told, calls) = mpsc::channel();
        let guest = read_handler("guest", move || Hooks(told));
        let guest = dispatcher.membership().attach(guest, Start::Now).unwrap();
        publish(&mut producer, 0..2);
        guest.detach(Detach::Drained, A_MINUTE).unwrap();
        assert_eq!(calls.into_iter().collect::<Vec<_>>(), ["start", "event", "event", "stop"]);
    });
}

#[test]
fn a_handler_may_attach_others_and_have_itself_leave() {
    within_a_minute(|| {
        let (mut producer, dispatcher) = Builder::new(8, || 0).without_stations().start().unwrap();
        let members = dispatcher.membership();
        let own: Arc<Mutex<Option<Member<u64>>>> = Arc::default();
        let (told, told_by) = mpsc::channel();
        let guest = {
            let (own, members) = (Arc::clone(&own), members.clone());
            read("guest", move |event: &u64, _: slipring::At<'_>| {
                if *event == 1 {
                    let friend = members.attach(read("friend", |_: &u64, _| ()), Start::Oldest);
                    let own = own.lock().unwrap().take().expect("it is put there before");
                    let still = own.detach(Detach::AtOnce, A_MINUTE).unwrap_err();
                    told.send((friend.unwrap(), still.member)).unwrap();
                }
            })
            .max_batch(1)
        };
        *own.lock().unwrap() = Some(members.attach(guest, Start::Now).unwrap());
        publish(&mut producer, 0..4);
        let (friend, guest) = told_by.recv().unwrap();
        let report = guest.detach(Detach::Drained, A_MINUTE).unwrap();
        assert_eq!((report.first, report.handled, report.left), (0, 2, 2));
        assert_eq!(friend.first_sequence(), 1, "the guest has not passed it");
        let report = friend.detach(Detach::Drained, A_MINUTE).unwrap();
        assert_eq!((report.handled, report.left), (3, 0));
    });
}

/// It could only drain when the handler has returned.
#[test]
fn a_handler_does_not_wait_for_a_guest_that_drains_behind_it() {
    within_a_minute(|| {
        let guest: Arc<Mutex<Option<Member<u64>>>> = Arc::default();
        let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
            .then(read("first", |_: &u64, _| ()))
            .then(read("last", {
                let guest = Arc::clone(&guest);
                move |_: &u64, _| {
                    let mut slot = guest.lock().unwrap();
                    if let Some(member) = slot.take() {
                        let still = member.detach(Detach::Drained, Duration::MAX).unwrap_err();
                        *slot = Some(still.member);
                    }
                }
            }))
            .start()
            .unwrap();
        let behind = read("behind", |_: &u64, _| ());
        let behind = dispatcher.membership().attach(behind, Start::Now).unwrap();
        *guest.lock().unwrap() = Some(behind);
        producer.publish(|_| ()).unwrap();
        drop(producer);
        assert!(dispatcher.join().unwrap().is_complete());
        let behind = guest.lock().unwrap().take().unwrap();
        let report = behind.detach(Detach::Drained, A_MINUTE).unwrap();
        assert_eq!((report.handled, report.left), (1, 0));
    });
}

#[test]
fn a_guests_failures_are_dealt_with_by_its_policy() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(8, || 0).then(read("here", |_: &u64, _| ())).start_multi().unwrap();
        let members = dispatcher.membership();
        let fails = |event: &u64, _: slipring::At<'_>| {
            if event.is_multiple_of(2) { Err("even") } else { Ok(()) }
        };
        let lenient =
            members.attach(read("lenient", fails).policy(Policy::Skip), Start::Now).unwrap();
        for event in 0..10 {
            producer.publish(|slot| *slot = event).unwrap();
            abandon(&mut producer);
        }
        let report = lenient.detach(Detach::Drained, A_MINUTE).unwrap();
        assert_eq!((report.handled, report.skipped, report.left), (5, 5, 0));
        let strict = members.attach(read("strict", fails), Start::Now).unwrap();
        assert_eq!(strict.first_sequence(), 20);
        producer.publish(|slot| *slot = 1).unwrap();
        abandon(&mut producer);
        producer.publish(|slot| *slot = 2).unwrap();
        let error = dispatcher.join().unwrap_err();
        let ShutdownCause::Fault(fault) = &error.cause else { panic!("{error}") };
        assert_eq!(
            (fault.station(), fault.sequence(), fault.kind()),
            ("strict", 22, FaultKind::Error)
        );
        let account = error.report.station("strict").unwrap();
        assert_eq!((account.first, account.handled, account.left), (20, 1, 1));
        let report = strict.detach(Detach::Drained, A_MINUTE).unwrap();
        assert_eq!(report, *account);
    });
}

#[test]
fn the_reset_hook_waits_for_guests() {
    within_a_minute(|| {
        let reset = Log::default();
        let hook = {
            let reset = reset.clone();
            move |slot: &mut u64| reset.push(std::mem::replace(slot, u64::MAX))
        };
        let (mut producer, mut dispatcher) = Builder::new(4, || u64::MAX)
            .reset(hook)
            .then(poller("here").max_batch(4))
            .start()
            .unwrap();
        let mut here = dispatcher.poller("here").unwrap();
        publish(&mut producer, 0..3);
        here.poll_at_most(1, |_, _| ()).unwrap();
        assert_eq!(reset.take(), [0]);
        let members = dispatcher.membership();
        let mut guest = members.attach_poller(poller("guest").max_batch(4), Start::Oldest).unwrap();
        assert_eq!(guest.sequence(), 1);
        assert_eq!(polled(&mut here), [1, 2]);
        assert_eq!(reset.take(), [0; 0]);
        assert_eq!(polled(&mut guest), [1, 2]);
        assert_eq!(reset.take(), [1, 2]);
        publish(&mut producer, 3..5);
        assert_eq!(polled(&mut here), [3, 4]);
        drop(guest);
        assert_eq!(reset.take(), [3, 4], "by the guest that leaves");
    });
}

#[test]
fn a_poller_that_changes_events_cannot_be_attached() {
    // `attach_poller(poller_mut("x"), ..)` does not compile; a ring of its own is what it needs.
    let (_producer, mut dispatcher) =
        Builder::new(2, || 0_u64).then(poller_mut("changes")).start().unwrap();
    let _changes = dispatcher.poller_mut("changes").unwrap();
    let members = dispatcher.membership();
    assert!(members.attach_poller(poller("reads"), Start::Oldest).is_ok(), "behind it");
}

/// Which producer's event, and the how-manieth of its own.
type Numbered = (usize, u64);

/// Checks that events come in the order of their sequences and that none of any producer's is missing, as
/// one would be that was overwritten before it was seen.
#[derive(Default)]
struct Witness {
    next: Option<u64>,
    next_of: [Option<u64>; 3],
    seen: u64,
}

impl Witness {
    fn see(&mut self, (lane, number): Numbered, at: u64) {
        assert_eq!(at, self.next.unwrap_or(at));
        assert_eq!(number, self.next_of[lane].unwrap_or(number), "of producer {lane}, at {at}");
        self.next = Some(at + 1);
        self.next_of[lane] = Some(number + 1);
        self.seen += 1;
    }
}

fn draws(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut random = seed;
    move |below| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    }
}

fn come_and_go(members: &Membership<Numbered>, lane: u64, visits: u64) {
    let mut draw = draws(0x9e37_79b9_7f4a_7c15 ^ lane);
    for visit in 0..visits {
        let start = if draw(2) == 0 { Start::Now } else { Start::Oldest };
        if draw(3) == 0 {
            let name = format!("poller {lane}.{visit}");
            let mut guest = members.attach_poller(poller(name), start).unwrap();
            let (first, wanted) = (guest.sequence(), draw(200));
            let mut witness = Witness::default();
            while witness.seen < wanted {
                assert!(guest.wait(A_MINUTE));
                guest.poll(|event, at| witness.see(*event, at.sequence())).unwrap();
            }
            assert_eq!(guest.sequence(), first + witness.seen);
            continue;
        }
        let witness = Arc::new(Mutex::new(Witness::default()));
        let guest = {
            let witness = Arc::clone(&witness);
            read(format!("guest {lane}.{visit}"), move |event: &Numbered, at| {
                witness.lock().unwrap().see(*event, at.sequence());
            })
        };
        let guest = members.attach(guest, start).unwrap();
        let first = guest.first_sequence();
        for _ in 0..draw(20) {
            thread::yield_now();
        }
        let how = if draw(2) == 0 { Detach::AtOnce } else { Detach::Drained };
        let report = guest.detach(how, A_MINUTE).unwrap();
        let witness = witness.lock().unwrap();
        assert_eq!((report.first, report.handled), (first, witness.seen));
        assert_eq!(witness.next.unwrap_or(first), first + report.handled);
    }
}

/// Attaches and detaches so many at random moments while producers publish as fast as they can.
fn a_busy_ring_with_guests(visits: u64, capacity: usize, producers: usize, wait: Wait) {
    let mut witness = Witness::default();
    let here = read("here", move |event: &Numbered, at| witness.see(*event, at.sequence()));
    let (producer, dispatcher) =
        Builder::new(capacity, || (0, 0)).wait(wait).then(here).start_multi().unwrap();
    let is_over = AtomicBool::new(false);
    let published = thread::scope(|scope| {
        let feed = |lane| {
            let (mut producer, is_over) = (producer.clone(), &is_over);
            scope.spawn(move || {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    producer.publish(|slot| *slot = (lane, number)).unwrap();
                    number += 1;
                }
                number
            })
        };
        let feeds: Vec<_> = (0..producers).map(feed).collect();
        let guests: Vec<_> = (0..2)
            .map(|lane| {
                let members = dispatcher.membership();
                scope.spawn(move || come_and_go(&members, lane, visits / 2))
            })
            .collect();
        for guest in guests {
            guest.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        feeds.into_iter().map(|feed| feed.join().unwrap()).sum::<u64>()
    });
    drop(producer);
    let report = joined(dispatcher);
    assert_eq!((report.published, report.stations.len()), (published, 1));
}

#[test]
fn a_thousand_guests_come_and_go_and_none_misses_an_event() {
    within_a_minute(|| a_busy_ring_with_guests(1_000, 64, 2, Wait::Adaptive));
}

#[test]
fn guests_come_and_go_whatever_the_wait_and_the_size() {
    within_a_minute(|| {
        for (turn, wait) in common::WAITS.into_iter().enumerate() {
            a_busy_ring_with_guests(40, 1 << turn, 1 + turn % 3, wait);
        }
    });
}
