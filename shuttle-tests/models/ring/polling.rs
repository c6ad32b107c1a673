//! A poller at work, until the ring ends or it leaves.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use slipring::{Access, At, Exclusive, Fault, Poll, Poller, Shared, model::plan_a_panic};

use super::{
    case::Form,
    event::{Event, step},
    script::Script,
};

/// Why a poller is polled no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Left,
    Closed,
    Fault(Fault),
}

pub fn poll_reading(mut poller: Poller<Event, Shared>, script: &mut Script) -> End {
    run(&mut poller, script, |poller, script| {
        let form = script.station.form;
        let one = |event: &Event, at: At<'_>| script.read(event, at);
        match form {
            Form::Poll => poller.poll(one),
            Form::PollAtMost => poller.poll_at_most(2, one),
            Form::PollSlices => poller.poll_batch(|events, at| script.read_all(events, at)),
            _ => Ok(take(poller, script)),
        }
    })
}

pub fn poll_changing(mut poller: Poller<Event, Exclusive>, script: &mut Script) -> End {
    run(&mut poller, script, |poller, script| {
        let form = script.station.form;
        let one = |event: &mut Event, at: At<'_>| script.update(event, at);
        match form {
            Form::PollAtMost => poller.poll_at_most(2, one),
            Form::PollSlices => poller.poll_batch(|events, at| script.update_all(events, at)),
            _ => poller.poll(one),
        }
    })
}

fn run<A: Access>(
    poller: &mut Poller<Event, A>,
    script: &mut Script,
    poll: impl Fn(&mut Poller<Event, A>, &mut Script) -> Result<Poll, Fault>,
) -> End {
    loop {
        if script.station.leaves_at.is_some_and(|sequence| poller.sequence() >= sequence) {
            return End::Left;
        }
        match poll(poller, script) {
            Ok(Poll::Events(_)) => {}
            Ok(Poll::Idle | Poll::Gated) => {
                poller.wait(Duration::from_secs(1));
            }
            Ok(Poll::Closed) => return End::Closed,
            Err(fault) => return End::Fault(fault),
        }
    }
}

/// Takes a batch and reads some of it. Now and then it ends with a panic, after which the event in
/// hand comes again.
fn take(poller: &mut Poller<Event, Shared>, script: &mut Script) -> Poll {
    let before = poller.sequence();
    let mut handed_out = 0;
    let reading = catch_unwind(AssertUnwindSafe(|| {
        let Some(mut batch) = poller.read() else { return };
        let enough = 1 + before % 5;
        for _ in 0..enough {
            let (sequence, remaining) = (batch.sequence(), batch.remaining());
            let Some(event) = batch.next() else { break };
            let held = event.hold();
            handed_out += 1;
            if before % 4 == 3 && handed_out == 3 {
                drop(held);
                plan_a_panic();
            }
            step();
            let content = event.shown();
            drop(held);
            assert!(batch.remaining() < remaining);
            script.remember(sequence, content);
        }
    }));
    drop(reading);
    if poller.is_over() {
        Poll::Closed
    } else if poller.sequence() > before {
        Poll::Events(poller.sequence() - before)
    } else {
        Poll::Idle
    }
}
