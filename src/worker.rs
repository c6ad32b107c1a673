//! A worker at work: what a thread of a team does where a station of one thread looks and goes.

use crate::{
    consumer::{Seat, Step},
    post::Place,
    team::{Claims, Dealing, Hand, Routes, Team},
    work::{Access, Work},
};

impl<E> Seat<E> {
    /// Handles what there is for this worker.
    #[inline(never)]
    pub(crate) fn step_in_team<A: Access, W: Work<E, A>>(&mut self, work: &mut W) -> Step {
        match &self.team().0.dealing {
            Dealing::Claims(claims) => {
                let (from, claim) = self.claim_share(claims);
                self.cursor = from;
                match claim {
                    Ok(to) => match self.handle(work, from, to) {
                        Ok(()) => self.put_down(to, to - from),
                        Err(stop) => self.stopped(stop),
                    },
                    Err(nothing) => nothing,
                }
            }
            Dealing::Routes(routes) => match self.routed(routes, work) {
                Ok(to) => self.step_over(work, to),
                Err(nothing) => nothing,
            },
        }
    }

    fn team(&self) -> (&Team, &Hand) {
        let Place { post, hand } = self.place();
        match (&post.team, hand) {
            (Some(team), Some(hand)) => (team, hand),
            _ => unreachable!("a worker belongs to a team"),
        }
    }

    /// Where the claims stand, and the end of this worker's new one.
    fn claim_share(&self, claims: &Claims) -> (u64, Result<u64, Step>) {
        let (team, hand) = self.team();
        let mut has_missed = false;
        let (from, claim) = loop {
            let from = claims.end();
            match self.available_from(from, self.manner.max_batch) {
                Ok(to) => {
                    // So that the others find something too, and the last ones end together.
                    let share = (to - from).div_ceil(2 * team.hands.len() as u64);
                    if claims.try_claim(hand, from, from + share) {
                        break (from, Ok(from + share));
                    }
                    has_missed = true;
                }
                // Others have claimed it meanwhile, and it is no more.
                Err(Step::Idle) if claims.end() != from => {}
                Err(nothing) => break (from, Err(nothing)),
            }
        };
        if has_missed {
            if claim.is_err() {
                hand.rest();
            }
            // Whoever put down meanwhile what this hand seemed to hold could not pass it, and does
            // not look again.
            self.place().follow_team();
            self.ring.clear_passed();
        }
        (from, claim)
    }

    /// The end of a batch of which it is known whose the events are, from this worker's cursor on.
    /// Finds out more if that is needed and nobody else is at it.
    fn routed<A: Access, W: Work<E, A>>(&self, routes: &Routes, work: &W) -> Result<u64, Step> {
        let mut end = routes.end();
        if end == self.cursor {
            self.available_from(end, 1)?;
            end = self.route(routes, work)?;
        } else if self.ring.circuit.lifecycle.is_halted() {
            return Err(Step::Halted);
        }
        Ok(end.min(self.cursor + self.manner.max_batch))
    }

    /// Finds out whose the next events are.
    fn route<A: Access, W: Work<E, A>>(&self, routes: &Routes, work: &W) -> Result<u64, Step> {
        // Whoever holds it will soon have found out.
        let Some(mut skips) = routes.router.try_lock() else { return Err(Step::Idle) };
        let from = routes.end();
        if from > self.cursor {
            return Ok(from);
        }
        let to = self.available_from(from, self.manner.max_batch)?;
        let workers = self.team().0.hands.len() as u64;
        for at in from..to {
            let is_abandoned = skips.first_in(&self.ring.circuit.skips, from, at, at + 1).is_some();
            let owner = if is_abandoned {
                None
            } else {
                // SAFETY: one event; it is available to the team, and none of the team handles it
                // before its owner is known. This worker's cursor is not behind it, so it stays.
                let (event, _held) = unsafe { self.ring.shared(at, 1) };
                match self.hook_at(at, || work.key(&event[0])) {
                    Ok(key) => Some((key % workers) as usize),
                    Err(fault) => {
                        self.ring.circuit.halt(Some(fault));
                        return Err(Step::Halted);
                    }
                }
            };
            routes.assign(at, owner);
        }
        routes.move_end(to);
        Ok(to)
    }

    /// Handles this worker's own events before `to`, of which it is known whose they are.
    fn step_over<A: Access, W: Work<E, A>>(&mut self, work: &mut W, to: u64) -> Step {
        let from = self.cursor;
        let mut run = self.next_run(from, to);
        while !run.is_empty() {
            let next = self.next_run(run.end, to);
            self.pass_over(self.cursor, run.start);
            self.cursor = run.start;
            let batch_end = if next.is_empty() { run.end } else { u64::MAX };
            if let Err(stop) = self.deliver(work, run.start, run.end, batch_end) {
                return self.stopped(stop);
            }
            self.cursor = run.end;
            run = next;
        }
        self.pass_over(self.cursor, to);
        self.put_down(to, to - from)
    }

    /// This worker has done all that it had to do before `to`.
    fn put_down(&mut self, to: u64, moved: u64) -> Step {
        self.cursor = to;
        let place = self.place();
        place.figures().batches.add(1);
        place.put_down(to);
        self.ring.clear_passed();
        Step::Moved(moved)
    }

    /// The next run of this worker's own events.
    fn next_run(&self, from: u64, to: u64) -> std::ops::Range<u64> {
        match (&self.team().0.dealing, self.who.worker.number()) {
            (Dealing::Routes(routes), Some(worker)) => routes.next_run(worker, from, to),
            _ => unreachable!("only who has a key's events asks"),
        }
    }

    /// What is between two runs is not this worker's.
    fn pass_over(&self, from: u64, to: u64) {
        self.place().figures().newly_passed_over.add(to - from);
    }
}
