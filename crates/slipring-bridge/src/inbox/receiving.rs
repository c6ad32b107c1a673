//! The task that receives: it has the turns of the lanes, and one link at a time.

use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    select,
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    InboxHalt, InboxState, InboxStatus, RefusedBefore, Verdict, WhenMissing, WhenUnstamped,
    desk::{Desk, Told},
    handle::Shared,
    turns::{Step, Turn, Turns},
};
use crate::{
    Delivery, Incoming, LinkError, Listen, Parcel, Pauses, Settled, Settlement,
    stopping::{CLOSES_WITHIN, late_to_stop, stopped, until},
};

/// How many deliveries are taken at once, at most.
const BATCH: usize = 512;
/// How many parcels that were refused are remembered, should they come again.
pub(crate) const MOST_REFUSED: usize = 1_024;

/// How an inbox works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub window: usize,
    pub pauses: Pauses,
    pub patience: Duration,
    pub when_missing: WhenMissing,
    pub missing_after: Duration,
    pub begin_after: Duration,
    pub when_unstamped: WhenUnstamped,
    pub is_ordered: bool,
    pub at_most_once: bool,
}

pub(crate) struct Receiving<L> {
    listen: Arc<L>,
    turns: Turns<Parcel>,
    desk: Desk,
    settings: Settings,
    shared: Arc<Shared>,
    stop: watch::Receiver<Option<Instant>>,
    /// What is at the intake, in order.
    in_hand: VecDeque<InHand>,
    refused: VecDeque<RefusedBefore>,
    /// With at most once: what goes to the intake when it is acknowledged, and not before: if the link fails, it may come
    /// again.
    acknowledging: Vec<Parcel>,
    /// How many deliveries of this link are not settled.
    unsettled: usize,
    deliveries: Vec<Delivery>,
    settlements: Vec<Settlement>,
    failures: u32,
}

struct InHand {
    place: Option<(Arc<str>, u64)>,
    /// By which it is settled, if its link is still there.
    tag: Option<u64>,
}

/// Why a link is used no more.
enum Broken {
    Link(LinkError),
    Halt(InboxHalt),
}

impl From<LinkError> for Broken {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<InboxHalt> for Broken {
    fn from(halt: InboxHalt) -> Self {
        Self::Halt(halt)
    }
}

/// What has come first.
enum Woken {
    Stop,
    Told(Option<Told>),
    Received(Result<(), LinkError>),
    LookForMissing,
}

impl<L: Listen> Receiving<L> {
    pub fn new(
        listen: L,
        (turns, refused): (Turns<Parcel>, Vec<RefusedBefore>),
        desk: Desk,
        settings: Settings,
        shared: Arc<Shared>,
        stop: watch::Receiver<Option<Instant>>,
    ) -> Self {
        Self {
            listen: Arc::new(listen),
            turns,
            desk,
            settings,
            shared,
            stop,
            in_hand: VecDeque::new(),
            refused: refused.into(),
            acknowledging: Vec::new(),
            unsettled: 0,
            deliveries: Vec::new(),
            settlements: Vec::new(),
            failures: 0,
        }
    }

    /// Receives until it is told to stop, or cannot go on.
    pub async fn run(mut self) -> Result<(), InboxHalt> {
        let ran = self.receive().await;
        match (&ran, self.in_hand.is_empty()) {
            (Ok(()), true) => self.desk.close(),
            _ => self.desk.leave(),
        }
        ran
    }

    async fn receive(&mut self) -> Result<(), InboxHalt> {
        while self.is_stopping().is_none() {
            let Some(mut link) = self.listen().await? else { continue };
            let flown = self.flow(&mut link).await;
            let error = match flown {
                Err(Broken::Link(error)) => error,
                Ok(()) | Err(Broken::Halt(_)) => {
                    let _ = timeout(self.settings.patience.min(CLOSES_WITHIN), link.close()).await;
                    return match flown {
                        Err(Broken::Halt(halt)) => Err(halt),
                        _ => Ok(()),
                    };
                }
            };
            drop(link);
            self.link_lost();
            self.after(&error).await?;
        }
        Ok(())
    }

