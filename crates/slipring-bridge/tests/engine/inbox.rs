//! What an inbox takes, what it refuses, and how it ends.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use slipring_bridge::{
    Inbox, InboxHalt, InboxHandle, InboxState, Incoming, Intake, IntakeError, IntoStore, Listen,
    Mark, Missing, ORIGIN, ORIGIN_SEQUENCE, Parcel, Stamp, StartError, Unreadable, Verdict,
    WhenMissing, WhenUnstamped,
};
use slipring_events::EventId;
use slipring_store::{EventStore, Memory};

use crate::{
    sim::{Alive, Faults, Sim, SimIn},
    world::{Failing, LONG, all, short, texts, until},
};

fn sim() -> (Sim, Alive) {
    (Sim::new(2), Alive::default())
}

/// The one of a lane that has that sequence, behind that one.
fn parcel(lane: &str, sequence: u64, previous: impl Into<Option<u64>>) -> Parcel {
    let mut parcel = Parcel::new("number", sequence.to_string());
    parcel.stamp = Some(Stamp { lane: lane.into(), sequence, previous: previous.into() });
    parcel.id = Some(EventId::random());
    parcel
}

fn put_lane(sim: &Sim, lane: &str, sequences: impl IntoIterator<Item = u64>) {
    for sequence in sequences {
        sim.put(Ok(parcel(lane, sequence, sequence.checked_sub(1))));
    }
}

/// Another connection, which has taken so many from the queue and settles none.
struct Somebody {
    _link: SimIn,
}

impl Somebody {
    fn takes(sim: &Sim, alive: &Alive, count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listen = sim.listen(alive);
        let link = runtime.block_on(async {
            let mut link = listen.listen(count).await.unwrap();
            let mut taken = Vec::new();
            while taken.len() < count {
                link.receive(count - taken.len(), &mut taken).await.unwrap();
            }
            link
        });
        Self { _link: link }
    }
}

fn into_store(sim: &Sim, alive: &Alive, store: &Arc<Memory>) -> InboxHandle {
    let intake = IntoStore::new("in", store.clone()).unwrap();
    Inbox::builder("in", sim.listen(alive), intake).pauses(short()).start().unwrap()
}

#[test]
fn an_inbox_that_misses_something_halts_and_says_what() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    put_lane(&sim, "shop/out", [0, 1, 2, 5, 6]);
    put_lane(&sim, "other/out", [0, 1]);
    let intake = IntoStore::new("in", store.clone()).unwrap();
    let inbox = Inbox::builder("in", sim.listen(&alive), intake)
        .missing_after(Duration::from_millis(30))
        .start()
        .unwrap();
    let (status, _) = inbox.wait_until(LONG, |_| false);
    let InboxState::Halted(InboxHalt::Missing(missing)) = &status.state else {
        panic!("it has not halted: {status:?}");
    };
    assert_eq!((&*missing.lane, missing.after, missing.up_to), ("shop/out", Some(2), 4));
    assert!(missing.to_string().contains("event 4 has not come"), "{missing}");
    assert!(inbox.stop(LONG).has_ended);
    assert_eq!((texts(&*store).len(), sim.left()), (5, 2));
    // It is not lost: when the broker has it, all goes on.
    put_lane(&sim, "shop/out", [3, 4]);
    let inbox = into_store(&sim, &alive, &store);
    until("all is there", || texts(&*store).len() == 9 && sim.left() == 0);
    assert!(inbox.stop(LONG).halted.is_none());
}

#[test]
fn a_window_full_of_what_is_early_waits_no_longer() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    put_lane(&sim, "lane", [0, 2, 3, 4, 5, 6, 7, 8, 1]);
    let intake = IntoStore::new("in", store.clone()).unwrap();
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).window(5);
    let inbox = inbox.missing_after(LONG * 100).start().unwrap();
    let (status, _) = inbox.wait_until(LONG, |_| false);
    assert!(matches!(status.state, InboxState::Halted(InboxHalt::Missing(_))), "{status:?}");
    assert_eq!(texts(&*store), ["0"]);
    drop(inbox);
    // With room for them, nothing is missing.
    let inbox = into_store(&sim, &alive, &store);
    until("all is there", || sim.left() == 0);
    assert_eq!(texts(&*store), ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    drop(inbox);
}

