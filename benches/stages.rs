//! What does one more consumer cost, beside the others or behind them?
//!
//! One producer that publishes one event at a time, yielding waits, and
//!
//! * `multicastN`: N consumers side by side, each of which sees every event;
//! * `pipelineN`: N stages in a row, each of which writes a field but the last, which reads them;
//! * `diamond`: two stages side by side that write a field each, and one behind them that reads both.
//!
//! Names are `shape/slots`; `multicast` and `pipeline` alone are those of three. Time is of one event
//! on its way through the whole shape. Multicast of one has 8 bytes an event, and stages have 24:
//! compare a shape with its own kind.
//!
//! With a core for each thread the slowest one decides, and a stage more costs little. With fewer
//! cores the work of all adds up, and the larger ring is the better one because each thread does more
//! in its turn.

mod suite;
mod threads;

use criterion::Criterion;
use slipring_bench::{
    Cell,
    Scenario::{self, Diamond, Multicast, Pipeline},
    Wait,
};

const SHAPES: [Scenario; 7] =
    [Multicast(1), Multicast(2), Multicast(3), Pipeline(1), Pipeline(2), Pipeline(3), Diamond];

fn main() {
    suite::run(&[stages]);
}

fn stages(criterion: &mut Criterion) {
    let mut group = suite::group(criterion, "stages");
    for shape in SHAPES {
        for slots in [1_024, 8_192] {
            let cell = Cell::new(shape, Wait::Yield, 1, slots, 8);
            threads::measure(&mut group, format_args!("{shape}/{slots}"), &cell);
        }
    }
    group.finish();
}
