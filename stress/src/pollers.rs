//! Pollers at work: every form of polling, batches dropped half-read, and early departures.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use fastrand::Rng;
use slipring::{At, Fault, Poll, Poller, PollerMut};

use crate::{
    event::Event,
    evidence::{End, ON_PURPOSE, Skip},
    plan::PollerPlan,
    script::Script,
    tasks::{Awaited, Streamed, pause},
};

/// What one turn of a poller is.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    Poll,
    AtMost(usize),
    Batch,
    Handler,
    /// Reads so many events one by one, and panics over the last of them.
    Read(u64, bool),
    /// Passes all but so many.
    SkipAhead(u64),
}

impl Turn {
    /// Whether it says how things stand, with any poller.
    fn is_poll(self) -> bool {
        matches!(self, Self::Poll | Self::AtMost(_) | Self::Batch | Self::Handler)
    }
}

/// The two kinds of pollers.
pub trait Polled {
    fn turn(&mut self, turn: Turn, script: &mut Script<'_>) -> Result<Poll, Fault>;
    fn wait(&mut self, timeout: Duration);
    fn sequence(&self) -> u64;
    fn is_over(&self) -> bool;
    fn lag(&self) -> u64;
    fn skip_ahead(&mut self, keep: u64) -> u64;
}

impl<E: Event> Polled for Poller<E> {
    fn turn(&mut self, turn: Turn, script: &mut Script<'_>) -> Result<Poll, Fault> {
        let read = |script: &mut Script<'_>, event: &E, at: At<'_>| script.read(event, at);
        match turn {
            Turn::Poll => self.poll(|event, at| read(script, event, at)),
            Turn::AtMost(limit) => self.poll_at_most(limit, |event, at| read(script, event, at)),
            Turn::Batch => self.poll_batch(|events, at| script.read_slice(events, at)),
            Turn::Handler => self.poll_handler(script),
            Turn::Read(limit, panics) => {
                let taken = take(self, limit, panics, script);
                // How it stands, if there was nothing to take, only a poll can tell.
                if taken { Ok(Poll::Idle) } else { self.poll(|event, at| read(script, event, at)) }
            }
            Turn::SkipAhead(keep) => {
                skip_ahead(self, keep, script);
                Ok(Poll::Idle)
            }
        }
    }

    fn wait(&mut self, timeout: Duration) {
        self.wait(timeout);
    }

    fn sequence(&self) -> u64 {
        self.sequence()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }

    fn lag(&self) -> u64 {
        self.lag()
    }

    fn skip_ahead(&mut self, keep: u64) -> u64 {
        self.skip_ahead(keep)
    }
}

impl<E: Event> Polled for PollerMut<E> {
    fn turn(&mut self, turn: Turn, script: &mut Script<'_>) -> Result<Poll, Fault> {
        match turn {
            Turn::Poll | Turn::Read(..) => self.poll(|event, at| script.change(event, at)),
            Turn::AtMost(limit) => self.poll_at_most(limit, |event, at| script.change(event, at)),
            Turn::Batch => self.poll_batch(|events, at| script.change_slice(events, at)),
            Turn::Handler => self.poll_handler(script),
            Turn::SkipAhead(keep) => {
                skip_ahead(self, keep, script);
                Ok(Poll::Idle)
            }
        }
    }

    fn wait(&mut self, timeout: Duration) {
        self.wait(timeout);
    }

    fn sequence(&self) -> u64 {
        self.sequence()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }

    fn lag(&self) -> u64 {
        self.lag()
    }

