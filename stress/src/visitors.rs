//! Visitors at work: they attach guests to a running ring, and see them off.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use slipring::{AttachError, BuildError, Detach, Member, Membership, Poller, StationReport, read};

use crate::{
    event::Event,
    evidence::{Act, Arrival, Departure, GuestAccount, Reception, Visit},
    executor,
    plan::{AMPLE, Behind, Driver, ExecutorPlan, Plan, PollerPlan, Stay, VisitPlan},
    pollers, ring,
    script::Script,
    shared::Shared,
};

const LOOK_EVERY: Duration = Duration::from_micros(200);

pub struct Visitor<E> {
    members: Membership<E>,
    /// The stations' names.
    names: Vec<String>,
    executors: Vec<ExecutorPlan>,
    shared: Arc<Shared>,
}

/// A guest that is there.
enum Guest<E> {
    Member(Member<E>),
    Polled(Box<Poller<E>>, Box<Script<'static>>, PollerPlan),
}

impl<E: Event> Visitor<E> {
    pub fn new(plan: &Plan, members: Membership<E>, shared: &Arc<Shared>) -> Self {
        let names = plan.stations.iter().map(|plan| plan.name.clone()).collect();
        let executors = plan.executors.clone();
        Self { members, names, executors, shared: Arc::clone(shared) }
    }

    /// Pays all its visits, one after the other.
    pub fn pay(&self, plans: Vec<VisitPlan>, scripts: Vec<Script<'static>>) -> Vec<Visit> {
        let pay = |(plan, script): (VisitPlan, Script<'static>)| {
            // What has ended does not begin again: there is nothing to wait for.
            if !self.shared.is_closed.load(Ordering::Acquire) {
                thread::sleep(plan.after);
            }
            self.visit(&plan, script)
        };
        plans.into_iter().zip(scripts).map(pay).collect()
    }

    fn visit(&self, plan: &VisitPlan, script: Script<'static>) -> Visit {
        let index = script.index();
        let (arrival, guest) = self.arrive(plan, script);
        let mut visit = Visit { arrival: Some(arrival), ..Visit::default() };
        let Some(guest) = guest else { return visit };
        if plan.has_twin {
            visit.complaints.extend(self.try_twin(&plan.guest.name));
        }
        match guest {
            Guest::Polled(poller, script, how) => {
                let before = self.departure(None);
                executor::alone(pollers::attend(*poller, *script, &how), self.executor(&how));
                let acts = (before.acts.0, self.shared.act());
                visit.departure = Some(Departure { acts, ..before });
            }
            Guest::Member(member) => {
                let first = member.first_sequence();
                let departure = self.see_off(member, plan.stay);
                if let Some(report) = departure.as_ref().and_then(|gone| gone.report.as_ref())
                    && (report.first != first || report.name != plan.guest.name)
                {
                    visit.complaints.push(format!("it began at {first}, not as in {report:?}"));
                }
                if departure.is_some() && !self.shared.has_testified(index) {
                    visit.complaints.push("it has left, and its handler is still there".to_owned());
                }
                visit.departure = departure;
            }
        }
        visit
    }

    fn arrive(&self, plan: &VisitPlan, script: Script<'static>) -> (Arrival, Option<Guest<E>>) {
        let shared = &*self.shared;
        let was_closed = shared.is_closed.load(Ordering::Acquire);
        let (published, tick) = (shared.published(), shared.tick());
        shared.attempts.fetch_add(1, Ordering::Relaxed);
        let attached = self.attach(plan, script);
        let arrivals = shared.arrivals.fetch_add(1, Ordering::AcqRel) + 1;
        let act = shared.act();
        let may_be_closed = shared.is_closing.load(Ordering::Acquire)
            || shared.producers_left.load(Ordering::Acquire) == 0;
        let (answer, guest) = match attached {
            Ok(guest) => {
                let first = match &guest {
                    Guest::Member(member) => member.first_sequence(),
                    Guest::Polled(poller, ..) => poller.sequence(),
                };
                (Reception::Welcome(first), Some(guest))
            }
            Err(AttachError::Closed) => (Reception::Closed, None),
            Err(AttachError::Station(BuildError::Unordered { .. })) => (Reception::Unordered, None),
            Err(AttachError::Station(BuildError::NotStarted { station, .. }))
                if station == plan.guest.name =>
            {
                (Reception::NotStarted, None)
            }
            Err(error) => (Reception::Other(error.to_string()), None),
        };
        let ticks = tick.zip(shared.tick());
        let arrival =
            Arrival { was_closed, may_be_closed, published, ticks, arrivals, act, answer };
        (arrival, guest)
    }

