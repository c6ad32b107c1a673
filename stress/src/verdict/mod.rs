//! Judges a round by its evidence. Everything here is a function of plain data, so that the tests
//! can doctor it and see the verdict change.

mod accounts;
mod histories;
mod reset;
mod stream;
#[cfg(test)]
mod tests;

use crate::{
    evidence::{Cause, End, Evidence},
    plan::Plan,
};
use histories::Course;
use stream::Stream;

/// What is wrong with a round; nothing, if all is well.
pub fn complaints(plan: &Plan, evidence: &Evidence) -> Vec<String> {
    let mut wrong = evidence.complaints.clone();
    let ledgers = evidence.ledgers.iter().flat_map(|ledger| ledger.complaints.clone());
    wrong.extend(ledgers);
    for (plan, testimony) in plan.stations.iter().zip(&evidence.testimonies) {
        let named = |complaint: &String| format!("{}: {complaint}", plan.name);
        wrong.extend(testimony.complaints.iter().map(named));
    }
    let stream = Stream::of(plan, evidence, &mut wrong);
    let courses = histories::courses(plan, evidence, &mut wrong);
    let case = Case { plan, evidence, stream: &stream, courses: &courses };
    histories::check(case, &mut wrong);
    reset::check(case, &mut wrong);
    accounts::check(case, &mut wrong);
    if !evidence.count.is_even() {
        wrong.push(format!("events are not dropped exactly once: {:?}", evidence.count));
    }
    wrong
}

/// What the checks look at.
#[derive(Clone, Copy)]
struct Case<'a> {
    plan: &'a Plan,
    evidence: &'a Evidence,
    stream: &'a Stream,
    courses: &'a [Course],
}

impl Case<'_> {
    /// Whether anything could have halted the ring.
    fn is_halted(self) -> bool {
        let Self { evidence, courses, .. } = self;
        evidence.halts > 0
            || evidence.reset_panicked
            || courses.iter().any(|course| course.halts)
            || evidence.testimonies.iter().any(|testimony| testimony.hook_panicked.is_some())
            || match &evidence.ending.cause {
                Cause::Drained => false,
                Cause::Fault(_) | Cause::TimedOut(_) => true,
                Cause::Dropped { may_be_halted } => *may_be_halted,
            }
    }

    /// Whether a station had to see every event.
    fn is_complete(self, station: usize) -> bool {
        let end = self.evidence.testimonies[station].end;
        !self.is_halted() && matches!(end, End::Thread | End::Closed)
    }
}
