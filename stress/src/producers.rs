//! Producers at work: every form of publishing, and write closures that panic half-way.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use slipring::{Claim, Multi, Producer, PublishError, Single};

use crate::{
    event::{Event, Patience, Stamp},
    evidence::{Answer, Call, Ledger, Manner, ON_PURPOSE, Refusal, Shared, panic_on_purpose},
    plan::ProducerPlan,
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

/// Runs a producer to the end of its plan, or of the ring.
pub fn feed<E: Event, C: Renew>(
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
            thread::yield_now();
        }
        if plan.clones && rng.u8(0..4) == 0 {
            producer = C::renew(producer);
        }
        let order = order(&mut rng, plan, producer.capacity());
        if desk.publish(&mut producer, &order) == Answer::Refused(Refusal::Ended) {
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

impl Desk<'_> {
    fn publish<E: Event, C: Claim>(
        &mut self,
        producer: &mut Producer<E, C>,
        order: &Order,
    ) -> Answer {
        let (shared, id, number) = (self.shared, self.producer, self.next);
        let was_closed = shared.is_closed.load(Ordering::Acquire);
        let arrivals = shared.arrivals.load(Ordering::Acquire);
        let (mut written, mut ticks, mut dirty) = (0, None, 0);
        let dawdling = &mut self.dawdling;
        let mut write = |index: usize, event: &mut E| {
            dawdling.event();
            written += 1;
            dirty += usize::from(event.stamp() != Stamp::CLEAR);
            if let Some(tick) = shared.tick() {
                ticks = Some((ticks.map_or(tick, |(first, _)| first), tick));
            }
            event.write(Stamp::new(id, number + index as u32), &shared.census);
            if order.panics_at == Some(index) {
                panic_on_purpose();
            }
        };
        let made = catch_unwind(AssertUnwindSafe(|| match order.form {
            Form::One => publish_one(producer, order.patience, |event| write(0, event)),
            Form::Batch => publish_batch(producer, order, &mut write),
            Form::Slice => {
                let stamps: Vec<Stamp> =
                    (0..order.count as u32).map(|index| Stamp::new(id, number + index)).collect();
                E::publish_slice(producer, order.patience, &stamps, &shared.census)
            }
        }));
        if self.slots_are_cleared && dirty > 0 {
            self.complain(&format!("{dirty} slots of a call had not been reset"));
        }
        let answer = self.answer(made);
        if let Answer::Accepted(range) = &answer {
            shared.publish(id as usize, range.end);
        }
        if order.form == Form::Slice && matches!(answer, Answer::Accepted(_)) {
            written = order.count;
        }
        let manner = match order.patience {
            Patience::Forever => Manner::Waiting,
            Patience::None => Manner::Trying,
            Patience::Until(_) => Manner::Timed,
        };
        self.next += order.count as u32;
        let count = order.count;
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
