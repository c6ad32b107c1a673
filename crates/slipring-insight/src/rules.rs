//! The rules of a ring at work: snapshots go in, alerts come out.

use std::{mem, time::Duration};

use slipring::{Snapshot, StationSnapshot};

use crate::{
    alert::{Alert, Turn},
    measure::{Look, Measures, are_one},
    rule::{Rule, Stations},
    value::Value,
};

/// The rules of one ring, and what they have found so far.
///
/// It has no clock: time is that of the snapshots, which are to be looked at in the order in which they were
/// taken, and to be told of the ring's [end](Self::end). [`Rounds`](crate::Rounds) and [`Watch`](crate::Watch) do that.
///
/// # Examples
/// ```
/// use slipring::{Builder, poller};
/// use slipring_insight::{Rule, Rules};
///
/// let (mut producer, mut dispatcher) = Builder::new(16, || 0_u64).then(poller("risk")).start()?;
/// let mut rules = Rules::new("orders").with(Rule::lag("risk", 10).until(5)).with(Rule::fill(0.9));
/// let mut risk = dispatcher.poller("risk")?;
///
/// producer.publish_batch(12, |_, _| ())?;
/// let alerts = rules.look(&dispatcher.snapshot());
/// assert_eq!(alerts.len(), 1); // Three quarters of the slots is not 90 %.
/// assert!(alerts[0].to_string().starts_with(
///     "ring `orders`: `risk` lags by 12 events (alert from 10 events on; since "
/// ));
/// assert!(rules.look(&dispatcher.snapshot()).is_empty()); // An alert is raised once.
///
/// risk.poll(|_, _| ())?; // Four events: 8 are left, and that is not below 5.
/// assert!(rules.look(&dispatcher.snapshot()).is_empty());
/// risk.poll(|_, _| ())?;
/// let over = rules.look(&dispatcher.snapshot());
/// assert!(over[0].to_string().ends_with(": `risk` lags by 4 events (below 5 events)"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rules {
    ring: String,
    kept: Vec<Kept>,
    measures: Measures,
}

/// A rule, and how it stands with everybody whom it is about.
#[derive(Clone, Debug)]
struct Kept {
    rule: Rule,
    cases: Vec<Case>,
}

#[derive(Clone, Debug)]
struct Case {
    /// As it was at the last look; `None`: the ring as a whole.
    station: Option<StationSnapshot>,
    state: State,
}

/// How a rule stands with somebody.
///
/// ```text
///            at the threshold              for long enough
///     Calm -------------------> Building -----------------> Raised
///       ^                          |                           |
///       +---- below it ------------+        below `until` -----+
/// ```
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Calm,
    /// The condition holds, and not yet for long enough.
    Building {
        since: Duration,
    },
    Raised {
        since: Duration,
    },
}

impl Rules {
    /// No rules yet, for a ring of this name: alerts tell it.
    pub fn new(ring: impl Into<String>) -> Self {
        Self { ring: ring.into(), kept: Vec::new(), measures: Measures::default() }
    }

    /// And this rule.
    #[must_use]
    pub fn with(mut self, rule: impl Into<Rule>) -> Self {
        self.kept.push(Kept { rule: rule.into(), cases: Vec::new() });
        self
    }

    /// The name of the ring.
    pub fn ring(&self) -> &str {
        &self.ring
    }

    /// Looks at the next snapshot of the ring; what has begun or ended since the one before, in the order of
    /// the rules.
    pub fn look(&mut self, snapshot: &Snapshot) -> Vec<Alert> {
        let look = self.measures.look(snapshot);
        let ring = &self.ring;
        self.kept.iter_mut().flat_map(|kept| kept.look(ring, &look)).collect()
    }

