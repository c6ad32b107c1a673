//! Plays a round: publishers, handlers that come and leave, a meddler, somebody who looks on, and the shutdown.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use parking_lot::Mutex;
use slipring::Detach;
use slipring_events::{
    Account, Bulkhead, Bus, Clock, DeadLetters, Draft, EventId, ManualClock, Publisher, Reason,
    Receipt, RefusedReason, Request, Source, Subscription, Time, WhenFull,
};

use crate::{
    ends::{self, Seen, Sum},
    facts::{APART, Fact, Note, Remark},
    hands::{Core, Log},
    plan::{HandlerPlan, How, Plan},
    reins::{self, Around, Rein},
    verdict,
};

/// The numbers of what follows begin here.
const FOLLOW_UPS: u64 = 1 << 48;

/// Where some events come from, now and then twice.
const ELSEWHERE: Source = Source::named("elsewhere");

/// A handler that is there, or was.
pub struct Present {
    pub name: String,
    pub plan: HandlerPlan,
    pub log: Log,
    pub ledger: Arc<Mutex<Vec<usize>>>,
    pub rein: Rein,
    pub letters: DeadLetters<Fact>,
    pub first: u64,
    pub left: Option<How>,
    /// When it has left.
    pub account: Option<Account>,
}

/// What the threads of a round share.
#[derive(Default)]
pub struct Shared {
    /// Calls of all publishers, whatever came of them.
    calls: AtomicU64,
    clock: ManualClock,
    pub accepted: Mutex<Vec<(usize, u64, u64)>>,
    pub receipts: Mutex<Vec<(u64, Receipt)>>,
    pub requests: Mutex<Vec<(u64, Request<Fact>)>>,
    pub subscriptions: Mutex<Vec<Option<Subscription<Fact>>>>,
    letters: Mutex<Vec<DeadLetters<Fact>>>,
    pub purged: Mutex<Vec<(usize, (u64, bool))>>,
    pub given_back: Mutex<Vec<(usize, u64)>>,
    pub complaints: Mutex<Vec<String>>,
    meddling_is_over: AtomicBool,
    is_over: AtomicBool,
}

/// The clock of a round, which whoever waits looks at again soon.
struct Turned(ManualClock);

impl Clock for Turned {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn nap(&self, time: Duration) -> Duration {
        time.min(Duration::from_micros(20))
    }
}

/// Where handlers come.
struct Place<'a> {
    plan: &'a Plan,
    bus: &'a Bus<Fact>,
    shared: &'a Shared,
    numbers: Arc<AtomicU64>,
    bulkhead: Bulkhead,
    crowd: Arc<AtomicUsize>,
}

impl Shared {
    pub fn complain(&self, complaint: String) {
        self.complaints.lock().push(complaint);
    }
}

/// Plays a round; returns what is wrong.
pub fn play(plan: &Plan, sum: &mut Sum) -> Vec<String> {
    let shared = Arc::new(Shared::default());
    let turned = Turned(shared.clock.clone());
    let bus = Bus::<Fact>::builder(plan.capacity).clock(turned).start().unwrap();
    let truth = Arc::new(Mutex::new(Vec::new()));
    let auditor = audit(&bus, &truth);
    let mut present = Vec::new();
    let seed = plan.seed;
    let turns = spawn(&shared, move |shared| turn(shared, seed));
    let looks_on = spawn(&shared, look_on);
    let meddler = plan.meddles.then(|| spawn(&shared, move |shared| meddle(shared, seed)));
    let publishers = come_and_publish(plan, &bus, &shared, &mut present);
    let meddler = meddler.and_then(|meddler| {
        if plan.meddles_to_the_end {
            return Some(meddler);
        }
        shared.meddling_is_over.store(true, Ordering::Relaxed);
        meddler.join().unwrap();
        None
    });
    let ended = bus.shutdown(plan.shutdown);
    if plan.shutdown == Plan::AMPLE
        && let Err(not_done) = &ended
    {
        shared.complain(format!("the shutdown: {not_done}"));
    }
    shared.meddling_is_over.store(true, Ordering::Relaxed);
    for thread in publishers.into_iter().chain(meddler) {
        thread.join().unwrap();
    }
    shared.is_over.store(true, Ordering::Relaxed);
    looks_on.join().unwrap();
    turns.join().unwrap();

    let auditor = ends::gone(auditor, &shared);
    let truth = std::mem::take(&mut *truth.lock());
    let evidence = ends::evidence(ended.is_ok(), truth, auditor, present, &shared);
    ends::count(&evidence, sum);
    let mut complaints = std::mem::take(&mut *shared.complaints.lock());
    complaints.extend(verdict::on(plan, &evidence));
    complaints
}

