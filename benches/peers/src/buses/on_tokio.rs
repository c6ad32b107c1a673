//! `tokio`'s broadcast channel, made lossless by a [gate](super::gate).
//!
//! On threads a handler asks in a loop with the cell's wait, or sleeps in `blocking_recv`; as a task it awaits. The
//! sender has nothing to sleep on while there is no room, and yields: its thread, or as a task to other tasks.
//! A receiver that has lost something ends, and the run fails for what it has not seen.

use slipring_bench::{
    Fault, Outcome, Wait, bus::RunsOn, contestant::pause, outcome::Board, witness::Order,
};
use tokio::{
    sync::broadcast::{Receiver, Sender, error::TryRecvError::Empty},
    task::yield_now,
};

use super::{
    gate::Gated,
    job::{Checker, Job, Peer},
    message::Message,
    tasks, threads,
};

/// `tokio::sync::broadcast`.
pub struct Tokio;

impl Peer for Tokio {
    const NAME: &'static str = "tokio-bus";
    const FAMILY: &'static str = "tokio-broadcast";

    fn runs_on(_: RunsOn) -> bool {
        true
    }

    fn run<O: Order, const WORDS: usize>(job: &Job<'_>) -> Result<Outcome, Fault> {
        let mut board = Board::new(job.cell, job.load);
        let checkers = job.checkers::<O>(&mut board);
        let sender = Sender::<Message<WORDS>>::new(job.cell.capacity);
        let handlers: Vec<_> =
            checkers.into_iter().map(|checker| (sender.subscribe(), checker)).collect();
        let senders = Gated::all(&sender, job.cell.capacity, job.publishers());
        // The channel closes when the last of them is done.
        drop(sender);
        let wait = job.cell.wait;
        if !job.has_tasks() {
            let senders = senders.into_iter().map(|gated| Waiting { gated, wait }).collect();
            let handlers = handlers.into_iter();
            let handlers =
                handlers.map(|(receiver, checker)| move || handle(receiver, wait, checker));
            return threads::run(job, board, senders, handlers.collect());
        }
        let runtime = tasks::runtime(job.load)?;
        let started = runtime.block_on(async {
            for (receiver, checker) in handlers {
                tokio::spawn(await_and_handle(receiver, checker));
            }
            tasks::publish(job, &board, senders).await
        });
        board.settle(started)
    }
}

fn handle<O: Order, const WORDS: usize>(
    mut receiver: Receiver<Message<WORDS>>,
    wait: Wait,
    mut checker: Checker<O>,
) {
    if wait == Wait::Block {
        while let Ok(message) = receiver.blocking_recv() {
            checker.see(&message);
        }
        return;
    }
    loop {
        match receiver.try_recv() {
            Ok(message) => checker.see(&message),
            Err(Empty) => pause(wait),
            Err(_) => return,
        }
    }
}

async fn await_and_handle<O: Order, const WORDS: usize>(
    mut receiver: Receiver<Message<WORDS>>,
    mut checker: Checker<O>,
) {
    while let Ok(message) = receiver.recv().await {
        checker.see(&message);
    }
}

/// A sender on a thread.
struct Waiting<const WORDS: usize> {
    gated: Gated<Message<WORDS>>,
    wait: Wait,
}

impl<const WORDS: usize> threads::Publish<WORDS> for Waiting<WORDS> {
    #[inline]
    fn publish(&mut self, message: Message<WORDS>) {
        while !self.gated.has_room() {
            pause(if self.wait == Wait::Block { Wait::Yield } else { self.wait });
        }
        self.gated.send(message);
    }
}

impl<const WORDS: usize> tasks::Publish<WORDS> for Gated<Message<WORDS>> {
    #[inline]
    async fn publish(&mut self, message: Message<WORDS>) {
        while !self.has_room() {
            yield_now().await;
        }
        self.send(message);
    }
}
