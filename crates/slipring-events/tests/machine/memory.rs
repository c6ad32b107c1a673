//! What a handler remembers of the events that it has handled, and now and then cannot say or cannot write down.

use fastrand::Rng;
use slipring_events::{EventId, HandlerError, Inbox, Window};

use crate::{
    hands::{Log, ON_PURPOSE},
    plan::InboxPlan,
};

pub struct Memory {
    window: Window,
    fails: u8,
    rng: Rng,
    log: Log,
}

impl Memory {
    pub fn new(plan: InboxPlan, seed: u64, log: &Log) -> Self {
        let window = Window::last(plan.remembers);
        Self { window, fails: plan.fails, rng: Rng::with_seed(seed), log: log.clone() }
    }

    fn is_out_of_order(&mut self) -> bool {
        self.rng.u8(..16) < self.fails
    }

    fn fail<T>(&mut self) -> Result<T, HandlerError> {
        if self.rng.bool() {
            std::panic::panic_any(ON_PURPOSE);
        }
        Err("the memory is out of order".into())
    }
}

impl Inbox for Memory {
    fn knows(&mut self, id: EventId) -> Result<bool, HandlerError> {
        if self.is_out_of_order() {
            self.log.lock().unknowable += 1;
            return self.fail();
        }
        let knows = self.window.knows(id)?;
        self.log.lock().known.extend(knows.then_some(id));
        Ok(knows)
    }

    fn record(&mut self, id: EventId) -> Result<(), HandlerError> {
        if self.is_out_of_order() {
            // The handler has succeeded, and the event has not.
            if let Some(last) = self.log.lock().tries.last_mut() {
                last.is_ok = false;
            }
            return self.fail();
        }
        self.window.record(id)
    }
}
