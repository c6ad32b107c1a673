//! Asking a question on the bus, and waiting for the reply.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::{Published, event::Event};

/// Whoever waits for a reply: the first one.
#[derive(Debug)]
pub(crate) struct Asker<E> {
    answer: Mutex<Answer<E>>,
    bell: Condvar,
}

#[derive(Debug)]
struct Answer<E> {
    reply: Option<E>,
    waker: Option<Waker>,
}

impl<E> Asker<E> {
    pub(crate) fn new() -> Arc<Self> {
        let answer = Mutex::new(Answer { reply: None, waker: None });
        Arc::new(Self { answer, bell: Condvar::new() })
    }

    pub(crate) fn tell(&self, reply: E) {
        let mut answer = self.answer.lock();
        if answer.reply.is_some() {
            return;
        }
        answer.reply = Some(reply);
        let waker = answer.waker.take();
        drop(answer);
        self.bell.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A question that was published. As a future it waits without a limit.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Bus};
/// use std::time::Duration;
///
/// #[derive(Clone)]
/// struct Price { item: u32 }
///
/// let bus = Bus::<AnyEvent>::start(64)?;
/// let _prices = bus.handler("prices").on::<Price>().run(|ask, context| {
///     context.reply(AnyEvent::new(u64::from(ask.item) * 5))
/// })?;
/// let reply = bus.publisher().request(AnyEvent::new(Price { item: 7 }))?.wait(Duration::from_secs(5))?;
/// assert_eq!(reply.get::<u64>(), Some(&35));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "it does nothing unless it is waited for"]
pub struct Request<E> {
    published: Published,
    asker: Arc<Asker<E>>,
}

/// There was no reply in time. Nobody is there who replies (see [`Published::handlers`]), whoever is there has
/// failed (see the dead letters), or it takes longer: wait again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no reply within {0:?}: see the dead letters, or wait longer")]
pub struct NoReply(Duration);

impl<E: Event> Request<E> {
    pub(crate) fn new(published: Published, asker: Arc<Asker<E>>) -> Self {
        Self { published, asker }
    }

    /// What was published.
    pub fn published(&self) -> Published {
        self.published
    }

    /// Waits for the first reply, at most so long. It is an event on the bus as well, for whoever wants to see it.
    ///
    /// # Errors
    /// There was none in time.
    pub fn wait(&mut self, timeout: Duration) -> Result<E, NoReply> {
        let deadline = Instant::now().checked_add(timeout);
        let mut answer = self.asker.answer.lock();
        loop {
            if let Some(reply) = &answer.reply {
                return Ok(reply.clone());
            }
            match deadline {
                None => self.asker.bell.wait(&mut answer),
                Some(deadline) => {
                    if self.asker.bell.wait_until(&mut answer, deadline).timed_out() {
                        return answer.reply.clone().ok_or(NoReply(timeout));
                    }
                }
            }
        }
    }
}

impl<E: Event> Future for Request<E> {
    type Output = E;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<E> {
        let mut answer = self.asker.answer.lock();
        if let Some(reply) = &answer.reply {
            return Poll::Ready(reply.clone());
        }
        answer.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
