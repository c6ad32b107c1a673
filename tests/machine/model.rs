//! What a ring of pollers must do, said a second time: plain numbers and sets, one thread, no cursors
//! to be shared, no caches. Everything here follows from the documentation.

use std::{collections::BTreeSet, ops::Range};

use slipring::{Fault, FaultKind, GiveUp, Policy, Poll, PublishError};

use crate::payload::{CLEARED, Content, MADE, Patience};

/// A fault, as the model foretells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foretold {
    pub station: String,
    pub sequence: u64,
    pub kind: FaultKind,
    pub message: String,
}

impl From<&Fault> for Foretold {
    fn from(fault: &Fault) -> Self {
        Self {
            station: fault.station().to_owned(),
            sequence: fault.sequence(),
            kind: fault.kind(),
            message: fault.message().to_owned(),
        }
    }
}

/// Why a publish call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Full,
    TooLarge {
        asked: usize,
        capacity: usize,
    },
    Closed,
    Halted(Foretold),
    TimedOut,
    /// Any of these stations may be named: all are run by the caller, and all are in the way.
    WouldDeadlock(Vec<String>),
    /// The call would never return; the machine does not make it.
    Blocked,
}

impl Refusal {
    pub fn is(&self, error: &PublishError) -> bool {
        match (self, error) {
            (Self::Full, PublishError::Full)
            | (Self::Closed, PublishError::Closed)
            | (Self::TimedOut, PublishError::TimedOut) => true,
            (
                Self::TooLarge { asked, capacity },
                PublishError::TooLarge { asked: a, capacity: c },
            ) => (asked, capacity) == (a, c),
            (Self::Halted(foretold), PublishError::Halted(fault)) => *foretold == fault.into(),
            (Self::WouldDeadlock(stations), PublishError::WouldDeadlock { station }) => {
                stations.iter().any(|name| **name == **station)
            }
            _ => false,
        }
    }
}

/// What a look of a station comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Everything before this may be handled.
    To(u64),
    Idle,
    Gated,
    Ended,
    Halted,
}

/// What a policy makes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Again,
    Skip,
    Halt,
    /// The ring was halted meanwhile: what would be repeated is left.
    Left,
}

#[derive(Clone, Debug)]
pub struct Post {
    pub name: String,
    /// As declared, with those that others imply.
    pub follows: Vec<usize>,
    pub mutates: bool,
    pub policy: Policy,
    pub max_batch: u64,
    /// The next event of its own.
    pub cursor: u64,
    /// What followers and producers know of it: further than the cursor after an early release.
    pub released: u64,
    pub has_left: bool,
    pub skipped: BTreeSet<u64>,
    pub retried: u64,
    pub batches: u64,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub capacity: u64,
    pub first: u64,
    pub is_multi: bool,
    pub posts: Vec<Post>,
    pub slots: Vec<Content>,
    /// The end of what was claimed. Of a single producer, of what was published.
    pub claimed: u64,
    /// Claims of many producers that are being written.
    pub pending: Vec<Range<u64>>,
    pub abandoned: BTreeSet<u64>,
    pub producers: usize,
    /// The end of the stream, once the ring is closed.
    pub end: Option<u64>,
    pub is_halted: bool,
    pub fault: Option<Foretold>,
    /// How far the reset hook has come, if there is one that has not panicked.
    pub cleared: Option<u64>,
    /// The stations whose handlers the thread is in, the outermost first.
    pub running: Vec<usize>,
}

impl Model {
    pub fn new(
        capacity: usize,
        first: u64,
        is_multi: bool,
        has_hook: bool,
        posts: Vec<Post>,
    ) -> Self {
        Self {
            capacity: capacity as u64,
            first,
            is_multi,
            posts,
            slots: vec![MADE; capacity],
            claimed: first,
            pending: Vec::new(),
            abandoned: BTreeSet::new(),
            producers: 1,
            end: None,
            is_halted: false,
            fault: None,
            cleared: has_hook.then_some(first),
            running: Vec::new(),
        }
    }

