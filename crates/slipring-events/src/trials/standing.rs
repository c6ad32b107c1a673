//! How far a durable handler is: what it has missed between two runs, and what it has to do again in the next one.
//!
//! A handler stands at a place of where events are stored, as long as it catches up, and then at a sequence of the ring.
//! It is done with all before the first of these: where it stands, what it has put aside, and the event from which a
//! follow-up comes that is not stored. Dead letters are kept elsewhere before it goes on, so they hold nothing back.
//!
//! While it catches up it does not stand still on the ring, or it would be in the way of all who publish there, and of
//! what follows from its own events: where the ring gets full it lets events pass, and gets them from the store as well.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use slipring::Poller;

use super::{
    Trials,
    failure::{caught, tell},
};
use crate::{
    account::Account,
    checkpoints::{Checkpoints, DoneBefore, Joining, Missed, NotDurable},
    delivery::{HandlerError, Key},
    envelope::Envelope,
    event::Event,
    handler::Handle,
    id::EventId,
    receipt::{Answers as _, Fate, Ticket},
    request::Asker,
    slot::{Delivered, Extra, Slot},
    view::View,
    worker::{Turn, finish},
};

/// How many events it is given in one turn.
const EVENTS_A_TURN: usize = 64;
/// How many events it may be done with before that is kept.
const STRIDE: u64 = 1_024;
/// How long that may wait when nothing else comes.
const QUIET: Duration = Duration::from_millis(20);
/// The first pause after a failure of the store, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(250));
/// How long one that leaves waits until what it has published is stored.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// How far a handler is whose checkpoints are kept.
pub(crate) struct Standing<E: Event> {
    checkpoints: Box<dyn Checkpoints<E>>,
    /// It has not come to the ring yet.
    is_catching_up: bool,
    /// Behind the last event that it was given of those that it had missed.
    next_place: u64,
    /// One that could not be given to it.
    in_hand: Option<(u64, Box<Envelope<E>>)>,
    /// Those that were among its dead letters when it began, and have not come yet, with their keys.
    dead: HashMap<EventId, Option<Key>>,
    /// Who waits for events that it has let pass.
    waiting: HashMap<EventId, VecDeque<Waiting<E>>>,
    kept: DoneBefore,
    /// With what it was done when it was looked at, and the last follow-up up to then: kept when that is stored.
    candidate: Option<(DoneBefore, Option<u64>)>,
    /// What had been done when it was looked at.
    looked_at: u64,
    /// When it is looked at next, though nothing comes.
    look_at: Option<Duration>,
    dead_letters: u64,
    /// The store has failed: until when it holds, and the next pause.
    failing_until: Option<Duration>,
    pause: Duration,
    /// It has left, and stood there.
    left_at: Option<DoneBefore>,
}

/// Who waits for an event.
struct Waiting<E: Event> {
    ticket: Option<Arc<Ticket>>,
    asker: Option<Arc<Asker<E>>>,
}

impl<E: Event> Standing<E> {
    fn new(checkpoints: Box<dyn Checkpoints<E>>) -> Self {
        Self {
            checkpoints,
            is_catching_up: true,
            next_place: 0,
            in_hand: None,
            dead: HashMap::new(),
            waiting: HashMap::new(),
            kept: DoneBefore::Place(0),
            candidate: None,
            looked_at: 0,
            look_at: None,
            dead_letters: 0,
            failing_until: None,
            pause: PAUSES.0,
            left_at: None,
        }
    }

