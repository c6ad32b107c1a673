//! Rules: which figure of a ring is worth an alert, from where on, and when it is over.

use std::{borrow::Cow, fmt, time::Duration};

use crate::value::Value;

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stations {
    /// Every station, those included that are attached while the ring runs. Each has alerts of its own.
    Any,
    /// The station of this name, whenever there is one.
    Named(String),
}

impl From<&str> for Stations {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl From<String> for Stations {
    fn from(name: String) -> Self {
        Self::Named(name)
    }
}

impl fmt::Display for Stations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any station"),
            Self::Named(name) => write!(f, "`{name}`"),
        }
    }
}

/// When to raise an alert, and when to clear it: a value that can be compared, copied and printed.
///
/// An alert is raised when the figure has been at the threshold or above at every look for
/// [`for_at_least`](Self::for_at_least) so long, at once if that is not given. It is cleared at the first
/// look that finds the figure below [`until`](Self::until), which is the threshold itself if not given.
/// A look that cannot tell, such as one for a share of no calls at all, changes nothing.
///
/// `T` is the figure's unit, in which `until` is given. [`Rules`](crate::Rules) take rules of every unit.
///
/// # Examples
/// ```
/// use slipring_insight::{Rule, Stations};
/// use std::time::Duration;
///
/// let behind = Rule::lag("risk", 10_000).until(1_000).for_at_least(Duration::from_secs(5));
/// assert_eq!(
///     behind.to_string(),
///     "lag of `risk`: from 10000 events on, for at least 5.0s, until below 1000 events"
/// );
/// let full = Rule::fill(0.9).until(0.7);
/// let hung = Rule::stall(Stations::Any, Duration::from_secs(10));
/// let waiting = Rule::back_pressure(0.5);
/// let failing = Rule::error_rate(Stations::Any, 0.01);
/// // Of what stations tell themselves, by names that they choose.
/// let waiting_mail = Rule::told("welcome mail", "waiting", 100).until(10);
/// let slow = Rule::told(Stations::Any, "age p99", Duration::from_secs(2));
/// let dead = Rule::growth(Stations::Any, "dead", 1);
/// assert_eq!(dead.to_string(), "growth of `dead` of any station: from 1 on");
/// # let _ = (full, hung, waiting, failing, waiting_mail, slow);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a rule is looked after by `Rules`"]
pub struct Rule<T = Value> {
    pub(crate) figure: Figure,
    pub(crate) from: T,
    pub(crate) until: T,
    pub(crate) for_at_least: Duration,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    Lag(Stations),
    Fill,
    Stall(Stations),
    BackPressure,
    ErrorRate(Stations),
    /// By its name, as a station tells it.
    Told(Stations, String),
    /// By how much a count has grown.
    Growth(Stations, String),
}

impl Rule<u64> {
    /// A station lags: it could have handled so many events, in sequences, and has not.
    ///
    /// The place that it has left to fall behind is the ring's capacity: a threshold above that is never
    /// reached.
    pub fn lag(stations: impl Into<Stations>, events: u64) -> Self {
        Self::new(Figure::Lag(stations.into()), events)
    }

    /// A count that a station [tells](slipring::Station::tell), by the name that it has there, has grown by so much since
    /// the look before. Of a figure that is no count, nothing is known.
    pub fn growth(stations: impl Into<Stations>, figure: impl Into<String>, more: u64) -> Self {
        Self::new(Figure::Growth(stations.into(), figure.into()), more)
    }
}

/// What a figure that is [told](Rule::told) can be compared with: a number, or a time.
pub trait Told: Copy + PartialOrd + sealed::Told {}
impl<T: Copy + PartialOrd + sealed::Told> Told for T {}

mod sealed {
    pub trait Told {}
    impl Told for u64 {}
    impl Told for std::time::Duration {}
}

impl<T: Told> Rule<T> {
    /// A figure that a station [tells](slipring::Station::tell), by the name that it has there, has this value: a number of a
    /// level or a count, or a time of a time. Of one that is of the other kind, or that the station does not tell, nothing
    /// is known, and an alert stays as it was. A count never goes back: see [`growth`](Self::growth).
    pub fn told(stations: impl Into<Stations>, figure: impl Into<String>, value: T) -> Self {
        Self::new(Figure::Told(stations.into(), figure.into()), value)
    }
}

impl Rule<Duration> {
    /// A station stands still: it has something to handle, and at every look for so long its cursor was at the
    /// same place and its handler had failed on nothing. The handler hangs, or nobody polls.
    ///
    /// The time begins at the first look that found it there, so it is too short by up to the time between
    /// two looks, and never too long. A cursor moves when a batch is handled: the threshold has to be longer
    /// than the longest batch takes. Of a team, one worker that hangs is enough.
    pub fn stall(stations: impl Into<Stations>, time: Duration) -> Self {
        Self::new(Figure::Stall(stations.into()), time)
    }
}

impl Rule<f64> {
    /// The ring is full by so large a share of its slots, from 0 to 1.
    pub fn fill(share: f64) -> Self {
        Self::new(Figure::Fill, share)
    }