    async fn listen(&mut self) -> Result<Option<L::Link>, InboxHalt> {
        self.post(|status| status.state = InboxState::Connecting);
        let (listen, Settings { patience, window, .. }) = (self.listen.clone(), self.settings);
        let listening = self.meanwhile(async move {
            let late = |_| LinkError::lost("connecting", format_args!("no answer in {patience:?}"));
            timeout(patience, listen.listen(window)).await.map_err(late).and_then(|linked| linked)
        });
        match listening.await? {
            None => Ok(None),
            Some(Ok(link)) => {
                self.post(|status| {
                    status.state = InboxState::Receiving;
                    status.links += 1;
                });
                Ok(Some(link))
            }
            Some(Err(error)) => self.after(&error).await.map(|()| None),
        }
    }

    async fn after(&mut self, error: &LinkError) -> Result<(), InboxHalt> {
        self.failures = self.failures.saturating_add(1);
        let because: Arc<str> = error.to_string().into();
        self.post(|status| {
            status.state = InboxState::Waiting { because: because.clone() };
            status.last_error = Some(because);
        });
        let pause = self.settings.pauses.after(self.failures, Some(error));
        self.meanwhile(sleep(pause)).await.map(|_| ())
    }

    /// Does something while it hears what the intake says. None if it is to stop.
    async fn meanwhile<F: Future>(&mut self, doing: F) -> Result<Option<F::Output>, InboxHalt> {
        let mut doing = pin!(doing);
        loop {
            select! {
                biased;
                () = stopped(&mut self.stop) => return Ok(None),
                done = &mut doing => return Ok(Some(done)),
                told = self.desk.told.recv() => self.hear(told)?,
            }
            // There is no link to settle them on.
            self.settlements.clear();
        }
    }

    /// What was delivered over it and is not settled comes again.
    fn link_lost(&mut self) {
        self.turns.forget_tags();
        self.in_hand.iter_mut().for_each(|in_hand| in_hand.tag = None);
        self.unsettled = 0;
        self.deliveries.clear();
        self.settlements.clear();
        self.acknowledging.clear();
    }

    async fn flow(&mut self, link: &mut L::Link) -> Result<(), Broken> {
        loop {
            self.sort();
            self.look_for_missing()?;
            self.settle(link).await?;
            self.let_go();
            let is_stopping = self.is_stopping();
            if is_stopping.is_some() && self.in_hand.is_empty() {
                return Ok(());
            }
            // What links before this one have left at the intake counts as well, and what is acknowledged already.
            let taken_up = self.unsettled.max(self.in_hand.len());
            let room = self.settings.window.saturating_sub(taken_up);
            let may_receive = is_stopping.is_none() && room > 0;
            let Settings { begin_after, missing_after, .. } = self.settings;
            let look_at = self.turns.look_at(begin_after, missing_after);
            let woken = select! {
                biased;
                () = stopped(&mut self.stop), if is_stopping.is_none() => Woken::Stop,
                () = until(is_stopping) => return Ok(()),
                told = self.desk.told.recv() => Woken::Told(told),
                received = link.receive(room.min(BATCH), &mut self.deliveries), if may_receive => {
                    Woken::Received(received)
                }
                () = until(look_at), if is_stopping.is_none() => Woken::LookForMissing,
            };
            match woken {
                Woken::Stop | Woken::LookForMissing => {}
                Woken::Told(told) => {
                    self.hear(told)?;
                    // There may be more.
                    while let Ok(told) = self.desk.told.try_recv() {
                        self.hear(Some(told))?;
                    }
                }
                Woken::Received(received) => received?,
            }
        }
    }