#[test]
fn one_that_goes_on_tells_what_was_missing_and_buries_it_when_it_comes() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    put_lane(&sim, "lane", [0, 3, 4, 6]);
    let intake = IntoStore::new("in", store.clone()).unwrap();
    let inbox = Inbox::builder("in", sim.listen(&alive), intake)
        .when_missing(WhenMissing::GoOn)
        .missing_after(Duration::from_millis(10))
        .start()
        .unwrap();
    until("it has gone on", || inbox.status().gaps == 2 && sim.left() == 0);
    assert_eq!(texts(&*store), ["0", "3", "4", "6"]);
    let ends = |gap: &Missing| (gap.after, gap.up_to);
    let gaps: Vec<_> = inbox.gaps().iter().map(ends).collect();
    assert_eq!(gaps, [(Some(0), 2), (Some(4), 5)]);
    put_lane(&sim, "lane", [2, 4, 7]);
    until("they are settled", || sim.left() == 0);
    until("the next is there", || texts(&*store).len() == 5);
    let dead = sim.dead();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].1.contains("event 2 of lane `lane`"), "{}", dead[0].1);
    let status = inbox.status();
    assert_eq!((status.duplicates, status.dead, status.gaps), (1, 1, 2));
}

#[test]
fn a_lane_that_comes_in_its_midst_begins_there_after_a_moment() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    put_lane(&sim, "lane", [8, 7, 9]);
    let intake = IntoStore::new("in", store.clone()).unwrap();
    let inbox = Inbox::builder("in", sim.listen(&alive), intake);
    let inbox = inbox.begin_after(Duration::from_millis(30)).start().unwrap();
    until("it has begun", || sim.left() == 0);
    assert_eq!(texts(&*store), ["7", "8", "9"]);
    assert_eq!((inbox.status().gaps, inbox.gaps()), (0, vec![]));
}

/// Somebody else has taken the first of a lane from the queue, as a connection has that broke off, until the broker
/// delivers them again.
#[test]
fn a_lane_does_not_begin_before_the_broker_delivers_again_what_somebody_else_has() {
    // Nobody waits for so long: the first come again before.
    for begin_after in [None, Some(LONG * 100)] {
        let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
        put_lane(&sim, "lane", 0..8);
        let somebody = Somebody::takes(&sim, &alive, 3);
        let intake = IntoStore::new("in", store.clone()).unwrap();
        let inbox = Inbox::builder("in", sim.listen(&alive), intake).missing_after(LONG * 100);
        let inbox = match begin_after {
            Some(time) => inbox.begin_after(time),
            None => inbox,
        };
        let inbox = inbox.start().unwrap();
        let (status, is_held) = inbox.wait_until(LONG, |status| status.early == 5);
        assert!(is_held && status.safe == 0, "{status:?}");
        drop(somebody);
        until("all is settled", || sim.left() == 0);
        assert_eq!(texts(&*store), ["0", "1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!((sim.dead().len(), inbox.status().dead), (0, 0));
    }
}

#[test]
fn what_comes_when_its_lane_has_begun_behind_it_is_buried_and_not_lost() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    put_lane(&sim, "lane", 0..8);
    let somebody = Somebody::takes(&sim, &alive, 3);
    let intake = IntoStore::new("in", store.clone()).unwrap();
    let inbox = Inbox::builder("in", sim.listen(&alive), intake);
    let inbox = inbox.begin_after(Duration::from_millis(10)).start().unwrap();
    let (status, has_begun) = inbox.wait_until(LONG, |status| status.safe == 5);
    assert!(has_begun, "{status:?}");
    drop(somebody);
    until("all is settled", || sim.left() == 0);
    assert_eq!(texts(&*store), ["3", "4", "5", "6", "7"]);
    let mut dead: Vec<String> = sim.dead().into_iter().map(|(_, reason)| reason).collect();
    dead.sort();
    assert_eq!(dead.len(), 3, "{dead:?}");
    for (sequence, reason) in dead.iter().enumerate() {
        assert!(reason.starts_with(&format!("event {sequence} of lane `lane` came")), "{reason}");
    }
    let status = inbox.status();
    assert_eq!((status.dead, status.duplicates, status.gaps), (3, 0, 0));
    // What it has had is a duplicate all the same.
    put_lane(&sim, "lane", [3, 8]);
    until("they are settled", || sim.left() == 0);
    assert_eq!((texts(&*store).len(), sim.dead().len(), inbox.status().duplicates), (6, 3, 1));
}

#[test]
fn what_cannot_be_read_or_stored_is_buried_with_the_reason_and_the_rest_goes_on() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    let unreadable = Unreadable {
        problem: "header `slipring-time` is \"noon\"".into(),
        topic: "number".into(),
        payload: b"x".to_vec(),
    };
    sim.put(Err(unreadable.clone()));
    sim.put(Ok(parcel("lane", 0, None)));
    let mut odd = parcel("lane", 1, 0);
    odd.topic = "a..b".into();
    sim.put(Ok(odd.clone()));
    sim.put(Ok(parcel("lane", 2, 1)));
    let inbox = into_store(&sim, &alive, &store);
    until("all is settled", || sim.left() == 0);
    assert_eq!(texts(&*store), ["0", "2"]);
    let dead = sim.dead();
    assert_eq!(
        (dead.len(), &dead[0].0, &*dead[0].1),
        (2, &Err(unreadable.clone()), &*unreadable.problem)
    );
    assert!(dead[1].1.contains("empty word"), "{}", dead[1].1);
    assert_eq!((inbox.status().dead, inbox.status().safe), (2, 2));
    // That it was refused is known in the next run: what comes behind it is not early.
    drop(inbox);
    sim.put(Ok(odd));
    sim.put(Ok(parcel("lane", 3, 2)));
    let _inbox = into_store(&sim, &alive, &store);
    until("all is settled", || sim.left() == 0);
    assert_eq!(texts(&*store), ["0", "2", "3"]);
    // And it is no duplicate of something that is there: the broker may not have been told.
    let dead = sim.dead();
    assert_eq!((dead.len(), &dead[2]), (3, &dead[1]));
}

