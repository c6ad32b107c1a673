//! The loop of a station's thread, from its first look to its end.
//!
//! It would run a different number of times whenever it waits, so it waits outside: its idle hook
//! stops at a gate until there is something to do, in one system call, however long that takes. So
//! it looks once at an empty ring, finds all events there, in runs of a quarter lap, looks again in
//! vain, and finds the ring closed.

use std::{
    hint::black_box,
    io::{PipeReader, PipeWriter, Read as _, Write as _, pipe},
};

use gungraun::{EntryPoint, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group};
use slipring::{At, Builder, Dispatcher, Handler, HandlerError, Producer, Wait, read_handler};

use crate::{
    EVENTS,
    limits::{callgrind_limited, with},
};

/// The loop, by the name that callgrind knows it by.
const LOOP: &str = "slipring::consumer::drive";
const BYTE: &[u8; 1] = b"!";

/// The thread comes to the gate when it is idle, and goes on when it is let through.
struct Gate {
    came: PipeWriter,
    pass: PipeReader,
}

/// The other side of the gate.
struct Keeper {
    came: PipeReader,
    pass: PipeWriter,
}

impl Keeper {
    fn await_thread(&mut self) {
        self.came.read_exact(&mut [0]).expect("the thread lives");
    }

    fn let_through(&mut self) {
        self.pass.write_all(BYTE).expect("the thread lives");
    }
}

impl Handler<u64> for Gate {
    fn on_event(&mut self, event: &u64, at: At<'_>) -> Result<(), HandlerError> {
        black_box((*event, at.sequence()));
        Ok(())
    }

    fn on_idle(&mut self) {
        self.came.write_all(BYTE).expect("the keeper lives");
        self.pass.read_exact(&mut [0]).expect("the keeper lives");
    }
}

/// A ring whose station is at the gate, with the events behind its back.
struct Waiting {
    producer: Producer<u64>,
    keeper: Keeper,
    dispatcher: Dispatcher<u64>,
}

fn waiting() -> Waiting {
    let ((came, came_writer), (pass, pass_writer)) =
        (pipe().expect("a pipe"), pipe().expect("a pipe"));
    let gate = Gate { came: came_writer, pass };
    let mut keeper = Keeper { came, pass: pass_writer };
    // A wait that depends on nothing; runs of which none is so short that it holds off.
    let station = read_handler("only", move || gate).wait(Wait::Spin).max_batch(250);
    let (mut producer, dispatcher) =
        Builder::new(1_024, || 0_u64).then(station).start().expect("a valid ring");
    keeper.await_thread();
    producer.publish_batch(EVENTS as usize, |index, slot| *slot = index as u64).expect("room");
    Waiting { producer, keeper, dispatcher }
}

fn config() -> LibraryBenchmarkConfig {
    let mut callgrind = callgrind_limited("thread");
    callgrind.entry_point(EntryPoint::Custom(LOOP.to_owned()));
    with(callgrind)
}

#[library_benchmark(config = config())]
#[bench::waiting(waiting())]
fn thread(waiting: Waiting) {
    let Waiting { producer, mut keeper, dispatcher } = waiting;
    keeper.let_through();
    keeper.await_thread();
    drop(producer);
    keeper.let_through();
    let report = dispatcher.join().expect("nothing fails");
    assert_eq!(report.published, EVENTS);
}

library_benchmark_group!(name = threaded, benchmarks = thread);
