//! One look after the other at several rings, and who is told.

use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use slipring::{Doing, Monitor, Phase, Snapshot};

use crate::{alert::Alert, rules::Rules, trace};

/// Rings, the [rules](Rules) of each, and callbacks: everything that a [`Watch`](crate::Watch) does, but for the
/// thread and the clock.
///
/// A ring that has ended is looked at one more time, because a halted one's handlers may still have
/// returned from their last batch after the look that found it so. Then every alert that is still raised is
/// cleared, since nothing is left that could end it, and its monitor is let go of, with it the ring's memory. Of a ring
/// that goes on, alerts stay as they are when nobody looks any more.
///
/// A callback that panics is counted, and called again the next time.
///
/// # Examples
/// ```
/// use slipring::{Builder, read};
/// use slipring_insight::{Rounds, Rule, Rules};
///
/// let (mut producer, dispatcher) =
///     Builder::new(8, || 0_u64).then(read("count", |_: &u64, _| ())).start()?;
/// let mut rounds = Rounds::new()
///     .ring(dispatcher.monitor(), Rules::new("numbers").with(Rule::fill(0.9)))
///     .on_look(|ring, snapshot| println!("{ring}: {} published", snapshot.published))
///     .on_alert(|alert| eprintln!("{alert}"));
/// producer.publish(|event| *event = 1)?;
/// rounds.look();
/// assert_eq!((rounds.tally().looks, rounds.are_over()), (1, false));
///
/// drop(producer);
/// dispatcher.join()?;
/// rounds.look();
/// rounds.look();
/// assert!(rounds.are_over());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
#[must_use = "somebody has to make them, or a `Watch`"]
pub struct Rounds {
    rings: Vec<Visited>,
    on_look: Option<OnLook>,
    on_alert: Option<OnAlert>,
    tally: Tally,
}

type OnLook = Box<dyn FnMut(&str, &Snapshot) + Send>;
type OnAlert = Box<dyn FnMut(&Alert) + Send>;

/// What [`Rounds`] have come to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Looks at a ring.
    pub looks: u64,
    /// Alerts raised or cleared.
    pub alerts: u64,
    /// Calls of a callback that panicked.
    pub panics: u64,
    /// What the last of them said.
    pub last_panic: Option<String>,
}

#[derive(Debug)]
struct Visited {
    monitor: Monitor,
    rules: Rules,
    has_ended: bool,
}

impl fmt::Debug for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rings: Vec<&str> = self.rings.iter().map(|ring| ring.rules.ring()).collect();
        f.debug_struct("Rounds")
            .field("rings", &rings)
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl Rounds {
    /// No ring yet, and nobody to be told.
    pub fn new() -> Self {
        Self::default()
    }

    /// And this ring, under the name and with the rules that these are.
    pub fn ring(mut self, monitor: Monitor, rules: Rules) -> Self {
        self.rings.push(Visited { monitor, rules, has_ended: false });
        self
    }

    /// Calls this with every snapshot and the name of its ring, before the rules look at it: the place to export
    /// it. Takes the place of the one before.
    pub fn on_look(mut self, tell: impl FnMut(&str, &Snapshot) + Send + 'static) -> Self {
        self.on_look = Some(Box::new(tell));
        self
    }

    /// Calls this with every alert that is raised or cleared. Takes the place of the one before.
    pub fn on_alert(mut self, tell: impl FnMut(&Alert) + Send + 'static) -> Self {
        self.on_alert = Some(Box::new(tell));
        self
    }

    /// Looks at every ring once.
    pub fn look(&mut self) {
        let Self { rings, on_look, on_alert, tally } = self;
        rings.retain_mut(|ring| {
            let snapshot = ring.monitor.snapshot();
            tally.looks += 1;
            if let Some(tell) = on_look {
                tally.call(|| tell(ring.rules.ring(), &snapshot));
            }
            let is_last = mem::replace(&mut ring.has_ended, has_ended(&snapshot));
            let mut alerts = ring.rules.look(&snapshot);
            if is_last {
                alerts.extend(ring.rules.end());
            }
            for alert in alerts {
                tally.alerts += 1;
                tally.call(|| trace::alert(&alert));
                if let Some(tell) = on_alert {
                    tally.call(|| tell(&alert));
                }
            }
            !is_last
        });
    }

    /// Whether there is no ring left to look at.
    pub fn are_over(&self) -> bool {
        self.rings.is_empty()
    }

    /// What it has come to so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// Whether no station will do anything any more.
fn has_ended(snapshot: &Snapshot) -> bool {
    let is_done = |doing| matches!(doing, Doing::Finished | Doing::Stopped);
    snapshot.phase != Phase::Open && snapshot.stations.iter().all(|it| is_done(it.doing))
}

impl Tally {
    /// Calls a callback. What it panics with is noted, and goes no further.
    fn call(&mut self, callback: impl FnOnce()) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) else { return };
        self.panics += 1;
        self.last_panic = Some(text(&*payload));
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            // There is no end to how often a destructor could panic.
            mem::forget(another);
        }
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