    fn skip_ahead(&mut self, keep: u64) -> u64 {
        self.skip_ahead(keep)
    }
}

/// Reads a part of a batch; returns whether there was one.
fn take<E: Event>(
    poller: &mut Poller<E>,
    limit: u64,
    panics: bool,
    script: &mut Script<'_>,
) -> bool {
    let mut reading = || {
        let Some(mut batch) = poller.read() else { return false };
        for taken in 1..=limit {
            let sequence = batch.sequence();
            let Some(event) = batch.next() else { break };
            let (stamp, is_whole) = (event.stamp(), event.is_whole());
            script.take(stamp, is_whole, sequence, panics && taken == limit);
        }
        true
    };
    catch_unwind(AssertUnwindSafe(&mut reading)).unwrap_or_else(|payload| {
        if payload.downcast_ref::<&str>() != Some(&ON_PURPOSE) {
            script.testimony.complaints.push("reading a batch panicked by itself".to_owned());
        }
        true
    })
}

/// Passes what there is but for `keep` sequences, and writes down what that was.
fn skip_ahead<P: Polled>(poller: &mut P, keep: u64, script: &mut Script<'_>) {
    let (from, lag) = (poller.sequence(), poller.lag());
    let events = poller.skip_ahead(keep);
    let (range, kept) = (from..poller.sequence(), poller.lag());
    let passed = range.end - range.start;
    // Nothing can be polled of a halted ring, whatever is there.
    let is_short = passed < lag.saturating_sub(keep) || (passed > 0 && kept < keep);
    if is_short && !poller.is_over() {
        let complaint = format!("of {lag} it passed {passed} and kept {kept}, and not {keep}");
        script.testimony.complaints.push(complaint);
    }
    if passed > 0 || events > 0 {
        script.testimony.skips.push(Skip { range, events });
    }
}

/// Polls until the ring has ended or the plan says to leave. Only a task ever awaits anything in this.
pub async fn attend<P: Awaited>(mut poller: P, mut script: Script<'_>, plan: &PollerPlan) {
    let mut rng = Rng::with_seed(plan.seed);
    let mut is_ready = false;
    let end = loop {
        if plan.leaves_after.is_some_and(|events| script.testimony.log.len() as u64 >= events) {
            break End::Left;
        }
        if let Some(task) = plan.task.filter(|task| task.streams && rng.u8(0..6) == 0) {
            is_ready = false;
            match poller.streamed(&mut script, &mut rng, plan, task).await {
                Streamed::Back(back) => poller = back,
                Streamed::Gone => return,
            }
            continue;
        }
        let turn = turn(&mut rng, plan);
        let from = poller.sequence();
        let answer = poller.turn(turn, &mut script);
        let was_ready = mem::take(&mut is_ready);
        match answer {
            Ok(Poll::Events(events)) => check_events(&poller, turn, from, events, &mut script),
            Ok(Poll::Closed) => {
                if !poller.is_over() {
                    script.testimony.complaints.push("closed, and yet not over".to_owned());
                }
                break End::Closed;
            }
            Ok(Poll::Idle | Poll::Gated) => {
                if was_ready && turn.is_poll() {
                    let complaint = format!("it was ready, and {turn:?} found nothing at {from}");
                    script.testimony.complaints.push(complaint);
                }
                is_ready = pause(&mut poller, &mut script, &mut rng, plan.task).await;
            }
            Err(fault) => {
                script.testimony.fault = Some((&fault).into());
                break End::Faulted;
            }
        }
    };
    let tick = script.shared().tick();
    script.part(end, poller.sequence(), tick);
    drop(poller);
}

fn turn(rng: &mut Rng, plan: &PollerPlan) -> Turn {
    match rng.u8(0..6) {
        0 if plan.skips => Turn::SkipAhead(rng.u64(0..4)),
        0 | 1 => Turn::Poll,
        2 => Turn::AtMost(rng.usize(0..4)),
        3 => Turn::Batch,
        4 => Turn::Handler,
        _ => Turn::Read(rng.u64(0..4), plan.panics && rng.u8(0..3) == 0),
    }
}

/// It has passed as much as it was told, and no more than it asked for.
fn check_events<P: Polled>(
    poller: &P,
    turn: Turn,
    from: u64,
    events: u64,
    script: &mut Script<'_>,
) {
    let passed = poller.sequence() - from;
    let most = if let Turn::AtMost(limit) = turn { limit.max(1) as u64 } else { passed };
    if events != passed || events > most {
        let complaint = format!("{turn:?} passed {passed} events and told {events}");
        script.testimony.complaints.push(complaint);
    }
}
