//! Which of the parcels that arrive is the next of its lane.
//!
//! A parcel says which one its outbox sent before it. If that one was taken, or an earlier one, this is the next; if this
//! one was taken, it is a duplicate; else it is early, and is held back until what is missing has come. An outbox
//! sends everything again from the first that was not confirmed, so what is missing comes, unless the broker has lost it.
//!
//! A lane that nobody knows begins with a parcel that says it is the first ever, or, some time later, with the earliest that
//! has come; what is before that one is late then.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::Stamp;

/// How many gaps of a lane are remembered.
const MOST_GAPS: usize = 1_024;

/// The lanes that an inbox knows.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    lanes: HashMap<Arc<str>, Lane<T>>,
    held: usize,
}

#[derive(Debug)]
struct Lane<T> {
    /// Whether it has begun.
    is_known: bool,
    /// The last one that was handed on, or what was before the first one.
    taken: Option<u64>,
    /// The last one that is safe.
    safe: Option<u64>,
    /// Those that are early, by their sequences.
    held: BTreeMap<u64, Held<T>>,
    /// Since when the first of them has waited, with none of this lane handed on.
    blocked: Option<Instant>,
    /// What came again while it was handed on and not safe: to be settled with it.
    twins: BTreeMap<u64, Vec<u64>>,
    /// What was given up: behind the one, up to the other.
    gaps: VecDeque<(Option<u64>, u64)>,
}

#[derive(Debug)]
struct Held<T> {
    previous: Option<u64>,
    tag: u64,
    content: T,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<T> {
    /// It is the next of its lane.
    Take { lane: Arc<str>, sequence: u64, tag: u64, content: T },
    /// It is safe already.
    Done { tag: u64, lane: Arc<str>, sequence: u64, content: T },
    /// It was given up before it came.
    Late { tag: u64, lane: Arc<str>, sequence: u64, content: T },
}

/// What became of one that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Next,
    Duplicate,
    Early,
    Late,
}

/// Parcels that have not come: everything that a lane has sent behind one, up to another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// Which outbox of which store has sent it.
    pub lane: Arc<str>,
    /// The last that came: the first that is missing is behind it.
    pub after: Option<u64>,
    /// The last that is missing.
    pub up_to: u64,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { lane, after, up_to } = self;
        match after {
            Some(after) => {
                write!(f, "lane `{lane}`: event {up_to} has not come, nor what is behind {after}")
            }
            None => write!(f, "lane `{lane}`: event {up_to} has not come, nor any before"),
        }
    }
}

impl<T> Lane<T> {
    /// One that has come to there, or has not begun.
    fn behind(mark: Option<u64>) -> Self {
        Self {
            is_known: mark.is_some(),
            taken: mark,
            safe: mark,
            held: BTreeMap::new(),
            blocked: None,
            twins: BTreeMap::new(),
            gaps: VecDeque::new(),
        }
    }

    fn was_taken(&self, sequence: u64) -> bool {
        self.taken.is_some_and(|taken| sequence <= taken)
    }

    /// Whether the one behind that one is the next.
    fn follows(&self, previous: Option<u64>) -> bool {
        previous.is_none_or(|previous| self.was_taken(previous))
    }

    fn has_waited(&self, now: Instant, time: Duration) -> bool {
        self.blocked.is_some_and(|since| now.saturating_duration_since(since) >= time)
    }

    fn was_given_up(&self, sequence: u64) -> bool {
        let is_in = |(after, up_to): &(Option<u64>, u64)| {
            after.is_none_or(|after| after < sequence) && sequence <= *up_to
        };
        self.gaps.iter().any(is_in)
    }
}

impl<T> Turns<T> {
    /// With the last sequence that is safe of each lane that is known.
    pub fn new(marks: impl IntoIterator<Item = (Arc<str>, u64)>) -> Self {
        let lanes = marks.into_iter().map(|(lane, mark)| (lane, Lane::behind(Some(mark))));
        Self { lanes: lanes.collect(), held: 0 }
    }

    /// Takes what has arrived, and says what is to be done: of this one, and of those that waited for it.
    pub fn arrive(
        &mut self,
        stamp: &Stamp,
        tag: u64,
        content: T,
        now: Instant,
        steps: &mut Vec<Step<T>>,
    ) -> Turn {
        let Stamp { lane: name, sequence, previous } = stamp;
        let (sequence, previous) = (*sequence, *previous);
        let lane = self.lanes.entry(name.clone()).or_insert_with(|| Lane::behind(None));
        if lane.was_taken(sequence) {
            if lane.was_given_up(sequence) {
                steps.push(Step::Late { tag, lane: name.clone(), sequence, content });
                return Turn::Late;
            }
            if lane.safe.is_some_and(|safe| sequence <= safe) {
                steps.push(Step::Done { tag, lane: name.clone(), sequence, content });
            } else {
                lane.twins.entry(sequence).or_default().push(tag);
            }
            return Turn::Duplicate;
        }
        if lane.follows(previous) {
            (lane.is_known, lane.taken) = (true, Some(sequence));
            steps.push(Step::Take { lane: name.clone(), sequence, tag, content });
            self.held -= Self::drain(lane, name, now, steps);
            return Turn::Next;
        }
        lane.blocked.get_or_insert(now);
        let new = Held { previous, tag, content };
        let Some(first) = lane.held.get_mut(&sequence) else {
            lane.held.insert(sequence, new);
            self.held += 1;
            return Turn::Early;
        };
        // One of them is enough, as long as it is not settled: if its outbox has set one aside in between, that which does not
        // wait for it.
        let other = if new.previous < first.previous { std::mem::replace(first, new) } else { new };
        let Held { tag, content, .. } = other;
        steps.push(Step::Done { tag, lane: name.clone(), sequence, content });
        Turn::Duplicate
    }

