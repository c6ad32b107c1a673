//! Producers at work: every form of publishing, and write closures that panic half-way.

use std::{
    future::poll_fn,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use slipring::{Claim, Multi, Producer, PublishError, Single};

use crate::{
    event::{Event, Patience, Stamp},
    evidence::{Answer, Call, Ledger, Manner, ON_PURPOSE, Refusal, panic_on_purpose},
    executor::{attempt, rest},
    plan::ProducerPlan,
    shared::Shared,
};

/// A producer that may be replaced by its clone, where it has clones.
pub trait Renew: Claim + Sized {
    fn renew<E>(producer: Producer<E, Self>) -> Producer<E, Self>;
}

impl Renew for Single {
    fn renew<E>(producer: Producer<E, Self>) -> Producer<E, Self> {
        producer
    }
}

impl Renew for Multi {
    fn renew<E>(producer: Producer<E, Self>) -> Producer<E, Self> {
        #[expect(clippy::redundant_clone, reason = "the clone is what is to be tried")]
        producer.clone()
    }
}

/// What a call is to be.
#[derive(Debug)]
struct Order {
    form: Form,
    count: usize,
    patience: Patience,
    /// The event at whose writing it panics.
    panics_at: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    One,
    Batch,
    Slice,
}

/// Runs a producer to the end of its plan, or of the ring. Only a task ever awaits anything in this.
pub async fn feed<E: Event, C: Renew>(
    mut producer: Producer<E, C>,
    index: usize,
    plan: &ProducerPlan,
    slots_are_cleared: bool,
    shared: &Arc<Shared>,
) -> Ledger {
    let mut rng = Rng::with_seed(plan.seed);
    let dawdling = Dawdling { one_in: plan.dawdles, events: 0 };
    let mut desk = Desk {
        producer: index as u32,
        next: 0,
        slots_are_cleared,
        dawdling,
        shared,
        ledger: Ledger::default(),
    };
    for turn in 0..plan.calls {
        if plan.pause > 0 && turn % plan.pause == 0 {
            if plan.task.is_some() {
                rest().await;
            } else {
                thread::yield_now();
            }
        }
        if plan.clones && rng.u8(0..4) == 0 {
            producer = C::renew(producer);
        }
        let order = order(&mut rng, plan, producer.capacity());
        let answer = if plan.task.is_some() && order.patience == Patience::Forever {
            desk.await_room(&mut producer, &order, &mut rng).await
        } else {
            desk.publish(&mut producer, &order)
        };
        if answer == Answer::Refused(Refusal::Ended) {
            // Once more: what has ended does not begin again.
            let order =
                Order { form: Form::One, count: 1, patience: Patience::None, panics_at: None };
            desk.publish(&mut producer, &order);
            break;
        }
    }
    // Before the handle goes, with which the ring may close.
    shared.producers_left.fetch_sub(1, Ordering::AcqRel);
    desk.ledger
}

fn order(rng: &mut Rng, plan: &ProducerPlan, capacity: usize) -> Order {
    let form = match rng.u8(0..4) {
        0 | 1 => Form::One,
        2 => Form::Batch,
        _ => Form::Slice,
    };
    let count = match rng.u8(0..20) {
        _ if form == Form::One => 1,
        0 => capacity + 1,
        1 => 0,
        2 => capacity,
        _ => rng.usize(1..=capacity.min(9)),
    };
    let patience = match rng.u8(0..8) {
        0..=3 => Patience::Forever,
        4 | 5 => Patience::None,
        6 => Patience::Until(Instant::now()),
        _ => Patience::Until(Instant::now() + Duration::from_micros(rng.u64(0..400))),
    };
    let panics = plan.panics > 0 && rng.u32(0..plan.panics) == 0 && count > 0;
    let panics_at = (panics && form != Form::Slice).then(|| rng.usize(0..count));
    Order { form, count, patience, panics_at }
}

/// Where a producer's calls are made and written down.
struct Desk<'a> {
    producer: u32,
    /// The number of the next event.
    next: u32,
    /// Whether a slot must be as the reset hook left it.
    slots_are_cleared: bool,
    dawdling: Dawdling,
    shared: &'a Arc<Shared>,
    ledger: Ledger,
}