    fn failed(&mut self, now: Duration) {
        self.failing_until = Some(now.saturating_add(self.pause));
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

impl<E: Event, V: View<E>> Trials<E, V> {
    /// Opens its checkpoint, if it is to have one.
    pub(crate) fn open_standing(&mut self) -> Result<(), NotDurable> {
        let Some(mut checkpoints) = self.settings.durable.take() else { return Ok(()) };
        let (hub, card) = (&self.owner.hub, &self.owner.card);
        let journal = hub.journal.as_ref().ok_or(NotDurable::NoJournal)?;
        if let Some(last) = card.first.checked_sub(1)
            && !journal.wait(last, Some(Instant::now() + LAST_MOMENTS * 5))
        {
            return Err(NotDurable::NotStored);
        }
        let joining = Joining {
            handler: &card.name,
            journal: journal.name(),
            live: card.first,
            patterns: &card.patterns,
        };
        caught(|| checkpoints.open(&joining))
            .map_err(|panicked| panicked.error)
            .flatten()
            .map_err(NotDurable::Checkpoint)?;
        let mut dead = self.settings.letters.events_of(&self.owner);
        let ids: HashSet<_> = dead.keys().copied().collect();
        if !ids.is_empty() {
            let coming = caught(|| checkpoints.still_to_come(&ids))
                .map_err(|panicked| panicked.error)
                .flatten()
                .map_err(NotDurable::Checkpoint)?;
            dead.retain(|id, _| coming.contains(id));
        }
        let mut standing = Standing::new(checkpoints);
        standing.dead = dead;
        self.owner.card.note_catching_up(true);
        self.standing = Some(Box::new(standing));
        Ok(())
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.standing.is_some()
    }

    /// Whether a durable handler passes an event by: what is replayed into the bus it has by its checkpoint.
    pub(super) fn leaves_out(&self, delivered: &Delivered<'_, E>) -> bool {
        self.standing.is_some() && delivered.extra().is_some_and(|extra| extra.is_replay)
    }

    /// Whether an event comes again that stands before the first dead one of its key: it is not behind that.
    pub(super) fn has_dead_ahead(&self, key: Key, delivered: &Delivered<'_, E>) -> bool {
        let Some(standing) = &self.standing else { return false };
        let comes_again = matches!(delivered.stands_at(), DoneBefore::Place(_));
        comes_again && standing.dead.values().any(|other| *other == Some(key))
    }

    /// Sees to what it has missed, and to what could not be kept of how far it is. `None`: the ring comes next.
    pub(crate) async fn catch_up<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        poller: &mut Poller<Slot<E>>,
    ) -> Option<Turn> {
        let now = self.owner.hub.clock.monotonic();
        let standing = self.standing.as_mut()?;
        if let Some(until) = standing.failing_until {
            if until > now {
                return Some(self.hold_until(until));
            }
            standing.failing_until = None;
            self.look_and_keep();
            if let Some(until) = self.standing.as_ref()?.failing_until {
                return Some(self.hold_until(until));
            }
        }
        if !self.standing.as_ref()?.is_catching_up {
            return None;
        }
        self.let_pass(handler, poller).await;
        if self.has_follow_ups() || !self.goes_on() {
            return Some(Turn::Moved);
        }
        for _ in 0..EVENTS_A_TURN {
            let given = match self.next_missed(poller.sequence()) {
                Ok(Missed::Event { place, envelope }) => {
                    self.take_missed(handler, place, envelope).await
                }
                Ok(Missed::NothingBefore(place)) => {
                    let standing = self.standing.as_mut()?;
                    standing.next_place = standing.next_place.max(place);
                    Ok(())
                }
                Ok(Missed::Nothing) => {
                    let standing = self.standing.as_mut()?;
                    standing.is_catching_up = false;
                    standing.dead = HashMap::new();
                    standing.look_at = Some(now.saturating_add(QUIET));
                    self.owner.card.note_catching_up(false);
                    self.forget_waiting();
                    return Some(Turn::Moved);
                }
                Err(error) => Err(error),
            };
            if let Err(error) = given {
                return Some(self.hold_by(&error));
            }
            self.succeeded();
            if !self.goes_on() || self.hold().is_some() {
                break;
            }
        }
        Some(Turn::Moved)
    }

    fn next_missed(&mut self, live: u64) -> Result<Missed<E>, HandlerError> {
        let Some(standing) = &mut self.standing else { return Ok(Missed::Nothing) };
        if let Some((place, envelope)) = standing.in_hand.take() {
            return Ok(Missed::Event { place, envelope });
        }
        let checkpoints = &mut standing.checkpoints;
        caught(|| checkpoints.next(live)).map_err(|panicked| panicked.error)?
    }

    /// Takes an event that is not on the ring any more, as one that is.
    async fn take_missed<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        place: u64,
        envelope: Box<Envelope<E>>,
    ) -> Result<(), HandlerError> {
        let Some(standing) = &mut self.standing else { return Ok(()) };
        let topic = match self.owner.hub.identity.topics.id(&envelope.topic) {
            Ok(topic) => topic,
            Err(refused) => {
                standing.in_hand = Some((place, envelope));
                return Err(refused.into());
            }
        };
        let Envelope { id, time, correlation, causation, metadata, payload, .. } = *envelope;
        let (is_dead, who) = (standing.dead.remove(&id).is_some(), standing.who_waits_for(id));
        let extra = Extra {
            id: Some(id),
            correlation,
            causation,
            metadata: (!metadata.is_empty()).then(|| Arc::new(metadata)),
            ticket: who.ticket,
            asker: who.asker,
            place: Some(place),
            ..Extra::default()
        };
        let mut slot = Slot::new();
        slot.write(payload, time, topic, extra);
        let sequence = id.sequence().unwrap_or(0);
        self.account.caught_up += 1;
        if is_dead {
            // It was given up before its checkpoint was written: it is among the dead letters, and stays there.
            self.account.duplicates += 1;
            let fate = || Fate::Failed("it is among the dead letters since before".into());
            if let Some(delivered) = slot.read(sequence) {
                self.owner.card.settle_if_awaited(&delivered, fate);
            }
        } else {
            self.take(handler, sequence, &slot, None).await;
        }
        // Not before: what was in hand when whoever ran this was dropped comes again.
        if let Some(standing) = &mut self.standing {
            standing.next_place = place + 1;
        }
        Ok(())
    }

