//! Stations that are tasks: they await something to poll, are streams now and then, and lose interest
//! half-way.

use std::{future::poll_fn, pin::Pin, thread, time::Duration};

use fastrand::Rng;
use futures_core::stream::FusedStream;
use slipring::{At, Fault, Poller, PollerMut};

use crate::{
    event::Event,
    evidence::{End, FaultSeen, Outcome},
    executor::{attempt, rest},
    plan::{PollerPlan, TaskPlan},
    pollers::Polled,
    script::Script,
};

/// What has become of a poller that was a stream.
pub enum Streamed<P> {
    Back(P),
    /// It was dropped, and its end is written down.
    Gone,
}

/// The two kinds of pollers, awaited.
pub trait Awaited: Polled + Sized {
    fn ready(&mut self) -> impl Future<Output = ()>;
    /// Is a stream for some items, if it can be.
    async fn streamed(
        self,
        script: &mut Script<'_>,
        rng: &mut Rng,
        plan: &PollerPlan,
        task: TaskPlan,
    ) -> Streamed<Self>;
}

impl<E: Event> Awaited for PollerMut<E> {
    fn ready(&mut self) -> impl Future<Output = ()> {
        self.ready()
    }

    async fn streamed(
        self,
        _: &mut Script<'_>,
        _: &mut Rng,
        _: &PollerPlan,
        _: TaskPlan,
    ) -> Streamed<Self> {
        Streamed::Back(self)
    }
}

impl<E: Event> Awaited for Poller<E> {
    fn ready(&mut self) -> impl Future<Output = ()> {
        self.ready()
    }

    async fn streamed(
        self,
        script: &mut Script<'_>,
        rng: &mut Rng,
        plan: &PollerPlan,
        task: TaskPlan,
    ) -> Streamed<Self> {
        let (begins, shared) = (script.testimony.log.len(), script.shared());
        let room = plan.leaves_after.map(|events| events.saturating_sub(begins as u64));
        let mut reading = Reading { room, ..Reading::default() };
        let mut stream = self.into_stream(|event: &E, at: At<'_>| script.item(event, at));
        let stop = reading.read(&mut stream, rng, task).await;
        let (position, tick) = (stream.sequence(), shared.tick());
        let streamed = if let Stop::Back = stop {
            Streamed::Back(stream.into_poller())
        } else {
            drop(stream);
            Streamed::Gone
        };
        reading.testify(script, begins);
        if let Streamed::Back(poller) = &streamed
            && poller.sequence() != position
        {
            let complaint = format!("it was a stream until {position}: {poller:?}");
            script.testimony.complaints.push(complaint);
        }
        if let Stop::Over(end, fault) = stop {
            script.testimony.fault = fault;
            script.part(end, position, tick);
        }
        streamed
    }
}

/// Why a stream is none any more.
enum Stop {
    /// It is to be a poller again.
    Back,
    Over(End, Option<FaultSeen>),
}

/// What is read of a stream.
#[derive(Default)]
struct Reading {
    /// How many items there are to be before it leaves.
    room: Option<u64>,
    /// The sequences of its items.
    items: Vec<u64>,
    given_up: u64,
    complaints: Vec<String>,
}

impl Reading {
    async fn read<S>(&mut self, stream: &mut S, rng: &mut Rng, task: TaskPlan) -> Stop
    where
        S: FusedStream<Item = Result<u64, Fault>> + Unpin,
    {
        for _ in 0..rng.u32(0..20) {
            let leaves = self.room.is_some_and(|room| self.items.len() as u64 >= room);
            // Who leaves does so where it stands, also while it is pending.
            let polls = if leaves { Some(1) } else { task.polls(rng) };
            let next = poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
            let end = match attempt(next, polls).await {
                Some(Some(Ok(sequence))) => {
                    self.items.push(sequence);
                    None
                }
                Some(Some(Err(fault))) => Some(Stop::Over(End::Faulted, Some((&fault).into()))),
                Some(None) => Some(Stop::Over(End::Closed, None)),
                None => {
                    self.given_up += 1;
                    None
                }
            };
            if let Some(end) = end {
                self.check_end(stream).await;
                return end;
            }
            if leaves {
                return Stop::Over(End::Left, None);
            }
        }
        Stop::Back
    }

    /// What has ended does not begin again.
    async fn check_end<S: FusedStream + Unpin>(&mut self, stream: &mut S) {
        let next = poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
        let is_over = matches!(attempt(next, Some(1)).await, Some(None));
        if !is_over || !stream.is_terminated() {
            self.complaints.push("its stream has ended, and goes on".to_owned());
        }
    }

    /// Everything that was handled has become an item, and nothing else.
    fn testify(self, script: &mut Script<'_>, begins: usize) {
        let testimony = &mut script.testimony;
        testimony.complaints.extend(self.complaints);
        testimony.awaited.streams += 1;
        testimony.awaited.items += self.items.len() as u64;
        testimony.awaited.given_up += self.given_up;
        let log = testimony.log[begins..].iter();
        let handled = log.filter(|entry| entry.outcome == Outcome::Done);
        if !handled.clone().map(|entry| entry.sequence).eq(self.items.iter().copied()) {
            let handled: Vec<u64> = handled.map(|entry| entry.sequence).collect();
            let complaint = format!("its stream had {:?} of {handled:?}", self.items);
            testimony.complaints.push(complaint);
        }
    }
}

impl TaskPlan {
    /// After how many polls it gives up a wait; `None`: never.
    fn polls(self, rng: &mut Rng) -> Option<u32> {
        let gives_up = self.gives_up > 0 && rng.u32(0..self.gives_up) == 0;
        gives_up.then(|| rng.u32(1..4))
    }
}

/// What a poller does that finds nothing, in its own way; returns whether it has been told that there is
/// something.
pub async fn pause<P: Awaited>(
    poller: &mut P,
    script: &mut Script<'_>,
    rng: &mut Rng,
    task: Option<TaskPlan>,
) -> bool {
    let Some(task) = task else {
        if rng.bool() {
            thread::yield_now();
        } else {
            poller.wait(Duration::from_micros(rng.u64(0..2_000)));
        }
        return false;
    };
    if rng.u8(0..4) == 0 {
        rest().await;
        return false;
    }
    let is_ready = attempt(poller.ready(), task.polls(rng)).await.is_some();
    let awaited = &mut script.testimony.awaited;
    *(if is_ready { &mut awaited.waits } else { &mut awaited.given_up }) += 1;
    is_ready
}