/// Takes its time over some events.
#[derive(Clone, Copy, Debug)]
struct Dawdling {
    one_in: u32,
    events: u32,
}

impl Dawdling {
    fn event(&mut self) {
        self.events = self.events.wrapping_add(1);
        if self.one_in > 0 && self.events.is_multiple_of(self.one_in) {
            thread::yield_now();
        }
    }
}

/// What a call's write closure needs, and what it has done.
struct Pen<'a> {
    producer: u32,
    number: u32,
    panics_at: Option<usize>,
    dawdling: Dawdling,
    shared: &'a Arc<Shared>,
    written: usize,
    /// Events whose slots had not been reset.
    dirty: usize,
    ticks: Option<(u64, u64)>,
}

impl Pen<'_> {
    fn write<E: Event>(&mut self, index: usize, event: &mut E) {
        self.dawdling.event();
        self.written += 1;
        self.dirty += usize::from(event.stamp() != Stamp::CLEAR);
        if let Some(tick) = self.shared.tick() {
            self.ticks = Some((self.ticks.map_or(tick, |(first, _)| first), tick));
        }
        event.write(Stamp::new(self.producer, self.number + index as u32), &self.shared.census);
        if self.panics_at == Some(index) {
            panic_on_purpose();
        }
    }
}

/// What is known of a call beforehand.
#[derive(Clone, Copy)]
struct Before {
    manner: Manner,
    was_closed: bool,
    arrivals: u64,
}

impl<'a> Desk<'a> {
    fn publish<E: Event, C: Claim>(
        &mut self,
        producer: &mut Producer<E, C>,
        order: &Order,
    ) -> Answer {
        let manner = match order.patience {
            Patience::Forever => Manner::Waiting,
            Patience::None => Manner::Trying,
            Patience::Until(_) => Manner::Timed,
        };
        let (before, mut pen) = (self.before(manner), self.pen(order));
        let made = catch_unwind(AssertUnwindSafe(|| match order.form {
            Form::One => publish_one(producer, order.patience, |event| pen.write(0, event)),
            Form::Batch => publish_batch(producer, order, |index, event| pen.write(index, event)),
            Form::Slice => {
                let stamps = 0..order.count as u32;
                let stamp = |index| Stamp::new(pen.producer, pen.number + index);
                let stamps: Vec<Stamp> = stamps.map(stamp).collect();
                E::publish_slice(producer, order.patience, &stamps, &pen.shared.census)
            }
        }));
        if order.form == Form::Slice && matches!(made, Ok(Ok(_))) {
            pen.written = order.count;
        }
        let answer = self.answer(made);
        self.note(before, &pen, order.count, answer)
    }

    /// Publishes when there is room, as a task. Now and then a future is dropped while it is pending, and
    /// another one takes its place, with events of its own.
    async fn await_room<E: Event, C: Claim>(
        &mut self,
        producer: &mut Producer<E, C>,
        order: &Order,
        rng: &mut Rng,
    ) -> Answer {
        loop {
            let polls = (rng.u8(0..3) == 0).then(|| rng.u32(1..4));
            let (before, mut pen) = (self.before(Manner::Awaiting), self.pen(order));
            let made = match order.form {
                Form::One => {
                    let call = producer.publish_async(|event| pen.write(0, event));
                    let made = self.awaited(call, polls).await;
                    made.map(|made| made.map(|made| made.map(|sequence| sequence..sequence + 1)))
                }
                Form::Batch | Form::Slice => {
                    let write = |index: usize, event: &mut E| pen.write(index, event);
                    let call = producer.publish_batch_async(order.count, write);
                    self.awaited(call, polls).await
                }
            };
            let is_given_up = made.is_none();
            let answer = made.map_or(Answer::GivenUp, |made| self.answer(made));
            let answer = self.note(before, &pen, order.count, answer);
            if !is_given_up {
                return answer;
            }
        }
    }

