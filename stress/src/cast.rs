//! Who acts in a round: threads, and tasks on a few threads, each under a name by which the watchdog
//! knows whether it has ended.

use std::{
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use crate::{
    executor::{self, Job},
    plan::{ExecutorPlan, Plan},
    shared::Shared,
};

/// Somebody who acts.
pub struct Actor<T> {
    name: String,
    work: Work<T>,
}

/// Where an actor's result comes from.
enum Work<T> {
    Thread(JoinHandle<T>),
    Task(mpsc::Receiver<T>),
}

impl<T> Actor<T> {
    /// What it came to, or that it panicked by itself.
    pub fn joined(self, complaints: &mut Vec<String>) -> Option<T> {
        let outcome = match self.work {
            Work::Thread(thread) => thread.join().ok(),
            Work::Task(result) => result.recv().ok(),
        };
        if outcome.is_none() {
            complaints.push(format!("{} panicked by itself", self.name));
        }
        outcome
    }
}

/// Starts a thread.
pub fn spawn<T: Send + 'static>(
    shared: &Arc<Shared>,
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> Actor<T> {
    let enlisted = shared.enlist(name.clone());
    let body = move || {
        let _enlisted = enlisted;
        body()
    };
    let handle = thread::Builder::new().name(name.clone()).spawn(body).expect("a thread");
    Actor { name, work: Work::Thread(handle) }
}

/// The round's executors, before they are started.
pub struct Executors(Vec<(ExecutorPlan, Vec<Job>)>);

impl Executors {
    pub fn new(plan: &Plan) -> Self {
        Self(plan.executors.iter().map(|executor| (*executor, Vec::new())).collect())
    }

    /// Lists a task; it is made, and runs, when the executor is started.
    pub fn spawn<T, F>(
        &mut self,
        executor: usize,
        shared: &Arc<Shared>,
        name: String,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Actor<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let enlisted = shared.enlist(name.clone());
        let (sender, result) = mpsc::channel();
        let job: Job = Box::new(move || {
            let task = make();
            Box::pin(async move {
                let _enlisted = enlisted;
                // Nobody minds who is not asked.
                let _ = sender.send(task.await);
            })
        });
        self.0[executor].1.push(job);
        Actor { name, work: Work::Task(result) }
    }

    pub fn start(self, shared: &Arc<Shared>) -> Gathering<()> {
        let start = |(number, (plan, jobs)): (usize, (ExecutorPlan, Vec<Job>))| {
            spawn(shared, format!("executor {number}"), move || executor::run(jobs, plan))
        };
        Gathering::new(self.0.into_iter().enumerate().map(start).collect())
    }
}

/// Actors, and what those that have been waited for came to.
pub struct Gathering<T> {
    actors: Vec<Actor<T>>,
    pub results: Vec<T>,
}

impl<T> Gathering<T> {
    pub fn new(actors: Vec<Actor<T>>) -> Self {
        Self { actors, results: Vec::new() }
    }

    pub fn finish(&mut self, complaints: &mut Vec<String>) {
        for actor in self.actors.drain(..) {
            self.results.extend(actor.joined(complaints));
        }
    }
}