    /// Puts what was delivered where it belongs.
    fn sort(&mut self) {
        if self.deliveries.is_empty() {
            return;
        }
        let (deliveries, now) = (std::mem::take(&mut self.deliveries), Instant::now());
        let (count, mut duplicates, mut steps) = (deliveries.len(), 0, Vec::new());
        let mut onwards = Vec::new();
        self.unsettled += count;
        for Delivery { tag, content, .. } in deliveries {
            if self.settings.at_most_once {
                self.say(tag, Settled::Done);
            }
            match content {
                Err(unreadable) => self.bury(tag, unreadable.problem),
                Ok(parcel) if parcel.stamp.is_none() => match self.settings.when_unstamped {
                    WhenUnstamped::Take => self.hand_on(&mut onwards, None, tag, parcel),
                    WhenUnstamped::Refuse => {
                        self.bury(tag, "it does not say which one of its lane it is".into());
                    }
                },
                Ok(parcel) if !self.settings.is_ordered => {
                    self.hand_on(&mut onwards, None, tag, parcel);
                }
                Ok(parcel) => {
                    let Some(stamp) = parcel.stamp.clone() else { continue };
                    let turn = self.turns.arrive(&stamp, tag, parcel, now, &mut steps);
                    duplicates += u64::from(turn == Turn::Duplicate);
                }
            }
            self.step(&mut steps, &mut onwards);
        }
        if !onwards.is_empty() {
            self.desk.hand_on(onwards);
        }
        self.failures = 0;
        self.post(|status| {
            status.received += count as u64;
            status.duplicates += duplicates;
        });
    }

    fn step(&mut self, steps: &mut Vec<Step<Parcel>>, onwards: &mut Vec<Parcel>) {
        for step in steps.drain(..) {
            match step {
                Step::Take { lane, sequence, tag, content } => {
                    self.hand_on(onwards, Some((lane, sequence)), tag, content);
                }
                Step::Done { tag, lane, sequence, content: _ } => {
                    let is_it = |one: &&RefusedBefore| one.lane == lane && one.sequence == sequence;
                    let before = self.refused.iter().find(is_it);
                    let dead = before.map(|one| Settled::Dead(one.reason.clone()));
                    self.say(tag, dead.unwrap_or(Settled::Done));
                }
                Step::Late { tag, lane, sequence, content: _ } => self.bury(
                    tag,
                    format!("event {sequence} of lane `{lane}` came when the inbox had gone on")
                        .into(),
                ),
            }
        }
    }

    fn hand_on(
        &mut self,
        onwards: &mut Vec<Parcel>,
        place: Option<(Arc<str>, u64)>,
        tag: u64,
        parcel: Parcel,
    ) {
        if self.settings.at_most_once {
            self.acknowledging.push(parcel);
            return;
        }
        self.in_hand.push_back(InHand { place, tag: Some(tag) });
        onwards.push(parcel);
    }

    /// What is acknowledged goes on: it does not come again.
    fn let_go(&mut self) {
        if self.acknowledging.is_empty() {
            return;
        }
        let onwards = std::mem::take(&mut self.acknowledging);
        self.in_hand.extend(onwards.iter().map(|_| InHand { place: None, tag: None }));
        self.desk.hand_on(onwards);
        self.post(|_| ());
    }

    fn say(&mut self, tag: u64, settled: Settled) {
        self.settlements.push(Settlement { tag, settled });
    }

    /// To the broker's dead letters.
    fn bury(&mut self, tag: u64, reason: Box<str>) {
        if !self.settings.at_most_once {
            self.say(tag, Settled::Dead(reason.clone()));
        }
        self.post(|status| {
            status.dead += 1;
            status.last_error = Some(reason.into());
        });
    }