    fn attach(&self, plan: &VisitPlan, script: Script<'static>) -> Result<Guest<E>, AttachError> {
        let start = plan.start;
        let names = |behind: &[usize]| behind.iter().map(|index| &self.names[*index]).collect();
        if let Driver::Poller(how) = &plan.guest.driver {
            let (station, script) = ring::polled(script);
            let poller = match &plan.behind {
                Behind::Last => self.members.attach_poller(station, start),
                Behind::These(behind) => {
                    let names: Vec<&String> = names(behind);
                    self.members.attach_poller_after(names, station, start)
                }
            }?;
            return Ok(Guest::Polled(Box::new(poller), Box::new(script), how.clone()));
        }
        let station = ring::reading::<E>(script);
        let member = match &plan.behind {
            Behind::Last => self.members.attach(station, start),
            Behind::These(behind) => {
                let names: Vec<&String> = names(behind);
                self.members.attach_after(names, station, start)
            }
        }?;
        Ok(Guest::Member(member))
    }

    /// Another guest of the name of one that is there.
    fn try_twin(&self, name: &str) -> Option<String> {
        let twin = read(name, |_: &E, _| Err("it was not to be attached"));
        match self.members.attach(twin, slipring::Start::Oldest) {
            Err(AttachError::Closed | AttachError::Station(BuildError::DuplicateName(_))) => None,
            other => Some(format!("a second one of its name: {other:?}")),
        }
    }

    /// Has a guest stay as planned, and detaches it if that is planned.
    fn see_off(&self, member: Member<E>, stay: Stay) -> Option<Departure> {
        let (how, pause) = match stay {
            Stay::Polled | Stay::Forgotten => return None,
            Stay::For { time, how, pause } => {
                thread::sleep(time);
                (how, pause)
            }
            Stay::ToTheEnd(how) => {
                while self.shared.act() != Act::After {
                    thread::sleep(LOOK_EVERY);
                }
                (how, None)
            }
        };
        let mut departure = self.departure(Some(how));
        let report = match pause {
            None => member.detach(how, AMPLE),
            Some(pause) => member.detach(how, Duration::ZERO).or_else(|still_there| {
                thread::sleep(pause);
                departure.without_producers = self.is_without_producers();
                still_there.member.detach(how, AMPLE)
            }),
        };
        let report: StationReport = report.expect("it has left within ten minutes");
        departure.report = Some(GuestAccount::of(&report));
        departure.acts.1 = self.shared.act();
        Some(departure)
    }

    /// What is known of a departure beforehand.
    fn departure(&self, how: Option<Detach>) -> Departure {
        let act = self.shared.act();
        Departure {
            how,
            published: self.shared.published(),
            tick: self.shared.tick(),
            acts: (act, act),
            without_producers: self.is_without_producers(),
            report: None,
        }
    }

    /// How a guest is run that is a task.
    fn executor(&self, how: &PollerPlan) -> ExecutorPlan {
        how.task.map(|task| self.executors[task.executor]).unwrap_or_default()
    }

    fn is_without_producers(&self) -> bool {
        self.shared.producers_left.load(Ordering::Acquire) == 0
    }
}
