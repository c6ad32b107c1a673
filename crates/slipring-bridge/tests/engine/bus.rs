//! From a broker onto a bus, and two buses that are one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use parking_lot::Mutex;
use slipring_bridge::{
    Inbox, InboxHandle, InboxState, IntoBus, ORIGIN, Outbox, OutboxHandle, Parcel, Renames, Stamp,
};
use slipring_events::{AnyEvent, Bus, Context, Draft, EventId, Pattern, Time};
use slipring_store::{BusJournal, Checkpoint, Codec, CodecError, Memory, Record};

use crate::{
    sim::{Alive, Faults, Sim},
    world::{Failing, LONG, Seen, all, short, until},
};

/// Events of the tests are texts.
#[derive(Clone, Copy)]
struct Text;

impl Codec<AnyEvent> for Text {
    fn encode(&self, payload: &AnyEvent, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        let text: &String = payload.get().ok_or_else(|| CodecError::unwritable("no text"))?;
        bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn decode(&self, record: &Record<'_>) -> Result<AnyEvent, CodecError> {
        let text = String::from_utf8(record.payload.to_vec());
        let text = text.map_err(|error| CodecError::unreadable(record.topic, error))?;
        assert!(text != "panic", "as it is told");
        Ok(AnyEvent::named("text", text))
    }
}

fn event(text: &str) -> AnyEvent {
    AnyEvent::named("text", text.to_owned())
}

fn parcel(sequence: u64, payload: &[u8]) -> Parcel {
    let mut parcel = Parcel::new(format!("text.{sequence}"), payload);
    let previous = sequence.checked_sub(1);
    parcel.stamp = Some(Stamp { lane: "shop/out".into(), sequence, previous });
    parcel.id = Some(EventId::random());
    parcel.time = Time::from_nanos(1_000 + sequence);
    (parcel.correlation, parcel.causation) = (parcel.id, Some(EventId::random()));
    parcel.metadata.insert("tenant", "nord");
    parcel
}

type Texts = Arc<Mutex<Vec<String>>>;

/// A handler that notes what it sees.
fn noting(seen: &Texts) -> impl FnMut(&String, &mut Context<'_, AnyEvent>) + Send + 'static {
    let seen = seen.clone();
    move |text, _| seen.lock().push(text.clone())
}

#[test]
fn what_comes_in_is_published_with_all_that_is_said_of_it() {
    let (sim, alive) = (Sim::new(8), Alive::default());
    let bus = Bus::<AnyEvent>::start(64).unwrap();
    let (seen, wanted) = (Arc::new(Mutex::new(Vec::new())), parcel(0, b"hello"));
    let _handler = bus
        .handler("all")
        .topic("in.#")
        .run({
            let seen = seen.clone();
            move |event, context| {
                let text = event.get::<String>().unwrap().clone();
                let notes = context.metadata().cloned().unwrap_or_default();
                let story = (context.correlation(), context.causation());
                seen.lock().push((
                    text,
                    context.topic().to_string(),
                    context.id(),
                    context.time(),
                    story,
                    notes,
                ));
            }
        })
        .unwrap();
    sim.put(Ok(wanted.clone()));
    let intake = IntoBus::new("in", bus.publisher(), Text).rename(Renames::none().prefix("", "in"));
    let _inbox = Inbox::builder("in", sim.listen(&alive), intake).start().unwrap();
    until("it is acknowledged", || sim.left() == 0);
    let (text, topic, id, time, story, notes) = seen.lock()[0].clone();
    assert_eq!((&*text, &*topic, Some(id), time), ("hello", "in.text.0", wanted.id, wanted.time));
    assert_eq!(story, (wanted.correlation.unwrap(), wanted.causation));
    assert_eq!((notes.get("tenant"), notes.get(ORIGIN)), (Some("nord"), Some("shop/out")));
}

#[test]
fn nothing_is_acknowledged_before_all_handlers_are_done_with_it() {
    let (sim, alive) = (Sim::new(9), Alive::default());
    let bus = Bus::<AnyEvent>::start(64).unwrap();
    let (seen, is_open) = (Arc::default(), Arc::<AtomicBool>::default());
    let _quick = bus.handler("quick").topic("#").on::<String>().run(noting(&seen)).unwrap();
    let open = is_open.clone();
    let slow = bus.handler("slow").topic("#").on::<String>().run(move |_, _| {
        until("it is let go", || open.load(Ordering::SeqCst));
    });
    let _slow = slow.unwrap();
    for sequence in 0..5 {
        sim.put(Ok(parcel(sequence, b"x")));
    }
    let intake = IntoBus::new("in", bus.publisher(), Text);
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).start().unwrap();
    until("one handler has them all", || seen.lock().len() == 5);
    assert_eq!((sim.left(), inbox.status().safe), (5, 0));
    is_open.store(true, Ordering::SeqCst);
    until("all are acknowledged", || sim.left() == 0);
}

#[test]
fn what_a_handler_fails_on_or_no_codec_reads_is_buried_and_the_rest_goes_on() {
    for letters_are_enough in [false, true] {
        let (sim, alive) = (Sim::new(10), Alive::default());
        let bus = Bus::<AnyEvent>::start(64).unwrap();
        let _picky = bus
            .handler("picky")
            .topic("#")
            .on::<String>()
            .run(|text, _| if text == "bad" { Err("it is bad") } else { Ok(()) });
        for (sequence, text) in (0..).zip([&b"good"[..], b"bad", b"\xff", b"panic", b"good"]) {
            sim.put(Ok(parcel(sequence, text)));
        }
        let mut intake = IntoBus::new("in", bus.publisher(), Text);
        if letters_are_enough {
            intake = intake.letters_are_enough();
        }
        let inbox = Inbox::builder("in", sim.listen(&alive), intake).start().unwrap();
        until("all is settled", || sim.left() == 0);
        let why = |(_, reason): &(_, String)| reason.clone();
        let whys: Vec<_> = sim.dead().iter().map(why).collect();
        let expected = ["handler `picky`: it is bad", "utf-8", "the codec has panicked"];
        let expected = &expected[usize::from(letters_are_enough)..];
        assert_eq!(whys.len(), expected.len(), "{whys:?}");
        for (why, part) in whys.iter().zip(expected) {
            assert!(why.contains(part), "{why}");
        }
        assert_eq!(bus.dead_letters().len(), 1);
        assert!(inbox.stop(LONG).halted.is_none());
    }
}

#[test]
fn a_bus_that_is_shut_down_halts_the_inbox_and_what_it_left_comes_again() {
    let (sim, alive) = (Sim::new(11), Alive::default());
    let bus = Bus::<AnyEvent>::start(64).unwrap();
    let (begun, is_open) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let (count, open) = (begun.clone(), is_open.clone());
    let slow = bus.handler("slow").topic("#").on::<String>().run(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        until("it is let go", || open.load(Ordering::SeqCst));
    });
    let _slow = slow.unwrap();
    for sequence in 0..5 {
        sim.put(Ok(parcel(sequence, b"x")));
    }
    let intake = IntoBus::new("in", bus.publisher(), Text);
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).start().unwrap();
    until("the first is in hand", || begun.load(Ordering::SeqCst) == 1);
    until("all are in hand", || inbox.status().in_hand == 5);
    let shutdown = std::thread::spawn(move || bus.shutdown(Duration::ZERO));
    std::thread::sleep(Duration::from_millis(20));
    is_open.store(true, Ordering::SeqCst);
    assert!(shutdown.join().unwrap().is_err());
    let (status, _) = inbox.wait_until(LONG, |_| false);
    assert!(matches!(status.state, InboxState::Halted(_)), "{status:?}");
    drop(inbox);
    let handled = begun.load(Ordering::SeqCst) as usize;
    assert!(sim.left() + handled >= 5, "{} left, {handled} handled", sim.left());
}

