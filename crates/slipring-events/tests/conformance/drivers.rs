//! The kinds of subscribers, behind one face.

use std::{
    future::Future,
    pin::Pin,
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use slipring_events::{
    Bus, Context, Event, HandlerError, Registration, Retried, Retry, Step, Subscription, Whole,
    reactive::Pool,
};

/// Longer than anything takes: what is not done by then hangs.
pub const AMPLE: Duration = Duration::from_secs(100);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: u32,
    pub payload: String,
}

impl Event for Message {
    fn name(&self) -> &'static str {
        "message"
    }
}

impl Message {
    pub fn new(id: u32) -> Self {
        Self { id, payload: format!("payload of {id}") }
    }
}

/// Who runs the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Inline,
    Thread,
    Pooled,
    ByHand,
    Tokio,
    Smol,
}

/// What a subscriber asks for.
pub struct Wish {
    pub name: String,
    pub topic: &'static str,
    pub retry: Retry,
    pub is_in_order: bool,
    /// Which of how many workers it is, and whether events are shared by a key.
    pub share: Option<(u64, u64, bool)>,
}

impl Wish {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            topic: "#",
            retry: Retry::none(),
            is_in_order: false,
            share: None,
        }
    }
}

/// A subscriber, and what is to be waited for when it has left.
pub struct Subscriber {
    pub subscription: Subscription<Message>,
    pub end: Box<dyn FnOnce() + Send>,
}

static TOKIO: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
});

/// Some handlers of these tests wait for others: there are threads for all that do at a time.
static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(16).unwrap());

impl Kind {
    /// Whether its handler runs in the thread that publishes, which waits for it.
    pub fn is_inline(self) -> bool {
        self == Self::Inline
    }

    pub fn subscribe<F>(self, bus: &Bus<Message>, wish: Wish, mut handler: F) -> Subscriber
    where
        F: FnMut(&Message, &mut Context<'_, Message>) -> Result<(), HandlerError> + Send + 'static,
    {
        let registration = bus.handler(wish.name).topic(wish.topic);
        let registration = if wish.is_in_order { registration.in_order() } else { registration };
        let registration = match wish.share {
            None => registration,
            Some((worker, of, false)) => registration.share(worker, of),
            Some((worker, of, true)) => {
                registration.share_by(worker, of, |message: &Message| message.id / 50)
            }
        };
        let registration: Registration<'_, Message, Whole, Retried> =
            registration.retry(wish.retry);
        match self {
            Self::Inline => {
                let subscription = registration.inline(handler).unwrap();
                Subscriber { subscription, end: Box::new(|| ()) }
            }
            Self::Thread => {
                let subscription = registration.run(handler).unwrap();
                Subscriber { subscription, end: Box::new(|| ()) }
            }
            Self::Pooled => {
                let subscription = registration.pooled(&POOL, handler).unwrap();
                Subscriber { subscription, end: Box::new(|| ()) }
            }
            Self::ByHand => {
                let (subscription, mut hand) = registration.by_hand(handler).unwrap();
                let stepping = thread::spawn(move || {
                    loop {
                        match hand.step() {
                            Step::Moved => {}
                            Step::Over => return,
                            _ => thread::sleep(Duration::from_micros(100)),
                        }
                    }
                });
                Subscriber { subscription, end: Box::new(move || stepping.join().unwrap()) }
            }
            Self::Tokio | Self::Smol => {
                let (subscription, task) = registration
                    .task(async move |message, context| {
                        smol::future::yield_now().await;
                        handler(message, context)
                    })
                    .unwrap();
                Subscriber { subscription, end: self.spawn(Box::pin(task)) }
            }
        }
    }

    fn spawn(self, task: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn FnOnce() + Send> {
        if self == Self::Tokio {
            let task = TOKIO.spawn(task);
            return Box::new(move || TOKIO.block_on(task).unwrap());
        }
        let task = smol::spawn(task);
        Box::new(move || smol::block_on(task))
    }
}

/// Fails when something hangs.
pub fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let worker = thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    match is_done.recv_timeout(AMPLE * 2) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => worker.join().unwrap(),
    }
}