    /// Lets events of the ring pass where it gets full: they are stored, and come from there. Not those that are not.
    async fn let_pass<H: Handle<E, V::Seen>>(
        &mut self,
        handler: &mut H,
        poller: &mut Poller<Slot<E>>,
    ) {
        let is_pressed = self.has_follow_ups() && self.is_in_the_way(poller);
        if !is_pressed && poller.lag() < (self.producer.capacity() as u64).div_ceil(2) {
            return;
        }
        let first = poller.sequence();
        let Some(mut batch) = poller.read() else { return };
        let mut taken = 0;
        while batch.remaining() > 0 && self.goes_on_at_all() {
            let sequence = batch.sequence();
            let Some(slot) = batch.next() else { break };
            taken += 1;
            let Some(delivered) = slot.read(sequence) else {
                self.account.empty += 1;
                continue;
            };
            let is_stored =
                self.standing.as_ref().is_none_or(|it| it.checkpoints.is_stored(sequence));
            if is_stored && self.wants(&delivered) && !self.leaves_out(&delivered) {
                self.defer(&delivered);
            } else {
                self.take(handler, sequence, slot, None).await;
            }
        }
        finish(batch);
        let next = poller.sequence();
        self.account.empty += next - first - taken;
        self.account.next = next;
    }

    /// Whether it is not told to leave.
    fn goes_on_at_all(&self) -> bool {
        self.card().orders() < crate::card::Orders::Leave
    }

    fn defer(&mut self, delivered: &Delivered<'_, E>) {
        self.account.deferred += 1;
        let Some(extra) = delivered.extra() else { return };
        if extra.ticket.is_none() && extra.asker.is_none() {
            return;
        }
        let id = self.owner.hub.identity.id_of(delivered);
        if let Some(standing) = &mut self.standing {
            let who = Waiting { ticket: extra.ticket.clone(), asker: extra.asker.clone() };
            standing.waiting.entry(id).or_default().push_back(who);
        }
    }

    /// Whoever waits for what nobody comes to any more is told.
    fn forget_waiting(&mut self) {
        let Some(standing) = &mut self.standing else { return };
        let all = std::mem::take(&mut standing.waiting);
        let tickets = all.into_values().flatten().filter_map(|waiting| waiting.ticket);
        tickets.for_each(|ticket| self.owner.card.settle(&ticket, Fate::PassedOver));
    }

    /// After a turn: keeps how far it is, now and then, and says when it is to look again.
    pub(crate) fn note_standing(&mut self, turn: Turn) -> Turn {
        let now = self.owner.hub.clock.monotonic();
        let Some(standing) = &mut self.standing else { return turn };
        if standing.left_at.is_some() || standing.failing_until.is_some() {
            return turn;
        }
        let (account, done) = (&self.account, done_by(&self.account));
        let is_new = done != standing.looked_at;
        let is_much = done >= standing.looked_at + STRIDE || account.dead != standing.dead_letters;
        let is_busy = turn == Turn::Moved;
        if is_new && !is_busy && standing.look_at.is_none() {
            standing.look_at = Some(now.saturating_add(QUIET));
        }
        if is_much || standing.look_at.is_some_and(|at| at <= now) {
            self.look_and_keep();
        }
        let Some(standing) = &self.standing else { return turn };
        let look_at = [standing.failing_until, standing.look_at].into_iter().flatten().min();
        match turn {
            Turn::Idle(due) => Turn::Idle([due, look_at].into_iter().flatten().min()),
            Turn::Hold(due) => Turn::Hold([due, look_at].into_iter().flatten().min()),
            turn => turn,
        }
    }