#[test]
fn how_far_the_lanes_are_is_kept_in_a_store() {
    let (sim, alive) = (Sim::new(12), Alive::default());
    let (store, seen) = (Arc::new(Memory::new()), Arc::default());
    for run in 0..3 {
        let bus = Bus::<AnyEvent>::start(64).unwrap();
        let _handler = bus.handler("all").topic("#").on::<String>().run(noting(&seen)).unwrap();
        // What was there before comes again, and more.
        for sequence in 0..=run * 2 {
            sim.put(Ok(parcel(sequence, sequence.to_string().as_bytes())));
        }
        let intake = IntoBus::kept("in", bus.publisher(), Text, store.clone()).unwrap();
        let inbox = Inbox::builder("in", sim.listen(&alive), intake).start().unwrap();
        until("all is settled", || sim.left() == 0);
        assert!(inbox.stop(LONG).halted.is_none());
        bus.shutdown(LONG).unwrap();
    }
    assert_eq!(*seen.lock(), ["0", "1", "2", "3", "4"]);
}

/// A bus with a journal, and an inbox that fills it, in one process.
struct Process {
    alive: Alive,
    bus: Bus<AnyEvent>,
    inbox: InboxHandle,
}

fn start(store: &Arc<Memory>, sim: &Sim) -> Process {
    let alive = Alive::default();
    let journal = BusJournal::open("bus", Seen::of(store, &alive), Text).unwrap();
    let handle = journal.handle();
    let bus = Bus::<AnyEvent>::builder(64).journal(journal).start().unwrap();
    let intake = IntoBus::journalled("in", bus.publisher(), Text, handle).unwrap();
    let inbox = Inbox::builder("in", sim.listen(&alive), intake);
    let inbox = inbox.pauses(short()).begin_after(LONG).window(64).start().unwrap();
    Process { alive, bus, inbox }
}

