//! What an outbox sends, what it sets aside, and how it ends.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use slipring::Builder;
use slipring_bridge::{
    BeginAt, Connect, LinkError, Loopback, LoopbackOut, NotConfirmed, Outbox, OutboxHalt,
    OutboxState, Outgoing, Parcel, Renames, RingOutbox, Stamp, StartError,
};
use slipring_events::{Pattern, Time};
use slipring_store::{
    Batch, Checkpoint, Durability, Entry, EventStore, Memory, Retention, StoreError,
};

use crate::{
    sim::{Alive, POISON, Sim},
    world::{Failing, LONG, commit, short, until},
};

fn store() -> Arc<Memory> {
    Arc::new(Memory::new())
}

fn sim() -> (Sim, Alive) {
    (Sim::new(1), Alive::default())
}

fn topics(parcels: &[Parcel]) -> Vec<&str> {
    parcels.iter().map(|parcel| &*parcel.topic).collect()
}

fn stamps(parcels: &[Parcel]) -> Vec<(u64, Option<u64>)> {
    let stamp = |parcel: &Parcel| {
        let Stamp { sequence, previous, .. } = parcel.stamp.clone().unwrap();
        (sequence, previous)
    };
    parcels.iter().map(stamp).collect()
}

/// Which ones it has: one that came again counts once.
fn sequences(sim: &Sim) -> BTreeSet<u64> {
    stamps(&sim.parcels()).into_iter().map(|(sequence, _)| sequence).collect()
}

#[test]
fn only_what_is_durable_is_sent_and_each_says_which_was_before_it() {
    let (store, (sim, alive)) = (store(), sim());
    commit(&*store, &[("a", "0"), ("b", "1"), ("a", "2")]);
    let outbox = Outbox::builder("out", store.clone(), sim.connect(&alive))
        .topic(Pattern::new("a").unwrap())
        .start()
        .unwrap();
    // Starting it is durable, and what was committed before with it.
    let mut batch = Batch::new();
    batch.append(Entry::new("a", "3")).unwrap();
    store.commit(&batch, Durability::Visible).unwrap();
    outbox.wait_for(3, LONG).unwrap();
    assert_eq!(stamps(&sim.parcels()), [(0, None), (2, Some(0))]);
    assert!(outbox.wait_for(4, Duration::from_millis(30)).is_err());
    assert_eq!(outbox.status().unwrap().lag(), 0);
    store.sync().unwrap();
    outbox.wait_for(4, LONG).unwrap();
    assert_eq!(stamps(&sim.parcels())[2..], [(3, Some(2))]);
    assert!(outbox.lane().ends_with("/out"));
    assert_eq!(outbox.status().unwrap().sent, 3);
}

#[test]
fn set_back_it_sends_again_what_a_broker_has_lost() {
    let (store, (sim, alive)) = (store(), sim());
    commit(&*store, &[("a", "0"), ("b", "1"), ("a", "2"), ("a", "3"), ("b", "4"), ("a", "5")]);
    let start = || {
        let outbox = Outbox::builder("out", store.clone(), sim.connect(&alive));
        outbox.topic(Pattern::new("a").unwrap()).start().unwrap()
    };
    let refused = Outbox::set_back(&store, "out", 2).unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    let outbox = start();
    outbox.wait_for(6, LONG).unwrap();
    assert!(outbox.stop(LONG).has_ended);
    assert_eq!(stamps(&sim.parcels()), [(0, None), (2, Some(0)), (3, Some(2)), (5, Some(3))]);
    // It has never been further than that.
    assert!(!Outbox::set_back(&store, "out", 5).unwrap());

    sim.clear();
    assert!(Outbox::set_back(&store, "out", 2).unwrap());
    // Retention waits for it again.
    let keep_nothing = || {
        store.retain(&Retention::everything().events(0), Time::from_nanos(u64::MAX)).unwrap();
        store.bounds().unwrap().first
    };
    assert!(keep_nothing() <= 3);
    let outbox = start();
    outbox.wait_for(6, LONG).unwrap();
    assert_eq!(stamps(&sim.parcels()), [(3, Some(2)), (5, Some(3))]);

    // One that is at work halts, and does not go on where it was.
    until("it is written down how far it is", || Outbox::set_back(&store, "out", 3).unwrap());
    commit(&*store, &[("a", "6")]);
    until("it halts", || {
        matches!(outbox.state(), OutboxState::Halted(OutboxHalt::RunTwice { .. }))
    });
    drop(outbox);
    let outbox = start();
    outbox.wait_for(7, LONG).unwrap();
    assert!(outbox.stop(LONG).has_ended);

    assert!(keep_nothing() > 3);
    let gone = Outbox::set_back(&store, "out", 2).unwrap_err();
    assert!(matches!(gone, StoreError::Removed { asked: 3, .. }), "{gone}");
}

