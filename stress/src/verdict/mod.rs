//! Judges a round by its evidence. Everything here is a function of plain data, so that the tests
//! can doctor it and see the verdict change.

mod accounts;
mod courses;
mod guests;
mod histories;
mod looks;
mod reset;
mod scopes;
mod stream;
mod teams;
#[cfg(test)]
mod tests;

use crate::{
    evidence::{Act, Cause, Departure, End, Entry, Evidence, Reception, Sighting, Visit},
    plan::{Hook, Plan, StationPlan},
};
use courses::Course;
use slipring::Start;
use stream::Stream;

/// What is wrong with a round; nothing, if all is well.
pub fn complaints(plan: &Plan, evidence: &Evidence) -> Vec<String> {
    let mut wrong = evidence.complaints.clone();
    let ledgers = evidence.ledgers.iter().flat_map(|ledger| ledger.complaints.clone());
    wrong.extend(ledgers);
    for (plan, testimony) in plan.everybody().zip(&evidence.testimonies) {
        let named = |complaint: &String| format!("{}: {complaint}", plan.name);
        wrong.extend(testimony.complaints.iter().map(named));
    }
    let stream = Stream::of(plan, evidence, &mut wrong);
    let courses = courses::courses(plan, evidence, &mut wrong);
    let case = Case { plan, evidence, stream: &stream, courses: &courses };
    histories::check(case, &mut wrong);
    teams::check(case, &mut wrong);
    guests::check(case, &mut wrong);
    reset::check(case, &mut wrong);
    accounts::check(case, &mut wrong);
    looks::check(case, &mut wrong);
    scopes::check(case, &mut wrong);
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

/// Somebody has left.
#[derive(Clone, Copy)]
struct Gone {
    /// The clock before that.
    tick: Option<u64>,
}

impl<'a> Case<'a> {
    /// The name of a station or a guest.
    fn name(self, index: usize) -> &'a str {
        self.plan.everybody().nth(index).map_or("", |plan| &plan.name)
    }

    /// The visit of a guest.
    fn visit(self, index: usize) -> Option<&'a Visit> {
        self.evidence.visits.get(index.checked_sub(self.plan.stations.len())?)
    }

    /// Whether a guest began behind everything that was claimed.
    fn began_now(self, index: usize) -> bool {
        let visit = index.checked_sub(self.plan.stations.len());
        let visit = visit.and_then(|visit| self.plan.visits().nth(visit));
        visit.is_some_and(|visit| visit.start == Start::Now)
    }

    /// The first sequence that is a station's or a guest's own; `None` if the guest was not there.
    fn first(self, index: usize) -> Option<u64> {
        let Some(visit) = self.visit(index) else { return Some(self.plan.first) };
        match visit.arrival.as_ref()?.answer {
            Reception::Welcome(first) => Some(first),
            _ => None,
        }
    }

    /// How many events have come before its first.
    fn missed(self, index: usize) -> usize {
        let first = self.first(index).unwrap_or(self.plan.first);
        self.stream.accepted.partition_point(|accepted| accepted.sequence < first)
    }

    /// How many events it had to see, if it stayed.
    fn owed(self, index: usize) -> u64 {
        (self.stream.accepted.len() - self.missed(index)) as u64
    }

    /// How many events those who follow it may have seen, as far as its history goes: all before
    /// the first that it has not concluded.
    fn passed(self, index: usize) -> usize {
        let missed = self.missed(index).min(self.stream.accepted.len());
        let concluded = &self.courses[index].concluded;
        if let Some(conflated @ 1..) = self.conflated(index) {
            // How many of them there are, and where they may be, is checked with its history.
            let passed = missed + concluded.len() + conflated as usize;
            return passed.min(self.stream.accepted.len());
        }
        let own = self.stream.accepted[missed..].iter().map(|accepted| accepted.sequence);
        missed + own.zip(concluded).take_while(|(next, seen)| next == *seen).count()
    }

    /// Whether anything could have halted the ring.
    fn is_halted(self) -> bool {
        let Self { evidence, courses, plan, .. } = self;
        // A guest whose start fails halts nothing.
        let hook_panicked = |hook: Option<Hook>| hook.is_some_and(|hook| hook != Hook::Start);
        evidence.halts > 0
            || evidence.reset_panicked
            || courses.iter().any(Course::halts)
            || evidence.testimonies.iter().any(|testimony| hook_panicked(testimony.hook_panicked))
            || (0..plan.stations.len()).any(|index| self.key_panicked(index))
            || match &evidence.ending.cause {
                Cause::Drained => false,
                Cause::Fault(_) | Cause::TimedOut(_) => true,
                Cause::Dropped { may_be_halted } => *may_be_halted,
            }
    }

    /// Whether a team was asked for the key at which it panics.
    fn key_panicked(self, index: usize) -> bool {
        let panics_at = self.plan.stations[index].by_key().and_then(|key| key.panics_at);
        panics_at.is_some_and(|panics_at| self.evidence.asked[index].len() > panics_at)
    }

    /// How somebody was seen in the end, who had not been seen off.
    fn sighting(self, index: usize) -> Option<&'a Sighting> {
        let look = self.evidence.last_look.as_ref()?;
        let Some(visit) = self.visit(index) else { return look.stations.get(index) };
        if visit.departure.is_some() {
            return None;
        }
        let (name, first) = (self.name(index), self.first(index)?);
        look.guests.iter().find(|seen| seen.name == name && seen.first == first)
    }

    /// How many events it says it has passed unhandled to keep up; `None` if nobody was told.
    fn conflated(self, index: usize) -> Option<u64> {
        let testimony = &self.evidence.testimonies[index];
        let keeps = self.plan.everybody().nth(index).and_then(StationPlan::keeps);
        if keeps.is_none() {
            return Some(testimony.skips.iter().map(|skip| skip.events).sum());
        }
        let departure = self.visit(index).and_then(|visit| visit.departure.as_ref());
        let report = departure.and_then(|departure| departure.report.as_ref());
        let told = report.map(|report| report.account);
        Some(told.or_else(|| Some(self.sighting(index)?.account))?.conflated)
    }

    /// Whether it may have passed a sequence unhandled to keep up.
    fn may_conflate(self, index: usize, sequence: u64) -> bool {
        let skips = &self.evidence.testimonies[index].skips;
        match self.plan.everybody().nth(index).and_then(StationPlan::keeps) {
            // As many have to be there behind it.
            Some(keeps) => sequence + keeps < self.stream.end(),
            None => skips.iter().any(|skip| skip.range.contains(&sequence)),
        }
    }

    /// Whether a station may have left because it lagged by more than it may.
    fn may_have_left(self, index: usize) -> bool {
        let limit = self.plan.everybody().nth(index).and_then(StationPlan::leaves_beyond);
        limit.is_some() && self.sighting(index).is_none_or(|seen| seen.late > 0)
    }

    /// Whether there was a moment, behind the last event that it has concluded or before, at which it
    /// lagged by more than `limit`.
    fn has_lagged_by_more_than(self, index: usize, limit: u64) -> bool {
        let plan = self.plan.everybody().nth(index);
        let concluded = &self.courses[index].concluded;
        // One that has left did so behind its last event, and the others at any time.
        let last = if plan.is_some_and(|plan| plan.leaves_beyond().is_some()) {
            concluded.last().map(|last| last + 1)
        } else {
            None
        };
        let stood_at = last.or(self.first(index)).unwrap_or(self.plan.first);
        stood_at + limit < self.stream.end()
    }

    /// How somebody has left while the ring was alive; `None` if it has not.
    fn departure(self, index: usize) -> Option<Gone> {
        let testimony = &self.evidence.testimonies[index];
        let gone = match self.visit(index).and_then(|visit| visit.departure.as_ref()) {
            Some(Departure { how: Some(_), acts, tick, .. }) => {
                (acts.0 != Act::After).then_some(Gone { tick: *tick })
            }
            _ => (testimony.end == End::Left).then_some(Gone { tick: testimony.dropped }),
        };
        if !self.may_have_left(index) {
            return gone;
        }
        // Or before it was told to: at any time behind its last event.
        let last_look = testimony.log.iter().map(|entry: &Entry| entry.tick).max().flatten();
        Some(Gone { tick: gone.map_or(last_look, |gone| gone.tick.min(last_look)) })
    }

    /// Whether it had to see every event from its first on.
    fn is_complete(self, index: usize) -> bool {
        let end = self.evidence.testimonies[index].end;
        !self.is_halted()
            && self.first(index).is_some()
            && self.departure(index).is_none()
            && matches!(end, End::Thread | End::Closed)
    }
}
