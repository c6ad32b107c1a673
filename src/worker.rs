//! A worker at work: what a thread of a team does where a station of one thread looks and goes.

use crate::{
    consumer::{Seat, Step},
    error::Fault,
    post::Place,
    team::{Claims, Dealing, Hand, Router, Routes, Team},
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
                        Ok(()) => self.put_down(to, to - from, to - from),
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
        let Some(mut dealer) = routes.router.try_lock() else { return Err(Step::Idle) };
        let from = routes.end();
        if from > self.cursor {
            return Ok(from);
        }
        let to = self.available_from(from, self.manner.max_batch)?;
        let mut at = from;
        while at < to {
            let count = routes.on_page(at, to);
            if let Err(fault) = self.ask(work, &mut dealer, from, at, count) {
                let circuit = &self.ring.circuit;
                // Before somebody else gets the lock, and asks once more.
                circuit.lifecycle.halt(Some(fault.clone()));
                // Whoever is told or woken is somebody else's code.
                drop(dealer);
                circuit.halt(Some(fault));
                return Err(Step::Halted);
            }
            routes.assign(&mut dealer, at, count);
            at += count as u64;
        }
        routes.move_end(to);
        Ok(to)
    }

    /// Asks the next `count` events, which are on one page, for their keys, but for abandoned ones. The
    /// team stands at `cursor`.
    fn ask<A: Access, W: Work<E, A>>(
        &self,
        work: &W,
        router: &mut Router,
        cursor: u64,
        from: u64,
        count: usize,
    ) -> Result<(), Fault> {
        let (skips, to) = (&self.ring.circuit.skips, from + count as u64);
        let mut abandoned = router.skips.first_in(skips, cursor, from, to);
        // SAFETY: in one lap; the events are available to the team, and none of the team handles them
        // before their owners are known. This worker's cursor is not behind them, so they stay.
        let (events, _held) = unsafe { self.ring.shared(from, count) };
        self.hook_along(from, |at| {
            for (index, event) in events.iter().enumerate() {
                *at = from + index as u64;
                if abandoned == Some(*at) {
                    abandoned = router.skips.first_in(skips, cursor, *at + 1, to);
                } else {
                    router.deal(index, work.key(event));
                }
            }
        })
    }

    /// Handles this worker's own events before `to`, of which it is known whose they are.
    fn step_over<A: Access, W: Work<E, A>>(&mut self, work: &mut W, to: u64) -> Step {
        let from = self.cursor;
        let mut run = self.next_run(from, to);
        let mut own = 0;
        while !run.is_empty() {
            own += run.end - run.start;
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
        self.put_down(to, to - from, own)
    }

    /// This worker has done all that it had to do before `to`, with so many events of its own.
    fn put_down(&mut self, to: u64, moved: u64, own: u64) -> Step {
        self.cursor = to;
        let place = self.place();
        // A batch without a single event of its own is none.
        if own > 0 {
            place.figures().batches.add(own);
        }
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

#[cfg(all(test, feature = "tracing"))]
mod tests {
    use std::sync::OnceLock;

    use tracing::{Event, Metadata, Subscriber, span};

    use crate::{
        At, Builder, keyed,
        snapshot::Monitor,
        sync::{Arc, lock::control::Mutex, thread},
        team::Dealing,
    };

    /// Of each fault that is told, notes whether the router was free.
    #[derive(Default)]
    struct Listener {
        monitor: OnceLock<Monitor>,
        free: Mutex<Vec<bool>>,
    }

    struct Subscribed(Arc<Listener>);

    impl Subscriber for Subscribed {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            if *event.metadata().level() != tracing::Level::ERROR {
                return;
            }
            let monitor = self.0.monitor.wait();
            let team = monitor.circuit().posts[0].team.as_ref().expect("it is a team's");
            let Dealing::Routes(routes) = &team.dealing else { unreachable!("it has keys") };
            // Another worker holds it at most for a moment.
            let is_free = (0..1_000).any(|_| {
                thread::yield_now();
                routes.router.try_lock().is_some()
            });
            self.0.free.lock().push(is_free);
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn a_key_that_panics_is_told_when_the_router_is_free_again() {
        let listener = Arc::new(Listener::default());
        // Of all threads: it is a worker's that tells.
        tracing::subscriber::set_global_default(Subscribed(Arc::clone(&listener)))
            .expect("it is the only one");
        let key = |_: &u64| -> u64 { panic!("the key panics") };
        let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
            .then(keyed("team", 2, key, |_| |_: &u64, _: At<'_>| ()))
            .start()
            .expect("a ring");
        assert!(listener.monitor.set(dispatcher.monitor()).is_ok());
        producer.publish(|_| ()).expect("there is room");
        dispatcher.join().expect_err("the ring was halted");
        assert_eq!(*listener.free.lock(), [true]);
    }
}
