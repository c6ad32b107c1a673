//! Runs tasks on one thread, as strictly as a runtime may: nobody is polled who has not been woken, and
//! only the waker of the last poll wakes. So a wake-up that is lost, or goes to an older waker, leaves
//! its task asleep, and the watchdog finds it there.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use fastrand::Rng;

use crate::{evidence::panic_on_purpose, plan::ExecutorPlan};

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
/// Makes a task on the thread that runs it: what it holds need not be `Send`.
pub type Job = Box<dyn FnOnce() -> Task<'static> + Send>;

/// Runs all of them to their end.
pub fn run(jobs: Vec<Job>, plan: ExecutorPlan) {
    run_tasks(jobs.into_iter().map(|job| job()).collect(), plan);
}

/// Runs one task to its end.
pub fn alone<T>(future: impl Future<Output = T>, plan: ExecutorPlan) -> T {
    let mut output = None;
    run_tasks(vec![Box::pin(async { output = Some(future.await) })], plan);
    output.expect("it has come to its end")
}

/// Whether a task has been woken since its last poll.
struct Signal {
    is_woken: AtomicBool,
    thread: Thread,
    panics: bool,
}

impl Signal {
    fn new(plan: ExecutorPlan) -> Arc<Self> {
        Arc::new(Self {
            is_woken: AtomicBool::new(true),
            thread: thread::current(),
            panics: plan.panics,
        })
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
        if self.panics && self.thread.id() != thread::current().id() {
            panic_on_purpose();
        }
    }
}

struct Slot<'a> {
    task: Task<'a>,
    signal: Arc<Signal>,
}

impl Slot<'_> {
    fn poll(&mut self) -> Poll<()> {
        let waker = Waker::from(Arc::clone(&self.signal));
        self.task.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

fn run_tasks(tasks: Vec<Task<'_>>, plan: ExecutorPlan) {
    let mut rng = Rng::with_seed(plan.seed);
    let slot = |task| Slot { task, signal: Signal::new(plan) };
    let mut slots: Vec<Slot<'_>> = tasks.into_iter().map(slot).collect();
    while !slots.is_empty() {
        let mut is_idle = true;
        slots.retain_mut(|slot| {
            if !slot.signal.is_woken.swap(false, Ordering::Acquire) {
                return true;
            }
            is_idle = false;
            if plan.renews && rng.bool() {
                slot.signal = Signal::new(plan);
                slot.signal.is_woken.store(false, Ordering::Relaxed);
            }
            slot.poll().is_pending()
        });
        if is_idle {
            thread::park();
        }
    }
}

// ---- what tasks are made of ----

/// Lets the others of its executor have a turn.
pub async fn rest() {
    let mut has_rested = false;
    std::future::poll_fn(|context| {
        if has_rested {
            return Poll::Ready(());
        }
        has_rested = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls a future so often, whether or not somebody wakes it, and drops it a turn later if it is pending
/// still: it may have been woken meanwhile. Without a number, awaits it.
pub async fn attempt<F: Future>(future: F, polls: Option<u32>) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == Some(0) {
            return Poll::Ready(None);
        }
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if let Some(left) = &mut left {
            *left -= 1;
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        panic::{AssertUnwindSafe, catch_unwind},
    };

    use super::*;

    const STRICT: ExecutorPlan = ExecutorPlan { seed: 1, renews: true, panics: false };

    #[test]
    fn tasks_of_one_thread_take_turns() {
        let said = RefCell::new(Vec::new());
        let task = |name: u32| {
            let said = &said;
            let body = async move {
                for turn in 0..3 {
                    said.borrow_mut().push((turn, name));
                    rest().await;
                }
            };
            Box::pin(body) as Task<'_>
        };
        run_tasks(vec![task(0), task(1)], STRICT);
        assert_eq!(said.into_inner(), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
    }

    #[test]
    fn a_future_is_given_up_after_so_many_polls() {
        let mut polls = 0;
        let pending = std::future::poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        assert_eq!(alone(attempt(pending, Some(3)), STRICT), None);
        assert_eq!(polls, 3);
        assert_eq!(alone(attempt(std::future::ready(5), Some(1)), STRICT), Some(5));
        assert_eq!(alone(attempt(std::future::ready(5), None), STRICT), Some(5));
    }

    /// One task keeps the wakers of all its polls; another one wakes it by those that are not the last.
    #[test]
    fn an_older_waker_wakes_nobody() {
        const POLLS: usize = 20;
        let wakers = RefCell::new(Vec::<Waker>::new());
        let sleeper = std::future::poll_fn(|context| {
            wakers.borrow_mut().push(context.waker().clone());
            match wakers.borrow().len() {
                ..POLLS => context.waker().wake_by_ref(),
                POLLS => {}
                _ => return Poll::Ready(()),
            }
            Poll::Pending
        });
        let rouser = async {
            while wakers.borrow().len() < POLLS {
                rest().await;
            }
            let all = wakers.borrow().clone();
            let last = &all[POLLS - 1];
            let older = || all.iter().filter(|waker| !waker.will_wake(last));
            assert!(older().count() > 0, "some were renewed");
            for _ in 0..3 {
                older().for_each(Waker::wake_by_ref);
                rest().await;
            }
            assert_eq!(wakers.borrow().len(), POLLS, "nobody was polled");
            last.wake_by_ref();
        };
        run_tasks(vec![Box::pin(sleeper), Box::pin(rouser)], STRICT);
        assert_eq!(wakers.borrow().len(), POLLS + 1);
    }

    /// Threads that wake are not to be taken down by a waker that panics.
    #[test]
    fn a_waker_that_panics_has_woken() {
        let plan = ExecutorPlan { panics: true, ..STRICT };
        let mut waking = None;
        let sleeper = std::future::poll_fn(|context| {
            if waking.is_some() {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            waking = Some(thread::spawn(move || {
                catch_unwind(AssertUnwindSafe(|| waker.wake_by_ref())).is_err()
            }));
            Poll::Pending
        });
        alone(sleeper, plan);
        assert!(waking.is_some_and(|waking| waking.join().is_ok_and(|panicked| panicked)));
    }
}