/// Sees and writes down what is really on the ring.
fn audit(bus: &Bus<Fact>, truth: &Arc<Mutex<Vec<Seen>>>) -> Subscription<Fact> {
    let truth = Arc::clone(truth);
    let record = move |fact: &Fact, context: &mut slipring_events::Context<'_, Fact>| {
        let (sequence, topic) = (context.sequence(), context.topic());
        let (id, time) = (context.id(), context.time());
        truth.lock().push(Seen { sequence, fact: fact.clone(), topic, id, time });
    };
    bus.handler("auditor").run(record).unwrap()
}

/// Has handlers come and go while events are published, until the shutdown is to begin.
fn come_and_publish(
    plan: &Plan,
    bus: &Bus<Fact>,
    shared: &Arc<Shared>,
    present: &mut Vec<Present>,
) -> Vec<thread::JoinHandle<()>> {
    let place = Place {
        plan,
        bus,
        shared,
        numbers: Arc::new(AtomicU64::new(FOLLOW_UPS)),
        bulkhead: Bulkhead::new(plan.places),
        crowd: Arc::default(),
    };
    place.come_and_go(present, 0);
    let publishers = start_publishers(plan, bus, shared);
    loop {
        let is_published = publishers.iter().all(thread::JoinHandle::is_finished);
        let calls = shared.calls.load(Ordering::Relaxed);
        place.come_and_go(present, calls);
        if is_published || calls >= plan.shutdown_after {
            return publishers;
        }
        thread::yield_now();
    }
}

fn spawn(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || work(&shared))
}

impl Place<'_> {
    /// Those come and go whose time has come.
    fn come_and_go(&self, present: &mut Vec<Present>, calls: u64) {
        for (index, handler) in self.plan.handlers.iter().enumerate() {
            let name = format!("h{index} {:?}", handler.driver);
            match present.iter().position(|present| present.name == name) {
                None if handler.comes_at <= calls => {
                    present.extend(self.come(index, name, handler));
                }
                Some(here) => {
                    let leaving = handler.leaves.filter(|leaving| leaving.at <= calls);
                    if let Some(leaving) = leaving
                        && present[here].left.is_none()
                    {
                        leave(here, &mut present[here], leaving.how, self.shared);
                    }
                }
                None => {}
            }
        }
    }

    fn come(&self, index: usize, name: String, plan: &HandlerPlan) -> Option<Present> {
        let Self { shared, bulkhead, bus, .. } = self;
        let when_full = if plan.holds { WhenFull::Hold } else { WhenFull::DropOldest };
        let letters = DeadLetters::when_full(plan.letters, when_full);
        let core = Core {
            seed: self.plan.seed.wrapping_add(index as u64) << 8,
            plan: plan.clone(),
            most_depth: self.plan.most_depth,
            numbers: Arc::clone(&self.numbers),
            clock: shared.clock.clone(),
            crowd: Arc::clone(&self.crowd),
            places: self.plan.places,
            letters: letters.clone(),
            ledger: Arc::default(),
            log: Log::default(),
        };
        let (log, ledger) = (Arc::clone(&core.log), Arc::clone(&core.ledger));
        let around = Around { bus, letters: &letters, bulkhead };
        match reins::register(&around, &name, plan, core) {
            Ok((subscription, rein)) => {
                let first = subscription.first_sequence();
                shared.subscriptions.lock().push(Some(subscription));
                shared.letters.lock().push(letters.clone());
                let (plan, left, account) = (plan.clone(), None, None);
                Some(Present { name, plan, log, ledger, rein, letters, first, left, account })
            }
            Err(error) => {
                shared.complain(format!("{name} cannot come: {error}"));
                None
            }
        }
    }
}

