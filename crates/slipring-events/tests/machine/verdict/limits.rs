//! What is to wait has waited, by the clock of the round.

use std::{collections::HashMap, time::Duration};

use super::{Truth, follow_ups};
use crate::{
    ends::Played,
    hands::Try,
    plan::{Order, Rate},
};

/// Over so many attempts the rate is looked at.
const STRETCH: usize = 40;

pub fn on(played: &Played, truth: &Truth<'_>, wrong: &mut Vec<String>) {
    waits(played, wrong);
    later(played, truth, wrong);
    let Some(limits) = played.plan.limits else { return };
    if let Some((failures, time)) = limits.breaker {
        breaker(&played.notes.tries, failures, time, wrong);
    }
    if let Some(rate) = limits.throttle {
        throttle(&played.notes.tries, rate, wrong);
    }
}

/// An event is not tried again before its time.
fn waits(played: &Played, wrong: &mut Vec<String>) {
    let retry = played.plan.retry;
    let mut last: HashMap<u64, &Try> = HashMap::new();
    // Of those that were given back the retries begin anew, and of a key all are.
    let tries = played.notes.tries.iter().filter(|one| {
        played.plan.order != Order::ByKey && !played.given_back.contains(&one.number)
    });
    for one in tries {
        if let Some(before) = last.insert(one.number, one) {
            let due = if before.attempt > retry.at_once { retry.wait } else { Duration::ZERO };
            if one.from < before.to + due {
                wrong.push(format!("{one:?} too early after {before:?}"));
            }
            if one.attempt > 1 + retry.at_once + retry.later {
                wrong.push(format!("{one:?} is one too many"));
            }
        }
    }
}

/// What was to be published later was.
fn later(played: &Played, truth: &Truth<'_>, wrong: &mut Vec<String>) {
    let published: HashMap<u64, Duration> = follow_ups(played)
        .filter(|next| next.delay.is_some())
        .filter_map(|next| {
            let seen = truth.by_sequence.get(truth.by_number.get(&next.number)?)?;
            Some((next.number, Duration::from_nanos(seen.time.as_nanos())))
        })
        .collect();
    for one in played.notes.tries.iter().filter(|one| one.is_ok) {
        for next in &one.follow_ups {
            let due = one.to + next.delay.unwrap_or_default();
            if published.get(&next.number).is_some_and(|time| *time < due) {
                wrong.push(format!("{next:?} was published before {due:?}"));
            }
        }
    }
}

/// After so many failures in a row nothing is tried for so long.
fn breaker(tries: &[Try], failures: u32, time: Duration, wrong: &mut Vec<String>) {
    let mut in_a_row = 0;
    for pair in tries.windows(2) {
        in_a_row = if pair[0].went_well { 0 } else { in_a_row + 1 };
        if in_a_row >= failures && pair[1].from < pair[0].to + time {
            wrong.push(format!("{:?} while the breaker is open after {:?}", pair[1], pair[0]));
        }
    }
}

/// In no stretch of time are there more attempts than at once and what the time allows.
fn throttle(tries: &[Try], rate: Rate, wrong: &mut Vec<String>) {
    for last in 0..tries.len() {
        for first in last.saturating_sub(STRETCH)..last {
            // The first one was let through after the one before it had ended.
            let since = first.checked_sub(1).map_or(Duration::ZERO, |before| tries[before].to);
            let time = tries[last].from.saturating_sub(since).as_nanos();
            let dripped = time * u128::from(rate.count) / rate.period.as_nanos();
            let attempts = (last - first + 1) as u128;
            if attempts > u128::from(rate.burst) + dripped {
                wrong.push(format!("{attempts} attempts in {time} ns up to {:?}", tries[last]));
                return;
            }
        }
    }
}
