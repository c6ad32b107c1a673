//! Who is measured.

use std::{fmt, time::Duration};

use crate::{
    cell::{Cell, Scenario, Wait},
    floor::Floor,
    load::Load,
    on_slipring::Slipring,
    outcome::{Fault, Outcome},
    watch,
};

/// A library in one configuration.
pub trait Contestant: Send + Sync {
    /// The name on the command line and in the table.
    fn name(&self) -> &str;

    /// Whose configuration it is; the best of a family counts.
    fn family(&self) -> &str {
        self.name()
    }

    /// Whether it can do what the cell asks for, as fast as it goes.
    fn fits(&self, cell: &Cell) -> bool;

    /// Whether it can do it to a timetable as well.
    fn fits_paced(&self, cell: &Cell) -> bool {
        self.fits(cell) && cell.scenario.has_timetable()
    }

    /// One run.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when it failed, or a consumer did not see exactly what was published.
    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault>;
}

impl fmt::Debug for dyn Contestant + '_ {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl dyn Contestant + '_ {
    /// Runs it, if it can do what is asked for.
    ///
    /// # Errors
    ///
    /// As [`Contestant::run`], and when it cannot.
    pub fn checked_run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        let able = if load.rate.is_some() { self.fits_paced(cell) } else { self.fits(cell) };
        if able {
            self.run(cell, load)
        } else {
            Err(Fault::Peer(format!("{} cannot do {cell}", self.name())))
        }
    }

    /// The same, but ends the program if it takes longer than `limit`.
    ///
    /// # Errors
    ///
    /// As [`checked_run`](Self::checked_run).
    pub fn watched_run(&self, cell: &Cell, load: &Load, limit: Duration) -> Result<Outcome, Fault> {
        let name = || format!("{} in {cell}", self.name());
        watch::over(limit, name, || self.checked_run(cell, load))
    }
}

/// Those who are always there: slipring in both forms and both floors.
#[must_use]
pub fn ours() -> Vec<Box<dyn Contestant>> {
    vec![
        Box::new(Slipring::PER_EVENT),
        Box::new(Slipring::IN_SLICES),
        Box::new(Floor::PLAIN),
        Box::new(Floor::HELD),
    ]
}

/// Whether the cell is one of those that all are compared in: the classic sizes, and events of 8
/// (with stages: 24) or 64 bytes.
#[must_use]
pub fn is_classic(cell: &Cell) -> bool {
    Scenario::CLASSIC.contains(&cell.scenario) && is_classic_size(cell)
}

/// Whether events have 8 (with stages: 24) or 64 bytes.
#[must_use]
pub fn is_classic_size(cell: &Cell) -> bool {
    cell.bytes == cell.scenario.least_bytes() || cell.bytes == 64
}

/// A wait that is a loop, chosen at run time: one step of it, the same code for everybody who has no
/// wait of its own.
///
/// # Panics
///
/// For [`Wait::Block`], which is not a loop.
#[inline]
pub fn pause(wait: Wait) {
    match wait {
        Wait::Spin => {}
        Wait::Hint => std::hint::spin_loop(),
        Wait::Yield => std::thread::yield_now(),
        Wait::Block => unreachable!("whoever cannot block was turned away"),
    }
}