    /// Polls a call to its end, which its panic is as well, or until it is given up.
    async fn awaited<T>(
        &mut self,
        call: impl Future<Output = T>,
        polls: Option<u32>,
    ) -> Option<thread::Result<T>> {
        let (shared, mut call) = (self.shared, pin!(call));
        let mut is_late = false;
        let caught = poll_fn(|context| {
            let was_closed = shared.is_closed.load(Ordering::Acquire);
            match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))) {
                Ok(Poll::Pending) => {
                    is_late |= was_closed;
                    Poll::Pending
                }
                Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
                Err(payload) => Poll::Ready(Err(payload)),
            }
        });
        let made = attempt(caught, polls).await;
        if is_late {
            self.complain("a call awaits room on a ring that has ended");
        }
        made
    }

    fn before(&self, manner: Manner) -> Before {
        Before {
            manner,
            was_closed: self.shared.is_closed.load(Ordering::Acquire),
            arrivals: self.shared.arrivals.load(Ordering::Acquire),
        }
    }

    fn pen(&self, order: &Order) -> Pen<'a> {
        Pen {
            producer: self.producer,
            number: self.next,
            panics_at: order.panics_at,
            dawdling: self.dawdling,
            shared: self.shared,
            written: 0,
            dirty: 0,
            ticks: None,
        }
    }

    /// Writes down what came of a call.
    fn note(&mut self, before: Before, pen: &Pen<'_>, count: usize, answer: Answer) -> Answer {
        let Pen { number, dawdling, written, dirty, ticks, .. } = *pen;
        self.dawdling = dawdling;
        if self.slots_are_cleared && dirty > 0 {
            self.complain(&format!("{dirty} slots of a call had not been reset"));
        }
        if let Answer::Accepted(range) = &answer {
            self.shared.publish(self.producer as usize, range.end);
        }
        self.next += count as u32;
        let Before { manner, was_closed, arrivals } = before;
        let call = Call { number, count, manner, was_closed, arrivals, written, ticks, answer };
        self.ledger.calls.push(call.clone());
        call.answer
    }

    fn answer(&mut self, made: thread::Result<Result<Range<u64>, PublishError>>) -> Answer {
        match made {
            Ok(Ok(range)) => Answer::Accepted(range),
            Ok(Err(error)) => {
                if let PublishError::Halted(fault) = &error {
                    self.ledger.fault = Some(fault.into());
                }
                let refusal = Refusal::from(&error);
                if refusal == Refusal::Other {
                    self.complain(&format!("refused with: {error}"));
                }
                Answer::Refused(refusal)
            }
            Err(payload) => {
                if payload.downcast_ref::<&str>() != Some(&ON_PURPOSE) {
                    self.complain("a publish call panicked by itself");
                }
                Answer::Panicked
            }
        }
    }

    fn complain(&mut self, complaint: &str) {
        self.ledger.complaints.push(format!("producer {}: {complaint}", self.producer));
    }
}

fn publish_one<E: Event, C: Claim>(
    producer: &mut Producer<E, C>,
    patience: Patience,
    write: impl FnOnce(&mut E),
) -> Result<Range<u64>, PublishError> {
    let sequence = match patience {
        Patience::Forever => producer.publish(write),
        Patience::None => producer.try_publish(write),
        Patience::Until(deadline) => producer.publish_deadline(deadline, write),
    };
    sequence.map(|sequence| sequence..sequence + 1)
}

fn publish_batch<E: Event, C: Claim>(
    producer: &mut Producer<E, C>,
    order: &Order,
    write: impl FnMut(usize, &mut E),
) -> Result<Range<u64>, PublishError> {
    match order.patience {
        Patience::Forever => producer.publish_batch(order.count, write),
        Patience::None => producer.try_publish_batch(order.count, write),
        Patience::Until(deadline) => producer.publish_batch_deadline(deadline, order.count, write),
    }
}