#[test]
fn it_goes_on_where_it_was_and_begins_where_it_is_told() {
    let (store, (sim, alive)) = (store(), sim());
    commit(&*store, &[("a", "0"), ("a", "1")]);
    for (run, from) in [(0_u64, BeginAt::Position(1)), (1, BeginAt::First), (2, BeginAt::End)] {
        let outbox = Outbox::builder("out", store.clone(), sim.connect(&alive)).begin_at(from);
        let outbox = outbox.start().unwrap();
        commit(&*store, &[("a", "more")]);
        outbox.wait_for(3 + run, LONG).unwrap();
        let report = outbox.stop(LONG);
        assert_eq!((report.confirmed, report.unconfirmed), (3 + run, 0));
    }
    let chain = [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(3))];
    assert_eq!(stamps(&sim.parcels()), chain);

    let outbox = Outbox::builder("late", store.clone(), sim.connect(&alive));
    let outbox = outbox.begin_at(BeginAt::End).start().unwrap();
    commit(&*store, &[("b", "")]);
    outbox.wait_for(6, LONG).unwrap();
    assert_eq!(stamps(&sim.parcels())[4..], [(5, None)]);
}

#[test]
fn partitions_share_all_events_and_those_of_a_key_go_together() {
    let (store, (sim, alive)) = (store(), sim());
    let mut batch = Batch::new();
    for number in 0..100_u32 {
        let (stream, text) = (format!("order-{}", number % 10), number.to_string());
        batch.append(Entry::new("order", &text).stream(&stream)).unwrap();
    }
    store.commit(&batch, Durability::Synced).unwrap();
    let start = |partition| {
        let connect = sim.connect(&alive);
        Outbox::builder("out", store.clone(), connect).partition(partition, 3).start().unwrap()
    };
    let outboxes = [0, 1, 2].map(start);
    let mut names = BTreeSet::new();
    for outbox in &outboxes {
        outbox.wait_for(100, LONG).unwrap();
        names.insert(outbox.lane().to_owned());
    }
    let parcels = sim.parcels();
    let mut by_stream: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for parcel in &parcels {
        let lane = parcel.stamp.as_ref().unwrap().lane.to_string();
        assert!(names.contains(&lane));
        by_stream.entry(parcel.stream.clone().unwrap()).or_default().insert(lane);
    }
    let payloads: BTreeSet<_> = parcels.iter().map(|parcel| parcel.payload.clone()).collect();
    assert_eq!((parcels.len(), payloads.len(), by_stream.len()), (100, 100, 10));
    assert!(by_stream.values().all(|lanes| lanes.len() == 1), "{by_stream:?}");
    assert!(by_stream.values().flatten().collect::<BTreeSet<_>>().len() > 1, "they are spread");

    let refused = Outbox::builder("out", store, sim.connect(&alive)).partition(3, 3).start();
    assert!(matches!(refused, Err(StartError::Partition { partition: 3, of: 3 })));
}