#[test]
fn what_other_programs_send_is_taken_or_refused() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    let mut other = Parcel::new("order.created", "{}");
    other.content_type = "application/json".into();
    sim.put(Ok(other.clone()));
    let inbox = into_store(&sim, &alive, &store);
    until("it is taken", || sim.left() == 0);
    let mut notes = Vec::new();
    store
        .scan(0, &mut |record| {
            let all = record.metadata().unwrap();
            notes.extend(
                [ORIGIN, ORIGIN_SEQUENCE, "content-type"]
                    .map(|name| all.get(name).map(str::to_owned)),
            );
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(notes, [Some("in".into()), None, Some("application/json".into())]);
    drop(inbox);

    sim.put(Ok(other));
    let intake = IntoStore::new("in", store.clone()).unwrap();
    let inbox = Inbox::builder("in", sim.listen(&alive), intake);
    let _inbox = inbox.when_unstamped(WhenUnstamped::Refuse).start().unwrap();
    until("it is settled", || sim.left() == 0);
    assert_eq!((texts(&*store).len(), sim.dead().len()), (1, 1));
}

#[test]
fn several_inboxes_share_a_queue_and_the_store_has_each_event_once() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    for sequence in 0..200 {
        let parcel = parcel("lane", sequence, sequence.checked_sub(1));
        sim.put(Ok(parcel.clone()));
        if sequence % 3 == 0 {
            sim.put(Ok(parcel));
        }
    }
    let start = |_| {
        let intake = IntoStore::remember_ids("in", store.clone(), 10_000).unwrap();
        let inbox = Inbox::builder("in", sim.listen(&alive), intake);
        inbox.window(7).unordered().start().unwrap()
    };
    let inboxes = [0, 1, 2].map(start);
    until("all is settled", || sim.left() == 0);
    let mut numbers: Vec<u64> = texts(&*store).iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    assert!(inboxes.iter().filter(|inbox| inbox.status().safe > 0).count() > 1);
}

#[test]
fn an_intake_that_counts_on_order_does_not_start_without() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    let builder = || {
        let intake = IntoStore::new("in", store.clone()).unwrap();
        Inbox::builder("in", sim.listen(&alive), intake)
    };
    for refused in [builder().unordered().start(), builder().at_most_once().start()] {
        assert!(matches!(refused, Err(StartError::NeedsOrder { .. })), "{refused:?}");
    }
    for name in ["", "a/b"] {
        let intake = IntoStore::new("in", store.clone()).unwrap();
        let refused = Inbox::builder(name, sim.listen(&alive), intake).start();
        assert!(matches!(refused, Err(StartError::Name(_))), "{refused:?}");
    }
}

#[test]
fn at_most_once_acknowledges_before_the_intake_has_it() {
    let (sim, alive) = sim();
    let (gate, intake) = Gate::new();
    put_lane(&sim, "lane", [0, 2, 1]);
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).at_most_once().start().unwrap();
    until("all is acknowledged", || sim.left() == 0 && sim.settled() == 3);
    assert_eq!(inbox.status().safe, 0);
    gate.lock().how = How::Open;
    until("all is there", || inbox.status().safe == 3);
    assert_eq!(gate.lock().taken, ["0", "2", "1"]);
}

