//! What owners of stations tell of them, and note of their calls.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use slipring::{
    Builder, Calls, Detach, Dispatcher, Figure, FigureKind, Policy, Producer, Start, poller, read,
    share,
};

/// Longer than anything takes that comes to an end.
const AMPLE: Duration = Duration::from_mins(1);

/// A ring with one station, which is polled and tells nothing.
fn ring() -> (Producer<u64>, Dispatcher<u64>) {
    Builder::new(8, || 0_u64).then(poller("here")).start().unwrap()
}

fn names(figures: &[Figure]) -> Vec<&str> {
    figures.iter().map(|figure| &*figure.name).collect()
}

#[test]
fn every_kind_of_station_tells_what_it_likes_and_others_nothing() {
    let tells =
        |name: &'static str| move |figures: &mut Vec<Figure>| figures.push(Figure::level(name, 1));
    let (_producer, dispatcher) = Builder::new(8, || 0_u64)
        .then([
            read("thread", |_: &u64, _| ()).tell(tells("a")),
            share("team", 2, |_| |_: &u64, _| ()).tell(tells("b")),
            poller("polled").tell(tells("c")),
            poller("silent"),
        ])
        .start()
        .unwrap();
    let members = dispatcher.membership();
    let guest = members.attach(read("guest", |_: &u64, _| ()).tell(tells("d")), Start::Now);
    let polled = members.attach_poller(poller("guest 2").tell(tells("e")), Start::Now);
    let snapshot = dispatcher.snapshot();
    let told: Vec<_> = snapshot.stations.iter().map(|station| names(&station.told)).collect();
    let expected: [&[&str]; 6] = [&["a"], &["b"], &["c"], &[], &["d"], &["e"]];
    assert_eq!(told, expected);
    drop((guest, polled));
}

#[test]
fn it_is_asked_at_each_look_and_only_then() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let station = poller("p").tell(move |figures| {
        figures.push(Figure::count("asked", count.fetch_add(1, Ordering::Relaxed)));
        figures.push(Figure::time("for", Duration::MAX));
    });
    let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64).then(station).start().unwrap();
    let mut poller = dispatcher.poller("p").unwrap();
    for look in 0..3 {
        producer.publish(|_| ()).unwrap();
        poller.poll(|_, _| ()).unwrap();
        let told = dispatcher.snapshot().stations[0].told.clone();
        assert_eq!(told, [Figure::count("asked", look), Figure::time("for", Duration::MAX)]);
        assert_eq!((told[1].kind, told[1].value), (FigureKind::Time, u64::MAX));
    }
    drop((producer, poller));
    dispatcher.join().unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[test]
fn who_panics_has_told_nothing_and_others_are_heard() {
    let station = |name: &str, panics: bool| {
        poller(name).tell(move |figures| {
            figures.push(Figure::level("half", 1));
            assert!(!panics, "on purpose");
        })
    };
    let stations = [station("bad", true), station("good", false)];
    let (_producer, dispatcher) = Builder::new(8, || 0_u64).then(stations).start().unwrap();
    let snapshot = dispatcher.snapshot();
    assert_eq!(snapshot.stations[0].told, []);
    assert_eq!(snapshot.stations[1].told, [Figure::level("half", 1)]);
    assert!(snapshot.adds_up());
}

/// Else whoever tells could not so much as look, attach somebody or have somebody leave.
#[test]
fn no_lock_is_held_while_somebody_tells() {
    let (producer, dispatcher) = ring();
    let members = Arc::new(Mutex::new(Some(dispatcher.membership())));
    let (owned, monitor) = (Arc::clone(&members), Mutex::new(Some(dispatcher.monitor())));
    let guest = poller("guest").tell(move |figures| {
        // Not at the look that it takes itself.
        let Ok(owned) = owned.try_lock() else { return };
        let Some(members) = &*owned else { return };
        let other = members.attach_poller(poller("other"), Start::Now).unwrap();
        let monitor = monitor.lock().unwrap().take();
        let stations = monitor.map_or(0, |monitor| monitor.snapshot().stations.len());
        drop(other);
        figures.push(Figure::level("stations", stations as u64));
    });
    let look = members.lock().unwrap().as_ref().unwrap().attach_poller(guest, Start::Now);
    let (done, is_done) = mpsc::channel();
    let monitor = dispatcher.monitor();
    thread::spawn(move || done.send(monitor.snapshot()).unwrap());
    let snapshot = is_done.recv_timeout(AMPLE).expect("nobody is in its way");
    // It owns the ring, and would keep it.
    *members.lock().unwrap() = None;
    drop((look, producer));
    assert_eq!(snapshot.stations[1].told, [Figure::level("stations", 3)]);
}

