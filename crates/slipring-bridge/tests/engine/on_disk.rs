//! Bridges between stores on disk: what is in the files is what counts.

use std::{path::Path, sync::Arc, time::Duration};

use fastrand::Rng;
use slipring_bridge::{Inbox, IntoStore, Outbox};
use slipring_events::Time;
use slipring_store::{Embedded, EventStore, Retention};

use crate::{
    sim::{Alive, Faults, Sim},
    world::{LONG, Seen, commit, short, texts, until},
};

fn open(dir: &Path) -> Arc<Embedded> {
    Arc::new(Embedded::open(dir).unwrap())
}

#[test]
fn a_store_on_disk_has_each_event_once_whenever_the_programs_end() {
    let (seed, dir) = (fastrand::u64(..), tempfile::tempdir().unwrap());
    println!("seed {seed}");
    let (mut rng, sim) = (Rng::with_seed(seed), Sim::new(seed));
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    let faults = Faults { lost: 10, swallowed: 10, twice: 30, slow: 100, refused: 50 };
    let (mut next, runs) = (0, 12);
    for run in 0..=runs {
        let is_last = run == runs;
        sim.set_faults(if is_last { Faults::default() } else { faults });
        let (sender, receiver) = (open(&here), open(&there));
        let alive = Alive::default();
        let outbox = Outbox::builder("out", Seen::of(&sender, &alive), sim.connect(&alive));
        let outbox = outbox.window(20).pauses(short()).checkpoint(5, Duration::from_millis(2));
        let outbox = outbox.start().unwrap();
        let intake = IntoStore::new("in", Seen::slow(&receiver, &alive)).unwrap();
        let inbox = Inbox::builder("in", sim.listen(&alive), intake).window(64);
        let inbox = inbox.pauses(short()).begin_after(LONG).start().unwrap();
        for _ in 0..rng.u32(1..20) {
            commit(&*sender, &[("number", &next.to_string())]);
            next += 1;
            std::thread::sleep(Duration::from_micros(rng.u64(..500)));
        }
        if is_last {
            outbox.wait_for(next, LONG).unwrap();
            until(&format!("seed {seed}: the queue is empty"), || sim.left() == 0);
        } else if rng.bool() {
            alive.kill();
        } else {
            let keep = Retention::everything().events(3);
            sender.retain(&keep, Time::from_nanos(u64::MAX)).unwrap();
        }
        let (out, taken) = (outbox.stop(LONG), inbox.stop(LONG));
        assert!(out.has_ended && taken.has_ended, "seed {seed}: {out:?} {taken:?}");
    }
    let numbers: Vec<String> = (0..next).map(|number| number.to_string()).collect();
    assert_eq!(texts(&*open(&there)), numbers, "seed {seed}");
}