    fn look_for_missing(&mut self) -> Result<(), InboxHalt> {
        if self.turns.held() == 0 {
            return Ok(());
        }
        let now = Instant::now();
        // The broker gives nothing more before something is settled, and nothing will be.
        let is_stuck = self.unsettled >= self.settings.window
            && self.in_hand.is_empty()
            && self.settlements.is_empty();
        let Settings { begin_after, missing_after, .. } = self.settings;
        let patience = |time| if is_stuck { Duration::ZERO } else { time };
        let (mut steps, mut onwards) = (Vec::new(), Vec::new());
        self.turns.begin(now, patience(begin_after), &mut steps);
        self.step(&mut steps, &mut onwards);
        // If some lanes have begun, there is room again.
        let missing = if onwards.is_empty() {
            self.turns.missing(now, patience(missing_after))
        } else {
            Vec::new()
        };
        for missing in missing {
            match self.settings.when_missing {
                WhenMissing::Halt => return Err(InboxHalt::Missing(missing)),
                WhenMissing::GoOn => {
                    self.turns.give_up(&missing, now, &mut steps);
                    self.step(&mut steps, &mut onwards);
                    self.shared.note_gap(missing);
                }
            }
        }
        if !onwards.is_empty() {
            self.desk.hand_on(onwards);
        }
        self.post(|_| ());
        Ok(())
    }

    fn hear(&mut self, told: Option<Told>) -> Result<(), InboxHalt> {
        match told {
            Some(Told::Verdicts(verdicts)) => {
                let is_safe = |verdict: &&Verdict| **verdict == Verdict::Safe;
                let safe = verdicts.iter().filter(is_safe).count() as u64;
                for verdict in verdicts {
                    self.conclude(verdict);
                }
                self.post(|status| status.safe += safe);
            }
            Some(Told::Holding(because)) => self.post(|status| match because {
                Some(because) => {
                    status.last_error = Some(because.clone());
                    status.state = InboxState::Holding { because };
                }
                None if matches!(status.state, InboxState::Holding { .. }) => {
                    status.state = InboxState::Receiving;
                }
                None => {}
            }),
            Some(Told::Over(halt)) => return Err(halt),
            None => {
                let message = "its thread has ended without a word".into();
                return Err(InboxHalt::Panicked { part: "the intake", message });
            }
        }
        Ok(())
    }

    fn conclude(&mut self, verdict: Verdict) {
        let Some(InHand { place, tag }) = self.in_hand.pop_front() else { return };
        let twins = match &place {
            Some((lane, sequence)) => self.turns.safe(lane, *sequence),
            None => Vec::new(),
        };
        let tags = tag.into_iter().chain(twins);
        match verdict {
            Verdict::Safe => tags.for_each(|tag| self.say(tag, Settled::Done)),
            Verdict::Refused(reason) => {
                // One of them is enough.
                for (index, tag) in tags.enumerate() {
                    let dead = Settled::Dead(reason.clone());
                    self.say(tag, if index == 0 { dead } else { Settled::Done });
                }
                if let Some((lane, sequence)) = place {
                    if self.refused.len() >= MOST_REFUSED {
                        self.refused.pop_front();
                    }
                    let reason = reason.clone();
                    self.refused.push_back(RefusedBefore { lane, sequence, reason });
                }
                self.post(|status| {
                    status.dead += 1;
                    status.last_error = Some(reason.into());
                });
            }
        }
    }

    async fn settle(&mut self, link: &mut L::Link) -> Result<(), LinkError> {
        if self.settlements.is_empty() {
            return Ok(());
        }
        let settlements = std::mem::take(&mut self.settlements);
        let patience = self.settings.patience;
        let late = |_| LinkError::lost("acknowledging", format_args!("no answer in {patience:?}"));
        select! {
            biased;
            settled = timeout(patience, link.settle(&settlements)) => settled.map_err(late)??,
            () = late_to_stop(&mut self.stop) => {
                return Err(LinkError::lost("acknowledging", "it was stopped meanwhile"));
            }
        }
        self.unsettled = self.unsettled.saturating_sub(settlements.len());
        Ok(())
    }

    /// Until when it is to stop, if it is.
    fn is_stopping(&self) -> Option<Instant> {
        let told = *self.stop.borrow();
        // If nobody can tell it any more, its handle is gone.
        told.or_else(|| self.stop.has_changed().is_err().then(Instant::now))
    }

    fn post(&self, change: impl FnOnce(&mut InboxStatus)) {
        let (in_hand, early) = (self.in_hand.len(), self.turns.held());
        self.shared.post(|status| {
            (status.in_hand, status.early) = (in_hand, early);
            change(status);
        });
    }
}