fn leave(index: usize, present: &mut Present, how: How, shared: &Shared) {
    present.left = Some(how);
    let detach = match how {
        How::Dropped => return present.rein.cut(),
        How::Drained => Detach::Drained,
        How::AtOnce => Detach::AtOnce,
    };
    let Some(subscription) = shared.subscriptions.lock()[index].take() else { return };
    match subscription.unsubscribe(detach, Plan::AMPLE) {
        Ok(account) => present.account = Some(account),
        Err(still) => {
            shared.complain(still.to_string());
            shared.subscriptions.lock()[index] = Some(still.subscription);
        }
    }
}

// ---- the threads ----

fn start_publishers(
    plan: &Plan,
    bus: &Bus<Fact>,
    shared: &Arc<Shared>,
) -> Vec<thread::JoinHandle<()>> {
    let start = |(index, count): (usize, &u32)| {
        let (publisher, count, seed) = (bus.publisher(), *count, plan.seed);
        spawn(shared, move |shared| publish(shared, index, count, publisher, seed))
    };
    plan.publishers.iter().enumerate().map(start).collect()
}

/// Publishes so many events, each in one way or another, until the bus closes.
fn publish(shared: &Shared, index: usize, count: u32, mut publisher: Publisher<Fact>, seed: u64) {
    let mut rng = Rng::with_seed(seed ^ ((index as u64 + 1) << 40));
    let mut number = (index as u64 + 1) << 32;
    let last = number + u64::from(count);
    let accept = |number, sequence| shared.accepted.lock().push((index, number, sequence));
    while number < last {
        let note = Note { number, key: rng.u8(..4), depth: 0, asks: false };
        let calls = if rng.u8(..8) == 0 { rng.u64(1..3).min(last - number) } else { 1 };
        let reason = if calls > 1 {
            let mut batch: Vec<Fact> =
                (number..number + calls).map(|number| Note { number, ..note }.into()).collect();
            publisher.publish_batch(&mut batch).map(|range| {
                range
                    .enumerate()
                    .for_each(|(place, sequence)| accept(number + place as u64, sequence));
            })
        } else {
            publish_one(shared, &mut publisher, &mut rng, note)
                .map(|sequence| accept(number, sequence))
        };
        number += calls;
        shared.calls.fetch_add(calls, Ordering::Relaxed);
        match reason {
            Ok(())
            | Err(RefusedReason::Full | RefusedReason::TimedOut | RefusedReason::TooLarge { .. }) =>
                {}
            Err(RefusedReason::Closed) => return,
            Err(reason) => return shared.complain(format!("publisher {index}: {reason}")),
        }
    }
}