    /// The ring has ended, and nothing will change any more: clears every alert that is raised, whatever the
    /// figures are at which it ended. What is looked at next counts as another ring.
    ///
    /// # Examples
    /// ```
    /// use slipring::{Builder, poller};
    /// use slipring_insight::{Rule, Rules};
    ///
    /// let (mut producer, dispatcher) = Builder::new(8, || 0_u64).then(poller("risk")).start()?;
    /// let mut rules = Rules::new("orders").with(Rule::fill(0.5));
    /// producer.publish_batch(6, |_, _| ())?;
    /// assert_eq!(rules.look(&dispatcher.snapshot()).len(), 1);
    ///
    /// dispatcher.halt();
    /// let over = rules.end();
    /// assert!(over[0].to_string().ends_with(": the ring has ended"));
    /// assert!(rules.end().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end(&mut self) -> Vec<Alert> {
        let at = mem::take(&mut self.measures).last_at().unwrap_or_default();
        let ring = &self.ring;
        self.kept.iter_mut().flat_map(|kept| kept.end(ring, at)).collect()
    }
}

impl Kept {
    fn look(&mut self, ring: &str, look: &Look<'_>) -> Vec<Alert> {
        let Self { rule, cases } = self;
        let mut earlier = mem::take(cases);
        let mut alerts = Vec::new();
        let alert = |turn, station: Option<&StationSnapshot>, value, since| Alert {
            turn,
            rule: rule.clone(),
            ring: ring.to_owned(),
            station: station.map(|station| station.account.name.clone()),
            value,
            is_at_the_end: false,
            since,
            at: look.now.at,
        };
        for place in places(rule, look.now) {
            let station = place.map(|place| &look.now.stations[place]);
            let state = take(&mut earlier, station);
            // A time is not compared with a number, should a station tell one where the rule has the other.
            let value = look.value(&rule.figure, place).filter(|value| value.is_like(&rule.from));
            let (state, turn) = value.map_or((state, None), |it| state.next(rule, it, look.now.at));
            alerts.extend(turn.map(|(turn, since)| alert(turn, station, value, since)));
            cases.push(Case { station: station.cloned(), state });
        }
        for Case { station, state } in earlier {
            if let State::Raised { since } = state {
                alerts.push(alert(Turn::Cleared, station.as_ref(), None, since));
            }
        }
        alerts
    }

    fn end(&mut self, ring: &str, at: Duration) -> Vec<Alert> {
        let Self { rule, cases } = self;
        let cleared = |Case { station, state }| {
            let State::Raised { since } = state else { return None };
            Some(Alert {
                turn: Turn::Cleared,
                rule: rule.clone(),
                ring: ring.to_owned(),
                station: station.map(|station| station.account.name),
                value: None,
                is_at_the_end: true,
                since,
                at,
            })
        };
        mem::take(cases).into_iter().filter_map(cleared).collect()
    }
}

/// Whom a rule is about: places of stations, or the ring as a whole.
fn places(rule: &Rule, now: &Snapshot) -> Vec<Option<usize>> {
    let Some(stations) = rule.figure.stations() else { return vec![None] };
    let is_meant = |station: &StationSnapshot| match stations {
        Stations::Any => true,
        Stations::Named(name) => station.account.name == *name,
    };
    let all = now.stations.iter().enumerate();
    all.filter(|(_, station)| is_meant(station)).map(|(place, _)| Some(place)).collect()
}

/// How it stood with somebody at the look before.
fn take(earlier: &mut Vec<Case>, station: Option<&StationSnapshot>) -> State {
    let is_theirs = |case: &Case| match (&case.station, station) {
        (Some(before), Some(now)) => are_one(before, now),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    let place = earlier.iter().position(is_theirs);
    place.map_or(State::Calm, |place| earlier.swap_remove(place).state)
}

impl State {
    /// What comes of a value that was found `at` this time; and if the alert begins or ends with it, since when
    /// the condition has held.
    fn next(self, rule: &Rule, value: Value, at: Duration) -> (Self, Option<(Turn, Duration)>) {
        match self {
            Self::Raised { since } if value < rule.until => {
                (Self::Calm, Some((Turn::Cleared, since)))
            }
            Self::Raised { .. } => (self, None),
            Self::Calm | Self::Building { .. } if value >= rule.from => {
                let since = if let Self::Building { since } = self { since } else { at };
                if at.saturating_sub(since) >= rule.for_at_least {
                    (Self::Raised { since }, Some((Turn::Raised, since)))
                } else {
                    (Self::Building { since }, None)
                }
            }
            Self::Calm | Self::Building { .. } => (Self::Calm, None),
        }
    }
}
