//! What many programs have in the place of a bus: a bounded `crossbeam-channel` for each handler, and publishers
//! that send every event to each. Each channel has the capacity of the bus.

use slipring_bench::{Fault, Outcome, bus::RunsOn, outcome::Board, witness::Order};

use super::{
    job::{Checker, Job, Peer},
    message::Message,
    threads,
};
use crate::{
    link::{Link, Shared, Tx},
    queues::Crossbeam,
};

/// Channels side by side.
pub struct FanOut;

type Sender<const WORDS: usize> = <Crossbeam as Link>::Tx<Message<WORDS>>;
type Receiver<const WORDS: usize> = <Crossbeam as Link>::Rx<Message<WORDS>>;

impl Peer for FanOut {
    const NAME: &'static str = "crossbeam-fan-out";
    const FAMILY: &'static str = "crossbeam-channel";

    fn runs_on(runs_on: RunsOn) -> bool {
        runs_on == RunsOn::Threads
    }

    fn run<O: Order, const WORDS: usize>(job: &Job<'_>) -> Result<Outcome, Fault> {
        let mut board = Board::new(job.cell, job.load);
        let mut senders = Vec::new();
        let mut handlers = Vec::new();
        for checker in job.checkers::<O>(&mut board) {
            let (sender, receiver) = Crossbeam::link(job.cell.capacity, job.cell.wait);
            senders.push(sender);
            handlers.push(move || handle::<O, WORDS>(receiver, checker));
        }
        // The channels close when the last publisher is done.
        let publishers = vec![Fan(senders); job.publishers()];
        threads::run(job, board, publishers, handlers)
    }
}

fn handle<O: Order, const WORDS: usize>(mut receiver: Receiver<WORDS>, mut checker: Checker<O>) {
    while let Some(message) = receiver.next() {
        checker.see(&message);
    }
}

/// A sender to each of the handlers.
#[derive(Clone)]
struct Fan<const WORDS: usize>(Vec<Sender<WORDS>>);

impl<const WORDS: usize> threads::Publish<WORDS> for Fan<WORDS> {
    #[inline]
    fn publish(&mut self, message: Message<WORDS>) {
        for sender in &mut self.0 {
            sender.push(message);
        }
    }
}