fn publish_one(
    shared: &Shared,
    publisher: &mut Publisher<Fact>,
    rng: &mut Rng,
    note: Note,
) -> Result<u64, RefusedReason> {
    let number = note.number;
    let way = rng.u8(..10);
    let note = Note { asks: way == 5, ..note };
    let fact: Fact = if rng.u8(..4) == 0 { Remark(note).into() } else { note.into() };
    let taken = match way {
        0 => publisher.try_publish(fact).map_err(|refused| refused.reason)?,
        1 => publisher
            .publish_within(Duration::from_micros(50), fact)
            .map_err(|refused| refused.reason)?,
        2 => smol::block_on(publisher.publish_async(fact)).map_err(|refused| refused.reason)?,
        // One that is dropped has not published.
        7 => {
            let publishing = async { Some(publisher.publish_async(fact).await) };
            let looks = rng.u8(..4);
            let patience = async {
                for _ in 0..looks {
                    smol::future::yield_now().await;
                }
                None
            };
            let ended = smol::block_on(smol::future::or(publishing, patience));
            ended.ok_or(RefusedReason::TimedOut)?.map_err(|refused| refused.reason)?
        }
        3 => publisher.send(Draft::new(fact).topic(APART)).map_err(|refused| refused.reason)?,
        4 => {
            let draft = if rng.bool() { Draft::new(fact).topic(APART) } else { Draft::new(fact) };
            let draft = if rng.u8(..4) == 0 { draft.id(elsewhere(rng)) } else { draft };
            let receipt = publisher.send_tracked(draft).map_err(|refused| refused.reason)?;
            let at = receipt.published();
            shared.receipts.lock().push((number, receipt));
            at
        }
        5 => {
            let request = publisher.request(fact).map_err(|refused| refused.reason)?;
            let at = request.published();
            shared.requests.lock().push((number, request));
            at
        }
        6 => {
            let draft = Draft::new(fact).id(elsewhere(rng));
            publisher.send(draft).map_err(|refused| refused.reason)?
        }
        _ => publisher.publish(fact).map_err(|refused| refused.reason)?,
    };
    Ok(taken.sequence())
}

/// The id of an event that comes now and then twice.
fn elsewhere(rng: &mut Rng) -> EventId {
    EventId::of(ELSEWHERE, rng.u64(..40))
}

/// Turns the clock.
fn turn(shared: &Shared, seed: u64) {
    let mut rng = Rng::with_seed(seed ^ 0xc10c);
    while !shared.is_over.load(Ordering::Relaxed) {
        shared.clock.advance(Duration::from_nanos(rng.u64(..200_000)));
        thread::sleep(Duration::from_micros(5));
    }
}

/// Looks at all accounts, again and again.
fn look_on(shared: &Shared) {
    let mut before: Vec<Account> = Vec::new();
    while !shared.is_over.load(Ordering::Relaxed) {
        let subscriptions = shared.subscriptions.lock();
        for (index, subscription) in subscriptions.iter().enumerate() {
            let Some(account) = subscription.as_ref().map(Subscription::account) else { continue };
            if !account.adds_up() {
                shared.complain(format!("handler {index} does not add up: {account:?}"));
            }
            if before.len() <= index {
                before.resize(index + 1, account);
            }
            let counts = |account: &Account| {
                let Account { next, empty, filtered, handled, dead, requeued, .. } = *account;
                let Account { passed_over, follow_ups, duplicates, late, .. } = *account;
                let first = [next, empty, filtered, handled, dead];
                let others = [requeued, passed_over, follow_ups, duplicates, late];
                first.into_iter().chain(others)
            };
            let old = std::mem::replace(&mut before[index], account);
            if counts(&old).zip(counts(&account)).any(|(old, new)| old > new) {
                shared.complain(format!("handler {index} goes back: {old:?}, {account:?}"));
            }
        }
        drop(subscriptions);
        thread::sleep(Duration::from_micros(50));
    }
}

/// Gives letters back and throws some away.
fn meddle(shared: &Shared, seed: u64) {
    let mut rng = Rng::with_seed(seed ^ 0x5eed);
    while !shared.meddling_is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_micros(rng.u64(1..300)));
        let all = shared.letters.lock().clone();
        if all.is_empty() {
            continue;
        }
        let handler = rng.usize(..all.len());
        let infos = all[handler].list();
        if infos.is_empty() {
            continue;
        }
        let info = &infos[rng.usize(..infos.len())];
        if rng.u8(..3) == 0 {
            if let Some(letter) = all[handler].purge(info.id) {
                let is_unsent = letter.info.reason == Reason::Unsent;
                shared
                    .purged
                    .lock()
                    .push((handler, (letter.envelope.payload.note().number, is_unsent)));
            }
        } else if let Some(letter) = all[handler].get(info.id) {
            // Before it is: nobody looks at this who has not waited for the end.
            shared.given_back.lock().push((handler, letter.envelope.payload.note().number));
            // It may be gone by now, and so may the handler.
            drop(all[handler].requeue(info.id));
        }
    }
}
