//! What does contention cost those who publish?
//!
//! One, two or three producers of the multi-producer kind, and one consumer; all yield when they have
//! to wait. The ring has 8,192 slots, so that room is seldom what they wait for.
//!
//! Names are `producers/batch`. Time is of one event, all producers together: with a free claim two
//! producers would halve it. What it grows by instead is the claim word, which travels between the
//! cores for every claim; a batch makes one claim of ten events, and its `1` and `10` show how much
//! of the cost is the claim. One producer here beside `handover_by_ring/8192` is what the
//! multi-producer ring costs while nobody competes.
//!
//! Threads take the cores in turn, producers first. With fewer cores than threads some of the
//! contention is replaced by turns that the scheduler gives.

mod suite;
mod threads;

use criterion::Criterion;
use slipring_bench::{Cell, Scenario, Wait};

fn main() {
    suite::run(&[claim]);
}

fn claim(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "claim");
    for producers in 1..=3 {
        for batch in [1, 10] {
            let cell = Cell::new(Scenario::Mpsc(producers), Wait::Yield, batch, 8_192, 8);
            threads::measure(&mut group, format_args!("{producers}/{batch}"), &cell);
        }
    }
    group.finish();
}
