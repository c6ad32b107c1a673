//! Publish calls, beside what the model says of them.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use slipring::Producer;

use crate::{
    model::Refusal,
    ops::{Form, Publish},
    payload::{Content, Patience, Payload, Published},
    world::{Kind, World, throw},
};

/// A publish call on its way.
struct Writing<'a> {
    plan: &'a Publish,
    patience: Patience,
    count: usize,
    /// Known from the first call of the write closure on.
    claim: Option<Range<u64>>,
    written: usize,
    will_panic: bool,
}

impl<E: Payload, C: Kind> World<E, C> {
    pub fn publish(&mut self, plan: &Publish) {
        let who = usize::from(plan.who) % self.producers.len();
        let Some(mut producer) = self.producers[who].take() else { return };
        let count = if plan.form == Form::One { 1 } else { plan.count };
        let would_block = self.model.claim(count, plan.patience) == Err(Refusal::Blocked);
        let patience = match plan.patience {
            Patience::Forever if would_block => Patience::None,
            Patience::Far if would_block => Patience::Past,
            patience => patience,
        };
        let mut writing =
            Writing { plan, patience, count, claim: None, written: 0, will_panic: false };
        if plan.form == Form::Slice && !E::IS_COUNTED {
            self.publish_slice(&mut producer, &writing);
        } else {
            let call = || self.call(&mut producer, &mut writing);
            let result = catch_unwind(AssertUnwindSafe(call)).map_err(std::mem::forget).ok();
            self.sync_hook();
            self.check_published(&writing, result);
        }
        self.producers[who] = Some(producer);
    }

    fn call(&mut self, producer: &mut Producer<E, C>, writing: &mut Writing<'_>) -> Published {
        let (count, patience) = (writing.count, writing.patience);
        if writing.plan.form == Form::One {
            let write = |event: &mut E| self.write(writing, 0, event);
            let sequence = match patience {
                Patience::Forever => producer.publish(write),
                Patience::None => producer.try_publish(write),
                _ => producer.publish_deadline(patience.deadline(), write),
            }?;
            return Ok(sequence..sequence + 1);
        }
        let write = |index, event: &mut E| self.write(writing, index, event);
        match patience {
            Patience::Forever => producer.publish_batch(count, write),
            Patience::None => producer.try_publish_batch(count, write),
            _ => producer.publish_batch_deadline(patience.deadline(), count, write),
        }
    }

    fn next_content(&mut self, is_bomb: bool) -> Content {
        self.stamp += 1;
        Content { stamp: self.stamp, trace: 0, is_bomb: is_bomb && E::IS_COUNTED }
    }

    /// The write closure.
    fn write(&mut self, writing: &mut Writing<'_>, index: usize, event: &mut E) {
        self.sync_hook();
        let claim = match writing.claim.clone() {
            Some(claim) => claim,
            None => match self.begin(writing) {
                Ok(claim) => claim,
                Err(refusal) => return self.note(format!("written in spite of {refusal:?}")),
            },
        };
        self.expect("the index in the batch", &index, &writing.written);
        writing.written += 1;
        let sequence = claim.start + index as u64;
        let before = *self.model.slot(sequence);
        self.expect("found in the slot", &event.content(), &before);
        let content = self.next_content(writing.plan.are_bombs);
        *self.model.slot(sequence) = content;
        // What was in the slot may panic as it goes; the new event is in its place then.
        writing.will_panic = before.is_bomb && self.ledger.is_armed();
        *event = E::make(&self.ledger, content);
        if index == 0 {
            for op in &writing.plan.inside {
                self.apply(op);
            }
        }
        if let Some((at, payload)) = writing.plan.panics_at
            && at == index
        {
            writing.will_panic = true;
            throw(payload);
        }
    }

    fn begin(&mut self, writing: &mut Writing<'_>) -> Result<Range<u64>, Refusal> {
        let first = self.model.claim(writing.count, writing.patience)?;
        let claim = first..first + writing.count as u64;
        if let Some(cleared) = self.model.cleared {
            let is_clear = claim.end <= cleared + self.model.capacity;
            self.expect("cleared before it is used again", &is_clear, &true);
        }
        self.model.begin(&claim);
        writing.claim = Some(claim.clone());
        Ok(claim)
    }

    /// What came of the call; nothing if it panicked.
    fn check_published(&mut self, writing: &Writing<'_>, result: Option<Published>) {
        self.expect("the caller got a panic", &result.is_none(), &writing.will_panic);
        let expected = match &writing.claim {
            Some(claim) => {
                let finished = self.model.finish(claim, result.is_none());
                finished.map(|()| claim.clone())
            }
            None => match self.model.claim(writing.count, writing.patience) {
                Ok(_) if writing.count > 0 => {
                    return self.note(format!("not written, and {result:?}"));
                }
                Ok(first) => Ok(first..first),
                Err(refusal) => Err(refusal),
            },
        };
        let Some(result) = result else { return };
        if result.is_ok() {
            self.expect("calls of the write closure", &writing.written, &writing.count);
        }
        self.check_result(&result, &expected);
    }

    fn check_result(&mut self, result: &Published, expected: &Result<Range<u64>, Refusal>) {
        let is_right = match (result, expected) {
            (Ok(range), Ok(expected)) => range == expected,
            (Err(error), Err(refusal)) => refusal.is(error),
            _ => false,
        };
        if !is_right {
            self.note(format!("a publish call came to {result:?}, not {expected:?}"));
        }
    }

    /// Without a write closure all that happens in between is the reset hook.
    fn publish_slice(&mut self, producer: &mut Producer<E, C>, writing: &Writing<'_>) {
        let contents: Vec<Content> = (0..writing.count).map(|_| self.next_content(false)).collect();
        let Some(result) = E::publish_slice(producer, writing.patience, &contents) else { return };
        self.sync_hook();
        let expected = self.model.claim(writing.count, writing.patience);
        let expected = expected.map(|first| first..first + writing.count as u64);
        if let Ok(claim) = &expected {
            self.model.begin(claim);
            if self.model.finish(claim, false).is_err() {
                self.note("nobody has closed the ring meanwhile");
            }
            for (sequence, content) in claim.clone().zip(contents) {
                *self.model.slot(sequence) = content;
            }
        }
        self.check_result(&result, &expected);
    }
}
