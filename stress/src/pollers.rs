//! Pollers at work: every form of polling, batches dropped half-read, and early departures.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use fastrand::Rng;
use slipring::{At, Fault, Poll, Poller, PollerMut};

use crate::{
    event::Event,
    evidence::{End, ON_PURPOSE, Skip},
    plan::PollerPlan,
    script::Script,
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

/// The two kinds of pollers.
pub trait Polled {
    fn turn(&mut self, turn: Turn, script: &mut Script) -> Result<Poll, Fault>;
    fn wait(&mut self, timeout: Duration);
    fn sequence(&self) -> u64;
    fn is_over(&self) -> bool;
    fn lag(&self) -> u64;
    fn skip_ahead(&mut self, keep: u64) -> u64;
}

impl<E: Event> Polled for Poller<E> {
    fn turn(&mut self, turn: Turn, script: &mut Script) -> Result<Poll, Fault> {
        let read = |script: &mut Script, event: &E, at: At<'_>| script.read(event, at);
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
    fn turn(&mut self, turn: Turn, script: &mut Script) -> Result<Poll, Fault> {
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
fn take<E: Event>(poller: &mut Poller<E>, limit: u64, panics: bool, script: &mut Script) -> bool {
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
fn skip_ahead<P: Polled>(poller: &mut P, keep: u64, script: &mut Script) {
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

/// Polls until the ring has ended or the plan says to leave.
pub fn attend<P: Polled>(mut poller: P, mut script: Script, plan: &PollerPlan) {
    let mut rng = Rng::with_seed(plan.seed);
    let end = loop {
        if plan.leaves_after.is_some_and(|events| script.testimony.log.len() as u64 >= events) {
            break End::Left;
        }
        let turn = match rng.u8(0..6) {
            0 if plan.skips => Turn::SkipAhead(rng.u64(0..4)),
            0 | 1 => Turn::Poll,
            2 => Turn::AtMost(rng.usize(0..4)),
            3 => Turn::Batch,
            4 => Turn::Handler,
            _ => Turn::Read(rng.u64(0..4), plan.panics && rng.u8(0..3) == 0),
        };
        let from = poller.sequence();
        match poller.turn(turn, &mut script) {
            Ok(Poll::Events(events)) => {
                let passed = poller.sequence() - from;
                let most =
                    if let Turn::AtMost(limit) = turn { limit.max(1) as u64 } else { passed };
                if events != passed || events > most {
                    let complaint = format!("{turn:?} passed {passed} events and told {events}");
                    script.testimony.complaints.push(complaint);
                }
            }
            Ok(Poll::Closed) => {
                if !poller.is_over() {
                    script.testimony.complaints.push("closed, and yet not over".to_owned());
                }
                break End::Closed;
            }
            Ok(Poll::Idle | Poll::Gated) if rng.bool() => thread::yield_now(),
            Ok(Poll::Idle | Poll::Gated) => poller.wait(Duration::from_micros(rng.u64(0..2_000))),
            Err(fault) => {
                script.testimony.fault = Some((&fault).into());
                break End::Faulted;
            }
        }
    };
    script.part(end, poller.sequence());
    drop(poller);
}
