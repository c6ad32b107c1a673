//! Rounds, and the thread that makes them. Nothing here waits for time to pass.

use std::{
    panic,
    sync::{
        Arc, Mutex, Weak,
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use slipring::{Builder, Dispatcher, Phase, Poll, Poller, Producer, poller};
use slipring_insight::{Alert, Rounds, Rule, Rules, Stations, Turn, Watch};

/// Longer than any test may take.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);
/// Too short to matter.
const AT_ONCE: Duration = Duration::ZERO;

type Event = Option<Arc<()>>;

fn ring() -> (Producer<Event>, Dispatcher<Event>, Poller<Event>) {
    let (producer, mut dispatcher) =
        Builder::new(8, || None).then(poller("p")).start().expect("the ring is well formed");
    let poller = dispatcher.poller("p").expect("nobody has taken it");
    (producer, dispatcher, poller)
}

fn full(name: &str) -> Rules {
    Rules::new(name).with(Rule::fill(0.5))
}

fn fill(producer: &mut Producer<Event>) {
    producer.publish_batch(4, |_, _| ()).expect("there is room");
}

fn drain(poller: &mut Poller<Event>) {
    while matches!(poller.poll(|_, _| ()), Ok(Poll::Events(_))) {}
}

/// A callback for alerts that passes on whether they are raised.
fn passing_on(sender: Sender<bool>) -> impl FnMut(&Alert) + Send {
    move |alert| sender.send(alert.turn == Turn::Raised).expect("the test listens")
}

#[test]
fn alerts_are_told_without_a_thread() {
    let (mut producer, dispatcher, mut poller) = ring();
    let (sender, alerts) = channel();
    let (look, looks) = channel();
    let mut rounds = Rounds::new()
        .ring(dispatcher.monitor(), full("orders"))
        .on_look(move |ring, snapshot| look.send((ring.to_owned(), snapshot.fill)).expect("heard"))
        .on_alert(passing_on(sender));
    rounds.look();
    fill(&mut producer);
    rounds.look();
    rounds.look();
    drain(&mut poller);
    rounds.look();
    assert_eq!(alerts.try_iter().collect::<Vec<_>>(), [true, false]);
    let expected = [0, 4, 4, 0].map(|fill| ("orders".to_owned(), fill));
    assert_eq!(looks.try_iter().collect::<Vec<_>>(), expected);
    assert_eq!((rounds.tally().looks, rounds.tally().alerts), (4, 2));
}

#[test]
fn a_ring_that_has_ended_is_looked_at_once_more_and_let_go_of() {
    let (mut producer, dispatcher, mut poller) = ring();
    let (_open, other, _idle) = ring();
    let (look, looks) = channel();
    let event = Arc::new(());
    let is_gone = |event: &Weak<()>| event.upgrade().is_none();
    let on_the_ring = Arc::downgrade(&event);
    producer.publish(|slot| *slot = Some(event)).expect("there is room");
    let mut rounds = Rounds::new()
        .ring(dispatcher.monitor(), Rules::new("ends"))
        .ring(other.monitor(), Rules::new("stays"))
        .on_look(move |ring, snapshot| {
            look.send((ring.to_owned(), snapshot.phase)).expect("heard");
        });
    drop(producer);
    rounds.look(); // Closed, but there is something left to do.
    drain(&mut poller);
    drop(poller);
    drop(dispatcher.join());
    rounds.look();
    assert!(!is_gone(&on_the_ring), "the monitor keeps the ring");
    rounds.look();
    assert!(is_gone(&on_the_ring), "nobody keeps the ring");
    rounds.look();
    assert!(!rounds.are_over());
    let of_one: Vec<Phase> =
        looks.try_iter().filter(|(ring, _)| ring == "ends").map(|(_, phase)| phase).collect();
    assert_eq!(of_one, [Phase::Closed; 3]);
    assert_eq!(rounds.tally().looks, 7);
}

#[test]
fn no_alert_outlives_its_ring() {
    let (mut producer, dispatcher, _poller) = ring();
    let (sender, alerts) = channel();
    let rules = full("orders").with(Rule::lag(Stations::Any, 2)).with(Rule::lag(Stations::Any, 5));
    let mut rounds = Rounds::new()
        .ring(dispatcher.monitor(), rules)
        .on_alert(move |alert| sender.send(alert.clone()).expect("the test listens"));
    fill(&mut producer);
    rounds.look();
    assert_eq!(alerts.try_iter().filter(|alert| alert.turn == Turn::Raised).count(), 2);
    // What is on the ring stays there, and so does all that the rules look at.
    dispatcher.halt();
    rounds.look();
    assert_eq!(alerts.try_iter().filter(|alert| alert.value.is_some()).count(), 0);
    while !rounds.are_over() {
        rounds.look();
    }
    let cleared: Vec<Alert> = alerts.try_iter().collect();
    let rules = cleared.iter().map(|alert| (alert.rule.name(), alert.station.as_deref()));
    assert_eq!(rules.collect::<Vec<_>>(), [("fill", None), ("lag", Some("p"))]);
    for alert in cleared {
        assert_eq!((alert.turn, alert.value, alert.is_at_the_end), (Turn::Cleared, None, true));
        assert!(alert.to_string().ends_with(": the ring has ended"), "{alert}");
    }
    assert_eq!(rounds.tally().alerts, 4);
}

#[test]
fn a_ring_without_stations_has_not_ended() {
    let ring = Builder::new(8, || 0_u64).without_stations().start();
    let (producer, dispatcher) = ring.expect("the ring is well formed");
    let mut rounds = Rounds::new().ring(dispatcher.monitor(), Rules::new("orders"));
    for _ in 0..3 {
        rounds.look();
        assert!(!rounds.are_over());
    }
    drop(producer);
    rounds.look();
    rounds.look();
    assert!(rounds.are_over());
}

/// A panic's payload that panics as well when it is dropped, so many times.
struct Landmine(u8);

impl Drop for Landmine {
    fn drop(&mut self) {
        if let Some(left) = self.0.checked_sub(1) {
            panic::panic_any(Self(left));
        }
    }
}

#[test]
fn a_callback_that_panics_is_counted_and_called_again() {
    let (mut producer, dispatcher, _poller) = ring();
    let (mut second_producer, second, _second_poller) = ring();
    let (sender, alerts) = channel();
    let mut looks = 0;
    let mut rounds = Rounds::new()
        .ring(dispatcher.monitor(), full("first"))
        .ring(second.monitor(), full("second"))
        .on_look(move |_, _| {
            looks += 1;
            match looks {
                1 => panic!("look {looks}"),
                2 => panic::panic_any(Landmine(2)),
                _ => {}
            }
        })
        .on_alert(move |alert| {
            sender.send(alert.ring.clone()).expect("the test listens");
            panic!("alert");
        });
    rounds.look();
    assert_eq!(rounds.tally().panics, 2);
    assert_eq!(rounds.tally().last_panic.as_deref(), Some("a panic without a text"));
    fill(&mut producer);
    fill(&mut second_producer);
    rounds.look();
    assert_eq!(alerts.try_iter().collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!((rounds.tally().panics, rounds.tally().alerts), (4, 2));
    assert_eq!(rounds.tally().last_panic.as_deref(), Some("alert"));
}

#[test]
fn a_thread_makes_the_rounds_whatever_the_callbacks_do() {
    let (mut producer, dispatcher, mut poller) = ring();
    let (sender, alerts) = channel();
    let mut tell = passing_on(sender);
    let rounds = Rounds::new().ring(dispatcher.monitor(), full("orders")).on_alert(move |alert| {
        tell(alert);
        panic!("after {alert}");
    });
    let watch = Watch::start(rounds, AT_ONCE).expect("there is a thread");
    for _ in 0..3 {
        fill(&mut producer);
        assert_eq!(alerts.recv(), Ok(true));
        drain(&mut poller);
        assert_eq!(alerts.recv(), Ok(false));
    }
    let tally = watch.stop();
    assert_eq!((tally.alerts, tally.panics), (6, 6));
    assert!(
        tally.last_panic.is_some_and(|text| text.starts_with("after ring `orders`: fill over"))
    );
}

#[test]
fn it_ends_at_once_at_any_moment() {
    let (_producer, dispatcher, _poller) = ring();
    let (look, looks) = channel();
    for round in 0..200 {
        let look = look.clone();
        let rounds = Rounds::new()
            .ring(dispatcher.monitor(), Rules::new("orders"))
            .on_look(move |_, _| look.send(()).expect("the test listens"));
        let watch = Watch::start(rounds, FOR_EVER).expect("there is a thread");
        match round % 3 {
            0 => {}
            1 => looks.recv().expect("it looks"),
            _ => {
                // The tally comes behind the look, and then it goes to sleep.
                while watch.tally().looks == 0 {
                    std::thread::yield_now();
                }
            }
        }
        drop(watch);
        looks.try_iter().for_each(drop);
    }
}

#[test]
fn it_ends_with_the_last_of_its_rings() {
    let (mut producer, dispatcher, poller) = ring();
    let rounds = Rounds::new().ring(dispatcher.monitor(), full("orders"));
    let watch = Watch::start(rounds, AT_ONCE).expect("there is a thread");
    assert!(!watch.is_over());
    fill(&mut producer);
    drop((producer, poller));
    drop(dispatcher.join());
    assert!(watch.join().looks >= 2);
    let nothing = Watch::start(Rounds::new(), FOR_EVER).expect("there is a thread");
    assert_eq!(nothing.join().looks, 0);
}

#[test]
fn a_callback_may_end_its_own_watch() {
    let (_producer, dispatcher, _poller) = ring();
    let own = Arc::new(Mutex::new(None::<Watch>));
    let (done, is_done) = channel();
    let rounds = {
        let own = Arc::clone(&own);
        Rounds::new().ring(dispatcher.monitor(), Rules::new("orders")).on_look(move |_, _| {
            let watch = own.lock().expect("nobody panics").take();
            if let Some(watch) = watch {
                drop(watch);
                done.send(()).expect("the test listens");
            }
        })
    };
    let watch = Watch::start(rounds, AT_ONCE).expect("there is a thread");
    *own.lock().expect("nobody panics") = Some(watch);
    assert_eq!(is_done.recv(), Ok(()));
    assert!(is_done.recv().is_err(), "the thread has ended and dropped its callbacks");
}
