//! How many events a second go from one thread to another?
//!
//! One producer, one consumer on a thread of its own, both as fast as they can. Each waits in the same
//! way when there is nothing to take, or no room. The consumer's handler is called for each event and
//! checks it.
//!
//! Three groups, each of which changes one thing at a time:
//!
//! * `handover_by_wait`: `wait/batch`, ring of 1,024, 8 bytes.
//! * `handover_by_ring`: `slots/batch`, yielding, 8 bytes; 1,024 slots are in the group above.
//! * `handover_by_bytes`: `bytes/slots`, yielding, one event at a time.
//!
//! Read the events per second (`thrpt`). They vary more than what one thread does: how often the two
//! meet decides how often a cache line travels, and it depends on the ring's size more than on the
//! wait. A larger publish batch helps until the consumer is the slower side. Two threads need two
//! cores here: on one they take turns, and a spinning wait shows what its retreat costs.

mod suite;
mod threads;

use criterion::Criterion;
use slipring_bench::{Cell, Scenario, Wait};

const BATCHES: [usize; 3] = [1, 10, 100];
const SMALL: usize = 1_024;
const RINGS: [usize; 3] = [SMALL, 8_192, 65_536];
const BYTES: [usize; 2] = [8, 64];

fn main() {
    suite::run(&[by_wait, by_ring, by_bytes]);
}

fn by_wait(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "handover_by_wait");
    for wait in Wait::ALL {
        for batch in BATCHES {
            let cell = Cell::new(Scenario::Unicast, wait, batch, SMALL, 8);
            threads::measure(&mut group, format_args!("{wait}/{batch}"), &cell);
        }
    }
    group.finish();
}

fn by_ring(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "handover_by_ring");
    for slots in RINGS.into_iter().filter(|&slots| slots != SMALL) {
        for batch in BATCHES {
            let cell = Cell::new(Scenario::Unicast, Wait::Yield, batch, slots, 8);
            threads::measure(&mut group, format_args!("{slots}/{batch}"), &cell);
        }
    }
    group.finish();
}

fn by_bytes(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "handover_by_bytes");
    for bytes in BYTES {
        for slots in RINGS {
            let cell = Cell::new(Scenario::Unicast, Wait::Yield, 1, slots, bytes);
            threads::measure(&mut group, format_args!("{bytes}/{slots}"), &cell);
        }
    }
    group.finish();
}
