//! What all rounds came to.

use std::fmt;

use crate::{
    evidence::{Answer, Awaited, Cause, End, Evidence, Manner, Outcome, Reception, Testimony},
    plan::{Driver, Plan, StationPlan, Way},
};

#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub rounds: u64,
    not_started: u64,
    published: u64,
    abandoned: u64,
    refused: u64,
    handled: u64,
    failures: u64,
    skipped: u64,
    left: u64,
    conflated: u64,
    late: u64,
    left_by_limit: u64,
    watched: u64,
    looks: u64,
    cleared: u64,
    write_panics: u64,
    handler_panics: u64,
    hook_panics: u64,
    reset_panics: u64,
    reader_panics: u64,
    detaches: u64,
    teams: u64,
    keys_asked: u64,
    guests: u64,
    guests_refused: u64,
    guests_detached: u64,
    seen_by_guests: u64,
    closes: u64,
    halts: u64,
    faults: u64,
    joins: u64,
    shutdowns: u64,
    timeouts: u64,
    drops: u64,
    /// By what their closures did in the end.
    scopes: [u64; 4],
    tasks: u64,
    waits: u64,
    given_up: u64,
    streams: u64,
    items: u64,
    awaiting: u64,
    calls_given_up: u64,
    tokens: u64,
}

impl Totals {
    pub fn add_not_started(&mut self) {
        self.rounds += 1;
        self.not_started += 1;
        self.hook_panics += 1;
    }

    pub fn add(&mut self, plan: &Plan, evidence: &Evidence) {
        self.rounds += 1;
        for call in evidence.ledgers.iter().flat_map(|ledger| &ledger.calls) {
            self.awaiting += u64::from(call.manner == Manner::Awaiting);
            match &call.answer {
                Answer::GivenUp => self.calls_given_up += 1,
                Answer::Accepted(range) => self.published += range.end - range.start,
                Answer::Refused(_) => self.refused += call.count as u64,
                Answer::Panicked => {
                    self.write_panics += 1;
                    self.abandoned += if plan.is_multi { call.count as u64 } else { 0 };
                }
            }
        }
        let stations = plan.stations.len();
        for (index, (plan, testimony)) in plan.everybody().zip(&evidence.testimonies).enumerate() {
            let count = |outcome| {
                let entries = testimony.log.iter().filter(move |entry| entry.outcome == outcome);
                entries.count() as u64
            };
            let calls = testimony
                .log
                .iter()
                .filter(|entry| entry.outcome == Outcome::Failed && entry.sequence == entry.unit);
            let calls = calls.count() as u64;
            self.handled += count(Outcome::Done);
            self.seen_by_guests += if index < stations { 0 } else { count(Outcome::Done) };
            self.teams += u64::from(plan.workers() > 1);
            self.reader_panics += count(Outcome::GivenBack);
            let panics = plan.failing.is_some_and(|failing| failing.panics);
            *(if panics { &mut self.handler_panics } else { &mut self.failures }) += calls;
            self.hook_panics += u64::from(testimony.hook_panicked.is_some());
            let taken = matches!(plan.driver, Driver::Poller(_));
            self.add_awaited(plan, testimony);
            self.detaches += u64::from(taken && testimony.end == End::Left);
        }
        self.keys_asked += evidence.asked.iter().map(|asked| asked.len() as u64).sum::<u64>();
        for visit in &evidence.visits {
            if let Some(arrival) = &visit.arrival {
                let is_here = matches!(arrival.answer, Reception::Welcome(_));
                *(if is_here { &mut self.guests } else { &mut self.guests_refused }) += 1;
            }
            let told = visit.departure.as_ref().is_some_and(|departure| departure.how.is_some());
            self.guests_detached += u64::from(told);
        }
        if let Some(account) = &evidence.ending.account {
            self.skipped += account.stations.iter().map(|station| station.skipped).sum::<u64>();
            self.left += account.stations.iter().map(|station| station.left).sum::<u64>();
            self.conflated += account.stations.iter().map(|station| station.conflated).sum::<u64>();
        }
        self.add_looks(plan, evidence);
        self.cleared += evidence.cleared.len() as u64;
        self.reset_panics += u64::from(evidence.reset_panicked);
        self.closes += u64::from(evidence.closes);
        self.halts += u64::from(evidence.halts);
        self.faults += u64::from(matches!(evidence.ending.cause, Cause::Fault(_)));
        self.timeouts += u64::from(matches!(evidence.ending.cause, Cause::TimedOut(_)));
        *(match plan.finale.way {
            Way::Join => &mut self.joins,
            Way::Shutdown(_) => &mut self.shutdowns,
            Way::Drop => &mut self.drops,
            Way::Scope(end) => &mut self.scopes[end as usize],
        }) += 1;
        self.tokens += evidence.count.made;
    }
}

