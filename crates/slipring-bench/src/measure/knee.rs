//! Latency as the offered load grows to the peak and beyond.
//!
//! The peak here is that of the open loop, in which both sides read the clock for every event: the
//! peak without that is several times higher for the fast ones, and could not be offered.

use std::time::Duration;

use super::{Bench, latency::merged, who};
use crate::{
    cell::Cell,
    contest::{self, Rules},
    contestant::Contestant,
    floor::FLOOR,
    load::Load,
    on_slipring::{SLIPRING, Slipring},
    outcome::{Fault, Outcome},
    plan::{KNEE_CONTESTANTS, KNEE_ROUNDS, knee_percents},
    results::{Knee, KneePoint, Percentiles},
    stats::Spread,
};

pub fn measure(bench: &Bench<'_>, cell: Cell) -> Vec<Knee> {
    let fitting = bench.contestants.iter().filter(|contestant| contestant.fits_paced(&cell));
    let peaks = fitting
        .filter(|contestant| contestant.family() != FLOOR)
        .map(|&contestant| (contestant, peak(bench, &cell, contestant)))
        .collect();
    front_runners(peaks)
        .into_iter()
        .map(|(contestant, peak)| match peak {
            Ok(peak) => climb(bench, cell, contestant, peak),
            Err(fault) => failed(cell, contestant, &fault),
        })
        .collect()
}

type Ranked<'a> = (&'a dyn Contestant, Result<f64, Fault>);

/// Slipring with a handler for each event, the fastest of the other families, and all who failed.
fn front_runners(mut peaks: Vec<Ranked<'_>>) -> Vec<Ranked<'_>> {
    let rate = |(_, peak): &Ranked<'_>| *peak.as_ref().unwrap_or(&f64::INFINITY);
    peaks.sort_by(|left, right| rate(right).total_cmp(&rate(left)));
    let ours = Slipring::PER_EVENT;
    let mut families = vec![SLIPRING];
    peaks.retain(|(contestant, peak)| {
        let is_ours = contestant.name() == ours.name();
        if is_ours || peak.is_err() {
            return true;
        }
        let is_new = !families.contains(&contestant.family());
        let is_room = families.len() < KNEE_CONTESTANTS;
        if is_new && is_room {
            families.push(contestant.family());
        }
        is_new && is_room
    });
    peaks
}

/// A rate at which everything is due at once.
const AT_ONCE: u64 = 1_000_000_000_000;

/// Events of the first try.
const FIRST_TRY: u64 = 10_000;

/// Events per second with every sight timed.
fn peak(bench: &Bench<'_>, cell: &Cell, contestant: &dyn Contestant) -> Result<f64, Fault> {
    let mut events = FIRST_TRY;
    loop {
        let cores = bench.rules.cores.clone();
        let load = Load { cores, ..Load::paced(cell, events, AT_ONCE) };
        let outcome = contestant.watched_run(cell, &load, bench.rules.limit())?;
        if outcome.elapsed * 2 >= bench.rules.target {
            return Ok(outcome.rate());
        }
        events *= 4;
    }
}

/// Parts of a run that a point takes at least: a knee is drawn from many points.
const RUN_MIN: Duration = Duration::from_millis(1);

fn climb(bench: &Bench<'_>, cell: Cell, contestant: &dyn Contestant, peak: f64) -> Knee {
    let target = bench.rules.target.max(RUN_MIN);
    let rules =
        Rules { rounds: bench.rules.rounds.min(KNEE_ROUNDS), target, ..bench.rules.clone() };
    let mut knee = Knee { cell, who: who(contestant), peak, points: Vec::new(), fault: None };
    for percent in knee_percents() {
        let offered = offer(peak, percent);
        let mut entries = contest::hold_paced(&cell, offered, &[contestant], &rules);
        let Some(entry) = entries.pop() else { break };
        if let Some(fault) = &entry.fault {
            knee.fault = Some(fault.to_string());
            break;
        }
        knee.points.extend(point(percent, offered, &entry.outcomes));
    }
    knee
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small")]
fn offer(peak: f64, percent: u32) -> u64 {
    (peak * f64::from(percent) / 100.0).max(1.0) as u64
}

fn point(percent: u32, offered: u64, outcomes: &[Outcome]) -> Option<KneePoint> {
    let Percentiles { p50, p99, .. } = Percentiles::of(&merged(outcomes)?);
    let achieved = Spread::of(outcomes.iter().map(Outcome::rate))?.median;
    Some(KneePoint { percent, offered, achieved, p50, p99 })
}

fn failed(cell: Cell, contestant: &dyn Contestant, fault: &Fault) -> Knee {
    let fault = Some(fault.to_string());
    Knee { cell, who: who(contestant), peak: 0.0, points: Vec::new(), fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::Floor;

    #[test]
    fn the_fastest_of_the_others_go_beside_slipring() {
        let ranked: Vec<Ranked<'_>> = vec![
            (&Slipring::PER_EVENT, Ok(1.0)),
            (&Slipring::IN_SLICES, Ok(9.0)),
            (&Floor::PLAIN, Ok(5.0)),
            (&Floor::HELD, Ok(6.0)),
        ];
        let names: Vec<_> =
            front_runners(ranked).into_iter().map(|(one, _)| one.name().to_owned()).collect();
        assert_eq!(names, ["floor-held", "slipring"], "one of each family");
    }
}
