//! Plays a round: publishers, handlers that come and leave, a meddler, somebody who looks on, and the shutdown.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use parking_lot::Mutex;
use slipring::Detach;
use slipring_events::{
    Account, Bus, DeadLetters, Draft, Fate, Publisher, Reason, Receipt, RefusedReason, Subscription,
};

use crate::{
    facts::{APART, Fact, Note, Remark},
    hands::{self, Hand, Log, Rein},
    plan::{HandlerPlan, How, Plan},
    verdict,
};

/// The numbers of what follows begin here.
const FOLLOW_UPS: u64 = 1 << 48;

/// What all rounds have come to.
#[derive(Debug, Default)]
pub struct Sum {
    pub handled: u64,
    pub failures: u64,
    pub dead: u64,
    pub requeued: u64,
    pub purged: u64,
    pub dropped: u64,
    pub passed_over: u64,
    pub follow_ups: u64,
    pub unsent: u64,
    pub receipts: u64,
    pub cut_short: u64,
}

impl Sum {
    pub fn has_everything(&self) -> bool {
        let Self {
            handled,
            failures,
            dead,
            requeued,
            purged,
            dropped,
            passed_over,
            follow_ups,
            ..
        } = *self;
        let all = [
            handled,
            failures,
            dead,
            requeued,
            purged,
            dropped,
            passed_over,
            follow_ups,
            self.receipts,
        ];
        all.iter().all(|count| *count > 0) && self.cut_short > 0
    }
}

/// An event as the auditor has seen it: what was really on the ring.
#[derive(Clone, Debug)]
pub struct Seen {
    pub sequence: u64,
    pub fact: Fact,
    pub topic: Arc<str>,
}

/// A handler that has played.
pub struct Played {
    pub name: String,
    pub plan: HandlerPlan,
    pub left: Option<How>,
    pub first: u64,
    pub account: Account,
    pub tries: Vec<hands::Try>,
    /// The numbers of those that are dead at the end, and why.
    pub letters: Vec<(u64, Reason)>,
    pub dropped: u64,
    /// And whether it was one that could not be sent.
    pub purged: Vec<(u64, bool)>,
    pub given_back: HashSet<u64>,
}

/// Number and sequence of an event, and who has not handled it; `None` if that was not told.
pub type Told = (u64, u64, Option<Vec<(String, Fate)>>);

/// What is known of a round when it is over.
pub struct Evidence {
    pub is_done: bool,
    pub truth: Vec<Seen>,
    pub auditor: Account,
    /// Publisher, number and sequence of each event that was taken.
    pub accepted: Vec<(usize, u64, u64)>,
    pub handlers: Vec<Played>,
    pub receipts: Vec<Told>,
}

/// A handler that is there, or was.
struct Present {
    name: String,
    plan: HandlerPlan,
    log: Log,
    rein: Rein,
    letters: DeadLetters<Fact>,
    first: u64,
    left: Option<How>,
    /// When it has left.
    account: Option<Account>,
}

/// What the threads of a round share.
#[derive(Default)]
struct Shared {
    /// Calls of all publishers, whatever came of them.
    calls: AtomicU64,
    accepted: Mutex<Vec<(usize, u64, u64)>>,
    receipts: Mutex<Vec<(u64, Receipt)>>,
    subscriptions: Mutex<Vec<Option<Subscription<Fact>>>>,
    letters: Mutex<Vec<DeadLetters<Fact>>>,
    purged: Mutex<Vec<(usize, (u64, bool))>>,
    given_back: Mutex<Vec<(usize, u64)>>,
    complaints: Mutex<Vec<String>>,
    meddling_is_over: AtomicBool,
    is_over: AtomicBool,
}

impl Shared {
    fn complain(&self, complaint: String) {
        self.complaints.lock().push(complaint);
    }
}

/// Plays a round; returns what is wrong.
pub fn play(plan: &Plan, sum: &mut Sum) -> Vec<String> {
    let shared = Arc::new(Shared::default());
    let bus = Bus::<Fact>::start(plan.capacity).unwrap();
    let truth = Arc::new(Mutex::new(Vec::new()));
    let auditor = {
        let truth = Arc::clone(&truth);
        let record = move |fact: &Fact, context: &mut slipring_events::Context<'_, Fact>| {
            let seen =
                Seen { sequence: context.sequence(), fact: fact.clone(), topic: context.topic() };
            truth.lock().push(seen);
        };
        bus.handler("auditor").run(record).unwrap()
    };
    let mut present = Vec::new();
    let numbers = Arc::new(AtomicU64::new(FOLLOW_UPS));
    come_and_go(plan, &bus, &shared, &numbers, &mut present, 0);
    let publishers = start_publishers(plan, &bus, &shared);
    let looks_on = spawn(&shared, look_on);
    let meddler = plan.meddles.then(|| {
        let seed = plan.seed;
        spawn(&shared, move |shared| meddle(shared, seed))
    });
    loop {
        let is_published = publishers.iter().all(thread::JoinHandle::is_finished);
        let calls = shared.calls.load(Ordering::Relaxed);
        come_and_go(plan, &bus, &shared, &numbers, &mut present, calls);
        if is_published || calls >= plan.shutdown_after {
            break;
        }
        thread::yield_now();
    }
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

    let auditor = gone(auditor, &shared);
    let handlers = present
        .into_iter()
        .enumerate()
        .map(|(index, present)| conclude(index, present, &shared))
        .collect();
    let evidence = Evidence {
        is_done: ended.is_ok(),
        truth: std::mem::take(&mut *truth.lock()),
        auditor,
        accepted: std::mem::take(&mut *shared.accepted.lock()),
        receipts: answers(&shared),
        handlers,
    };
    verdict::count(&evidence, sum);
    let mut complaints = std::mem::take(&mut *shared.complaints.lock());
    complaints.extend(verdict::on(plan, &evidence));
    complaints
}

