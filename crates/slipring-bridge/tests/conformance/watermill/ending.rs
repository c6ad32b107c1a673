//! What an inbox holds, and how it lets go of it.

use std::{
    collections::VecDeque,
    fs,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use slipring_bridge::{
    Inbox, InboxHandle, InboxState, Intake, IntakeError, IntoStore, Listen, Mark, Parcel, Verdict,
};
use slipring_store::Memory;

use super::store;
use crate::{
    harness::{
        LONG, WINDOW, arrive, count, into, pauses, publish, receive, same, send, sent, stop, until,
    },
    worlds::World,
};

/// An intake that takes one by one, and nothing before it is let: it notes what is in front whenever it is offered
/// something, and what the store has then.
struct Doorman {
    inner: IntoStore,
    store: Arc<Memory>,
    door: Arc<Door>,
}

#[derive(Default)]
struct Door {
    is_open: AtomicBool,
    offers: Mutex<Vec<(String, u64)>>,
}

impl Intake for Doorman {
    fn marks(&mut self) -> Result<Vec<Mark>, IntakeError> {
        self.inner.marks()
    }

    fn needs_order(&self) -> bool {
        true
    }

    fn take(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        while let Some(first) = parcels.pop_front() {
            let payload = String::from_utf8(first.payload.clone()).unwrap();
            self.door.offers.lock().push((payload, count(&self.store)));
            if !self.door.is_open.load(Ordering::SeqCst) {
                parcels.push_front(first);
                return Err(IntakeError::failing("not yet"));
            }
            self.inner.take(&mut VecDeque::from([first]), verdicts)?;
        }
        Ok(())
    }
}

pub fn p05_nothing_comes_before_what_is_in_front_is_accepted<W: World>(world: &mut W) {
    // The broker gives both of them, or holds the second back itself.
    for (place, window, in_hand) in [("p05many", WINDOW, 2), ("p05one", 1, 1)] {
        let (sender, receiver) = (store(), store());
        let door = Arc::<Door>::default();
        let intake =
            Doorman { inner: into(&receiver), store: receiver.clone(), door: door.clone() };
        let inbox = Inbox::builder("in", world.input(place, "all"), intake).window(window);
        let inbox = inbox.pauses(pauses()).start().unwrap();
        crate::harness::listens([&inbox]);
        let outbox = send("out", &sender, world.out(place, true));
        publish(&sender, "p05", 0..2);
        sent(&outbox, &sender);
        let (status, has_come) = inbox.wait_until(LONG, |status| status.received == in_hand);
        assert!(has_come, "{status:?}");
        let offers = || door.offers.lock().len();
        let before = offers();
        until("it is offered again and again", || offers() > before + 20);
        assert_eq!((inbox.status().received, inbox.status().safe), (in_hand, 0));
        assert_eq!(count(&receiver), 0);

        door.is_open.store(true, Ordering::SeqCst);
        arrive(&receiver, 2, &inbox);
        // If anything more came of these two, it would come before what is sent now.
        publish(&sender, "p05", 2..3);
        arrive(&receiver, 3, &inbox);
        let status = stop(inbox);
        assert_eq!((status.received, status.safe, status.duplicates), (3, 3, 0));
        let offers = door.offers.lock();
        let [refused @ .., first, second, third] = &offers[..] else { panic!("{offers:?}") };
        let text = |number| format!("payload {number} of p05");
        assert!(refused.iter().all(|offer| *offer == (text(0), 0)), "{refused:?}");
        assert_eq!([first, second, third], [&(text(0), 0), &(text(1), 1), &(text(2), 2)]);
        same(&sender, &receiver, 1, |_| true);
    }
}

/// What an intake leaves behind that notes what becomes of it.
#[derive(Default)]
struct Traces {
    /// Of each parcel that it was given.
    parcels: Mutex<Vec<Weak<str>>>,
    /// How often it was told that it ends, and how often it was asked for something behind that.
    ends: AtomicU64,
    asked_too_late: AtomicU64,
    is_gone: AtomicBool,
}

impl Traces {
    /// How many parcels something of is held by anybody.
    fn held(&self) -> usize {
        self.parcels.lock().iter().filter(|parcel| parcel.strong_count() > 0).count()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// It throws away what it is given, and says that it is safe.
    Takes,
    /// It keeps it, and says nothing.
    Keeps,
    /// It takes nothing, for now.
    Refuses,
    /// It keeps the first, and then takes nothing ever.
    IsOver,
}

struct Traced {
    how: How,
    kept: Vec<Parcel>,
    traces: Arc<Traces>,
}

impl Traced {
    fn new(how: How) -> (Self, Arc<Traces>) {
        let traces = Arc::<Traces>::default();
        (Self { how, kept: Vec::new(), traces: traces.clone() }, traces)
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.traces.is_gone.store(true, Ordering::SeqCst);
    }
}

impl Intake for Traced {
    fn take(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        let ends = self.traces.ends.load(Ordering::SeqCst);
        self.traces.asked_too_late.fetch_add(ends, Ordering::SeqCst);
        if self.how == How::Refuses {
            return Err(IntakeError::failing("not now"));
        }
        for parcel in parcels.drain(..) {
            // Nobody else has this text, unless he holds something of the parcel.
            let lane = &parcel.stamp.as_ref().expect("an outbox stamps what it sends").lane;
            self.traces.parcels.lock().push(Arc::downgrade(lane));
            match self.how {
                How::Takes => verdicts.push(Verdict::Safe),
                _ => self.kept.push(parcel),
            }
        }
        if self.how == How::IsOver { Err(IntakeError::over("it is over")) } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), IntakeError> {
        self.traces.ends.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// How many threads of this program are called so.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("the system tells");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|other| other.starts_with(&format!("{name} "))).count()
}

/// Starts one whose threads can be told from those of others.
fn start_traced(input: impl Listen, how: How) -> (String, InboxHandle, Arc<Traces>) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("t{}", NUMBER.fetch_add(1, Ordering::SeqCst));
    let (intake, traces) = Traced::new(how);
    let inbox = Inbox::builder(&*name, input, intake).window(WINDOW).pauses(pauses());
    let inbox = inbox.begin_after(LONG).missing_after(LONG).start().unwrap();
    (name, inbox, traces)
}

pub fn p12_what_an_inbox_holds_ends_with_it<W: World>(world: &mut W) {
    const EVENTS: u64 = 20;
    for (place, how) in [
        ("p12takes", How::Takes),
        ("p12keeps", How::Keeps),
        ("p12refuses", How::Refuses),
        ("p12over", How::IsOver),
    ] {
        let sender = store();
        world.announce(place, &["all"]);
        let outbox = send("out", &sender, world.out(place, true));
        publish(&sender, place, 0..EVENTS);
        sent(&outbox, &sender);
        assert!(outbox.stop(LONG).has_ended);
        until("nobody is connected", || world.connections() == 0);

        let (name, inbox, traces) = start_traced(world.input(place, "all"), how);
        let is_over = |inbox: &InboxHandle| matches!(inbox.status().state, InboxState::Halted(_));
        let is_there = || match how {
            How::Takes => inbox.status().safe == EVENTS,
            How::Keeps => traces.parcels.lock().len() == EVENTS as usize,
            How::Refuses => inbox.status().received == EVENTS,
            How::IsOver => is_over(&inbox),
        };
        until("it has them", is_there);
        match how {
            // What is acknowledged it holds no more, but the name of the lane.
            How::Takes => assert!(traces.held() <= 1, "{}", traces.held()),
            How::Keeps => assert_eq!(traces.held(), EVENTS as usize),
            // It lets go of everything, though its handle is there.
            How::Refuses => assert_eq!(traces.held(), 0),
            How::IsOver => {
                until("its threads are gone", || threads(&name) == 0);
                assert!(traces.is_gone.load(Ordering::SeqCst));
            }
        }
        if how != How::IsOver {
            assert_eq!(threads(&name), 2);
            assert!(world.connections() > 0 && !traces.is_gone.load(Ordering::SeqCst));
            let report = inbox.stop(Duration::ZERO);
            assert!(report.has_ended && report.halted.is_none(), "{report:?}");
        }
        assert!(traces.is_gone.load(Ordering::SeqCst), "{how:?}");
        assert_eq!(traces.held(), 0, "{how:?}");
        let (ends, late) = (&traces.ends, &traces.asked_too_late);
        assert_eq!((ends.load(Ordering::SeqCst), late.load(Ordering::SeqCst)), (1, 0), "{how:?}");
        until("its threads are gone", || threads(&name) == 0);
        until("its connections are gone", || world.connections() == 0);
    }
}

pub fn p13_what_is_in_hand_when_an_inbox_stops_is_for_the_next<W: World>(world: &mut W) {
    const EVENTS: u64 = 20;
    for (place, how) in [("p13keeps", How::Keeps), ("p13refuses", How::Refuses)] {
        let (sender, receiver) = (store(), store());
        world.announce(place, &["all"]);
        let outbox = send("out", &sender, world.out(place, true));
        publish(&sender, place, 0..EVENTS);
        sent(&outbox, &sender);
        // More than one before it, one behind the other.
        for _ in 0..3 {
            let (_, inbox, _) = start_traced(world.input(place, "all"), how);
            let (status, has_them) =
                inbox.wait_until(LONG, |status| status.in_hand == EVENTS as usize);
            assert!(has_them, "{status:?}");
            let report = inbox.stop(Duration::ZERO);
            assert!(report.has_ended && report.halted.is_none(), "{report:?}");
            assert_eq!((report.status.received, report.status.safe), (EVENTS, 0));
        }
        let inbox = receive(world.input(place, "all"), into(&receiver));
        arrive(&receiver, EVENTS, &inbox);
        let status = stop(inbox);
        assert_eq!((status.received, status.duplicates), (EVENTS, 0));
        same(&sender, &receiver, 1, |_| true);
    }
}
