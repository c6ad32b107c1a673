//! The model: which events each station must have seen, with what in them, and what the dispatcher
//! must have told.

use std::collections::{BTreeMap, BTreeSet};

use slipring::{Fault, PublishError, Report, ShutdownCause, ShutdownError};

use super::{
    Outcome, Seen,
    case::Case,
    ending::{Ending, Last},
    event::Content,
    polling::End,
};

macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(format!($($message)+));
        }
    };
}

/// What is wrong with an outcome, if anything is.
pub fn judge(case: &Case, ending: &Ending, outcome: &Outcome) -> Result<(), String> {
    let judge = Judge { case, ending, outcome, accepted: accepted(outcome)? };
    judge.refusals()?;
    judge.faults()?;
    judge.cleared()?;
    judge.histories()?;
    judge.told()
}

/// The events whose publish calls succeeded.
fn accepted(outcome: &Outcome) -> Result<BTreeMap<u64, Content>, String> {
    let mut accepted = BTreeMap::new();
    for (producer, fed) in outcome.fed.iter().enumerate() {
        let mut last = None;
        for (range, number) in &fed.accepted {
            ensure!(last <= Some(range.start), "producer {producer} went back to {range:?}");
            last = Some(range.end);
            for (sequence, number) in range.clone().zip(*number..) {
                let event = Content { producer, number, trace: 0 };
                let other = accepted.insert(sequence, event);
                ensure!(other.is_none(), "sequence {sequence} was given twice");
            }
        }
    }
    Ok(accepted)
}

struct Judge<'a> {
    case: &'a Case,
    ending: &'a Ending,
    outcome: &'a Outcome,
    accepted: BTreeMap<u64, Content>,
}

