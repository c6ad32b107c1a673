//! The broker, the outbox and the inbox are killed at random while events are on their way, and the history is checked
//! again and again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use slipring_bridge::{InboxHandle, OutboxHandle};
use slipring_store::Memory;

use crate::{
    harness::{arrive, count, describe, into, publish, receive, same, sent, stop},
    history::{self, Seen, Sent},
    sim::Alive,
    world::{self, Kept},
    worlds::World,
};

const PLACE: &str = "kills";

/// Both programs. One that is killed writes nothing more to its store.
struct Run<W: World> {
    world: W,
    sender: Arc<Memory>,
    receiver: Arc<Memory>,
    outbox: Option<(OutboxHandle, Alive)>,
    inbox: Option<(InboxHandle, Alive)>,
    /// The lane.
    lane: Arc<str>,
    seed: u64,
    kills: [u32; 3],
    begin: Instant,
}

/// If it fails, what the broker says.
impl<W: World> Drop for Run<W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "seed {}, killed {:?}: {}",
                self.seed,
                self.kills,
                self.world.told(PLACE, "all")
            );
        }
    }
}

impl<W: World> Run<W> {
    fn new(seed: u64) -> Self {
        let mut run = Self {
            world: W::start(),
            sender: Arc::new(Memory::new()),
            receiver: Arc::new(Memory::new()),
            outbox: None,
            inbox: None,
            lane: "".into(),
            seed,
            kills: [0; 3],
            begin: Instant::now(),
        };
        run.world.announce(PLACE, &["all"]);
        run.start_outbox();
        run.start_inbox();
        run
    }

    fn start_outbox(&mut self) {
        let alive = Alive::default();
        let seen = world::Seen::of(&self.sender, &alive);
        let outbox = describe("out", &seen, self.world.out(PLACE, true));
        let outbox = outbox.checkpoint(50, Duration::from_millis(10)).start().unwrap();
        self.lane = outbox.lane().into();
        self.outbox = Some((outbox, alive));
    }

    fn start_inbox(&mut self) {
        let alive = Alive::default();
        let seen = world::Seen::slow(&self.receiver, &alive);
        self.inbox = Some((receive(self.world.hasty_input(PLACE, "all"), into(&seen)), alive));
    }

    fn step(&mut self, random: &mut Rng) {
        match random.u8(..20) {
            0 => {
                self.tell("the broker");
                self.world.kill();
                self.publish(random);
                self.world.restart();
                self.kills[0] += 1;
            }
            1 => {
                self.tell("the outbox");
                let (outbox, alive) = self.outbox.take().unwrap();
                alive.kill();
                drop(outbox);
                self.start_outbox();
                self.kills[1] += 1;
            }
            2 => {
                self.tell("the inbox");
                let (inbox, alive) = self.inbox.take().unwrap();
                alive.kill();
                drop(inbox);
                self.start_inbox();
                self.kills[2] += 1;
            }
            3..6 => self.check(),
            _ => self.publish(random),
        }
        // Not too far ahead: what is killed is to have something to do.
        let (inbox, _) = self.inbox.as_ref().unwrap();
        arrive(&self.receiver, count(&self.sender).saturating_sub(2_000), inbox);
    }

    /// What is killed now.
    fn tell(&self, who: &str) {
        println!(
            "{:?}: {who}, {} of {}",
            self.begin.elapsed(),
            count(&self.receiver),
            count(&self.sender)
        );
    }

    fn publish(&self, random: &mut Rng) {
        let begin = count(&self.sender);
        let topic = format!("kills.{}", random.u8(..16));
        publish(&self.sender, &topic, begin..begin + random.u64(1..200));
    }

    /// What is there is what can be there.
    fn check(&self) {
        // Those that have arrived were sent before one looks what was.
        let arrived = world::all(&*self.receiver);
        let seen: Vec<Seen<Kept>> = arrived
            .into_iter()
            .map(|(_, origin, value)| {
                let (lane, sequence) = origin.unwrap();
                Seen { lane: lane.as_str().into(), sequence, value }
            })
            .collect();
        let sent: Vec<_> = world::all(&*self.sender)
            .into_iter()
            .map(|(sequence, _, value)| Sent {
                lane: self.lane.clone(),
                sequence,
                value,
                is_certain: true,
            })
            .collect();
        let anomalies = history::check(&sent, &seen, false);
        assert!(anomalies.is_empty(), "seed {}: {:?}", self.seed, anomalies[0]);
    }

    fn end(mut self) {
        let (outbox, _) = self.outbox.take().unwrap();
        let (inbox, _) = self.inbox.take().unwrap();
        sent(&outbox, &self.sender);
        arrive(&self.receiver, count(&self.sender), &inbox);
        stop(inbox);
        same(&self.sender, &self.receiver, 1, |_| true);
        let [broker, outbox, inbox] = self.kills;
        println!(
            "{} events; killed: broker {broker}, outbox {outbox}, inbox {inbox}",
            count(&self.sender)
        );
    }
}

/// So many steps of work, or so long. `SEED` draws the same again, though the moments are others.
pub fn run<W: World>(steps: u32, time: Duration) {
    let seed =
        std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let (mut run, begin) = (Run::<W>::new(seed), Instant::now());
    for _ in 0..steps {
        if begin.elapsed() > time {
            break;
        }
        run.step(&mut random);
    }
    run.end();
}

/// How long a long run is: `SECONDS`, or a minute.
pub fn long<W: World>() {
    let seconds = std::env::var("SECONDS").map_or(60, |seconds| seconds.parse().unwrap());
    run::<W>(u32::MAX, Duration::from_secs(seconds));
}