    /// Hands on what has waited for the one that was handed on last, and says how many are held no more.
    fn drain(lane: &mut Lane<T>, name: &Arc<str>, now: Instant, steps: &mut Vec<Step<T>>) -> usize {
        let mut gone = 0;
        while let Some(first) = lane.held.first_entry() {
            let sequence = *first.key();
            let is_duplicate = lane.taken.is_some_and(|taken| sequence <= taken);
            let is_next = match first.get().previous {
                None => true,
                Some(previous) => lane.taken.is_some_and(|taken| previous <= taken),
            };
            if !is_duplicate && !is_next {
                break;
            }
            let Held { tag, content, .. } = first.remove();
            gone += 1;
            if is_duplicate {
                lane.twins.entry(sequence).or_default().push(tag);
            } else {
                lane.taken = Some(sequence);
                steps.push(Step::Take { lane: name.clone(), sequence, tag, content });
            }
        }
        lane.blocked = (!lane.held.is_empty()).then_some(now);
        gone
    }

    /// It is safe where it was to go, with all before it: the tags of what has come again of these.
    pub fn safe(&mut self, lane: &str, sequence: u64) -> Vec<u64> {
        let Some(lane) = self.lanes.get_mut(lane) else { return Vec::new() };
        lane.safe = lane.safe.max(Some(sequence));
        let later = lane.twins.split_off(&(sequence + 1));
        let settled = std::mem::replace(&mut lane.twins, later);
        settled.into_values().flatten().collect()
    }

    /// The link is lost: what was held comes again, with other tags.
    pub fn forget_tags(&mut self) {
        self.held = 0;
        for lane in self.lanes.values_mut() {
            lane.held.clear();
            lane.twins.clear();
            lane.blocked = None;
        }
    }

    /// How many are held back.
    pub fn held(&self) -> usize {
        self.held
    }

    /// When it is to be looked whether a lane is to begin, or something is missing.
    pub fn look_at(&self, begin_after: Duration, missing_after: Duration) -> Option<Instant> {
        if self.held == 0 {
            return None;
        }
        let at = |lane: &Lane<T>| {
            let after = if lane.is_known { missing_after } else { begin_after };
            lane.blocked?.checked_add(after)
        };
        self.lanes.values().filter_map(at).min()
    }

    /// Has lanes begin that have waited for so long for an earlier one.
    pub fn begin(&mut self, now: Instant, begin_after: Duration, steps: &mut Vec<Step<T>>) {
        for (name, lane) in self.lanes.iter_mut().filter(|(_, lane)| !lane.is_known) {
            if !lane.has_waited(now, begin_after) {
                continue;
            }
            lane.is_known = true;
            lane.taken = lane.held.first_key_value().and_then(|(_, first)| first.previous);
            // What is before has never been here: if it comes all the same, it is no duplicate.
            lane.gaps.extend(lane.taken.map(|taken| (None, taken)));
            self.held -= Self::drain(lane, name, now, steps);
        }
    }

    /// What is missing in lanes that have waited for so long.
    pub fn missing(&self, now: Instant, patience: Duration) -> Vec<Missing> {
        let is_missing = |lane: &Lane<T>| lane.is_known && lane.has_waited(now, patience);
        let blocked = self.lanes.iter().filter(|(_, lane)| is_missing(lane));
        let mut missing: Vec<_> = blocked
            .filter_map(|(name, lane)| {
                let up_to = lane.held.first_key_value()?.1.previous?;
                Some(Missing { lane: name.clone(), after: lane.taken, up_to })
            })
            .collect();
        missing.sort_by(|one, other| one.lane.cmp(&other.lane));
        missing
    }

    /// Goes on without what is missing: if it comes all the same, it is late.
    pub fn give_up(&mut self, missing: &Missing, now: Instant, steps: &mut Vec<Step<T>>) {
        let Some(lane) = self.lanes.get_mut(&missing.lane) else { return };
        if lane.gaps.len() == MOST_GAPS {
            lane.gaps.pop_front();
        }
        lane.gaps.push_back((lane.taken, missing.up_to));
        lane.taken = lane.taken.max(Some(missing.up_to));
        self.held -= Self::drain(lane, &missing.lane, now, steps);
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