fn spawn(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || work(&shared))
}

/// Its account when it has left.
fn gone(subscription: Subscription<Fact>, shared: &Shared) -> Account {
    subscription.unsubscribe(Detach::AtOnce, Plan::AMPLE).unwrap_or_else(|still| {
        shared.complain(still.to_string());
        still.subscription.account()
    })
}

/// Those come and go whose time has come.
fn come_and_go(
    plan: &Plan,
    bus: &Bus<Fact>,
    shared: &Shared,
    numbers: &Arc<AtomicU64>,
    present: &mut Vec<Present>,
    calls: u64,
) {
    for (index, handler) in plan.handlers.iter().enumerate() {
        let name = format!("h{index} {:?}", handler.driver);
        let here = present.iter().position(|present| present.name == name);
        match here {
            None if handler.comes_at <= calls => {
                let hand = Hand {
                    seed: plan.seed.wrapping_add(index as u64) << 8,
                    fails: handler.fails,
                    most_depth: plan.most_depth,
                    numbers: Arc::clone(numbers),
                    log: Log::default(),
                };
                let (log, letters) = (Arc::clone(&hand.log), DeadLetters::new(handler.letters));
                match hands::register(bus, &name, handler, &letters, hand) {
                    Ok((subscription, rein)) => {
                        let first = subscription.first_sequence();
                        shared.subscriptions.lock().push(Some(subscription));
                        shared.letters.lock().push(letters.clone());
                        let plan = handler.clone();
                        present.push(Present {
                            name,
                            plan,
                            log,
                            rein,
                            letters,
                            first,
                            left: None,
                            account: None,
                        });
                    }
                    Err(error) => shared.complain(format!("{name} cannot come: {error}")),
                }
            }
            Some(here) => {
                let leaving = handler.leaves.filter(|leaving| leaving.at <= calls);
                if let Some(leaving) = leaving
                    && present[here].left.is_none()
                {
                    leave(here, &mut present[here], leaving.how, shared);
                }
            }
            None => {}
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
        let note = Note { number, key: rng.u8(..4), depth: 0 };
        let calls = if rng.u8(..8) == 0 { rng.u64(1..3).min(last - number) } else { 1 };
        let reason = if calls > 1 {
            let mut batch: Vec<Fact> = (number..number + calls)
                .map(|number| Note { number, ..note.clone() }.into())
                .collect();
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
    let fact: Fact = if rng.u8(..4) == 0 { Remark(note).into() } else { note.into() };
    let taken = match rng.u8(..7) {
        0 => publisher.try_publish(fact).map_err(|refused| refused.reason)?,
        1 => publisher
            .publish_within(Duration::from_micros(50), fact)
            .map_err(|refused| refused.reason)?,
        2 => smol::block_on(publisher.publish_async(fact)).map_err(|refused| refused.reason)?,
        3 => publisher.send(Draft::new(fact).topic(APART)).map_err(|refused| refused.reason)?,
        4 => {
            let draft = if rng.bool() { Draft::new(fact).topic(APART) } else { Draft::new(fact) };
            let receipt = publisher.send_tracked(draft).map_err(|refused| refused.reason)?;
            let at = receipt.published();
            shared.receipts.lock().push((number, receipt));
            at
        }
        _ => publisher.publish(fact).map_err(|refused| refused.reason)?,
    };
    Ok(taken.sequence())
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
                [
                    next,
                    empty,
                    filtered,
                    handled,
                    dead,
                    requeued,
                    account.passed_over,
                    account.follow_ups,
                ]
            };
            let old = std::mem::replace(&mut before[index], account);
            if counts(&old).iter().zip(counts(&account)).any(|(old, new)| *old > new) {
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

// ---- the end ----

fn conclude(index: usize, present: Present, shared: &Shared) -> Played {
    let Present { name, plan, log, rein, letters, first, left, account } = present;
    rein.join();
    let subscription = shared.subscriptions.lock()[index].take();
    let account = match (account, subscription) {
        (Some(account), _) => account,
        (None, Some(subscription)) => gone(subscription, shared),
        (None, None) => unreachable!("it was told to leave, and its account is not known"),
    };
    let told = |info: slipring_events::LetterInfo| {
        let letter = letters.get(info.id).expect("nobody meddles any more");
        (letter.envelope.payload.note().number, info.reason)
    };
    Played {
        name,
        plan,
        left,
        first,
        account,
        tries: std::mem::take(&mut *log.lock()),
        letters: letters.list().into_iter().map(told).collect(),
        dropped: letters.dropped(),
        purged: of(index, &shared.purged),
        given_back: of(index, &shared.given_back).into_iter().collect(),
    }
}

fn of<T: Copy>(index: usize, list: &Mutex<Vec<(usize, T)>>) -> Vec<T> {
    list.lock().iter().filter(|(handler, _)| *handler == index).map(|(_, of_it)| *of_it).collect()
}

fn answers(shared: &Shared) -> Vec<Told> {
    let receipts = std::mem::take(&mut *shared.receipts.lock());
    let told = |(number, mut receipt): (u64, Receipt)| {
        let answers = receipt.wait(Duration::ZERO).ok();
        let answers = answers
            .map(|all| all.into_iter().map(|one| (one.handler.to_string(), one.fate)).collect());
        (number, receipt.published().sequence(), answers)
    };
    receipts.into_iter().map(told).collect()
}