    pub fn slot(&mut self, sequence: u64) -> &mut Content {
        let slot = (sequence % self.capacity) as usize;
        &mut self.slots[slot]
    }

    // ---- who is where ----

    /// The end of what is published without a gap.
    fn published(&self) -> u64 {
        self.pending.iter().map(|claim| claim.start).min().unwrap_or(self.claimed)
    }

    /// How far all of `followed` have come. Who follows nobody, or only stations that have left
    /// and followed nobody, follows the producers.
    fn barrier(&self, followed: &[usize]) -> u64 {
        let passed = |index: &usize| match &self.posts[*index] {
            Post { has_left: true, follows, .. } => self.barrier(follows),
            Post { released, .. } => *released,
        };
        followed.iter().map(passed).min().unwrap_or_else(|| self.published())
    }

    /// What every station has passed.
    pub fn passed_by_all(&self) -> u64 {
        let is_last = |index: &usize| !self.posts.iter().any(|post| post.follows.contains(index));
        let last: Vec<usize> = (0..self.posts.len()).filter(is_last).collect();
        self.barrier(&last)
    }

    pub fn room(&self) -> u64 {
        self.capacity - (self.claimed - self.passed_by_all())
    }

    pub fn look(&self, index: usize, limit: u64) -> Look {
        let post = &self.posts[index];
        if self.is_halted {
            return Look::Halted;
        }
        let to = self
            .barrier(&post.follows)
            .min(post.cursor + limit.clamp(1, post.max_batch))
            .min(self.end.unwrap_or(u64::MAX));
        if to > post.cursor {
            Look::To(to)
        } else if self.end == Some(post.cursor) {
            Look::Ended
        } else if self.published() > post.cursor {
            Look::Gated
        } else {
            Look::Idle
        }
    }

    /// What a poll returns that finds this, or that ends like this.
    pub fn poll_result(&self, look: Look) -> Result<Poll, Foretold> {
        match look {
            Look::To(_) => unreachable!("then there are events"),
            Look::Idle => Ok(Poll::Idle),
            Look::Gated => Ok(Poll::Gated),
            Look::Ended => Ok(Poll::Closed),
            Look::Halted => self.fault.clone().map_or(Ok(Poll::Closed), Err),
        }
    }

    /// Published events that nobody still writes, and those of many producers that are written.
    pub fn backlog(&self, index: usize) -> u64 {
        self.claimed.min(self.end.unwrap_or(u64::MAX)) - self.posts[index].cursor
    }

    // ---- publishing ----

    /// Whether `count` events may be claimed now: the first of their sequences, or why not.
    pub fn claim(&self, count: usize, patience: Patience) -> Result<u64, Refusal> {
        let end = self.claimed + count as u64;
        if count as u64 > self.capacity {
            return Err(Refusal::TooLarge { asked: count, capacity: self.capacity as usize });
        }
        if self.end.is_some() {
            return Err(self.refusal());
        }
        if end <= self.passed_by_all() + self.capacity {
            return Ok(self.claimed);
        }
        let needed = end - self.capacity;
        let in_the_way: Vec<String> = self
            .running
            .iter()
            .filter(|index| self.posts[**index].released < needed)
            .map(|index| self.posts[*index].name.clone())
            .collect();
        Err(match patience {
            Patience::None => Refusal::Full,
            _ if !in_the_way.is_empty() => Refusal::WouldDeadlock(in_the_way),
            Patience::Past => Refusal::TimedOut,
            Patience::Forever | Patience::Far => Refusal::Blocked,
        })
    }

    pub fn refusal(&self) -> Refusal {
        self.fault.clone().map_or(Refusal::Closed, Refusal::Halted)
    }

    /// A claim is going to be written.
    pub fn begin(&mut self, claim: &Range<u64>) {
        if self.is_multi {
            self.claimed = claim.end;
            self.pending.push(claim.clone());
        }
    }

