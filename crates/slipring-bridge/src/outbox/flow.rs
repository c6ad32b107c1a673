//! The task that sends: it has the window, and one link at a time.
//!
//! A link that fails is thrown away, and on the next one everything is submitted again from the first that is not
//! confirmed, in order. So a broker that has lost one from the midst gets it, and all behind it, again.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use slipring_store::Durability;
use tokio::{
    select,
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    OutboxHalt, OutboxState,
    books::Unwritten,
    handle::{Known, Shared},
    letters::FIRST_AGAIN,
    reader::Fed,
    window::{Lane, Out, Window},
};
use crate::{
    Connect, LinkError, Outgoing, Parcel, Pauses,
    stopping::{CLOSES_WITHIN, late_to_stop, stopped, until},
};

/// How many parcels are submitted at once, at most.
const BATCH: usize = 256;
/// How often it looks whether somebody else has given letters back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long it waits before it tries to write down again what the store did not take.
const PAUSE: Duration = Duration::from_millis(100);

/// How an outbox works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub window: usize,
    pub pauses: Pauses,
    /// How long a link may do nothing while something is to be done.
    pub patience: Duration,
    /// How many confirmed parcels, or how much time, may pass before it is written down how far it is.
    pub save_every: usize,
    pub save_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 1_024,
            pauses: Pauses::default(),
            patience: Duration::from_secs(30),
            save_every: 4_096,
            save_within: Duration::from_millis(250),
        }
    }
}

/// What an outbox stands on: a store, or a ring.
pub(crate) trait Ground: Send + 'static {
    /// Every event before `next` is done, and these letters are confirmed.
    fn save(
        &mut self,
        next: u64,
        confirmed: [Option<u64>; 2],
        again: &[u64],
        durability: Durability,
    ) -> Result<(), Unwritten>;

    /// No broker takes it.
    fn set_aside(&mut self, out: &Out, reason: &str) -> Result<(), Unwritten>;

    /// Letters that were given back, from a number on: their numbers, positions, and what is to be sent.
    fn again(&self, from: u64, most: usize) -> Result<Vec<(u64, u64, Parcel)>, Unwritten>;
}

pub(crate) struct Flow<C, G> {
    connect: Arc<C>,
    ground: G,
    window: Window,
    settings: Settings,
    shared: Arc<Shared>,
    feed: mpsc::Receiver<Fed>,
    is_fed_up: bool,
    stop: watch::Receiver<Option<Instant>>,
    /// Somebody has given a letter back.
    bell: Arc<Notify>,
    look_again: bool,
    /// When it looks whether somebody else has.
    look_at: Instant,
    next_again: u64,
    /// Letters that are confirmed, which is not written down.
    sent_again: Vec<u64>,
    unsaved: usize,
    /// As it was written down.
    saved: u64,
    save_at: Option<Instant>,
    failures: u32,
    /// The broker says that it takes nothing.
    held_up: bool,
}

/// What a flow is made of.
pub(crate) struct Parts<C, G> {
    pub connect: Arc<C>,
    pub ground: G,
    pub window: Window,
    pub settings: Settings,
    pub shared: Arc<Shared>,
    pub feed: mpsc::Receiver<Fed>,
    pub stop: watch::Receiver<Option<Instant>>,
    pub bell: Arc<Notify>,
}

/// Why a link is used no more.
enum Broken {
    Link(LinkError),
    Halt(OutboxHalt),
}

impl From<LinkError> for Broken {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<OutboxHalt> for Broken {
    fn from(halt: OutboxHalt) -> Self {
        Self::Halt(halt)
    }
}

/// What has come first.
enum Woken {
    Stop,
    Late,
    Confirmed(Result<usize, LinkError>),
    Fed(Option<Fed>),
    LookAgain,
    Save,
}

impl<C: Connect, G: Ground> Flow<C, G> {
    pub fn new(parts: Parts<C, G>) -> Self {
        let Parts { connect, ground, window, settings, shared, feed, stop, bell } = parts;
        Self {
            connect,
            ground,
            saved: window.prefix(),
            window,
            settings,
            shared,
            feed,
            is_fed_up: false,
            stop,
            bell,
            look_again: true,
            look_at: Instant::now(),
            next_again: FIRST_AGAIN,
            sent_again: Vec::new(),
            unsaved: 0,
            save_at: None,
            failures: 0,
            held_up: false,
        }
    }

