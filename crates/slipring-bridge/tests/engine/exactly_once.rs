//! Whatever the broker, the links and the two programs do: every event is there once, in order, as it was.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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
    /// Of these, what no broker takes.
    unsendable: Vec<u64>,
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
            unsendable: Vec::new(),
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
        let intake = IntoStore::new("in", Seen::of(&self.receiver, &alive)).unwrap();
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
            if event.payload == POISON || event.payload.len() > LARGEST {
                self.unsendable.push(position);
            } else {
                self.wanted.insert(position, event);
            }
        }
    }

    fn event(&mut self) -> Kept {
        self.number += 1;
        let rng = &mut self.rng;
        let mut payload = format!("{} of {}", self.number, self.seed).into_bytes();
        let mut metadata = Metadata::default();
        match rng.u8(..40) {
            0 => payload = POISON.to_vec(),
            1 => payload.resize(LARGEST + 1, b'x'),
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
            33 => {
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
        until(&format!("seed {seed}: the queue is empty"), || sim.left() == 0);
    }

    fn check(&self) {
        let seed = self.seed;
        let (mut came, mut last) = (BTreeMap::new(), BTreeMap::new());
        for (_, origin, kept) in all(&*self.receiver) {
            let (lane, sequence) = origin.expect("it says where it comes from");
            let before = last.insert(lane.clone(), sequence);
            assert!(before < Some(sequence), "seed {seed}: {lane}: {sequence} behind {before:?}");
            let other = came.insert(sequence, kept);
            assert_eq!(other, None, "seed {seed}: event {sequence} came twice");
        }
        let missing: Vec<_> = self.wanted.keys().filter(|at| !came.contains_key(at)).collect();
        assert!(
            missing.is_empty(),
            "seed {seed}: {missing:?} are missing of {:?}",
            self.wanted.len()
        );
        assert!(came == self.wanted, "seed {seed}: they are as they were, and no others");
        assert!(last.len() <= self.partitions as usize, "seed {seed}: {last:?}");
        // What comes in on one lane out of one stream is one stream there.
        for (outbox, _) in self.outboxes.iter().flatten() {
            let gone = self.unsendable.iter().filter(|at| **at < outbox.confirmed()).count();
            assert_eq!(gone, self.unsendable.len(), "seed {seed}");
        }
    }

    fn check_letters(&self) {
        let mut letters: Vec<u64> = Vec::new();
        for (outbox, _) in self.outboxes.iter().flatten() {
            let by_name = OutboxLetters::named(outbox.name(), self.sender.clone());
            letters.extend(by_name.list().unwrap().iter().map(|letter| letter.position));
        }
        letters.sort_unstable();
        assert_eq!(letters, self.unsendable, "seed {}: all that no broker takes", self.seed);
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
    world.check_letters();
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