#[test]
fn who_has_left_tells_nothing_more_and_is_let_go_of() {
    let (mut producer, dispatcher) = ring();
    let (token, members) = (Arc::new(()), dispatcher.membership());
    let station = |token: &Arc<()>| {
        let token = Arc::clone(token);
        move |figures: &mut Vec<Figure>| {
            figures.push(Figure::level("tokens", Arc::strong_count(&token) as u64));
        }
    };
    let polled = members.attach_poller(poller("a").tell(station(&token)), Start::Now).unwrap();
    let running = read("b", |_: &u64, _| ()).tell(station(&token));
    let running = members.attach(running, Start::Now).unwrap();
    assert_eq!(Arc::strong_count(&token), 3);
    producer.publish(|_| ()).unwrap();
    assert_eq!(names(&dispatcher.snapshot().stations[2].told), ["tokens"]);
    drop(polled);
    running.detach(Detach::AtOnce, AMPLE).unwrap();
    assert_eq!((Arc::strong_count(&token), dispatcher.snapshot().stations.len()), (1, 1));
    // One that is refused tells nothing either, and who takes the seat is asked itself.
    let refused = members.attach_poller(poller("here").tell(station(&token)), Start::Now);
    assert!(refused.is_err() && Arc::strong_count(&token) == 1);
    let _next = members.attach_poller(poller("a"), Start::Now).unwrap();
    assert_eq!(dispatcher.snapshot().stations[1].told, []);
}

/// Panics when it is dropped.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[test]
fn what_a_teller_has_captured_may_panic_when_it_is_dropped() {
    let (_producer, dispatcher) = ring();
    let mine = Mine;
    let guest = poller("guest").tell(move |_| {
        let _ = &mine;
    });
    drop(dispatcher.membership().attach_poller(guest, Start::Now).unwrap());
    assert_eq!(dispatcher.snapshot().stations.len(), 1);
}

#[test]
fn noted_calls_add_up_with_those_of_the_policy() {
    let station = poller("p").policy(Policy::Skip);
    let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64).then(station).start().unwrap();
    let mut poller = dispatcher.poller("p").unwrap();
    producer.publish_slice(&[1, 2, 3, 4]).unwrap();
    poller.note_calls(Calls { made: 5, failed: 3, retried: 2 });
    // Two, as a quarter of the ring is a batch.
    poller.poll(|event, _| if *event == 1 { Err("one") } else { Ok(()) }).unwrap();
    poller.note_calls(Calls { made: 1, ..Calls::default() });
    poller.note_late();
    let station = &dispatcher.snapshot().stations[0];
    let account = &station.account;
    assert_eq!((account.calls, account.failed, account.retried), (6, 4, 2));
    assert_eq!((account.handled, account.skipped, station.late), (1, 1, 1));
    drop((producer, poller));
    assert_eq!(dispatcher.join().unwrap().stations[0].calls, 6);
}

#[test]
fn a_guest_begins_without_the_calls_of_whoever_was_there_before() {
    let (_producer, dispatcher) = ring();
    let members = dispatcher.membership();
    for _ in 0..2 {
        let mut guest = members.attach_poller(poller("guest"), Start::Now).unwrap();
        guest.note_calls(Calls { made: 3, failed: 2, retried: 1 });
        guest.note_late();
        let station = &dispatcher.snapshot().stations[1];
        let account = &station.account;
        assert_eq!((account.calls, account.failed, account.retried), (3, 2, 1));
        assert_eq!(station.late, 1);
    }
}