    /// It has been written, or the write closure has panicked: what does the caller get?
    pub fn finish(&mut self, claim: &Range<u64>, has_panicked: bool) -> Result<(), Refusal> {
        if self.is_multi {
            self.pending.retain(|pending| pending != claim);
            if has_panicked {
                self.abandoned.extend(claim.clone());
            }
            return Ok(());
        }
        if has_panicked {
            return Ok(());
        }
        if self.end.is_some() {
            return Err(self.refusal());
        }
        self.claimed = claim.end;
        Ok(())
    }

    // ---- handling ----

    /// The events of `from..to`.
    pub fn kept(&self, from: u64, to: u64) -> impl DoubleEndedIterator<Item = u64> + '_ {
        (from..to).filter(|sequence| !self.abandoned.contains(sequence))
    }

    /// The next thing that the handler of a batch `from..to` gets: an event, or a slice that ends
    /// where the ring wraps or a sequence was abandoned.
    pub fn next_unit(&self, from: u64, to: u64, whole_slices: bool) -> Option<Range<u64>> {
        let start = self.kept(from, to).next()?;
        let mut end = start + 1;
        while whole_slices
            && end < to
            && !end.is_multiple_of(self.capacity)
            && !self.abandoned.contains(&end)
        {
            end += 1;
        }
        Some(start..end)
    }

    pub fn verdict(&self, index: usize, failures: u32) -> Verdict {
        let last_resort = match self.posts[index].policy {
            Policy::Halt => GiveUp::Halt,
            Policy::Skip => GiveUp::Skip,
            Policy::Retry { times, .. } if failures <= times.get() => {
                return if self.is_halted { Verdict::Left } else { Verdict::Again };
            }
            Policy::Retry { then, .. } => then,
        };
        if last_resort == GiveUp::Skip { Verdict::Skip } else { Verdict::Halt }
    }

    /// Everything before `sequence` is done with.
    pub fn stand_at(&mut self, index: usize, sequence: u64) {
        let post = &mut self.posts[index];
        (post.cursor, post.released) = (sequence, sequence);
    }

    pub fn end_batch(&mut self, index: usize, to: u64) {
        self.posts[index].batches += 1;
        self.stand_at(index, to);
    }

    pub fn leave(&mut self, index: usize) {
        self.posts[index].has_left = true;
    }

    /// The reset hook was called with this. Returns what is wrong with that.
    pub fn clear_one(&mut self, found: Content, panic: Option<&str>) -> Result<(), String> {
        let Some(at) = self.cleared else {
            return Err("the reset hook was called again after its panic".into());
        };
        let passed = self.passed_by_all();
        if at >= passed {
            return Err(format!("the reset hook got {at}, but the stations stand at {passed}"));
        }
        let expected = *self.slot(at);
        if found != expected {
            return Err(format!("the reset hook found {found:?} at {at}, not {expected:?}"));
        }
        if panic.is_none() || expected.is_bomb {
            *self.slot(at) = CLEARED;
        }
        self.cleared = Some(at + 1);
        if let Some(message) = panic {
            self.cleared = None;
            self.fail("reset hook", at, FaultKind::Panic, message);
        }
        Ok(())
    }

    // ---- the end ----

    pub fn close(&mut self) {
        self.end.get_or_insert(self.claimed);
    }

    pub fn halt(&mut self) {
        self.is_halted = true;
        self.close();
    }

    /// The first fault is the one that is told, also after a halt by the owner.
    pub fn fail(&mut self, station: &str, sequence: u64, kind: FaultKind, message: &str) {
        let (station, message) = (station.to_owned(), message.to_owned());
        self.fault.get_or_insert(Foretold { station, sequence, kind, message });
        self.halt();
    }

    /// Events published.
    pub fn total(&self) -> u64 {
        self.kept(self.first, self.end.unwrap_or(self.claimed)).count() as u64
    }

    /// What the report says of a station: handled, skipped, retried, left, batches.
    pub fn account(&self, index: usize) -> [u64; 5] {
        let post = &self.posts[index];
        let position = if post.has_left { post.cursor } else { post.released };
        let skipped = post.skipped.range(..position).count() as u64;
        let handled = self.kept(self.first, position).count() as u64 - skipped;
        [handled, skipped, post.retried, self.total() - handled - skipped, post.batches]
    }
}
