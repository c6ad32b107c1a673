//! A station's code: fails where the plan says so, changes what it may, and writes down all it sees.

use std::{sync::Arc, thread};

use slipring::{At, Handler, HandlerError, HandlerMut};

use crate::{
    event::{Event, Stamp, passed},
    evidence::{End, Entry, ON_PURPOSE, Outcome, Testimony, panic_on_purpose},
    plan::{Hook, Plan, StationPlan},
    scoped::Record,
    shared::{Enlisted, Shared},
};

/// What a handler returns.
pub type Handled = Result<(), &'static str>;

#[derive(Debug)]
pub struct Script<'a> {
    index: usize,
    worker: usize,
    plan: StationPlan,
    first: u64,
    /// The most events between two moves of the cursor.
    max_batch: usize,
    /// The unit that the handler failed on last, and how often.
    failures: (u64, u32),
    /// Calls of each hook.
    calls: [u32; 4],
    pub testimony: Testimony,
    _enlisted: Enlisted,
    /// Let go of at the very end.
    record: Record<'a>,
}

impl<'a> Script<'a> {
    /// That of a station, or of a guest, by its number in [`Plan::everybody`].
    pub fn new(plan: &Plan, index: usize, record: Record<'a>) -> Self {
        Self::of_worker(plan, index, 0, record)
    }

    pub fn of_worker(plan: &Plan, index: usize, worker: usize, record: Record<'a>) -> Self {
        let own = plan.everybody().nth(index).expect("one of the plan's").clone();
        Self {
            index,
            worker,
            first: plan.first,
            max_batch: own.most_at_once(plan.capacity),
            failures: (u64::MAX, 0),
            calls: [0; 4],
            testimony: Testimony::default(),
            _enlisted: record.enlist(&own.name),
            plan: own,
            record,
        }
    }

    /// Its place in [`Plan::everybody`].
    pub fn index(&self) -> usize {
        self.index
    }

    pub fn plan(&self) -> &StationPlan {
        &self.plan
    }