#[test]
fn topics_have_other_names_there_and_one_that_has_none_is_set_aside() {
    let (store, (sim, alive)) = (store(), sim());
    let long = "x".repeat(250);
    commit(&*store, &[("order.paid", "0"), (&long, "1"), ("log", "2")]);
    let rules = Renames::none().prefix("log", "log").prefix("", "shop.berlin");
    let outbox = Outbox::builder("out", store, sim.connect(&alive)).rename(rules);
    let outbox = outbox.content_type("text/plain").start().unwrap();
    outbox.wait_for(3, LONG).unwrap();
    let parcels = sim.parcels();
    assert_eq!(topics(&parcels), ["shop.berlin.order.paid", "log"]);
    assert_eq!(stamps(&parcels), [(0, None), (2, Some(0))]);
    assert!(parcels.iter().all(|parcel| parcel.content_type == "text/plain"));
    let letters = outbox.letters().list().unwrap();
    assert_eq!((letters.len(), letters[0].position, &*letters[0].parcel.topic), (1, 1, &*long));
    assert!(letters[0].reason.contains("255"), "{}", letters[0].reason);
}

#[test]
fn what_no_broker_takes_is_set_aside_given_back_and_purged() {
    let (store, (sim, alive)) = (store(), sim());
    let poison = std::str::from_utf8(POISON).unwrap();
    let large = "x".repeat(500);
    commit(
        &*store,
        &[("a", "0"), ("a", poison), ("a", "2"), ("a", &large), ("a", poison), ("a", "5")],
    );
    let mut connect = sim.connect(&alive);
    connect.largest = 400;
    let start = |connect| {
        let outbox = Outbox::builder("out", store.clone(), connect);
        outbox.pauses(short()).start().unwrap()
    };
    let outbox = start(connect);
    outbox.wait_for(6, LONG).unwrap();
    let letters = outbox.letters();
    let list = letters.list().unwrap();
    assert_eq!(list.iter().map(|letter| letter.position).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!((&*list[0].reason, &list[0].parcel.payload[..]), ("it is poison", POISON));
    assert!(list[1].reason.contains("at most 400"), "{}", list[1].reason);
    assert_eq!(outbox.status().unwrap().set_aside, 3);
    // It is not looked at again when it starts anew, also if it could be sent now.
    outbox.stop(LONG);
    let outbox = start(sim.connect(&alive));
    outbox.wait_for(6, LONG).unwrap();
    assert_eq!(letters.list().unwrap(), list);
    assert_eq!(stamps(&sim.parcels()).last(), Some(&(5, Some(2))));

    // One that the broker takes now goes out in a lane of its own; one that it does not comes back.
    sim.clear();
    assert!(letters.requeue(1).unwrap() && letters.requeue(3).unwrap());
    assert!(!letters.requeue(3).unwrap() && !letters.requeue(0).unwrap());
    until("one is sent and one is back", || {
        sequences(&sim).len() == 1 && letters.list().unwrap().len() == 2
    });
    let sent = &sim.parcels()[0];
    assert_eq!(sent.payload.len(), 500);
    assert!(sent.stamp.as_ref().unwrap().lane.ends_with("/out!letters"));
    assert_eq!(letters.purge(1).unwrap().unwrap().position, 1);
    assert_eq!(letters.purge(1).unwrap(), None);
    assert_eq!(letters.requeue_all().unwrap(), 1);
    until("it is back", || letters.list().unwrap().len() == 1);
    assert!(outbox.stop(LONG).halted.is_none());
    assert_eq!(sequences(&sim).len(), 1, "no other");
}

/// A broker that says how much it takes when it is there.
#[derive(Clone)]
struct Telling(Arc<AtomicUsize>, Loopback);

impl Connect for Telling {
    type Link = LoopbackOut;

    async fn connect(&self) -> Result<LoopbackOut, LinkError> {
        // Whoever does not wait has time to read.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.0.store(1_000, Ordering::SeqCst);
        self.1.connect().await
    }

    fn largest(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn what_is_too_large_is_said_when_the_broker_is_there() {
    let store = store();
    let large = "x".repeat(500);
    commit(&*store, &[("a", "0"), ("a", &large)]);
    let telling = Telling(Arc::new(AtomicUsize::new(100)), Loopback::new());
    let outbox = Outbox::builder("out", store.clone(), telling.clone()).start().unwrap();
    outbox.wait_for(2, LONG).unwrap();
    assert_eq!(outbox.status().unwrap().set_aside, 0, "{:?}", outbox.status());
    // It may change its mind.
    telling.0.store(400, Ordering::SeqCst);
    commit(&*store, &[("a", &large)]);
    outbox.wait_for(3, LONG).unwrap();
    assert_eq!((outbox.status().unwrap().set_aside, telling.1.waiting()), (1, 2));

    let telling = Telling(Arc::new(AtomicUsize::new(100)), Loopback::new());
    let write = |_: &u64| Ok(Some(Parcel::new("number", "x".repeat(500))));
    let (station, handle) = RingOutbox::new("ring", telling, write).station().unwrap();
    let (mut producer, dispatcher) = Builder::new(16, || 0_u64).then(station).start().unwrap();
    producer.publish(|slot| *slot = 7).unwrap();
    drop(producer);
    dispatcher.join().unwrap();
    assert_eq!(handle.sent(), 1);
}

#[test]
fn a_position_that_is_not_there_is_no_place_to_begin_at() {
    let (store, (sim, alive)) = (store(), sim());
    commit(&*store, &[("a", "0"), ("a", "1")]);
    let begin = |at| {
        let outbox = Outbox::builder("out", store.clone(), sim.connect(&alive));
        outbox.begin_at(BeginAt::Position(at)).start()
    };
    let refused = begin(3);
    assert!(
        matches!(refused, Err(StartError::Store(StoreError::Beyond { asked: 3, end: 2 }))),
        "{refused:?}"
    );
    // It was not there, and so begins where it is told to now.
    let outbox = begin(1).unwrap();
    outbox.wait_for(2, LONG).unwrap();
    assert_eq!(sequences(&sim), BTreeSet::from([1]));
    drop(outbox);
    // From then on it does not matter.
    begin(3).unwrap().wait_for(2, LONG).unwrap();
}

#[test]
fn a_checkpoint_may_wait_for_ever() {
    let (store, (sim, alive)) = (store(), sim());
    commit(&*store, &[("a", "0"), ("a", "1")]);
    let outbox = Outbox::builder("out", store.clone(), sim.connect(&alive));
    let outbox = outbox.checkpoint(usize::MAX, Duration::MAX).start().unwrap();
    outbox.wait_for(2, LONG).unwrap();
    assert!(outbox.stop(LONG).halted.is_none());
    assert_eq!(Checkpoint::named("outbox:out").get(&*store).unwrap(), Some(2));
}

#[test]
fn while_the_broker_is_away_it_waits_and_nothing_is_removed() {
    let (store, (sim, alive)) = (store(), sim());
    sim.set_down(true);
    let outbox = Outbox::builder("out", store.clone(), sim.connect(&alive));
    let outbox = outbox.pauses(short()).start().unwrap();
    for _ in 0..50 {
        commit(&*store, &[("a", "b"), ("a", "c")]);
    }
    until("it waits", || matches!(outbox.state(), OutboxState::Waiting { .. }));
    let removed =
        store.retain(&Retention::everything().events(0), Time::from_nanos(u64::MAX)).unwrap();
    assert_eq!((removed.events, removed.held_by.as_deref()), (0, Some("outbox:out")));
    let late = outbox.wait_for(1, Duration::from_millis(5)).unwrap_err();
    assert!(late.to_string().contains("nobody is there"), "{late}");
    let status = outbox.status().unwrap();
    assert_eq!((status.lag(), status.links, status.sent), (100, 0, 0));
    sim.set_down(false);
    outbox.wait_for(100, LONG).unwrap();
    assert_eq!(sim.parcels().len(), 100);
}

#[test]
fn one_name_runs_once() {
    let (store, (sim, alive)) = (store(), sim());
    let builder = || Outbox::builder("out", store.clone(), sim.connect(&alive));
    let first = builder().checkpoint(1, Duration::from_millis(1)).start().unwrap();
    commit(&*store, &[("a", "0")]);
    first.wait_for(1, LONG).unwrap();
    // The first may be writing its checkpoint just then, which nobody can tell from another that is
    // opened at the same time.
    let second = loop {
        match builder().start() {
            Ok(second) => break second,
            Err(StartError::Store(StoreError::Refused(_))) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    commit(&*store, &[("a", "1")]);
    second.wait_for(2, LONG).unwrap();
    until("the first is told", || matches!(first.state(), OutboxState::Halted(_)));
    let report = first.stop(LONG);
    assert!(matches!(report.halted, Some(OutboxHalt::RunTwice { .. })), "{report:?}");
    assert!(second.stop(LONG).halted.is_none());
    for name in ["", "a/b", "a!b", "a\nb", &"x".repeat(201)] {
        let refused = Outbox::builder(name, store.clone(), sim.connect(&alive)).start();
        assert!(matches!(refused, Err(StartError::Name(_))), "{name:?}");
    }
}

#[test]
fn a_store_that_stops_halts_it_with_the_reason() {
    let (sim, alive) = sim();
    let seen = crate::world::Seen::of(&store(), &alive);
    let outbox = Outbox::builder("out", seen, sim.connect(&Alive::default())).start().unwrap();
    alive.kill();
    let error = outbox.wait_for(1, LONG).unwrap_err();
    assert!(matches!(error, NotConfirmed::Halted { why: OutboxHalt::Store(_), .. }), "{error}");
    assert!(error.to_string().contains("the process is dead"), "{error}");
    assert!(outbox.stop(LONG).has_ended);
}

#[test]
fn a_checkpoint_that_is_not_written_is_tried_again_and_one_that_was_is_known() {
    for was_written in [false, true] {
        let (store, (sim, alive)) = (store(), sim());
        let failing = Failing::of(&store, was_written);
        let start = || {
            let outbox = Outbox::builder("out", failing.clone(), sim.connect(&alive));
            outbox.checkpoint(1, Duration::from_millis(1)).start().unwrap()
        };
        let outbox = start();
        for round in 0..10 {
            failing.fail_next();
            commit(&*store, &[("a", "x"), ("a", "y")]);
            outbox.wait_for(round * 2 + 2, LONG).unwrap();
            until("one has failed", || failing.failed() > round);
        }
        let report = outbox.stop(LONG);
        assert!(report.halted.is_none() && report.confirmed == 20, "{report:?}");
        assert_eq!(Checkpoint::named("outbox:out").get(&*store).unwrap(), Some(20));
        // Nothing is sent again: that was the end.
        let sent = sim.parcels().len();
        let outbox = start();
        outbox.wait_for(20, LONG).unwrap();
        assert!(outbox.stop(LONG).has_ended);
        assert_eq!((sent, sim.parcels().len()), (20, 20), "written: {was_written}");
    }
}

/// A broker that does something odd.
#[derive(Clone)]
struct Odd {
    how: How,
    links: Arc<AtomicUsize>,
    taken: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    PanicConnecting,
    PanicSending,
    PanicConfirming,
    HangConnecting,
    HangSending,
    HangConfirming,
    HangClosing,
}

struct OddLink(Odd, usize);

impl Odd {
    fn new(how: How) -> Self {
        Self { how, links: Arc::default(), taken: Arc::default() }
    }

    /// The first two links are odd.
    async fn be(&self, panic: How, hang: How) {
        assert!(self.how != panic, "as it is told");
        if self.how == hang && self.links.load(Ordering::SeqCst) <= 2 {
            pending::<()>().await;
        }
    }
}

impl Connect for Odd {
    type Link = OddLink;

    async fn connect(&self) -> Result<OddLink, LinkError> {
        self.links.fetch_add(1, Ordering::SeqCst);
        self.be(How::PanicConnecting, How::HangConnecting).await;
        Ok(OddLink(self.clone(), 0))
    }

    fn largest(&self) -> usize {
        1_000
    }
}

impl Outgoing for OddLink {
    async fn submit(&mut self, parcels: &[Parcel]) -> Result<(), LinkError> {
        self.0.be(How::PanicSending, How::HangSending).await;
        self.1 += parcels.len();
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<usize, LinkError> {
        self.0.be(How::PanicConfirming, How::HangConfirming).await;
        self.0.taken.fetch_add(self.1 as u64, Ordering::SeqCst);
        Ok(std::mem::take(&mut self.1))
    }

    async fn close(self) {
        if self.0.how == How::HangClosing {
            pending::<()>().await;
        }
    }
}

#[test]
fn a_transport_that_panics_ends_it_with_the_reason() {
    for how in [How::PanicConnecting, How::PanicSending, How::PanicConfirming] {
        let store = store();
        commit(&*store, &[("a", "0")]);
        let outbox = Outbox::builder("out", store.clone(), Odd::new(how)).start().unwrap();
        let error = outbox.wait_for(1, LONG).unwrap_err();
        assert!(error.to_string().contains("as it is told"), "{how:?}: {error}");
        let report = outbox.stop(LONG);
        assert!(report.has_ended && report.confirmed == 0, "{how:?}: {report:?}");
        // Nothing is lost by it.
        let (sim, alive) = sim();
        let outbox = Outbox::builder("out", store, sim.connect(&alive)).start().unwrap();
        outbox.wait_for(1, LONG).unwrap();
        assert_eq!(sim.parcels().len(), 1);
    }
}

#[test]
fn what_picks_events_and_panics_ends_it_with_the_reason() {
    let (store, (sim, alive)) = (store(), sim());
    commit(&*store, &[("a", "0")]);
    let outbox = Outbox::builder("out", store, sim.connect(&alive)).partition(0, 2);
    let outbox = outbox.key(|_| -> Cow<'_, str> { panic!("no key") }).start().unwrap();
    let error = outbox.wait_for(1, LONG).unwrap_err();
    assert!(error.to_string().contains("no key"), "{error}");
}

#[test]
fn a_broker_that_hangs_counts_as_gone() {
    for how in [How::HangConnecting, How::HangSending, How::HangConfirming] {
        let store = store();
        commit(&*store, &[("a", "0"), ("a", "1")]);
        let odd = Odd::new(how);
        let outbox = Outbox::builder("out", store, odd.clone());
        let outbox = outbox.patience(Duration::from_millis(20)).pauses(short()).start().unwrap();
        outbox.wait_for(2, LONG).unwrap();
        assert_eq!(odd.links.load(Ordering::SeqCst), 3, "{how:?}");
        assert!(outbox.status().unwrap().last_error.unwrap().contains("20ms"), "{how:?}");
    }
}

#[test]
fn it_stops_in_time_whatever_hangs() {
    let hows = [How::HangConnecting, How::HangSending, How::HangConfirming, How::HangClosing];
    for how in hows {
        let store = store();
        commit(&*store, &[("a", "0")]);
        let odd = Odd::new(how);
        let outbox = Outbox::builder("out", store.clone(), odd.clone());
        let outbox = outbox.patience(Duration::from_millis(300)).start().unwrap();
        until("it has begun", || odd.links.load(Ordering::SeqCst) > 0);
        let report = outbox.stop(Duration::from_millis(10));
        assert!(report.has_ended, "{how:?}: {report:?}");
    }
}
