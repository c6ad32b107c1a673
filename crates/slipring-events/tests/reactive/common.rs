//! Sources that stutter, consumers that look once, and a limit to how long a test may wait.

use std::{
    panic,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use futures_core::Stream;
use slipring_events::reactive::{Flow, Refusal, Subject};

/// Polls once, for nobody.
pub fn poll<T>(flow: &mut Flow<T>) -> Poll<Option<T>> {
    Pin::new(flow).poll_next(&mut Context::from_waker(Waker::noop()))
}

/// A waker that remembers.
#[derive(Default)]
pub struct Woken(AtomicBool);

impl Woken {
    /// Whether it was woken since the last look.
    pub fn is_woken(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What the flow yields up to its end, polled only when it has asked for it.
///
/// # Panics
/// If it waits and has nobody to wake it, or if there is more behind the end.
pub fn drain<T>(mut flow: Flow<T>) -> Vec<T> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut items = Vec::new();
    loop {
        match Pin::new(&mut flow).poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(Some(item)) => items.push(item),
            Poll::Ready(None) => break,
            Poll::Pending => assert!(woken.is_woken(), "it would sleep for ever"),
        }
    }
    assert!(poll(&mut flow).map(|item| item.is_none()) == Poll::Ready(true), "behind the end");
    items
}

/// A stream that does what a script says, once a poll.
pub struct Script<T> {
    steps: std::vec::IntoIter<Step<T>>,
    is_over: bool,
}

pub enum Step<T> {
    Item(T),
    Pending,
    Call(Box<dyn FnMut() + Send>),
}

impl<T> Script<T> {
    pub fn new(steps: impl IntoIterator<Item = Step<T>>) -> Self {
        Self { steps: steps.into_iter().collect::<Vec<_>>().into_iter(), is_over: false }
    }
}

// Nothing in it is pinned.
impl<T> Unpin for Script<T> {}

impl<T> Stream for Script<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        assert!(!self.is_over, "polled again behind the end");
        match self.steps.next() {
            Some(Step::Item(item)) => return Poll::Ready(Some(item)),
            Some(Step::Pending) => {}
            Some(Step::Call(mut call)) => call(),
            None => {
                self.is_over = true;
                return Poll::Ready(None);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Items, with a pause at each `None`.
pub fn stutter<T: Send + 'static>(script: Vec<Option<T>>) -> Flow<T> {
    let step = |step: Option<T>| step.map_or(Step::Pending, Step::Item);
    Flow::from_stream(Script::new(script.into_iter().map(step)))
}

/// Publishes 0, 1, 2 and so on until there is no room; how many that were.
pub fn fill(subject: &mut Subject<usize>) -> usize {
    for number in 0.. {
        if let Err(refused) = subject.try_publish(number) {
            assert_eq!((refused.value, refused.why), (number, Refusal::Full));
            return number;
        }
        assert!(number < 10_000, "nobody holds it back");
    }
    unreachable!()
}

/// Runs what may wait for ever on a thread, and fails if it does.
pub fn bounded<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = call();
        let _ = done.send(());
        result
    });
    // An error is a panic of the call, which goes on below.
    let told = result.recv_timeout(Duration::from_mins(1));
    assert!(told != Err(mpsc::RecvTimeoutError::Timeout), "it waits for ever");
    thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// The text of the panic that the call ends with.
pub fn panic_of<T>(call: impl FnOnce() -> T) -> &'static str {
    let payload = panic::catch_unwind(panic::AssertUnwindSafe(call)).err().expect("it panics");
    payload.downcast_ref::<&'static str>().expect("a panic with a text")
}
