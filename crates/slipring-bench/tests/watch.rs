//! A contestant that never comes back ends the program, with its name and that of the cell.

use std::{
    env,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use slipring_bench::{Cell, Contestant, Fault, Load, Outcome, Scenario, Wait, watch::GIVEN_UP};

/// Set in the program that is to be ended.
const VICTIM: &str = "SLIPRING_BENCH_VICTIM";

#[derive(Debug)]
struct Wedged;

impl Contestant for Wedged {
    fn name(&self) -> &'static str {
        "wedged"
    }

    fn fits(&self, _cell: &Cell) -> bool {
        true
    }

    fn run(&self, _cell: &Cell, _load: &Load) -> Result<Outcome, Fault> {
        loop {
            thread::park();
        }
    }
}

#[test]
fn a_wedged_contestant_ends_the_program() {
    let cell = Cell::new(Scenario::Diamond, Wait::Spin, 10, 64, 24);
    if env::var_os(VICTIM).is_some() {
        let wedged: &dyn Contestant = &Wedged;
        let limit = Duration::from_millis(10);
        let _ = wedged.watched_run(&cell, &Load::full(&cell, 1), limit);
        unreachable!("it never comes back");
    }
    let victim = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "a_wedged_contestant_ends_the_program", "--nocapture"])
        .env(VICTIM, "")
        .stdin(Stdio::null())
        .output()
        .expect("it starts again");
    let text = String::from_utf8_lossy(&victim.stderr);
    assert_eq!(victim.status.code(), Some(GIVEN_UP.into()), "{text}");
    let wanted =
        "error: wedged in diamond, spin, batch 10, ring 64, 24 bytes is not done after 10ms";
    assert!(text.contains(wanted), "{text}");
}
