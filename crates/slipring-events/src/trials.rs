//! Trying events: once, again at once, again later, or no more.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use slipring::{LagPolicy, MultiProducer, Poller};

use crate::{
    account::Account,
    card::Card,
    context::{FollowUp, Outbox},
    delivery::{
        Key, Parked, Permit, Trial,
        lanes::{Lane, Lanes},
        letters::{Owner, Reason},
    },
    event::Event,
    handler::Handle,
    receipt::Fate,
    settings::{Order, Settings},
    slot::{Delivered, Slot},
    topics::Filter,
    trace,
    view::View,
    worker::{self, Turn},
};

mod attempts;
mod failure;
mod in_hand;
mod later;
mod quick;
mod sending;
mod standing;
mod timing;

use failure::{Failed, caught};
use in_hand::{InHand, Out};
use later::Later;
pub(crate) use quick::RunEnd;
use standing::Standing;

/// How often one that may not lag looks how far it does.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A handler's dealings with its events.
pub(crate) struct Trials<E: Event, V: View<E>> {
    pub owner: Arc<Owner<E>>,
    pub settings: Settings<E, V::Seen>,
    pub account: Account,
    /// Events may go the short way.
    is_plain: bool,
    /// They do, and the handler may wait.
    waits: bool,
    filter: Filter,
    lanes: Lanes<E>,
    outbox: Outbox<E>,
    /// Follow-ups that wait for room, in order. Never empty ones.
    spill: VecDeque<FollowUp<E>>,
    producer: MultiProducer<Slot<E>>,
    /// The bulkhead lets the next attempt through.
    permit: Option<Permit>,
    /// What is to be published later.
    later: Later<E>,
    rng: fastrand::Rng,
    /// The sequence of the last follow-up.
    last_sent: Option<u64>,
    /// How far it is, if that is kept.
    standing: Option<Box<Standing<E>>>,
}

/// How the attempts on an event have ended, for now.
enum End {
    Handled,
    Known,
    /// Try again at this time.
    Later(Duration),
    Dead(Arc<str>),
}

impl<E: Event, V: View<E>> Trials<E, V> {
    /// None if the bus has ended.
    pub(crate) fn new(owner: Arc<Owner<E>>, settings: Settings<E, V::Seen>) -> Option<Self> {
        let producer = owner.hub.producer()?;
        Some(Self {
            account: owner.card.account(),
            is_plain: quick::is_plain(&settings),
            waits: false,
            filter: Filter::new(Arc::clone(&owner.card.patterns)),
            lanes: Lanes::default(),
            outbox: Outbox { drafts: Vec::new(), room: 0, keeps_time: settings.keeps_time },
            spill: VecDeque::new(),
            producer,
            permit: None,
            later: Later::default(),
            rng: fastrand::Rng::new(),
            last_sent: None,
            standing: None,
            settings,
            owner,
        })
    }

    pub(crate) fn card(&self) -> &Arc<Card<E>> {
        &self.owner.card
    }

    /// Makes the account known.
    pub(crate) fn post(&mut self) {
        self.account.waiting = self.lanes.events() as u64;
        self.owner.card.post(&self.account);
    }

    // ---- what is on the ring ----

    pub(crate) fn wants(&mut self, delivered: &Delivered<'_, E>) -> bool {
        self.filter.wants(delivered.head.topic, &self.owner.hub.identity.topics)
    }

