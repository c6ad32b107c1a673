//! Who runs a handler: a thread, a task, or whoever has it in hand.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use futures_util::future::{Either, select};

use crate::{
    alarm,
    card::Card,
    event::Event,
    handler::Handle,
    hub::Hub,
    inline::Inline,
    reactive::{SystemTimer, Timer as _},
    view::View,
    worker::{Turn, Worker},
};

/// How often an idle thread looks around by itself. Only on a full ring is nothing put there to wake it.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// How long to wait for room before looking at one's own events again: they may have come to be what is in the way.
const A_MOMENT: Duration = Duration::from_micros(200);

/// How often an idle task looks whether something has come before it sleeps. To fall asleep, and to be woken, takes as
/// long as many events; a thread looks around before it sleeps as well.
pub(crate) const LOOKS: u32 = 32;

thread_local! {
    /// Wakes this thread.
    static HERE: Waker = alarm::this_thread();
}

/// Runs a future to its end, in this thread. Those of plain closures never wait.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    HERE.with(|waker| {
        let mut task = Context::from_waker(waker);
        loop {
            match future.as_mut().poll(&mut task) {
                Poll::Ready(done) => return done,
                Poll::Pending => thread::park(),
            }
        }
    })
}

/// Whoever runs a handler looks after the inline ones: what follows is theirs to see, and room is theirs to take.
pub(crate) struct Tender<E: Event> {
    pub inline: Arc<Inline<E>>,
    pub hub: Arc<Hub<E>>,
}

impl<E: Event> Tender<E> {
    pub(crate) fn tend(&self) {
        self.inline.tend(&self.hub);
    }
}

/// Runs a handler in this thread, until it leaves.
pub(crate) fn thread<E, V, H>(mut worker: Worker<E, V, H>, tender: &Tender<E>)
where
    E: Event,
    V: View<E>,
    H: Handle<E, V::Seen>,
{
    let sleeper = HERE.with(Waker::clone);
    loop {
        let turn = now(worker.turn());
        tender.tend();
        match turn {
            Turn::Moved => worker.keep_distance(),
            Turn::Idle(due) => worker.wait(worker.nap(due).min(LOOK_AROUND)),
            Turn::Hold(due) => worker.card().alarm.sleep(worker.nap(due), &sleeper),
            Turn::Full => worker.wait_for_room(A_MOMENT),
            Turn::Over => return,
        }
    }
}

/// Runs a handler as a task, until it leaves.
pub(crate) async fn task<E, V, H>(mut worker: Worker<E, V, H>, tender: Tender<E>)
where
    E: Event,
    V: View<E>,
    H: Handle<E, V::Seen>,
{
    let mut looks = 0;
    loop {
        let turn = worker.turn().await;
        tender.tend();
        looks = if turn == Turn::Moved { 0 } else { u32::saturating_add(looks, 1) };
        match turn {
            // Others of its runtime want to run as well.
            Turn::Moved => pause().await,
            Turn::Idle(_) if looks < LOOKS => pause().await,
            Turn::Idle(due) => idle(&mut worker, due).await,
            Turn::Hold(due) => hold(Arc::clone(worker.card()), worker.nap(due)).await,
            Turn::Full => full(&mut worker).await,
            Turn::Over => return,
        }
    }
}

/// Lets others of the same runtime run.
pub(crate) async fn pause() {
    let mut has_paused = false;
    poll_fn(|task| {
        if std::mem::replace(&mut has_paused, true) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn idle<E, V, H>(worker: &mut Worker<E, V, H>, due: Option<Duration>)
where
    E: Event,
    V: View<E>,
    H: Handle<E, V::Seen>,
{
    let (nap, card) = (worker.nap(due), Arc::clone(worker.card()));
    let rung = poll_fn(|task| card.alarm.poll(task));
    or_after(nap, select(pin!(worker.ready()), rung)).await;
}

async fn hold<E: Event>(card: Arc<Card<E>>, nap: Duration) {
    or_after(nap, poll_fn(|task| card.alarm.poll(task))).await;
}

async fn full<E, V, H>(worker: &mut Worker<E, V, H>)
where
    E: Event,
    V: View<E>,
    H: Handle<E, V::Seen>,
{
    let card = Arc::clone(worker.card());
    let rung = poll_fn(|task| card.alarm.poll(task));
    or_after(A_MOMENT, select(pin!(worker.room()), rung)).await;
}

/// Awaits a future, at most so long.
async fn or_after(time: Duration, future: impl Future) {
    if time == Duration::MAX {
        future.await;
    } else if let Either::Right(_) = select(pin!(future), SystemTimer.after(time)).await {
        // It is due.
    }
}