    /// Sends until it is told to stop, or cannot go on.
    pub async fn run(mut self) -> Result<(), OutboxHalt> {
        let ran = self.send().await;
        self.feed.close();
        let last = match ran {
            Err(OutboxHalt::RunTwice { .. }) => Ok(()),
            _ => self.write_down(Durability::Synced),
        };
        self.post(|_| ());
        match (ran, last) {
            (Ok(()), Ok(()) | Err(Unwritten::Later(_))) => Ok(()),
            (Err(halt), _) | (Ok(()), Err(Unwritten::Never(halt))) => Err(halt),
        }
    }

    async fn send(&mut self) -> Result<(), OutboxHalt> {
        while self.is_stopping().is_none() {
            if let Some(mut link) = self.connect().await? {
                match self.flow(&mut link).await {
                    Ok(()) => {
                        let limit = self.settings.patience.min(CLOSES_WITHIN);
                        let _ = timeout(limit, link.close()).await;
                        return Ok(());
                    }
                    Err(Broken::Halt(halt)) => return Err(halt),
                    Err(Broken::Link(error)) => {
                        drop(link);
                        self.window.link_lost();
                        self.after(error).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A link, or none if one was not to be had, or it is to stop.
    async fn connect(&mut self) -> Result<Option<C::Link>, OutboxHalt> {
        self.post(|known| known.state = OutboxState::Connecting);
        let (connect, patience) = (self.connect.clone(), self.settings.patience);
        let linked = self.meanwhile(async move {
            let late = |_| LinkError::lost("connecting", format_args!("no answer in {patience:?}"));
            timeout(patience, connect.connect()).await.map_err(late).and_then(|linked| linked)
        });
        match linked.await? {
            None => Ok(None),
            Some(Ok(link)) => {
                self.held_up = false;
                self.post(|known| {
                    known.state = OutboxState::Sending;
                    known.links += 1;
                });
                Ok(Some(link))
            }
            Some(Err(error)) => self.after(error).await.map(|()| None),
        }
    }

    /// What follows from the failure of a link.
    async fn after(&mut self, error: LinkError) -> Result<(), OutboxHalt> {
        if let LinkError::Unsendable { sequence, problem } = &error
            && let Some((index, out)) = self.window.find(*sequence)
        {
            self.set_aside(index, &out, problem).await?;
            // It has come further: there is no need to wait.
            return Ok(());
        }
        self.failures = self.failures.saturating_add(1);
        let because: Arc<str> = error.to_string().into();
        self.post(|known| {
            known.state = OutboxState::Waiting { because: because.clone() };
            known.last_error = Some(because);
        });
        let pause = self.settings.pauses.after(self.failures, Some(&error));
        self.meanwhile(sleep(pause)).await.map(|_| ())
    }

    async fn set_aside(&mut self, index: usize, out: &Out, why: &str) -> Result<(), OutboxHalt> {
        loop {
            match self.ground.set_aside(out, why) {
                Ok(()) => break,
                Err(Unwritten::Never(halt)) => return Err(halt),
                Err(Unwritten::Later(error)) => self.shared.note_error(&error),
            }
            if self.meanwhile(sleep(PAUSE)).await?.is_none() {
                return Ok(());
            }
        }
        self.window.take_out(index);
        self.shared.note_set_aside(out.position, why);
        self.note_progress();
        Ok(())
    }

    /// Does something while it takes in what is read. None if it is to stop.
    async fn meanwhile<F: Future>(&mut self, doing: F) -> Result<Option<F::Output>, OutboxHalt> {
        let mut doing = pin!(doing);
        loop {
            let has_room = self.window.room() > 0 && !self.is_fed_up;
            select! {
                biased;
                () = stopped(&mut self.stop) => return Ok(None),
                done = &mut doing => return Ok(Some(done)),
                fed = self.feed.recv(), if has_room => self.take_in(fed)?,
            }
        }
    }

    /// Sends over a link, until it is to stop and all on it is confirmed.
    async fn flow(&mut self, link: &mut C::Link) -> Result<(), Broken> {
        // When the link has done something last, or had nothing to do.
        let mut moved = Instant::now();
        loop {
            let is_stopping = self.is_stopping();
            self.take_letters()?;
            while is_stopping.is_none() && self.window.room() > 0 && !self.is_fed_up {
                match self.feed.try_recv() {
                    Ok(fed) => self.take_in(Some(fed))?,
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => self.is_fed_up = true,
                }
            }
            if is_stopping.is_none() && !self.window.unsubmitted(1).is_empty() {
                if self.window.submitted() == 0 {
                    moved = Instant::now();
                }
                self.submit(link).await?;
                continue;
            }
            if is_stopping.is_some() && self.window.submitted() == 0 {
                return Ok(());
            }
            match self.wait(link, moved, is_stopping).await {
                Woken::Stop => {
                    if is_stopping.is_some() {
                        return Ok(());
                    }
                }
                Woken::Late => {
                    let patience = self.settings.patience;
                    let problem = format_args!("nothing was confirmed in {patience:?}");
                    return Err(LinkError::lost("waiting for confirmations", problem).into());
                }
                Woken::Confirmed(confirmed) => {
                    self.confirm(confirmed?)?;
                    moved = Instant::now();
                }
                Woken::Fed(fed) => self.take_in(fed)?,
                Woken::LookAgain => {
                    (self.look_again, self.look_at) = (true, Instant::now() + LOOK_AGAIN);
                    if self.is_held_up(link) {
                        moved = Instant::now();
                    }
                }
                Woken::Save => self.save()?,
            }
        }
    }

    /// Whether the broker says that it takes nothing, which is told then.
    fn is_held_up(&mut self, link: &C::Link) -> bool {
        let because = if self.window.submitted() > 0 { link.held_up() } else { None };
        let was_held_up = std::mem::replace(&mut self.held_up, because.is_some());
        if let Some(because) = because {
            let because: Arc<str> = because.into();
            self.post(|known| {
                known.state = OutboxState::Waiting { because: because.clone() };
                known.last_error = Some(because);
            });
        } else if was_held_up {
            self.post(|known| known.state = OutboxState::Sending);
        }
        self.held_up
    }

    async fn wait(
        &mut self,
        link: &mut C::Link,
        moved: Instant,
        is_stopping: Option<Instant>,
    ) -> Woken {
        let late_at = moved.checked_add(self.settings.patience);
        let (is_under_way, has_room) = (self.window.submitted() > 0, self.window.room() > 0);
        select! {
            biased;
            () = stopped(&mut self.stop), if is_stopping.is_none() => Woken::Stop,
            () = until(is_stopping) => Woken::Stop,
            confirmed = link.confirmed(), if is_under_way => Woken::Confirmed(confirmed),
            () = until(late_at), if is_under_way => Woken::Late,
            () = until(self.save_at) => Woken::Save,
            fed = self.feed.recv(), if has_room && !self.is_fed_up && is_stopping.is_none() => {
                Woken::Fed(fed)
            }
            () = self.bell.notified(), if is_stopping.is_none() => Woken::LookAgain,
            () = until(Some(self.look_at)), if is_stopping.is_none() => Woken::LookAgain,
        }
    }

    async fn submit(&mut self, link: &mut C::Link) -> Result<(), Broken> {
        let (parcels, patience) = (self.window.unsubmitted(BATCH), self.settings.patience);
        let count = parcels.len();
        let submitted = timeout(patience, link.submit(parcels));
        select! {
            biased;
            submitted = submitted => {
                let late = |_| {
                    LinkError::lost("sending", format_args!("it was not done in {patience:?}"))
                };
                submitted.map_err(late)??;
            }
            () = late_to_stop(&mut self.stop) => {
                return Err(LinkError::lost("sending", "it was stopped meanwhile").into());
            }
        }
        self.window.note_submitted(count);
        self.post(|_| ());
        Ok(())
    }

    fn take_in(&mut self, fed: Option<Fed>) -> Result<(), OutboxHalt> {
        match fed {
            None => self.is_fed_up = true,
            Some(Fed::Ended(halt)) => return Err(halt),
            Some(Fed::Events { parcels, read_to }) => {
                for (position, parcel) in parcels {
                    let sequence = position;
                    self.window.push(Lane::Events, sequence, position, parcel);
                }
                self.window.read_to(read_to);
                self.note_progress();
            }
        }
        Ok(())
    }

    /// Letters that were given back go out as well.
    fn take_letters(&mut self) -> Result<(), OutboxHalt> {
        let room = self.window.room();
        if !self.look_again || room == 0 {
            return Ok(());
        }
        match self.ground.again(self.next_again, room) {
            Ok(letters) => {
                self.look_again = letters.len() == room;
                for (number, position, parcel) in letters {
                    self.next_again = number + 1;
                    let (size, largest) = (parcel.size(), self.connect.largest());
                    if size <= largest {
                        self.window.push(Lane::Letters, number, position, parcel);
                    } else {
                        let out = Out { lane: Lane::Letters, sequence: number, position, parcel };
                        self.put_back(&out, &too_large(size, largest))?;
                    }
                }
                Ok(())
            }
            Err(Unwritten::Later(error)) => {
                self.look_again = false;
                self.shared.note_error(&error);
                Ok(())
            }
            Err(Unwritten::Never(halt)) => Err(halt),
        }
    }

    /// One that was given back goes back at once. If it cannot be written now, it is looked at in the next run.
    fn put_back(&mut self, out: &Out, why: &str) -> Result<(), OutboxHalt> {
        match self.ground.set_aside(out, why) {
            Ok(()) => self.shared.note_set_aside(out.position, why),
            Err(Unwritten::Later(error)) => self.shared.note_error(&error),
            Err(Unwritten::Never(halt)) => return Err(halt),
        }
        Ok(())
    }

    fn confirm(&mut self, parcels: usize) -> Result<(), OutboxHalt> {
        let before = self.window.len();
        self.sent_again.extend(self.window.confirm(parcels));
        let confirmed = before - self.window.len();
        self.failures = 0;
        self.unsaved += confirmed;
        self.post(|known| known.sent += confirmed as u64);
        self.note_progress();
        if self.unsaved >= self.settings.save_every { self.save() } else { Ok(()) }
    }

    /// It may have come further: that is to be written down, a little later.
    fn note_progress(&mut self) {
        let is_news = self.window.prefix() > self.saved || !self.sent_again.is_empty();
        if is_news && self.save_at.is_none() {
            self.save_at = Instant::now().checked_add(self.settings.save_within);
        }
        self.post(|_| ());
    }

    fn save(&mut self) -> Result<(), OutboxHalt> {
        match self.write_down(Durability::Visible) {
            Ok(()) => Ok(()),
            Err(Unwritten::Later(error)) => {
                self.shared.note_error(&error);
                // What was sent is sent again if the program ends now: nothing is lost by it.
                self.save_at = Instant::now().checked_add(self.settings.save_within.max(PAUSE));
                Ok(())
            }
            Err(Unwritten::Never(halt)) => Err(halt),
        }
    }

    fn write_down(&mut self, durability: Durability) -> Result<(), Unwritten> {
        let (next, confirmed) = (self.window.prefix(), self.window.confirmed());
        self.ground.save(next, confirmed, &self.sent_again, durability)?;
        self.sent_again.clear();
        (self.saved, self.unsaved, self.save_at) = (next, 0, None);
        Ok(())
    }

    /// Until when it is to stop, if it is.
    fn is_stopping(&self) -> Option<Instant> {
        let told = *self.stop.borrow();
        // If nobody can tell it any more, its handle is gone.
        told.or_else(|| self.stop.has_changed().is_err().then(Instant::now))
    }

    fn post(&self, change: impl FnOnce(&mut Known)) {
        let (confirmed, unconfirmed) = (self.window.prefix(), self.window.len());
        self.shared.post(|known| {
            (known.confirmed, known.unconfirmed) = (confirmed, unconfirmed);
            change(known);
        });
    }
}

/// Why a broker does not take a parcel of that size.
pub(crate) fn too_large(size: usize, largest: usize) -> String {
    format!("it has {size} bytes, and the broker takes at most {largest}")
}