    /// Takes an event off the ring, the long way: it may be that it was tried already, and has failed.
    #[inline]
    pub(crate) async fn take<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        sequence: u64,
        slot: &Slot<E>,
        first: Option<Failed>,
    ) {
        let Some(delivered) = slot.read(sequence) else {
            self.account.empty += 1;
            return;
        };
        if !self.wants(&delivered) || self.leaves_out(&delivered) {
            self.account.filtered += 1;
            return;
        }
        let mut trial = Trial::default();
        let (seen, key) = match self.look(&delivered) {
            Ok(Some(seen)) => seen,
            Ok(None) => {
                self.account.filtered += 1;
                self.owner.card.settle_if_awaited(&delivered, || Fate::Filtered);
                return;
            }
            Err(panicked) => {
                let error = format!("its key panicked: {}", panicked.error).into();
                return self.end_at(&delivered, trial, None, End::Dead(error));
            }
        };
        if let Some(key) = key
            && self.is_behind(key, &delivered)
        {
            return;
        }
        let in_hand = InHand::new(self.card(), &delivered);
        let end = self.attempt(handler, &delivered, seen, &mut trial, first).await;
        in_hand.let_go();
        match end {
            End::Handled => self.settle(&delivered, Fate::Handled),
            End::Known => self.settle(&delivered, Fate::Duplicate),
            end => self.end_at(&delivered, trial, key, end),
        }
    }

    /// Puts an event aside that was not handled.
    #[cold]
    fn end_at(&mut self, delivered: &Delivered<'_, E>, trial: Trial, key: Option<Key>, end: End) {
        match (caught(|| delivered.put_aside()), end) {
            (Err(panicked), _) => self.lose(delivered, &panicked),
            (Ok(aside), End::Later(due)) => {
                let queue = VecDeque::from([Parked { aside, trial }]);
                self.lanes.put(Lane { key, queue }, due);
            }
            (Ok(aside), End::Dead(error)) => {
                self.bury(key, Reason::Failed(error), Parked { aside, trial });
            }
            (Ok(_), End::Handled | End::Known) => {}
        }
    }

    /// An event that was not handled, and of which there is no copy: the ring goes on.
    fn lose(&mut self, delivered: &Delivered<'_, E>, panicked: &Failed) {
        self.account.lost += 1;
        let fate =
            || Fate::Failed(format!("it is lost: its clone panicked: {}", panicked.error).into());
        self.owner.card.settle_if_awaited(delivered, fate);
    }

    #[inline]
    fn settle(&mut self, delivered: &Delivered<'_, E>, fate: Fate) {
        if fate == Fate::Handled {
            self.account.handled += 1;
        } else {
            self.account.duplicates += 1;
        }
        self.owner.card.settle_if_awaited(delivered, || fate);
    }

    /// What the handler sees of an event, if it is for it, and the key by which events keep their order.
    #[inline]
    #[allow(clippy::type_complexity)]
    fn look<'a>(
        &self,
        delivered: &Delivered<'a, E>,
    ) -> Result<Option<(&'a V::Seen, Option<Key>)>, Failed> {
        let event = delivered.event;
        let key = |seen| match &self.settings.order {
            Order::Overtake | Order::Strict => None,
            Order::ByKey(key) => Some(key(seen)),
            Order::ByWhole(key) => Some(key(event)),
        };
        caught(|| {
            let seen = V::view(event).filter(|seen| self.settings.share.has(delivered, seen))?;
            Some((seen, key(seen)))
        })
    }

    /// Puts an event aside if others of its key wait, or are dead.
    fn is_behind(&mut self, key: Key, delivered: &Delivered<'_, E>) -> bool {
        if self.follows(key, delivered) {
            return true;
        }
        if self.has_dead_ahead(key, delivered) {
            return false;
        }
        let mut lost = None;
        let dead = || {
            let aside =
                caught(|| delivered.put_aside()).map_err(|panicked| lost = Some(panicked)).ok();
            aside.map(|mut aside| {
                aside.let_go();
                Parked::new(aside)
            })
        };
        if self.settings.letters.add_behind(&self.owner, key, dead) {
            if let Some(panicked) = lost {
                self.lose(delivered, &panicked);
            } else {
                self.account.dead += 1;
                let fate = || Fate::Failed(Reason::Behind.to_string().into());
                self.owner.card.settle_if_awaited(delivered, fate);
            }
            return true;
        }
        // They may have been given back in this moment.
        self.take_returned();
        self.follows(key, delivered)
    }

    /// Puts an event aside if others of its key wait.
    fn follows(&mut self, key: Key, delivered: &Delivered<'_, E>) -> bool {
        let has_others = self.lanes.has(key);
        if has_others {
            match caught(|| delivered.put_aside()) {
                Ok(aside) => self.lanes.follow(key, Parked::new(aside)),
                Err(panicked) => self.lose(delivered, &panicked),
            }
        }
        has_others
    }

    /// Where what is published ends: all of it is before. Of a bus with a journal it is not known at once.
    pub(crate) fn end_of_published(&self, poller: &Poller<Slot<E>>) -> Option<u64> {
        match self.owner.hub.journal {
            // What the journal has not passed yet is published as well.
            Some(_) => self.owner.hub.nudge(),
            None => Some(poller.sequence() + poller.lag()),
        }
    }

    /// Passes over what is too much, or has the handler leave.
    pub(crate) fn mind_the_lag(&mut self, poller: &mut Poller<Slot<E>>) -> bool {
        let Some((limit, policy)) = self.settings.lag else { return false };
        let lag = poller.lag();
        if lag <= limit {
            return false;
        }
        self.account.late += 1;
        poller.note_late();
        if policy == LagPolicy::SkipAhead {
            let to = poller.sequence() + (lag - limit);
            self.pass_over_to(poller, to);
        }
        policy == LagPolicy::Detach
    }

    /// Passes over events unhandled, one by one: whoever waits for one is told.
    pub(crate) fn pass_over_to(&mut self, poller: &mut Poller<Slot<E>>, to: u64) {
        let mut next = poller.sequence();
        while poller.sequence() < to {
            let (first, Some(mut batch)) = (poller.sequence(), poller.read()) else { break };
            while batch.remaining() > 0 && batch.sequence() < to {
                let sequence = batch.sequence();
                let Some(slot) = batch.next() else { break };
                // Abandoned ones are passed on the way.
                self.account.empty += sequence - next;
                next = sequence + 1;
                self.pass_over(slot.read(sequence));
            }
            worker::finish(batch);
            self.account.empty += poller.sequence() - next;
            next = poller.sequence();
            if next == first {
                // All that is left before it was abandoned.
                break;
            }
        }
        self.account.next = next;
    }

    fn pass_over(&mut self, delivered: Option<Delivered<'_, E>>) {
        let Some(delivered) = delivered else {
            self.account.empty += 1;
            return;
        };
        let fate = match () {
            () if !self.wants(&delivered) => None,
            () if !matches!(self.look(&delivered), Ok(None)) => Some(Fate::PassedOver),
            () => Some(Fate::Filtered),
        };
        if fate == Some(Fate::PassedOver) {
            self.account.passed_over += 1;
        } else {
            self.account.filtered += 1;
        }
        if let Some(fate) = fate {
            self.owner.card.settle_if_awaited(&delivered, || fate);
        }
    }

    // ---- what was put aside ----

    /// Whether the handler is not to go on, and until when.
    #[inline]
    pub(crate) fn hold(&mut self) -> Option<Turn> {
        let is_strict = matches!(self.settings.order, Order::Strict) && !self.lanes.is_empty();
        if !self.settings.letters.has_room() {
            let again = self
                .settings
                .letters
                .is_behind()
                .then(|| self.owner.hub.clock.monotonic().saturating_add(LOOK_AROUND));
            return Some(Turn::Hold([again, self.later.due()].into_iter().flatten().min()));
        }
        let is_full = is_strict || self.lanes.events() >= self.settings.most_aside;
        let (due, closed) = (if is_full { self.lanes.due() } else { None }, self.closed_until());
        // Before the later one of them there is nothing to be tried; but something to be published, perhaps.
        let Some(until) = due.max(closed) else {
            return if self.enters() { None } else { Some(Turn::Hold(self.later.due())) };
        };
        // What is due and is not let through by the bulkhead is rung for.
        let waits_for_a_place =
            closed.is_none() && until <= self.owner.hub.clock.monotonic() && !self.enters();
        let until = if waits_for_a_place { None } else { Some(until) };
        Some(Turn::Hold([until, self.later.due()].into_iter().flatten().min()))
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// When something is due: to be tried again, or to be published.
    pub(crate) fn due(&self) -> Option<Duration> {
        [self.lanes.due(), self.later.due()].into_iter().flatten().min()
    }

    /// How long to sleep until then.
    pub(crate) fn nap(&self, until: Option<Duration>) -> Duration {
        let clock = &self.owner.hub.clock;
        // One that may not lag looks how far it does, also when it is not to go on.
        let most = self.settings.lag.map_or(Duration::MAX, |_| LOOK_AROUND);
        let nap = |until: Duration| clock.nap(until.saturating_sub(clock.monotonic()));
        until.map_or(Duration::MAX, nap).min(most)
    }

    /// Takes what came back from the dead letters.
    pub(crate) fn take_returned(&mut self) {
        let lanes = self.owner.card.take_returned();
        self.put_returned(lanes);
    }

    fn put_returned(&mut self, lanes: Vec<Lane<E>>) {
        for lane in lanes {
            self.account.requeued += lane.queue.len() as u64;
            self.lanes.put(lane, Duration::ZERO);
        }
    }

    /// Tries what is due, so many events at most; whether there was something.
    pub(crate) async fn try_due<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        most: usize,
    ) -> bool {
        let mut tried = 0;
        while tried < most && !self.lanes.is_empty() && self.settings.letters.has_room() {
            let now = self.owner.hub.clock.monotonic();
            if self.lanes.due().is_none_or(|due| due > now)
                || self.closed_until().is_some()
                || !self.enters()
            {
                break;
            }
            let Some(lane) = self.lanes.take_due(now) else { break };
            let mut out = Out { lane, card: Arc::clone(self.card()) };
            let Some(parked) = out.lane.queue.front_mut() else { continue };
            tried += 1;
            let end = self.retry(handler, parked).await;
            let mut lane = out.take();
            let Some(parked) = lane.queue.pop_front() else { continue };
            match end {
                End::Handled => {
                    self.settings.letters.settle(parked.trial.letter);
                    self.settle(&parked.aside.delivered(), Fate::Handled);
                    self.lanes.put(lane, Duration::ZERO);
                }
                End::Known => {
                    self.settings.letters.settle(parked.trial.letter);
                    self.settle(&parked.aside.delivered(), Fate::Duplicate);
                    self.lanes.put(lane, Duration::ZERO);
                }
                End::Later(due) => {
                    lane.queue.push_front(parked);
                    self.lanes.put(lane, due);
                }
                End::Dead(error) => {
                    let behind = lane.queue.into_iter().map(|parked| (Reason::Behind, parked));
                    let all = std::iter::once((Reason::Failed(error), parked)).chain(behind);
                    self.bury_all(lane.key, all.collect());
                }
            }
            if self.has_follow_ups() {
                break;
            }
        }
        tried > 0
    }

    async fn retry<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        parked: &mut Parked<E>,
    ) -> End {
        let Parked { aside, trial } = parked;
        let delivered = aside.delivered();
        match V::view(delivered.event) {
            Some(seen) => self.attempt(handler, &delivered, seen, trial, None).await,
            // A clone that is something else than what it was made of.
            None => End::Dead("its clone is of another type".into()),
        }
    }

    /// To the dead letters with it.
    fn bury(&mut self, key: Option<Key>, reason: Reason, parked: Parked<E>) {
        self.bury_all(key, vec![(reason, parked)]);
    }

    /// To the dead letters with all of a key: nobody sees a part of them there.
    fn bury_all(&mut self, key: Option<Key>, mut all: Vec<(Reason, Parked<E>)>) {
        self.account.dead += all.len() as u64;
        let tell = |(reason, parked): &mut (Reason, Parked<E>)| {
            let ticket = parked.aside.let_go()?;
            Some((ticket, Fate::Failed(reason.to_string().into())))
        };
        let waiting: Vec<_> = all.iter_mut().filter_map(tell).collect();
        for (reason, parked) in &all {
            trace::dead(&self.owner.card.name, parked.aside.sequence, reason);
        }
        self.settings.letters.add_all(&self.owner, key, all);
        // Whoever is told finds them there.
        for (ticket, fate) in waiting {
            self.owner.card.settle(&ticket, fate);
        }
    }

    // ---- the end ----

    /// What was in hand when whoever ran the handler was dropped is not handled any more.
    pub(crate) fn take_dropped(&mut self) {
        for lane in self.owner.card.take_dropped() {
            self.lanes.put(lane, Duration::ZERO);
        }
        self.account.waiting = self.lanes.events() as u64;
        self.account.passed_over += self.account.missing();
    }

    /// What nobody handles any more goes to the dead letters.
    pub(crate) fn give_up(&mut self) {
        let lanes = self.owner.card.take_last_returned();
        self.put_returned(lanes);
        self.flush();
        while !self.spill.is_empty() {
            self.count_first(false);
            self.owner.hub.gate.remove_one();
        }
        while let Some(follow_up) = self.later.take_due(Duration::MAX) {
            self.spill.push_back(follow_up);
            self.count_first(false);
        }
        self.leave_behind();
        let mut lanes = self.lanes.drain();
        lanes.sort_by_key(|lane| lane.queue.front().map(|first| first.aside.sequence));
        for Lane { key, mut queue } in lanes {
            if self.is_durable() {
                // They come again in the next run, but for what came back from the dead letters.
                let before = queue.len();
                queue.retain(|parked| parked.trial.letter.is_some());
                self.account.passed_over += (before - queue.len()) as u64;
            }
            if !queue.is_empty() {
                self.bury_all(
                    key,
                    queue.into_iter().map(|parked| (Reason::Left, parked)).collect(),
                );
            }
        }
        self.end_standing();
    }
}
