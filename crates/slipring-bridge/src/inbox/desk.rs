//! The thread that hands on to the intake: it may wait, for a disk or for room on a ring, while the task goes on to
//! speak with the broker.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    task::{Context, Wake, Waker},
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

use tokio::sync::mpsc as tokio_mpsc;

use super::{InboxHalt, Intake, IntakeError, Verdict};
use crate::{Parcel, Pauses, pauses::message_of};

/// How long it sleeps when nobody wakes it.
const NAP: Duration = Duration::from_millis(100);
/// The same while the intake says that it has no room.
const SHORT_NAP: Duration = Duration::from_millis(1);

/// What the thread tells the task.
#[derive(Debug)]
pub(crate) enum Told {
    /// Of the oldest ones that were handed on.
    Verdicts(Vec<Verdict>),
    /// The intake does not take what it is given, for now; or does again.
    Holding(Option<Arc<str>>),
    /// The thread has ended.
    Over(InboxHalt),
}

/// The task's side.
pub(crate) struct Desk {
    parcels: Option<Sender<Vec<Parcel>>>,
    pub told: tokio_mpsc::UnboundedReceiver<Told>,
    bell: Arc<Bell>,
}

/// Wakes the thread.
#[derive(Debug, Default)]
struct Bell {
    thread: OnceLock<Thread>,
    is_to_leave: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

impl Bell {
    fn ring(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Desk {
    /// Hands parcels on.
    pub fn hand_on(&self, parcels: Vec<Parcel>) {
        if let Some(sender) = &self.parcels {
            // If the thread has ended, it has told why.
            let _ = sender.send(parcels);
            self.bell.ring();
        }
    }

    /// Nothing more comes: the thread ends behind what it has.
    pub fn close(&mut self) {
        self.parcels = None;
        self.bell.ring();
    }

    /// The thread is not to wait for what the intake has.
    pub fn leave(&mut self) {
        // ORDERING: Release, paired with the Acquire in `work`; nothing hangs on it but that it ends.
        self.bell.is_to_leave.store(true, Ordering::Release);
        self.close();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.close();
    }
}

/// Starts the thread.
pub(crate) fn open(
    name: &str,
    intake: impl Intake,
    pauses: Pauses,
) -> Result<(Desk, JoinHandle<()>), std::io::Error> {
    let ((sender, parcels), (teller, told)) = (channel(), tokio_mpsc::unbounded_channel());
    let bell = Arc::<Bell>::default();
    let desk = Desk { parcels: Some(sender), told, bell: bell.clone() };
    let run = move || {
        bell.thread.get_or_init(thread::current);
        let mut clerk = Clerk::new(intake, parcels, teller.clone(), bell, pauses);
        let worked = catch_unwind(AssertUnwindSafe(|| clerk.work()));
        let halt = match worked {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                // It may have something to see to all the same; why it ends is known.
                let _ = catch_unwind(AssertUnwindSafe(|| clerk.intake.end()));
                InboxHalt::Intake(error)
            }
            Err(payload) => {
                InboxHalt::Panicked { part: "the intake", message: message_of(payload) }
            }
        };
        // If nobody listens any more, nobody wants to know.
        let _ = teller.send(Told::Over(halt));
        // An intake that has panicked may do so again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(clerk)));
    };
    let thread = thread::Builder::new().name(format!("{name} takes in")).spawn(run)?;
    Ok((desk, thread))
}

struct Clerk<I> {
    intake: I,
    parcels: Receiver<Vec<Parcel>>,
    teller: tokio_mpsc::UnboundedSender<Told>,
    bell: Arc<Bell>,
    pauses: Pauses,
    queue: VecDeque<Parcel>,
    /// How many the intake has taken without a verdict.
    in_hand: usize,
    failures: u32,
    is_closed: bool,
}

impl<I: Intake> Clerk<I> {
    fn new(
        intake: I,
        parcels: Receiver<Vec<Parcel>>,
        teller: tokio_mpsc::UnboundedSender<Told>,
        bell: Arc<Bell>,
        pauses: Pauses,
    ) -> Self {
        let queue = VecDeque::new();
        let (in_hand, failures, is_closed) = (0, 0, false);
        Self { intake, parcels, teller, bell, pauses, queue, in_hand, failures, is_closed }
    }

    fn work(&mut self) -> Result<(), IntakeError> {
        let waker = Waker::from(self.bell.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            let had = self.fetch();
            let mut verdicts = Vec::new();
            let worked = self.turn(&mut context, &mut verdicts);
            let has_said = self.say(verdicts)?;
            let nap = match worked {
                Ok(nap) => self.note_success(nap),
                Err(IntakeError::Failing(problem)) => self.note_failure(&problem),
                Err(error) => return Err(error),
            };
            // ORDERING: Acquire, paired with the Release in `leave`.
            let is_to_leave = self.bell.is_to_leave.load(Ordering::Acquire);
            let is_done = self.queue.is_empty() && self.in_hand == 0;
            // What is not safe by then comes again.
            let is_hopeless = self.failures > 0 || is_to_leave;
            if self.is_closed && (is_done || is_hopeless) {
                // What could not be written is not acknowledged either.
                let _ = self.intake.end();
                return Ok(());
            }
            if !(has_said || had && self.failures == 0) {
                thread::park_timeout(nap);
            }
        }
    }

    /// Fetches what was handed on; nothing while something is to be tried again: that comes as it was.
    fn fetch(&mut self) -> bool {
        let mut had = false;
        while self.failures == 0 {
            match self.parcels.try_recv() {
                Ok(parcels) => {
                    self.queue.extend(parcels);
                    had = true;
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.is_closed = true;
                    break;
                }
            }
        }
        if self.failures > 0 && self.teller.is_closed() {
            self.is_closed = true;
        }
        had
    }

    fn turn(
        &mut self,
        context: &mut Context<'_>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<Duration, IntakeError> {
        let mut nap = NAP;
        if !self.queue.is_empty() {
            let before = self.queue.len();
            let taken = self.intake.take(&mut self.queue, verdicts);
            self.in_hand += before.saturating_sub(self.queue.len());
            taken?;
            if !self.queue.is_empty() {
                nap = SHORT_NAP;
            }
        }
        let again = self.intake.poll(context, verdicts)?;
        Ok(again.map_or(nap, |again| again.min(nap)))
    }

    fn say(&mut self, verdicts: Vec<Verdict>) -> Result<bool, IntakeError> {
        if verdicts.is_empty() {
            return Ok(false);
        }
        let Some(left) = self.in_hand.checked_sub(verdicts.len()) else {
            return Err(IntakeError::over("the intake says more than it has taken: mend it"));
        };
        self.in_hand = left;
        let _ = self.teller.send(Told::Verdicts(verdicts));
        Ok(true)
    }

    fn note_success(&mut self, nap: Duration) -> Duration {
        if self.failures > 0 {
            self.failures = 0;
            let _ = self.teller.send(Told::Holding(None));
        }
        nap
    }

    fn note_failure(&mut self, problem: &str) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let _ = self.teller.send(Told::Holding(Some(problem.into())));
        self.pauses.after(self.failures, None)
    }
}
