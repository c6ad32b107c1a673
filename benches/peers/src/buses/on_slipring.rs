//! Slipring's own bus, as it is when nobody sets anything but the capacity and the wait: every event has its time
//! and is counted, and a handler that failed would not be lost.

use std::time::Duration;

use slipring_bench::{Fault, Outcome, Wait, bus::RunsOn, outcome::Board, witness::Order};
use slipring_events::{Bus, Publisher};

use super::{
    job::{Checker, Job, Peer, fault},
    message::Message,
    tasks, threads,
};

/// `slipring_events::Bus`.
pub struct Slipring;

/// How long the handlers may take for what is on the ring when the publishers are done.
const PATIENCE: Duration = Duration::from_secs(30);

const OPEN: &str = "the bus is open";

impl Peer for Slipring {
    const NAME: &'static str = "slipring-bus";
    const FAMILY: &'static str = slipring_bench::on_slipring::SLIPRING;

    fn runs_on(_: RunsOn) -> bool {
        true
    }

    fn run<O: Order, const WORDS: usize>(job: &Job<'_>) -> Result<Outcome, Fault> {
        let mut board = Board::new(job.cell, job.load);
        let checkers = job.checkers::<O>(&mut board);
        let bus = Bus::<Message<WORDS>>::builder(job.cell.capacity).wait(wait(job)).start();
        let bus = bus.map_err(fault)?;
        let publishers = (0..job.publishers()).map(|_| bus.publisher()).collect();
        if !job.has_tasks() {
            for (index, mut checker) in checkers.into_iter().enumerate() {
                let handler = bus.handler(format!("h{index}"));
                handler.run(move |message, _| checker.see(message)).map_err(fault)?;
            }
            let started = threads::publish(job, &board, publishers);
            bus.shutdown(PATIENCE).map_err(fault)?;
            return board.settle(started);
        }
        let runtime = tasks::runtime(job.load)?;
        let started = runtime.block_on(async {
            bind(&bus, checkers)?;
            Ok(tasks::publish(job, &board, publishers).await)
        })?;
        // Here nobody's task waits meanwhile.
        bus.shutdown(PATIENCE).map_err(fault)?;
        board.settle(started)
    }
}

/// Spawns a task for each handler.
fn bind<O: Order, const WORDS: usize>(
    bus: &Bus<Message<WORDS>>,
    checkers: Vec<Checker<O>>,
) -> Result<(), Fault> {
    for (index, mut checker) in checkers.into_iter().enumerate() {
        let handler = bus.handler(format!("h{index}"));
        let task = handler.task(async move |message, _| checker.see(message));
        let (_, task) = task.map_err(fault)?;
        tokio::spawn(task);
    }
    Ok(())
}

fn wait(job: &Job<'_>) -> slipring::Wait {
    match job.cell.wait {
        Wait::Spin => slipring::Wait::Spin,
        Wait::Hint => slipring::Wait::Hint,
        Wait::Yield => slipring::Wait::Yield,
        Wait::Block => slipring::Wait::Block,
    }
}

impl<const WORDS: usize> threads::Publish<WORDS> for Publisher<Message<WORDS>> {
    #[inline]
    fn publish(&mut self, message: Message<WORDS>) {
        Self::publish(self, message).expect(OPEN);
    }
}

impl<const WORDS: usize> tasks::Publish<WORDS> for Publisher<Message<WORDS>> {
    #[inline]
    async fn publish(&mut self, message: Message<WORDS>) {
        self.publish_async(message).await.expect(OPEN);
    }
}