#[test]
fn at_most_once_is_that_also_when_acknowledging_fails() {
    let (sim, alive) = sim();
    let (gate, intake) = Gate::new();
    gate.lock().how = How::Open;
    sim.set_faults(Faults { lost: 100, ..Faults::default() });
    put_lane(&sim, "lane", 0..500);
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).at_most_once();
    let inbox = inbox.pauses(short()).start().unwrap();
    until("all is acknowledged", || sim.left() == 0 && sim.settled() == 500);
    assert!(inbox.status().links > 1);
    let report = inbox.stop(LONG);
    assert!(report.has_ended && report.halted.is_none(), "{report:?}");
    let taken = &gate.lock().taken;
    let distinct: BTreeSet<&String> = taken.iter().collect();
    assert_eq!(distinct.len(), taken.len(), "none comes twice");
}

/// How many an inbox has in hand at most, while its intake takes nothing.
fn most_in_hand(inbox: &InboxHandle, window: usize) -> usize {
    inbox.wait_until(LONG, |status| status.in_hand >= window);
    let wait = Duration::from_millis(200);
    inbox.wait_until(wait, |status| status.in_hand > window).0.in_hand
}

#[test]
fn an_intake_that_takes_nothing_is_not_given_more_than_the_window() {
    let (sim, alive) = sim();
    let (_gate, intake) = Gate::new();
    put_lane(&sim, "lane", 0..1_000);
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).at_most_once();
    let inbox = inbox.pauses(short()).window(20).start().unwrap();
    assert_eq!(most_in_hand(&inbox, 20), 20);

    // Over another link they come again, and no order tells that they are the same.
    let (sim, alive) = (Sim::new(3), alive);
    let (_gate, intake) = Gate::new();
    put_lane(&sim, "lane", 0..15);
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).unordered();
    let inbox = inbox.pauses(short()).window(20).start().unwrap();
    inbox.wait_until(LONG, |status| status.in_hand == 15);
    sim.set_down(true);
    until("the link is lost", || sim.parcels().len() == 15);
    sim.set_down(false);
    assert_eq!(most_in_hand(&inbox, 20), 20);
}

/// An intake that is failing until it is opened, or does something odd.
struct Gate(Arc<Mutex<Door>>);

#[derive(Default)]
struct Door {
    how: How,
    taken: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum How {
    #[default]
    Shut,
    Open,
    Over,
    Panics,
    SaysTooMuch,
}

impl Gate {
    fn new() -> (Arc<Mutex<Door>>, Self) {
        let door = Arc::<Mutex<Door>>::default();
        (door.clone(), Self(door))
    }
}

impl Intake for Gate {
    fn marks(&mut self) -> Result<Vec<Mark>, IntakeError> {
        if self.0.lock().how == How::Over {
            Err(IntakeError::over("no marks"))
        } else {
            Ok(Vec::new())
        }
    }

    fn take(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        let mut door = self.0.lock();
        match door.how {
            How::Panics => panic!("as it is told"),
            How::Over => return Err(IntakeError::over("it is over")),
            How::Shut => return Err(IntakeError::failing("the door is shut")),
            How::Open | How::SaysTooMuch => {}
        }
        for parcel in parcels.drain(..) {
            door.taken.push(String::from_utf8(parcel.payload).unwrap());
            verdicts.push(Verdict::Safe);
            if door.how == How::SaysTooMuch {
                verdicts.push(Verdict::Safe);
            }
        }
        Ok(())
    }
}

#[test]
fn an_intake_that_fails_for_a_while_holds_and_goes_on() {
    let (sim, alive) = sim();
    let (gate, intake) = Gate::new();
    put_lane(&sim, "lane", 0..50);
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).pauses(short()).window(20);
    let inbox = inbox.start().unwrap();
    let (status, is_holding) =
        inbox.wait_until(LONG, |status| matches!(status.state, InboxState::Holding { .. }));
    assert!(is_holding, "{status:?}");
    assert_eq!((sim.settled(), status.last_error.as_deref()), (0, Some("the door is shut")));
    gate.lock().how = How::Open;
    until("all is there", || sim.left() == 0);
    let (status, _) = inbox.wait_until(LONG, |status| status.safe == 50);
    assert!(matches!(status.state, InboxState::Receiving), "{status:?}");
    let numbers: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(gate.lock().taken, numbers);
}

