//! One cell, measured in rounds: every contestant once a round, another one first each time.

use std::{sync::Arc, time::Duration};

use crate::{
    calibrate,
    cell::Cell,
    contestant::Contestant,
    load::Load,
    outcome::{Fault, Outcome},
};

/// How a cell is measured.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Rounds; each contestant runs once in each.
    pub rounds: usize,
    /// About how long a run takes.
    pub target: Duration,
    /// Cores that threads take in turn, producers first; empty: the system decides.
    pub cores: Arc<[usize]>,
}

/// What a run may take, however short it should be: those with a limit of their own, of 90 s at most,
/// report a fault before.
const LEAST_LIMIT: Duration = Duration::from_mins(2);

/// How many times as long as planned a run may take, besides.
const MOST_TIMES: u32 = 20;

impl Rules {
    /// How long a run may take before the program gives up.
    #[must_use]
    pub fn limit(&self) -> Duration {
        LEAST_LIMIT + MOST_TIMES * self.target
    }
}

/// A contestant and its outcomes, one a round.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Who.
    pub contestant: &'a dyn Contestant,
    /// What, round by round; the rounds before a fault if there was one.
    pub outcomes: Vec<Outcome>,
    /// Why its figures are worth nothing.
    pub fault: Option<Fault>,
}

impl Entry<'_> {
    /// Events per second, round by round.
    #[must_use]
    pub fn rates(&self) -> Vec<f64> {
        self.outcomes.iter().map(Outcome::rate).collect()
    }

    fn run(&mut self, cell: &Cell, load: &Load, limit: Duration) {
        match self.contestant.watched_run(cell, load, limit) {
            Ok(outcome) => self.outcomes.push(outcome),
            Err(fault) => self.fault = Some(fault),
        }
    }
}

/// Measures `cell` as fast as it goes, for those of the contestants that fit.
#[must_use]
pub fn hold<'a>(cell: &Cell, contestants: &[&'a dyn Contestant], rules: &Rules) -> Vec<Entry<'a>> {
    let place = Load { cores: Arc::clone(&rules.cores), ..Load::full(cell, 1) };
    let fitting = contestants.iter().filter(|contestant| contestant.fits(cell));
    let (mut entries, mut loads) = (Vec::new(), Vec::new());
    for &contestant in fitting {
        let events = calibrate::events_for(contestant, cell, rules);
        let (events, fault) = events.map_or_else(|fault| (0, Some(fault)), |events| (events, None));
        loads.push(Load { events: cell.whole_batches(events), ..place.clone() });
        entries.push(Entry { contestant, outcomes: Vec::new(), fault });
    }
    take_turns(cell, &mut entries, &loads, rules);
    entries
}

/// Measures `cell` at `rate` events a second, for those of the contestants that fit.
#[must_use]
pub fn hold_paced<'a>(
    cell: &Cell,
    rate: u64,
    contestants: &[&'a dyn Contestant],
    rules: &Rules,
) -> Vec<Entry<'a>> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, small")]
    let events = (rate as f64 * rules.target.as_secs_f64()).max(1.0) as u64;
    let load = Load { cores: Arc::clone(&rules.cores), ..Load::paced(cell, events, rate) };
    let fitting = contestants.iter().filter(|contestant| contestant.fits_paced(cell));
    let mut entries: Vec<_> = fitting
        .map(|&contestant| Entry { contestant, outcomes: Vec::new(), fault: None })
        .collect();
    let loads = vec![load; entries.len()];
    take_turns(cell, &mut entries, &loads, rules);
    entries
}

fn take_turns(cell: &Cell, entries: &mut [Entry<'_>], loads: &[Load], rules: &Rules) {
    for round in 0..rules.rounds {
        for turn in 0..entries.len() {
            let index = (round + turn) % entries.len();
            if entries[index].fault.is_none() {
                entries[index].run(cell, &loads[index], rules.limit());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scenario, Wait, floor::Floor, on_slipring::Slipring};

    fn rules() -> Rules {
        Rules { rounds: 2, target: Duration::from_millis(2), cores: Arc::default() }
    }

    #[test]
    fn everybody_who_fits_runs_once_a_round() {
        let all: [&dyn Contestant; 3] = [&Slipring::PER_EVENT, &Floor::HELD, &Slipring::IN_SLICES];
        let cell = Cell::new(Scenario::Unicast, Wait::Yield, 1, 64, 8);
        let entries = hold(&cell, &all, &rules());
        let names: Vec<_> = entries.iter().map(|entry| entry.contestant.name()).collect();
        assert_eq!(names, ["slipring", "floor-held"], "there are no slices of one event");
        assert!(entries.iter().all(|entry| entry.outcomes.len() == 2 && entry.fault.is_none()));
        let paced = hold_paced(&cell, 100_000, &all, &rules());
        let counts = paced.iter().flat_map(|entry| &entry.outcomes).map(|outcome| outcome.events);
        assert_eq!(counts.collect::<Vec<_>>(), [200; 4]);
    }

    #[test]
    fn a_limit_is_far_beyond_the_plan() {
        let limit = |millis| Rules { target: Duration::from_millis(millis), ..rules() }.limit();
        assert_eq!(limit(100), Duration::from_secs(122));
        assert_eq!(limit(3_600_000), Duration::from_mins(2 + 20 * 60));
    }

    #[test]
    fn whoever_fails_is_out_and_the_others_go_on() {
        struct Liar;
        impl Contestant for Liar {
            fn name(&self) -> &'static str {
                "liar"
            }
            fn fits(&self, _cell: &Cell) -> bool {
                true
            }
            fn run(&self, _cell: &Cell, _load: &Load) -> Result<Outcome, Fault> {
                Err(Fault::Order { broken: 1 })
            }
        }
        let cell = Cell::new(Scenario::Unicast, Wait::Yield, 1, 64, 8);
        let entries = hold(&cell, &[&Liar, &Floor::PLAIN], &rules());
        assert_eq!(entries[0].fault, Some(Fault::Order { broken: 1 }));
        assert!(entries[0].outcomes.is_empty());
        assert_eq!(entries[1].outcomes.len(), 2);
    }
}
