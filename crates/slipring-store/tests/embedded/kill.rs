//! A program that is killed at any moment.
//!
//! The test starts itself again as another program, which works on a store and tells through a pipe what was confirmed
//! to it. It is killed after some of that, and now and then while it opens the store; then the store is opened here and
//! compared with what was told.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use fastrand::Rng;
use slipring_events::Time;
use slipring_store::{
    Batch, Checkpoint, Durability, Embedded, EventStore, Retention, embedded::Check,
};

use crate::{
    common::for_seeds,
    log::{Told, compare, fill},
};

const DIR: &str = "SLIPRING_STORE_KILLED_DIR";
const PLAN: &str = "SLIPRING_STORE_KILLED_PLAN";

/// The other program. It ends when nobody listens to it any more.
#[test]
fn child() {
    let (Ok(dir), Ok(plan)) = (std::env::var(DIR), std::env::var(PLAN)) else {
        return;
    };
    let (seed, mut name) =
        plan.split_once(' ').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).unwrap();
    let mut rng = Rng::with_seed(seed);
    let mut out = std::io::stdout();
    let mut tell = |what: &str, a: u64, b: u64, c: u64| {
        let line = format!("@{what} {a} {b} {c}\n");
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            std::process::exit(0);
        }
    };
    let settings = Embedded::settings().check(Check::AfterCrash).quick_repair(rng.bool());
    let settings = settings.unindexed_events(rng.u32(..300));
    let store = settings.open(dir).unwrap();
    tell("open", store.bounds().unwrap().durable, 0, 0);
    let mut batch = Batch::new();
    loop {
        match rng.u8(..14) {
            0 => tell("durable", store.sync().unwrap(), 0, 0),
            1 => {
                let keep = Retention::everything().events(rng.u64(50..500));
                let removed = store.retain(&keep, Time::EPOCH).unwrap();
                tell("removed", removed.first, 0, 0);
            }
            kind => {
                name += 1;
                let events = if rng.u8(..60) == 0 { 5000 } else { rng.u32(1..40) };
                fill(&mut batch, &mut rng, name, events);
                let end = store.bounds().unwrap().end;
                if kind < 4 {
                    // A snapshot that goes with the events, and a checkpoint that holds some of them.
                    batch.put("snapshots", b"state", &vec![name as u8; rng.usize(..20_000)]);
                    Checkpoint::named("reader").put(&mut batch, end.saturating_sub(100));
                }
                tell("begin", name, 0, 0);
                let durability = if kind < 9 { Durability::Synced } else { Durability::Visible };
                let committed = store.commit(&batch, durability).unwrap();
                tell("visible", committed.first, committed.end, name);
                if durability == Durability::Synced {
                    tell("durable", committed.end, 0, 0);
                }
            }
        }
    }
}

/// Starts the other program, kills it when it has told so many things, and reads what else it told.
fn kill_after(dir: &Path, seed: u64, story: &mut Heard, lines: usize, spins: u32) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads", "1"])
        .env(DIR, dir)
        .env(PLAN, format!("{seed} {}", story.last_begun))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut count = 0;
    while count < lines {
        let Some(line) = told.next() else {
            let ended = child.wait().unwrap();
            panic!("the other program ended by itself: {ended}");
        };
        count += usize::from(story.hear(&line));
    }
    for _ in 0..spins {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    for line in told {
        story.hear(&line);
    }
    child.wait().unwrap();
}

#[derive(Default)]
struct Heard {
    told: Vec<Told>,
    durable: u64,
    last_begun: u64,
    first: u64,
}

impl Heard {
    /// Whether it was something that the other program tells, and not its test harness.
    fn hear(&mut self, line: &str) -> bool {
        let Some((_, line)) = line.split_once('@') else {
            return false;
        };
        let mut words = line.split(' ');
        let what = words.next().unwrap();
        let mut numbers = words.map(|word| word.parse::<u64>().unwrap());
        let mut next = || numbers.next().unwrap();
        let (a, b, c) = (next(), next(), next());
        match what {
            "open" | "durable" => {
                assert!(a >= self.durable, "it went back from {} to {a}", self.durable);
                self.durable = a;
                // What was visible only is lost by now, or will be made durable by the opening.
                if what == "open" {
                    self.told.retain(|told| told.end <= a);
                }
            }
            "begin" => self.last_begun = a,
            "visible" => self.told.push(Told { first: a, end: b, name: c }),
            "removed" => self.first = self.first.max(a),
            what => panic!("{what}"),
        }
        true
    }
}

#[test]
fn killed_at_any_moment_it_keeps_what_was_confirmed() {
    for_seeds("KILL_ROUNDS", 6, |mut rng| {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("store");
        let mut heard = Heard::default();
        for _ in 0..3 {
            let lines = rng.usize(1..60);
            let spins = rng.u32(..200_000);
            kill_after(&dir, rng.u64(..), &mut heard, lines, spins);
            while rng.u8(..3) == 0 {
                // While it is being opened, at the first moments or somewhat later.
                let spins = rng.u32(..3_000_000);
                kill_after(&dir, rng.u64(..), &mut heard, 0, spins);
            }
            if rng.bool() {
                continue;
            }
            look(&dir, &mut heard);
        }
        look(&dir, &mut heard);
    });
}

fn look(dir: &Path, heard: &mut Heard) {
    let store = Embedded::settings().check(Check::AfterCrash).open(dir).unwrap();
    compare(&store, &heard.told, heard.durable, heard.last_begun);
    let bounds = store.bounds().unwrap();
    // What was removed may come back, if the removal was not synced, but nothing else is removed.
    assert!(bounds.first <= heard.first);
    heard.told.retain(|told| told.end <= bounds.end);
    heard.durable = bounds.durable;
}