    /// Looks how far it is, and keeps that, or what it was when it was looked at last.
    fn look_and_keep(&mut self) {
        let done = self.done_before();
        let (now, last_sent) = (self.owner.hub.clock.monotonic(), self.last_sent);
        let is_behind = self.settings.letters.is_behind();
        let is_stored = |last: Option<u64>| {
            let journal = &self.owner.hub.journal;
            last.is_none_or(|last| journal.as_ref().is_some_and(|journal| journal.has_passed(last)))
        };
        let Some(standing) = &mut self.standing else { return };
        (standing.looked_at, standing.look_at) = (done_by(&self.account), None);
        standing.dead_letters = self.account.dead;
        let before = standing.candidate.take().filter(|(_, last)| is_stored(*last));
        let to_keep = if is_stored(last_sent) { Some(done) } else { before.map(|(done, _)| done) };
        if !is_stored(last_sent) {
            standing.candidate = Some((done, last_sent));
            standing.look_at = Some(now.saturating_add(QUIET));
        }
        let Some(done) = to_keep.filter(|done| *done > standing.kept) else { return };
        if is_behind {
            // It holds until its letters are written.
            standing.look_at = Some(now.saturating_add(QUIET));
            return;
        }
        self.keep(done);
    }

    fn keep(&mut self, done: DoneBefore) {
        let Some(standing) = &mut self.standing else { return };
        let checkpoints = &mut standing.checkpoints;
        match caught(|| checkpoints.confirm(done)).map_err(|panicked| panicked.error).flatten() {
            Ok(()) => {
                standing.kept = done;
                self.succeeded();
            }
            Err(error) => {
                self.hold_by(&error);
            }
        }
    }

    /// All before is handled, known, or among the dead letters, and what follows from it is on the ring.
    fn done_before(&self) -> DoneBefore {
        let all = [
            Some(self.stands_at()),
            self.lanes.oldest(),
            self.later.oldest(),
            self.spill.iter().map(|follow_up| follow_up.behind).min(),
        ];
        all.into_iter().flatten().min().unwrap_or(DoneBefore::Place(0))
    }

    fn stands_at(&self) -> DoneBefore {
        let next = DoneBefore::Sequence(self.account.next);
        self.standing.as_ref().map_or(next, |standing| match standing.left_at {
            Some(left_at) => left_at,
            None if standing.is_catching_up => DoneBefore::Place(standing.next_place),
            None => next,
        })
    }

    fn hold_until(&self, until: Duration) -> Turn {
        Turn::Hold([Some(until), self.due()].into_iter().flatten().min())
    }

    #[cold]
    fn hold_by(&mut self, error: &HandlerError) -> Turn {
        let now = self.owner.hub.clock.monotonic();
        self.owner.card.note_trouble(Some(tell(error).into()));
        let Some(standing) = &mut self.standing else { return Turn::Moved };
        standing.failed(now);
        let until = standing.failing_until.unwrap_or(now);
        self.hold_until(until)
    }

    fn succeeded(&mut self) {
        if let Some(standing) = &mut self.standing
            && standing.pause != PAUSES.0
        {
            standing.pause = PAUSES.0;
            self.owner.card.note_trouble(None);
        }
    }

    // ---- the end ----

    /// It leaves: from here on it is done with nothing more of what it passes over.
    pub(crate) fn freeze_standing(&mut self) {
        let stands_at = self.stands_at();
        if let Some(standing) = &mut self.standing {
            standing.left_at = Some(stands_at);
        }
    }

    /// What waits to be tried again comes in the next run; it holds the checkpoint.
    pub(super) fn leave_behind(&mut self) {
        let oldest = self.lanes.oldest();
        let Some(standing) = &mut self.standing else { return };
        standing.left_at = [oldest, standing.left_at].into_iter().flatten().min();
        standing.candidate = None;
    }

    /// When all else is done. What nobody has confirmed comes again.
    pub(super) fn end_standing(&mut self) {
        self.forget_waiting();
        if self.standing.is_none() {
            return;
        }
        if let (Some(last), Some(journal)) = (self.last_sent, &self.owner.hub.journal) {
            journal.wait(last, Some(Instant::now() + LAST_MOMENTS));
        }
        self.look_and_keep();
        if let Some(mut standing) = self.standing.take() {
            // What fails here and what panics has the same end: events come again.
            drop(caught(move || standing.checkpoints.end()));
        }
    }
}

/// A number that grows with all that may have a handler be further than before.
fn done_by(account: &Account) -> u64 {
    account.settled() + account.follow_ups + account.unsent
}

impl<E: Event> Standing<E> {
    fn who_waits_for(&mut self, id: EventId) -> Waiting<E> {
        let nobody = Waiting { ticket: None, asker: None };
        if self.waiting.is_empty() {
            return nobody;
        }
        let Some(queue) = self.waiting.get_mut(&id) else { return nobody };
        let who = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&id);
        }
        who.unwrap_or(nobody)
    }
}
