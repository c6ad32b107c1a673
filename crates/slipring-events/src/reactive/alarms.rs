//! Who is to be woken when.
//!
//! Not `futures-timer`: its one thread wakes tasks unprotected, so that one waker that panics ends it, and from then
//! on every delay of the process panics.

use std::{
    collections::BTreeMap,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::panics;

/// Which alarm: when it rings, and a number that no other has.
type Key = (Duration, u64);

/// Alarms of a clock, which counts from 0.
#[derive(Default)]
pub(super) struct Alarms {
    state: Mutex<State>,
    /// The first alarm has become another one.
    sooner: Condvar,
}

#[derive(Default)]
struct State {
    /// What is up to here has rung.
    now: Duration,
    set: BTreeMap<Key, Waker>,
    numbers: u64,
}

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Alarms")
            .field("now", &state.now)
            .field("set", &state.set.len())
            .finish_non_exhaustive()
    }
}

impl Alarms {
    pub(super) fn now(&self) -> Duration {
        self.state.lock().now
    }

    pub(super) fn waiting(&self) -> usize {
        self.state.lock().set.len()
    }

    /// What is ready `period` after `now`. Beyond the clock's range it never is.
    pub(super) fn after(self: &Arc<Self>, now: Duration, period: Duration) -> Alarm {
        let mut state = self.state.lock();
        state.numbers += 1;
        let key = (now.saturating_add(period), state.numbers);
        Alarm { alarms: Arc::clone(self), key, is_set: false }
    }

    /// Lets time go by, and wakes those whose time is up.
    pub(super) fn advance(&self, period: Duration) {
        let mut state = self.state.lock();
        let now = state.now.saturating_add(period);
        let due = state.take_due(now);
        drop(state);
        wake(due);
    }

    /// Rings for ever, by the system's clock.
    pub(super) fn run(&self, start: Instant) {
        let mut state = self.state.lock();
        loop {
            let now = start.elapsed();
            let due = state.take_due(now);
            if !due.is_empty() {
                // Wakers are somebody else's code, which may set alarms.
                MutexGuard::unlocked(&mut state, || wake(due));
                continue;
            }
            match state.set.first_key_value() {
                Some(((at, _), _)) => {
                    let timeout = at.saturating_sub(now);
                    let _ = self.sooner.wait_for(&mut state, timeout);
                }
                None => self.sooner.wait(&mut state),
            }
        }
    }
}

/// A waker that panics keeps nobody else from being woken.
fn wake(due: BTreeMap<Key, Waker>) {
    for waker in due.into_values() {
        panics::swallow(|| waker.wake());
    }
}

impl State {
    fn take_due(&mut self, now: Duration) -> BTreeMap<Key, Waker> {
        self.now = self.now.max(now);
        // No alarm has this number: all that ring at `now` are before it.
        let later = self.set.split_off(&(self.now, u64::MAX));
        mem::replace(&mut self.set, later)
    }
}

/// A future that is ready when its alarm has rung.
pub(super) struct Alarm {
    alarms: Arc<Alarms>,
    key: Key,
    is_set: bool,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Cloned, and what it takes the place of dropped, without the lock.
        let waker = context.waker().clone();
        let mut state = this.alarms.state.lock();
        if this.key.0 <= state.now {
            return Poll::Ready(());
        }
        this.is_set = true;
        let before = state.set.insert(this.key, waker);
        let is_first = state.set.first_key_value().is_some_and(|(key, _)| *key == this.key);
        drop(state);
        if is_first && before.is_none() {
            this.alarms.sooner.notify_one();
        }
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if self.is_set {
            let waker = self.alarms.state.lock().set.remove(&self.key);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, task::Wake, thread};

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics, on purpose");
        }
    }

    struct Tells(mpsc::Sender<()>);

    impl Wake for Tells {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_else_from_being_woken() {
        let (start, alarms) = (Instant::now(), Arc::new(Alarms::default()));
        let running = Arc::clone(&alarms);
        thread::spawn(move || running.run(start));
        let (woken, wakes) = mpsc::channel();
        let mut first = alarms.after(start.elapsed(), Duration::from_millis(1));
        let mut second = alarms.after(start.elapsed(), Duration::from_millis(2));
        let panics = Waker::from(Arc::new(Panics));
        let tells = Waker::from(Arc::new(Tells(woken)));
        let _ = Pin::new(&mut first).poll(&mut Context::from_waker(&panics));
        let _ = Pin::new(&mut second).poll(&mut Context::from_waker(&tells));
        wakes.recv_timeout(Duration::from_mins(1)).expect("the second is woken");
    }

    #[test]
    fn a_sooner_alarm_does_not_wait_for_a_later_one() {
        let (start, alarms) = (Instant::now(), Arc::new(Alarms::default()));
        let running = Arc::clone(&alarms);
        thread::spawn(move || running.run(start));
        let (woken, wakes) = mpsc::channel();
        let tells = Waker::from(Arc::new(Tells(woken)));
        let mut later = alarms.after(start.elapsed(), Duration::from_hours(1));
        let never = alarms.after(start.elapsed(), Duration::MAX);
        assert!(Pin::new(&mut later).poll(&mut Context::from_waker(&tells)).is_pending());
        // Several: the first may be found before the thread has begun to wait.
        for _ in 0..20 {
            let mut sooner = alarms.after(start.elapsed(), Duration::from_millis(2));
            if Pin::new(&mut sooner).poll(&mut Context::from_waker(&tells)).is_pending() {
                wakes.recv_timeout(Duration::from_mins(1)).expect("it is woken");
            }
            assert!(Pin::new(&mut sooner).poll(&mut Context::from_waker(&tells)).is_ready());
        }
        assert_eq!(alarms.waiting(), 1);
        drop((later, never));
        assert_eq!(alarms.waiting(), 0);
    }
}