#[test]
fn an_intake_that_ends_or_panics_halts_it_with_the_reason_and_nothing_is_acknowledged() {
    let hows = [
        (How::Over, "it is over"),
        (How::Panics, "as it is told"),
        (How::SaysTooMuch, "more than it has taken"),
    ];
    for (how, why) in hows {
        let (sim, alive) = sim();
        let (gate, intake) = Gate::new();
        let inbox = Inbox::builder("in", sim.listen(&alive), intake).start().unwrap();
        gate.lock().how = how;
        put_lane(&sim, "lane", 0..3);
        let (status, _) = inbox.wait_until(LONG, |_| false);
        let InboxState::Halted(halt) = &status.state else { panic!("{why}: {status:?}") };
        assert!(halt.to_string().contains(why), "{halt}");
        let report = inbox.stop(LONG);
        assert!(report.has_ended && report.halted.is_some(), "{why}: {report:?}");
        assert_eq!((sim.settled(), sim.left()), (0, 3), "{why}");
    }
    let (gate, intake) = Gate::new();
    gate.lock().how = How::Over;
    let (sim, alive) = sim();
    let refused = Inbox::builder("in", sim.listen(&alive), intake).start();
    assert!(matches!(refused, Err(StartError::Intake(IntakeError::Over(_)))), "{refused:?}");
}

#[test]
fn it_stops_in_time_when_the_intake_holds_and_what_it_had_comes_again() {
    let (sim, alive) = sim();
    let (gate, intake) = Gate::new();
    put_lane(&sim, "lane", 0..5);
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).start().unwrap();
    inbox.wait_until(LONG, |status| matches!(status.state, InboxState::Holding { .. }));
    let report = inbox.stop(Duration::from_millis(20));
    assert!(report.has_ended && report.status.in_hand > 0, "{report:?}");
    assert_eq!((sim.left(), gate.lock().taken.len()), (5, 0));
}

#[test]
fn a_commit_that_fails_is_tried_again_and_one_that_was_taken_is_known() {
    for was_taken in [false, true] {
        let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
        let failing = Failing::of(&store, was_taken);
        let intake = IntoStore::new("in", failing.clone()).unwrap();
        let inbox = Inbox::builder("in", sim.listen(&alive), intake).pauses(short());
        let inbox = inbox.start().unwrap();
        for round in 0..10 {
            failing.fail_next();
            put_lane(&sim, "lane", round * 10..(round + 1) * 10);
            until("it is settled", || sim.left() == 0);
        }
        let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(texts(&*store), numbers, "taken: {was_taken}");
        assert!(failing.failed() >= 10);
        assert!(inbox.stop(LONG).halted.is_none());
    }
}

#[test]
fn what_is_much_is_stored_in_parts() {
    let store = Arc::new(Memory::new());
    let mut intake = IntoStore::new("in", store.clone()).unwrap();
    let large = |sequence: u64| {
        let mut parcel = parcel("lane", sequence, sequence.checked_sub(1));
        parcel.payload = vec![sequence as u8; 6 << 20];
        parcel
    };
    let mut parcels: VecDeque<_> = (0..5).map(large).collect();
    let (mut verdicts, mut parts) = (Vec::new(), Vec::new());
    while !parcels.is_empty() {
        intake.take(&mut parcels, &mut verdicts).unwrap();
        let known = IntoStore::new("in", store.clone()).unwrap().marks().unwrap();
        parts.push((store.bounds().unwrap().durable, known[0].sequence));
    }
    assert_eq!(parts, [(2, 1), (4, 3), (5, 4)]);
    assert_eq!(verdicts, vec![Verdict::Safe; 5]);
}

#[test]
fn two_inboxes_of_one_name_do_not_both_write() {
    let ((sim, alive), store) = (sim(), Arc::new(Memory::new()));
    let (one, other) = (into_store(&sim, &alive, &store), into_store(&sim, &alive, &store));
    let mut next = 0;
    let has_halted = |inbox: &InboxHandle| matches!(inbox.status().state, InboxState::Halted(_));
    until("one is told", || {
        put_lane(&sim, "lane", [next]);
        next += 1;
        has_halted(&one) || has_halted(&other)
    });
    let halted = if has_halted(&one) { one.stop(LONG) } else { other.stop(LONG) };
    let why = halted.halted.unwrap().to_string();
    assert!(why.contains("somebody else") || why.contains("has not come"), "{why}");
    let sequences: Vec<u64> =
        all(&*store).into_iter().map(|(_, origin, _)| origin.unwrap().1).collect();
    let distinct: BTreeSet<u64> = sequences.iter().copied().collect();
    assert_eq!(distinct.len(), sequences.len(), "none is there twice: {sequences:?}");
}
