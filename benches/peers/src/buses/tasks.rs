//! Publishers and handlers as tasks of one runtime.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use slipring_bench::{
    Fault,
    feed::Lane,
    load::{Load, cores_of},
    outcome::Board,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Barrier,
    task::JoinSet,
};

use super::{
    job::{Job, fault},
    message::Message,
};

/// Publishes one event, awaiting room.
pub trait Publish<const WORDS: usize>: Send + 'static {
    fn publish(&mut self, message: Message<WORDS>) -> impl Future<Output = ()> + Send;
}

/// A runtime for one run: a worker for each core, and at its place there.
pub fn runtime(load: &Load) -> Result<Runtime, Fault> {
    let (places, next) = (load.clone(), AtomicUsize::new(0));
    let cores = cores_of(&load.cores);
    Builder::new_multi_thread()
        .worker_threads(cores)
        // ORDERING: Relaxed: nothing but the number is shared.
        .on_thread_start(move || places.take_place(next.fetch_add(1, Relaxed)))
        .build()
        .map_err(fault)
}

/// Everybody publishes their share; gives the earliest start.
pub async fn publish<const WORDS: usize, P: Publish<WORDS>>(
    job: &Job<'_>,
    board: &Board,
    publishers: Vec<P>,
) -> Instant {
    let line = Arc::new(Barrier::new(publishers.len()));
    let mut running = JoinSet::new();
    for (lane, mut publisher) in Lane::all(job.cell, job.load, board).zip(publishers) {
        let line = Arc::clone(&line);
        running.spawn(async move {
            line.wait().await;
            let (started, values) = lane.begin();
            for value in values {
                publisher.publish(Message::of(value)).await;
            }
            started
        });
    }
    let starts = running.join_all().await;
    starts.into_iter().min().expect("there is a publisher")
}
