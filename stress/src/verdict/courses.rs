//! What became of the events at each station, by its log and its policy, whatever was published.

use crate::{
    evidence::{Entry, Evidence, Outcome, Skip, Testimony},
    plan::{Plan, StationPlan},
};

/// What became of the events at one station, by its log and its policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// What was handled or skipped, in the station's order; in that of the sequences, if several
    /// share it.
    pub concluded: Vec<u64>,
    pub handled: u64,
    pub skipped: u64,
    pub retried: u64,
    /// The units at which it failed for good, under a policy that halts the ring then: one at the
    /// most for each who shares the station.
    pub halts_at: Vec<u64>,
    /// The units at which it was broken off between a failure and the next attempt.
    pub broken_off_at: Vec<u64>,
}

impl Course {
    pub fn halts(&self) -> bool {
        !self.halts_at.is_empty()
    }

    /// The course of several who share a station.
    fn add(&mut self, worker: Self) {
        let Self { concluded, handled, skipped, retried, halts_at, broken_off_at } = worker;
        self.concluded.extend(concluded);
        self.handled += handled;
        self.skipped += skipped;
        self.retried += retried;
        self.halts_at.extend(halts_at);
        self.broken_off_at.extend(broken_off_at);
    }
}

pub fn courses(plan: &Plan, evidence: &Evidence, wrong: &mut Vec<String>) -> Vec<Course> {
    let everybody = plan.everybody().zip(&evidence.testimonies);
    let course_of = |(plan, testimony): (&StationPlan, &Testimony)| {
        let mut all = Course::default();
        for log in testimony.log.chunk_by(|one, next| one.worker == next.worker) {
            match course(plan, log, &testimony.skips) {
                Ok(own) => {
                    if plan.workers() > 1
                        && let Some(back) = own.concluded.windows(2).find(|two| two[0] >= two[1])
                    {
                        let worker = log[0].worker;
                        let complaint = format!("worker {worker} goes back: {back:?}");
                        wrong.push(format!("{}: {complaint}", plan.name));
                    }
                    all.add(own);
                }
                Err(complaint) => wrong.push(format!("{}: {complaint}", plan.name)),
            }
        }
        if plan.workers() > 1 {
            all.concluded.sort_unstable();
        }
        all
    };
    everybody.map(course_of).collect()
}

/// Follows a log call by call.
fn course(plan: &StationPlan, log: &[Entry], skips: &[Skip]) -> Result<Course, String> {
    let mut course = Course::default();
    // The call that is to be repeated, and how often it has failed.
    let mut again: Option<(&[Entry], u32)> = None;
    for call in log.chunk_by(|one, next| next.unit == one.unit && next.sequence != next.unit) {
        let (first, len) = (&call[0], call.len() as u64);
        let is_whole = call
            .iter()
            .zip(first.unit..)
            .all(|(entry, sequence)| entry.sequence == sequence && entry.outcome == first.outcome);
        if !is_whole {
            return Err(format!("a call is not of one piece: {call:?}"));
        }
        if course.halts() {
            return Err(format!("it goes on after it has failed for good, at {}", first.unit));
        }
        // What was given back to a poller may be what it has passed since.
        let is_passed = |call: &[Entry]| {
            let has_passed = |skip: &Skip| skip.range.contains(&call[0].unit);
            call[0].outcome == Outcome::GivenBack && skips.iter().any(has_passed)
        };
        let failures = match again.take().filter(|(before, _)| !is_passed(before)) {
            None => 0,
            Some((before, failures)) => {
                let given_back = before[0].outcome == Outcome::GivenBack;
                // What was given back may come again in other company.
                if first.unit != before[0].unit || !(given_back || before.len() == call.len()) {
                    let (failed, met) = (before[0].unit, first.unit);
                    return Err(format!("{met} follows a failure at {failed} that is not settled"));
                }
                failures
            }
        };
        let sequences = call.iter().map(|entry| entry.sequence);
        match first.outcome {
            Outcome::Done => {
                course.handled += len;
                course.retried += u64::from(failures);
                course.concluded.extend(sequences);
            }
            Outcome::GivenBack => again = Some((call, 0)),
            Outcome::Failed if failures < plan.retries() => again = Some((call, failures + 1)),
            Outcome::Failed => {
                course.retried += u64::from(failures);
                if plan.halts() {
                    course.halts_at.push(first.unit);
                } else {
                    course.skipped += len;
                    course.concluded.extend(sequences);
                }
            }
        }
    }
    if let Some((call, failures)) = again {
        // Only calls that were made again are counted as such.
        course.retried += u64::from(failures.saturating_sub(1));
        if call[0].outcome == Outcome::Failed {
            course.broken_off_at.push(call[0].unit);
        }
    }
    Ok(course)
}
