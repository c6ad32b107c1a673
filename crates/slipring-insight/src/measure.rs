//! What rules compare: the figures of one look, and of the way from the look before.

use std::time::Duration;

use slipring::{Doing, FigureKind, Snapshot, StationSnapshot};

use crate::{change::Change, rule::Figure, told, value::Value};

/// Remembers the look before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measures {
    before: Option<(Snapshot, Vec<Standing>)>,
}

/// When a station was first found to stand where it stands, if it has something to handle.
type Standing = Option<Duration>;

/// One look, measured.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    pub(crate) now: &'a Snapshot,
    /// How long each station has stood still.
    standing: Vec<Duration>,
    change: Option<Change>,
    /// The share of the time in which producers waited, if any time has passed.
    back_pressure: Option<f64>,
}

impl Measures {
    /// When the last look was taken.
    pub(crate) fn last_at(&self) -> Option<Duration> {
        self.before.as_ref().map(|(snapshot, _)| snapshot.at)
    }

    pub(crate) fn look<'a>(&mut self, now: &'a Snapshot) -> Look<'a> {
        let before = self.before.take();
        let since: Vec<Standing> =
            now.stations.iter().map(|station| standing(before.as_ref(), station, now.at)).collect();
        let time = |since: &Standing| since.map_or(Duration::ZERO, |at| now.at.saturating_sub(at));
        let standing = since.iter().map(time).collect();
        let change = before.as_ref().map(|(before, _)| Change::between(before, now));
        let back_pressure = before
            .zip(change.as_ref())
            .and_then(|((before, _), change)| back_pressure(&before, now, change));
        self.before = Some((now.clone(), since));
        Look { now, standing, change, back_pressure }
    }
}

impl Look<'_> {
    /// The value of a figure: of the station at this place, or of the ring as a whole. `None` if this look
    /// cannot tell.
    pub(crate) fn value(&self, figure: &Figure, station: Option<usize>) -> Option<Value> {
        match figure {
            Figure::Lag(_) => Some(Value::Events(self.now.stations.get(station?)?.lag)),
            Figure::Fill => Some(Value::Share(self.now.fullness())),
            Figure::Stall(_) => self.standing.get(station?).copied().map(Value::Time),
            Figure::BackPressure => self.back_pressure.map(Value::Share),
            Figure::ErrorRate(_) => {
                let station = self.change.as_ref()?.stations.get(station?)?;
                share(station.failed, station.calls).map(Value::Share)
            }
            Figure::Told(_, name) => {
                let told = told::find(&self.now.stations.get(station?)?.told, name)?;
                Some(match told.kind {
                    FigureKind::Count | FigureKind::Level => Value::Number(told.value),
                    FigureKind::Time => Value::Time(Duration::from_nanos(told.value)),
                })
            }
            Figure::Growth(_, name) => {
                let station = self.change.as_ref()?.stations.get(station?)?;
                told::find(&station.told, name).map(|grown| Value::Number(grown.value))
            }
        }
    }
}

/// Whether two looks are at one station, and not at another one of the same name.
pub(crate) fn are_one(a: &StationSnapshot, b: &StationSnapshot) -> bool {
    a.account.name == b.account.name && a.account.first == b.account.first
}

fn standing(
    before: Option<&(Snapshot, Vec<Standing>)>,
    station: &StationSnapshot,
    now: Duration,
) -> Standing {
    if station.doing != Doing::Working {
        return None;
    }
    // Not what was handled: of a team, that also counts what was done past a worker that hangs.
    let marks = |it: &StationSnapshot| (it.position, it.account.failed, it.account.skipped);
    let since_before = before.and_then(|(snapshot, since)| {
        let place = snapshot.stations.iter().position(|before| are_one(before, station))?;
        let has_stayed = marks(&snapshot.stations[place]) == marks(station);
        since[place].filter(|_| has_stayed)
    });
    since_before.or(Some(now))
}

#[allow(clippy::cast_precision_loss)] // A figure for people.
fn back_pressure(before: &Snapshot, now: &Snapshot, change: &Change) -> Option<f64> {
    let producers = before.producers.handles.max(now.producers.handles) as f64;
    let in_all = change.time.as_secs_f64() * producers;
    if change.time.is_zero() {
        return None;
    }
    if in_all == 0.0 {
        return Some(0.0);
    }
    let noted = change.stall_time.as_secs_f64() / in_all;
    // Those whose wait began before the first look, and is not noted yet.
    let throughout = now.producers.stalled.saturating_sub(change.stalls) as f64 / producers;
    Some(noted.max(throughout).min(1.0))
}

#[allow(clippy::cast_precision_loss)] // A figure for people.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