impl Totals {
    fn add_awaited(&mut self, plan: &StationPlan, testimony: &Testimony) {
        self.tasks += u64::from(plan.task().is_some());
        let Awaited { waits, given_up, streams, items } = testimony.awaited;
        self.waits += waits;
        self.given_up += given_up;
        self.streams += streams;
        self.items += items;
    }

    fn add_looks(&mut self, plan: &Plan, evidence: &Evidence) {
        self.watched += u64::from(plan.watch.is_some());
        self.looks += evidence.looks;
        let Some(look) = &evidence.last_look else { return };
        let everybody = look.stations.iter().chain(&look.guests);
        self.late += everybody.map(|seen| seen.late).sum::<u64>();
        let leaves = |name: &String| {
            plan.everybody().any(|plan| plan.name == *name && plan.leaves_beyond().is_some())
        };
        let everybody = look.stations.iter().chain(&look.guests);
        let left = everybody.filter(|seen| seen.late > 0 && leaves(&seen.name));
        self.left_by_limit += left.count() as u64;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rounds     {}, of which {} did not start", self.rounds, self.not_started)?;
        writeln!(f, "published  {}", self.published)?;
        writeln!(f, "abandoned  {}", self.abandoned)?;
        writeln!(f, "refused    {}", self.refused)?;
        writeln!(f, "handled    {}", self.handled)?;
        writeln!(f, "skipped    {}, by the reports", self.skipped)?;
        writeln!(f, "left       {}, by the reports", self.left)?;
        writeln!(f, "conflated  {}, by the reports", self.conflated)?;
        writeln!(f, "late       {} times; {} left by their limit", self.late, self.left_by_limit)?;
        writeln!(f, "looks      {}, in {} rounds", self.looks, self.watched)?;
        writeln!(f, "reset      {} slots", self.cleared)?;
        writeln!(f, "dropped    {} owned values", self.tokens)?;
        writeln!(
            f,
            "panics     {} in write closures, {} in handlers, {} in hooks, {} in reset hooks, {} over \
             batches",
            self.write_panics,
            self.handler_panics,
            self.hook_panics,
            self.reset_panics,
            self.reader_panics,
        )?;
        writeln!(f, "errors     {}", self.failures)?;
        writeln!(f, "detaches   {}", self.detaches)?;
        writeln!(f, "teams      {}, which asked for {} keys", self.teams, self.keys_asked)?;
        writeln!(
            f,
            "guests     {}, of which {} were detached; {} more were refused; they handled {}",
            self.guests, self.guests_detached, self.guests_refused, self.seen_by_guests,
        )?;
        writeln!(
            f,
            "tasks      {} that poll: {} waits and {} given up, {} items of {} streams; {} calls awaited \
             room, of which {} were given up",
            self.tasks,
            self.waits,
            self.given_up,
            self.items,
            self.streams,
            self.awaiting,
            self.calls_given_up,
        )?;
        let [returns, panics, closes, halts] = self.scopes;
        writeln!(
            f,
            "scopes     {returns} that return, {panics} that panic, {closes} that close, {halts} that halt",
        )?;
        writeln!(f, "closes     {}, halts {}, faults {}", self.closes, self.halts, self.faults)?;
        write!(
            f,
            "ends       {} joins, {} shutdowns ({} out of time), {} drops",
            self.joins, self.shutdowns, self.timeouts, self.drops,
        )
    }
}
