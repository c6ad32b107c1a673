//! A producer at work, and what it was told.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use slipring::{
    Claim, Producer, PublishError,
    model::{now, plan_a_panic},
};

use super::{
    case::{Call, Case, Reset, Turn},
    event::{Content, Event, Ledger, step},
};

/// What came of a producer's turns.
#[derive(Debug, Default)]
pub struct Fed {
    /// Published: the sequences, and the number of the first event.
    pub accepted: Vec<(Range<u64>, u64)>,
    /// Events of write closures that panicked.
    pub abandoned: u64,
    /// Why it gave up before its last turn.
    pub refusal: Option<PublishError>,
}

pub fn feed<C: Claim>(
    mut producer: Producer<Event, C>,
    index: usize,
    case: &Case,
    ledger: &Ledger,
) -> Fed {
    let mut feeder = Feeder { producer: index, case, ledger, number: 0, is_dirty: false };
    let mut fed = Fed::default();
    for turn in &case.producers[index] {
        assert!(producer.room() <= case.capacity);
        let too_large = producer.try_publish_batch(case.capacity + 1, |_, _| unreachable!());
        assert!(matches!(too_large, Err(PublishError::TooLarge { .. })));
        let number = feeder.number;
        feeder.number += turn.events as u64;
        let call = || feeder.publish(&mut producer, *turn, number);
        match catch_unwind(AssertUnwindSafe(call)) {
            Err(planned) => {
                drop(planned);
                assert!(turn.panics, "only planned panics come out of a publish");
                feeder.is_dirty = true;
                fed.abandoned += turn.events as u64;
            }
            Ok(Ok(range)) => {
                assert!(!turn.panics, "the write closure's panic is lost");
                assert_eq!(range.end - range.start, turn.events as u64);
                fed.accepted.push((range, number));
            }
            Ok(Err(PublishError::Full)) if turn.call == Call::Try => {}
            Ok(Err(PublishError::TimedOut)) if turn.call == Call::Past => {}
            Ok(Err(PublishError::TimedOut))
                if turn.call == Call::Future && case.time_passes > 0 => {}
            Ok(Err(refusal)) => {
                let again = producer.try_publish(|_| unreachable!("the ring is closed"));
                assert!(matches!(again, Err(PublishError::Closed | PublishError::Halted(_))));
                assert!(producer.is_closed());
                fed.refusal = Some(refusal);
                break;
            }
        }
    }
    fed
}

struct Feeder<'a> {
    producer: usize,
    case: &'a Case,
    ledger: &'a Ledger,
    /// Of the next event.
    number: u64,
    /// Something half-written may be left in the slot.
    is_dirty: bool,
}

impl Feeder<'_> {
    fn publish<C: Claim>(
        &self,
        producer: &mut Producer<Event, C>,
        turn: Turn,
        number: u64,
    ) -> Result<Range<u64>, PublishError> {
        let write = |at: usize, event: &mut Event| {
            let panics = turn.panics && at + 1 == turn.events;
            self.write(event, number + at as u64, panics);
        };
        let deadline = match turn.call {
            Call::Future => now() + Duration::from_secs(1),
            _ => now(),
        };
        if turn.alone {
            let write = |event: &mut Event| write(0, event);
            let sequence = match turn.call {
                Call::Wait => producer.publish(write),
                Call::Try => producer.try_publish(write),
                Call::Past | Call::Future => producer.publish_deadline(deadline, write),
            };
            return sequence.map(|sequence| sequence..sequence + 1);
        }
        match turn.call {
            Call::Wait => producer.publish_batch(turn.events, write),
            Call::Try => producer.try_publish_batch(turn.events, write),
            Call::Past | Call::Future => {
                producer.publish_batch_deadline(deadline, turn.events, write)
            }
        }
    }

    fn write(&self, event: &mut Event, number: u64, panics: bool) {
        let _held = event.hold_alone();
        let is_clear = event.payload.is_none() || self.case.reset == Reset::None;
        // The only producer's panic leaves the slot to its own next event.
        assert!(is_clear || (self.is_dirty && !self.case.is_multi), "a slot was not reset");
        let content = Content { producer: self.producer, number, trace: 0 };
        event.write(content, self.ledger.payload());
        step();
        if panics {
            plan_a_panic();
        }
        event.complete();
    }
}
