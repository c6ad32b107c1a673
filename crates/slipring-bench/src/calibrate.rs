//! How many events make a run of the wanted length; the runs that find out are the warm-up.

use crate::{cell::Cell, contest::Rules, contestant::Contestant, load::Load, outcome::Fault};

/// Events of the first try: with more spinning threads than cores, some take milliseconds for each.
const FIRST_TRY: u64 = 100;

/// How much longer than the last one a try may be.
const GROWTH: std::ops::RangeInclusive<f64> = 2.0..=20.0;

/// The number of events that this contestant passes through the cell in about the time of a run.
///
/// Tries get longer until one lasts for half of that, so the last one ran at full speed. The
/// slower of the last two counts: where threads outnumber cores a lucky try is a hundred times
/// faster than the next run.
///
/// # Errors
///
/// The [`Fault`] of a failed run.
pub fn events_for(contestant: &dyn Contestant, cell: &Cell, rules: &Rules) -> Result<u64, Fault> {
    let target = rules.target;
    let mut events = FIRST_TRY;
    let mut last_rate = f64::INFINITY;
    loop {
        let load = Load { cores: rules.cores.clone(), ..Load::full(cell, events) };
        let outcome = contestant.watched_run(cell, &load, rules.limit())?;
        let rate = outcome.rate();
        if outcome.elapsed * 2 >= target {
            return Ok(scaled(rate.min(last_rate), target.as_secs_f64()));
        }
        let missing = target.as_secs_f64() / outcome.elapsed.as_secs_f64();
        events = scaled(missing.clamp(*GROWTH.start(), *GROWTH.end()), events as f64);
        last_rate = rate;
    }
}

/// `factor * amount`, at least one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small")]
fn scaled(factor: f64, amount: f64) -> u64 {
    (factor * amount).max(1.0) as u64
}
