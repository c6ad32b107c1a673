//! Whatever the broker, the links and the two programs do: every event is there once, in order, as it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use slipring_bridge::{
    Inbox, InboxHandle, IntoStore, ORIGIN, Outbox, OutboxHandle, OutboxLetters, OutboxState,
};
use slipring_events::{EventId, Metadata, Pattern, Source, Time};
use slipring_store::{Batch, Checkpoint, Durability, Entry, EventStore, Memory, Retention};

use crate::{
    sim::{Alive, Faults, POISON, Sim},
    world::{Kept, LONG, Seen, all, short, until},
};

const TOPICS: [&str; 5] = ["order.created", "order.paid", "parcel.sent", "log.line", "order"];
const LARGEST: usize = 2_000;

/// Both programs, the broker between them, and what is to be there in the end.
struct World {
    rng: Rng,
    seed: u64,
    sender: Arc<Memory>,
    receiver: Arc<Memory>,
    sim: Sim,
    partitions: u32,
    window: usize,
    patterns: Vec<&'static str>,
    outboxes: Vec<Option<(OutboxHandle, Alive)>>,
    inbox: Option<(InboxHandle, Alive)>,
    /// What was committed and is for an outbox, by position.
    wanted: BTreeMap<u64, Kept>,
    /// What is too large: it is set aside.
    too_large: BTreeMap<u64, Kept>,
    /// What the broker does not take at first: it is set aside, or is there.
    poison: BTreeMap<u64, Kept>,
    number: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let partitions = rng.u32(1..=2);
        let patterns = [vec![], vec!["order.#"], vec!["order.*", "parcel.sent"]];
        let patterns = patterns[rng.usize(..3)].clone();
        let mut world = Self {
            sim: Sim::new(rng.u64(..)),
            window: rng.usize(1..40),
            seed,
            sender: Arc::new(Memory::of(Source::named(&format!("sender {seed}")))),
            receiver: Arc::new(Memory::new()),
            partitions,
            patterns,
            outboxes: Vec::new(),
            inbox: None,
            wanted: BTreeMap::new(),
            too_large: BTreeMap::new(),
            poison: BTreeMap::new(),
            number: 0,
            rng,
        };
        for partition in 0..partitions {
            let outbox = world.start_outbox(partition);
            world.outboxes.push(Some(outbox));
        }
        world.inbox = Some(world.start_inbox());
        world.sim.set_faults(Faults {
            refused: world.rng.u32(..300),
            lost: world.rng.u32(..15),
            swallowed: world.rng.u32(..20),
            twice: world.rng.u32(..50),
            slow: world.rng.u32(..300),
        });
        world
    }

    fn start_outbox(&self, partition: u32) -> (OutboxHandle, Alive) {
        let alive = Alive::default();
        let mut connect = self.sim.connect(&alive);
        connect.largest = LARGEST;
        let mut builder = Outbox::builder("out", Seen::of(&self.sender, &alive), connect)
            .window(self.window)
            .pauses(short())
            .checkpoint(7, Duration::from_millis(1));
        if self.partitions > 1 {
            builder = builder.partition(partition, self.partitions);
        }
        for pattern in &self.patterns {
            builder = builder.topic(Pattern::new(pattern).unwrap());
        }
        (builder.start().unwrap(), alive)
    }

    fn start_inbox(&self) -> (InboxHandle, Alive) {
        let alive = Alive::default();
        let intake = IntoStore::new("in", Seen::slow(&self.receiver, &alive)).unwrap();
        let handle = Inbox::builder("in", self.sim.listen(&alive), intake)
            .window(self.window * self.partitions as usize * 2 + 8)
            .pauses(short())
            .begin_after(LONG)
            .start();
        (handle.unwrap(), alive)
    }

    fn publish(&mut self) {
        let (mut batch, mut kept) = (Batch::new(), Vec::new());
        for _ in 0..self.rng.usize(1..8) {
            let event = self.event();
            let mut entry = Entry::at(event.time, &event.topic, &event.payload).id(event.id);
            (entry.source, entry.stream) = (&event.source, event.stream.as_deref());
            (entry.correlation, entry.causation) = (event.correlation, event.causation);
            entry = entry.schema(event.schema).metadata(&event.metadata);
            batch.append(entry).unwrap();
            kept.push(event);
        }
        let durability = if self.rng.bool() { Durability::Visible } else { Durability::Synced };
        let committed = self.sender.commit(&batch, durability).unwrap();
        for (position, event) in (committed.first..).zip(kept) {
            let fits =
                |pattern: &&'static str| Pattern::new(pattern).unwrap().matches(&event.topic);
            let is_asked_for = self.patterns.is_empty() || self.patterns.iter().any(fits);
            if !is_asked_for || event.metadata.get(ORIGIN).is_some() {
                continue;
            }
            let kind = if event.payload.starts_with(POISON) {
                &mut self.poison
            } else if event.payload.len() > LARGEST {
                &mut self.too_large
            } else {
                &mut self.wanted
            };
            kind.insert(position, event);
        }
    }

    fn event(&mut self) -> Kept {
        self.number += 1;
        let rng = &mut self.rng;
        let mut payload = format!("{} of {}", self.number, self.seed).into_bytes();
        let mut metadata = Metadata::default();
        match rng.u8(..40) {
            0 | 1 => payload = [POISON, &payload].concat(),
            39 => payload.resize(LARGEST + 1, b'x'),
            2 | 3 => drop(metadata.insert(ORIGIN, "somewhere/else")),
            4..10 => drop(metadata.insert("tenant ☂", "nord")),
            _ => {}
        }
        let story = rng.bool().then(EventId::random);
        Kept {
            id: EventId::random(),
            time: Time::from_nanos(rng.u64(..1 << 60)),
            topic: TOPICS[rng.usize(..TOPICS.len())].to_owned(),
            source: if rng.bool() { String::from("shöp") } else { String::new() },
            stream: rng.bool().then(|| format!("order-{}", rng.u8(..4))),
            correlation: story,
            causation: story,
            schema: rng.u16(..3),
            metadata,
            payload,
        }
    }

    fn step(&mut self) {
        match self.rng.u8(..40) {
            0..24 => self.publish(),
            24 | 25 => drop(self.sender.sync().unwrap()),
            26 | 27 => self.crash_outbox(),
            28 | 29 => self.crash_inbox(),
            30 => {
                let outbox = self.rng.usize(..self.outboxes.len());
                let stopped = self.outboxes[outbox].take().unwrap().0.stop(LONG);
                assert!(stopped.has_ended && stopped.halted.is_none(), "{stopped:?}");
                self.outboxes[outbox] = Some(self.start_outbox(outbox as u32));
            }
            31 => {
                let stopped = self.inbox.take().unwrap().0.stop(LONG);
                assert!(stopped.has_ended && stopped.halted.is_none(), "{stopped:?}");
                self.inbox = Some(self.start_inbox());
            }
            32 => {
                self.sim.set_down(true);
                std::thread::sleep(Duration::from_micros(self.rng.u64(..1_500)));
                self.sim.set_down(false);
            }
            33 => self.sim.be_lax(),
            34 => {
                let outbox = &self.outboxes[self.rng.usize(..self.outboxes.len())];
                outbox.as_ref().unwrap().0.letters().requeue_all().unwrap();
            }
            35 => {
                // Everything may go that nobody waits for.
                let keep = Retention::everything().events(0);
                self.sender.retain(&keep, Time::from_nanos(u64::MAX)).unwrap();
            }
            _ => std::thread::sleep(Duration::from_micros(self.rng.u64(..1_000))),
        }
    }

    fn crash_outbox(&mut self) {
        let index = self.rng.usize(..self.outboxes.len());
        let (handle, alive) = self.outboxes[index].take().unwrap();
        alive.kill();
        assert!(handle.stop(Duration::ZERO).has_ended, "seed {}", self.seed);
        self.outboxes[index] = Some(self.start_outbox(index as u32));
    }

    fn crash_inbox(&mut self) {
        let (handle, alive) = self.inbox.take().unwrap();
        alive.kill();
        assert!(handle.stop(Duration::ZERO).has_ended, "seed {}", self.seed);
        self.inbox = Some(self.start_inbox());
    }

    /// All faults end, and all that is left comes.
    fn come_to_rest(&mut self) {
        let seed = self.seed;
        self.sim.set_faults(Faults::default());
        let end = self.sender.sync().unwrap();
        for (outbox, _) in self.outboxes.iter().flatten() {
            if let Err(error) = outbox.wait_for(end, LONG) {
                panic!("seed {seed}: {error}; {:?}", outbox.status());
            }
            let has_ended = matches!(outbox.state(), OutboxState::Halted(_) | OutboxState::Stopped);
            assert!(!has_ended, "seed {seed}: {outbox:?}");
        }
        let sim = self.sim.clone();
        until(&format!("seed {seed}: what was given back is out"), || self.given_back() == 0);
        until(&format!("seed {seed}: the queue is empty"), || sim.left() == 0);
    }

    /// How many letters were given back and are not confirmed, nor set aside again.
    fn given_back(&self) -> usize {
        let mut count = 0;
        for (outbox, _) in self.outboxes.iter().flatten() {
            let space = format!("outbox/{}/again", outbox.name());
            let counted = self.sender.values(&space, b"", &mut |_, _| {
                count += 1;
                ControlFlow::Continue(())
            });
            counted.unwrap();
        }
        count
    }

    fn check(&self) {
        let seed = self.seed;
        let (mut came, mut last) = (BTreeMap::new(), BTreeMap::new());
        let (mut again, mut by_id) = (BTreeSet::new(), BTreeMap::new());
        for (_, origin, kept) in all(&*self.receiver) {
            let (lane, sequence) = origin.expect("it says where it comes from");
            let before = last.insert(lane.clone(), sequence);
            assert!(before < Some(sequence), "seed {seed}: {lane}: {sequence} behind {before:?}");
            assert!(
                by_id.insert(kept.id, sequence).is_none(),
                "seed {seed}: {sequence} came twice"
            );
            if lane.ends_with("!letters") {
                again.insert(kept.payload.clone());
                assert!(kept.payload.starts_with(POISON), "seed {seed}");
                let was = self.poison.values().find(|poison| poison.id == kept.id);
                assert_eq!(was, Some(&kept), "seed {seed}: it is as it was");
            } else {
                came.insert(sequence, kept);
            }
        }
        let letters = self.letters();
        let missing: Vec<_> = self.wanted.keys().filter(|at| !came.contains_key(at)).collect();
        assert!(
            missing.is_empty(),
            "seed {seed}: {missing:?} of {} are missing",
            self.wanted.len()
        );
        // Each of the others is in one place: it came in its turn, was given back and came then, or is set aside.
        for (position, poison) in &self.poison {
            let places = [
                came.get(position) == Some(poison),
                again.contains(&poison.payload),
                letters.contains(position),
            ];
            let count = places.iter().filter(|is_there| **is_there).count();
            assert_eq!(count, 1, "seed {seed}: event {position} is at {places:?}");
        }
        assert!(self.too_large.keys().all(|at| letters.contains(at)), "seed {seed}");
        came.retain(|position, _| !self.poison.contains_key(position));
        assert!(came == self.wanted, "seed {seed}: they are as they were, and no others");
        assert!(last.len() <= self.partitions as usize * 2, "seed {seed}: {last:?}");
    }

    /// The positions of what is set aside.
    fn letters(&self) -> BTreeSet<u64> {
        let mut letters = BTreeSet::new();
        for (outbox, _) in self.outboxes.iter().flatten() {
            let by_name = OutboxLetters::named(outbox.name(), self.sender.clone());
            letters.extend(by_name.list().unwrap().iter().map(|letter| letter.position));
        }
        letters
    }

    /// Stops everything: the checkpoints say what is so.
    fn end(&mut self) {
        let seed = self.seed;
        for (outbox, _) in std::mem::take(&mut self.outboxes).into_iter().flatten() {
            let name = outbox.name().to_owned();
            let report = outbox.stop(LONG);
            assert!(report.has_ended && report.halted.is_none(), "seed {seed}: {report:?}");
            let checkpoint = Checkpoint::named(format!("outbox:{name}"));
            let end = self.sender.bounds().unwrap().end;
            assert_eq!(checkpoint.get(&*self.sender).unwrap(), Some(end), "seed {seed}");
        }
        let report = self.inbox.take().unwrap().0.stop(LONG);
        assert!(report.has_ended && report.halted.is_none(), "seed {seed}: {report:?}");
        assert_eq!(report.status.dead, 0, "seed {seed}: {report:?}");
        assert!(self.sim.dead().is_empty(), "seed {seed}");
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..world.rng.usize(10..60) {
        world.step();
    }
    world.come_to_rest();
    world.check();
    world.end();
}

/// So many worlds, from another seed each time; `SEED` runs one again.
#[test]
fn each_event_is_there_once_in_order_and_as_it_was() {
    if let Ok(seed) = std::env::var("SEED") {
        return run(seed.parse().unwrap());
    }
    let first = fastrand::u64(..);
    println!("seeds from {first}");
    for seed in 0..200 {
        let at = std::time::Instant::now();
        run(first.wrapping_add(seed));
        if at.elapsed().as_millis() > 500 {
            println!("{seed}: {:?}", at.elapsed());
        }
    }
}