    /// What it writes to.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.record)
    }

    // ---- what the forms of stations call ----

    pub fn read<E: Event>(&mut self, event: &E, at: At<'_>) -> Handled {
        let fails = self.begin(at, 1);
        self.note(event, at.sequence(), at.sequence(), event.stamp().trace, outcome(fails));
        self.conclude(fails)
    }

    pub fn read_slice<E: Event>(&mut self, events: &[E], at: At<'_>) -> Handled {
        let fails = self.begin(at, events.len());
        for (sequence, event) in (at.sequence()..).zip(events) {
            self.note(event, sequence, at.sequence(), event.stamp().trace, outcome(fails));
        }
        self.conclude(fails)
    }

    pub fn change<E: Event>(&mut self, event: &mut E, at: At<'_>) -> Handled {
        let fails = self.begin(at, 1);
        self.change_one(event, at.sequence(), at.sequence(), !fails || self.is_half_done(), fails);
        self.conclude(fails)
    }

    pub fn change_slice<E: Event>(&mut self, events: &mut [E], at: At<'_>) -> Handled {
        let fails = self.begin(at, events.len());
        let changed = match (fails, self.is_half_done()) {
            (false, _) => events.len(),
            (true, true) => events.len().div_ceil(2),
            (true, false) => 0,
        };
        for (index, event) in events.iter_mut().enumerate() {
            let sequence = at.sequence() + index as u64;
            self.change_one(event, sequence, at.sequence(), index < changed, fails);
        }
        self.conclude(fails)
    }

    /// An event out of a poller's batch; the policy has no part in what becomes of it.
    pub fn take(&mut self, stamp: Stamp, is_whole: bool, sequence: u64, panics: bool) {
        let outcome = if panics { Outcome::GivenBack } else { Outcome::Done };
        let (worker, unit, left, tick) = (0, sequence, stamp.trace, self.record.tick());
        let entry = Entry { worker, sequence, unit, stamp, is_whole, left, outcome, tick };
        self.testimony.log.push(entry);
        if panics {
            panic_on_purpose();
        }
    }

    /// An item of a stream is made of an event: an error would be part of it, and is no failure.
    pub fn item<E: Event>(&mut self, event: &E, at: At<'_>) -> u64 {
        let fails = self.begin(at, 1) && self.plan.failing.is_some_and(|failing| failing.panics);
        self.note(event, at.sequence(), at.sequence(), event.stamp().trace, outcome(fails));
        if fails {
            panic_on_purpose();
        }
        at.sequence()
    }

    /// A poller is dropped, after `tick`, and stands at `position`.
    pub fn part(&mut self, end: End, position: u64, tick: Option<u64>) {
        self.testimony.end = end;
        self.testimony.position = Some(position);
        self.testimony.dropped = tick;
    }

    /// One of the hooks is called.
    pub fn hook(&mut self, hook: Hook) {
        let calls = &mut self.calls[hook as usize];
        let call = *calls;
        *calls += 1;
        let has_stopped = self.calls[Hook::Stop as usize] > u32::from(hook == Hook::Stop);
        if has_stopped || (hook == Hook::Start && call > 0) {
            self.testimony.complaints.push(format!("the hook {hook:?} comes once too often"));
        }
        if self.plan.hook_panic.is_some_and(|panic| panic.hook == hook && panic.call == call) {
            self.testimony.hook_panicked = Some(hook);
            panic_on_purpose();
        }
    }

    fn batch_start(&mut self, size: usize, backlog: u64) {
        if size == 0 || size > self.max_batch || backlog < size as u64 {
            let most = self.max_batch;
            let complaint = format!("a batch of {size} of {backlog} events, at most {most}");
            self.testimony.complaints.push(complaint);
        }
        self.hook(Hook::BatchStart);
    }

    // ---- steps ----

    /// What comes before the first event of a call of `len` events; returns whether it fails.
    fn begin(&mut self, at: At<'_>, len: usize) -> bool {
        if self.calls[Hook::Stop as usize] > 0 {
            self.testimony.complaints.push("an event comes after the stop hook".to_owned());
        }
        let offset = at.sequence() - self.first;
        if self.plan.release > 0 && offset.is_multiple_of(self.plan.release) {
            at.release();
        }
        if self.plan.pause > 0 && offset.is_multiple_of(self.plan.pause) {
            thread::yield_now();
        }
        self.fails(at.sequence(), len as u64)
    }

    fn fails(&mut self, unit: u64, len: u64) -> bool {
        let Some(failing) = self.plan.failing else { return false };
        let offset = unit - self.first;
        if !(offset..offset + len).any(|offset| failing.hits(offset)) {
            return false;
        }
        if self.failures.0 != unit {
            self.failures = (unit, 0);
        }
        let fails = self.failures.1 < failing.times;
        self.failures.1 += u32::from(fails);
        fails
    }

    fn is_half_done(&self) -> bool {
        self.plan.failing.is_some_and(|failing| failing.half_done)
    }

    fn change_one<E: Event>(
        &mut self,
        event: &mut E,
        sequence: u64,
        unit: u64,
        changes: bool,
        fails: bool,
    ) {
        let found = event.stamp().trace;
        let left = if changes { passed(found, self.index) } else { found };
        self.note(event, sequence, unit, left, outcome(fails));
        event.stamp_mut().trace = left;
    }

    fn note<E: Event>(&mut self, event: &E, sequence: u64, unit: u64, left: u64, outcome: Outcome) {
        let (stamp, is_whole, tick) = (event.stamp(), event.is_whole(), self.record.tick());
        let worker = self.worker;
        let entry = Entry { worker, sequence, unit, stamp, is_whole, left, outcome, tick };
        self.testimony.log.push(entry);
    }

    fn conclude(&self, fails: bool) -> Handled {
        match self.plan.failing {
            Some(failing) if fails && failing.panics => panic_on_purpose(),
            _ if fails => Err(ON_PURPOSE),
            _ => Ok(()),
        }
    }
}

fn outcome(fails: bool) -> Outcome {
    if fails { Outcome::Failed } else { Outcome::Done }
}

impl Drop for Script<'_> {
    fn drop(&mut self) {
        self.record.testify(self.index, self.worker, std::mem::take(&mut self.testimony));
    }
}

/// The two traits differ in a `mut`.
macro_rules! handlers {
    ($handler:ident, $call:ident $(, $mutability:tt)?) => {
        impl<E: Event> $handler<E> for Script<'_> {
            fn on_start(&mut self) {
                self.hook(Hook::Start);
            }

            fn on_batch_start(&mut self, size: usize, backlog: u64) {
                self.batch_start(size, backlog);
            }

            fn on_event(
                &mut self,
                event: & $($mutability)? E,
                at: At<'_>,
            ) -> Result<(), HandlerError> {
                Ok(self.$call(event, at)?)
            }

            fn on_idle(&mut self) {
                self.hook(Hook::Idle);
            }

            fn on_stop(&mut self) {
                self.hook(Hook::Stop);
            }
        }
    };
}
handlers!(Handler, read);
handlers!(HandlerMut, change, mut);
