//! Waiting until all handlers are done with an event.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::Published;

/// How often whoever waits looks whether somebody has ended without an answer.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// What has become of an event, handler by handler, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    answers: Mutex<Settled>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Settled {
    /// By the handler's number.
    settled: Vec<(u64, Fate)>,
    waker: Option<Waker>,
}

/// What a handler has made of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was handled.
    Handled,
    /// It had been handled before.
    Duplicate,
    /// It was no event of the type that the handler asks for.
    Filtered,
    /// It failed for good, for this reason, and lies among the dead letters.
    Failed(Arc<str>),
    /// It was passed over, as the handler's lag limit says, or the handler left before its turn came.
    PassedOver,
}

impl fmt::Debug for dyn Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

impl Ticket {
    pub(crate) fn settle(&self, handler: u64, fate: Fate) {
        let mut answers = self.answers.lock();
        debug_assert!(
            answers.settled.iter().all(|(other, _)| *other != handler),
            "a handler is done with an event once"
        );
        answers.settled.push((handler, fate));
        let waker = answers.waker.take();
        drop(answers);
        self.bell.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// An event that was published, of which one can learn when all its handlers are done with it: those that matched
/// it when it was published. As a future it waits without a limit.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Bus};
/// use std::time::Duration;
///
/// let bus = Bus::<AnyEvent>::start(64)?;
/// let _half = bus.handler("half").on::<u32>().run(|number, _| {
///     if number % 2 == 0 { Ok(()) } else { Err("odd") }
/// })?;
/// let mut publisher = bus.publisher();
/// let mut receipt = publisher.publish_tracked(AnyEvent::new(4_u32))?;
/// assert!(receipt.wait(Duration::from_secs(5))?.is_empty());
///
/// let mut receipt = publisher.publish_tracked(AnyEvent::new(5_u32))?;
/// let errors = receipt.wait(Duration::from_secs(5))?;
/// assert_eq!(errors[0].to_string(), "handler `half`: odd");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "it does nothing unless it is waited for"]
pub struct Receipt {
    published: Published,
    ticket: Arc<Ticket>,
    /// Who has to answer.
    handlers: Vec<Arc<dyn Answers>>,
}

/// A handler that is to answer.
pub(crate) trait Answers: Send + Sync {
    fn number(&self) -> u64;
    fn name(&self) -> &Arc<str>;
    /// Whether it has ended. If not, it wakes whoever asks when it does.
    fn has_ended(&self, waker: Option<&Waker>) -> bool;
}

/// A handler that is done with an event, and has not handled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhandled {
    /// The handler's name.
    pub handler: Arc<str>,
    /// What it has made of it.
    pub fate: Fate,
}

impl fmt::Display for Unhandled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handler `{}`: ", self.handler)?;
        match &self.fate {
            Fate::Failed(reason) => f.write_str(reason),
            Fate::PassedOver => f.write_str("it was passed over"),
            Fate::Duplicate => f.write_str("it had been handled before"),
            Fate::Filtered => f.write_str("it is of another type"),
            Fate::Handled => f.write_str("it was handled"),
        }
    }
}

impl std::error::Error for Unhandled {}

/// Some handlers were not done with an event in time. They will be: wait again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not done with it yet: {}", handlers.join(", "))]
pub struct NotYet {
    /// Their names.
    pub handlers: Vec<Arc<str>>,
}

impl Receipt {
    pub(crate) fn new(
        published: Published,
        ticket: Arc<Ticket>,
        handlers: Vec<Arc<dyn Answers>>,
    ) -> Self {
        Self { published, ticket, handlers }
    }

    /// What was published.
    pub fn published(&self) -> Published {
        self.published
    }

    /// Waits until all handlers are done with it, also with trying again, at most so long. Returns those that have
    /// failed for good or did not come to it; an event that was handled before, or that is of another type, is none.
    ///
    /// # Errors
    /// Those who are not done yet.
    pub fn wait(&mut self, timeout: Duration) -> Result<Vec<Unhandled>, NotYet> {
        let deadline = Instant::now().checked_add(timeout);
        let mut answers = self.ticket.answers.lock();
        loop {
            if let Some(unhandled) = self.unhandled(&answers, None) {
                return Ok(unhandled);
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Err(self.not_yet(&answers));
            }
            let slice = deadline.map_or(now + LOOK_AROUND, |end| end.min(now + LOOK_AROUND));
            self.ticket.bell.wait_until(&mut answers, slice);
        }
    }

    /// All answers but the good ones; `None` if there are not all.
    fn unhandled(&self, answers: &Settled, waker: Option<&Waker>) -> Option<Vec<Unhandled>> {
        let mut unhandled = Vec::new();
        for handler in &self.handlers {
            let fate = fate(&**handler, answers, waker)?;
            if matches!(fate, Fate::Failed(_) | Fate::PassedOver) {
                unhandled.push(Unhandled { handler: Arc::clone(handler.name()), fate });
            }
        }
        Some(unhandled)
    }

    fn not_yet(&self, answers: &Settled) -> NotYet {
        let is_open = |handler: &&Arc<dyn Answers>| fate(&***handler, answers, None).is_none();
        let open = self.handlers.iter().filter(is_open);
        NotYet { handlers: open.map(|handler| Arc::clone(handler.name())).collect() }
    }
}

/// What a handler has made of the event, if it is done with it.
fn fate(handler: &dyn Answers, answers: &Settled, waker: Option<&Waker>) -> Option<Fate> {
    let of_it = |answers: &Settled| {
        let answer = answers.settled.iter().find(|(number, _)| *number == handler.number());
        answer.map(|(_, fate)| fate.clone())
    };
    // One that has left while somebody before it in the ring was still writing never came to it.
    of_it(answers).or_else(|| handler.has_ended(waker).then_some(Fate::PassedOver))
}

impl Future for Receipt {
    type Output = Vec<Unhandled>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answers = self.ticket.answers.lock();
        if let Some(unhandled) = self.unhandled(&answers, Some(context.waker())) {
            return Poll::Ready(unhandled);
        }
        answers.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