#[test]
fn the_journal_of_a_bus_has_each_event_once_however_it_ends() {
    let first = fastrand::u64(..);
    println!("seeds from {first}");
    for seed in (0..30).map(|seed| first.wrapping_add(seed)) {
        let mut rng = Rng::with_seed(seed);
        let (sim, store) = (Sim::new(seed), Arc::new(Memory::new()));
        sim.set_faults(Faults { lost: 10, slow: 100, refused: 100, ..Faults::default() });
        let (mut next, mut refused, mut process) = (0, 0, Some(start(&store, &sim)));
        for _ in 0..rng.usize(5..25) {
            for _ in 0..rng.usize(..15) {
                // One in ten cannot be read: that is to be known in the next run as well.
                let is_odd = rng.u8(..10) == 0;
                refused += usize::from(is_odd);
                sim.put(Ok(parcel(next, if is_odd { b"\xff" } else { b"x" })));
                next += 1;
            }
            let of = process.take().unwrap();
            match rng.u8(..4) {
                0 => {
                    of.alive.kill();
                    drop(of.bus);
                    assert!(of.inbox.stop(Duration::ZERO).has_ended);
                    process = Some(start(&store, &sim));
                }
                1 => {
                    let report = of.inbox.stop(LONG);
                    assert!(report.halted.is_none(), "seed {seed}: {report:?}");
                    of.bus.shutdown(LONG).unwrap();
                    process = Some(start(&store, &sim));
                }
                _ => {
                    std::thread::sleep(Duration::from_micros(rng.u64(..1_500)));
                    process = Some(of);
                }
            }
        }
        sim.set_faults(Faults::default());
        let of = process.unwrap();
        until(&format!("seed {seed}: all is settled; {:?}", of.inbox.status()), || sim.left() == 0);
        assert!(of.inbox.stop(LONG).halted.is_none());
        of.bus.shutdown(LONG).unwrap();
        let stored: Vec<u64> =
            all(&*store).into_iter().map(|(_, origin, _)| origin.unwrap().1).collect();
        assert!(stored.is_sorted_by(|one, other| one < other), "seed {seed}: {stored:?}");
        assert_eq!(stored.len() + refused, next as usize, "seed {seed}");
        assert!(sim.dead().len() <= refused, "seed {seed}");
    }
}

#[test]
fn an_inbox_that_stops_waits_for_the_journal_so_that_the_next_one_knows() {
    let (sim, alive, store) = (Sim::new(15), Alive::default(), Arc::new(Memory::new()));
    let gate = Failing::of(&store, true);
    let journal = BusJournal::open("bus", gate.clone(), Text).unwrap();
    let handle = journal.handle();
    let bus = Bus::<AnyEvent>::builder(64).journal(journal).start().unwrap();
    let start = || {
        let publisher = bus.publisher();
        let intake = IntoBus::journalled("in", publisher, Text, handle.clone()).unwrap();
        Inbox::builder("in", sim.listen(&alive), intake).begin_after(LONG).start().unwrap()
    };
    let inbox = start();
    gate.shut(true);
    for sequence in 0..5 {
        sim.put(Ok(parcel(sequence, b"x")));
    }
    until("all are on the ring", || inbox.status().in_hand == 5);
    let opener = {
        let gate = gate.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            gate.shut(false);
        })
    };
    let report = inbox.stop(Duration::from_millis(5));
    assert!(report.has_ended && sim.left() == 5, "{report:?}");
    let _inbox = start();
    until("they are known", || sim.left() == 0);
    assert_eq!(all(&*store).len(), 5);
    opener.join().unwrap();
}

