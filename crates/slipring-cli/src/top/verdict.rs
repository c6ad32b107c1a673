//! The one line to read first: whether something is wrong, and with whom.

use slipring::Phase;
use slipring_insight::{figure, printable};

use super::state::{Look, Top};

/// From here on a full ring is worth a word.
const FULL: f64 = 0.5;
/// From here on waiting producers are worth a word: the share of time that they spend so.
const STALLED: f64 = 0.01;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mood {
    Good,
    /// Nothing can be said.
    Quiet,
    Slow,
    Bad,
}

pub fn verdict(top: &Top) -> (Mood, String) {
    let Some(ring) = top.ring() else {
        return (Mood::Quiet, "the program shows no ring".to_owned());
    };
    match (&ring.shown, &top.ended) {
        (Some(_), Some(reason)) => (Mood::Quiet, format!("last figures: {reason}")),
        (None, Some(reason)) => (Mood::Quiet, reason.clone()),
        (None, None) => (Mood::Quiet, "waiting for the first figures".to_owned()),
        (Some(look), None) => of_look(look),
    }
}

fn of_look(look: &Look) -> (Mood, String) {
    let snapshot = &look.snapshot;
    let left = || snapshot.stations.iter().map(|station| station.account.left).max().unwrap_or(0);
    if snapshot.phase == Phase::Halted {
        let left = figure::counted(left(), "event");
        return (Mood::Bad, format!("halted by a failure or by its owner: {left} left"));
    }
    if let Some(failure) = failure(look) {
        return (Mood::Bad, failure);
    }
    let stalled = stalled_share(look);
    if stalled >= STALLED {
        let stalled = figure::percent(stalled);
        return (
            Mood::Slow,
            format!("producers wait for room {stalled} of the time: {}", suspect(look)),
        );
    }
    if snapshot.fullness() >= FULL {
        let filled = figure::percent(snapshot.fullness());
        return (Mood::Slow, format!("the ring is {filled} full: {}", suspect(look)));
    }
    match (snapshot.phase, left()) {
        (Phase::Closed, 0) => (Mood::Quiet, "closed, and every event is handled".to_owned()),
        (Phase::Closed, left) => {
            let left = figure::counted(left, "event");
            (Mood::Quiet, format!("closed, {left} still to be handled"))
        }
        _ if look.change.as_ref().is_some_and(|change| change.published == 0) => {
            (Mood::Quiet, "quiet: nothing is being published".to_owned())
        }
        _ => (Mood::Good, "all stations keep up".to_owned()),
    }
}

/// Who holds the others up: whoever is far behind, else whoever was busiest.
fn suspect(look: &Look) -> String {
    let stations = &look.snapshot.stations;
    let far = look.snapshot.capacity / 4;
    if let Some(slowest) = stations.iter().max_by_key(|station| station.lag)
        && slowest.lag >= far
    {
        let lag = figure::counted(slowest.lag, "event");
        return format!("{} is {lag} behind", printable(&slowest.account.name));
    }
    let busy = look.change.iter().flat_map(|change| &change.stations);
    let busy = busy.filter_map(|station| Some((station, station.busy?)));
    match busy.max_by(|(_, one), (_, other)| one.total_cmp(other)) {
        Some((station, share)) => {
            format!("{} is the busiest, {}", printable(&station.name), figure::percent(share))
        }
        None => "nobody is far behind".to_owned(),
    }
}

/// Who has failed since the last look.
fn failure(look: &Look) -> Option<String> {
    let failed = look.change.iter().flat_map(|change| &change.stations);
    let worst = failed.max_by_key(|station| station.failed).filter(|worst| worst.failed > 0)?;
    let (name, calls) = (printable(&worst.name), figure::counted(worst.failed, "call"));
    let skipped = figure::counted(worst.skipped, "event");
    Some(format!("{name} fails: {calls} since the last look, {skipped} skipped"))
}

/// The share of their time that producers waited for room.
#[allow(clippy::cast_precision_loss)] // A figure for people.
pub fn stalled_share(look: &Look) -> f64 {
    let Some(change) = &look.change else { return 0.0 };
    let in_all = change.time.as_secs_f64() * look.snapshot.producers.handles.max(1) as f64;
    if in_all > 0.0 { (change.stall_time.as_secs_f64() / in_all).min(1.0) } else { 0.0 }
}