    /// Producers wait for room, for so large a share of the time since the look before, from 0 to 1: the average
    /// over all producers. A wait is noted when it ends, and one that goes on is known to have filled the time when
    /// no other began; tasks that await room are not counted.
    pub fn back_pressure(share: f64) -> Self {
        Self::new(Figure::BackPressure, share)
    }

    /// Calls of a station's handler fail: so large a share of those since the look before, from 0 to 1. What
    /// went well counts by events, and so does one call for a slice of them, unless the station's owner
    /// [notes](slipring::Poller::note_calls) its calls. Without a call, nothing
    /// is known, and an alert stays as it was.
    pub fn error_rate(stations: impl Into<Stations>, share: f64) -> Self {
        Self::new(Figure::ErrorRate(stations.into()), share)
    }
}

impl<T: Copy + PartialOrd> Rule<T> {
    fn new(figure: Figure, from: T) -> Self {
        Self { figure, from, until: from, for_at_least: Duration::ZERO }
    }

    /// The alert is over only when the figure is below `lower`, so that it does not come and go with a figure that
    /// dances around the threshold. Of no effect if `lower` is not below that.
    pub fn until(mut self, lower: T) -> Self {
        if lower < self.from {
            self.until = lower;
        }
        self
    }
}

impl<T> Rule<T> {
    /// The alert is raised only when the figure has been at the threshold or above for so long.
    pub fn for_at_least(mut self, time: Duration) -> Self {
        self.for_at_least = time;
        self
    }

    /// What it is about, in a word that stays the same: `lag`, `fill`, `stall`, `back_pressure`, `error_rate`,
    /// `told`, `growth`.
    pub fn name(&self) -> &'static str {
        self.figure.name()
    }
}

impl Rule {
    /// From here on upwards an alert is raised.
    pub fn threshold(&self) -> Value {
        self.from
    }

    /// Below this, an alert is over.
    pub fn lower_threshold(&self) -> Value {
        self.until
    }
}

impl From<Rule<u64>> for Rule {
    fn from(rule: Rule<u64>) -> Self {
        rule.with_units()
    }
}

impl From<Rule<f64>> for Rule {
    fn from(rule: Rule<f64>) -> Self {
        rule.with_units()
    }
}

impl From<Rule<Duration>> for Rule {
    fn from(rule: Rule<Duration>) -> Self {
        rule.with_units()
    }
}

impl<T: Into<Value>> Rule<T> {
    fn with_units(self) -> Rule {
        let Self { figure, from, until, for_at_least } = self;
        let [from, until] = [from, until].map(|value| figure.in_its_unit(value.into()));
        Rule { figure, from, until, for_at_least }
    }
}

impl<T: Copy + PartialEq + Into<Value>> fmt::Display for Rule<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { figure, from, until, for_at_least } = self;
        let from_value = figure.in_its_unit((*from).into());
        write!(f, "{figure}: from {from_value} on")?;
        if !for_at_least.is_zero() {
            write!(f, ", for at least {}", Value::Time(*for_at_least))?;
        }
        if until != from {
            let until = figure.in_its_unit((*until).into());
            write!(f, ", until below {until}")?;
        }
        Ok(())
    }
}

impl Figure {
    fn name(&self) -> &'static str {
        match self {
            Self::Lag(_) => "lag",
            Self::Fill => "fill",
            Self::Stall(_) => "stall",
            Self::BackPressure => "back_pressure",
            Self::ErrorRate(_) => "error_rate",
            Self::Told(..) => "told",
            Self::Growth(..) => "growth",
        }
    }

    /// What it is called in a sentence.
    pub(crate) fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Told(_, figure) => format!("`{figure}`").into(),
            Self::Growth(_, figure) => format!("growth of `{figure}`").into(),
            known => known.name().into(),
        }
    }

    /// A number of events is one of something else where a station says of what.
    fn in_its_unit(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Told(..) | Self::Growth(..), Value::Events(number)) => Value::Number(number),
            (_, value) => value,
        }
    }

    /// Whom it is measured for; `None`: the ring as a whole.
    pub(crate) fn stations(&self) -> Option<&Stations> {
        match self {
            Self::Lag(stations)
            | Self::Stall(stations)
            | Self::ErrorRate(stations)
            | Self::Told(stations, _)
            | Self::Growth(stations, _) => Some(stations),
            Self::Fill | Self::BackPressure => None,
        }
    }

    /// What it came to, as a clause.
    pub(crate) fn told(&self, station: &str, value: Value) -> String {
        match self {
            Self::Lag(_) => format!("`{station}` lags by {value}"),
            Self::Fill => format!("{value} of the slots are in use"),
            Self::Stall(_) => format!("`{station}` has work and has not moved for {value}"),
            Self::BackPressure => format!("producers wait for room {value} of the time"),
            Self::ErrorRate(_) => format!("{value} of the calls of `{station}` fail"),
            Self::Told(_, figure) => format!("`{figure}` of `{station}` is {value}"),
            Self::Growth(_, figure) => format!("`{figure}` of `{station}` has grown by {value}"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())?;
        self.stations().map_or(Ok(()), |stations| write!(f, " of {stations}"))
    }
}
