//! `evno`: a bus whose handlers are tasks. It promises what slipring's does: a publisher awaits room, so that
//! nothing is lost, and no event comes before all handlers that were bound have subscribed.

use std::future;

use evno::{Bus, Close, Guard, ToEmitter, TypedEmit, from_fn};
use slipring_bench::{Fault, Outcome, bus::RunsOn, outcome::Board, witness::Order};

use super::{
    job::{Job, Peer},
    message::Message,
    tasks,
};

/// `evno::Bus`.
pub struct Evno;

impl Peer for Evno {
    const NAME: &'static str = "evno";
    const FAMILY: &'static str = "evno";

    fn runs_on(runs_on: RunsOn) -> bool {
        runs_on == RunsOn::Tasks
    }

    fn run<O: Order, const WORDS: usize>(job: &Job<'_>) -> Result<Outcome, Fault> {
        let mut board = Board::new(job.cell, job.load);
        let checkers = job.checkers::<O>(&mut board);
        let started = tasks::runtime(job.load)?.block_on(async {
            let bus = Bus::new(job.cell.capacity);
            for mut checker in checkers {
                bus.bind(from_fn(move |message: Guard<Message<WORDS>>| {
                    checker.see(&message);
                    future::ready(())
                }));
            }
            let emitter = |_| Emitter::<WORDS>(bus.to_emitter());
            let emitters = (0..job.publishers()).map(emitter).collect();
            let started = tasks::publish(job, &board, emitters).await;
            // Waits for the handlers.
            bus.close().await;
            started
        });
        board.settle(started)
    }
}

/// What emits events of one type, which is the quicker way.
struct Emitter<const WORDS: usize>(<Bus as ToEmitter>::Emitter<Message<WORDS>>);

impl<const WORDS: usize> tasks::Publish<WORDS> for Emitter<WORDS> {
    #[inline]
    async fn publish(&mut self, message: Message<WORDS>) {
        self.0.emit(message).await;
    }
}