impl Judge<'_> {
    /// Whether stations may have been told to stop before the end.
    fn may_halt(&self) -> bool {
        let may_time_out = self.case.time_passes > 0 && self.ending.last != Last::Join;
        self.ending.halts() || may_time_out || !self.outcome.faults.is_empty()
    }

    fn abandoned(&self) -> u64 {
        let abandoned = self.outcome.fed.iter().map(|fed| fed.abandoned).sum();
        if self.case.is_multi { abandoned } else { 0 }
    }

    /// Producers give up only when the ring is closed, for a reason that exists.
    fn refusals(&self) -> Result<(), String> {
        for (producer, fed) in self.outcome.fed.iter().enumerate() {
            match &fed.refusal {
                None => {}
                Some(PublishError::Closed) if self.ending.closes() => {}
                Some(PublishError::Halted(fault)) => self.is_known(fault)?,
                Some(other) => return Err(format!("producer {producer} was told: {other}")),
            }
        }
        for end in self.outcome.ends.iter().flatten() {
            if let End::Fault(fault) = end {
                self.is_known(fault)?;
            }
        }
        Ok(())
    }

    /// The reset hook is called for what was accepted, in order and once, and for nothing else.
    fn cleared(&self) -> Result<(), String> {
        // Abandoned events are cleared too; which ones is known to nobody.
        if self.outcome.fed.iter().any(|fed| fed.abandoned > 0) {
            return Ok(());
        }
        let cleared = &self.outcome.cleared;
        ensure!(cleared.len() <= self.accepted.len(), "too much was cleared: {cleared:?}");
        for (cleared, accepted) in cleared.iter().zip(self.accepted.values()) {
            let is_it = (cleared.producer, cleared.number) == (accepted.producer, accepted.number);
            ensure!(is_it, "{cleared:?} was cleared instead of {accepted:?}");
        }
        Ok(())
    }

    /// The first fault is the one that everybody is told.
    fn faults(&self) -> Result<(), String> {
        let by_producers = self.outcome.fed.iter().filter_map(|fed| match &fed.refusal {
            Some(PublishError::Halted(fault)) => Some(fault),
            _ => None,
        });
        let by_pollers = self.outcome.ends.iter().flatten().filter_map(|end| match end {
            End::Fault(fault) => Some(fault),
            _ => None,
        });
        let by_owner = match &self.outcome.told {
            Some(Err(error)) => error.fault(),
            _ => None,
        };
        let mut all: Vec<&Fault> = by_producers.chain(by_pollers).chain(by_owner).collect();
        all.dedup();
        ensure!(all.len() <= 1, "more than one fault was told: {all:?}");
        Ok(())
    }

    fn is_known(&self, fault: &Fault) -> Result<(), String> {
        let is_it = |(name, at): &(String, Option<u64>)| {
            name == fault.station() && at.is_none_or(|at| at == fault.sequence())
        };
        ensure!(self.outcome.faults.iter().any(is_it), "nobody has caused: {fault}");
        Ok(())
    }

    fn histories(&self) -> Result<(), String> {
        let handled: Vec<BTreeSet<u64>> = self
            .outcome
            .seen
            .iter()
            .map(|seen| {
                let handled = seen.iter().filter(|seen| matches!(seen, Seen::Handled(..)));
                handled.map(|seen| seen.sequence()).collect()
            })
            .collect();
        let before = self.before();
        for (index, seen) in self.outcome.seen.iter().enumerate() {
            // What follows from the order: a change by a station before this one is in the event.
            let changing: Vec<usize> = (0..=index)
                .filter(|other| self.case.stations[*other].mutates)
                .filter(|other| *other == index || before[index].contains(other))
                .collect();
            let expected = |sequence: u64, mut event: Content| {
                for other in &changing {
                    if handled[*other].contains(&sequence) {
                        event.pass(*other);
                    }
                }
                event
            };
            for (seen, (sequence, event)) in seen.iter().zip(&self.accepted) {
                let expected = match seen {
                    Seen::Handled(..) => Seen::Handled(*sequence, expected(*sequence, *event)),
                    Seen::Skipped(_) => Seen::Skipped(*sequence),
                };
                ensure!(*seen == expected, "s{index} saw {seen:?} instead of {expected:?}");
            }
            let (count, most) = (seen.len(), self.accepted.len());
            ensure!(count <= most, "s{index} saw {count} events of {most}");
            ensure!(!self.is_complete(index) || count == most, "s{index} saw {count} of {most}");
        }
        Ok(())
    }

    /// Whether a station must have seen everything.
    fn is_complete(&self, index: usize) -> bool {
        let stayed = match &self.outcome.ends[index] {
            Some(end) => *end == End::Closed,
            None => !self.case.stations[index].form.is_polled(),
        };
        stayed && !self.may_halt()
    }

    /// The stations before each station.
    fn before(&self) -> Vec<BTreeSet<usize>> {
        let mut before: Vec<BTreeSet<usize>> = Vec::new();
        for station in &self.case.stations {
            let mut all: BTreeSet<usize> = station.follows.iter().copied().collect();
            all.extend(station.follows.iter().flat_map(|followed| before[*followed].clone()));
            before.push(all);
        }
        before
    }

    fn told(&self) -> Result<(), String> {
        let is_a_threads = |name: &str| {
            let station = name.strip_prefix('s').and_then(|index| index.parse::<usize>().ok());
            station.is_some_and(|index| !self.case.stations[index].form.is_polled())
        };
        match &self.outcome.told {
            None => {
                ensure!(self.ending.last == Last::Drop, "nobody was told anything");
                Ok(())
            }
            Some(Ok(report)) => {
                let fault = self.outcome.faults.iter().find(|(name, _)| is_a_threads(name));
                ensure!(fault.is_none(), "the owner was not told of {fault:?}");
                self.report(report, &[])
            }
            Some(Err(ShutdownError { cause, report })) => match cause {
                ShutdownCause::Fault(fault) => {
                    self.is_known(fault)?;
                    // Some may run on if the grace was short.
                    let running: Vec<String> =
                        if self.case.time_passes > 0 { self.names() } else { Vec::new() };
                    self.report(report, &running)
                }
                ShutdownCause::TimedOut { running } => {
                    let had_no_time =
                        self.case.time_passes > 0 || self.ending.last == Last::ShutdownNow;
                    ensure!(had_no_time, "the time was up although it stood still");
                    ensure!(
                        running.is_empty() || self.case.time_passes > 0,
                        "left alone although the time stood still: {running:?}"
                    );
                    self.report(report, running)
                }
                other => Err(format!("nobody has caused: {other:?}")),
            },
        }
    }

    fn names(&self) -> Vec<String> {
        (0..self.case.stations.len()).map(super::Station::name).collect()
    }

    /// `running` are stations that may have gone on behind the report.
    fn report(&self, report: &Report, running: &[String]) -> Result<(), String> {
        let (published, abandoned) = (report.published, report.abandoned);
        let (accepted, all_abandoned) = (self.accepted.len() as u64, self.abandoned());
        ensure!(
            published + abandoned == accepted + all_abandoned && abandoned <= all_abandoned,
            "{accepted} events were accepted and {all_abandoned} abandoned, not as in: {report}"
        );
        let has_thread = self.case.stations.iter().any(|station| !station.form.is_polled());
        ensure!(
            abandoned == all_abandoned || self.may_halt() || !has_thread,
            "{all_abandoned} events were abandoned before the stations ended, not as in: {report}"
        );
        ensure!(report.stations.len() == self.case.stations.len(), "stations lack in {report}");
        for (index, station) in report.stations.iter().enumerate() {
            let name = &station.name;
            ensure!(*name == super::Station::name(index), "{name} is in the wrong place");
            let sum = station.handled + station.skipped + station.left;
            ensure!(sum == published, "{name} accounts for {sum} of {published}");
            let seen = &self.outcome.seen[index];
            let skipped = seen.iter().filter(|seen| matches!(seen, Seen::Skipped(_))).count();
            let truth = ((seen.len() - skipped) as u64, skipped as u64);
            let told = (station.handled, station.skipped);
            let is_polled = self.case.stations[index].form.is_polled();
            let is_final = !running.contains(name) && (!is_polled || self.ending.late);
            ensure!(
                told == truth || (!is_final && told.0 <= truth.0 && told.1 <= truth.1),
                "{name} handled and skipped {truth:?}, not {told:?}"
            );
            let (retried, truth) = (station.retried, self.outcome.retried[index]);
            ensure!(
                retried == truth || (retried < truth && (!is_final || self.may_halt())),
                "{name} was called again {truth} times, not {retried}"
            );
        }
        Ok(())
    }
}