#[test]
fn retention_does_not_wait_for_an_inbox_to_which_nothing_comes() {
    let (sim, alive, store) = (Sim::new(16), Alive::default(), Arc::new(Memory::new()));
    let journal = BusJournal::open("bus", store.clone(), Text).unwrap();
    let handle = journal.handle();
    let bus = Bus::<AnyEvent>::builder(64).journal(journal).start().unwrap();
    let intake = IntoBus::journalled("in", bus.publisher(), Text, handle).unwrap();
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).start().unwrap();
    sim.put(Ok(parcel(0, b"x")));
    until("it is there", || sim.left() == 0);
    let mut publisher = bus.publisher();
    for number in 0..100 {
        publisher.send(Draft::new(event(&number.to_string())).topic("own")).unwrap();
    }
    let place = Checkpoint::named("inbox:in");
    until("it has passed them", || place.get(&*store).unwrap() == Some(101));
    assert!(inbox.stop(LONG).halted.is_none());
    drop(bus);
    // What it had is known all the same.
    let journal = BusJournal::open("bus", store.clone(), Text).unwrap();
    let handle = journal.handle();
    let bus = Bus::<AnyEvent>::builder(64).journal(journal).start().unwrap();
    let intake = IntoBus::journalled("in", bus.publisher(), Text, handle).unwrap();
    let inbox = Inbox::builder("in", sim.listen(&alive), intake).start().unwrap();
    sim.put(Ok(parcel(0, b"x")));
    sim.put(Ok(parcel(1, b"y")));
    until("they are settled", || sim.left() == 0);
    assert_eq!((inbox.status().safe, inbox.status().duplicates), (1, 1));
}

/// One side of two buses that are one.
struct Side {
    bus: Bus<AnyEvent>,
    store: Arc<Memory>,
    _outbox: OutboxHandle,
    _inbox: InboxHandle,
}

/// Sends what begins with its name over `out`, and takes what comes over `back`.
fn side(name: &str, out: &Sim, back: &Sim) -> Side {
    let (store, alive) = (Arc::new(Memory::new()), Alive::default());
    let journal = BusJournal::open(name, store.clone(), Text).unwrap();
    let handle = journal.handle();
    let bus = Bus::<AnyEvent>::builder(256).journal(journal).start().unwrap();
    let outbox = Outbox::builder("out", store.clone(), out.connect(&alive)).pauses(short());
    let outbox = outbox.rename(Renames::none().prefix("", name)).start().unwrap();
    let intake = IntoBus::journalled("in", bus.publisher(), Text, handle).unwrap();
    let inbox = Inbox::builder("in", back.listen(&alive), intake).pauses(short());
    let inbox = inbox.start().unwrap();
    Side { bus, store, _outbox: outbox, _inbox: inbox }
}

#[test]
fn two_buses_are_one_and_nothing_goes_in_circles() {
    let (there, back) = (Sim::new(13), Sim::new(14));
    let faults = Faults { lost: 10, swallowed: 10, twice: 50, ..Faults::default() };
    there.set_faults(faults);
    back.set_faults(faults);
    let (shop, store) = (side("shop", &there, &back), side("store", &back, &there));
    // Orders of the shop are packed in the store, and the shop hears of it.
    let _packer = store
        .bus
        .handler("pack")
        .topic("shop.order.created")
        .on::<String>()
        .run(|order, context| {
            let parcel = Draft::new(event(&format!("parcel of {order}"))).topic("parcel.packed");
            context.send(parcel)
        })
        .unwrap();
    let packed = Arc::default();
    let hears = shop.bus.handler("hear").topic("store.parcel.packed").on::<String>();
    let _hears = hears.run(noting(&packed)).unwrap();
    let mut publisher = shop.bus.publisher();
    for number in 0..100 {
        let order = Draft::new(event(&format!("order {number}"))).topic("order.created");
        publisher.send(order).unwrap();
    }
    until("all parcels are packed", || packed.lock().len() >= 100);
    let wanted: Vec<String> = (0..100).map(|number| format!("parcel of order {number}")).collect();
    assert_eq!(*packed.lock(), wanted);
    until("nothing is under way", || there.left() == 0 && back.left() == 0);
    let count = |side: &Side, pattern: &str| {
        let pattern = Pattern::new(pattern).unwrap();
        all(&*side.store).iter().filter(|(_, _, kept)| pattern.matches(&kept.topic)).count()
    };
    for (side, own, other) in [
        (&shop, "order.created", "store.parcel.packed"),
        (&store, "parcel.packed", "shop.order.created"),
    ] {
        assert_eq!((count(side, own), count(side, other), count(side, "#")), (100, 100, 200));
    }
    // A story goes on over both.
    let stories = |side: &Side, topic: &str| {
        let of = all(&*side.store).into_iter().filter(|(_, _, kept)| kept.topic == topic);
        of.map(|(_, _, kept)| (kept.id, kept.causation)).collect::<Vec<_>>()
    };
    let orders = stories(&shop, "order.created");
    let parcels = stories(&shop, "store.parcel.packed");
    for ((order, _), (_, cause)) in orders.iter().zip(&parcels) {
        assert_eq!(Some(*order), *cause);
    }
}
