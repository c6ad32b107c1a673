//! `slipring bench`: slipring and the floor. Other libraries are not built in; see `benches/peers`.

use std::process::ExitCode;

use peak_alloc::PeakAlloc;
use slipring_bench::{command::Args, contestant};

/// Counts what is allocated, for the memory of a ring. Nothing allocates while a run is timed.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Measures.
pub fn run(args: &Args) -> ExitCode {
    args.run(&contestant::ours(), Some(|| HEAP.current_usage()))
}
